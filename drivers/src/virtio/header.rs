//! The header that virtio puts before every frame (5.1.6): what a received one is worth, and what
//! is told of a frame that is sent.
//!
//! Two numbers tell what the frame is: the bytes that the device wrote, and the buffers that it
//! used. The rest tells what of it is left to do, in numbers that a guest at the far end may have
//! written: each is checked against what was agreed on and against the frame's length, and what
//! is none of both is a reason to drop. `hdr_len` is never read; on sending it is a hint, and the
//! head's length is a true one.

use core::num::NonZeroU16;

use super::ring::RECEIVE_BYTES;
use crate::nic::WIRE_BYTES_MAX;
use crate::offload::{Abilities, Offload, PartialChecksum, SegmentKind, Segments};
use crate::pool::{FRAME_BYTES_MAX, Frame, NIC_HEADER_BYTES};

/// The header with `num_buffers`, which virtio 1 always has.
pub const HEADER_BYTES: usize = NIC_HEADER_BYTES;
pub type Header = [u8; HEADER_BYTES];

/// In a receive buffer before the device has it: one buffer. Devices are known that without
/// VIRTIO_NET_F_MRG_RXBUF write the first ten bytes only.
pub const RECEIVE: Header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;

/// Whether a frame may lie in several buffers (VIRTIO_NET_F_MRG_RXBUF).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    Agreed,
    NotAgreed,
}

/// Whether all flags are ones that were agreed on; what others say is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Agreed,
    NotAgreed,
}

/// Why there is no frame in a buffer, or none to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    Runt,
    TooBig,
    NumBuffers,
    ChecksumRange,
    Gso,
}

/// In how many further buffers the frame goes on, by its first one's header, the bytes written to
/// that (not more than it has), and the number of answers that wait behind it.
pub fn further(
    header: &Header,
    written_bytes: u32,
    waiting: u16,
    merging: Merging,
) -> Result<u16, Misfit> {
    // Below this the header is not the device's but what the buffer carried last.
    if written_bytes < HEADER_BYTES as u32 {
        return Err(Misfit::Runt);
    }
    match (u16_at(header, 10), merging) {
        (1, _) if written_bytes == HEADER_BYTES as u32 => Err(Misfit::Runt),
        (1, _) => Ok(0),
        (0, _) | (_, Merging::NotAgreed) => Err(Misfit::NumBuffers),
        // A frame's buffers are answered together, and all but the last are full (5.1.6.4.1).
        (count, _) if count - 1 > waiting || written_bytes < RECEIVE_BYTES => {
            Err(Misfit::NumBuffers)
        }
        (count, _) => Ok(count - 1),
    }
}

/// What is left to do of a frame with these lengths, if that can be.
pub fn judge(
    header: &Header,
    head_len: usize,
    total_len: usize,
    agreed: Abilities,
) -> Result<(Offload, Claim), Misfit> {
    let [flags, gso_type, ..] = *header;
    let known = if agreed.checksum { NEEDS_CSUM | DATA_VALID } else { 0 };
    let claim = if flags & !known == 0 { Claim::Agreed } else { Claim::NotAgreed };
    let checksum = (flags & known & NEEDS_CSUM != 0)
        .then(|| PartialChecksum { start: u16_at(header, 6), offset: u16_at(header, 8) });
    let segments = match gso_type {
        GSO_NONE => None,
        // Who leaves the cutting to us, leaves the checksums too (5.1.6.4.1).
        _ if checksum.is_none() => return Err(Misfit::Gso),
        _ => Some(segments(gso_type, u16_at(header, 4), agreed).ok_or(Misfit::Gso)?),
    };
    if checksum.is_some_and(|checksum| checksum.end() > head_len) {
        return Err(Misfit::ChecksumRange);
    }
    let len_max = if segments.is_some() { FRAME_BYTES_MAX } else { WIRE_BYTES_MAX };
    if total_len > len_max {
        return Err(Misfit::TooBig);
    }
    Ok((Offload { checksum, segments }, claim))
}

fn segments(gso_type: u8, gso_size: u16, agreed: Abilities) -> Option<Segments> {
    let kind = match gso_type {
        GSO_TCPV4 => SegmentKind::TcpV4,
        GSO_TCPV6 => SegmentKind::TcpV6,
        GSO_UDP_L4 => SegmentKind::UdpL4,
        _ => return None,
    };
    let payload_len = NonZeroU16::new(gso_size)?;
    let fits = usize::from(gso_size) < WIRE_BYTES_MAX;
    (fits && agreed.segment(kind)).then_some(Segments { kind, payload_len })
}

/// The header of a frame that is sent, `num_buffers` zero as it must be (5.1.6.2.1).
pub fn transmit(frame: &Frame) -> Header {
    let mut header = [0; HEADER_BYTES];
    if frame.offload().is_none() {
        return header;
    }
    if let Some(PartialChecksum { start, offset }) = frame.offload().checksum {
        header[0] = NEEDS_CSUM;
        put(&mut header, 6, start);
        put(&mut header, 8, offset);
    }
    if let Some(Segments { kind, payload_len }) = frame.offload().segments {
        header[1] = match kind {
            SegmentKind::TcpV4 => GSO_TCPV4,
            SegmentKind::TcpV6 => GSO_TCPV6,
            SegmentKind::UdpL4 => GSO_UDP_L4,
        };
        put(&mut header, 2, frame.len() as u16);
        put(&mut header, 4, payload_len.get());
    }
    header
}

fn u16_at(header: &Header, at: usize) -> u16 {
    u16::from_le_bytes([header[at], header[at + 1]])
}

fn put(header: &mut Header, at: usize, value: u16) {
    header[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    const FULL: u32 = RECEIVE_BYTES;

    fn header(flags: u8, gso_type: u8, num_buffers: u16) -> Header {
        let [low, high] = num_buffers.to_le_bytes();
        // hdr_len, gso_size, csum_start, csum_offset: as wrong as they can be (D9, D11).
        [flags, gso_type, 255, 255, 255, 255, 255, 255, 255, 255, low, high]
    }

    fn offload(flags: u8, gso_type: u8, gso_size: u16, start: u16, offset: u16) -> Header {
        let mut header = header(flags, gso_type, 1);
        put(&mut header, 4, gso_size);
        put(&mut header, 6, start);
        put(&mut header, 8, offset);
        header
    }

    #[test]
    fn a_frame_lies_in_the_buffers_that_were_answered_together() {
        use Merging::{Agreed, NotAgreed};
        use Misfit::{NumBuffers, Runt};
        type Case = (&'static str, Header, u32, u16, Merging, Result<u16, Misfit>);
        let cases: &[Case] = &[
            ("one", header(0, 0, 1), 12 + 60, 0, Agreed, Ok(0)),
            ("one, unmerged", header(0, 0, 1), 12 + 60, 0, NotAgreed, Ok(0)),
            ("one byte is the switch's to judge", header(0, 0, 1), 13, 0, Agreed, Ok(0)),
            ("one full buffer", header(0, 0, 1), FULL, 0, Agreed, Ok(0)),
            ("D3: nothing written", header(0, 0, 1), 0, 0, Agreed, Err(Runt)),
            ("D3: header cut", header(0, 9, 0), 11, 0, Agreed, Err(Runt)),
            ("D3, P1: header alone", header(0, 0, 1), 12, 0, Agreed, Err(Runt)),
            ("D12: none", header(0, 0, 0), 72, 9, NotAgreed, Err(NumBuffers)),
            ("D12: two", header(0, 0, 2), FULL, 9, NotAgreed, Err(NumBuffers)),
            ("D12: all", header(0, 0, 65_535), FULL, 9, NotAgreed, Err(NumBuffers)),
            ("none, merged", header(0, 0, 0), 72, 9, Agreed, Err(NumBuffers)),
            ("more than wait", header(0, 0, 3), FULL, 1, Agreed, Err(NumBuffers)),
            ("all, merged", header(0, 0, 65_535), FULL, 255, Agreed, Err(NumBuffers)),
            ("first not full", header(0, 0, 2), FULL - 1, 1, Agreed, Err(NumBuffers)),
            ("three", header(0, 0, 3), FULL, 2, Agreed, Ok(2)),
        ];
        for &(name, header, written_bytes, waiting, merging, expected) in cases {
            assert_eq!(further(&header, written_bytes, waiting, merging), expected, "{name}");
        }
    }

    const NONE: Abilities = Abilities { checksum: false, tcp_v4: false, tcp_v6: false, udp: false };
    const SUMS: Abilities = Abilities { checksum: true, ..NONE };

    #[test]
    fn every_kind_of_header_has_its_ending() {
        use Claim::{Agreed, NotAgreed};
        use Misfit::{ChecksumRange, Gso, TooBig};
        let nothing = Offload::default();
        let sum = |start, offset| Some(PartialChecksum { start, offset });
        let summed = Offload { checksum: sum(34, 16), segments: None };
        let cut = |kind, len| {
            let payload_len = NonZeroU16::new(len).unwrap();
            Offload { checksum: sum(34, 16), segments: Some(Segments { kind, payload_len }) }
        };
        let all = Abilities::ALL;
        let big = FRAME_BYTES_MAX;
        type Case = (&'static str, Header, usize, Abilities, Result<(Offload, Claim), Misfit>);
        let cases: &[Case] = &[
            ("plain", header(0, 0, 1), 60, NONE, Ok((nothing, Agreed))),
            ("plain, all agreed", header(0, 0, 1), 60, all, Ok((nothing, Agreed))),
            ("the longest", header(0, 0, 1), 9022, NONE, Ok((nothing, Agreed))),
            ("P4, F34: longer", header(0, 0, 1), 9023, NONE, Err(TooBig)),
            ("P4: 65,549", header(0, 0, 1), 65_549, all, Err(TooBig)),
            ("D8: NEEDS_CSUM", header(1, 0, 1), 60, NONE, Ok((nothing, NotAgreed))),
            ("D8: DATA_VALID", header(2, 0, 1), 60, NONE, Ok((nothing, NotAgreed))),
            ("DATA_VALID, agreed", header(2, 0, 1), 60, SUMS, Ok((nothing, Agreed))),
            ("RSC_INFO, unknown", header(0x84, 0, 1), 60, SUMS, Ok((nothing, NotAgreed))),
            ("NEEDS_CSUM", offload(1, 0, 0, 34, 16), 60, SUMS, Ok((summed, Agreed))),
            ("with DATA_VALID", offload(3, 0, 0, 34, 16), 60, SUMS, Ok((summed, Agreed))),
            ("at the very end", offload(1, 0, 0, 34, 16), 52, SUMS, Ok((summed, Agreed))),
            ("D9: one byte beyond", offload(1, 0, 0, 34, 16), 51, SUMS, Err(ChecksumRange)),
            ("D9: start 65,535", offload(1, 0, 0, 65_535, 16), 1514, SUMS, Err(ChecksumRange)),
            ("D9: both", header(1, 0, 1), 1514, all, Err(ChecksumRange)),
            ("D9: beyond the head", offload(1, 1, 1448, 2044, 3), big, all, Err(ChecksumRange)),
            (
                "TCPv4",
                offload(1, 1, 1448, 34, 16),
                big,
                all,
                Ok((cut(SegmentKind::TcpV4, 1448), Agreed)),
            ),
            ("TCPv6", offload(1, 4, 1, 34, 16), big, all, Ok((cut(SegmentKind::TcpV6, 1), Agreed))),
            (
                "UDP_L4",
                offload(1, 5, 1517, 34, 16),
                99,
                all,
                Ok((cut(SegmentKind::UdpL4, 1517), Agreed)),
            ),
            ("P4: more than IP can be", offload(1, 1, 1448, 34, 16), big + 1, all, Err(TooBig)),
            ("D10: TCPv4, not agreed", offload(1, 1, 1448, 34, 16), big, SUMS, Err(Gso)),
            ("D10: TCPv4, nothing agreed", offload(1, 1, 1448, 34, 16), 60, NONE, Err(Gso)),
            (
                "D10: TCPv4 for TCPv6",
                offload(1, 1, 9, 34, 16),
                60,
                Abilities { tcp_v6: true, ..SUMS },
                Err(Gso),
            ),
            ("D10: without csum", offload(0, 1, 1448, 34, 16), big, all, Err(Gso)),
            ("D10: UDP fragments", offload(1, 3, 1448, 34, 16), big, all, Err(Gso)),
            ("D10: UDP fragments, no csum", header(0, 3, 1), 60, all, Err(Gso)),
            ("D10: unknown", offload(1, 0x7f, 1448, 34, 16), big, all, Err(Gso)),
            ("D10: ECN alone", offload(1, 0x80, 1448, 34, 16), big, all, Err(Gso)),
            ("D10: TCPv4 with ECN", offload(1, 0x81, 1448, 34, 16), big, all, Err(Gso)),
            ("D10: size 0", offload(1, 1, 0, 34, 16), big, all, Err(Gso)),
            ("D10: size 65,535", offload(1, 1, 65_535, 34, 16), big, all, Err(Gso)),
        ];
        for &(name, header, len, agreed, expected) in cases {
            let head_len = len.min(2048);
            assert_eq!(judge(&header, head_len, len, agreed), expected, "{name}");
        }
    }

    /// What is told to one device of a frame is what another one has told, `hdr_len` apart.
    #[test]
    fn a_header_goes_on_as_it_came() {
        let pool = Pool::new(40);
        for (gso_type, gso_size) in [(0, 0), (1, 1448), (4, 1428), (5, 1200)] {
            let came = offload(1, gso_type, gso_size, 34, 16);
            let mut frame = pool.take_copy(&[0; 1500]).unwrap();
            let (offload, _) = judge(&came, 1500, 1500, Abilities::ALL).unwrap();
            frame.set_offload(offload);
            let told = transmit(&frame);
            assert_eq!(u16_at(&told, 2), if gso_type == 0 { 0 } else { 1500 });
            assert_eq!((&told[..2], &told[4..10]), (&came[..2], &came[4..10]));
            assert_eq!(told[10..], [0, 0]);
        }
        assert_eq!(transmit(&pool.take().unwrap()), [0; 12]);
    }
}
