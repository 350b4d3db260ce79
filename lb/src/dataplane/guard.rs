//! What a guest may not say: the words of those who run a network, and anything in another's name.
//!
//! A defined guest is a host. It hands out no addresses (DHCP, DHCPv6), is no router that others
//! should use (router advertisements, redirects), and asks nobody for multicast groups (IGMP and
//! MLD queries), unless it is trusted with that. What such a message hides behind does not help it:
//!
//! ```text
//!   extension headers   a packet whose chain of headers is not whole goes nowhere (RFC 7113 §3)
//!   fragments           neighbor discovery has no business in any (RFC 6980)
//!   broken headers      what cannot be read is not sent on for others to read
//!   LLC/SNAP            is refused: some hosts take IP out of it (CVE-2021-27853, -27861)
//!   tags of no VLAN     among several tags: hosts skip them (CVE-2021-27853, -27854)
//! ```
//!
//! And it sends in its own name. Its packets come from its addresses; in ARP and neighbor discovery it
//! speaks of those and of its own MAC ([`super::resolve`]). An address that a host gives itself on its
//! link is its own too, as long as it is nobody else's. A guest of which no address was said may use
//! any.
//!
//! Undefined stations are left alone: a learning switch knows nothing of them.

use crate::DropReason;
use crate::PortId;
use crate::dataplane::{Dataplane, Inbound};
use crate::guest::Trust;
use crate::tables::Bound;
use crate::wire::icmp::{PROTOCOL_V4 as ICMP, PROTOCOL_V6 as ICMPV6};
use crate::wire::ip::{Fragmentation, Version};
use crate::wire::{Address, Ethernet, Ip, bytes_at, dhcp, ethernet, ipv6, nd};

const IGMP: u8 = 2;
const UDP: u8 = 17;

// Ports of servers and clients (RFC 2131 §4.1, RFC 8415 §7.2).
const DHCP: (u16, u16) = (dhcp::SERVER_PORT, dhcp::CLIENT_PORT);
const DHCPV6: (u16, u16) = (547, 546);

// Types of messages (RFC 792, RFC 3376 §4, RFC 2710 §3, RFC 4861 §4).
const ICMP_REDIRECT: u8 = 5;
const IGMP_QUERY: u8 = 0x11;
const MLD_QUERY: u8 = 130;
const MLD_DONE: u8 = 132;
const MLD_REPORT: u8 = 143;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// No address, which a host sends from that has none yet.
const UNSPECIFIED: Address = Address::v4(0);
const UNSPECIFIED_V6: Address = Address::v6([0; 16]);

/// A word of the network's: why a guest may not say it, and who may.
struct Word {
    reason: DropReason,
    trust: Option<Trust>,
}

impl Dataplane {
    /// Refuses what a defined guest may not say.
    pub(super) fn guard(&self, packet: &Inbound<'_>) -> Result<(), DropReason> {
        let Inbound { ip, ref head, .. } = *packet;
        let Some(bound) = self.bound(packet) else {
            return Ok(());
        };
        match network_word(packet) {
            Some(Word { reason, trust }) if !trust.is_some_and(|trust| bound.trusts(trust)) => {
                return Err(reason);
            }
            Some(_) | None => {}
        }
        let may_tell_macs = ip.protocol == ICMPV6 && !ip.is_later_part();
        match may_tell_macs && !bound.trusts(Trust::Mac) {
            true => nd::check_names(head, ip, packet.header.source),
            false => Ok(()),
        }
    }

    /// Refuses a packet that a defined guest sends in another's name.
    #[inline]
    pub(super) fn check_sender(&self, packet: &Inbound<'_>) -> Result<(), DropReason> {
        match self.bound(packet) {
            Some(bound) if !bound.may_use(packet.ip.source) => self.check_odd_sender(bound, packet),
            Some(_) | None => Ok(()),
        }
    }

    /// The same, and one that any station at a guest's port sends in a VIP's, or in ours.
    #[inline]
    pub(super) fn check_source_of(&self, packet: &Inbound<'_>) -> Result<(), DropReason> {
        match self.tables.has(packet.header.vlan, packet.ip.source) {
            true if self.is_guest(packet.ingress) => Err(DropReason::VipSource),
            true | false => self.check_sender(packet),
        }
    }

    /// Refuses a frame of a defined guest that is neither ARP nor IP, but would be to others.
    #[cold]
    pub(super) fn check_disguise(
        &self,
        ingress: PortId,
        header: &Ethernet,
        head: &[u8],
    ) -> Result<(), DropReason> {
        let bound = self.tables.bindings().at(ingress, header.source);
        if bound.is_none_or(|bound| bound.trusts(Trust::Mac)) {
            return Ok(());
        }
        match ethernet::is_disguise(header, head) {
            true => Err(DropReason::Disguise),
            false => Ok(()),
        }
    }

    /// Whether who sends this is held to what he may say, so that it has to be read.
    pub(super) fn must_be_read(&self, ingress: PortId, header: &Ethernet) -> bool {
        self.is_guests(ingress, header) || self.tables.lists().concern(ingress)
    }

    #[inline]
    fn bound(&self, packet: &Inbound<'_>) -> Option<&Bound> {
        self.tables.bindings().at(packet.ingress, packet.header.source)
    }

    /// A host that has no address yet asks for one, or for groups; and every host has some that nobody
    /// gave it.
    #[cold]
    fn check_odd_sender(&self, bound: &Bound, packet: &Inbound<'_>) -> Result<(), DropReason> {
        let Inbound { ingress, header, ip, ref head, .. } = *packet;
        let asks = match ip.source {
            UNSPECIFIED => ip.protocol == IGMP || asks_for_address(ip.protocol, ip.payload(head)),
            UNSPECIFIED_V6 => ip.protocol == ICMPV6,
            _ => false,
        };
        let (mac, vlan) = (header.source, header.vlan);
        let has_it = || self.tables.has_on_loopback(ingress, mac, vlan, ip.source.into());
        if asks || self.tables.may_have(bound, ip.source) || has_it() {
            return Ok(());
        }
        // One that nobody may have is wrong whoever sends it.
        ip.check(head)?;
        Err(match self.tables.has(vlan, ip.source) {
            true => DropReason::VipSource,
            false => DropReason::SpoofAddress,
        })
    }
}

/// Which word of the network's a packet is, if it is one.
fn network_word(packet: &Inbound<'_>) -> Option<Word> {
    let Inbound { ip, ref head, .. } = *packet;
    if ip.is_later_part() {
        return None;
    }
    let word = |reason, trust| Some(Word { reason, trust: Some(trust) });
    let nobodys = |reason| Some(Word { reason, trust: None });
    let payload = ip.payload(head);
    match (ip.version, ip.protocol, payload.first()) {
        (version, UDP, _) if serves_addresses(version, payload) => {
            word(DropReason::DhcpGuard, Trust::Dhcp)
        }
        (Version::V4, IGMP, Some(&IGMP_QUERY)) => word(DropReason::QueryGuard, Trust::Querier),
        (Version::V4, ICMP, Some(&ICMP_REDIRECT)) => word(DropReason::RaGuard, Trust::Router),
        (Version::V6, ICMPV6, Some(&MLD_QUERY)) => word(DropReason::QueryGuard, Trust::Querier),
        (Version::V6, ICMPV6, Some(&(ROUTER_ADVERTISEMENT | REDIRECT))) => {
            word(DropReason::RaGuard, Trust::Router)
        }
        (Version::V6, ICMPV6, Some(&NEIGHBOR_ADVERTISEMENT)) => {
            let hides = ip.payload_at > ip.at + ipv6::HEADER_BYTES;
            if hides { nobodys(DropReason::RaGuard) } else { None }
        }
        (Version::V6, ICMPV6, Some(&(ROUTER_SOLICITATION | NEIGHBOR_SOLICITATION)))
            if ip.fragment != Fragmentation::Whole =>
        {
            nobodys(DropReason::NdFragment)
        }
        // Its type is in a fragment that is yet to come.
        (Version::V6, ICMPV6, None) => nobodys(DropReason::RaGuard),
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

/// Whether a packet belongs to being on a link: neighbor discovery, joining groups, asking for an
/// address.
pub(super) fn is_of_the_link(ip: &Ip, head: &[u8]) -> bool {
    if ip.is_later_part() {
        return false;
    }
    let payload = ip.payload(head);
    let is_group = match ip.version {
        Version::V4 => ip.destination.v4_bits() >> 28 == 0xe,
        Version::V6 => ip.destination.words()[0] >> 56 == 0xff,
    };
    match (ip.version, ip.protocol, payload.first()) {
        (Version::V4, IGMP, _) => is_group,
        (Version::V6, ICMPV6, Some(&(MLD_QUERY..=MLD_DONE | MLD_REPORT))) => is_group,
        (Version::V6, ICMPV6, Some(&(ROUTER_SOLICITATION..=NEIGHBOR_ADVERTISEMENT))) => true,
        (Version::V4, UDP, _) => asks_for_address(ip.protocol, payload),
        (Version::V6, UDP, _) => {
            let (server, client) = (DHCPV6.0.to_be_bytes(), DHCPV6.1.to_be_bytes());
            bytes_at(payload, 0) == Some([client[0], client[1], server[0], server[1]])
        }
        _ => false,
    }
}

/// Whether a datagram is from a DHCP client (RFC 2131 §4.1).
fn asks_for_address(protocol: u8, datagram: &[u8]) -> bool {
    let (server, client) = (DHCP.0.to_be_bytes(), DHCP.1.to_be_bytes());
    protocol == UDP && bytes_at(datagram, 0) == Some([client[0], client[1], server[0], server[1]])
}
