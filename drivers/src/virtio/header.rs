//! The header that virtio puts before every frame (5.1.6), and what a received one is worth.
//!
//! We agree on no offload, so the truth about a frame is in two numbers: the bytes that the
//! device wrote, and the buffers that it used. Everything else in the header speaks of offloads
//! and is either ignored or, where it means that the bytes are no frame for a wire, a reason to
//! drop. `csum_start`, `csum_offset`, `hdr_len` and `gso_size` are never read.

use super::ring::RECEIVE_BYTES;

/// The header with `num_buffers`, which virtio 1 always has.
pub const HEADER_BYTES: usize = 12;
pub type Header = [u8; HEADER_BYTES];

/// Before a frame that is sent: no offload, and `num_buffers` zero as it must be (5.1.6.2.1).
pub const TRANSMIT: Header = [0; HEADER_BYTES];

/// In a receive buffer before the device has it: one buffer. Devices are known that without
/// VIRTIO_NET_F_MRG_RXBUF write the first ten bytes only.
pub const RECEIVE: Header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/// The longest frame: 1500 bytes of payload, header and one 802.1Q tag. That an untagged one may
/// only have 1514 is for those who look for tags.
pub const FRAME_LEN_MAX: usize = 1518;

/// Whether a frame may lie in several buffers (VIRTIO_NET_F_MRG_RXBUF).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    Agreed,
    NotAgreed,
}

/// What is to be done with a received buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    Deliver {
        len: usize,
        offload: Offload,
    },
    Drop(Misfit),
    /// The frame goes on in this many further buffers, and so is longer than any may be.
    DropWith {
        further: u16,
    },
}

/// Whether the header claims a checksum offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    None,
    /// It does, though none was agreed on.
    Claimed,
}

/// Why a buffer holds no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    Runt,
    TooBig,
    NumBuffers,
    Gso,
}

/// Judges a buffer by its header, the bytes written to it (not more than it has) and the number
/// of answers that wait behind it.
pub fn judge(header: Header, written_bytes: u32, waiting: u16, merging: Merging) -> Reception {
    // Below this the header is not the device's but what the buffer carried last.
    let Some(len) = (written_bytes as usize).checked_sub(HEADER_BYTES) else {
        return Reception::Drop(Misfit::Runt);
    };
    let [flags, gso_type, .., count_low, count_high] = header;
    match (u16::from_le_bytes([count_low, count_high]), merging) {
        (1, _) => {}
        (0, _) | (_, Merging::NotAgreed) => return Reception::Drop(Misfit::NumBuffers),
        // A frame's buffers are answered together, and all but the last are full (5.1.6.4.1).
        (count, _) if count - 1 > waiting || written_bytes < RECEIVE_BYTES => {
            return Reception::Drop(Misfit::NumBuffers);
        }
        (count, _) => return Reception::DropWith { further: count - 1 },
    }
    if len == 0 {
        return Reception::Drop(Misfit::Runt);
    }
    if gso_type != 0 {
        return Reception::Drop(Misfit::Gso);
    }
    if len > FRAME_LEN_MAX {
        return Reception::Drop(Misfit::TooBig);
    }
    let offload = if flags == 0 { Offload::None } else { Offload::Claimed };
    Reception::Deliver { len, offload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reception::{Deliver, Drop, DropWith};

    const FULL: u32 = RECEIVE_BYTES;

    fn header(flags: u8, gso_type: u8, num_buffers: u16) -> Header {
        let [low, high] = num_buffers.to_le_bytes();
        // hdr_len, gso_size, csum_start, csum_offset: as wrong as they can be (D9, D11).
        [flags, gso_type, 255, 255, 255, 255, 255, 255, 255, 255, low, high]
    }

    #[test]
    fn every_kind_of_header_has_its_ending() {
        use Merging::{Agreed, NotAgreed};
        let clean = |len| Deliver { len, offload: Offload::None };
        let claimed = |len| Deliver { len, offload: Offload::Claimed };
        let cases: &[(&str, Header, u32, u16, Merging, Reception)] = &[
            ("a frame", header(0, 0, 1), 12 + 60, 0, Agreed, clean(60)),
            ("a frame, unmerged", header(0, 0, 1), 12 + 60, 0, NotAgreed, clean(60)),
            ("one byte is the switch's to judge", header(0, 0, 1), 13, 0, Agreed, clean(1)),
            ("the longest", header(0, 0, 1), 12 + 1518, 0, Agreed, clean(1518)),
            ("P4: longer", header(0, 0, 1), 12 + 1519, 0, Agreed, Drop(Misfit::TooBig)),
            ("P4: a full buffer", header(0, 0, 1), FULL, 0, Agreed, Drop(Misfit::TooBig)),
            ("D3: nothing written", header(0, 0, 1), 0, 0, Agreed, Drop(Misfit::Runt)),
            ("D3: header cut", header(0, 9, 0), 11, 0, Agreed, Drop(Misfit::Runt)),
            ("D3, P1: header alone", header(0, 0, 1), 12, 0, Agreed, Drop(Misfit::Runt)),
            ("D8: NEEDS_CSUM", header(1, 0, 1), 72, 0, Agreed, claimed(60)),
            ("D8: DATA_VALID", header(2, 0, 1), 72, 0, Agreed, claimed(60)),
            ("D10: TCPv4", header(1, 1, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D10: UDP, no csum", header(0, 3, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D10: TCPv6", header(1, 4, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D10: UDP_L4", header(1, 5, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D10: unknown", header(1, 0x7f, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D10: ECN alone", header(0, 0x80, 1), 72, 0, Agreed, Drop(Misfit::Gso)),
            ("D12: none", header(0, 0, 0), 72, 9, NotAgreed, Drop(Misfit::NumBuffers)),
            ("D12: two", header(0, 0, 2), FULL, 9, NotAgreed, Drop(Misfit::NumBuffers)),
            ("D12: all", header(0, 0, 65_535), FULL, 9, NotAgreed, Drop(Misfit::NumBuffers)),
            ("none, merged", header(0, 0, 0), 72, 9, Agreed, Drop(Misfit::NumBuffers)),
            ("more than wait", header(0, 0, 3), FULL, 1, Agreed, Drop(Misfit::NumBuffers)),
            ("all, merged", header(0, 0, 65_535), FULL, 255, Agreed, Drop(Misfit::NumBuffers)),
            ("first not full", header(0, 0, 2), FULL - 1, 1, Agreed, Drop(Misfit::NumBuffers)),
            ("P4: 3 buffers", header(0, 0, 3), FULL, 2, Agreed, DropWith { further: 2 }),
        ];
        for &(name, header, written_bytes, waiting, merging, expected) in cases {
            assert_eq!(judge(header, written_bytes, waiting, merging), expected, "{name}");
        }
    }
}
