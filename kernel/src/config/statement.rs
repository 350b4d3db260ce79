//! Statements: the sentences that make a configuration, as values that print as they are read.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use lb::{Empty, Forwarding, MacAddr, Name, Persistence, Role, Scheduler};

use super::{NicMatch, RealConfig, Vip};
use crate::shell::grammar::{Action, Aspect};
use crate::shell::parse::Sentence;
use crate::shell::value::{Choice, Time, Value};

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
    Flows(NonZeroU32),
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
    Service {
        service: Name,
        setting: ServiceSetting,
    },
    Real {
        service: Name,
        guest: Name,
        real: RealConfig,
    },
}

/// `set service S …`, its reals aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSetting {
    Vip(Vip),
    Scheduler(Scheduler),
    Forwarding(Forwarding),
    Persistence(Persistence),
    Empty(Empty),
    FlowsMax(NonZeroU32),
    Idle(Duration),
    OnePacket,
}

/// Which [`ServiceSetting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServicePart {
    Vip,
    Scheduler,
    Forwarding,
    Persistence,
    Empty,
    FlowsMax,
    Idle,
    OnePacket,
}

/// A thing that can be stated: what a message is about, and what `delete` takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Hostname,
    Flows,
    Port(Name),
    PortMatch(Name),
    Guest(Name),
    GuestPort(Name),
    GuestMac(Name),
    GuestAddress(Name, IpAddr),
    Service(Name),
    Part(Name, ServicePart),
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

    /// Whether it is about the size of the flow table, which acts at the next start only.
    pub fn is_of_flows(&self) -> bool {
        matches!(self, Statement::Set(Setting::Flows(_)) | Statement::Delete(Item::Flows))
    }
}

fn setting(aspect: Aspect, said: &Sentence) -> Option<Setting> {
    Some(match (aspect, said.choice()) {
        (Aspect::Hostname, _) => Setting::Hostname(said.hostname()?),
        (Aspect::Flows, _) => Setting::Flows(said.flows()?),
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
        (Aspect::Part(part), _) => {
            Setting::Service { service: said.service()?, setting: service_setting(part, said)? }
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

fn service_setting(part: ServicePart, said: &Sentence) -> Option<ServiceSetting> {
    Some(match (part, said.choice()) {
        (ServicePart::Vip, Some(Choice::Protocol(protocol))) => {
            let vlan = said.vlan().unwrap_or(0);
            let (address, port) = (said.address()?, said.l4_port()?);
            ServiceSetting::Vip(Vip { address, protocol, port, vlan })
        }
        (ServicePart::Scheduler, Some(Choice::Scheduler(scheduler))) => {
            ServiceSetting::Scheduler(scheduler)
        }
        (ServicePart::Forwarding, Some(Choice::Forwarding(forwarding))) => {
            ServiceSetting::Forwarding(forwarding)
        }
        (ServicePart::Persistence, _) => ServiceSetting::Persistence(persistence(said)?),
        (ServicePart::Empty, Some(Choice::Drop)) => ServiceSetting::Empty(Empty::Drop),
        (ServicePart::Empty, Some(Choice::Reset)) => ServiceSetting::Empty(Empty::Reset),
        (ServicePart::Empty, None) => ServiceSetting::Empty(Empty::Sorry(said.guest()?)),
        (ServicePart::FlowsMax, _) => ServiceSetting::FlowsMax(said.flows_max()?),
        (ServicePart::Idle, _) => ServiceSetting::Idle(said.time()?),
        (ServicePart::OnePacket, _) => ServiceSetting::OnePacket,
        _ => return None,
    })
}

fn persistence(said: &Sentence) -> Option<Persistence> {
    let timeout = said.time()?;
    Some(match said.prefix_len() {
        Some(prefix_len) => Persistence::Source { prefix_len, timeout },
        None => Persistence::Payload {
            offset_bytes: said.payload_offset()?,
            len_bytes: said.payload_len()?,
            timeout,
        },
    })
}

fn item(aspect: Aspect, said: &Sentence) -> Option<Item> {
    Some(match aspect {
        Aspect::Hostname => Item::Hostname,
        Aspect::Flows => Item::Flows,
        Aspect::Port => Item::Port(said.port()?),
        Aspect::PortMatch => Item::PortMatch(said.port()?),
        Aspect::Guest => Item::Guest(said.guest()?),
        Aspect::GuestAddress => Item::GuestAddress(said.guest()?, said.address()?),
        Aspect::Service => Item::Service(said.service()?),
        Aspect::Part(part) => Item::Part(said.service()?, part),
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

impl ServiceSetting {
    pub const fn part(&self) -> ServicePart {
        match self {
            ServiceSetting::Vip(_) => ServicePart::Vip,
            ServiceSetting::Scheduler(_) => ServicePart::Scheduler,
            ServiceSetting::Forwarding(_) => ServicePart::Forwarding,
            ServiceSetting::Persistence(_) => ServicePart::Persistence,
            ServiceSetting::Empty(_) => ServicePart::Empty,
            ServiceSetting::FlowsMax(_) => ServicePart::FlowsMax,
            ServiceSetting::Idle(_) => ServicePart::Idle,
            ServiceSetting::OnePacket => ServicePart::OnePacket,
        }
    }
}

impl ServicePart {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServicePart::Vip => "vip",
            ServicePart::Scheduler => "scheduler",
            ServicePart::Forwarding => "forwarding",
            ServicePart::Persistence => "persistence",
            ServicePart::Empty => "empty",
            ServicePart::FlowsMax => "max-flows",
            ServicePart::Idle => "idle",
            ServicePart::OnePacket => "one-packet",
        }
    }
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
            Setting::Flows(flows) => write!(f, "system capacity flows {flows}"),
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
            Setting::Service { service, setting } => write!(f, "service {service} {setting}"),
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

impl fmt::Display for ServiceSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part().as_str())?;
        match self {
            ServiceSetting::Vip(vip) => write!(f, " {vip}"),
            ServiceSetting::Scheduler(scheduler) => write!(f, " {}", scheduler.as_str()),
            ServiceSetting::Forwarding(forwarding) => write!(f, " {}", forwarding.as_str()),
            ServiceSetting::Persistence(persistence) => write!(f, " {}", InWords(persistence)),
            ServiceSetting::Empty(empty) => write!(f, " {}", InWords(empty)),
            ServiceSetting::FlowsMax(flows) => write!(f, " {flows}"),
            ServiceSetting::Idle(idle) => write!(f, " {}", Time(*idle)),
            ServiceSetting::OnePacket => Ok(()),
        }
    }
}

/// A value of the data path in the words of the configuration.
pub struct InWords<'a, T>(pub &'a T);

impl fmt::Display for InWords<'_, Persistence> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Persistence::Source { prefix_len, timeout } => {
                write!(f, "source {prefix_len} timeout {}", Time(timeout))
            }
            Persistence::Payload { offset_bytes, len_bytes, timeout } => {
                write!(f, "payload {offset_bytes} {len_bytes} timeout {}", Time(timeout))
            }
        }
    }
}

impl fmt::Display for InWords<'_, Empty> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Empty::Drop => f.write_str("drop"),
            Empty::Reset => f.write_str("reset"),
            Empty::Sorry(guest) => write!(f, "sorry {guest}"),
        }
    }
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.address, self.protocol, self.port)?;
        if self.vlan == 0 { Ok(()) } else { write!(f, " vlan {}", self.vlan) }
    }
}

impl Item {
    /// Whose it is: the port, guest or service that it is stated of.
    pub fn fmt_owner(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Hostname | Item::Flows => f.write_str("system"),
            Item::Port(port) | Item::PortMatch(port) => write!(f, "port {port}"),
            Item::Guest(guest)
            | Item::GuestPort(guest)
            | Item::GuestMac(guest)
            | Item::GuestAddress(guest, _) => write!(f, "guest {guest}"),
            Item::Service(service)
            | Item::Part(service, _)
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
            Item::Flows => f.write_str("system capacity flows"),
            Item::Port(port) => write!(f, "port {port}"),
            Item::PortMatch(port) => write!(f, "port {port} match"),
            Item::Guest(guest) => write!(f, "guest {guest}"),
            Item::GuestPort(guest) => write!(f, "guest {guest} port"),
            Item::GuestMac(guest) => write!(f, "guest {guest} mac"),
            Item::GuestAddress(guest, address) => write!(f, "guest {guest} address {address}"),
            Item::Service(service) => write!(f, "service {service}"),
            Item::Part(service, part) => write!(f, "service {service} {}", part.as_str()),
            Item::Real(service, guest) => write!(f, "service {service} real {guest}"),
            Item::RealPort(service, guest) => write!(f, "service {service} real {guest} port"),
            Item::RealWeight(service, guest) => write!(f, "service {service} real {guest} weight"),
            Item::RealFlowsMax(service, guest) => {
                write!(f, "service {service} real {guest} max-flows")
            }
        }
    }
}
