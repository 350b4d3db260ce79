//! Where the headers of a frame lie, for NICs that have to be told.
//!
//! Here, and nowhere else among the drivers, somebody looks into a frame. virtio finishes and cuts with
//! nothing but what is beside the frame. Chips want the lengths of its headers, and in the TCP
//! checksum's place the pseudo header's sum without the length, which differs with every segment
//! (Intel 317453, 3.5). Emulated ones look for themselves, and find the outermost transport header
//! only: the sum of a packet inside of another is not for them.
//!
//! What a frame says of itself was checked before it came here. It is read with care all the same: of
//! a frame that says something else, nothing is left to the NIC.

use crate::offload::{Offload, PartialChecksum, SegmentKind, Segments};
use crate::pool::Frame;
use core::num::NonZeroU16;

const ETHERTYPE_AT: usize = 12;
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const TAG_BYTES: usize = 4;
const IPV6_BYTES: usize = 40;
/// In a TCP header: the byte whose upper half is the header's length, in words.
const TCP_LENGTH_AT: usize = 12;
const TCP_CHECKSUM_AT: usize = 16;
const PROTOCOL_TCP: u8 = 6;
/// In an IPv4 header.
const IPV4_CHECKSUM_AT: usize = 10;

/// A frame of TCP that is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCut {
    pub version: Version,
    /// Where IP begins, where TCP does, and where the headers end.
    pub ip_at: usize,
    pub tcp_at: usize,
    pub headers_len: usize,
    /// Where TCP's checksum is.
    pub checksum_at: usize,
    /// Bytes of payload in a segment.
    pub payload_len: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V4,
    V6,
}

/// Whether the outermost packet's transport header begins here.
pub fn is_transport(frame: &Frame, at: usize) -> bool {
    let Some((ip_at, first)) = ip_at(frame).and_then(|at| Some((at, *frame.get(at)?))) else {
        return false;
    };
    let ip_len = match first >> 4 {
        4 => 4 * usize::from(first & 0xf),
        6 => IPV6_BYTES,
        _ => return false,
    };
    at == ip_at + ip_len
}

/// Makes of a frame that a NIC has put together from segments of so much payload one that is to be
/// cut again: its checksum, which is that of none of them, becomes the pseudo header's sum. `None` if
/// it is not such a frame.
pub fn join(frame: &mut Frame, payload_len: NonZeroU16) -> Option<()> {
    let ip_at = ip_at(frame)?;
    let ip = frame.get(ip_at..)?;
    let (kind, ip_len, protocol, addresses) = match ip.first()? >> 4 {
        4 => (SegmentKind::TcpV4, 4 * usize::from(ip[0] & 0xf), ip.get(9)?, ip.get(12..20)?),
        6 => (SegmentKind::TcpV6, IPV6_BYTES, ip.get(6)?, ip.get(8..40)?),
        _ => return None,
    };
    let tcp_at = ip_at + ip_len;
    let tcp_len = frame.total_len().checked_sub(tcp_at)?;
    let pairs = addresses.as_chunks().0.iter().map(|pair| usize::from(u16::from_be_bytes(*pair)));
    let sum = pairs.sum::<usize>() + usize::from(PROTOCOL_TCP) + tcp_len;
    let field_at = tcp_at + TCP_CHECKSUM_AT;
    if *protocol != PROTOCOL_TCP || field_at + 2 > frame.len() {
        return None;
    }
    frame[field_at..field_at + 2].copy_from_slice(&fold(sum).to_be_bytes());
    let checksum = PartialChecksum { start: tcp_at as u16, offset: TCP_CHECKSUM_AT as u16 };
    let segments = Segments { kind, payload_len };
    frame.set_offload(Offload { checksum: Some(checksum), segments: Some(segments) });
    Some(())
}

/// A sum as the Internet's checksums have it: what is beyond 16 bits is added below.
fn fold(mut sum: usize) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

impl TcpCut {
    /// How the frame is to be cut; `None` if that cannot be, or is not TCP.
    pub fn of(frame: &Frame) -> Option<TcpCut> {
        let Offload { checksum, segments } = frame.offload();
        let (PartialChecksum { start, offset }, Segments { kind, payload_len }) =
            (checksum?, segments?);
        let version = match kind {
            SegmentKind::TcpV4 => Version::V4,
            SegmentKind::TcpV6 => Version::V6,
            SegmentKind::UdpL4 => return None,
        };
        let tcp_at = usize::from(start);
        let words = frame.get(tcp_at + TCP_LENGTH_AT)? >> 4;
        let cut = TcpCut {
            version,
            ip_at: ip_at(frame)?,
            tcp_at,
            headers_len: tcp_at + 4 * usize::from(words),
            checksum_at: tcp_at + usize::from(offset),
            payload_len: payload_len.get(),
        };
        let fits = cut.headers_len <= frame.len() && cut.checksum_at + 2 <= cut.headers_len;
        (fits && is_transport(frame, tcp_at)).then_some(cut)
    }

    /// Makes the headers what a chip begins with: no length in TCP's checksum, no checksum in IP's.
    pub fn prepare(&self, frame: &mut Frame) {
        let tcp_len = (frame.total_len() - self.tcp_at) as u16;
        let field = &mut frame[self.checksum_at..self.checksum_at + 2];
        let sum = usize::from(u16::from_be_bytes([field[0], field[1]])) + usize::from(!tcp_len);
        field.copy_from_slice(&fold(sum).to_be_bytes());
        if self.version == Version::V4 {
            let at = self.ip_checksum_at();
            frame[at..at + 2].fill(0);
        }
    }

    /// Where IPv4's checksum is.
    pub fn ip_checksum_at(&self) -> usize {
        self.ip_at + IPV4_CHECKSUM_AT
    }
}

/// Behind the addresses, the tags and the ethertype.
fn ip_at(head: &[u8]) -> Option<usize> {
    let mut at = ETHERTYPE_AT;
    while TAGS.contains(&u16::from_be_bytes(*head.get(at..)?.first_chunk()?)) {
        at += TAG_BYTES;
    }
    Some(at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    /// A frame of TCP with so many tags, and 4 bytes of options.
    fn frame(version: Version, tags: usize, payload: usize) -> Frame {
        let ip_len = if version == Version::V4 { 20 } else { 40 };
        let tcp_at = 14 + TAG_BYTES * tags + ip_len;
        let mut bytes = vec![0xee; tcp_at + 24 + payload];
        (0..tags).for_each(|tag| bytes[12 + 4 * tag..14 + 4 * tag].copy_from_slice(&[0x81, 0]));
        let first = if version == Version::V4 { 0x45 } else { 0x60 };
        bytes[tcp_at - ip_len - 2..=tcp_at - ip_len].copy_from_slice(&[8, 0, first]);
        bytes[tcp_at + 12] = 6 << 4;
        // What the pseudo header's addresses and protocol add up to, and the length.
        let sum = 0xfff0 + (24 + payload as u32);
        let folded = (sum & 0xffff) as u16 + (sum >> 16) as u16;
        bytes[tcp_at + 16..tcp_at + 18].copy_from_slice(&folded.to_be_bytes());
        let mut frame = Pool::new(40).take_copy(&bytes).unwrap();
        let kind = match version {
            Version::V4 => SegmentKind::TcpV4,
            Version::V6 => SegmentKind::TcpV6,
        };
        frame.set_offload(Offload {
            checksum: Some(PartialChecksum { start: tcp_at as u16, offset: 16 }),
            segments: Some(Segments { kind, payload_len: 1448.try_into().unwrap() }),
        });
        frame
    }

    #[test]
    fn headers_are_found_behind_tags_and_lose_their_lengths() {
        for (version, tags, ip_at, tcp_at) in [
            (Version::V4, 0, 14, 34),
            (Version::V4, 2, 22, 42),
            (Version::V6, 0, 14, 54),
            (Version::V6, 1, 18, 58),
        ] {
            for payload in [1, 1449, 65_000] {
                let mut frame = frame(version, tags, payload);
                let before = frame.to_vec();
                let cut = TcpCut::of(&frame).unwrap();
                assert_eq!((cut.version, cut.ip_at, cut.tcp_at), (version, ip_at, tcp_at));
                assert_eq!((cut.headers_len, cut.payload_len), (tcp_at + 24, 1448));
                cut.prepare(&mut frame);
                let mut expected = before;
                expected[tcp_at + 16..tcp_at + 18].copy_from_slice(&[0xff, 0xf0]);
                if version == Version::V4 {
                    expected[ip_at + 10..ip_at + 12].fill(0);
                }
                assert_eq!(*frame, expected, "{version:?} {tags} {payload}");
            }
        }
    }

    #[test]
    fn what_cannot_be_cut_is_said_to() {
        type Change = fn(&mut Frame);
        let changes: &[(&str, Change)] = &[
            ("no checksum", |it| it.offload_mut().checksum = None),
            ("nothing to cut", |it| it.offload_mut().segments = None),
            ("datagrams", |it| {
                it.offload_mut().segments.as_mut().unwrap().kind = SegmentKind::UdpL4
            }),
            ("TCP's header ends behind the head", |it| it.set_len(50)),
            ("TCP begins behind the head", |it| it.set_len(34)),
            ("TCP before IP", |it| it.offload_mut().checksum.as_mut().unwrap().start = 20),
            ("a header without its checksum", |it| it[46] = 4 << 4),
            ("options that nobody spoke of", |it| it[14] = 0x46),
            ("no IP", |it| it[14] = 0x55),
            ("tags to the end", |it| it[12..].fill(0x81)),
            ("tags to the very end", |it| {
                it.set_len(60);
                (12..60).for_each(|at| it[at] = if at % 2 == 0 { 0x81 } else { 0 });
            }),
        ];
        for (name, change) in changes {
            let mut frame = frame(Version::V4, 0, 100);
            change(&mut frame);
            assert_eq!(TcpCut::of(&frame), None, "{name}");
        }
    }
}
