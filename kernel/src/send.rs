//! Sending a frame that may leave more undone than its NIC can do.
//!
//! A frame whose NIC covers what it leaves undone goes out as it is: that is the rule between
//! guests. For any other the work is done here, in software: the checksum is finished in place, or
//! the packet is cut into segments, each in buffers of its own from the pool. Nothing waits: with
//! the ring full or the pool empty the rest of a packet is lost, as its segments would have been
//! one by one.
//!
//! `drivers` and `lb` know nothing of each other, so each has its own words for what is left to do.
//! They are translated at the end of this file and nowhere else.

use drivers::{Frame, Nic, Pool};
use lb::wire::checksum::Sum;
use lb::wire::offload::{Cut, Malformed, Offload, PartialChecksum, SegmentKind, Segments};

use crate::capture::Tap;

/// Segments that one packet is cut into at most: as many as a ring holds. A guest may ask for one
/// byte in each, and sixty thousand of them for one frame of its own.
const SEGMENTS_MAX: usize = drivers::BUFFERS_PER_BATCH;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is counted of one port beside what its NIC counts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SoftwareCounters { $($(#[$doc])* pub $name: u64,)* }

        impl SoftwareCounters {
            /// Every counter with its name, zeros included.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Of the frames that came in and left, those to groups and to all.
    rx_multicast,
    rx_broadcast,
    tx_multicast,
    tx_broadcast,
    /// Frames whose checksum was finished.
    soft_checksums,
    /// Frames that were cut.
    soft_cuts,
    /// Frames dropped, as what they leave undone cannot be done to them.
    soft_malformed,
    /// Frames dropped, as the port carried their VLAN no more when they were sent.
    soft_strays,
    /// Frames of which segments were lost, as the pool was empty.
    soft_no_buffer,
    /// Frames of which segments were lost, as they were too many.
    soft_too_many,
}

/// A frame that is for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    Group,
    All,
}

impl Many {
    /// `None` for a frame to one station.
    #[inline(always)]
    pub fn of(frame: &[u8]) -> Option<Many> {
        let &[first, ..] = frame else { return None };
        let is_group = first & 1 != 0;
        is_group.then(|| if frame.starts_with(&[0xff; 6]) { Many::All } else { Many::Group })
    }
}

impl SoftwareCounters {
    #[inline(always)]
    pub fn count_in(&mut self, many: Option<Many>) {
        match many {
            None => {}
            Some(Many::Group) => self.rx_multicast += 1,
            Some(Many::All) => self.rx_broadcast += 1,
        }
    }

    #[inline(always)]
    fn count_out(&mut self, many: Option<Many>) {
        match many {
            None => {}
            Some(Many::Group) => self.tx_multicast += 1,
            Some(Many::All) => self.tx_broadcast += 1,
        }
    }
}

/// A NIC and its part of the work.
pub struct Egress<'a> {
    pub nic: &'a mut dyn Nic,
    pub pool: &'static Pool,
    pub counters: &'a mut SoftwareCounters,
    /// Somebody looks at what is sent.
    pub tap: Option<Tap<'a>>,
}

/// Whether there is anything to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Queued,
    Nothing,
}

impl Egress<'_> {
    #[cfg_attr(feature = "image", optimize(speed))]
    pub fn send(&mut self, mut frame: Frame) -> Sent {
        let offload = frame.offload();
        if offload.is_none() || self.nic.takes(&frame) {
            return self.hand_over(frame);
        }
        if offload.segments.is_some() {
            return self.cut(&frame);
        }
        match finish(&mut frame) {
            Ok(()) => {
                self.counters.soft_checksums += 1;
                self.hand_over(frame)
            }
            Err(_) => {
                self.counters.soft_malformed += 1;
                Sent::Nothing
            }
        }
    }

    #[cfg_attr(feature = "image", optimize(speed))]
    fn hand_over(&mut self, frame: Frame) -> Sent {
        let seen = self.tap.as_mut().map(|tap| tap.see(&frame));
        let sent = hand_over(self.nic, self.counters, frame);
        if let (Sent::Nothing, Some((tap, mark))) = (sent, self.tap.as_mut().zip(seen)) {
            tap.take_back(mark);
        }
        sent
    }

    fn cut(&mut self, frame: &Frame) -> Sent {
        let Ok(cut) = Cut::new(&offload_of(frame), frame, frame.total_len()) else {
            self.counters.soft_malformed += 1;
            return Sent::Nothing;
        };
        self.counters.soft_cuts += 1;
        let headers_len = cut.headers_len();
        let mut payload = payload_of(frame, headers_len);
        let mut sent = Sent::Nothing;
        for segment in cut.segments() {
            if segment.index() == SEGMENTS_MAX {
                self.counters.soft_too_many += 1;
                break;
            }
            let mut skipped = headers_len;
            let piece = self.pool.take_with(headers_len + segment.payload.len(), |bytes| {
                payload.copy_to(&mut bytes[core::mem::take(&mut skipped)..]);
            });
            let Some(mut piece) = piece else {
                self.counters.soft_no_buffer += 1;
                break;
            };
            let behind = Sum::of_pieces(piece.further());
            cut.write(&segment, frame, &mut piece, behind);
            if self.hand_over(piece) == Sent::Nothing {
                break;
            }
            sent = Sent::Queued;
        }
        sent
    }
}

/// Gives a NIC a frame that it takes. One that comes back found the ring full; the NIC has counted it.
#[inline(always)]
pub fn hand_over(nic: &mut dyn Nic, counters: &mut SoftwareCounters, frame: Frame) -> Sent {
    let many = Many::of(&frame);
    match nic.send(frame) {
        Ok(()) => {
            counters.count_out(many);
            Sent::Queued
        }
        Err(_) => Sent::Nothing,
    }
}

/// Finishes the frame's checksum, if there is one to finish. Nothing is left undone then.
pub fn finish(frame: &mut Frame) -> Result<(), Malformed> {
    let (len, behind) = (frame.total_len(), Sum::of_pieces(frame.further()));
    offload_of(frame).finish(frame, len, behind)?;
    frame.set_offload(drivers::Offload::default());
    Ok(())
}

/// The bytes of a frame behind its headers, to be taken in order.
struct Payload<'a, I> {
    part: &'a [u8],
    further: I,
}

fn payload_of(frame: &Frame, headers_len: usize) -> Payload<'_, impl Iterator<Item = &[u8]>> {
    Payload { part: &frame[headers_len..], further: frame.further() }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Payload<'a, I> {
    /// Fills these bytes with the next ones, of which there are as many.
    fn copy_to(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let len = self.part.len().min(bytes.len());
            let (now, later) = self.part.split_at(len);
            let (filled, rest) = bytes.split_at_mut(len);
            filled.copy_from_slice(now);
            (self.part, bytes) = (later, rest);
            if self.part.is_empty() {
                let Some(part) = self.further.next() else { return };
                self.part = part;
            }
        }
    }
}

/// What a frame leaves undone, as `lb` says it.
#[inline(always)]
pub fn offload_of(frame: &Frame) -> Offload {
    if frame.offload().is_none() {
        return Offload::default();
    }
    let drivers::Offload { checksum, segments } = frame.offload();
    let kind_of = |kind| match kind {
        drivers::SegmentKind::TcpV4 => SegmentKind::TcpV4,
        drivers::SegmentKind::TcpV6 => SegmentKind::TcpV6,
        drivers::SegmentKind::UdpL4 => SegmentKind::UdpL4,
    };
    Offload {
        checksum: checksum
            .map(|drivers::PartialChecksum { start, offset }| PartialChecksum { start, offset }),
        segments: segments.map(|drivers::Segments { kind, payload_len }| Segments {
            kind: kind_of(kind),
            payload_len,
        }),
    }
}
