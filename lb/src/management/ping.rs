//! Pings: echo requests from the management address, and the stations that they are sent to.
//!
//! One ping is one request. Whoever wants several asks several times, at a pace of his own; what is
//! not answered within [`PING_TIMEOUT`] is lost. The station of the target, or of the gateway on the
//! way there, is asked for first, unless it was heard lately. There is room for as many pings as
//! people look at, and a ping whose time is over gives way.

use core::net::IpAddr;
use core::time::Duration;

use crate::wire::ip::Version;
use crate::{Instant, MacAddr, Name};

/// How long an answer is waited for.
pub const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Pings that may be under way.
pub const PINGS_MAX: usize = 4;
/// Stations that are known.
const HOPS_MAX: usize = 4;
/// How long it is believed where a station was.
const HOP_KNOWN: Duration = Duration::from_secs(60);

/// A ping that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingId {
    at: usize,
    sequence: u16,
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PingRefusal {
    /// There is no management address of this version.
    NoAddress(Version),
    /// The target is on another network, and no gateway was said.
    NoGateway,
    /// The switch answers for the target itself.
    Own,
    /// The target is a guest, which the management address is kept from.
    Guest(Name),
    /// No uplink that has its VLAN is up.
    NoUplink,
    /// As many as may be are under way.
    Full,
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    Answered {
        took: Duration,
        ttl: u8,
    },
    Silence,
    /// The station on the way has not said where it is.
    NoNeighbor(IpAddr),
    /// Somebody on the way could not send it on.
    Unreachable {
        by: IpAddr,
    },
}

/// What is asked, and of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub from: IpAddr,
    pub to: IpAddr,
    /// Whose station it is sent to.
    pub hop: IpAddr,
    pub vlan: u16,
    pub id: u16,
    pub sequence: u16,
    begun: Instant,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its hop is asked for.
    Asks,
    Waits {
        since: Instant,
    },
    Ended(PingOutcome),
}

/// Pings under way.
#[derive(Default)]
pub(crate) struct Pings {
    places: [Option<Ping>; PINGS_MAX],
    sequence: u16,
}

/// A station, and when it said where it is.
#[derive(Clone, Copy, Debug)]
struct Hop {
    vlan: u16,
    address: IpAddr,
    mac: MacAddr,
    heard: Instant,
}

/// The stations that pings were sent to last; the one heard longest ago gives way.
#[derive(Default)]
pub(crate) struct NextHops(heapless::Vec<Hop, HOPS_MAX>);

impl Pings {
    /// Begins one, which waits for its hop.
    pub fn begin(
        &mut self,
        [from, to, hop]: [IpAddr; 3],
        vlan: u16,
        id: u16,
        now: Instant,
    ) -> Option<PingId> {
        // Of those that are over the oldest gives way: somebody is yet to look at the others.
        let is_over = |ping: &Ping| ping.outcome(now).is_some();
        let places = self.places.iter().enumerate();
        let free = places.filter(|(_, place)| place.as_ref().is_none_or(is_over));
        let (at, _) = free.min_by_key(|(_, place)| place.map(|ping| ping.begun))?;
        self.sequence = self.sequence.wrapping_add(1);
        let (sequence, begun) = (self.sequence, now);
        self.places[at] = Some(Ping { from, to, hop, vlan, id, sequence, begun, step: Step::Asks });
        Some(PingId { at, sequence })
    }

    /// What became of one; `None` as long as it is waited for.
    pub fn outcome(&self, id: PingId, now: Instant) -> Option<PingOutcome> {
        let ping = self.places[id.at].filter(|ping| ping.sequence == id.sequence);
        // Whose place was taken is long over.
        ping.map_or(Some(PingOutcome::Silence), |ping| ping.outcome(now))
    }

    /// Whether somebody waits to hear where this station is.
    pub fn asks_for(&self, vlan: u16, hop: IpAddr) -> bool {
        self.asking(vlan, hop).next().is_some()
    }

    /// The next ping that waits for this station; it counts as sent.
    pub fn released(&mut self, vlan: u16, hop: IpAddr, now: Instant) -> Option<Ping> {
        let at = self.asking(vlan, hop).next()?;
        let ping = self.places[at].as_mut()?;
        ping.step = Step::Waits { since: now };
        Some(*ping)
    }

    fn asking(&self, vlan: u16, hop: IpAddr) -> impl Iterator<Item = usize> {
        let asks = move |ping: &Ping| {
            matches!(ping.step, Step::Asks) && (ping.vlan, ping.hop) == (vlan, hop)
        };
        let places = self.places.iter().enumerate();
        places.filter(move |(_, place)| place.as_ref().is_some_and(asks)).map(|(at, _)| at)
    }

    /// The ping between these addresses that has this mark, if it is waited for.
    pub fn waiting(&self, vlan: u16, [from, to]: [IpAddr; 2], mark: (u16, u16)) -> Option<PingId> {
        let is_it = |ping: &Ping| {
            matches!(ping.step, Step::Waits { .. })
                && (ping.vlan, ping.from, ping.to) == (vlan, from, to)
                && (ping.id, ping.sequence) == mark
        };
        let at = self.places.iter().position(|place| place.as_ref().is_some_and(is_it))?;
        Some(PingId { at, sequence: mark.1 })
    }

    pub fn answered(&mut self, id: PingId, ttl: u8, now: Instant) {
        if let Some(ping) = &mut self.places[id.at]
            && let Step::Waits { since } = ping.step
        {
            ping.step = Step::Ended(PingOutcome::Answered { took: now.since(since), ttl });
        }
    }

    pub fn unreachable(&mut self, id: PingId, by: IpAddr) {
        if let Some(ping) = &mut self.places[id.at] {
            ping.step = Step::Ended(PingOutcome::Unreachable { by });
        }
    }
}

impl Ping {
    fn outcome(&self, now: Instant) -> Option<PingOutcome> {
        let (since, outcome) = match self.step {
            Step::Ended(outcome) => return Some(outcome),
            Step::Asks => (self.begun, PingOutcome::NoNeighbor(self.hop)),
            Step::Waits { since } => (since, PingOutcome::Silence),
        };
        (now.since(since) >= PING_TIMEOUT).then_some(outcome)
    }
}

impl NextHops {
    pub fn find(&self, vlan: u16, address: IpAddr, now: Instant) -> Option<MacAddr> {
        let hop = self.0.iter().find(|hop| (hop.vlan, hop.address) == (vlan, address))?;
        (now.since(hop.heard) < HOP_KNOWN).then_some(hop.mac)
    }

    pub fn heard(&mut self, vlan: u16, address: IpAddr, mac: MacAddr, now: Instant) {
        self.0.retain(|hop| (hop.vlan, hop.address) != (vlan, address));
        if self.0.is_full() {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, hop)| hop.heard);
            if let Some(at) = oldest.map(|(at, _)| at) {
                self.0.swap_remove(at);
            }
        }
        let hop = Hop { vlan, address, mac, heard: now };
        debug_assert!(!self.0.is_full(), "one has given way");
        let _ = self.0.push(hop);
    }
}
