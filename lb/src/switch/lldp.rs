//! Who is at the other end of a link: what we say of ourselves there, and what others say (LLDP,
//! [`crate::wire::lldp`]).
//!
//! It is said as soon as a link is up, or something of it has changed, and every 30 s; it holds four
//! times as long. Uplinks say it and listen, for there the fabric is; a guest's port is silent and deaf
//! unless it is told otherwise, for a guest need not know the host, nor the host believe a guest. An
//! uplink that stands by says it all the same: it has a link, and the fabric is to know.
//!
//! Peers are kept for as long as they said, two a port, so one port cannot push out another's. A third
//! is counted and not kept; who says that he goes is forgotten.

use alloc::vec::Vec;
use core::time::Duration;

use crate::limits::{LLDP_PEERS_PER_PORT, PORTS_MAX};
use crate::wire::lldp::{Advertisement, Text};
use crate::{Instant, MacAddr, PortId, PortSet, Role};

/// Time between two of the same words.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// How long a word of ours holds.
pub const TTL_S: u16 = 120;

/// What a port does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lldp {
    /// Neither speaks nor listens.
    Off,
    /// Only speaks.
    Send,
    On,
}

/// What the appliance says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub chassis: MacAddr,
    /// The NICs' own, by port, as far as they are known.
    pub macs: Vec<Option<MacAddr>>,
    pub system_name: Text,
    pub description: Text,
}

/// Somebody at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub port: PortId,
    /// The source of his frames.
    pub mac: MacAddr,
    pub said: Advertisement,
    pub until: Instant,
}

/// What became of what was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LldpCounters {
    pub heard: u64,
    pub malformed: u64,
    /// From one peer more than there is room for at its port.
    pub no_room: u64,
    /// Peers that were not heard again in time.
    pub aged: u64,
}

/// All peers.
pub struct Peers {
    /// Never longer than it was made for.
    peers: Vec<Peer>,
    counters: LldpCounters,
}

/// When we speak next.
#[derive(Default)]
pub(crate) struct Turn {
    next: Instant,
    /// Ports that have something to say before that.
    news: PortSet,
}

impl Lldp {
    pub const ALL: [Lldp; 3] = [Lldp::Off, Lldp::On, Lldp::Send];

    /// What holds for a port if nothing else is said.
    pub const fn of(role: Role) -> Lldp {
        match role {
            Role::Uplink => Lldp::On,
            Role::Guest => Lldp::Off,
        }
    }

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lldp::Off => "off",
            Lldp::On => "on",
            Lldp::Send => "send",
        }
    }
}

impl Identity {
    /// Whose frames of a port are.
    pub fn mac_of(&self, port: PortId) -> MacAddr {
        self.macs.get(port.index()).copied().flatten().unwrap_or(self.chassis)
    }
}

impl Peers {
    pub(crate) fn new() -> Peers {
        let peers = Vec::with_capacity(PORTS_MAX * LLDP_PEERS_PER_PORT);
        Peers { peers, counters: LldpCounters::default() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    pub fn counters(&self) -> &LldpCounters {
        &self.counters
    }

    /// What came in was no advertisement.
    pub(crate) fn misheard(&mut self) {
        self.counters.malformed += 1;
    }

    pub(crate) fn hear(&mut self, port: PortId, mac: MacAddr, said: Advertisement, now: Instant) {
        self.counters.heard += 1;
        let is_he = |peer: &Peer| {
            peer.port == port
                && (&peer.said.chassis, &peer.said.port) == (&said.chassis, &said.port)
        };
        let known = self.peers.iter().position(is_he);
        let until = now + Duration::from_secs(said.ttl_s.into());
        let here = self.peers.iter().filter(|peer| peer.port == port).count();
        match known {
            Some(at) if said.ttl_s == 0 => _ = self.peers.swap_remove(at),
            Some(at) => self.peers[at] = Peer { port, mac, said, until },
            None if said.ttl_s == 0 => {}
            None if here < LLDP_PEERS_PER_PORT => self.peers.push(Peer { port, mac, said, until }),
            None => self.counters.no_room += 1,
        }
    }

    pub(crate) fn age(&mut self, now: Instant) {
        let before = self.peers.len();
        self.peers.retain(|peer| peer.until > now);
        self.counters.aged += (before - self.peers.len()) as u64;
    }

    pub(crate) fn forget(&mut self, is_gone: impl Fn(PortId) -> bool) {
        self.peers.retain(|peer| !is_gone(peer.port));
    }

    /// When the first of them is too old.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.peers.iter().map(|peer| peer.until).min()
    }
}

impl Turn {
    pub fn has_news(&mut self, ports: PortSet) {
        self.news = self.news.chain(ports).collect();
    }

    /// The ports whose turn it is, of those that speak.
    pub fn take(&mut self, speaking: PortSet, now: Instant) -> PortSet {
        let news = core::mem::take(&mut self.news);
        match now >= self.next {
            true => {
                self.next = now + INTERVAL;
                speaking
            }
            false => speaking.and(news),
        }
    }

    pub fn next(&self) -> Instant {
        if self.news.is_empty() { self.next } else { Instant::START }
    }
}
