//! What all runs were like: medians over seeds, and how far seeds differ.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Outcome, Policy, Scenario, Workload, run};

/// All scenarios that were tried, with all who chose.
pub struct Results {
    pub scenarios: Vec<Scenario>,
    pub policies: Vec<Policy>,
    pub seeds: Vec<u64>,
    /// By scenario, policy and seed.
    outcomes: Vec<Vec<Vec<Outcome>>>,
}

/// Of one scenario and policy: each number's median over the seeds.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub median: Outcome,
    /// The least and the greatest p99 of a seed.
    pub p99_ms: (f64, f64),
}

impl Results {
    /// Runs everything on so many threads; the result does not depend on how many.
    pub fn collect(
        scenarios: Vec<Scenario>,
        policies: Vec<Policy>,
        seeds: &[u64],
        threads: NonZeroUsize,
    ) -> Results {
        let jobs = scenarios.len() * seeds.len();
        let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); jobs]));
        let work = || {
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                let Some(scenario) = scenarios.get(job / seeds.len()) else {
                    return;
                };
                let seed = seeds[job % seeds.len()];
                let workload = Workload::new(scenario, seed);
                let one = |&policy: &Policy| run(scenario, &workload, policy, seed);
                let outcomes: Vec<Outcome> = policies.iter().map(one).collect();
                done.lock().expect("no run panics")[job] = outcomes;
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads.get() {
                scope.spawn(work);
            }
        });
        let done = done.into_inner().expect("no run panics");
        let of_seeds = |scenario: usize, policy: usize| {
            (0..seeds.len()).map(|seed| done[scenario * seeds.len() + seed][policy]).collect()
        };
        let of_policies =
            |scenario| (0..policies.len()).map(|policy| of_seeds(scenario, policy)).collect();
        let outcomes = (0..scenarios.len()).map(of_policies).collect();
        Results { scenarios, policies, seeds: seeds.to_vec(), outcomes }
    }

    /// By the scenario's number; `None` for who did not take part.
    pub fn summary(&self, scenario: usize, policy: Policy) -> Option<Summary> {
        let at = self.policies.iter().position(|&other| other == policy)?;
        Some(Summary::of(&self.outcomes[scenario][at]))
    }

    /// Its number, if the scenario was tried.
    pub fn scenario(&self, name: &str) -> Option<usize> {
        self.scenarios.iter().position(|scenario| scenario.name == name)
    }

    pub fn outcomes(&self, scenario: usize, policy: usize) -> &[Outcome] {
        &self.outcomes[scenario][policy]
    }
}

impl Summary {
    fn of(outcomes: &[Outcome]) -> Summary {
        let sorted = |of: fn(&Outcome) -> f64| {
            let mut all: Vec<f64> = outcomes.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let median = |of| {
            let all = sorted(of);
            all[all.len() / 2]
        };
        let p99 = sorted(|outcome| outcome.p99_ms);
        Summary {
            median: Outcome {
                requests: median(|outcome| outcome.requests),
                lost: median(|outcome| outcome.lost),
                p50_ms: median(|outcome| outcome.p50_ms),
                p99_ms: median(|outcome| outcome.p99_ms),
                p999_ms: median(|outcome| outcome.p999_ms),
                others_p99_ms: median(|outcome| outcome.others_p99_ms),
                busiest: median(|outcome| outcome.busiest),
                spread: median(|outcome| outcome.spread),
                moved: median(|outcome| outcome.moved),
                swing: median(|outcome| outcome.swing),
                peak: median(|outcome| outcome.peak),
                share_of_first: median(|outcome| outcome.share_of_first),
                least_of_others: median(|outcome| outcome.least_of_others),
            },
            p99_ms: (p99[0], p99[p99.len() - 1]),
        }
    }
}
