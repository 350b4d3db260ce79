//! The receive ring: extended descriptors (82574, 7.1.4), each a buffer of 2048 bytes.
//!
//! ```text
//!            63                                    0
//!  we give   ├─────────── buffer's address ───────┤
//!            ├────────────────── 0 ───────────────┤
//!  it says   ├──── checksum, hash: unused ────────┤
//!            ├─ tag ──┬─ length ─┬ errors, status ┤   DD: done, EOP: the frame ends here
//! ```
//!
//! The chip does descriptors in order and says so by a bit in each, so its head register is never
//! asked. What it says lies in one word, which is read once. Buffers and their places are remembered
//! here: a descriptor that it was not given is not looked at, whatever it writes there.
//!
//! Buffers go out a batch at a time: a write to the tail register is a trip to the hypervisor.

use super::{RING, SLOT_MASK};
use crate::nic::RingFault;
use crate::pool::{Frame, HEAD_BYTES_MAX};
use crate::words::Words;
use alloc::boxed::Box;
use core::mem;

/// What the chip may write to a buffer: all behind the headroom.
const BUFFER_BYTES: u64 = HEAD_BYTES_MAX as u64;
/// Descriptors of the longest frame that the chip takes in, of 16384 bytes.
const DESCRIPTORS_MAX: u16 = 8;

const DONE: u64 = 1 << 0;
const END_OF_PACKET: u64 = 1 << 1;
/// Damage on the wire or in the chip: symbol, sequence, carrier extension, alignment or CRC, data.
const ERRORS: u64 = 0b1001_0111 << 24;
const LENGTH_SHIFT: u32 = 32;

pub struct ReceiveRing {
    words: Words,
    /// By descriptor: the buffer behind it, if the chip has it.
    slots: Box<[Option<Frame>]>,
    /// Free-running: what the chip has been given, and what it has given back.
    given: u16,
    taken: u16,
    /// Where the next frame was missing when it was looked at last while a later one was there.
    gap: Option<u16>,
}

/// What the chip received.
#[derive(Debug)]
pub enum Received {
    Frame(Frame),
    /// Bytes that the chip itself says are not what was sent.
    Damaged,
}

impl ReceiveRing {
    pub fn new() -> Option<ReceiveRing> {
        let words = Words::new(2 * usize::from(RING))?;
        let slots = (0..RING).map(|_| None).collect();
        Some(ReceiveRing { words, slots, given: 0, taken: 0, gap: None })
    }

    pub fn address(&self) -> u64 {
        self.words.address(0)
    }

    /// Buffers that `give` would still take: all but one, since a full ring would look empty.
    pub fn room(&self) -> usize {
        usize::from(RING - 1 - self.in_flight())
    }

    /// Gives the chip a buffer that was just taken from the pool. It sees it when the tail is moved.
    pub fn give(&mut self, frame: Frame) {
        assert!(self.room() > 0, "the ring is full");
        let at = slot(self.given);
        self.words.write(2 * at, frame.head_address());
        self.words.write(2 * at + 1, 0);
        self.slots[at] = Some(frame);
        self.given = self.given.wrapping_add(1);
    }

    /// Where our part of the ring begins.
    pub fn tail(&self) -> u32 {
        slot(self.given) as u32
    }

    /// Whether a frame, or a part of one, has come.
    pub fn is_waiting(&self) -> bool {
        self.in_flight() > 0 && self.status(0) & DONE != 0
    }

    /// The next frame, if all of it is there.
    pub fn take(&mut self) -> Result<Option<Received>, RingFault> {
        let mut parts = heapless::Vec::<u64, { DESCRIPTORS_MAX as usize }>::new();
        for offset in 0..self.in_flight() {
            let status = self.status(offset);
            if status & DONE == 0 {
                return Ok(None);
            }
            if length(status) > BUFFER_BYTES || parts.push(status).is_err() {
                return Err(RingFault::UsedLen);
            }
            if status & END_OF_PACKET != 0 {
                return self.gather(&parts).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether descriptors are done in order. One that is skipped may be late once, not twice.
    pub fn check_order(&mut self) -> Result<(), RingFault> {
        let skips =
            self.in_flight() > 1 && self.status(0) & DONE == 0 && self.status(1) & DONE != 0;
        let gap = skips.then_some(self.taken);
        if skips && self.gap == gap {
            return Err(RingFault::UsedIdx);
        }
        self.gap = gap;
        Ok(())
    }

    /// Gives every buffer back to the pool and begins anew; for a chip that has stopped.
    pub fn take_back(&mut self) {
        self.slots.fill_with(|| None);
        self.words.take_back();
        (self.given, self.taken, self.gap) = (0, 0, None);
    }

    /// Makes a frame of the buffers of these descriptors, which are the next ones.
    fn gather(&mut self, parts: &[u64]) -> Result<Received, RingFault> {
        let mut whole: Option<Frame> = None;
        for &status in parts {
            let mut frame = self.slots[slot(self.taken)].take().ok_or(RingFault::UsedNotHead)?;
            self.taken = self.taken.wrapping_add(1);
            let len = length(status) as usize;
            match &mut whole {
                None => {
                    frame.set_len(len);
                    whole = Some(frame);
                }
                // The CRC, which the chip strips, may have been all that was in the last.
                Some(_) if len == 0 => {}
                Some(whole) => whole.append_head(frame, len),
            }
        }
        let is_damaged = parts.iter().any(|status| status & ERRORS != 0);
        match whole {
            Some(frame) if !is_damaged => Ok(Received::Frame(frame)),
            Some(_) | None => Ok(Received::Damaged),
        }
    }

    fn in_flight(&self) -> u16 {
        self.given.wrapping_sub(self.taken)
    }

    /// The status word of a descriptor that the chip has, counted from the next one.
    fn status(&self, offset: u16) -> u64 {
        self.words.read(2 * slot(self.taken.wrapping_add(offset)) + 1)
    }
}

impl Drop for ReceiveRing {
    /// Without `take_back` its frames are kept from the pool for good: the chip might still write.
    fn drop(&mut self) {
        mem::take(&mut self.slots).into_iter().for_each(mem::forget);
    }
}

fn slot(index: u16) -> usize {
    usize::from(index & SLOT_MASK)
}

fn length(status: u64) -> u64 {
    status >> LENGTH_SHIFT & 0xffff
}
