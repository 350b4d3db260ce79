//! Services by what a packet says: address, protocol, port.
//!
//! Asked for every packet to a VIP and for every guest's packet, so it is a sorted array that is
//! made anew on each change.

use core::net::Ipv4Addr;

use crate::limits::SERVICES_MAX;
use crate::{Protocol, Service, ServiceId, ServiceSpec};

/// Sorted; retired services too, for their VIP is still ours.
#[derive(Default)]
pub(super) struct VipIndex(heapless::Vec<(VipEnd, ServiceId), SERVICES_MAX>);

/// Address, protocol, port, and whether the service is retired.
type VipEnd = (Ipv4Addr, Protocol, u16, bool);

impl VipIndex {
    pub(super) fn new<'a>(services: impl Iterator<Item = (ServiceId, &'a Service)>) -> VipIndex {
        let entry = |(id, service): (ServiceId, &Service)| {
            let ServiceSpec { protocol, port, .. } = service.spec;
            Some(((service.spec.vip_v4()?, protocol, port.get(), service.retired), id))
        };
        // There are no more entries than services.
        let mut index: heapless::Vec<_, SERVICES_MAX> = services.filter_map(entry).collect();
        index.sort_unstable();
        VipIndex(index)
    }

    /// The service that listens there.
    pub(super) fn find(&self, vip: Ipv4Addr, protocol: Protocol, port: u16) -> Option<ServiceId> {
        let end = (vip, protocol, port, false);
        self.0.binary_search_by_key(&end, |entry| entry.0).ok().map(|at| self.0[at].1)
    }

    /// Whether some service, perhaps a retired one, has this address.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.0.binary_search_by_key(&address, |entry| entry.0.0).is_ok()
    }
}
