//! A frame as `lb` sees it: the bytes of its headers, and what travels beside them.

use crate::DropReason;
use crate::wire::Ethernet;
use crate::wire::ethernet::PAYLOAD_BYTES_MAX;
use crate::wire::offload::Offload;

/// A frame under decision.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The first of its buffers, which holds all headers; for a frame within the MTU all bytes.
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

    /// Refuses a frame that does not fit the wire, after its header, or of which something is left
    /// to do that cannot be done; a segment counts for a packet that is to be cut.
    #[inline(always)]
    pub(crate) fn check(&self, header: &Ethernet) -> Result<(), DropReason> {
        self.offload.check(self.head, self.len)?;
        let is_cut = self.offload.segments.is_some();
        let fits = is_cut || self.len - header.payload_at <= PAYLOAD_BYTES_MAX;
        if fits { Ok(()) } else { Err(DropReason::TooBig) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn verdict(tag: &[u8], len: usize) -> Result<(), DropReason> {
        let mut bytes = vec![0; len];
        bytes[12..12 + tag.len()].copy_from_slice(tag);
        let frame = Frame::plain(&mut bytes);
        let header = Ethernet::parse(frame.head)?;
        frame.check(&header)
    }

    #[test]
    fn p4_longer_than_the_mtu() {
        for (tag, longest) in [(&[][..], 1514), (&[0x81, 0, 0, 5], 1518)] {
            assert_eq!(verdict(tag, longest), Ok(()));
            for len in [longest + 1, 9000, 65_549] {
                assert_eq!(verdict(tag, len), Err(DropReason::TooBig));
            }
        }
    }
}
