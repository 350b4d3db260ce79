//! What there is to say of a commit that was made, or of a guest that was taken out of service.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use lb::{Empty, Name};

use super::Control;
use crate::appliance::Appliance;
use crate::config::{Config, Plan};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// So many flows of a real that gets no new ones are still open.
    Left { service: Name, guest: Name, flows: u32 },
    /// A real went; its open flows go on.
    Drains { service: Name, guest: Name, flows: u32 },
    /// A real went, and its open flows have ended with it.
    Cut { service: Name, guest: Name, flows: u32 },
    /// A service has no real any more.
    NoReal { service: Name, empty: Empty },
    /// The flow table gets another size at the next start; the one that it has.
    NextStart { flows: usize },
}

/// The remarks about what runs now and did not before.
pub(super) fn of(
    config_before: &Config,
    before: &Plan,
    control: &Control,
    appliance: &Appliance,
) -> Vec<Remark> {
    let mut remarks = draining(before, &control.plan, appliance);
    for (name, service) in &control.plan.services {
        let is_news = before.services.get(name).is_none_or(|before| !before.reals.is_empty());
        if is_news && service.reals.is_empty() {
            let empty = service.spec.empty.clone();
            remarks.push(Remark::NoReal { service: name.clone(), empty });
        }
    }
    if config_before.flows != control.running.flows {
        remarks.push(Remark::NextStart { flows: appliance.dataplane.flows().capacity() });
    }
    remarks
}

/// What is left to wait for at a guest, in a service or in all of them.
pub(super) fn left(service: Option<&Name>, guest: &Name, appliance: &Appliance) -> Vec<Remark> {
    let tables = appliance.dataplane.tables();
    let reals = tables.reals().filter(|(_, real)| !real.retired && real.spec.guest == *guest);
    let remarks = reals.filter_map(|(_, real)| {
        let name = &tables.service(real.service)?.spec.name;
        let (guest, flows) = (guest.clone(), real.counters.flows_open);
        let is_meant = service.is_none_or(|service| service == name);
        is_meant.then(|| Remark::Left { service: name.clone(), guest, flows })
    });
    remarks.collect()
}

/// Reals that went with this change and have open flows.
fn draining(before: &Plan, after: &Plan, appliance: &Appliance) -> Vec<Remark> {
    let is_in = |plan: &Plan, Waiting { service, guest, .. }: &Waiting| {
        plan.services.get(service).is_some_and(|service| service.reals.contains_key(guest))
    };
    let waiting = waiting(appliance).into_iter();
    let news = waiting.filter(|waiting| is_in(before, waiting) && !is_in(after, waiting));
    news.map(|Waiting { service, guest, flows }| Remark::Drains { service, guest, flows }).collect()
}

/// A real that went and has open flows, those of earlier lives of it included.
pub(super) struct Waiting {
    pub service: Name,
    pub guest: Name,
    pub flows: u32,
}

pub(super) fn waiting(appliance: &Appliance) -> Vec<Waiting> {
    let tables = appliance.dataplane.tables();
    let mut waiting: Vec<Waiting> = Vec::new();
    for (_, real) in tables.reals().filter(|(_, real)| real.retired && real.severed().is_none()) {
        let (flows, guest) = (real.counters.flows_open, &real.spec.guest);
        let Some(service) = tables.service(real.service).filter(|_| flows > 0) else {
            continue;
        };
        let service = &service.spec.name;
        match waiting.iter_mut().find(|other| (&other.service, &other.guest) == (service, guest)) {
            Some(known) => known.flows += flows,
            None => waiting.push(Waiting { service: service.clone(), guest: guest.clone(), flows }),
        }
    }
    waiting.sort_by(|a, b| (&a.service, &a.guest).cmp(&(&b.service, &b.guest)));
    waiting
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Left { service, guest, flows } => {
                write!(f, "Service {service}: real {guest} has {}.", Open(*flows))
            }
            Remark::Drains { service, guest, flows } => {
                write!(f, "Service {service}: real {guest} has {} (or: commit now).", Open(*flows))
            }
            Remark::Cut { service, guest, flows } => {
                let flows =
                    if *flows == 1 { "1 flow".to_string() } else { format!("{flows} flows") };
                write!(f, "Service {service}: {flows} of real {guest} ended; who speaks is told.")
            }
            Remark::NoReal { service, empty } => {
                write!(f, "Warning: service {service} has no real; ")?;
                match empty {
                    Empty::Drop => f.write_str("its clients hear nothing."),
                    Empty::Reset => f.write_str("its clients are reset."),
                    Empty::Sorry(guest) => write!(f, "guest {guest} serves instead."),
                }
            }
            Remark::NextStart { flows } => {
                write!(f, "The flow table has {flows} places until the next start.")
            }
        }
    }
}

/// Flows that nobody ends before their time.
struct Open(u32);

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no open flow"),
            1 => f.write_str("1 open flow, which goes on until it ends"),
            more => write!(f, "{more} open flows, which go on until they end"),
        }
    }
}
