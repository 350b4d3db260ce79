//! Which MAC an address has: asked by ARP or neighbor discovery, kept for some seconds, asked again.
//! Packets wait for the answer, a few of them and for a while. What is known is known in one VLAN.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{ArpEthIpv4Packet, ArpOperation};

use super::packet::{BROADCAST, Link, Mac, Neighbor, Packet};
use super::{MS, Nanos, SECOND};

const KEPT: Nanos = 5 * SECOND;
const ASKED_EVERY: Nanos = 250 * MS;
const WAITING_MAX: usize = 16;
/// Packets for who does not answer are dropped, as by any stack: an answer that comes out after
/// its question was forgotten is nobody's.
const WAITS: Nanos = 3 * SECOND;

/// An address on a VLAN.
pub type Place = (u16, IpAddr);

#[derive(Default)]
pub struct Neighbours {
    known: BTreeMap<Place, (Mac, Nanos)>,
    waiting: BTreeMap<Place, Waiting>,
}

struct Waiting {
    packets: Vec<Packet>,
    /// In whose name it is asked: that of the first packet, as Linux does.
    asks_as: IpAddr,
    ask_at: Nanos,
    until: Nanos,
}

/// What somebody says about an address without having been asked.
#[derive(Clone, Copy, Debug)]
pub enum Boast {
    Announces,
    /// The same as an answer to nobody.
    Answers,
    /// Whether anybody has it.
    Probes,
}

impl Neighbours {
    /// Where to send a packet for `place`; without an answer the packet stays here.
    pub fn resolve(
        &mut self,
        place: Place,
        asks_as: IpAddr,
        packet: Packet,
        now: Nanos,
    ) -> Option<(Mac, Packet)> {
        if let Some(&(mac, until)) = self.known.get(&place)
            && now < until
        {
            return Some((mac, packet));
        }
        let nothing = Waiting { packets: Vec::new(), asks_as, ask_at: now, until: now + WAITS };
        let waiting = self.waiting.entry(place).or_insert(nothing);
        if waiting.packets.len() < WAITING_MAX {
            waiting.packets.push(packet);
        }
        None
    }

    /// Takes in where somebody says to be; returns what waited for it.
    pub fn learn(&mut self, place: Place, mac: Mac, now: Nanos) -> Vec<Packet> {
        self.known.insert(place, (mac, now + KEPT));
        self.waiting.remove(&place).map_or(Vec::new(), |waiting| waiting.packets)
    }

    pub fn knows(&self, place: Place) -> bool {
        self.known.contains_key(&place)
    }

    pub fn asks_for(&self, place: Place) -> bool {
        self.waiting.contains_key(&place)
    }

    /// The places to ask for now, and in whose name.
    pub fn questions(&mut self, now: Nanos) -> Vec<(Place, IpAddr)> {
        self.waiting.retain(|_, waiting| now < waiting.until);
        let due = self.waiting.iter_mut().filter(|(_, waiting)| now >= waiting.ask_at);
        due.map(|(&place, waiting)| {
            waiting.ask_at = now + ASKED_EVERY;
            (place, waiting.asks_as)
        })
        .collect()
    }

    pub fn wakes_at(&self) -> Option<Nanos> {
        self.waiting.values().map(|waiting| waiting.ask_at).min()
    }
}

/// Who has the address at `place`? Asked by `sender` at `mac`.
pub fn question(mac: Mac, sender: IpAddr, (vlan, target): Place) -> (Link, Packet) {
    match (sender, target) {
        (IpAddr::V4(sender), IpAddr::V4(target)) => {
            let question = arp(ArpOperation::REQUEST, (mac, sender), ([0; 6], target));
            (Link { source: mac, destination: BROADCAST, vlan }, question)
        }
        (IpAddr::V6(sender), IpAddr::V6(target)) => {
            message(mac, vlan, Neighbor::question(sender, mac, target))
        }
        ends => panic!("nobody asks like this: {ends:?}"),
    }
}

/// The answer of who is at `mac`.
pub fn answer(mac: Mac, vlan: u16, question: &ArpEthIpv4Packet) -> (Link, Packet) {
    let (asked, asking) = (question.target_ipv4_addr(), question.sender_ipv4_addr());
    let answer = arp(ArpOperation::REPLY, (mac, asked), (question.sender_mac, asking));
    (Link { source: mac, destination: question.sender_mac, vlan }, answer)
}

/// Of who is at `mac` about an address of his, whoever has asked him.
pub fn boast(mac: Mac, (vlan, address): Place, boast: Boast) -> (Link, Packet) {
    match (address, boast) {
        (IpAddr::V4(address), boast) => {
            let (operation, sender) = match boast {
                Boast::Announces => (ArpOperation::REQUEST, address),
                Boast::Answers => (ArpOperation::REPLY, address),
                Boast::Probes => (ArpOperation::REQUEST, Ipv4Addr::UNSPECIFIED),
            };
            let boast = arp(operation, (mac, sender), ([0; 6], address));
            (Link { source: mac, destination: BROADCAST, vlan }, boast)
        }
        (IpAddr::V6(address), Boast::Announces | Boast::Answers) => {
            message(mac, vlan, Neighbor::announcement(address, mac))
        }
        (IpAddr::V6(address), Boast::Probes) => {
            message(mac, vlan, Neighbor::question(Ipv6Addr::UNSPECIFIED, mac, address))
        }
    }
}

fn message(mac: Mac, vlan: u16, message: Neighbor) -> (Link, Packet) {
    let destination = message.group_mac().expect("everybody is asked");
    (Link { source: mac, destination, vlan }, Packet::Neighbor(message))
}

fn arp(
    operation: ArpOperation,
    (sender_mac, sender): (Mac, Ipv4Addr),
    (target_mac, target): (Mac, Ipv4Addr),
) -> Packet {
    let (sender_ipv4, target_ipv4) = (sender.octets(), target.octets());
    Packet::Arp(ArpEthIpv4Packet { operation, sender_mac, sender_ipv4, target_mac, target_ipv4 })
}
