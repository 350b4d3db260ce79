//! The last decisions about new flows, for an operator who asks what just happened.
//!
//! Each new flow of a service that is placed or refused is noted in a ring of [`DECISIONS_KEPT`];
//! the oldest gives way. It is a look at the moment and no record: a flood of new flows leaves only
//! itself to be seen, whoever sends it, and the counters of services and reals keep the sums. Names
//! are copied, for a slot may be another's by the time somebody looks: that is what noting one costs
//! a new flow, and the packets after it nothing.

use alloc::vec::Vec;

use crate::limits::DECISIONS_KEPT;
use crate::sched::Measured;
use crate::wire::Endpoint;
use crate::{DropReason, Instant, Name, Protocol, RealId};

/// By what a flow got its real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placed {
    /// The service's scheduler.
    #[default]
    Scheduler,
    /// `mh`: the table that it has built beforehand.
    Table,
    /// An earlier flow of the client.
    Persistence,
    /// Nobody else can serve.
    Sorry,
    /// The real itself: it spoke first after a restart.
    Real,
    /// A hash, in the middle of a flow after a restart: the real may be another.
    Guess,
    /// The same, after the first guess was wrong.
    StandIn,
    /// The scheduler, after another real had refused its SYN or left it without an answer.
    SecondChance,
}

/// A real, and what it was chosen over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub real: RealId,
    pub by: Placed,
    /// Who could have been chosen; 0 where nobody was compared.
    pub candidates: u8,
    /// What it was compared by, if it was.
    pub measured: Option<Measured>,
    /// The best of the others.
    pub runner_up: Option<(RealId, Measured)>,
}

/// What was decided about a new flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Instant,
    pub protocol: Protocol,
    pub client: Endpoint,
    pub service: Name,
    pub outcome: Result<Chosen, DropReason>,
}

/// A [`Choice`] with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub guest: Name,
    pub by: Placed,
    pub candidates: u8,
    pub measured: Option<Measured>,
    pub runner_up: Option<(Name, Measured)>,
}

/// The ring.
pub struct Decisions {
    /// With room for all that are kept.
    kept: Vec<Decision>,
    /// Where the next one goes once the ring is full.
    next: usize,
}

impl Placed {
    pub const ALL: [Placed; 8] = [
        Placed::Scheduler,
        Placed::Table,
        Placed::Persistence,
        Placed::Sorry,
        Placed::Real,
        Placed::Guess,
        Placed::StandIn,
        Placed::SecondChance,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Placed::Scheduler => "scheduler",
            Placed::Table => "table",
            Placed::Persistence => "persistence",
            Placed::Sorry => "sorry",
            Placed::Real => "real",
            Placed::Guess => "guess",
            Placed::StandIn => "stand-in",
            Placed::SecondChance => "second chance",
        }
    }
}

impl Choice {
    /// Without anybody having been compared.
    pub(crate) fn alone(real: RealId, by: Placed) -> Choice {
        Choice { real, by, candidates: 0, measured: None, runner_up: None }
    }
}

impl Decisions {
    pub(crate) fn new() -> Decisions {
        Decisions { kept: Vec::with_capacity(DECISIONS_KEPT), next: 0 }
    }

    pub(crate) fn note(&mut self, decision: Decision) {
        if self.kept.len() < DECISIONS_KEPT {
            self.kept.push(decision);
        } else {
            self.kept[self.next] = decision;
            self.next = (self.next + 1) % DECISIONS_KEPT;
        }
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Decision> {
        let (newer, older) = self.kept.split_at(self.next);
        older.iter().chain(newer)
    }
}
