//! The management address: the appliance as a host of its own.
//!
//! It has one address of each IP version at most, in one VLAN each: an operator says it, or a DHCP
//! server leases it (IPv4, [`lease`]). It is there for those on the uplinks and for nobody else.
//!
//! ```text
//!   what comes by an uplink                     what becomes of it
//!   who has the address?                        answered
//!   echo request                                turned round in place, nothing is kept for it
//!   TCP, UDP                                    refused: reset, port unreachable
//!   an answer to what we have asked             punted: next hops, pings, the lease
//!   somebody claims the address                 dropped, told to the log, and we say it is ours
//!
//!   what comes by a guest's port, to its MAC or asking for it: `mgmt_port`; in its name: a spoof
//! ```
//!
//! What a router on the uplink sends back in a guest's name is refused as well: its source is that of
//! a guest that is here.
//!
//! The management MAC is of the appliance's own and different on each: `02:6e`, and then what is
//! different in the MAC of its first uplink's NIC. So it is one of the MACs that look virtual, which
//! are told from a station's by two bytes: no other frame pays for it, and all guards of such MACs
//! are its guards. It stays the same whichever uplink is in use, like a bond's; whoever is behind one
//! finds it there.

pub(crate) mod lease;
pub(crate) mod ping;

use core::net::IpAddr;

use crate::service::Announcements;
use crate::wire::ip::Version;
use crate::{Instant, MacAddr};
use lease::LeaseClient;
use ping::{NextHops, Pings};
pub use ping::{PingId, PingOutcome, PingRefusal};

/// What an operator says of it (`set system address …`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementSpec {
    pub mac: MacAddr,
    /// One of each IP version at most.
    pub addresses: heapless::Vec<AddressSpec, 2>,
}

/// One address, and the VLAN that it is in; 0 is untagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressSpec {
    pub source: AddressSource,
    pub vlan: u16,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    Static(HostAddress),
    /// A server leases it; IPv4.
    Dhcp,
}

/// The address of a host in its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddress {
    pub address: IpAddr,
    pub prefix_len: u8,
    pub gateway: Option<IpAddr>,
}

/// An address that the appliance has at this time.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub host: HostAddress,
    pub vlan: u16,
    /// By a server, and for a time.
    pub is_leased: bool,
    pub(crate) announcements: Announcements,
}

/// What is under way for it.
#[derive(Default)]
pub struct Management {
    pub(crate) lease: Option<LeaseClient>,
    pub(crate) hops: NextHops,
    pub(crate) pings: Pings,
    /// When the log last heard that somebody else claims an address of ours.
    pub(crate) claim_told: Option<Instant>,
    /// When we last said that it is ours nevertheless.
    pub(crate) defended: Option<Instant>,
}

impl AddressSpec {
    pub fn version(&self) -> Version {
        match self.source {
            AddressSource::Static(host) => Version::of(host.address),
            AddressSource::Dhcp => Version::V4,
        }
    }
}

impl HostAddress {
    /// Whether a host may have this address where the network's prefix is so long: not the network's
    /// own, nor its broadcast address (RFC 1122 §3.2.1.3; RFC 3021 has no such on a link of two), nor
    /// that of all its routers (RFC 4291 §2.6.1).
    pub fn is_for_a_host(address: IpAddr, prefix_len: u8) -> bool {
        let (bits, host_len) = host_part(address, prefix_len);
        let all_ones = address.is_ipv4() && bits == (1 << host_len.min(127)) - 1;
        host_len < 2 || (bits != 0 && !all_ones)
    }

    /// Whether packets to an address go to its own station, not to the gateway.
    pub fn is_on_link(&self, other: IpAddr) -> bool {
        let is_alike = Version::of(self.address) == Version::of(other);
        let network = |address| {
            let (whole, _) = host_part(address, 0);
            whole.checked_shr(host_part(address, self.prefix_len).1).unwrap_or(0)
        };
        let is_link_local = matches!(other, IpAddr::V6(other) if other.is_unicast_link_local());
        is_alike && (is_link_local || network(self.address) == network(other))
    }

    /// Whether a router of its network may have this address.
    pub fn may_have_gateway(&self, gateway: IpAddr) -> bool {
        let is_link_local = matches!(gateway, IpAddr::V6(own) if own.is_unicast_link_local());
        gateway != self.address
            && self.is_on_link(gateway)
            && (is_link_local || HostAddress::is_for_a_host(gateway, self.prefix_len))
    }

    /// Whose station packets to an address are sent to; `None` if there is no way.
    pub(crate) fn next_hop(&self, to: IpAddr) -> Option<IpAddr> {
        if self.is_on_link(to) { Some(to) } else { self.gateway }
    }
}

/// The bits behind the prefix, and how many there are.
fn host_part(address: IpAddr, prefix_len: u8) -> (u128, u32) {
    let (whole, len) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), u32::BITS),
        IpAddr::V6(address) => (address.to_bits(), u128::BITS),
    };
    let host_len = len.saturating_sub(u32::from(prefix_len));
    let mask = 1u128.checked_shl(host_len).map_or(u128::MAX, |bit| bit - 1);
    (whole & mask, host_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str, prefix_len: u8) -> HostAddress {
        HostAddress { address: address.parse().unwrap(), prefix_len, gateway: None }
    }

    #[test]
    fn what_a_host_may_have() {
        let cases = [
            ("10.0.2.15", 24, true),
            ("10.0.2.0", 24, false),
            ("10.0.2.255", 24, false),
            ("10.0.2.255", 23, true),
            ("10.0.2.14", 31, true),
            ("10.0.2.15", 31, true),
            ("10.0.2.12", 30, false),
            ("10.0.2.15", 30, false),
            ("10.0.2.15", 32, true),
            ("fd00::15", 64, true),
            ("fd00::", 64, false),
            ("fd00::ffff:ffff:ffff:ffff", 64, true),
            ("fd00::", 127, true),
            ("fd00::1", 128, true),
            ("fd00::1", 1, true),
        ];
        for (address, len, expected) in cases {
            let found = HostAddress::is_for_a_host(address.parse().unwrap(), len);
            assert_eq!(found, expected, "{address}/{len}");
        }
    }

    #[test]
    fn who_is_on_the_link() {
        let cases = [
            ("10.0.2.15", 24, "10.0.2.2", true),
            ("10.0.2.15", 24, "10.0.3.2", false),
            ("10.0.2.15", 32, "10.0.2.2", false),
            ("10.0.2.15", 24, "fd00::1", false),
            ("fd00::15", 64, "fd00::ffff:1", true),
            ("fd00::15", 64, "fd00:0:0:1::1", false),
            ("fd00::15", 128, "fe80::1", true),
            ("fd00::15", 1, "8000::1", true),
        ];
        for (own, len, other, expected) in cases {
            let found = host(own, len).is_on_link(other.parse().unwrap());
            assert_eq!(found, expected, "{own}/{len} {other}");
        }
    }

    #[test]
    fn what_a_gateway_may_have() {
        let cases = [
            ("10.0.2.15", 24, "10.0.2.2", true),
            ("10.0.2.15", 24, "10.0.2.15", false),
            ("10.0.2.15", 24, "10.0.2.0", false),
            ("10.0.2.15", 24, "10.0.2.255", false),
            ("10.0.2.15", 24, "10.0.3.1", false),
            ("10.0.2.15", 24, "fe80::1", false),
            ("fd00::15", 64, "fe80::1", true),
            ("fd00::15", 64, "fd00::1", true),
            ("fd00::15", 64, "10.0.2.2", false),
        ];
        for (own, len, gateway, expected) in cases {
            let found = host(own, len).may_have_gateway(gateway.parse().unwrap());
            assert_eq!(found, expected, "{own}/{len} gateway {gateway}");
        }
    }
}
