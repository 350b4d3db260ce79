//! Cutting a packet into the segments that it stands for.
//!
//! Every segment begins with the packet's own headers, and differs where it has to:
//!
//! ```text
//!  IPv4    total length; identification counts up; header checksum, by difference
//!  IPv6    payload length
//!  TCP     sequence number counts up; FIN and PSH on the last alone, CWR on the first alone
//!  UDP     length
//!  both    checksum: finished, from the packet's partial one and the difference in length
//! ```
//!
//! A packet whose partial checksum is wrong comes out as segments whose checksums are wrong: that
//! is for the receiver to find.

use core::ops::Range;

use super::{Malformed, Offload, PartialChecksum, SegmentKind, Segments, packet, protocol_of};
use crate::Protocol;
use crate::wire::checksum::{Delta, Sum};
use crate::wire::ip::Version;
use crate::wire::{Ip, bytes_at, put};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// A packet and how it is cut; all lengths hold, and all numbers are copies.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    version: Version,
    protocol: Protocol,
    /// Where the IP header begins, and the transport's.
    ip_at: usize,
    transport_at: usize,
    /// Where the payload begins, and all that is copied to every segment ends.
    headers_len: usize,
    /// The whole packet's payload, and each segment's.
    total_len: usize,
    payload_len: usize,
    checksum: PartialChecksum,
}

/// One of the frames that a packet is cut into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    index: usize,
    /// What it carries of the packet, as offsets in the frame.
    pub payload: Range<usize>,
}

impl Segment {
    /// Its place among the packet's segments.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl Cut {
    /// How the frame of `len` bytes whose headers are in `head` is to be cut.
    pub fn new(offload: &Offload, head: &[u8], len: usize) -> Result<Cut, Malformed> {
        let (_, packet) = packet(head, len).ok_or(Malformed::Segments)?;
        Cut::of(offload, &packet, head, len).ok_or(Malformed::Segments)
    }

    /// Bytes of the longest packet that comes of it.
    pub fn packet_len(&self) -> usize {
        self.headers_len - self.ip_at + self.payload_len.min(self.total_len)
    }

    fn of(offload: &Offload, packet: &Ip, head: &[u8], len: usize) -> Option<Cut> {
        let (Segments { kind, payload_len }, checksum) = (offload.segments?, offload.checksum?);
        let protocol = protocol_of(packet)?;
        let is_kind = match kind {
            SegmentKind::TcpV4 => (packet.version, protocol) == (Version::V4, Protocol::Tcp),
            SegmentKind::TcpV6 => (packet.version, protocol) == (Version::V6, Protocol::Tcp),
            SegmentKind::UdpL4 => protocol == Protocol::Udp,
        };
        let headers_len = packet.payload_at + transport_len(protocol, packet, head)?;
        let is_whole = packet.end_at == len && packet.part().is_none();
        let is_possible = is_kind && is_whole && checksum.is_of(protocol, packet.payload_at);
        (is_possible && headers_len <= head.len() && headers_len <= len).then(|| Cut {
            version: packet.version,
            protocol,
            ip_at: packet.at,
            transport_at: packet.payload_at,
            headers_len,
            total_len: len - headers_len,
            payload_len: payload_len.get().into(),
            checksum,
        })
    }

    /// Bytes of headers in every segment.
    pub fn headers_len(&self) -> usize {
        self.headers_len
    }

    /// The segments, in order; one without payload for a packet without.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let Cut { headers_len, total_len, payload_len, .. } = *self;
        (0..total_len.div_ceil(payload_len).max(1)).map(move |index| {
            let begin = index * payload_len;
            let end = total_len.min(begin + payload_len);
            Segment { index, payload: headers_len + begin..headers_len + end }
        })
    }

    /// Makes a frame of a segment: it is as long as that and has the payload behind the headers'
    /// place. They come from the packet's head. `behind` are the bytes that are in other buffers than the
    /// frame's first.
    pub fn write(&self, segment: &Segment, head: &[u8], frame: &mut [u8], behind: Sum) {
        frame[..self.headers_len].copy_from_slice(&head[..self.headers_len]);
        match self.version {
            Version::V4 => self.write_ipv4(segment, frame),
            Version::V6 => put(frame, self.ip_at + 4, self.ip_payload_len(segment).to_be_bytes()),
        }
        match self.protocol {
            Protocol::Tcp => self.write_tcp(segment, frame),
            Protocol::Udp => {
                put(frame, self.transport_at + 4, self.segment_len(segment).to_be_bytes());
            }
        }
        self.write_checksum(segment, frame, behind);
    }

    fn write_ipv4(&self, segment: &Segment, frame: &mut [u8]) {
        let at = self.ip_at;
        let (old_len, old_id) = (word_at(frame, at + 2), word_at(frame, at + 4));
        let len = (self.transport_at - at) as u16 + self.segment_len(segment);
        let id = old_id.wrapping_add(segment.index as u16);
        let delta = Delta::default().word(old_len, len).word(old_id, id);
        let checksum = delta.apply(word_at(frame, at + 10));
        for (offset, word) in [(2, len), (4, id), (10, checksum)] {
            put(frame, at + offset, word.to_be_bytes());
        }
    }

    fn write_tcp(&self, segment: &Segment, frame: &mut [u8]) {
        let at = self.transport_at;
        let before = (segment.payload.start - self.headers_len) as u32;
        let words = [word_at(frame, at + 4), word_at(frame, at + 6)].map(u32::from);
        let sequence = (words[0] << 16 | words[1]).wrapping_add(before);
        put(frame, at + 4, sequence.to_be_bytes());
        let flags = &mut frame[at + 13];
        if segment.index > 0 {
            *flags &= !CWR;
        }
        if segment.payload.end < self.headers_len + self.total_len {
            *flags &= !(FIN | PSH);
        }
    }

    /// The partial sum has the packet's length in it, and is to have the segment's.
    fn write_checksum(&self, segment: &Segment, frame: &mut [u8], behind: Sum) {
        let packet_len = (self.headers_len - self.transport_at + self.total_len) as u16;
        let delta = Delta::default().word(packet_len, self.segment_len(segment));
        let sum = delta.apply_to_sum(word_at(frame, self.checksum.field_at()));
        put(frame, self.checksum.field_at(), sum.to_be_bytes());
        self.checksum.finish(frame, behind);
    }

    /// Bytes of transport header and payload. That they fit 16 bits, the packet's own length says.
    fn segment_len(&self, segment: &Segment) -> u16 {
        (self.headers_len - self.transport_at + segment.payload.len()) as u16
    }

    /// The same with IPv6's extension headers.
    fn ip_payload_len(&self, segment: &Segment) -> u16 {
        const HEADER_BYTES: usize = crate::wire::ipv6::HEADER_BYTES;
        let extensions = self.transport_at - self.ip_at - HEADER_BYTES;
        extensions as u16 + self.segment_len(segment)
    }
}

/// Bytes of the transport header, if they are all in the head.
fn transport_len(protocol: Protocol, packet: &Ip, head: &[u8]) -> Option<usize> {
    match protocol {
        Protocol::Tcp => {
            let header = bytes_at::<20>(head, packet.payload_at)?;
            let len = usize::from(header[12] >> 4) * 4;
            (len >= header.len()).then_some(len)
        }
        Protocol::Udp => bytes_at::<8>(head, packet.payload_at).map(|header| header.len()),
    }
}

/// A word of a header that is in the frame.
fn word_at(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}
