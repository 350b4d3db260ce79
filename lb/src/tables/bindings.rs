//! What guests are bound to: who is defined behind a port, and what he may send as.
//!
//! Asked for every frame that a guest sends, so it is made anew when a guest or a port changes, and
//! lies in one row: a port's guests, which are few, side by side.

use alloc::vec::Vec;

use super::Tables;
use crate::addr::is_link_local_of_ours;
use crate::guest::{Trust, Trusts};
use crate::limits::{GUEST_ADDRESSES_MAX, GUESTS_MAX, PORTS_MAX};
use crate::wire::Address;
use crate::{GuestId, GuestSpec, MacAddr, PortId, PortSet};

pub(crate) struct Bindings {
    /// Ports where a guest is defined.
    with_guests: PortSet,
    /// Of these, where nobody else may send.
    bound: PortSet,
    /// Where the guests of each port begin, and where the last one's end.
    first: [u16; PORTS_MAX + 1],
    /// By port.
    guests: Vec<Bound>,
}

/// A guest, as far as its frames are held against it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    port: PortId,
    mac: MacAddr,
    pub guest: GuestId,
    trusts: Trusts,
    count: u8,
    addresses: [Address; GUEST_ADDRESSES_MAX],
}

impl Bindings {
    pub fn new() -> Bindings {
        Bindings {
            with_guests: PortSet::EMPTY,
            bound: PortSet::EMPTY,
            first: [0; PORTS_MAX + 1],
            guests: Vec::with_capacity(GUESTS_MAX),
        }
    }

    /// Whether only those who are defined may send from a port.
    pub fn binds(&self, port: PortId) -> bool {
        self.bound.contains(port)
    }

    /// Whether one guest is defined here, and nobody else may send.
    pub fn has_one(&self, port: PortId) -> bool {
        self.binds(port) && self.of_port(port).len() == 1
    }

    pub fn with_guests(&self) -> PortSet {
        self.with_guests
    }

    /// The guest with this MAC behind a port.
    #[inline]
    pub fn at(&self, port: PortId, mac: MacAddr) -> Option<&Bound> {
        if !self.with_guests.contains(port) {
            return None;
        }
        self.of_port(port).iter().find(|bound| bound.mac == mac)
    }

    /// Whether a frame that comes in here may be from this address, as far as is seen at once.
    #[inline]
    pub fn let_pass(&self, port: PortId, mac: MacAddr, source: Address) -> bool {
        self.at(port, mac).is_none_or(|bound| bound.may_use(source))
    }

    fn of_port(&self, port: PortId) -> &[Bound] {
        let [from, to] = [0, 1].map(|next| usize::from(self.first[port.index() + next]));
        &self.guests[from..to]
    }
}

impl Bound {
    fn of(guest: GuestId, spec: &GuestSpec) -> Bound {
        let mut addresses = [Address::v4(0); GUEST_ADDRESSES_MAX];
        for (to, from) in addresses.iter_mut().zip(&spec.addresses) {
            *to = Address::from(*from);
        }
        let count = spec.addresses.len() as u8;
        let GuestSpec { port, mac, trusts, .. } = *spec;
        Bound { port, mac, guest, trusts, count, addresses }
    }

    pub fn trusts(&self, trust: Trust) -> bool {
        self.trusts.has(trust)
    }

    /// Whether an address is among its own, or it may send as anybody: it was not said which are its
    /// own, or it is trusted.
    #[inline]
    pub fn may_use(&self, address: Address) -> bool {
        self.addresses[..usize::from(self.count)].contains(&address)
            || self.count == 0
            || self.trusts(Trust::Address)
    }
}

impl Tables {
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Whether a guest may say that it is at an address: at one of its own, or at one that every
    /// host gives itself on its link and that is nobody else's.
    pub(crate) fn may_have(&self, bound: &Bound, address: Address) -> bool {
        let is_link_local = match address.is_v4() {
            true => address.v4_bits() >> 16 == 0xa9fe,
            false => address.words()[0] >> 54 == 0xfe80 >> 6,
        };
        let is_anothers = || {
            self.guests().any(|(_, guest)| guest.spec.addresses.iter().any(|own| address == *own))
        };
        bound.may_use(address) || is_link_local && !is_link_local_of_ours(address) && !is_anothers()
    }

    pub(super) fn map_bindings(&mut self) {
        let Tables { bindings, guests, .. } = self;
        let Bindings { with_guests, bound, first, guests: rows } = bindings;
        rows.clear();
        rows.extend(super::slots(guests).map(|(at, guest)| Bound::of(GuestId(at), &guest.spec)));
        rows.sort_unstable_by_key(|bound| (bound.port, bound.guest));
        for (at, first) in first.iter_mut().enumerate() {
            *first = rows.partition_point(|bound| bound.port.index() < at) as u16;
        }
        let open = rows.iter().filter(|bound| bound.trusts(Trust::Mac));
        *with_guests = rows.iter().map(|bound| bound.port).collect();
        *bound = with_guests.minus(open.map(|bound| bound.port).collect());
    }
}
