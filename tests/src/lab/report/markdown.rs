//! For the page `docs/laboratory.md`: its results are written anew between two marks, and what
//! people wrote around them stays.

use std::fmt::Write;

use crate::lab::goals::{Finding, Goal};
use crate::lab::{Outcome, Policy, Results};

const BEGIN: &str = "<!-- results: written by tests/lab.sh -->\n";
const END: &str = "<!-- end of results -->\n";

/// One number of an outcome.
type Number = fn(&Outcome) -> f64;

/// The numbers of which there is a table, the first in the open.
const TABLES: [(&str, Number); 6] = [
    ("p99 of answer times, ms", |outcome| outcome.p99_ms),
    ("p50 of answer times, ms", |outcome| outcome.p50_ms),
    ("p99.9 of answer times, ms", |outcome| outcome.p999_ms),
    ("Busiest guest, per cent of its cores", |outcome| outcome.busiest),
    ("Busiest less idlest guest, per cent", |outcome| outcome.spread),
    ("Share moved from second to second, per cent", |outcome| outcome.moved),
];

/// The page with these results.
pub fn renewed(page: &str, results: &Results, findings: &[Finding]) -> String {
    let before = page.split(BEGIN).next().unwrap_or_default();
    let after = page.split(END).nth(1).unwrap_or_default();
    let tree = std::env::var("FULCRUM_TREE").unwrap_or("unknown".into());
    let seeds: Vec<String> = results.seeds.iter().map(|seed| format!("{seed:#x}")).collect();
    let mut text =
        format!("{before}{BEGIN}\nTree of `lb`: {tree}. Seeds: {}.\n\n", seeds.join(" "));
    text += &goals(findings);
    for (at, (title, of)) in TABLES.into_iter().enumerate() {
        let table = table(results, of, at <= 2);
        match at {
            0 => add(&mut text, format_args!("### {title}\n\n{table}")),
            _ => add(
                &mut text,
                format_args!("<details><summary>{title}</summary>\n\n{table}\n</details>\n"),
            ),
        }
    }
    text + END + after
}

fn goals(findings: &[Finding]) -> String {
    let mut text =
        String::from("### Goals\n\n| goal | held | missed, and by how much |\n|---|---|---|\n");
    for goal in Goal::ALL {
        let of: Vec<&Finding> = findings.iter().filter(|finding| finding.goal == goal).collect();
        if of.is_empty() {
            continue;
        }
        let missed: Vec<String> = of
            .iter()
            .filter(|finding| !finding.held)
            .map(|finding| {
                format!("{} {:.2} (of {:.2})", finding.scenario, finding.is, finding.limit)
            })
            .collect();
        let held = of.len() - missed.len();
        add(
            &mut text,
            format_args!("| {} | {held} of {} | {} |", goal.as_str(), of.len(), missed.join(", ")),
        );
    }
    text + "\n"
}

/// One number by scenario and who chose; the least that is not the bound's in bold, if less is
/// better.
fn table(results: &Results, of: Number, less_is_better: bool) -> String {
    let names: Vec<&str> = results.policies.iter().map(|policy| policy.as_str()).collect();
    let mut text =
        format!("| scenario | {} |\n|---|{}\n", names.join(" | "), "--:|".repeat(names.len()));
    for (at, scenario) in results.scenarios.iter().enumerate() {
        let values: Vec<(Policy, f64)> = results
            .policies
            .iter()
            .filter_map(|&policy| Some((policy, of(&results.summary(at, policy)?.median))))
            .collect();
        let rivals = values.iter().filter(|(policy, _)| *policy != Policy::Known);
        let least = rivals.map(|&(_, value)| value).fold(f64::MAX, f64::min);
        let cells: Vec<String> = values
            .iter()
            .map(|&(policy, value)| match less_is_better && value == least {
                true if policy != Policy::Known => format!("**{}**", short(value)),
                _ => short(value),
            })
            .collect();
        add(&mut text, format_args!("| {} | {} |", scenario.name, cells.join(" | ")));
    }
    text
}

/// Three figures say enough.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("memory does not fail");
}
