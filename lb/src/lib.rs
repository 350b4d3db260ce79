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

pub mod access;
pub mod addr;
pub mod check;
pub mod command;
pub mod dataplane;
pub mod decisions;
pub mod event;
pub mod explain;
pub mod fdb;
pub mod flow;
pub mod fragments;
pub mod frame;
pub mod guest;
pub mod limits;
pub mod load;
pub mod management;
pub mod meter;
pub mod name;
pub mod neighbor;
pub mod outbox;
pub mod passive;
pub mod persist;
pub mod police;
pub mod port;
pub mod probe;
pub mod ramp;
pub mod report;
pub mod sched;
pub mod service;
pub mod severance;
pub mod standing;
pub mod tables;
pub mod time;
pub mod trace;
pub mod verdict;
pub mod vlan;
pub mod wire;

pub use access::{AccessList, AccessRule};
pub use addr::{MacAddr, Protocol};
pub use check::{Agent, Check, CheckKind, Expect, Failure, Watch};
pub use command::{Command, Refusal};
pub use dataplane::{Capacity, Dataplane, ReportCounters, Reports};
pub use event::Event;
pub use frame::Frame;
pub use guest::{Guest, GuestId, GuestSpec, Trust, Trusts};
pub use management::{AddressSource, AddressSpec, HostAddress, ManagementSpec};
pub use name::Name;
pub use neighbor::Health;
pub use outbox::Origin;
pub use police::{Policer, StormLimits};
pub use port::{Port, PortId, PortRules, PortSet, Role};
pub use probe::ProbeCounters;
pub use service::{
    AdminState, Empty, Forwarding, Persistence, Real, RealId, RealSpec, Scheduler, Service,
    ServiceId, ServiceSpec,
};
pub use severance::{OnDown, Severed};
pub use standing::{Ineligible, Sources, Standing, WeightFactors};
pub use tables::Tables;
pub use time::Instant;
pub use trace::Trace;
pub use verdict::{DropReason, Endings, Verdict};
pub use vlan::{Departure, Entry, PortVlan, VlanId, VlanSet};
