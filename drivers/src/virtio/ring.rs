//! A split virtqueue that believes nothing the device writes.
//!
//! Each buffer of a frame takes one descriptor, the virtio header right before the first one's
//! bytes; a frame of several is a chain of descriptors, of which the device names the first. The
//! ring owns the frames that the device has: `push` takes one in, `publish` shows the device
//! everything pushed since, once per batch, and `pop` gives a frame back when the device says that
//! it is done.
//!
//! What was given to the device is remembered here, in memory that it cannot reach, and only
//! this memory is asked what an answer may be. From the device come three numbers, each read
//! once: how many answers there are, and for each answer a number and a length.
//!
//! ```text
//!          consumed            published            pushed        (free-running u16)
//!  ──────────┼────── in flight ─────┼──── queued ──────┼──────▶
//!            └── the device may answer these and no others
//! ```
//!
//! Anything else is a [`RingFault`], after which the ring is not to be asked again before
//! [`Ring::take_back`]. An answer for a frame that is only queued is a fault as well: it would
//! otherwise return to the pool and be shown to the device with the next batch.
//!
//! Notifications are suppressed by flags. VIRTIO_F_EVENT_IDX would save a few more of them, and
//! loses one where its index arithmetic meets the wrap.

use super::Quiet;
use super::header::HEADER_BYTES;
use super::memory::{Descriptor, RingAddresses, RingMemory, RingSize};
use crate::nic::RingFault;
use crate::pool::{FURTHER_BYTES_MAX, Frame};
use alloc::boxed::Box;
use core::{iter, mem};

#[cfg(test)]
mod tests;

/// The largest ring we ask for. QEMU's default, and 4 ms of frames at 64,000 a second.
pub const RING_SIZE_MAX: u16 = 256;

/// What the device gets of a receive buffer: from the header's place to the end.
pub const RECEIVE_BYTES: u32 = FURTHER_BYTES_MAX as u32;

/// Descriptor flags: another one follows; the device writes (2.7.5).
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// Who writes to the frames of this ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The device: whole buffers wait to be filled.
    Receive,
    /// We did: header and bytes wait to be sent.
    Transmit,
}

impl Direction {
    /// What the device gets of a frame.
    fn given_bytes(self, frame: &Frame) -> u32 {
        match self {
            Direction::Receive => RECEIVE_BYTES,
            Direction::Transmit => (HEADER_BYTES + frame.total_len()) as u32,
        }
    }
}

/// A frame that the device is done with.
#[derive(Debug)]
pub struct Used {
    pub frame: Frame,
    /// Bytes that it says to have written, header included; not more than it was given.
    pub written_bytes: u32,
}

pub struct Ring {
    memory: RingMemory,
    direction: Direction,
    /// By descriptor number: the frame whose first buffer is behind it, if any.
    slots: Box<[Slot]>,
    /// The first descriptor without a buffer; each names the next. How many there are.
    free: u16,
    room: u16,
    pushed: u16,
    published: u16,
    consumed: u16,
}

#[derive(Default)]
struct Slot {
    frame: Option<Frame>,
    /// The available index that the frame was pushed with.
    index: u16,
    /// The descriptor of the frame's next buffer, or the next free one: those of a frame are taken in
    /// the order in which they are free, so this stays as it is when they are. Ours to remember: the one
    /// in shared memory may say something else by now.
    next: u16,
}

impl Ring {
    /// An empty ring that wants no interrupts, or `None` without memory for it.
    pub fn new(size: RingSize, direction: Direction) -> Option<Ring> {
        let mut ring = Ring {
            memory: RingMemory::new(size)?,
            direction,
            slots: (0..size.get()).map(|_| Slot::default()).collect(),
            free: 0,
            room: 0,
            pushed: 0,
            published: 0,
            consumed: 0,
        };
        ring.begin();
        Some(ring)
    }

    pub fn size(&self) -> RingSize {
        self.memory.size()
    }

    pub fn addresses(&self) -> RingAddresses {
        self.memory.addresses()
    }

    /// Buffers that `push` would still take.
    #[inline]
    pub fn room(&self) -> usize {
        self.room.into()
    }

    /// Frames that the device has been shown and has not answered.
    pub fn in_flight(&self) -> u16 {
        self.published.wrapping_sub(self.consumed)
    }

    /// A number that changes with every answer taken.
    pub fn progress(&self) -> u16 {
        self.consumed
    }

    /// Takes a frame in. It comes back when the ring has too little room.
    #[inline(always)]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        let buffers = frame.buffers();
        if buffers > self.room() {
            return Err(frame);
        }
        let first = self.free;
        match buffers {
            1 => self.free = self.describe(first, frame.device_head(), 0),
            _ => self.describe_chain(&frame),
        }
        self.room -= buffers as u16;
        self.memory.write_available(self.pushed, first);
        let slot = &mut self.slots[usize::from(first)];
        // A free descriptor has no frame, and nobody need look for one to drop.
        mem::forget(slot.frame.replace(frame));
        slot.index = self.pushed;
        self.pushed = self.pushed.wrapping_add(1);
        Ok(())
    }

    /// Shows the device what was pushed. `true`: it wants its doorbell rung.
    #[must_use]
    pub fn publish(&mut self) -> bool {
        if self.pushed == self.published {
            return false;
        }
        self.published = self.pushed;
        self.memory.publish(self.published)
    }

    /// Answers that wait to be popped: at most as many as frames are in flight.
    #[inline]
    pub fn pending(&self) -> Result<u16, RingFault> {
        // Wrapping: an index that went backwards is far ahead, and refused with the others.
        let pending = self.memory.used_index().wrapping_sub(self.consumed);
        if pending > self.in_flight() { Err(RingFault::UsedIdx) } else { Ok(pending) }
    }

    /// The next answer. To be called as often as `pending` said.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<Used, RingFault> {
        let answer = self.memory.used_element(self.consumed);
        let queued = self.pushed.wrapping_sub(self.published);
        // The number as it is: 0x10000 is not 0.
        let slot = self.slots.get_mut(answer.id as usize).ok_or(RingFault::UsedId)?;
        let frame = slot.frame.as_ref().ok_or(RingFault::UsedNotHead)?;
        // Pushed, but not yet published.
        if slot.index.wrapping_sub(self.published) < queued {
            return Err(RingFault::UsedNotHead);
        }
        // For a frame to send the true answer is 0, but vhost has long said the frame's length.
        if answer.len > self.direction.given_bytes(frame) {
            return Err(RingFault::UsedLen);
        }
        let frame = slot.frame.take().ok_or(RingFault::UsedNotHead)?;
        let first = answer.id as u16;
        match frame.buffers() {
            1 => slot.next = self.free,
            buffers => self.join_free(first, buffers),
        }
        self.free = first;
        self.room += frame.buffers() as u16;
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Used { frame, written_bytes: answer.len })
    }

    pub fn want_interrupts(&mut self) {
        self.memory.want_interrupts();
    }

    pub fn refuse_interrupts(&mut self) {
        self.memory.refuse_interrupts();
    }

    /// Gives every frame back to the pool and begins anew. Only a device that touches no memory
    /// any more may be robbed like this.
    pub fn take_back(&mut self, _: &Quiet) {
        self.begin();
    }

    fn begin(&mut self) {
        self.memory.take_back();
        self.memory.refuse_interrupts();
        for (at, slot) in (1..).zip(&mut self.slots) {
            *slot = Slot { frame: None, index: 0, next: at };
        }
        (self.free, self.room) = (0, self.size().get());
        (self.pushed, self.published, self.consumed) = (0, 0, 0);
    }

    /// Puts a buffer behind a free descriptor, after which `left` more of the same frame follow; the
    /// descriptor that is free next.
    #[inline(always)]
    fn describe(&mut self, id: u16, (address, len): (u64, u32), left: usize) -> u16 {
        let next = self.slots[usize::from(id)].next;
        let next_flag = if left > 0 { NEXT } else { 0 };
        let (len, write) = match self.direction {
            Direction::Receive => (RECEIVE_BYTES, WRITE),
            Direction::Transmit => (len, 0),
        };
        let flags = write | next_flag;
        self.memory.write_descriptor(id, Descriptor { address, len, flags, next });
        next
    }

    /// The same for all buffers of a frame.
    #[inline(never)]
    fn describe_chain(&mut self, frame: &Frame) {
        let parts = iter::once(frame.device_head()).chain(frame.further_parts());
        for (part, left) in parts.zip((0..frame.buffers()).rev()) {
            self.free = self.describe(self.free, part, left);
        }
    }

    /// Has those descriptors that are free follow a frame's last.
    #[inline(never)]
    fn join_free(&mut self, first: u16, buffers: usize) {
        let next_of = |id: &u16| Some(self.slots[usize::from(*id)].next);
        let last = iter::successors(Some(first), next_of).nth(buffers - 1);
        if let Some(last) = last {
            self.slots[usize::from(last)].next = self.free;
        }
    }
}

impl Drop for Ring {
    /// A ring that is dropped without `take_back` keeps its frames from the pool for good: the
    /// device might still write to them.
    fn drop(&mut self) {
        mem::take(&mut self.slots).into_iter().for_each(mem::forget);
    }
}
