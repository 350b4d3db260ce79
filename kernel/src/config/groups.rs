//! `set switch …`: how multicast groups are listened for, and asked for.

use alloc::boxed::Box;
use core::fmt;
use core::mem::take;
use core::time::Duration;

use lb::switch::vlan::VlanSet;
use lb::{GroupRules, Querier, Vlans};

use super::print::clause;
use crate::shell::parse::Sentence;
use crate::shell::value::Time;

/// What was stated of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupConfig {
    /// Where nobody listens.
    pub snooping_off: Option<InVlans>,
    pub querier: Option<QuerierConfig>,
    /// What is for a group that nobody is in goes everywhere.
    pub flood_unknown: bool,
}

/// These VLANs; without, all.
pub type InVlans = Option<Box<VlanSet>>;

/// `set switch querier …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuerierConfig {
    pub interval: Option<Duration>,
    pub vlans: InVlans,
}

/// One statement about groups; each is said as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupSetting {
    SnoopingOff(InVlans),
    Querier(QuerierConfig),
    FloodUnknown,
}

/// Which [`GroupSetting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupPart {
    Querier,
    Snooping,
    Unknown,
}

impl GroupSetting {
    /// The statement that a sentence makes.
    pub(super) fn of(part: GroupPart, said: &Sentence) -> GroupSetting {
        match part {
            GroupPart::Querier => {
                GroupSetting::Querier(QuerierConfig { interval: said.time(), vlans: said.vlans() })
            }
            GroupPart::Snooping => GroupSetting::SnoopingOff(said.vlans()),
            GroupPart::Unknown => GroupSetting::FloodUnknown,
        }
    }

    pub const fn part(&self) -> GroupPart {
        match self {
            GroupSetting::Querier(_) => GroupPart::Querier,
            GroupSetting::SnoopingOff(_) => GroupPart::Snooping,
            GroupSetting::FloodUnknown => GroupPart::Unknown,
        }
    }
}

impl GroupConfig {
    pub(super) fn set(&mut self, setting: &GroupSetting) {
        match setting.clone() {
            GroupSetting::Querier(querier) => self.querier = Some(querier),
            GroupSetting::SnoopingOff(vlans) => self.snooping_off = Some(vlans),
            GroupSetting::FloodUnknown => self.flood_unknown = true,
        }
    }

    /// What was stated, in the order of the parts.
    pub(super) fn settings(&self) -> impl Iterator<Item = GroupSetting> {
        let settings = [
            self.querier.clone().map(GroupSetting::Querier),
            self.snooping_off.clone().map(GroupSetting::SnoopingOff),
            self.flood_unknown.then_some(GroupSetting::FloodUnknown),
        ];
        settings.into_iter().flatten()
    }

    /// Takes a statement away; whether it was there.
    pub(super) fn delete(&mut self, part: GroupPart) -> bool {
        match part {
            GroupPart::Querier => self.querier.take().is_some(),
            GroupPart::Snooping => self.snooping_off.take().is_some(),
            GroupPart::Unknown => take(&mut self.flood_unknown),
        }
    }

    /// What the switch is told.
    pub(super) fn rules(&self) -> GroupRules {
        let vlans = |vlans: &InVlans| vlans.clone().map_or(Vlans::All, Vlans::These);
        let querier = |said: &QuerierConfig| Querier {
            interval: said.interval.unwrap_or(Querier::INTERVAL),
            vlans: vlans(&said.vlans),
        };
        GroupRules {
            unheard: self.snooping_off.as_ref().map(vlans),
            querier: self.querier.as_ref().map(querier),
            flood_unknown: self.flood_unknown,
        }
    }
}

impl GroupPart {
    pub const ALL: [GroupPart; 3] = [GroupPart::Querier, GroupPart::Snooping, GroupPart::Unknown];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            GroupPart::Querier => "querier",
            GroupPart::Snooping => "snooping",
            GroupPart::Unknown => "unknown-groups",
        }
    }
}

impl fmt::Display for GroupSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part().as_str())?;
        match self {
            GroupSetting::Querier(QuerierConfig { interval, vlans }) => {
                clause(f, "interval", &interval.map(Time))?;
                clause(f, "vlan", vlans)
            }
            GroupSetting::SnoopingOff(vlans) => {
                f.write_str(" off")?;
                clause(f, "vlan", vlans)
            }
            GroupSetting::FloodUnknown => f.write_str(" flood"),
        }
    }
}
