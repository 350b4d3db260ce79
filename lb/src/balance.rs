//! Balancing: a packet to a VIP gets to its real, and the real's answer leaves in the VIP's name.
//!
//! ```text
//!   client ──(client → VIP)──▶ ┃ ──(client → real)──▶ guest      source MAC: the switch's
//!   client ◀──(VIP → client)── ┃ ◀──(real → client)── guest      source MAC: the VIP's
//! ```
//!
//! The client's address is kept, so a real sees who calls; a reply is recognised by its ports and
//! addresses on the guest's own port, whatever route the guest took for it.
//!
//! What the real sees as the client's end differs from the client in two cases. A guest that calls
//! a VIP and is itself chosen would see its own address as the caller's, and sees the switch's
//! link-local address. And two flows that would look the same at one real (a client that uses one
//! port towards two VIPs) differ by a translated port.

use crate::addr::LINK_LOCAL;
use crate::dataplane::{Dataplane, Inbound};
use crate::flow::{Direction, FlowId, FlowKey, FlowState, InsertError, NewFlow, Step};
use crate::wire::transport::TcpFlags;
use crate::wire::{Endpoint, Transport, ethernet};
use crate::{
    DropReason, GuestId, Instant, MacAddr, PortId, Protocol, Real, RealId, ServiceId, Verdict,
};

/// Ports that are tried before a colliding flow is refused.
const TRANSLATIONS_MAX: usize = 8;

/// Where a packet of a flow goes, copied out of the tables.
pub(crate) struct Delivery {
    pub port: PortId,
    pub mac: MacAddr,
    pub client: Endpoint,
    pub vip: Endpoint,
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
}

impl Dataplane {
    /// A segment to a VIP goes to the real of its flow, or begins a flow.
    pub(crate) fn balance(&mut self, packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { ip, frame, now, .. } = packet;
        let segment = Transport::parse(frame, ip)?;
        let id = self.flow_to_real(&segment, now)?;
        let delivery = self.delivery(id)?;
        if !self.tables.port_sets().up.contains(delivery.port) {
            return Err(DropReason::NoPort);
        }
        self.count(id, Direction::ToReal, segment.flags, frame.len(), now);
        segment.rewrite(ip, frame, delivery.client_at_real, delivery.real_end);
        ethernet::set_addresses(frame, delivery.mac, MacAddr::SWITCH);
        Ok(Verdict::Forward(delivery.port))
    }

    /// A packet of a guest, if it belongs to a flow that the guest serves, leaves in the VIP's
    /// name; `None` leaves the packet as it is.
    pub(crate) fn answer_of_real(
        &mut self,
        mut packet: Inbound<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let Inbound { ip, ref frame, now, .. } = packet;
        if ip.is_fragment {
            return Ok(None);
        }
        let Ok(segment) = Transport::parse(frame, ip) else {
            return Ok(None);
        };
        let (client, server) = (segment.destination, segment.source);
        let key = FlowKey { protocol: segment.protocol, client, server };
        let Some(id) = self.flows.find(&key, Direction::ToClient) else {
            return Ok(None);
        };
        let delivery = self.delivery(id)?;
        if !delivery.is_from(&packet) {
            // Not the real: somebody who borrows its address.
            return Err(DropReason::SpoofMac);
        }
        let verdict = self.leave(&delivery, &mut packet)?;
        self.count(id, Direction::ToClient, segment.flags, packet.frame.len(), now);
        segment.rewrite(ip, packet.frame, delivery.vip, delivery.client);
        Ok(Some(verdict))
    }

    /// The way of a real's packet to the client, and the MAC addresses that it leaves with.
    pub(crate) fn leave(
        &self,
        delivery: &Delivery,
        packet: &mut Inbound<'_>,
    ) -> Result<Verdict, DropReason> {
        let mac = MacAddr::virtual_of(delivery.vip.address);
        if delivery.client_at_real.address == LINK_LOCAL {
            ethernet::set_addresses(packet.frame, delivery.mac, mac);
            return Ok(Verdict::Forward(packet.ingress));
        }
        let verdict = self.switch(packet.ingress, packet.header, packet.now)?;
        ethernet::set_source(packet.frame, mac);
        Ok(verdict)
    }

    fn flow_to_real(&mut self, segment: &Transport, now: Instant) -> Result<FlowId, DropReason> {
        let (client, server) = (segment.source, segment.destination);
        let key = FlowKey { protocol: segment.protocol, client, server };
        let found = self.flows.find(&key, Direction::ToReal);
        let state = found.and_then(|id| self.flows.get(id)).map(|flow| flow.state);
        match (found, state) {
            // A closed connection's tuple begins anew with a SYN.
            (Some(id), Some(FlowState::Closed)) if segment.flags.opens() => self.forget(id),
            (Some(id), _) => return Ok(id),
            (None, _) => {}
        }
        let service = self
            .tables
            .service_at(server.address, segment.protocol, server.port)
            .ok_or(DropReason::VipNoPort)?;
        if segment.protocol == Protocol::Tcp && !segment.flags.opens() {
            return Err(DropReason::NoFlow);
        }
        let Some(real) = self.choose(service, client, now) else {
            if let Some(service) = self.tables.service_mut(service) {
                service.counters.refused_no_real += 1;
            }
            return Err(DropReason::NoBackend);
        };
        self.open(service, real, segment, now)
    }

    /// Pins a new flow to its real.
    fn open(
        &mut self,
        service: ServiceId,
        real_id: RealId,
        segment: &Transport,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let (client, vip) = (segment.source, segment.destination);
        let real_end = self.real_end(real_id, vip.port).ok_or(DropReason::NoBackend)?;
        let is_own = real_end.address == client.address || self.is_guests_own(real_id, client);
        let address = if is_own { LINK_LOCAL } else { client.address };
        let mut new = NewFlow {
            protocol: segment.protocol,
            client,
            vip,
            client_at_real: Endpoint { address, port: client.port },
            real_end,
            real: real_id,
        };
        for _ in 0..TRANSLATIONS_MAX {
            let Dataplane { flows, tables, .. } = self;
            match flows.insert(new, now, &mut |gone| tables.flow_gone(gone)) {
                Ok(id) => {
                    if let Some(real) = self.tables.real_mut(real_id) {
                        real.flow_opened(now);
                    }
                    if let Some(service) = self.tables.service_mut(service) {
                        service.counters.flows_new += 1;
                    }
                    return Ok(id);
                }
                Err(InsertError::TupleTaken) => {
                    new.client_at_real.port = self.dice.roll() as u16 | 0x8000;
                }
                Err(InsertError::Full) => break,
            }
        }
        Err(DropReason::FlowsFull)
    }

    fn real_end(&self, real: RealId, vip_port: u16) -> Option<Endpoint> {
        let real = self.tables.real(real)?;
        let address = self.tables.guest(real.guest)?.spec.ipv4()?;
        Some(Endpoint { address, port: real.spec.port.map_or(vip_port, |port| port.get()) })
    }

    /// Whether the client is the very guest that the real runs on, by any of its addresses.
    fn is_guests_own(&self, real: RealId, client: Endpoint) -> bool {
        let guest_of = |real: &Real| self.tables.guest(real.guest);
        let guest = self.tables.real(real).and_then(guest_of);
        guest.is_some_and(|guest| guest.spec.addresses.contains(&client.address.into()))
    }

    /// Where the flow's packets go. A flow whose guest is gone is forgotten.
    pub(crate) fn delivery(&mut self, id: FlowId) -> Result<Delivery, DropReason> {
        let flow = self.flows.get(id).ok_or(DropReason::NoFlow)?;
        let guest_of = |id: GuestId| self.tables.guest(id);
        let Some(guest) = self.tables.real(flow.real).and_then(|real| guest_of(real.guest)) else {
            self.forget(id);
            return Err(DropReason::NoFlow);
        };
        Ok(Delivery {
            port: guest.spec.port,
            mac: guest.spec.mac,
            client: flow.client,
            vip: flow.vip,
            client_at_real: flow.client_at_real,
            real_end: flow.real_end,
        })
    }

    /// Takes a packet into the counts of its flow, real and service.
    fn count(
        &mut self,
        id: FlowId,
        direction: Direction,
        flags: TcpFlags,
        len: usize,
        now: Instant,
    ) {
        let step = self.flows.observe(id, direction, flags, now);
        self.count_traffic(id, direction, len);
        match step {
            Step::Nothing => {}
            Step::Answered { after } => {
                if let Some(real) = self.real_of(id) {
                    real.counters.answer_time = Some(after);
                }
            }
            Step::Closed { started } => {
                if let Some(real) = self.real_of(id) {
                    real.flow_closed(started);
                }
            }
        }
    }

    /// The same for the real and the service alone: the flow's life goes on as it was.
    pub(crate) fn count_traffic(&mut self, id: FlowId, direction: Direction, len: usize) {
        let Some(real) = self.real_of(id) else {
            return;
        };
        real.counters.traffic.count(direction, len);
        let service = real.service;
        if let Some(service) = self.tables.service_mut(service) {
            service.counters.traffic.count(direction, len);
        }
    }

    fn real_of(&mut self, id: FlowId) -> Option<&mut Real> {
        self.tables.real_mut(self.flows.get(id)?.real)
    }

    fn forget(&mut self, id: FlowId) {
        if let Some(gone) = self.flows.remove(id) {
            self.tables.flow_gone(gone);
        }
    }
}

impl Delivery {
    /// Whether a packet comes from the guest itself.
    pub(crate) fn is_from(&self, packet: &Inbound<'_>) -> bool {
        (self.port, self.mac) == (packet.ingress, packet.header.source)
    }
}
