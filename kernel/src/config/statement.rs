//! Statements: the sentences that make a configuration, as values; how they print is in `print`.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use lb::wire::ip::Version;
use lb::{
    AddressSpec, Empty, Forwarding, MacAddr, Name, OnDown, Persistence, Role, Scheduler, Trust,
    Trusts,
};

use super::management;
use super::{
    AgentConfig, CheckConfig, Description, GroupPart, GroupSetting, MirrorConfig, NicMatch,
    PortPart, PortRule, RealConfig, StaticMac, Vip,
};
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
    Flows(NonZeroU32),
    MacAgeing(Duration),
    /// In place of one of the same IP version.
    Address(AddressSpec),
    Groups(GroupSetting),
    Port {
        port: Name,
        role: Role,
        nic: Option<NicMatch>,
    },
    PortDescription {
        port: Name,
        description: Description,
    },
    PortRule {
        port: Name,
        rule: PortRule,
    },
    Mac {
        mac: StaticMac,
        port: Name,
    },
    /// Addresses and sources of probes are added to those that are there.
    Guest {
        guest: Name,
        port: Option<Name>,
        mac: Option<MacAddr>,
        addresses: Vec<IpAddr>,
        probe_sources: Vec<IpAddr>,
        trusts: Trusts,
        description: Option<Description>,
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
    Mirror {
        name: Name,
        mirror: MirrorConfig,
    },
}

/// `set service S …`, its reals aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSetting {
    Description(Description),
    Vip(Vip),
    Scheduler(Scheduler),
    Forwarding(Forwarding),
    Persistence(Persistence),
    Empty(Empty),
    FlowsMax(NonZeroU32),
    Idle(Duration),
    OnePacket,
    Check(CheckConfig),
    Agent(AgentConfig),
    SlowStart(Duration),
    DrainTimeout(Duration),
    OnDown(OnDown),
    /// Per cent.
    Panic(u8),
}

/// Which [`ServiceSetting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServicePart {
    Description,
    Vip,
    Scheduler,
    Forwarding,
    Persistence,
    Empty,
    FlowsMax,
    Idle,
    OnePacket,
    Check,
    Agent,
    SlowStart,
    DrainTimeout,
    OnDown,
    Panic,
}

/// A thing that can be stated: what a message is about, and what `delete` takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Hostname,
    Flows,
    MacAgeing,
    /// The appliance's own address of this IP version, or all.
    Address(Option<Version>),
    Groups(GroupPart),
    Port(Name),
    PortRole(Name),
    PortMatch(Name),
    PortDescription(Name),
    PortPart(Name, PortPart),
    Mac(StaticMac),
    Guest(Name),
    GuestPort(Name),
    GuestMac(Name),
    GuestAddress(Name, IpAddr),
    GuestProbeSource(Name, IpAddr),
    GuestTrust(Name, Trust),
    GuestDescription(Name),
    Service(Name),
    Part(Name, ServicePart),
    Real(Name, Name),
    RealPort(Name, Name),
    RealWeight(Name, Name),
    RealFlowsMax(Name, Name),
    RealCheck(Name, Name),
    Mirror(Name),
}

impl Statement {
    /// The statement that a sentence makes; `None` if it makes none.
    pub fn of(sentence: &Sentence) -> Option<Statement> {
        match sentence.action {
            Action::Set(aspect) => setting(aspect, sentence).map(Statement::Set),
            Action::Delete(aspect) => item(aspect, sentence).map(Statement::Delete),
            Action::Show(_)
            | Action::Administer(_)
            | Action::Clear
            | Action::ResetFlow
            | Action::Monitor(_)
            | Action::Capture
            | Action::Ping
            | Action::Support
            | Action::Configure
            | Action::Load(_)
            | Action::Commit
            | Action::CommitCheck
            | Action::Confirm
            | Action::Rollback
            | Action::Discard
            | Action::Undo
            | Action::Exit
            | Action::End
            | Action::Help
            | Action::Write
            | Action::Script(_)
            | Action::Length
            | Action::Reboot
            | Action::Poweroff
            | Action::Filter(_) => None,
        }
    }
}

fn setting(aspect: Aspect, said: &Sentence) -> Option<Setting> {
    Some(match (aspect, said.choice()) {
        (Aspect::Hostname, _) => Setting::Hostname(said.hostname()?),
        (Aspect::Flows, _) => Setting::Flows(said.flows()?),
        (Aspect::MacAgeing, _) => Setting::MacAgeing(said.ageing()?),
        (Aspect::PortDescription, _) => {
            Setting::PortDescription { port: said.port()?, description: said.description()? }
        }
        (Aspect::Address, _) => Setting::Address(management::address(said)),
        (Aspect::Groups(part), _) => Setting::Groups(GroupSetting::of(part, said)),
        (Aspect::PortPart(part), _) => {
            Setting::PortRule { port: said.port()?, rule: PortRule::of(part, said)? }
        }
        (Aspect::Mirror, _) => {
            Setting::Mirror { name: said.mirror()?, mirror: MirrorConfig::of(said)? }
        }
        (Aspect::Mac, _) => Setting::Mac { mac: static_mac(said)?, port: said.port()? },
        (Aspect::Port, Some(Choice::Role(role))) => {
            let nic = said.pci().map(NicMatch::Pci).or(said.mac().map(NicMatch::Mac));
            Setting::Port { port: said.port()?, role, nic }
        }
        (Aspect::Guest, _) => Setting::Guest {
            guest: said.guest()?,
            port: said.port(),
            mac: said.mac(),
            addresses: addresses(said),
            probe_sources: probe_sources(said),
            trusts: said.choices().filter_map(trust).collect(),
            description: said.description(),
        },
        (Aspect::Part(part), _) => {
            Setting::Service { service: said.service()?, setting: service_setting(part, said)? }
        }
        (Aspect::Real, _) => {
            let real = RealConfig {
                port: said.l4_port(),
                weight: said.weight(),
                flows_max: said.flows_max(),
                check: CheckConfig::of(said),
            };
            Setting::Real { service: said.service()?, guest: said.guest()?, real }
        }
        _ => return None,
    })
}

fn service_setting(part: ServicePart, said: &Sentence) -> Option<ServiceSetting> {
    Some(match (part, said.choice()) {
        (ServicePart::Description, _) => ServiceSetting::Description(said.description()?),
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
        (ServicePart::Check, _) => ServiceSetting::Check(CheckConfig::of(said)?),
        (ServicePart::Agent, _) => ServiceSetting::Agent(AgentConfig::of(said)?),
        (ServicePart::SlowStart, _) => ServiceSetting::SlowStart(said.slow_start()?),
        (ServicePart::DrainTimeout, _) => ServiceSetting::DrainTimeout(said.time()?),
        (ServicePart::OnDown, Some(Choice::OnDown(on_down))) => ServiceSetting::OnDown(on_down),
        (ServicePart::Panic, _) => ServiceSetting::Panic(said.percent()?),
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
        Aspect::PortDescription => Item::PortDescription(said.port()?),
        Aspect::PortPart(part) => Item::PortPart(said.port()?, part.of(said)?),
        Aspect::Mac => Item::Mac(static_mac(said)?),
        Aspect::MacAgeing => Item::MacAgeing,
        Aspect::Mirror => Item::Mirror(said.mirror()?),
        Aspect::Address => Item::Address(management::which(said)),
        Aspect::Groups(part) => Item::Groups(part),
        Aspect::Guest => Item::Guest(said.guest()?),
        Aspect::GuestAddress => Item::GuestAddress(said.guest()?, said.address()?),
        Aspect::GuestProbeSource => Item::GuestProbeSource(said.guest()?, said.probe_source()?),
        Aspect::GuestDescription => Item::GuestDescription(said.guest()?),
        Aspect::GuestTrust => Item::GuestTrust(said.guest()?, said.choices().find_map(trust)?),
        Aspect::Service => Item::Service(said.service()?),
        Aspect::Part(part) => Item::Part(said.service()?, part),
        Aspect::Real => Item::Real(said.service()?, said.guest()?),
        Aspect::RealPort => Item::RealPort(said.service()?, said.guest()?),
        Aspect::RealWeight => Item::RealWeight(said.service()?, said.guest()?),
        Aspect::RealFlowsMax => Item::RealFlowsMax(said.service()?, said.guest()?),
        Aspect::RealCheck => Item::RealCheck(said.service()?, said.guest()?),
    })
}

fn trust(choice: Choice) -> Option<Trust> {
    match choice {
        Choice::Trust(trust) => Some(trust),
        _ => None,
    }
}

fn static_mac(said: &Sentence) -> Option<StaticMac> {
    Some(StaticMac { mac: said.mac()?, vlan: said.vlan().unwrap_or(0) })
}

fn addresses(said: &Sentence) -> Vec<IpAddr> {
    let address = |value: &Value| match value {
        Value::Address(address) => Some(*address),
        _ => None,
    };
    said.said.iter().filter_map(|said| address(&said.value)).collect()
}

fn probe_sources(said: &Sentence) -> Vec<IpAddr> {
    let source = |value: &Value| match value {
        Value::ProbeSource(address) => Some(*address),
        _ => None,
    };
    said.said.iter().filter_map(|said| source(&said.value)).collect()
}

impl ServiceSetting {
    pub const fn part(&self) -> ServicePart {
        match self {
            ServiceSetting::Description(_) => ServicePart::Description,
            ServiceSetting::Vip(_) => ServicePart::Vip,
            ServiceSetting::Scheduler(_) => ServicePart::Scheduler,
            ServiceSetting::Forwarding(_) => ServicePart::Forwarding,
            ServiceSetting::Persistence(_) => ServicePart::Persistence,
            ServiceSetting::Empty(_) => ServicePart::Empty,
            ServiceSetting::FlowsMax(_) => ServicePart::FlowsMax,
            ServiceSetting::Idle(_) => ServicePart::Idle,
            ServiceSetting::OnePacket => ServicePart::OnePacket,
            ServiceSetting::Check(_) => ServicePart::Check,
            ServiceSetting::Agent(_) => ServicePart::Agent,
            ServiceSetting::SlowStart(_) => ServicePart::SlowStart,
            ServiceSetting::DrainTimeout(_) => ServicePart::DrainTimeout,
            ServiceSetting::OnDown(_) => ServicePart::OnDown,
            ServiceSetting::Panic(_) => ServicePart::Panic,
        }
    }
}

impl ServicePart {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServicePart::Description => "description",
            ServicePart::Vip => "vip",
            ServicePart::Scheduler => "scheduler",
            ServicePart::Forwarding => "forwarding",
            ServicePart::Persistence => "persistence",
            ServicePart::Empty => "empty",
            ServicePart::FlowsMax => "max-flows",
            ServicePart::Idle => "idle",
            ServicePart::OnePacket => "one-packet",
            ServicePart::Check => "check",
            ServicePart::Agent => "agent",
            ServicePart::SlowStart => "slow-start",
            ServicePart::DrainTimeout => "drain-timeout",
            ServicePart::OnDown => "on-down",
            ServicePart::Panic => "panic",
        }
    }
}
