//! A frame as `lb` sees it: the bytes of its headers, and what travels beside them.

use crate::DropReason;
use crate::switch::mtu::Mtu;
use crate::wire::Ethernet;
use crate::wire::offload::{Cut, Offload};

/// A frame under decision.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The first of its buffers, which holds all headers; all bytes of a frame up to 2,048.
    pub head: &'a mut [u8],
    /// Bytes of the whole frame, further buffers included; never less than `head` has.
    pub len: usize,
    pub offload: Offload,
}

impl<'a> Frame<'a> {
    /// A frame in one piece, with nothing left to do.
    pub fn plain(bytes: &'a mut [u8]) -> Frame<'a> {
        let len = bytes.len();
        Frame { head: bytes, len, offload: Offload::default() }
    }

    /// Refuses a frame that does not fit the wire it came by, or of which something is left to do that
    /// cannot be done.
    #[inline(always)]
    pub(crate) fn check(&self, header: &Ethernet, mtu: Mtu) -> Result<(), DropReason> {
        self.offload.check(self.head, self.len)?;
        if mtu.takes(self.packet_len(header)) { Ok(()) } else { Err(DropReason::TooBig) }
    }

    /// Bytes of the packet that it is on a wire: of one that is to be cut, those of a segment.
    #[inline(always)]
    pub(crate) fn packet_len(&self, header: &Ethernet) -> usize {
        match self.offload.segments {
            None => self.len.saturating_sub(header.packet_at()),
            Some(_) => self.segment_len(),
        }
    }

    #[inline(never)]
    fn segment_len(&self) -> usize {
        Cut::new(&self.offload, self.head, self.len).map_or(usize::MAX, |cut| cut.packet_len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn verdict(tags: &[u8], len: usize, mtu: u16) -> Result<(), DropReason> {
        let mut bytes = vec![0; len];
        bytes[12..12 + tags.len()].copy_from_slice(tags);
        let frame = Frame::plain(&mut bytes);
        let header = Ethernet::parse(frame.head)?;
        frame.check(&header, Mtu::new(mtu).unwrap())
    }

    #[test]
    fn p4_longer_than_the_mtu() {
        const TWO: [u8; 8] = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6];
        for (mtu, tags, longest) in [
            (1500, &[][..], 1514),
            (1500, &TWO[4..], 1518),
            (1500, &TWO, 1522),
            (1280, &[], 1294),
            (9000, &[], 9014),
            (9000, &TWO, 9022),
        ] {
            assert_eq!(verdict(tags, longest, mtu), Ok(()));
            for len in [longest + 1, 9023, 65_549] {
                assert_eq!(verdict(tags, len, mtu), Err(DropReason::TooBig), "{mtu} {len}");
            }
        }
        assert_eq!(verdict(&TWO[..6], 18, 1500), Ok(()), "no packet at all");
    }
}
