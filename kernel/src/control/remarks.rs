//! What there is to say of a commit that was made.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use lb::{Empty, Name};

use super::Control;
use crate::appliance::Appliance;
use crate::config::{Config, Plan};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A real went; its open flows go on.
    Drains { service: Name, guest: Name, flows: u32 },
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

/// Reals that went and have open flows, those of an earlier life of the same real included.
fn draining(before: &Plan, after: &Plan, appliance: &Appliance) -> Vec<Remark> {
    let is_in = |plan: &Plan, service: &Name, guest: &Name| {
        plan.services.get(service).is_some_and(|service| service.reals.contains_key(guest))
    };
    let tables = appliance.dataplane.tables();
    let mut waiting: BTreeMap<(Name, Name), u32> = BTreeMap::new();
    for (_, real) in tables.reals().filter(|(_, real)| real.retired) {
        let (Some(service), guest) = (tables.service(real.service), &real.spec.guest) else {
            continue;
        };
        let name = &service.spec.name;
        if is_in(before, name, guest) && !is_in(after, name, guest) {
            *waiting.entry((name.clone(), guest.clone())).or_default() += real.counters.flows_open;
        }
    }
    waiting.retain(|_, flows| *flows > 0);
    let remark = |((service, guest), flows)| Remark::Drains { service, guest, flows };
    waiting.into_iter().map(remark).collect()
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Drains { service, guest, flows } => {
                let (flows, rest) = match flows {
                    1 => (1, "flow, which goes on until it ends."),
                    more => (*more, "flows, which go on until they end."),
                };
                write!(f, "Service {service}: real {guest} has {flows} open {rest}")
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
