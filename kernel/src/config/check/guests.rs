//! Guests: each has a port that guests may have, a MAC, and addresses that are nobody else's.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use lb::limits::{GUEST_ADDRESSES_MAX, GUESTS_MAX};
use lb::{GuestSpec, MacAddr, Name, PortId, Role, addr};

use super::PortPlan;
use super::switching::vlans_of;
use crate::config::{Config, Finding, GuestConfig, Item, ServiceConfig, ServicePart, Wrong};

/// One of each IP version.
const PROBE_SOURCES_MAX: usize = 2;

/// The guests of a configuration on the ports of this machine.
pub(super) struct Guests<'a> {
    pub config: &'a Config,
    pub ports: &'a [PortPlan],
}

impl Guests<'_> {
    pub(super) fn check(&self, findings: &mut Vec<Finding>) -> BTreeMap<Name, GuestSpec> {
        let mut macs = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut specs = BTreeMap::new();
        for (name, guest) in &self.config.guests {
            self.check_mac(name, guest, &mut macs, findings);
            self.check_addresses(name, guest, &mut addresses, findings);
            self.check_probe_sources(name, guest, findings);
            let port = self.resolve_port(name, guest).map_err(|finding| findings.push(*finding));
            specs.extend(spec_of(name, guest, port.ok()).map(|spec| (name.clone(), spec)));
        }
        if let Some((name, _)) = self.config.guests.iter().nth(GUESTS_MAX) {
            let wrong = Wrong::TooMany { what: "guests", max: GUESTS_MAX };
            findings.push(Finding::new(Item::Guest(name.clone()), wrong));
        }
        specs
    }

    fn resolve_port(&self, name: &Name, guest: &GuestConfig) -> Result<PortId, Box<Finding>> {
        let Some(port) = guest.port.clone() else {
            return Err(Box::new(Finding::new(Item::Guest(name.clone()), Wrong::NoPort)));
        };
        let here = |wrong| Box::new(Finding::new(Item::GuestPort(name.clone()), wrong));
        let found = self.ports.iter().position(|plan| plan.name == port);
        match found.and_then(PortId::new) {
            Some(id) if self.ports[id.index()].role == Role::Guest => Ok(id),
            Some(_) => Err(here(Wrong::UplinkPort { port })),
            None => {
                let known = self.ports.iter().map(|plan| plan.name.clone()).collect();
                Err(here(Wrong::UnknownPort { port, known }))
            }
        }
    }

    fn check_mac<'c>(
        &'c self,
        name: &'c Name,
        guest: &GuestConfig,
        macs: &mut BTreeMap<MacAddr, Vec<&'c Name>>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(mac) = guest.mac else {
            findings.push(Finding::new(Item::Guest(name.clone()), Wrong::NoMac));
            return;
        };
        let item = Item::GuestMac(name.clone());
        if is_ours(self.config, mac) {
            findings.push(Finding::new(item.clone(), Wrong::MacIsOurs { mac }));
        }
        let others = macs.entry(mac).or_default();
        // Two may be alike if they never meet, and one of them is pinned in its VLAN alone.
        let is_alike = |other: &&&Name| {
            let vlans = [Some(guest), self.config.guests.get(**other)];
            let only = |guest: &GuestConfig| vlans_of(self.config, guest).only();
            self.meets(guest, other) || vlans.into_iter().flatten().all(|g| only(g).is_none())
        };
        if let Some(&other) = others.iter().find(is_alike) {
            let with = Item::GuestMac(other.clone());
            let wrong = Wrong::MacTaken { mac, guest: other.clone() };
            findings.push(Finding::against(item, wrong, with));
        }
        others.push(name);
    }

    /// Whether some VLAN is at the ports of both.
    fn meets(&self, guest: &GuestConfig, other: &Name) -> bool {
        let others = self.config.guests.get(other).map(|other| vlans_of(self.config, other));
        others.is_some_and(|vlans| vlans.meets(vlans_of(self.config, guest)))
    }

    fn check_addresses<'c>(
        &'c self,
        name: &'c Name,
        guest: &GuestConfig,
        taken: &mut BTreeMap<IpAddr, Vec<&'c Name>>,
        findings: &mut Vec<Finding>,
    ) {
        for (at, &address) in guest.addresses.iter().enumerate() {
            let item = Item::GuestAddress(name.clone(), address);
            if at == GUEST_ADDRESSES_MAX {
                let wrong = Wrong::TooMany { what: "addresses", max: GUEST_ADDRESSES_MAX };
                findings.push(Finding::new(item.clone(), wrong));
            }
            if addr::is_link_local_of_ours(address) {
                findings.push(Finding::new(item.clone(), Wrong::AddressIsOurs { address }));
            }
            let others = taken.entry(address).or_default();
            if let Some(&other) = others.iter().find(|other| self.meets(guest, other)) {
                let with = Item::GuestAddress(other.clone(), address);
                let wrong = Wrong::AddressTaken { address, guest: other.clone() };
                findings.push(Finding::against(item, wrong, with));
            }
            others.push(name);
        }
    }

    /// Whether the switch can answer for them on the guest's port: nobody else has them.
    fn check_probe_sources(&self, name: &Name, guest: &GuestConfig, findings: &mut Vec<Finding>) {
        let item_of = |source| Item::GuestProbeSource(name.clone(), source);
        for (at, &source) in guest.probe_sources.iter().enumerate() {
            let mut found = |wrong| findings.push(Finding::new(item_of(source), wrong));
            if addr::is_link_local_of_ours(source) {
                found(Wrong::AddressIsOurs { address: source });
            }
            let mut before = guest.probe_sources[..at].iter();
            if let Some(&other) = before.find(|other| other.is_ipv4() == source.is_ipv4()) {
                let wrong = Wrong::ProbeSources { source, other };
                findings.push(Finding::against(item_of(source), wrong, item_of(other)));
            }
            let mut guests = self.config.guests.iter();
            if let Some((owner, _)) = guests.find(|(_, guest)| guest.addresses.contains(&source)) {
                let with = Item::GuestAddress(owner.clone(), source);
                let wrong = Wrong::AddressTaken { address: source, guest: owner.clone() };
                findings.push(Finding::against(item_of(source), wrong, with));
            }
            let has_it = |service: &ServiceConfig| service.vip.is_some_and(|v| v.address == source);
            let mut services = self.config.services.iter();
            if let Some((service, _)) = services.find(|(_, service)| has_it(service)) {
                let with = Item::Part(service.clone(), ServicePart::Vip);
                let wrong = Wrong::SourceIsVip { address: source, service: service.clone() };
                findings.push(Finding::against(item_of(source), wrong, with));
            }
        }
    }
}

/// Whether the switch answers with this MAC itself.
pub(super) fn is_ours(config: &Config, mac: MacAddr) -> bool {
    let mut vips = config.services.values().filter_map(|service| service.vip);
    let is_vips = vips.any(|vip| MacAddr::virtual_of(vip.address) == mac);
    mac == MacAddr::SWITCH || is_vips
}

fn spec_of(name: &Name, guest: &GuestConfig, port: Option<PortId>) -> Option<GuestSpec> {
    let addresses = guest.addresses.iter().copied().take(GUEST_ADDRESSES_MAX).collect();
    let probe_sources = guest.probe_sources.iter().copied().take(PROBE_SOURCES_MAX).collect();
    let trusts = guest.trusts;
    let bare = GuestSpec::new(name.clone(), port?, guest.mac?);
    Some(GuestSpec { addresses, probe_sources, trusts, ..bare })
}
