//! What an operator should hear of that is only counted: frames that no honest station sends.
//!
//! Nothing is done for it where frames are dropped. Housekeeping looks at the counters, and what has
//! grown is said: once a minute for each port and reason, with how many it were since. So a flood costs
//! the log one line a minute, and no frame anything.

use alloc::boxed::Box;
use alloc::vec;

use super::switch::ALARM_INTERVAL;
use crate::dataplane::Dataplane;
use crate::event::Event;
use crate::limits::PORTS_MAX;
use crate::{DropReason, Instant, Role};

/// What is said.
const SUSPECT: [DropReason; 16] = [
    DropReason::SpoofMac,
    DropReason::SpoofUplink,
    DropReason::SpoofAddress,
    DropReason::Disguise,
    DropReason::ArpSpoof,
    DropReason::NdSpoof,
    DropReason::RaGuard,
    DropReason::DhcpGuard,
    DropReason::QueryGuard,
    DropReason::VipSource,
    DropReason::Locked,
    DropReason::MacLimit,
    DropReason::StormBroadcast,
    DropReason::StormMulticast,
    DropReason::StormUnknown,
    // From guests: BPDUs and the like. Bridges outside send them all day.
    DropReason::LinkLocal,
];

pub(super) struct Watch {
    /// By port.
    told: Box<[[Told; SUSPECT.len()]]>,
    /// Frames that a port had received when there was nothing left to say about it.
    quiet_at: [u64; PORTS_MAX],
}

/// What the log knows of a counter.
#[derive(Clone, Copy, Default)]
struct Told {
    count: u64,
    when: Option<Instant>,
}

impl Watch {
    pub fn new() -> Watch {
        let told = vec![[Told::default(); SUSPECT.len()]; PORTS_MAX].into_boxed_slice();
        Watch { told, quiet_at: [0; PORTS_MAX] }
    }
}

impl Dataplane {
    /// Looks at the counters of all ports.
    pub(super) fn look_at_drops(&mut self, now: Instant) {
        let Dataplane { watch, tables, endings, events, .. } = self;
        for (id, port) in tables.ports() {
            let (endings, quiet_at) = (&endings[id.index()], &mut watch.quiet_at[id.index()]);
            if endings.rx == *quiet_at {
                continue;
            }
            let mut is_quiet = true;
            for (reason, told) in SUSPECT.into_iter().zip(&mut watch.told[id.index()]) {
                let count = endings.dropped(reason);
                let frames = count - told.count;
                let is_ordinary = reason == DropReason::LinkLocal && port.role == Role::Uplink;
                if frames == 0 || is_ordinary {
                    continue;
                }
                let is_soon = told.when.is_some_and(|when| now.since(when) < ALARM_INTERVAL);
                if is_soon {
                    is_quiet = false;
                } else {
                    *told = Told { count, when: Some(now) };
                    events.push(Event::Dropped { port: port.name.clone(), reason, frames });
                }
            }
            if is_quiet {
                *quiet_at = endings.rx;
            }
        }
    }
}
