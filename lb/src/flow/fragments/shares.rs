//! Who came first, port by port, and so who gives way when there is no room.
//!
//! A port that holds a quarter of all gives up its own oldest for a newcomer of its own. When all is
//! taken, the port that holds most gives up its oldest; one that holds a single thing is not asked
//! to give it to another. So a port that floods the table pushes out itself, however many others
//! flood it too. The oldest goes and not the newcomer, because honest fragments follow each other
//! closely: even among a flood on the same port they meet.

use alloc::boxed::Box;
use alloc::vec;

use crate::PortId;
use crate::limits::PORTS_MAX;

/// One port may hold this part of all.
const PORT_SHARE: usize = 4;

/// A queue of slots for each port.
pub(super) struct Shares {
    links: Box<[Links]>,
    queues: [Queue; PORTS_MAX],
    len: usize,
    capacity: usize,
}

/// Whether something of a port may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// When what lies here has left.
    After(usize),
    None,
}

#[derive(Clone, Copy, Default)]
struct Links {
    older: Option<usize>,
    newer: Option<usize>,
}

#[derive(Clone, Copy, Default)]
struct Queue {
    oldest: Option<usize>,
    newest: Option<usize>,
    len: usize,
}

impl Shares {
    /// For `capacity` things that lie in any of so many `slots`.
    pub(super) fn new(capacity: usize, slots: usize) -> Shares {
        Shares {
            links: vec![Links::default(); slots].into_boxed_slice(),
            queues: [Queue::default(); PORTS_MAX],
            len: 0,
            capacity,
        }
    }

    pub(super) fn room(&self, port: PortId) -> Room {
        let own = self.queues[port.index()];
        let largest = self.queues.iter().max_by_key(|queue| queue.len).unwrap_or(&own);
        let gives_way = match () {
            () if own.len >= self.capacity.div_ceil(PORT_SHARE) => own.oldest,
            () if self.len < self.capacity => return Room::Free,
            () if own.len >= largest.len => own.oldest,
            () if largest.len > 1 => largest.oldest,
            () => None,
        };
        gives_way.map_or(Room::None, Room::After)
    }

    /// Puts a slot at the new end of a port's queue.
    pub(super) fn enter(&mut self, port: PortId, slot: usize) {
        let queue = &mut self.queues[port.index()];
        let older = queue.newest.replace(slot);
        queue.oldest = queue.oldest.or(Some(slot));
        queue.len += 1;
        self.len += 1;
        self.links[slot] = Links { older, newer: None };
        if let Some(older) = older {
            self.links[older].newer = Some(slot);
        }
    }

    pub(super) fn leave(&mut self, port: PortId, slot: usize) {
        let Links { older, newer } = self.links[slot];
        let queue = &mut self.queues[port.index()];
        match older {
            Some(older) => self.links[older].newer = newer,
            None => queue.oldest = newer,
        }
        match newer {
            Some(newer) => self.links[newer].older = older,
            None => queue.newest = older,
        }
        queue.len -= 1;
        self.len -= 1;
    }

    pub(super) fn oldest(&self, port: PortId) -> Option<usize> {
        self.queues[port.index()].oldest
    }

    pub(super) fn len_of(&self, port: PortId) -> usize {
        self.queues[port.index()].len
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
