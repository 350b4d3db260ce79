//! The data path: one frame in, one verdict out.
//!
//! ```text
//!  frame ─▶ parse ─▶ learn ─┬─ ARP ──▶ a VIP's? answer          (arp)
//!                           ├─ IPv4 ─▶ to a VIP, from a real?   (balance, icmp_error)
//!                           │          to the switch? answer, punt
//!                           └─ all others ─────────────▶ switch
//! ```
//!
//! Only untagged frames are balanced; tagged ones are switched in their VLAN.

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use crate::addr::{LINK_LOCAL, REPORT_PORT};
use crate::event::{Event, Events};
use crate::fdb::{Fdb, Lesson};
use crate::flow::FlowTable;
use crate::limits::PORTS_MAX;
use crate::outbox::Outbox;
use crate::tables::Tables;
use crate::wire::arp::{Arp, Operation};
use crate::wire::ethernet::{self, ETHERTYPE_ARP, ETHERTYPE_IPV4, Ethernet};
use crate::wire::ipv4::PROTOCOL_ICMP;
use crate::wire::{Ipv4, Transport, bytes_at, icmp};
use crate::{
    Command, DropReason, Endings, Frame, Instant, MacAddr, PortId, PortSet, Protocol, Refusal,
    Verdict,
};

/// Sizes of the tables that grow with the machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub flows: usize,
    pub macs: usize,
}

/// Everything that decides, in one hand.
pub struct Dataplane {
    pub(crate) tables: Tables,
    pub(crate) fdb: Fdb,
    pub(crate) flows: FlowTable,
    pub(crate) outbox: Outbox,
    pub(crate) events: Events,
    pub(crate) reports: crate::local::Reports,
    pub(crate) dice: Dice,
    endings: Box<[Endings]>,
}

/// An IPv4 packet under way, with all that is known of it.
pub(crate) struct Inbound<'a> {
    pub ingress: PortId,
    pub header: &'a Ethernet,
    pub ip: &'a Ipv4,
    pub frame: &'a mut [u8],
    pub now: Instant,
}

/// A stream of numbers that nobody outside can foresee (splitmix64 over a secret seed); for ties
/// and translated ports, not for keys.
pub(crate) struct Dice(u64);

impl Dataplane {
    /// Takes all memory now. `secret` keys the hashes: draw it anew at each boot.
    pub fn new(capacity: Capacity, secret: u64) -> Dataplane {
        Dataplane {
            tables: Tables::new(),
            fdb: Fdb::new(capacity.macs, secret),
            flows: FlowTable::new(capacity.flows, secret.rotate_left(32)),
            outbox: Outbox::new(),
            events: Events::default(),
            reports: crate::local::Reports::new(),
            dice: Dice(!secret),
            endings: vec![Endings::default(); PORTS_MAX].into_boxed_slice(),
        }
    }

    /// Decides about a frame that came in on `ingress`, rewrites it in place and counts its end.
    pub fn receive(&mut self, ingress: PortId, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        let verdict = self.decide(ingress, frame.head, now).unwrap_or_else(Verdict::Drop);
        self.endings[ingress.index()].count(verdict);
        verdict
    }

    /// Counts that a punted frame found the queue to the slow path full.
    pub fn punt_refused(&mut self, ingress: PortId) {
        self.endings[ingress.index()].punt_refused();
    }

    /// Applies a change; the next frame meets the new tables.
    pub fn apply(&mut self, command: &Command, now: Instant) -> Result<(), Refusal> {
        let bound_before = self.binding(command);
        self.tables.apply(command, now)?;
        if let Some((mac, _)) = bound_before {
            self.fdb.forget(mac);
        }
        if let Some((mac, port)) = self.binding(command) {
            self.fdb.pin(mac, port, now);
        }
        if let Command::SetLink { port, up: false } = command {
            self.fdb.forget_port(*port);
        }
        Ok(())
    }

    /// What time brings, a bounded slice of it: call about every 10 ms.
    pub fn housekeep(&mut self, now: Instant) {
        let Dataplane { tables, flows, .. } = self;
        flows.sweep(now, &mut |gone| tables.flow_gone(gone));
        self.fdb.sweep(now);
        self.probe_guests(now);
        self.announce_vips(now);
        self.tables.build_placements();
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    pub fn flows(&self) -> &FlowTable {
        &self.flows
    }

    pub fn reports(&self) -> &crate::local::Reports {
        &self.reports
    }

    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Frames of our own that found the outbox full.
    pub fn outbox_lost(&self) -> u64 {
        self.outbox.lost()
    }

    /// Events that found their queue full.
    pub fn events_lost(&self) -> u64 {
        self.events.lost()
    }

    /// How the frames of a port ended.
    pub fn endings(&self, port: PortId) -> &Endings {
        &self.endings[port.index()]
    }

    fn decide(
        &mut self,
        ingress: PortId,
        frame: &mut [u8],
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let header = Ethernet::parse(frame)?;
        if header.destination.is_reserved_group() {
            return Err(DropReason::LinkLocal);
        }
        self.learn(&header, ingress, now)?;
        let decided = match header.ethertype {
            _ if header.vlan != 0 => None,
            ETHERTYPE_ARP => self.arp(ingress, &header, frame)?,
            ETHERTYPE_IPV4 => self.ipv4(ingress, &header, frame, now)?,
            _ => None,
        };
        match decided {
            Some(verdict) => Ok(verdict),
            None if self.tables.is_virtual(header.destination) => Err(DropReason::NotForUs),
            None => self.switch(ingress, &header, now),
        }
    }

    /// Takes in where the source is, and refuses one that cannot be there.
    fn learn(
        &mut self,
        header: &Ethernet,
        ingress: PortId,
        now: Instant,
    ) -> Result<(), DropReason> {
        if !header.source.is_station() {
            return Err(DropReason::BadSource);
        }
        if self.tables.is_virtual(header.source) {
            return Err(DropReason::SpoofMac);
        }
        let up = self.tables.port_sets().up;
        match self.fdb.learn(header.source, header.vlan, ingress, now) {
            // While its own port is up, a defined guest can send from nowhere else.
            Lesson::Pinned { to } if up.contains(to) => Err(DropReason::SpoofMac),
            Lesson::Known
            | Lesson::New
            | Lesson::Moved { .. }
            | Lesson::Refused
            | Lesson::Pinned { .. } => Ok(()),
        }
    }

    /// The ordinary work of a switch.
    pub(crate) fn switch(
        &self,
        ingress: PortId,
        header: &Ethernet,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let egress = self.egress_of(ingress);
        let known = match header.destination.is_group() {
            true => None,
            false => self.fdb.lookup(header.destination, header.vlan, now),
        };
        match known {
            Some(port) if port == ingress => Err(DropReason::SamePort),
            Some(port) if egress.contains(port) => Ok(Verdict::Forward(port)),
            None if !egress.is_empty() => Ok(Verdict::Flood(egress)),
            Some(_) | None => Err(DropReason::NoPort),
        }
    }

    /// Where a frame may go from here: never back, never from uplink to uplink, never to a link
    /// that is down.
    fn egress_of(&self, ingress: PortId) -> PortSet {
        let sets = self.tables.port_sets();
        let others = sets.up.without(ingress);
        if sets.uplinks.contains(ingress) { others.minus(sets.uplinks) } else { others }
    }

    /// Answers for the addresses that are ours and keeps others from claiming them; `None` leaves
    /// the packet to the switch.
    fn arp(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        frame: &mut [u8],
    ) -> Result<Option<Verdict>, DropReason> {
        let arp = Arp::parse(frame, header.payload_at)?;
        let is_guest = !self.tables.port_sets().uplinks.contains(ingress);
        let is_ours = |address| address == LINK_LOCAL || self.tables.is_vip(address);
        if is_ours(arp.sender) || self.tables.is_virtual(arp.sender_mac) {
            return Err(DropReason::ArpSpoof);
        }
        match arp.operation {
            Operation::Request if arp.target == LINK_LOCAL && !is_guest => {
                Err(DropReason::NotForUs)
            }
            Operation::Request if is_ours(arp.target) => {
                let mac = MacAddr::virtual_of(arp.target);
                arp.answer(mac).write(frame, header.payload_at);
                ethernet::set_addresses(frame, header.source, mac);
                Ok(Some(Verdict::Reply))
            }
            Operation::Reply if header.destination == MacAddr::SWITCH && is_guest => {
                Ok(Some(Verdict::Punt))
            }
            Operation::Request | Operation::Reply => Ok(None),
        }
    }

    /// Sorts out the packets that are ours to answer or to balance; `None` leaves the packet to
    /// the switch.
    fn ipv4(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        frame: &mut [u8],
        now: Instant,
    ) -> Result<Option<Verdict>, DropReason> {
        let sets = *self.tables.port_sets();
        let is_guest = !sets.uplinks.contains(ingress);
        let to_us = self.tables.is_virtual(header.destination);
        let to_link_local =
            bytes_at(frame, header.payload_at + 16).map(Ipv4Addr::from_octets) == Some(LINK_LOCAL);
        if to_link_local && !is_guest {
            return Err(DropReason::ReportPort);
        }
        if !to_us && !is_guest {
            return Ok(None);
        }
        let ip = match Ipv4::parse(frame, header.payload_at) {
            Err(reason) if to_us || to_link_local => return Err(reason),
            Err(_) => return Ok(None),
            Ok(ip) => ip,
        };
        let packet = Inbound { ingress, header, ip: &ip, frame, now };
        if to_link_local {
            return self.at_link_local(packet).map(Some);
        }
        if to_us {
            return self.at_vip(packet).map(Some);
        }
        if sets.with_reals.contains(ingress)
            && let Some(verdict) = self.of_real(packet)?
        {
            return Ok(Some(verdict));
        }
        if self.tables.is_vip(ip.source) { Err(DropReason::VipSource) } else { Ok(None) }
    }

    fn at_vip(&mut self, packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { header, ip, ref frame, .. } = packet;
        if !self.tables.is_vip(ip.destination) {
            return Err(DropReason::NotForUs);
        }
        ip.check(frame)?;
        if ip.is_fragment {
            return Err(DropReason::Fragment);
        }
        match ip.protocol {
            PROTOCOL_ICMP if icmp::is_error(frame, ip) => self.error_to_vip(packet),
            PROTOCOL_ICMP => answer_echo(header, ip, packet.frame),
            _ => self.balance(packet),
        }
    }

    /// What a guest sends that may belong to a flow that it serves; `None` if it does not.
    fn of_real(&mut self, packet: Inbound<'_>) -> Result<Option<Verdict>, DropReason> {
        match packet.ip.protocol {
            PROTOCOL_ICMP => self.error_of_real(packet),
            _ => self.answer_of_real(packet),
        }
    }

    /// A guest talks to the switch: a load report, an echo, or the far end of its flow with itself.
    fn at_link_local(&mut self, packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { header, ip, ref frame, .. } = packet;
        if ip.is_fragment {
            return Err(DropReason::Fragment);
        }
        if ip.protocol == PROTOCOL_ICMP {
            ip.check(frame)?;
            return match icmp::is_error(frame, ip) {
                true => self.error_of_real(packet)?.ok_or(DropReason::IcmpInner),
                false => answer_echo(header, ip, packet.frame),
            };
        }
        let segment = Transport::parse(frame, ip)?;
        if (segment.protocol, segment.destination.port) == (Protocol::Udp, REPORT_PORT) {
            return Ok(Verdict::Punt);
        }
        self.answer_of_real(packet)?.ok_or(DropReason::NotForUs)
    }

    /// Asks every guest that is a real whether it is still there.
    fn probe_guests(&mut self, now: Instant) {
        let Dataplane { tables, outbox, events, .. } = self;
        let up = tables.port_sets().up;
        for guest in tables.guests_mut().filter(|guest| guest.is_real) {
            let Some(address) = guest.spec.ipv4() else {
                continue;
            };
            let health = guest.health;
            if !guest.probe(now) {
                continue;
            }
            if guest.health != health {
                let guest_name = guest.spec.name.clone();
                events.push(Event::GuestHealth { guest: guest_name, health: guest.health });
            }
            if up.contains(guest.spec.port) {
                let egress = PortSet::EMPTY.with(guest.spec.port);
                outbox.push(egress, &[&Arp::probe(address).frame(guest.spec.mac)]);
            }
        }
    }

    /// Says where the VIPs are, so that switches and neighbours learn it before they ask.
    fn announce_vips(&mut self, now: Instant) {
        let Dataplane { tables, outbox, .. } = self;
        let up = tables.port_sets().up;
        for service in tables.services_mut().filter(|service| !service.retired) {
            if let (Some(vip), true) = (service.spec.vip_v4(), service.announcements.take(now)) {
                let arp = Arp::announcement(vip, MacAddr::virtual_of(vip));
                outbox.push(up, &[&arp.frame(MacAddr::BROADCAST)]);
            }
        }
    }

    /// The MAC that a command's guest has, and its port.
    fn binding(&self, command: &Command) -> Option<(MacAddr, PortId)> {
        let name = match command {
            Command::SetGuest(spec) => &spec.name,
            Command::DeleteGuest(name) => name,
            _ => return None,
        };
        let guest = self.tables.guest(self.tables.guest_by_name(name)?)?;
        Some((guest.spec.mac, guest.spec.port))
    }
}

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Turns an echo request round.
fn answer_echo(header: &Ethernet, ip: &Ipv4, frame: &mut [u8]) -> Result<Verdict, DropReason> {
    icmp::answer_echo(frame, ip)?;
    ethernet::set_addresses(frame, header.source, MacAddr::virtual_of(ip.destination));
    Ok(Verdict::Reply)
}
