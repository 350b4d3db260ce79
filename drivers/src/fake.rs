//! What the fake devices of the tests share: memory as a device sees it, what chips do to frames, and
//! chance from a seed.

use crate::pool::{BUFFER_BYTES, HEADROOM_BYTES, Pool};
use std::ops::Range;

mod wire;

pub use wire::{Packet, cut, finish, numbered, packets, whole};

/// A pool and where its buffers lie, as a device would know it.
#[derive(Clone)]
pub struct Arena {
    pub pool: &'static Pool,
    region: Range<u64>,
}

impl Arena {
    pub fn new(count: usize) -> Arena {
        let pool = Pool::new(count);
        let frames: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        let buffers = || frames.iter().map(|frame| frame.head_address() - HEADROOM_BYTES as u64);
        let end = buffers().max().unwrap() + BUFFER_BYTES as u64;
        let region = buffers().min().unwrap()..end;
        Arena { pool, region }
    }

    /// Where in its buffer an address is.
    #[track_caller]
    pub fn offset(&self, address: u64) -> usize {
        assert!(self.region.contains(&address), "outside of the pool");
        (address - self.region.start) as usize % BUFFER_BYTES
    }
}

/// Numbers that are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// Reads memory that a driver has told its device about.
pub fn read<T: Copy>(address: u64) -> T {
    // SAFETY: a ring's address, or one inside of a buffer that an arena has checked; both are
    // memory that is never freed, and the tests of a device run on one thread.
    unsafe { (address as usize as *const T).read_volatile() }
}

pub fn write<T: Copy>(address: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { (address as usize as *mut T).write_volatile(value) }
}
