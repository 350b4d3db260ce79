//! How a real stands: whether it may get a new flow, with how much weight, and by whose word.
//!
//! One place decides eligibility; scheduler, console and answers to reports all ask it. A real's
//! state is the minimum of its sources: the operator's word, its port, its probes, its agent's
//! word. An agent never revives a guest that is silent, and an agent's silence never marks one
//! dead.

use crate::dataplane::Dataplane;
use crate::limits::SERVICE_REALS_MAX;
use crate::load::{AgentWord, EffectiveWeight};
use crate::report::AckState;
use crate::sched::rotate::{self, Shares};
use crate::sched::{self, Arrival, Candidate, FlowHash, Forecast, Outlook};
use crate::wire::Endpoint;
use crate::{AdminState, Health, Instant, Real, RealId, Scheduler, ServiceId};

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

type Candidates<'a> = heapless::Vec<Candidate<'a>, SERVICE_REALS_MAX>;

impl Dataplane {
    /// How a real of a service stands; `None` for one that is gone or retired.
    pub fn standing(&self, id: RealId, now: Instant) -> Option<Standing> {
        let real = self.tables.real(id).filter(|real| !real.retired)?;
        let candidates = self.candidates(real.service, Ok(()), now);
        let effective_weight = real.load.effective_weight(real.spec.weight, now);
        let own = candidate(id, real, now);
        let scheduler = self.tables.service(real.service).map(|s| s.spec.scheduler);
        let outlook = match scheduler.is_some_and(Scheduler::uses_load) {
            true => Outlook::of(&candidates, now),
            false => None,
        };
        Some(Standing {
            eligibility: self.eligibility(real, now),
            effective_weight,
            forecast: outlook.map(|outlook| outlook.forecast(&own)),
        })
    }

    /// The real that a new flow of the service gets. One that has not answered yet gets it if
    /// nobody else is there: a service just defined need not fail its first client.
    pub(crate) fn choose(
        &mut self,
        service: ServiceId,
        client: Endpoint,
        now: Instant,
    ) -> Option<RealId> {
        let dice = self.dice.roll();
        let spec = &self.tables.service(service)?.spec;
        let (scheduler, address) = (spec.scheduler, client.address.into());
        let key = if scheduler == Scheduler::Mh {
            let vip = (spec.vip, spec.port.get());
            FlowHash::of_ends((address, client.port), spec.protocol, vip)
        } else {
            FlowHash::of_client(address)
        };
        let arrival = Arrival { now, dice, key };
        self.choose_among(service, scheduler, Ok(()), &arrival)
            .or_else(|| self.choose_among(service, scheduler, Err(Ineligible::Unproven), &arrival))
    }

    /// Chooses among the reals that are this eligible.
    fn choose_among(
        &mut self,
        service: ServiceId,
        scheduler: Scheduler,
        eligibility: Result<(), Ineligible>,
        arrival: &Arrival,
    ) -> Option<RealId> {
        if scheduler == Scheduler::Mh
            && let Some(id) = self.placed(service, arrival.key)
            && let Some(real) = self.tables.real(id)
            && self.eligibility(real, arrival.now) == eligibility
        {
            return Some(id);
        }
        if let Some(shares) = scheduler.turns() {
            return self.take_turn(service, shares, eligibility, arrival);
        }
        sched::choose(scheduler, &self.candidates(service, eligibility, arrival.now), arrival)
    }

    /// The real in whose slot of the service's table a flow falls; a table that is being built anew
    /// may still name one that is gone.
    fn placed(&self, service: ServiceId, key: FlowHash) -> Option<RealId> {
        let id = self.tables.placements().find(service, key)?;
        self.tables.service(service)?.reals.contains(&id).then_some(id)
    }

    /// Gives the next turn away, and accounts for it.
    fn take_turn(
        &mut self,
        service: ServiceId,
        shares: Shares,
        eligibility: Result<(), Ineligible>,
        arrival: &Arrival,
    ) -> Option<RealId> {
        let mut queue = shares.queue(&self.candidates(service, eligibility, arrival.now));
        if queue.is_empty() {
            return None;
        }
        self.tables.set_credits_right(service, rotate::sum(&queue), &mut queue);
        let chosen = rotate::turn(&mut queue)?;
        for waiting in queue {
            if let Some(real) = self.tables.real_mut(waiting.real) {
                real.credit = waiting.credit;
            }
        }
        Some(chosen)
    }

    /// The reals of a service that are this eligible.
    fn candidates(
        &self,
        service: ServiceId,
        eligibility: Result<(), Ineligible>,
        now: Instant,
    ) -> Candidates<'_> {
        let members = self.tables.service(service).map_or(&[][..], |service| &service.reals);
        let reals = members.iter().filter_map(|&id| Some((id, self.tables.real(id)?)));
        let eligible = reals.filter(|(_, real)| self.eligibility(real, now) == eligibility);
        eligible.map(|(id, real)| candidate(id, real, now)).collect()
    }

    fn eligibility(&self, real: &Real, now: Instant) -> Result<(), Ineligible> {
        match real.admin {
            AdminState::Ready => {}
            AdminState::Drain => return Err(Ineligible::Drain),
            AdminState::Maint => return Err(Ineligible::Maint),
        }
        let guest = self.tables.guest(real.guest).ok_or(Ineligible::Unproven)?;
        if !self.tables.port_sets().up.contains(guest.spec.port) {
            return Err(Ineligible::PortDown);
        }
        match guest.health {
            Health::Up => {}
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

fn candidate(id: RealId, real: &Real, now: Instant) -> Candidate<'_> {
    Candidate {
        real: id,
        weight: real.load.effective_weight(real.spec.weight, now),
        weight_set: real.spec.weight,
        name: real.name,
        flows_open: real.counters.flows_open,
        credit: real.credit,
        load: &real.load,
    }
}
