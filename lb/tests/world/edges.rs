//! The edges of ports: a frame as the far end of a cable sends and sees it.

use std::collections::BTreeMap;

use lb::*;

use super::{World, port};

pub fn vlan_id(number: u16) -> VlanId {
    VlanId::new(number).unwrap()
}

pub fn access(vlan: u16) -> PortVlan {
    PortVlan::Access(vlan_id(vlan))
}

pub fn trunk(tagged: &str, native: Option<u16>) -> PortVlan {
    PortVlan::Trunk { tagged: Box::new(tagged.parse().unwrap()), native: native.map(vlan_id) }
}

/// The frame with this tag.
pub fn tagged(vlan: u16, frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &vlan.to_be_bytes(), &frame[12..]].concat()
}

impl World {
    pub fn set_rules(&mut self, at: usize, rules: PortRules) {
        self.apply(Command::SetPortRules { port: port(at), rules });
    }

    pub fn set_vlan(&mut self, at: usize, vlan: PortVlan) {
        self.set_rules(at, PortRules { vlan, ..PortRules::default() });
    }

    /// What comes out at the cables' far ends if this frame is sent from one; a drop is the one
    /// counter that moves.
    pub fn cross(
        &mut self,
        ingress: usize,
        frame: &[u8],
    ) -> Result<BTreeMap<usize, Vec<u8>>, DropReason> {
        let mut expected = self.counts();
        let mut inside = frame.to_vec();
        match self.plane.entry(port(ingress), frame) {
            Ok(Entry::AsIs) => {}
            Ok(Entry::Push(vlan)) => inside = tagged(vlan.get(), frame),
            Ok(Entry::Name(vlan)) => inside[14..16].copy_from_slice(&vlan.get().to_be_bytes()),
            Err(reason) => {
                expected[ingress][reason as usize] += 1;
                assert_eq!(self.counts(), expected, "this counter and no other");
                self.check();
                return Err(reason);
            }
        }
        let out = self.send(ingress, &inside)?;
        Ok(out.ports.iter().map(|&at| (at, self.leaving(at, &out.frame))).collect())
    }

    /// What the far end of a cable sees of a frame that is sent there.
    pub fn leaving(&self, at: usize, frame: &[u8]) -> Vec<u8> {
        match self.plane.departure(port(at), frame) {
            Departure::AsIs => frame.to_vec(),
            Departure::Pop => [&frame[..12], &frame[16..]].concat(),
            Departure::Never => panic!("not for port {at}: {frame:x?}"),
        }
    }

    /// What waits in the outbox, as the far ends see it.
    pub fn said(&mut self) -> Vec<(usize, Vec<u8>)> {
        let outs = self.originated();
        let each = |out: &super::Out| {
            let seen = |&at: &usize| (at, self.leaving(at, &out.frame));
            out.ports.iter().map(seen).collect::<Vec<_>>()
        };
        outs.iter().flat_map(each).collect()
    }
}
