//! NICs that come and go while the machine runs.
//!
//! A NIC that comes gets its port as one that was there at the start: the configuration is read anew
//! for a machine that has it too, and what that changes are steps like those of any commit. A NIC that
//! goes leaves its port behind, which is `absent`: what is configured there stays, and what happens to
//! those behind it is what happens when a cable is pulled.

use alloc::boxed::Box;

use drivers::pci::Address;
use drivers::{Absent, Vacancy};
use lb::PortId;

use super::Control;
use crate::appliance::{Appliance, Attached};
use crate::config;

impl Control {
    /// Gives a NIC that has come its port, or nothing if there is none left.
    pub fn plug(
        &mut self,
        attached: Attached,
        appliance: &mut Appliance,
    ) -> Result<(), (Absent, Attached)> {
        let nic = attached.id();
        let is_vacant = |at| {
            let port = PortId::new(at).and_then(|port| appliance.nic(port));
            port.is_none_or(Attached::is_absent)
        };
        let at = config::seat(&nic, &self.running.ports, &self.site.nics, is_vacant);
        let Some(port) = at.and_then(PortId::new) else {
            return Err((Absent::NoPort, attached));
        };
        let at = port.index();
        appliance.have_ports(at + 1);
        match self.site.nics.get_mut(at) {
            Some(known) => *known = nic,
            None => self.site.nics.push(nic),
        }
        self.site.bays.retain(|bay| Some(*bay) != nic.pci);
        if let Err(errors) = self.change(self.running.clone(), appliance) {
            // It has its port, though not all that is stated of it.
            errors.iter().for_each(|error| log::error!("{error}"));
        }
        appliance.exchange(port, attached);
        Ok(())
    }

    /// Takes back what the NIC at this place was given; it is not there any more, or touches nothing.
    pub fn unplug(&mut self, pci: Address, appliance: &mut Appliance) {
        let its = |(_, attached): &(PortId, &Attached)| {
            attached.pci == Some(pci) && !attached.is_absent()
        };
        let Some((port, attached)) = appliance.nics().find(its) else {
            return;
        };
        let vacancy = Box::new(Vacancy::of(attached.nic.mac()));
        let mut gone = appliance.exchange(port, Attached { nic: vacancy, pci: Some(pci) });
        gone.nic.lost();
        self.site.bays.push(pci);
    }
}
