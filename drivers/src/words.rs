//! Memory that a driver and its device write to in turn: descriptors, in words of 64 bits.
//!
//! This file reads and writes, and decides nothing. Each access touches shared memory exactly once,
//! and what it read is the caller's own copy. A word is never torn, so what a device writes into one
//! (that it is done, and how much) belongs together.
//!
//! Memory that a device was told of is given back only after it was seen to be quiet: else it might
//! still write to it.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

const PAGE_BYTES: usize = 4096;
pub const WORD_BYTES: usize = 8;

pub struct Words {
    base: NonNull<u64>,
    count: usize,
    /// Whether some device knows where they lie.
    is_known: Cell<bool>,
}

impl Words {
    /// Words that are zero, at the beginning of a page; `None` when there is no memory left.
    pub fn new(count: usize) -> Option<Words> {
        assert!(count > 0);
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(Self::layout(count)?) })?.cast();
        Some(Words { base, count, is_known: Cell::new(false) })
    }

    fn layout(count: usize) -> Option<Layout> {
        Layout::from_size_align(count.checked_mul(WORD_BYTES)?, PAGE_BYTES).ok()
    }

    /// Where the device finds a word. Virtual is physical in this image.
    pub fn address(&self, at: usize) -> u64 {
        self.is_known.set(true);
        self.word(at).addr().get() as u64
    }

    /// A word as the device or we left it. What it announces may be read afterwards.
    pub fn read(&self, at: usize) -> u64 {
        // SAFETY: (1) `word` stays inside the allocation; (2) no reference to this memory is ever
        // made, and the access is volatile, so the device's writes are no more than changed values.
        let value = unsafe { self.word(at).read_volatile() };
        fence(Ordering::Acquire);
        value
    }

    /// Writes a word, after all that was written before.
    pub fn write(&mut self, at: usize, value: u64) {
        fence(Ordering::Release);
        // SAFETY: as in `read`.
        unsafe { self.word(at).write_volatile(value) }
    }

    /// All zero, and ours alone: no device goes on with what it was told of them.
    pub fn take_back(&mut self) {
        (0..self.count).for_each(|at| self.write(at, 0));
        self.is_known.set(false);
    }

    fn word(&self, at: usize) -> NonNull<u64> {
        assert!(at < self.count, "a word beyond the memory");
        // SAFETY: inside of the allocation, as was just seen.
        unsafe { self.base.add(at) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if let (false, Some(layout)) = (self.is_known.get(), Self::layout(self.count)) {
            // SAFETY: it was allocated with this layout, and nobody else knows of it.
            unsafe { dealloc(self.base.as_ptr().cast(), layout) }
        }
    }
}
