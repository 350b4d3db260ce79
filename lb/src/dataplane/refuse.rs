//! A refused flow: what its client is told.
//!
//! A client that hears nothing tries for a minute; one that hears a TCP reset (RFC 9293 §3.5.2) or
//! "port unreachable" (RFC 1122 §3.2.2.1, RFC 4443 §3.1) knows at once. A service says which it
//! wants. What is told comes from the VIP, by the way that the packet came.
//!
//! Errors about UDP are limited, resets are not: a reset is shorter than the SYN that asks for it,
//! so nobody gains by forging senders, and it needs no memory.

use core::time::Duration;

use crate::dataplane::{Dataplane, Inbound};
use crate::wire::checksum::Sum;
use crate::wire::ethernet;
use crate::wire::ip::{self, Version, pseudo_header};
use crate::wire::{Address, Endpoint, Ip, Transport, bytes_at, icmp, put};
use crate::{DropReason, Empty, Instant, MacAddr, PortSet, Protocol, ServiceId};

const TTL: u8 = 64;
const RST: u8 = 0x04;
/// Errors a second, over all services.
const ERRORS_PER_SECOND: u32 = 10;

/// How many ICMP errors may still be sent (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ErrorLimit {
    second: Instant,
    sent: u32,
}

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    PortUnreachable,
    TooBig { mtu: u16 },
}

impl Dataplane {
    /// Counts that a service takes no flow, and tells the client if the service wants that.
    pub(super) fn refuse(
        &mut self,
        id: ServiceId,
        reason: DropReason,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> DropReason {
        let Some(service) = self.tables.service_mut(id) else {
            return reason;
        };
        match reason {
            DropReason::ServiceFull => service.counters.refused_full += 1,
            _ => service.counters.refused_no_real += 1,
        }
        if service.spec.empty != Empty::Reset {
            return reason;
        }
        let is_told = match segment.protocol {
            Protocol::Tcp => {
                self.reset(MacAddr::virtual_of(packet.ip.destination.into()), packet, segment)
            }
            Protocol::Udp => {
                let mac = MacAddr::virtual_of(packet.ip.destination.into());
                self.complain(mac, packet, Complaint::PortUnreachable)
            }
        };
        if let Some(service) = self.tables.service_mut(id) {
            service.counters.resets_sent += u64::from(is_told);
        }
        reason
    }

    /// A reset as who has this MAC would send it to this segment; none to a reset. Whether one was
    /// sent.
    pub(super) fn reset(
        &mut self,
        mac: MacAddr,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> bool {
        let Inbound { ip, ref head, .. } = *packet;
        let header = bytes_at::<20>(head, segment.at);
        let Some(reset) = header.and_then(|header| reset_to(&header, segment, ip)) else {
            return false;
        };
        self.tell(mac, packet, Protocol::Tcp.number(), &reset);
        true
    }

    /// An ICMP error about this packet to who sent it, from who has this MAC, as far as the limit
    /// allows; whether it was sent.
    pub(super) fn complain(
        &mut self,
        mac: MacAddr,
        packet: &Inbound<'_>,
        complaint: Complaint,
    ) -> bool {
        let Inbound { ip, ref head, now, .. } = *packet;
        let is_allowed = self.errors.allows(now);
        if is_allowed {
            let (message, protocol) = error_about(ip, head, complaint);
            self.tell(mac, packet, protocol, &message);
        }
        is_allowed
    }

    /// Sends a packet back the way that `packet` came, from where that went.
    fn tell(&mut self, mac: MacAddr, packet: &Inbound<'_>, protocol: u8, payload: &[u8]) {
        let Inbound { ingress, header, ip, .. } = *packet;
        let (macs, ends) = ((header.source, mac), (ip.destination, ip.source));
        self.send_packet(PortSet::EMPTY.with(ingress), macs, header.vlan, ends, protocol, payload);
    }

    /// Sends a packet of the switch's own making: MACs in their order in the frame, and the addresses
    /// `from` which and `to` which.
    pub(super) fn send_packet(
        &mut self,
        egress: PortSet,
        (destination, source): (MacAddr, MacAddr),
        vlan: u16,
        (from, to): (Address, Address),
        protocol: u8,
        payload: &[u8],
    ) {
        let ethernet = ethernet::header(destination, source, vlan, from.version().ethertype());
        let network = ip::header(from, to, protocol, payload.len() as u16, TTL);
        self.outbox.answer(egress, &[&ethernet, &network, payload]);
    }
}

impl ErrorLimit {
    fn allows(&mut self, now: Instant) -> bool {
        if now.since(self.second) >= Duration::from_secs(1) {
            *self = ErrorLimit { second: now, sent: 0 };
        }
        let allowed = self.sent < ERRORS_PER_SECOND;
        self.sent += u32::from(allowed);
        allowed
    }
}

/// The reset to a segment that belongs to no connection (RFC 9293 §3.10.7.1).
fn reset_to(header: &[u8; 20], segment: &Transport, ip: &Ip) -> Option<[u8; 20]> {
    const FIN: u32 = 0x01;
    const SYN: u32 = 0x02;
    const ACK: u8 = 0x10;
    let flags = header[13];
    if flags & RST != 0 {
        return None;
    }
    let word = |at: usize| bytes_at::<4>(header, at).map_or(0, u32::from_be_bytes);
    let header_len = usize::from(header[12] >> 4) * 4;
    let data_len = ip.payload_len().saturating_sub(header_len) as u32;
    let length = data_len + (u32::from(flags) & FIN) + (u32::from(flags) & SYN) / SYN;
    let (sequence, acknowledged, flags) = match flags & ACK != 0 {
        true => (word(8), 0, RST),
        false => (0, word(4).wrapping_add(length), RST | ACK),
    };
    Some(bare_segment(segment.destination, segment.source, sequence, acknowledged, flags))
}

/// The reset by which one end tells the other that the connection is no more; `sequence` is what
/// the other expects next (RFC 9293 §3.10.7.4, RFC 5961 §3.2).
pub(super) fn reset_between(from: Endpoint, to: Endpoint, sequence: u32) -> [u8; 20] {
    bare_segment(from, to, sequence, 0, RST)
}

fn bare_segment(
    from: Endpoint,
    to: Endpoint,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
) -> [u8; 20] {
    let mut segment = [0; 20];
    put(&mut segment, 0, from.port.to_be_bytes());
    put(&mut segment, 2, to.port.to_be_bytes());
    put(&mut segment, 4, sequence.to_be_bytes());
    put(&mut segment, 8, acknowledged.to_be_bytes());
    (segment[12], segment[13]) = (5 << 4, flags);
    let protocol = Protocol::Tcp.number();
    let pseudo = pseudo_header(from.address, to.address, protocol, segment.len());
    let checksum = pseudo.bytes(&segment).checksum();
    put(&mut segment, 16, checksum.to_be_bytes());
    segment
}

/// An ICMP error that quotes the packet: its header and 8 bytes at least, at most as much as makes
/// a packet of 576 (RFC 1812 §4.3.2.3) or 1280 bytes (RFC 4443 §2.4 c).
fn error_about(ip: &Ip, head: &[u8], complaint: Complaint) -> (heapless::Vec<u8, 1240>, u8) {
    let (kind, code, word, protocol, quote_max) = match (ip.version, complaint) {
        (Version::V4, Complaint::PortUnreachable) => (3, 3, 0, icmp::PROTOCOL_V4, 548),
        (Version::V4, Complaint::TooBig { mtu }) => (3, 4, mtu, icmp::PROTOCOL_V4, 548),
        (Version::V6, Complaint::PortUnreachable) => (1, 4, 0, icmp::PROTOCOL_V6, 1232),
        (Version::V6, Complaint::TooBig { mtu }) => (2, 0, mtu, icmp::PROTOCOL_V6, 1232),
    };
    let packet = &head[ip.at..ip.end_at.min(head.len())];
    let quote = &packet[..packet.len().min(quote_max)];
    let mut message = [0; icmp::HEADER_BYTES];
    (message[0], message[1]) = (kind, code);
    put(&mut message, 6, word.to_be_bytes());
    let len = message.len() + quote.len();
    let pseudo = match ip.version {
        Version::V4 => Sum::default(),
        Version::V6 => pseudo_header(ip.destination, ip.source, protocol, len),
    };
    let checksum = pseudo.bytes(&message).bytes(quote).checksum();
    put(&mut message, 2, checksum.to_be_bytes());
    // A quote is cut to what there is room for.
    (message.into_iter().chain(quote.iter().copied()).collect(), protocol)
}
