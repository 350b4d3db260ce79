//! Where a flow lies: an index of fixed size over keyed hashes.
//!
//! A bucket is one cache line of eight entries, each a tag and a slot; a hash has two buckets. So a
//! lookup reads at most sixteen entries, compares tags first and looks at a flow only when a tag
//! fits. An entry goes into the emptier of its buckets, which at half load keeps any from filling
//! up. There is no growth, no rehash and no tombstone.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU32;

use foldhash::fast::FixedState;

use super::{Direction, FlowKey};
use crate::wire::Endpoint;

const WAYS: usize = 8;
/// Every flow has two entries, and the index twice as many places.
const PLACES_PER_FLOW: usize = 4;

/// A flow's slot in its table, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(NonZeroU32);

/// The keyed hash of a key, seen from one direction.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64);

/// Entries of (tag << 32 | flow id), 0 when free.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u64; WAYS]);

pub(super) struct Index {
    buckets: Box<[Bucket]>,
    key: FixedState,
}

impl Index {
    pub(super) const BYTES_PER_FLOW: usize = PLACES_PER_FLOW * size_of::<u64>();

    /// For so many flows; `secret` keys the hash, so that nobody outside can aim at one bucket.
    pub(super) fn new(flows: usize, secret: u64) -> Index {
        let buckets = (flows * PLACES_PER_FLOW).div_ceil(WAYS).next_power_of_two().max(2);
        Index {
            buckets: vec![Bucket([0; WAYS]); buckets].into_boxed_slice(),
            key: FixedState::with_seed(secret),
        }
    }

    pub(super) fn hash(&self, key: &FlowKey, direction: Direction) -> Hash {
        let end = |end: Endpoint| u64::from(end.address.to_bits()) << 16 | u64::from(end.port);
        let mut hasher = self.key.build_hasher();
        hasher.write_u64(end(key.client) | u64::from(key.protocol.number()) << 48);
        hasher.write_u64(end(key.server) | (direction as u64) << 48);
        Hash(hasher.finish())
    }

    /// Flows that may have this hash: sixteen at most, rarely more than the one.
    pub(super) fn candidates(&self, hash: Hash) -> impl Iterator<Item = FlowId> {
        let entries = self.buckets_of(hash).into_iter().flat_map(|at| self.buckets[at].0);
        let fitting = entries.filter(move |entry| (entry >> 32) as u32 == hash.tag());
        fitting.filter_map(|entry| NonZeroU32::new(entry as u32).map(FlowId))
    }

    /// Enters a flow; `false` when both of its buckets are full.
    #[must_use]
    pub(super) fn enter(&mut self, hash: Hash, id: FlowId) -> bool {
        let [first, second] = self.buckets_of(hash);
        let free_in = |at: usize| self.buckets[at].0.iter().filter(|&&e| e == 0).count();
        let at = if free_in(second) > free_in(first) { second } else { first };
        let free = self.buckets[at].0.iter_mut().find(|entry| **entry == 0);
        free.map(|place| *place = hash.entry(id)).is_some()
    }

    pub(super) fn leave(&mut self, hash: Hash, id: FlowId) {
        for at in self.buckets_of(hash) {
            for place in self.buckets[at].0.iter_mut().filter(|place| **place == hash.entry(id)) {
                *place = 0;
            }
        }
    }

    /// Entries in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().flat_map(|bucket| bucket.0).filter(|&entry| entry != 0).count()
    }

    /// Both buckets of a hash, never the same one.
    fn buckets_of(&self, hash: Hash) -> [usize; 2] {
        let mask = self.buckets.len() - 1;
        let first = hash.0 as usize & mask;
        // The step to the second comes from the tag's bits, and is odd so that it is never zero.
        let step = (hash.tag() as usize & mask) | 1;
        [first, first ^ step]
    }
}

impl Hash {
    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn entry(self, id: FlowId) -> u64 {
        u64::from(self.tag()) << 32 | u64::from(id.0.get())
    }
}

impl FlowId {
    pub(super) fn new(slot: usize) -> FlowId {
        FlowId(NonZeroU32::MIN.saturating_add(slot as u32))
    }

    pub(super) fn slot(self) -> usize {
        self.0.get() as usize - 1
    }
}
