//! Fragments follow their first fragment.
//!
//! Only the first fragment of a datagram carries ports (RFC 791 §3.2, RFC 8200 §4.5). Whoever
//! decides about it leaves the decision here; each later fragment asks for it. A later fragment
//! that comes before its first is held: copied into one of a few slots, and given back when the
//! first is there. So all fragments of a datagram end the same way, or all that are left are
//! dropped.
//!
//! What was received of a datagram is kept as a short list of spans. A fragment that overlaps
//! another, lies beyond the last one's end or leaves too many holes spoils its datagram: it, those
//! held and all that follow are refused (RFC 5722). A duplicate counts as an overlap: the spans
//! forget where one fragment ended and the next began, the bytes are long gone, and so a harmless
//! repetition cannot be told from other bytes in the same place.
//!
//! A datagram is forgotten when it is complete, and two seconds after its first frame at the
//! latest. RFC 791 suggests fifteen; but a sender at a gigabit uses up its 65,536 identifications
//! in about two (RFC 4963), and the fragments of a LAN follow each other within milliseconds. A
//! held fragment waits half a second; a datagram that comes backwards in more of them than one port
//! may have held is dropped.
//!
//! Datagrams lie in buckets of eight. Each may lie in either of two, found by a keyed hash, and
//! goes into the emptier one; there are twice as many places as datagrams, so that a bucket does
//! not fill up before the table does, and nobody outside can aim at one. Who gives way in a full
//! table stands in [`shares`]. The ingress port is part of a datagram's identity: no port can
//! spoil or join what comes in on another.

use alloc::boxed::Box;
use core::hash::BuildHasher;
use core::mem;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::PORTS_MAX;
use crate::{Instant, PortId, Protocol};
use datagram::{Datagram, Fate};
use held::{Held, Label};
use shares::{Room, Shares};

mod datagram;
mod foresee;
mod held;
mod shares;

/// A datagram is forgotten so long after its first frame, whatever is missing.
pub const LIFETIME: Duration = Duration::from_secs(2);
/// A held fragment waits so long for its first.
pub const HOLD: Duration = Duration::from_millis(500);
/// The longest frame that can be held: Ethernet's longest, with two VLAN tags. A longer one, between ports
/// with a larger MTU, cannot come before its first.
pub const HELD_BYTES_MAX: usize = 1522;

const WAYS: usize = 8;
/// Places a datagram: half of them stay free.
const PLACES_PER_DATAGRAM: usize = 2;
/// A turn of housekeeping forgets at most so many datagrams of a port.
const SWEEP_DATAGRAMS: usize = 16;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DatagramKey {
    pub ingress: PortId,
    /// 0 is untagged.
    pub vlan: u16,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// 16 bits in IPv4, 32 in IPv6.
    pub identification: u32,
    /// IPv4's; 0 in IPv6, where the protocol tells no datagrams apart (RFC 8200 §4.5).
    pub protocol: u8,
}

/// The part of a datagram's payload that one fragment carries; its lengths hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    start: u16,
    end: u16,
    more: bool,
}

/// A fragment that no datagram can have: without payload, one of several but not in units of eight
/// bytes, or reaching beyond 65,535 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A fragment to drop: its datagram is spoiled, or there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What becomes of a later fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later<T> {
    /// The first one was here; this was decided about it.
    Decided(T),
    /// Copied: [`Fragments::release`] gives it back, or [`Fragments::sweep`] tells of its end.
    Held,
}

/// Counted since start: `begun` = `completed` + `expired` + `evicted` + those under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    pub begun: u64,
    pub completed: u64,
    /// Datagrams whose time was over, spoiled ones included.
    pub expired: u64,
    /// Datagrams that gave way to newer ones.
    pub evicted: u64,
    /// Datagrams that were spoiled.
    pub spoiled: u64,
    /// Fragments that found no place for a datagram of theirs.
    pub refused: u64,
    /// Fragments that were held, and those of them whose first came too late or never.
    pub held: u64,
    pub undelivered: u64,
}

/// The datagrams under way, each with the decision about its first fragment.
pub struct Fragments<T> {
    places: Box<[Option<Datagram<T>>]>,
    hash: FixedState,
    shares: Shares,
    held: Held,
    /// Held fragments that have ended without anybody having heard of it yet.
    untold: [u32; PORTS_MAX],
    has_untold: bool,
    counters: FragmentCounters,
}

impl Fragment {
    /// `more` is the header's bit; `offset_bytes` its field times eight. A packet that is neither
    /// one of several nor at an offset (RFC 6946, atomic) is no fragment and has no business here.
    pub fn new(offset_bytes: u16, len_bytes: usize, more: bool) -> Result<Fragment, Malformed> {
        let end = usize::from(offset_bytes).saturating_add(len_bytes);
        let end = u16::try_from(end).map_err(|_| Malformed)?;
        let in_units = offset_bytes.is_multiple_of(8) && (!more || len_bytes.is_multiple_of(8));
        match in_units && len_bytes > 0 {
            true => Ok(Fragment { start: offset_bytes, end, more }),
            false => Err(Malformed),
        }
    }

    pub fn is_first(self) -> bool {
        self.start == 0
    }

    /// A first fragment that does not hold the transport header (RFC 1858 §3). The whole fixed
    /// header of TCP is asked for, not only its flags: its checksum must be within reach.
    pub fn is_tiny(self, protocol: u8) -> bool {
        const TCP: u8 = Protocol::Tcp.number();
        let header_bytes = if protocol == TCP { 20 } else { 8 };
        self.is_first() && self.end < header_bytes
    }
}

impl<T: Copy> Fragments<T> {
    /// Room for so many datagrams and so many held frames, all taken now; `secret` keys the hash.
    pub fn new(datagrams: usize, held: usize, secret: u64) -> Fragments<T> {
        let places = (datagrams * PLACES_PER_DATAGRAM).next_power_of_two().max(2 * WAYS);
        Fragments {
            places: (0..places).map(|_| None).collect(),
            hash: FixedState::with_seed(secret),
            shares: Shares::new(datagrams, places),
            held: Held::new(held),
            untold: [0; PORTS_MAX],
            has_untold: false,
            counters: FragmentCounters::default(),
        }
    }

    /// Takes in the first fragment and what was decided about it. If that is `Ok`, the fragments
    /// that came before it wait for [`Fragments::release`].
    pub fn first(
        &mut self,
        key: &DatagramKey,
        fragment: Fragment,
        decision: T,
        now: Instant,
    ) -> Result<(), Refused> {
        let (at, datagram) = self.take_in(key, fragment, now)?;
        datagram.fate = Fate::Decided(decision);
        self.forget_if_complete(at);
        Ok(())
    }

    /// Takes in a fragment that is not the first; `frame` is all of it, to be held if need be.
    pub fn later(
        &mut self,
        key: &DatagramKey,
        fragment: Fragment,
        frame: &[u8],
        now: Instant,
    ) -> Result<Later<T>, Refused> {
        let (at, datagram) = self.take_in(key, fragment, now)?;
        match datagram.fate {
            Fate::Decided(decision) => {
                self.forget_if_complete(at);
                Ok(Later::Decided(decision))
            }
            Fate::Open => self.hold(at, key.ingress, frame, now).map(|()| Later::Held),
            Fate::Spoiled => Err(Refused),
        }
    }

    /// Gives back, into `frame`, the next of the frames of a datagram that came before its first,
    /// in the order of arrival; its length, and what was decided.
    pub fn release(
        &mut self,
        key: &DatagramKey,
        frame: &mut [u8; HELD_BYTES_MAX],
    ) -> Option<(usize, T)> {
        let at = self.find(key)?;
        let datagram = self.places[at].as_mut()?;
        let Fate::Decided(decision) = datagram.fate else {
            return None;
        };
        let slot = datagram.held.take()?;
        let held = self.held.frame(slot);
        let len = held.len();
        frame[..len].copy_from_slice(held);
        datagram.held = self.held.free(slot);
        self.forget_if_complete(at);
        Some((len, decision))
    }

    /// One bounded slice of what time ends. `undelivered` hears once of each held fragment that
    /// ended since the last sweep, whether by time or because it was pushed out.
    pub fn sweep(&mut self, now: Instant, undelivered: &mut impl FnMut(PortId)) {
        if self.is_at_rest() {
            return;
        }
        for port in (0..PORTS_MAX).filter_map(PortId::new) {
            while let Some(owner) = self.held.overdue(port, now) {
                self.spoil(owner);
            }
            for _ in 0..SWEEP_DATAGRAMS {
                let oldest = self.shares.oldest(port).filter(|&at| self.is_expired(at, now));
                let Some(at) = oldest else {
                    break;
                };
                self.counters.expired += 1;
                self.forget(at);
            }
            for _ in 0..mem::take(&mut self.untold[port.index()]) {
                undelivered(port);
            }
        }
        self.has_untold = false;
    }

    /// Frames from this port that were held and of whose end nobody has heard yet.
    pub fn held_of(&self, port: PortId) -> usize {
        self.held.len_of(port) + self.untold[port.index()] as usize
    }

    /// Whether [`Fragments::sweep`] would find nothing.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_empty() && !self.has_untold
    }

    /// Datagrams under way.
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn counters(&self) -> &FragmentCounters {
        &self.counters
    }

    /// Enters a fragment into its datagram, which may begin with it.
    fn take_in(
        &mut self,
        key: &DatagramKey,
        fragment: Fragment,
        now: Instant,
    ) -> Result<(usize, &mut Datagram<T>), Refused> {
        let at = match self.find(key) {
            Some(at) if self.is_expired(at, now) => {
                self.counters.expired += 1;
                self.forget(at);
                self.begin(key, now)?
            }
            Some(at) => at,
            None => self.begin(key, now)?,
        };
        let fits = self.places[at].as_mut().is_some_and(|d| d.receive(fragment).is_ok());
        if !fits {
            self.spoil(at);
        }
        let datagram = self.places[at].as_mut().filter(|_| fits);
        datagram.map(|datagram| (at, datagram)).ok_or(Refused)
    }

    fn begin(&mut self, key: &DatagramKey, now: Instant) -> Result<usize, Refused> {
        match self.shares.room(key.ingress) {
            Room::Free => {}
            Room::After(oldest) => {
                self.counters.evicted += 1;
                self.forget(oldest);
            }
            Room::None => return Err(self.refuse()),
        }
        let at = self.free_place(key).ok_or_else(|| self.refuse())?;
        self.places[at] = Some(Datagram::new(*key, now));
        self.shares.enter(key.ingress, at);
        self.counters.begun += 1;
        Ok(at)
    }

    /// Copies a frame that waits for its first. If there is no slot for it, the datagram cannot
    /// become whole any more, and nothing else of it shall take one.
    fn hold(
        &mut self,
        at: usize,
        ingress: PortId,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), Refused> {
        let room = self.held.room(ingress, frame.len());
        if let Room::After(oldest) = room
            && let Some(owner) = self.held.owner(oldest)
        {
            self.spoil(owner);
        }
        // The oldest may have been of this very datagram.
        let waiting = self.places[at].as_mut().filter(|d| matches!(d.fate, Fate::Open));
        let held = waiting.and_then(|datagram| {
            let label = Label { ingress, owner: at, since: now };
            self.held.put(&mut datagram.held, frame, label)
        });
        if held.is_none() {
            self.spoil(at);
            return Err(Refused);
        }
        self.counters.held += 1;
        Ok(())
    }

    fn forget_if_complete(&mut self, at: usize) {
        if self.places[at].as_ref().is_some_and(Datagram::is_complete) {
            self.counters.completed += 1;
            self.forget(at);
        }
    }

    /// Keeps a datagram only so that what follows of it can be refused.
    fn spoil(&mut self, at: usize) {
        let Some(datagram) = &mut self.places[at] else {
            return;
        };
        if !matches!(mem::replace(&mut datagram.fate, Fate::Spoiled), Fate::Spoiled) {
            self.counters.spoiled += 1;
        }
        let (ingress, held) = (datagram.key.ingress, datagram.held.take());
        self.give_up(ingress, held);
    }

    fn forget(&mut self, at: usize) {
        if let Some(datagram) = self.places[at].take() {
            self.shares.leave(datagram.key.ingress, at);
            self.give_up(datagram.key.ingress, datagram.held);
        }
    }

    /// Ends the held frames of a datagram undelivered.
    fn give_up(&mut self, ingress: PortId, mut held: Option<usize>) {
        while let Some(slot) = held {
            held = self.held.free(slot);
            self.untold[ingress.index()] += 1;
            self.has_untold = true;
            self.counters.undelivered += 1;
        }
    }

    fn refuse(&mut self) -> Refused {
        self.counters.refused += 1;
        Refused
    }

    fn is_expired(&self, at: usize, now: Instant) -> bool {
        self.places[at].as_ref().is_some_and(|d| now.since(d.begun) >= LIFETIME)
    }

    fn find(&self, key: &DatagramKey) -> Option<usize> {
        let is_it = |at: &usize| self.places[*at].as_ref().is_some_and(|d| d.key == *key);
        self.buckets_of(key).into_iter().flatten().find(is_it)
    }

    /// A place in the emptier of the key's buckets.
    fn free_place(&self, key: &DatagramKey) -> Option<usize> {
        let [first, second] = self.buckets_of(key);
        let free = |bucket: &Range<usize>| bucket.clone().filter(|&at| self.places[at].is_none());
        let emptier = if free(&second).count() > free(&first).count() { second } else { first };
        free(&emptier).next()
    }

    /// The places of both buckets of a key, which are never the same one.
    fn buckets_of(&self, key: &DatagramKey) -> [Range<usize>; 2] {
        let hash = self.hash.hash_one(key);
        let mask = self.places.len() / WAYS - 1;
        let first = hash as usize & mask;
        // Odd, hence not zero.
        let step = ((hash >> 32) as usize & mask) | 1;
        [first, first ^ step].map(|bucket| bucket * WAYS..(bucket + 1) * WAYS)
    }
}

#[cfg(test)]
mod tests;
