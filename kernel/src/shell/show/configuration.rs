//! `show configuration …`, `show commits`, `compare`: configurations as lines that can be pasted.

use alloc::string::ToString;

use crate::config::{Config, compare};
use crate::shell::Desk;
use crate::shell::page::{Align, Page, Table};
use crate::shell::problem::Problem;
use crate::shell::units::{NOTHING, age, or_nothing};

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

pub fn start_up(desk: &Desk<'_>) -> Page {
    lines(desk.control.start_up_config())
}

/// What leads from what runs, or ran so many commits ago, to the candidate.
pub fn comparison(desk: &Desk<'_>, back: Option<usize>) -> Result<Page, Problem> {
    let old = desk.control.committed(back.unwrap_or(0))?;
    let mut page = Page::default();
    let differences = compare(&old, desk.control.candidate());
    if differences.is_empty() {
        page.note("# no difference");
    }
    differences.iter().for_each(|difference| page.row(difference.to_string()));
    Ok(page)
}

/// What `rollback N` can bring back.
pub fn commits(desk: &Desk<'_>) -> Page {
    let now = desk.appliance.now();
    let mut table = Table::new([
        ("ROLLBACK", Align::Right),
        ("GENERATION", Align::Right),
        ("AGO", Align::Right),
        ("LINES", Align::Right),
        ("COMMENT", Align::Left),
    ]);
    let trial = desk.control.on_trial(now);
    if let Some(left) = trial {
        let lines = desk.control.config().statements().len().to_string();
        let comment = alloc::format!("on trial, {} left to confirm", age(left));
        let (generation, since) = (NOTHING.to_string(), NOTHING.to_string());
        table.push(["0".to_string(), generation, since, lines, comment]);
    }
    let first = usize::from(trial.is_some());
    for (back, commit) in (first..).zip(desk.control.archive().commits()) {
        table.push([
            back.to_string(),
            commit.generation.to_string(),
            or_nothing(commit.at.map(|at| age(now.since(at)))),
            commit.text.lines().count().to_string(),
            commit.comment.clone().unwrap_or_default(),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "");
    page
}

fn lines(config: &Config) -> Page {
    let statements = config.statements();
    let mut page = Page::default();
    if statements.is_empty() {
        page.note("# nothing is configured: a plain learning switch");
    }
    statements.iter().for_each(|statement| page.row(statement.to_string()));
    page
}
