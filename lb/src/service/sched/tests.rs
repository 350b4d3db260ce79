//! Choices from given reports, one at a time. What comes of many is in `world`.

use proptest::prelude::*;
use std::format;
use std::vec::Vec;

use super::*;
use crate::Agent;
use crate::guest::report::{Fraction, LoadReport};
use crate::limits::SERVICE_REALS_MAX;
use crate::service::RealCounters;
use core::time::Duration;

const START: Instant = Instant::from_millis(60_000);

/// One real as a test sets it.
#[derive(Clone, Debug, Default)]
struct Given {
    weight: u16,
    flows_open: u32,
    load: RealLoad,
}

impl Given {
    fn new(weight: u16, flows_open: u32) -> Given {
        Given { weight, flows_open, load: RealLoad::default() }
    }

    fn says(mut self, line: &str, at: Instant) -> Given {
        let report = LoadReport::parse(line.as_bytes()).unwrap();
        self.load.accept(&report, at, &RealCounters::default(), Agent::Push).unwrap();
        self
    }

    fn candidate(&self, index: usize, now: Instant) -> Candidate<'_> {
        Candidate {
            real: RealId(index as u16),
            weight: self.load.effective_weight(self.weight, now),
            weight_set: self.weight,
            name: name_hash(index),
            flows_open: self.flows_open,
            flows_waiting: self.flows_open,
            answer_time: None,
            load: &self.load,
        }
    }
}

fn candidates(reals: &[Given], now: Instant) -> Vec<Candidate<'_>> {
    reals.iter().enumerate().map(|(index, real)| real.candidate(index, now)).collect()
}

fn name_hash(index: usize) -> NameHash {
    NameHash::of(&format!("web{index}").parse().unwrap())
}

/// From a board of now.
fn choose(scheduler: Scheduler, candidates: &[Candidate<'_>], arrival: &Arrival) -> Option<RealId> {
    let mut board = Board::new();
    board.make(scheduler, candidates, arrival.now);
    board.choose(arrival)
}

fn chosen(scheduler: Scheduler, reals: &[Given], now: Instant, tie: u32) -> Option<u16> {
    let key = FlowHash::of_client(core::net::Ipv4Addr::from_bits(tie).into());
    let arrival = Arrival { now, dice: u64::from(tie), key };
    choose(scheduler, &candidates(reals, now), &arrival).map(|real| real.0)
}

/// Gives `count` flows, all of which stay open, within one instant.
fn give(scheduler: Scheduler, reals: &mut [Given], now: Instant, count: u32) -> Vec<u32> {
    let before: Vec<u32> = reals.iter().map(|real| real.flows_open).collect();
    for tie in 0..count {
        let real = chosen(scheduler, reals, now, tie.wrapping_mul(0x9e37_79b9) >> 7).unwrap();
        let real = &mut reals[usize::from(real)];
        real.flows_open += 1;
        real.load.asked(now);
    }
    reals.iter().zip(before).map(|(real, before)| real.flows_open - before).collect()
}

#[test]
fn wlc_takes_the_fewest_flows_for_the_weight() {
    // Weight and open flows of each real.
    type Reals = &'static [(u16, u32)];
    let cases: [(&str, Reals, Option<u16>); 7] = [
        ("nobody", &[], None),
        ("nobody with weight", &[(0, 0), (0, 5)], None),
        ("fewest", &[(100, 3), (100, 2), (100, 4)], Some(1)),
        ("over weight", &[(100, 3), (200, 5), (50, 2)], Some(1)),
        ("weight 0 never, however idle", &[(0, 0), (1, 4_000_000_000)], Some(1)),
        ("no rounding", &[(1000, 1001), (999, 1000)], Some(0)),
        ("no overflow", &[(1000, u32::MAX), (1000, u32::MAX - 1)], Some(1)),
    ];
    for (what, reals, expected) in cases {
        let reals: Vec<Given> =
            reals.iter().map(|&(weight, open)| Given::new(weight, open)).collect();
        for scheduler in [Scheduler::Wlc, Scheduler::Wll] {
            assert_eq!(chosen(scheduler, &reals, START, 77), expected, "{what}");
        }
    }
}

#[test]
fn of_equals_chance_takes_each_as_often_as_it_has_weight() {
    let real = |weight| Given::new(weight, 0).says("cpu=0", START);
    let reals = [real(100), real(50), real(350)];
    let weights = 500_000;
    let mut counts = [0; 3];
    for tie in (0..weights).step_by(5_000) {
        counts[usize::from(chosen(Scheduler::Wlc, &reals, START, tie).unwrap())] += 1;
    }
    assert_eq!(counts, [20, 10, 70]);
}

#[test]
fn short_flows_one_after_the_other_go_round_by_weight() {
    let mut reals = [Given::new(100, 0), Given::new(200, 0), Given::new(100, 0)];
    for scheduler in [Scheduler::Wlc, Scheduler::Wll] {
        let mut given = [0; 3];
        for tie in 0..40 {
            let real = usize::from(chosen(scheduler, &reals, START, tie * 77_777).unwrap());
            reals[real].load.asked(START);
            given[real] += 1;
        }
        assert_eq!(given, [10, 20, 10], "{scheduler:?}");
    }
}

#[test]
fn wll_takes_the_least_load_for_the_weight() {
    let load = |weight, line| Given::new(weight, 0).says(line, START);
    let cases = [
        ([load(100, "cpu=0.8"), load(100, "cpu=0.3"), load(100, "cpu=0.5")], 1),
        ([load(100, "cpu=0.4"), load(200, "cpu=0.7"), load(100, "cpu=0.5")], 1),
        ([load(100, "app=0.2 cpu=0.9"), load(100, "cpu=0.3"), load(100, "cpu=0.5")], 0),
        ([load(100, "50% cpu=0.3"), load(100, "cpu=0.5"), load(100, "cpu=0.9")], 1),
        ([load(100, "0% cpu=0"), load(100, "cpu=3"), load(100, "cpu=4")], 1),
    ];
    for (at, (reals, expected)) in cases.into_iter().enumerate() {
        assert_eq!(chosen(Scheduler::Wll, &reals, START, 5), Some(expected), "case {at}");
    }
}

#[test]
fn a_burst_between_two_reports_fills_up_and_does_not_land_on_one() {
    let mut reals =
        ["cpu=0.05", "cpu=0.5", "cpu=1"].map(|line| Given::new(100, 0).says(line, START));
    let given = give(Scheduler::Wll, &mut reals, START, 6);
    assert_eq!(given[2], 0, "{given:?}");
    assert!(given[0] > given[1], "{given:?}");
    let given = give(Scheduler::Wll, &mut reals, START, 60);
    assert!(given.iter().all(|&flows| flows >= 12), "each by what it has free: {given:?}");
}

#[test]
fn idle_guests_of_a_new_service_are_given_flows_by_turns() {
    // What runs in the background of an idle guest says nothing about the service.
    let mut reals =
        ["cpu=0", "cpu=0.04", "cpu=0.02"].map(|line| Given::new(100, 0).says(line, START));
    assert_eq!(give(Scheduler::Wll, &mut reals, START, 30), [10, 10, 10]);
}

#[test]
fn l11_when_all_are_full_they_share_alike_and_none_is_refused() {
    let mut reals = ["app=4", "app=4", "app=9"].map(|line| Given::new(100, 0).says(line, START));
    assert_eq!(give(Scheduler::Wll, &mut reals, START, 300), [100, 100, 100]);
}

#[test]
fn l8_without_fresh_reports_wll_is_wlc() {
    let mut reals = [Given::new(100, 3), Given::new(100, 2), Given::new(100, 4)];
    for (real, line) in reals.iter_mut().zip(["cpu=0.1", "cpu=0.9", "cpu=0.5"]) {
        *real = real.clone().says(line, START);
    }
    let at = |ms| chosen(Scheduler::Wll, &reals, START + Duration::from_millis(ms), 9);
    assert_eq!(at(1_000), Some(0), "by load");
    assert_eq!(at(1_001), Some(1), "by flows");
}

#[test]
fn a_silent_real_is_taken_for_average() {
    let fresh = |line| Given::new(100, 0).says(line, START);
    let mut reals = [fresh("cpu=0.5"), fresh("cpu=0.5"), Given::new(100, 0), Given::new(50, 0)];
    let given = give(Scheduler::Wll, &mut reals, START, 700);
    for (flows, expected) in given.iter().zip([200, 200, 200, 100]) {
        assert!(flows.abs_diff(expected) <= 12, "{given:?}");
    }
}

#[test]
fn an_ageing_report_slides_to_what_the_weight_says() {
    let fresh_at = START + Duration::from_millis(2_500);
    let reals = [
        Given::new(100, 0).says("cpu=0.1", START),
        Given::new(100, 0).says("cpu=0.7", fresh_at),
        Given::new(100, 0).says("cpu=0.5", fresh_at),
    ];
    let capacity = |after_ms: u64| {
        let now = START + Duration::from_millis(after_ms);
        let candidates = candidates(&reals, now);
        Outlook::of(&candidates, now).unwrap().forecast(&candidates[0]).capacity
    };
    // Nobody has asked for anything yet, so what was said, half of it after one report, is another
    // program's: from 95 % of a flow over 10 % to the mean of the fresh ones.
    let ages = [0, 1_000, 1_750, 2_500, 3_400];
    assert_eq!(ages.map(capacity), [8_804, 8_804, 8_249, 7_000, 7_000]);
}

#[test]
fn lc_takes_the_fewest_flows_whatever_the_weight() {
    type Reals = &'static [(u16, u32)];
    let cases: [(&str, Reals, Option<u16>); 4] = [
        ("nobody with weight", &[(0, 0)], None),
        ("fewest", &[(100, 3), (1, 2), (1000, 4)], Some(1)),
        ("weight 0 never", &[(0, 0), (1, 9)], Some(1)),
        ("one more is more", &[(1000, u32::MAX), (1, u32::MAX - 1)], Some(1)),
    ];
    for (what, reals, expected) in cases {
        let reals: Vec<Given> =
            reals.iter().map(|&(weight, open)| Given::new(weight, open)).collect();
        assert_eq!(chosen(Scheduler::Lc, &reals, START, 77), expected, "{what}");
    }
    let mut reals = [Given::new(100, 0), Given::new(300, 0)];
    assert_eq!(give(Scheduler::Lc, &mut reals, START, 40), [20, 20]);
}

#[test]
fn an_agents_wish_moves_no_client_of_sh_and_mh() {
    let plain = [Given::new(100, 0), Given::new(200, 0), Given::new(100, 0)];
    let wishes = ["50% cpu=0.1", "weight:3", "up cpu=0.9"];
    let wishing: Vec<Given> =
        plain.iter().zip(wishes).map(|(real, line)| real.clone().says(line, START)).collect();
    for scheduler in [Scheduler::Sh, Scheduler::Mh] {
        for client in 0..200 {
            let home = chosen(scheduler, &plain, START, client);
            assert_eq!(chosen(scheduler, &wishing, START, client), home);
        }
    }
}

/// Who gets the flow for each pair of draws, counted.
fn by_two_choices(reals: &[Given], now: Instant) -> Vec<u32> {
    let mut counts = std::vec![0; reals.len()];
    let candidates = candidates(reals, now);
    for draws in 0..100_000u64 {
        let dice = draws.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let arrival = Arrival { now, dice, key: FlowHash::of_client([0; 4].into()) };
        counts[choose(Scheduler::P2c, &candidates, &arrival).unwrap().index()] += 1;
    }
    counts
}

#[test]
fn p2c_takes_the_better_of_two_that_are_drawn_by_weight() {
    let real = Given::new;
    let load = |line| Given::new(100, 0).says(line, START);
    // Parts in a hundred. The best of three equals is drawn in two pairs of three.
    let cases = [
        ("alone", std::vec![real(100, 7)], std::vec![100]),
        ("no weight, no draw", std::vec![real(0, 0), real(100, 7)], std::vec![0, 100]),
        ("both drawn", std::vec![real(100, 7), real(100, 6)], std::vec![0, 100]),
        ("flows", std::vec![real(100, 1), real(100, 2), real(100, 3)], std::vec![67, 33, 0]),
        ("over weight", std::vec![real(100, 4), real(200, 6)], std::vec![0, 100]),
        ("load", std::vec![load("cpu=.9"), load("cpu=.2"), load("cpu=.5")], std::vec![0, 67, 33]),
        // Pairs with the heavy one: 1 - 2 × (1/6 × 1/5) = 14/15.
        ("by weight", std::vec![real(100, 9), real(400, 0), real(100, 9)], std::vec![3, 93, 3]),
    ];
    for (what, reals, expected) in cases {
        let counts = by_two_choices(&reals, START);
        for (count, expected) in counts.iter().zip(expected) {
            assert!((count / 100).abs_diff(expected * 10) <= 8, "{what}: {counts:?}");
        }
    }
}

#[test]
fn p2c_shares_by_weight_when_flows_stay() {
    let mut reals = [Given::new(100, 0), Given::new(200, 0), Given::new(100, 0)];
    let now = START;
    for draws in 0..400u64 {
        let candidates = candidates(&reals, now);
        let dice = draws.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let arrival = Arrival { now, dice, key: FlowHash::of_client([0; 4].into()) };
        let real = choose(Scheduler::P2c, &candidates, &arrival).unwrap().index();
        reals[real].flows_open += 1;
    }
    for (real, due) in reals.iter().zip([100, 200, 100]) {
        assert!(real.flows_open.abs_diff(due) <= 4, "{reals:?}");
    }
}

proptest! {
    /// Whatever is reported and given: a real with weight is chosen, if there is one, and no sum
    /// overflows.
    #[test]
    fn somebody_is_chosen(
        reals in proptest::collection::vec(
            (0..=1000u16, any::<u32>(), 0..100_000_000u64, 0..3_000u64, 0..200u32),
            0..=SERVICE_REALS_MAX,
        ),
        tie in any::<u32>(),
    ) {
        let now = START + Duration::from_secs(3);
        let reals: Vec<Given> = reals
            .into_iter()
            .map(|(weight, flows_open, load, age_ms, given)| {
                let at = Instant::from_millis(now.as_millis() - age_ms);
                let line = format!("cpu={}", Fraction::from_millionths(load));
                let mut real = Given::new(weight, flows_open).says(&line, at);
                (0..given).for_each(|_| real.load.asked(now));
                real
            })
            .collect();
        for scheduler in Scheduler::ALL {
            let chosen = chosen(scheduler, &reals, now, tie);
            prop_assert_eq!(chosen.is_some(), reals.iter().any(|real| real.weight > 0));
            if let Some(real) = chosen {
                prop_assert!(reals[usize::from(real)].weight > 0);
            }
        }
    }
}

/// The least by looking at everybody, each of equals as often as it has weight: what `wlc` is.
fn least_of_all(reals: &[Given], now: Instant, dice: u32) -> Option<u16> {
    let of = |real: &Given| {
        (u128::from(real.flows_open), u128::from(real.load.asked_lately(now)), real.weight)
    };
    let is_less = |one: &Given, other: &Given| {
        let ((open, given, weight), (its_open, its_given, its_weight)) = (of(one), of(other));
        let (weight, its_weight) = (u128::from(weight), u128::from(its_weight));
        (open * its_weight, given * its_weight) < (its_open * weight, its_given * weight)
    };
    let chosen: Vec<(usize, &Given)> =
        reals.iter().enumerate().filter(|r| r.1.weight > 0).collect();
    let is_least = |real: &Given| chosen.iter().all(|(_, other)| !is_less(other, real));
    let weight = |real: &Given| u32::from(real.weight) * 1000;
    let least: Vec<_> = chosen.iter().filter(|(_, real)| is_least(real)).collect();
    let sum: u32 = least.iter().map(|(_, real)| weight(real)).sum();
    let mut left = dice.checked_rem(sum)?;
    for (at, real) in least {
        if left < weight(real) {
            return Some(*at as u16);
        }
        left -= weight(real);
    }
    unreachable!("less than the sum is left")
}

/// Whether nobody is better, at the moment of a board and by what it expects.
fn is_least_delay(reals: &[Given], board: &Board, chosen: RealId) -> bool {
    let outlook = board.outlook().unwrap();
    let candidates = candidates(reals, START);
    let delay = |candidate: &Candidate<'_>| outlook.forecast(candidate).delay;
    let delay_of_chosen = delay(&candidates[chosen.index()]);
    let mut eligible = candidates.iter().filter(|candidate| candidate.has_weight());
    eligible.all(|candidate| delay_of_chosen <= delay(candidate))
}

proptest! {
    /// A board that is kept through flows that begin and end chooses as one made anew, `wlc` as
    /// looking at everybody does, and `wll` too with the sums of when it was made.
    #[test]
    fn a_kept_board_is_as_good_as_a_new_one(
        weights in proptest::collection::vec(0..4u16, 1..=SERVICE_REALS_MAX),
        loads in proptest::collection::vec(0..80u32, SERVICE_REALS_MAX),
        happenings in proptest::collection::vec((any::<u32>(), 0..4usize), 1..200),
    ) {
        for scheduler in [Scheduler::Lc, Scheduler::Wlc, Scheduler::Wll] {
            let real = |(&weight, load): (&u16, &u32)| {
                Given::new(weight, 0).says(&format!("cpu={load}%"), START)
            };
            let mut reals: Vec<Given> = weights.iter().zip(&loads).map(real).collect();
            let mut board = Board::new();
            board.make(scheduler, &candidates(&reals, START), START);
            for &(dice, ended) in &happenings {
                let dice = u64::from(dice).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let key = FlowHash::of_client([0; 4].into());
                let arrival = Arrival { now: START, dice, key };
                let chosen = board.choose(&arrival);
                let new = choose(scheduler, &candidates(&reals, START), &arrival);
                match (scheduler, chosen) {
                    (Scheduler::Wll, Some(chosen)) => {
                        prop_assert!(is_least_delay(&reals, &board, chosen));
                    }
                    _ => prop_assert_eq!(chosen, new, "{:?}", scheduler),
                }
                if scheduler == Scheduler::Wlc {
                    let least = least_of_all(&reals, START, dice as u32);
                    prop_assert_eq!(chosen.map(|real| real.0), least);
                }
                let Some(chosen) = chosen else { break };
                reals[chosen.index()].flows_open += 1;
                reals[chosen.index()].load.asked(START);
                let mut touched = std::vec![chosen.index()];
                if let Some(open) = reals.iter().rposition(|real| real.flows_open > 0) && ended == 0 {
                    reals[open].flows_open -= 1;
                    touched.push(open);
                }
                for at in touched {
                    board.update(at, &reals[at].candidate(at, START));
                }
            }
        }
    }
}
