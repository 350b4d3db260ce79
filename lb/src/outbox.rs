//! What the switch itself wants to say: answers, probes, announcements.
//!
//! A bounded queue that the loop empties between batches. When it is full the newest frame is not
//! taken in and counted: everything we originate is repeated or asked for again. Answers, of which
//! anybody may have as many as he sends frames, get half of it at most: however many resets guests
//! and clients ask for, the questions about others find room.

use alloc::collections::VecDeque;

use crate::PortSet;
use crate::limits::{ANSWERS_MAX, ORIGIN_BYTES_MAX, OUTBOX_MAX};

/// Why a frame of ours is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It was time to, or a change wanted it.
    Own,
    /// Somebody sent a frame.
    Answer,
}

/// One frame of ours and the ports it leaves by.
#[derive(Clone, Debug)]
pub struct Origin {
    pub egress: PortSet,
    cause: Cause,
    pub bytes: heapless::Vec<u8, ORIGIN_BYTES_MAX>,
}

pub struct Outbox {
    /// Never longer than it was made for, so it never allocates.
    queue: VecDeque<Origin>,
    /// Answers among them.
    answers: usize,
    lost: u64,
}

impl Outbox {
    pub(crate) fn new() -> Outbox {
        Outbox { queue: VecDeque::with_capacity(OUTBOX_MAX), answers: 0, lost: 0 }
    }

    /// Queues a frame made of `parts` that nobody made us send.
    pub(crate) fn push(&mut self, egress: PortSet, parts: &[&[u8]]) {
        self.queue(Cause::Own, egress, parts);
    }

    /// Queues a frame made of `parts` that answers one.
    pub(crate) fn answer(&mut self, egress: PortSet, parts: &[&[u8]]) {
        if self.answers < ANSWERS_MAX {
            self.queue(Cause::Answer, egress, parts);
        } else {
            self.lost += 1;
        }
    }

    fn queue(&mut self, cause: Cause, egress: PortSet, parts: &[&[u8]]) {
        let mut bytes = heapless::Vec::new();
        let fits = parts.iter().all(|part| bytes.extend_from_slice(part).is_ok());
        if fits && self.queue.len() < OUTBOX_MAX {
            self.answers += usize::from(cause == Cause::Answer);
            self.queue.push_back(Origin { egress, cause, bytes });
        } else {
            self.lost += 1;
        }
    }

    pub fn pop(&mut self) -> Option<Origin> {
        let origin = self.queue.pop_front()?;
        self.answers -= usize::from(origin.cause == Cause::Answer);
        Some(origin)
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Frames that found the queue full, since start.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
