//! What the switch decides, and nothing else.
//!
//! `lb` knows frames as bytes, tables, and the time it is told. It touches no device, reads no
//! clock, draws no random number and allocates only in constructors (and a table of 64 KiB when a
//! service is set to `mh`), so one seed replays a whole world of switches, guests and clients, and
//! every test of a decision runs on the host.
//!
//! The way in is [`Dataplane`]: `receive_batch` decides about frames (and rewrites them in place),
//! `apply` changes a table, `housekeep` does a bounded slice of what time brings, and whatever
//! the switch itself wants to say waits in the `outbox`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod addr;
pub mod command;
pub mod dataplane;
pub mod event;
pub mod explain;
pub mod flow;
pub mod frame;
pub mod guest;
pub mod limits;
pub mod management;
pub mod name;
pub mod outbox;
pub mod service;
pub mod switch;
pub mod tables;
pub mod time;
pub mod verdict;
pub mod wire;

pub use addr::{MacAddr, Protocol};
pub use command::{Command, Refusal};
pub use dataplane::{Capacity, Dataplane, ReportCounters, Reports};
pub use event::Event;
pub use explain::trace::Trace;
pub use frame::Frame;
pub use guest::neighbor::Health;
pub use guest::{Guest, GuestId, GuestSpec, Trust, Trusts};
pub use management::{AddressSource, AddressSpec, HostAddress, ManagementSpec};
pub use name::Name;
pub use outbox::Origin;
pub use service::check::{Agent, Check, CheckKind, Expect, Failure, Watch};
pub use service::probe::ProbeCounters;
pub use service::severance::{OnDown, Severed};
pub use service::standing::{Ineligible, Sources, Standing, WeightFactors};
pub use service::{
    AdminState, Empty, Forwarding, Persistence, Real, RealId, RealSpec, Scheduler, Service,
    ServiceId, ServiceSpec,
};
pub use switch::access::{AccessList, AccessRule};
pub use switch::filter::{Filter, Proto, Way};
pub use switch::groups::{GroupRules, Querier, Vlans};
pub use switch::lldp::{Identity, Lldp, LldpCounters, Peer, Peers};
pub use switch::mirror::{CopyEnd, Mirror, MirrorCounters, MirrorSpec, Mirrors};
pub use switch::police::{Policer, StormLimits};
pub use switch::port::{Port, PortId, PortRules, PortSet, Role};
pub use switch::vlan::{Departure, Entry, PortVlan, VlanId, VlanSet};
pub use tables::Tables;
pub use time::Instant;
pub use verdict::{DropReason, Endings, Verdict};
