//! What is stated of the switch itself: the VLANs and rules of ports, and where a MAC is for good.

use core::fmt;
use core::mem::take;

use lb::{MacAddr, PortRules, PortVlan, VlanId};

use crate::shell::parse::Sentence;
use crate::shell::value::Choice;

/// `set port P …`, its role aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRule {
    /// Nothing is flooded to it.
    NoFlood,
    Isolated,
    /// Nothing is learned there.
    NoLearning,
    Locked,
    Vlan(PortVlan),
}

/// Which [`PortRule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortPart {
    Flood,
    Isolated,
    Learning,
    Locked,
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
            PortPart::Flood => PortRule::NoFlood,
            PortPart::Isolated => PortRule::Isolated,
            PortPart::Learning => PortRule::NoLearning,
            PortPart::Locked => PortRule::Locked,
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
            PortRule::NoFlood => PortPart::Flood,
            PortRule::Isolated => PortPart::Isolated,
            PortRule::NoLearning => PortPart::Learning,
            PortRule::Locked => PortPart::Locked,
            PortRule::Vlan(_) => PortPart::Vlan,
        }
    }

    pub(super) fn state(&self, rules: &mut PortRules) {
        match self {
            PortRule::NoFlood => rules.flood = false,
            PortRule::Isolated => rules.isolated = true,
            PortRule::NoLearning => rules.learning = false,
            PortRule::Locked => rules.locked = true,
            PortRule::Vlan(vlan) => rules.vlan = vlan.clone(),
        }
    }

    /// The rules that were stated of a port.
    pub(super) fn all(rules: &PortRules) -> impl Iterator<Item = PortRule> {
        let has_vlan = rules.vlan != PortVlan::Transparent;
        let stated = [
            (!rules.flood).then_some(PortRule::NoFlood),
            rules.isolated.then_some(PortRule::Isolated),
            (!rules.learning).then_some(PortRule::NoLearning),
            rules.locked.then_some(PortRule::Locked),
            has_vlan.then(|| PortRule::Vlan(rules.vlan.clone())),
        ];
        stated.into_iter().flatten()
    }
}

impl PortPart {
    pub const ALL: [PortPart; 5] =
        [PortPart::Flood, PortPart::Isolated, PortPart::Learning, PortPart::Locked, PortPart::Vlan];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            PortPart::Flood => "flood",
            PortPart::Isolated => "isolated",
            PortPart::Learning => "learning",
            PortPart::Locked => "locked",
            PortPart::Vlan => "vlan",
        }
    }

    /// Takes the rule away; whether it was there.
    pub(super) fn delete(self, rules: &mut PortRules) -> bool {
        match self {
            PortPart::Flood => !core::mem::replace(&mut rules.flood, true),
            PortPart::Isolated => take(&mut rules.isolated),
            PortPart::Learning => !core::mem::replace(&mut rules.learning, true),
            PortPart::Locked => take(&mut rules.locked),
            PortPart::Vlan => take(&mut rules.vlan) != PortVlan::Transparent,
        }
    }
}

impl fmt::Display for PortRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part().as_str())?;
        match self {
            PortRule::NoFlood | PortRule::NoLearning => f.write_str(" off"),
            PortRule::Isolated | PortRule::Locked | PortRule::Vlan(PortVlan::Transparent) => Ok(()),
            PortRule::Vlan(PortVlan::Access(vlan)) => write!(f, " access {vlan}"),
            PortRule::Vlan(PortVlan::Trunk { tagged, native }) => {
                write!(f, " trunk {tagged}")?;
                super::print::clause(f, "native", native)
            }
        }
    }
}

/// As `delete` names it.
impl fmt::Display for StaticMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mac {}", self.mac)?;
        if self.vlan == 0 { Ok(()) } else { write!(f, " vlan {}", self.vlan) }
    }
}
