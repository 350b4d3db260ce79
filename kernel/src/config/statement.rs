//! Statements: the sentences that make a configuration, as values that print as they are read.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use lb::{Forwarding, MacAddr, Name, Role, Scheduler};

use super::{NicMatch, RealConfig, Vip};
use crate::shell::grammar::{Action, Aspect};
use crate::shell::parse::Sentence;
use crate::shell::value::{Choice, Value};

/// One line of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    Set(Setting),
    /// `delete …`: the item is no longer stated.
    Delete(Item),
}

/// `set …`: what is named is stated, everything else stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    Hostname(Name),
    Port {
        port: Name,
        role: Role,
        nic: Option<NicMatch>,
    },
    /// Addresses are added to those that are there.
    Guest {
        guest: Name,
        port: Option<Name>,
        mac: Option<MacAddr>,
        addresses: Vec<IpAddr>,
    },
    Vip {
        service: Name,
        vip: Vip,
    },
    Scheduler {
        service: Name,
        scheduler: Scheduler,
    },
    Forwarding {
        service: Name,
        forwarding: Forwarding,
    },
    Real {
        service: Name,
        guest: Name,
        real: RealConfig,
    },
}

/// A thing that can be stated: what a message is about, and what `delete` takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Hostname,
    Port(Name),
    PortMatch(Name),
    Guest(Name),
    GuestPort(Name),
    GuestMac(Name),
    GuestAddress(Name, IpAddr),
    Service(Name),
    Vip(Name),
    Scheduler(Name),
    Forwarding(Name),
    Real(Name, Name),
    RealPort(Name, Name),
    RealWeight(Name, Name),
    RealFlowsMax(Name, Name),
}

impl Statement {
    /// The statement that a sentence makes; `None` if it makes none.
    pub fn of(sentence: &Sentence) -> Option<Statement> {
        match sentence.action {
            Action::Set(aspect) => setting(aspect, sentence).map(Statement::Set),
            Action::Delete(aspect) => item(aspect, sentence).map(Statement::Delete),
            Action::Show(_)
            | Action::Administer(_)
            | Action::Configure
            | Action::Exit
            | Action::End
            | Action::Help
            | Action::Write
            | Action::Script(_)
            | Action::Reboot
            | Action::Poweroff
            | Action::Filter(_) => None,
        }
    }
}

fn setting(aspect: Aspect, sentence: &Sentence) -> Option<Setting> {
    let said = sentence;
    Some(match (aspect, said.choice()) {
        (Aspect::Hostname, _) => Setting::Hostname(said.hostname()?),
        (Aspect::Port, Some(Choice::Role(role))) => {
            let nic = said.pci().map(NicMatch::Pci).or(said.mac().map(NicMatch::Mac));
            Setting::Port { port: said.port()?, role, nic }
        }
        (Aspect::Guest, _) => Setting::Guest {
            guest: said.guest()?,
            port: said.port(),
            mac: said.mac(),
            addresses: addresses(said),
        },
        (Aspect::Vip, Some(Choice::Protocol(protocol))) => {
            let vip = Vip { address: said.address()?, protocol, port: said.l4_port()? };
            Setting::Vip { service: said.service()?, vip }
        }
        (Aspect::Scheduler, Some(Choice::Scheduler(scheduler))) => {
            Setting::Scheduler { service: said.service()?, scheduler }
        }
        (Aspect::Forwarding, Some(Choice::Forwarding(forwarding))) => {
            Setting::Forwarding { service: said.service()?, forwarding }
        }
        (Aspect::Real, _) => {
            let real = RealConfig {
                port: said.l4_port(),
                weight: said.weight(),
                flows_max: said.flows_max(),
            };
            Setting::Real { service: said.service()?, guest: said.guest()?, real }
        }
        _ => return None,
    })
}

fn item(aspect: Aspect, said: &Sentence) -> Option<Item> {
    Some(match aspect {
        Aspect::Hostname => Item::Hostname,
        Aspect::Port => Item::Port(said.port()?),
        Aspect::PortMatch => Item::PortMatch(said.port()?),
        Aspect::Guest => Item::Guest(said.guest()?),
        Aspect::GuestAddress => Item::GuestAddress(said.guest()?, said.address()?),
        Aspect::Service => Item::Service(said.service()?),
        Aspect::Vip => Item::Vip(said.service()?),
        Aspect::Scheduler => Item::Scheduler(said.service()?),
        Aspect::Forwarding => Item::Forwarding(said.service()?),
        Aspect::Real => Item::Real(said.service()?, said.guest()?),
        Aspect::RealPort => Item::RealPort(said.service()?, said.guest()?),
        Aspect::RealWeight => Item::RealWeight(said.service()?, said.guest()?),
        Aspect::RealFlowsMax => Item::RealFlowsMax(said.service()?, said.guest()?),
    })
}

fn addresses(said: &Sentence) -> Vec<IpAddr> {
    let values = said.said.iter();
    values
        .filter_map(|said| match said.value {
            Value::Address(address) => Some(address),
            _ => None,
        })
        .collect()
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Set(setting) => write!(f, "set {setting}"),
            Statement::Delete(item) => write!(f, "delete {item}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Hostname(hostname) => write!(f, "system hostname {hostname}"),
            Setting::Port { port, role, nic } => {
                write!(f, "port {port} role {}", role.as_str())?;
                clause(f, "match", nic)
            }
            Setting::Guest { guest, port, mac, addresses } => {
                write!(f, "guest {guest}")?;
                clause(f, "port", port)?;
                clause(f, "mac", mac)?;
                addresses.iter().try_for_each(|address| write!(f, " address {address}"))
            }
            Setting::Vip { service, vip } => write!(f, "service {service} vip {vip}"),
            Setting::Scheduler { service, scheduler } => {
                write!(f, "service {service} scheduler {}", scheduler.as_str())
            }
            Setting::Forwarding { service, forwarding } => {
                write!(f, "service {service} forwarding {}", forwarding.as_str())
            }
            Setting::Real { service, guest, real } => {
                write!(f, "service {service} real {guest}")?;
                clause(f, "port", &real.port)?;
                clause(f, "weight", &real.weight)?;
                clause(f, "max-flows", &real.flows_max)
            }
        }
    }
}

/// ` word value`, if there is a value.
fn clause(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    value: &Option<impl fmt::Display>,
) -> fmt::Result {
    value.as_ref().map_or(Ok(()), |value| write!(f, " {word} {value}"))
}

impl Item {
    /// Whose it is: the port, guest or service that it is stated of.
    pub fn fmt_owner(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Hostname => f.write_str("system"),
            Item::Port(port) | Item::PortMatch(port) => write!(f, "port {port}"),
            Item::Guest(guest)
            | Item::GuestPort(guest)
            | Item::GuestMac(guest)
            | Item::GuestAddress(guest, _) => write!(f, "guest {guest}"),
            Item::Service(service)
            | Item::Vip(service)
            | Item::Scheduler(service)
            | Item::Forwarding(service)
            | Item::Real(service, _)
            | Item::RealPort(service, _)
            | Item::RealWeight(service, _)
            | Item::RealFlowsMax(service, _) => write!(f, "service {service}"),
        }
    }
}

/// As `delete` names it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Hostname => f.write_str("system hostname"),
            Item::Port(port) => write!(f, "port {port}"),
            Item::PortMatch(port) => write!(f, "port {port} match"),
            Item::Guest(guest) => write!(f, "guest {guest}"),
            Item::GuestPort(guest) => write!(f, "guest {guest} port"),
            Item::GuestMac(guest) => write!(f, "guest {guest} mac"),
            Item::GuestAddress(guest, address) => write!(f, "guest {guest} address {address}"),
            Item::Service(service) => write!(f, "service {service}"),
            Item::Vip(service) => write!(f, "service {service} vip"),
            Item::Scheduler(service) => write!(f, "service {service} scheduler"),
            Item::Forwarding(service) => write!(f, "service {service} forwarding"),
            Item::Real(service, guest) => write!(f, "service {service} real {guest}"),
            Item::RealPort(service, guest) => write!(f, "service {service} real {guest} port"),
            Item::RealWeight(service, guest) => write!(f, "service {service} real {guest} weight"),
            Item::RealFlowsMax(service, guest) => {
                write!(f, "service {service} real {guest} max-flows")
            }
        }
    }
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.address, self.protocol, self.port)
    }
}
