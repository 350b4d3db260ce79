//! Services by what a packet says: VLAN, address, protocol, port. And the MACs of their VIPs.
//!
//! Asked for the first packet of every flow to a VIP and for what guests say of their own accord, so
//! both are sorted arrays that are made anew on each change; most addresses that are no VIP are told
//! by one bit of their own. The management address is looked for here too: it is asked for where VIPs
//! are.

use crate::limits::SERVICES_MAX;
use crate::wire::{Address, Endpoint};
use crate::{MacAddr, Protocol, Service, ServiceId};

const MACS_MAX: usize = SERVICES_MAX + 1;

/// Retired services too, for their VIP is still ours.
#[derive(Default)]
pub(super) struct VipIndex {
    ends: heapless::Vec<(VipEnd, ServiceId), SERVICES_MAX>,
    /// Those of VIPs, and of the management address.
    macs: heapless::Vec<MacAddr, MACS_MAX>,
    /// The appliance's own as a host.
    own: heapless::Vec<(u16, Address), 2>,
    /// A bit for every address.
    sieve: u64,
}

/// VLAN, address, protocol, port, and whether the service is retired.
type VipEnd = (u16, Address, Protocol, u16, bool);

impl VipIndex {
    pub(super) fn new<'a>(
        services: impl Iterator<Item = (ServiceId, &'a Service)>,
        own_mac: Option<MacAddr>,
        own: impl Iterator<Item = (u16, Address)>,
    ) -> VipIndex {
        let entry = |(id, service): (ServiceId, &Service)| {
            let spec = &service.spec;
            ((spec.vlan, spec.vip.into(), spec.protocol, spec.port.get(), service.retired), id)
        };
        // There are no more entries than services.
        let mut ends: heapless::Vec<(VipEnd, _), SERVICES_MAX> = services.map(entry).collect();
        ends.sort_unstable();
        let virtual_mac = |(end, _): &(VipEnd, ServiceId)| MacAddr::virtual_of(end.1.into());
        let mut macs: heapless::Vec<_, MACS_MAX> =
            ends.iter().map(virtual_mac).chain(own_mac).collect();
        macs.sort_unstable();
        let own: heapless::Vec<_, 2> = own.take(2).collect();
        let addresses = ends.iter().map(|(end, _)| end.1).chain(own.iter().map(|own| own.1));
        let sieve = addresses.fold(0, |sieve, address| sieve | bit(address));
        VipIndex { ends, macs, own, sieve }
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

    /// Whether an address is a VIP, or the appliance's own.
    #[inline(always)]
    pub(super) fn has_any(&self, vlan: u16, address: Address) -> bool {
        self.sieve & bit(address) != 0
            && (self.has(vlan, address) || self.own.contains(&(vlan, address)))
    }

    /// Whether the appliance itself has this address.
    pub(super) fn is_own(&self, vlan: u16, address: Address) -> bool {
        self.sieve & bit(address) != 0 && self.own.contains(&(vlan, address))
    }

    /// Whether a VIP in some VLAN, or the management address, has this MAC.
    pub(super) fn has_mac(&self, mac: MacAddr) -> bool {
        self.macs.binary_search(&mac).is_ok()
    }
}

/// The bit of an address in the sieve.
fn bit(address: Address) -> u64 {
    let [_, low] = address.words();
    1 << (low % 64)
}
