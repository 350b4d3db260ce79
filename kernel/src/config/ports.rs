//! Which NIC is which port.
//!
//! A NIC that the configuration picks with `match` has the name and role given there. The others
//! are named by their number: the first is the uplink `up0`, unless the configuration picks an
//! uplink itself, the rest are guests' ports `p1`, `p2` …. A number whose name was given to
//! another NIC takes the lowest that is free. So the names depend on the NICs and the
//! configuration alone, and on no order of events.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use lb::{Name, Role};

use super::{Finding, Item, NicId, PortConfig, PortPlan, Wrong};

/// A port for each NIC, in the order of the NICs.
pub fn name_ports(
    stated: &BTreeMap<Name, PortConfig>,
    nics: &[NicId],
    findings: &mut Vec<Finding>,
) -> Vec<PortPlan> {
    let mut plans = vec![None; nics.len()];
    for (name, port) in stated {
        if let Some(finding) = pick(name, port, nics, &mut plans) {
            findings.push(finding);
        }
    }
    let mut plans = name_the_rest(plans);
    for (name, port) in stated.iter().filter(|(_, port)| port.nic.is_none()) {
        match plans.iter_mut().find(|plan| plan.name == *name) {
            Some(plan) => plan.role = port.role.unwrap_or(plan.role),
            None => {
                let known = plans.iter().map(|plan| plan.name.clone()).collect();
                let wrong = Wrong::NoDefaultPort { known };
                findings.push(Finding::new(Item::Port(name.clone()), wrong));
            }
        }
    }
    plans
}

/// Gives a port the NIC that its `match` picks.
fn pick(
    name: &Name,
    port: &PortConfig,
    nics: &[NicId],
    plans: &mut [Option<PortPlan>],
) -> Option<Finding> {
    let wanted = port.nic?;
    let item = Item::PortMatch(name.clone());
    let Some(at) = nics.iter().position(|nic| wanted.is(nic)) else {
        let wrong = Wrong::NoSuchNic { nic: wanted, nics: nics.to_vec() };
        return Some(Finding::new(item, wrong));
    };
    if let Some(owner) = &plans[at] {
        let port = owner.name.clone();
        let with = Item::PortMatch(port.clone());
        return Some(Finding::against(item, Wrong::NicTaken { port }, with));
    }
    plans[at] = Some(PortPlan { name: name.clone(), role: port.role.unwrap_or(Role::Guest) });
    None
}

fn name_the_rest(picked: Vec<Option<PortPlan>>) -> Vec<PortPlan> {
    let uplink_picked = picked.iter().flatten().any(|plan| plan.role == Role::Uplink);
    let mut plans = picked;
    let mut late = Vec::new();
    for at in 0..plans.len() {
        if plans[at].is_some() {
            continue;
        }
        let plan = if at == 0 && !uplink_picked {
            PortPlan { name: numbered("up", at), role: Role::Uplink }
        } else {
            PortPlan { name: numbered("p", at), role: Role::Guest }
        };
        if is_free(&plans, &plan.name) {
            plans[at] = Some(plan);
        } else {
            late.push((at, plan.role));
        }
    }
    for (at, role) in late {
        let lowest = (1..).map(|number| numbered("p", number));
        let name = lowest.into_iter().find(|name| is_free(&plans, name));
        plans[at] = name.map(|name| PortPlan { name, role });
    }
    plans.into_iter().flatten().collect()
}

fn is_free(plans: &[Option<PortPlan>], name: &Name) -> bool {
    plans.iter().flatten().all(|plan| plan.name != *name)
}

fn numbered(prefix: &str, number: usize) -> Name {
    format!("{prefix}{number}").parse().expect("a letter and a number are a name")
}
