//! Ports: their names and roles, their rules, and where a frame may go for all that.

use super::{PortSets, Tables};
use crate::service::Announcements;
use crate::switch::mtu::Mtus;
use crate::wire::Ethernet;
use crate::{Instant, Name, Port, PortId, PortRules, PortSet, Refusal, Role};

impl Tables {
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &Port)> {
        let ports = self.ports[..self.ends.ports].iter().enumerate();
        ports.filter_map(|(at, port)| Some((PortId::new(at)?, port.as_ref()?)))
    }

    pub fn port(&self, id: PortId) -> Option<&Port> {
        self.ports[id.index()].as_ref()
    }

    pub fn port_by_name(&self, name: &Name) -> Option<PortId> {
        self.ports().find(|(_, port)| port.name == *name).map(|(id, _)| id)
    }

    pub fn port_sets(&self) -> &PortSets {
        &self.sets
    }

    pub(super) fn set_port(&mut self, id: PortId, name: &Name, role: Role) -> Result<(), Refusal> {
        if self.port_by_name(name).is_some_and(|other| other != id) {
            return Err(Refusal::PortNameTaken(name.clone()));
        }
        let has_guest = self.guests().any(|(_, guest)| guest.spec.port == id);
        if has_guest && role != Role::Guest {
            return Err(Refusal::NotAGuestPort(name.clone()));
        }
        let before = self.port(id);
        let link_up = before.is_some_and(|port| port.link_up);
        let rules = before.map_or(PortRules::default(), |port| port.rules.clone());
        // An uplink has no list; a guest's port that becomes one is given other rules next.
        self.set_access(id, if role == Role::Guest { &rules.access } else { &[] });
        self.ports[id.index()] = Some(Port { name: name.clone(), role, rules, link_up });
        self.map_reach();
        Ok(())
    }

    pub(super) fn set_port_rules(
        &mut self,
        id: PortId,
        rules: &PortRules,
        now: Instant,
    ) -> Result<(), Refusal> {
        let role = self.port(id).ok_or(Refusal::UnknownPort)?.role;
        self.check_access(id, role, rules)?;
        let port = self.ports[id.index()].as_mut().ok_or(Refusal::UnknownPort)?;
        let is_elsewhere = port.rules.vlan != rules.vlan || port.rules.standby != rules.standby;
        port.rules = rules.clone();
        self.map_reach();
        self.set_access(id, &rules.access);
        if is_elsewhere {
            self.announce(now);
        }
        Ok(())
    }

    pub(super) fn set_link(&mut self, id: PortId, up: bool, now: Instant) -> Result<(), Refusal> {
        let rested = self.resting();
        let port = self.ports[id.index()].as_mut().ok_or(Refusal::UnknownPort)?;
        port.link_up = up;
        self.map_reach();
        if up || self.resting() != rested {
            self.announce(now);
        }
        Ok(())
    }

    /// Whoever is behind a link, or in a VLAN, that a port was not in has not heard where VIPs are, nor
    /// where the management address is.
    pub(super) fn announce(&mut self, now: Instant) {
        for service in self.services.iter_mut().flatten() {
            service.announcements = Announcements::due(now);
        }
        self.own.announce(now);
    }

    /// The ports that carry a VLAN and whose link is up.
    #[inline(always)]
    pub fn carriers(&self, vlan: u16) -> PortSet {
        self.reach.carriers(vlan)
    }

    /// Where frames of a VLAN may be switched to from here.
    #[inline(always)]
    pub(crate) fn switched(&self, ingress: PortId, vlan: u16) -> PortSet {
        self.reach.switched(ingress, vlan)
    }

    /// Where a service's answers may go from here: isolation does not hinder them.
    #[inline(always)]
    pub(crate) fn served(&self, ingress: PortId, vlan: u16) -> PortSet {
        self.reach.served(ingress, vlan)
    }

    /// Ports that get what goes to a station that nobody knows.
    #[inline(always)]
    pub(crate) fn flooded(&self) -> PortSet {
        self.reach.flooded()
    }

    /// Uplinks that stand by for another one: nothing goes to them, and what comes from them ends.
    #[inline]
    pub fn resting(&self) -> PortSet {
        self.reach.resting()
    }

    /// Ports that carry nothing: uplinks that stand by, and those that get the copies of a mirror.
    #[inline]
    pub fn closed(&self) -> PortSet {
        self.reach.closed()
    }

    /// How long packets may be.
    #[inline(always)]
    pub(crate) fn mtus(&self) -> &Mtus {
        &self.mtus
    }

    /// Ports at whose edges something is done: tags are touched ([`crate::switch::vlan`]), or frames
    /// copied ([`crate::switch::mirror`]).
    #[inline]
    pub fn edges(&self) -> PortSet {
        self.reach.edges()
    }

    /// Those of them whose frames some mirror may want.
    #[inline]
    pub fn copied(&self) -> PortSet {
        self.reach.copied()
    }

    /// Of these ports, those that a frame leaves without a tag coming to light that it hides.
    pub(crate) fn keeping_hidden(&self, ports: PortSet, header: &Ethernet) -> PortSet {
        let exposes = |port: &Port| header.hides_tag() && port.rules.vlan.pops(header.vlan);
        ports.filter(|&id| !self.port(id).is_some_and(exposes)).collect()
    }

    pub(super) fn map_reach(&mut self) {
        let Tables { reach, mtus, ports, mirrors, .. } = self;
        let ports = ports.iter().enumerate();
        let ports = ports.filter_map(|(at, port)| Some((PortId::new(at)?, port.as_ref()?)));
        reach.map(ports.clone(), mirrors);
        mtus.map(ports.map(|(id, port)| (id, port.rules.mtu)));
    }
}
