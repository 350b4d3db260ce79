//! The transmit queue: a ring of a frame's parts, and one of completions.
//!
//! ```text
//!             63    47       42 41 39     31     18 17    14 13      0
//!  part       ├─────────────────── address ─────────────────────────┤
//!             ├ 0 ──┬ last ─┬ what ┬ headers ┬ place, MSS ┬ whose ┬ length ┤
//!  completion ├ whose ─ 0 ────────────────────────────┬ index of last ┤
//! ```
//!
//! The first part of a frame says what is to be finished, the last one asks for a completion. A part
//! is the device's as soon as its bit says so, hence the first one's is turned when all others are
//! written. Completions come in order, each for the frame that is the oldest: any other is a fault.

use super::generation::Ring;
use super::shared::RingAt;
use crate::headers::{TcpCut, is_transport};
use crate::nic::RingFault;
use crate::offload::PartialChecksum;
use crate::pool::Frame;
use alloc::boxed::Box;
use core::mem;

const PARTS: u16 = 128;
/// Buffers that the device may have.
pub const BUFFERS: usize = PARTS as usize;

const LENGTH_MASK: u64 = 0x3fff;
const OWNER_SHIFT: u32 = 14;
const PLACE_SHIFT: u32 = 18;
const PLACE_MAX: u16 = 0x3fff;
const HEADERS_SHIFT: u32 = 32;
const HEADERS_MAX: usize = 0x3ff;
const FINISH_SUM: u64 = 2 << 42;
const CUT: u64 = 3 << 42;
/// The frame ends here, and its completion is asked for.
const LAST: u64 = 1 << 44 | 1 << 45;
/// In a completion.
const INDEX_MASK: u64 = 0xfff;

/// What is to be done to a frame, in the bits of its first part, and how its headers are made ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    bits: u64,
    cut: Option<TcpCut>,
}

pub struct TransmitQueue {
    ring: Ring,
    completions: Ring,
    /// By part: the frame that begins there, if the device has it.
    slots: Box<[Slot]>,
    /// Free-running: what was pushed, what the device was told of, and what it is done with.
    pushed: u16,
    told: u16,
    done: u16,
    completed: u16,
}

#[derive(Default)]
struct Slot {
    frame: Option<Frame>,
    /// The frame's last part, free-running.
    last: u16,
}

impl Work {
    /// What the frame leaves undone, told as the device wants it. `None` for what it has no words for.
    pub fn of(frame: &Frame) -> Option<Work> {
        match (frame.offload().segments, frame.offload().checksum) {
            (None, None) => Some(Work::default()),
            (None, Some(checksum)) => Work::sum(checksum, frame),
            (Some(_), _) => {
                let cut = TcpCut::of(frame)?;
                let bits = CUT | headers(cut.headers_len)? | place(cut.payload_len)?;
                Some(Work { bits, cut: Some(cut) })
            }
        }
    }

    fn sum(PartialChecksum { start, offset }: PartialChecksum, frame: &Frame) -> Option<Work> {
        let bits = FINISH_SUM | headers(start.into())? | place(start.checked_add(offset)?)?;
        is_transport(frame, start.into()).then_some(Work { bits, cut: None })
    }
}

impl TransmitQueue {
    pub fn new() -> Option<TransmitQueue> {
        Some(TransmitQueue {
            ring: Ring::new(PARTS)?,
            completions: Ring::new(PARTS)?,
            slots: (0..PARTS).map(|_| Slot::default()).collect(),
            pushed: 0,
            told: 0,
            done: 0,
            completed: 0,
        })
    }

    /// Parts, completions.
    pub fn rings(&self) -> [RingAt; 2] {
        [self.ring.at(), self.completions.at()]
    }

    /// Parts that are free.
    pub fn room(&self) -> usize {
        usize::from(PARTS - self.in_flight())
    }

    /// Parts that the device has.
    pub fn in_flight(&self) -> u16 {
        self.pushed.wrapping_sub(self.done)
    }

    /// A number that changes with every frame that was sent.
    pub fn progress(&self) -> u16 {
        self.done
    }

    /// Takes a frame in. It comes back when there is too little room.
    pub fn push(&mut self, mut frame: Frame, work: &Work) -> Result<(), Frame> {
        if frame.buffers() > self.room() {
            return Err(frame);
        }
        if let Some(cut) = work.cut {
            cut.prepare(&mut frame);
        }
        let first = self.pushed;
        let mut first_part = [0; 2];
        for ((address, len), left) in frame.bare_parts().zip((0..frame.buffers()).rev()) {
            let owner = self.ring.bit(self.pushed) << OWNER_SHIFT;
            let last = if left == 0 { LAST } else { 0 };
            let part = [address, u64::from(len) & LENGTH_MASK | owner | last];
            match self.pushed == first {
                true => first_part = [part[0], part[1] | work.bits],
                false => self.ring.write(self.pushed, part),
            }
            self.pushed = self.pushed.wrapping_add(1);
        }
        let last = self.pushed.wrapping_sub(1);
        self.slots[self.ring.slot(first)] = Slot { frame: Some(frame), last };
        self.ring.write(first, first_part);
        Ok(())
    }

    /// Where the device is to stop, if that has changed since it was told.
    pub fn tell(&mut self) -> Option<u32> {
        let is_new = self.told != self.pushed;
        self.told = self.pushed;
        is_new.then(|| self.ring.slot(self.told) as u32)
    }

    /// Gives back what has been sent. Bounded by the ring.
    pub fn reclaim(&mut self) -> Result<(), RingFault> {
        while let Some([low, _]) = self.completions.completion(self.completed) {
            let index = low & INDEX_MASK;
            if index >= u64::from(PARTS) {
                return Err(RingFault::UsedId);
            }
            let first = self.ring.slot(self.done);
            let last = self.slots[first].last;
            if self.in_flight() == 0 || index != self.ring.slot(last) as u64 {
                return Err(RingFault::UsedNotHead);
            }
            self.slots[first].frame = None;
            self.done = last.wrapping_add(1);
            self.completed = self.completed.wrapping_add(1);
        }
        Ok(())
    }

    /// Gives every frame back to the pool and begins anew; for a device that has stopped.
    pub fn take_back(&mut self) {
        self.slots.fill_with(Slot::default);
        self.ring.take_back();
        self.completions.take_back();
        (self.pushed, self.told, self.done, self.completed) = (0, 0, 0, 0);
    }
}

impl Drop for TransmitQueue {
    /// Without `take_back` its frames are kept from the pool for good: the device might still read.
    fn drop(&mut self) {
        mem::take(&mut self.slots).into_iter().for_each(mem::forget);
    }
}

/// A length of headers, if the device can be told one so large.
fn headers(len: usize) -> Option<u64> {
    (len <= HEADERS_MAX).then_some((len as u64) << HEADERS_SHIFT)
}

fn place(at: u16) -> Option<u64> {
    (at <= PLACE_MAX).then_some(u64::from(at) << PLACE_SHIFT)
}
