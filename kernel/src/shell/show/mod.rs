//! `show`: the appliance's state in words. It disturbs nothing and always ends: what can be long
//! is cut at [`ROWS_MAX`] rows and says so.

mod balancer;
mod capacity;
mod choice;
mod configuration;
mod guests;
mod health;
mod switch;

use alloc::format;
use alloc::string::{String, ToString};

use lb::{Instant, Name};

use super::Desk;
use super::grammar::Show;
use super::page::Page;
use super::parse::Sentence;
use super::problem::Problem;
use super::units::{NOTHING, age};
use crate::journal::JOURNAL;

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
        Show::Flows => balancer::flows(desk, said.service()),
        Show::Guests => Ok(guests::guests(desk)),
        Show::Health => Ok(health::health(desk)),
        Show::Load => Ok(balancer::load(desk)),
        Show::Log => Ok(log()),
        Show::Macs => Ok(switch::macs(desk)),
        Show::Neighbors => Ok(guests::neighbors(desk)),
        Show::Ports => match said.port() {
            Some(port) => switch::port(desk, &port),
            None => Ok(switch::ports(desk)),
        },
        Show::Reals => match (said.service(), said.guest()) {
            (Some(service), Some(guest)) => balancer::real(desk, &service, &guest),
            (service, _) => balancer::reals(desk, service),
        },
        Show::Services => match said.service() {
            Some(service) => balancer::service(desk, &service),
            None => Ok(balancer::services(desk)),
        },
        Show::StartUp => Ok(configuration::start_up(desk)),
        Show::Version => Ok(version(desk)),
    }
}

fn version(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let mut page = Page::default();
    page.row(format!("Fulcrum {}", env!("CARGO_PKG_VERSION")));
    fact(&mut page, "up", age(now.since(Instant::START)));
    fact(&mut page, "changes", tables.epoch());
    page
}

fn log() -> Page {
    let mut page = Page::default();
    let mut is_empty = true;
    for line in JOURNAL.lines() {
        is_empty = false;
        page.row(line.to_string());
    }
    if is_empty {
        page.note("Nothing was logged yet.");
    }
    page
}

/// `name      value`
fn fact(page: &mut Page, name: &str, value: impl ToString) {
    page.row(format!("  {name:<20}{}", value.to_string()));
}

/// Nothing of this name, and what there is.
fn absent<'a>(what: &'static str, name: &Name, known: impl Iterator<Item = &'a Name>) -> Problem {
    let known: alloc::vec::Vec<String> = known.map(|name| name.to_string()).collect();
    Problem::Absent { what, name: name.to_string(), known }
}

/// A VLAN; 0 is untagged.
fn vlan(vlan: u16) -> String {
    if vlan == 0 { NOTHING.to_string() } else { vlan.to_string() }
}

/// Says that a table was cut, if it was.
fn note_cut(page: &mut Page, shown: usize, all: usize) {
    if shown < all {
        page.note(format!("{shown} of {all} shown."));
    }
}
