//! Does a configuration hold together, and what does it come to on this machine?
//!
//! [`check`] looks at the whole: every reference, every conflict, every size. Either it returns a
//! [`Plan`], in which names are resolved and nothing is missing, or every finding there is. Each
//! finding names the item that it is about, so that whoever knows where that was stated can say
//! the line.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use core::net::IpAddr;

use lb::limits::{
    GUEST_ADDRESSES_MAX, GUESTS_MAX, MH_SERVICES_MAX, REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX,
};
use lb::wire::ip::Version;
use lb::{
    Empty, Forwarding, GuestSpec, MacAddr, Name, Persistence, PortId, Protocol, RealSpec, Role,
    Scheduler, ServiceSpec, addr,
};

use super::ports::name_ports;
use super::{
    Config, Finding, GuestConfig, Item, RealConfig, ServiceConfig, ServicePart, Site, Vip, Wrong,
};

/// A configuration that holds together, resolved for the NICs of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By the NIC's number, which is the port's.
    pub ports: Vec<PortPlan>,
    pub guests: BTreeMap<Name, GuestSpec>,
    pub services: BTreeMap<Name, ServicePlan>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlan {
    pub name: Name,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    pub spec: ServiceSpec,
    pub reals: BTreeMap<Name, RealSpec>,
}

/// The plan of a configuration, or everything that is wrong with it.
pub fn check(config: &Config, site: &Site) -> Result<Plan, Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(check_flows(config, site));
    let ports = name_ports(&config.ports, &site.nics, &mut findings);
    let guests = Guests { config, ports: &ports }.check(&mut findings);
    let services = Services { config, guests: &guests }.check(&mut findings);
    if findings.is_empty() { Ok(Plan { ports, guests, services }) } else { Err(findings) }
}

/// Whether there is memory for the flow table that is asked for.
fn check_flows(config: &Config, site: &Site) -> Option<Finding> {
    let flows = config.flows.filter(|flows| flows.get() as usize > site.flows_fit)?;
    let wrong = Wrong::FlowsDoNotFit { flows, flows_fit: site.flows_fit };
    Some(Finding::new(Item::Flows, wrong))
}

/// The guests of a configuration on the ports of this machine.
struct Guests<'a> {
    config: &'a Config,
    ports: &'a [PortPlan],
}

impl Guests<'_> {
    fn check(&self, findings: &mut Vec<Finding>) -> BTreeMap<Name, GuestSpec> {
        let mut macs = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut specs = BTreeMap::new();
        for (name, guest) in &self.config.guests {
            self.check_mac(name, guest, &mut macs, findings);
            self.check_addresses(name, guest, &mut addresses, findings);
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
        macs: &mut BTreeMap<MacAddr, &'c Name>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(mac) = guest.mac else {
            findings.push(Finding::new(Item::Guest(name.clone()), Wrong::NoMac));
            return;
        };
        let item = Item::GuestMac(name.clone());
        if self.is_ours(mac) {
            findings.push(Finding::new(item.clone(), Wrong::MacIsOurs { mac }));
        }
        match macs.entry(mac) {
            Entry::Vacant(free) => {
                free.insert(name);
            }
            Entry::Occupied(taken) => {
                let guest = (*taken.get()).clone();
                let with = Item::GuestMac(guest.clone());
                findings.push(Finding::against(item, Wrong::MacTaken { mac, guest }, with));
            }
        }
    }

    /// Whether the switch answers with this MAC itself.
    fn is_ours(&self, mac: MacAddr) -> bool {
        let mut vips = self.config.services.values().filter_map(|service| service.vip);
        let is_vips = vips.any(|vip| MacAddr::virtual_of(vip.address) == mac);
        mac == MacAddr::SWITCH || is_vips
    }

    fn check_addresses<'c>(
        &'c self,
        name: &'c Name,
        guest: &GuestConfig,
        taken: &mut BTreeMap<IpAddr, &'c Name>,
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
            match taken.entry(address) {
                Entry::Vacant(free) => {
                    free.insert(name);
                }
                Entry::Occupied(other) => {
                    let guest = (*other.get()).clone();
                    let with = Item::GuestAddress(guest.clone(), address);
                    let wrong = Wrong::AddressTaken { address, guest };
                    findings.push(Finding::against(item, wrong, with));
                }
            }
        }
    }
}

fn spec_of(name: &Name, guest: &GuestConfig, port: Option<PortId>) -> Option<GuestSpec> {
    let addresses = guest.addresses.iter().copied().take(GUEST_ADDRESSES_MAX).collect();
    Some(GuestSpec { addresses, ..GuestSpec::new(name.clone(), port?, guest.mac?) })
}

/// The services of a configuration.
struct Services<'a> {
    config: &'a Config,
    /// Guests that are whole.
    guests: &'a BTreeMap<Name, GuestSpec>,
}

impl Services<'_> {
    fn check(&self, findings: &mut Vec<Finding>) -> BTreeMap<Name, ServicePlan> {
        let mut vips = BTreeMap::new();
        let mut plans = BTreeMap::new();
        for (name, service) in &self.config.services {
            if let Some(vip) = service.vip {
                self.check_vip(name, vip, &mut vips, findings);
                check_options(name, service, vip, findings);
            } else {
                findings.push(Finding::new(Item::Service(name.clone()), Wrong::NoVip));
            }
            self.check_guests(name, service, findings);
            let spec = service.vip.map(|vip| spec_of_service(name, service, vip));
            let reals = self.real_specs(service);
            plans.extend(spec.map(|spec| (name.clone(), ServicePlan { spec, reals })));
        }
        self.check_sizes(findings);
        plans
    }

    fn check_vip<'c>(
        &'c self,
        name: &'c Name,
        vip: Vip,
        taken: &mut BTreeMap<Vip, &'c Name>,
        findings: &mut Vec<Finding>,
    ) {
        let item_of = |name: &Name| Item::Part(name.clone(), ServicePart::Vip);
        let (item, address) = (item_of(name), vip.address);
        if addr::is_link_local_of_ours(address) {
            findings.push(Finding::new(item.clone(), Wrong::AddressIsOurs { address }));
        }
        let mut guests = self.config.guests.iter();
        let owner = guests.find(|(_, guest)| guest.addresses.contains(&address));
        if let Some((guest, _)) = owner {
            let with = Item::GuestAddress(guest.clone(), address);
            let wrong = Wrong::VipIsGuests { address, guest: guest.clone() };
            findings.push(Finding::against(item.clone(), wrong, with));
        }
        match taken.entry(vip) {
            Entry::Vacant(free) => {
                free.insert(name);
            }
            Entry::Occupied(other) => {
                let service = (*other.get()).clone();
                let with = item_of(&service);
                findings.push(Finding::against(item, Wrong::VipTaken { vip, service }, with));
            }
        }
    }

    /// Whether every guest that serves it can.
    fn check_guests(&self, name: &Name, service: &ServiceConfig, findings: &mut Vec<Finding>) {
        let version = service.vip.map(|vip| Version::of(vip.address));
        for (at, role, guest) in serving(name, service) {
            let wrong = match self.config.guests.get(guest) {
                None => Some(Wrong::NoSuchGuest { role, guest: guest.clone() }),
                Some(config) => version
                    .filter(|&version| !has_address(config, version))
                    .map(|version| Wrong::NoAddress { role, guest: guest.clone(), version }),
            };
            findings.extend(wrong.map(|wrong| Finding::new(at, wrong)));
        }
    }

    fn real_specs(&self, service: &ServiceConfig) -> BTreeMap<Name, RealSpec> {
        let whole = service.reals.iter().filter(|(guest, _)| self.guests.contains_key(*guest));
        whole.map(|(guest, real)| (guest.clone(), spec_of_real(guest, real))).collect()
    }

    fn check_sizes(&self, findings: &mut Vec<Finding>) {
        let services = &self.config.services;
        if let Some((name, _)) = services.iter().nth(SERVICES_MAX) {
            let wrong = Wrong::TooMany { what: "services", max: SERVICES_MAX };
            findings.push(Finding::new(Item::Service(name.clone()), wrong));
        }
        let by_mh = |service: &ServiceConfig| service.scheduler == Some(Scheduler::Mh);
        let mut by_mh = services.iter().filter(|(_, service)| by_mh(service));
        if let Some((name, _)) = by_mh.nth(MH_SERVICES_MAX) {
            let wrong = Wrong::TooMany { what: "services by mh", max: MH_SERVICES_MAX };
            findings.push(Finding::new(Item::Part(name.clone(), ServicePart::Scheduler), wrong));
        }
        for (name, service) in services {
            if let Some(guest) = service.reals.keys().nth(SERVICE_REALS_MAX) {
                let at = Item::Real(name.clone(), guest.clone());
                let wrong = Wrong::TooMany { what: "reals of one service", max: SERVICE_REALS_MAX };
                findings.push(Finding::new(at, wrong));
            }
        }
        let mut reals = services.iter().flat_map(|(name, service)| serving(name, service));
        if let Some((at, ..)) = reals.nth(REALS_MAX) {
            findings.push(Finding::new(at, Wrong::TooMany { what: "reals", max: REALS_MAX }));
        }
    }
}

/// The guests that serve: where each is stated, and as what.
fn serving<'c>(
    name: &'c Name,
    service: &'c ServiceConfig,
) -> impl Iterator<Item = (Item, &'static str, &'c Name)> {
    let real = |guest: &'c Name| (Item::Real(name.clone(), guest.clone()), "real", guest);
    let sorry = match &service.empty {
        Some(Empty::Sorry(guest)) => {
            Some((Item::Part(name.clone(), ServicePart::Empty), "sorry", guest))
        }
        Some(Empty::Drop | Empty::Reset) | None => None,
    };
    service.reals.keys().map(real).chain(sorry)
}

/// What only some services can have.
fn check_options(name: &Name, service: &ServiceConfig, vip: Vip, findings: &mut Vec<Finding>) {
    let mut found =
        |part, wrong| findings.push(Finding::new(Item::Part(name.clone(), part), wrong));
    if vip.protocol == Protocol::Tcp {
        if matches!(service.persistence, Some(Persistence::Payload { .. })) {
            let why = "TCP has no payload yet when the real is chosen";
            let wrong = Wrong::UdpOnly { what: "persistence by payload", why };
            found(ServicePart::Persistence, wrong);
        }
        if service.idle.is_some() {
            let why = "a TCP connection says itself when it ends";
            found(ServicePart::Idle, Wrong::UdpOnly { what: "idle", why });
        }
        if service.one_packet {
            let why = "a TCP connection stays at its real";
            found(ServicePart::OnePacket, Wrong::UdpOnly { what: "one-packet", why });
        }
    }
    if let Some(Persistence::Source { prefix_len, .. }) = service.persistence
        && vip.address.is_ipv4()
        && prefix_len > 32
    {
        let wrong = Wrong::PrefixTooLong { prefix_len, address: vip.address };
        found(ServicePart::Persistence, wrong);
    }
    if service.forwarding == Some(Forwarding::Direct) {
        findings.extend(service.reals.iter().filter_map(|(guest, real)| {
            let port = real.port.filter(|&port| port != vip.port)?;
            let wrong = Wrong::DirectPort { guest: guest.clone(), port, service_port: vip.port };
            Some(Finding::new(Item::RealPort(name.clone(), guest.clone()), wrong))
        }));
    }
}

fn has_address(guest: &GuestConfig, version: Version) -> bool {
    guest.addresses.iter().any(|&address| Version::of(address) == version)
}

fn spec_of_service(name: &Name, service: &ServiceConfig, vip: Vip) -> ServiceSpec {
    ServiceSpec {
        vlan: vip.vlan,
        scheduler: service.scheduler.unwrap_or_default(),
        forwarding: service.forwarding.unwrap_or_default(),
        empty: service.empty.clone().unwrap_or_default(),
        persistence: service.persistence,
        flows_max: service.flows_max,
        udp_idle: service.idle,
        one_packet: service.one_packet,
        ..ServiceSpec::new(name.clone(), vip.address, vip.protocol, vip.port)
    }
}

fn spec_of_real(guest: &Name, real: &RealConfig) -> RealSpec {
    RealSpec {
        port: real.port,
        weight: real.weight.unwrap_or(RealSpec::WEIGHT_DEFAULT),
        flows_max: real.flows_max.map(|flows| flows.get()),
        ..RealSpec::new(guest.clone())
    }
}
