//! Health: every real's state, and each source that the state is the least of.
//!
//! A source is a column: its title, and what it says of one real, with how long it has said so.
//! Whoever gives the switch another source adds a line to [`SOURCES`].

use alloc::format;
use alloc::string::{String, ToString};

use lb::Real;
use lb::wire::ip::Version;

use super::reals::{NO_REAL, name_of, sorted_reals, state};
use crate::shell::Desk;
use crate::shell::page::Align::Left;
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::units::{Age, Latency, NOTHING, Shown};

/// What a source says of a real.
type Source = fn(&Desk<'_>, &Real) -> Cell;

/// In the order in which they are asked whether a real may have a new flow.
const SOURCES: [(&str, Source); 6] = [
    ("WANTED", wanted),
    ("PORT", port),
    ("NEIGHBOR", neighbor),
    ("CHECK", check),
    ("AGENT", agent),
    ("FLOWS", flows),
];

pub fn health(desk: &Desk<'_>) -> Page {
    let tables = desk.appliance.dataplane.tables();
    let whose = [("SERVICE", Left), ("REAL", Left), ("STATE", Left)];
    let titles = whose.into_iter().chain(SOURCES.map(|(title, _)| (title, Left)));
    let mut table = Table::new("reals", titles);
    for (id, real) in sorted_reals(tables) {
        let whose = [
            cell("service", name_of(tables, real.service)),
            cell("real", &real.spec.guest),
            state(desk, id, real),
        ];
        let said = SOURCES.map(|(_, source)| source(desk, real));
        table.push(whose.into_iter().chain(said));
    }
    let mut page = Page::new("fulcrum.show.health/1");
    page.table(table, NO_REAL);
    page
}

/// By the operator.
fn wanted(_: &Desk<'_>, real: &Real) -> Cell {
    cell("wanted", real.admin.as_str())
}

fn port(desk: &Desk<'_>, real: &Real) -> Cell {
    let tables = desk.appliance.dataplane.tables();
    let port = tables.guest(real.guest).and_then(|guest| tables.port(guest.spec.port));
    let told =
        port.map(|port| format!("{} {}", port.name, if port.link_up { "up" } else { "down" }));
    let named = said(told).with("port", port.map(|port| &port.name));
    named.with("has_link", port.map(|port| port.link_up))
}

/// By the guest's address that the real is reached by.
fn neighbor(desk: &Desk<'_>, real: &Real) -> Cell {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let asked = tables.service(real.service).and_then(|service| {
        let version = Version::of(service.spec.vip);
        let mut asked = tables.guest(real.guest)?.neighbors.iter();
        asked.find(|asked| Version::of(asked.address) == version)
    });
    let (health, age) =
        (asked.map(|it| it.health.as_str()), asked.map(|it| Age(now.since(it.since))));
    let told = asked.map(|_| format!("{} {}", health.words(), age.words()));
    said(told).with("neighbor", health).with("neighbor_since_ms", age)
}

/// By the check that is set for it, and what the last probe found.
fn check(desk: &Desk<'_>, real: &Real) -> Cell {
    let (watch, now) = (real.watch.as_ref(), desk.appliance.now());
    let last = watch.and_then(|watch| watch.last);
    let (health, age) =
        (watch.map(|it| it.health.as_str()), watch.map(|it| Age(now.since(it.since))));
    let (took, failure) = (
        last.and_then(Result::ok).map(Latency),
        last.and_then(Result::err).map(|failure| failure.to_string()),
    );
    let found = match (&took, &failure) {
        (Some(took), _) => format!(", in {}", took.words()),
        (None, Some(failure)) => format!(", {failure}"),
        (None, None) => String::new(),
    };
    let told = watch.map(|_| format!("{} {}{found}", health.words(), age.words()));
    let members = said(told).with("check", health).with("check_since_ms", age);
    members.with("check_took_us", took).with("check_failure", failure)
}

/// By the guest's own word, while that holds, and how long ago it was said.
fn agent(desk: &Desk<'_>, real: &Real) -> Cell {
    let now = desk.appliance.now();
    let word = real.load.word(now).map(|word| word.as_str());
    let age = word.and_then(|_| real.load.age(now)).map(Age);
    let told = age.map(|age| format!("{} {}", word.words(), age.words()));
    said(told).with("agent", word).with("agent_age_ms", age)
}

/// By what became of its flows: how soon it answers one, or for how long it is ejected.
fn flows(desk: &Desk<'_>, real: &Real) -> Cell {
    let (now, answer) = (desk.appliance.now(), real.passive.answer_time().map(Latency));
    let ejection = real.passive.ejection(now);
    let left = ejection.map(|ejection| Age(ejection.until.since(now)));
    let cause = ejection.map(|ejection| ejection.cause.as_str());
    let ejected = left.map(|left| format!("ejected for {}, {}", left.words(), cause.words()));
    let told = ejected.or_else(|| answer.map(|answer| format!("answers in {}", answer.words())));
    let members = said(told).with("answer_us", answer);
    members.with("ejected_for_ms", left).with("ejected_by", cause)
}

/// Words, if there are any.
fn said(told: Option<String>) -> Cell {
    words(told.unwrap_or_else(|| NOTHING.to_string()))
}
