//! The end of a flow whose real is severed ([`crate::service::severance`]), or that the operator has cut:
//! whoever speaks next is told.
//!
//! ```text
//!   client ──(goes on)──▶ ┃                  client ◀──(RST in the VIP's name)── ┃
//!                         ┃  severed real                                        ┃ ──(RST)──▶ guest
//! ```
//!
//! A reset is believed if its sequence number is the one that is expected (RFC 5961 §3.2), and of a
//! connection that goes on both are in each packet: what its sender expects next is what it
//! acknowledges, what the other expects is how it is numbered. So nothing is kept for this, and a
//! client that does not speak hears nothing before it does. A client whose packet was ahead of what
//! the guest had acknowledged is believed to be gone by the guest no sooner than by its own timers.
//!
//! A datagram, or a SYN, is no flow that has to be ended: it begins a new one, with another real.

use crate::dataplane::{Dataplane, Inbound, refuse};
use crate::explain::Call;
use crate::flow::{Direction, Flow, FlowId, FlowState};
use crate::wire::{Endpoint, Transport};
use crate::{DropReason, Health, Instant, MacAddr, PortSet, Protocol, Verdict};

impl Dataplane {
    /// Ends one open flow, as the operator wishes; whether there is one.
    pub fn cut(&mut self, call: &Call, now: Instant) -> bool {
        let found = self.flows.find(&call.key(), Direction::ToReal);
        let cut = found.and_then(|id| Some((id, self.flows.cut(id, now)?)));
        if let Some((id, was_waiting)) = cut {
            self.of_its_real(id, |real, tables| tables.flow_closed(real, was_waiting));
        }
        cut.is_some()
    }

    /// The flow that was found for a client's packet, if its real is there; without, the packet
    /// begins a flow or is the last one of this.
    #[inline(always)]
    pub(super) fn unless_severed(
        &mut self,
        known: Option<FlowId>,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Result<Option<FlowId>, DropReason> {
        match known {
            Some(id) if self.is_severed(id) => self.end_of(id, packet, segment).map(|()| None),
            known => Ok(known),
        }
    }

    #[inline(always)]
    pub(super) fn is_severed(&self, id: FlowId) -> bool {
        let is_severed =
            |flow: &Flow| flow.state == FlowState::Cut || self.tables.hop(flow.real).is_none();
        self.flows.get(id).is_some_and(is_severed)
    }

    /// Ends a flow whose client has spoken; an error if the packet ends with it.
    #[cold]
    fn end_of(
        &mut self,
        id: FlowId,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Result<(), DropReason> {
        let goes_on = goes_on(segment);
        if goes_on {
            self.reset(MacAddr::virtual_of(packet.ip.destination.into()), packet, segment);
            self.reset_real(id, segment);
        }
        self.forget(id);
        if goes_on { Err(DropReason::Severed) } else { Ok(()) }
    }

    /// Tells the guest that its client is gone, if anybody is there to hear it.
    fn reset_real(&mut self, id: FlowId, segment: &Transport) -> Option<()> {
        let flow = self.flows.get(id)?;
        let guest = self.tables.guest(self.tables.real(flow.real)?.guest)?;
        let is_there = guest.health() != Health::Down;
        let egress = PortSet::EMPTY.with(guest.spec.port).and(self.tables.carriers(flow.vlan()));
        let (client, real, vlan) = (flow.client_at_real(), flow.real_end(), flow.vlan());
        let reset = refuse::reset_between(client, real, segment.sequence);
        let mac = (guest.spec.mac, MacAddr::SWITCH);
        (is_there && !egress.is_empty())
            .then(|| self.send(egress, mac, vlan, (client, real), &reset))
    }

    /// Whether a packet is from the guest that a flow is with.
    fn serves(&self, flow: &Flow, packet: &Inbound<'_>) -> bool {
        let guest = self.tables.real(flow.real).and_then(|real| self.tables.guest(real.guest));
        let its = guest.map(|guest| (guest.spec.port, guest.spec.mac));
        its == Some((packet.ingress, packet.header.source))
    }

    /// A guest speaks in a flow that is to be ended: it is told, and so is the client, whose flow
    /// stays until it has spoken too.
    #[cold]
    pub(super) fn speaks_in_vain(
        &mut self,
        id: FlowId,
        reason: DropReason,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> DropReason {
        let is_tcp = segment.protocol == Protocol::Tcp;
        let Some(flow) = self.flows.get(id).filter(|flow| is_tcp && self.serves(flow, packet))
        else {
            return reason;
        };
        let (client, vip) = (flow.client(), flow.vip());
        self.reset(MacAddr::SWITCH, packet, segment);
        let egress = match self.send_answer(packet.ingress, packet.header, packet.now) {
            Ok(Verdict::Forward(port)) => PortSet::EMPTY.with(port),
            Ok(Verdict::Flood(ports)) => ports,
            _ => return reason,
        };
        let reset = refuse::reset_between(vip, client, segment.sequence);
        let mac = (packet.header.destination, MacAddr::virtual_of(vip.address.into()));
        self.send(egress, mac, packet.header.vlan, (vip, client), &reset);
        reason
    }

    /// Sends a segment `from` one end `to` another.
    fn send(
        &mut self,
        egress: PortSet,
        macs: (MacAddr, MacAddr),
        vlan: u16,
        (from, to): (Endpoint, Endpoint),
        segment: &[u8],
    ) {
        let (ends, protocol) = ((from.address, to.address), Protocol::Tcp.number());
        self.send_packet(egress, macs, vlan, ends, protocol, segment);
    }
}

/// Whether a client's packet goes on with a connection, so that it is told of its end; others begin
/// anew.
pub(super) fn goes_on(segment: &Transport) -> bool {
    segment.protocol == Protocol::Tcp && !segment.flags.opens()
}
