//! Why a flow is where it is, and where a new one would go: the same questions that the data path
//! asks, asked without changing anything.
//!
//! No dice are thrown (the number that would come next is looked at), no turn is taken (it is taken
//! on a copy of the service's board), nothing is counted, remembered or opened. So an explanation
//! can be had at any time, and what it says is what the next flow would meet, if that flow came at
//! this very instant: the next one may find one more flow, one more report, another number.

pub mod decisions;
pub mod trace;

use alloc::vec::Vec;

use crate::dataplane::Dataplane;
use crate::explain::decisions::{Choice, Placed};
use crate::flow::{Direction, FlowId, FlowKey, Stage};
use crate::service::persist::ClientKey;
use crate::service::sched::{Arrival, Measured};
use crate::tables::Preview;
use crate::wire::Endpoint;
use crate::{DropReason, Instant, Persistence, Protocol, RealId, ServiceId, ServiceSpec, Standing};

/// A flow that may be there or may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub vlan: u16,
    pub protocol: Protocol,
    pub client: Endpoint,
    pub vip: Endpoint,
}

/// What there is to say about a call.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub service: ServiceId,
    /// The flow that it belongs to, if that is open.
    pub flow: Option<FlowId>,
    /// What would become of it if it were new.
    pub new: Result<Choice, DropReason>,
    /// The real of the client's earlier flows, if it is known and the service goes by it.
    pub remembered: Option<RealId>,
    /// The reals in the order in which they were set.
    pub reals: Vec<Factors>,
}

/// What decides about one real.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    pub real: RealId,
    pub standing: Standing,
    /// It may be chosen, if only because nobody is any better.
    pub is_candidate: bool,
    /// What it is compared by, if its scheduler compares.
    pub measured: Option<Measured>,
}

impl Call {
    pub(crate) fn key(&self) -> FlowKey {
        FlowKey::new(self.protocol, self.vlan, self.client, self.vip)
    }
}

impl Dataplane {
    /// What there is to say about a call; `None` where no service listens.
    pub fn explain(&self, call: &Call, now: Instant) -> Option<Explanation> {
        let service = self.tables().service_at(call.vlan, call.vip, call.protocol)?;
        let spec = &self.tables().service(service)?.spec;
        let preview = self.preview(service, &[], call.client, now)?;
        let remembered = self.earlier_real(service, spec, call, now);
        Some(Explanation {
            service,
            flow: self.flows().find(&call.key(), Direction::ToReal),
            new: self.foretell(service, &call.key(), remembered, preview.choice, None, now),
            remembered,
            reals: self.factors(service, &preview, now),
        })
    }

    /// What the scheduler would choose for a client, of those that are not out.
    fn preview(
        &self,
        service: ServiceId,
        out: &[RealId],
        client: Endpoint,
        now: Instant,
    ) -> Option<Preview> {
        let key = self.tables().service(service)?.spec.placing_key(client);
        self.tables().preview(service, out, &Arrival { now, dice: self.next_dice(), key })
    }

    /// The same, if only the choice matters.
    pub(crate) fn foresee_choice(
        &self,
        service: ServiceId,
        out: &[RealId],
        client: Endpoint,
        now: Instant,
    ) -> Option<Choice> {
        self.preview(service, out, client, now)?.choice
    }

    /// In the order in which the data path asks, which has then ended the flow `ending`.
    pub(crate) fn foretell(
        &self,
        service: ServiceId,
        key: &FlowKey,
        remembered: Option<RealId>,
        scheduled: Option<Choice>,
        ending: Option<FlowId>,
        now: Instant,
    ) -> Result<Choice, DropReason> {
        if self.is_full(service, ending) {
            return Err(DropReason::ServiceFull);
        }
        let earlier = remembered.filter(|&id| self.may_return(service, id, now));
        let choice = earlier
            .map(|id| Choice::alone(id, Placed::Persistence))
            .or(scheduled)
            .or_else(|| self.sorry_real(service).map(|id| Choice::alone(id, Placed::Sorry)))
            .ok_or(DropReason::NoBackend)?;
        // Some calls cannot be carried to the real that they get.
        let stage = Stage::Asked { sequence: 0 };
        self.new_flow(service, choice.real, choice.by, key, stage)?;
        Ok(choice)
    }

    /// By the client's address only: what a payload will say is not known beforehand.
    fn earlier_real(
        &self,
        service: ServiceId,
        spec: &ServiceSpec,
        call: &Call,
        now: Instant,
    ) -> Option<RealId> {
        let key = match spec.persistence? {
            Persistence::Source { prefix_len, .. } => {
                ClientKey::of_source(call.client.address.into(), prefix_len)
            }
            Persistence::Payload { .. } => return None,
        };
        self.persistence().find(service, &key, now)
    }

    fn factors(&self, service: ServiceId, preview: &Preview, now: Instant) -> Vec<Factors> {
        let reals = self.tables().service(service).map_or(&[][..], |service| &service.reals);
        let of_real = |(place, &real): (usize, &RealId)| {
            Some(Factors {
                real,
                standing: self.standing(real, now)?,
                is_candidate: preview.is_candidate(place),
                measured: preview.measured(place),
            })
        };
        reals.iter().enumerate().filter_map(of_real).collect()
    }
}
