//! The memory that a split virtqueue shares with its device (2.7), and bytes that requests are about.
//!
//! This file reads and writes, and decides nothing. Each access touches shared memory exactly
//! once, and what it read is the caller's own copy: the device may change it at any time and as
//! often as it likes. Indices are reduced here, so no argument reaches beyond the ring.
//!
//! ```text
//!  0            16 n                 22 n + 64-byte alignment
//!  ├ descriptors ├ flags idx ring[n] ─┼ flags idx element[n] ─┤
//!    ours to write, "available"         the device's, "used"
//! ```
//!
//! Rings that a device was told of are given back only after it was seen to be quiet: else it might
//! still write to them.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

const PAGE_BYTES: usize = 4096;
const DESCRIPTOR_BYTES: usize = 16;
const USED_ELEMENT_BYTES: usize = 8;
/// Flags and index before the elements of both rings.
const RING_HEAD_BYTES: usize = 4;

/// `avail.flags`: no interrupt wanted (2.7.7).
const NO_INTERRUPT: u16 = 1;
/// `used.flags`: no doorbell wanted (2.7.10).
const NO_NOTIFY: u16 = 1;

/// The number of elements of a ring: a power of two from 2 to 32768 (2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingSize(u16);

impl RingSize {
    pub const fn new(size: u16) -> Option<RingSize> {
        if size >= 2 && size.is_power_of_two() { Some(RingSize(size)) } else { None }
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    fn count(self) -> usize {
        usize::from(self.0)
    }

    /// Where the element with this free-running index lies.
    fn slot(self, index: u16) -> usize {
        usize::from(index & (self.0 - 1))
    }
}

/// What a descriptor says (2.7.5). `next` is another's number if the flags say that there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub address: u64,
    pub len: u32,
    pub flags: u16,
    pub next: u16,
}

/// An element of the used ring, as the device wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedElement {
    pub id: u32,
    pub len: u32,
}

/// Where the three parts lie, as the device is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingAddresses {
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
}

pub struct RingMemory {
    base: NonNull<u8>,
    size: RingSize,
    /// Where the available and the used ring begin, from there.
    available: usize,
    used: usize,
    /// Whether some device knows where it lies.
    is_known: Cell<bool>,
}

impl RingMemory {
    /// Zeroed memory for a ring, or `None` when there is none left.
    pub fn new(size: RingSize) -> Option<RingMemory> {
        // SAFETY: the layout's size is not zero, since a ring has at least two elements.
        let base = NonNull::new(unsafe { alloc_zeroed(Self::layout(size)?) })?;
        let (available, used) = (Self::available_offset(size), Self::used_offset(size));
        Some(RingMemory { base, size, available, used, is_known: Cell::new(false) })
    }

    fn layout(size: RingSize) -> Option<Layout> {
        Layout::from_size_align(Self::bytes(size), PAGE_BYTES).ok()
    }

    pub fn size(&self) -> RingSize {
        self.size
    }

    /// Virtual is physical in this image.
    pub fn addresses(&self) -> RingAddresses {
        self.is_known.set(true);
        let base = self.base.as_ptr() as u64;
        RingAddresses {
            descriptors: base,
            available: base + self.available as u64,
            used: base + self.used as u64,
        }
    }

    pub fn write_descriptor(&mut self, id: u16, descriptor: Descriptor) {
        let Descriptor { address, len, flags, next } = descriptor;
        let at = self.size.slot(id) * DESCRIPTOR_BYTES;
        self.write::<u64>(at, address);
        // The rest in one piece: length, flags, next.
        let rest = u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48;
        self.write::<u64>(at + 8, rest.to_le());
    }

    /// Puts a descriptor's number at a place of the available ring. The device sees it once
    /// `publish` has moved past it.
    pub fn write_available(&mut self, index: u16, id: u16) {
        let at = self.available + RING_HEAD_BYTES + 2 * self.size.slot(index);
        self.write::<u16>(at, id);
    }

    /// Shows the device everything before `index`, and tells whether it wants its doorbell rung.
    pub fn publish(&mut self, index: u16) -> bool {
        // What was queued must be seen before the index that covers it (2.7.13.3.1).
        fence(Ordering::Release);
        self.write::<u16>(self.available + 2, index);
        // The index must be seen before the flag is read: the device does the two in the other
        // order, and else both could go to sleep (2.7.13.4.1).
        fence(Ordering::SeqCst);
        self.read::<u16>(self.used) & NO_NOTIFY == 0
    }

    pub fn want_interrupts(&mut self) {
        self.write::<u16>(self.available, 0);
        // The flag must be seen before the caller looks at the used ring a last time.
        fence(Ordering::SeqCst);
    }

    pub fn refuse_interrupts(&mut self) {
        self.write::<u16>(self.available, NO_INTERRUPT);
    }

    pub fn used_index(&self) -> u16 {
        let index = self.read::<u16>(self.used + 2);
        // What the index covers must be read after it.
        fence(Ordering::Acquire);
        index
    }

    pub fn used_element(&self, index: u16) -> UsedElement {
        let at = self.used + RING_HEAD_BYTES + USED_ELEMENT_BYTES * self.size.slot(index);
        UsedElement { id: self.read::<u32>(at), len: self.read::<u32>(at + 4) }
    }

    /// All zero, as a device that begins anew expects it, and ours alone: no device goes on with what
    /// it was told of it.
    pub fn take_back(&mut self) {
        // SAFETY: `base` is the start of an allocation of this many bytes, and ours alone.
        unsafe { self.base.write_bytes(0, Self::bytes(self.size)) }
        self.is_known.set(false);
    }

    fn available_offset(size: RingSize) -> usize {
        DESCRIPTOR_BYTES * size.count()
    }

    /// On a cache line of its own: the device writes here and we write before it.
    fn used_offset(size: RingSize) -> usize {
        (Self::available_offset(size) + RING_HEAD_BYTES + 2 * size.count()).next_multiple_of(64)
    }

    fn bytes(size: RingSize) -> usize {
        Self::used_offset(size) + RING_HEAD_BYTES + USED_ELEMENT_BYTES * size.count()
    }

    fn read<T: Copy>(&self, at: usize) -> T {
        debug_assert!(at.is_multiple_of(align_of::<T>()));
        // SAFETY: (1) `at` is one of the offsets computed above from an index below the ring's
        // size, so the access lies inside the allocation, aligned; (2) `T` is `u16` or `u32`, of
        // which every bit pattern is a value; (3) no reference to this memory is ever made, and
        // the access is volatile, so the device's writes are no more than changed values.
        unsafe { self.base.add(at).cast::<T>().read_volatile() }
    }

    fn write<T: Copy>(&mut self, at: usize, value: T) {
        debug_assert!(at.is_multiple_of(align_of::<T>()));
        // SAFETY: as in `read`; `T` is `u16`, `u32` or `u64`.
        unsafe { self.base.add(at).cast::<T>().write_volatile(value) }
    }
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        if let (false, Some(layout)) = (self.is_known.get(), Self::layout(self.size)) {
            // SAFETY: it was allocated with this layout, and nobody else knows of it.
            unsafe { dealloc(self.base.as_ptr(), layout) }
        }
    }
}

/// Bytes that a device reads and writes while requests for them are under way.
pub struct SharedBytes {
    base: NonNull<u8>,
    len: usize,
}

impl SharedBytes {
    /// Zeroed memory of its own pages, or `None` when there is none left. `len` is not zero.
    pub fn new(len: usize) -> Option<SharedBytes> {
        let layout = Layout::from_size_align(len, PAGE_BYTES).ok()?;
        assert!(len > 0);
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(SharedBytes { base, len })
    }

    /// Where the byte at `at` lies, as the device is told.
    pub fn address(&self, at: usize) -> u64 {
        assert!(at < self.len);
        self.base.as_ptr() as u64 + at as u64
    }

    /// Copies out, each byte once.
    pub fn read(&self, at: usize, into: &mut [u8]) {
        assert!(at <= self.len && into.len() <= self.len - at);
        for (offset, byte) in into.iter_mut().enumerate() {
            // SAFETY: inside of the allocation, as was just seen; volatile, and no reference to
            // this memory is ever made, so the device's writes are no more than changed values.
            *byte = unsafe { self.base.add(at + offset).read_volatile() };
        }
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.len && bytes.len() <= self.len - at);
        for (offset, &byte) in bytes.iter().enumerate() {
            // SAFETY: as in `read`.
            unsafe { self.base.add(at + offset).write_volatile(byte) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d15_sizes_that_no_ring_can_have() {
        for size in [0, 1, 3, 255, 65_535] {
            assert_eq!(RingSize::new(size), None, "{size}");
        }
        for size in [2, 256, 32_768] {
            assert_eq!(RingSize::new(size).map(RingSize::get), Some(size));
        }
    }

    /// The alignments of 2.7: 16, 2 and 4; and no part reaches into the next.
    #[test]
    fn the_parts_are_aligned_and_apart() {
        for shift in 1..16 {
            let size = RingSize::new(1 << shift).unwrap();
            let n = u64::from(size.get());
            let RingAddresses { descriptors, available, used } =
                RingMemory::new(size).unwrap().addresses();
            assert_eq!((descriptors % 16, available % 2, used % 4), (0, 0, 0));
            assert!(descriptors + 16 * n <= available, "{n}");
            assert!(available + 4 + 2 * n <= used, "{n}");
            assert!((used - descriptors + 4 + 8 * n) as usize <= RingMemory::bytes(size), "{n}");
        }
    }
}
