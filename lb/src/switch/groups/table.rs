//! Who is in which group: a table of fixed size, found by a keyed hash.
//!
//! A slot is one group of one VLAN, with the ports that are in it and, for each, until when that holds.
//! Slots with the same hash are a chain. As many groups as a port may be in are its share; all shares
//! together fit the table, so there is a slot for who has not used up his own, and nobody gives way to
//! anybody. When ports come and shares become less, who has more is not renewed.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::{GROUPS_MAX, PORTS_MAX};
use crate::wire::Address;
use crate::wire::group::Dialect;
use crate::{Instant, PortId, PortSet};

/// Who gets the whole table has at most this part of it.
const SHARES_MIN: usize = 8;
/// The end of a chain.
const NONE: u16 = u16::MAX;

/// A group in its VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// 0 is untagged.
    pub vlan: u16,
    pub group: Address,
}

/// One port's part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Second after which it is forgotten.
    pub until_s: u32,
    /// How it was heard of last.
    pub dialect: Dialect,
}

impl Member {
    /// How long until it is forgotten.
    pub fn left(&self, now: Instant) -> Duration {
        Duration::from_secs(self.until_s.into()).saturating_sub(now.since(Instant::START))
    }
}

pub(super) struct Table {
    /// By hash: the first slot of its chain.
    heads: Box<[u16]>,
    slots: Box<[Slot]>,
    /// The first free slot; free ones are a chain too.
    free: u16,
    hash: FixedState,
    /// Groups that a port is in.
    held: [u16; PORTS_MAX],
    share: u16,
}

#[derive(Clone)]
struct Slot {
    key: Key,
    /// Free if there is none.
    ports: PortSet,
    /// Of these, those that are being asked whether they are still in it.
    asked: PortSet,
    next: u16,
    until_s: [u32; PORTS_MAX],
    dialects: [Dialect; PORTS_MAX],
}

const _: () = assert!(GROUPS_MAX < NONE as usize && GROUPS_MAX.is_power_of_two());
const _: () = assert!(GROUPS_MAX >= PORTS_MAX, "each port has a share");

impl Table {
    /// `secret` keys the hash.
    pub fn new(secret: u64) -> Table {
        let vacant = |at: usize| Slot {
            key: Key { vlan: 0, group: Address::v4(0) },
            ports: PortSet::EMPTY,
            asked: PortSet::EMPTY,
            next: if at + 1 == GROUPS_MAX { NONE } else { at as u16 + 1 },
            until_s: [0; PORTS_MAX],
            dialects: [Dialect::Igmp1; PORTS_MAX],
        };
        Table {
            heads: vec![NONE; GROUPS_MAX].into_boxed_slice(),
            slots: (0..GROUPS_MAX).map(vacant).collect(),
            free: 0,
            hash: FixedState::with_seed(secret),
            held: [0; PORTS_MAX],
            share: (GROUPS_MAX / SHARES_MIN) as u16,
        }
    }

    /// Divides the table among so many ports.
    pub fn set_ports(&mut self, ports: usize) {
        self.share = (GROUPS_MAX / ports.clamp(SHARES_MIN, PORTS_MAX)) as u16;
    }

    /// The ports that are in a group; `None` if nobody is.
    pub fn ports(&self, key: Key) -> Option<PortSet> {
        self.find(key).map(|at| self.slots[at].ports)
    }

    pub fn member(&self, key: Key, port: PortId) -> Option<Member> {
        let slot = &self.slots[self.find(key)?];
        slot.ports.contains(port).then(|| slot.member(port))
    }

    /// A port is in a group until then; whether there was a place for that. A port that holds more than
    /// its share, since that became less, is not renewed.
    pub fn join(&mut self, key: Key, port: PortId, member: Member) -> bool {
        let known = self.find(key);
        let is_in = known.is_some_and(|at| self.slots[at].ports.contains(port));
        let held = self.held[port.index()];
        let fits = if is_in { held <= self.share } else { held < self.share };
        let Some(at) = known.or_else(|| fits.then(|| self.take(key))?).filter(|_| fits) else {
            return false;
        };
        let slot = &mut self.slots[at];
        slot.ports = slot.ports.with(port);
        slot.asked = slot.asked.without(port);
        slot.until_s[port.index()] = member.until_s;
        slot.dialects[port.index()] = member.dialect;
        self.held[port.index()] += u16::from(!is_in);
        true
    }

    /// A port is in a group no longer.
    pub fn leave(&mut self, key: Key, port: PortId) {
        if let Some(at) = self.find(key).filter(|&at| self.slots[at].ports.contains(port)) {
            self.retain(at, |its, _| its != port);
        }
    }

    /// Who of these does not say again that he is in a group is so only until then.
    pub fn shorten(&mut self, key: Key, ports: PortSet, until_s: u32) {
        let Some(at) = self.find(key) else {
            return;
        };
        let slot = &mut self.slots[at];
        for port in slot.ports.and(ports) {
            let until = &mut slot.until_s[port.index()];
            *until = until_s.min(*until);
        }
    }

    /// A port is asked whether it is still in a group; whether it was not being asked already.
    pub fn ask(&mut self, key: Key, port: PortId) -> bool {
        let Some(at) = self.find(key) else {
            return false;
        };
        let slot = &mut self.slots[at];
        let is_new = !slot.asked.contains(port);
        slot.asked = slot.asked.with(port);
        is_new
    }

    /// Whom to ask again, who has not answered; each is named once.
    pub fn unanswered(&mut self, mut ask: impl FnMut(Key, PortSet)) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.asked.is_empty()) {
            ask(slot.key, core::mem::take(&mut slot.asked));
        }
    }

    /// Forgets those of which this does not hold; `gone` hears of each group whom it lost, and who is
    /// left.
    pub fn sweep(
        &mut self,
        stays: impl Fn(Key, PortId, Member) -> bool,
        mut gone: impl FnMut(Key, PortSet, PortSet),
    ) {
        for at in 0..self.slots.len() {
            let Slot { key, ports, .. } = self.slots[at];
            if ports.is_empty() {
                continue;
            }
            let left = self.retain(at, |port, member| stays(key, port, member));
            if left != ports {
                gone(key, ports.minus(left), left);
            }
        }
    }

    /// Each port of each group, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, PortId, Member)> {
        self.slots
            .iter()
            .flat_map(|slot| slot.ports.map(|port| (slot.key, port, slot.member(port))))
    }

    /// Groups that somebody is in.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.ports.is_empty()).count()
    }

    pub fn is_empty(&self) -> bool {
        self.held.iter().all(|&held| held == 0)
    }

    fn find(&self, key: Key) -> Option<usize> {
        let mut at = self.heads[self.chain_of(key)];
        while let Some(slot) = self.slots.get(usize::from(at)) {
            if slot.key == key {
                return Some(usize::from(at));
            }
            at = slot.next;
        }
        None
    }

    /// A free slot becomes a group's.
    fn take(&mut self, key: Key) -> Option<usize> {
        let at = self.free;
        let chain = self.chain_of(key);
        let slot = self.slots.get_mut(usize::from(at))?;
        self.free = slot.next;
        slot.key = key;
        slot.next = core::mem::replace(&mut self.heads[chain], at);
        Some(usize::from(at))
    }

    /// Keeps the ports of a slot of which this holds, and frees one that nobody is left in; who is.
    fn retain(&mut self, at: usize, stays: impl Fn(PortId, Member) -> bool) -> PortSet {
        let slot = &mut self.slots[at];
        let left: PortSet = slot.ports.filter(|&port| stays(port, slot.member(port))).collect();
        slot.ports.minus(left).for_each(|port| self.held[port.index()] -= 1);
        (slot.ports, slot.asked) = (left, slot.asked.and(left));
        if left.is_empty() {
            self.give_back(at);
        }
        left
    }

    /// Takes a slot out of its chain.
    fn give_back(&mut self, at: usize) {
        let Slot { key, next, .. } = self.slots[at];
        let chain = self.chain_of(key);
        let mut before = &mut self.heads[chain];
        while usize::from(*before) != at {
            before = &mut self.slots[usize::from(*before)].next;
        }
        *before = next;
        self.slots[at].next = core::mem::replace(&mut self.free, at as u16);
    }

    fn chain_of(&self, key: Key) -> usize {
        let mut hasher = self.hash.build_hasher();
        let [high, low] = key.group.words();
        hasher.write_u64(high);
        hasher.write_u64(low);
        hasher.write_u16(key.vlan);
        hasher.finish() as usize & (GROUPS_MAX - 1)
    }
}

impl Slot {
    fn member(&self, port: PortId) -> Member {
        let at = port.index();
        Member { until_s: self.until_s[at], dialect: self.dialects[at] }
    }
}
