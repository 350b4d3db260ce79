//! What a packet of a flow wants of the tables: where its real is, and to be counted there.
//!
//! A flow names its real, and what is asked for next lies with the real's guest, each some hundred
//! bytes long. So the little that every packet needs is kept by itself, eight bytes a real, and made
//! anew with every change. A real that is severed has no way, and who finds none asks why.

use alloc::boxed::Box;
use alloc::vec;

use super::Tables;
use crate::flow::Direction;
use crate::limits::REALS_MAX;
use crate::{MacAddr, PortId, RealId};

#[derive(Clone, Copy)]
pub(crate) struct Hop {
    pub port: PortId,
    pub mac: MacAddr,
}

/// By real; `None` for one that is severed ([`crate::service::severance`]).
pub(super) type Hops = Box<[Option<Hop>]>;

pub(super) fn none() -> Hops {
    vec![None; REALS_MAX].into_boxed_slice()
}

impl Tables {
    /// The way to a real, unless it is severed.
    #[inline]
    pub(crate) fn hop(&self, id: RealId) -> Option<Hop> {
        self.hops[id.index()]
    }

    /// Counts a packet of a real's flow.
    #[inline]
    pub(crate) fn count_traffic(&mut self, id: RealId, direction: Direction, len_bytes: usize) {
        let Some(real) = &mut self.reals[id.index()] else {
            return;
        };
        real.counters.traffic.count(direction, len_bytes);
        if let Some(service) = &mut self.services[real.service.index()] {
            service.counters.traffic.count(direction, len_bytes);
        }
    }

    pub(super) fn map_hops(&mut self) {
        let Tables { hops, reals, guests, .. } = self;
        for (hop, real) in hops.iter_mut().zip(reals) {
            let real = real.as_ref().filter(|real| real.severed().is_none());
            *hop = real.and_then(|real| {
                let guest = &guests[real.guest.index()].as_ref()?.spec;
                Some(Hop { port: guest.port, mac: guest.mac })
            });
        }
    }
}
