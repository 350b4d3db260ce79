//! What of a frame is left for a NIC to do: its checksum, or being cut into segments.
//!
//! A guest hands its NIC a frame whose checksum is only begun, or one of 64 KiB that is to become
//! forty on the wire. As long as every NIC on its way can do the rest, nobody has to: the frame
//! travels as it is, and this travels with it. [`Abilities`] are what a NIC can do of it.
//!
//! These are numbers that a device or its far end wrote. That the checksum's place lies inside of
//! the frame's head has been seen to; what they mean in terms of protocols, nobody here knows.

use core::fmt;
use core::num::NonZeroU16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    pub checksum: Option<PartialChecksum>,
    pub segments: Option<Segments>,
}

/// A checksum that is begun: `start` is an offset in the frame, `offset` one from there. The sum
/// over everything from `start` to the frame's end belongs into the two bytes at both together,
/// which hold what is to be summed beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    pub start: u16,
    pub offset: u16,
}

/// How the frame is to be cut: so many bytes of payload, each behind headers like the first's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub kind: SegmentKind,
    pub payload_len: NonZeroU16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    TcpV4,
    TcpV6,
    /// Over either IP.
    UdpL4,
}

/// What a NIC does of all this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    pub checksum: bool,
    pub tcp_v4: bool,
    pub tcp_v6: bool,
    pub udp: bool,
}

impl Offload {
    /// Whether nothing is left to do.
    pub fn is_none(&self) -> bool {
        self.checksum.is_none() && self.segments.is_none()
    }

    /// So many bytes were put before what this is about, or taken away.
    pub(crate) fn move_by(&mut self, bytes: isize) {
        if let Some(checksum) = &mut self.checksum {
            let moved = usize::from(checksum.start).saturating_add_signed(bytes);
            checksum.start = u16::try_from(moved).unwrap_or(u16::MAX);
        }
    }
}

impl PartialChecksum {
    /// Offset in the frame after the checksum's own two bytes.
    pub(crate) fn end(self) -> usize {
        usize::from(self.start) + usize::from(self.offset) + 2
    }
}

impl Abilities {
    pub const ALL: Abilities = Abilities { checksum: true, tcp_v4: true, tcp_v6: true, udp: true };

    /// Whether nothing of this is left for others to do.
    pub fn cover(self, offload: Offload) -> bool {
        (self.checksum || offload.checksum.is_none())
            && offload.segments.is_none_or(|segments| self.segment(segments.kind))
    }

    pub fn segment(self, kind: SegmentKind) -> bool {
        match kind {
            SegmentKind::TcpV4 => self.tcp_v4,
            SegmentKind::TcpV6 => self.tcp_v6,
            SegmentKind::UdpL4 => self.udp,
        }
    }
}

impl fmt::Display for Abilities {
    /// As ethtool abbreviates them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Abilities::default() {
            return f.write_str("none");
        }
        let words = [
            (self.checksum, "csum"),
            (self.tcp_v4, "tso4"),
            (self.tcp_v6, "tso6"),
            (self.udp, "uso"),
        ];
        let mut words = words.into_iter().filter_map(|(has, word)| has.then_some(word));
        words.next().map_or(Ok(()), |first| f.write_str(first))?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_have_words() {
        let nothing = Abilities::default();
        let sums = Abilities { checksum: true, ..nothing };
        let cases = [(nothing, "none"), (sums, "csum"), (Abilities::ALL, "csum tso4 tso6 uso")];
        for (abilities, words) in cases {
            assert_eq!(abilities.to_string(), words);
        }
    }

    #[test]
    fn a_frame_is_covered_when_nothing_is_left() {
        let payload_len = NonZeroU16::MIN;
        let segments = Some(Segments { kind: SegmentKind::TcpV4, payload_len });
        let checksum = Some(PartialChecksum { start: 34, offset: 16 });
        let nothing = Abilities::default();
        let sums = Abilities { checksum: true, ..nothing };
        let cut = Abilities { tcp_v4: true, ..sums };
        let other = Abilities { tcp_v6: true, udp: true, ..sums };
        for (offload, able, covered) in [
            (Offload::default(), nothing, true),
            (Offload { checksum, segments: None }, nothing, false),
            (Offload { checksum, segments: None }, sums, true),
            (Offload { checksum, segments }, sums, false),
            (Offload { checksum, segments }, other, false),
            (Offload { checksum, segments }, cut, true),
        ] {
            assert_eq!(able.cover(offload), covered, "{able}: {offload:?}");
        }
    }
}
