//! Mirrors: what passes one port, copied to another, for somebody who looks on (the vendors' SPAN).
//!
//! ```text
//!  NIC ─▶ as received ─▶ … the switch … ─▶ as sent ─▶ NIC
//!            │ in                            │ out
//!            └──────────▶ filter ─▶ copy ◀───┘
//!                                    └─▶ the destination's NIC, and nothing else
//! ```
//!
//! A frame is seen as the wire has it: what comes in before a tag is put on and before anybody has
//! judged it, dropped or not; what leaves when all is done, if it did leave. So a packet to a VIP is
//! seen as its client sent it, and once more as its real gets it. A frame that passes two ports of a
//! mirror's, or that two mirrors take, is copied twice.
//!
//! The destination of a mirror is nothing else: nothing is switched to it, nothing of ours goes there,
//! and what it sends is dropped (`mirror_port`). A copy goes straight to its NIC and passes no edge, so
//! there is no copy of a copy, and no loop, whatever is configured. What is here decides which copies
//! are wanted; who moves frames makes them, as many as it has room for, and tells what became of each.

use crate::limits::MIRRORS_MAX;
use crate::switch::filter::{Filter, Way};
use crate::{Name, PortId, PortSet};

/// A mirror, as an operator says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSpec {
    pub name: Name,
    pub from: PortId,
    /// `None`: both.
    pub way: Option<Way>,
    pub filter: Filter,
    pub to: PortId,
}

/// One that is set, and what came of it.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub spec: MirrorSpec,
    pub counters: MirrorCounters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounters {
    /// Copies that were sent.
    pub copies: u64,
    /// Frames that were to be copied while there was no room for more copies.
    pub no_room: u64,
    /// Copies that the destination did not take: its ring was full, or its link down.
    pub not_taken: u64,
}

/// How a frame ended for a mirror that wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEnd {
    Sent,
    NoRoom,
    NotTaken,
}

/// A copy that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The mirror's place among all, until one is set or deleted.
    pub mirror: usize,
    pub to: PortId,
}

/// All that are set.
#[derive(Default)]
pub struct Mirrors(heapless::Vec<Mirror, MIRRORS_MAX>);

impl Mirrors {
    pub fn iter(&self) -> impl Iterator<Item = &Mirror> {
        self.0.iter()
    }

    /// Ports of which frames are copied.
    pub(crate) fn sources(&self) -> PortSet {
        self.iter().map(|mirror| mirror.spec.from).collect()
    }

    /// Ports that get copies and nothing else.
    pub fn destinations(&self) -> PortSet {
        self.iter().map(|mirror| mirror.spec.to).collect()
    }

    /// The copies that are wanted of a frame that passes a port.
    pub fn wanted(
        &self,
        port: PortId,
        way: Way,
        frame: &[u8],
    ) -> heapless::Vec<Wanted, MIRRORS_MAX> {
        let takes = |spec: &MirrorSpec| {
            let is_so = spec.from == port && spec.way.is_none_or(|its| its == way);
            is_so && spec.filter.takes(frame)
        };
        let all = self.iter().map(|mirror| &mirror.spec).enumerate();
        all.filter(|(_, spec)| takes(spec))
            .map(|(mirror, spec)| Wanted { mirror, to: spec.to })
            .collect()
    }

    pub(crate) fn count(&mut self, mirror: usize, end: CopyEnd) {
        if let Some(Mirror { counters, .. }) = self.0.get_mut(mirror) {
            let count = match end {
                CopyEnd::Sent => &mut counters.copies,
                CopyEnd::NoRoom => &mut counters.no_room,
                CopyEnd::NotTaken => &mut counters.not_taken,
            };
            *count += 1;
        }
    }

    /// Sets one, in place of one of the same name, whose counters it keeps; `false` if there are too
    /// many.
    pub(crate) fn set(&mut self, spec: &MirrorSpec) -> bool {
        match self.0.iter_mut().find(|mirror| mirror.spec.name == spec.name) {
            Some(mirror) => {
                mirror.spec = spec.clone();
                true
            }
            None => {
                let counters = MirrorCounters::default();
                self.0.push(Mirror { spec: spec.clone(), counters }).is_ok()
            }
        }
    }

    pub(crate) fn delete(&mut self, name: &Name) {
        self.0.retain(|mirror| mirror.spec.name != *name);
    }
}
