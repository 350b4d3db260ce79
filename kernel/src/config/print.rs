//! Statements as text: each prints as the line that makes it.

use core::fmt;
use core::num::NonZeroU16;

use lb::{Empty, Persistence};

use super::{Item, ServiceSetting, Setting, Statement, StaticMac, Vip, word_of};
use crate::shell::value::Time;

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
            Setting::MacAgeing(time) => write!(f, "system mac-ageing {}", Time(*time)),
            Setting::PortDescription { port, description } => {
                write!(f, "port {port} description {description}")
            }
            Setting::Address(said) => write!(f, "system address {}", InWords(said)),
            Setting::Groups(said) => write!(f, "switch {said}"),
            Setting::PortRule { port, rule } => write!(f, "port {port} {rule}"),
            Setting::Mac { mac: StaticMac { mac, vlan }, port } => {
                write!(f, "mac {mac} port {port}")?;
                clause(f, "vlan", &NonZeroU16::new(*vlan))
            }
            Setting::Guest { guest, port, mac, addresses, probe_sources, trusts, description } => {
                write!(f, "guest {guest}")?;
                clause(f, "port", port)?;
                clause(f, "mac", mac)?;
                addresses.iter().try_for_each(|address| write!(f, " address {address}"))?;
                probe_sources.iter().try_for_each(|source| write!(f, " probe-source {source}"))?;
                trusts.iter().try_for_each(|trust| write!(f, " trust {}", trust.as_str()))?;
                clause(f, "description", description)
            }
            Setting::Mirror { name, mirror } => write!(f, "mirror {name} {mirror}"),
            Setting::Service { service, setting } => write!(f, "service {service} {setting}"),
            Setting::Real { service, guest, real } => {
                write!(f, "service {service} real {guest}")?;
                clause(f, "port", &real.port)?;
                clause(f, "weight", &real.weight)?;
                clause(f, "max-flows", &real.flows_max)?;
                clause(f, "check", &real.check)
            }
        }
    }
}

/// ` word value`, if there is a value.
pub(super) fn clause(
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
            ServiceSetting::Description(text) => write!(f, " {text}"),
            ServiceSetting::Vip(vip) => write!(f, " {vip}"),
            ServiceSetting::Scheduler(scheduler) => write!(f, " {}", scheduler.as_str()),
            ServiceSetting::Forwarding(forwarding) => write!(f, " {}", forwarding.as_str()),
            ServiceSetting::Persistence(persistence) => write!(f, " {}", InWords(persistence)),
            ServiceSetting::Empty(empty) => write!(f, " {}", InWords(empty)),
            ServiceSetting::FlowsMax(flows) => write!(f, " {flows}"),
            ServiceSetting::Idle(idle) => write!(f, " {}", Time(*idle)),
            ServiceSetting::OnePacket => Ok(()),
            ServiceSetting::Check(check) => write!(f, " {check}"),
            ServiceSetting::Agent(agent) => write!(f, " {agent}"),
            ServiceSetting::SlowStart(time) | ServiceSetting::DrainTimeout(time) => {
                write!(f, " {}", Time(*time))
            }
            ServiceSetting::OnDown(on_down) => write!(f, " {}", on_down.as_str()),
            ServiceSetting::Panic(part) => write!(f, " {part}%"),
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
            Item::Hostname | Item::Flows | Item::MacAgeing | Item::Address(_) => {
                f.write_str("system")
            }
            Item::Groups(_) => f.write_str("switch"),
            Item::Port(port)
            | Item::PortRole(port)
            | Item::PortMatch(port)
            | Item::PortDescription(port)
            | Item::PortPart(port, _) => write!(f, "port {port}"),
            Item::Mac(mac) => write!(f, "{mac}"),
            Item::Mirror(name) => write!(f, "mirror {name}"),
            Item::Guest(guest)
            | Item::GuestPort(guest)
            | Item::GuestMac(guest)
            | Item::GuestAddress(guest, _)
            | Item::GuestProbeSource(guest, _)
            | Item::GuestTrust(guest, _)
            | Item::GuestDescription(guest) => write!(f, "guest {guest}"),
            Item::Service(service)
            | Item::Part(service, _)
            | Item::Real(service, _)
            | Item::RealPort(service, _)
            | Item::RealWeight(service, _)
            | Item::RealFlowsMax(service, _) => write!(f, "service {service}"),
            Item::RealCheck(service, guest) => write!(f, "service {service}: real {guest}"),
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
            Item::MacAgeing => f.write_str("system mac-ageing"),
            Item::Address(None) => f.write_str("system address"),
            Item::Address(Some(version)) => write!(f, "system address {}", word_of(*version)),
            Item::Groups(part) => write!(f, "switch {}", part.as_str()),
            Item::PortRole(port) => write!(f, "port {port} role"),
            Item::PortMatch(port) => write!(f, "port {port} match"),
            Item::PortDescription(port) => write!(f, "port {port} description"),
            Item::PortPart(port, part) => write!(f, "port {port} {part}"),
            Item::Mac(mac) => write!(f, "{mac}"),
            Item::Mirror(name) => write!(f, "mirror {name}"),
            Item::Guest(guest) => write!(f, "guest {guest}"),
            Item::GuestPort(guest) => write!(f, "guest {guest} port"),
            Item::GuestMac(guest) => write!(f, "guest {guest} mac"),
            Item::GuestAddress(guest, address) => write!(f, "guest {guest} address {address}"),
            Item::GuestTrust(guest, trust) => write!(f, "guest {guest} trust {}", trust.as_str()),
            Item::GuestProbeSource(guest, source) => {
                write!(f, "guest {guest} probe-source {source}")
            }
            Item::GuestDescription(guest) => write!(f, "guest {guest} description"),
            Item::Service(service) => write!(f, "service {service}"),
            Item::Part(service, part) => write!(f, "service {service} {}", part.as_str()),
            Item::Real(service, guest) => write!(f, "service {service} real {guest}"),
            Item::RealPort(service, guest) => write!(f, "service {service} real {guest} port"),
            Item::RealWeight(service, guest) => write!(f, "service {service} real {guest} weight"),
            Item::RealFlowsMax(service, guest) => {
                write!(f, "service {service} real {guest} max-flows")
            }
            Item::RealCheck(service, guest) => write!(f, "service {service} real {guest} check"),
        }
    }
}
