//! Reals, how each stands, and what is known of its load.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use lb::wire::Endpoint;
use lb::wire::ip::Version;
use lb::{Ineligible, Name, Real, RealId, ServiceId, Standing, Tables};

use super::services::{find, traffic};
use super::{absent, at, counts};
use crate::config::CheckConfig;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::problem::Problem;
use crate::shell::units::{Age, InText, Latency, NOTHING, Or, Shown};

pub const NO_REAL: &str = "No guest serves it (configure, set service … real …).";

/// All reals, or those of a service.
pub fn reals(desk: &Desk<'_>, service: Option<Name>) -> Result<Page, Problem> {
    let id = service.map(|name| find(desk, &name).map(|(id, _)| id)).transpose()?;
    let table = table_of_reals(desk, |real| id.is_none_or(|id| real.service == id));
    let mut page = Page::new("fulcrum.show.reals/1");
    page.table(table, NO_REAL);
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
    let (spec, counters) = (&real.spec, counts::real(desk, real));
    let mut page = Page::new("fulcrum.show.real/1");
    let title = words(format!("real {guest} of service {}", service.spec.name));
    page.row(title.with("real", guest).with("service", &service.spec.name));
    page.fact("at", real_end(tables, real));
    page.fact("state", state(desk, id, real));
    page.fact("wanted", cell("wanted", real.admin.as_str()));
    page.fact("weight", weight(desk, id, real));
    page.fact("most flows", cell("flows_max", Or(spec.flows_max, "no limit")));
    let check = spec.check.as_ref().or(service.spec.check.as_ref());
    let check = check.map(|check| InText(CheckConfig::from(check)));
    page.fact("check", cell("check", Or(check, "none")));
    page.fact("open flows", cell("flows_open", counters.flows_open));
    page.fact("new flows", cell("flows_new", counters.flows_new));
    page.fact("ended flows", cell("flows_ended", counters.flows_ended));
    page.fact("last answer after", cell("answer_us", counters.answer_time.map(Latency)));
    traffic(&mut page, &counters.traffic);
    let reported = real.load.age(now).map(Age);
    let told = reported.map_or(NOTHING.to_string(), |age| format!("{} ago", age.words()));
    page.fact("last report", words(told).with("report_age_ms", reported));
    Ok(page)
}

pub fn table_of_reals(desk: &Desk<'_>, wanted: impl Fn(&Real) -> bool) -> Table {
    let tables = desk.appliance.dataplane.tables();
    let mut table = Table::new(
        "reals",
        [
            ("SERVICE", Left),
            ("REAL", Left),
            ("AT", Left),
            ("STATE", Left),
            ("WEIGHT", Right),
            ("LOAD", Right),
            ("FLOWS", Right),
            ("NEW", Right),
            ("ANSWER", Right),
        ],
    );
    for (id, real) in sorted_reals(tables).into_iter().filter(|(_, real)| wanted(real)) {
        let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
        let forecast = standing.and_then(|standing| standing.forecast);
        table.push([
            cell("service", name_of(tables, real.service)),
            cell("real", &real.spec.guest),
            real_end(tables, real),
            state(desk, id, real),
            weight(desk, id, real),
            cell("load", forecast.and(real.load.reported()).map(|reported| reported.load)),
            cell("flows_open", real.counters.flows_open),
            cell("flows_new", counts::real(desk, real).flows_new),
            cell("answer_us", real.counters.answer_time.map(Latency)),
        ]);
    }
    table
}

/// What reals report, and what is made of it: `LOAD` as reported, `DELAY` that a new flow would have.
pub fn load(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut table = Table::new(
        "reals",
        [
            ("SERVICE", Left),
            ("REAL", Left),
            ("REPORT", Left),
            ("AGE", Right),
            ("SAYS", Left),
            ("APP", Right),
            ("CPU", Right),
            ("RIF", Right),
            ("LOAD", Right),
            ("DELAY", Right),
            ("WEIGHT", Right),
            ("REASON", Left),
        ],
    );
    for (id, real) in sorted_reals(tables).into_iter().filter(|(_, real)| !real.retired) {
        let (report, standing) = (&real.load, dataplane.standing(id, now));
        let numbers = report.numbers().copied().unwrap_or_default();
        let forecast = standing.as_ref().and_then(|standing| standing.forecast);
        table.push([
            cell("service", name_of(tables, real.service)),
            cell("real", &real.spec.guest),
            cell("report", Or(report.phase(now).map(|phase| phase.as_str()), "none")),
            cell("report_age_ms", report.age(now).map(Age)),
            cell("says", report.word(now).map(|word| word.as_str())),
            cell("app", numbers.app),
            cell("cpu", numbers.cpu).with("mem", numbers.mem).with("io", numbers.io),
            cell("requests_in_flight", numbers.requests_in_flight),
            cell("load", report.reported().map(|reported| reported.load)),
            cell("delay_us", forecast.map(|forecast| Latency(forecast.delay))),
            weight(desk, id, real),
            cell("reason", Or(report.reason(), "")),
        ]);
    }
    let mut page = Page::new("fulcrum.show.load/1");
    page.table(table, NO_REAL);
    page
}

/// The real's own end: its address of the VIP's version, and its port.
fn real_end(tables: &Tables, real: &Real) -> Cell {
    let end = tables.service(real.service).and_then(|service| {
        let guest = &tables.guest(real.guest)?.spec;
        let address = guest.address_of(Version::of(service.spec.vip))?;
        let port = real.spec.port.unwrap_or(service.spec.port).get();
        Some(Endpoint { address: address.into(), port })
    });
    at(["address", "real_port"], end)
}

/// The configured weight, and what is left of it if that is less.
fn weight(desk: &Desk<'_>, id: RealId, real: &Real) -> Cell {
    let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
    let effective = standing.map(|standing| standing.effective_weight);
    let configured = real.spec.weight.words();
    let told = match effective.map(|effective| effective.words()) {
        Some(effective) if effective != configured => format!("{effective} of {configured}"),
        _ => configured,
    };
    words(told).with("weight", real.spec.weight).with("effective_weight", effective)
}

/// By service, then by guest.
pub fn sorted_reals(tables: &Tables) -> Vec<(RealId, &Real)> {
    let mut reals: Vec<(RealId, &Real)> = tables.reals().collect();
    reals.sort_by_key(|(_, real)| {
        (tables.service(real.service).map(|service| &service.spec.name), &real.spec.guest)
    });
    reals
}

/// Whether it may have new flows, or why not. A sorry real has them only if nobody else may.
pub fn state(desk: &Desk<'_>, id: RealId, real: &Real) -> Cell {
    let standing = desk.appliance.dataplane.standing(id, desk.appliance.now());
    let service = desk.appliance.dataplane.tables().service(real.service);
    let is_sorry = service.is_some_and(|service| service.sorry == Some(id));
    let (state, disbelieved) = match standing.map(|standing| word_of(&standing)) {
        Some((state, disbelieved)) => (Some(state), disbelieved),
        None => (real.retired.then_some("leaving"), None),
    };
    let told = match (state, disbelieved) {
        (_, Some(doubt)) => panic_words(doubt),
        (Some("up"), _) if is_sorry => "sorry".to_string(),
        (Some(state), _) if is_sorry => format!("sorry: {state}"),
        _ => state.words(),
    };
    words(told).with("state", state).with("disbelieved", disbelieved).with("is_sorry", is_sorry)
}

/// The same of a real whose service is being explained.
pub fn state_of(standing: &Standing) -> Cell {
    let (state, disbelieved) = word_of(standing);
    let told = disbelieved.map_or(state.to_string(), panic_words);
    words(told).with("state", state).with("disbelieved", disbelieved)
}

/// What all that is said of a real comes to, and what would keep it out but for its service's panic.
fn word_of(standing: &Standing) -> (&'static str, Option<&'static str>) {
    match standing.eligibility {
        Ok(()) => ("up", standing.sources.disbelieved().map(Ineligible::as_str)),
        Err(ineligible) => (ineligible.as_str(), None),
    }
}

fn panic_words(disbelieved: &str) -> String {
    format!("panic: {disbelieved}")
}

pub fn name_of(tables: &Tables, service: ServiceId) -> Option<&Name> {
    tables.service(service).map(|service| &service.spec.name)
}
