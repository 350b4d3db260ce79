//! What hosts and routers say of groups, built by a foreign builder. Station 0 is on the uplink.

use std::net::IpAddr;

use crate::world::*;

/// The option by which routers are to look at a packet, of IPv4 and of IPv6 (for MLD).
pub const ALERT: [u8; 4] = [148, 4, 0, 0];
pub const ALERT_V6: [u8; 8] = [0, 0, 5, 2, 0, 0, 1, 0];
const HOP_BY_HOP: u8 = 0;

/// From station `n` to a group.
pub fn ends(n: usize, group: &str) -> Ends {
    let group: IpAddr = group.parse().unwrap();
    let (destination_mac, source) = match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            let own = if n == UPLINK { CLIENT } else { guest_address(n) };
            ([1, 0, 0x5e, b & 0x7f, c, d], own)
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            ([0x33, 0x33, a, b, c, d], format!("fe80::{:x}", n + 1).parse().unwrap())
        }
    };
    let source_mac = if n == UPLINK { CLIENT_MAC } else { guest_mac(n) };
    let (source, destination) = ((source, 5000), (group, 5001));
    Ends { vlan: 0, source_mac, destination_mac, source, destination }
}

/// A datagram for a group.
pub fn to_group(n: usize, group: &str) -> Vec<u8> {
    ends(n, group).udp(b"to all of you")
}

/// An IGMP message, its sum made right.
pub fn igmp(n: usize, to: &str, message: &[u8]) -> Vec<u8> {
    let ends = ends(n, to);
    let mut message = message.to_vec();
    message[2..4].fill(0);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message);
    message[2..4].copy_from_slice(&sum.ones_complement().to_ne_bytes());
    let mut frame = with_options(&ends.raw(2, &message), ends.ip_at(), &ALERT);
    patch_ipv4(&mut frame, ends.ip_at(), &[(8, 1)]);
    frame
}

/// An MLD message: its first four bytes are type and sum.
pub fn mld(n: usize, to: &str, kind: u8, rest: &[u8]) -> Vec<u8> {
    let ends = ends(n, to);
    let (start, rest) = rest.split_first_chunk().unwrap();
    let mut frame = ends.icmp(kind, 0, *start, rest);
    frame[ends.ip_at() + 7] = 1;
    with_extensions(&frame, ends.ip_at(), &[(HOP_BY_HOP, &ALERT_V6)])
}

fn octets_of(group: &str) -> Vec<u8> {
    octets(group.parse().unwrap())
}

/// A query of IGMPv3; of all groups if it is of 0.0.0.0.
pub fn igmp_query(n: usize, group: &str) -> Vec<u8> {
    let to = if group == "0.0.0.0" { "224.0.0.1" } else { group };
    igmp(n, to, &[&[0x11, 100, 0, 0], &octets_of(group)[..], &[2, 125, 0, 0]].concat())
}

/// A query of MLDv2; of all groups if it is of ::.
pub fn mld_query(n: usize, group: &str) -> Vec<u8> {
    let to = if group == "::" { "ff02::1" } else { group };
    let rest = [&10_000u16.to_be_bytes()[..], &[0, 0], &octets_of(group), &[2, 125, 0, 0]];
    mld(n, to, 130, &rest.concat())
}

/// A report that changes what `n` is in: by version 3 of IGMP, by version 2 of MLD.
fn report(n: usize, group: &str, kind: u8) -> Vec<u8> {
    let record = [&[kind, 0, 0, 0][..], &octets_of(group)].concat();
    match group.contains(':') {
        true => mld(n, "ff02::16", 143, &[&[0, 0, 0, 1], &record[..]].concat()),
        false => igmp(n, "224.0.0.22", &[&[0x22, 0, 0, 0, 0, 0, 0, 1], &record[..]].concat()),
    }
}

pub fn joined(n: usize, group: &str) -> Vec<u8> {
    report(n, group, 4)
}

pub fn left(n: usize, group: &str) -> Vec<u8> {
    report(n, group, 3)
}
