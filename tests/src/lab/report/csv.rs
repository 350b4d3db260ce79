//! For a program: a line a run, numbers as they were computed, to four places.

use crate::lab::{Outcome, Results};

const HEAD: &str = "scenario,scheduler,seed,requests,lost,p50_ms,p99_ms,p999_ms,others_p99_ms,\
                    busiest_percent,spread_percent,moved_percent,swing_percent,peak,\
                    share_of_first_percent,least_of_others_percent";

pub fn runs(results: &Results) -> String {
    let mut lines = vec![HEAD.to_string()];
    for (at, scenario) in results.scenarios.iter().enumerate() {
        for (number, policy) in results.policies.iter().enumerate() {
            for (outcome, seed) in results.outcomes(at, number).iter().zip(&results.seeds) {
                let numbers = numbers(outcome).map(short).join(",");
                lines.push(format!("{},{},{seed:#x},{numbers}", scenario.name, policy.as_str()));
            }
        }
    }
    lines.join("\n") + "\n"
}

fn numbers(outcome: &Outcome) -> [f64; 13] {
    [
        outcome.requests,
        outcome.lost,
        outcome.p50_ms,
        outcome.p99_ms,
        outcome.p999_ms,
        outcome.others_p99_ms,
        outcome.busiest,
        outcome.spread,
        outcome.moved,
        outcome.swing,
        outcome.peak,
        outcome.share_of_first,
        outcome.least_of_others,
    ]
}

/// Without zeros that say nothing.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
