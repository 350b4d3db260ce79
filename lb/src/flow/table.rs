//! The flow table: flows in a slab of fixed size, found from either direction.
//!
//! Every flow stands in the index twice: by (client, VIP) for what comes from the client, and by
//! (client as the real sees it, real) for what comes from the real; by the latter alone where every
//! datagram is scheduled anew. Slots are touched when they are
//! first needed: a table for a million flows costs a host the memory of those that there were.
//!
//! Embryonic and closed flows stand in lists, oldest first. When the slab is full, or the
//! embryonic flows fill their quota, the oldest closed flow gives way, then the oldest embryonic
//! one, never an established one: a SYN flood costs other beginners at most.

use alloc::vec::Vec;
use core::time::Duration;

use super::index::{FlowId, Hash, Index};
use super::{Direction, Flow, FlowKey, FlowState, NewFlow, News};
use crate::wire::transport::TcpFlags;
use crate::{Instant, RealId};

/// Embryonic flows may fill this part of the table.
const EMBRYONIC_SHARE: usize = 4;
/// A turn of housekeeping looks at one part in this many, so the whole is seen in so many turns.
const SWEEP_TURNS: usize = 512;

pub struct FlowTable {
    /// Slots that were ever used; memory beyond them is ours, but untouched.
    slab: Vec<Option<Slot>>,
    /// Slots of the slab that are free.
    free: Vec<FlowId>,
    capacity: usize,
    index: Index,
    embryonic: List,
    closed: List,
    sweep_at: usize,
    counters: FlowCounters,
}

/// What a packet changed about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// The real's first answer, this long after the flow's first packet.
    Answered {
        after: Duration,
    },
    /// The client's first packet after that: it is where it says to be.
    Confirmed,
    /// The client asks again, since nobody has answered.
    Unanswered,
    /// The first answer was a reset, which ends the connection.
    Refused {
        was_waiting: bool,
    },
    /// The connection ended with this packet; whether its client waited for an answer.
    Closed {
        was_waiting: bool,
    },
}

/// Why a flow was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// The real sees this tuple already, from another flow.
    TupleTaken,
    /// Neither a place in the slab nor one that anybody would have to give up.
    Full,
}

/// Flows that left the table; whoever counts a real's flows must hear of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    pub real: RealId,
    /// Whether it counted as open until now.
    pub was_open: bool,
    /// Whether it counted as waiting.
    pub was_waiting: bool,
    /// Its SYN waited its whole time for an answer, which is now over.
    pub unanswered_at: Option<Instant>,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    pub created: u64,
    pub expired: u64,
    /// Embryonic flows that gave way to newer ones.
    pub evicted_embryonic: u64,
    /// Closed flows that gave way before their time.
    pub evicted_closed: u64,
    /// New flows that found no place.
    pub refused: u64,
}

/// A flow and its neighbours in the list of its state.
#[repr(C, align(128))]
struct Slot {
    flow: Flow,
    older: Option<FlowId>,
    newer: Option<FlowId>,
}

const _: () = assert!(size_of::<Option<Slot>>() == 128, "two cache lines");

#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<FlowId>,
    newest: Option<FlowId>,
    len: usize,
}

impl FlowTable {
    /// Bytes that a flow needs, its part of the index included.
    pub const BYTES_PER_FLOW: usize =
        size_of::<Option<Slot>>() + size_of::<FlowId>() + Index::BYTES_PER_FLOW;

    /// A table for `capacity` flows (at least 1), all its memory taken now.
    pub fn new(capacity: usize, secret: u64) -> FlowTable {
        let capacity = capacity.clamp(1, u32::MAX as usize - 1);
        FlowTable {
            slab: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            index: Index::new(capacity, secret),
            embryonic: List::default(),
            closed: List::default(),
            sweep_at: 0,
            counters: FlowCounters::default(),
        }
    }

    /// The flow with this key, by what comes from the given side.
    #[inline(always)]
    pub fn find(&self, key: &FlowKey, direction: Direction) -> Option<FlowId> {
        self.find_at(self.hash(key, direction), key, direction)
    }

    /// The same for those who only look: one copy is enough for them.
    #[cold]
    #[inline(never)]
    pub(crate) fn look_up(&self, key: &FlowKey, direction: Direction) -> Option<FlowId> {
        self.find(key, direction)
    }

    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey, direction: Direction) -> Hash {
        self.index.hash(key, direction)
    }

    /// Brings a key's place in the index into the cache; the value says nothing.
    #[inline]
    pub(crate) fn touch_index(&self, hash: Hash) -> u64 {
        self.index.touch(hash)
    }

    /// The flow that the index names first for a hash: most likely the one that is meant.
    #[inline]
    pub(crate) fn named(&self, hash: Hash) -> Option<FlowId> {
        self.index.find(hash, |_| true)
    }

    /// Brings both lines of a flow into the cache; the value says nothing.
    #[inline]
    pub(crate) fn touch(&self, named: FlowId) -> u64 {
        let words = |flow: &Flow| flow.seen.as_nanos() ^ flow.key(Direction::ToReal).words()[0];
        self.get(named).map_or(0, words)
    }

    /// The same for the slot that the next flow but so many will get.
    #[inline]
    pub(crate) fn touch_free(&self, ahead: usize) -> u64 {
        let slot = self.free.iter().rev().nth(ahead).and_then(|id| self.slab.get(id.slot()));
        slot.map_or(0, |slot| u64::from(slot.is_some()))
    }

    /// The flow with this key; it may be the one that was named for it.
    #[inline(always)]
    pub(crate) fn find_named(
        &self,
        named: Option<FlowId>,
        key: &FlowKey,
        direction: Direction,
    ) -> Option<FlowId> {
        let is_it =
            |flow: &Flow| flow.key(direction) == key && flow.directions().contains(&direction);
        let meant = named.filter(|&named| self.get(named).is_some_and(is_it));
        meant.or_else(|| self.find(key, direction))
    }

    /// The flow that was named, if it has this key and is settled in this direction.
    #[inline(always)]
    pub(crate) fn settled(
        &mut self,
        named: FlowId,
        key: &FlowKey,
        direction: Direction,
    ) -> Option<&mut Flow> {
        let flow = self.get_mut(named)?;
        (flow.key(direction) == key && flow.is_settled(direction)).then_some(flow)
    }

    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.slab.get(id.slot())?.as_ref().map(|slot| &slot.flow)
    }

    /// Takes a flow in; `gone` hears of a flow that gave way.
    pub fn insert(
        &mut self,
        new: NewFlow,
        now: Instant,
        gone: &mut impl FnMut(Gone),
    ) -> Result<FlowId, InsertError> {
        let flow = Flow::new(new, now);
        let (key, direction) = (flow.key(Direction::ToClient), Direction::ToClient);
        let hash = self.hash(key, direction);
        if self.find_at(hash, key, direction).is_some() {
            return Err(InsertError::TupleTaken);
        }
        if self.embryonic.len >= self.embryonic_max() {
            self.evict_embryonic(gone);
        }
        if self.is_full() {
            self.evict(gone);
        }
        let id = self.take_slot().ok_or_else(|| self.refuse())?;
        let mut has_place = self.index.enter(hash, id);
        if flow.directions().contains(&Direction::ToReal) {
            let hash = self.hash(flow.key(Direction::ToReal), Direction::ToReal);
            has_place = has_place && self.index.enter(hash, id);
        }
        self.slab[id.slot()] = Some(Slot { flow, older: None, newer: None });
        if !has_place {
            self.leave(id);
            return Err(self.refuse());
        }
        self.link(id);
        self.counters.created += 1;
        Ok(id)
    }

    /// What [`FlowTable::insert`] would say when a flow has been removed. That the index has no place
    /// though the slab has one is not foreseen: it takes 32 places in use of which none can be moved.
    pub(crate) fn foresee_insert(
        &self,
        new: &NewFlow,
        removed: Option<FlowId>,
    ) -> Result<(), InsertError> {
        let NewFlow { protocol, vlan, client_at_real, real_end, .. } = *new;
        let key = FlowKey::new(protocol, vlan, client_at_real, real_end);
        let taken = self.look_up(&key, Direction::ToClient);
        if taken.is_some() && taken != removed {
            return Err(InsertError::TupleTaken);
        }
        let gives_way = removed.or(self.closed.oldest).or(self.embryonic.oldest);
        if self.is_full() && gives_way.is_none() { Err(InsertError::Full) } else { Ok(()) }
    }

    /// Takes in that a packet of the flow passed.
    #[inline(always)]
    pub fn observe(
        &mut self,
        id: FlowId,
        direction: Direction,
        flags: TcpFlags,
        now: Instant,
    ) -> Step {
        let Some(flow) = self.get_mut(id) else {
            return Step::Nothing;
        };
        let (before, started, was_waiting) = (flow.state, flow.started, flow.is_waiting());
        let (after, news) = flow.pass(direction, flags, now);
        if before != after {
            self.unlink(id);
            if let Some(flow) = self.get_mut(id) {
                flow.state = after;
            }
            self.link(id);
        }
        match (after, news) {
            (FlowState::Closed, News::Answered) if before != after => Step::Refused { was_waiting },
            (FlowState::Closed, _) if before != after => Step::Closed { was_waiting },
            (_, News::Answered) => Step::Answered { after: now.since(started) },
            (_, News::Confirmed) => Step::Confirmed,
            (_, News::Unanswered) => Step::Unanswered,
            (_, News::Nothing) => Step::Nothing,
        }
    }

    /// Takes in that one side of the flow says something; whether the other one did before.
    pub(crate) fn turns(&mut self, id: FlowId, direction: Direction) -> bool {
        self.get_mut(id).is_some_and(|flow| flow.is_open() && flow.turns(direction))
    }

    /// Ends an open flow in its middle; whether its client waited for an answer.
    pub(crate) fn cut(&mut self, id: FlowId, now: Instant) -> Option<bool> {
        let was_waiting = self.get(id).filter(|flow| flow.is_open())?.is_waiting();
        self.unlink(id);
        if let Some(flow) = self.get_mut(id) {
            (flow.state, flow.seen) = (FlowState::Cut, now);
        }
        self.link(id);
        Some(was_waiting)
    }

    /// Removes a flow at once.
    pub fn remove(&mut self, id: FlowId) -> Option<Gone> {
        let flow = self.get(id)?;
        let (was_open, was_waiting) = (flow.is_open(), flow.is_waiting());
        let gone = Gone { real: flow.real, was_open, was_waiting, unanswered_at: None };
        self.unlink(id);
        self.leave(id);
        Some(gone)
    }

    /// One bounded slice of expiry; the whole table is seen in [`SWEEP_TURNS`] turns.
    pub fn sweep(&mut self, now: Instant, gone: &mut impl FnMut(Gone)) {
        let slice = self.slab.len().div_ceil(SWEEP_TURNS);
        for _ in 0..slice {
            let slot = self.sweep_at;
            self.sweep_at = (slot + 1) % self.slab.len();
            let id = FlowId::new(slot);
            let Some(flow) = self.get(id).filter(|flow| flow.is_expired(now)) else {
                continue;
            };
            let unanswered_at = flow.ends_unanswered(now).then_some(now);
            self.counters.expired += 1;
            if let Some(expired) = self.remove(id) {
                gone(Gone { unanswered_at, ..expired });
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.slab.iter().flatten().map(|slot| &slot.flow)
    }

    /// The flows in so many places from `first` on, each with its place: a look at a table of a
    /// million takes many. A flow stays in its place as long as it lives.
    pub fn look(&self, first: usize, places: usize) -> impl Iterator<Item = (usize, &Flow)> {
        let part = self.slab.iter().enumerate().skip(first).take(places);
        part.filter_map(|(place, slot)| Some((place, &slot.as_ref()?.flow)))
    }

    /// Places that were ever used; there is no flow in those from here on.
    pub fn places(&self) -> usize {
        self.slab.len()
    }

    pub fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn embryonic(&self) -> usize {
        self.embryonic.len
    }

    pub fn counters(&self) -> &FlowCounters {
        &self.counters
    }

    #[inline(always)]
    fn find_at(&self, hash: Hash, key: &FlowKey, direction: Direction) -> Option<FlowId> {
        self.index.find(hash, |id| self.get(id).is_some_and(|flow| flow.key(direction) == key))
    }

    fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.slab.get_mut(id.slot())?.as_mut().map(|slot| &mut slot.flow)
    }

    fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// A slot used before, or the first one never used.
    fn take_slot(&mut self) -> Option<FlowId> {
        if self.is_full() {
            return None;
        }
        let used_before = self.free.pop();
        used_before.or_else(|| {
            self.slab.push(None);
            Some(FlowId::new(self.slab.len() - 1))
        })
    }

    fn embryonic_max(&self) -> usize {
        self.capacity.div_ceil(EMBRYONIC_SHARE)
    }

    fn evict(&mut self, gone: &mut impl FnMut(Gone)) {
        match self.closed.oldest {
            Some(id) => {
                self.counters.evicted_closed += 1;
                self.remove(id).map(&mut *gone);
            }
            None => self.evict_embryonic(gone),
        }
    }

    fn evict_embryonic(&mut self, gone: &mut impl FnMut(Gone)) {
        if let Some(id) = self.embryonic.oldest {
            self.counters.evicted_embryonic += 1;
            self.remove(id).map(&mut *gone);
        }
    }

    fn refuse(&mut self) -> InsertError {
        self.counters.refused += 1;
        InsertError::Full
    }

    /// Takes a flow out of the index and gives its slot back.
    fn leave(&mut self, id: FlowId) {
        let Some(Slot { flow, .. }) = self.slab[id.slot()].take() else {
            return;
        };
        for &direction in flow.directions() {
            let hash = self.index.hash(flow.key(direction), direction);
            self.index.leave(hash, id);
        }
        self.free.push(id);
    }

    // The lists.

    fn list_of(&mut self, state: FlowState) -> Option<&mut List> {
        match state {
            FlowState::Embryonic => Some(&mut self.embryonic),
            FlowState::Closed | FlowState::Cut => Some(&mut self.closed),
            FlowState::Established | FlowState::Closing => None,
        }
    }

    /// Puts a flow at the new end of its state's list.
    fn link(&mut self, id: FlowId) {
        let state = self.get(id).map(|flow| flow.state);
        let Some(list) = state.and_then(|state| self.list_of(state)) else {
            return;
        };
        let newest = list.newest.replace(id);
        list.oldest = list.oldest.or(Some(id));
        list.len += 1;
        self.relink(Some(id), |slot| (slot.older, slot.newer) = (newest, None));
        self.relink(newest, |slot| slot.newer = Some(id));
    }

    /// Takes a flow out of its state's list.
    fn unlink(&mut self, id: FlowId) {
        let Some(&Slot { ref flow, older, newer }) = self.slab[id.slot()].as_ref() else {
            return;
        };
        let state = flow.state;
        let Some(list) = self.list_of(state) else {
            return;
        };
        list.len -= 1;
        if list.oldest == Some(id) {
            list.oldest = newer;
        }
        if list.newest == Some(id) {
            list.newest = older;
        }
        self.relink(older, |slot| slot.newer = newer);
        self.relink(newer, |slot| slot.older = older);
        self.relink(Some(id), |slot| (slot.older, slot.newer) = (None, None));
    }

    fn relink(&mut self, id: Option<FlowId>, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = id.and_then(|id| self.slab[id.slot()].as_mut()) {
            change(slot);
        }
    }
}

#[cfg(test)]
mod tests;
