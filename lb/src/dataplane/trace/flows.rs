//! Flows in a trace: which one a packet belongs to, or what the one that it begins would be.

use super::{Walk, segment_of};
use crate::dataplane::Inbound;
use crate::dataplane::balance::Delivery;
use crate::dataplane::begin::Foreseen;
use crate::dataplane::sever;
use crate::explain::decisions::{Choice, Placed};
use crate::explain::trace::{Over, Step, Whom};
use crate::flow::{Direction, FlowId, Stage};
use crate::wire::Transport;
use crate::wire::transport::TcpFlags;
use crate::{DropReason, ServiceId, Verdict};

impl Walk<'_> {
    /// A segment to a VIP.
    pub(super) fn balance(&mut self, packet: &mut Inbound<'_>) -> Result<Verdict, DropReason> {
        let plane = self.plane;
        let Inbound { header, ip, .. } = *packet;
        let segment = segment_of(packet);
        let segment = segment.map_err(|reason| plane.no_segment(packet, reason))?;
        let known = plane.flows.look_up(&segment.key_to_real(header.vlan), Direction::ToReal);
        if known.is_none() && !plane.tables.is_vip(header.vlan, ip.destination) {
            return Err(DropReason::NotForUs);
        }
        self.note(Step::Whom(Whom::Vip(ip.destination.into())));
        ip.check(packet.head)?;
        let flow = self.flow_to_real(packet, &segment, known)?;
        self.deliver(packet, &segment, &flow)
    }

    /// The flow of a segment to a VIP: the one that was found, or a new one.
    pub(super) fn flow_to_real(
        &mut self,
        packet: &Inbound<'_>,
        segment: &Transport,
        known: Option<FlowId>,
    ) -> Result<Foreseen, DropReason> {
        let plane = self.plane;
        let Some(id) = known else {
            self.note(Step::NoFlow);
            return self.begin(packet, segment, None);
        };
        self.note(Step::Flow(id, Direction::ToReal));
        if plane.is_severed(id) {
            self.note(Step::Over(id, Over::Severed));
            return match sever::goes_on(segment) {
                true => Err(DropReason::Severed),
                false => self.begin(packet, segment, known),
            };
        }
        let flow = plane.flows.get(id).ok_or(DropReason::NoFlow)?;
        match segment.flags.opens() {
            true if flow.begins_anew(segment) => {
                self.note(Step::Over(id, Over::BegunAnew));
                self.begin(packet, segment, known)
            }
            true if flow.is_asked_again(segment, self.now) => self.unanswered(id),
            true | false => Ok(Foreseen::Known(id)),
        }
    }

    /// A new flow, and maybe one that ends for it.
    fn begin(
        &mut self,
        packet: &Inbound<'_>,
        segment: &Transport,
        forgotten: Option<FlowId>,
    ) -> Result<Foreseen, DropReason> {
        let (plane, now) = (self.plane, self.now);
        let vlan = packet.header.vlan;
        let key = segment.key_to_real(vlan);
        let service = plane.tables.service_at(vlan, segment.destination, segment.protocol);
        let service = service.ok_or(DropReason::VipNoPort)?;
        plane.may_begin(service, segment)?;
        let client = plane.persistent_client(service, packet, segment);
        let remembered =
            client.and_then(|(client, _)| plane.persistence.find(service, &client.key, now));
        self.steps.extend(remembered.map(Step::Remembered));
        self.note_news(service);
        let scheduled = plane.foresee_choice(service, &[], segment.source, now);
        let choice = plane.foretell(service, &key, remembered, scheduled, forgotten, now);
        let choice = match plane.is_guess(segment, now) {
            true => choice.map(|choice| Choice { by: Placed::Guess, ..choice }),
            false => choice,
        };
        self.note(Step::Chosen(service, choice));
        let Choice { real, by, .. } = choice?;
        let stage = Stage::Asked { sequence: segment.sequence };
        let new = plane.new_flow(service, real, by, &key, stage)?;
        let flow = plane.foresee_open(new, forgotten)?;
        self.note(flow.step());
        Ok(flow)
    }

    fn note_news(&mut self, service: ServiceId) {
        if self.plane.tables.has_news(service, self.now) {
            self.note(Step::News(service));
        }
    }

    /// A SYN that is repeated, since no real has answered it.
    fn unanswered(&mut self, id: FlowId) -> Result<Foreseen, DropReason> {
        let Some(choice) = self.plane.foresee_chance(id, self.now) else {
            return Ok(Foreseen::Known(id));
        };
        self.note(Step::Over(id, Over::Unanswered));
        self.give_to(choice, id)
    }

    /// A flow that goes to another real.
    fn give_to(&mut self, choice: Choice, id: FlowId) -> Result<Foreseen, DropReason> {
        let plane = self.plane;
        let flow = plane.flows.get(id).ok_or(DropReason::NoFlow)?;
        let service = plane.tables.real(choice.real).ok_or(DropReason::NoBackend)?.service;
        let (key, stage) = (flow.key(Direction::ToReal), flow.first_stage());
        let new = plane.new_flow(service, choice.real, choice.by, key, stage)?;
        let flow = plane.foresee_open(new, Some(id))?;
        self.note_news(service);
        self.note(Step::Chosen(service, Ok(choice)));
        self.note(flow.step());
        Ok(flow)
    }

    pub(super) fn deliver(
        &mut self,
        packet: &mut Inbound<'_>,
        segment: &Transport,
        flow: &Foreseen,
    ) -> Result<Verdict, DropReason> {
        let delivery = self.delivery(flow)?;
        self.plane.carry_to_real(&delivery, packet, segment).map(Verdict::Forward)
    }

    fn delivery(&self, flow: &Foreseen) -> Result<Delivery, DropReason> {
        match flow {
            Foreseen::Known(id) => self.plane.delivery(*id),
            Foreseen::New(new) => {
                let hop = self.plane.tables.hop(new.real).ok_or(DropReason::Severed)?;
                Ok(Delivery {
                    port: hop.port,
                    mac: hop.mac,
                    client: new.client,
                    vip: new.vip,
                    client_at_real: new.client_at_real,
                    real_end: new.real_end,
                })
            }
        }
    }

    /// A segment of a guest, if it is an answer in a VIP's name.
    pub(super) fn answer_of_real(
        &mut self,
        packet: &mut Inbound<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let plane = self.plane;
        let Ok(segment) = segment_of(packet) else {
            return Ok(None);
        };
        let key = segment.key_to_client(packet.header.vlan);
        let known = plane.flows.look_up(&key, Direction::ToClient);
        self.steps.extend(known.map(|id| Step::Flow(id, Direction::ToClient)));
        let known = known.map(Foreseen::Known);
        let Some(mut flow) = known.or_else(|| self.resume(packet, &segment)) else {
            let is_late = plane.comes_too_late(packet, &segment);
            return if is_late { Err(DropReason::NoFlow) } else { Ok(None) };
        };
        let mut delivery = self.delivery(&flow)?;
        if !delivery.is_from(packet) {
            if plane.comes_too_late(packet, &segment) {
                return Err(DropReason::NoFlow);
            }
            flow = self.resume(packet, &segment).ok_or(DropReason::SpoofMac)?;
            delivery = self.delivery(&flow)?;
        }
        if let Foreseen::Known(id) = flow
            && segment.flags.has(TcpFlags::RST)
        {
            self.reset(id, segment.refuses(packet.head))?;
        }
        plane.carry_to_client(&delivery, packet, &segment).map(Some)
    }

    /// A real resets a flow; an error if its client is not to hear of it.
    fn reset(&mut self, id: FlowId, syn: Option<u32>) -> Result<(), DropReason> {
        if let Some(other) = self.plane.foresee_other_guess(id, self.now)
            && self.give_to(Choice::alone(other, Placed::StandIn), id).is_ok()
        {
            self.note(Step::Over(id, Over::GuessedWrong));
            return Err(DropReason::NoFlow);
        }
        self.refused(id, syn)
    }

    /// A real refuses a SYN; an error if another is asked instead.
    pub(super) fn refused(&mut self, id: FlowId, syn: Option<u32>) -> Result<(), DropReason> {
        let is_its = self.plane.names_its_syn(id, syn);
        let choice = self.plane.foresee_chance(id, self.now).filter(|_| is_its);
        let Some(choice) = choice else {
            return Ok(());
        };
        if let Some(service) = self.plane.tables.real(choice.real).map(|real| real.service) {
            self.note_news(service);
            self.note(Step::Chosen(service, Ok(choice)));
        }
        Err(DropReason::SecondChance)
    }

    /// A flow of before the start that a real's packet tells of.
    fn resume(&mut self, packet: &Inbound<'_>, segment: &Transport) -> Option<Foreseen> {
        let earlier = self.plane.earlier_flow(packet, segment)?;
        let (service, real, by) = (earlier.service, earlier.real, Placed::Real);
        let new = self.plane.new_flow(service, real, by, &earlier.key, Stage::Answered).ok()?;
        let flow = self.plane.foresee_open(new, earlier.guess).ok()?;
        self.steps.extend(earlier.guess.map(|guess| Step::Over(guess, Over::GuessedWrong)));
        self.note(flow.step());
        Some(flow)
    }

    /// An ICMP error of a guest, if it is about a packet of a flow.
    pub(super) fn error_of_real(
        &mut self,
        packet: &mut Inbound<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let Some(quoting) = self.plane.judge_error_of_real(packet)? else {
            return Ok(None);
        };
        self.note(Step::Flow(quoting.id, Direction::ToClient));
        self.refused(quoting.id, quoting.refused_syn(packet))?;
        self.plane.carry_error(&quoting, packet).map(Some)
    }
}

impl Foreseen {
    fn step(&self) -> Step {
        match *self {
            Foreseen::New(new) => Step::Begins(new),
            Foreseen::Known(id) => Step::Flow(id, Direction::ToReal),
        }
    }
}
