//! Capturing: frames copied at the ports as they pass, for somebody at the console to look at.
//!
//! ```text
//!   NIC ─▶ as received ─┐                            ┌─ as sent ─▶ NIC
//!                       ├─▶ filter ─▶ ring (pcap) ◀──┤
//!                       │               │            │
//!   …  ─▶ Dataplane ────┘               ▼            └──── Dataplane ─▶ …
//!                                 console, base64
//! ```
//!
//! The ring holds the very bytes of a pcap file, so whoever reads it has nothing to put together. Its
//! memory is taken once, at the start; a frame that finds it full is counted and not waited for. While
//! nothing is captured a batch costs one branch, and so does a frame that is sent.
//!
//! A frame that came in is seen before anything is done to it, one that leaves as its NIC is handed it:
//! what is switched is seen twice, with different addresses if it was balanced. What a NIC is still to
//! do is not done in these bytes: a checksum may be unfinished, and a packet that is to be cut is seen
//! whole. Both are counted, for a reader of the file will call such a checksum wrong.
//!
//! There is one ring, so there is one capture at a time, whoever began it. One that nobody reads to its
//! end gives way to the next after [`READING_MAX`].

mod base64;
mod pcap;

use alloc::collections::VecDeque;
use core::mem;
use core::time::Duration;

use drivers::Frame;
use lb::{Filter, Instant, PortId, Way};

pub use base64::Base64;

/// Bytes that wait for the console: 160 full frames, or 3,000 small ones.
pub const RING_BYTES: usize = 256 * 1024;
/// The most that is kept of a frame: a whole one without a tag.
pub const SNAP_BYTES_MAX: u16 = 1514;
/// How long a capture may be read after its time.
pub const READING_MAX: Duration = Duration::from_secs(30);
/// The most frames in one go.
pub const FRAMES_MAX: u16 = 1000;

/// What is wanted of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `None`: at every one.
    pub port: Option<PortId>,
    /// `None`: both.
    pub way: Option<Way>,
    pub filter: Filter,
    pub frames: u16,
    /// How much of each frame is kept.
    pub snap_bytes: u16,
    /// When whoever began it will end it.
    pub until: Instant,
}

/// Which capture it is, of all that there ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(u64);

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub received: u16,
    pub sent: u16,
    /// Frames that found no place in the ring.
    pub missed: u64,
    /// Frames taken that were longer than what was kept of them.
    pub cut_short: u16,
    /// Frames taken whose checksum was yet to be finished.
    pub unfinished: u16,
    /// Frames taken that were yet to be cut into segments.
    pub uncut: u16,
}

/// The ring, and what goes into it.
pub struct Capture {
    ring: VecDeque<u8>,
    number: Number,
    wanted: Wanted,
    is_on: bool,
    tally: Tally,
}

/// A place in a capture to which it can be taken back.
#[derive(Clone, Copy)]
pub struct Mark {
    ring_len: usize,
    tally: Tally,
}

/// A port whose frames are looked at as they leave.
pub struct Tap<'a> {
    pub capture: &'a mut Capture,
    pub port: PortId,
    pub now: Instant,
}

impl Default for Capture {
    fn default() -> Capture {
        Capture {
            ring: VecDeque::with_capacity(RING_BYTES),
            number: Number::default(),
            wanted: Wanted::default(),
            is_on: false,
            tally: Tally::default(),
        }
    }
}

impl Capture {
    /// Begins anew, whatever was going on.
    pub fn begin(&mut self, wanted: Wanted) -> Number {
        self.number.0 += 1;
        self.ring.clear();
        self.ring.extend(pcap::file_header(wanted.snap_bytes));
        self.tally = Tally::default();
        self.is_on = wanted.frames > 0;
        self.wanted = wanted;
        self.number
    }

    pub fn number(&self) -> Number {
        self.number
    }

    /// How long the ring is somebody's still, at most.
    pub fn is_taken_for(&self, now: Instant) -> Option<Duration> {
        let until = self.wanted.until + READING_MAX;
        let is_in_use = self.is_on || !self.ring.is_empty();
        (is_in_use && now < until).then(|| until.since(now))
    }

    /// Takes no more frames; what the ring holds can still be read.
    pub fn stop(&mut self) {
        self.is_on = false;
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Bytes of the file that nobody has read yet.
    pub fn waiting(&self) -> usize {
        self.ring.len()
    }

    /// The next bytes of the file, so many at most.
    pub fn read(&mut self, bytes_max: usize) -> impl Iterator<Item = u8> {
        let len = self.ring.len().min(bytes_max);
        self.ring.drain(..len)
    }

    /// Looks at a frame that passes a port.
    pub fn see(&mut self, port: PortId, way: Way, frame: &Frame, now: Instant) {
        if !self.is_on || !self.wanted.takes(port, way, frame) {
            return;
        }
        let (len, snap) = (frame.total_len(), usize::from(self.wanted.snap_bytes));
        let kept = len.min(snap);
        if self.ring.len() + pcap::RECORD_BYTES + kept > RING_BYTES {
            self.tally.missed += 1;
            return;
        }
        self.ring.extend(pcap::record_header(now, kept, len));
        let mut left = kept;
        for part in core::iter::once(&**frame).chain(frame.further()) {
            let part = &part[..part.len().min(left)];
            self.ring.extend(part);
            left -= part.len();
        }
        self.tally.count(way, frame, kept < len);
        self.is_on = self.tally.frames() < self.wanted.frames;
    }

    fn mark(&self) -> Mark {
        Mark { ring_len: self.ring.len(), tally: self.tally }
    }

    fn take_back(&mut self, Mark { ring_len, tally }: Mark) {
        self.is_on |= mem::replace(&mut self.tally, tally) != tally;
        self.ring.truncate(ring_len);
    }
}

impl Wanted {
    fn takes(&self, port: PortId, way: Way, frame: &Frame) -> bool {
        let is_here = self.port.is_none_or(|wanted| wanted == port);
        let goes_so = self.way.is_none_or(|wanted| wanted == way);
        is_here && goes_so && self.filter.takes(frame)
    }
}

impl Tally {
    pub fn frames(&self) -> u16 {
        self.received + self.sent
    }

    fn count(&mut self, way: Way, frame: &Frame, is_cut_short: bool) {
        match way {
            Way::In => self.received += 1,
            Way::Out => self.sent += 1,
        }
        let drivers::Offload { checksum, segments } = frame.offload();
        self.cut_short += u16::from(is_cut_short);
        self.unfinished += u16::from(checksum.is_some());
        self.uncut += u16::from(segments.is_some());
    }
}

impl Tap<'_> {
    /// Looks at a frame that is about to leave.
    pub fn see(&mut self, frame: &Frame) -> Mark {
        let mark = self.capture.mark();
        self.capture.see(self.port, Way::Out, frame, self.now);
        mark
    }

    /// It did not leave after all.
    pub fn take_back(&mut self, mark: Mark) {
        self.capture.take_back(mark);
    }
}

#[cfg(test)]
mod tests;
