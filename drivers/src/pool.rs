//! Frames and the pool that their buffers come from.
//!
//! The pool is one contiguous region cut into buffers of 2 KiB, taken once at start and never
//! given back. A [`Frame`] owns one buffer: moving it is sending it, dropping it gives the buffer
//! back, and since it cannot be cloned no buffer is ever in two places. A frame that a device is
//! to fill or to send is owned by that device's ring, where nobody can reach its bytes.
//!
//! The free list is a stack, so the buffer used next is the one used last, whose first lines are
//! still in the cache. It is kept outside of the buffers: a device that writes where it must not
//! can spoil a frame, not the list.
//!
//! ```text
//! buffer  0             64                                              2048
//!         ├─ headroom ──┼─ bytes ── len ─┬───────────────────────────────┤
//!                ▲ a NIC's own header lies right before the bytes
//! ```

use alloc::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

/// One buffer. A divisor of the page, so that no buffer crosses one.
pub const BUFFER_BYTES: usize = 2048;
/// Bytes of a buffer before the frame's first.
pub const HEADROOM_BYTES: usize = 64;
/// The longest frame that a buffer can hold.
pub const FRAME_BYTES_MAX: usize = BUFFER_BYTES - HEADROOM_BYTES;

const PAGE_BYTES: usize = 4096;
const _: () = assert!(PAGE_BYTES.is_multiple_of(BUFFER_BYTES));

/// A fixed number of buffers for one core.
pub struct Pool {
    /// The stack: the first `free` entries are the buffers that nobody owns.
    stack: Box<[Cell<NonNull<u8>>]>,
    free: Cell<usize>,
}

/// An Ethernet frame and the buffer it lies in.
pub struct Frame {
    bytes: NonNull<u8>,
    len: usize,
    pool: &'static Pool,
}

impl Pool {
    /// A pool of `count` buffers. Its memory is never given back: an appliance has one pool for
    /// life, and devices know its addresses.
    ///
    /// # Panics
    /// When `count` is zero or the memory is not there: nothing works without buffers.
    pub fn new(count: usize) -> &'static Pool {
        let layout = count
            .checked_mul(BUFFER_BYTES)
            .and_then(|bytes| Layout::from_size_align(bytes, PAGE_BYTES).ok())
            .filter(|layout| layout.size() > 0)
            .expect("a pool has at least one buffer and fits into the address space");
        // SAFETY: the layout's size is not zero.
        let region = NonNull::new(unsafe { alloc_zeroed(layout) })
            .unwrap_or_else(|| handle_alloc_error(layout));
        let stack = (0..count)
            .rev()
            // SAFETY: `index < count`, so the buffer begins inside the region.
            .map(|index| Cell::new(unsafe { region.add(index * BUFFER_BYTES) }))
            .collect();
        Box::leak(Box::new(Pool { stack, free: Cell::new(count) }))
    }

    /// An empty frame, or `None` when every buffer is owned by somebody.
    pub fn take(&'static self) -> Option<Frame> {
        let top = self.free.get().checked_sub(1)?;
        self.free.set(top);
        let buffer = self.stack[top].get();
        // SAFETY: a buffer is longer than its headroom.
        let bytes = unsafe { buffer.add(HEADROOM_BYTES) };
        Some(Frame { bytes, len: 0, pool: self })
    }

    /// A frame with these bytes, or `None` when they are more than a frame holds or no buffer is
    /// free.
    pub fn take_copy(&'static self, bytes: &[u8]) -> Option<Frame> {
        if bytes.len() > FRAME_BYTES_MAX {
            return None;
        }
        let mut frame = self.take()?;
        frame.set_len(bytes.len());
        frame.copy_from_slice(bytes);
        Some(frame)
    }

    /// Buffers that nobody owns.
    pub fn free(&self) -> usize {
        self.free.get()
    }

    /// All buffers.
    pub fn total(&self) -> usize {
        self.stack.len()
    }
}

impl Frame {
    /// The same bytes in a buffer of their own, for flooding.
    pub fn copy(&self) -> Option<Frame> {
        self.pool.take_copy(self)
    }

    /// Makes the frame `len` bytes long. Bytes that this adds are whatever the buffer carried
    /// last: they are the caller's to write.
    ///
    /// # Panics
    /// When `len` is more than [`FRAME_BYTES_MAX`].
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= FRAME_BYTES_MAX, "a frame of {len} bytes does not fit its buffer");
        self.len = len;
    }

    /// Where the device finds the header of `header_bytes` and the frame after it. Virtual is
    /// physical in this image.
    pub(crate) fn device_address(&self, header_bytes: usize) -> u64 {
        debug_assert!(header_bytes <= HEADROOM_BYTES);
        (self.bytes.as_ptr() as usize - header_bytes) as u64
    }

    /// Reads the `N` bytes before the frame, once, into memory that no device can change.
    pub(crate) fn read_header<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= HEADROOM_BYTES) };
        // SAFETY: the headroom lies before `bytes` and belongs to this frame alone; volatile, so
        // that it is read now and not again while a decision is being made.
        unsafe { self.bytes.sub(N).cast::<[u8; N]>().read_volatile() }
    }

    /// Writes the `N` bytes before the frame.
    pub(crate) fn write_header<const N: usize>(&mut self, header: [u8; N]) {
        const { assert!(N <= HEADROOM_BYTES) };
        // SAFETY: as in `read_header`, and `&mut self` makes this the only access.
        unsafe { self.bytes.sub(N).cast::<[u8; N]>().write(header) }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: (1) `set_len` keeps `len` inside the buffer; (2) the buffer was zeroed at start
        // and so is initialised; (3) only `take` makes frames, and gives no buffer out twice.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let free = self.pool.free.get();
        // SAFETY: `bytes` is `HEADROOM_BYTES` into its buffer. The stack has a place for every
        // buffer, and this one is not on it.
        let buffer = unsafe { self.bytes.sub(HEADROOM_BYTES) };
        self.pool.stack[free].set(buffer);
        self.pool.free.set(free + 1);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_is_given_out_once_and_comes_back() {
        let pool = Pool::new(9);
        let mut frames: Vec<Frame> = core::iter::from_fn(|| pool.take()).collect();
        assert_eq!((frames.len(), pool.free(), pool.total()), (9, 0, 9));

        let mut addresses: Vec<u64> = frames.iter().map(|frame| frame.device_address(64)).collect();
        addresses.sort_unstable();
        let expected: Vec<u64> =
            (0..9).map(|index| addresses[0] + index * BUFFER_BYTES as u64).collect();
        assert_eq!(addresses, expected, "one region, no gaps");
        assert_eq!(addresses[0] % BUFFER_BYTES as u64, 0);

        let last = frames.pop().unwrap().device_address(0);
        assert_eq!(pool.free(), 1);
        assert_eq!(pool.take().unwrap().device_address(0), last, "used last, used next");
        drop(frames);
        assert_eq!(pool.free(), 9);
    }

    #[test]
    fn a_copy_has_the_bytes_and_not_the_buffer() {
        let pool = Pool::new(2);
        let mut frame = pool.take_copy(b"sixteen bytes of").unwrap();
        let copy = frame.copy().unwrap();
        assert!(frame.copy().is_none(), "the pool is empty");
        frame.fill(0);
        assert_eq!(&*copy, b"sixteen bytes of");
        assert_eq!(pool.free(), 0);
    }

    #[test]
    fn a_frame_stays_inside_its_buffer() {
        let pool = Pool::new(3);
        let (below, mut frame, above) =
            (pool.take_copy(&[1; 1984]), pool.take().unwrap(), pool.take_copy(&[3; 1984]));
        frame.set_len(FRAME_BYTES_MAX);
        frame.fill(2);
        frame.write_header([2; HEADROOM_BYTES]);
        assert_eq!(frame.read_header(), [2; 12]);
        assert!(below.unwrap().iter().all(|&byte| byte == 1));
        assert!(above.unwrap().iter().all(|&byte| byte == 3));

        assert!(pool.take_copy(&[0; FRAME_BYTES_MAX + 1]).is_none());
        assert_eq!(pool.free(), 2, "a refused copy takes no buffer");
    }

    #[test]
    #[should_panic(expected = "1985 bytes")]
    fn a_length_beyond_the_buffer_is_our_own_mistake() {
        Pool::new(1).take().unwrap().set_len(FRAME_BYTES_MAX + 1);
    }
}
