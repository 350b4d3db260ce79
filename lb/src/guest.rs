//! Guests: the co-located VMs. One definition serves reals, health and the identity of reports.
//!
//! Of a guest that is a real, those addresses are asked for that its reals are reached by: one of
//! each IP version at most.

pub mod load;
pub mod neighbor;
pub mod report;

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::guest::neighbor::{Health, Neighbor};
use crate::limits::GUEST_ADDRESSES_MAX;
use crate::wire::ip::Version;
use crate::{Instant, MacAddr, Name, PortId};

/// The least time between two announcements of a guest's address that are sent on.
const ANNOUNCEMENT_INTERVAL: Duration = Duration::from_secs(1);

/// A guest's slot in the table of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId(pub(crate) u16);

/// What an operator says of a guest (`set guest …`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    pub name: Name,
    pub port: PortId,
    pub mac: MacAddr,
    /// In the order given; the first of a version is the one that reals use.
    pub addresses: heapless::Vec<IpAddr, GUEST_ADDRESSES_MAX>,
    /// Where probes come from, one of each IP version at most, for a guest that has no route to
    /// link-local addresses; on this guest's port the switch answers for them.
    pub probe_sources: heapless::Vec<IpAddr, 2>,
    pub trusts: Trusts,
}

/// What a guest may do that guests do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Send from addresses that are not its own: it forwards what others send.
    Address,
    /// Hand out addresses.
    Dhcp,
    /// Send from MACs that are not its own: there are others behind it.
    Mac,
    /// Ask who is in multicast groups.
    Querier,
    /// Say that it is a router.
    Router,
}

/// A set of them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Trusts(u8);

/// A guest and what was found of its addresses.
#[derive(Clone, Debug)]
pub struct Guest {
    pub spec: GuestSpec,
    /// The addresses that its reals are reached by.
    pub neighbors: heapless::Vec<Neighbor, 2>,
    /// When it last announced each of its addresses.
    announced: [Option<Instant>; GUEST_ADDRESSES_MAX],
}

impl GuestSpec {
    /// A guest of which nothing more is said.
    pub fn new(name: Name, port: PortId, mac: MacAddr) -> GuestSpec {
        let (addresses, probe_sources) = (heapless::Vec::new(), heapless::Vec::new());
        GuestSpec { name, port, mac, addresses, probe_sources, trusts: Trusts::NONE }
    }

    /// The address of this version that reals on this guest have.
    pub fn address_of(&self, version: Version) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|&address| Version::of(address) == version)
    }
}

impl Trust {
    pub const ALL: [Trust; 5] =
        [Trust::Address, Trust::Dhcp, Trust::Mac, Trust::Querier, Trust::Router];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trust::Address => "any-address",
            Trust::Dhcp => "dhcp",
            Trust::Mac => "any-mac",
            Trust::Querier => "querier",
            Trust::Router => "router",
        }
    }
}

impl Trusts {
    pub const NONE: Trusts = Trusts(0);

    #[must_use]
    pub const fn with(self, trust: Trust) -> Trusts {
        Trusts(self.0 | 1 << trust as u8)
    }

    #[must_use]
    pub const fn without(self, trust: Trust) -> Trusts {
        Trusts(self.0 & !(1 << trust as u8))
    }

    pub const fn has(self, trust: Trust) -> bool {
        self.0 & 1 << trust as u8 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Trust> {
        Trust::ALL.into_iter().filter(move |&trust| self.has(trust))
    }
}

impl FromIterator<Trust> for Trusts {
    fn from_iter<I: IntoIterator<Item = Trust>>(trusts: I) -> Self {
        trusts.into_iter().fold(Trusts::NONE, Trusts::with)
    }
}

impl fmt::Debug for Trusts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Guest {
    pub(crate) fn new(spec: GuestSpec) -> Guest {
        Guest { spec, neighbors: heapless::Vec::new(), announced: [None; GUEST_ADDRESSES_MAX] }
    }

    /// Another definition: what was observed of another station says nothing of this one.
    pub(crate) fn redefine(&mut self, spec: GuestSpec) {
        match (GuestSpec { trusts: spec.trusts, ..self.spec.clone() }) == spec {
            true => self.spec = spec,
            false => *self = Guest::new(spec),
        }
    }

    /// Whether it may say now where an address is: one of its own, once a second.
    pub(crate) fn may_announce(&self, address: IpAddr, now: Instant) -> bool {
        let is_soon = |last: Instant| now.since(last) < ANNOUNCEMENT_INTERVAL;
        !self.place_of(address).is_some_and(|at| self.announced[at].is_some_and(is_soon))
    }

    /// It has said where an address is.
    pub(crate) fn has_announced(&mut self, address: IpAddr, now: Instant) {
        if let Some(at) = self.place_of(address) {
            self.announced[at] = Some(now);
        }
    }

    /// Where an address stands among its own.
    fn place_of(&self, address: IpAddr) -> Option<usize> {
        self.spec.addresses.iter().position(|&own| own == address)
    }

    /// Some service has a real here.
    pub fn is_real(&self) -> bool {
        !self.neighbors.is_empty()
    }

    /// How its address of this version is; unknown for one that nobody asks for.
    pub fn health_by(&self, version: Version) -> Health {
        let asked = self.neighbors.iter().find(|n| Version::of(n.address) == version);
        asked.map_or(Health::Unknown, |neighbor| neighbor.health)
    }

    /// Whether nothing is heard of its address of this version, nor of its station: a guest that has
    /// much to do may be late to answer, and is not gone as long as it sends anything.
    pub(crate) fn is_silent_by(&self, version: Version) -> bool {
        let asked = self.neighbors.iter().find(|n| Version::of(n.address) == version);
        asked.is_some_and(|neighbor| neighbor.health == Health::Down && neighbor.is_quiet)
    }

    /// The worst of its addresses; unknown for a guest that nobody asks.
    pub fn health(&self) -> Health {
        self.worst().map_or(Health::Unknown, |neighbor| neighbor.health)
    }

    /// The address that is worst off, of those alike the one that is so longest.
    pub fn worst(&self) -> Option<&Neighbor> {
        self.neighbors.iter().min_by_key(|neighbor| (neighbor.health, neighbor.since))
    }

    /// Asks for these addresses from now on, where they are asked.
    pub(crate) fn ask_for(&mut self, wanted: &[(Version, u16)], now: Instant) {
        let Guest { spec, neighbors, .. } = self;
        let wanted = wanted.iter().filter_map(|&(version, vlan)| {
            let address = spec.address_of(version)?;
            let known = neighbors.iter().find(|n| (n.address, n.vlan) == (address, vlan));
            Some(known.copied().unwrap_or(Neighbor::new(address, vlan, now)))
        });
        // One of each version, so there is room.
        let wanted: heapless::Vec<Neighbor, 2> = wanted.take(2).collect();
        *neighbors = wanted;
    }
}

impl GuestId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
