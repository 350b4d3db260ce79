//! Frames and the pool that their buffers come from.
//!
//! The pool is one contiguous region cut into buffers of 33 cache lines, taken once at start and never
//! given back. A [`Frame`] owns one buffer, or for a frame that some NIC is yet to cut, a chain of
//! them: moving it is sending it, dropping it gives its buffers back, and since it cannot be cloned
//! no buffer is ever in two places. A frame that a device is to fill or to send is owned by that
//! device's ring, where nobody can reach its bytes.
//!
//! What is known of a buffer is a record, for which a frame is another word: the frame is the one
//! reference to it that there is, and as small as that. Free buffers are a chain, as those of a frame
//! are, and a stack: the one used next is the one used last, whose first lines are still in the cache.
//! Records lie outside of the buffers: a device that writes where it must not can spoil a frame, not a
//! list.
//!
//! ```text
//! first    0             64                                              2112
//! buffer   ├─ headroom ──┼─ head ────── len ─┬────────────────────────────┤
//!                 ▲ a NIC's own header lies right before the head
//!
//! further  0         52                                                  2112
//! buffer   ├─────────┼─ bytes ──────────────────── len ─┬─────────────────┤
//!                    ▲ where that header would be, or at 64: a device fills all that it was given
//! ```
//!
//! Behind the headroom there are 2048 bytes, because NICs are known that fill a buffer with as many and
//! cannot be told less. The odd number of lines spreads the heads over all of a cache; at a distance of
//! 2048 bytes those of a batch would want the same few places of it.
//!
//! A frame is its head to those who read it: all headers are there, and nobody looks further. What is
//! put before the head or taken off it moves where it begins, and no byte behind.

use alloc::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::mem::{self, ManuallyDrop};
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use crate::offload::Offload;

/// One buffer.
pub const BUFFER_BYTES: usize = HEADROOM_BYTES + HEAD_BYTES_MAX;
/// Bytes of a buffer before the frame's first.
pub const HEADROOM_BYTES: usize = CACHE_LINE_BYTES;
/// What a NIC puts before the head.
pub(crate) const NIC_HEADER_BYTES: usize = 12;
/// The longest head, and so the longest frame in one buffer.
pub const HEAD_BYTES_MAX: usize = 2048;
/// The most that a further buffer can hold.
pub(crate) const FURTHER_BYTES_MAX: usize = BUFFER_BYTES - FURTHER_AT;
const FURTHER_AT: usize = HEADROOM_BYTES - NIC_HEADER_BYTES;

/// The longest frame: Ethernet with two tags, an IPv6 header, and all that this may announce.
pub const FRAME_BYTES_MAX: usize = 14 + 2 * 4 + 40 + 65_535;
/// The buffers that it takes.
pub const BUFFERS_PER_FRAME_MAX: usize =
    1 + (FRAME_BYTES_MAX - HEAD_BYTES_MAX).div_ceil(FURTHER_BYTES_MAX);

const PAGE_BYTES: usize = 4096;
const CACHE_LINE_BYTES: usize = 64;
const _: () = assert!(BUFFER_BYTES / CACHE_LINE_BYTES % 2 == 1);

/// A fixed number of buffers for one core.
pub struct Pool {
    /// The first of the buffers that nobody owns, and how many there are.
    top: Cell<Option<Frame>>,
    free: Cell<usize>,
    total: usize,
}

/// An Ethernet frame and the buffers it lies in. One word, so that moving it costs nothing.
pub struct Frame(ManuallyDrop<&'static mut Record>);

/// What is known of a buffer, and of the frame that begins in it or goes on in it.
#[repr(align(64))]
struct Record {
    pool: &'static Pool,
    /// Where the buffer begins.
    buffer: NonNull<u8>,
    /// Where in it the frame's bytes begin, and how many there are.
    head: NonNull<u8>,
    head_len: u32,
    /// How the frame goes on, in how many buffers and bytes. Of a free buffer, the next free one.
    next: Option<Frame>,
    further_buffers: u32,
    further_bytes: u32,
    offload: Offload,
}

const _: () = assert!(size_of::<Record>() == CACHE_LINE_BYTES, "found in one line");

impl Pool {
    /// Memory that each buffer takes, what is kept beside it included.
    pub const BYTES_PER_BUFFER: usize = BUFFER_BYTES + size_of::<Record>();

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
        let pool = Pool { top: Cell::new(None), free: Cell::new(0), total: count };
        let pool: &Pool = Box::leak(Box::new(pool));
        let record = |at| {
            // SAFETY: the region was made of `count` buffers, and `at` is below that.
            let buffer = unsafe { region.add(at * BUFFER_BYTES) };
            Record::new(pool, buffer)
        };
        let records: Box<[Record]> = (0..count).map(record).collect();
        for record in Box::leak(records).iter_mut().rev() {
            pool.put_back(record);
        }
        pool
    }

    /// An empty frame, or `None` when every buffer is owned by somebody.
    #[inline]
    pub fn take(&self) -> Option<Frame> {
        let mut frame = self.top.take()?;
        self.set_top(frame.0.next.take());
        self.free.set(self.free.get() - 1);
        frame.0.begin_at(HEADROOM_BYTES);
        frame.0.offload = Offload::default();
        Some(frame)
    }

    /// A frame with these bytes in as many buffers as it takes, or `None` when they are more than a
    /// frame holds or too few buffers are free.
    pub fn take_copy(&self, bytes: &[u8]) -> Option<Frame> {
        let mut left = bytes;
        self.take_with(bytes.len(), |part| {
            let (now, later) = left.split_at(part.len());
            part.copy_from_slice(now);
            left = later;
        })
    }

    /// A frame of `len` bytes, which are put in one buffer after the other, or `None` when they are more
    /// than a frame holds or too few buffers are free.
    pub fn take_with(&self, len: usize, mut put: impl FnMut(&mut [u8])) -> Option<Frame> {
        if len > FRAME_BYTES_MAX {
            return None;
        }
        let mut frame = self.take()?;
        frame.set_len(len.min(HEAD_BYTES_MAX));
        put(&mut frame);
        while frame.total_len() < len {
            let part_len = (len - frame.total_len()).min(FURTHER_BYTES_MAX);
            frame.append_with(part_len, &mut put)?;
        }
        Some(frame)
    }

    /// Buffers that nobody owns.
    pub fn free(&self) -> usize {
        self.free.get()
    }

    /// All buffers.
    pub fn total(&self) -> usize {
        self.total
    }

    #[inline]
    fn put_back(&self, record: &'static mut Record) {
        mem::forget(mem::replace(&mut record.next, self.top.take()));
        self.set_top(Some(Frame(ManuallyDrop::new(record))));
        self.free.set(self.free.get() + 1);
    }

    /// Its place is empty: nobody need look for a frame to drop.
    #[inline]
    fn set_top(&self, frame: Option<Frame>) {
        mem::forget(self.top.replace(frame));
    }
}

impl Record {
    fn new(pool: &'static Pool, buffer: NonNull<u8>) -> Record {
        Record {
            pool,
            buffer,
            head: buffer,
            head_len: 0,
            next: None,
            further_buffers: 0,
            further_bytes: 0,
            offload: Offload::default(),
        }
    }

    /// Has an empty frame's bytes begin here.
    #[inline]
    fn begin_at(&mut self, offset: usize) {
        assert!(offset < BUFFER_BYTES);
        // SAFETY: inside of the buffer, as was just seen.
        self.head = unsafe { self.buffer.add(offset) };
        self.head_len = 0;
    }

    /// Lets go of what follows.
    #[cold]
    fn end(&mut self) {
        self.next = None;
        (self.further_buffers, self.further_bytes) = (0, 0);
    }
}

impl Frame {
    /// Bytes of the whole frame; its own length is the head's.
    #[inline]
    pub fn total_len(&self) -> usize {
        (self.0.head_len + self.0.further_bytes) as usize
    }

    /// Buffers that it lies in.
    #[inline]
    pub fn buffers(&self) -> usize {
        1 + self.0.further_buffers as usize
    }

    /// What is left to do to it.
    #[inline]
    pub fn offload(&self) -> Offload {
        self.0.offload
    }

    #[inline]
    pub fn set_offload(&mut self, offload: Offload) {
        self.0.offload = offload;
    }

    /// What follows the head, buffer by buffer.
    pub fn further(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().skip(1).map(Deref::deref)
    }

    /// The same frame in buffers of its own, for flooding.
    pub fn copy(&self) -> Option<Frame> {
        let mut copy = self.0.pool.take()?;
        copy.0.begin_at(self.headroom());
        copy.set_len(self.len());
        copy.copy_from_slice(self);
        for part in self.further() {
            copy.append_copy(part)?;
        }
        copy.set_offload(self.offload());
        Some(copy)
    }

    /// Makes the head `len` bytes long. Bytes that this adds are whatever the buffer carried last:
    /// they are the caller's to write.
    ///
    /// # Panics
    /// When `len` is more than its buffer has: [`HEAD_BYTES_MAX`] for a frame that was just taken.
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.room(), "a head of {len} bytes does not fit its buffer");
        self.0.head_len = len as u32;
    }

    /// Puts these bytes into the head behind the first `at`, which move up for them.
    ///
    /// # Panics
    /// When the head is shorter than `at`, or so much was put in that none of the headroom is left
    /// that a NIC needs.
    pub fn insert<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        const { assert!(N.is_multiple_of(4)) };
        assert!(at <= self.len(), "behind {at} bytes of a head of {}", self.len());
        assert!(self.headroom() >= NIC_HEADER_BYTES + N, "no headroom for {N} bytes");
        // SAFETY: so many bytes of headroom are in the same buffer, as was just seen.
        self.0.head = unsafe { self.0.head.sub(N) };
        self.0.head_len += N as u32;
        self.copy_within(N..N + at, 0);
        self[at..at + N].copy_from_slice(&bytes);
        self.0.offload.move_by(N as isize);
    }

    /// Takes `N` bytes out of the head behind the first `at`, which move down; gives them back.
    ///
    /// # Panics
    /// When the head is shorter than that.
    pub fn remove<const N: usize>(&mut self, at: usize) -> [u8; N] {
        const { assert!(N.is_multiple_of(4)) };
        let removed = *self[at..].first_chunk().expect("so many bytes are in the head");
        self.copy_within(..at, N);
        // SAFETY: the head has so many bytes, so this is in the same buffer.
        self.0.head = unsafe { self.0.head.add(N) };
        self.0.head_len -= N as u32;
        self.0.offload.move_by(-(N as isize));
        removed
    }

    /// Bytes of its first buffer before the head.
    #[inline]
    fn headroom(&self) -> usize {
        self.0.head.addr().get() - self.0.buffer.addr().get()
    }

    /// Bytes that the head may have where it begins.
    #[inline]
    fn room(&self) -> usize {
        BUFFER_BYTES - self.headroom()
    }

    /// The frame as buffers, each with the bytes in it.
    fn parts(&self) -> impl Iterator<Item = &Frame> {
        core::iter::successors(Some(self), |part| part.0.next.as_ref())
    }

    /// Adds a buffer of `len` bytes: those that lie in it from where its header would have been.
    ///
    /// # Panics
    /// When `len` is more than [`FURTHER_BYTES_MAX`].
    pub(crate) fn append(&mut self, mut frame: Frame, len: usize) {
        frame.0.begin_at(FURTHER_AT);
        self.append_head(frame, len);
    }

    /// Adds a buffer of `len` bytes: those that lie where its head is.
    ///
    /// # Panics
    /// When `len` is more than [`HEAD_BYTES_MAX`].
    pub(crate) fn append_head(&mut self, mut frame: Frame, len: usize) {
        frame.set_len(len);
        self.link(frame);
    }

    /// Adds a buffer with these bytes, or nothing when none is free.
    fn append_copy(&mut self, bytes: &[u8]) -> Option<()> {
        self.append_with(bytes.len(), |part| part.copy_from_slice(bytes))
    }

    /// Adds a buffer of `len` bytes, which are put there, or nothing when none is free.
    fn append_with(&mut self, len: usize, put: impl FnOnce(&mut [u8])) -> Option<()> {
        let mut frame = self.0.pool.take()?;
        frame.0.begin_at(FURTHER_AT);
        frame.set_len(len);
        put(&mut frame);
        self.link(frame);
        Some(())
    }

    /// Has a frame of one buffer follow the last; a chain is short enough to look for its end.
    fn link(&mut self, frame: Frame) {
        debug_assert_eq!(frame.buffers(), 1);
        self.0.further_buffers += 1;
        self.0.further_bytes += frame.0.head_len;
        let mut end = &mut self.0.next;
        while let Some(part) = end {
            end = &mut part.0.next;
        }
        *end = Some(frame);
    }

    /// Where the device finds the NIC's header and the head, and how many bytes both have. Virtual is
    /// physical in this image.
    #[inline]
    pub(crate) fn device_head(&self) -> (u64, u32) {
        (self.device_address(), NIC_HEADER_BYTES as u32 + self.0.head_len)
    }

    /// The same of what follows, buffer by buffer.
    pub(crate) fn further_parts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.parts().skip(1).map(|part| (part.head_address(), part.0.head_len))
    }

    /// All buffers, for a NIC without a header of its own.
    pub(crate) fn bare_parts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.parts().map(|part| (part.head_address(), part.0.head_len))
    }

    /// Where the device finds the head.
    #[inline]
    pub(crate) fn head_address(&self) -> u64 {
        self.0.head.addr().get() as u64
    }

    /// Where the device finds the NIC's header and the head after it.
    #[inline]
    pub(crate) fn device_address(&self) -> u64 {
        self.head_address() - NIC_HEADER_BYTES as u64
    }

    /// Reads the NIC's header, once, into memory that no device can change.
    #[inline]
    pub(crate) fn read_header(&self) -> [u8; NIC_HEADER_BYTES] {
        // SAFETY: the headroom lies before the head and belongs to this frame alone; volatile, so
        // that it is read now and not again while a decision is being made.
        let [a, b, c] = unsafe { self.header().read_volatile() }.map(u32::to_ne_bytes);
        let mut header = [0; NIC_HEADER_BYTES];
        header[..4].copy_from_slice(&a);
        header[4..8].copy_from_slice(&b);
        header[8..].copy_from_slice(&c);
        header
    }

    #[inline]
    pub(crate) fn write_header(&mut self, header: [u8; NIC_HEADER_BYTES]) {
        // SAFETY: as in `read_header`, and `&mut self` makes this the only access.
        unsafe { self.header().cast().write(header) }
    }

    /// In words, since bytes would be read one by one.
    fn header(&self) -> NonNull<[u32; NIC_HEADER_BYTES / 4]> {
        const { assert!(NIC_HEADER_BYTES <= HEADROOM_BYTES && HEADROOM_BYTES.is_multiple_of(4)) };
        // SAFETY: `insert` leaves so many bytes before the head, in the same buffer; what it and
        // `remove` move the head by is a multiple of four.
        unsafe { self.0.head.sub(NIC_HEADER_BYTES).cast() }
    }
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: (1) `set_len`, `insert` and `remove` keep the head inside the buffer; (2) the buffer was
        // zeroed at start and so is initialised; (3) a buffer has one record, and that one frame.
        unsafe { slice::from_raw_parts(self.0.head.as_ptr(), self.0.head_len as usize) }
    }
}

impl DerefMut for Frame {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.0.head.as_ptr(), self.0.head_len as usize) }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a frame is dropped once, and nobody has it afterwards.
        let record = unsafe { ManuallyDrop::take(&mut self.0) };
        if record.next.is_some() {
            record.end();
        }
        record.pool.put_back(record);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes, {:?})", self.total_len(), self.offload())
    }
}

#[cfg(test)]
mod tests;
