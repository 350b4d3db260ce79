//! One datagram under way: what was received of it, and what was decided.

use super::{DatagramKey, Fragment, Refused};
use crate::Instant;

/// Spans that may lie apart. A datagram that arrives in order has one; eight leave room for any
/// order that a network brings about, and bound the work for one that was thought up.
pub(super) const SPANS_MAX: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Datagram<T> {
    pub key: DatagramKey,
    /// When the first frame of it came.
    pub begun: Instant,
    pub fate: Fate<T>,
    /// The first of its held frames.
    pub held: Option<usize>,
    /// What was received: in order, apart from one another.
    spans: heapless::Vec<Span, SPANS_MAX>,
    /// Where the payload ends, once the last fragment has told.
    end: Option<u16>,
}

/// What becomes of a datagram's fragments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate<T> {
    /// The first has not come.
    Open,
    Decided(T),
    Spoiled,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u16,
    end: u16,
}

impl<T> Datagram<T> {
    pub(super) fn new(key: DatagramKey, begun: Instant) -> Datagram<T> {
        let spans = heapless::Vec::new();
        Datagram { key, begun, fate: Fate::Open, held: None, spans, end: None }
    }

    /// Enters what a fragment brings, if it fits to what there is.
    pub(super) fn receive(&mut self, fragment: Fragment) -> Result<(), Refused> {
        let Fragment { start, end, more } = fragment;
        let beyond_end = self.end.is_some_and(|known| end > known);
        let others_beyond = !more && self.spans.last().is_some_and(|last| last.end > end);
        if matches!(self.fate, Fate::Spoiled) || beyond_end || others_beyond {
            return Err(Refused);
        }
        self.insert(Span { start, end })?;
        if !more {
            self.end = Some(end);
        }
        Ok(())
    }

    /// Decided, all of it received, and nothing held any more.
    pub(super) fn is_complete(&self) -> bool {
        let whole = match self.spans.as_slice() {
            [span] => span.start == 0 && Some(span.end) == self.end,
            _ => false,
        };
        whole && self.held.is_none() && matches!(self.fate, Fate::Decided(_))
    }

    /// Adds a span and joins it with its neighbours.
    fn insert(&mut self, new: Span) -> Result<(), Refused> {
        let spans = &mut self.spans;
        let at = spans.partition_point(|span| span.end <= new.start);
        if spans.get(at).is_some_and(|after| after.start < new.end) {
            return Err(Refused);
        }
        let joins_before = at > 0 && spans[at - 1].end == new.start;
        let joins_after = spans.get(at).is_some_and(|after| after.start == new.end);
        match (joins_before, joins_after) {
            (true, true) => spans[at - 1].end = spans.remove(at).end,
            (true, false) => spans[at - 1].end = new.end,
            (false, true) => spans[at].start = new.start,
            (false, false) => spans.insert(at, new).map_err(|_| Refused)?,
        }
        Ok(())
    }
}
