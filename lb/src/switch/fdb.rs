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
//! An operator may say how many addresses a port has at most: whoever comes then is not learned, and
//! may not send, until one of those that are there has aged.
//!
//! What an operator says of an address stands: the MAC of a defined guest is pinned to its port, and
//! so is a static one. It does not age, move or give way. Any other moves once a second at most: a VM
//! that is moved does so once, a loop in the network or somebody who steals an address a thousand
//! times, and that must not tear the real station's traffic apart.
//!
//! A guest on a port with more VLANs than one is pinned in VLAN 0, which for a pinned address means
//! all: where it has been heard is learned, and that it is heard elsewhere is told before that. What
//! was learned before an address was pinned goes, so whatever is found needs no second look.

mod bound;
mod full;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{BuildHasher, Hasher};
use core::num::{NonZeroU32, NonZeroU64};
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::PORTS_MAX;
use crate::{Instant, MacAddr, PortId, PortSet};

/// A learned address that has been silent this long is forgotten, unless another time is said (IEEE
/// 802.1Q §8.8.3).
pub const AGEING: Duration = Duration::from_secs(300);

const WAYS: usize = 8;
/// A turn of housekeeping looks at one part in this many for what has aged.
const SWEEP_TURNS: usize = 1024;
/// One port may fill at most this part of the table.
const PORT_SHARE: usize = 8;

/// How an entry came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FdbKind {
    /// From the source address of a frame.
    Learned,
    /// From the definition of a guest.
    Pinned,
    /// As an operator said, in this VLAN alone.
    Static,
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
    /// Its port may have no more.
    TooMany,
    /// It is not known here, and here nothing is learned.
    Unlearned,
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

/// An address, and the bucket that it is looked for in.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    key: Option<Key>,
    at: usize,
}

/// What is done about what an address teaches, to a way of its bucket.
enum Change {
    Nothing,
    Hear(usize),
    Enter(usize),
    Move { way: usize, from: PortId },
    Refuse,
    Rest,
}

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
    /// Addresses that a port may have, as an operator says.
    held_max: [u32; PORTS_MAX],
    /// Ports where nothing is learned.
    closed: PortSet,
    ageing_s: u32,
    sweep_at: usize,
    counters: FdbCounters,
}

impl Fdb {
    /// Bytes that an address needs.
    pub const BYTES_PER_MAC: usize = size_of::<Bucket>() / WAYS;

    /// Room for about `capacity` addresses, at least one bucket; `secret` keys the hash.
    pub fn new(capacity: usize, secret: u64) -> Fdb {
        let buckets = capacity.div_ceil(WAYS).next_power_of_two();
        Fdb {
            buckets: vec![Bucket::EMPTY; buckets].into_boxed_slice(),
            hash: FixedState::with_seed(secret),
            held: [0; PORTS_MAX],
            held_max: [u32::MAX; PORTS_MAX],
            closed: PortSet::EMPTY,
            ageing_s: AGEING.as_secs() as u32,
            sweep_at: 0,
            counters: FdbCounters::default(),
        }
    }

    /// The port behind which `mac` was seen within the ageing time.
    pub fn lookup(&self, mac: MacAddr, vlan: u16, now: Instant) -> Option<PortId> {
        self.lookup_at(self.spot(mac, vlan), now)
    }

    /// Whether nothing came from an address for a whole second or two: as exact as entries are.
    pub(crate) fn is_quiet(&self, spot: Spot, now: Instant) -> bool {
        let bucket = &self.buckets[spot.at];
        let place = spot.key.and_then(|key| bucket.find(key)).map(|way| &bucket.places[way]);
        place.is_none_or(|place| seconds(now).saturating_sub(place.seen_s) > 1)
    }

    /// Takes in that `mac` sent from `port`.
    pub fn learn(&mut self, mac: MacAddr, vlan: u16, port: PortId, now: Instant) -> Lesson {
        self.learn_at(self.spot(mac, vlan), port, now)
    }

    /// Where an address would be.
    #[inline]
    pub(crate) fn spot(&self, mac: MacAddr, vlan: u16) -> Spot {
        let key = Key::of(mac, vlan);
        Spot { key, at: key.map_or(0, |key| self.bucket_of(key)) }
    }

    /// Brings both lines of a spot into the cache; the value says nothing.
    #[inline]
    pub(crate) fn touch(&self, spot: Spot) -> u64 {
        let Bucket { keys, places } = &self.buckets[spot.at];
        keys[0] ^ u64::from(places[0].seen_s)
    }

    #[inline(always)]
    pub(crate) fn lookup_at(&self, spot: Spot, now: Instant) -> Option<PortId> {
        let bucket = &self.buckets[spot.at];
        let place = &bucket.places[bucket.find(spot.key?)?];
        (!place.is_aged(now, self.ageing_s)).then_some(place.port)
    }

    /// Most often there is nothing to learn: the station is where it was, and was heard within this
    /// second. Its entry is written once a second, not once a frame.
    #[inline(always)]
    pub(crate) fn learn_at(&mut self, spot: Spot, port: PortId, now: Instant) -> Lesson {
        let Some(key) = spot.key else {
            return Lesson::Refused;
        };
        match self.is_heard(key, spot.at, port, now) {
            true => Lesson::Known,
            false => self.take_in(key, spot.at, port, now),
        }
    }

    /// Whether it was heard here within this second.
    #[inline(always)]
    fn is_heard(&self, key: Key, at: usize, port: PortId, now: Instant) -> bool {
        let bucket = &self.buckets[at];
        let place = bucket.find(key).map(|way| &bucket.places[way]);
        place.is_some_and(|its| its.port == port && its.seen_s >= seconds(now))
    }

    /// What [`Fdb::learn_at`] would say; nothing is learned.
    pub(crate) fn foresee(&self, spot: Spot, port: PortId, now: Instant) -> Lesson {
        match spot.key {
            None => Lesson::Refused,
            Some(key) if self.is_heard(key, spot.at, port, now) => Lesson::Known,
            Some(key) => self.lesson(key, spot.at, port, now).0,
        }
    }

    /// Where [`Fdb::lookup_at`] would find an address when another, or the same, has been learned.
    pub(crate) fn foresee_lookup(
        &self,
        wanted: Spot,
        learned: Spot,
        port: PortId,
        now: Instant,
    ) -> Option<PortId> {
        let before = self.lookup_at(wanted, now);
        let Some(key) = learned.key.filter(|&key| !self.is_heard(key, learned.at, port, now))
        else {
            return before;
        };
        let found = wanted.key.and_then(|key| self.buckets[wanted.at].find(key));
        let is_same = wanted.key == Some(key);
        match self.lesson(key, learned.at, port, now).1 {
            Change::Hear(_) | Change::Enter(_) | Change::Move { .. } if is_same => Some(port),
            // It gives way.
            Change::Enter(way) if (wanted.at, found) == (learned.at, Some(way)) => None,
            _ => before,
        }
    }

    #[inline(never)]
    fn take_in(&mut self, key: Key, at: usize, port: PortId, now: Instant) -> Lesson {
        let (lesson, change) = self.lesson(key, at, port, now);
        match change {
            Change::Nothing => {}
            Change::Hear(way) => {
                let seen_s = &mut self.buckets[at].places[way].seen_s;
                *seen_s = seconds(now).max(*seen_s);
            }
            Change::Enter(way) => {
                let (mac, vlan) = (key.mac(), key.vlan());
                let kind = FdbKind::Learned;
                self.replace(at, way, FdbEntry { mac, vlan, port, kind, seen: now });
                self.counters.learned += 1;
            }
            Change::Move { way, from } => {
                let place = &mut self.buckets[at].places[way];
                (place.port, place.seen_s, place.moved) = (port, seconds(now), mark(now));
                self.held[from.index()] -= 1;
                self.held[port.index()] += 1;
                self.counters.moved += 1;
            }
            Change::Refuse => self.counters.refused += 1,
            Change::Rest => self.counters.restless += 1,
        }
        lesson
    }

    /// What an address teaches, and what is to be done for it.
    fn lesson(&self, key: Key, at: usize, port: PortId, now: Instant) -> (Lesson, Change) {
        let bucket = &self.buckets[at];
        let found = bucket.find(key).map(|way| (way, &bucket.places[way]));
        let is_bound_here = |its: &Place| its.port == port && its.kind != FdbKind::Learned;
        if let Some((way, _)) = found.filter(|(_, its)| is_bound_here(its)) {
            return (Lesson::Known, Change::Hear(way));
        }
        let pinned = if key.vlan() == 0 { None } else { self.pinned_in_all(key.mac()) };
        if let Some(to) = pinned.filter(|&to| to != port) {
            return (Lesson::Pinned { to }, Change::Nothing);
        }
        let is_closed = self.closed.contains(port) && pinned.is_none();
        let is_new = found.is_none_or(|(_, its)| its.port != port && its.kind == FdbKind::Learned);
        if is_new && !is_closed && self.held[port.index()] >= self.held_max[port.index()] {
            return (Lesson::TooMany, Change::Refuse);
        }
        match found {
            None if is_closed => (Lesson::Unlearned, Change::Nothing),
            None => {
                let (lesson, change) = match self.place_for(at, port, now) {
                    Some(way) => (Lesson::New, Change::Enter(way)),
                    None => (Lesson::Refused, Change::Refuse),
                };
                (if pinned.is_some() { Lesson::Known } else { lesson }, change)
            }
            Some((way, its)) => match its.port {
                own if own == port => (Lesson::Known, Change::Hear(way)),
                to if its.kind != FdbKind::Learned => (Lesson::Pinned { to }, Change::Nothing),
                _ if is_closed => (Lesson::Unlearned, Change::Nothing),
                at if its.moved == mark(now) => (Lesson::Restless { at }, Change::Rest),
                from => (Lesson::Moved { from }, Change::Move { way, from }),
            },
        }
    }

    /// Whether what is sent from a port teaches something.
    pub fn learns(&self, port: PortId) -> bool {
        !self.closed.contains(port)
    }

    /// Sets how many addresses may be known behind a port at once.
    pub fn set_held_max(&mut self, port: PortId, max: Option<NonZeroU32>) {
        self.held_max[port.index()] = max.map_or(u32::MAX, NonZeroU32::get);
    }

    /// Whether what is sent from a port is to teach something; what it has taught is forgotten.
    pub fn set_learning(&mut self, port: PortId, learns: bool) {
        self.closed = if learns { self.closed.without(port) } else { self.closed.with(port) };
        self.forget_port(port);
    }

    /// Sets how long an address that was learned may be silent, to the second.
    pub fn set_ageing(&mut self, ageing: Duration) {
        self.ageing_s = u32::try_from(ageing.as_secs()).unwrap_or(u32::MAX);
    }

    pub fn ageing(&self) -> Duration {
        Duration::from_secs(self.ageing_s.into())
    }

    /// Forgets what was learned behind a port, as when its link goes down.
    pub fn forget_port(&mut self, port: PortId) {
        self.forget_learned(|entry| entry.port == port);
    }

    /// One bounded slice of ageing; the whole table is seen in [`SWEEP_TURNS`] turns.
    pub fn sweep(&mut self, now: Instant) {
        for _ in 0..self.buckets.len().div_ceil(SWEEP_TURNS) {
            let at = self.sweep_at;
            self.sweep_at = (at + 1) & (self.buckets.len() - 1);
            if self.buckets[at].is_empty() {
                continue;
            }
            for way in 0..WAYS {
                if self.buckets[at].places[way].is_aged(now, self.ageing_s) {
                    self.clear(at, way);
                }
            }
        }
    }

    /// Every entry that holds at `now`, in no order.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = FdbEntry> {
        let all = self.buckets.iter().flat_map(Bucket::entries).flatten();
        all.filter(move |entry| !entry.is_aged(now, self.ageing()))
    }

    pub fn capacity(&self) -> usize {
        self.buckets.len() * WAYS
    }

    pub fn counters(&self) -> &FdbCounters {
        &self.counters
    }

    fn forget_learned(&mut self, is_meant: impl Fn(&FdbEntry) -> bool) {
        let is_meant = |entry: &FdbEntry| entry.kind == FdbKind::Learned && is_meant(entry);
        for at in 0..self.buckets.len() {
            for (way, entry) in self.buckets[at].entries().iter().enumerate() {
                if entry.as_ref().is_some_and(is_meant) {
                    self.clear(at, way);
                }
            }
        }
    }

    #[inline]
    fn bucket_of(&self, key: Key) -> usize {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(key.0.get());
        hasher.finish() as usize & (self.buckets.len() - 1)
    }

    /// The way of a bucket that a new address behind a port takes.
    #[cold]
    fn place_for(&self, at: usize, port: PortId, now: Instant) -> Option<usize> {
        let over_share = self.held[port.index()] as usize >= self.capacity() / PORT_SHARE;
        let aged = |its: &FdbEntry| its.is_aged(now, self.ageing());
        full::place(&self.buckets[at].entries(), port, over_share, aged)
    }

    fn replace(&mut self, at: usize, way: usize, entry: FdbEntry) {
        let bucket = &self.buckets[at];
        if bucket.keys[way] != 0 && !bucket.places[way].is_aged(entry.seen, self.ageing_s) {
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
    fn is_aged(&self, now: Instant, ageing_s: u32) -> bool {
        let silent_s = seconds(now).saturating_sub(self.seen_s);
        self.kind == FdbKind::Learned && silent_s >= ageing_s
    }
}

impl Bucket {
    /// Seen at a glance, as most are.
    fn is_empty(&self) -> bool {
        self.keys.iter().fold(0, |all, key| all | key) == 0
    }

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
    fn is_aged(&self, now: Instant, ageing: Duration) -> bool {
        self.kind == FdbKind::Learned && now.since(self.seen) >= ageing
    }
}

/// Whole seconds since the start: 136 years fit.
pub(crate) fn seconds(now: Instant) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

/// A second in 16 bits, never 0; the same again after 18 hours, when it costs a station one frame.
fn mark(now: Instant) -> u16 {
    (seconds(now) % u32::from(u16::MAX)) as u16 + 1
}
