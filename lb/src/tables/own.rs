//! The management address in the tables: which it is at this time, and that it is nobody else's.

use core::net::IpAddr;

use super::Tables;
use crate::addr::{is_host_address, is_link_local_of_ours};
use crate::management::{AddressSource, Held, HostAddress, ManagementSpec};
use crate::service::Announcements;
use crate::wire::Address;
use crate::wire::ethernet::VLAN_MAX;
use crate::wire::ip::Version;
use crate::{GuestSpec, Instant, MacAddr, PortSet, Refusal};

/// What the appliance is as a host.
#[derive(Default)]
pub(super) struct Own {
    spec: Option<ManagementSpec>,
    held: heapless::Vec<Held, 2>,
}

impl Own {
    /// Whoever is to hear where the addresses are has not heard it.
    pub(super) fn announce(&mut self, now: Instant) {
        self.held.iter_mut().for_each(|held| held.announcements = Announcements::due(now));
    }

    /// Where each address is.
    pub(super) fn places(&self) -> impl Iterator<Item = (u16, Address)> {
        self.held.iter().map(|held| (held.vlan, held.host.address.into()))
    }
}

impl Tables {
    /// What was said of the management address.
    pub fn management(&self) -> Option<&ManagementSpec> {
        self.own.spec.as_ref()
    }

    /// The management addresses that there are at this time.
    pub fn held(&self) -> &[Held] {
        &self.own.held
    }

    /// The one of this version.
    pub(crate) fn held_like(&self, address: IpAddr) -> Option<&Held> {
        let version = Version::of(address);
        self.own.held.iter().find(|held| Version::of(held.host.address) == version)
    }

    pub(crate) fn held_mut(&mut self) -> &mut [Held] {
        &mut self.own.held
    }

    /// Whether the appliance itself has this address in this VLAN.
    pub fn is_management(&self, vlan: u16, address: impl Into<Address>) -> bool {
        self.vips.is_own(vlan, address.into())
    }

    /// Whether this is the MAC of the management address.
    pub fn is_management_mac(&self, mac: MacAddr) -> bool {
        mac.looks_managements() && self.own.spec.as_ref().is_some_and(|own| own.mac == mac)
    }

    /// Where frames of a VLAN from the management address may go.
    pub(crate) fn uplinks(&self, vlan: u16) -> PortSet {
        self.carriers(vlan).and(self.sets.uplinks)
    }

    /// What was said before holds on as far as it is said still; a lease too.
    pub(super) fn set_management(
        &mut self,
        spec: Option<&ManagementSpec>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let wanted = spec.map_or(&[][..], |spec| &spec.addresses);
        for said in wanted {
            if said.vlan > VLAN_MAX {
                return Err(Refusal::VlanRange);
            }
            if let AddressSource::Static(host) = said.source {
                self.check_own(&host, said.vlan)?;
            }
        }
        let is_alike = self.own.spec.as_ref().map(|own| own.mac) == spec.map(|spec| spec.mac);
        let before = self.own.held.clone();
        let held = wanted.iter().filter_map(|said| {
            let version = said.version();
            let is_it =
                |held: &&Held| (Version::of(held.host.address), held.vlan) == (version, said.vlan);
            let known = before.iter().find(is_it).copied().filter(|_| is_alike);
            match said.source {
                AddressSource::Static(host) => {
                    let known = known.filter(|known| known.host == host);
                    Some(known.unwrap_or(Held::new(host, said.vlan, now)))
                }
                AddressSource::Dhcp => known.filter(|known| known.is_leased),
            }
        });
        self.own = Own { held: held.collect(), spec: spec.cloned() };
        Ok(())
    }

    /// Takes a leased address in, unless it is somebody's, or gives it up.
    pub(crate) fn lease(
        &mut self,
        host: Option<HostAddress>,
        vlan: u16,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.own.held.retain(|held| !held.is_leased);
        let taken = host.map_or(Ok(()), |host| self.check_own(&host, vlan));
        if let Some(host) = host.filter(|_| taken.is_ok()) {
            let held = Held { is_leased: true, ..Held::new(host, vlan, now) };
            // Two versions, and one address of each.
            let _ = self.own.held.push(held);
        }
        self.index();
        taken
    }

    /// Whether the appliance can have this address: a host may, and nobody has it.
    fn check_own(&self, host: &HostAddress, vlan: u16) -> Result<(), Refusal> {
        let address = host.address;
        let is_fit = is_host_address(address)
            && !is_link_local_of_ours(address)
            && HostAddress::is_for_a_host(address, host.prefix_len);
        if !is_fit {
            return Err(Refusal::NotAHostAddress(address));
        }
        let has = |spec: &GuestSpec| {
            spec.addresses.contains(&address) || spec.probe_sources.contains(&address)
        };
        let is_there = |spec: &GuestSpec| has(spec) && self.carries(spec.port, vlan);
        if let Some((_, guest)) = self.guests().find(|(_, guest)| is_there(&guest.spec)) {
            return Err(Refusal::AddressTaken { address, guest: guest.spec.name.clone() });
        }
        let end = |(_, service): &(_, &crate::Service)| (service.spec.vlan, service.spec.vip);
        match self.services().find(|service| end(service) == (vlan, address)) {
            Some((_, service)) => {
                let service = service.spec.name.clone();
                Err(Refusal::AddressIsVip { address, service })
            }
            None => Ok(()),
        }
    }
}

impl Held {
    fn new(host: HostAddress, vlan: u16, now: Instant) -> Held {
        Held { host, vlan, is_leased: false, announcements: Announcements::due(now) }
    }
}
