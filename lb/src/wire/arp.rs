//! ARP for IPv4 over Ethernet (RFC 826), probes and announcements included (RFC 5227).

use core::net::Ipv4Addr;

use super::ethernet::{self, ETHERTYPE_ARP};
use super::{bytes_at, put};
use crate::{DropReason, MacAddr};

/// Bytes of a packet for IPv4 over Ethernet.
pub const PACKET_BYTES: usize = 28;
/// The packet padded to what an Ethernet frame must carry.
pub const PADDED_BYTES: usize = 46;

const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Request,
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    pub operation: Operation,
    pub sender_mac: MacAddr,
    pub sender: Ipv4Addr,
    pub target_mac: MacAddr,
    pub target: Ipv4Addr,
}

impl Arp {
    pub fn parse(frame: &[u8], at: usize) -> Result<Arp, DropReason> {
        let packet = bytes_at::<PACKET_BYTES>(frame, at).ok_or(DropReason::ArpHeader)?;
        let operation = match [packet[6], packet[7]] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return Err(DropReason::ArpHeader),
        };
        if packet[..6] != ETHERNET_IPV4 {
            return Err(DropReason::ArpHeader);
        }
        let mac = |at: usize| {
            let p = &packet[at..];
            MacAddr([p[0], p[1], p[2], p[3], p[4], p[5]])
        };
        let address =
            |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        Ok(Arp {
            operation,
            sender_mac: mac(8),
            sender: address(14),
            target_mac: mac(18),
            target: address(24),
        })
    }

    /// Asks for an address in nobody's name (RFC 5227 §2.1.1): every stack answers, none learns.
    pub fn probe(target: Ipv4Addr) -> Arp {
        Arp::request(Ipv4Addr::UNSPECIFIED, MacAddr::SWITCH, target)
    }

    /// Asks for an address in our name.
    pub fn request(sender: Ipv4Addr, sender_mac: MacAddr, target: Ipv4Addr) -> Arp {
        Arp { operation: Operation::Request, sender_mac, sender, target_mac: MacAddr::ZERO, target }
    }

    /// Says that `address` is at `mac` (RFC 5227 §2.3, "gratuitous ARP").
    pub fn announcement(address: Ipv4Addr, mac: MacAddr) -> Arp {
        Arp::request(address, mac, address)
    }

    /// The answer to this request: the target is at `mac`.
    pub fn answer(&self, mac: MacAddr) -> Arp {
        Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Writes the packet at `at`, where one was parsed.
    pub fn write(&self, frame: &mut [u8], at: usize) {
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        put(frame, at, ETHERNET_IPV4);
        put(frame, at + 6, operation.to_be_bytes());
        put(frame, at + 8, self.sender_mac.0);
        put(frame, at + 14, self.sender.octets());
        put(frame, at + 18, self.target_mac.0);
        put(frame, at + 24, self.target.octets());
    }

    /// The packet as it is sent.
    pub fn packet(&self) -> [u8; PADDED_BYTES] {
        let mut packet = [0; PADDED_BYTES];
        self.write(&mut packet, 0);
        packet
    }

    /// A whole untagged frame from the packet's sender to `destination`.
    pub fn frame(&self, destination: MacAddr) -> heapless::Vec<u8, 60> {
        let header = ethernet::header(destination, self.sender_mac, 0, ETHERTYPE_ARP);
        header.into_iter().chain(self.packet()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_parsed() {
        let request = Arp::announcement(Ipv4Addr::new(10, 0, 2, 100), MacAddr::SWITCH);
        let frame = request.frame(MacAddr::BROADCAST);
        assert_eq!(Arp::parse(&frame, 14), Ok(request));
        let answer = request.answer(MacAddr::ZERO);
        assert_eq!(Arp::parse(&answer.frame(MacAddr::SWITCH), 14), Ok(answer));
    }

    #[test]
    fn p29_hostile_packets() {
        let good = Arp::probe(Ipv4Addr::LOCALHOST).frame(MacAddr::BROADCAST);
        assert_eq!(Arp::parse(&good[..24], 14), Err(DropReason::ArpHeader), "10 bytes long");
        for (what, at, value) in [
            ("htype 2", 15, 2),
            ("hlen 0", 18, 0),
            ("hlen 255", 18, 255),
            ("plen 16", 19, 16),
            ("operation 3", 21, 3),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(Arp::parse(&bad, 14), Err(DropReason::ArpHeader), "{what}");
        }
    }
}
