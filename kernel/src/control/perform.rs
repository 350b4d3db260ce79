//! Applies steps, all or none.
//!
//! Where a change needs another order than that of its steps (a guest takes the address that a
//! service gives up), the tables refuse a step, and it waits for the others. Where things take in a
//! circle what the others have (two guests exchange their MACs), no order will do: then those that
//! wait first give up what they have for something that nobody has. No frame sees that.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb::tables::Tables;
use lb::{Command, GuestSpec, MacAddr, ServiceSpec};

use super::difference::Step;
use crate::appliance::Appliance;
use crate::shell::problem::{Error, Problem, unchanged};

/// Applies all steps, or none. Those that are refused are tried again after the others, until a
/// round gets nowhere, once more when they have given way. No two steps about one thing can wait: of
/// those about a port only the last is ever refused.
pub(super) fn perform(mut steps: Vec<Step>, appliance: &mut Appliance) -> Result<(), Vec<Error>> {
    let mut done = Vec::new();
    let mut has_given_way = false;
    while !steps.is_empty() {
        let before = done.len();
        let mut waiting = Vec::new();
        let mut refusals = Vec::new();
        for step in steps {
            match appliance.apply(&step.go) {
                Ok(()) => done.push(step.back),
                Err(refusal) => {
                    waiting.push(step);
                    refusals.push(Error::whole(Problem::Refused(Box::new(refusal))));
                }
            }
        }
        if done.len() == before {
            if has_given_way {
                take_back(done, appliance);
                return Err(unchanged(refusals));
            }
            give_way(&mut waiting, &mut done, appliance);
            has_given_way = true;
        }
        steps = waiting;
    }
    Ok(())
}

fn take_back(done: Vec<Vec<Command>>, appliance: &mut Appliance) {
    for command in done.into_iter().rev().flatten() {
        if let Err(refusal) = appliance.apply(&command) {
            log::error!("a change could not be taken back: {refusal}");
        }
    }
}

/// Has the guests and services of these steps give up their MACs and addresses. A step then leads
/// back to there, and what was before is a step of its own.
fn give_way(waiting: &mut [Step], done: &mut Vec<Vec<Command>>, appliance: &mut Appliance) {
    let mut spares = Spares::default();
    for at in 0..waiting.len() {
        let tables = appliance.dataplane.tables();
        let is_free =
            |address| !is_used(tables, address) && !waiting.iter().any(|s| s.names(address));
        let interim = match &waiting[at].go {
            Command::SetGuest(spec) => {
                let id = tables.guest_by_name(&spec.name);
                let guest = id.and_then(|id| tables.guest(id));
                guest.map(|guest| Command::SetGuest(spares.guest(&guest.spec, &is_free)))
            }
            Command::SetService(spec) => {
                let id = tables.service_by_name(&spec.name);
                let service = id.and_then(|id| tables.service(id));
                service.map(|service| Command::SetService(spares.service(&service.spec, &is_free)))
            }
            _ => None,
        };
        let Some(interim) = interim.filter(|interim| appliance.apply(interim).is_ok()) else {
            continue;
        };
        done.push(core::mem::replace(&mut waiting[at].back, vec![interim]));
    }
}

impl Step {
    /// Whether it gives somebody this address.
    fn names(&self, address: IpAddr) -> bool {
        match &self.go {
            Command::SetGuest(spec) => has(spec, address),
            Command::SetService(spec) => spec.vip == address,
            _ => false,
        }
    }
}

fn is_used(tables: &Tables, address: IpAddr) -> bool {
    tables.guests().any(|(_, guest)| has(&guest.spec, address))
        || tables.held().iter().any(|held| held.host.address == address)
        || tables.services().any(|(_, service)| service.spec.vip == address)
}

fn has(guest: &GuestSpec, address: IpAddr) -> bool {
    guest.addresses.contains(&address) || guest.probe_sources.contains(&address)
}

/// MACs and addresses that nobody has.
#[derive(Default)]
struct Spares {
    used: u16,
}

impl Spares {
    /// A guest that can still be every real that it is or will be: it has both IP versions.
    fn guest(&mut self, guest: &GuestSpec, is_free: &impl Fn(IpAddr) -> bool) -> GuestSpec {
        let [v4, v6] = self.addresses(is_free);
        let mac = MacAddr::virtual_of(v4);
        let mut interim = GuestSpec::new(guest.name.clone(), guest.port, mac);
        interim.addresses.extend([v4, v6]);
        interim
    }

    fn service(&mut self, service: &ServiceSpec, is_free: &impl Fn(IpAddr) -> bool) -> ServiceSpec {
        let [v4, v6] = self.addresses(is_free);
        let vip = if service.vip.is_ipv4() { v4 } else { v6 };
        ServiceSpec { vip, ..service.clone() }
    }

    /// From the networks for benchmarks (RFC 2544) and for documentation (RFC 3849).
    fn addresses(&mut self, is_free: &impl Fn(IpAddr) -> bool) -> [IpAddr; 2] {
        loop {
            // The tables hold fewer than there are numbers.
            self.used = self.used.wrapping_add(1);
            let [high, low] = self.used.to_be_bytes();
            let v4 = IpAddr::V4(Ipv4Addr::new(198, 18, high, low));
            let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, self.used));
            if is_free(v4) && is_free(v6) {
                return [v4, v6];
            }
        }
    }
}
