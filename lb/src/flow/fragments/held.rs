//! Frames that wait for the first fragment of their datagram, copied into slots of fixed size.
//!
//! The frames of one datagram are a chain in the order of arrival; its head is with the datagram.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::shares::{Room, Shares};
use super::{HELD_BYTES_MAX, HOLD};
use crate::{Instant, PortId};

pub(super) struct Held {
    bytes: Box<[[u8; HELD_BYTES_MAX]]>,
    slots: Box<[Option<Slot>]>,
    free: Vec<usize>,
    shares: Shares,
}

/// Whose a held frame is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub ingress: PortId,
    /// The place of its datagram.
    pub owner: usize,
    pub since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    label: Label,
    len: usize,
    next: Option<usize>,
}

impl Held {
    pub(super) fn new(capacity: usize) -> Held {
        Held {
            bytes: vec![[0; HELD_BYTES_MAX]; capacity].into_boxed_slice(),
            slots: vec![None; capacity].into_boxed_slice(),
            free: (0..capacity).collect(),
            shares: Shares::new(capacity, capacity),
        }
    }

    /// Whether a frame of this length may be held: none gives way to one that no slot can take.
    pub(super) fn room(&self, ingress: PortId, frame_len: usize) -> Room {
        if frame_len > HELD_BYTES_MAX { Room::None } else { self.shares.room(ingress) }
    }

    /// Copies a frame to the end of a chain; `None` when there is no slot that takes it.
    pub(super) fn put(
        &mut self,
        chain: &mut Option<usize>,
        frame: &[u8],
        label: Label,
    ) -> Option<()> {
        let slot = *self.free.last()?;
        self.bytes[slot].get_mut(..frame.len())?.copy_from_slice(frame);
        self.free.pop();
        self.slots[slot] = Some(Slot { label, len: frame.len(), next: None });
        self.shares.enter(label.ingress, slot);
        match chain.map(|first| self.last_of(first)) {
            None => *chain = Some(slot),
            Some(last) => self.set_next(last, slot),
        }
        Some(())
    }

    pub(super) fn frame(&self, slot: usize) -> &[u8] {
        let len = self.slots[slot].map_or(0, |slot| slot.len);
        &self.bytes[slot][..len]
    }

    /// The datagram of a held frame.
    pub(super) fn owner(&self, slot: usize) -> Option<usize> {
        self.slots[slot].map(|slot| slot.label.owner)
    }

    /// Empties a slot; returns the next of its chain.
    pub(super) fn free(&mut self, slot: usize) -> Option<usize> {
        let Slot { label, next, .. } = self.slots[slot].take()?;
        self.shares.leave(label.ingress, slot);
        self.free.push(slot);
        next
    }

    /// The datagram of the port's oldest frame, if that one has waited too long.
    pub(super) fn overdue(&self, port: PortId, now: Instant) -> Option<usize> {
        let oldest = self.slots[self.shares.oldest(port)?]?.label;
        (now.since(oldest.since) >= HOLD).then_some(oldest.owner)
    }

    pub(super) fn len_of(&self, port: PortId) -> usize {
        self.shares.len_of(port)
    }

    /// The end of a chain; a port's share bounds its length.
    fn last_of(&self, first: usize) -> usize {
        let next = |slot: &usize| self.slots[*slot].and_then(|slot| slot.next);
        core::iter::successors(Some(first), next).last().unwrap_or(first)
    }

    fn set_next(&mut self, slot: usize, next: usize) {
        if let Some(slot) = &mut self.slots[slot] {
            slot.next = Some(next);
        }
    }
}
