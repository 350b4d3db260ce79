//! Which MAC an address has: asked by ARP, kept for some seconds, asked again. Packets wait for
//! the answer, a few of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{ArpEthIpv4Packet, ArpOperation};

use super::packet::{BROADCAST, Mac, Packet};
use super::{MS, Nanos, SECOND};

const KEPT: Nanos = 5 * SECOND;
const ASKED_EVERY: Nanos = 250 * MS;
const WAITING_MAX: usize = 16;

#[derive(Default)]
pub struct Neighbours {
    known: BTreeMap<IpAddr, (Mac, Nanos)>,
    waiting: BTreeMap<IpAddr, Waiting>,
}

struct Waiting {
    packets: Vec<Packet>,
    ask_at: Nanos,
}

impl Neighbours {
    /// Where to send a packet for `address`; without an answer the packet stays here.
    pub fn resolve(
        &mut self,
        address: IpAddr,
        packet: Packet,
        now: Nanos,
    ) -> Option<(Mac, Packet)> {
        if let Some(&(mac, until)) = self.known.get(&address)
            && now < until
        {
            return Some((mac, packet));
        }
        let nothing = Waiting { packets: Vec::new(), ask_at: now };
        let waiting = self.waiting.entry(address).or_insert(nothing);
        if waiting.packets.len() < WAITING_MAX {
            waiting.packets.push(packet);
        }
        None
    }

    /// Takes in where somebody says to be; returns what waited for it.
    pub fn learn(&mut self, address: IpAddr, mac: Mac, now: Nanos) -> Vec<Packet> {
        self.known.insert(address, (mac, now + KEPT));
        self.waiting.remove(&address).map_or(Vec::new(), |waiting| waiting.packets)
    }

    pub fn knows(&self, address: IpAddr) -> bool {
        self.known.contains_key(&address)
    }

    /// The addresses to ask for now.
    pub fn questions(&mut self, now: Nanos) -> Vec<IpAddr> {
        let due = self.waiting.iter_mut().filter(|(_, waiting)| now >= waiting.ask_at);
        due.map(|(&address, waiting)| {
            waiting.ask_at = now + ASKED_EVERY;
            address
        })
        .collect()
    }

    pub fn wakes_at(&self) -> Option<Nanos> {
        self.waiting.values().map(|waiting| waiting.ask_at).min()
    }
}

/// Who has `target`? Asked by `sender` at `mac`.
pub fn question(mac: Mac, sender: IpAddr, target: IpAddr) -> Option<(Mac, Packet)> {
    let (IpAddr::V4(sender), IpAddr::V4(target)) = (sender, target) else {
        return None;
    };
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    };
    Some((BROADCAST, Packet::Arp(arp)))
}

/// The answer of who is at `mac`.
pub fn answer(mac: Mac, question: &ArpEthIpv4Packet) -> (Mac, Packet) {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REPLY,
        sender_mac: mac,
        sender_ipv4: question.target_ipv4,
        target_mac: question.sender_mac,
        target_ipv4: question.sender_ipv4,
    };
    (question.sender_mac, Packet::Arp(arp))
}
