//! Health: every real's state, and each source that the state is the least of.
//!
//! A source is a column: its title, and what it says of one real, with how long it has said so.
//! Whoever gives the switch another source adds a line to [`SOURCES`].

use alloc::format;
use alloc::string::{String, ToString};

use lb::Real;
use lb::wire::ip::Version;

use super::balancer::{NO_REAL, name_of, sorted_reals, state};
use crate::shell::Desk;
use crate::shell::page::Align::Left;
use crate::shell::page::{Page, Table};
use crate::shell::units::{age, latency, or_nothing};

/// What a source says of a real; nothing if it has nothing to say.
type Source = fn(&Desk<'_>, &Real) -> Option<String>;

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
    let mut table = Table::new(whose.into_iter().chain(SOURCES.map(|(title, _)| (title, Left))));
    for (id, real) in sorted_reals(tables) {
        let whose =
            [name_of(tables, real.service), real.spec.guest.to_string(), state(desk, id, real)];
        let said = SOURCES.map(|(_, source)| or_nothing(source(desk, real)));
        table.push(whose.into_iter().chain(said));
    }
    let mut page = Page::default();
    page.table(&table, NO_REAL);
    page
}

/// By the operator.
fn wanted(_: &Desk<'_>, real: &Real) -> Option<String> {
    Some(real.admin.as_str().to_string())
}

fn port(desk: &Desk<'_>, real: &Real) -> Option<String> {
    let tables = desk.appliance.dataplane.tables();
    let port = tables.port(tables.guest(real.guest)?.spec.port)?;
    Some(format!("{} {}", port.name, if port.link_up { "up" } else { "down" }))
}

/// By the guest's address that the real is reached by.
fn neighbor(desk: &Desk<'_>, real: &Real) -> Option<String> {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let version = Version::of(tables.service(real.service)?.spec.vip);
    let mut asked = tables.guest(real.guest)?.neighbors.iter();
    let asked = asked.find(|asked| Version::of(asked.address) == version)?;
    Some(format!("{} {}", asked.health.as_str(), age(now.since(asked.since))))
}

/// By the check that is set for it, and what the last probe found.
fn check(desk: &Desk<'_>, real: &Real) -> Option<String> {
    let watch = real.watch.as_ref()?;
    let health =
        format!("{} {}", watch.health.as_str(), age(desk.appliance.now().since(watch.since)));
    Some(match watch.last {
        None => health,
        Some(Ok(took)) => format!("{health}, in {}", latency(took)),
        Some(Err(failure)) => format!("{health}, {failure}"),
    })
}

/// By the guest's own word, while that holds, and how long ago it was said.
fn agent(desk: &Desk<'_>, real: &Real) -> Option<String> {
    let now = desk.appliance.now();
    let word = real.load.word(now)?;
    Some(format!("{} {}", word.as_str(), age(real.load.age(now)?)))
}

/// By what became of its flows: how soon it answers one, or for how long it is ejected.
fn flows(desk: &Desk<'_>, real: &Real) -> Option<String> {
    let now = desk.appliance.now();
    let ejected = real.passive.ejection(now).map(|ejection| {
        let left = age(ejection.until.since(now));
        format!("ejected for {left}, {}", ejection.cause.as_str())
    });
    ejected.or_else(|| Some(format!("answers in {}", latency(real.passive.answer_time()?))))
}
