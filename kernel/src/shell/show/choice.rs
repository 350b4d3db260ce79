//! Why a flow is where it is, where a new one would go, and what was decided lately.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use lb::addr::Protocol;
use lb::explain::{Call, Explanation, Factors};
use lb::guest::load::{ASKED_WITHIN, MilliFlows};
use lb::service::sched::Measured;
use lb::wire::Endpoint;
use lb::wire::ethernet::VLAN_MAX;
use lb::{Name, Persistence, RealId, Service};

use super::at;
use super::reals::state_of;
use crate::shell::Desk;
use crate::shell::json::Object;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::parse::Sentence;
use crate::shell::problem::Problem;
use crate::shell::units::{Age, Flows, InText, Latency, Or, Percent, Shown, Vlan};
use crate::shell::value::{Choice as Said, Value};

/// An open flow, as far as an operator asks for it.
struct OpenFlow<'a> {
    real: Option<&'a Name>,
    state: &'static str,
    age: Age,
    placed_by: &'static str,
}

/// Requests in a second.
struct Rate(Flows);

/// `show lb why`: what became of a flow, and every factor of what would become of a new one.
pub fn why(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let explained = explanations(desk, said)?.into_iter().map(|(call, explanation)| {
        let mut page = told(desk, &call, &explanation);
        page.table(candidates(desk, &explanation), "No guest serves it.");
        page.table(forecasts(desk, &explanation), "");
        page
    });
    let mut page = Page::new("fulcrum.show.lb.why/1");
    page.each("calls", explained.collect());
    Ok(page)
}

/// `test lb`: what would be decided about a new flow.
pub fn foretold(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let foretold = explanations(desk, said)?;
    let foretold = foretold.iter().map(|(call, explanation)| told(desk, call, explanation));
    let mut page = Page::new("fulcrum.test.lb/1");
    page.each("calls", foretold.collect());
    Ok(page)
}

/// The last decisions, the newest last.
pub fn events(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let mut table = Table::new(
        "decisions",
        [
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
        ],
    );
    for decision in dataplane.decisions().iter() {
        let chosen = decision.outcome.as_ref().ok();
        let next = chosen.and_then(|chosen| chosen.runner_up.as_ref());
        let compared = chosen.map(|chosen| chosen.candidates).filter(|&count| count > 0);
        let (by, refused) = match &decision.outcome {
            Ok(chosen) => (Some(chosen.by.as_str()), None),
            Err(reason) => (None, Some(reason.as_str())),
        };
        let why = words(by.map_or_else(|| refusal(refused), ToString::to_string));
        table.push([
            cell("age_ms", Age(now.since(decision.at))),
            cell("service", &decision.service),
            cell("protocol", decision.protocol),
            at(["client", "client_port"], Some(decision.client)),
            cell("real", chosen.map(|chosen| &chosen.guest)),
            why.with("placed_by", by).with("refused", refused),
            cell("candidates", compared),
            score(chosen.and_then(|chosen| chosen.measured)),
            cell("next_best", next.map(|(guest, _)| guest)),
            cell("next_best_score", next.map(|&(_, its)| its)),
        ]);
    }
    let mut page = Page::new("fulcrum.show.lb.events/1");
    page.table(table, "No new flow was decided about yet.");
    page
}

/// What there is to say, for each protocol that was not ruled out and each VLAN where a service
/// listens.
fn explanations(desk: &Desk<'_>, said: &Sentence) -> Result<Vec<(Call, Explanation)>, Problem> {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let explained = calls(said)?.filter_map(|call| Some((call, dataplane.explain(&call, now)?)));
    let explained: Vec<_> = explained.collect();
    if explained.is_empty() {
        let services = dataplane.tables().services();
        let known = services.map(|(_, service)| service.spec.name.to_string()).collect();
        let vip = ends(said).map_or_else(String::new, |[_, vip]| vip.to_string());
        return Err(Problem::Absent { what: "service", name: format!("at {vip}"), known });
    }
    Ok(explained)
}

/// The calls that a sentence may mean by its two ends: over each protocol that was not ruled out, on
/// each VLAN.
pub fn calls(said: &Sentence) -> Result<impl Iterator<Item = Call>, Problem> {
    let ends = ends(said);
    if let Some([client, vip]) = ends
        && client.is_ipv4() != vip.is_ipv4()
    {
        let wanted = "a caller of that VIP: one is IPv4, the other IPv6".to_string();
        return Err(Problem::NotAValue { text: client.to_string(), wanted, part: None });
    }
    let only = match said.choice() {
        Some(Said::Protocol(only)) => Some(only),
        _ => None,
    };
    let protocols = Protocol::ALL.into_iter().filter(move |it| only.is_none_or(|only| only == *it));
    Ok(ends.into_iter().flat_map(move |ends| {
        let [client, vip] = ends.map(endpoint);
        protocols.clone().flat_map(move |protocol| {
            (0..=VLAN_MAX).map(move |vlan| Call { vlan, protocol, client, vip })
        })
    }))
}

/// The client's end and the VIP's.
fn ends(said: &Sentence) -> Option<[SocketAddr; 2]> {
    let mut ends = said.said.iter().filter_map(|said| end(&said.value));
    Some([ends.next()?, ends.next()?])
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
fn told(desk: &Desk<'_>, call: &Call, explanation: &Explanation) -> Page {
    let tables = desk.appliance.dataplane.tables();
    let mut page = Page::part();
    let Some(service) = tables.service(explanation.service) else {
        return page;
    };
    let (client, vip) = (call.client, call.vip);
    page.row(
        words(format!("{client} to {vip} {}", call.protocol))
            .with("client", InText(client.address))
            .with("client_port", client.port)
            .with("vip", InText(vip.address))
            .with("vip_port", vip.port)
            .with("protocol", call.protocol),
    );
    page.fact("service", cell("service", &service.spec.name));
    match call.vlan {
        0 => page.unsaid("vlan", Vlan(0)),
        vlan => page.fact("VLAN", cell("vlan", Vlan(vlan))),
    }
    page.fact("open flow", cell("open_flow", open_flow(desk, explanation)));
    new_flow(&mut page, desk, service, explanation);
    match (&service.spec.persistence, explanation.remembered) {
        (Some(Persistence::Payload { .. }), _) => {
            let told = words("by what the payload says, which is not known here");
            page.fact("persistence", told.with("remembered", None::<&str>));
        }
        (Some(Persistence::Source { .. }), home) => {
            let home = home.and_then(|id| guest_of(desk, id));
            page.fact("persistence", cell("remembered", home));
        }
        (None, _) => page.unsaid("remembered", None::<&str>),
    }
    page
}

fn open_flow<'a>(desk: &'a Desk<'_>, explanation: &Explanation) -> Option<OpenFlow<'a>> {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let flow = dataplane.flows().get(explanation.flow?)?;
    Some(OpenFlow {
        real: guest_of(desk, flow.real),
        state: flow.state.as_str(),
        age: Age(now.since(flow.started)),
        placed_by: flow.placed().as_str(),
    })
}

impl Shown for OpenFlow<'_> {
    fn words(&self) -> String {
        let OpenFlow { real, state, age, placed_by } = self;
        let (real, age) = (real.words(), age.words());
        format!("at {real}, {state}, began {age} ago, placed by: {placed_by}")
    }

    fn json(&self, json: &mut String) {
        let OpenFlow { real, state, age, placed_by } = self;
        let object = Object::default().with("real", real).with("state", state);
        object.with("age_ms", age).with("placed_by", placed_by).write(json);
    }
}

/// What would become of a new flow; of what does not apply only programs hear.
fn new_flow(page: &mut Page, desk: &Desk<'_>, service: &Service, explanation: &Explanation) {
    let choice = explanation.new.as_ref();
    let (real, refused) = match choice {
        Ok(choice) => (guest_of(desk, choice.real), None),
        Err(reason) => (None, Some(reason.as_str())),
    };
    let goes = match refused {
        Some(_) => refusal(refused),
        None => format!("goes to {}", real.words()),
    };
    page.fact("a new flow", words(goes).with("real", real).with("refused", refused));
    let choice = choice.ok();
    let compared = choice.filter(|choice| choice.candidates > 0);
    let next = choice.and_then(|choice| choice.runner_up);
    let next_best = next.and_then(|(real, _)| guest_of(desk, real));
    let their = next.map(|(_, measured)| measured);
    let told_next = words(format!("{}, {}", next_best.words(), their.words()));
    let facts = [
        ("placed by", choice.is_some(), cell("placed_by", choice.map(|choice| choice.by.as_str()))),
        ("scheduler", compared.is_some(), cell("scheduler", service.spec.scheduler.as_str())),
        (
            "candidates",
            compared.is_some(),
            cell("candidates", compared.map(|choice| choice.candidates)),
        ),
        (
            "score",
            choice.is_some_and(|choice| choice.measured.is_some()),
            score(choice.and_then(|choice| choice.measured)),
        ),
        (
            "next best",
            next.is_some(),
            told_next.with("next_best", next_best).with("next_best_score", their),
        ),
    ];
    for (title, applies, cell) in facts {
        if applies { page.fact(title, cell) } else { page.mute(cell) }
    }
}

/// What a real is compared by, and what kind of number that is.
fn score(measured: Option<Measured>) -> Cell {
    let kind = measured.map(|measured| match measured {
        Measured::Delay(_) => "delay_us",
        Measured::Flows(_) => "flows",
    });
    cell("score", measured).with("score_of", kind)
}

/// Who may be chosen, and by what they are compared.
fn candidates(desk: &Desk<'_>, explanation: &Explanation) -> Table {
    let mut table = Table::new(
        "reals",
        [
            ("REAL", Left),
            ("STATE", Left),
            ("WEIGHT", Right),
            ("AGENT", Right),
            ("SLOW START", Right),
            ("EFFECTIVE", Right),
            ("FLOWS", Right),
            ("SCORE", Right),
            ("CHOICE", Left),
        ],
    );
    for factors in &explanation.reals {
        let Some(real) = desk.appliance.dataplane.tables().real(factors.real) else {
            continue;
        };
        let (weight, effective) = (real.spec.weight, factors.standing.effective_weight);
        let agents = real.load.effective_weight(weight, desk.appliance.now());
        let part = (agents.thousandths() / 10).checked_div(u32::from(weight));
        table.push([
            cell("real", &real.spec.guest),
            state_of(&factors.standing),
            cell("weight", weight),
            cell("agent_percent", part.map(Percent)),
            cell("slow_start_percent", Percent(factors.standing.factors.slow_start.get())),
            cell("effective_weight", effective),
            cell("flows_open", real.counters.flows_open),
            score(factors.measured),
            cell("choice", rank(explanation, factors)),
        ]);
    }
    table
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

/// How long each is expected to let a new flow wait, factor by factor: the load as last reported,
/// what flows and what other programs made of it by experience, what can be asked in a second and
/// is, who waits.
fn forecasts(desk: &Desk<'_>, explanation: &Explanation) -> Table {
    let now = desk.appliance.now();
    let mut table = Table::new(
        "forecasts",
        [
            ("REAL", Left),
            ("REPORT", Left),
            ("AGE", Right),
            ("COUNTS", Right),
            ("TRUST", Right),
            ("LOAD", Right),
            ("BY FLOWS", Right),
            ("BESIDE", Right),
            ("CAPACITY", Right),
            ("ASKED", Right),
            ("WAITING", Right),
            ("DEMAND", Right),
            ("DELAY", Right),
        ],
    );
    for factors in &explanation.reals {
        let real = desk.appliance.dataplane.tables().real(factors.real);
        let (Some(real), Some(forecast)) = (real, factors.standing.forecast) else {
            continue;
        };
        table.push([
            cell("real", &real.spec.guest),
            cell("report", Or(real.load.phase(now).map(|phase| phase.as_str()), "none")),
            cell("report_age_ms", real.load.age(now).map(Age)),
            cell("counts", forecast.freshness),
            cell("trust", forecast.trust),
            cell("load", real.load.reported().map(|reported| reported.load)),
            cell("load_by_flows", forecast.load),
            cell("load_beside", forecast.beside),
            cell("capacity_per_second", Rate::of(forecast.capacity)),
            cell("asked_per_second", Rate::of(forecast.asked)),
            cell("flows_waiting", real.counters.flows_waiting),
            cell("demand", Flows(forecast.demand)),
            cell("delay_us", Latency(forecast.delay)),
        ]);
    }
    table
}

impl Rate {
    /// Of what comes in [`ASKED_WITHIN`].
    fn of(count: MilliFlows) -> Rate {
        let second = Duration::from_secs(1).as_millis() / ASKED_WITHIN.as_millis();
        Rate(Flows(count.saturating_mul(second as u64)))
    }
}

impl Shown for Rate {
    fn words(&self) -> String {
        format!("{}/s", self.0.words())
    }

    fn json(&self, json: &mut String) {
        self.0.json(json);
    }
}

fn guest_of<'a>(desk: &'a Desk<'_>, real: RealId) -> Option<&'a Name> {
    desk.appliance.dataplane.tables().real(real).map(|real| &real.spec.guest)
}

fn refusal(reason: Option<&str>) -> String {
    format!("refused: {}", reason.words())
}
