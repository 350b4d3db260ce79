//! Words of ARP and neighbor discovery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const SOLICITATION: u8 = 135;
pub const ADVERTISEMENT: u8 = 136;
pub const SOLICITED: u8 = 0x40;
pub const OVERRIDE: u8 = 0x20;
/// Whose link-layer address an option tells.
pub const SOURCE_OPTION: u8 = 1;
pub const TARGET_OPTION: u8 = 2;
/// Who probes for duplicates.
pub const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
pub const NOBODY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
pub const ALL_NODES: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
pub const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A link-layer address option.
pub fn option(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

/// The group that whoever has this IPv6 address listens to, and its MAC.
pub fn solicited_node(target: IpAddr) -> (IpAddr, [u8; 6]) {
    let IpAddr::V6(target) = target else { panic!("{target}") };
    let [.., a, b, c] = target.octets();
    let low = u16::from_be_bytes([b, c]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low);
    (group.into(), [0x33, 0x33, 0xff, a, b, c])
}
