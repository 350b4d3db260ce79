//! ICMP errors about balanced packets reach the end that owns the flow.
//!
//! ```text
//!   router ──(to VIP, about VIP → client)────▶ ┃ ──(to real, about real → client)───▶ guest
//!   client ◀──(to client, about client → VIP)─ ┃ ◀──(to client, about client → real)── guest
//! ```
//!
//! An error goes the way of an answer to the packet that it quotes: the quoted ends, turned round,
//! are the key of its flow. Its own source is a router's and stays, so that a traceroute sees the
//! path; only an end of the flow is named as the other side knows it.
//!
//! Anyone can forge an error that quotes a flow (RFC 5927), and all that can be checked from the
//! middle is whether there is such a flow. So an error changes nothing about it: it begins, keeps
//! alive and closes none. (What a guest itself could not take in, another may be asked to,
//! [`super::second`], and it counts against its own real, [`crate::service::passive`]: that cannot be
//! forged.) Whether the quoted sequence number is its own is for the end to ask.

use crate::dataplane::balance::Delivery;
use crate::dataplane::{Dataplane, Inbound};
use crate::flow::{Direction, FlowId, FlowKey};
use crate::service::passive::FlowFailure;
use crate::wire::icmp::{IcmpError, Translation};
use crate::wire::{ethernet, icmp};
use crate::{DropReason, MacAddr, PortId, Verdict};

/// A guest's error about a packet of a flow.
pub(super) struct Quoting {
    pub id: FlowId,
    error: IcmpError,
    delivery: Delivery,
}

impl Dataplane {
    /// An error to a VIP, about what left in its name, goes to the real that sent it.
    pub(super) fn error_to_vip(&mut self, mut packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let (id, port) = self.judge_error_to_vip(&mut packet)?;
        self.count_traffic(id, Direction::ToReal, packet.len);
        Ok(Verdict::Forward(port))
    }

    /// The flow that it is about, and the real's port; it is rewritten in place.
    pub(super) fn judge_error_to_vip(
        &self,
        packet: &mut Inbound<'_>,
    ) -> Result<(FlowId, PortId), DropReason> {
        icmp::check_sum(packet.head, packet.ip)?;
        let error = IcmpError::parse(packet.head, packet.ip)?;
        let id =
            self.find_quoted(packet, &error, Direction::ToReal).ok_or(DropReason::IcmpInner)?;
        error.check_kind()?;
        let delivery = self.delivery(id)?;
        self.check_way(&delivery, packet.header)?;
        let Inbound { ip, ref mut head, .. } = *packet;
        let is_clients = ip.source == delivery.client.address;
        let translation = Translation {
            source: if is_clients { delivery.client_at_real.address } else { ip.source }.into(),
            destination: delivery.real_end.address.into(),
            quoted_source: delivery.real_end,
            quoted_destination: delivery.client_at_real,
        };
        error.rewrite(ip, head, &translation);
        ethernet::set_addresses(head, delivery.mac, MacAddr::SWITCH);
        Ok((id, delivery.port))
    }

    /// An error from a guest, about what a client sent to the VIP, goes on to the client; `None`
    /// leaves alone what is no error or is about a packet of no flow.
    pub(super) fn error_of_real(
        &mut self,
        mut packet: Inbound<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let Some(quoting) = self.judge_error_of_real(&packet)? else {
            return Ok(None);
        };
        let (id, now) = (quoting.id, packet.now);
        if self.refused(id, FlowFailure::Unreachable, quoting.refused_syn(&packet), now) {
            return Err(DropReason::SecondChance);
        }
        let is_unreachable = quoting.error.is_unreachable(packet.ip, packet.head);
        let verdict = self.carry_error(&quoting, &mut packet)?;
        self.count_traffic(id, Direction::ToClient, packet.len);
        if is_unreachable {
            self.of_its_real(id, |real, tables| tables.failed(real, FlowFailure::Unreachable, now));
        }
        Ok(Some(verdict))
    }

    /// The flow that a guest's error is about, if it may say so.
    pub(super) fn judge_error_of_real(
        &self,
        packet: &Inbound<'_>,
    ) -> Result<Option<Quoting>, DropReason> {
        let Inbound { header, ip, ref head, .. } = *packet;
        if ip.part().is_some() || !icmp::is_error(head, ip) {
            return Ok(None);
        }
        let Ok(error) = IcmpError::parse(head, ip) else {
            return Ok(None);
        };
        let Some(id) = self.find_quoted(packet, &error, Direction::ToClient) else {
            return Ok(None);
        };
        icmp::check_sum(head, ip)?;
        error.check_kind()?;
        let delivery = self.delivery(id)?;
        if !delivery.is_from(packet) {
            // A neighbour of the real, who cannot have seen the packet.
            return Err(DropReason::SpoofMac);
        }
        if ip.source != delivery.real_end.address && self.tables.is_vip(header.vlan, ip.source) {
            return Err(DropReason::VipSource);
        }
        Ok(Some(Quoting { id, error, delivery }))
    }

    /// The way of a guest's error to the client; it is rewritten in place.
    pub(super) fn carry_error(
        &self,
        Quoting { error, delivery, .. }: &Quoting,
        packet: &mut Inbound<'_>,
    ) -> Result<Verdict, DropReason> {
        let verdict = self.leave(delivery, packet)?;
        let is_reals = packet.ip.source == delivery.real_end.address;
        let translation = Translation {
            source: if is_reals { delivery.vip.address } else { packet.ip.source }.into(),
            destination: delivery.client.address.into(),
            quoted_source: delivery.client,
            quoted_destination: delivery.vip,
        };
        error.rewrite(packet.ip, packet.head, &translation);
        Ok(verdict)
    }

    /// The flow of which a packet is quoted, by an error that travels in `direction` to the one
    /// who sent that packet.
    fn find_quoted(
        &self,
        packet: &Inbound<'_>,
        error: &IcmpError,
        direction: Direction,
    ) -> Option<FlowId> {
        let quote = &error.quote;
        if packet.ip.destination != quote.source.address {
            return None;
        }
        let (client, server) = match direction {
            Direction::ToReal => (quote.destination, quote.source),
            Direction::ToClient => (quote.source, quote.destination),
        };
        let key = FlowKey::new(quote.protocol, packet.header.vlan, client, server);
        self.flows.find(&key, direction)
    }
}

impl Quoting {
    /// The number of the SYN that the guest could not take in.
    pub(super) fn refused_syn(&self, packet: &Inbound<'_>) -> Option<u32> {
        let is_unreachable = self.error.is_unreachable(packet.ip, packet.head);
        self.error.sequence(packet.head).filter(|_| is_unreachable)
    }
}
