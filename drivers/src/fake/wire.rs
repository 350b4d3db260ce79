//! What chips do to frames on their way to the wire, and packets that leave it to them.

use crate::offload::{Offload, PartialChecksum, SegmentKind, Segments};
use crate::pool::{Frame, Pool};
use std::num::NonZeroU16;

/// A packet over IPv4 or IPv6, its transport's checksum begun as a guest does it: the pseudo header's
/// sum with the length.
pub struct Packet {
    pub is_v4: bool,
    pub tags: usize,
    pub protocol: u8,
    pub payload: usize,
}

impl Packet {
    fn ip_at(&self) -> usize {
        14 + 4 * self.tags
    }

    pub fn transport_at(&self) -> usize {
        self.ip_at() + if self.is_v4 { 20 } else { 40 }
    }

    pub fn headers_len(&self) -> usize {
        self.transport_at() + if self.protocol == 6 { 20 } else { 8 }
    }

    pub fn checksum(&self) -> PartialChecksum {
        let offset = if self.protocol == 6 { 16 } else { 6 };
        PartialChecksum { start: self.transport_at() as u16, offset }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.headers_len()];
        bytes.extend(numbered(self.payload));
        let (ip, transport) = (self.ip_at(), self.transport_at());
        for tag in 0..self.tags {
            bytes[12 + 4 * tag..16 + 4 * tag].copy_from_slice(&[0x81, 0, 0, 10]);
        }
        let (ethertype, len) = if self.is_v4 {
            (0x0800_u16, bytes.len() - ip)
        } else {
            (0x86dd, bytes.len() - transport)
        };
        bytes[ip - 2..ip].copy_from_slice(&ethertype.to_be_bytes());
        let len = (len as u16).to_be_bytes();
        if self.is_v4 {
            bytes[ip] = 0x45;
            bytes[ip + 2..ip + 4].copy_from_slice(&len);
            bytes[ip + 8..ip + 10].copy_from_slice(&[64, self.protocol]);
            bytes[ip + 12..ip + 20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            let sum = !fold(&bytes[ip..transport], 0);
            bytes[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        } else {
            bytes[ip] = 0x60;
            bytes[ip + 4..ip + 6].copy_from_slice(&len);
            bytes[ip + 6..ip + 8].copy_from_slice(&[self.protocol, 64]);
            bytes[ip + 8..ip + 40].fill(0xfd);
        }
        if self.protocol == 6 {
            bytes[transport + 4..transport + 8].copy_from_slice(&0xffff_ff00_u32.to_be_bytes());
            bytes[transport + 12..transport + 14].copy_from_slice(&[5 << 4, 0x19]);
        }
        let begun = self.pseudo(bytes.len() - transport);
        let field = transport + usize::from(self.checksum().offset);
        bytes[field..field + 2].copy_from_slice(&begun.to_be_bytes());
        bytes
    }

    /// The sum over addresses, protocol and length.
    fn pseudo(&self, len: usize) -> u16 {
        let addresses = if self.is_v4 { vec![10, 0, 0, 1, 10, 0, 0, 2] } else { vec![0xfd; 32] };
        fold(&addresses, usize::from(self.protocol) + len)
    }

    /// Whether both checksums of a frame on the wire are right.
    pub fn assert_sums(&self, frame: &[u8]) {
        let (ip, transport) = (self.ip_at(), self.transport_at());
        if self.is_v4 {
            assert_eq!(fold(&frame[ip..transport], 0), 0xffff, "IP's checksum");
        }
        let pseudo = usize::from(self.pseudo(frame.len() - transport));
        assert_eq!(fold(&frame[transport..], pseudo), 0xffff, "the transport's checksum");
    }

    pub fn frame(&self, pool: &'static Pool, mss: Option<u16>) -> Frame {
        let mut frame = pool.take_copy(&self.bytes()).unwrap();
        let kind = if self.is_v4 { SegmentKind::TcpV4 } else { SegmentKind::TcpV6 };
        let segments = mss.and_then(NonZeroU16::new);
        let segments = segments.map(|payload_len| Segments { kind, payload_len });
        frame.set_offload(Offload { checksum: Some(self.checksum()), segments });
        frame
    }
}

pub fn packets(protocol: u8, payload: usize) -> impl Iterator<Item = Packet> {
    let kinds = [(true, 0), (true, 2), (false, 0), (false, 1)];
    kinds.into_iter().map(move |(is_v4, tags)| Packet { is_v4, tags, protocol, payload })
}

/// Bytes that are not all alike.
pub fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 3) as u8 ^ (at >> 8) as u8).collect()
}

/// A frame's bytes, those in its further buffers too.
pub fn whole(frame: &Frame) -> Vec<u8> {
    frame.further().fold(frame.to_vec(), |bytes, part| [&bytes, part].concat())
}

/// The sum of Internet checksums over these bytes, and a number.
pub fn fold(bytes: &[u8], beside: usize) -> u16 {
    let word = |pair: &[u8]| usize::from(pair[0]) << 8 | usize::from(*pair.get(1).unwrap_or(&0));
    let mut sum = bytes.chunks(2).map(word).sum::<usize>() + beside;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Finishes a sum that was begun.
pub fn finish(frame: &mut [u8], start: usize, field_at: usize, is_tcp: bool) {
    let sum = match !fold(&frame[start..], 0) {
        0 if !is_tcp => 0xffff,
        sum => sum,
    };
    frame[field_at..field_at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Cuts TCP (Intel 317453, 3.5.9): lengths, numbers and sums are made for each segment, the sum of
/// the pseudo header being there without the length.
pub fn cut(
    packet: &[u8],
    ip_at: usize,
    tcp_at: usize,
    headers_len: usize,
    mss: usize,
) -> Vec<Vec<u8>> {
    let is_v4 = packet[ip_at] >> 4 == 4;
    let (headers, payload) = packet.split_at(headers_len);
    let count = payload.len().div_ceil(mss);
    let segment = |(number, part): (usize, &[u8])| {
        let mut frame = [headers, part].concat();
        let mut add = |at: usize, bytes: usize, value: usize| {
            let digits = frame[at..at + bytes].iter();
            let old = digits.fold(0, |all, &byte| all << 8 | usize::from(byte));
            frame[at..at + bytes].copy_from_slice(&(old + value).to_be_bytes()[8 - bytes..]);
        };
        add(tcp_at + 4, 4, number * mss);
        if is_v4 {
            add(ip_at + 4, 2, number);
        }
        let from = if is_v4 { ip_at } else { tcp_at };
        let len = (headers_len + part.len() - from) as u16;
        let len_at = ip_at + if is_v4 { 2 } else { 4 };
        frame[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
        if number + 1 < count {
            frame[tcp_at + 13] &= !0x09;
        }
        if is_v4 {
            let sum = !fold(&frame[ip_at..tcp_at], 0);
            frame[ip_at + 10..ip_at + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let sum = !fold(&frame[tcp_at..], frame.len() - tcp_at);
        frame[tcp_at + 16..tcp_at + 18].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    payload.chunks(mss).enumerate().map(segment).collect()
}
