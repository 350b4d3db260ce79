//! What leads from one plan to another: steps, each of which can be taken back.
//!
//! They are in an order in which each holds by itself: what goes, goes first; ports before the guests
//! on them; guests before services; services before their reals. What is in both plans makes no step,
//! so it keeps its flows and counters.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use lb::{Command, Name, PortId, RealSpec, Role};

use super::switching;
use crate::config::{Plan, PortPlan, ServicePlan};

/// A command and what takes it back.
pub(super) struct Step {
    pub go: Command,
    pub back: Vec<Command>,
}

/// The steps from the old plan to the new one.
pub(super) fn difference(old: &Plan, new: &Plan) -> Vec<Step> {
    let mut steps = switching::gone_mirrors(old, new);
    steps.extend(gone_reals_and_services(old, new));
    steps.extend(switching::gone_macs(old, new));
    steps.extend(gone_guests(old, new));
    steps.extend(ports_before_guests(&old.ports, &new.ports));
    steps.extend(switching::rules(old, new));
    steps.extend(guests(old, new));
    steps.extend(ports_after_guests(&old.ports, &new.ports));
    steps.extend(services_and_reals(old, new));
    steps.extend(switching::macs(old, new));
    steps.extend(switching::ageing(old, new));
    steps.extend(switching::groups(old, new));
    steps.extend(management(old, new));
    steps.extend(identity(old, new));
    steps.extend(switching::mirrors(old, new));
    steps
}

fn management(old: &Plan, new: &Plan) -> Option<Step> {
    let set = |plan: &Plan| Command::SetManagement(plan.management.clone().map(Box::new));
    let changes = old.management != new.management;
    changes.then(|| Step { go: set(new), back: vec![set(old)] })
}

fn identity(old: &Plan, new: &Plan) -> Option<Step> {
    let set = |plan: &Plan| Command::SetIdentity(plan.identity.clone().map(Box::new));
    let changes = old.identity != new.identity;
    changes.then(|| Step { go: set(new), back: vec![set(old)] })
}

fn gone_reals_and_services(old: &Plan, new: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, before) in &old.services {
        let bring_back =
            |real: &RealSpec| Command::SetReal { service: name.clone(), real: real.clone() };
        let Some(after) = new.services.get(name) else {
            let reals = before.reals.values().map(bring_back);
            let back = [Command::SetService(before.spec.clone())].into_iter().chain(reals);
            steps.push(Step { go: Command::DeleteService(name.clone()), back: back.collect() });
            continue;
        };
        for (guest, real) in
            before.reals.iter().filter(|(guest, _)| !after.reals.contains_key(*guest))
        {
            let go = Command::DeleteReal { service: name.clone(), guest: guest.clone() };
            steps.push(Step { go, back: vec![bring_back(real)] });
        }
    }
    steps
}

fn gone_guests(old: &Plan, new: &Plan) -> Vec<Step> {
    let gone = old.guests.iter().filter(|(name, _)| !new.guests.contains_key(*name));
    gone.map(|(name, spec)| Step {
        go: Command::DeleteGuest(name.clone()),
        back: vec![Command::SetGuest(spec.clone())],
    })
    .collect()
}

/// Names, and the roles that guests need: a port that becomes an uplink is still the guests' that
/// will leave it. Where a name passes from one port to another, the other gives it up first.
fn ports_before_guests(old: &[PortPlan], new: &[PortPlan]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut holding: Vec<PortPlan> = old.to_vec();
    for (at, plan) in new.iter().enumerate() {
        let holder = holding.iter().position(|other| other.name == plan.name);
        if let Some(holder) = holder.filter(|&holder| holder != at) {
            let given_up =
                PortPlan { name: spare_name(old, new, holder), ..holding[holder].clone() };
            steps.extend(set_port(holder, Some(&holding[holder]), &given_up));
            holding[holder] = given_up;
        }
        let interim = PortPlan { name: plan.name.clone(), role: interim_role(old.get(at), plan) };
        steps.extend(set_port(at, holding.get(at), &interim));
        if let Some(held) = holding.get_mut(at) {
            *held = interim;
        }
    }
    steps
}

fn ports_after_guests(old: &[PortPlan], new: &[PortPlan]) -> Vec<Step> {
    let ports = new.iter().enumerate();
    ports
        .filter_map(|(at, plan)| {
            let role = interim_role(old.get(at), plan);
            set_port(at, Some(&PortPlan { name: plan.name.clone(), role }), plan)
        })
        .collect()
}

fn interim_role(old: Option<&PortPlan>, new: &PortPlan) -> Role {
    match old {
        Some(old) if old.role == Role::Guest => Role::Guest,
        Some(_) | None => new.role,
    }
}

/// A name that no port has or will have.
fn spare_name(old: &[PortPlan], new: &[PortPlan], port: usize) -> Name {
    let is_taken = |name: &Name| old.iter().chain(new).any(|plan| plan.name == *name);
    let mut names = (0..).filter_map(|number| format!("spare{port}-{number}").parse().ok());
    names.find(|name| !is_taken(name)).expect("64 ports do not take every name")
}

fn set_port(at: usize, old: Option<&PortPlan>, new: &PortPlan) -> Option<Step> {
    if old == Some(new) {
        return None;
    }
    let port = PortId::new(at)?;
    let command =
        |plan: &PortPlan| Command::SetPort { port, name: plan.name.clone(), role: plan.role };
    Some(Step { go: command(new), back: old.map(command).into_iter().collect() })
}

fn guests(old: &Plan, new: &Plan) -> Vec<Step> {
    let changed = new.guests.iter().filter(|(name, spec)| old.guests.get(*name) != Some(spec));
    changed
        .map(|(name, spec)| {
            let back = match old.guests.get(name) {
                Some(before) => Command::SetGuest(before.clone()),
                None => Command::DeleteGuest(name.clone()),
            };
            Step { go: Command::SetGuest(spec.clone()), back: vec![back] }
        })
        .collect()
}

fn services_and_reals(old: &Plan, new: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, after) in &new.services {
        let before = old.services.get(name);
        steps.extend(set_service(name, before, after));
        let reals = after.reals.iter();
        steps.extend(reals.filter_map(|(guest, real)| set_real(name, guest, before, real)));
    }
    steps
}

fn set_service(name: &Name, before: Option<&ServicePlan>, after: &ServicePlan) -> Option<Step> {
    let before = before.map(|before| &before.spec);
    if before == Some(&after.spec) {
        return None;
    }
    let back = match before {
        Some(before) => Command::SetService(before.clone()),
        None => Command::DeleteService(name.clone()),
    };
    Some(Step { go: Command::SetService(after.spec.clone()), back: vec![back] })
}

fn set_real(
    service: &Name,
    guest: &Name,
    before: Option<&ServicePlan>,
    after: &RealSpec,
) -> Option<Step> {
    let before = before.and_then(|before| before.reals.get(guest));
    if before == Some(after) {
        return None;
    }
    let set = |real: &RealSpec| Command::SetReal { service: service.clone(), real: real.clone() };
    let back = match before {
        Some(before) => set(before),
        None => Command::DeleteReal { service: service.clone(), guest: guest.clone() },
    };
    Some(Step { go: set(after), back: vec![back] })
}
