//! Frames and the pool that their buffers come from.
//!
//! The pool is one contiguous region cut into buffers of 33 cache lines, taken once at start and never
//! given back. A [`Frame`] owns one buffer, or for a frame that some NIC is yet to cut, a chain of
//! them: moving it is sending it, dropping it gives its buffers back, and since it cannot be cloned
//! no buffer is ever in two places. A frame that a device is to fill or to send is owned by that
//! device's ring, where nobody can reach its bytes.
//!
//! The free list is a stack, so the buffer used next is the one used last, whose first lines are
//! still in the cache. It and the links of the chains are kept outside of the buffers: a device
//! that writes where it must not can spoil a frame, not a list.
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
use core::mem::ManuallyDrop;
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
    region: NonNull<u8>,
    /// The stack: the first `free` entries are the buffers that nobody owns.
    stack: Box<[Cell<Buffer>]>,
    free: Cell<usize>,
    /// By buffer, of those that are a frame's further ones: how they go on.
    links: Box<[Cell<Link>]>,
}

/// A buffer's number, below the number of all.
type Buffer = u32;

/// A further buffer in its chain: where in it the bytes are, and how many. `next` means something in
/// all but the last.
#[derive(Clone, Copy, Default)]
struct Link {
    at: u16,
    len: u16,
    next: Buffer,
}

/// The further buffers of a frame, in order. `first` and `last` mean something unless `count` is 0.
#[derive(Clone, Copy, Default)]
struct Chain {
    first: Buffer,
    last: Buffer,
    count: u32,
    bytes: u32,
}

/// An Ethernet frame and the buffers it lies in.
pub struct Frame {
    /// Where the head begins.
    head: NonNull<u8>,
    head_len: usize,
    further: Chain,
    pool: &'static Pool,
    pub offload: Offload,
}

impl Pool {
    /// Memory that each buffer takes, what is kept beside it included.
    pub const BYTES_PER_BUFFER: usize =
        BUFFER_BYTES + size_of::<Cell<Buffer>>() + size_of::<Cell<Link>>();

    /// A pool of `count` buffers. Its memory is never given back: an appliance has one pool for
    /// life, and devices know its addresses.
    ///
    /// # Panics
    /// When `count` is zero or the memory is not there: nothing works without buffers.
    pub fn new(count: usize) -> &'static Pool {
        let layout = count
            .checked_mul(BUFFER_BYTES)
            .and_then(|bytes| Layout::from_size_align(bytes, PAGE_BYTES).ok())
            .filter(|layout| layout.size() > 0 && Buffer::try_from(count).is_ok())
            .expect("a pool has at least one buffer and fits into the address space");
        // SAFETY: the layout's size is not zero.
        let region = NonNull::new(unsafe { alloc_zeroed(layout) })
            .unwrap_or_else(|| handle_alloc_error(layout));
        let stack = (0..count as Buffer).rev().map(Cell::new).collect();
        let links = (0..count).map(|_| Cell::default()).collect();
        Box::leak(Box::new(Pool { region, stack, free: Cell::new(count), links }))
    }

    /// An empty frame, or `None` when every buffer is owned by somebody.
    pub fn take(&'static self) -> Option<Frame> {
        let top = self.free.get().checked_sub(1)?;
        self.free.set(top);
        let head = self.at(self.stack[top].get(), HEADROOM_BYTES);
        let (further, offload) = (Chain::default(), Offload::default());
        Some(Frame { head, head_len: 0, further, pool: self, offload })
    }

    /// A frame with these bytes in as many buffers as it takes, or `None` when they are more than a
    /// frame holds or too few buffers are free.
    pub fn take_copy(&'static self, bytes: &[u8]) -> Option<Frame> {
        if bytes.len() > FRAME_BYTES_MAX {
            return None;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES_MAX));
        let mut frame = self.take()?;
        frame.set_len(head.len());
        frame.copy_from_slice(head);
        for part in rest.chunks(FURTHER_BYTES_MAX) {
            frame.append_copy(part)?;
        }
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

    /// Where this byte of this buffer is.
    fn at(&self, buffer: Buffer, offset: usize) -> NonNull<u8> {
        debug_assert!((buffer as usize) < self.total() && offset < BUFFER_BYTES);
        // SAFETY: (1) numbers of buffers come from `new`, which made the region of as many, or
        // from `number_of`; (2) offsets are this file's constants, shorter than a buffer.
        unsafe { self.region.add(buffer as usize * BUFFER_BYTES + offset) }
    }

    /// The buffer that this byte is in.
    fn number_of(&self, byte: NonNull<u8>) -> Buffer {
        ((byte.addr().get() - self.region.addr().get()) / BUFFER_BYTES) as Buffer
    }

    fn give_back(&self, buffer: Buffer) {
        let free = self.free.get();
        self.stack[free].set(buffer);
        self.free.set(free + 1);
    }

    /// A chain's buffers, and what is in each.
    fn chain(&self, chain: Chain) -> impl Iterator<Item = (Buffer, Link)> {
        let mut next = chain.first;
        (0..chain.count).map(move |_| {
            let buffer = next;
            let link = self.links[buffer as usize].get();
            next = link.next;
            (buffer, link)
        })
    }
}

impl Frame {
    /// Bytes of the whole frame; its own length is the head's.
    pub fn total_len(&self) -> usize {
        self.head_len + self.further.bytes as usize
    }

    /// Buffers that it lies in.
    pub fn buffers(&self) -> usize {
        1 + self.further.count as usize
    }

    /// What follows the head, buffer by buffer.
    pub fn further(&self) -> impl Iterator<Item = &[u8]> {
        self.pool.chain(self.further).map(|(buffer, Link { at, len, .. })| {
            let bytes = self.pool.at(buffer, at.into());
            // SAFETY: (1) `append` keeps both ends inside the buffer; (2) the buffer was zeroed at
            // start and so is initialised; (3) a buffer is in one chain at most, that of a frame.
            unsafe { slice::from_raw_parts(bytes.as_ptr(), len.into()) }
        })
    }

    /// The same frame in buffers of its own, for flooding.
    pub fn copy(&self) -> Option<Frame> {
        let mut copy = self.pool.take()?;
        copy.head = self.pool.at(self.pool.number_of(copy.head), self.headroom());
        copy.set_len(self.head_len);
        copy.copy_from_slice(self);
        for part in self.further() {
            copy.append_copy(part)?;
        }
        copy.offload = self.offload;
        Some(copy)
    }

    /// Makes the head `len` bytes long. Bytes that this adds are whatever the buffer carried last:
    /// they are the caller's to write.
    ///
    /// # Panics
    /// When `len` is more than its buffer has: [`HEAD_BYTES_MAX`] for a frame that was just taken.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.room(), "a head of {len} bytes does not fit its buffer");
        self.head_len = len;
    }

    /// Puts these bytes into the head behind the first `at`, which move up for them.
    ///
    /// # Panics
    /// When the head is shorter than `at`, or so much was put in that none of the headroom is left
    /// that a NIC needs.
    pub fn insert<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        assert!(at <= self.head_len, "behind {at} bytes of a head of {}", self.head_len);
        assert!(self.headroom() >= NIC_HEADER_BYTES + N, "no headroom for {N} bytes");
        // SAFETY: so many bytes of headroom are in the same buffer, as was just seen.
        self.head = unsafe { self.head.sub(N) };
        self.head_len += N;
        self.copy_within(N..N + at, 0);
        self[at..at + N].copy_from_slice(&bytes);
        self.offload.move_by(N as isize);
    }

    /// Takes `N` bytes out of the head behind the first `at`, which move down; gives them back.
    ///
    /// # Panics
    /// When the head is shorter than that.
    pub fn remove<const N: usize>(&mut self, at: usize) -> [u8; N] {
        let removed = *self[at..].first_chunk().expect("so many bytes are in the head");
        self.copy_within(..at, N);
        // SAFETY: the head has so many bytes, so this is in the same buffer.
        self.head = unsafe { self.head.add(N) };
        self.head_len -= N;
        self.offload.move_by(-(N as isize));
        removed
    }

    /// Bytes of its first buffer before the head.
    fn headroom(&self) -> usize {
        (self.head.addr().get() - self.pool.region.addr().get()) % BUFFER_BYTES
    }

    /// Bytes that the head may have where it begins.
    fn room(&self) -> usize {
        BUFFER_BYTES - self.headroom()
    }

    /// Adds a buffer of `len` bytes: those that lie in it from where its header would have been.
    ///
    /// # Panics
    /// When `len` is more than [`FURTHER_BYTES_MAX`].
    pub(crate) fn append(&mut self, frame: Frame, len: usize) {
        self.append_from(frame, FURTHER_AT, len);
    }

    /// Adds a buffer of `len` bytes: those that lie where its head is.
    ///
    /// # Panics
    /// When `len` is more than [`HEAD_BYTES_MAX`].
    pub(crate) fn append_head(&mut self, frame: Frame, len: usize) {
        self.append_from(frame, HEADROOM_BYTES, len);
    }

    fn append_from(&mut self, frame: Frame, at: usize, len: usize) {
        assert!(at + len <= BUFFER_BYTES, "{len} bytes do not fit a buffer");
        debug_assert_eq!(frame.buffers(), 1);
        let buffer = self.pool.number_of(ManuallyDrop::new(frame).head);
        let link = Link { at: at as u16, len: len as u16, next: 0 };
        self.pool.links[buffer as usize].set(link);
        match self.further.count {
            0 => self.further.first = buffer,
            _ => {
                let last = &self.pool.links[self.further.last as usize];
                last.set(Link { next: buffer, ..last.get() });
            }
        }
        self.further.last = buffer;
        self.further.count += 1;
        self.further.bytes += u32::from(link.len);
    }

    /// Adds a buffer with these bytes, or nothing when none is free.
    fn append_copy(&mut self, bytes: &[u8]) -> Option<()> {
        let frame = self.pool.take()?;
        let at = self.pool.at(self.pool.number_of(frame.head), FURTHER_AT);
        assert!(bytes.len() <= FURTHER_BYTES_MAX, "{} bytes do not fit a buffer", bytes.len());
        // SAFETY: (1) so many bytes lie between there and the buffer's end; (2) the buffer was
        // taken a moment ago, so this is the only access.
        unsafe { slice::from_raw_parts_mut(at.as_ptr(), bytes.len()) }.copy_from_slice(bytes);
        self.append(frame, bytes.len());
        Some(())
    }

    /// Where the device finds the frame, buffer by buffer, and how many bytes: the NIC's header and
    /// the head, then the rest. Virtual is physical in this image.
    pub(crate) fn device_parts(&self) -> impl Iterator<Item = (u64, u32)> {
        let head = (self.device_address(), (NIC_HEADER_BYTES + self.head_len) as u32);
        core::iter::once(head).chain(self.further_parts())
    }

    /// The same for a NIC without a header of its own.
    pub(crate) fn bare_parts(&self) -> impl Iterator<Item = (u64, u32)> {
        let head = (self.head_address(), self.head_len as u32);
        core::iter::once(head).chain(self.further_parts())
    }

    fn further_parts(&self) -> impl Iterator<Item = (u64, u32)> {
        self.pool.chain(self.further).map(|(buffer, Link { at, len, .. })| {
            (self.pool.at(buffer, at.into()).addr().get() as u64, len.into())
        })
    }

    /// Where the device finds the head.
    pub(crate) fn head_address(&self) -> u64 {
        self.head.addr().get() as u64
    }

    /// Where the device finds the NIC's header and the head after it.
    pub(crate) fn device_address(&self) -> u64 {
        self.head_address() - NIC_HEADER_BYTES as u64
    }

    /// Reads the NIC's header, once, into memory that no device can change.
    pub(crate) fn read_header(&self) -> [u8; NIC_HEADER_BYTES] {
        // SAFETY: the headroom lies before the head and belongs to this frame alone; volatile, so
        // that it is read now and not again while a decision is being made.
        unsafe { self.header().read_volatile() }
    }

    pub(crate) fn write_header(&mut self, header: [u8; NIC_HEADER_BYTES]) {
        // SAFETY: as in `read_header`, and `&mut self` makes this the only access.
        unsafe { self.header().write(header) }
    }

    fn header(&self) -> NonNull<[u8; NIC_HEADER_BYTES]> {
        const { assert!(NIC_HEADER_BYTES <= HEADROOM_BYTES) };
        // SAFETY: `insert` leaves so many bytes before the head, in the same buffer.
        unsafe { self.head.sub(NIC_HEADER_BYTES).cast() }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: (1) `set_len`, `insert` and `remove` keep the head inside the buffer; (2) the buffer was zeroed at
        // start and so is initialised; (3) only `take` makes frames, and gives no buffer out twice.
        unsafe { slice::from_raw_parts(self.head.as_ptr(), self.head_len) }
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { slice::from_raw_parts_mut(self.head.as_ptr(), self.head_len) }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.pool.give_back(self.pool.number_of(self.head));
        self.pool.chain(self.further).for_each(|(buffer, _)| self.pool.give_back(buffer));
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes, {:?})", self.total_len(), self.offload)
    }
}

#[cfg(test)]
mod tests;
