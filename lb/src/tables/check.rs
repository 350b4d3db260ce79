//! What must hold before a command is applied: each refusal, and nothing is changed here.

use core::net::IpAddr;

use super::Tables;
use crate::addr::{is_host_address, is_link_local_of_ours};
use crate::management::Held;
use crate::wire::ethernet::VLAN_MAX;
use crate::wire::ip::Version;
use crate::{
    Empty, Forwarding, GuestId, GuestSpec, MacAddr, Persistence, PortId, Protocol, RealSpec,
    Refusal, Role, ServiceId, ServiceSpec,
};

impl Tables {
    pub(super) fn check_guest(
        &self,
        spec: &GuestSpec,
        known: Option<GuestId>,
    ) -> Result<(), Refusal> {
        let port = self.port(spec.port).ok_or(Refusal::UnknownPort)?;
        if port.role != Role::Guest {
            return Err(Refusal::NotAGuestPort(port.name.clone()));
        }
        if !spec.mac.is_station() {
            return Err(Refusal::NotAStation(spec.mac));
        }
        for (_, other) in self.guests().filter(|&(id, _)| Some(id) != known) {
            let guest = other.spec.name.clone();
            let is_apart = || self.are_apart(&other.spec, spec);
            // One of two with the same MAC has to be pinned in a VLAN of its own.
            let other_port = self.port(other.spec.port);
            let is_pinned_in_one = || {
                other_port.into_iter().chain([port]).any(|port| port.rules.vlan.only().is_some())
            };
            if other.spec.mac == spec.mac && !(is_apart() && is_pinned_in_one()) {
                return Err(Refusal::MacTaken { mac: spec.mac, guest });
            }
            let taken = spec.addresses.iter().find(|a| other.spec.addresses.contains(a));
            if let Some(&address) = taken.filter(|_| !is_apart()) {
                return Err(Refusal::AddressTaken { address, guest });
            }
        }
        for &address in &spec.addresses {
            if !is_host_address(address) {
                return Err(Refusal::NotAHostAddress(address));
            }
            if let Some((_, service)) = self
                .services()
                .find(|(_, s)| s.spec.vip == address && port.rules.vlan.carries(s.spec.vlan))
            {
                let service = service.spec.name.clone();
                return Err(Refusal::AddressIsVip { address, service });
            }
            let is_own = |held: &Held| held.host.address == address;
            if self.held().iter().any(|held| is_own(held) && port.rules.vlan.carries(held.vlan)) {
                return Err(Refusal::AddressIsOurs(address));
            }
        }
        for &source in &spec.probe_sources {
            self.check_probe_source(spec, source)?;
        }
        let of_guest = self.reals().filter(|(_, real)| Some(real.guest) == known && !real.retired);
        for service in of_guest.filter_map(|(_, real)| self.service(real.service)) {
            need_address(spec, service.spec.vip)?;
        }
        Ok(())
    }

    /// Whether no VLAN is on the ports of both guests.
    fn are_apart(&self, one: &GuestSpec, other: &GuestSpec) -> bool {
        let vlan_of = |guest: &GuestSpec| self.port(guest.port).map(|port| &port.rules.vlan);
        let both = vlan_of(one).zip(vlan_of(other));
        both.is_some_and(|(one, other)| !one.meets(other))
    }

    pub(super) fn carries(&self, port: PortId, vlan: u16) -> bool {
        self.port(port).is_some_and(|port| port.rules.vlan.carries(vlan))
    }

    /// A static address is a station's, and no guest's of that VLAN.
    pub(crate) fn check_mac(&self, mac: MacAddr, vlan: u16, port: PortId) -> Result<(), Refusal> {
        self.port(port).ok_or(Refusal::UnknownPort)?;
        if !mac.is_station() {
            return Err(Refusal::NotAStation(mac));
        }
        if vlan > VLAN_MAX {
            return Err(Refusal::VlanRange);
        }
        let is_its = |spec: &GuestSpec| spec.mac == mac && self.carries(spec.port, vlan);
        match self.guests().find(|(_, guest)| is_its(&guest.spec)) {
            Some((_, guest)) => Err(Refusal::MacTaken { mac, guest: guest.spec.name.clone() }),
            None => Ok(()),
        }
    }

    /// A probe source is nobody's: the switch stands in for it.
    fn check_probe_source(&self, spec: &GuestSpec, source: IpAddr) -> Result<(), Refusal> {
        if !is_host_address(source) || is_link_local_of_ours(source) {
            return Err(Refusal::NotAHostAddress(source));
        }
        if self.held().iter().any(|held| held.host.address == source) {
            return Err(Refusal::AddressIsOurs(source));
        }
        let others = self.guests().map(|(_, guest)| &guest.spec);
        let owner = others.chain([spec]).find(|guest| guest.addresses.contains(&source));
        if let Some(guest) = owner {
            return Err(Refusal::AddressTaken { address: source, guest: guest.name.clone() });
        }
        match self.services().find(|(_, service)| service.spec.vip == source) {
            Some((_, service)) => {
                let service = service.spec.name.clone();
                Err(Refusal::AddressIsVip { address: source, service })
            }
            None => Ok(()),
        }
    }

    pub(super) fn check_service(
        &self,
        spec: &ServiceSpec,
        known: Option<ServiceId>,
    ) -> Result<(), Refusal> {
        if !is_host_address(spec.vip) {
            return Err(Refusal::NotAHostAddress(spec.vip));
        }
        if spec.vlan > VLAN_MAX {
            return Err(Refusal::VlanRange);
        }
        let has = |spec: &GuestSpec, address: &IpAddr| {
            spec.addresses.contains(address) || spec.probe_sources.contains(address)
        };
        if let Some((_, guest)) = self
            .guests()
            .find(|(_, g)| has(&g.spec, &spec.vip) && self.carries(g.spec.port, spec.vlan))
        {
            let guest = guest.spec.name.clone();
            return Err(Refusal::VipIsGuest { address: spec.vip, guest });
        }
        if self.is_management(spec.vlan, spec.vip) {
            return Err(Refusal::AddressIsOurs(spec.vip));
        }
        let end = |spec: &ServiceSpec| (spec.vlan, spec.vip, spec.protocol, spec.port);
        let taken =
            self.services().find(|(id, other)| Some(*id) != known && end(&other.spec) == end(spec));
        if let Some((_, other)) = taken {
            return Err(Refusal::VipTaken { service: other.spec.name.clone() });
        }
        self.check_options(spec)?;
        let members = known.and_then(|id| self.service(id)).map_or(&[][..], |s| &s.reals);
        for real in members.iter().filter_map(|&id| self.real(id)) {
            self.check_real(spec, &real.spec)?;
        }
        Ok(())
    }

    /// What only some services can have.
    fn check_options(&self, spec: &ServiceSpec) -> Result<(), Refusal> {
        if let Empty::Sorry(guest) = &spec.empty {
            let guest = self.guest(self.need_guest(guest)?);
            guest.map_or(Ok(()), |guest| need_address(&guest.spec, spec.vip))?;
        }
        let by_payload = matches!(spec.persistence, Some(Persistence::Payload { .. }));
        let udp_only = [
            ("persistence by payload", by_payload),
            ("an idle time", spec.udp_idle.is_some()),
            ("one-packet scheduling", spec.one_packet),
        ];
        match udp_only.into_iter().find(|(_, is_asked)| *is_asked) {
            Some((what, _)) if spec.protocol != Protocol::Udp => Err(Refusal::UdpOnly { what }),
            _ => Ok(()),
        }
    }

    /// Whether a real can be one of this service.
    pub(super) fn check_real(&self, service: &ServiceSpec, real: &RealSpec) -> Result<(), Refusal> {
        let guest = self.guest(self.need_guest(&real.guest)?);
        guest.map_or(Ok(()), |guest| need_address(&guest.spec, service.vip))?;
        let other_port = real.port.is_some_and(|port| port != service.port);
        if service.forwarding == Forwarding::Direct && other_port {
            let (service, guest) = (service.name.clone(), real.guest.clone());
            return Err(Refusal::DirectPort { service, guest });
        }
        match real.weight > RealSpec::WEIGHT_MAX {
            true => Err(Refusal::WeightRange),
            false => Ok(()),
        }
    }
}

/// A real is reached by an address of its VIP's version.
fn need_address(guest: &GuestSpec, vip: IpAddr) -> Result<(), Refusal> {
    let version = Version::of(vip);
    let refusal = || Refusal::NoAddressForReal { guest: guest.name.clone(), version };
    guest.address_of(version).map(|_| ()).ok_or_else(refusal)
}
