//! What a packet of a flow wants of the tables: where its real is, and to be counted there.
//!
//! A flow names its real, and what is asked for next lies with the real's guest, each some hundred
//! bytes long. So the little that every packet needs is kept by itself, eight bytes a real, and made
//! anew with every change.

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

/// By real; `None` for one whose guest is gone.
pub(super) type Hops = Box<[Option<Hop>]>;

pub(super) fn none() -> Hops {
    vec![None; REALS_MAX].into_boxed_slice()
}

impl Tables {
    /// The way to a real, as long as it has a guest.
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
            *hop = real.as_ref().and_then(|real| {
                let guest = &guests[real.guest.index()].as_ref()?.spec;
                Some(Hop { port: guest.port, mac: guest.mac })
            });
        }
    }
}
