//! How a real stands: whether it may get a new flow, with how much weight, and by whose word.
//!
//! One place decides, [`Judge`]; scheduler, console and answers to reports all ask it. For the
//! scheduler its word is kept while it cannot have changed (`tables/standings.rs`). A real's state is
//! the minimum of its sources ([`Sources`]): the operator's word, its port, its guest's answers to ARP
//! or ND, its check ([`crate::service::check`]), its agent's word, its own flows ([`crate::service::passive`]). An agent
//! never revives a guest that is silent, and an agent's silence never marks one dead.
//!
//! *Panic*: where fewer than `panic` per cent of a service's reals are well, either nearly all of
//! them broke at once or what says so is wrong, and to send everything to the few that are left
//! would break them too. Then nobody's opinion that a real does not *work* counts. What makes a guest
//! unreachable or unwanted counts always: a frame to a port without a link or to a guest that answers
//! no probe is lost, whatever the share. Asked are the reals of which something is known and that
//! are wanted: by the operator, with a weight, and not asking to be left alone by themselves, so
//! that neither a start nor a rolling restart is a panic.
//!
//! A weight is a product ([`WeightFactors`]): the operator's, what the agent leaves of it, and how far
//! the real is on its way in ([`crate::service::ramp`]). How far reports are trusted is none of them, because
//! without reports there is nothing to distrust; it is in the [`Forecast`].

use crate::guest::load::{AgentWord, EffectiveWeight};
use crate::guest::report::{AckState, Share};
use crate::limits::SERVICE_REALS_MAX;
use crate::service::passive::Ejection;
use crate::service::ramp::Percent;
use crate::service::sched::{Candidate, Forecast};
use crate::wire::ip::Version;
use crate::{AdminState, Guest, Health, Instant, PortSet, Real, RealId, Service};

/// A real, judged.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub eligibility: Result<(), Ineligible>,
    pub sources: Sources,
    pub factors: WeightFactors,
    /// The factors' product.
    pub effective_weight: EffectiveWeight,
    /// What reports make expect of it; `None` when the service's reals have no fresh report, or its
    /// scheduler asks for none.
    pub forecast: Option<Forecast>,
}

/// What everybody says of a real who has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The operator.
    pub admin: AdminState,
    /// Its guest's port has a link.
    pub has_link: bool,
    /// Its guest's answers to ARP or ND.
    pub neighbor: Health,
    /// Its check, if it has one.
    pub check: Option<Health>,
    /// Its agent, while its word holds.
    pub agent: Option<AgentWord>,
    /// What its own flows have shown, while it is out for that.
    pub passive: Option<Ejection>,
    /// The service panics: what only says that the real does not work is not believed.
    pub panics: bool,
}

/// What makes a real's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightFactors {
    /// The operator's.
    pub weight: u16,
    /// What the agent wishes, while its wish holds; it can only lower the weight.
    pub agent: Option<Share>,
    /// All but for a real that is new or back.
    pub slow_start: Percent,
}

/// Why a real gets no new flow; the first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// Taken out by the operator.
    Maint,
    Drain,
    /// Its guest's port has no link.
    PortDown,
    /// Its guest has not answered any probe yet, or nothing its check; better than nobody.
    Unproven,
    /// Its guest answers no more.
    Silent,
    /// Its check fails.
    CheckFailed,
    /// Its agent says that it does not work.
    AgentDown,
    /// Its agent asks for maintenance.
    AgentMaint,
    /// Its agent asks to be drained.
    AgentDrain,
    /// It is out for a while for what its flows have shown.
    Ejected,
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
    /// Ports that carry the service's VLAN and whose link is up.
    pub up: PortSet,
    /// As [`Judge::looks`] finds.
    pub panics: bool,
}

/// The reals of a service as its scheduler is to see them: who may not be chosen has no weight.
pub(crate) struct Candidates<'a> {
    pub all: heapless::Vec<Candidate<'a>, SERVICE_REALS_MAX>,
    pub judged: heapless::Vec<Result<(), Ineligible>, SERVICE_REALS_MAX>,
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
        let candidate = |((id, real), &eligibility)| match eligibility == chosen_if {
            true => self.candidate(id, real, now),
            false => Candidate {
                weight: EffectiveWeight::ZERO,
                weight_set: 0,
                ..self.candidate(id, real, now)
            },
        };
        let all = self.members().zip(&judged).map(candidate).collect();
        Candidates { all, judged, chosen_if }
    }

    /// A real as a scheduler sees it that may choose it.
    pub fn candidate(self, id: RealId, real: &'a Real, now: Instant) -> Candidate<'a> {
        Self::candidate_of_weight(id, real, self.effective_weight(real, now))
    }

    /// The same whose weight is known.
    pub fn candidate_of_weight(
        id: RealId,
        real: &'a Real,
        weight: EffectiveWeight,
    ) -> Candidate<'a> {
        Candidate {
            real: id,
            weight,
            weight_set: real.spec.weight,
            name: real.name,
            flows_open: real.counters.flows_open,
            flows_waiting: real.counters.flows_waiting,
            answer_time: real.passive.answer_time(),
            load: &real.load,
        }
    }

    pub fn eligibility(self, real: &Real, now: Instant) -> Result<(), Ineligible> {
        self.word(&self.sources(real, now))?;
        if real.load.effective_weight(real.spec.weight, now) == EffectiveWeight::ZERO {
            return Err(Ineligible::NoWeight);
        }
        match real.counters.flows_open >= self.flows_max(real, now) {
            true => Err(Ineligible::Full),
            false => Ok(()),
        }
    }

    /// How many flows a real may have, by the operator's word and its agent's.
    pub fn flows_max(self, real: &Real, now: Instant) -> u32 {
        let [set, said] = [real.spec.flows_max, real.load.flows_max(now)];
        set.unwrap_or(u32::MAX).min(said.unwrap_or(u32::MAX))
    }

    /// All that is known of a real for or against it.
    pub fn sources(self, real: &Real, now: Instant) -> Sources {
        let guest = self.guests[real.guest.index()].as_ref();
        let version = Version::of(self.service.spec.vip);
        Sources {
            admin: real.admin,
            has_link: guest.is_none_or(|guest| self.up.contains(guest.spec.port)),
            neighbor: guest.map_or(Health::Unknown, |guest| guest.health_by(version)),
            check: real.watch.as_ref().map(|watch| watch.health),
            agent: real.load.word(now),
            passive: real.passive.ejection(now),
            panics: self.panics,
        }
    }

    pub fn factors(self, real: &Real, now: Instant) -> WeightFactors {
        WeightFactors {
            weight: real.spec.weight,
            agent: real.load.share(now),
            slow_start: real.ramp.reached(self.service.spec.slow_start(), now),
        }
    }

    pub fn effective_weight(self, real: &Real, now: Instant) -> EffectiveWeight {
        let reached = real.ramp.reached(self.service.spec.slow_start(), now);
        real.load.effective_weight(real.spec.weight, now).part(reached)
    }

    /// Whether a real has gone by itself: its link, its probes or its agent say so.
    pub fn is_gone(self, real: &Real, now: Instant) -> bool {
        let word = self.word(&Sources { panics: false, ..self.sources(real, now) });
        matches!(word, Err(Ineligible::PortDown | Ineligible::Silent | Ineligible::AgentDown))
    }

    /// Whether a real works and is in service, without regard to panic. One that is drained is: it is
    /// as warm as before, and if its guest restarts meanwhile, that shows elsewhere.
    pub fn is_in(self, real: &Real, now: Instant) -> bool {
        let word = self.word(&Sources { panics: false, ..self.sources(real, now) });
        matches!(word, Ok(()) | Err(Ineligible::Drain | Ineligible::AgentDrain))
    }

    /// The same judge, having looked whether the service panics.
    pub fn looks(self, now: Instant) -> Judge<'a> {
        let (mut wanted, mut well, mut doubted) = (0, 0, 0);
        for (_, real) in self.members().filter(|(_, real)| real.spec.weight > 0) {
            let sources = Sources { panics: false, ..self.sources(real, now) };
            wanted += usize::from(sources.is_wanted());
            well += usize::from(sources.is_wanted() && self.word(&sources).is_ok());
            doubted +=
                usize::from(self.word(&sources) != self.word(&Sources { panics: true, ..sources }));
        }
        Judge { panics: doubted > 0 && well * 100 < self.service.spec.panic() * wanted, ..self }
    }

    /// The minimum of what the sources say.
    fn word(self, sources: &Sources) -> Result<(), Ineligible> {
        match sources.admin {
            AdminState::Ready => {}
            AdminState::Drain => return Err(Ineligible::Drain),
            AdminState::Maint => return Err(Ineligible::Maint),
        }
        if !sources.has_link {
            return Err(Ineligible::PortDown);
        }
        match sources.neighbor {
            Health::Up => {}
            // Who is placed by hash must be placed alike right after a restart, when nobody has
            // answered yet; a guest that is silent is known as such soon enough.
            Health::Unknown if self.service.spec.scheduler.is_by_hash() => {}
            Health::Unknown => return Err(Ineligible::Unproven),
            Health::Down => return Err(Ineligible::Silent),
        }
        match sources.check {
            None | Some(Health::Up) => {}
            Some(Health::Unknown) if self.service.spec.scheduler.is_by_hash() => {}
            Some(Health::Unknown) => return Err(Ineligible::Unproven),
            Some(Health::Down) if sources.panics => {}
            Some(Health::Down) => return Err(Ineligible::CheckFailed),
        }
        match sources.agent {
            None | Some(AgentWord::Up) => {}
            Some(AgentWord::Down) if sources.panics => {}
            Some(AgentWord::Down) => return Err(Ineligible::AgentDown),
            Some(AgentWord::Maint) => return Err(Ineligible::AgentMaint),
            Some(AgentWord::Drain) => return Err(Ineligible::AgentDrain),
        }
        match sources.passive {
            Some(_) if !sources.panics => Err(Ineligible::Ejected),
            Some(_) | None => Ok(()),
        }
    }
}

impl Sources {
    /// What keeps no new flow from the real only because its service panics.
    pub fn disbelieved(&self) -> Option<Ineligible> {
        let check = self.check.filter(|&check| check == Health::Down);
        let agent = self.agent.filter(|&word| word == AgentWord::Down);
        let doubt = check.map(|_| Ineligible::CheckFailed);
        let doubt = doubt.or(agent.map(|_| Ineligible::AgentDown));
        doubt.or(self.passive.map(|_| Ineligible::Ejected)).filter(|_| self.panics)
    }

    /// Whether something is known of it, and neither the operator nor its agent wants it out.
    fn is_wanted(&self) -> bool {
        let is_left_alone = matches!(self.agent, Some(AgentWord::Maint | AgentWord::Drain));
        let is_known = self.neighbor != Health::Unknown && self.check != Some(Health::Unknown);
        self.admin == AdminState::Ready && is_known && !is_left_alone
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
            Err(Ineligible::Silent | Ineligible::CheckFailed) => AckState::Down,
            Err(Ineligible::AgentDown | Ineligible::Ejected) => AckState::Down,
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
            Ineligible::CheckFailed => "check: down",
            Ineligible::AgentDown => "agent: down",
            Ineligible::AgentMaint => "agent: maint",
            Ineligible::AgentDrain => "agent: drain",
            Ineligible::Ejected => "ejected",
            Ineligible::NoWeight => "no weight",
            Ineligible::Full => "full",
        }
    }
}
