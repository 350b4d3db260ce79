//! Why a flow is where it is, where a new one would go, and what was decided lately.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use lb::addr::Protocol;
use lb::decisions::Choice;
use lb::explain::{Call, Explanation, Factors};
use lb::wire::Endpoint;
use lb::wire::ethernet::VLAN_MAX;
use lb::{DropReason, Persistence, RealId, Service};

use super::{fact, vlan};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table};
use crate::shell::parse::Sentence;
use crate::shell::problem::Problem;
use crate::shell::units::{NOTHING, age, flows, measured, or_nothing, percent};
use crate::shell::value::{Choice as Said, Value};

/// `show lb why`: what became of a flow, and every factor of what would become of a new one.
pub fn why(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let mut page = Page::default();
    for (call, explanation) in explanations(desk, said)? {
        told(&mut page, desk, &call, &explanation);
        page.table(&candidates(desk, &explanation), "No guest serves it.");
        if explanation.reals.iter().any(|real| real.standing.forecast.is_some()) {
            page.table(&forecasts(desk, &explanation), "");
        }
    }
    Ok(page)
}

/// `test lb`: what would be decided about a new flow.
pub fn foretold(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let mut page = Page::default();
    for (call, explanation) in explanations(desk, said)? {
        told(&mut page, desk, &call, &explanation);
    }
    Ok(page)
}

/// The last decisions, the newest last.
pub fn events(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let mut table = Table::new([
        ("AGE", Right),
        ("SERVICE", Left),
        ("PROTOCOL", Left),
        ("CLIENT", Left),
        ("REAL", Left),
        ("WHY", Left),
        ("OF", Right),
        ("SCORE", Right),
        ("NEXT BEST", Left),
        ("SCORE", Right),
    ]);
    for decision in dataplane.decisions().iter() {
        let chosen = decision.outcome.as_ref().ok();
        let next = chosen.and_then(|chosen| chosen.runner_up.as_ref());
        let compared = chosen.map(|chosen| chosen.candidates).filter(|&count| count > 0);
        table.push([
            age(now.since(decision.at)),
            decision.service.to_string(),
            decision.protocol.to_string(),
            decision.client.to_string(),
            or_nothing(chosen.map(|chosen| &chosen.guest)),
            decision.outcome.as_ref().map_or_else(refused, |chosen| chosen.by.as_str().to_string()),
            or_nothing(compared),
            or_nothing(chosen.and_then(|chosen| chosen.measured).map(measured)),
            or_nothing(next.map(|(guest, _)| guest)),
            or_nothing(next.map(|&(_, its)| measured(its))),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No new flow was decided about yet.");
    page
}

/// What there is to say, for each protocol that was not ruled out and each VLAN where a service
/// listens.
fn explanations(desk: &Desk<'_>, said: &Sentence) -> Result<Vec<(Call, Explanation)>, Problem> {
    let ends: Vec<SocketAddr> = said.said.iter().filter_map(|said| end(&said.value)).collect();
    let &[client, vip] = &ends[..] else {
        return Ok(Vec::new());
    };
    if client.is_ipv4() != vip.is_ipv4() {
        let wanted = "a caller of that VIP: one is IPv4, the other IPv6".to_string();
        return Err(Problem::NotAValue { text: client.to_string(), wanted, part: None });
    }
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let is_asked = |protocol: &Protocol| match said.choice() {
        Some(Said::Protocol(only)) => only == *protocol,
        _ => true,
    };
    let (client, vip) = (endpoint(client), endpoint(vip));
    let mut explained = Vec::new();
    for protocol in Protocol::ALL.into_iter().filter(is_asked) {
        let calls = (0..=VLAN_MAX).map(|vlan| Call { vlan, protocol, client, vip });
        explained.extend(calls.filter_map(|call| Some((call, dataplane.explain(&call, now)?))));
    }
    if explained.is_empty() {
        let services = dataplane.tables().services();
        let known = services.map(|(_, service)| service.spec.name.to_string()).collect();
        return Err(Problem::Absent { what: "service", name: format!("at {vip}"), known });
    }
    Ok(explained)
}

fn end(value: &Value) -> Option<SocketAddr> {
    match value {
        Value::End(end) => Some(*end),
        _ => None,
    }
}

fn endpoint(end: SocketAddr) -> Endpoint {
    Endpoint { address: end.ip().into(), port: end.port() }
}

/// Where the flow is, and what would be decided about a new one.
fn told(page: &mut Page, desk: &Desk<'_>, call: &Call, explanation: &Explanation) {
    let tables = desk.appliance.dataplane.tables();
    let Some(service) = tables.service(explanation.service) else {
        return;
    };
    page.row(format!("{} to {} {}", call.client, call.vip, call.protocol));
    fact(page, "service", &service.spec.name);
    if call.vlan != 0 {
        fact(page, "VLAN", vlan(call.vlan));
    }
    fact(page, "open flow", open_flow(desk, explanation));
    match &explanation.new {
        Ok(choice) => chosen(page, desk, service, choice),
        Err(reason) => fact(page, "a new flow", refused(reason)),
    }
    match (&service.spec.persistence, explanation.remembered) {
        (Some(Persistence::Payload { .. }), _) => {
            fact(page, "persistence", "by what the payload says, which is not known here");
        }
        (Some(Persistence::Source { .. }), home) => {
            let home = home.map(|id| guest_of(desk, id));
            fact(page, "persistence", or_nothing(home));
        }
        (None, _) => {}
    }
}

fn open_flow(desk: &Desk<'_>, explanation: &Explanation) -> String {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let Some(flow) = explanation.flow.and_then(|id| dataplane.flows().get(id)) else {
        return NOTHING.to_string();
    };
    let (guest, state) = (guest_of(desk, flow.real), flow.state.as_str());
    let (by, began) = (flow.placed().as_str(), age(now.since(flow.started)));
    format!("at {guest}, {state}, began {began} ago, placed by: {by}")
}

fn chosen(page: &mut Page, desk: &Desk<'_>, service: &Service, choice: &Choice) {
    fact(page, "a new flow", format!("goes to {}", guest_of(desk, choice.real)));
    fact(page, "placed by", choice.by.as_str());
    if choice.candidates > 0 {
        fact(page, "scheduler", service.spec.scheduler.as_str());
        fact(page, "candidates", choice.candidates);
    }
    if let Some(score) = choice.measured {
        fact(page, "score", measured(score));
    }
    if let Some((real, score)) = choice.runner_up {
        fact(page, "next best", format!("{}, {}", guest_of(desk, real), measured(score)));
    }
}

/// Who may be chosen, and by what they are compared.
fn candidates(desk: &Desk<'_>, explanation: &Explanation) -> Table {
    let mut table = Table::new([
        ("REAL", Left),
        ("STATE", Left),
        ("WEIGHT", Right),
        ("AGENT", Right),
        ("SLOW START", Right),
        ("EFFECTIVE", Right),
        ("FLOWS", Right),
        ("SCORE", Right),
        ("CHOICE", Left),
    ]);
    for factors in &explanation.reals {
        let Some(real) = desk.appliance.dataplane.tables().real(factors.real) else {
            continue;
        };
        let (weight, effective) = (real.spec.weight, factors.standing.effective_weight);
        let agents = real.load.effective_weight(weight, desk.appliance.now());
        let part = (agents.thousandths() / 10).checked_div(u32::from(weight));
        table.push([
            real.spec.guest.to_string(),
            state(factors),
            weight.to_string(),
            or_nothing(part.map(|part| format!("{part}%"))),
            format!("{}%", factors.standing.factors.slow_start.get()),
            effective.to_string(),
            real.counters.flows_open.to_string(),
            or_nothing(factors.measured.map(measured)),
            rank(explanation, factors).to_string(),
        ]);
    }
    table
}

fn state(factors: &Factors) -> String {
    match factors.standing.eligibility {
        Ok(()) => "up".to_string(),
        Err(ineligible) => ineligible.as_str().to_string(),
    }
}

fn rank(explanation: &Explanation, factors: &Factors) -> &'static str {
    let choice = explanation.new.as_ref().ok();
    let is = |id: RealId| id == factors.real;
    match choice {
        Some(choice) if is(choice.real) => "chosen",
        Some(choice) if choice.runner_up.is_some_and(|(id, _)| is(id)) => "next best",
        _ if factors.is_candidate => "candidate",
        _ => "not eligible",
    }
}

/// What reports make expect of each, factor by factor.
fn forecasts(desk: &Desk<'_>, explanation: &Explanation) -> Table {
    let now = desk.appliance.now();
    let mut table = Table::new([
        ("REAL", Left),
        ("REPORT", Left),
        ("AGE", Right),
        ("REPORTED", Right),
        ("GIVEN THEN", Right),
        ("GIVEN NOW", Right),
        ("PER FLOW", Right),
        ("ENDED", Right),
        ("QUEUED", Right),
        ("OWN PART", Right),
        ("TRUST", Right),
        ("EXPECTED", Right),
    ]);
    for factors in &explanation.reals {
        let real = desk.appliance.dataplane.tables().real(factors.real);
        let (Some(real), Some(forecast)) = (real, factors.standing.forecast) else {
            continue;
        };
        let reported = forecast.reported;
        table.push([
            real.spec.guest.to_string(),
            real.load.phase(now).map_or("none", |phase| phase.as_str()).to_string(),
            or_nothing(real.load.age(now).map(age)),
            or_nothing(reported.map(|reported| percent(reported.smoothed))),
            or_nothing(reported.map(|reported| flows(reported.flows_given))),
            flows(forecast.flows_given),
            percent(forecast.per_flow),
            forecast.ended_of_reported.to_string(),
            more_or_less((forecast.queued_millionths + 5_000).div_euclid(10_000)),
            percent(forecast.own_part),
            percent(forecast.trust),
            percent(forecast.predicted),
        ]);
    }
    table
}

/// Per cent that are added or taken off.
fn more_or_less(percent: i64) -> String {
    if percent == 0 { "0%".to_string() } else { format!("{percent:+}%") }
}

fn guest_of(desk: &Desk<'_>, real: RealId) -> String {
    or_nothing(desk.appliance.dataplane.tables().real(real).map(|real| &real.spec.guest))
}

fn refused(reason: &DropReason) -> String {
    format!("refused: {}", reason.as_str())
}
