//! Mirrors: each from a port to another one that is nothing else.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use lb::limits::MIRRORS_MAX;
use lb::switch::filter::Ends;
use lb::{GuestSpec, MirrorSpec, Name, PortId};

use super::{PortPlan, ServicePlan};
use crate::config::{Config, Finding, Item, MirrorConfig, Wrong};

/// What mirrors refer to.
pub(super) struct Mirrors<'a> {
    pub config: &'a Config,
    pub ports: &'a [PortPlan],
    pub guests: &'a BTreeMap<Name, GuestSpec>,
    pub services: &'a BTreeMap<Name, ServicePlan>,
}

impl Mirrors<'_> {
    pub(super) fn check(&self, findings: &mut Vec<Finding>) -> BTreeMap<Name, MirrorSpec> {
        let mut specs = BTreeMap::new();
        for (name, mirror) in &self.config.mirrors {
            match self.spec(name, mirror) {
                Ok(spec) => _ = specs.insert(name.clone(), spec),
                Err(finding) => findings.push(*finding),
            }
        }
        if let Some((name, _)) = self.config.mirrors.iter().nth(MIRRORS_MAX) {
            let wrong = Wrong::TooMany { what: "mirrors", max: MIRRORS_MAX };
            findings.push(Finding::new(Item::Mirror(name.clone()), wrong));
        }
        specs
    }

    fn spec(&self, name: &Name, mirror: &MirrorConfig) -> Result<MirrorSpec, Box<Finding>> {
        let at = || Item::Mirror(name.clone());
        let found = |wrong| Box::new(Finding::new(at(), wrong));
        let against = |wrong, with| Err(Box::new(Finding::against(at(), wrong, with)));
        let [from, to] = [&mirror.from, &mirror.to].map(|port| self.port(port).map_err(found));
        let (from, to) = (from?, to?);
        if from == to {
            return Err(found(Wrong::MirrorToItself));
        }
        let of_it = self.config.mirrors.iter().find(|(_, other)| other.from == mirror.to);
        if let Some((other, _)) = of_it {
            let wrong = Wrong::MirrorOfMirror { port: mirror.to.clone(), mirror: other.clone() };
            return against(wrong, Item::Mirror(other.clone()));
        }
        let guest_there = |guest: &&GuestSpec| guest.port == to;
        if let Some(guest) = self.guests.values().find(guest_there).map(|guest| guest.name.clone())
        {
            let wrong = Wrong::MirrorToGuest { port: mirror.to.clone(), guest: guest.clone() };
            return against(wrong, Item::GuestPort(guest));
        }
        let ends = mirror.filter.service.as_ref().map(|service| self.ends(service)).transpose();
        let filter = mirror.filter.resolved(ends.map_err(found)?);
        Ok(MirrorSpec { name: name.clone(), from, way: mirror.way, filter, to })
    }

    fn port(&self, name: &Name) -> Result<PortId, Wrong> {
        let found = self.ports.iter().position(|plan| plan.name == *name);
        found.and_then(PortId::new).ok_or_else(|| {
            let known = self.ports.iter().map(|plan| plan.name.clone()).collect();
            Wrong::UnknownPort { port: name.clone(), known }
        })
    }

    /// Where a service's segments are seen.
    fn ends(&self, service: &Name) -> Result<Ends, Wrong> {
        let unknown = || Wrong::NoSuchService { who: "its filter", service: service.clone() };
        let ServicePlan { spec, reals } = self.services.get(service).ok_or_else(unknown)?;
        let addresses = |guest| self.guests.get(guest).map_or(&[][..], |spec| &spec.addresses);
        Ok(Ends::of(spec, reals.values().map(|real| (real, addresses(&real.guest)))))
    }
}
