//! An ICMP error and the packet that it quotes.
//!
//! ```text
//!   IP header │ type code sum │ length, MTU │ quoted IP header │ 8 bytes or more │ extensions
//!             └──────────────── the ICMP checksum covers all of this ─────────────────────┘
//! ```
//!
//! A router quotes the header and at least 8 bytes of what follows (RFC 792), as much as fits in
//! 576 bytes if it is a newer one (RFC 1812 §4.3.2.3), and with IPv6 in 1280 (RFC 4443 §3). So the
//! ports are always there; the checksum of UDP too, that of TCP only in the longer quotes.
//! Extensions (RFC 4884), if any, begin where the length field says that the quote ends; they are
//! carried as they are.
//!
//! The quoted packet's own sums are changed by difference and never checked: routers quote a
//! header whose TTL they have already counted down, not all of them with the sum to match.

use core::net::IpAddr;

use super::HEADER_BYTES;
use crate::wire::checksum::Delta;
use crate::wire::ip::Version;
use crate::wire::{Endpoint, Ip, Transport, bytes_at, ipv4, ipv6, put};
use crate::{DropReason, Protocol};

/// What a quote must have of the packet's transport (RFC 792): all of UDP's header, TCP's ports
/// and sequence number.
const TRANSPORT_BYTES_MIN: usize = 8;
/// The least next-hop MTU that is believed: what every host must take in (RFC 791 §3.1), or every
/// link carry (RFC 8200 §5). Less makes a sender pay a header for every few bytes, and is how such a
/// message is abused (RFC 5927 §7). That holds for 0 too, the word of routers older than RFC 1191:
/// it leaves the sender to guess.
const MTU_MIN_V4: u32 = 576;
const MTU_MIN_V6: u32 = ipv6::MTU_MIN as u32;

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
    ip: Ip,
    pub protocol: Protocol,
    pub source: Endpoint,
    pub destination: Endpoint,
}

/// The addresses of an error on its way to the flow's other side, and those in its quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub quoted_source: Endpoint,
    pub quoted_destination: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Unreachable, time exceeded, parameter problem.
    Plain,
    /// Too long for the next hop (RFC 1191, RFC 8201).
    TooLong { mtu: u32, mtu_min: u32 },
    /// Source quench (deprecated by RFC 6633), redirect (a router's word to its own neighbours),
    /// types and codes that nobody has defined.
    Unwanted,
}

impl IcmpError {
    /// Lengths and the quoted ends; whether the message is good is [`super::check_sum`]'s and
    /// [`IcmpError::check_kind`]'s.
    pub fn parse(frame: &[u8], ip: &Ip) -> Result<IcmpError, DropReason> {
        let message = &frame[..ip.end_at.min(frame.len())];
        let header = bytes_at::<HEADER_BYTES>(message, ip.payload_at).ok_or(DropReason::Icmp)?;
        let kind = Kind::of(ip.version, &header);
        let quote_at = ip.payload_at + HEADER_BYTES;
        let room = message.len() - quote_at;
        let quote_len = match (kind, quote_length_bytes(ip.version, &header)) {
            (Kind::Unwanted, _) | (_, 0) => room,
            (Kind::Plain | Kind::TooLong { .. }, len) => len.min(room),
        };
        let quote = Quote::parse(&message[..quote_at + quote_len], quote_at, ip.version)?;
        Ok(IcmpError { at: ip.payload_at, kind, quote })
    }

    /// Somebody could not or would not take the packet in, for another reason than its length.
    pub fn is_unreachable(&self, ip: &Ip, frame: &[u8]) -> bool {
        let unreachable = match ip.version {
            Version::V4 => 3,
            Version::V6 => 1,
        };
        matches!(self.kind, Kind::Plain) && frame.get(self.at) == Some(&unreachable)
    }

    /// The sequence number of the TCP segment that it quotes.
    pub fn sequence(&self, frame: &[u8]) -> Option<u32> {
        let is_tcp = self.quote.protocol == Protocol::Tcp;
        let sequence = bytes_at(frame, self.quote.ip.payload_at + 4).filter(|_| is_tcp);
        sequence.map(u32::from_be_bytes)
    }

    /// The message says something that the other end of a flow should hear.
    pub fn check_kind(&self) -> Result<(), DropReason> {
        match self.kind {
            Kind::Plain => Ok(()),
            Kind::TooLong { mtu, mtu_min } if mtu >= mtu_min => Ok(()),
            Kind::TooLong { .. } => Err(DropReason::IcmpMtu),
            Kind::Unwanted => Err(DropReason::Icmp),
        }
    }

    /// Gives the packet, and the packet that it quotes, other ends.
    pub fn rewrite(&self, ip: &Ip, frame: &mut [u8], new: &Translation) {
        let outer = ip.set_addresses(frame, new.source.into(), new.destination.into());
        let quoted = self.quote.rewrite(frame, new.quoted_source, new.quoted_destination);
        let change = match ip.version {
            Version::V4 => quoted,
            // Its checksum covers a pseudo header too.
            Version::V6 => quoted.and(outer),
        };
        let at = self.at + 2;
        put(frame, at, change.apply(word_at(frame, at)).to_be_bytes());
    }
}

/// Whether a message of this type quotes another packet.
pub(super) fn is_error_type(version: Version, kind: u8) -> bool {
    match version {
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        Version::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Version::V6 => kind < 128,
    }
}

/// How long the quote is where extensions follow it (RFC 4884 §4.1, §4.2); 0 where it ends with the
/// message.
fn quote_length_bytes(version: Version, header: &[u8; HEADER_BYTES]) -> usize {
    match (version, header[0]) {
        (Version::V4, _) => usize::from(header[5]) * 4,
        (Version::V6, 1 | 3) => usize::from(header[4]) * 8,
        (Version::V6, _) => 0,
    }
}

impl Kind {
    fn of(version: Version, header: &[u8; HEADER_BYTES]) -> Kind {
        let [kind, code, _, _, m0, m1, m2, m3] = *header;
        match (version, kind, code) {
            (Version::V4, 3, 4) => {
                Kind::TooLong { mtu: u32::from_be_bytes([0, 0, m2, m3]), mtu_min: MTU_MIN_V4 }
            }
            (Version::V6, 2, 0) => {
                Kind::TooLong { mtu: u32::from_be_bytes([m0, m1, m2, m3]), mtu_min: MTU_MIN_V6 }
            }
            // Unreachable, time exceeded, parameter problem, each with its codes.
            (Version::V4, 3, 0..=15) | (Version::V4, 11, 0..=1) | (Version::V4, 12, 0..=2) => {
                Kind::Plain
            }
            (Version::V6, 1, 0..=8) | (Version::V6, 3, 0..=1) | (Version::V6, 4, 0..=3) => {
                Kind::Plain
            }
            _ => Kind::Unwanted,
        }
    }
}

impl Quote {
    /// Reads the quote from `at` to the end of `bytes`.
    fn parse(bytes: &[u8], at: usize, version: Version) -> Result<Quote, DropReason> {
        let ip = match version {
            Version::V4 => ipv4::parse_quoted(bytes, at),
            Version::V6 => ipv6::parse_quoted(bytes, at),
        };
        let ip = ip.ok_or(DropReason::IcmpInner)?;
        let begin = bytes_at::<TRANSPORT_BYTES_MIN>(&bytes[..ip.end_at], ip.payload_at);
        let [s0, s1, d0, d1, ..] = begin.ok_or(DropReason::IcmpInner)?;
        if super::is_icmp(&ip) && is_error_type(version, s0) {
            // Nobody may send an error about an error (RFC 1122 §3.2.2, RFC 4443 §2.4).
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
    /// IPv4 addresses are no part of it: the quoted header's checksum changes by as much the other
    /// way.
    fn rewrite(&self, frame: &mut [u8], source: Endpoint, destination: Endpoint) -> Delta {
        let addresses = self.ip.set_addresses(frame, source.address, destination.address);
        let ports = |delta: Delta| {
            delta.word(self.source.port, source.port).word(self.destination.port, destination.port)
        };
        put(frame, self.ip.payload_at, source.port.to_be_bytes());
        put(frame, self.ip.payload_at + 2, destination.port.to_be_bytes());
        let change = match self.ip.version {
            Version::V4 => ports(Delta::default()),
            Version::V6 => ports(addresses),
        };
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
