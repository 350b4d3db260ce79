//! Services by what a packet says: VLAN, address, protocol, port. And the MACs of their VIPs.
//!
//! Asked for every packet to a VIP and for every guest's packet, so both are sorted arrays that
//! are made anew on each change.

use core::net::IpAddr;

use crate::limits::SERVICES_MAX;
use crate::wire::Endpoint;
use crate::{MacAddr, Protocol, Service, ServiceId};

/// Retired services too, for their VIP is still ours.
#[derive(Default)]
pub(super) struct VipIndex {
    ends: heapless::Vec<(VipEnd, ServiceId), SERVICES_MAX>,
    macs: heapless::Vec<MacAddr, SERVICES_MAX>,
}

/// VLAN, address, protocol, port, and whether the service is retired.
type VipEnd = (u16, IpAddr, Protocol, u16, bool);

impl VipIndex {
    pub(super) fn new<'a>(services: impl Iterator<Item = (ServiceId, &'a Service)>) -> VipIndex {
        let entry = |(id, service): (ServiceId, &Service)| {
            let spec = &service.spec;
            ((spec.vlan, spec.vip, spec.protocol, spec.port.get(), service.retired), id)
        };
        // There are no more entries than services.
        let mut ends: heapless::Vec<_, SERVICES_MAX> = services.map(entry).collect();
        ends.sort_unstable();
        let virtual_mac = |(end, _): &(VipEnd, ServiceId)| MacAddr::virtual_of(end.1);
        let mut macs: heapless::Vec<_, SERVICES_MAX> = ends.iter().map(virtual_mac).collect();
        macs.sort_unstable();
        VipIndex { ends, macs }
    }

    /// The service that listens there.
    pub(super) fn find(&self, vlan: u16, end: Endpoint, protocol: Protocol) -> Option<ServiceId> {
        let end = (vlan, end.address.into(), protocol, end.port, false);
        self.ends.binary_search_by_key(&end, |entry| entry.0).ok().map(|at| self.ends[at].1)
    }

    /// Whether some service, perhaps a retired one, has this address.
    pub(super) fn has(&self, vlan: u16, address: IpAddr) -> bool {
        self.ends.binary_search_by_key(&(vlan, address), |entry| (entry.0.0, entry.0.1)).is_ok()
    }

    /// Whether a VIP in some VLAN has this virtual MAC.
    pub(super) fn has_mac(&self, mac: MacAddr) -> bool {
        self.macs.binary_search(&mac).is_ok()
    }
}
