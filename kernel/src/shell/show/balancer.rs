//! Services, their reals and flows, and what is known of load.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::num::NonZeroU16;

use lb::flow::UDP_IDLE;
use lb::report::Fraction;
use lb::service::{PANIC, SLOW_START, Traffic};
use lb::wire::Endpoint;
use lb::wire::ip::Version;
use lb::{Name, Protocol, Real, RealId, Service, ServiceId, ServiceSpec, Tables};

use super::{ROWS_MAX, absent, fact, note_cut, vlan};
use crate::config::{AgentConfig, CheckConfig, InWords, Vip};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table};
use crate::shell::problem::Problem;
use crate::shell::units::{NOTHING, age, bytes, latency, or_nothing, percent};
use crate::shell::value::Time;

pub fn services(desk: &Desk<'_>) -> Page {
    let tables = desk.appliance.dataplane.tables();
    let mut table = Table::new([
        ("SERVICE", Left),
        ("VIP", Left),
        ("FORWARDING", Left),
        ("SCHEDULER", Left),
        ("REALS UP", Right),
        ("FLOWS", Right),
        ("NEW", Right),
        ("REFUSED", Right),
        ("IN", Right),
        ("OUT", Right),
    ]);
    let mut services: Vec<(_, &Service)> = tables.services().collect();
    services.sort_by_key(|(_, service)| &service.spec.name);
    for (id, service) in services {
        table.push([
            service.spec.name.to_string(),
            vip(service).to_string(),
            service.spec.forwarding.as_str().to_string(),
            service.spec.scheduler.as_str().to_string(),
            reals_up(desk, service),
            flows_open(tables, id).to_string(),
            service.counters.flows_new.to_string(),
            (service.counters.refused_no_real + service.counters.refused_full).to_string(),
            bytes(service.counters.traffic.bytes_in),
            bytes(service.counters.traffic.bytes_out),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No service is defined (configure, set service …).");
    page
}

/// Everything about one service.
pub fn service(desk: &Desk<'_>, name: &Name) -> Result<Page, Problem> {
    let (id, service) = find(desk, name)?;
    let tables = desk.appliance.dataplane.tables();
    let counters = &service.counters;
    let mut page = Page::default();
    page.row(format!("service {name}"));
    stated(&mut page, service);
    fact(&mut page, "reals up", reals_up(desk, service));
    fact(&mut page, "open flows", flows_open(tables, id));
    fact(&mut page, "new flows", counters.flows_new);
    fact(&mut page, "second chances", counters.second_chances);
    fact(&mut page, "refused: no real", counters.refused_no_real);
    fact(&mut page, "refused: full", counters.refused_full);
    fact(&mut page, "clients told so", counters.resets_sent);
    traffic(&mut page, &counters.traffic);
    page.table(&reals_table(desk, |real| real.service == id), NO_REAL);
    Ok(page)
}

/// What was said of a service, and the defaults of what was not.
fn stated(page: &mut Page, service: &Service) {
    let spec = &service.spec;
    fact(page, "VIP", Vip { vlan: 0, ..vip(service) });
    fact(page, "VLAN", or(NonZeroU16::new(spec.vlan), "untagged"));
    fact(page, "scheduler", spec.scheduler.as_str());
    fact(page, "forwarding", spec.forwarding.as_str());
    let persistence = spec.persistence.as_ref().map(InWords);
    fact(page, "persistence", or(persistence, "none"));
    fact(page, "empty", InWords(&spec.empty));
    fact(page, "most flows", or(spec.flows_max, "no limit"));
    fact(page, "check", or(spec.check.as_ref().map(CheckConfig::from), "none"));
    fact(page, "agent", AgentConfig::from(spec.agent));
    fact(page, "slow start", Time(spec.slow_start.unwrap_or(SLOW_START)));
    fact(page, "panic", panic(spec.panic.unwrap_or(PANIC)));
    if spec.protocol == Protocol::Udp {
        fact(page, "idle", Time(spec.udp_idle.unwrap_or(UDP_IDLE)));
        fact(page, "scheduled", if spec.one_packet { "every datagram" } else { "every flow" });
    }
}

/// When what checks say is ignored.
fn panic(percent: u8) -> String {
    if percent == 0 { "never".to_string() } else { format!("below {percent}%") }
}

pub(super) const NO_REAL: &str = "No guest serves it (configure, set service … real …).";

/// All reals, or those of a service.
pub fn reals(desk: &Desk<'_>, service: Option<Name>) -> Result<Page, Problem> {
    let id = service.map(|name| find(desk, &name).map(|(id, _)| id)).transpose()?;
    let table = reals_table(desk, |real| id.is_none_or(|id| real.service == id));
    let mut page = Page::default();
    page.table(&table, NO_REAL);
    Ok(page)
}

/// Everything about one real.
pub fn real(desk: &Desk<'_>, service: &Name, guest: &Name) -> Result<Page, Problem> {
    let (service_id, service) = find(desk, service)?;
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let in_service = || tables.reals().filter(|(_, real)| real.service == service_id);
    let found = in_service().find(|(_, real)| real.spec.guest == *guest);
    let known = in_service().map(|(_, real)| &real.spec.guest);
    let (id, real) = found.ok_or_else(|| absent("real", guest, known))?;
    let (spec, counters) = (&real.spec, &real.counters);
    let mut page = Page::default();
    page.row(format!("real {guest} of service {}", service.spec.name));
    fact(&mut page, "at", real_end(tables, real));
    fact(&mut page, "state", state(desk, id, real));
    fact(&mut page, "wanted", real.admin.as_str());
    fact(&mut page, "weight", weight(desk, id, real));
    fact(&mut page, "most flows", or(spec.flows_max, "no limit"));
    let check = spec.check.as_ref().or(service.spec.check.as_ref());
    fact(&mut page, "check", or(check.map(CheckConfig::from), "none"));
    fact(&mut page, "open flows", counters.flows_open);
    fact(&mut page, "new flows", counters.flows_new);
    fact(&mut page, "ended flows", counters.flows_ended);
    fact(&mut page, "last answer after", or_nothing(counters.answer_time.map(latency)));
    traffic(&mut page, &counters.traffic);
    fact(
        &mut page,
        "last report",
        or_nothing(real.load.age(now).map(|at| format!("{} ago", age(at)))),
    );
    Ok(page)
}

fn reals_table(desk: &Desk<'_>, wanted: impl Fn(&Real) -> bool) -> Table {
    let tables = desk.appliance.dataplane.tables();
    let mut table = Table::new([
        ("SERVICE", Left),
        ("REAL", Left),
        ("AT", Left),
        ("STATE", Left),
        ("WEIGHT", Right),
        ("LOAD", Right),
        ("FLOWS", Right),
        ("NEW", Right),
        ("ANSWER", Right),
    ]);
    for (id, real) in sorted_reals(tables).into_iter().filter(|(_, real)| wanted(real)) {
        let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
        let forecast = standing.and_then(|standing| standing.forecast);
        table.push([
            name_of(tables, real.service),
            real.spec.guest.to_string(),
            real_end(tables, real),
            state(desk, id, real),
            weight(desk, id, real),
            or_nothing(forecast.map(|forecast| percent(forecast.predicted))),
            real.counters.flows_open.to_string(),
            real.counters.flows_new.to_string(),
            or_nothing(real.counters.answer_time.map(latency)),
        ]);
    }
    table
}

/// The real's own end: its address of the VIP's version, and its port.
fn real_end(tables: &Tables, real: &Real) -> String {
    or_nothing(tables.service(real.service).and_then(|service| {
        let guest = &tables.guest(real.guest)?.spec;
        let address = guest.address_of(Version::of(service.spec.vip))?;
        let port = real.spec.port.unwrap_or(service.spec.port).get();
        Some(Endpoint { address: address.into(), port })
    }))
}

/// The configured weight, and what is left of it if that is less.
fn weight(desk: &Desk<'_>, id: RealId, real: &Real) -> String {
    let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
    let configured = real.spec.weight.to_string();
    match standing.map(|standing| standing.effective_weight.to_string()) {
        Some(effective) if effective != configured => format!("{effective} of {configured}"),
        _ => configured,
    }
}

/// Flows; the numbers are packets towards the real and back.
pub fn flows(desk: &Desk<'_>, service: Option<Name>) -> Result<Page, Problem> {
    let id = service.map(|name| find(desk, &name).map(|(id, _)| id)).transpose()?;
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut table = Table::new([
        ("PROTOCOL", Left),
        ("VLAN", Right),
        ("CLIENT", Left),
        ("VIP", Left),
        ("REAL", Left),
        ("STATE", Left),
        ("AGE", Right),
        ("IDLE", Right),
        ("IN", Right),
        ("OUT", Right),
    ]);
    // A look at a bounded part of the table: it may hold a million.
    let looked_at = dataplane.flows().iter().take(ROWS_MAX);
    for flow in looked_at {
        let real = tables.real(flow.real);
        if id.is_some_and(|id| real.is_none_or(|real| real.service != id)) {
            continue;
        }
        table.push([
            flow.protocol().to_string(),
            vlan(flow.vlan()),
            flow.client().to_string(),
            flow.vip().to_string(),
            format!("{}:{}", or_nothing(real.map(|real| &real.spec.guest)), flow.real_end().port),
            flow.state.as_str().to_string(),
            age(now.since(flow.started)),
            age(now.since(flow.seen)),
            flow.packets_in.to_string(),
            flow.packets_out.to_string(),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No flow is open.");
    note_cut(&mut page, dataplane.flows().len().min(ROWS_MAX), dataplane.flows().len());
    Ok(page)
}

/// What reals report, and what is made of it: `LOAD` as reported, `EXPECTED` for this instant.
pub fn load(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut table = Table::new([
        ("SERVICE", Left),
        ("REAL", Left),
        ("REPORT", Left),
        ("AGE", Right),
        ("SAYS", Left),
        ("APP", Right),
        ("CPU", Right),
        ("RIF", Right),
        ("LOAD", Right),
        ("EXPECTED", Right),
        ("WEIGHT", Right),
        ("REASON", Left),
    ]);
    for (id, real) in sorted_reals(tables).into_iter().filter(|(_, real)| !real.retired) {
        let (report, standing) = (&real.load, dataplane.standing(id, now));
        let numbers = report.numbers().copied().unwrap_or_default();
        let forecast = standing.as_ref().and_then(|standing| standing.forecast);
        let shown = |fraction: Option<Fraction>| or_nothing(fraction.map(percent));
        table.push([
            name_of(tables, real.service),
            real.spec.guest.to_string(),
            report.phase(now).map_or("none", |phase| phase.as_str()).to_string(),
            or_nothing(report.age(now).map(age)),
            or_nothing(report.word(now).map(|word| word.as_str())),
            shown(numbers.app),
            shown(numbers.cpu),
            or_nothing(numbers.requests_in_flight),
            shown(report.reported().map(|reported| reported.load)),
            shown(forecast.map(|forecast| forecast.predicted)),
            weight(desk, id, real),
            report.reason().unwrap_or("").to_string(),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, NO_REAL);
    page
}

fn traffic(page: &mut Page, traffic: &Traffic) {
    fact(page, "in", format!("{} packets, {}", traffic.packets_in, bytes(traffic.bytes_in)));
    fact(page, "out", format!("{} packets, {}", traffic.packets_out, bytes(traffic.bytes_out)));
}

fn find<'a>(desk: &'a Desk<'_>, name: &Name) -> Result<(ServiceId, &'a Service), Problem> {
    let tables = desk.appliance.dataplane.tables();
    let found = tables.services().find(|(_, service)| service.spec.name == *name);
    let known = tables.services().map(|(_, service)| &service.spec.name);
    found.ok_or_else(|| absent("service", name, known))
}

/// By service, then by guest.
pub(super) fn sorted_reals(tables: &Tables) -> Vec<(RealId, &Real)> {
    let mut reals: Vec<(RealId, &Real)> = tables.reals().collect();
    reals.sort_by_key(|(_, real)| {
        (tables.service(real.service).map(|service| &service.spec.name), &real.spec.guest)
    });
    reals
}

pub(super) fn state(desk: &Desk<'_>, id: RealId, real: &Real) -> String {
    let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
    let service = desk.appliance.dataplane.tables().service(real.service);
    let is_sorry = service.is_some_and(|service| service.sorry == Some(id));
    match standing.map(|standing| standing.eligibility) {
        Some(Ok(())) if is_sorry => "sorry".to_string(),
        Some(Ok(())) => "up".to_string(),
        Some(Err(ineligible)) if is_sorry => format!("sorry: {}", ineligible.as_str()),
        Some(Err(ineligible)) => ineligible.as_str().to_string(),
        None if real.retired => "leaving".to_string(),
        None => NOTHING.to_string(),
    }
}

fn reals_up(desk: &Desk<'_>, service: &Service) -> String {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let is_up = |id: &&RealId| {
        dataplane.standing(**id, now).is_some_and(|standing| standing.eligibility.is_ok())
    };
    format!("{} of {}", service.reals.iter().filter(is_up).count(), service.reals.len())
}

fn flows_open(tables: &Tables, service: ServiceId) -> u32 {
    let reals = tables.reals().filter(|(_, real)| real.service == service);
    reals.map(|(_, real)| real.counters.flows_open).sum()
}

fn vip(service: &Service) -> Vip {
    let ServiceSpec { vip: address, protocol, port, vlan, .. } = service.spec;
    Vip { address, protocol, port, vlan }
}

pub(super) fn name_of(tables: &Tables, service: ServiceId) -> String {
    or_nothing(tables.service(service).map(|service| &service.spec.name))
}

fn or(value: Option<impl Display>, otherwise: &str) -> String {
    value.map_or(otherwise.to_string(), |value| value.to_string())
}
