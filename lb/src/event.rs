//! What an operator should hear of, without being asked.
//!
//! A bounded queue that the kernel writes into its log. When it is full an event is counted and
//! forgotten: the tables still say how things are.

use core::fmt;
use core::net::IpAddr;

use crate::limits::EVENTS_MAX;
use crate::service::passive::Cause;
use crate::{DropReason, Failure, Health, HostAddress, MacAddr, Name, Refusal, Severed};

/// Something that changed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A guest's probes found something else than before.
    GuestHealth { guest: Name, health: Health },
    /// A real gets no new flow for a while, by what its flows or its coming and going show.
    Ejected { service: Name, guest: Name, cause: Cause, seconds: u64 },
    /// That while is over.
    Returned { service: Name, guest: Name },
    /// A real's open flows are ended.
    Severed { service: Name, guest: Name, flows: u32, why: Severed },
    /// Too few of a service's reals work to believe it (`is_on`), or enough again.
    Panic { service: Name, is_on: bool },
    /// The checks of a real found something else than before, and the last failure if they failed.
    RealHealth { service: Name, guest: Name, health: Health, why: Option<Failure> },
    /// Somebody on an uplink says that the management address is his.
    AddressClaimed { address: IpAddr, mac: MacAddr },
    /// A server has lent the appliance an address, or it cannot have what was lent.
    Leased { host: HostAddress, refused: Option<Refusal> },
    /// A leased address is the appliance's no longer.
    LeaseLost { address: IpAddr },
    /// A MAC moves between ports faster than a station can; last it wanted to this one.
    MacMoves { mac: MacAddr, port: Name },
    /// An uplink that stood by carries frames now.
    TakesOver { port: Name },
    /// So many frames of a port were dropped for this since it was last said.
    Dropped { port: Name, reason: DropReason, frames: u64 },
}

#[derive(Default)]
pub struct Events {
    queue: heapless::Deque<Event, EVENTS_MAX>,
    lost: u64,
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.push_back(event).is_err() {
            self.lost += 1;
        }
    }

    pub fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// Events that found the queue full, since start.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::GuestHealth { guest, health: Health::Up } => {
                write!(f, "guest {guest} answers: it takes new flows")
            }
            Event::GuestHealth { guest, health: Health::Down } => {
                write!(f, "guest {guest} is silent: it gets no new flow")
            }
            Event::GuestHealth { guest, health: Health::Unknown } => {
                write!(f, "guest {guest} has not answered yet")
            }
            Event::Ejected { service, guest, cause: Cause::Failures, seconds } => {
                write!(f, "service {service}: flows to {guest} fail, ejected for {seconds} s")
            }
            Event::Ejected { service, guest, cause: Cause::Flaps, seconds } => {
                write!(f, "service {service}: {guest} comes and goes, ejected for {seconds} s")
            }
            Event::Returned { service, guest } => {
                write!(f, "service {service}: {guest} is no longer ejected")
            }
            Event::Severed { service, guest, flows, why } => {
                write!(f, "service {service}: {flows} open flows of {guest} are ended: {why}")
            }
            Event::Panic { service, is_on: true } => {
                write!(f, "service {service} has too few reals that work: checks are not believed")
            }
            Event::Panic { service, is_on: false } => {
                write!(f, "service {service} has enough reals that work: checks count again")
            }
            Event::RealHealth { service, guest, health: Health::Up | Health::Unknown, why: _ } => {
                write!(f, "real {guest} of service {service} passes its check: it takes new flows")
            }
            Event::RealHealth { service, guest, health: Health::Down, why } => {
                write!(f, "real {guest} of service {service} fails its check")?;
                why.map_or(Ok(()), |why| write!(f, " ({why})"))?;
                f.write_str(": it gets no new flow")
            }
            Event::AddressClaimed { address, mac } => {
                write!(f, "management: {mac} claims {address}, which is this appliance's")
            }
            Event::Leased { host, refused } => {
                write!(f, "management: leased {}/{}", host.address, host.prefix_len)?;
                host.gateway.map_or(Ok(()), |gateway| write!(f, " gateway {gateway}"))?;
                refused.as_ref().map_or(Ok(()), |why| write!(f, ", which is not used: {why}"))
            }
            Event::LeaseLost { address } => {
                write!(f, "management: the lease of {address} is over")
            }
            Event::MacMoves { mac, port } => {
                write!(
                    f,
                    "{mac} moves to port {port} and back: a loop, or two stations with one MAC"
                )
            }
            Event::TakesOver { port } => write!(f, "port {port}: takes over for the other uplinks"),
            Event::Dropped { port, reason, frames } => {
                let (name, sentence) = (reason.as_str(), reason.sentence());
                let s = if *frames == 1 { "" } else { "s" };
                write!(f, "port {port}: {frames} frame{s} dropped, {name}: {sentence}")
            }
        }
    }
}
