//! The one funnel through which the tables change.
//!
//! ```text
//!  statement ─▶ Config ─▶ check ─▶ Plan ─▶ difference to the last Plan ─▶ Commands ─▶ tables
//! ```
//!
//! A change is checked as a whole before anything is touched. What reaches the tables is the
//! difference, so a service that a change does not name keeps its flows and counters. Should the
//! tables refuse a step all the same (a table is full of reals that wait for their last flows),
//! the steps before it are taken back, and everything is as it was.
//!
//! The steps are in an order in which each holds by itself: what goes, goes first; ports before
//! the guests on them; guests before services; services before their reals. Where a change needs
//! another order (a guest takes the address that a service gives up), the tables refuse a step, and
//! it waits for the others.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use lb::{AdminState, Command, MacAddr, Name, PortId, RealSpec, Role};

use crate::appliance::{Appliance, Attached};
use crate::config::{self, Config, NicId, Plan, PortPlan, ServicePlan, Site, Statement};
use crate::shell::problem::{Error, Problem, unchanged};

/// The running configuration, and what it came to.
pub struct Control {
    config: Config,
    plan: Plan,
    site: Site,
}

/// A command and what takes it back.
struct Step {
    go: Command,
    back: Vec<Command>,
}

impl Control {
    /// Names the ports and makes the appliance a plain learning switch.
    pub fn begin(site: Site, appliance: &mut Appliance) -> Control {
        let mut control = Control { config: Config::default(), plan: Plan::default(), site };
        if let Err(errors) = control.change(Config::default(), appliance) {
            errors.iter().for_each(|error| log::error!("{error}"));
        }
        control
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Makes what a file says ([`config::load`]) the running configuration.
    pub fn start_up(
        &mut self,
        config: Config,
        appliance: &mut Appliance,
    ) -> Result<(), Vec<Error>> {
        self.change(config, appliance)?;
        appliance.prepare();
        Ok(())
    }

    /// Acts on one statement at once.
    pub fn state(
        &mut self,
        statement: &Statement,
        appliance: &mut Appliance,
    ) -> Result<(), Vec<Error>> {
        let mut config = self.config.clone();
        config.take(statement).map_err(|problem| vec![Error::whole(problem)])?;
        self.change(config, appliance)?;
        log::info!("configuration: {statement}");
        Ok(())
    }

    /// Makes a guest's reals (or one of them) ready, drains them or takes them out.
    pub fn administer(
        &mut self,
        service: Option<Name>,
        guest: Name,
        state: AdminState,
        appliance: &mut Appliance,
    ) -> Result<(), Error> {
        let whose =
            service.as_ref().map_or(String::new(), |service| format!(" in service {service}"));
        let line = format!("guest {guest}{whose}: {}", state.as_str());
        let command = Command::Administer { service, guest, state };
        appliance
            .apply(&command)
            .map_err(|refusal| Error::whole(Problem::Refused(Box::new(refusal))))?;
        log::info!("operator: {line}");
        Ok(())
    }

    /// Makes `config` the running configuration, or changes nothing.
    fn change(&mut self, config: Config, appliance: &mut Appliance) -> Result<(), Vec<Error>> {
        let plan = config::check(&config, &self.site).map_err(|findings| {
            let invalid = |finding| Error::whole(Problem::Invalid(Box::new(finding)));
            unchanged(findings.into_iter().map(invalid).collect())
        })?;
        perform(difference(&self.plan, &plan), appliance)?;
        (self.config, self.plan) = (config, plan);
        Ok(())
    }
}

/// Applies all steps, or none. Those that are refused are tried again after the others, until a
/// round gets nowhere. No two steps about one thing can wait: of those about a port only the last is
/// ever refused.
fn perform(mut steps: Vec<Step>, appliance: &mut Appliance) -> Result<(), Vec<Error>> {
    let mut done = Vec::new();
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
            take_back(done, appliance);
            return Err(unchanged(refusals));
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

fn difference(old: &Plan, new: &Plan) -> Vec<Step> {
    let mut steps = gone_reals_and_services(old, new);
    steps.extend(gone_guests(old, new));
    steps.extend(ports_before_guests(&old.ports, &new.ports));
    steps.extend(guests(old, new));
    steps.extend(ports_after_guests(&old.ports, &new.ports));
    steps.extend(services_and_reals(old, new));
    steps
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

/// The machine, as a configuration sees it.
pub fn site<'a>(nics: impl Iterator<Item = &'a Attached>, flows_fit: usize) -> Site {
    let id = |attached: &Attached| NicId { pci: attached.pci, mac: MacAddr(attached.nic.mac()) };
    Site { nics: nics.map(id).collect(), flows_fit }
}
