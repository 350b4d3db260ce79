//! `show configuration …`, `show commits`, `compare`: configurations as lines that can be pasted.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::{Config, compare};
use crate::shell::Desk;
use crate::shell::page::{Align, Cell, Page, Table, cell, words};
use crate::shell::problem::Problem;
use crate::shell::units::{Age, Or, Shown};
use crate::start::{Note, Started, StartedFrom};

/// The running configuration, or the one so many commits ago.
pub fn running(desk: &Desk<'_>, back: Option<usize>) -> Result<Page, Problem> {
    match back {
        None => Ok(lines(desk.control.config())),
        Some(back) => desk.control.committed(back).map(|config| lines(&config)),
    }
}

pub fn candidate(desk: &Desk<'_>) -> Page {
    lines(desk.control.candidate())
}

/// What the machine started with, where that is from, and why nothing better was taken; and whether
/// the next start has something else.
pub fn start_up(desk: &Desk<'_>) -> Page {
    let started = desk.control.started();
    let mut page = Page::new("fulcrum.show.startup/1");
    let without_mark = |line: String| line.trim_start_matches("% ").to_string();
    let passed: Vec<String> =
        started.notes.iter().flat_map(Note::lines).map(without_mark).collect();
    passed.iter().for_each(|line| page.note(words(format!("# {line}"))));
    let from = match started.from {
        StartedFrom::BuiltIn => String::new(),
        from => format!("# from {from}"),
    };
    page.note(origin(words(from), started).with("passed_over", passed));
    let next = desk.control.next_start();
    let told = next.map_or(String::new(), |generation| {
        format!("# the next start begins with the disk, generation {generation}")
    });
    page.note(words(told).with("next_generation", next));
    add_lines(&mut page, desk.control.start_up_config());
    page
}

/// Where the configuration of the start is from, for programs.
pub fn origin(cell: Cell, started: &Started) -> Cell {
    let generation = match started.from {
        StartedFrom::Disk { generation } => Some(generation),
        StartedFrom::Loader | StartedFrom::FwCfg | StartedFrom::BuiltIn => None,
    };
    cell.with("source", started.from.as_str()).with("generation", generation)
}

/// What leads from what runs, or ran so many commits ago, to the candidate.
pub fn comparison(desk: &Desk<'_>, back: Option<usize>) -> Result<Page, Problem> {
    let old = desk.control.committed(back.unwrap_or(0))?;
    let mut page = Page::new("fulcrum.compare/1");
    let differences = compare(&old, desk.control.candidate());
    if differences.is_empty() {
        page.note(words("# no difference"));
    }
    page.texts("differences", differences.iter().map(ToString::to_string).collect());
    Ok(page)
}

/// What `rollback N` can bring back.
pub fn commits(desk: &Desk<'_>) -> Page {
    let now = desk.appliance.now();
    let mut table = Table::new(
        "commits",
        [
            ("ROLLBACK", Align::Right),
            ("GENERATION", Align::Right),
            ("AGO", Align::Right),
            ("LINES", Align::Right),
            ("COMMENT", Align::Left),
        ],
    );
    let trial = desk.control.on_trial(now);
    if let Some(left) = trial {
        let left = Age(left);
        let told = words(format!("on trial, {} left to confirm", left.words()));
        table.push([
            cell("rollback", 0u8),
            cell("generation", None::<u64>),
            cell("age_ms", None::<Age>),
            cell("lines", desk.control.config().statements().len()),
            told.with("comment", None::<&str>).with("trial_left_ms", left),
        ]);
    }
    let first = usize::from(trial.is_some());
    for (back, commit) in (first..).zip(desk.control.archive().commits()) {
        table.push([
            cell("rollback", back),
            cell("generation", commit.generation),
            cell("age_ms", commit.since.ago(now).map(Age)),
            cell("lines", commit.text.lines().count()),
            cell("comment", Or(commit.comment.as_ref(), "")).with("trial_left_ms", None::<Age>),
        ]);
    }
    let mut page = Page::new("fulcrum.show.commits/1");
    page.table(table, "");
    page
}

fn lines(config: &Config) -> Page {
    let mut page = Page::new("fulcrum.show.configuration/1");
    add_lines(&mut page, config);
    page
}

fn add_lines(page: &mut Page, config: &Config) {
    let statements = config.statements();
    if statements.is_empty() {
        page.note(words("# nothing is configured: a plain learning switch"));
    }
    page.texts("statements", statements.iter().map(ToString::to_string).collect());
}
