//! An ICMP error and the packet that it quotes.
//!
//! ```text
//!   IP header │ type code sum │ length, MTU │ quoted IP header │ 8 bytes or more │ extensions
//!             └──────────────── the ICMP checksum covers all of this ─────────────────────┘
//! ```
//!
//! A router quotes the header and at least 8 bytes of what follows (RFC 792), as much as fits in
//! 576 bytes if it is a newer one (RFC 1812 §4.3.2.3). So the ports are always there; the checksum
//! of UDP too, that of TCP only in the longer quotes. Extensions (RFC 4884), if any, begin where
//! the length field says that the quote ends; they are carried as they are.
//!
//! The quoted packet's own sums are changed by difference and never checked: routers quote a
//! header whose TTL they have already counted down, not all of them with the sum to match.

use super::super::checksum::Delta;
use super::super::{Endpoint, Ipv4, Transport, bytes_at, put};
use super::{DESTINATION_UNREACHABLE, HEADER_BYTES, PARAMETER_PROBLEM, TIME_EXCEEDED};
use crate::wire::ipv4::PROTOCOL_ICMP;
use crate::{DropReason, Protocol};

/// What a quote must have of the packet's transport (RFC 792): all of UDP's header, TCP's ports
/// and sequence number.
const TRANSPORT_BYTES_MIN: usize = 8;
/// The least next-hop MTU that is believed: what every host must take in (RFC 791 §3.1). Less makes
/// a sender pay a header for every few bytes, and is how such a message is abused (RFC 5927 §7).
/// That holds for 0 too, the word of routers older than RFC 1191: it leaves the sender to guess.
const MTU_MIN: u16 = 576;
/// Unreachable because it is too long and may not be cut (RFC 1191).
const CODE_TOO_LONG: u8 = 4;

/// An error whose quote names both ends of a TCP or UDP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Offset of the message in the frame.
    at: usize,
    kind: Kind,
    pub quote: Quote,
}

/// The quoted packet, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its `end_at` is the quote's.
    ip: Ipv4,
    pub protocol: Protocol,
    pub source: Endpoint,
    pub destination: Endpoint,
}

/// The addresses of an error on its way to the flow's other side, and those in its quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    pub source: core::net::Ipv4Addr,
    pub destination: core::net::Ipv4Addr,
    pub quoted_source: Endpoint,
    pub quoted_destination: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Unreachable, time exceeded, parameter problem.
    Plain,
    TooLong {
        mtu: u16,
    },
    /// Source quench (deprecated by RFC 6633), redirect (a router's word to its own neighbours),
    /// codes that nobody has defined.
    Unwanted,
}

impl IcmpError {
    /// Lengths and the quoted ends; whether the message is good is [`super::check_sum`]'s and
    /// [`IcmpError::check_kind`]'s.
    pub fn parse(frame: &[u8], ip: &Ipv4) -> Result<IcmpError, DropReason> {
        let message = &frame[..ip.end_at];
        let header = bytes_at::<HEADER_BYTES>(message, ip.payload_at).ok_or(DropReason::Icmp)?;
        let [kind, code, _, _, _, length, m0, m1] = header;
        let kind = Kind::of(kind, code, u16::from_be_bytes([m0, m1]));
        let room = ip.end_at - ip.payload_at - HEADER_BYTES;
        let quote_len = match (kind, usize::from(length) * 4) {
            (Kind::Unwanted, _) | (_, 0) => room,
            (Kind::Plain | Kind::TooLong { .. }, len) => len.min(room),
        };
        let quote_at = ip.payload_at + HEADER_BYTES;
        let quote = Quote::parse(&message[..quote_at + quote_len], quote_at)?;
        Ok(IcmpError { at: ip.payload_at, kind, quote })
    }

    /// The message says something that the other end of a flow should hear.
    pub fn check_kind(&self) -> Result<(), DropReason> {
        match self.kind {
            Kind::Plain => Ok(()),
            Kind::TooLong { mtu } if mtu >= MTU_MIN => Ok(()),
            Kind::TooLong { .. } => Err(DropReason::IcmpMtu),
            Kind::Unwanted => Err(DropReason::Icmp),
        }
    }

    /// Gives the packet, and the packet that it quotes, other ends.
    pub fn rewrite(&self, ip: &Ipv4, frame: &mut [u8], new: &Translation) {
        ip.set_addresses(frame, new.source, new.destination);
        let change = self.quote.rewrite(frame, new.quoted_source, new.quoted_destination);
        let at = self.at + 2;
        put(frame, at, change.apply(word_at(frame, at)).to_be_bytes());
    }
}

impl Kind {
    /// `word` is the header's last: the next hop's MTU, where there is one.
    fn of(kind: u8, code: u8, word: u16) -> Kind {
        match (kind, code) {
            (DESTINATION_UNREACHABLE, CODE_TOO_LONG) => Kind::TooLong { mtu: word },
            (DESTINATION_UNREACHABLE, 0..=15)
            | (TIME_EXCEEDED, 0..=1)
            | (PARAMETER_PROBLEM, 0..=2) => Kind::Plain,
            _ => Kind::Unwanted,
        }
    }
}

impl Quote {
    /// Reads the quote from `at` to the end of `bytes`.
    fn parse(bytes: &[u8], at: usize) -> Result<Quote, DropReason> {
        let ip = Ipv4::parse_quoted(bytes, at).ok_or(DropReason::IcmpInner)?;
        let begin = bytes_at::<TRANSPORT_BYTES_MIN>(&bytes[..ip.end_at], ip.payload_at);
        let [s0, s1, d0, d1, ..] = begin.ok_or(DropReason::IcmpInner)?;
        if ip.protocol == PROTOCOL_ICMP && super::is_error_type(s0) {
            // Nobody may send an error about an error (RFC 1122 §3.2.2).
            return Err(DropReason::Icmp);
        }
        let fitting = |protocol: &Protocol| protocol.number() == ip.protocol;
        let protocol = Protocol::ALL.into_iter().find(fitting).ok_or(DropReason::IcmpInner)?;
        Ok(Quote {
            ip,
            protocol,
            source: Endpoint { address: ip.source, port: u16::from_be_bytes([s0, s1]) },
            destination: Endpoint { address: ip.destination, port: u16::from_be_bytes([d0, d1]) },
        })
    }

    /// Gives the quoted packet other ends; returns the change as the ICMP checksum sees it. New
    /// addresses are no part of it: the quoted header's checksum changes by as much the other way.
    fn rewrite(&self, frame: &mut [u8], source: Endpoint, destination: Endpoint) -> Delta {
        let addresses = self.ip.set_addresses(frame, source.address, destination.address);
        let ports = |delta: Delta| {
            delta.word(self.source.port, source.port).word(self.destination.port, destination.port)
        };
        put(frame, self.ip.payload_at, source.port.to_be_bytes());
        put(frame, self.ip.payload_at + 2, destination.port.to_be_bytes());
        let change = ports(Delta::default());
        let at = self.ip.payload_at + Transport::checksum_offset(self.protocol);
        if at + 2 > self.ip.end_at {
            return change;
        }
        let old = word_at(frame, at);
        let new = Transport::changed_checksum(self.protocol, old, ports(addresses));
        put(frame, at, new.to_be_bytes());
        change.word(old, new)
    }
}

fn word_at(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}
