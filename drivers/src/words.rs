//! Memory that a driver and its device write to in turn: descriptors, in words of 64 bits.
//!
//! This file reads and writes, and decides nothing. Each access touches shared memory exactly once,
//! and what it read is the caller's own copy. A word is never torn, so what a device writes into one
//! (that it is done, and how much) belongs together.
//!
//! The memory is never given back: a device that was never seen to be quiet might still write to it.

use alloc::alloc::{Layout, alloc_zeroed};
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

const PAGE_BYTES: usize = 4096;
pub const WORD_BYTES: usize = 8;

pub struct Words {
    base: NonNull<u64>,
    count: usize,
}

impl Words {
    /// Words that are zero, at the beginning of a page; `None` when there is no memory left.
    pub fn new(count: usize) -> Option<Words> {
        assert!(count > 0);
        let layout = Layout::from_size_align(count.checked_mul(WORD_BYTES)?, PAGE_BYTES).ok()?;
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast();
        Some(Words { base, count })
    }

    /// Where the device finds a word. Virtual is physical in this image.
    pub fn address(&self, at: usize) -> u64 {
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

    pub fn clear(&mut self) {
        (0..self.count).for_each(|at| self.write(at, 0));
    }

    fn word(&self, at: usize) -> NonNull<u64> {
        assert!(at < self.count, "a word beyond the memory");
        // SAFETY: inside of the allocation, as was just seen.
        unsafe { self.base.add(at) }
    }
}
