//! Choosing: which eligible real gets a new flow.
//!
//! ```text
//!   rr wrr              whose turn it is               rotate
//!   lc wlc wll p2c      who has least                  least
//!   sh mh               whose the client or flow is    hash, maglev
//! ```
//!
//! The names are IPVS's, and mean what they mean there. A weight is the operator's after the
//! agent's wish; `rr` and `lc` do not look at it, and `sh` and `mh` at the operator's alone. A real
//! without weight gets nothing from any of them.
//!
//! Here is chosen among candidates, who may all be given the flow; who may is decided in
//! [`crate::standing`]. A choice is a function of the candidates and of the flow that arrives,
//! with what chance it needs in the latter, so that it can be asked twice.

pub mod hash;
mod least;
pub mod maglev;
pub mod rotate;

pub use hash::{FlowHash, NameHash};
pub use least::{Forecast, IDLE, Outlook};

use crate::load::{EffectiveWeight, RealLoad};
use crate::{Instant, RealId, Scheduler};
use least::Measure;
use rotate::{Credit, Shares};

/// A real that may be given the flow.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub real: RealId,
    /// Without weight it is not chosen.
    pub weight: EffectiveWeight,
    /// The operator's, whatever the agent wishes.
    pub weight_set: u16,
    pub name: NameHash,
    pub flows_open: u32,
    pub credit: Credit,
    pub load: &'a RealLoad,
}

/// A new flow.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub now: Instant,
    /// Any number; picks where the scheduler leaves a choice.
    pub dice: u64,
    /// Of the client for `sh`, of both ends for `mh`.
    pub key: FlowHash,
}

/// The real that gets the flow; none if no candidate has weight. For `mh` the one that stands in
/// where the table's is no candidate. That a turn was taken is for the caller to remember.
pub fn choose(
    scheduler: Scheduler,
    candidates: &[Candidate<'_>],
    arrival: &Arrival,
) -> Option<RealId> {
    let Arrival { now, dice, key } = *arrival;
    let least = |measure| least::least(measure, candidates, now, dice as u32);
    match scheduler {
        Scheduler::Lc => least(Measure::Flows),
        Scheduler::Mh | Scheduler::Sh => hash::rendezvous(candidates, key),
        Scheduler::P2c => least::of_two(candidates, now, dice),
        Scheduler::Rr => rotate::turn(&mut Shares::Equal.queue(candidates)),
        Scheduler::Wlc => least(Measure::FlowsOverWeight),
        Scheduler::Wll => least(Measure::LoadOverWeight),
        Scheduler::Wrr => rotate::turn(&mut Shares::ByWeight.queue(candidates)),
    }
}

impl Candidate<'_> {
    fn has_weight(&self) -> bool {
        self.weight > EffectiveWeight::ZERO
    }
}

impl Scheduler {
    /// Whether reports of load decide.
    pub(crate) const fn uses_load(self) -> bool {
        match self {
            Scheduler::P2c | Scheduler::Wll => true,
            Scheduler::Lc
            | Scheduler::Mh
            | Scheduler::Rr
            | Scheduler::Sh
            | Scheduler::Wlc
            | Scheduler::Wrr => false,
        }
    }

    /// Whether turns decide, and which weights count for them.
    pub(crate) const fn turns(self) -> Option<Shares> {
        match self {
            Scheduler::Rr => Some(Shares::Equal),
            Scheduler::Wrr => Some(Shares::ByWeight),
            Scheduler::Lc
            | Scheduler::Mh
            | Scheduler::P2c
            | Scheduler::Sh
            | Scheduler::Wlc
            | Scheduler::Wll => None,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
