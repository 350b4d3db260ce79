//! The forwarding database: which port a MAC (in its VLAN) is behind.
//!
//! A fixed number of buckets of eight entries, found by a keyed hash, so a stranger cannot aim at
//! one bucket. The eight addresses of a bucket lie in one cache line, what is known of them in the
//! next. There is no growth and no tombstone.
//!
//! When a bucket is full, an aged entry gives way first; otherwise the port that holds most of
//! the bucket loses its oldest entry, and a newcomer of that very port loses its own. A port with
//! one address in a bucket therefore never loses it to a port that floods the table with made-up
//! addresses, and a port holds a bounded share of the whole. What is not learned is flooded: slower,
//! never wrong. What has aged is taken out bit by bit, so a share is one of addresses that are there.
//!
//! The MAC of a defined guest is pinned to its port: it does not age, move or give way. Any other
//! moves once a second at most: a VM that is moved does so once, a loop in the network or somebody
//! who steals an address a thousand times, and that must not tear the real station's traffic apart.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{BuildHasher, Hasher};
use core::num::NonZeroU64;
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::PORTS_MAX;
use crate::{Instant, MacAddr, PortId};

/// A learned address that has been silent this long is forgotten (IEEE 802.1Q §8.8.3).
pub const AGEING: Duration = Duration::from_secs(300);

const WAYS: usize = 8;
/// A turn of housekeeping looks at one part in this many for what has aged.
const SWEEP_TURNS: usize = 512;
/// One port may fill at most this part of the table.
const PORT_SHARE: usize = 8;

/// How an entry came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdbKind {
    /// From the source address of a frame.
    Learned,
    /// From the definition of a guest.
    Pinned,
}

/// One address and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    pub mac: MacAddr,
    /// 0 is untagged.
    pub vlan: u16,
    pub port: PortId,
    pub kind: FdbKind,
    /// Last frame from this address, to the second.
    pub seen: Instant,
}

/// What a frame's source address taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    Known,
    New,
    Moved {
        from: PortId,
    },
    /// It has moved this second already, and stays where it is.
    Restless {
        at: PortId,
    },
    /// No place: its port holds its share already.
    Refused,
    /// The address is pinned to another port.
    Pinned {
        to: PortId,
    },
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdbCounters {
    pub learned: u64,
    pub moved: u64,
    /// Moves that came too soon after another.
    pub restless: u64,
    /// Entries that gave way in a full bucket.
    pub evicted: u64,
    /// Addresses that found no place.
    pub refused: u64,
}

/// An address and its VLAN in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(NonZeroU64);

/// A bucket that will be looked into.
#[derive(Clone, Copy)]
pub(crate) struct Spot(usize);

/// What is known of an address.
#[derive(Clone, Copy)]
struct Place {
    seen_s: u32,
    port: PortId,
    kind: FdbKind,
    /// The second of its last move, as [`mark`] writes it.
    moved: u16,
}

/// Two cache lines side by side. A place whose key is 0 is free.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Bucket {
    keys: [u64; WAYS],
    places: [Place; WAYS],
}

const _: () = assert!(size_of::<Bucket>() == 128, "two cache lines");

pub struct Fdb {
    buckets: Box<[Bucket]>,
    hash: FixedState,
    /// Entries a port holds.
    held: [u32; PORTS_MAX],
    sweep_at: usize,
    counters: FdbCounters,
}

impl Fdb {
    /// Room for about `capacity` addresses, at least one bucket; `secret` keys the hash.
    pub fn new(capacity: usize, secret: u64) -> Fdb {
        let buckets = capacity.div_ceil(WAYS).next_power_of_two();
        Fdb {
            buckets: vec![Bucket::EMPTY; buckets].into_boxed_slice(),
            hash: FixedState::with_seed(secret),
            held: [0; PORTS_MAX],
            sweep_at: 0,
            counters: FdbCounters::default(),
        }
    }

    /// The port behind which `mac` was seen within the ageing time.
    pub fn lookup(&self, mac: MacAddr, vlan: u16, now: Instant) -> Option<PortId> {
        let key = Key::of(mac, vlan)?;
        let bucket = &self.buckets[self.bucket_of(key)];
        let place = &bucket.places[bucket.find(key)?];
        (!place.is_aged(now)).then_some(place.port)
    }

    /// Takes in that `mac` sent from `port`.
    pub fn learn(&mut self, mac: MacAddr, vlan: u16, port: PortId, now: Instant) -> Lesson {
        let Some(key) = Key::of(mac, vlan) else {
            return Lesson::Refused;
        };
        if vlan != 0
            && let Some(to) = self.pinned_elsewhere(mac, port)
        {
            return Lesson::Pinned { to };
        }
        let at = self.bucket_of(key);
        let bucket = &mut self.buckets[at];
        let Some(way) = bucket.find(key) else {
            return self
                .insert(at, FdbEntry { mac, vlan, port, kind: FdbKind::Learned, seen: now });
        };
        let place = &mut bucket.places[way];
        if place.port == port {
            // A busy station's entry is written once a second, not once a frame.
            if place.seen_s < seconds(now) {
                place.seen_s = seconds(now);
            }
            return Lesson::Known;
        }
        let from = place.port;
        if place.kind == FdbKind::Pinned {
            return Lesson::Pinned { to: from };
        }
        if place.moved == mark(now) {
            self.counters.restless += 1;
            return Lesson::Restless { at: from };
        }
        (place.port, place.seen_s, place.moved) = (port, seconds(now), mark(now));
        self.held[from.index()] -= 1;
        self.held[port.index()] += 1;
        self.counters.moved += 1;
        Lesson::Moved { from }
    }

    /// Where an address would be.
    #[inline]
    pub(crate) fn spot(&self, mac: MacAddr, vlan: u16) -> Spot {
        Spot(Key::of(mac, vlan).map_or(0, |key| self.bucket_of(key)))
    }

    /// Brings both lines of a spot into the cache; the value says nothing.
    #[inline]
    pub(crate) fn touch(&self, Spot(at): Spot) -> u64 {
        let Bucket { keys, places } = &self.buckets[at];
        keys[0] ^ u64::from(places[0].seen_s)
    }

    /// Binds an untagged address to a port, wherever it was learned before.
    pub fn pin(&mut self, mac: MacAddr, port: PortId, now: Instant) {
        self.forget(mac);
        let Some(key) = Key::of(mac, 0) else {
            return;
        };
        let at = self.bucket_of(key);
        let entry = FdbEntry { mac, vlan: 0, port, kind: FdbKind::Pinned, seen: now };
        let bucket = self.buckets[at].entries();
        // A bucket full of pinned addresses leaves this one to be learned and flooded to.
        let learned =
            |entry: &Option<FdbEntry>| entry.is_none_or(|entry| entry.kind == FdbKind::Learned);
        let free = bucket.iter().position(Option::is_none);
        if let Some(way) = free.or_else(|| bucket.iter().position(learned)) {
            self.replace(at, way, entry);
        }
    }

    /// Forgets an untagged address, pinned or learned.
    pub fn forget(&mut self, mac: MacAddr) {
        if let Some(key) = Key::of(mac, 0) {
            let at = self.bucket_of(key);
            if let Some(way) = self.buckets[at].find(key) {
                self.clear(at, way);
            }
        }
    }

    /// Forgets what was learned behind a port, as when its link goes down.
    pub fn forget_port(&mut self, port: PortId) {
        for at in 0..self.buckets.len() {
            for way in 0..WAYS {
                let Place { port: its, kind, .. } = self.buckets[at].places[way];
                if its == port && kind == FdbKind::Learned {
                    self.clear(at, way);
                }
            }
        }
    }

    /// One bounded slice of ageing; the whole table is seen in [`SWEEP_TURNS`] turns.
    pub fn sweep(&mut self, now: Instant) {
        for _ in 0..self.buckets.len().div_ceil(SWEEP_TURNS) {
            let at = self.sweep_at;
            self.sweep_at = (at + 1) % self.buckets.len();
            for way in 0..WAYS {
                if self.buckets[at].places[way].is_aged(now) {
                    self.clear(at, way);
                }
            }
        }
    }

    /// Every entry that holds at `now`, in no order.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = FdbEntry> {
        let all = self.buckets.iter().flat_map(Bucket::entries).flatten();
        all.filter(move |entry| !entry.is_aged(now))
    }

    pub fn capacity(&self) -> usize {
        self.buckets.len() * WAYS
    }

    pub fn counters(&self) -> &FdbCounters {
        &self.counters
    }

    /// A guest's definition says nothing of VLANs, so an address that is pinned is so in all of them.
    #[cold]
    fn pinned_elsewhere(&self, mac: MacAddr, port: PortId) -> Option<PortId> {
        let key = Key::of(mac, 0)?;
        let bucket = &self.buckets[self.bucket_of(key)];
        let place = &bucket.places[bucket.find(key)?];
        (place.kind == FdbKind::Pinned && place.port != port).then_some(place.port)
    }

    #[inline]
    fn bucket_of(&self, key: Key) -> usize {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(key.0.get());
        hasher.finish() as usize & (self.buckets.len() - 1)
    }

    #[cold]
    fn insert(&mut self, at: usize, entry: FdbEntry) -> Lesson {
        let over_share = self.held[entry.port.index()] as usize >= self.capacity() / PORT_SHARE;
        let Some(way) = place(&self.buckets[at].entries(), entry.port, over_share, entry.seen)
        else {
            self.counters.refused += 1;
            return Lesson::Refused;
        };
        self.replace(at, way, entry);
        self.counters.learned += 1;
        Lesson::New
    }

    fn replace(&mut self, at: usize, way: usize, entry: FdbEntry) {
        let bucket = &self.buckets[at];
        if bucket.keys[way] != 0 && !bucket.places[way].is_aged(entry.seen) {
            self.counters.evicted += 1;
        }
        self.clear(at, way);
        let FdbEntry { mac, vlan, port, kind, seen } = entry;
        self.held[port.index()] += 1;
        self.buckets[at].keys[way] = Key::of(mac, vlan).map_or(0, |key| key.0.get());
        self.buckets[at].places[way] = Place { seen_s: seconds(seen), port, kind, moved: 0 };
    }

    fn clear(&mut self, at: usize, way: usize) {
        let bucket = &mut self.buckets[at];
        if core::mem::take(&mut bucket.keys[way]) != 0 {
            self.held[bucket.places[way].port.index()] -= 1;
        }
    }
}

impl Key {
    /// `None` for 00:00:00:00:00:00 without a VLAN, which is nobody's.
    #[inline]
    fn of(mac: MacAddr, vlan: u16) -> Option<Key> {
        let [a, b, c, d, e, f] = mac.0;
        let [g, h] = vlan.to_be_bytes();
        NonZeroU64::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])).map(Key)
    }

    fn mac(self) -> MacAddr {
        let [a, b, c, d, e, f, _, _] = self.0.get().to_be_bytes();
        MacAddr([a, b, c, d, e, f])
    }

    fn vlan(self) -> u16 {
        self.0.get() as u16
    }
}

impl Place {
    #[inline]
    fn is_aged(&self, now: Instant) -> bool {
        let silent_s = seconds(now).saturating_sub(self.seen_s);
        self.kind == FdbKind::Learned && u64::from(silent_s) >= AGEING.as_secs()
    }
}

impl Bucket {
    const FREE: Place = Place { seen_s: 0, port: PortId::FIRST, kind: FdbKind::Learned, moved: 0 };
    const EMPTY: Bucket = Bucket { keys: [0; WAYS], places: [Self::FREE; WAYS] };

    /// The way of an address, most often one of the first.
    #[inline]
    fn find(&self, key: Key) -> Option<usize> {
        self.keys.iter().position(|&its| its == key.0.get())
    }

    fn entries(&self) -> [Option<FdbEntry>; WAYS] {
        core::array::from_fn(|way| {
            let key = NonZeroU64::new(self.keys[way]).map(Key)?;
            let Place { seen_s, port, kind, .. } = self.places[way];
            let seen = Instant::from_millis(u64::from(seen_s) * 1000);
            Some(FdbEntry { mac: key.mac(), vlan: key.vlan(), port, kind, seen })
        })
    }
}

impl FdbEntry {
    fn is_aged(&self, now: Instant) -> bool {
        self.kind == FdbKind::Learned && now.since(self.seen) >= AGEING
    }
}

/// Whole seconds since the start: 136 years fit.
fn seconds(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

/// A second in 16 bits, never 0; the same again after 18 hours, when it costs a station one frame.
fn mark(now: Instant) -> u16 {
    (seconds(now) % u32::from(u16::MAX)) as u16 + 1
}

/// A bucket, spelt out.
type Ways = [Option<FdbEntry>; WAYS];

/// The way of `bucket` that a newcomer behind `port` takes, if it may take one.
fn place(bucket: &Ways, port: PortId, over_share: bool, now: Instant) -> Option<usize> {
    let free = |entry: &Option<FdbEntry>| entry.is_none_or(|entry| entry.is_aged(now));
    match bucket.iter().position(free) {
        Some(way) if !over_share || bucket[way].is_some_and(|e| e.port == port) => Some(way),
        _ if over_share => oldest_of(bucket, port),
        _ => oldest_of(bucket, largest_holder(bucket, port)?),
    }
}

/// The port with most learned entries of a full bucket; `port` itself if none has more. A port
/// that holds a single entry is not asked to give it up.
fn largest_holder(bucket: &Ways, port: PortId) -> Option<PortId> {
    let held = |port: PortId| {
        let learned = bucket.iter().flatten().filter(|e| e.kind == FdbKind::Learned);
        learned.filter(|entry| entry.port == port).count()
    };
    let largest = bucket.iter().flatten().map(|entry| entry.port).max_by_key(|&p| held(p))?;
    match held(port) {
        own if own >= held(largest) => Some(port),
        _ if held(largest) > 1 => Some(largest),
        _ => None,
    }
}

fn oldest_of(bucket: &Ways, port: PortId) -> Option<usize> {
    let mine =
        |way: &usize| bucket[*way].is_some_and(|e| e.port == port && e.kind == FdbKind::Learned);
    (0..WAYS).filter(mine).min_by_key(|&way| bucket[way].map(|entry| entry.seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    fn port(index: usize) -> PortId {
        PortId::new(index).unwrap()
    }

    fn mac(number: u32) -> MacAddr {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr([0x52, 0x54, a, b, c, d])
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn learns_ages_and_moves() {
        let mut fdb = Fdb::new(64, 1);
        assert_eq!(fdb.learn(mac(1), 0, port(1), at(0)), Lesson::New);
        assert_eq!(fdb.learn(mac(1), 0, port(1), at(100)), Lesson::Known);
        assert_eq!(fdb.lookup(mac(1), 0, at(399)), Some(port(1)));
        assert_eq!(fdb.lookup(mac(1), 0, at(400)), None, "300 s after the last frame");
        assert_eq!(fdb.learn(mac(1), 0, port(2), at(401)), Lesson::Moved { from: port(1) });
        assert_eq!(fdb.lookup(mac(1), 0, at(402)), Some(port(2)));
        assert_eq!(fdb.lookup(mac(1), 10, at(402)), None, "another VLAN is another address");
        fdb.forget_port(port(2));
        assert_eq!(fdb.lookup(mac(1), 0, at(402)), None);
        assert_eq!(fdb.held, [0; PORTS_MAX]);
    }

    #[test]
    fn a_pinned_address_stays() {
        let mut fdb = Fdb::new(64, 1);
        fdb.learn(mac(1), 0, port(2), at(0));
        fdb.pin(mac(1), port(1), at(0));
        assert_eq!(fdb.learn(mac(1), 0, port(2), at(1)), Lesson::Pinned { to: port(1) });
        fdb.forget_port(port(1));
        assert_eq!(fdb.lookup(mac(1), 0, at(10_000)), Some(port(1)));
        fdb.forget(mac(1));
        assert_eq!(fdb.lookup(mac(1), 0, at(0)), None);
    }

    #[test]
    fn p45_a_port_that_makes_up_addresses_pushes_nobody_out() {
        let mut fdb = Fdb::new(1024, 7);
        let victims: Vec<_> = (0..40).map(|i| (mac(i), port(2 + i as usize % 4))).collect();
        for &(mac, port) in &victims {
            assert_eq!(fdb.learn(mac, 0, port, at(0)), Lesson::New);
        }
        for number in 0..1_000_000 {
            fdb.learn(mac(1000 + number), 0, port(1), at(1));
        }
        for (mac, port) in victims {
            assert_eq!(fdb.lookup(mac, 0, at(2)), Some(port));
        }
        assert!(fdb.held[1] as usize <= fdb.capacity() / PORT_SHARE);
        assert_eq!(fdb.learn(mac(99), 0, port(3), at(2)), Lesson::New, "others still learn");
    }

    #[test]
    fn addresses_that_come_and_go_for_days_do_not_use_up_a_ports_share() {
        let mut fdb = Fdb::new(1024, 7);
        let per_round = 64;
        for round in 0..40 {
            let now = at(u64::from(round) * 600);
            for _ in 0..SWEEP_TURNS {
                fdb.sweep(now);
            }
            let macs = (0..per_round).map(|number| mac(round * per_round + number));
            let learned = macs.filter(|&mac| fdb.learn(mac, 0, port(0), now) == Lesson::New);
            assert_eq!(learned.count(), per_round as usize, "round {round}");
        }
        assert_eq!(fdb.held[0], per_round);
    }

    #[test]
    fn a_full_bucket_takes_from_the_largest_holder() {
        let mut fdb = Fdb::new(WAYS, 3);
        fdb.held = [0; PORTS_MAX];
        let entry = |number, port_index, second| {
            let (mac, port) = (mac(number), port(port_index));
            FdbEntry { mac, vlan: 0, port, kind: FdbKind::Learned, seen: at(second) }
        };
        for number in 0..8 {
            let holder = if number < 5 { 1 } else { 2 + number as usize };
            fdb.replace(0, number as usize, entry(number, holder, u64::from(number)));
        }
        assert_eq!(
            place(&fdb.buckets[0].entries(), port(20), false, at(9)),
            Some(0),
            "port 1's oldest"
        );
        assert_eq!(place(&fdb.buckets[0].entries(), port(1), false, at(9)), Some(0), "its own");
        assert_eq!(
            place(&fdb.buckets[0].entries(), port(7), true, at(9)),
            Some(5),
            "over share: its own"
        );
        assert_eq!(place(&fdb.buckets[0].entries(), port(20), true, at(9)), None);
        assert_eq!(place(&fdb.buckets[0].entries(), port(20), false, at(301)), Some(0), "aged");
    }

    proptest! {
        /// With room for all, and moves a second apart, the table is a map with an age.
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((0u32..24, 1usize..4, 1u64..200), 1..200)) {
            let mut fdb = Fdb::new(4096, 11);
            let mut model = BTreeMap::<u32, (usize, u64)>::new();
            let mut second = 0;
            for (number, port_index, step) in steps {
                second += step;
                fdb.learn(mac(number), 0, port(port_index), at(second));
                model.insert(number, (port_index, second));
                for (&number, &(port_index, seen)) in &model {
                    let holds = second - seen < AGEING.as_secs();
                    prop_assert_eq!(fdb.lookup(mac(number), 0, at(second)), holds.then(|| port(port_index)));
                }
                let live = fdb.iter(at(second)).count();
                prop_assert_eq!(live, model.values().filter(|m| second - m.1 < AGEING.as_secs()).count());
            }
        }
    }
}
