//! Turns against what they must come to: exact shares over a period, and a change at once.

use proptest::prelude::*;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::Instant;
use crate::guest::load::RealLoad;
use crate::service::sched::NameHash;

/// Reals `a`, `b` … with weights, some of which may not be chosen.
struct Ring {
    shares: Shares,
    weights: Vec<u16>,
    away: Vec<bool>,
    names: Vec<String>,
    rotation: Rotation,
    load: RealLoad,
}

impl Ring {
    fn new(shares: Shares, weights: &[u16]) -> Ring {
        Ring {
            shares,
            weights: weights.to_vec(),
            away: vec![false; weights.len()],
            names: (0..weights.len()).map(|at| format!("web{at}")).collect(),
            rotation: Rotation::new(),
            load: RealLoad::default(),
        }
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        let weight = |at: usize| if self.away[at] { 0 } else { self.weights[at] };
        let candidate = |at: usize| Candidate {
            real: RealId(at as u16),
            weight: self.load.effective_weight(weight(at), Instant::START),
            weight_set: self.weights[at],
            name: NameHash::of(&self.names[at].parse().unwrap()),
            flows_open: 0,
            flows_waiting: 0,
            answer_time: None,
            load: &self.load,
        };
        (0..self.weights.len()).map(candidate).collect()
    }

    /// What becomes known of its reals before the next flow.
    fn make(&mut self) {
        let mut rotation = core::mem::replace(&mut self.rotation, Rotation::new());
        rotation.make(self.shares, &self.candidates());
        self.rotation = rotation;
    }

    /// One flow, whose board is new.
    fn turn(&mut self) -> Option<usize> {
        self.make();
        self.rotation.turn(&[]).map(RealId::index)
    }

    fn turns(&mut self, count: usize) -> String {
        let letter = |at: usize| char::from(b'a' + at as u8);
        (0..count).map(|_| self.turn().map_or('-', letter)).collect()
    }

    fn counts(&mut self, turns: usize) -> Vec<usize> {
        let mut counts = vec![0; self.weights.len()];
        (0..turns).for_each(|_| counts[self.turn().unwrap()] += 1);
        counts
    }
}

#[test]
fn sequences() {
    let cases: [(&str, Shares, &[u16], &str); 7] = [
        ("nginx's own example", Shares::ByWeight, &[5, 1, 1], "aabacaaaabacaa"),
        ("equal", Shares::ByWeight, &[9, 9, 9], "abcabcabc"),
        ("without weights", Shares::Equal, &[5, 1, 1], "abcabcabc"),
        ("nothing for weight 0", Shares::Equal, &[5, 0, 1], "acacac"),
        ("nothing for weight 0", Shares::ByWeight, &[1, 0, 2], "cacca"),
        ("one", Shares::ByWeight, &[1000], "aaa"),
        ("nobody", Shares::Equal, &[0, 0], "--"),
    ];
    for (what, shares, weights, expected) in cases {
        let mut ring = Ring::new(shares, weights);
        assert_eq!(ring.turns(expected.len()), expected, "{what}");
    }
}

#[test]
fn a_weight_that_falls_leaves_no_debt_and_one_that_rises_no_hoard() {
    let mut ring = Ring::new(Shares::ByWeight, &[1000, 1]);
    ring.turns(500);
    ring.weights[0] = 1;
    let next = ring.turns(6);
    assert!(["ababab", "bababa"].contains(&next.as_str()), "{next}");
    ring.weights[1] = 1000;
    assert_eq!(ring.counts(1001), [1, 1000]);
}

#[test]
fn whoever_goes_and_comes_is_skipped_and_goes_on() {
    let mut ring = Ring::new(Shares::Equal, &[1; 3]);
    assert_eq!(ring.turns(4), "abca");
    ring.away[1] = true;
    let alone = ring.counts(10);
    assert_eq!(alone, [5, 0, 5]);
    ring.away[1] = false;
    let counts = ring.counts(30);
    assert!(counts.iter().all(|count| (9..=11).contains(count)), "{counts:?}");
}

/// A weight that changes with every report, at a flow a report: nobody is always first.
#[test]
fn weights_that_flap_starve_nobody() {
    let mut ring = Ring::new(Shares::ByWeight, &[100; 4]);
    let mut counts = [0; 4];
    for at in 0..400 {
        ring.weights[0] = 99 + at % 2;
        counts[ring.turn().unwrap()] += 1;
    }
    assert!(counts.iter().all(|count| (97..=103).contains(count)), "{counts:?}");
}

/// A real is replaced again and again: the newcomer does not wait for old debts.
#[test]
fn newcomers_stand_in_the_middle() {
    let mut ring = Ring::new(Shares::ByWeight, &[100; 4]);
    for newcomer in 4..200 {
        ring.turns(2);
        ring.names[3] = format!("web{newcomer}");
    }
    let counts = ring.counts(40);
    assert!(counts.iter().all(|count| (8..=12).contains(count)), "{counts:?}");
}

proptest! {
    /// Over every period, wherever a change has left the credits, each gets exactly its weight
    /// from a fresh start, and at any moment nobody is more than a few flows away from his due.
    #[test]
    fn shares_are_exact_over_a_period(weights in proptest::collection::vec(0..40u16, 1..10)) {
        let sum: usize = weights.iter().copied().map(usize::from).sum();
        let due: Vec<usize> = weights.iter().copied().map(usize::from).collect();
        let mut ring = Ring::new(Shares::ByWeight, &weights);
        if sum > 0 {
            prop_assert_eq!(ring.counts(sum), &due[..]);
            // On one board it is the same.
            let mut given = vec![0; weights.len()];
            (0..sum).for_each(|_| given[ring.rotation.turn(&[]).unwrap().index()] += 1);
            prop_assert_eq!(&given, &due);
            let mut given = vec![0; weights.len()];
            for turn in 1..=sum {
                given[ring.turn().unwrap()] += 1;
                for (given, due) in given.iter().zip(&due) {
                    prop_assert!((given * sum).abs_diff(due * turn) <= 3 * sum);
                }
            }
        }
    }
}
