//! The transmit ring: data descriptors, and before some of them one that says what is to be finished
//! (Intel 317453, 3.3.6 and 3.3.7).
//!
//! ```text
//!            63       55       47       39              15        7       0
//!  context   ├ sum's end, place and start: TCP, UDP ┼ the same: IPv4 ───────┤
//!            ├ segment ───┬ headers ─┬──────┬ command ┬ 0 ┬ payload ────────┤
//!  data      ├──────────────────── part's address ───────────────────────────┤
//!            ├────────────┬ finish ──┬ done ┬ command ┬ 1 ┬ length ─────────┤
//! ```
//!
//! The chip keeps the last context, so a new one is written only when it differs. A frame's last
//! descriptor asks to be marked when it is done; those marks are all that is read here, in order and
//! only of descriptors that the chip was shown. A frame stays in its slot until then.

use super::{RING, SLOT_MASK};
use crate::headers::{TcpCut, Version, is_transport};
use crate::offload::PartialChecksum;
use crate::pool::Frame;
use crate::words::Words;
use alloc::boxed::Box;
use core::mem;

/// Commands, in both kinds of descriptors: the frame's end, its CRC, a segmentation, a mark when
/// done, and that it is not one of the oldest kind. TCP and IPv4 share bits with the first two.
const END_OF_PACKET: u64 = 1 << 24;
const INSERT_CRC: u64 = 1 << 25;
const SEGMENT: u64 = 1 << 26;
const REPORT: u64 = 1 << 27;
const EXTENDED: u64 = 1 << 29;
const CONTEXT_TCP: u64 = 1 << 24;
const CONTEXT_IPV4: u64 = 1 << 25;
const DATA: u64 = 1 << 20;
/// What the chip says.
const DONE: u64 = 1 << 32;
/// What is to be finished.
const INSERT_IP_SUM: u64 = 1 << 40;
const INSERT_SUM: u64 = 1 << 41;

/// The checksum's offset that TCP has; others are UDP's, for which a sum of zero is sent as ones.
const TCP_CHECKSUM_OFFSET: u16 = 16;

/// What the chip is told of the frames that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Context {
    words: [u64; 2],
}

/// What is to be done to a frame: its context, the bits of its data descriptors, and how its headers
/// are made ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    context: Option<Context>,
    bits: u64,
    cut: Option<TcpCut>,
}

pub struct TransmitRing {
    words: Words,
    /// By descriptor: the frame that begins there, if the chip has it.
    slots: Box<[Slot]>,
    /// Free-running: what was written, what the chip was shown, and what it is done with.
    pushed: u16,
    shown: u16,
    done: u16,
    /// The context that the chip will have when it comes to what is pushed next.
    context: Option<Context>,
}

#[derive(Default)]
struct Slot {
    frame: Option<Frame>,
    /// The frame's last descriptor, free-running.
    last: u16,
}

impl Work {
    /// What the frame leaves undone, told as the chip wants it. `None` for what it has no words for.
    pub fn of(frame: &Frame) -> Option<Work> {
        match (frame.offload().segments, frame.offload().checksum) {
            (None, None) => Some(Work::default()),
            (None, Some(checksum)) => Work::sum(checksum, frame),
            (Some(_), _) => Work::cut(TcpCut::of(frame)?, frame.total_len()),
        }
    }

    fn sum(PartialChecksum { start, offset }: PartialChecksum, frame: &Frame) -> Option<Work> {
        let field_at = start.checked_add(offset)?;
        // An end of 0 is the frame's.
        let sums = byte(start.into())? << 32 | byte(field_at.into())? << 40;
        let tcp = if offset == TCP_CHECKSUM_OFFSET { CONTEXT_TCP } else { 0 };
        let context = Some(Context { words: [sums, EXTENDED | tcp] });
        is_transport(frame, start.into()).then_some(Work { context, bits: INSERT_SUM, cut: None })
    }

    fn cut(cut: TcpCut, total_len: usize) -> Option<Work> {
        let mut sums = byte(cut.tcp_at)? << 32 | byte(cut.checksum_at)? << 40 | byte(cut.ip_at)?;
        let mut bits = SEGMENT | INSERT_SUM;
        let mut command = EXTENDED | SEGMENT | CONTEXT_TCP;
        if cut.version == Version::V4 {
            sums |= byte(cut.ip_checksum_at())? << 8;
            bits |= INSERT_IP_SUM;
            command |= CONTEXT_IPV4;
        }
        // Where IP's header ends, its last byte included.
        sums |= byte(cut.tcp_at - 1)? << 16;
        let payload_len = (total_len - cut.headers_len) as u64;
        let lengths = payload_len | byte(cut.headers_len)? << 40 | u64::from(cut.payload_len) << 48;
        let context = Some(Context { words: [sums, command | lengths] });
        Some(Work { context, bits, cut: Some(cut) })
    }
}

impl TransmitRing {
    pub fn new() -> Option<TransmitRing> {
        let words = Words::new(2 * usize::from(RING))?;
        let slots = (0..RING).map(|_| Slot::default()).collect();
        Some(TransmitRing { words, slots, pushed: 0, shown: 0, done: 0, context: None })
    }

    pub fn address(&self) -> u64 {
        self.words.address(0)
    }

    /// Descriptors that are free: all but one, since a full ring would look empty.
    pub fn room(&self) -> usize {
        usize::from(RING - 1 - self.pushed.wrapping_sub(self.done))
    }

    /// Descriptors that the chip was shown and is not done with.
    pub fn in_flight(&self) -> u16 {
        self.shown.wrapping_sub(self.done)
    }

    /// A number that changes with every frame that was sent.
    pub fn progress(&self) -> u16 {
        self.done
    }

    /// Descriptors that the frame takes.
    pub fn wanted(&self, frame: &Frame, work: &Work) -> usize {
        frame.buffers() + usize::from(self.changes(work))
    }

    /// Takes a frame in. It comes back when there is too little room.
    pub fn push(&mut self, mut frame: Frame, work: &Work) -> Result<(), Frame> {
        if self.wanted(&frame, work) > self.room() {
            return Err(frame);
        }
        if let Some(cut) = work.cut {
            cut.prepare(&mut frame);
        }
        let first = slot(self.pushed);
        if self.changes(work) {
            self.context = work.context;
            self.write(self.context.map_or([0; 2], |context| context.words));
        }
        for ((address, len), left) in frame.bare_parts().zip((0..frame.buffers()).rev()) {
            let end = if left == 0 { END_OF_PACKET | REPORT } else { 0 };
            let command = EXTENDED | INSERT_CRC | end;
            self.write([address, DATA | command | work.bits | u64::from(len)]);
        }
        self.slots[first] = Slot { frame: Some(frame), last: self.pushed.wrapping_sub(1) };
        Ok(())
    }

    /// Where the chip is to stop, if that has changed since it was shown.
    pub fn show(&mut self) -> Option<u32> {
        let is_new = self.shown != self.pushed;
        self.shown = self.pushed;
        is_new.then(|| slot(self.shown) as u32)
    }

    /// Gives back what has been sent. Bounded by the ring.
    pub fn reclaim(&mut self) {
        while self.in_flight() > 0 {
            let last = self.slots[slot(self.done)].last;
            if self.words.read(2 * slot(last) + 1) & DONE == 0 {
                return;
            }
            self.slots[slot(self.done)].frame = None;
            self.done = last.wrapping_add(1);
        }
    }

    /// Gives every frame back to the pool and begins anew; for a chip that has stopped.
    pub fn take_back(&mut self) {
        self.slots.fill_with(Slot::default);
        self.words.take_back();
        (self.pushed, self.shown, self.done, self.context) = (0, 0, 0, None);
    }

    /// Whether the chip has to be told something else than it knows.
    fn changes(&self, work: &Work) -> bool {
        work.context.is_some() && work.context != self.context
    }

    fn write(&mut self, [low, high]: [u64; 2]) {
        let at = slot(self.pushed);
        self.words.write(2 * at, low);
        self.words.write(2 * at + 1, high);
        self.pushed = self.pushed.wrapping_add(1);
    }
}

impl Drop for TransmitRing {
    /// Without `take_back` its frames are kept from the pool for good: the chip might still read.
    fn drop(&mut self) {
        mem::take(&mut self.slots).into_iter().for_each(mem::forget);
    }
}

/// An offset, if the chip can be told one so large.
fn byte(offset: usize) -> Option<u64> {
    u8::try_from(offset).ok().map(u64::from)
}

fn slot(index: u16) -> usize {
    usize::from(index & SLOT_MASK)
}
