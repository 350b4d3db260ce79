//! Statements into a configuration and out of it again.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;
use core::net::IpAddr;

use lb::Name;

use super::{
    Config, GuestConfig, Item, PortConfig, PortRule, RealConfig, ServiceConfig, ServicePart,
    ServiceSetting, Setting, Statement,
};
use crate::shell::problem::Problem;

impl Config {
    /// Takes a statement in, whatever that makes of the whole; fails only where something that is
    /// not there is to be deleted.
    pub fn take(&mut self, statement: &Statement) -> Result<(), Problem> {
        match statement {
            Statement::Set(setting) => {
                self.set(setting);
                Ok(())
            }
            Statement::Delete(item) => self.delete(item),
        }
    }

    /// How many things are stated: its own addresses, ports, static MACs, mirrors, guests and their
    /// addresses, services and their reals.
    pub fn things(&self) -> usize {
        let guests = self.guests.values();
        let of_guests = guests.map(|guest| 1 + guest.addresses.len() + guest.probe_sources.len());
        let of_services = self.services.values().map(|service| 1 + service.reals.len());
        let of_switch =
            self.addresses.iter().flatten().count() + self.ports.len() + self.macs.len();
        self.mirrors.len() + of_switch + of_guests.sum::<usize>() + of_services.sum::<usize>()
    }

    /// Everything that was stated, sorted, in an order in which each line holds when it is typed.
    pub fn statements(&self) -> Vec<Statement> {
        let mut settings = Vec::new();
        settings.extend(self.hostname.clone().map(Setting::Hostname));
        settings.extend(self.flows.map(Setting::Flows));
        settings.extend(self.mac_ageing.map(Setting::MacAgeing));
        settings.extend(self.addresses.into_iter().flatten().map(Setting::Address));
        settings.extend(self.groups.settings().map(Setting::Groups));
        self.ports.iter().for_each(|(name, config)| settings.extend(port(name, config)));
        self.guests.iter().for_each(|(name, config)| settings.extend(guest(name, config)));
        for (&mac, port) in &self.macs {
            settings.push(Setting::Mac { mac, port: port.clone() });
        }
        self.services.iter().for_each(|(name, config)| settings.extend(service(name, config)));
        for (name, mirror) in &self.mirrors {
            settings.push(Setting::Mirror { name: name.clone(), mirror: mirror.clone() });
        }
        settings.into_iter().map(Statement::Set).collect()
    }

    pub(super) fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::Hostname(hostname) => self.hostname = Some(hostname.clone()),
            Setting::Flows(flows) => self.flows = Some(*flows),
            Setting::Port { port, role, nic } => {
                let port = self.ports.entry(port.clone()).or_default();
                port.role = Some(*role);
                overwrite(&mut port.nic, nic);
            }
            Setting::PortDescription { port, description } => {
                let port = self.ports.entry(port.clone()).or_default();
                port.description = Some(description.clone());
            }
            Setting::PortRule { port, rule } => {
                rule.state(&mut self.ports.entry(port.clone()).or_default().rules);
            }
            Setting::MacAgeing(time) => self.mac_ageing = Some(*time),
            Setting::Address(said) => self.addresses[said.version() as usize] = Some(*said),
            Setting::Mirror { name, mirror } => {
                self.mirrors.insert(name.clone(), mirror.clone());
            }
            Setting::Groups(said) => self.groups.set(said),
            Setting::Mac { mac, port } => _ = self.macs.insert(*mac, port.clone()),
            Setting::Guest { guest, port, mac, addresses, probe_sources, trusts, description } => {
                let guest = self.guests.entry(guest.clone()).or_default();
                overwrite(&mut guest.port, port);
                overwrite(&mut guest.mac, mac);
                overwrite(&mut guest.description, description);
                add(&mut guest.addresses, addresses);
                add(&mut guest.probe_sources, probe_sources);
                guest.trusts = guest.trusts.iter().chain(trusts.iter()).collect();
            }
            Setting::Service { service, setting } => self.service(service).set(setting),
            Setting::Real { service, guest, real } => {
                let there = self.service(service).reals.entry(guest.clone()).or_default();
                overwrite(&mut there.port, &real.port);
                overwrite(&mut there.weight, &real.weight);
                overwrite(&mut there.flows_max, &real.flows_max);
                overwrite(&mut there.check, &real.check);
            }
        }
    }

    fn service(&mut self, name: &Name) -> &mut ServiceConfig {
        self.services.entry(name.clone()).or_default()
    }

    fn delete(&mut self, item: &Item) -> Result<(), Problem> {
        let was_there = match item {
            Item::Hostname => self.hostname.take().is_some(),
            Item::Flows => self.flows.take().is_some(),
            Item::Port(port) => self.ports.remove(port).is_some(),
            Item::PortRole(port) => {
                self.ports.get_mut(port).is_some_and(|port| port.role.take().is_some())
            }
            Item::PortMatch(port) => {
                self.ports.get_mut(port).is_some_and(|port| port.nic.take().is_some())
            }
            Item::PortDescription(port) => {
                self.ports.get_mut(port).is_some_and(|port| port.description.take().is_some())
            }
            Item::PortPart(port, part) => {
                self.ports.get_mut(port).is_some_and(|port| part.delete(&mut port.rules))
            }
            Item::Mac(mac) => self.macs.remove(mac).is_some(),
            Item::Mirror(name) => self.mirrors.remove(name).is_some(),
            Item::MacAgeing => self.mac_ageing.take().is_some(),
            Item::Groups(part) => self.groups.delete(*part),
            Item::Address(None) => take(&mut self.addresses) != [None, None],
            Item::Address(Some(version)) => self.addresses[*version as usize].take().is_some(),
            Item::Guest(guest) => {
                self.guest_mut(guest)?;
                self.guests.remove(guest).is_some()
            }
            Item::GuestPort(guest) => self.guest_mut(guest)?.port.take().is_some(),
            Item::GuestMac(guest) => self.guest_mut(guest)?.mac.take().is_some(),
            Item::GuestAddress(guest, address) => {
                remove(&mut self.guest_mut(guest)?.addresses, *address)
            }
            Item::GuestTrust(guest, trust) => {
                let trusts = &mut self.guest_mut(guest)?.trusts;
                let without = trusts.without(*trust);
                core::mem::replace(trusts, without).has(*trust)
            }
            Item::GuestProbeSource(guest, source) => {
                remove(&mut self.guest_mut(guest)?.probe_sources, *source)
            }
            Item::GuestDescription(guest) => self.guest_mut(guest)?.description.take().is_some(),
            Item::Service(service) => {
                self.service_mut(service)?;
                self.services.remove(service).is_some()
            }
            Item::Part(service, part) => self.service_mut(service)?.delete(*part),
            Item::Real(service, guest) => {
                self.real_mut(service, guest)?;
                self.service_mut(service)?.reals.remove(guest).is_some()
            }
            Item::RealPort(service, guest) => self.real_mut(service, guest)?.port.take().is_some(),
            Item::RealWeight(service, guest) => {
                self.real_mut(service, guest)?.weight.take().is_some()
            }
            Item::RealFlowsMax(service, guest) => {
                self.real_mut(service, guest)?.flows_max.take().is_some()
            }
            Item::RealCheck(service, guest) => {
                self.real_mut(service, guest)?.check.take().is_some()
            }
        };
        // Of whom nothing is said any more there is no line that could say it.
        self.guests.retain(|_, guest| *guest != GuestConfig::default());
        self.services.retain(|_, service| *service != ServiceConfig::default());
        self.ports.retain(|_, port| *port != PortConfig::default());
        if was_there { Ok(()) } else { Err(Problem::NotStated(Box::new(item.clone()))) }
    }

    fn guest_mut(&mut self, name: &Name) -> Result<&mut GuestConfig, Problem> {
        let known = names(self.guests.keys());
        self.guests.get_mut(name).ok_or_else(|| absent("guest", name, known))
    }

    fn service_mut(&mut self, name: &Name) -> Result<&mut ServiceConfig, Problem> {
        let known = names(self.services.keys());
        self.services.get_mut(name).ok_or_else(|| absent("service", name, known))
    }

    fn real_mut(&mut self, service: &Name, guest: &Name) -> Result<&mut RealConfig, Problem> {
        let reals = &mut self.service_mut(service)?.reals;
        let known = names(reals.keys());
        reals.get_mut(guest).ok_or_else(|| absent("real", guest, known))
    }
}

impl ServiceConfig {
    fn set(&mut self, setting: &ServiceSetting) {
        match setting {
            ServiceSetting::Description(text) => self.description = Some(text.clone()),
            ServiceSetting::Vip(vip) => self.vip = Some(*vip),
            ServiceSetting::Scheduler(scheduler) => self.scheduler = Some(*scheduler),
            ServiceSetting::Forwarding(forwarding) => self.forwarding = Some(*forwarding),
            ServiceSetting::Persistence(persistence) => self.persistence = Some(*persistence),
            ServiceSetting::Empty(empty) => self.empty = Some(empty.clone()),
            ServiceSetting::FlowsMax(flows) => self.flows_max = Some(*flows),
            ServiceSetting::Idle(idle) => self.idle = Some(*idle),
            ServiceSetting::OnePacket => self.one_packet = true,
            ServiceSetting::Check(check) => self.check = Some(check.clone()),
            ServiceSetting::Agent(agent) => self.agent = Some(*agent),
            ServiceSetting::SlowStart(time) => self.slow_start = Some(*time),
            ServiceSetting::DrainTimeout(time) => self.drain_timeout = Some(*time),
            ServiceSetting::OnDown(on_down) => self.on_down = Some(*on_down),
            ServiceSetting::Panic(part) => self.panic = Some(*part),
        }
    }

    /// Takes a part away; whether it was there.
    fn delete(&mut self, part: ServicePart) -> bool {
        match part {
            ServicePart::Description => self.description.take().is_some(),
            ServicePart::Vip => self.vip.take().is_some(),
            ServicePart::Scheduler => self.scheduler.take().is_some(),
            ServicePart::Forwarding => self.forwarding.take().is_some(),
            ServicePart::Persistence => self.persistence.take().is_some(),
            ServicePart::Empty => self.empty.take().is_some(),
            ServicePart::FlowsMax => self.flows_max.take().is_some(),
            ServicePart::Idle => self.idle.take().is_some(),
            ServicePart::OnePacket => take(&mut self.one_packet),
            ServicePart::Check => self.check.take().is_some(),
            ServicePart::Agent => self.agent.take().is_some(),
            ServicePart::SlowStart => self.slow_start.take().is_some(),
            ServicePart::DrainTimeout => self.drain_timeout.take().is_some(),
            ServicePart::OnDown => self.on_down.take().is_some(),
            ServicePart::Panic => self.panic.take().is_some(),
        }
    }

    /// What was stated of it, its reals aside.
    fn settings(&self) -> impl Iterator<Item = ServiceSetting> {
        let settings = [
            self.description.clone().map(ServiceSetting::Description),
            self.vip.map(ServiceSetting::Vip),
            self.scheduler.map(ServiceSetting::Scheduler),
            self.forwarding.map(ServiceSetting::Forwarding),
            self.persistence.map(ServiceSetting::Persistence),
            self.empty.clone().map(ServiceSetting::Empty),
            self.flows_max.map(ServiceSetting::FlowsMax),
            self.idle.map(ServiceSetting::Idle),
            self.one_packet.then_some(ServiceSetting::OnePacket),
            self.check.clone().map(ServiceSetting::Check),
            self.agent.map(ServiceSetting::Agent),
            self.slow_start.map(ServiceSetting::SlowStart),
            self.drain_timeout.map(ServiceSetting::DrainTimeout),
            self.on_down.map(ServiceSetting::OnDown),
            self.panic.map(ServiceSetting::Panic),
        ];
        settings.into_iter().flatten()
    }
}

/// The lines that make this configuration, as `show configuration` prints them.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statements().iter().try_for_each(|statement| writeln!(f, "{statement}"))
    }
}

fn port(name: &Name, config: &PortConfig) -> Vec<Setting> {
    let port = || name.clone();
    let role = config.role.map(|role| Setting::Port { port: port(), role, nic: config.nic });
    let rules = PortRule::all(&config.rules).map(|rule| Setting::PortRule { port: port(), rule });
    let description = config.description.clone();
    let description =
        description.map(|description| Setting::PortDescription { port: port(), description });
    description.into_iter().chain(role).chain(rules).collect()
}

/// What it is in words has a line of its own.
fn guest(name: &Name, config: &GuestConfig) -> Vec<Setting> {
    let GuestConfig { port, mac, addresses, probe_sources, trusts, description } = config.clone();
    let (described, guest) = (GuestConfig { description, ..GuestConfig::default() }, name.clone());
    let rest = GuestConfig { port, mac, addresses, probe_sources, trusts, description: None };
    let parts = [described, rest].into_iter().filter(|part| *part != GuestConfig::default());
    let setting = |part: GuestConfig| Setting::Guest {
        guest: guest.clone(),
        port: part.port,
        mac: part.mac,
        addresses: part.addresses,
        probe_sources: part.probe_sources,
        trusts: part.trusts,
        description: part.description,
    };
    parts.map(setting).collect()
}

fn service(name: &Name, config: &ServiceConfig) -> Vec<Setting> {
    let service = || name.clone();
    let settings =
        config.settings().map(|setting| Setting::Service { service: service(), setting });
    let reals = config.reals.iter().map(|(guest, real)| Setting::Real {
        service: service(),
        guest: guest.clone(),
        real: real.clone(),
    });
    settings.chain(reals).collect()
}

/// Adds those that are not there yet.
fn add(there: &mut Vec<IpAddr>, said: &[IpAddr]) {
    for address in said {
        if !there.contains(address) {
            there.push(*address);
        }
    }
}

/// Takes one away; whether it was there.
fn remove(there: &mut Vec<IpAddr>, address: IpAddr) -> bool {
    let before = there.len();
    there.retain(|&other| other != address);
    there.len() < before
}

fn overwrite<T: Clone>(there: &mut Option<T>, said: &Option<T>) {
    if said.is_some() {
        there.clone_from(said);
    }
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> Vec<String> {
    names.map(|name| name.to_string()).collect()
}

fn absent(what: &'static str, name: &Name, known: Vec<String>) -> Problem {
    Problem::Absent { what, name: name.to_string(), known }
}
