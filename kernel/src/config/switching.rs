//! What is stated of the switch itself: the VLANs and rules of ports, and where a MAC is for good.

use core::fmt;
use core::mem::take;
use core::net::IpAddr;
use core::num::NonZeroU32;

use lb::switch::access::{Hosts, Ports, Target, Transport};
use lb::switch::mtu::Mtu;
use lb::{AccessRule, Lldp, MacAddr, Name, Policer, PortRules, PortVlan, StormLimits, VlanId};

use super::print::InWords;
use crate::shell::parse::Sentence;
use crate::shell::value::{Choice, FrameRate, Rate, Value};

/// `set port P …`, its role aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRule {
    FastLeave,
    /// Nothing is flooded to it.
    NoFlood,
    Group(Name),
    Isolated,
    /// Nothing is learned there.
    NoLearning,
    Lldp(Lldp),
    Locked,
    MaxMacs(NonZeroU32),
    Mtu(Mtu),
    PoliceIn(Policer),
    PoliceOut(Policer),
    Rule(AccessRule),
    /// Of an uplink.
    Standby,
    StormLimit(StormLimits),
    Vlan(PortVlan),
}

/// Which [`PortRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortPart {
    FastLeave,
    Flood,
    Group,
    Isolated,
    Learning,
    Lldp,
    Locked,
    MaxMacs,
    Mtu,
    PoliceIn,
    PoliceOut,
    /// Of this number.
    Rule(u16),
    Standby,
    StormLimit,
    Vlan,
}

/// Which static MAC; in VLAN 0 it is in that of the port's untagged frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StaticMac {
    pub mac: MacAddr,
    pub vlan: u16,
}

impl PortRule {
    /// The rule that a sentence states.
    pub(super) fn of(part: PortPart, said: &Sentence) -> Option<PortRule> {
        Some(match part {
            PortPart::FastLeave => PortRule::FastLeave,
            PortPart::Flood => PortRule::NoFlood,
            PortPart::Group => PortRule::Group(said.group()?),
            PortPart::Isolated => PortRule::Isolated,
            PortPart::Learning => PortRule::NoLearning,
            PortPart::Lldp => PortRule::Lldp(lldp(said)?),
            PortPart::Locked => PortRule::Locked,
            PortPart::MaxMacs => PortRule::MaxMacs(said.macs_max()?),
            PortPart::Mtu => PortRule::Mtu(said.mtu()?),
            PortPart::PoliceIn => PortRule::PoliceIn(policer(said)?),
            PortPart::PoliceOut => PortRule::PoliceOut(policer(said)?),
            PortPart::Rule(_) => PortRule::Rule(access_rule(said)?),
            PortPart::Standby => PortRule::Standby,
            PortPart::StormLimit => PortRule::StormLimit(storm_limits(said)?),
            PortPart::Vlan => {
                let vlan = said.vlan().and_then(VlanId::new);
                PortRule::Vlan(match said.choice()? {
                    Choice::Trunk => PortVlan::Trunk { tagged: said.vlans()?, native: vlan },
                    _ => PortVlan::Access(vlan?),
                })
            }
        })
    }

    pub const fn part(&self) -> PortPart {
        match self {
            PortRule::FastLeave => PortPart::FastLeave,
            PortRule::NoFlood => PortPart::Flood,
            PortRule::Group(_) => PortPart::Group,
            PortRule::Isolated => PortPart::Isolated,
            PortRule::NoLearning => PortPart::Learning,
            PortRule::Lldp(_) => PortPart::Lldp,
            PortRule::Locked => PortPart::Locked,
            PortRule::MaxMacs(_) => PortPart::MaxMacs,
            PortRule::Mtu(_) => PortPart::Mtu,
            PortRule::PoliceIn(_) => PortPart::PoliceIn,
            PortRule::PoliceOut(_) => PortPart::PoliceOut,
            PortRule::Rule(rule) => PortPart::Rule(rule.number),
            PortRule::Standby => PortPart::Standby,
            PortRule::StormLimit(_) => PortPart::StormLimit,
            PortRule::Vlan(_) => PortPart::Vlan,
        }
    }

    pub(super) fn state(&self, rules: &mut PortRules) {
        match self {
            PortRule::FastLeave => rules.fast_leave = true,
            PortRule::NoFlood => rules.flood = false,
            PortRule::Group(group) => rules.group = Some(group.clone()),
            PortRule::Isolated => rules.isolated = true,
            PortRule::NoLearning => rules.learning = false,
            PortRule::Lldp(lldp) => rules.lldp = Some(*lldp),
            PortRule::Locked => rules.locked = true,
            PortRule::MaxMacs(max) => rules.macs_max = Some(*max),
            PortRule::Mtu(mtu) => rules.mtu = *mtu,
            PortRule::PoliceIn(policer) => rules.police_in = *policer,
            PortRule::PoliceOut(policer) => rules.police_out = *policer,
            PortRule::Rule(rule) => {
                let at = rules.access.binary_search_by_key(&rule.number, |its| its.number);
                match at {
                    Ok(at) => rules.access[at] = rule.clone(),
                    Err(at) => rules.access.insert(at, rule.clone()),
                }
            }
            PortRule::Standby => rules.standby = true,
            PortRule::StormLimit(limits) => rules.storm = Some(*limits),
            PortRule::Vlan(vlan) => rules.vlan = vlan.clone(),
        }
    }

    /// The rules that were stated of a port, in the order of their parts.
    pub(super) fn all(rules: &PortRules) -> impl Iterator<Item = PortRule> {
        let has_mtu = rules.mtu != Mtu::DEFAULT;
        let has_vlan = rules.vlan != PortVlan::Transparent;
        let policer = |policer: Policer| Some(policer).filter(|its| *its != Policer::default());
        let before = [
            rules.fast_leave.then_some(PortRule::FastLeave),
            (!rules.flood).then_some(PortRule::NoFlood),
            rules.group.clone().map(PortRule::Group),
            rules.isolated.then_some(PortRule::Isolated),
            (!rules.learning).then_some(PortRule::NoLearning),
            rules.lldp.map(PortRule::Lldp),
            rules.locked.then_some(PortRule::Locked),
            rules.macs_max.map(PortRule::MaxMacs),
            has_mtu.then_some(PortRule::Mtu(rules.mtu)),
            policer(rules.police_in).map(PortRule::PoliceIn),
            policer(rules.police_out).map(PortRule::PoliceOut),
        ];
        let access = rules.access.iter().cloned().map(PortRule::Rule);
        let behind = [
            rules.standby.then_some(PortRule::Standby),
            rules.storm.map(PortRule::StormLimit),
            has_vlan.then(|| PortRule::Vlan(rules.vlan.clone())),
        ];
        before.into_iter().flatten().chain(access).chain(behind.into_iter().flatten())
    }
}

fn lldp(said: &Sentence) -> Option<Lldp> {
    said.choices().find_map(|choice| match choice {
        Choice::Lldp(lldp) => Some(lldp),
        _ => None,
    })
}

/// At least one of bits and frames.
fn policer(said: &Sentence) -> Option<Policer> {
    let more = said.frame_rate().map(|FrameRate(frames)| frames);
    Some(match said.rate()? {
        Rate::Bits(bits) => Policer { bits: Some(bits), frames: more },
        Rate::Frames(frames) => Policer { bits: None, frames: more.or(Some(frames)) },
    })
}

/// So many of each kind, or as many as come, and of some so many.
fn storm_limits(said: &Sentence) -> Option<StormLimits> {
    let each = said.storm_rate()?.map_or(StormLimits::default(), |rate| StormLimits::each(rate.0));
    let or = |one: Option<FrameRate>, each| one.map(|FrameRate(frames)| frames).or(each);
    Some(StormLimits {
        broadcast: or(said.broadcasts(), each.broadcast),
        multicast: or(said.multicasts(), each.multicast),
        unknown: or(said.unknowns(), each.unknown),
    })
}

fn access_rule(said: &Sentence) -> Option<AccessRule> {
    let number = said.rule_number()?;
    let action = said.choices().find_map(|choice| match choice {
        Choice::Rule(action) => Some(action),
        _ => None,
    })?;
    let transport = said.choices().find_map(|choice| match choice {
        Choice::Icmp => Some(Transport::Icmp),
        Choice::Protocol(protocol) => Some(Transport::Of(protocol, said.ports())),
        _ => None,
    });
    let to = match (said.service(), said.prefix()) {
        (Some(service), _) => Target::Service(service),
        (None, Some(prefix)) => {
            Target::Hosts(Hosts { address: prefix.address, prefix_len: prefix.len, transport })
        }
        (None, None) => Target::Any,
    };
    Some(AccessRule { number, action, to })
}

impl PortPart {
    pub const ALL: [PortPart; 15] = [
        PortPart::FastLeave,
        PortPart::Flood,
        PortPart::Group,
        PortPart::Isolated,
        PortPart::Learning,
        PortPart::Lldp,
        PortPart::Locked,
        PortPart::MaxMacs,
        PortPart::Mtu,
        PortPart::PoliceIn,
        PortPart::PoliceOut,
        PortPart::Rule(1),
        PortPart::Standby,
        PortPart::StormLimit,
        PortPart::Vlan,
    ];

    /// The words of the configuration, a rule's number aside.
    pub const fn as_str(self) -> &'static str {
        match self {
            PortPart::FastLeave => "fast-leave",
            PortPart::Flood => "flood",
            PortPart::Group => "group",
            PortPart::Isolated => "isolated",
            PortPart::Learning => "learning",
            PortPart::Lldp => "lldp",
            PortPart::Locked => "locked",
            PortPart::MaxMacs => "max-macs",
            PortPart::Mtu => "mtu",
            PortPart::PoliceIn => "police in",
            PortPart::PoliceOut => "police out",
            PortPart::Rule(_) => "rule",
            PortPart::Standby => "standby",
            PortPart::StormLimit => "storm-limit",
            PortPart::Vlan => "vlan",
        }
    }

    /// The part of a port that a sentence is about: a rule has a number.
    pub(super) fn of(self, said: &Sentence) -> Option<PortPart> {
        match self {
            PortPart::Rule(_) => said.rule_number().map(PortPart::Rule),
            other => Some(other),
        }
    }

    /// Whether this is the value of a sentence that it begins with.
    pub(super) fn begins(self, value: &Value) -> bool {
        match self {
            PortPart::Group => matches!(value, Value::Group(_)),
            PortPart::MaxMacs => matches!(value, Value::MacsMax(_)),
            PortPart::Mtu => matches!(value, Value::Mtu(_)),
            PortPart::Rule(_) => matches!(value, Value::RuleNumber(_)),
            PortPart::StormLimit => matches!(value, Value::StormRate(_)),
            PortPart::FastLeave
            | PortPart::Flood
            | PortPart::Isolated
            | PortPart::Learning
            | PortPart::Lldp
            | PortPart::Locked
            | PortPart::PoliceIn
            | PortPart::PoliceOut
            | PortPart::Standby
            | PortPart::Vlan => matches!(value, Value::Choice(_)),
        }
    }

    /// Takes the rule away; whether it was there.
    pub(super) fn delete(self, rules: &mut PortRules) -> bool {
        match self {
            PortPart::FastLeave => take(&mut rules.fast_leave),
            PortPart::Flood => !core::mem::replace(&mut rules.flood, true),
            PortPart::Group => rules.group.take().is_some(),
            PortPart::Isolated => take(&mut rules.isolated),
            PortPart::Learning => !core::mem::replace(&mut rules.learning, true),
            PortPart::Lldp => rules.lldp.take().is_some(),
            PortPart::Locked => take(&mut rules.locked),
            PortPart::MaxMacs => rules.macs_max.take().is_some(),
            PortPart::Mtu => take(&mut rules.mtu) != Mtu::DEFAULT,
            PortPart::PoliceIn => take(&mut rules.police_in) != Policer::default(),
            PortPart::PoliceOut => take(&mut rules.police_out) != Policer::default(),
            PortPart::Rule(number) => {
                let before = rules.access.len();
                rules.access.retain(|rule| rule.number != number);
                rules.access.len() < before
            }
            PortPart::Standby => take(&mut rules.standby),
            PortPart::StormLimit => rules.storm.take().is_some(),
            PortPart::Vlan => take(&mut rules.vlan) != PortVlan::Transparent,
        }
    }
}

impl fmt::Display for PortPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            PortPart::Rule(number) => write!(f, " {number}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for PortRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.part().fmt(f)?;
        match self {
            PortRule::NoFlood | PortRule::NoLearning => f.write_str(" off"),
            PortRule::FastLeave
            | PortRule::Isolated
            | PortRule::Locked
            | PortRule::Standby
            | PortRule::Vlan(PortVlan::Transparent) => Ok(()),
            PortRule::Group(group) => write!(f, " {group}"),
            PortRule::Lldp(lldp) => write!(f, " {}", lldp.as_str()),
            PortRule::MaxMacs(max) => write!(f, " {max}"),
            PortRule::Mtu(mtu) => write!(f, " {mtu}"),
            PortRule::PoliceIn(policer) | PortRule::PoliceOut(policer) => {
                let bits = policer.bits.map(Rate::Bits);
                let frames = policer.frames.map(Rate::Frames);
                bits.iter().chain(&frames).try_for_each(|rate| write!(f, " {rate}"))
            }
            PortRule::Rule(AccessRule { action, to, .. }) => {
                write!(f, " {} {}", action.as_str(), InWords(to))
            }
            PortRule::StormLimit(limits) => write!(f, " {}", InWords(limits)),
            PortRule::Vlan(PortVlan::Access(vlan)) => write!(f, " access {vlan}"),
            PortRule::Vlan(PortVlan::Trunk { tagged, native }) => {
                write!(f, " trunk {tagged}")?;
                super::print::clause(f, "native", native)
            }
        }
    }
}

impl fmt::Display for InWords<'_, StormLimits> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.0;
        if let Some(each) = limits.broadcast.filter(|&each| *limits == StormLimits::each(each)) {
            return FrameRate(each).fmt(f);
        }
        f.write_str("off")?;
        super::print::clause(f, "broadcast", &limits.broadcast.map(FrameRate))?;
        super::print::clause(f, "multicast", &limits.multicast.map(FrameRate))?;
        super::print::clause(f, "unknown", &limits.unknown.map(FrameRate))
    }
}

impl fmt::Display for InWords<'_, Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = match self.0 {
            Target::Any => return f.write_str("any"),
            Target::Service(service) => return write!(f, "service {service}"),
            Target::Hosts(hosts) => hosts,
        };
        let Hosts { address, prefix_len, transport } = hosts;
        let is_one = usize::from(*prefix_len) == octets_of(*address) * 8;
        write!(f, "address {address}")?;
        if !is_one {
            write!(f, "/{prefix_len}")?;
        }
        match transport {
            None => Ok(()),
            Some(Transport::Icmp) => f.write_str(" icmp"),
            Some(Transport::Of(protocol, None)) => write!(f, " {protocol}"),
            Some(Transport::Of(protocol, Some(Ports { first, last }))) if first == last => {
                write!(f, " {protocol} {first}")
            }
            Some(Transport::Of(protocol, Some(Ports { first, last }))) => {
                write!(f, " {protocol} {first}-{last}")
            }
        }
    }
}

const fn octets_of(address: IpAddr) -> usize {
    if address.is_ipv4() { 4 } else { 16 }
}

/// As `delete` names it.
impl fmt::Display for StaticMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mac {}", self.mac)?;
        if self.vlan == 0 { Ok(()) } else { write!(f, " vlan {}", self.vlan) }
    }
}
