//! Ports: where NICs attach to the switch.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::limits::PORTS_MAX;
use crate::switch::mtu::Mtu;
use crate::{AccessRule, Lldp, Name, Policer, PortVlan, StormLimits};

/// A port's number: its index in every per-port table, below [`PORTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u8);

/// What a port is for. Nothing goes from uplink to uplink; guests' rights end at guest ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Uplink,
    Guest,
}

/// What a port lets through, as an operator says it; by default everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRules {
    pub vlan: PortVlan,
    /// Nothing is switched between two ports that are; services and all other ports are reached.
    pub isolated: bool,
    /// The same, but that those of one group reach each other.
    pub group: Option<Name>,
    /// Where stations are is learned from what they send.
    pub learning: bool,
    /// It gets what goes to a station that nobody knows.
    pub flood: bool,
    /// Only stations that are defined here may send.
    pub locked: bool,
    /// Stations that may be known here at once, each in its VLAN; who comes then may not send.
    pub macs_max: Option<NonZeroU32>,
    /// The longest packet.
    pub mtu: Mtu,
    /// What may be sent to from here, in the order of the rules' numbers; everything if there is none.
    pub access: Vec<AccessRule>,
    /// What may come in here, and what may leave.
    pub police_in: Policer,
    pub police_out: Policer,
    /// Of an uplink: it carries nothing while one that does not stand by has its link up.
    pub standby: bool,
    /// What may go from here to many ports; what its role says if nothing else is said.
    pub storm: Option<StormLimits>,
    /// Who leaves a group here leaves nobody behind in it.
    pub fast_leave: bool,
    /// Who is told who we are, and heard; what its role says if nothing else is said.
    pub lldp: Option<Lldp>,
}

impl PortRules {
    /// Whether nothing is switched from a port with these rules to one with those, or back.
    pub(crate) fn part(&self, other: &PortRules) -> bool {
        let is_apart = |rules: &PortRules| rules.isolated || rules.group.is_some();
        let is_together = !self.isolated && !other.isolated && self.group == other.group;
        is_apart(self) && is_apart(other) && !is_together
    }
}

/// One attachment point, as the switch sees it.
#[derive(Clone, Debug)]
pub struct Port {
    pub name: Name,
    pub role: Role,
    pub rules: PortRules,
    /// Whether the NIC says that its link is up.
    pub link_up: bool,
}

impl Port {
    /// What it does about LLDP.
    pub fn lldp(&self) -> Lldp {
        self.rules.lldp.unwrap_or(Lldp::of(self.role))
    }
}

/// A set of ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSet(u64);

impl PortId {
    pub const FIRST: PortId = PortId(0);

    /// `None` at or above [`PORTS_MAX`].
    pub const fn new(index: usize) -> Option<PortId> {
        if index < PORTS_MAX { Some(PortId(index as u8)) } else { None }
    }

    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Role {
    pub const ALL: [Role; 2] = [Role::Uplink, Role::Guest];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Uplink => "uplink",
            Role::Guest => "guest",
        }
    }
}

impl Default for PortRules {
    fn default() -> Self {
        PortRules {
            vlan: PortVlan::Transparent,
            isolated: false,
            group: None,
            learning: true,
            flood: true,
            locked: false,
            macs_max: None,
            mtu: Mtu::DEFAULT,
            access: Vec::new(),
            police_in: Policer::default(),
            police_out: Policer::default(),
            standby: false,
            storm: None,
            fast_leave: false,
            lldp: None,
        }
    }
}

impl PortSet {
    pub const EMPTY: PortSet = PortSet(0);

    #[must_use]
    pub const fn with(self, port: PortId) -> PortSet {
        PortSet(self.0 | 1 << port.0)
    }

    #[must_use]
    pub const fn without(self, port: PortId) -> PortSet {
        PortSet(self.0 & !(1 << port.0))
    }

    #[must_use]
    pub const fn minus(self, other: PortSet) -> PortSet {
        PortSet(self.0 & !other.0)
    }

    #[must_use]
    pub const fn or(self, other: PortSet) -> PortSet {
        PortSet(self.0 | other.0)
    }

    /// The whole set to a member of it, to others nothing.
    #[must_use]
    pub const fn if_in(self, port: PortId) -> PortSet {
        if self.contains(port) { self } else { PortSet::EMPTY }
    }

    #[must_use]
    pub const fn and(self, other: PortSet) -> PortSet {
        PortSet(self.0 & other.0)
    }

    pub const fn contains(self, port: PortId) -> bool {
        self.0 & (1 << port.0) != 0
    }

    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Iterator for PortSet {
    type Item = PortId;

    /// Takes the lowest port out of the set.
    fn next(&mut self) -> Option<PortId> {
        if self.is_empty() {
            return None;
        }
        let lowest = PortId(self.0.trailing_zeros() as u8);
        *self = self.without(lowest);
        Some(lowest)
    }
}

impl FromIterator<PortId> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortId>>(ports: I) -> Self {
        ports.into_iter().fold(PortSet::EMPTY, PortSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_set_gives_back_what_went_in() {
        let ports: Vec<_> = [0, 5, 63].into_iter().map(|i| PortId::new(i).unwrap()).collect();
        let set: PortSet = ports.iter().copied().collect();
        assert_eq!(set.len(), 3);
        assert_eq!(set.collect::<Vec<_>>(), ports);
        assert!(!set.without(ports[2]).contains(ports[2]));
        assert_eq!(PortId::new(PORTS_MAX), None);
    }
}
