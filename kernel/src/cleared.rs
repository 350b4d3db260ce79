//! What counters stood at when somebody last cleared them.
//!
//! The counters themselves go on: checks, load reports and the sum of a port's endings are made of
//! them. `show` tells what came since, so whoever clears them disturbs nobody.

use alloc::collections::BTreeMap;

use lb::{Command, Name, PortId};

/// Whose counters they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A port's NIC, and who does its work in software.
    Nic(PortId),
    /// How the frames of a port ended.
    Endings(PortId),
    /// Load reports of a port.
    Reports(PortId),
    Mirror(Name),
    Service(Name),
    Real {
        service: Name,
        guest: Name,
    },
}

#[derive(Debug, Default)]
pub struct Cleared(BTreeMap<(Owner, &'static str), u64>);

impl Cleared {
    /// What a counter has counted since it was cleared.
    pub fn since(&self, owner: &Owner, counter: &'static str, count: u64) -> u64 {
        let then = self.0.get(&(owner.clone(), counter));
        then.map_or(count, |then| count.saturating_sub(*then))
    }

    pub fn clear(&mut self, owner: &Owner, counts: impl Iterator<Item = (&'static str, u64)>) {
        self.0.extend(counts.map(|(counter, count)| ((owner.clone(), counter), count)));
    }

    /// What goes takes its counters with it; one of the same name begins anew.
    pub fn follow(&mut self, command: &Command) {
        match command {
            Command::DeleteService(name) => self.0.retain(|(owner, _), _| match owner {
                Owner::Service(service) | Owner::Real { service, .. } => service != name,
                Owner::Nic(_) | Owner::Endings(_) | Owner::Reports(_) | Owner::Mirror(_) => true,
            }),
            Command::DeleteMirror(name) => {
                let gone = Owner::Mirror(name.clone());
                self.0.retain(|(owner, _), _| *owner != gone);
            }
            Command::DeleteReal { service, guest } | Command::CutReal { service, guest } => {
                let gone = Owner::Real { service: service.clone(), guest: guest.clone() };
                self.0.retain(|(owner, _), _| *owner != gone);
            }
            _ => {}
        }
    }
}
