//! Maglev's table: `mh` finds a flow's real by one look.
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4.
//! Every member has its own permutation of the [`SLOTS`] slots, made from its name. Members go
//! round and each takes the next slot of its permutation that is still free, until none is. Shares
//! are even to a slot, and when one member goes the others take their old slots again, nearly all:
//! of theirs, 0.1 % change hands with 4 members, 0.5 % with 64, at most 1 % with unequal weights.
//!
//! *Weights*: in round `r` a member has taken `⌈r × weight ÷ heaviest⌉` slots, so that light ones
//! sit out rounds (Envoy's way). Shares are right to a few slots whatever the weights, and
//! the order of taking changes little when one of them does.
//!
//! *Members* are the service's reals by the operator's weight, in the order of their names, whatever
//! their health: a table that followed health would be built anew whenever a guest stumbles, and
//! would differ between appliances. A flow whose slot belongs to a real that may not be chosen now
//! is placed among those that may by rendezvous (see [`super::hash`]) with its own key. To walk
//! on to the next slot can be a long way where few are eligible; rendezvous asks each candidate
//! once, spreads by weight too, and leaves all other flows where they are.
//!
//! *Building* looks for a free slot some `SLOTS × ln SLOTS` = 730,000 times. Measured: 0.55 ms with 3
//! members, 1.2 ms with 64, 4.3 ms with 64 of which one has a thousand times the weight of the
//! others, who sit out often. The loop must not stand still for so long. So a [`Builder`] does a
//! bounded number of looks in each slice of housekeeping, on a second table, while the first goes
//! on to serve: 8,192 looks are 10 to 50 µs, and the table is there after 0.2 to 0.9 s (5 s with
//! such weights). The one builder serves all services in turn. Until a service has its first
//! table, rendezvous places its flows.
//!
//! A slot is a byte, the member's number: 64 KiB a table, which stays in a core's second cache.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::hash::{FlowHash, NameHash};
use crate::RealId;
use crate::limits::SERVICE_REALS_MAX;

/// Slots of a table: a prime, a thousand for each real of a full service.
pub const SLOTS: usize = 65_537;
/// No member's number.
const FREE: u8 = u8::MAX;

const _: () = assert!(SERVICE_REALS_MAX < FREE as usize && SLOTS > 100 * SERVICE_REALS_MAX);

/// A real that has slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub real: RealId,
    pub name: NameHash,
    /// Not 0.
    pub weight: u16,
}

/// In the order of their names.
pub type Members = heapless::Vec<Member, SERVICE_REALS_MAX>;

/// Who has which slot. Without members nobody has any. Its memory is taken at once.
pub struct Table {
    slots: Box<[u8]>,
    /// With room for [`Members`].
    members: Vec<Member>,
}

/// A table in the making.
pub struct Builder {
    table: Table,
    /// With room for one per member.
    takers: Vec<Taker>,
    taken: usize,
    round: u64,
    /// Whose turn it is in this round.
    turn: usize,
}

/// A member on its way through its permutation.
struct Taker {
    at: usize,
    skip: usize,
    weight: u64,
    /// What it has taken times the heaviest weight.
    claimed: u64,
}

impl Table {
    /// An empty one; `None` without memory for it.
    pub fn try_new() -> Option<Table> {
        let mut slots = try_with_capacity(SLOTS)?;
        slots.resize(SLOTS, FREE);
        let members = try_with_capacity(SERVICE_REALS_MAX)?;
        Some(Table { slots: slots.into_boxed_slice(), members })
    }

    /// Those for whom it was built.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whose slot a flow falls into.
    pub fn find(&self, key: FlowHash) -> Option<RealId> {
        let member = self.slots[key.below(SLOTS)];
        self.members.get(usize::from(member)).map(|member| member.real)
    }
}

impl Builder {
    /// One that has nothing to do; `None` without memory for it.
    pub fn try_new() -> Option<Builder> {
        let (table, takers) = (Table::try_new()?, try_with_capacity(SERVICE_REALS_MAX)?);
        Some(Builder { table, takers, taken: 0, round: 1, turn: 0 })
    }

    /// Begins a table for these.
    pub fn begin(&mut self, members: &Members) {
        self.takers.clear();
        self.takers.extend(members.iter().map(Taker::new));
        self.table.members.clear();
        self.table.members.extend_from_slice(members);
        self.table.slots.fill(FREE);
        (self.taken, self.round, self.turn) = (0, 1, 0);
    }

    /// Looks at no more than `looks` slots, or members that sit out; whether the table is whole.
    pub fn step(&mut self, mut looks: usize) -> bool {
        let heaviest = self.takers.iter().map(|taker| taker.weight).max().unwrap_or(0);
        while self.taken < SLOTS && heaviest > 0 {
            let taker = &mut self.takers[self.turn];
            if taker.claimed < self.round * taker.weight {
                loop {
                    if looks == 0 {
                        return false;
                    }
                    looks -= 1;
                    let slot = &mut self.table.slots[taker.at];
                    taker.at += taker.skip;
                    if taker.at >= SLOTS {
                        taker.at -= SLOTS;
                    }
                    if *slot == FREE {
                        *slot = self.turn as u8;
                        break;
                    }
                }
                taker.claimed += heaviest;
                self.taken += 1;
            } else if looks == 0 {
                return false;
            } else {
                looks -= 1;
            }
            self.turn += 1;
            if self.turn == self.takers.len() {
                self.turn = 0;
                self.round += 1;
            }
        }
        true
    }

    /// Puts the table that is whole in the place of another, and keeps that one's memory.
    pub fn swap(&mut self, table: &mut Table) {
        core::mem::swap(&mut self.table, table);
    }

    /// Those for whom it builds.
    pub fn members(&self) -> &[Member] {
        &self.table.members
    }
}

impl Taker {
    fn new(member: &Member) -> Taker {
        Taker {
            at: (member.name.derive(1) % SLOTS as u64) as usize,
            skip: (member.name.derive(2) % (SLOTS as u64 - 1)) as usize + 1,
            weight: u64::from(member.weight),
            claimed: 0,
        }
    }
}

fn try_with_capacity<T>(capacity: usize) -> Option<Vec<T>> {
    let mut items = Vec::new();
    items.try_reserve_exact(capacity).ok()?;
    Some(items)
}

#[cfg(test)]
mod tests;
