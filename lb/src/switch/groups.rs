//! Multicast groups: which ports are in each, so that what is sent to a group goes there alone.
//!
//! Hosts say which groups they are in and routers ask them (IGMP and MLD, [`crate::wire::group`]). The
//! switch listens to both (RFC 4541), in each VLAN and for each version of IP by itself:
//!
//! ```text
//!   said                         taken for                             goes
//!   "I am in G"                  its port is in G, for 260 s           to routers
//!   "I am in G no longer"        the same, once nobody answers         to routers
//!   "who is in which group?"     a router is there; who asks is heard  everywhere
//!   what is for G                                                      to who is in G, and to routers
//! ```
//!
//! **Routers** are behind uplinks, all of them, and where somebody asks. So an uplink gets whatever is
//! for a group, and what is said there of groups teaches nothing.
//!
//! **Nothing is known where nobody asks.** A host says once that it is in a group; if nobody asks, it
//! never says so again, and what was learned ages. So what is for any group goes everywhere, as without
//! all this, until somebody has asked and hosts have had the time to answer. From then on what is for a
//! group that nobody is in goes to routers alone, unless it is said that it goes everywhere.
//!
//! **The switch asks itself** where that is said ([`Querier`]). It asks guests' ports alone: what is on
//! the network outside has its own querier, or floods. It asks in nobody's name, from 0.0.0.0, because
//! it is no router and that address wins no election (RFC 4541 §2.1.1); by IPv6 there is no such way, so
//! it asks from its link-local address, and the lower one wins (RFC 3810 §7.6.2). While another asks it
//! is silent.
//!
//! **One who leaves** may leave another one behind on the same port, so the port is asked twice and has
//! two seconds to answer. Where only one station can be, as behind the port of one defined guest, or
//! where it is said, it leaves at once.
//!
//! **The table is full** for a port that has used up its share ([`table`]). It gets what is for any group
//! then, until all that it said has aged: slower, never wrong, and nobody else's trouble.
//!
//! Groups of the link, as 224.0.0/24 and ff02::/16, are flooded always: nobody has to join them, and
//! neighbor discovery depends on them.
//!
//! Time is in whole seconds, and once a second it is looked at what has aged.

mod asker;
mod table;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use crate::limits::PORTS_MAX;
use crate::switch::fdb::seconds;
use crate::switch::vlan::{VLANS, VlanSet};
use crate::wire::Address;
use crate::wire::group::{Change, Dialect, INTERVAL, Query};
use crate::wire::ip::Version;
use crate::{Instant, PortId, PortSet};
pub use asker::{Asker, Question};
use asker::{LAST_ANSWER_S, MEMBERSHIP_S, NOBODY_V4, SETTLING_S, after, whole_s, wins};
use table::Table;
pub use table::{Key, Member};

/// VLANs that are looked at for their turn to be asked at once.
const VLANS_PER_TURN: usize = 256;
/// What is said of multicast groups; by default they are listened for everywhere, and nobody is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRules {
    /// Where everything is flooded.
    pub unheard: Option<Vlans>,
    pub querier: Option<Querier>,
    /// What is for a group that nobody is in goes everywhere.
    pub flood_unknown: bool,
}

/// How the switch asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Querier {
    pub interval: Duration,
    pub vlans: Vlans,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vlans {
    /// Untagged, and each VLAN that a port is said to carry.
    All,
    These(Box<VlanSet>),
}

/// What happened to who is in which group, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounters {
    /// Ports that came into a group.
    pub joined: u64,
    /// Ports that left one, as they said.
    pub left: u64,
    /// Ports that were not heard of again.
    pub aged: u64,
    /// Reports that found no place.
    pub refused: u64,
    /// Questions of ours.
    pub asked: u64,
    /// Messages that do not say that routers are to look at them.
    pub unalerted: u64,
}

pub struct Groups {
    rules: GroupRules,
    /// VLANs that ports are said to carry.
    named: VlanSet,
    table: Table,
    /// By VLAN, and by version of IP.
    askers: Box<[[Asker; 2]]>,
    /// Ports that get what is for any group, and until when.
    brimming: PortSet,
    brimming_until_s: [u32; PORTS_MAX],
    /// The VLAN whose turn to be asked it is; from [`VLANS`] on, nobody's in this second.
    turn_at: usize,
    looked_s: u32,
    counters: GroupCounters,
}

impl Vlans {
    fn contain(&self, vlan: u16) -> bool {
        match self {
            Vlans::All => true,
            Vlans::These(vlans) => vlans.contains(vlan),
        }
    }
}

impl Querier {
    pub const INTERVAL: Duration = INTERVAL;
}

impl Groups {
    /// `secret` keys the hash.
    pub fn new(secret: u64) -> Groups {
        Groups {
            rules: GroupRules::default(),
            named: VlanSet::EMPTY,
            table: Table::new(secret),
            askers: vec![[Asker::NOBODY; 2]; VLANS].into_boxed_slice(),
            brimming: PortSet::EMPTY,
            brimming_until_s: [0; PORTS_MAX],
            turn_at: VLANS,
            looked_s: 0,
            counters: GroupCounters::default(),
        }
    }

    pub fn rules(&self) -> &GroupRules {
        &self.rules
    }

    pub fn counters(&self) -> &GroupCounters {
        &self.counters
    }

    pub fn asker(&self, vlan: u16, version: Version) -> &Asker {
        &self.askers[usize::from(vlan) % VLANS][version as usize]
    }

    fn asker_mut(&mut self, vlan: u16, version: Version) -> &mut Asker {
        &mut self.askers[usize::from(vlan) % VLANS][version as usize]
    }

    /// Whether groups of a VLAN are listened for.
    pub fn listens(&self, vlan: u16) -> bool {
        listens(&self.rules, vlan)
    }

    /// Each port of each group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, PortId, Member)> {
        self.table.iter().filter(|(key, ..)| !is_of_routers(*key))
    }

    /// VLANs in which somebody asks.
    pub fn askers(&self, now: Instant) -> impl Iterator<Item = (u16, Version, &Asker)> {
        let versions = |(vlan, both): (u16, _)| {
            let [v4, v6]: &[Asker; 2] = both;
            [(vlan, Version::V4, v4), (vlan, Version::V6, v6)]
        };
        let all = (0..).zip(&self.askers).flat_map(versions);
        all.filter(move |(.., asker)| asker.is_there(now))
    }

    /// Groups that somebody is in; routers at guests' ports count as one for each VLAN and version.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Ports that get what is for any group: they said more than there was a place for, or were not
    /// asked yet.
    pub fn brimming(&self) -> PortSet {
        self.brimming
    }

    // Where frames go.

    /// Guests' ports that what is for a group goes to; `None`: everywhere.
    #[inline]
    pub fn members(&self, key: Key, now: Instant) -> Option<PortSet> {
        let asker = self.asker(key.vlan, key.group.version());
        if !asker.is_settled(now) {
            return None;
        }
        let ports = self.table.ports(key);
        match ports {
            None if self.rules.flood_unknown => None,
            _ => Some(ports.unwrap_or_default().or(asker.routers).or(self.brimming)),
        }
    }

    // What is said.

    /// Takes in that somebody asks: `port` is where a guest did, `reached` are those who hear it.
    pub fn hear_query(
        &mut self,
        (vlan, source): (u16, Address),
        port: Option<PortId>,
        query: &Query,
        reached: PortSet,
        now: Instant,
    ) {
        let version = source.version();
        match query.group {
            // The one with the lowest address asks.
            None if wins(source) || !self.asks(vlan) => {
                self.asker_mut(vlan, version).hear(Some(source), query, now);
            }
            Some(group) if !query.is_of_sources && !query.is_repeated => {
                let answer = query.response.saturating_mul(query.robustness.into());
                let until_s = after(now, whole_s(answer) + 1);
                self.table.shorten(Key { vlan, group }, reached, until_s);
            }
            None | Some(_) => {}
        }
        // A bridge that asks in nobody's name is no router.
        if let Some(port) = port.filter(|_| source != NOBODY_V4) {
            let key = Key { vlan, group: routers_of(version) };
            self.join(key, port, query.dialect, query.presence_s(), now);
            let routers = self.table.ports(key).unwrap_or_default();
            self.asker_mut(vlan, version).routers = routers;
        }
    }

    /// Takes in what a guest says of a group that is not of the link. A question comes of it where the
    /// switch has to find out whether somebody is left; where one `leaves_at_once`, it has not.
    pub fn hear_change(
        &mut self,
        vlan: u16,
        port: PortId,
        (dialect, change): (Dialect, Change),
        leaves_at_once: bool,
        now: Instant,
    ) -> Option<Question> {
        match change {
            Change::In(group) => {
                let membership_s = self.asker(vlan, group.version()).membership_s;
                self.join(Key { vlan, group }, port, dialect, membership_s, now);
                None
            }
            Change::Out(group) => self.leave(Key { vlan, group }, port, leaves_at_once, now),
        }
    }

    fn join(&mut self, key: Key, port: PortId, dialect: Dialect, for_s: u32, now: Instant) {
        let until_s = after(now, for_s);
        let is_new = self.table.member(key, port).is_none();
        if self.table.join(key, port, Member { until_s, dialect }) {
            self.counters.joined += u64::from(is_new && !is_of_routers(key));
            return;
        }
        self.counters.refused += 1;
        self.let_have_all(port, until_s);
    }

    fn leave(&mut self, key: Key, port: PortId, at_once: bool, now: Instant) -> Option<Question> {
        let member = self.table.member(key, port)?;
        // Another one on the same port is too old to say that it leaves (RFC 2236 §5).
        if member.dialect == Dialect::Igmp1 {
            return None;
        }
        let asker = *self.asker(key.vlan, key.group.version());
        if at_once || !asker.is_there(now) {
            self.table.leave(key, port);
            self.counters.left += 1;
            return None;
        }
        // Another one that asks is told, and asks.
        if asker.other.is_some() || !self.table.ask(key, port) {
            return None;
        }
        let ports = PortSet::EMPTY.with(port);
        self.table.shorten(key, ports, after(now, LAST_ANSWER_S));
        Some(Question::of_one(key, ports))
    }

    /// So many questions were put.
    pub fn count_asked(&mut self, questions: u64) {
        self.counters.asked += questions;
    }

    /// A message came that does not say that routers are to look at it.
    pub fn count_unalerted(&mut self) {
        self.counters.unalerted += 1;
    }

    // What is configured.

    /// Follows what is said of groups; what was heard where nothing is heard any more is forgotten.
    pub fn set_rules(&mut self, rules: &GroupRules) {
        self.rules = rules.clone();
        for (vlan, both) in (0..).zip(&mut self.askers) {
            let is_unheard = !listens(rules, vlan);
            for asker in both.iter_mut().filter(|asker| is_unheard || asker.other.is_none()) {
                asker.forget();
            }
        }
        if rules.unheard.is_some() {
            self.forget(|key, _| !listens(rules, key.vlan));
        }
        self.start();
    }

    /// Follows the ports: how many guests' there are, and which VLANs they are said to carry.
    pub fn set_ports(&mut self, guests: usize, named: VlanSet) {
        self.table.set_ports(guests);
        self.named = named;
    }

    /// Whoever is behind a port now has not been asked. Where somebody asks, the port gets what is for
    /// any group until it must have been.
    pub fn meet(&mut self, port: PortId, now: Instant) {
        self.start();
        if self.askers(now).next().is_some() {
            let wait_s = match self.rules.querier {
                Some(_) => SETTLING_S,
                None => MEMBERSHIP_S,
            };
            self.let_have_all(port, after(now, wait_s));
        }
    }

    /// The next questions are first ones.
    fn start(&mut self) {
        self.askers.iter_mut().flatten().for_each(Asker::start);
    }

    fn let_have_all(&mut self, port: PortId, until_s: u32) {
        self.brimming = self.brimming.with(port);
        let until = &mut self.brimming_until_s[port.index()];
        *until = until_s.max(*until);
    }

    /// Forgets who is meant.
    pub fn forget(&mut self, is_meant: impl Fn(Key, PortId) -> bool) {
        self.keep(|key, port, _| !is_meant(key, port));
    }

    /// Forgets those of which this does not hold; how many members of groups these were.
    fn keep(&mut self, stays: impl Fn(Key, PortId, Member) -> bool) -> u64 {
        let Groups { table, askers, .. } = self;
        let mut gone = 0;
        table.sweep(stays, |key, lost, left| match is_of_routers(key) {
            true => {
                let version = key.group.version();
                askers[usize::from(key.vlan) % VLANS][version as usize].routers = left;
            }
            false => gone += lost.len() as u64,
        });
        gone
    }

    // What time brings.

    /// Looks round, a bounded part of it in each turn: who was not heard of again is forgotten, and who
    /// is to be asked is told.
    pub fn look_round(&mut self, now: Instant, ask: &mut impl FnMut(Question)) {
        if self.looked_s != seconds(now) {
            self.looked_s = seconds(now);
            self.age(now);
            self.table.unanswered(|key, ports| ask(Question::of_one(key, ports)));
            self.turn_at = if self.rules.querier.is_some() { 0 } else { VLANS };
        }
        let Some(Querier { interval, .. }) = self.rules.querier else {
            return;
        };
        let turn = self.turn_at..VLANS.min(self.turn_at + VLANS_PER_TURN);
        self.turn_at = turn.end;
        for vlan in turn.map(|vlan| vlan as u16) {
            if self.asks(vlan) {
                self.ask_all(vlan, interval, now, ask);
            }
        }
    }

    /// When [`Groups::look_round`] has something to do.
    pub fn next_due(&self) -> Option<Instant> {
        let is_idle = self.is_empty() && self.brimming.is_empty() && self.rules.querier.is_none();
        match self.turn_at < VLANS {
            true => Some(Instant::START),
            false if is_idle => None,
            false => Some(Instant::from_millis((u64::from(self.looked_s) + 1) * 1000)),
        }
    }

    fn age(&mut self, now: Instant) {
        let now_s = seconds(now);
        self.counters.aged += self.keep(|_, _, member| member.until_s > now_s);
        let until_s = &self.brimming_until_s;
        self.brimming = self.brimming.filter(|port| until_s[port.index()] > now_s).collect();
    }

    /// Whether the switch asks in a VLAN, where nobody else does.
    fn asks(&self, vlan: u16) -> bool {
        let is_meant = self.rules.querier.as_ref().is_some_and(|querier| match &querier.vlans {
            Vlans::All => vlan == 0 || self.named.contains(vlan),
            Vlans::These(vlans) => vlans.contains(vlan),
        });
        is_meant && self.listens(vlan)
    }

    /// Asks for all groups of a VLAN, if it is time to and nobody else does.
    fn ask_all(
        &mut self,
        vlan: u16,
        interval: Duration,
        now: Instant,
        ask: &mut impl FnMut(Question),
    ) {
        for version in [Version::V4, Version::V6] {
            if let Some(query) = self.asker_mut(vlan, version).ask(version, interval, now) {
                ask(Question { vlan, version, query, ports: None });
            }
        }
    }
}

fn listens(rules: &GroupRules, vlan: u16) -> bool {
    !rules.unheard.as_ref().is_some_and(|vlans| vlans.contain(vlan))
}

/// What routers of a version are kept as: no group has this address.
const fn routers_of(version: Version) -> Address {
    match version {
        Version::V4 => NOBODY_V4,
        Version::V6 => Address::v6([0; 16]),
    }
}

fn is_of_routers(key: Key) -> bool {
    key.group == routers_of(key.group.version())
}
