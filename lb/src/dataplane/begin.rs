//! How a flow begins: the packet that belongs to none is given a real, or refused.
//!
//! ```text
//!   flow? ─▶ service? ─▶ may one more? ─▶ persistence? ─▶ scheduler ─▶ sorry real ─▶ refused
//! ```
//!
//! What the real sees as the client's end differs from the client in two cases. A guest that calls
//! a VIP and is itself chosen would see its own address as the caller's, and sees the switch's
//! link-local address, never with a port that probes of it may have. And two flows that would look the same at one real (a client that uses one
//! port towards two VIPs) differ by a translated port. With `direct` forwarding the first is not
//! needed, for a guest that has the VIP on a loopback never sends such a call, and the second only
//! where every datagram is scheduled by itself: two reals that answer one client's port from the
//! same VIP are told apart by it.

use core::time::Duration;

use crate::addr::{is_link_local_of_ours, link_local_like};
use crate::dataplane::{Dataplane, Dice, Inbound};
use crate::explain::decisions::{Choice, Placed};
use crate::flow::{Direction, FlowId, FlowKey, InsertError, NewFlow, Stage, UDP_IDLE};
use crate::service::persist::{Client, ClientKey};
use crate::service::probe::is_probe_port;
use crate::service::sched::Arrival;
use crate::service::standing::Judge;
use crate::wire::ip::Version;
use crate::wire::transport::{TcpFlags, UDP_HEADER_BYTES};
use crate::wire::{Endpoint, Transport};
use crate::{
    DropReason, Forwarding, Guest, Health, Instant, Persistence, Protocol, Real, RealId, Scheduler,
    ServiceId,
};

/// Ports that are tried before a colliding flow is refused.
const TRANSLATIONS_MAX: usize = 8;

/// The flow that a packet would begin.
pub(super) enum Foreseen {
    New(NewFlow),
    /// A flow of before, by which the answer finds back.
    Known(FlowId),
}

impl Dataplane {
    /// The flow of a segment to a VIP: the one that it belongs to, or a new one.
    #[inline]
    pub(super) fn flow_to_real(
        &mut self,
        packet: &Inbound<'_>,
        segment: &Transport,
        known: Option<FlowId>,
    ) -> Result<FlowId, DropReason> {
        match known {
            Some(id) if !segment.flags.opens() => Ok(id),
            Some(id) => self.call_again(id, packet, segment),
            None => self.begin(packet, segment),
        }
    }

    /// A SYN with the ports of a flow that there is.
    #[cold]
    fn call_again(
        &mut self,
        id: FlowId,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Result<FlowId, DropReason> {
        let Some(flow) = self.flows.get(id) else {
            return Err(DropReason::NoFlow);
        };
        if flow.begins_anew(segment) {
            self.forget(id);
            return self.begin(packet, segment);
        }
        match flow.is_asked_again(segment, packet.now) {
            true => self.unanswered(id, packet, segment),
            false => Ok(id),
        }
    }

    #[cold]
    fn begin(&mut self, packet: &Inbound<'_>, segment: &Transport) -> Result<FlowId, DropReason> {
        let vlan = packet.header.vlan;
        let key = segment.key_to_real(vlan);
        let service = self.tables.service_at(vlan, segment.destination, segment.protocol);
        let service = service.ok_or(DropReason::VipNoPort)?;
        self.may_begin(service, segment)?;
        let client = self.persistent_client(service, packet, segment);
        if self.is_full(service, None) {
            return Err(self.turn_down(service, &key, DropReason::ServiceFull, packet, segment));
        }
        let mut choice = self.choice_for(service, client.as_ref(), segment, packet.now);
        if choice.is_none() {
            choice = self.sorry_real(service).map(|id| Choice::alone(id, Placed::Sorry));
        }
        let Some(choice) = &mut choice else {
            return Err(self.turn_down(service, &key, DropReason::NoBackend, packet, segment));
        };
        if self.is_guess(segment, packet.now) {
            choice.by = Placed::Guess;
        }
        let (real, stage) = (choice.real, Stage::Asked { sequence: segment.sequence });
        let opened = self.open(service, real, choice.by, &key, stage, packet.now);
        self.note_decision(service, &key, opened.map(|_| &*choice), packet.now);
        let id = opened?;
        if segment.flags.opens() {
            self.chances.begin(id, packet, segment);
        }
        if let Some((client, timeout)) = client.filter(|_| !self.is_sorry(service, real)) {
            self.persistence.remember(&client, real, timeout, packet.now);
        }
        Ok(id)
    }

    /// Keeps what was decided, to be looked at.
    pub(super) fn note_decision(
        &mut self,
        service: ServiceId,
        key: &FlowKey,
        outcome: Result<&Choice, DropReason>,
        at: Instant,
    ) {
        self.decisions.note(&self.tables, service, key, outcome, at);
    }

    /// A TCP flow begins with a SYN. One of before a restart is taken up where the hash that placed
    /// it most likely finds its real again; a reset would only end it.
    pub(super) fn may_begin(
        &self,
        service: ServiceId,
        segment: &Transport,
    ) -> Result<(), DropReason> {
        let scheduler = self.tables.service(service).map(|service| service.spec.scheduler);
        let finds_again = scheduler.is_some_and(Scheduler::is_by_hash);
        let is_middle = !segment.flags.opens();
        match segment.protocol {
            Protocol::Tcp if is_middle && !finds_again => Err(DropReason::NoFlow),
            Protocol::Tcp if segment.flags.has(TcpFlags::RST) => Err(DropReason::NoFlow),
            Protocol::Tcp | Protocol::Udp => Ok(()),
        }
    }

    /// Notes that a call finds no real, and tells the client as the service wants it.
    #[cold]
    fn turn_down(
        &mut self,
        service: ServiceId,
        key: &FlowKey,
        reason: DropReason,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> DropReason {
        let reason = self.refuse(service, reason, packet, segment);
        self.note_decision(service, key, Err(reason), packet.now);
        reason
    }

    /// The real of the client's earlier flows, else the scheduler's choice.
    fn choice_for(
        &mut self,
        service: ServiceId,
        client: Option<&(Client, Duration)>,
        segment: &Transport,
        now: Instant,
    ) -> Option<Choice> {
        if let Some((client, _)) = client
            && let Some(id) = self.persistence.find(service, &client.key, now)
            && self.may_return(service, id, now)
        {
            return Some(Choice::alone(id, Placed::Persistence));
        }
        self.choose(service, &[], segment.source, now)
    }

    /// Whether a client's later flow may still go to the real of its earlier ones.
    pub(crate) fn may_return(&self, service: ServiceId, id: RealId, now: Instant) -> bool {
        let judge =
            self.tables.judge(service, now).filter(|judge| judge.service.reals.contains(&id));
        let eligible = |(real, judge): (&Real, Judge<'_>)| judge.eligibility(real, now).is_ok();
        self.tables.real(id).zip(judge).is_some_and(eligible)
    }

    /// The real that the service's scheduler gives a new flow that some may not get.
    pub(super) fn choose(
        &mut self,
        service: ServiceId,
        out: &[RealId],
        client: Endpoint,
        now: Instant,
    ) -> Option<Choice> {
        let dice = self.dice.roll();
        let key = self.tables.service(service)?.spec.placing_key(client);
        self.tables.choose(service, out, &Arrival { now, dice, key })
    }

    /// By what the service knows this client again, and for how long.
    pub(super) fn persistent_client(
        &self,
        id: ServiceId,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Option<(Client, Duration)> {
        let (key, timeout) = match self.tables.service(id)?.spec.persistence? {
            Persistence::Source { prefix_len, timeout } => {
                (ClientKey::of_source(segment.source.address.into(), prefix_len), timeout)
            }
            Persistence::Payload { offset_bytes, len_bytes, timeout } => {
                let datagram = packet.ip.payload(packet.head).get(UDP_HEADER_BYTES..)?;
                let part = datagram.get(usize::from(offset_bytes)..)?;
                (ClientKey::of_payload(part.get(..usize::from(len_bytes.get()))?)?, timeout)
            }
        };
        Some((Client { service: id, key, ingress: packet.ingress }, timeout))
    }

    /// The client of a flow is where it says to be: its real is remembered whatever strangers send.
    pub(super) fn confirm_client(
        &mut self,
        flow: FlowId,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) {
        let Some((real, placed)) = self.flows.get(flow).map(|flow| (flow.real, flow.placed()))
        else {
            return;
        };
        let Some(service) = self.tables.real(real).map(|real| real.service) else {
            return;
        };
        let client = self.persistent_client(service, packet, segment);
        if let Some((client, timeout)) = client.filter(|_| !self.is_sorry(service, real)) {
            if placed == Placed::SecondChance {
                // Only now: a SYN that no real takes would else lead others' clients astray.
                self.persistence.remember(&client, real, timeout, packet.now);
            }
            self.persistence.confirm(&client, real, timeout, packet.now);
        }
    }

    /// Whether the service has as many open flows as it may once one of them, if any, has ended.
    pub(crate) fn is_full(&self, id: ServiceId, ending: Option<FlowId>) -> bool {
        let Some(service) = self.tables.service(id) else {
            return false;
        };
        let Some(max) = service.spec.flows_max else {
            return false;
        };
        let reals = service.reals.iter().chain(&service.sorry);
        let ending = ending.and_then(|id| self.flows.get(id)).filter(|flow| flow.is_open());
        let open = reals.filter_map(|&id| {
            let ends = ending.is_some_and(|flow| flow.real == id);
            Some(self.tables.real(id)?.counters.flows_open - u32::from(ends))
        });
        open.sum::<u32>() >= max.get()
    }

    /// The real that serves when no other does, if its guest can be reached.
    pub(crate) fn sorry_real(&self, service: ServiceId) -> Option<RealId> {
        let service = self.tables.service(service)?;
        let id = service.sorry?;
        let guest = self.tables.guest(self.tables.real(id)?.guest)?;
        let is_up = self.tables.carriers(service.spec.vlan).contains(guest.spec.port);
        let is_there = guest.health_by(Version::of(service.spec.vip)) != Health::Down;
        (is_up && is_there).then_some(id)
    }

    /// Whether a real only stands in, and is no client's home.
    fn is_sorry(&self, service: ServiceId, real: RealId) -> bool {
        self.tables.service(service).is_some_and(|service| service.sorry == Some(real))
    }

    /// Pins a new flow to its real.
    pub(super) fn open(
        &mut self,
        service: ServiceId,
        real: RealId,
        placed: Placed,
        key: &FlowKey,
        stage: Stage,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let mut new = self.new_flow(service, real, placed, key, stage)?;
        for attempt in 0..TRANSLATIONS_MAX {
            if self.looks_like_probe(&new) {
                new.client_at_real.port = translated(new.client.port, real, attempt);
                continue;
            }
            if let Some(id) = self.way_back(&new) {
                return Ok(id);
            }
            let Dataplane { flows, tables, .. } = self;
            match flows.insert(new, now, &mut |gone| tables.flow_gone(gone)) {
                Ok(id) => {
                    self.tables.flow_opened(real, stage, now);
                    if let Some(service) = self.tables.service_mut(service) {
                        service.counters.count_placed(placed);
                    }
                    return Ok(id);
                }
                Err(InsertError::TupleTaken) => {
                    new.client_at_real.port = translated(new.client.port, real, attempt);
                }
                Err(InsertError::Full) => break,
            }
        }
        Err(DropReason::FlowsFull)
    }

    /// What [`Dataplane::open`] would do when a flow has been forgotten: the flow that it would pin
    /// anew, or the one of before that it would find.
    pub(super) fn foresee_open(
        &self,
        mut new: NewFlow,
        forgotten: Option<FlowId>,
    ) -> Result<Foreseen, DropReason> {
        let real = new.real;
        for attempt in 0..TRANSLATIONS_MAX {
            let looks_like_probe = self.looks_like_probe(&new);
            if !looks_like_probe && let Some(id) = self.way_back(&new) {
                return Ok(Foreseen::Known(id));
            }
            match self.flows.foresee_insert(&new, forgotten) {
                _ if looks_like_probe => {}
                Ok(()) => return Ok(Foreseen::New(new)),
                Err(InsertError::TupleTaken) => {}
                Err(InsertError::Full) => break,
            }
            new.client_at_real.port = translated(new.client.port, real, attempt);
        }
        Err(DropReason::FlowsFull)
    }

    /// Gives a flow that nobody has answered to another real.
    pub(super) fn give_to(
        &mut self,
        real: RealId,
        placed: Placed,
        id: FlowId,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let flow = self.flows.get(id).ok_or(DropReason::NoFlow)?;
        let (key, stage) = (*flow.key(Direction::ToReal), flow.first_stage());
        let service = self.tables.real(real).ok_or(DropReason::NoBackend)?.service;
        self.forget(id);
        self.open(service, real, placed, &key, stage, now)
    }

    /// What is to be known of a new flow.
    #[inline(always)]
    pub(crate) fn new_flow(
        &self,
        service: ServiceId,
        real: RealId,
        placed: Placed,
        key: &FlowKey,
        stage: Stage,
    ) -> Result<NewFlow, DropReason> {
        let (client, vip) = (key.client(), key.server());
        let spec = &self.tables.service(service).ok_or(DropReason::NoBackend)?.spec;
        let address = self.address_of(real, vip).ok_or(DropReason::NoBackend)?;
        let is_own = address.address == client.address || self.is_guests_own(real, client);
        let (client_address, real_end) = match spec.forwarding {
            Forwarding::Nat if is_own => (link_local_like(client.address.into()).into(), address),
            Forwarding::Nat => (client.address, address),
            Forwarding::Direct if is_own => return Err(DropReason::Hairpin),
            Forwarding::Direct => (client.address, vip),
        };
        Ok(NewFlow {
            protocol: key.protocol(),
            vlan: key.vlan(),
            client,
            vip,
            client_at_real: Endpoint { address: client_address, port: client.port },
            real_end,
            real,
            udp_idle: spec.udp_idle.unwrap_or(UDP_IDLE),
            one_packet: spec.one_packet,
            placed,
            stage,
        })
    }

    /// Whether the real would see a flow come from where probes do.
    fn looks_like_probe(&self, new: &NewFlow) -> bool {
        let Endpoint { address, port } = new.client_at_real;
        if !is_probe_port(port) {
            return false;
        }
        let guest = self.tables.real(new.real).and_then(|real| self.tables.guest(real.guest));
        let is_source = |guest: &Guest| self.is_probe_source(guest.spec.port, address);
        is_link_local_of_ours(address) || guest.is_some_and(is_source)
    }

    /// The flow of before by which the answer to a datagram that is scheduled by itself finds back.
    fn way_back(&self, new: &NewFlow) -> Option<FlowId> {
        if !new.one_packet {
            return None;
        }
        let NewFlow { protocol, vlan, client_at_real: client, real_end: server, .. } = *new;
        let key = FlowKey::new(protocol, vlan, client, server);
        let id = self.flows.find(&key, Direction::ToClient)?;
        let flow = self.flows.get(id)?;
        ((flow.client(), flow.vip(), flow.real) == (new.client, new.vip, new.real)).then_some(id)
    }

    /// A real's own address, of the VIP's version, and its port.
    fn address_of(&self, real: RealId, vip: Endpoint) -> Option<Endpoint> {
        let real = self.tables.real(real)?;
        let address = self.tables.guest(real.guest)?.spec.address_of(vip.address.version())?;
        Some(Endpoint {
            address: address.into(),
            port: real.spec.port.map_or(vip.port, |port| port.get()),
        })
    }

    /// Whether the client is the very guest that the real runs on, by any of its addresses.
    fn is_guests_own(&self, real: RealId, client: Endpoint) -> bool {
        let guest_of = |real: &Real| self.tables.guest(real.guest);
        let guest = self.tables.real(real).and_then(guest_of);
        guest.is_some_and(|guest| guest.spec.addresses.contains(&client.address.into()))
    }
}

/// The port that stands for a client's at a real, in the upper half. The same one each time, so that
/// datagrams that are scheduled one by one find the way back of those before.
fn translated(client_port: u16, real: RealId, attempt: usize) -> u16 {
    let seed = u64::from(client_port) | (real.index() as u64) << 16 | (attempt as u64) << 32;
    Dice::new(seed).roll() as u16 | 0x8000
}
