//! Where a flow lies: an index of fixed size over keyed hashes.
//!
//! A bucket is one cache line: eight tags, which are compared together, and the eight flows that
//! have them. A hash has two buckets. An entry goes into the first while that has a place, which is
//! so for all but one in twenty when the table is full; a lookup that finds its flow therefore reads
//! one line and one flow. When both are full an entry of theirs moves to its other bucket, which
//! follows from where it is and its tag. There is no growth, no rehash and no tombstone.
//!
//! The first bucket follows from the client's end alone, which is the same whichever way a packet
//! goes; the tag follows from the whole key. So the two entries of a flow begin in one line. It is
//! there for the first packet, when nobody knows yet which real will be the other end, and for the
//! answer. A client's end has as many entries in its first bucket as the bucket has places; what it
//! has more (flows to several VIPs from one port) goes where the tags lead, each elsewhere.
//!
//! A bucket counts those of its entries that lie in the other one, so a lookup that finds nothing
//! reads one line as well: a new flow is looked for twice before it is entered, and each line that it
//! need not wait for is worth more than all its instructions.

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

/// The keyed hash of a key, seen from one direction: below its tag that of the client's end alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

const TAG_AT: u32 = 48;

/// The flow in a place, `None` when it is free, and the upper bits of its hash.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    tags: Tags,
    flows: [Option<FlowId>; WAYS],
    /// Entries that have this bucket first and lie in their other one.
    away: u32,
    /// The ways of entries that are here and have their other bucket first, a bit each.
    strangers: u8,
}

const _: () = assert!(size_of::<Bucket>() == 64, "a cache line");

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
        for word in key.client_words() {
            hasher.write_u64(word);
        }
        let of_client = hasher.finish();
        let [high, low, port] = key.server_words();
        for word in [high, low, port | (direction as u64) << 16] {
            hasher.write_u64(word);
        }
        let tag = hasher.finish() >> TAG_AT;
        Hash(tag << TAG_AT | of_client & !(u64::MAX << TAG_AT))
    }

    /// The flow with this hash that is the one: of sixteen at most that may have it, rarely more
    /// than one.
    #[inline(always)]
    pub(super) fn find(&self, hash: Hash, is_it: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let in_bucket = |at: usize| self.buckets[at].fitting(hash.tag()).find(|&id| is_it(id));
        let [first, second] = self.buckets_of(hash);
        let found = in_bucket(first);
        if found.is_none() && self.buckets[first].away > 0 { in_bucket(second) } else { found }
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
        let [first, second] = self.buckets_of(hash);
        if self.put(first, hash, id) || self.put(second, hash, id) {
            return true;
        }
        [first, second].into_iter().any(|at| {
            self.make_room(at);
            self.put(at, hash, id)
        })
    }

    /// Takes a flow out of the buckets of one of its hashes.
    pub(super) fn leave(&mut self, hash: Hash, id: FlowId) {
        let [first, second] = self.buckets_of(hash);
        let is_it = |bucket: &Bucket| bucket.way_of(hash.tag(), id);
        if let Some(way) = is_it(&self.buckets[first]) {
            self.buckets[first].flows[way] = None;
        } else if let Some(way) = is_it(&self.buckets[second]) {
            self.buckets[second].flows[way] = None;
            self.buckets[first].away -= 1;
        }
    }

    /// Entries in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().flat_map(|bucket| bucket.flows).flatten().count()
    }

    /// Whether every entry that is away is where it should be.
    #[cfg(test)]
    pub(super) fn counts_its_strangers(&self) -> bool {
        let away: u32 = self.buckets.iter().map(|bucket| bucket.away).sum();
        let is_stranger = |bucket: &Bucket, way: &usize| {
            bucket.flows[*way].is_some() && bucket.strangers & 1 << way != 0
        };
        let strangers = |bucket: &Bucket| (0..WAYS).filter(|way| is_stranger(bucket, way)).count();
        away as usize == self.buckets.iter().map(strangers).sum::<usize>()
    }

    /// Puts an entry into one of its two buckets, if there is a place.
    fn put(&mut self, at: usize, hash: Hash, id: FlowId) -> bool {
        let [first, _] = self.buckets_of(hash);
        let is_in = self.buckets[at].put(hash.tag(), id, at != first);
        self.buckets[first].away += u32::from(is_in && at != first);
        is_in
    }

    /// Moves some entry of a full bucket to its other one.
    fn make_room(&mut self, at: usize) {
        for way in 0..WAYS {
            let Bucket { tags, flows, strangers, .. } = self.buckets[at];
            let (tag, other) = (tags.get(way), self.other_of(at, tags.get(way)));
            let is_stranger = strangers & 1 << way != 0;
            if flows[way].is_some_and(|flow| self.buckets[other].put(tag, flow, !is_stranger)) {
                self.buckets[at].flows[way] = None;
                match is_stranger {
                    true => self.buckets[other].away -= 1,
                    false => self.buckets[at].away += 1,
                }
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
    const EMPTY: Bucket = Bucket { tags: Tags(0), flows: [None; WAYS], away: 0, strangers: 0 };

    /// The flows with this tag, and rarely one with another.
    #[inline]
    fn fitting(&self, tag: u16) -> impl Iterator<Item = FlowId> {
        self.tags.fitting(tag).filter_map(|way| self.flows[way])
    }

    fn way_of(&self, tag: u16, flow: FlowId) -> Option<usize> {
        self.tags
            .fitting(tag)
            .find(|&way| self.tags.get(way) == tag && self.flows[way] == Some(flow))
    }

    /// Puts an entry into a free place, if there is one.
    fn put(&mut self, tag: u16, flow: FlowId, is_stranger: bool) -> bool {
        let Some(way) = self.flows.iter().position(Option::is_none) else {
            return false;
        };
        self.tags.set(way, tag);
        self.flows[way] = Some(flow);
        self.strangers = self.strangers & !(1 << way) | u8::from(is_stranger) << way;
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
        (self.0 >> TAG_AT) as u16
    }
}

impl FlowId {
    pub(super) fn new(slot: usize) -> FlowId {
        FlowId(NonZeroU32::MIN.saturating_add(slot as u32))
    }

    pub(crate) fn slot(self) -> usize {
        self.0.get() as usize - 1
    }
}
