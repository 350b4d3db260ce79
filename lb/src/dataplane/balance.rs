//! Balancing: a packet to a VIP gets to its real, and the real's answer leaves in the VIP's name.
//!
//! ```text
//!   nat      client ──(client → VIP)──▶ ┃ ──(client → real)──▶ guest    source MAC: the switch's
//!            client ◀──(VIP → client)── ┃ ◀──(real → client)── guest    source MAC: the VIP's
//!
//!   direct   client ──(client → VIP)──▶ ┃ ──(client → VIP)───▶ guest    only MACs change
//!            client ◀──(VIP → client)── ┃ ◀──(VIP → client)─── guest
//! ```
//!
//! The client's address is kept, so a real sees who calls; a reply is recognised by its ports and
//! addresses on the guest's own port, whatever route the guest took for it. How a flow begins is in
//! [`super::begin`].

use crate::addr::is_link_local_of_ours;
use crate::dataplane::{Dataplane, Inbound};
use crate::flow::{Direction, FlowId, FlowState, Step};
use crate::service::passive::FlowFailure;
use crate::tables::Tables;
use crate::wire::transport::TcpFlags;
use crate::wire::{Endpoint, Ethernet, Transport, ethernet};
use crate::{DropReason, Instant, MacAddr, PortId, RealId, Verdict};

/// Where a packet of a flow goes, copied out of the tables.
pub(super) struct Delivery {
    pub port: PortId,
    pub mac: MacAddr,
    pub client: Endpoint,
    pub vip: Endpoint,
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
}

impl Dataplane {
    /// A segment to a VIP goes to the real of its flow, or begins a flow. Through which port is said
    /// and no verdict, for the reason that [`super::receive`] has: it comes back in registers.
    #[inline(always)]
    pub(super) fn balance(&mut self, packet: Inbound<'_>) -> Result<PortId, DropReason> {
        let Inbound { header, ip, ref head, .. } = packet;
        let segment = match Transport::parse(head, ip) {
            Ok(segment) => segment,
            Err(reason) => return Err(self.no_segment(&packet, reason)),
        };
        let key = segment.key_to_real(header.vlan);
        let known = self.flows.find_named(packet.named, &key, Direction::ToReal);
        // The VIP of a flow that there is need not be looked for.
        if known.is_none() && !self.tables.is_vip(header.vlan, ip.destination) {
            return Err(DropReason::NotForUs);
        }
        ip.check(head)?;
        let known = self.unless_severed(known, &packet, &segment)?;
        let id = self.flow_to_real(&packet, &segment, known)?;
        self.deliver(packet, &segment, id)
    }

    /// What is wrong first about a packet that has no good transport header either.
    #[cold]
    pub(super) fn no_segment(&self, packet: &Inbound<'_>, reason: DropReason) -> DropReason {
        let Inbound { header, ip, ref head, .. } = *packet;
        match self.tables.is_vip(header.vlan, ip.destination) {
            true => ip.check(head).err().unwrap_or(reason),
            false => DropReason::NotForUs,
        }
    }

    /// Sends a segment of a flow on to its real.
    #[inline(always)]
    pub(super) fn deliver(
        &mut self,
        mut packet: Inbound<'_>,
        segment: &Transport,
        id: FlowId,
    ) -> Result<PortId, DropReason> {
        let port = self.carry_to_real(&self.delivery(id)?, &mut packet, segment)?;
        let step = self.count(id, Direction::ToReal, segment, packet.len, packet.now);
        if step == Step::Confirmed {
            self.confirm_client(id, &packet, segment);
        }
        Ok(port)
    }

    /// Whether a real's port takes what is sent to it.
    #[inline(always)]
    pub(super) fn check_way(
        &self,
        delivery: &Delivery,
        header: &Ethernet,
    ) -> Result<(), DropReason> {
        match self.tables.carriers(header.vlan).contains(delivery.port) {
            true => Ok(()),
            false if self.tables.port_sets().up.contains(delivery.port) => {
                Err(DropReason::VlanEgress)
            }
            false => Err(DropReason::NoPort),
        }
    }

    /// Makes a segment what its real is to see; the real's port.
    #[inline(always)]
    pub(super) fn carry_to_real(
        &self,
        delivery: &Delivery,
        packet: &mut Inbound<'_>,
        segment: &Transport,
    ) -> Result<PortId, DropReason> {
        self.check_way(delivery, packet.header)?;
        let head = &mut *packet.head;
        if delivery.translates() {
            let (source, destination) = (delivery.client_at_real, delivery.real_end);
            segment.rewrite(packet.ip, head, &packet.offload, source, destination);
        }
        ethernet::set_addresses(head, delivery.mac, MacAddr::SWITCH);
        Ok(delivery.port)
    }

    /// A packet of a guest, if it belongs to a flow that the guest serves, leaves in the VIP's
    /// name; `None` leaves the packet as it is.
    #[inline(always)]
    pub(super) fn answer_of_real(
        &mut self,
        mut packet: Inbound<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let Ok(segment) = Transport::parse(packet.head, packet.ip) else {
            return Ok(None);
        };
        let key = segment.key_to_client(packet.header.vlan);
        let known = self.flows.find_named(packet.named, &key, Direction::ToClient);
        let Some(mut id) = known.or_else(|| self.resume(&packet, &segment)) else {
            self.turn_away(&packet, &segment)?;
            return Ok(None);
        };
        let mut delivery = match self.delivery(id) {
            Ok(delivery) => delivery,
            Err(reason) => return Err(self.speaks_in_vain(id, reason, &packet, &segment)),
        };
        if !delivery.is_from(&packet) {
            self.turn_away(&packet, &segment)?;
            // Not the real: the true one after a wrong guess, or somebody who borrows its address.
            id = self.resume(&packet, &segment).ok_or(DropReason::SpoofMac)?;
            delivery = self.delivery(id)?;
        }
        if segment.flags.has(TcpFlags::RST) {
            if self.guess_again(id, packet.now) {
                return Err(DropReason::NoFlow);
            }
            let syn = segment.refuses(packet.head);
            if self.refused(id, FlowFailure::Refused, syn, packet.now) {
                return Err(DropReason::SecondChance);
            }
        }
        let verdict = self.carry_to_client(&delivery, &mut packet, &segment)?;
        self.count(id, Direction::ToClient, &segment, packet.len, packet.now);
        Ok(Some(verdict))
    }

    /// Makes a real's segment what its client is to see, and says which way it goes.
    #[inline(always)]
    pub(super) fn carry_to_client(
        &self,
        delivery: &Delivery,
        packet: &mut Inbound<'_>,
        segment: &Transport,
    ) -> Result<Verdict, DropReason> {
        let verdict = self.leave(delivery, packet)?;
        if delivery.translates() {
            let (vip, client) = (delivery.vip, delivery.client);
            segment.rewrite(packet.ip, packet.head, &packet.offload, vip, client);
        }
        Ok(verdict)
    }

    /// The way of a real's packet to the client, and the MAC addresses that it leaves with.
    #[inline(always)]
    pub(super) fn leave(
        &self,
        delivery: &Delivery,
        packet: &mut Inbound<'_>,
    ) -> Result<Verdict, DropReason> {
        let mac = MacAddr::virtual_of(delivery.vip.address.into());
        if is_link_local_of_ours(delivery.client_at_real.address) {
            ethernet::set_addresses(packet.head, delivery.mac, mac);
            return Ok(Verdict::Forward(packet.ingress));
        }
        let verdict = self.send_answer(packet.ingress, packet.header, packet.now)?;
        ethernet::set_source(packet.head, mac);
        Ok(verdict)
    }

    /// Where the flow's packets go, unless its real is severed or it is cut itself.
    #[inline(always)]
    pub(super) fn delivery(&self, id: FlowId) -> Result<Delivery, DropReason> {
        let flow = self.flows.get(id).ok_or(DropReason::NoFlow)?;
        let hop = self.tables.hop(flow.real).filter(|_| flow.state != FlowState::Cut);
        let hop = hop.ok_or(DropReason::Severed)?;
        Ok(Delivery {
            port: hop.port,
            mac: hop.mac,
            client: flow.client(),
            vip: flow.vip(),
            client_at_real: flow.client_at_real(),
            real_end: flow.real_end(),
        })
    }

    /// Takes a packet into the counts of its flow, real and service.
    #[inline(always)]
    fn count(
        &mut self,
        id: FlowId,
        direction: Direction,
        segment: &Transport,
        len: usize,
        now: Instant,
    ) -> Step {
        let step = self.flows.observe(id, direction, segment.flags, now);
        self.count_traffic(id, direction, len);
        if segment.has_payload && self.flows.turns(id, direction) {
            self.of_its_real(id, |real, tables| tables.flow_turned(real, direction, now));
        }
        match step {
            Step::Nothing | Step::Confirmed => {}
            Step::Answered { after } => {
                self.of_its_real(id, |real, t| t.answered(real, after, now))
            }
            Step::Unanswered => {
                self.of_its_real(id, |real, t| t.failed(real, FlowFailure::Unanswered, now));
            }
            Step::Refused { was_waiting } => self.of_its_real(id, |real, t| {
                t.flow_closed(real, was_waiting);
                t.failed(real, FlowFailure::Refused, now);
            }),
            Step::Closed { was_waiting } => {
                self.of_its_real(id, |real, t| t.flow_closed(real, was_waiting));
            }
        }
        step
    }

    /// Tells the tables what became of a flow of its real.
    #[inline]
    pub(super) fn of_its_real(&mut self, id: FlowId, tell: impl FnOnce(RealId, &mut Tables)) {
        if let Some(flow) = self.flows.get(id) {
            tell(flow.real, &mut self.tables);
        }
    }

    /// The same for the real and the service alone: the flow's life goes on as it was.
    pub(super) fn count_traffic(&mut self, id: FlowId, direction: Direction, len: usize) {
        if let Some(flow) = self.flows.get(id) {
            self.tables.count_traffic(flow.real, direction, len);
        }
    }

    pub(super) fn forget(&mut self, id: FlowId) {
        if let Some(gone) = self.flows.remove(id) {
            self.tables.flow_gone(gone);
        }
    }
}

impl Delivery {
    /// Whether a packet comes from the guest itself.
    pub(super) fn is_from(&self, packet: &Inbound<'_>) -> bool {
        (self.port, self.mac) == (packet.ingress, packet.header.source)
    }

    /// Whether addresses and ports change: not with `direct` forwarding.
    pub(super) fn translates(&self) -> bool {
        self.real_end != self.vip || self.client_at_real != self.client
    }
}
