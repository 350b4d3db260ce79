//! Guests: the co-located VMs. One definition serves reals, health and the identity of reports.
//!
//! Every guest that is a real is asked by ARP for its own address four times a second; three
//! questions without an answer and it gets no new flow, so a dead guest is known within a second.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use crate::limits::GUEST_ADDRESSES_MAX;
use crate::{Instant, MacAddr, Name, PortId};

/// A guest's slot in the table of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId(pub(crate) u16);

/// What an operator says of a guest (`set guest …`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    pub name: Name,
    pub port: PortId,
    pub mac: MacAddr,
    /// In the order given; the first IPv4 address is the one that reals use.
    pub addresses: heapless::Vec<IpAddr, GUEST_ADDRESSES_MAX>,
}

/// What is observed of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// No answer yet, and not enough silence either.
    Unknown,
    Up,
    Down,
}

/// A guest and what its probes found.
#[derive(Clone, Debug)]
pub struct Guest {
    pub spec: GuestSpec,
    pub health: Health,
    /// Since when `health` says so.
    pub health_since: Instant,
    /// Probes in a row without an answer.
    pub missed: u32,
    probe_at: Instant,
    /// Some service has a real here, so the guest is probed.
    pub(crate) is_real: bool,
}

/// Time between two probes of a guest.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// Probes in a row without an answer after which a guest is down.
pub const FALL: u32 = 3;

impl GuestSpec {
    /// The address that reals on this guest have.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
    }
}

impl Guest {
    pub(crate) fn new(spec: GuestSpec, now: Instant) -> Guest {
        Guest {
            spec,
            health: Health::Unknown,
            health_since: now,
            missed: 0,
            probe_at: now,
            is_real: false,
        }
    }

    /// Another definition: what was observed of another station says nothing of this one.
    pub(crate) fn redefine(&mut self, spec: GuestSpec, now: Instant) {
        if self.spec != spec {
            *self = Guest { is_real: self.is_real, ..Guest::new(spec, now) };
        }
    }

    /// Whether a probe is due; if so it counts as sent, and as missed until it is answered.
    pub(crate) fn probe(&mut self, now: Instant) -> bool {
        if now < self.probe_at {
            return false;
        }
        self.probe_at = now + PROBE_INTERVAL;
        if self.missed >= FALL {
            self.observe(Health::Down, now);
        }
        self.missed = self.missed.saturating_add(1);
        true
    }

    /// The guest has answered a probe.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.missed = 0;
        self.observe(Health::Up, now);
    }

    fn observe(&mut self, health: Health, now: Instant) {
        if self.health != health {
            self.health = health;
            self.health_since = now;
        }
    }
}

impl Health {
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

impl GuestId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
