//! Where a flow lies: an index of fixed size over keyed hashes.
//!
//! A bucket is one cache line: eight tags, which are compared together, and the eight flows that
//! have them. A hash has two buckets. An entry goes into the first while that has a place, which is
//! so for all but one in twenty when the table is full; a lookup that finds its flow therefore reads
//! one line and one flow. When both are full an entry of theirs moves to its other bucket, which
//! follows from where it is and its tag. There is no growth, no rehash and no tombstone.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU32;

use foldhash::fast::FixedState;

use super::{Direction, FlowKey};

const WAYS: usize = 8;
/// Every flow has two entries, and the index twice as many places.
const PLACES_PER_FLOW: usize = 4;

/// A flow's slot in its table, plus one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowId(NonZeroU32);

/// The keyed hash of a key, seen from one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

/// The flow in a place, `None` when it is free, and the upper half of its hash.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u32; WAYS],
    flows: [Option<FlowId>; WAYS],
}

pub(super) struct Index {
    buckets: Box<[Bucket]>,
    key: FixedState,
}

impl Index {
    pub(super) const BYTES_PER_FLOW: usize = PLACES_PER_FLOW * size_of::<Bucket>() / WAYS;

    /// For so many flows; `secret` keys the hash, so that nobody outside can aim at one bucket.
    pub(super) fn new(flows: usize, secret: u64) -> Index {
        let buckets = (flows * PLACES_PER_FLOW).div_ceil(WAYS).next_power_of_two().max(2);
        Index {
            buckets: vec![Bucket::EMPTY; buckets].into_boxed_slice(),
            key: FixedState::with_seed(secret),
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &FlowKey, direction: Direction) -> Hash {
        let mut hasher = self.key.build_hasher();
        let [a, b, c, d, e] = *key.words();
        // The last word has bits to spare.
        for word in [a, b, c, d, e ^ (direction as u64) << 10] {
            hasher.write_u64(word);
        }
        Hash(hasher.finish())
    }

    /// The flow with this hash that is the one: of sixteen at most that may have it, rarely more
    /// than one.
    #[inline]
    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let in_bucket = |at: usize| self.buckets[at].fitting(hash.tag()).find(|&id| is_it(id));
        self.buckets_of(hash).into_iter().find_map(in_bucket)
    }

    /// Reads a word of the first bucket, so that it is in the cache.
    #[inline]
    pub(super) fn touch(&self, hash: Hash) -> u64 {
        let [first, _] = self.buckets_of(hash);
        u64::from(self.buckets[first].tags[0])
    }

    /// Enters a flow; `false` when there is no place for it.
    #[must_use]
    pub(super) fn enter(&mut self, hash: Hash, id: FlowId) -> bool {
        let places = self.buckets_of(hash);
        let mut put = |at: usize| self.buckets[at].put(hash.tag(), id);
        places.into_iter().any(&mut put)
            || places.into_iter().any(|at| {
                self.make_room(at);
                self.buckets[at].put(hash.tag(), id)
            })
    }

    /// Takes a flow out of the buckets of one of its hashes; of the other it leaves as well.
    pub(super) fn leave(&mut self, hash: Hash, id: FlowId) {
        for at in self.buckets_of(hash) {
            let flows = &mut self.buckets[at].flows;
            flows.iter_mut().filter(|flow| **flow == Some(id)).for_each(|flow| *flow = None);
        }
    }

    /// Entries in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().flat_map(|bucket| bucket.flows).flatten().count()
    }

    /// Moves some entry of a full bucket to its other one.
    fn make_room(&mut self, at: usize) {
        for way in 0..WAYS {
            let Bucket { tags, flows } = self.buckets[at];
            let other = self.other_of(at, tags[way]);
            if flows[way].is_some_and(|flow| self.buckets[other].put(tags[way], flow)) {
                self.buckets[at].flows[way] = None;
                return;
            }
        }
    }

    /// Both buckets of a hash, never the same one.
    #[inline]
    fn buckets_of(&self, hash: Hash) -> [usize; 2] {
        let first = hash.0 as usize & (self.buckets.len() - 1);
        [first, self.other_of(first, hash.tag())]
    }

    /// The other bucket of an entry in this one, whichever of the two it is.
    fn other_of(&self, at: usize, tag: u32) -> usize {
        // The step comes from the tag's bits, and is odd so that it is never zero.
        at ^ ((tag as usize & (self.buckets.len() - 1)) | 1)
    }
}

impl Bucket {
    const EMPTY: Bucket = Bucket { tags: [0; WAYS], flows: [None; WAYS] };

    /// The flows with this tag.
    #[inline]
    fn fitting(&self, tag: u32) -> impl Iterator<Item = FlowId> {
        // A byte for every way, so that all are compared before anything is asked.
        let mut left = u64::from_le_bytes(self.tags.map(|its| u8::from(its == tag)));
        let ways = core::iter::from_fn(move || {
            let way = left.trailing_zeros() as usize / 8;
            left &= left.wrapping_sub(1);
            self.flows.get(way)
        });
        ways.copied().flatten()
    }

    /// Puts an entry into a free place, if there is one.
    fn put(&mut self, tag: u32, flow: FlowId) -> bool {
        let free = self.flows.iter().position(Option::is_none);
        free.map(|way| (self.tags[way], self.flows[way]) = (tag, Some(flow))).is_some()
    }
}

impl Hash {
    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
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
