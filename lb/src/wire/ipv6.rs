//! IPv6 (RFC 8200), as far as a packet to a VIP or of a real needs it.
//!
//! Extension headers are walked to what the packet carries, at most [`EXTENSIONS_MAX`] of them
//! (RFC 8504 §5.3 lets a node set such limits). What would have to be rewritten along with the
//! destination is refused: a routing header that is not done yet, and any of type 0 (RFC 5095).

use core::net::Ipv6Addr;

use super::ip::{Fragment, Fragmentation, Ip, Version};
use super::{Address, bytes_at, put};
use crate::DropReason;

pub const HEADER_BYTES: usize = 40;
/// Extension headers that are walked.
pub const EXTENSIONS_MAX: usize = 8;
/// What every link carries in one piece (RFC 8200 §5).
pub const MTU_MIN: usize = 1280;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// Bytes of the shortest extension header.
const EXTENSION_BYTES: usize = 8;

/// What the walk has found so far.
struct Chain {
    payload_at: usize,
    protocol: u8,
    fragment: Fragmentation,
}

/// Reads the header at `at` and what follows it.
#[inline(always)]
pub(super) fn parse(head: &[u8], len: usize, at: usize) -> Result<Ip, DropReason> {
    let header = bytes_at::<HEADER_BYTES>(head, at).ok_or(DropReason::ShortIp)?;
    if header[0] >> 4 != 6 {
        return Err(DropReason::IpHeader);
    }
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let end_at = at + HEADER_BYTES + payload_len;
    if end_at > len {
        return Err(DropReason::Ip6Length);
    }
    let chain = match is_extension(header[6]) {
        true => walk(head, end_at, at + HEADER_BYTES, header[6])?,
        false => Chain::new(at + HEADER_BYTES, header[6]),
    };
    read(&header, at, end_at, chain).ok_or(DropReason::Martian)
}

/// The header of a packet that is quoted from `at` on and may lack its end; `None` as well for a
/// fragment that is not the first. `end_at` is where the packet or its quote ends.
pub(super) fn parse_quoted(quote: &[u8], at: usize) -> Option<Ip> {
    let header = bytes_at::<HEADER_BYTES>(quote, at).filter(|header| header[0] >> 4 == 6)?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let end_at = quote.len().min(at + HEADER_BYTES + payload_len);
    let chain = walk(quote, end_at, at + HEADER_BYTES, header[6]).ok()?;
    let ip = read(&header, at, end_at, chain)?;
    (!ip.is_later_part()).then_some(ip)
}

/// A header of ours for a payload of `payload_len` bytes.
pub fn header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: u8,
    payload_len: u16,
    hop_limit: u8,
) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = 0x60;
    put(&mut header, 4, payload_len.to_be_bytes());
    header[6] = protocol;
    header[7] = hop_limit;
    put(&mut header, 8, source.octets());
    put(&mut header, 24, destination.octets());
    header
}

/// The fields of a header and what follows it, lengths checked; `None` for an IPv4 address in IPv6's
/// clothes, which belongs on no wire (RFC 4291 §2.5.5.2).
#[inline(always)]
fn read(header: &[u8; HEADER_BYTES], at: usize, end_at: usize, chain: Chain) -> Option<Ip> {
    let [source, destination] = [8, 24].map(|at| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        Address::v6(octets)
    });
    if source.is_v4() || destination.is_v4() {
        return None;
    }
    Some(Ip {
        version: Version::V6,
        at,
        payload_at: chain.payload_at,
        end_at,
        protocol: chain.protocol,
        source,
        destination,
        fragment: chain.fragment,
        ttl: header[7],
    })
}

impl Chain {
    fn new(payload_at: usize, protocol: u8) -> Chain {
        Chain { payload_at, protocol, fragment: Fragmentation::Whole }
    }
}

fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS)
}

/// Walks from header to header (RFC 8200 §4), each of which must lie inside the packet.
#[inline(never)]
fn walk(head: &[u8], end_at: usize, at: usize, next: u8) -> Result<Chain, DropReason> {
    let mut chain = Chain::new(at, next);
    let packet = &head[..end_at.min(head.len())];
    for step in 0..=EXTENSIONS_MAX {
        if !is_extension(chain.protocol) {
            return Ok(chain);
        }
        let extension = bytes_at::<EXTENSION_BYTES>(packet, chain.payload_at)
            .ok_or(DropReason::Ip6Extension)?;
        let is_wrong = match chain.protocol {
            HOP_BY_HOP => step > 0,
            ROUTING => extension[2] == 0 || extension[3] > 0,
            FRAGMENT => chain.fragment != Fragmentation::Whole,
            _ => false,
        };
        let extension_len = match chain.protocol {
            FRAGMENT => EXTENSION_BYTES,
            _ => (usize::from(extension[1]) + 1) * EXTENSION_BYTES,
        };
        if is_wrong || chain.payload_at + extension_len > packet.len() {
            return Err(DropReason::Ip6Extension);
        }
        if chain.protocol == FRAGMENT {
            chain.fragment = fragmentation(&extension, end_at - chain.payload_at - extension_len);
        }
        chain.protocol = extension[0];
        chain.payload_at += extension_len;
        if let Fragmentation::Part(Fragment { offset_bytes: 1.., .. }) = chain.fragment {
            return Ok(chain);
        }
    }
    Err(DropReason::Ip6Extension)
}

/// The fragment header (RFC 8200 §4.5).
fn fragmentation(extension: &[u8; EXTENSION_BYTES], len: usize) -> Fragmentation {
    let [_, _, o0, o1, i0, i1, i2, i3] = *extension;
    let word = u16::from_be_bytes([o0, o1]);
    let (offset_bytes, more) = (word & 0xfff8, word & 1 == 1);
    if offset_bytes == 0 && !more {
        return Fragmentation::Atomic;
    }
    let identification = u32::from_be_bytes([i0, i1, i2, i3]);
    // A payload is at most 65,535 bytes long.
    Fragmentation::Part(Fragment { identification, offset_bytes, len_bytes: len as u16, more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const CLIENT: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
    const VIP: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);
    const UDP: u8 = 17;

    /// Number and bytes.
    type Extension<'a> = (u8, &'a [u8]);

    /// A packet with these extension headers and `payload_len` more bytes.
    fn packet(extensions: &[Extension<'_>], payload_len: usize) -> Vec<u8> {
        let numbers = extensions.iter().map(|(number, _)| *number).chain([UDP]);
        let numbers: Vec<u8> = numbers.collect();
        let mut body = Vec::new();
        for ((_, bytes), next) in extensions.iter().zip(&numbers[1..]) {
            body.push(*next);
            body.extend_from_slice(&bytes[1..]);
        }
        body.resize(body.len() + payload_len, 0);
        let mut packet = header(CLIENT, VIP, numbers[0], body.len() as u16, 64).to_vec();
        packet.extend(body);
        packet
    }

    fn parsed(packet: &[u8]) -> Result<Ip, DropReason> {
        parse(packet, packet.len(), 0)
    }

    #[test]
    fn a_packet_without_extensions() {
        let ip = parsed(&packet(&[], 12)).unwrap();
        assert_eq!((ip.payload_at, ip.end_at, ip.protocol, ip.ttl), (40, 52, UDP, 64));
        assert_eq!((ip.source, ip.destination), (CLIENT.into(), VIP.into()));
        let mut padded = packet(&[], 12);
        padded.resize(60, 0);
        assert_eq!(parsed(&padded).unwrap().end_at, 52, "what follows is padding");
    }

    #[test]
    fn extensions_are_walked() {
        let options = [0, 0, 1, 4, 0, 0, 0, 0];
        let long = [0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let done = [0, 0, 4, 0, 0, 0, 0, 0];
        let chain: &[Extension<'_>] =
            &[(HOP_BY_HOP, &options), (DESTINATION_OPTIONS, &long), (ROUTING, &done)];
        let ip = parsed(&packet(chain, 8)).unwrap();
        assert_eq!((ip.protocol, ip.payload_at), (UDP, 40 + 8 + 16 + 8));
    }

    #[test]
    fn fragments() {
        let header = |word: u16| {
            let [o0, o1] = word.to_be_bytes();
            [0, 0, o0, o1, 0, 0, 0, 9]
        };
        let of = |word| parsed(&packet(&[(FRAGMENT, &header(word))], 16)).unwrap();
        assert_eq!(of(0).fragment, Fragmentation::Atomic);
        let part = |offset_bytes, more| {
            let identification = 9;
            Fragmentation::Part(Fragment { identification, offset_bytes, len_bytes: 16, more })
        };
        assert_eq!((of(1).fragment, of(1).is_later_part()), (part(0, true), false));
        assert_eq!((of(1480).fragment, of(1480).is_later_part()), (part(1480, false), true));
    }

    #[test]
    fn p23_lengths() {
        for beyond in 1..=40u16 {
            let mut long = packet(&[], 8);
            put(&mut long, 4, (8 + beyond).to_be_bytes());
            assert_eq!(parsed(&long), Err(DropReason::Ip6Length), "{beyond} more than there are");
        }
        assert_eq!(parsed(&packet(&[], 8)[..39]), Err(DropReason::ShortIp));
        let mut four = packet(&[], 8);
        four[0] = 0x45;
        assert_eq!(parsed(&four), Err(DropReason::IpHeader));
    }

    #[test]
    fn p24_extension_chains() {
        let options: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
        let fragment: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 9];
        let too_long: &[u8] = &[0, 255, 1, 4, 0, 0, 0, 0];
        let hundred = std::vec![(DESTINATION_OPTIONS, options); 100];
        let chains: [(&str, &[Extension<'_>]); 7] = [
            ("100 destination options", &hundred),
            ("nine headers", &hundred[..9]),
            ("hop-by-hop not first", &[(DESTINATION_OPTIONS, options), (HOP_BY_HOP, options)]),
            ("length past the end", &[(DESTINATION_OPTIONS, too_long)]),
            ("routing type 0", &[(ROUTING, &[0; 8])]),
            ("routing not done", &[(ROUTING, &[0, 0, 4, 1, 0, 0, 0, 0])]),
            ("fragment header twice", &[(FRAGMENT, fragment), (FRAGMENT, fragment)]),
        ];
        for (what, chain) in chains {
            assert_eq!(parsed(&packet(chain, 8)), Err(DropReason::Ip6Extension), "{what}");
        }
        assert!(parsed(&packet(&hundred[..8], 8)).is_ok(), "eight are walked");
    }
}
