//! For a terminal: a block a scenario, then the goals.

use std::fmt::Write;

use crate::lab::Results;
use crate::lab::goals::{Finding, Goal};

/// Everything that was measured.
pub fn scenarios(results: &Results) -> String {
    let mut text = String::new();
    for (at, scenario) in results.scenarios.iter().enumerate() {
        line(&mut text, format_args!("{}: {scenario}", scenario.name));
        line(
            &mut text,
            format_args!(
                "  {:8} {:>8} {:>9} {:>17} {:>9} {:>7} {:>7} {:>6} {:>6} {:>6} {:>5}",
                "",
                "p50 ms",
                "p99 ms",
                "(of seeds)",
                "p99.9 ms",
                "busy %",
                "spread",
                "moved",
                "swing",
                "peak",
                "lost"
            ),
        );
        for &policy in &results.policies {
            let Some(summary) = results.summary(at, policy) else { continue };
            let (of, (least, most)) = (summary.median, summary.p99_ms);
            line(
                &mut text,
                format_args!(
                    "  {:8} {:>8.1} {:>9.1} {:>17} {:>9.1} {:>7.1} {:>7.1} {:>6.1} {:>6.1} {:>6.1} {:>5.0}",
                    policy.as_str(),
                    of.p50_ms,
                    of.p99_ms,
                    format!("{least:.0}–{most:.0}"),
                    of.p999_ms,
                    of.busiest,
                    of.spread,
                    of.moved,
                    of.swing,
                    of.peak,
                    of.lost
                ),
            );
        }
        text.push('\n');
    }
    text
}

/// What was held and what was missed.
pub fn goals(findings: &[Finding]) -> String {
    let mut text = String::new();
    for goal in Goal::ALL {
        let of: Vec<&Finding> = findings.iter().filter(|finding| finding.goal == goal).collect();
        if of.is_empty() {
            continue;
        }
        let held = of.iter().filter(|finding| finding.held).count();
        line(&mut text, format_args!("{}: held in {held} of {}", goal.as_str(), of.len()));
        for finding in of {
            line(&mut text, format_args!("  {finding}"));
        }
    }
    let held = findings.iter().filter(|finding| finding.held).count();
    line(&mut text, format_args!("{held} held, {} missed", findings.len() - held));
    text
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "{what}").expect("memory does not fail");
}
