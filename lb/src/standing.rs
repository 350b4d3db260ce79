//! How a real stands: whether it may get a new flow, with how much weight, and by whose word.
//!
//! One place decides eligibility, [`Judge`]; scheduler, console and answers to reports all ask it. For
//! the scheduler its word is kept while it cannot have changed (`tables/standings.rs`). A real's
//! state is the minimum of its sources: the operator's word, its port, its probes, its agent's
//! word. An agent never revives a guest that is silent, and an agent's silence never marks one
//! dead.

use crate::limits::SERVICE_REALS_MAX;
use crate::load::{AgentWord, EffectiveWeight};
use crate::report::AckState;
use crate::sched::{Candidate, Forecast};
use crate::wire::ip::Version;
use crate::{AdminState, Guest, Health, Instant, PortSet, Real, RealId, Service};

/// A real, judged.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub eligibility: Result<(), Ineligible>,
    pub effective_weight: EffectiveWeight,
    /// What reports make expect of it; `None` when the service's reals have no fresh report, or its
    /// scheduler asks for none.
    pub forecast: Option<Forecast>,
}

/// Why a real gets no new flow; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// Taken out by the operator.
    Maint,
    Drain,
    /// Its guest's port has no link.
    PortDown,
    /// Its guest has not answered any probe yet; better than nobody.
    Unproven,
    /// Its guest answers no more.
    Silent,
    /// Its agent says that it does not work.
    AgentDown,
    /// Its agent asks for maintenance.
    AgentMaint,
    /// Its agent asks to be drained.
    AgentDrain,
    /// Its weight is 0.
    NoWeight,
    /// It has as many flows as it may.
    Full,
}

/// The reals of a service, with all that decides about them.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub service: &'a Service,
    pub reals: &'a [Option<Real>],
    pub guests: &'a [Option<Guest>],
    /// Ports whose link is up.
    pub up: PortSet,
}

/// The reals of a service as its scheduler is to see them: who may not be chosen has no weight.
pub(crate) struct Candidates<'a> {
    pub all: heapless::Vec<Candidate<'a>, SERVICE_REALS_MAX>,
    /// What those that may be chosen are.
    pub chosen_if: Result<(), Ineligible>,
}

impl<'a> Judge<'a> {
    /// The reals in the order in which they were set.
    pub fn members(self) -> impl Iterator<Item = (RealId, &'a Real)> {
        let ids = self.service.reals.iter();
        ids.filter_map(move |&id| Some((id, self.reals[id.index()].as_ref()?)))
    }

    /// The real at this place among them.
    pub fn member(self, place: usize) -> Option<(RealId, &'a Real)> {
        let id = *self.service.reals.get(place)?;
        Some((id, self.reals[id.index()].as_ref()?))
    }

    /// All of them. One that has not answered any probe yet may be chosen if nobody is eligible: a
    /// service just defined need not fail its first client.
    pub fn candidates(self, now: Instant) -> Candidates<'a> {
        let judged: heapless::Vec<_, SERVICE_REALS_MAX> =
            self.members().map(|(_, real)| self.eligibility(real, now)).collect();
        let chosen_if = match judged.iter().any(Result::is_ok) {
            true => Ok(()),
            false => Err(Ineligible::Unproven),
        };
        let candidate = |((id, real), eligibility)| match eligibility == chosen_if {
            true => candidate(id, real, now),
            false => Candidate {
                weight: EffectiveWeight::ZERO,
                weight_set: 0,
                ..candidate(id, real, now)
            },
        };
        Candidates { all: self.members().zip(judged).map(candidate).collect(), chosen_if }
    }

    pub fn eligibility(self, real: &Real, now: Instant) -> Result<(), Ineligible> {
        match real.admin {
            AdminState::Ready => {}
            AdminState::Drain => return Err(Ineligible::Drain),
            AdminState::Maint => return Err(Ineligible::Maint),
        }
        let guest = self.guests[real.guest.index()].as_ref().ok_or(Ineligible::Unproven)?;
        if !self.up.contains(guest.spec.port) {
            return Err(Ineligible::PortDown);
        }
        match guest.health_by(Version::of(self.service.spec.vip)) {
            Health::Up => {}
            // Who is placed by hash must be placed alike right after a restart, when nobody has
            // answered yet; a guest that is silent is known as such soon enough.
            Health::Unknown if self.service.spec.scheduler.is_by_hash() => {}
            Health::Unknown => return Err(Ineligible::Unproven),
            Health::Down => return Err(Ineligible::Silent),
        }
        match real.load.word(now) {
            None | Some(AgentWord::Up) => {}
            Some(AgentWord::Down) => return Err(Ineligible::AgentDown),
            Some(AgentWord::Maint) => return Err(Ineligible::AgentMaint),
            Some(AgentWord::Drain) => return Err(Ineligible::AgentDrain),
        }
        if real.load.effective_weight(real.spec.weight, now) == EffectiveWeight::ZERO {
            return Err(Ineligible::NoWeight);
        }
        let flows_max = [real.spec.flows_max, real.load.flows_max(now)].into_iter().flatten().min();
        match flows_max {
            Some(max) if real.counters.flows_open >= max => Err(Ineligible::Full),
            _ => Ok(()),
        }
    }
}

impl Standing {
    /// The word for a guest's agent.
    pub(crate) fn ack_state(&self, flows_open: u32) -> AckState {
        match self.eligibility {
            Ok(()) | Err(Ineligible::Full) => AckState::Up,
            Err(Ineligible::Drain | Ineligible::AgentDrain) if flows_open == 0 => AckState::Drained,
            Err(Ineligible::Drain | Ineligible::AgentDrain | Ineligible::NoWeight) => {
                AckState::Drain
            }
            Err(Ineligible::Maint | Ineligible::AgentMaint) => AckState::Maint,
            Err(Ineligible::PortDown | Ineligible::Unproven) => AckState::Down,
            Err(Ineligible::Silent | Ineligible::AgentDown) => AckState::Down,
        }
    }
}

impl Ineligible {
    /// The state that a table shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ineligible::Maint => "maint",
            Ineligible::Drain => "drain",
            Ineligible::PortDown => "port down",
            Ineligible::Unproven => "unproven",
            Ineligible::Silent => "silent",
            Ineligible::AgentDown => "agent: down",
            Ineligible::AgentMaint => "agent: maint",
            Ineligible::AgentDrain => "agent: drain",
            Ineligible::NoWeight => "no weight",
            Ineligible::Full => "full",
        }
    }
}

/// A real as a scheduler sees it that may choose it.
pub(crate) fn candidate(id: RealId, real: &Real, now: Instant) -> Candidate<'_> {
    Candidate {
        real: id,
        weight: real.load.effective_weight(real.spec.weight, now),
        weight_set: real.spec.weight,
        name: real.name,
        flows_open: real.counters.flows_open,
        load: &real.load,
    }
}
