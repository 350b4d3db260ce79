//! Where a frame may go: by its VLAN, by where it came in, and by what its ports let through.
//!
//! Asked for every frame, so all of it is sets of ports, made anew when a port changes, and the
//! answer is one set that is in both of two others: the ports that carry the VLAN, and those that the
//! ingress may send to.

use alloc::boxed::Box;
use alloc::vec;

use crate::limits::PORTS_MAX;
use crate::switch::vlan::{PortVlan, VLANS};
use crate::{Mirrors, Port, PortId, PortSet, Role};

pub(crate) struct Reach {
    /// By VLAN: the ports that carry it, whose link is up, and that do not stand by.
    carriers: Box<[PortSet; VLANS]>,
    /// By ingress: never back, never from uplink to uplink.
    served: [PortSet; PORTS_MAX],
    /// The same for what no service carries: not between ports that are isolated or in groups either,
    /// unless it is one group.
    switched: [PortSet; PORTS_MAX],
    /// Ports with VLANs of their own, whose edges touch tags, and those of which frames are copied.
    edges: PortSet,
    /// Ports of which frames are copied.
    copied: PortSet,
    /// Ports that get what nobody knows the place of.
    flooded: PortSet,
    /// Uplinks that stand by for another one.
    resting: PortSet,
    /// These, and ports that get copies alone: nothing goes to them, and what comes from them ends.
    closed: PortSet,
}

impl Reach {
    pub fn new() -> Reach {
        let carriers = vec![PortSet::EMPTY; VLANS].into_boxed_slice();
        Reach {
            carriers: carriers.try_into().expect("made with as many"),
            served: [PortSet::EMPTY; PORTS_MAX],
            switched: [PortSet::EMPTY; PORTS_MAX],
            edges: PortSet::EMPTY,
            copied: PortSet::EMPTY,
            flooded: PortSet::EMPTY,
            resting: PortSet::EMPTY,
            closed: PortSet::EMPTY,
        }
    }

    /// Follows the ports, and the mirrors.
    pub fn map<'a>(
        &mut self,
        ports: impl Iterator<Item = (PortId, &'a Port)> + Clone,
        mirrors: &Mirrors,
    ) {
        let those = |is_one: fn(&Port) -> bool| -> PortSet {
            ports.clone().filter(|(_, port)| is_one(port)).map(|(id, _)| id).collect()
        };
        let uplinks = those(|port| port.role == Role::Uplink);
        self.flooded = those(|port| port.rules.flood);
        let with_vlans = those(|port| port.rules.vlan != PortVlan::Transparent);
        self.copied = mirrors.sources();
        self.edges = with_vlans.chain(self.copied).collect();
        let standbys = those(|port| port.role == Role::Uplink && port.rules.standby);
        let up = those(|port| port.link_up).minus(mirrors.destinations());
        // The first of those that are there, and all that never stand by.
        let ready = uplinks.minus(standbys).and(up);
        let serves = if ready.is_empty() { standbys.and(up).next() } else { None };
        self.resting = serves.into_iter().fold(standbys, PortSet::without);
        self.closed = self.resting.chain(mirrors.destinations()).collect();
        let carrying = up.minus(self.closed);
        let all = those(|_| true);
        for (id, port) in ports.clone() {
            let served = all.without(id).minus(uplinks.if_in(id));
            let parted = ports.clone().filter(|(_, other)| port.rules.part(&other.rules));
            self.served[id.index()] = served;
            self.switched[id.index()] = served.minus(parted.map(|(id, _)| id).collect());
        }
        let transparent = those(|port| port.rules.vlan == PortVlan::Transparent);
        self.carriers.fill(transparent.and(carrying));
        for (id, port) in ports.filter(|(id, _)| carrying.contains(*id)) {
            let native = port.rules.vlan.of_untagged().into_iter();
            match &port.rules.vlan {
                PortVlan::Transparent => {}
                PortVlan::Access(_) => native.for_each(|vlan| self.add(vlan, id)),
                PortVlan::Trunk { tagged, .. } => {
                    let tagged = tagged.iter().map(|vlan| vlan.get());
                    tagged.chain(native).for_each(|vlan| self.add(vlan, id));
                }
            }
        }
    }

    fn add(&mut self, vlan: u16, port: PortId) {
        let carriers = &mut self.carriers[usize::from(vlan) % VLANS];
        *carriers = carriers.with(port);
    }

    #[inline(always)]
    pub fn carriers(&self, vlan: u16) -> PortSet {
        self.carriers[usize::from(vlan) % VLANS]
    }

    #[inline(always)]
    pub fn served(&self, ingress: PortId, vlan: u16) -> PortSet {
        self.carriers(vlan).and(self.served[ingress.index()])
    }

    #[inline(always)]
    pub fn switched(&self, ingress: PortId, vlan: u16) -> PortSet {
        self.carriers(vlan).and(self.switched[ingress.index()])
    }

    pub fn resting(&self) -> PortSet {
        self.resting
    }

    pub fn closed(&self) -> PortSet {
        self.closed
    }

    pub fn copied(&self) -> PortSet {
        self.copied
    }

    pub fn edges(&self) -> PortSet {
        self.edges
    }

    #[inline(always)]
    pub fn flooded(&self) -> PortSet {
        self.flooded
    }
}
