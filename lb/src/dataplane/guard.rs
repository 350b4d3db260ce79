//! What a guest may not say: the words of those who run a network.
//!
//! A defined guest is a host. It hands out no addresses (DHCP, DHCPv6), is no router that others
//! should use (router advertisements, redirects), and asks nobody for multicast groups (IGMP and
//! MLD queries). What such a message hides behind, extension headers or fragments, does not help it:
//! a packet whose chain of headers is not whole goes nowhere (RFC 7113 §3), and neighbor discovery
//! has no business behind any (RFC 6980).
//!
//! Undefined stations are left alone: a learning switch knows nothing of them.

use crate::DropReason;
use crate::dataplane::{Dataplane, Inbound};
use crate::wire::icmp::{PROTOCOL_V4 as ICMP, PROTOCOL_V6 as ICMPV6};
use crate::wire::ip::Version;
use crate::wire::{bytes_at, dhcp, ipv6};

const IGMP: u8 = 2;
const UDP: u8 = 17;

// Ports of servers and clients (RFC 2131 §4.1, RFC 8415 §7.2).
const DHCP: (u16, u16) = (dhcp::SERVER_PORT, dhcp::CLIENT_PORT);
const DHCPV6: (u16, u16) = (547, 546);

// Types of messages (RFC 792, RFC 3376 §4, RFC 2710 §3, RFC 4861 §4).
const ICMP_REDIRECT: u8 = 5;
const IGMP_QUERY: u8 = 0x11;
const MLD_QUERY: u8 = 130;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

impl Dataplane {
    /// Refuses what a defined guest may not say.
    pub(super) fn guard(&self, packet: &Inbound<'_>) -> Result<(), DropReason> {
        let Some(reason) = network_word(packet) else {
            return Ok(());
        };
        match self.tables.guest_at(packet.ingress, packet.header.source) {
            Some(_) => Err(reason),
            None => Ok(()),
        }
    }
}

/// Which word of the network's a packet is, if it is one.
fn network_word(packet: &Inbound<'_>) -> Option<DropReason> {
    let Inbound { ip, ref head, .. } = *packet;
    if ip.is_later_part() {
        return None;
    }
    let payload = ip.payload(head);
    match (ip.version, ip.protocol, payload.first()) {
        (version, UDP, _) => serves_addresses(version, payload).then_some(DropReason::DhcpGuard),
        (Version::V4, IGMP, Some(&IGMP_QUERY)) => Some(DropReason::QueryGuard),
        (Version::V4, ICMP, Some(&ICMP_REDIRECT)) => Some(DropReason::RaGuard),
        (Version::V6, ICMPV6, Some(&MLD_QUERY)) => Some(DropReason::QueryGuard),
        (Version::V6, ICMPV6, Some(&(ROUTER_ADVERTISEMENT | REDIRECT))) => {
            Some(DropReason::RaGuard)
        }
        (Version::V6, ICMPV6, Some(&NEIGHBOR_ADVERTISEMENT)) => {
            let hides = ip.payload_at > ip.at + ipv6::HEADER_BYTES;
            hides.then_some(DropReason::RaGuard)
        }
        // Its type is in a fragment that is yet to come.
        (Version::V6, ICMPV6, None) => Some(DropReason::RaGuard),
        _ => None,
    }
}

/// Whether a datagram is from a DHCP server or for a client: clients do not look where an offer
/// comes from. One whose ports are yet to come may be either.
pub(super) fn serves_addresses(version: Version, datagram: &[u8]) -> bool {
    let (server, client) = match version {
        Version::V4 => DHCP,
        Version::V6 => DHCPV6,
    };
    let Some([s0, s1, d0, d1]) = bytes_at(datagram, 0) else {
        return true;
    };
    u16::from_be_bytes([s0, s1]) == server || u16::from_be_bytes([d0, d1]) == client
}
