//! Services: each has a VIP that is nobody's own, guests that can serve it, and options that it can
//! have.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use lb::limits::{MH_SERVICES_MAX, REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX};
use lb::wire::ip::Version;
use lb::{
    Empty, Forwarding, GuestSpec, Name, Persistence, Protocol, RealSpec, Scheduler, ServiceSpec,
    addr,
};

use super::ServicePlan;
use super::switching::{check_server, vlans_of};
use crate::config::{
    AgentConfig, CheckConfig, Config, Finding, GuestConfig, Item, RealConfig, ServiceConfig,
    ServicePart, Vip, Wrong,
};

/// The services of a configuration.
pub(super) struct Services<'a> {
    pub config: &'a Config,
    /// Guests that are whole.
    pub guests: &'a BTreeMap<Name, GuestSpec>,
}

impl Services<'_> {
    pub(super) fn check(&self, findings: &mut Vec<Finding>) -> BTreeMap<Name, ServicePlan> {
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
            check_checks(name, service, findings);
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
        let has_it = |guest: &GuestConfig| {
            guest.addresses.contains(&address) && vlans_of(self.config, guest).carries(vip.vlan)
        };
        let owner = guests.find(|(_, guest)| has_it(guest));
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
            let config = self.config.guests.get(guest).zip(service.vip);
            let elsewhere = config.and_then(|(config, vip)| {
                check_server(self.config, role, guest, config, vip.vlan, at.clone())
            });
            findings.extend(wrong.map(|wrong| Finding::new(at, wrong)));
            findings.extend(elsewhere);
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

/// Whether each check has an answer to its probe, or none, before it sends the next.
fn check_checks(name: &Name, service: &ServiceConfig, findings: &mut Vec<Finding>) {
    let of_service = (Item::Part(name.clone(), ServicePart::Check), &service.check);
    let reals = service.reals.iter();
    let of_reals =
        reals.map(|(guest, real)| (Item::RealCheck(name.clone(), guest.clone()), &real.check));
    findings.extend([of_service].into_iter().chain(of_reals).filter_map(|(at, check)| {
        let (interval, timeout) = check.as_ref()?.contradiction()?;
        Some(Finding::new(at, Wrong::TimeoutTooLong { timeout, interval }))
    }));
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
        check: service.check.as_ref().map(CheckConfig::plan),
        agent: service.agent.map(AgentConfig::plan).unwrap_or_default(),
        slow_start: service.slow_start,
        drain_timeout: service.drain_timeout,
        on_down: service.on_down.unwrap_or_default(),
        panic: service.panic,
        ..ServiceSpec::new(name.clone(), vip.address, vip.protocol, vip.port)
    }
}

fn spec_of_real(guest: &Name, real: &RealConfig) -> RealSpec {
    RealSpec {
        port: real.port,
        weight: real.weight.unwrap_or(RealSpec::WEIGHT_DEFAULT),
        flows_max: real.flows_max.map(|flows| flows.get()),
        check: real.check.as_ref().map(CheckConfig::plan),
        ..RealSpec::new(guest.clone())
    }
}
