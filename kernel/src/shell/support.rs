//! `show tech-support`: all that somebody far away needs to see, each page under the line that asks
//! for it.
//!
//! A page a step, so that the console never has more than one to print; and of a page not more than
//! [`LINES_MAX`] lines, with the line by which to see the rest.

use alloc::format;
use alloc::string::String;

use super::Desk;
use super::grammar::Action;
use super::job::{Job, Step};
use super::parse::parse;
use super::problem::Error;
use super::show;
use super::tree::OPERATIONAL;

/// What is shown, from what the appliance is to what happened.
pub const PAGES: &[&str] = &[
    "show version",
    "show system",
    "show capacity",
    "show commits",
    "show configuration",
    "show port",
    "show counters",
    "show counters tables",
    "show vlan",
    "show mac",
    "show guest",
    "show neighbor",
    "show service",
    "show real",
    "show health",
    "show load",
    "show flow",
    "show lb events",
    "show log",
];
pub const LINES_MAX: usize = 100;

#[derive(Default)]
pub struct Support {
    done: usize,
}

impl Job for Support {
    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        let Some(line) = PAGES.get(self.done) else {
            return Step::Ends(Ok(String::new()));
        };
        self.done += 1;
        Step::Goes(format!("===== {line} =====\n{}", page(line, desk)))
    }

    fn stop(&mut self, _desk: &mut Desk<'_>) {
        self.done = PAGES.len();
    }
}

fn page(line: &str, desk: &Desk<'_>) -> String {
    let Ok(Some(said)) = parse(line, OPERATIONAL) else {
        return String::new();
    };
    let Action::Show(what) = said.action else {
        return String::new();
    };
    let text = match show::show(what, &said, desk) {
        Ok(page) => page.printed(&[]),
        Err(problem) => format!("{}\n", Error::whole(problem)),
    };
    let lines = text.lines().count();
    let mut kept: String = text.split_inclusive('\n').take(LINES_MAX).collect();
    if lines > LINES_MAX {
        kept.push_str(&format!("… {} more lines: {line}\n", lines - LINES_MAX));
    }
    kept
}
