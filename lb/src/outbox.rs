//! What the switch itself wants to say: answers, probes, announcements.
//!
//! A bounded queue that the loop empties between batches. When it is full the newest frame is not
//! taken in and counted: everything we originate is repeated or asked for again.

use alloc::collections::VecDeque;

use crate::PortSet;
use crate::limits::{ORIGIN_BYTES_MAX, OUTBOX_MAX};

/// One frame of ours and the ports it leaves by.
#[derive(Clone, Debug)]
pub struct Origin {
    pub egress: PortSet,
    pub bytes: heapless::Vec<u8, ORIGIN_BYTES_MAX>,
}

pub struct Outbox {
    /// Never longer than it was made for, so it never allocates.
    queue: VecDeque<Origin>,
    lost: u64,
}

impl Outbox {
    pub(crate) fn new() -> Outbox {
        Outbox { queue: VecDeque::with_capacity(OUTBOX_MAX), lost: 0 }
    }

    /// Queues a frame made of `parts`.
    pub(crate) fn push(&mut self, egress: PortSet, parts: &[&[u8]]) {
        let mut bytes = heapless::Vec::new();
        let fits = parts.iter().all(|part| bytes.extend_from_slice(part).is_ok());
        if fits && self.queue.len() < OUTBOX_MAX {
            self.queue.push_back(Origin { egress, bytes });
        } else {
            self.lost += 1;
        }
    }

    pub fn pop(&mut self) -> Option<Origin> {
        self.queue.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Frames that found the queue full, since start.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
