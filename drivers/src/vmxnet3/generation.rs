//! Rings in which a bit tells whose an element is: it turns over each time round.
//!
//! Indices run freely through 65,536, of which every ring's length is a divisor an even number of
//! times, so an index tells both the element and the bit.

use super::shared::RingAt;
use crate::words::Words;

/// Descriptors or completions: two words each.
pub struct Ring {
    words: Words,
    len: u16,
}

/// Where a completion has its bit.
const COMPLETED: u32 = 63;

impl Ring {
    pub fn new(len: u16) -> Option<Ring> {
        assert!(len.is_power_of_two() && len.is_multiple_of(32), "{len} elements");
        Some(Ring { words: Words::new(2 * usize::from(len))?, len })
    }

    pub fn at(&self) -> RingAt {
        RingAt { address: self.words.address(0), len: self.len }
    }

    pub fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.len - 1))
    }

    /// The bit of an element that has this index.
    pub fn bit(&self, index: u16) -> u64 {
        u64::from((index / self.len).is_multiple_of(2))
    }

    pub fn write(&mut self, index: u16, [low, high]: [u64; 2]) {
        let at = 2 * self.slot(index);
        self.words.write(at, low);
        self.words.write(at + 1, high);
    }

    /// The completion with this index, if it is there. Each word is read once, the bit's first.
    pub fn completion(&self, index: u16) -> Option<[u64; 2]> {
        let at = 2 * self.slot(index);
        let high = self.words.read(at + 1);
        (high >> COMPLETED == self.bit(index)).then(|| [self.words.read(at), high])
    }

    pub fn take_back(&mut self) {
        self.words.take_back();
    }
}
