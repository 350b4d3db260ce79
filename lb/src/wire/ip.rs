//! A packet of either IP version, as the data path sees it.
//!
//! [`super::ipv4`] and [`super::ipv6`] read their headers into one [`Ip`]; whoever decides about
//! a packet does not ask for its version, and what differs on the wire is written here.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{Delta, Sum};
use super::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use super::{Address, bytes_at, ipv4, ipv6, part_mut, put};
use crate::{DropReason, Protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V4,
    V6,
}

/// A header whose lengths hold, extension headers included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub version: Version,
    /// Offset of the header in the frame.
    pub at: usize,
    /// Offset of what the packet carries; after the fragment header for a later fragment.
    pub payload_at: usize,
    /// Offset after the last byte of the packet; what follows is padding.
    pub end_at: usize,
    /// What it carries (IANA protocol number).
    pub protocol: u8,
    pub source: Address,
    pub destination: Address,
    pub fragment: Fragmentation,
    /// Time to live or hop limit.
    pub ttl: u8,
}

/// Whether a packet is a part of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragmentation {
    Whole,
    /// Whole, but with an IPv6 fragment header (RFC 6946).
    Atomic,
    Part(Fragment),
}

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub identification: u32,
    /// Where it begins in the payload of the whole.
    pub offset_bytes: u16,
    /// Its length, from where it begins; with IPv6 that is right after the fragment header.
    pub len_bytes: u16,
    /// It is not the last.
    pub more: bool,
}

impl Ip {
    /// Reads the header at `at` of a frame of `len` bytes whose headers are in `head`; `None` when
    /// the ethertype is neither version's.
    #[inline(always)]
    pub fn parse(
        head: &[u8],
        len: usize,
        at: usize,
        ethertype: u16,
    ) -> Option<Result<Ip, DropReason>> {
        match ethertype {
            ETHERTYPE_IPV4 => Some(ipv4::parse(head, len, at)),
            ETHERTYPE_IPV6 => Some(ipv6::parse(head, len, at)),
            _ => None,
        }
    }

    /// What is in the frame's first buffer of the packet's payload.
    pub fn payload<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.payload_at..self.end_at.min(head.len())]
    }

    /// Bytes of the payload, wherever they are.
    pub fn payload_len(&self) -> usize {
        self.end_at - self.payload_at
    }

    /// Part of a larger packet.
    pub fn part(&self) -> Option<Fragment> {
        match self.fragment {
            Fragmentation::Part(fragment) => Some(fragment),
            Fragmentation::Whole | Fragmentation::Atomic => None,
        }
    }

    /// In one piece, and with a transport header that a service may be for.
    pub fn is_whole_segment(&self) -> bool {
        self.part().is_none() && Protocol::of(self.protocol).is_some()
    }

    /// A fragment that is not the first: what it carries does not begin with a header.
    pub fn is_later_part(&self) -> bool {
        self.part().is_some_and(|fragment| fragment.offset_bytes > 0)
    }

    /// Whether a router may cut it into fragments: IPv4 without "don't fragment".
    pub fn may_be_cut(&self, head: &[u8]) -> bool {
        self.version == Version::V4 && head[self.at + 6] & 0x40 == 0
    }

    /// What a packet must also be before anything is done about it: checksum right, options
    /// harmless, a source that somebody may have.
    #[inline(always)]
    pub fn check(&self, head: &[u8]) -> Result<(), DropReason> {
        if self.version == Version::V4 {
            ipv4::check(self, head)?;
        }
        let is_martian = match self.version {
            Version::V4 => {
                // 0/8, 127/8, and from multicast (224/4) on.
                let first = self.source.v4_bits() >> 24;
                first == 0 || first == 127 || first >= 224
            }
            Version::V6 => {
                let [high, low] = self.source.words();
                // :: and ::1, and multicast (ff00::/8).
                (high == 0 && low <= 1) || high >> 56 == 0xff
            }
        };
        match is_martian || self.source == self.destination {
            true => Err(DropReason::Martian),
            false => Ok(()),
        }
    }

    /// Writes both addresses, of this packet's version, and brings IPv4's header checksum along;
    /// returns the change, which a sum over the pseudo header needs too.
    #[inline(always)]
    pub fn set_addresses(&self, head: &mut [u8], source: Address, destination: Address) -> Delta {
        let delta =
            Delta::default().address(self.source, source).address(self.destination, destination);
        match self.version {
            Version::V4 => {
                let header = part_mut::<{ ipv4::HEADER_BYTES }>(head, self.at);
                put(header, 12, source.v4_bits().to_be_bytes());
                put(header, 16, destination.v4_bits().to_be_bytes());
                change_checksum(header, delta);
            }
            Version::V6 => {
                let header = part_mut::<{ ipv6::HEADER_BYTES }>(head, self.at);
                put(header, 8, source.v6_octets());
                put(header, 24, destination.v6_octets());
            }
        }
        delta
    }

    /// Writes the time to live.
    pub fn set_ttl(&self, head: &mut [u8], ttl: u8) {
        let at = self.at
            + match self.version {
                Version::V4 => 8,
                Version::V6 => 7,
            };
        let Some([_, beside]) = bytes_at(head, at) else {
            return;
        };
        head[at] = ttl;
        let word = |ttl: u8| u16::from_be_bytes([ttl, beside]);
        if self.version == Version::V4 {
            let delta = Delta::default().word(word(self.ttl), word(ttl));
            change_checksum(part_mut(head, self.at), delta);
        }
    }

    /// The sum of the pseudo header (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
    pub fn pseudo_header(&self) -> Sum {
        pseudo_header(self.source, self.destination, self.protocol, self.payload_len())
    }
}

/// Brings the checksum of an IPv4 header along.
#[inline(always)]
fn change_checksum(header: &mut [u8; ipv4::HEADER_BYTES], delta: Delta) {
    let old = u16::from_be_bytes([header[10], header[11]]);
    put(header, 10, delta.apply(old).to_be_bytes());
}

/// The sum of the pseudo header for `len` bytes of `protocol`.
pub fn pseudo_header(source: Address, destination: Address, protocol: u8, len: usize) -> Sum {
    Sum::default()
        .address(source)
        .address(destination)
        .word(u16::from(protocol))
        .word((len >> 16) as u16)
        .word(len as u16)
}

/// A header of ours for a payload of `payload_len` bytes, without options or extensions.
pub fn header(
    source: Address,
    destination: Address,
    protocol: u8,
    payload_len: u16,
    ttl: u8,
) -> heapless::Vec<u8, { ipv6::HEADER_BYTES }> {
    let mut header = heapless::Vec::new();
    let _fits = match (source.into(), destination.into()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend_from_slice(&ipv4::header(source, destination, protocol, payload_len, ttl))
        }
        (source, destination) => {
            let [source, destination] = [source, destination].map(as_v6);
            let bytes = ipv6::header(source, destination, protocol, payload_len, ttl);
            header.extend_from_slice(&bytes)
        }
    };
    header
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address),
        IpAddr::V6(address) => address,
    }
}

impl Version {
    pub const fn of(address: IpAddr) -> Version {
        match address {
            IpAddr::V4(_) => Version::V4,
            IpAddr::V6(_) => Version::V6,
        }
    }

    pub const fn ethertype(self) -> u16 {
        match self {
            Version::V4 => ETHERTYPE_IPV4,
            Version::V6 => ETHERTYPE_IPV6,
        }
    }
}
