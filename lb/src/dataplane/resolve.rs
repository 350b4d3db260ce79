//! Who has which address: ARP and neighbor discovery about addresses of ours, and what we say and
//! ask unasked.
//!
//! A VIP and the switch's own addresses are answered for with their virtual MAC, also to a probe
//! for duplicates (RFC 5227, RFC 4862 §5.4): the address is taken. Who claims one is dropped, and
//! counted as a spoof. A guest's probe sources are such addresses too, on its port alone and with the
//! switch's own MAC. The management address is answered for on uplinks alone ([`super::management`]).
//!
//! With `direct` forwarding a guest has the VIP on a loopback, and a stock Linux guest then talks
//! about it. All of that is kept from the network, but for one thing: it uses the VIP as the sender
//! in its own questions (`arp_announce` 0), and those are sent on with the guest's own address,
//! since the answer is needed.
//!
//! ```text
//!   what the guest says                        what becomes of it
//!   who has X? tell the VIP                    who has X? tell the guest's own address
//!   I have the VIP; has anybody the VIP?       vip_suppressed
//! ```

use core::net::IpAddr;

use crate::addr::is_link_local_of_ours;
use crate::dataplane::{Dataplane, Inbound};
use crate::event::Event;
use crate::guest::neighbor;
use crate::wire::arp::{Arp, Operation};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::ip::Version;
use crate::wire::nd::{self, Neighbor};
use crate::{DropReason, GuestSpec, Health, Instant, MacAddr, PortId, PortSet, Trust, Verdict};

impl Dataplane {
    /// ARP about an address of ours; `None` leaves the packet to the switch.
    pub(super) fn arp(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        head: &mut [u8],
        now: Instant,
    ) -> Result<Option<Verdict>, DropReason> {
        let arp = Arp::parse(head, header.payload_at)?;
        let verdict = self.judge_arp(ingress, header, &arp, head, now);
        if verdict == Err(DropReason::ArpSpoof) {
            self.hear_claim(ingress, header, arp.sender.into(), arp.sender_mac, now);
        }
        let verdict = verdict?;
        let id = self.tables.guest_at(ingress, header.source).filter(|_| arp.sender == arp.target);
        if let Some(guest) = id.and_then(|id| self.tables.guest_mut(id)) {
            guest.has_announced(arp.sender.into(), now);
        }
        Ok(verdict)
    }

    /// What becomes of an ARP packet, which is rewritten in place.
    pub(super) fn judge_arp(
        &self,
        ingress: PortId,
        header: &Ethernet,
        arp: &Arp,
        head: &mut [u8],
        now: Instant,
    ) -> Result<Option<Verdict>, DropReason> {
        let (sender, target) = (IpAddr::V4(arp.sender), IpAddr::V4(arp.target));
        let bound = self.tables.bindings().at(ingress, header.source);
        let bound = bound.filter(|bound| !bound.trusts(Trust::Mac));
        if bound.is_some() && arp.sender_mac != header.source {
            return Err(DropReason::ArpSpoof);
        }
        if self.is_ours(ingress, header.vlan, sender) {
            let own = self.may_ask_for(ingress, header, sender).ok_or(DropReason::ArpSpoof)?;
            return match (arp.operation, own) {
                (Operation::Request, IpAddr::V4(own))
                    if !self.is_ours(ingress, header.vlan, target) =>
                {
                    Arp { sender: own, ..*arp }.write(head, header.payload_at);
                    Ok(None)
                }
                _ => Err(DropReason::VipSuppressed),
            };
        }
        if self.tables.is_virtual(arp.sender_mac) || self.is_elsewhere(ingress, header, sender) {
            return Err(DropReason::ArpSpoof);
        }
        let may_have = |bound| self.tables.may_have(bound, arp.sender.into());
        if !arp.sender.is_unspecified() && !bound.is_none_or(may_have) {
            return Err(DropReason::ArpSpoof);
        }
        if arp.sender == arp.target {
            self.check_announcement(ingress, header, sender, now)?;
        }
        match arp.operation {
            Operation::Request if let Some(mac) = self.stand_in(ingress, header, target) => {
                arp.answer(mac).write(head, header.payload_at);
                ethernet::set_addresses(head, header.source, mac);
                Ok(Some(Verdict::Reply))
            }
            Operation::Request if self.is_ours(ingress, header.vlan, target) => {
                let is_probe = arp.sender.is_unspecified();
                self.check_question(ingress, header, target, is_probe)?;
                let mac = self.own_mac(ingress, header.vlan, target);
                arp.answer(mac).write(head, header.payload_at);
                ethernet::set_addresses(head, header.source, mac);
                Ok(Some(Verdict::Reply))
            }
            Operation::Reply if header.destination == MacAddr::SWITCH && self.is_guest(ingress) => {
                Ok(Some(Verdict::Punt))
            }
            Operation::Reply if self.is_asked_for(ingress, header, sender) => {
                Ok(Some(Verdict::Punt))
            }
            Operation::Request | Operation::Reply => Ok(None),
        }
    }

    /// Neighbor discovery about an address of ours; `None` leaves the packet to the switch.
    pub(super) fn neighbor(&self, packet: &mut Inbound<'_>) -> Result<Option<Verdict>, DropReason> {
        let Inbound { ingress, header, ip, ref mut head, .. } = *packet;
        let Some(target) = nd::target(head, ip).map(IpAddr::V6) else {
            return Ok(None);
        };
        let target_is_ours = self.is_ours(ingress, header.vlan, target);
        let source = ip.source.into();
        if self.is_ours(ingress, header.vlan, source) {
            let own = self.may_ask_for(ingress, header, source).ok_or(DropReason::NdSpoof)?;
            return match Neighbor::parse(head, ip)?.kind {
                nd::Kind::Solicitation if !target_is_ours => {
                    nd::set_source(head, ip, own);
                    self.switch(ingress, header, packet.now).map(Some)
                }
                nd::Kind::Solicitation | nd::Kind::Advertisement => Err(DropReason::VipSuppressed),
            };
        }
        if nd::link_layer_of(head, ip).is_some_and(|mac| self.tables.is_virtual(mac)) {
            return Err(DropReason::NdSpoof);
        }
        if !target_is_ours {
            let claimed = if nd::is_advertisement(head, ip) { target } else { ip.source.into() };
            if self.is_elsewhere(ingress, header, claimed) {
                return Err(DropReason::NdSpoof);
            }
            let bound = self.tables.bindings().at(ingress, header.source);
            let may_have = |bound| self.tables.may_have(bound, claimed.into());
            if !claimed.is_unspecified() && !bound.is_none_or(may_have) {
                return Err(DropReason::NdSpoof);
            }
            let is_question = !nd::is_advertisement(head, ip);
            let is_for_us = match is_question && self.stand_in(ingress, header, target).is_some() {
                true => true,
                false if self.is_guest(ingress) => header.destination == MacAddr::SWITCH,
                false => !is_question && self.is_asked_for(ingress, header, target),
            };
            return Ok(is_for_us.then_some(Verdict::Punt));
        }
        let message = Neighbor::parse(head, ip)?;
        match message.kind {
            nd::Kind::Advertisement => match self.may_ask_for(ingress, header, target) {
                Some(_) => Err(DropReason::VipSuppressed),
                None => Err(DropReason::NdSpoof),
            },
            nd::Kind::Solicitation => {
                let is_probe = message.source.is_unspecified();
                self.check_question(ingress, header, target, is_probe)?;
                Ok(Some(Verdict::Punt))
            }
        }
    }

    /// Answers a solicitation for an address of ours.
    pub(super) fn answer_neighbor(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        question: &Neighbor,
    ) {
        let target = question.target.into();
        let stand_in = self.stand_in(ingress, header, target);
        let mac = stand_in.unwrap_or(self.own_mac(ingress, header.vlan, target));
        let answer = question.answer(mac);
        let destination = answer.link_destination().unwrap_or(header.source);
        let ethertype = Version::V6.ethertype();
        let header = ethernet::header(destination, mac, header.vlan, ethertype);
        self.outbox.answer(PortSet::EMPTY.with(ingress), &[&header, &answer.packet()]);
    }

    /// Whether an address is that of a guest on another port of this VLAN whose link is up.
    fn is_elsewhere(&self, ingress: PortId, header: &Ethernet, address: IpAddr) -> bool {
        let up = self.tables.carriers(header.vlan);
        let mut others = self.tables.guests().map(|(_, guest)| &guest.spec);
        others.any(|guest| {
            let is_there = guest.port != ingress && up.contains(guest.port);
            is_there && guest.addresses.contains(&address)
        })
    }

    /// The MAC of a guest whose answer a real would not hear, for both are isolated: a real has to know
    /// how to reach its clients.
    fn stand_in(&self, ingress: PortId, header: &Ethernet, address: IpAddr) -> Option<MacAddr> {
        let tables = &self.tables;
        if !tables.port_sets().with_reals.contains(ingress) {
            return None;
        }
        let served = tables.served(ingress, header.vlan);
        let unheard = served.minus(tables.switched(ingress, header.vlan));
        let mut guests = tables.guests().map(|(_, guest)| &guest.spec);
        let is_it =
            |guest: &&GuestSpec| unheard.contains(guest.port) && guest.addresses.contains(&address);
        guests.find(is_it).map(|guest| guest.mac)
    }

    /// A guest may say once a second where an address of its own is.
    fn check_announcement(
        &self,
        ingress: PortId,
        header: &Ethernet,
        address: IpAddr,
        now: Instant,
    ) -> Result<(), DropReason> {
        let id = self.tables.guest_at(ingress, header.source);
        let guest = id.and_then(|id| self.tables.guest(id));
        match guest.is_none_or(|guest| guest.may_announce(address, now)) {
            true => Ok(()),
            false => Err(DropReason::ArpRate),
        }
    }

    /// Whether the switch answers for this address on this port.
    fn is_ours(&self, port: PortId, vlan: u16, address: IpAddr) -> bool {
        is_link_local_of_ours(address)
            || self.tables.has(vlan, address.into())
            || self.is_probe_source(port, address)
    }

    /// The MAC of an address of ours.
    fn own_mac(&self, port: PortId, vlan: u16, address: IpAddr) -> MacAddr {
        match self.tables.management() {
            _ if self.is_probe_source(port, address) => MacAddr::SWITCH,
            Some(own) if self.tables.is_management(vlan, address) => own.mac,
            Some(_) | None => MacAddr::virtual_of(address),
        }
    }

    /// Whether a frame is from a defined guest.
    pub(super) fn is_guests(&self, ingress: PortId, header: &Ethernet) -> bool {
        self.tables.guest_at(ingress, header.source).is_some()
    }

    pub(super) fn is_guest(&self, port: PortId) -> bool {
        !self.tables.port_sets().uplinks.contains(port)
    }

    /// The own address of a guest that has `vip` on a loopback; `None` for everybody else.
    fn may_ask_for(&self, ingress: PortId, header: &Ethernet, vip: IpAddr) -> Option<IpAddr> {
        let (source, vlan) = (header.source, header.vlan);
        let has_it = self.tables.has_on_loopback(ingress, source, vlan, vip);
        let guest = self.tables.guest_at(ingress, source).filter(|_| has_it)?;
        self.tables.guest(guest)?.spec.address_of(Version::of(vip))
    }

    /// Whether somebody who asks for an address of ours is told.
    fn check_question(
        &self,
        ingress: PortId,
        header: &Ethernet,
        target: IpAddr,
        is_probe: bool,
    ) -> Result<(), DropReason> {
        if is_link_local_of_ours(target) && !self.is_guest(ingress) {
            return Err(DropReason::NotForUs);
        }
        if self.is_guest(ingress) && self.tables.is_management(header.vlan, target) {
            return Err(DropReason::ManagementPort);
        }
        // Told that the address is taken, the guest would not use it.
        match is_probe && self.may_ask_for(ingress, header, target).is_some() {
            true => Err(DropReason::VipSuppressed),
            false => Ok(()),
        }
    }

    /// Asks every guest that is a real whether it is still there.
    pub(super) fn ask_neighbors(&mut self, now: Instant) {
        let Dataplane { tables, fdb, outbox, events, .. } = self;
        let mut has_news = false;
        let (guests, reach) = tables.guests_and_reach();
        for guest in guests {
            let health = guest.health();
            let (port, mac) = (guest.spec.port, guest.spec.mac);
            for neighbor in &mut guest.neighbors {
                let before = neighbor.health;
                let is_due = neighbor.probe(now);
                has_news |= neighbor.health != before;
                // Of one that answers nobody asks whether anything else is heard.
                neighbor.is_quiet = neighbor.health == Health::Down
                    && fdb.is_quiet(fdb.spot(mac, neighbor.vlan), now);
                if is_due && reach.carriers(neighbor.vlan).contains(port) {
                    let egress = PortSet::EMPTY.with(port);
                    let push = |parts: &[&[u8]]| outbox.push(egress, parts);
                    neighbor::ask(neighbor.address, neighbor.vlan, mac, push);
                }
            }
            if guest.health() != health {
                let name = guest.spec.name.clone();
                events.push(Event::GuestHealth { guest: name, health: guest.health() });
            }
        }
        if has_news {
            tables.unsettle();
        }
    }

    /// Says where the VIPs are, so that switches and neighbours learn it before they ask.
    pub(super) fn announce_vips(&mut self, now: Instant) {
        let Dataplane { tables, outbox, .. } = self;
        let (services, reach) = tables.services_and_reach();
        for service in services.filter(|service| !service.retired) {
            if !service.announcements.take(now) {
                continue;
            }
            let (vip, vlan) = (service.spec.vip, service.spec.vlan);
            let (mac, carriers) = (MacAddr::virtual_of(vip), reach.carriers(vlan));
            neighbor::announce(vip, vlan, mac, |parts| outbox.push(carriers, parts));
        }
    }
}
