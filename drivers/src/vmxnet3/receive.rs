//! The receive queue: two rings of buffers, heads and bodies, and one of completions.
//!
//! ```text
//!             63      47      31 30        15  14        0
//!  buffer     ├──────────────── address ─────────────────┤
//!             ├───────────────┬ whose ─┬ kind ─┬ length ──┤
//!  completion ├ hash ─────────┼ ring ──┬ first, last, index ┤
//!             ├ whose, kind, checksum or MSS ┬ error, length ┤
//! ```
//!
//! A frame begins in a head and goes on in bodies, each of which is completed by itself. The device
//! may pass over buffers, which then are ours again and are given once more where they are. A
//! completion is believed if it is of a buffer that the device has, in the order in which it got
//! them, and no longer than that.

use super::generation::Ring;
use super::shared::RingAt;
use crate::nic::RingFault;
use crate::pool::{FRAME_BYTES_MAX, Frame, HEAD_BYTES_MAX, Pool};
use alloc::boxed::Box;
use core::mem;
use core::num::NonZeroU16;

const HEADS: u16 = 256;
const BODIES: u16 = 64;
const COMPLETIONS: u16 = 512;
/// Buffers that the device may have.
pub const BUFFERS: usize = (HEADS + BODIES) as usize;
/// Buffers of the longest frame.
pub const PARTS_MAX: usize = FRAME_BYTES_MAX.div_ceil(HEAD_BYTES_MAX);

/// In a buffer's descriptor.
const BODY: u64 = 1 << 14;
const OWNER_SHIFT: u32 = 31;

/// In a completion: the lower word, and the upper.
const INDEX_MASK: u64 = 0xfff;
const LAST: u64 = 1 << 14;
const FIRST: u64 = 1 << 15;
const RING_SHIFT: u32 = 16;
const RING_MASK: u64 = 0x3ff;
const LENGTH_MASK: u64 = 0x3fff;
const DAMAGED: u64 = 1 << 14;
const MSS_SHIFT: u32 = 32;
const KIND_SHIFT: u32 = 56;
const KIND_MASK: u64 = 0x7f;
const KIND_LRO: u64 = 4;

pub struct ReceiveQueue {
    heads: Buffers,
    bodies: Buffers,
    completions: Ring,
    completed: u16,
}

/// One of the two rings: the buffers behind its descriptors, ours and the device's.
struct Buffers {
    ring: Ring,
    kind: u64,
    slots: Box<[Option<Frame>]>,
    /// Free-running: what the device was given, and where it is.
    given: u16,
    taken: u16,
}

/// What the device received.
#[derive(Debug)]
pub enum Received {
    Frame(Frame),
    /// A frame of TCP that was put together of segments with so much payload.
    Joined(Frame, NonZeroU16),
    /// Bytes that the device itself says are not what was sent.
    Damaged,
}

/// Whether all free places were filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    Wholly,
    /// The pool was empty.
    Partly,
}

impl ReceiveQueue {
    pub fn new() -> Option<ReceiveQueue> {
        Some(ReceiveQueue {
            heads: Buffers::new(HEADS, 0)?,
            bodies: Buffers::new(BODIES, BODY)?,
            completions: Ring::new(COMPLETIONS)?,
            completed: 0,
        })
    }

    /// Heads, bodies, completions.
    pub fn rings(&self) -> [RingAt; 3] {
        [self.heads.ring.at(), self.bodies.ring.at(), self.completions.at()]
    }

    /// Whether there is room for so many buffers that giving them is worth the while.
    pub fn is_short(&self) -> bool {
        self.heads.room() >= HEADS / 8 || self.bodies.room() >= BODIES / 8
    }

    /// Gives the device buffers for all free places.
    pub fn fill(&mut self, pool: &'static Pool) -> Filled {
        match (self.bodies.fill(pool), self.heads.fill(pool)) {
            (Filled::Wholly, Filled::Wholly) => Filled::Wholly,
            (Filled::Partly, _) | (_, Filled::Partly) => Filled::Partly,
        }
    }

    /// Where the device will find the next head and the next body.
    pub fn producers(&self) -> [u32; 2] {
        [&self.heads, &self.bodies].map(|buffers| buffers.ring.slot(buffers.given) as u32)
    }

    /// Whether a frame, or a part of one, has come.
    pub fn is_waiting(&self) -> bool {
        self.completions.completion(self.completed).is_some()
    }

    /// The next frame, if all of it is there.
    pub fn take(&mut self) -> Result<Option<Received>, RingFault> {
        let mut parts = heapless::Vec::<[u64; 2], PARTS_MAX>::new();
        while let Some(part) =
            self.completions.completion(self.completed.wrapping_add(parts.len() as u16))
        {
            let is_last = part[0] & LAST != 0;
            parts.push(part).map_err(|_| RingFault::UsedLen)?;
            if is_last {
                return self.gather(&parts).map(Some);
            }
        }
        Ok(None)
    }

    /// Gives every buffer back to the pool and begins anew; for a device that has stopped.
    pub fn take_back(&mut self) {
        self.heads.take_back();
        self.bodies.take_back();
        self.completions.take_back();
        self.completed = 0;
    }

    /// Makes a frame of the buffers of these completions, which are the next ones.
    fn gather(&mut self, parts: &[[u64; 2]]) -> Result<Received, RingFault> {
        let mut whole: Option<Frame> = None;
        for &[low, high] in parts {
            let ring = low >> RING_SHIFT & RING_MASK;
            let buffers = match (low & FIRST != 0, whole.is_none(), ring) {
                (true, true, 0) => &mut self.heads,
                (false, false, 1) => &mut self.bodies,
                (_, _, 0 | 1) => return Err(RingFault::UsedNotHead),
                _ => return Err(RingFault::UsedId),
            };
            let len = (high & LENGTH_MASK) as usize;
            if len > HEAD_BYTES_MAX {
                return Err(RingFault::UsedLen);
            }
            let mut frame = buffers.take(low & INDEX_MASK)?;
            self.completed = self.completed.wrapping_add(1);
            match &mut whole {
                None => {
                    frame.set_len(len);
                    whole = Some(frame);
                }
                Some(_) if len == 0 => {}
                Some(whole) => whole.append_head(frame, len),
            }
        }
        let is_damaged = parts.iter().any(|[_, high]| high & DAMAGED != 0);
        let last = parts.last().map_or(0, |[_, high]| *high);
        let is_joined = last >> KIND_SHIFT & KIND_MASK == KIND_LRO;
        let payload_len = NonZeroU16::new((last >> MSS_SHIFT) as u16).filter(|_| is_joined);
        Ok(match (whole, payload_len) {
            (Some(frame), Some(payload_len)) if !is_damaged => Received::Joined(frame, payload_len),
            (Some(frame), None) if !is_damaged => Received::Frame(frame),
            (Some(_) | None, _) => Received::Damaged,
        })
    }
}

impl Buffers {
    fn new(len: u16, kind: u64) -> Option<Buffers> {
        let slots = (0..len).map(|_| None).collect();
        Some(Buffers { ring: Ring::new(len)?, kind, slots, given: 0, taken: 0 })
    }

    fn in_flight(&self) -> u16 {
        self.given.wrapping_sub(self.taken)
    }

    fn room(&self) -> u16 {
        self.ring.at().len - self.in_flight()
    }

    fn fill(&mut self, pool: &'static Pool) -> Filled {
        for _ in 0..self.room() {
            let slot = self.ring.slot(self.given);
            // One that was passed over is still there.
            let Some(frame) = self.slots[slot].take().or_else(|| pool.take()) else {
                return Filled::Partly;
            };
            let owner = self.ring.bit(self.given) << OWNER_SHIFT;
            let length = HEAD_BYTES_MAX as u64;
            self.ring.write(self.given, [frame.head_address(), owner | self.kind | length]);
            self.slots[slot] = Some(frame);
            self.given = self.given.wrapping_add(1);
        }
        Filled::Wholly
    }

    /// Takes a buffer that the device is done with, and passes over those before it.
    fn take(&mut self, at: u64) -> Result<Frame, RingFault> {
        let len = self.ring.at().len;
        // Compared before it is made smaller.
        if at >= u64::from(len) {
            return Err(RingFault::UsedId);
        }
        let ahead = (at as u16).wrapping_sub(self.taken) & (len - 1);
        if ahead >= self.in_flight() {
            return Err(RingFault::UsedNotHead);
        }
        let frame = self.slots[usize::from(at as u16)].take().ok_or(RingFault::UsedNotHead)?;
        self.taken = self.taken.wrapping_add(ahead + 1);
        Ok(frame)
    }

    fn take_back(&mut self) {
        self.slots.fill_with(|| None);
        self.ring.take_back();
        (self.given, self.taken) = (0, 0);
    }
}

impl Drop for Buffers {
    /// Without `take_back` its frames are kept from the pool for good: the device might still write.
    fn drop(&mut self) {
        mem::take(&mut self.slots).into_iter().for_each(mem::forget);
    }
}
