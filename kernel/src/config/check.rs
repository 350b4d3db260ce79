//! Does a configuration hold together, and what does it come to on this machine?
//!
//! [`check`] looks at the whole: every reference, every conflict, every size. Either it returns a
//! [`Plan`], in which names are resolved and nothing is missing, or every finding there is. Each
//! finding names the item that it is about, so that whoever knows where that was stated can say
//! the line.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use lb::limits::{
    GUEST_ADDRESSES_MAX, GUESTS_MAX, MH_SERVICES_MAX, REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX,
};
use lb::{GuestSpec, MacAddr, Name, PortId, RealSpec, Role, Scheduler, ServiceSpec, addr};

use super::ports::name_ports;
use super::{Config, GuestConfig, Item, NicId, NicMatch, RealConfig, ServiceConfig, Vip};

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

/// Something wrong with the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub at: Item,
    pub wrong: Wrong,
    /// What it is in conflict with, and the line where that was stated, if it was a line.
    pub with: Option<Item>,
    pub with_line: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    NoSuchNic {
        nic: NicMatch,
        nics: Vec<NicId>,
    },
    /// A port without `match` whose name no NIC has by default.
    NoDefaultPort {
        known: Vec<Name>,
    },
    NicTaken {
        port: Name,
    },
    NoPort,
    NoMac,
    UnknownPort {
        port: Name,
        known: Vec<Name>,
    },
    UplinkPort {
        port: Name,
    },
    MacTaken {
        mac: MacAddr,
        guest: Name,
    },
    MacIsOurs {
        mac: MacAddr,
    },
    AddressTaken {
        address: IpAddr,
        guest: Name,
    },
    AddressIsOurs {
        address: IpAddr,
    },
    NoVip,
    VipIsGuests {
        address: IpAddr,
        guest: Name,
    },
    VipFamily {
        address: IpAddr,
    },
    VipTaken {
        vip: Vip,
        service: Name,
    },
    RealIsNoGuest {
        guest: Name,
    },
    RealHasNoAddress {
        guest: Name,
    },
    TooMany {
        what: &'static str,
        max: usize,
    },
}

/// The plan of a configuration, or everything that is wrong with it.
pub fn check(config: &Config, nics: &[NicId]) -> Result<Plan, Vec<Finding>> {
    let mut findings = Vec::new();
    let ports = name_ports(&config.ports, nics, &mut findings);
    let guests = Guests { config, ports: &ports }.check(&mut findings);
    let services = Services { config, guests: &guests }.check(&mut findings);
    if findings.is_empty() { Ok(Plan { ports, guests, services }) } else { Err(findings) }
}

impl Finding {
    pub fn new(at: Item, wrong: Wrong) -> Finding {
        Finding { at, wrong, with: None, with_line: None }
    }

    pub fn against(at: Item, wrong: Wrong, with: Item) -> Finding {
        Finding { at, wrong, with: Some(with), with_line: None }
    }

    pub fn code(&self) -> u16 {
        match self.wrong {
            Wrong::NoSuchNic { .. }
            | Wrong::NoDefaultPort { .. }
            | Wrong::UnknownPort { .. }
            | Wrong::RealIsNoGuest { .. } => 201,
            Wrong::NicTaken { .. }
            | Wrong::MacTaken { .. }
            | Wrong::MacIsOurs { .. }
            | Wrong::AddressTaken { .. }
            | Wrong::VipIsGuests { .. }
            | Wrong::AddressIsOurs { .. }
            | Wrong::VipTaken { .. } => 203,
            Wrong::NoPort | Wrong::NoMac | Wrong::NoVip | Wrong::RealHasNoAddress { .. } => 204,
            Wrong::UplinkPort { .. } | Wrong::VipFamily { .. } => 205,
            Wrong::TooMany { .. } => 601,
        }
    }

    /// Whether it would still be wrong if lines that could not be read were there.
    pub fn stands_alone(&self) -> bool {
        !matches!(self.code(), 201 | 204)
    }
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
        let is_vips = vips.any(|vip| match vip.address {
            IpAddr::V4(address) => MacAddr::virtual_of(address) == mac,
            IpAddr::V6(_) => false,
        });
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
            if address == IpAddr::V4(addr::LINK_LOCAL) {
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
    Some(GuestSpec { name: name.clone(), port: port?, mac: guest.mac?, addresses })
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
            self.check_vip(name, service, &mut vips, findings);
            let reals = self.check_reals(name, service, findings);
            let spec = service.vip.map(|vip| spec_of_service(name, service, vip));
            plans.extend(spec.map(|spec| (name.clone(), ServicePlan { spec, reals })));
        }
        self.check_sizes(findings);
        plans
    }

    fn check_vip<'c>(
        &'c self,
        name: &'c Name,
        service: &ServiceConfig,
        taken: &mut BTreeMap<Vip, &'c Name>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(vip) = service.vip else {
            findings.push(Finding::new(Item::Service(name.clone()), Wrong::NoVip));
            return;
        };
        let (item, address) = (Item::Vip(name.clone()), vip.address);
        if address.is_ipv6() {
            findings.push(Finding::new(item.clone(), Wrong::VipFamily { address }));
        }
        if address == IpAddr::V4(addr::LINK_LOCAL) {
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
                let with = Item::Vip(service.clone());
                findings.push(Finding::against(item, Wrong::VipTaken { vip, service }, with));
            }
        }
    }

    fn check_reals(
        &self,
        name: &Name,
        service: &ServiceConfig,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<Name, RealSpec> {
        for guest in service.reals.keys() {
            let at = Item::Real(name.clone(), guest.clone());
            match self.config.guests.get(guest) {
                None => {
                    let wrong = Wrong::RealIsNoGuest { guest: guest.clone() };
                    findings.push(Finding::new(at, wrong));
                }
                Some(config) if !config.addresses.iter().any(IpAddr::is_ipv4) => {
                    let wrong = Wrong::RealHasNoAddress { guest: guest.clone() };
                    findings.push(Finding::new(at, wrong));
                }
                Some(_) => {}
            }
        }
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
            findings.push(Finding::new(Item::Scheduler(name.clone()), wrong));
        }
        for (name, service) in services {
            if let Some(guest) = service.reals.keys().nth(SERVICE_REALS_MAX) {
                let at = Item::Real(name.clone(), guest.clone());
                let wrong = Wrong::TooMany { what: "reals of one service", max: SERVICE_REALS_MAX };
                findings.push(Finding::new(at, wrong));
            }
        }
        let mut reals = services
            .iter()
            .flat_map(|(name, service)| service.reals.keys().map(move |guest| (name, guest)));
        if let Some((name, guest)) = reals.nth(REALS_MAX) {
            let at = Item::Real(name.clone(), guest.clone());
            findings.push(Finding::new(at, Wrong::TooMany { what: "reals", max: REALS_MAX }));
        }
    }
}

fn spec_of_service(name: &Name, service: &ServiceConfig, vip: Vip) -> ServiceSpec {
    ServiceSpec {
        name: name.clone(),
        vip: vip.address,
        protocol: vip.protocol,
        port: vip.port,
        scheduler: service.scheduler.unwrap_or_default(),
        forwarding: service.forwarding.unwrap_or_default(),
    }
}

fn spec_of_real(guest: &Name, real: &RealConfig) -> RealSpec {
    RealSpec {
        guest: guest.clone(),
        port: real.port,
        weight: real.weight.unwrap_or(RealSpec::WEIGHT_DEFAULT),
        flows_max: real.flows_max.map(|flows| flows.get()),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt_owner(f)?;
        f.write_str(": ")?;
        match &self.wrong {
            Wrong::NoSuchNic { nic, nics } => {
                write!(f, "no NIC has {nic} (NICs: {})", listed(nics))?;
            }
            Wrong::NoDefaultPort { known } => {
                write!(f, "no NIC is called so by itself (ports: {}); ", listed(known))?;
                write!(f, "say which it is: match pci … or match mac …")?;
            }
            Wrong::NicTaken { port } => write!(f, "that NIC is also port {port}'s")?,
            Wrong::NoPort => f.write_str("it has no port (set guest … port …)")?,
            Wrong::NoMac => f.write_str("it has no MAC (set guest … mac …)")?,
            Wrong::UnknownPort { port, known } => {
                write!(f, "there is no port {port} (ports: {})", listed(known))?;
            }
            Wrong::UplinkPort { port } => {
                write!(f, "port {port} is an uplink; a guest needs a guest port")?;
            }
            Wrong::MacTaken { mac, guest } => write!(f, "{mac} is also guest {guest}'s")?,
            Wrong::MacIsOurs { mac } => write!(f, "{mac} is the switch's own")?,
            Wrong::AddressTaken { address, guest } => {
                write!(f, "{address} is also guest {guest}'s")?
            }
            Wrong::AddressIsOurs { address } => write!(f, "{address} is the appliance's own")?,
            Wrong::NoVip => f.write_str("it has no VIP (set service … vip …)")?,
            Wrong::VipIsGuests { address, guest } => {
                write!(f, "{address} is guest {guest}'s own address; a VIP is nobody's own")?;
            }
            Wrong::VipFamily { address } => {
                write!(f, "{address}: services are balanced over IPv4 only so far")?;
            }
            Wrong::VipTaken { vip, service } => write!(f, "{vip} is also service {service}'s")?,
            Wrong::RealIsNoGuest { guest } => {
                write!(f, "real {guest} is no guest (set guest {guest} …)")?;
            }
            Wrong::RealHasNoAddress { guest } => {
                write!(f, "real {guest} has no IPv4 address (set guest {guest} address …)")?;
            }
            Wrong::TooMany { what, max } => write!(f, "more than {max} {what}")?,
        }
        self.with_line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

fn listed<T: fmt::Display>(things: &[T]) -> String {
    let things: Vec<String> = things.iter().map(|thing| thing.to_string()).collect();
    if things.is_empty() { "none".to_string() } else { things.join(" ") }
}
