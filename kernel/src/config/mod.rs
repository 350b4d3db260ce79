//! The configuration: what the appliance is to be, as a value.
//!
//! Text and value go both ways. A line parses to a [`Statement`], statements make a [`Config`], a
//! `Config` gives back its statements sorted, and each prints as the line that makes it: what
//! `show configuration` prints can be pasted back byte for byte. A `Config` holds what was said
//! and nothing else: a default that nobody stated is not printed.
//!
//! A `Config` may be incomplete or contradict itself; [`check`] says where, or turns it into a
//! [`Plan`], which cannot. Only plans reach the tables.

pub mod archive;
mod check;
mod compare;
mod description;
mod edit;
mod finding;
mod groups;
mod management;
mod mirroring;
mod nic;
mod ports;
mod print;
mod probing;
mod statement;
mod switching;
mod text;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::{NonZeroU16, NonZeroU32};
use core::ops::RangeInclusive;
use core::time::Duration;

use drivers::pci::Address;
use lb::{
    AddressSpec, Empty, Forwarding, MacAddr, Name, OnDown, Persistence, PortRules, Protocol, Role,
    Scheduler, Trusts,
};

pub use check::{Macs, Plan, PortPlan, ServicePlan, check};
pub use compare::{Difference, compare};
pub use description::{Description, is_unseen};
pub use finding::{Finding, Wrong};
pub use groups::{GroupConfig, GroupPart, GroupSetting, InVlans, QuerierConfig};
pub use management::word_of;
pub use mirroring::{FilterConfig, MirrorConfig, way};
pub use nic::{NicId, NicMatch, parse_pci};
pub use ports::{awaited, seat};
pub use print::InWords;
pub use probing::{AgentConfig, Asking, Asks, CheckConfig};
pub use statement::{Item, ServicePart, ServiceSetting, Setting, Statement};
pub use switching::{PortPart, PortRule, StaticMac};
pub use text::{Reading, load, read};

/// Longest line, of a file and of the console.
pub const LINE_BYTES_MAX: usize = 1024;
/// Longest file. The tables hold fewer than 3,000 statements.
pub const LINES_MAX: usize = 10_000;
/// Where no more is taken in ([`Config::things`]). The tables hold some 4,000 things.
pub const THINGS_MAX: usize = 4096;
/// Sizes of the flow table that may be asked for; the memory may bound them too.
pub const FLOWS: RangeInclusive<u32> = 1024..=16_777_216;
/// A file with more errors than this is not read to its end.
pub const ERRORS_MAX: usize = 250;

/// The machine that a configuration is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The NICs that are there, were there or are awaited: a port each.
    pub nics: Vec<NicId>,
    /// Empty places that a NIC may be plugged into.
    pub bays: Vec<Address>,
    /// Flows that there is memory for.
    pub flows_fit: usize,
}

impl Site {
    /// Whether a NIC may come that this picks.
    pub fn may_come(&self, nic: &NicMatch) -> bool {
        match nic {
            NicMatch::Pci(pci) => self.bays.contains(pci),
            NicMatch::Mac(_) => !self.bays.is_empty(),
        }
    }
}

/// Everything that was stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub hostname: Option<Name>,
    /// Flows that the flow table has places for; it is made when the appliance starts.
    pub flows: Option<NonZeroU32>,
    /// How long a station may be silent until its MAC is forgotten.
    pub mac_ageing: Option<Duration>,
    /// Its own addresses, as a host: of IPv4, and of IPv6.
    pub addresses: [Option<AddressSpec>; 2],
    /// How multicast groups are listened for.
    pub groups: GroupConfig,
    pub ports: BTreeMap<Name, PortConfig>,
    pub guests: BTreeMap<Name, GuestConfig>,
    /// Static MACs, and the port of each.
    pub macs: BTreeMap<StaticMac, Name>,
    pub services: BTreeMap<Name, ServiceConfig>,
    pub mirrors: BTreeMap<Name, MirrorConfig>,
}

/// `set port …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortConfig {
    /// Without, what it is by default.
    pub role: Option<Role>,
    /// Which NIC it is; without, the one that has this name by default. Said with the role alone.
    pub nic: Option<NicMatch>,
    pub description: Option<Description>,
    pub rules: PortRules,
}

/// `set guest …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestConfig {
    pub port: Option<Name>,
    pub mac: Option<MacAddr>,
    /// In the order in which they were stated, each once.
    pub addresses: Vec<IpAddr>,
    /// Where probes come from, in the order in which they were stated, each once.
    pub probe_sources: Vec<IpAddr>,
    pub trusts: Trusts,
    pub description: Option<Description>,
}

/// `set service …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfig {
    pub description: Option<Description>,
    pub vip: Option<Vip>,
    pub scheduler: Option<Scheduler>,
    pub forwarding: Option<Forwarding>,
    pub persistence: Option<Persistence>,
    pub empty: Option<Empty>,
    pub flows_max: Option<NonZeroU32>,
    pub idle: Option<Duration>,
    pub one_packet: bool,
    pub check: Option<CheckConfig>,
    pub agent: Option<AgentConfig>,
    pub slow_start: Option<Duration>,
    pub drain_timeout: Option<Duration>,
    pub on_down: Option<OnDown>,
    /// Per cent.
    pub panic: Option<u8>,
    pub reals: BTreeMap<Name, RealConfig>,
}

/// Where clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vip {
    pub address: IpAddr,
    pub protocol: Protocol,
    pub port: NonZeroU16,
    /// On this VLAN and no other; 0 is untagged.
    pub vlan: u16,
}

/// `set service S real …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealConfig {
    pub port: Option<NonZeroU16>,
    pub weight: Option<u16>,
    pub flows_max: Option<NonZeroU32>,
    /// What it is asked instead of what the service's reals are.
    pub check: Option<CheckConfig>,
}
