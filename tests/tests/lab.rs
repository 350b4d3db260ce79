//! The scheduling laboratory in small: that it repeats, loses nothing, and tells schedulers apart.

use std::num::NonZeroUsize;

use lb::Scheduler;
use tests::lab::scenario::{self, Demand, Reports, Scenario, Stroke, Trial, Voice, What};
use tests::lab::{Outcome, Policy, Results, Workload, goals, run};

const SEED: u64 = 7;

/// Guest 0 is gone for two seconds, early.
const GONE: &[Stroke] =
    &[Stroke { at_s: 14, what: What::Gone }, Stroke { at_s: 16, what: What::Back { cold_s: 2 } }];

/// Another program takes more than half of it, early.
const DISTURBED: &[Stroke] = &[Stroke { at_s: 13, what: What::Hog { percent: 60 } }];

/// One of the laboratory's, for a shorter time.
fn short(name: &str, settle_s: u32, measure_s: u32) -> Scenario {
    let found = scenario::all().into_iter().find(|scenario| scenario.name == name);
    Scenario { settle_s, measure_s, ..found.expect("a scenario of this name") }
}

fn outcome(scenario: &Scenario, policy: Policy) -> Outcome {
    run(scenario, &Workload::new(scenario, SEED), policy, SEED)
}

#[test]
fn one_seed_is_one_world_and_threads_do_not_matter() {
    let scenario = short("speeds-4-70", 2, 4);
    let collect = |threads| {
        let threads = NonZeroUsize::new(threads).expect("not 0");
        Results::collect(vec![scenario.clone()], Policy::ALL.to_vec(), &[SEED, SEED + 1], threads)
    };
    let (one, two) = (collect(1), collect(2));
    for policy in 0..Policy::ALL.len() {
        assert_eq!(one.outcomes(0, policy), two.outcomes(0, policy));
        assert_ne!(one.outcomes(0, policy)[0], one.outcomes(0, policy)[1]);
    }
}

#[test]
fn every_request_is_answered_or_known_to_be_lost_whoever_chooses() {
    for (name, fate) in [
        ("equal-4-95", &[][..]),
        ("kept-8-70", GONE),
        ("sessions-8-70", GONE),
        ("bimodal-8-70", &[]),
    ] {
        let scenario = Scenario { fate, guests: 4, ..short(name, 0, 18) };
        let workload = Workload::new(&scenario, SEED);
        let came = workload.requests.len() as f64;
        for policy in Policy::ALL {
            let Outcome { requests, lost, .. } = run(&scenario, &workload, policy, SEED);
            let what = format!("{name}, {}: {requests} + {lost} of {came}", policy.as_str());
            assert_eq!(requests + lost, came, "{what}");
            let is_lossy = !scenario.fate.is_empty();
            assert!(if is_lossy { lost < came / 2.0 } else { lost == 0.0 }, "{what}");
        }
    }
}

#[test]
fn equal_guests_work_equally_and_as_much_as_they_are_asked_to() {
    let scenario = short("equal-4-70", 12, 20);
    for policy in [Policy::Lb(Scheduler::Rr), Policy::LC, Policy::WLL, Policy::Orca] {
        let of = outcome(&scenario, policy);
        assert!((60.0..80.0).contains(&of.busiest), "{}: {of:?}", policy.as_str());
        assert!(of.spread < 12.0, "{}: {of:?}", policy.as_str());
        assert!(of.p50_ms < of.p99_ms && of.p99_ms < of.p999_ms, "{}: {of:?}", policy.as_str());
    }
}

#[test]
fn reports_tell_what_open_flows_do_not() {
    // Clients keep their flows open; guests have speeds 1:2:4 that no weight tells.
    let scenario = short("kept-speeds-8-70", 12, 10);
    let [wll, wlc] = [Policy::WLL, Policy::WLC].map(|policy| outcome(&scenario, policy));
    assert!(wll.p99_ms * 2.0 < wlc.p99_ms, "{} and {} ms", wll.p99_ms, wlc.p99_ms);
    assert!(wll.spread < wlc.spread, "{} and {}", wll.spread, wlc.spread);
}

#[test]
fn without_reports_least_load_is_least_connections() {
    let scenario = short("silent-8-85", 12, 6);
    let [wll, wlc] = [Policy::WLL, Policy::WLC].map(|policy| outcome(&scenario, policy));
    assert!(wll.p99_ms <= wlc.p99_ms * 1.05, "{} and {} ms", wll.p99_ms, wlc.p99_ms);
}

#[test]
fn rivals_use_what_they_are_told() {
    let scenario = short("speeds-4-70", 12, 15);
    let rr = outcome(&scenario, Policy::Lb(Scheduler::Rr));
    for policy in [Policy::Prequal, Policy::Orca, Policy::Known] {
        let of = outcome(&scenario, policy);
        assert!(of.p99_ms * 2.0 < rr.p99_ms, "{}: {} ms", policy.as_str(), of.p99_ms);
    }
    // Without queries in the reports weighted round robin has no weights.
    let reports = Reports { voice: Voice::Cpu, ..scenario.reports };
    let mute = outcome(&Scenario { reports, ..scenario }, Policy::Orca);
    assert!(mute.p99_ms > rr.p99_ms * 0.8, "{} ms", mute.p99_ms);
}

#[test]
fn a_liar_and_an_antagonist_are_seen_in_what_is_measured() {
    let liar = outcome(&short("liar-8-70", 2, 6), Policy::Lb(Scheduler::Rr));
    assert!((liar.share_of_first - 12.5).abs() < 0.1 && liar.least_of_others > 99.0, "{liar:?}");
    let scenario = Scenario { fate: DISTURBED, ..short("antagonist-8-70", 13, 8) };
    let of = outcome(&scenario, Policy::LC);
    assert!(of.share_of_first < 11.0 && of.least_of_others > 90.0, "{of:?}");
}

#[test]
fn goals_are_judged_where_they_apply_and_told_either_way() {
    let scenarios = ["equal-4-70", "silent-8-85"].map(|name| short(name, 2, 4)).to_vec();
    let policies = vec![Policy::LC, Policy::WLC, Policy::MH, Policy::WLL];
    let results = Results::collect(scenarios, policies, &[SEED], NonZeroUsize::MIN);
    let findings = goals::judge(&results);
    let of = |name: &str| findings.iter().filter(|finding| finding.scenario == name).count();
    assert_eq!(results.scenarios[1].trial, Trial::Silent);
    // Lowest and steady; silent, blind and bounded.
    assert_eq!((of("equal-4-70"), of("silent-8-85")), (2, 3));
    assert!(findings.iter().all(|finding| finding.to_string().contains(&finding.scenario)));
}

#[test]
fn every_demand_is_tried() {
    let all = scenario::all();
    for demand in Demand::ALL {
        assert!(all.iter().any(|scenario| scenario.demand == demand), "{demand:?}");
    }
}
