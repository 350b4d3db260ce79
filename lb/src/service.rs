//! Services and their reals, as configured and as they stand.

pub mod check;
pub mod passive;
pub mod persist;
pub mod probe;
pub mod ramp;
pub mod sched;
pub mod severance;
pub mod standing;

use core::net::IpAddr;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use crate::explain::decisions::Placed;
use crate::flow::{Direction, Stage};
use crate::guest::load::RealLoad;
use crate::limits::SERVICE_REALS_MAX;
use crate::service::check::Watch;
use crate::service::passive::Passive;
use crate::service::ramp::Ramp;
use crate::service::sched::{FlowHash, NameHash};
use crate::service::severance::{OnDown, Severance, Severed};
use crate::wire::Endpoint;
use crate::{Agent, Check, GuestId, Instant, Name, Protocol};

/// How long a real that is new or back takes to get its full share of new flows.
pub const SLOW_START: Duration = Duration::from_secs(10);
/// The part of a service's reals, per cent, below which what checks say of them is ignored.
pub const PANIC: u8 = 40;

/// A service's slot in the table of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub(crate) u16);

/// A real's slot in the table of reals; kept until its last flow has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealId(pub(crate) u16);

/// How a new flow gets its real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheduler {
    /// Least connections: fewest open flows, whatever the weights.
    Lc,
    /// Maglev hashing: by both ends of the flow.
    Mh,
    /// Two choices: the better of two that are drawn by weight.
    P2c,
    /// Round robin, whatever the weights.
    Rr,
    /// Source hashing: by the client's address.
    Sh,
    /// Source hashing: by the client's address and port.
    ShPort,
    /// Weighted least connections: fewest open flows over weight.
    Wlc,
    /// Weighted least load: least predicted load over weight; `wlc` without reports.
    #[default]
    Wll,
    /// Weighted round robin.
    Wrr,
}

/// How a packet reaches its real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// Destination MAC, address and port become the real's; the way back is undone.
    #[default]
    Nat,
    /// Only the destination MAC becomes the real's; the guest has the VIP on a loopback.
    Direct,
}

/// What happens to a new flow for which no real is eligible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// Silence: the client tries again.
    #[default]
    Drop,
    /// TCP reset, or ICMP port unreachable.
    Reset,
    /// This guest takes it.
    Sorry(Name),
}

/// By what a client's later flows find their way to the real of its earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The client's address, of which so many leading bits count.
    Source { prefix_len: u8, timeout: Duration },
    /// UDP: so many bytes of the payload from an offset on. TCP has no payload yet when the real
    /// is chosen: its first segment only asks for a connection.
    Payload { offset_bytes: u16, len_bytes: NonZeroU8, timeout: Duration },
}

/// What the operator wants of a real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminState {
    #[default]
    Ready,
    /// No new flow; those that are open go on.
    Drain,
    /// Out of service: no new flow.
    Maint,
}

/// What an operator says of a service (`set service …`), its reals aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    pub name: Name,
    pub vip: IpAddr,
    pub protocol: Protocol,
    pub port: NonZeroU16,
    /// The VLAN that it is served on; 0 is untagged.
    pub vlan: u16,
    pub scheduler: Scheduler,
    pub forwarding: Forwarding,
    pub empty: Empty,
    pub persistence: Option<Persistence>,
    /// Open flows at most, over all reals.
    pub flows_max: Option<NonZeroU32>,
    /// UDP: how long a flow may be silent; [`UDP_IDLE`](crate::flow::UDP_IDLE) when absent.
    pub udp_idle: Option<Duration>,
    /// UDP: every datagram gets a real anew.
    pub one_packet: bool,
    /// What its reals are asked, but for those that are asked something else.
    pub check: Option<Check>,
    pub agent: Agent,
    /// How long a real that is new or back takes to get its full share; [`SLOW_START`] when absent.
    pub slow_start: Option<Duration>,
    /// Below this part of its reals that work, per cent, what checks say is ignored; [`PANIC`] when
    /// absent and nobody is to stand in ([`Empty::Sorry`]), never at 0.
    pub panic: Option<u8>,
    /// What becomes of the flows of a real whose guest is silent or out of reach.
    pub on_down: OnDown,
    /// How long a real that is drained or was removed keeps its flows; until they end when absent.
    pub drain_timeout: Option<Duration>,
}

/// What an operator says of a real (`set service S real G …`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealSpec {
    pub guest: Name,
    /// The real's port; the service's when absent.
    pub port: Option<NonZeroU16>,
    /// Share among the reals; 0 gives no new flow.
    pub weight: u16,
    pub flows_max: Option<u32>,
    /// What it is asked instead of what the service's reals are asked.
    pub check: Option<Check>,
}

/// A service and its counts.
#[derive(Clone, Debug)]
pub struct Service {
    pub spec: ServiceSpec,
    /// Reals in the order in which they were set.
    pub reals: heapless::Vec<RealId, SERVICE_REALS_MAX>,
    pub counters: ServiceCounters,
    /// The real on the guest of [`Empty::Sorry`].
    pub sorry: Option<RealId>,
    /// Deleted; stays until the last flow of its reals ends.
    pub retired: bool,
    pub(crate) announcements: Announcements,
    /// Since when there has been a real for it all the time.
    pub(crate) open_since: Option<Instant>,
    /// Whether the log was told last that it panics.
    pub(crate) panic_told: bool,
}

/// When a VIP is announced: three times a second apart after a change, since any of them may be
/// lost (RFC 5227 §2.3 sends two, two seconds apart), and then now and then, so that a switch that
/// has forgotten or never heard it does not flood for long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announcements {
    soon: u8,
    next: Instant,
}

/// Counted per service since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounters {
    pub flows_new: u64,
    /// Times that a flow which a real had not taken was given to another.
    pub second_chances: u64,
    /// New flows that found no eligible real.
    pub refused_no_real: u64,
    /// New flows beyond what the service may have.
    pub refused_full: u64,
    /// Refused flows whose clients were told so.
    pub resets_sent: u64,
    pub traffic: Traffic,
}

/// Packets and bytes (of whole frames) towards reals (`in`) and back (`out`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// One guest's part in a service.
#[derive(Clone, Debug)]
pub struct Real {
    pub service: ServiceId,
    pub guest: GuestId,
    pub spec: RealSpec,
    pub admin: AdminState,
    /// Removed from the service; stays until its last flow ends.
    pub retired: bool,
    /// Flows in the table that name this real, closed ones included.
    pub(crate) flows_held: u32,
    pub(crate) name: NameHash,
    /// Whether it was well and wanted when last looked at.
    pub(crate) is_in: bool,
    /// Whether it had gone by itself then.
    pub(crate) is_gone: bool,
    pub(crate) severance: Severance,
    pub(crate) ramp: Ramp,
    /// What its flows show.
    pub passive: Passive,
    pub load: RealLoad,
    /// How it stands by its check, if it has one.
    pub watch: Option<Watch>,
    pub counters: RealCounters,
}

/// Counted per real since start; `flows_open` and `flows_waiting` are exact at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RealCounters {
    pub flows_open: u32,
    /// Of these, the ones whose client waits for an answer.
    pub flows_waiting: u32,
    pub flows_new: u64,
    pub flows_ended: u64,
    pub traffic: Traffic,
    /// Time from the last answered flow's first packet to the first answer (SYN to SYN-ACK).
    pub answer_time: Option<Duration>,
}

impl ServiceSpec {
    /// A service as it is when nothing more is said of it.
    pub fn new(name: Name, vip: IpAddr, protocol: Protocol, port: NonZeroU16) -> ServiceSpec {
        ServiceSpec {
            name,
            vip,
            protocol,
            port,
            vlan: 0,
            scheduler: Scheduler::default(),
            forwarding: Forwarding::default(),
            empty: Empty::default(),
            persistence: None,
            flows_max: None,
            udp_idle: None,
            one_packet: false,
            check: None,
            agent: Agent::Push,
            slow_start: None,
            panic: None,
            on_down: OnDown::default(),
            drain_timeout: None,
        }
    }

    /// What its scheduler places a client by, if it places by hash.
    pub(crate) fn placing_key(&self, client: Endpoint) -> FlowHash {
        let address = client.address.into();
        match self.scheduler {
            Scheduler::Mh => {
                let vip = (self.vip, self.port.get());
                FlowHash::of_ends((address, client.port), self.protocol, vip)
            }
            Scheduler::ShPort => FlowHash::of_client_end(address, client.port),
            _ => FlowHash::of_client(address),
        }
    }

    pub(crate) fn slow_start(&self) -> Duration {
        self.slow_start.unwrap_or(SLOW_START)
    }

    /// Where another real is to stand in for those that do not work, nothing is, unless it is said.
    pub(crate) fn panic(&self) -> usize {
        let default = if matches!(self.empty, Empty::Sorry(_)) { 0 } else { PANIC };
        self.panic.unwrap_or(default).into()
    }
}

impl ServiceCounters {
    /// Takes in that a flow has got a real; one that had another before is not new.
    pub(crate) fn count_placed(&mut self, by: Placed) {
        match by {
            Placed::SecondChance => self.second_chances += 1,
            Placed::StandIn => {}
            Placed::Scheduler
            | Placed::Table
            | Placed::Persistence
            | Placed::Sorry
            | Placed::Real
            | Placed::Guess => self.flows_new += 1,
        }
    }
}

impl Traffic {
    pub(crate) fn count(&mut self, direction: Direction, len_bytes: usize) {
        let (packets, bytes) = match direction {
            Direction::ToReal => (&mut self.packets_in, &mut self.bytes_in),
            Direction::ToClient => (&mut self.packets_out, &mut self.bytes_out),
        };
        *packets += 1;
        *bytes += len_bytes as u64;
    }
}

impl Announcements {
    const COUNT: u8 = 3;
    const INTERVAL: Duration = Duration::from_secs(1);
    /// Below the ageing time of every switch's FDB (300 s by IEEE 802.1Q).
    const REPEAT: Duration = Duration::from_secs(60);

    pub(crate) fn due(now: Instant) -> Announcements {
        Announcements { soon: Self::COUNT, next: now }
    }

    /// When the next one is to be sent.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Whether one is to be sent now; if so it counts as sent.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            self.soon = self.soon.saturating_sub(1);
            self.next = now + if self.soon > 0 { Self::INTERVAL } else { Self::REPEAT };
        }
        is_due
    }
}

impl Service {
    pub(crate) fn new(spec: ServiceSpec, now: Instant) -> Service {
        Service {
            spec,
            reals: heapless::Vec::new(),
            counters: ServiceCounters::default(),
            sorry: None,
            retired: false,
            announcements: Announcements::due(now),
            open_since: None,
            panic_told: false,
        }
    }
}

impl Real {
    pub(crate) fn new(service: ServiceId, guest: GuestId, spec: RealSpec) -> Real {
        Real {
            service,
            guest,
            name: NameHash::of(&spec.guest),
            spec,
            admin: AdminState::Ready,
            retired: false,
            flows_held: 0,
            is_in: false,
            is_gone: false,
            severance: Severance::default(),
            ramp: Ramp::FULL,
            passive: Passive::default(),
            load: RealLoad::default(),
            watch: None,
            counters: RealCounters::default(),
        }
    }

    /// Why its open flows are ended, if they are.
    pub fn severed(&self) -> Option<Severed> {
        self.severance.severed
    }

    /// It is well and wanted now, or not. One that has come in begins with a small share, but for
    /// those with whom the service begins.
    pub(crate) fn is_seen(&mut self, is_in: bool, is_founding: bool, now: Instant) {
        if is_in && !self.is_in {
            self.ramp = if is_founding { Ramp::FULL } else { Ramp::from(now) };
        }
        self.is_in = is_in;
    }

    pub(crate) fn flow_opened(&mut self, stage: Stage, now: Instant) {
        self.load.asked(now);
        self.flows_held += 1;
        self.counters.flows_open += 1;
        self.counters.flows_waiting += u32::from(stage != Stage::Answered);
        self.counters.flows_new += 1;
    }

    pub(crate) fn flow_turned(&mut self, direction: Direction, now: Instant) {
        match direction {
            Direction::ToReal => {
                self.load.asked(now);
                self.counters.flows_waiting += 1;
            }
            Direction::ToClient => self.counters.flows_waiting -= 1,
        }
    }

    pub(crate) fn flow_closed(&mut self, was_waiting: bool) {
        self.counters.flows_waiting -= u32::from(was_waiting);
        self.counters.flows_open -= 1;
        self.counters.flows_ended += 1;
    }
}

impl RealSpec {
    pub const WEIGHT_DEFAULT: u16 = 100;
    pub const WEIGHT_MAX: u16 = 1000;

    /// A real as it is when nothing more is said of it.
    pub fn new(guest: Name) -> RealSpec {
        RealSpec { guest, port: None, weight: Self::WEIGHT_DEFAULT, flows_max: None, check: None }
    }
}

impl Scheduler {
    /// In the order of their words.
    pub const ALL: [Scheduler; 9] = [
        Scheduler::Lc,
        Scheduler::Mh,
        Scheduler::P2c,
        Scheduler::Rr,
        Scheduler::Sh,
        Scheduler::ShPort,
        Scheduler::Wlc,
        Scheduler::Wll,
        Scheduler::Wrr,
    ];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheduler::Lc => "lc",
            Scheduler::Mh => "mh",
            Scheduler::P2c => "p2c",
            Scheduler::Rr => "rr",
            Scheduler::Sh => "sh",
            Scheduler::ShPort => "sh-port",
            Scheduler::Wlc => "wlc",
            Scheduler::Wll => "wll",
            Scheduler::Wrr => "wrr",
        }
    }
}

impl Forwarding {
    pub const ALL: [Forwarding; 2] = [Forwarding::Direct, Forwarding::Nat];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Forwarding::Direct => "direct",
            Forwarding::Nat => "nat",
        }
    }
}

impl AdminState {
    pub const ALL: [AdminState; 3] = [AdminState::Ready, AdminState::Drain, AdminState::Maint];

    pub const fn as_str(self) -> &'static str {
        match self {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maint => "maint",
        }
    }
}

impl ServiceId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl RealId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
