//! How much a port may send and get: policers, and storm control.
//!
//! A policer counts everything, in bits or in frames or both, and drops what is too much: of what
//! comes in before anybody looks at it, of what leaves after all was decided. Bits are those of the
//! frame as it is inside the switch, a packet that a NIC is to cut being one. What the switch itself
//! has to say is not counted: questions after guests must not be lost for what others send.
//!
//! Storm control counts what is sent to more ports than one, for that is how a frame becomes many. It
//! drops what exceeds a number of frames a second, of broadcasts, of multicasts, and of what goes to
//! stations that nobody knows, each by itself. A guest has no reason to broadcast a thousand times a
//! second, so a guest's port is held to that if nothing else is said.
//!
//! Where no port has a policer, nothing is looked at but that there is none. How much may come at once
//! is in [`crate::switch::meter`].

use alloc::boxed::Box;
use alloc::vec;
use core::num::{NonZeroU32, NonZeroU64};

use crate::limits::PORTS_MAX;
use crate::switch::meter::Meter;
use crate::{DropReason, Instant, MacAddr, Port, PortId, PortSet, Role, Verdict};

/// How much a second, one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policer {
    pub bits: Option<NonZeroU64>,
    pub frames: Option<NonZeroU32>,
}

/// How many frames a second may go to many ports, by kind; `None`: as many as come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StormLimits {
    pub broadcast: Option<NonZeroU32>,
    pub multicast: Option<NonZeroU32>,
    /// To a station that nobody knows.
    pub unknown: Option<NonZeroU32>,
}

/// Why a frame goes to many ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storm {
    Broadcast,
    Multicast,
    Unknown,
}

/// The meters of all ports.
pub(crate) struct Meters {
    /// Some port has a policer.
    are_on: bool,
    ports: Box<[PortMeters]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PortMeters {
    inward: Both,
    outward: Both,
    storms: [Meter; 3],
    /// Frames that were not sent here.
    withheld: u64,
}

/// The two meters of a policer.
#[derive(Clone, Copy, Debug, Default)]
struct Both {
    bits: Meter,
    frames: Meter,
}

impl StormLimits {
    /// What holds for a guest of which nothing else is said.
    pub const OF_GUESTS: StormLimits =
        StormLimits { broadcast: NonZeroU32::new(1_000), multicast: None, unknown: None };

    /// What holds for a port if nothing else is said.
    pub const fn of(role: Role) -> StormLimits {
        match role {
            Role::Guest => StormLimits::OF_GUESTS,
            Role::Uplink => StormLimits { broadcast: None, multicast: None, unknown: None },
        }
    }

    /// So many of each kind.
    pub const fn each(frames: NonZeroU32) -> StormLimits {
        let limit = Some(frames);
        StormLimits { broadcast: limit, multicast: limit, unknown: limit }
    }
}

impl Storm {
    const fn of(destination: MacAddr) -> Storm {
        match destination.0 {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => Storm::Broadcast,
            _ if destination.is_group() => Storm::Multicast,
            _ => Storm::Unknown,
        }
    }

    const fn reason(self) -> DropReason {
        match self {
            Storm::Broadcast => DropReason::StormBroadcast,
            Storm::Multicast => DropReason::StormMulticast,
            Storm::Unknown => DropReason::StormUnknown,
        }
    }
}

impl Meters {
    pub fn new() -> Meters {
        let ports = vec![PortMeters::default(); PORTS_MAX].into_boxed_slice();
        Meters { are_on: false, ports }
    }

    /// Takes over what is said of a port; a limit that stays goes on.
    pub fn follow(&mut self, id: PortId, port: &Port) {
        let storms = port.rules.storm.unwrap_or(StormLimits::of(port.role));
        let storms = [storms.broadcast, storms.multicast, storms.unknown];
        let meters = &mut self.ports[id.index()];
        meters.inward = meters.inward.renewed(port.rules.police_in);
        meters.outward = meters.outward.renewed(port.rules.police_out);
        for (meter, limit) in meters.storms.iter_mut().zip(storms) {
            *meter = meter.renewed(limit.map(NonZeroU64::from));
        }
        let all = self.ports.iter();
        self.are_on = all.flat_map(|port| [port.inward, port.outward]).any(|both| both.is_on());
    }

    /// Whether any port has a policer.
    #[inline(always)]
    pub fn are_on(&self) -> bool {
        self.are_on
    }

    /// Whether a frame may come in now.
    pub fn lets_in(&self, ingress: PortId, now: Instant) -> bool {
        self.ports[ingress.index()].inward.allows(now)
    }

    /// The same for a frame of so many bytes, which does come in then.
    #[inline]
    pub fn let_in(&mut self, ingress: PortId, len: usize, now: Instant) -> bool {
        self.ports[ingress.index()].inward.take(len, now)
    }

    /// What policers leave of a verdict.
    pub fn judge_leaving(&self, verdict: Verdict, now: Instant) -> Verdict {
        let lets_out = |port: PortId| self.ports[port.index()].outward.allows(now);
        match verdict {
            Verdict::Forward(port) if !lets_out(port) => Verdict::Drop(DropReason::PoliceOut),
            Verdict::Flood(ports) => {
                let egress: PortSet = ports.filter(|&port| lets_out(port)).collect();
                match egress.is_empty() {
                    true => Verdict::Drop(DropReason::PoliceOut),
                    false => Verdict::Flood(egress),
                }
            }
            // Who makes the switch answer is held to what he may send.
            other => other,
        }
    }

    /// The same for a frame of so many bytes, which leaves by what is left.
    #[inline]
    pub fn leave(&mut self, verdict: Verdict, len: usize, now: Instant) -> Verdict {
        if let Verdict::Forward(port) = verdict
            && self.ports[port.index()].outward.take(len, now)
        {
            return verdict;
        }
        self.leave_in_part(verdict, len, now)
    }

    #[cold]
    fn leave_in_part(&mut self, verdict: Verdict, len: usize, now: Instant) -> Verdict {
        let judged = self.judge_leaving(verdict, now);
        let (wanted, egress) = (egress(verdict), egress(judged));
        egress.for_each(|port| _ = self.ports[port.index()].outward.take(len, now));
        wanted.minus(egress).for_each(|port| self.ports[port.index()].withheld += 1);
        judged
    }

    /// Whether one more of such frames may go to many ports.
    pub fn check_storm(
        &self,
        ingress: PortId,
        destination: MacAddr,
        now: Instant,
    ) -> Result<(), DropReason> {
        let storm = Storm::of(destination);
        let meter = self.ports[ingress.index()].storms[storm as usize];
        match meter.allows(now) {
            true => Ok(()),
            false => Err(storm.reason()),
        }
    }

    /// A frame goes to many ports.
    #[cold]
    pub fn flooded(&mut self, ingress: PortId, destination: MacAddr, now: Instant) {
        let meters = &mut self.ports[ingress.index()];
        meters.storms[Storm::of(destination) as usize].pass(1, now);
    }

    /// Frames, and copies of frames, that a port was to send and did not, for its policer.
    pub fn withheld(&self, port: PortId) -> u64 {
        self.ports[port.index()].withheld
    }
}

impl Both {
    fn renewed(self, policer: Policer) -> Both {
        let Policer { bits, frames } = policer;
        let frames = frames.map(NonZeroU64::from);
        Both { bits: self.bits.renewed(bits), frames: self.frames.renewed(frames) }
    }

    fn is_on(&self) -> bool {
        self.bits.is_on() || self.frames.is_on()
    }

    #[inline]
    fn allows(&self, now: Instant) -> bool {
        self.bits.allows(now) && self.frames.allows(now)
    }

    /// Whether a frame of so many bytes passes; it does if both let it.
    #[inline]
    fn take(&mut self, len: usize, now: Instant) -> bool {
        let passes = self.allows(now);
        if passes {
            self.bits.pass(len as u64 * 8, now);
            self.frames.pass(1, now);
        }
        passes
    }
}

fn egress(verdict: Verdict) -> PortSet {
    match verdict {
        Verdict::Forward(port) => PortSet::EMPTY.with(port),
        Verdict::Flood(ports) => ports,
        Verdict::Reply | Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => PortSet::EMPTY,
    }
}
