//! The flow table: which real a flow is pinned to, found from either direction.
//!
//! Flows lie in a slab of fixed size; an index of twice as many entries as it needs finds them.
//! Its buckets are one cache line: eight entries of a tag and a slot. A key has two buckets, so a
//! lookup reads at most sixteen entries, compares tags first and touches a flow only when a tag
//! fits. There is no growth, no rehash and no tombstone. The hash is keyed with a secret drawn at
//! boot, so nobody outside can aim at one bucket. Slots are touched when they are first needed: a
//! table for a million flows costs a host the memory of those that there were.
//!
//! Every flow stands in the index twice: by (client, VIP) for what comes from the client, and by
//! (client as the real sees it, real) for what comes from the real.
//!
//! Embryonic and closed flows stand in lists, oldest first. When the slab is full, or the
//! embryonic flows fill their quota, the oldest closed flow gives way, then the oldest embryonic
//! one, never an established one: a SYN flood costs other beginners at most.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU32;
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::wire::Endpoint;
use crate::wire::transport::TcpFlags;
use crate::{Instant, Protocol, RealId};

/// A flow that nobody has answered yet: three SYN retransmissions (RFC 6298: 1 s, 2 s, 4 s).
pub const EMBRYONIC_IDLE: Duration = Duration::from_secs(10);
/// An established TCP connection (RFC 5382, REQ-5: at least 2 h 4 min).
pub const TCP_IDLE: Duration = Duration::from_secs(7440);
/// A TCP connection of which one side has closed (RFC 5382, REQ-5: at least 4 min).
pub const CLOSING_IDLE: Duration = Duration::from_secs(240);
/// A closed connection: its last segments still find their way.
pub const CLOSED_IDLE: Duration = Duration::from_secs(30);
/// An answered UDP flow (RFC 4787, REQ-5: at least 2 min).
pub const UDP_IDLE: Duration = Duration::from_secs(120);

/// Embryonic flows may fill this part of the table.
const EMBRYONIC_SHARE: usize = 4;
/// A turn of housekeeping looks at one part in this many, so the whole is seen in so many turns.
const SWEEP_TURNS: usize = 512;
const WAYS: usize = 8;

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToReal,
    ToClient,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// Not answered, or a SYN-ACK that the client has not acknowledged.
    Embryonic,
    Established,
    /// One side has sent its FIN.
    Closing,
    /// Both FINs or a RST were seen; kept for the last segments.
    Closed,
}

/// What makes two flows different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    pub protocol: Protocol,
    /// The client's end.
    pub client: Endpoint,
    /// The other end: the VIP's or the real's.
    pub server: Endpoint,
}

/// A five-tuple pinned to a real.
#[derive(Clone, Debug)]
pub struct Flow {
    pub protocol: Protocol,
    pub client: Endpoint,
    pub vip: Endpoint,
    /// The client's end as the real sees it: the client itself but for a guest's flow with itself
    /// and for tuples that would collide at the real.
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
    pub real: RealId,
    pub state: FlowState,
    pub started: Instant,
    /// Last packet, either way.
    pub seen: Instant,
    pub packets_in: u64,
    pub packets_out: u64,
    /// Sides that have sent a FIN, and whether the real has answered.
    fin_from_client: bool,
    fin_from_real: bool,
    answered: bool,
    /// Neighbours in the list of its state.
    older: Option<FlowId>,
    newer: Option<FlowId>,
}

/// A flow's slot in the slab, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(NonZeroU32);

/// What a new flow needs to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow {
    pub protocol: Protocol,
    pub client: Endpoint,
    pub vip: Endpoint,
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
    pub real: RealId,
}

/// What a packet changed about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// The real's first answer, this long after the flow's first packet.
    Answered {
        after: Duration,
    },
    /// The connection, begun at `started`, ended with this packet.
    Closed {
        started: Instant,
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
    pub started: Instant,
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

/// A bucket of the index: entries of (tag << 32 | flow id), 0 when free.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u64; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<FlowId>,
    newest: Option<FlowId>,
    len: usize,
}

pub struct FlowTable {
    /// Slots that were ever used; memory beyond them is ours, but untouched.
    slab: Vec<Option<Flow>>,
    /// Slots of the slab that are free.
    free: Vec<FlowId>,
    capacity: usize,
    index: Box<[Bucket]>,
    hash: FixedState,
    embryonic: List,
    closed: List,
    sweep_at: usize,
    counters: FlowCounters,
}

impl FlowTable {
    /// Bytes that a flow needs, its part of the index included.
    pub const BYTES_PER_FLOW: usize =
        size_of::<Option<Flow>>() + size_of::<FlowId>() + 4 * size_of::<u64>();

    /// A table for `capacity` flows (at least 1), all its memory taken now.
    pub fn new(capacity: usize, secret: u64) -> FlowTable {
        let capacity = capacity.clamp(1, u32::MAX as usize - 1);
        let buckets = (capacity * 4).div_ceil(WAYS).next_power_of_two().max(2);
        FlowTable {
            slab: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            index: vec![Bucket([0; WAYS]); buckets].into_boxed_slice(),
            hash: FixedState::with_seed(secret),
            embryonic: List::default(),
            closed: List::default(),
            sweep_at: 0,
            counters: FlowCounters::default(),
        }
    }

    /// The flow with this key, by what comes from the given side.
    pub fn find(&self, key: &FlowKey, direction: Direction) -> Option<FlowId> {
        let hash = self.hash_of(key, direction);
        let tag = tag_of(hash);
        let entries = self.buckets_of(hash).into_iter().flat_map(|at| self.index[at].0);
        entries
            .filter(|&entry| (entry >> 32) as u32 == tag)
            .filter_map(FlowId::of_entry)
            .find(|&id| self.get(id).is_some_and(|flow| flow.key(direction) == *key))
    }

    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.slab.get(id.slot())?.as_ref()
    }

    /// Takes a flow in; `gone` hears of a flow that gave way.
    pub fn insert(
        &mut self,
        new: NewFlow,
        now: Instant,
        gone: &mut impl FnMut(Gone),
    ) -> Result<FlowId, InsertError> {
        let flow = Flow::new(new, now);
        if self.find(&flow.key(Direction::ToClient), Direction::ToClient).is_some() {
            return Err(InsertError::TupleTaken);
        }
        if self.embryonic.len >= self.embryonic_max() {
            self.evict_embryonic(gone);
        }
        if self.is_full() {
            self.evict(gone);
        }
        let id = self.take_slot().ok_or_else(|| self.refuse())?;
        let keys = [Direction::ToReal, Direction::ToClient].map(|d| (flow.key(d), d));
        self.slab[id.slot()] = Some(flow);
        for (key, direction) in keys {
            if !self.enter(&key, direction, id) {
                self.leave(id);
                return Err(self.refuse());
            }
        }
        self.link(id);
        self.counters.created += 1;
        Ok(id)
    }

    /// Takes in that a packet of the flow passed.
    pub fn observe(
        &mut self,
        id: FlowId,
        direction: Direction,
        flags: TcpFlags,
        now: Instant,
    ) -> Step {
        let Some(flow) = self.slab[id.slot()].as_mut() else {
            return Step::Nothing;
        };
        flow.seen = now;
        match direction {
            Direction::ToReal => flow.packets_in += 1,
            Direction::ToClient => flow.packets_out += 1,
        }
        let first_answer = direction == Direction::ToClient && !flow.answered;
        flow.answered |= first_answer;
        let (before, after) = (flow.state, flow.next_state(direction, flags));
        let started = flow.started;
        if before != after {
            self.unlink(id);
            if let Some(flow) = self.slab[id.slot()].as_mut() {
                flow.state = after;
            }
            self.link(id);
        }
        match after {
            FlowState::Closed if before != after => Step::Closed { started },
            _ if first_answer => Step::Answered { after: now.since(started) },
            _ => Step::Nothing,
        }
    }

    /// Removes a flow at once.
    pub fn remove(&mut self, id: FlowId) -> Option<Gone> {
        let gone = self.get(id)?.gone();
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
            if self.slab[slot].as_ref().is_some_and(|flow| flow.is_expired(now)) {
                self.counters.expired += 1;
                self.remove(FlowId::new(slot)).map(&mut *gone);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.slab.iter().flatten()
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

    // The index.

    fn hash_of(&self, key: &FlowKey, direction: Direction) -> u64 {
        let end = |end: Endpoint| u64::from(end.address.to_bits()) << 16 | u64::from(end.port);
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(end(key.client) | u64::from(key.protocol.number()) << 48);
        hasher.write_u64(end(key.server) | (direction as u64) << 48);
        hasher.finish()
    }

    /// Both buckets of a hash, never the same one.
    fn buckets_of(&self, hash: u64) -> [usize; 2] {
        let mask = self.index.len() - 1;
        let first = hash as usize & mask;
        // The tag's bits are the upper ones: the step to the second bucket comes from them, and
        // is odd so that it is never zero.
        [first, first ^ ((hash >> 32) as usize & mask | 1)]
    }

    fn enter(&mut self, key: &FlowKey, direction: Direction, id: FlowId) -> bool {
        let hash = self.hash_of(key, direction);
        let entry = u64::from(tag_of(hash)) << 32 | u64::from(id.0.get());
        let [first, second] = self.buckets_of(hash);
        let free_in = |at: usize| self.index[at].0.iter().filter(|&&e| e == 0).count();
        // The emptier of the two: that is what keeps buckets from filling up.
        let at = if free_in(second) > free_in(first) { second } else { first };
        let free = self.index[at].0.iter_mut().find(|entry| **entry == 0);
        free.map(|slot| *slot = entry).is_some()
    }

    /// Takes a flow out of the index and gives its slot back.
    fn leave(&mut self, id: FlowId) {
        let Some(flow) = self.slab[id.slot()].take() else {
            return;
        };
        for direction in [Direction::ToReal, Direction::ToClient] {
            let hash = self.hash_of(&flow.key(direction), direction);
            let entry = u64::from(tag_of(hash)) << 32 | u64::from(id.0.get());
            for at in self.buckets_of(hash) {
                for slot in self.index[at].0.iter_mut().filter(|slot| **slot == entry) {
                    *slot = 0;
                }
            }
        }
        self.free.push(id);
    }

    // The lists.

    fn list_of(&mut self, state: FlowState) -> Option<&mut List> {
        match state {
            FlowState::Embryonic => Some(&mut self.embryonic),
            FlowState::Closed => Some(&mut self.closed),
            FlowState::Established | FlowState::Closing => None,
        }
    }

    /// Puts a flow at the new end of its state's list.
    fn link(&mut self, id: FlowId) {
        let Some(state) = self.get(id).map(|flow| flow.state) else {
            return;
        };
        let Some(list) = self.list_of(state) else {
            return;
        };
        let newest = list.newest.replace(id);
        list.oldest = list.oldest.or(Some(id));
        list.len += 1;
        self.neighbours(Some(id), |flow| (flow.older, flow.newer) = (newest, None));
        self.neighbours(newest, |flow| flow.newer = Some(id));
    }

    /// Takes a flow out of its state's list.
    fn unlink(&mut self, id: FlowId) {
        let Some((state, older, newer)) = self.get(id).map(|f| (f.state, f.older, f.newer)) else {
            return;
        };
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
        self.neighbours(older, |flow| flow.newer = newer);
        self.neighbours(newer, |flow| flow.older = older);
        self.neighbours(Some(id), |flow| (flow.older, flow.newer) = (None, None));
    }

    fn neighbours(&mut self, id: Option<FlowId>, change: impl FnOnce(&mut Flow)) {
        if let Some(flow) = id.and_then(|id| self.slab[id.slot()].as_mut()) {
            change(flow);
        }
    }
}

impl Flow {
    fn new(new: NewFlow, now: Instant) -> Flow {
        let NewFlow { protocol, client, vip, client_at_real, real_end, real } = new;
        Flow {
            protocol,
            client,
            vip,
            client_at_real,
            real_end,
            real,
            state: FlowState::Embryonic,
            started: now,
            seen: now,
            packets_in: 0,
            packets_out: 0,
            fin_from_client: false,
            fin_from_real: false,
            answered: false,
            older: None,
            newer: None,
        }
    }

    /// The key by which a packet of the given direction finds this flow.
    pub fn key(&self, direction: Direction) -> FlowKey {
        let (client, server) = match direction {
            Direction::ToReal => (self.client, self.vip),
            Direction::ToClient => (self.client_at_real, self.real_end),
        };
        FlowKey { protocol: self.protocol, client, server }
    }

    pub fn is_open(&self) -> bool {
        self.state != FlowState::Closed
    }

    fn gone(&self) -> Gone {
        Gone { real: self.real, was_open: self.is_open(), started: self.started }
    }

    fn is_expired(&self, now: Instant) -> bool {
        let idle_max = match (self.state, self.protocol) {
            (FlowState::Embryonic, _) => EMBRYONIC_IDLE,
            (FlowState::Established, Protocol::Tcp) => TCP_IDLE,
            (FlowState::Established, Protocol::Udp) => UDP_IDLE,
            (FlowState::Closing, _) => CLOSING_IDLE,
            (FlowState::Closed, _) => CLOSED_IDLE,
        };
        now.since(self.seen) >= idle_max
    }

    fn next_state(&mut self, direction: Direction, flags: TcpFlags) -> FlowState {
        match (self.protocol, direction) {
            (Protocol::Udp, Direction::ToReal) => return self.state,
            (Protocol::Udp, Direction::ToClient) => return FlowState::Established,
            (Protocol::Tcp, Direction::ToReal) => self.fin_from_client |= flags.has(TcpFlags::FIN),
            (Protocol::Tcp, Direction::ToClient) => self.fin_from_real |= flags.has(TcpFlags::FIN),
        }
        let confirmed = direction == Direction::ToReal && self.answered && !flags.opens();
        match self.state {
            _ if flags.has(TcpFlags::RST) => FlowState::Closed,
            FlowState::Closed => FlowState::Closed,
            _ if self.fin_from_client && self.fin_from_real => FlowState::Closed,
            FlowState::Embryonic if !confirmed => FlowState::Embryonic,
            _ if self.fin_from_client || self.fin_from_real => FlowState::Closing,
            _ => FlowState::Established,
        }
    }
}

impl FlowId {
    fn new(slot: usize) -> FlowId {
        FlowId(NonZeroU32::MIN.saturating_add(slot as u32))
    }

    fn slot(self) -> usize {
        self.0.get() as usize - 1
    }

    fn of_entry(entry: u64) -> Option<FlowId> {
        NonZeroU32::new(entry as u32).map(FlowId)
    }
}

impl FlowState {
    pub const fn as_str(self) -> &'static str {
        match self {
            FlowState::Embryonic => "embryonic",
            FlowState::Established => "established",
            FlowState::Closing => "closing",
            FlowState::Closed => "closed",
        }
    }
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests;
