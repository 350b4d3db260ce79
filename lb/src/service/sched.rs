//! Choosing: which eligible real gets a new flow.
//!
//! ```text
//!   rr wrr              whose turn it is               rotate
//!   lc wlc wll p2c      who has least                  least, ranking
//!   sh sh-port mh       whose the client or flow is    hash, maglev
//! ```
//!
//! The names are IPVS's, and mean what they mean there. A weight is the operator's after the
//! agent's wish; `rr` and `lc` do not look at it, and `sh` and `mh` at the operator's alone. A real
//! without weight gets nothing from any of them.
//!
//! Here is chosen among candidates, who may all be given the flow; who may is decided in
//! [`crate::service::standing`]. A choice is a function of the candidates, of the flows that they were given
//! before, and of the flow that arrives, with what chance it needs in the latter, so that it can be
//! asked twice: [`crate::explain`] asks a copy of the board.
//!
//! There may be 64 candidates and a million new flows a second, and all that one flow changes is one
//! real's counts. So what a scheduler makes of the candidates stays on a [`Board`]: whoever keeps
//! it makes it anew when candidates change, and says whose flows have changed.

pub mod hash;
mod least;
pub mod maglev;
mod ranking;
pub mod rotate;

pub use hash::{FlowHash, NameHash};
pub use least::{Forecast, Outlook};
pub use ranking::Measured;

use core::time::Duration;

use crate::guest::load::{EffectiveWeight, RealLoad};
use crate::{Instant, RealId, Scheduler};
use maglev::{Member, Members};
use ranking::{Measure, Ranking};
use rotate::{Rotation, Shares};

/// A real of the service, as the schedulers see it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub real: RealId,
    /// Without weight it is not chosen.
    pub weight: EffectiveWeight,
    /// The operator's, whatever the agent wishes.
    pub weight_set: u16,
    pub name: NameHash,
    pub flows_open: u32,
    /// Of these, the ones whose client waits for an answer.
    pub flows_waiting: u32,
    /// From a SYN to its answer, smoothed.
    pub answer_time: Option<Duration>,
    pub load: &'a RealLoad,
}

/// A new flow.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub now: Instant,
    /// Any number; picks where the scheduler leaves a choice.
    pub dice: u64,
    /// Of the client's address for `sh`, of its end for `sh-port`, of both ends for `mh`.
    pub key: FlowHash,
}

/// The candidates of a service, prepared for its scheduler. A candidate's place is its number
/// among those of which the board was made.
#[derive(Clone, Debug)]
pub struct Board {
    scheduler: Scheduler,
    /// For `lc`, `wlc`, `wll` and `p2c`.
    ranking: Ranking,
    /// For `rr` and `wrr`; stays while another scheduler is tried out.
    rotation: Rotation,
    /// For `sh`, `sh-port` and `mh`: those that may be chosen, by the operator's weight.
    members: Members,
}

/// How a scheduler chooses.
enum Way {
    Least(Measure),
    LeastOfTwo,
    Turns(Shares),
    Hash,
}

impl Board {
    /// One without candidates.
    pub const fn new() -> Board {
        Board {
            scheduler: Scheduler::Wll,
            ranking: Ranking::new(),
            rotation: Rotation::new(),
            members: Members::new(),
        }
    }

    /// Takes in the candidates as they are now. Turns go on where they were.
    pub fn make(&mut self, scheduler: Scheduler, candidates: &[Candidate<'_>], now: Instant) {
        self.scheduler = scheduler;
        match scheduler.way() {
            Way::Least(measure) => self.ranking.make(measure, candidates, now),
            Way::LeastOfTwo => self.ranking.make(Measure::Delay, candidates, now),
            Way::Turns(shares) => self.rotation.make(shares, candidates),
            Way::Hash => {
                let is_member = |c: &&Candidate<'_>| c.has_weight() && c.weight_set > 0;
                let chosen = candidates.iter().filter(is_member);
                self.members = chosen.map(Candidate::member).collect();
            }
        }
    }

    /// Takes in that the flows of one candidate have changed, and nothing else of it.
    pub fn update(&mut self, place: usize, candidate: &Candidate<'_>) {
        match self.scheduler.way() {
            Way::Least(_) | Way::LeastOfTwo => self.ranking.update(place, candidate),
            Way::Turns(_) | Way::Hash => {}
        }
    }

    /// The real that gets the flow; none if no candidate has weight. For `mh` the one that stands in
    /// where the table's is no candidate.
    pub fn choose(&mut self, arrival: &Arrival) -> Option<RealId> {
        match self.scheduler.way() {
            Way::Least(_) => self.ranking.least(arrival.dice as u32),
            Way::LeastOfTwo => self.ranking.least_of_two(arrival.dice),
            Way::Turns(_) => self.rotation.turn(&[]),
            Way::Hash => hash::rendezvous(&self.members, arrival.key),
        }
    }

    /// The real that gets it if some may not; by hash the one that stands in for the first of them.
    pub fn choose_but(&mut self, out: &[RealId], arrival: &Arrival) -> Option<RealId> {
        match self.scheduler.way() {
            Way::Least(_) => self.ranking.without(out).least(arrival.dice as u32),
            Way::LeastOfTwo => self.ranking.without(out).least_of_two(arrival.dice),
            Way::Turns(_) => self.rotation.turn(out),
            Way::Hash => {
                let others = self.members.iter().filter(|member| !out.contains(&member.real));
                hash::rendezvous(others, arrival.key)
            }
        }
    }

    /// What the candidate at a place is compared by, if candidates are.
    pub fn measured(&self, place: usize) -> Option<Measured> {
        match self.scheduler.way() {
            Way::Least(_) | Way::LeastOfTwo => self.ranking.measured(place),
            Way::Turns(_) | Way::Hash => None,
        }
    }

    /// The place of the least of all others.
    pub fn runner_up(&self, place: usize) -> Option<usize> {
        match self.scheduler.way() {
            Way::Least(_) | Way::LeastOfTwo => self.ranking.least_but(place),
            Way::Turns(_) | Way::Hash => None,
        }
    }

    /// What reports make expect together, where they decide.
    pub fn outlook(&self) -> Option<&Outlook> {
        self.ranking.outlook().filter(|_| self.scheduler.uses_load())
    }
}

impl Default for Board {
    fn default() -> Board {
        Board::new()
    }
}

impl Candidate<'_> {
    pub(crate) fn has_weight(&self) -> bool {
        self.weight > EffectiveWeight::ZERO
    }

    /// Its part of the operator's weight, in thousandths.
    pub(crate) fn wish(&self) -> u32 {
        self.weight.thousandths().checked_div(self.weight_set.into()).unwrap_or(0).max(1)
    }

    fn member(&self) -> Member {
        Member { real: self.real, name: self.name, weight: self.weight_set }
    }
}

impl Scheduler {
    /// Whether reports of load decide.
    pub(crate) const fn uses_load(self) -> bool {
        matches!(self.way(), Way::Least(Measure::Delay) | Way::LeastOfTwo)
    }

    /// Whether a packet in the middle of a flow tells its real, because who calls decides.
    pub(crate) const fn is_by_hash(self) -> bool {
        matches!(self.way(), Way::Hash)
    }

    const fn way(self) -> Way {
        match self {
            Scheduler::Lc => Way::Least(Measure::Flows),
            Scheduler::Mh | Scheduler::Sh | Scheduler::ShPort => Way::Hash,
            Scheduler::P2c => Way::LeastOfTwo,
            Scheduler::Rr => Way::Turns(Shares::Equal),
            Scheduler::Wlc => Way::Least(Measure::FlowsOverWeight),
            Scheduler::Wll => Way::Least(Measure::Delay),
            Scheduler::Wrr => Way::Turns(Shares::ByWeight),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
