//! Persistence: later flows of a client go to its earlier real.
//!
//! A fixed number of buckets of eight entries, found by a keyed hash; a lookup reads one bucket and
//! nothing else. An entry lasts for the service's timeout, counted from the client's last flow as
//! IPVS counts it.
//!
//! Anyone can send a first packet in a stranger's name, so an entry is tentative until its flow is
//! answered. In a full bucket what has expired gives way first, then the oldest tentative entry. A
//! tentative newcomer asks for no more; it goes without a place if all others are confirmed. What
//! is confirmed finds one even if its entry was lost meanwhile: the port that holds most of the
//! bucket gives up its oldest, and the newcomer's own if that holds as many. A port with one entry
//! in a bucket never loses it to others. So a flood of made-up clients costs nobody their real, and
//! a port whose clients are many pushes out its own.
//!
//! Reals and services are forgotten by generation: an entry that is older than the forgetting of
//! its real or service holds no more, and the sweep takes it out. So that costs the same however
//! large the table is, and a slot of theirs may be used anew at once.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::{PERSISTENCE_PAYLOAD_BYTES_MAX, REALS_MAX, SERVICES_MAX};
use crate::{Instant, PortId, RealId, ServiceId};

const WAYS: usize = 8;
/// A turn of housekeeping looks at one part in this many, so the whole is seen in so many turns.
const SWEEP_TURNS: usize = 512;

/// By what a service knows its clients again. Those of different kinds are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// What is not used of the bytes is zero.
    Payload {
        len: u8,
        bytes: [u8; PERSISTENCE_PAYLOAD_BYTES_MAX],
    },
}

/// A client of a service, and the port that its flow came in on. The port tells no clients apart;
/// it says whose share of the table the entry is.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub service: ServiceId,
    pub key: ClientKey,
    pub ingress: PortId,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersistenceCounters {
    /// Clients that were taken in.
    pub remembered: u64,
    /// Tentative entries that gave way before their time.
    pub evicted_tentative: u64,
    /// Confirmed entries that gave way before their time.
    pub evicted_confirmed: u64,
    /// Clients that found no place.
    pub refused: u64,
}

/// Which real each client went to.
pub struct PersistenceTable {
    buckets: Box<[Bucket]>,
    hash: FixedState,
    validity: Validity,
    len: usize,
    sweep_at: usize,
    counters: PersistenceCounters,
}

type Bucket = [Option<Entry>; WAYS];

/// One cache line.
const _: () = assert!(size_of::<Option<Entry>>() == 64);

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: ClientKey,
    service: ServiceId,
    real: RealId,
    ingress: PortId,
    trust: Trust,
    /// The client's last flow.
    seen: Instant,
    expires: Instant,
    generation: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// No flow was answered yet.
    Tentative,
    Confirmed,
}

/// The generation counts what was forgotten; an entry holds if it is no older than the last time
/// that its real or its service was.
struct Validity {
    generation: u32,
    reals: Box<[u32]>,
    services: Box<[u32]>,
}

impl ClientKey {
    /// The client's network: the first `prefix_len` bits of its address, all of them at most.
    pub fn of_source(address: IpAddr, prefix_len: u8) -> ClientKey {
        let prefix_len = u32::from(prefix_len);
        ClientKey(match address {
            IpAddr::V4(address) => {
                let host_bits = u32::BITS.saturating_sub(prefix_len);
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                Kind::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let host_bits = u128::BITS.saturating_sub(prefix_len);
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                Kind::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        })
    }

    /// Part of a payload, such as a connection's number in it; `None` if it is empty or too long.
    pub fn of_payload(part: &[u8]) -> Option<ClientKey> {
        let mut bytes = [0; PERSISTENCE_PAYLOAD_BYTES_MAX];
        bytes.get_mut(..part.len())?.copy_from_slice(part);
        (!part.is_empty()).then_some(ClientKey(Kind::Payload { len: part.len() as u8, bytes }))
    }
}

impl PersistenceTable {
    /// Bytes that a client needs.
    pub const BYTES_PER_CLIENT: usize = size_of::<Option<Entry>>();

    /// Room for about `capacity` clients, at least one bucket; `secret` keys the hash.
    pub fn new(capacity: usize, secret: u64) -> PersistenceTable {
        let buckets = capacity.div_ceil(WAYS).next_power_of_two();
        PersistenceTable {
            buckets: vec![[None; WAYS]; buckets].into_boxed_slice(),
            hash: FixedState::with_seed(secret),
            validity: Validity {
                generation: 0,
                reals: vec![0; REALS_MAX].into_boxed_slice(),
                services: vec![0; SERVICES_MAX].into_boxed_slice(),
            },
            len: 0,
            sweep_at: 0,
            counters: PersistenceCounters::default(),
        }
    }

    /// The real of the client's earlier flows, if its time is not over.
    pub fn find(&self, service: ServiceId, key: &ClientKey, now: Instant) -> Option<RealId> {
        let (at, way) = self.locate(service, key, now)?;
        self.buckets[at][way].map(|entry| entry.real)
    }

    /// Takes in that a new flow of the client went to `real`. The client's time begins anew; an
    /// entry that is confirmed stays so, unless the real is another one.
    pub fn remember(&mut self, client: &Client, real: RealId, timeout: Duration, now: Instant) {
        let mut entry = self.entry(client, real, Trust::Tentative, timeout, now);
        let Some((at, way)) = self.locate(client.service, &client.key, now) else {
            return self.insert(entry, now);
        };
        if let Some(same) = self.buckets[at][way].filter(|old| old.real == real) {
            entry.trust = same.trust;
        }
        self.buckets[at][way] = Some(entry);
    }

    /// Takes in that a flow of the client was answered by `real`. Without an entry, as when it gave
    /// way in between, the client is taken in now; an entry for another real is a later flow's.
    pub fn confirm(&mut self, client: &Client, real: RealId, timeout: Duration, now: Instant) {
        let entry = self.entry(client, real, Trust::Confirmed, timeout, now);
        let Some((at, way)) = self.locate(client.service, &client.key, now) else {
            return self.insert(entry, now);
        };
        if let Some(same) = self.buckets[at][way].as_mut().filter(|old| old.real == real) {
            same.trust = Trust::Confirmed;
        }
    }

    /// No client shall go to this real any more, until it is remembered anew.
    pub fn forget_real(&mut self, real: RealId) {
        self.validity.generation += 1;
        self.validity.reals[usize::from(real.0)] = self.validity.generation;
    }

    /// Forgets all clients of a service, as when it is deleted or counts clients otherwise.
    pub fn forget_service(&mut self, service: ServiceId) {
        self.validity.generation += 1;
        self.validity.services[usize::from(service.0)] = self.validity.generation;
    }

    /// One bounded slice of expiry; the whole table is seen in [`SWEEP_TURNS`] turns.
    pub fn sweep(&mut self, now: Instant) {
        if self.is_empty() {
            return;
        }
        for _ in 0..self.buckets.len().div_ceil(SWEEP_TURNS) {
            let at = self.sweep_at;
            self.sweep_at = (at + 1) % self.buckets.len();
            self.clear_stale(at, now);
        }
    }

    /// Entries, those included that hold no more and were not swept yet.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn capacity(&self) -> usize {
        self.buckets.len() * WAYS
    }

    pub fn counters(&self) -> &PersistenceCounters {
        &self.counters
    }

    fn entry(
        &self,
        client: &Client,
        real: RealId,
        trust: Trust,
        timeout: Duration,
        now: Instant,
    ) -> Entry {
        let &Client { service, key, ingress } = client;
        let generation = self.validity.generation;
        Entry { key, service, real, ingress, trust, seen: now, expires: now + timeout, generation }
    }

    /// The client's entry, if it holds.
    fn locate(&self, service: ServiceId, key: &ClientKey, now: Instant) -> Option<(usize, usize)> {
        let at = self.bucket_of(service, key);
        let is_it =
            |e: &Entry| e.service == service && e.key == *key && self.validity.holds(e, now);
        let way = self.buckets[at].iter().position(|entry| entry.as_ref().is_some_and(is_it))?;
        Some((at, way))
    }

    /// Takes in a client that has no entry.
    fn insert(&mut self, entry: Entry, now: Instant) {
        let at = self.bucket_of(entry.service, &entry.key);
        self.clear_stale(at, now);
        let Some(way) = place(&self.buckets[at], &entry) else {
            self.counters.refused += 1;
            return;
        };
        match self.buckets[at][way].replace(entry).map(|old| old.trust) {
            None => self.len += 1,
            Some(Trust::Tentative) => self.counters.evicted_tentative += 1,
            Some(Trust::Confirmed) => self.counters.evicted_confirmed += 1,
        }
        self.counters.remembered += 1;
    }

    /// Takes out of a bucket what holds no more.
    fn clear_stale(&mut self, at: usize, now: Instant) {
        for place in &mut self.buckets[at] {
            if place.take_if(|entry| !self.validity.holds(entry, now)).is_some() {
                self.len -= 1;
            }
        }
    }

    fn bucket_of(&self, service: ServiceId, key: &ClientKey) -> usize {
        self.hash.hash_one((service, key)) as usize & (self.buckets.len() - 1)
    }
}

impl Validity {
    fn holds(&self, entry: &Entry, now: Instant) -> bool {
        let forgotten =
            self.reals[usize::from(entry.real.0)].max(self.services[usize::from(entry.service.0)]);
        entry.generation >= forgotten && now < entry.expires
    }
}

/// The way of its bucket that a newcomer takes, if it may take one.
fn place(bucket: &Bucket, newcomer: &Entry) -> Option<usize> {
    let free = bucket.iter().position(Option::is_none);
    let tentative = || oldest(bucket, |entry| entry.trust == Trust::Tentative);
    let confirmed = || match newcomer.trust {
        Trust::Tentative => None,
        Trust::Confirmed => {
            let holder = largest_holder(bucket, newcomer.ingress)?;
            oldest(bucket, |entry| entry.ingress == holder)
        }
    };
    free.or_else(tentative).or_else(confirmed)
}

fn oldest(bucket: &Bucket, may_go: impl Fn(&Entry) -> bool) -> Option<usize> {
    let entries = bucket.iter().enumerate();
    let candidates = entries.filter_map(|(way, entry)| Some((way, entry.as_ref()?)));
    let going = candidates.filter(|(_, entry)| may_go(entry));
    going.min_by_key(|(_, entry)| entry.seen).map(|(way, _)| way)
}

/// The port with most entries of a full bucket; `port` itself if none has more. A port that holds
/// a single entry is not asked to give it up.
fn largest_holder(bucket: &Bucket, port: PortId) -> Option<PortId> {
    let held = |port: PortId| bucket.iter().flatten().filter(|e| e.ingress == port).count();
    let largest = bucket.iter().flatten().map(|entry| entry.ingress).max_by_key(|&p| held(p))?;
    match held(port) {
        own if own >= held(largest) => Some(port),
        _ if held(largest) > 1 => Some(largest),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
