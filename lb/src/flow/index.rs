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

/// The flow in a place, `None` when it is free, and the upper bits of its hash.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: Tags,
    flows: [Option<FlowId>; WAYS],
}

/// As many as there are ways, in one number.
#[derive(Clone, Copy)]
struct Tags(u128);

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

    #[inline(always)]
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
    #[inline(always)]
    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let in_bucket = |at: usize| self.buckets[at].fitting(hash.tag()).find(|&id| is_it(id));
        let [first, second] = self.buckets_of(hash);
        in_bucket(first).or_else(|| in_bucket(second))
    }

    /// Reads a word of the first bucket, so that it is in the cache.
    #[inline]
    pub(super) fn touch(&self, hash: Hash) -> u64 {
        let [first, _] = self.buckets_of(hash);
        self.buckets[first].tags.0 as u64
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
            let (tag, other) = (tags.get(way), self.other_of(at, tags.get(way)));
            if flows[way].is_some_and(|flow| self.buckets[other].put(tag, flow)) {
                self.buckets[at].flows[way] = None;
                return;
            }
        }
    }

    /// Whether both buckets of a hash are among so many from the beginning.
    #[cfg(test)]
    pub(super) fn is_in_first(&self, buckets: usize, hash: Hash) -> bool {
        self.buckets_of(hash).iter().all(|&at| at < buckets)
    }

    /// Both buckets of a hash, never the same one.
    #[inline]
    fn buckets_of(&self, hash: Hash) -> [usize; 2] {
        let first = hash.0 as usize & (self.buckets.len() - 1);
        [first, self.other_of(first, hash.tag())]
    }

    /// The other bucket of an entry in this one, whichever of the two it is.
    fn other_of(&self, at: usize, tag: u16) -> usize {
        // The step comes from the tag's bits, and is odd so that it is never zero.
        at ^ ((tag as usize & (self.buckets.len() - 1)) | 1)
    }
}

impl Bucket {
    const EMPTY: Bucket = Bucket { tags: Tags(0), flows: [None; WAYS] };

    /// The flows with this tag, and rarely one with another.
    #[inline]
    fn fitting(&self, tag: u16) -> impl Iterator<Item = FlowId> {
        self.tags.fitting(tag).filter_map(|way| self.flows[way])
    }

    /// Puts an entry into a free place, if there is one.
    fn put(&mut self, tag: u16, flow: FlowId) -> bool {
        let Some(way) = self.flows.iter().position(Option::is_none) else {
            return false;
        };
        self.tags.set(way, tag);
        self.flows[way] = Some(flow);
        true
    }
}

impl Tags {
    const BITS: usize = u16::BITS as usize;
    /// The lowest and the highest bit of each.
    const LOW: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;
    const HIGH: u128 = Self::LOW << (Self::BITS - 1);

    /// The ways with this tag. Where they differ from it in nothing, taking one away borrows; a way
    /// above one that fits may be taken for another, and whoever looks there sees that.
    #[inline]
    fn fitting(self, tag: u16) -> impl Iterator<Item = usize> {
        let differing = self.0 ^ (Self::LOW * u128::from(tag));
        let mut left = differing.wrapping_sub(Self::LOW) & !differing & Self::HIGH;
        core::iter::from_fn(move || {
            let way = left.trailing_zeros() as usize / Self::BITS;
            left &= left.wrapping_sub(1);
            (way < WAYS).then_some(way)
        })
    }

    fn get(self, way: usize) -> u16 {
        (self.0 >> (way * Self::BITS)) as u16
    }

    fn set(&mut self, way: usize, tag: u16) {
        let changed = u128::from(self.get(way) ^ tag);
        self.0 ^= changed << (way * Self::BITS);
    }
}

impl Hash {
    fn tag(self) -> u16 {
        (self.0 >> 48) as u16
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
