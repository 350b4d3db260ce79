//! `show`: the appliance's state in words. It disturbs nothing and always ends: what can be long
//! is cut at [`ROWS_MAX`] rows and says so.

mod capacity;
mod choice;
mod configuration;
mod counts;
mod flows;
mod groups;
mod guests;
mod health;
mod lldp;
mod management;
mod mirrors;
mod packet;
mod reals;
mod services;
mod switch;
mod tenants;
mod vlans;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use lb::wire::Endpoint;
use lb::{Instant, Name};

use super::Desk;
use super::grammar::Show;
use super::page::{Cell, Page, Table, cell, words};
use super::parse::Sentence;
use super::problem::Problem;
use super::units::{Age, Bytes, InText, Latency, NOTHING, Shown};
use crate::appliance::{Appliance, Memory};
use crate::journal::JOURNAL;

pub use choice::calls;
pub use counts::clear;

/// Rows of one table at most.
pub const ROWS_MAX: usize = 1000;

/// The page that `what` asks for.
pub fn show(what: Show, said: &Sentence, desk: &Desk<'_>) -> Result<Page, Problem> {
    match what {
        Show::Candidate => Ok(configuration::candidate(desk)),
        Show::Capacity => Ok(capacity::capacity(desk)),
        Show::Commits => Ok(configuration::commits(desk)),
        Show::Comparison => configuration::comparison(desk, said.back()),
        Show::Configuration => configuration::running(desk, said.back()),
        Show::Choice => choice::why(desk, said),
        Show::Choices => Ok(choice::events(desk)),
        Show::Counters => Ok(switch::counters(desk)),
        Show::Drops => Ok(switch::drops(desk)),
        Show::Tables => Ok(capacity::tables(desk)),
        Show::Foretold => choice::foretold(desk, said),
        Show::Flows => flows::flows(desk, said),
        Show::Groups => Ok(groups::groups(desk)),
        Show::Guests => Ok(guests::guests(desk)),
        Show::Health => Ok(health::health(desk)),
        Show::Lldp => Ok(lldp::lldp(desk)),
        Show::Load => Ok(reals::load(desk)),
        Show::Log => Ok(log()),
        Show::Macs => Ok(switch::macs(desk)),
        Show::Mirrors => Ok(mirrors::mirrors(desk)),
        Show::Neighbors => Ok(guests::neighbors(desk)),
        Show::Packet => packet::trace(desk, said),
        Show::Ports => match said.port() {
            Some(port) => switch::port(desk, &port),
            None => Ok(switch::ports(desk)),
        },
        Show::Reals => match (said.service(), said.guest()) {
            (Some(service), Some(guest)) => reals::real(desk, &service, &guest),
            (service, _) => reals::reals(desk, service),
        },
        Show::Services => match said.service() {
            Some(service) => services::service(desk, &service),
            None => Ok(services::services(desk)),
        },
        Show::StartUp => Ok(configuration::start_up(desk)),
        Show::System => Ok(system(desk)),
        Show::Version => Ok(version(desk)),
        Show::Vlans => Ok(vlans::vlans(desk)),
    }
}

fn version(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let version = env!("CARGO_PKG_VERSION");
    let mut page = Page::new("fulcrum.show.version/1");
    page.row(words(format!("Fulcrum {version}")).with("version", version));
    page.fact("up", cell("up_ms", Age(now.since(Instant::START))));
    page.fact("changes", cell("changes", tables.epoch()));
    page
}

/// `busy` is the part of the last second in which frames moved.
fn system(desk: &Desk<'_>) -> Page {
    let (appliance, config) = (&*desk.appliance, desk.control.config());
    let mut page = Page::new("fulcrum.show.system/1");
    let hostname = config.hostname.as_ref().map_or("fulcrum", |name| name.as_str());
    page.row(cell("hostname", hostname));
    page.fact("version", cell("version", env!("CARGO_PKG_VERSION")));
    page.fact("up", cell("up_ms", Age(appliance.now().since(Instant::START))));
    management::facts(&mut page, desk);
    page.fact("memory", memory(appliance));
    page.fact("busy", cell("busy", appliance.busy().last()));
    page.fact("longest turn", cell("longest_turn_us", Latency(appliance.busy().longest_turn())));
    let started = desk.control.started();
    page.fact("started with", configuration::origin(words(started.from.to_string()), started));
    page.fact("saved as generation", cell("saved_generation", desk.control.saved_generation()));
    page.fact("statements", cell("statements", config.statements().len()));
    page.fact("changes", cell("changes", appliance.dataplane.tables().epoch()));
    page
}

/// What there is for tables, frames and everything else, and what is left of it.
fn memory(appliance: &Appliance) -> Cell {
    let memory = appliance.memory.map(|Memory { bytes, free_bytes }| (bytes, free_bytes()));
    let told = memory.map_or(NOTHING.to_string(), |(all, free)| {
        format!("{}, {} free", Bytes(all as u64).words(), Bytes(free as u64).words())
    });
    let [all, free] = [memory.map(|(all, _)| all), memory.map(|(_, free)| free)];
    words(told).with("memory_bytes", all).with("memory_free_bytes", free)
}

fn log() -> Page {
    let mut table = Table::untitled("lines");
    for line in JOURNAL.lines() {
        let members = words(line.to_string()).with("at_ms", line.at.as_millis());
        table.push([members.with("level", line.level_word()).with("text", line.text.as_str())]);
    }
    let mut page = Page::new("fulcrum.show.log/1");
    page.table(table, "Nothing was logged yet.");
    page
}

/// An end of a flow, or of a real, under the names of its address and its port.
fn at(keys: [&'static str; 2], end: Option<Endpoint>) -> Cell {
    let [address, port] = keys;
    let members = words(end.map(InText).words());
    members.with(address, end.map(|end| InText(end.address))).with(port, end.map(|end| end.port))
}

/// Nothing of this name, and what there is.
fn absent<'a>(what: &'static str, name: &Name, known: impl Iterator<Item = &'a Name>) -> Problem {
    let known: Vec<String> = known.map(|name| name.to_string()).collect();
    Problem::Absent { what, name: name.to_string(), known }
}
