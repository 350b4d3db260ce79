//! Services by what a packet says: VLAN, address, protocol, port. And the MACs of their VIPs.
//!
//! Asked for the first packet of every flow to a VIP and for what guests say of their own accord, so
//! both are sorted arrays that are made anew on each change; most addresses that are no VIP are told
//! by one bit of their own.

use crate::limits::SERVICES_MAX;
use crate::wire::{Address, Endpoint};
use crate::{MacAddr, Protocol, Service, ServiceId};

/// Retired services too, for their VIP is still ours.
#[derive(Default)]
pub(super) struct VipIndex {
    ends: heapless::Vec<(VipEnd, ServiceId), SERVICES_MAX>,
    macs: heapless::Vec<MacAddr, SERVICES_MAX>,
    /// A bit for every address.
    sieve: u64,
}

/// VLAN, address, protocol, port, and whether the service is retired.
type VipEnd = (u16, Address, Protocol, u16, bool);

impl VipIndex {
    pub(super) fn new<'a>(services: impl Iterator<Item = (ServiceId, &'a Service)>) -> VipIndex {
        let entry = |(id, service): (ServiceId, &Service)| {
            let spec = &service.spec;
            ((spec.vlan, spec.vip.into(), spec.protocol, spec.port.get(), service.retired), id)
        };
        // There are no more entries than services.
        let mut ends: heapless::Vec<(VipEnd, _), SERVICES_MAX> = services.map(entry).collect();
        ends.sort_unstable();
        let virtual_mac = |(end, _): &(VipEnd, ServiceId)| MacAddr::virtual_of(end.1.into());
        let mut macs: heapless::Vec<_, SERVICES_MAX> = ends.iter().map(virtual_mac).collect();
        macs.sort_unstable();
        let sieve = ends.iter().fold(0, |sieve, (end, _)| sieve | bit(end.1));
        VipIndex { ends, macs, sieve }
    }

    /// The service that listens there.
    pub(super) fn find(&self, vlan: u16, end: Endpoint, protocol: Protocol) -> Option<ServiceId> {
        let end = (vlan, end.address, protocol, end.port, false);
        self.ends.binary_search_by_key(&end, |entry| entry.0).ok().map(|at| self.ends[at].1)
    }

    /// Whether some service, perhaps a retired one, has this address.
    pub(super) fn has(&self, vlan: u16, address: Address) -> bool {
        let is_there = |entry: &(VipEnd, ServiceId)| (entry.0.0, entry.0.1);
        self.sieve & bit(address) != 0
            && self.ends.binary_search_by_key(&(vlan, address), is_there).is_ok()
    }

    /// Whether a VIP in some VLAN has this virtual MAC.
    pub(super) fn has_mac(&self, mac: MacAddr) -> bool {
        self.macs.binary_search(&mac).is_ok()
    }
}

/// The bit of an address in the sieve.
fn bit(address: Address) -> u64 {
    let [_, low] = address.words();
    1 << (low % 64)
}
