//! The ordinary work of a switch: who is where, and out of which ports a frame goes for that.

use alloc::vec::Vec;
use core::time::Duration;

use crate::dataplane::Dataplane;
use crate::event::Event;
use crate::switch::fdb::{self, Lesson};
use crate::wire::Ethernet;
use crate::{
    Command, Departure, DropReason, Entry, GuestSpec, Instant, MacAddr, PortId, PortSet, Refusal,
    Verdict, VlanId,
};

/// The least time between two lines of the log about the same trouble.
pub(super) const ALARM_INTERVAL: Duration = Duration::from_secs(60);

/// A guest's address and where it is pinned.
#[derive(Clone, Copy)]
pub(super) struct Binding {
    mac: MacAddr,
    vlan: u16,
    port: PortId,
}

impl Dataplane {
    /// Takes in where the source is, and refuses one that cannot be there.
    #[inline(always)]
    pub(super) fn learn(
        &mut self,
        header: &Ethernet,
        spot: fdb::Spot,
        ingress: PortId,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.check_source(header)?;
        match self.fdb.learn_at(spot, ingress, now) {
            Lesson::Known => Ok(()),
            other => self.weigh(other, header, ingress, now),
        }
    }

    /// Whether a source is one that a station may have.
    #[inline(always)]
    pub(super) fn check_source(&self, header: &Ethernet) -> Result<(), DropReason> {
        if !header.source.is_station() {
            return Err(DropReason::BadSource);
        }
        match self.tables.is_virtual(header.source) {
            true => Err(DropReason::SpoofMac),
            false => Ok(()),
        }
    }

    /// What becomes of a frame whose source taught something.
    #[cold]
    fn weigh(
        &mut self,
        lesson: Lesson,
        header: &Ethernet,
        ingress: PortId,
        now: Instant,
    ) -> Result<(), DropReason> {
        if let Lesson::Restless { .. } = lesson {
            self.tell_restless(header.source, ingress, now);
        }
        self.judge_lesson(lesson, header, ingress)
    }

    /// Whether a frame goes on whose source teaches this.
    pub(super) fn judge_lesson(
        &self,
        lesson: Lesson,
        header: &Ethernet,
        ingress: PortId,
    ) -> Result<(), DropReason> {
        let carriers = self.tables.carriers(header.vlan);
        let is_locked = self.tables.port(ingress).is_some_and(|port| port.rules.locked);
        match lesson {
            Lesson::Known => Ok(()),
            // While its own port is up, a defined guest can send from nowhere else in its VLANs.
            Lesson::Pinned { to } if carriers.contains(to) => match self.is_guest(ingress) {
                true => Err(DropReason::SpoofMac),
                false => Err(DropReason::SpoofUplink),
            },
            Lesson::Restless { .. } => Err(DropReason::MacMove),
            _ if is_locked => Err(DropReason::Locked),
            Lesson::TooMany => Err(DropReason::MacLimit),
            // One for which its bucket had no place is not known, and may send all the same.
            _ if self.tables.bindings().binds(ingress) && !self.is_guests(ingress, header) => {
                Err(DropReason::SpoofMac)
            }
            Lesson::New
            | Lesson::Moved { .. }
            | Lesson::Refused
            | Lesson::Unlearned
            | Lesson::Pinned { .. } => Ok(()),
        }
    }

    /// An address is now here, now there; the log hears of it once a minute.
    #[cold]
    fn tell_restless(&mut self, mac: MacAddr, ingress: PortId, now: Instant) {
        let is_news = self.restless_told.is_none_or(|told| now.since(told) >= ALARM_INTERVAL);
        if let Some(port) = self.tables.port(ingress).filter(|_| is_news) {
            self.restless_told = Some(now);
            self.events.push(Event::MacMoves { mac, port: port.name.clone() });
        }
    }

    /// The ordinary work of a switch, for a frame to one station.
    pub(super) fn switch(
        &self,
        ingress: PortId,
        header: &Ethernet,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let station = self.fdb.lookup(header.destination, header.vlan, now);
        let egress = self.tables.switched(ingress, header.vlan);
        self.send_to(station, egress, (ingress, header), now)
    }

    /// What a real answers goes its way, be ports isolated or not.
    pub(super) fn send_answer(
        &self,
        ingress: PortId,
        header: &Ethernet,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let station = self.fdb.lookup(header.destination, header.vlan, now);
        let egress = self.tables.served(ingress, header.vlan);
        self.send_to(station, egress, (ingress, header), now)
    }

    /// Out of the port of the destination, if it is one of these, or where nobody knows it, of all
    /// that it may be behind.
    #[inline(always)]
    pub(super) fn send_to(
        &self,
        station: Option<PortId>,
        egress: PortSet,
        (ingress, header): (PortId, &Ethernet),
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        match station {
            Some(port) if egress.contains(port) && !header.hides_tag() => {
                Ok(Verdict::Forward(port))
            }
            Some(port) => self.send_by_rules(port, egress, ingress, header),
            None => self.flood(ingress, header, now),
        }
    }

    /// To a port that is not simply there to be sent to.
    #[cold]
    fn send_by_rules(
        &self,
        port: PortId,
        egress: PortSet,
        ingress: PortId,
        header: &Ethernet,
    ) -> Result<Verdict, DropReason> {
        let carriers = self.tables.carriers(header.vlan);
        let carriers = self.tables.keeping_hidden(carriers, header);
        match port {
            _ if port == ingress => Err(DropReason::SamePort),
            _ if !self.tables.port_sets().up.contains(port) => Err(DropReason::NoPort),
            _ if !carriers.contains(port) => Err(DropReason::VlanEgress),
            _ if egress.contains(port) => Ok(Verdict::Forward(port)),
            _ if self.tables.served(ingress, header.vlan).contains(port) => {
                Err(DropReason::Isolated)
            }
            _ => Err(DropReason::NoPort),
        }
    }

    /// Where nobody knows the destination: out of every port that it may be behind, unless too much
    /// of the kind came in already.
    fn flood(
        &self,
        ingress: PortId,
        header: &Ethernet,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let tables = &self.tables;
        self.meters.check_storm(ingress, header.destination, now)?;
        let all = tables.keeping_hidden(tables.switched(ingress, header.vlan), header);
        let egress = if header.destination.is_group() { all } else { all.and(tables.flooded()) };
        if egress.is_empty() { Err(DropReason::NoPort) } else { Ok(Verdict::Flood(egress)) }
    }

    /// Has the edge of a port judge a frame that comes in; one that it refuses has ended, and is
    /// counted.
    pub fn entry(&mut self, ingress: PortId, head: &[u8]) -> Result<Entry, DropReason> {
        let port = self.tables.port(ingress);
        let entry = port.map_or(Ok(Entry::AsIs), |port| port.rules.vlan.enter(head));
        if let Err(reason) = entry {
            self.endings[ingress.index()].count(Verdict::Drop(reason));
        }
        entry
    }

    /// Has the edge of a port judge a frame that leaves.
    pub fn departure(&self, egress: PortId, head: &[u8]) -> Departure {
        let port = self.tables.port(egress);
        port.map_or(Departure::AsIs, |port| port.rules.vlan.leave(head))
    }

    /// The addresses that a command's guests have, where they are pinned.
    pub(super) fn bindings(&self, command: &Command) -> Vec<Binding> {
        let is_meant = |spec: &GuestSpec| match command {
            Command::SetGuest(GuestSpec { name, .. }) | Command::DeleteGuest(name) => {
                spec.name == *name
            }
            Command::SetPortRules { port, .. } => spec.port == *port,
            _ => false,
        };
        let guests = self.tables.guests().map(|(_, guest)| &guest.spec);
        guests.filter(|spec| is_meant(spec)).filter_map(|spec| self.binding(spec)).collect()
    }

    /// In the VLAN of an access port; 0, which stands for all, on any other.
    fn binding(&self, spec: &GuestSpec) -> Option<Binding> {
        let vlan = self.tables.port(spec.port)?.rules.vlan.only().map_or(0, VlanId::get);
        Some(Binding { mac: spec.mac, vlan, port: spec.port })
    }

    /// Places a static address; refused where it cannot be, and nothing is changed then.
    pub(super) fn place_static(&mut self, command: &Command, now: Instant) -> Result<(), Refusal> {
        let Command::SetMac { mac, vlan, port } = *command else {
            return Ok(());
        };
        self.tables.check_mac(mac, vlan, port)?;
        match self.fdb.set_static(mac, vlan, port, now) {
            true => Ok(()),
            false => Err(Refusal::NoPlaceForMac(mac)),
        }
    }

    /// What a command means for how much a port may send and get.
    pub(super) fn follow_port(&mut self, command: &Command) {
        let (Command::SetPort { port: id, .. } | Command::SetPortRules { port: id, .. }) = *command
        else {
            return;
        };
        if let Some(port) = self.tables.port(id) {
            self.meters.follow(id, port);
        }
    }

    /// What a command means for which uplink stands by, and which port is a mirror's: who was behind
    /// one that is now is elsewhere, or nowhere.
    pub(super) fn follow_uplinks(&mut self, rested: PortSet, closed: PortSet) {
        let Dataplane { tables, fdb, events, .. } = self;
        let resting = tables.resting();
        tables.closed().minus(closed).for_each(|port| fdb.forget_port(port));
        for port in rested.minus(resting).filter_map(|port| tables.port(port)) {
            if port.link_up && port.rules.standby {
                events.push(Event::TakesOver { port: port.name.clone() });
            }
        }
    }

    /// Where only those may send who are defined, nothing is learned.
    fn set_learning(&mut self) {
        let Dataplane { tables, fdb, .. } = self;
        for (id, port) in tables.ports() {
            let rules = &port.rules;
            let learns = rules.learning && !rules.locked && !tables.bindings().binds(id);
            if learns != fdb.learns(id) {
                fdb.set_learning(id, learns);
            }
        }
    }

    /// What a command means for who is where, after the tables have taken it.
    pub(super) fn follow_places(&mut self, command: &Command, before: &[Binding], now: Instant) {
        for &Binding { mac, vlan, .. } in before {
            self.fdb.unpin(mac, vlan);
        }
        match command {
            Command::SetLink { port, up: false } => self.fdb.forget_port(*port),
            Command::SetPortRules { port, rules } => {
                self.fdb.set_held_max(*port, rules.macs_max);
                self.fdb.forget_port(*port);
            }
            Command::DeleteMac { mac, vlan } => self.fdb.delete_static(*mac, *vlan),
            Command::SetAgeing(ageing) => self.fdb.set_ageing(*ageing),
            _ => {}
        }
        self.set_learning();
        for Binding { mac, vlan, port } in self.bindings(command) {
            self.fdb.pin(mac, vlan, port, now);
        }
    }
}
