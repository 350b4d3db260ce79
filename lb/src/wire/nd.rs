//! Neighbor discovery (RFC 4861): solicitations and advertisements, over Ethernet.
//!
//! ```text
//!   type code sum │ flags, reserved │ target, 16 bytes │ options: type, length in 8 bytes, …
//! ```
//!
//! A message is believed as far as RFC 4861 §7.1 lets a node believe it: from this link (hop limit
//! 255), with the right sum, with options that have a length. Neither may be fragmented (RFC 6980).

use core::net::{IpAddr, Ipv6Addr};

use super::ethernet::ETHERTYPE_IPV6;
use super::icmp::{self, PROTOCOL_V6};
use super::ip::{Fragmentation, pseudo_header};
use super::{Ip, bytes_at, ethernet, ipv6, put};
use crate::{DropReason, MacAddr};

const ROUTER_SOLICITATION: u8 = 133;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Bytes up to the options.
const MESSAGE_BYTES: usize = 24;
const ROUTER_SOLICITATION_BYTES: usize = 8;
/// A link-layer address option, and so the longest message of ours.
const OPTION_BYTES: usize = 8;
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
/// What only a neighbour can send.
const HOP_LIMIT: u8 = 255;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// All nodes on the link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Solicitation,
    Advertisement,
}

/// A solicitation or an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    pub kind: Kind,
    /// Unspecified for a probe (duplicate address detection, RFC 4862 §5.4).
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub target: Ipv6Addr,
    /// The sender's in a solicitation, the target's in an advertisement.
    pub link_layer: Option<MacAddr>,
    /// An advertisement that answers a solicitation.
    pub solicited: bool,
}

/// A message of ours, without what the link puts before it.
pub type Packet = heapless::Vec<u8, { ipv6::HEADER_BYTES + MESSAGE_BYTES + OPTION_BYTES }>;

/// Whether a packet is a solicitation or an advertisement, by its type alone.
pub fn is_neighbor(frame: &[u8], ip: &Ip) -> bool {
    let kind = ip.payload(frame).first();
    ip.protocol == PROTOCOL_V6 && matches!(kind, Some(&(SOLICITATION | ADVERTISEMENT)))
}

/// Whether a message is an advertisement, by its type alone.
pub fn is_advertisement(frame: &[u8], ip: &Ip) -> bool {
    ip.payload(frame).first() == Some(&ADVERTISEMENT)
}

/// The address that a message is about, if it is long enough to say. An IPv4 address in IPv6's
/// clothes is nobody's: taken for itself, it would be an IPv4 VIP.
pub fn target(frame: &[u8], ip: &Ip) -> Option<Ipv6Addr> {
    let target = bytes_at(ip.payload(frame), 8).map(Ipv6Addr::from_octets)?;
    target.to_ipv4_mapped().is_none().then_some(target)
}

/// The MAC that a message gives for its sender or target, if it has readable options.
pub fn link_layer_of(frame: &[u8], ip: &Ip) -> Option<MacAddr> {
    let options = ip.payload(frame).get(MESSAGE_BYTES..)?;
    let kind = if is_advertisement(frame, ip) { TARGET_LINK_LAYER } else { SOURCE_LINK_LAYER };
    link_layer(options, kind).ok().flatten()
}

/// Refuses a message that says of another MAC that it is its sender's. All options are read: of several
/// that say it, a reader may take any.
pub fn check_names(frame: &[u8], ip: &Ip, mac: MacAddr) -> Result<(), DropReason> {
    let message = ip.payload(frame);
    let options_at = match message.first() {
        Some(&ROUTER_SOLICITATION) => ROUTER_SOLICITATION_BYTES,
        Some(&(SOLICITATION | ADVERTISEMENT)) => MESSAGE_BYTES,
        _ => return Ok(()),
    };
    for option in options(message.get(options_at..).unwrap_or_default()) {
        let (kind, value) = option?;
        if matches!(kind, SOURCE_LINK_LAYER | TARGET_LINK_LAYER) && *value != mac.0 {
            return Err(DropReason::NdSpoof);
        }
    }
    Ok(())
}

/// Gives a message another sender.
pub fn set_source(frame: &mut [u8], ip: &Ip, source: IpAddr) {
    let delta = ip.set_addresses(frame, source.into(), ip.destination);
    let at = ip.payload_at + 2;
    let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
    put(frame, at, delta.apply(old).to_be_bytes());
}

/// The multicast group that whoever has `target` listens to (RFC 4291 §2.7.1).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}

/// The group MAC of a multicast address (RFC 2464 §7).
pub fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

impl Neighbor {
    /// Reads a message of which [`is_neighbor`] holds.
    pub fn parse(frame: &[u8], ip: &Ip) -> Result<Neighbor, DropReason> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) =
            (ip.source.into(), ip.destination.into())
        else {
            return Err(DropReason::NdHeader);
        };
        if ip.fragment != Fragmentation::Whole {
            return Err(DropReason::NdFragment);
        }
        let message = ip.payload(frame);
        let header = bytes_at::<MESSAGE_BYTES>(message, 0).ok_or(DropReason::NdHeader)?;
        if ip.ttl != HOP_LIMIT || header[1] != 0 || icmp::check_sum(frame, ip).is_err() {
            return Err(DropReason::NdHeader);
        }
        let kind = match header[0] {
            SOLICITATION => Kind::Solicitation,
            _ => Kind::Advertisement,
        };
        let option = match kind {
            Kind::Solicitation => SOURCE_LINK_LAYER,
            Kind::Advertisement => TARGET_LINK_LAYER,
        };
        let link_layer = link_layer(&message[MESSAGE_BYTES..], option)?;
        let target = bytes_at(&header, 8).map(Ipv6Addr::from_octets).ok_or(DropReason::NdHeader)?;
        let is_probe = kind == Kind::Solicitation && source.is_unspecified();
        let to_group = destination == solicited_node(target);
        if target.is_multicast() || (is_probe && (link_layer.is_some() || !to_group)) {
            return Err(DropReason::NdHeader);
        }
        let solicited = kind == Kind::Advertisement && header[4] & SOLICITED != 0;
        Ok(Neighbor { kind, source, destination, target, link_layer, solicited })
    }

    /// Asks for an address in nobody's name, as duplicate address detection does: its answer goes
    /// to all nodes, and nobody learns from the question.
    pub fn probe(target: Ipv6Addr) -> Neighbor {
        Neighbor {
            kind: Kind::Solicitation,
            source: Ipv6Addr::UNSPECIFIED,
            destination: solicited_node(target),
            target,
            link_layer: None,
            solicited: false,
        }
    }

    /// Asks for an address in our name; the answer comes to `source` at `mac`.
    pub fn solicitation(source: Ipv6Addr, mac: MacAddr, target: Ipv6Addr) -> Neighbor {
        Neighbor { source, link_layer: Some(mac), ..Neighbor::probe(target) }
    }

    /// Says unasked that `target` is at `mac` (RFC 4861 §7.2.6).
    pub fn announcement(target: Ipv6Addr, mac: MacAddr) -> Neighbor {
        Neighbor {
            kind: Kind::Advertisement,
            source: target,
            destination: ALL_NODES,
            target,
            link_layer: Some(mac),
            solicited: false,
        }
    }

    /// The answer to this solicitation; one to a probe goes to all nodes (RFC 4861 §7.2.4).
    pub fn answer(&self, mac: MacAddr) -> Neighbor {
        let announcement = Neighbor::announcement(self.target, mac);
        match self.source.is_unspecified() {
            true => announcement,
            false => Neighbor { destination: self.source, solicited: true, ..announcement },
        }
    }

    /// The message as it is sent.
    pub fn packet(&self) -> Packet {
        let (kind, option, flags) = match (self.kind, self.solicited) {
            (Kind::Solicitation, _) => (SOLICITATION, SOURCE_LINK_LAYER, 0),
            (Kind::Advertisement, true) => (ADVERTISEMENT, TARGET_LINK_LAYER, SOLICITED | OVERRIDE),
            (Kind::Advertisement, false) => (ADVERTISEMENT, TARGET_LINK_LAYER, OVERRIDE),
        };
        let mut message = [0; MESSAGE_BYTES + OPTION_BYTES];
        (message[0], message[4]) = (kind, flags);
        put(&mut message, 8, self.target.octets());
        let len = match self.link_layer {
            None => MESSAGE_BYTES,
            Some(mac) => {
                put(&mut message, MESSAGE_BYTES, [option, 1]);
                put(&mut message, MESSAGE_BYTES + 2, mac.0);
                message.len()
            }
        };
        let (source, destination) = (self.source, self.destination);
        let pseudo = pseudo_header(source.into(), destination.into(), PROTOCOL_V6, len);
        let checksum = pseudo.bytes(&message[..len]).checksum();
        put(&mut message, 2, checksum.to_be_bytes());
        let header = ipv6::header(source, destination, PROTOCOL_V6, len as u16, HOP_LIMIT);
        // A packet has room for both.
        header.into_iter().chain(message[..len].iter().copied()).collect()
    }

    /// The MAC that the message goes to when nobody knows better.
    pub fn link_destination(&self) -> Option<MacAddr> {
        self.destination.is_multicast().then(|| group_mac(self.destination))
    }

    /// A whole untagged frame of ours to `destination`.
    pub fn frame(&self, destination: MacAddr, source: MacAddr) -> heapless::Vec<u8, 86> {
        let header = ethernet::header(destination, source, 0, ETHERTYPE_IPV6);
        header.into_iter().chain(self.packet()).collect()
    }
}

/// The link-layer address among the options.
fn link_layer(message_options: &[u8], kind: u8) -> Result<Option<MacAddr>, DropReason> {
    let mut found = None;
    for option in options(message_options) {
        let (its, value) = option?;
        if its == kind && value.len() == OPTION_BYTES - 2 {
            found = bytes_at(value, 0).map(MacAddr);
        }
    }
    Ok(found)
}

/// Options by kind and value, each at least eight bytes long; none after one that is not.
fn options(mut rest: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), DropReason>> {
    core::iter::from_fn(move || {
        let (kind, len) = match *rest {
            [] => return None,
            [kind, len, ..] => (kind, usize::from(len) * 8),
            [_] => (0, 0),
        };
        if len == 0 || len > rest.len() {
            rest = &[];
            return Some(Err(DropReason::NdOption));
        }
        let (option, others) = rest.split_at(len);
        rest = others;
        Some(Ok((kind, &option[2..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ethernet;
    use std::vec::Vec;

    const VIP: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12, 0x3456);
    const HOST: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 2]);

    fn read(frame: &[u8]) -> Result<Neighbor, DropReason> {
        let header = Ethernet::parse(frame)?;
        let ip = ipv6::parse(frame, frame.len(), header.payload_at)?;
        assert!(is_neighbor(frame, &ip));
        Neighbor::parse(frame, &ip)
    }

    /// Makes the sum right again after a change.
    fn resum(frame: &mut [u8]) {
        put(frame, 56, [0, 0]);
        let ip = ipv6::parse(frame, frame.len(), 14).unwrap();
        let checksum = ip.pseudo_header().bytes(ip.payload(frame)).checksum();
        put(frame, 56, checksum.to_be_bytes());
    }

    #[test]
    fn what_is_written_is_parsed() {
        let question = Neighbor::solicitation(HOST, MAC, VIP);
        let probe = Neighbor::probe(VIP);
        for message in [question, probe, question.answer(MAC), probe.answer(MAC)] {
            assert_eq!(read(&message.frame(MAC, MAC)), Ok(message));
        }
        assert_eq!(probe.answer(MAC).destination, ALL_NODES, "a probe has no sender to answer to");
        assert_eq!(
            question.link_destination(),
            Some(MacAddr([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]))
        );
    }

    #[test]
    fn p27_options() {
        let question = Neighbor::solicitation(HOST, MAC, VIP).frame(MAC, MAC);
        for (what, at, value) in [("length 0", 79, 0), ("length 255", 79, 255)] {
            let mut bad = question.clone();
            bad[at] = value;
            resum(&mut bad);
            assert_eq!(read(&bad), Err(DropReason::NdOption), "{what}");
        }
    }

    #[test]
    fn what_is_not_believed() {
        let question = Neighbor::solicitation(HOST, MAC, VIP).frame(MAC, MAC);
        let change = |at: usize, value: u8| {
            let mut frame = question.clone();
            frame[at] = value;
            resum(&mut frame);
            frame
        };
        let mut probe_with_address = Neighbor::solicitation(HOST, MAC, VIP);
        probe_with_address.source = Ipv6Addr::UNSPECIFIED;
        let mut probe_to_one = Neighbor::probe(VIP);
        probe_to_one.destination = VIP;
        let mut sum = question.clone();
        sum[57] ^= 1;
        let cases: [(&str, Vec<u8>); 6] = [
            ("from afar", change(21, 254).to_vec()),
            ("code 1", change(55, 1).to_vec()),
            ("a group as target", change(62, 0xff).to_vec()),
            ("a probe that says where it is from", probe_with_address.frame(MAC, MAC).to_vec()),
            ("a probe to one address", probe_to_one.frame(MAC, MAC).to_vec()),
            ("a wrong sum", sum.to_vec()),
        ];
        for (what, frame) in cases {
            assert_eq!(read(&frame), Err(DropReason::NdHeader), "{what}");
        }
    }

    #[test]
    fn p26_an_atomic_fragment() {
        let packet = Neighbor::solicitation(HOST, MAC, VIP).packet();
        let mut frame = ethernet::header(MAC, MAC, 0, ETHERTYPE_IPV6).to_vec();
        frame.extend_from_slice(&packet[..40]);
        frame.extend([PROTOCOL_V6, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend_from_slice(&packet[40..]);
        frame[20] = 44;
        frame[19] += 8;
        assert_eq!(read(&frame), Err(DropReason::NdFragment));
    }
}
