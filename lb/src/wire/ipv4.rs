//! IPv4 (RFC 791), as far as a packet to a VIP or of a real needs it.

use core::net::Ipv4Addr;

use super::checksum::Sum;
use super::ip::{Fragment, Fragmentation, Ip, Version};
use super::{Address, bytes_at, put};
use crate::DropReason;

pub const HEADER_BYTES: usize = 20;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LOOSE_ROUTE: u8 = 131;
const OPTION_STRICT_ROUTE: u8 = 137;

/// Reads the header at `at`: version, lengths and nothing else; the rest is [`check`]'s.
#[inline(always)]
pub(super) fn parse(head: &[u8], len: usize, at: usize) -> Result<Ip, DropReason> {
    let Some(header) = bytes_at::<HEADER_BYTES>(head, at) else {
        return Err(DropReason::ShortIp);
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < HEADER_BYTES || at + header_len > head.len() {
        return Err(DropReason::IpHeader);
    }
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total_len < header_len || at + total_len > len {
        return Err(DropReason::IpLength);
    }
    Ok(read(&header, at, header_len, total_len))
}

/// The header of a packet that is quoted from `at` on and may lack its end; `None` as well for
/// a fragment that is not the first, whose payload does not begin with ports. `end_at` is where
/// the packet or its quote ends.
pub(super) fn parse_quoted(quote: &[u8], at: usize) -> Option<Ip> {
    let header = bytes_at::<HEADER_BYTES>(quote, at)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]])).min(quote.len() - at);
    let is_broken = header[0] >> 4 != 4 || header_len < HEADER_BYTES || header_len > len;
    let ip = (!is_broken).then(|| read(&header, at, header_len, len))?;
    (!ip.is_later_part()).then_some(ip)
}

/// Header checksum and options of a parsed packet.
#[inline(always)]
pub(super) fn check(ip: &Ip, head: &[u8]) -> Result<(), DropReason> {
    // Of a length that is known, so that it is summed without a loop.
    let header = bytes_at::<HEADER_BYTES>(head, ip.at).ok_or(DropReason::ShortIp)?;
    let sum = Sum::default().bytes(&header);
    if ip.payload_at > ip.at + HEADER_BYTES {
        return check_with_options(sum, &head[ip.at + HEADER_BYTES..ip.payload_at]);
    }
    if sum.checksum() == 0 { Ok(()) } else { Err(DropReason::IpChecksum) }
}

#[cold]
fn check_with_options(sum: Sum, options: &[u8]) -> Result<(), DropReason> {
    match sum.bytes(options).checksum() {
        0 => check_options(options),
        _ => Err(DropReason::IpChecksum),
    }
}

/// The fields of a header, lengths checked.
#[inline(always)]
fn read(header: &[u8; HEADER_BYTES], at: usize, header_len: usize, len: usize) -> Ip {
    let address = |at: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|byte| header[at + byte]);
        Address::v4(u32::from_be_bytes([a, b, c, d]))
    };
    Ip {
        version: Version::V4,
        at,
        payload_at: at + header_len,
        end_at: at + len,
        protocol: header[9],
        source: address(12),
        destination: address(16),
        fragment: fragmentation(header, len - header_len),
        ttl: header[8],
    }
}

#[inline(always)]
fn fragmentation(header: &[u8; HEADER_BYTES], payload_len: usize) -> Fragmentation {
    let word = u16::from_be_bytes([header[6] & 0x3f, header[7]]);
    if word == 0 {
        return Fragmentation::Whole;
    }
    Fragmentation::Part(Fragment {
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        // Past 65,535 there is no such byte; the table of fragments refuses what would reach it.
        offset_bytes: (word & 0x1fff) << 3,
        len_bytes: payload_len as u16,
        more: word & 0x2000 != 0,
    })
}

/// Walks the options (RFC 791 §3.1), at most forty steps: every option is at least one byte.
fn check_options(mut options: &[u8]) -> Result<(), DropReason> {
    while let [kind, rest @ ..] = options {
        match *kind {
            OPTION_END => return Ok(()),
            OPTION_NOP => options = rest,
            OPTION_LOOSE_ROUTE | OPTION_STRICT_ROUTE => return Err(DropReason::IpOption),
            _ => {
                let len = rest.first().map_or(0, |&len| usize::from(len));
                if len < 2 || len > options.len() {
                    return Err(DropReason::IpOption);
                }
                options = &options[len..];
            }
        }
    }
    Ok(())
}

/// A header of ours for a payload of `payload_len` bytes, without options.
pub fn header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload_len: u16,
    ttl: u8,
) -> [u8; HEADER_BYTES] {
    const DO_NOT_FRAGMENT: u16 = 0x4000;
    let mut header = [0; HEADER_BYTES];
    header[0] = 0x45;
    put(&mut header, 2, (HEADER_BYTES as u16 + payload_len).to_be_bytes());
    put(&mut header, 6, DO_NOT_FRAGMENT.to_be_bytes());
    header[8] = ttl;
    header[9] = protocol;
    put(&mut header, 12, source.octets());
    put(&mut header, 16, destination.octets());
    let checksum = Sum::default().bytes(&header).checksum();
    put(&mut header, 10, checksum.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;
    use std::vec::Vec;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
    const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);

    fn packet(options: &[u8], payload_len: usize) -> Vec<u8> {
        let mut packet = header(CLIENT, VIP, 17, 0, 64).to_vec();
        packet.extend_from_slice(options);
        packet[0] = 0x40 | (packet.len() / 4) as u8;
        packet.resize(packet.len() + payload_len, 0);
        let total_len = packet.len() as u16;
        put(&mut packet, 2, total_len.to_be_bytes());
        resum(&mut packet);
        packet
    }

    fn resum(packet: &mut [u8]) {
        let header_len = (usize::from(packet[0] & 0xf) * 4).min(packet.len());
        put(packet, 10, [0, 0]);
        let checksum = Sum::default().bytes(&packet[..header_len]).checksum();
        put(packet, 10, checksum.to_be_bytes());
    }

    fn verdict(packet: &[u8]) -> Result<(), DropReason> {
        parse(packet, packet.len(), 0)?.check(packet)
    }

    #[test]
    fn hostile_headers() {
        let change = |at: usize, value: u8| {
            let mut packet = packet(&[], 20);
            packet[at] = value;
            resum(&mut packet);
            packet
        };
        let cases: &[(&str, Vec<u8>, DropReason)] = &[
            ("P3 nothing after Ethernet", Vec::new(), DropReason::ShortIp),
            ("P10 version 5", change(0, 0x55), DropReason::IpHeader),
            ("P10 header of 16 bytes", change(0, 0x44), DropReason::IpHeader),
            ("P10 header of 60 bytes in 40", change(0, 0x4f), DropReason::IpHeader),
            ("P11 total length 19", change(3, 19), DropReason::IpLength),
            ("P11 total length beyond the frame", change(3, 41), DropReason::IpLength),
            ("P11 total length 65535", change(2, 0xff), DropReason::IpLength),
            ("P15 source 0.0.0.7", change(12, 0), DropReason::Martian),
            ("P15 source 127.0.2.7", change(12, 127), DropReason::Martian),
            ("P15 source 224.0.2.7", change(12, 224), DropReason::Martian),
            ("P15 source 255.0.2.7", change(12, 255), DropReason::Martian),
            ("P14 loose source route", packet(&[131, 3, 4, 0], 0), DropReason::IpOption),
            ("P14 strict source route", packet(&[1, 137, 3, 4], 0), DropReason::IpOption),
            ("P14 option of length 0", packet(&[7, 0, 0, 0], 0), DropReason::IpOption),
            ("P14 option past the end", packet(&[7, 5, 0, 0], 0), DropReason::IpOption),
            ("P14 option without length", packet(&[1, 1, 1, 7], 0), DropReason::IpOption),
        ];
        for (what, packet, reason) in cases {
            assert_eq!(verdict(packet), Err(*reason), "{what}");
        }
        let mut land = packet(&[], 0);
        put(&mut land, 12, VIP.octets());
        resum(&mut land);
        assert_eq!(verdict(&land), Err(DropReason::Martian), "P15 source is destination");
        let mut wrong = packet(&[], 0);
        wrong[10] ^= 1;
        assert_eq!(verdict(&wrong), Err(DropReason::IpChecksum), "P13");
    }

    #[test]
    fn legal_oddities() {
        let mut padded = packet(&[], 20);
        padded.resize(1500, 0xee);
        let parsed = parse(&padded, padded.len(), 0).unwrap();
        assert_eq!(parsed.end_at, 40, "P12 padding is not payload");
        for options in [&[1u8; 40][..], &[7, 7, 4, 0, 0, 0, 0, 0], &[0, 99, 99, 99]] {
            assert_eq!(verdict(&packet(options, 8)), Ok(()), "P14 harmless options {options:?}");
        }
    }

    #[test]
    fn rewritten_headers_stay_right() {
        let mut bytes = packet(&[], 8);
        let parsed = parse(&bytes, bytes.len(), 0).unwrap();
        let [source, destination] = [[1, 2, 3, 4], [5, 6, 7, 8]].map(IpAddr::from);
        parsed.set_addresses(&mut bytes, source.into(), destination.into());
        parsed.set_ttl(&mut bytes, 3);
        assert_eq!(verdict(&bytes), Ok(()));
        let again = parse(&bytes, bytes.len(), 0).unwrap();
        assert_eq!((again.source, again.destination), (source.into(), destination.into()));
        assert_eq!(again.ttl, 3);
    }
}
