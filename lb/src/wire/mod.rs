//! Headers, checked once and copied.
//!
//! A parser takes bytes and an offset, checks every length before the first use and returns a
//! copy of the fields: what is decided later is decided on that copy, even if a device goes on
//! writing into the buffer. Fields that are rewritten are written at the offsets kept here.

pub mod address;
pub mod arp;
pub mod checksum;
pub mod dhcp;
pub mod ethernet;
pub mod group;
pub mod headers;
pub mod icmp;
pub mod igmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod lldp;
pub mod mld;
pub mod nd;
pub mod offload;
pub mod transport;

pub use address::Address;
pub use ethernet::Ethernet;
pub use headers::Headers;
pub use ip::Ip;
pub use offload::Offload;
pub use transport::{Endpoint, Transport};

/// The `N` bytes at `at`, if they are all there.
#[inline(always)]
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The `N` bytes at `at`, which a parser has found to lie inside: their length is checked once.
#[inline(always)]
pub(crate) fn part_mut<const N: usize>(bytes: &mut [u8], at: usize) -> &mut [u8; N] {
    let (part, _) = bytes[at..].split_first_chunk_mut().expect("a parsed header");
    part
}

/// Writes `N` bytes at `at`, which a parser has found to lie inside.
#[inline(always)]
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}
