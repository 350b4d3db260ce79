//! The last decisions about new flows, for an operator who asks what just happened.
//!
//! Each new flow of a service that is placed or refused is noted in a ring of [`DECISIONS_KEPT`];
//! the oldest gives way. It is a look at the moment and no record: a flood of new flows leaves only
//! itself to be seen, whoever sends it, and the counters of services and reals keep the sums. Names
//! are copied, for a slot may be another's by the time somebody looks: that is what noting one costs
//! a new flow, and the packets after it nothing. It is written straight into its place, word by word:
//! a decision that was first put together and then moved there waited for its own parts (35 ns).

use alloc::boxed::Box;
use alloc::vec;

use crate::flow::FlowKey;
use crate::limits::DECISIONS_KEPT;
use crate::service::sched::Measured;
use crate::tables::Tables;
use crate::wire::Endpoint;
use crate::{DropReason, Instant, Name, Protocol, RealId, ServiceId};

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
    kept: Box<[Noted]>,
    /// So many were noted; the next one's place follows from it.
    noted: usize,
}

/// A [`Decision`] as it is written down. Who was chosen says nothing where nobody was.
#[derive(Clone)]
struct Noted {
    at: Instant,
    key: FlowKey,
    service: Name,
    refused: Option<DropReason>,
    by: Placed,
    candidates: u8,
    guest: Name,
    measured: Option<Measured>,
    runner_up: Name,
    its: Option<Measured>,
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
        Decisions { kept: vec![Noted::NOTHING; DECISIONS_KEPT].into_boxed_slice(), noted: 0 }
    }

    /// Notes what becomes of a call to a service.
    pub(crate) fn note(
        &mut self,
        tables: &Tables,
        service: ServiceId,
        key: &FlowKey,
        outcome: Result<&Choice, DropReason>,
        at: Instant,
    ) {
        let Some(service) = tables.service(service) else {
            return;
        };
        let noted = &mut self.kept[self.noted % DECISIONS_KEPT];
        self.noted += 1;
        (noted.at, noted.key) = (at, *key);
        noted.service.clone_from(&service.spec.name);
        noted.refused = outcome.err();
        if let Ok(choice) = outcome {
            noted.choose(tables, choice);
        }
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Decision> {
        let (newer, older) = self.kept.split_at(self.noted % DECISIONS_KEPT);
        let older = if self.noted < DECISIONS_KEPT { &[] } else { older };
        older.iter().chain(newer).map(Noted::decision)
    }
}

impl Noted {
    const NOTHING: Noted = Noted {
        at: Instant::START,
        key: FlowKey::NONE,
        service: Name::NONE,
        refused: None,
        by: Placed::Scheduler,
        candidates: 0,
        guest: Name::NONE,
        measured: None,
        runner_up: Name::NONE,
        its: None,
    };

    fn choose(&mut self, tables: &Tables, choice: &Choice) {
        (self.by, self.candidates) = (choice.by, choice.candidates);
        match tables.real(choice.real) {
            Some(real) => self.guest.clone_from(&real.spec.guest),
            None => self.refused = Some(DropReason::NoBackend),
        }
        self.measured = choice.measured;
        self.its = None;
        if let Some((id, its)) = choice.runner_up
            && let Some(real) = tables.real(id)
        {
            self.runner_up.clone_from(&real.spec.guest);
            self.its = Some(its);
        }
    }

    fn decision(&self) -> Decision {
        let Noted { at, by, candidates, measured, .. } = *self;
        let chosen = || {
            let runner_up = self.its.map(|its| (self.runner_up.clone(), its));
            Chosen { guest: self.guest.clone(), by, candidates, measured, runner_up }
        };
        Decision {
            at,
            protocol: self.key.protocol(),
            client: self.key.client(),
            service: self.service.clone(),
            outcome: self.refused.map_or_else(|| Ok(chosen()), Err),
        }
    }
}
