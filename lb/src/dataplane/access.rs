//! What a port may send to: packets and frames held against its access list ([`crate::switch::access`]).

use crate::dataplane::{Dataplane, Inbound, guard};
use crate::switch::access::Asked;
use crate::tables::Access;
use crate::wire::{Endpoint, Ip, Transport, bytes_at};
use crate::{DropReason, PortId, Protocol};

impl Dataplane {
    /// What the list of its port says of a packet; `None` where there is none, or it has no say.
    #[inline]
    pub(super) fn judge_access(&self, packet: &Inbound<'_>) -> Option<Access> {
        match self.tables.lists().concern(packet.ingress) {
            true => self.judge_listed(packet),
            false => None,
        }
    }

    #[inline(never)]
    fn judge_listed(&self, packet: &Inbound<'_>) -> Option<Access> {
        let Inbound { ingress, header, ip, ref head, .. } = *packet;
        match guard::is_of_the_link(ip, head) {
            true => None,
            false => self.tables.lists().judge(ingress, &Asked::of(header.vlan, ip, head)),
        }
    }

    /// Counts what was said, and refuses what is not permitted.
    #[inline]
    pub(super) fn abide(
        &mut self,
        ingress: PortId,
        access: Option<Access>,
    ) -> Result<(), DropReason> {
        if access.is_some() {
            self.tables.lists_mut().count(ingress, access);
        }
        is_permitted(access)
    }
}

/// Refuses what is not permitted.
pub(super) fn is_permitted(access: Option<Access>) -> Result<(), DropReason> {
    match access.is_none_or(|access| access.permits) {
        true => Ok(()),
        false => Err(DropReason::NotAllowed),
    }
}

impl Asked {
    /// A segment of a flow.
    #[inline]
    pub(super) fn by(vlan: u16, segment: &Transport) -> Asked {
        let Endpoint { address: destination, port } = segment.destination;
        Asked { vlan, destination, protocol: segment.protocol.number(), port: Some(port) }
    }

    fn of(vlan: u16, ip: &Ip, head: &[u8]) -> Asked {
        let has_ports = Protocol::of(ip.protocol).is_some() && !ip.is_later_part();
        let ports = bytes_at(ip.payload(head), 2).filter(|_| has_ports);
        let (destination, protocol) = (ip.destination, ip.protocol);
        Asked { vlan, destination, protocol, port: ports.map(u16::from_be_bytes) }
    }
}
