//! A frame as `lb` sees it: the bytes of its headers, and what travels beside them.

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
}
