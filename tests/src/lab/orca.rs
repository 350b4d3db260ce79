//! gRPC's weighted round robin over load reports, as gRFC A58 defines it
//! (`grpc/proposal`, A58-client-side-weighted-round-robin-lb-policy.md; what is in quotes are its
//! headings).
//!
//! "Subchannel Weights": a report with utilisation u, q queries and e errors a second is worth
//! q / (u + e/q × penalty). A weight counts once reports have come for the blackout period, and no
//! more when none has come for the expiration period; a report without load or queries changes
//! nothing. "Earliest Deadline First (EDF) Scheduler": weights are looked up once in an update
//! period; who has none counts as the mean of those that have; with less than two it is round
//! robin. Periods are the defaults of "LB Policy Config and Parameters"; the out-of-band report is
//! the one that everybody gets. Utilisation is the application's where it is said, else the CPU's.
//!
//! The scheduler is the static stride scheduler that gRPC's C++ and Go have for EDF: number n asks
//! guest n mod N in generation n div N, and takes it so often in 65,535 generations as its
//! weight says, spread evenly.

use lb::guest::report::LoadReport;

use super::chooser::Chooser;
use super::guest::Guest;
use super::random::Random;

const SECOND_NS: u64 = 1_000_000_000;
const BLACKOUT_NS: u64 = 10 * SECOND_NS;
const EXPIRATION_NS: u64 = 180 * SECOND_NS;
const UPDATE_NS: u64 = SECOND_NS;
const ERROR_PENALTY: f64 = 1.0;

pub struct Orca {
    weights: Vec<Weight>,
    stride: Option<Stride>,
    updated: Option<u64>,
    number: u64,
}

/// What is known of one guest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weight {
    value: f64,
    last_updated: u64,
    non_empty_since: Option<u64>,
}

/// A scheduler of those that are there, with their scaled weights.
pub struct Stride {
    places: Vec<usize>,
    weights: Vec<u64>,
}

impl Orca {
    pub fn new(guests: usize, seed: u64) -> Orca {
        // Where it begins is chance, so that many clients do not go in step.
        let number = Random::new(seed, 5).bits() >> 32;
        Orca { weights: vec![Weight::default(); guests], stride: None, updated: None, number }
    }
}

impl Weight {
    pub fn report(&mut self, qps: f64, eps: f64, utilization: f64, now: u64) {
        if qps <= 0.0 || utilization <= 0.0 {
            return;
        }
        self.value = qps / (utilization + eps / qps * ERROR_PENALTY);
        self.non_empty_since.get_or_insert(now);
        self.last_updated = now;
    }

    /// 0 while it does not count.
    pub fn at(&mut self, now: u64) -> f64 {
        let Some(since) = self.non_empty_since else {
            return 0.0;
        };
        if now - self.last_updated >= EXPIRATION_NS {
            self.non_empty_since = None;
            return 0.0;
        }
        if now - since < BLACKOUT_NS { 0.0 } else { self.value }
    }
}

impl Stride {
    const MAX: u64 = 65_535;

    /// Of the guests at these places, with what each weighs or 0.
    pub fn new(weighed: &[(usize, f64)]) -> Stride {
        let places = weighed.iter().map(|&(place, _)| place).collect();
        let known: Vec<f64> =
            weighed.iter().map(|&(_, weight)| weight).filter(|&w| w > 0.0).collect();
        if known.len() < 2 {
            return Stride { places, weights: vec![Stride::MAX; weighed.len()] };
        }
        let most = known.iter().copied().fold(0.0, f64::max);
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let scaled = |weight: f64| {
            let weight = if weight > 0.0 { weight } else { mean };
            ((weight / most * Stride::MAX as f64).round() as u64).max(1)
        };
        Stride { places, weights: weighed.iter().map(|&(_, weight)| scaled(weight)).collect() }
    }

    /// The next; `number` goes on from call to call.
    pub fn next(&self, number: &mut u64) -> Option<usize> {
        let len = self.places.len() as u64;
        if len == 0 {
            return None;
        }
        loop {
            let (at, generation) = ((*number % len) as usize, *number / len);
            *number += 1;
            let weight = self.weights[at];
            // Neighbours are half a turn apart, so that alike ones are not passed over together.
            let phase = (weight * generation + at as u64 * (Stride::MAX / 2)) % Stride::MAX;
            if phase >= Stride::MAX - weight {
                return Some(self.places[at]);
            }
        }
    }
}

impl Chooser for Orca {
    fn open(&mut self, _flow: usize, now: u64, guests: &[Guest]) -> Option<usize> {
        if self.updated.is_none_or(|at| now - at >= UPDATE_NS) {
            let there = (0..guests.len()).filter(|&at| guests[at].is_up);
            let weighed: Vec<_> = there.map(|at| (at, self.weights[at].at(now))).collect();
            (self.stride, self.updated) = (Some(Stride::new(&weighed)), Some(now));
        }
        self.stride.as_ref()?.next(&mut self.number)
    }

    fn report(&mut self, guest: usize, line: &str, now: u64) {
        let numbers = LoadReport::parse(line.as_bytes()).expect("agents write well").numbers;
        let fraction = |f: lb::guest::report::Fraction| f64::from(f.millionths()) / 1e6;
        let rate = |rate: lb::guest::report::Rate| rate.thousandths() as f64 / 1000.0;
        let utilization = numbers.app.filter(|app| app.millionths() > 0).or(numbers.cpu);
        let qps = numbers.requests.map_or(0.0, rate);
        let eps = numbers.errors.map_or(0.0, rate);
        self.weights[guest].report(qps, eps, utilization.map_or(0.0, fraction), now);
    }

    /// A subchannel that becomes ready, or is no longer, makes a new picker; one that becomes ready
    /// begins its blackout period anew.
    fn link(&mut self, guest: usize, up: bool, _now: u64) {
        if up {
            self.weights[guest].non_empty_since = None;
        }
        self.updated = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_queries_over_utilisation_and_errors_cost() {
        let mut weight = Weight::default();
        weight.report(100.0, 0.0, 0.5, 0);
        assert_eq!(weight.at(BLACKOUT_NS), 200.0);
        weight.report(100.0, 50.0, 0.5, BLACKOUT_NS);
        assert_eq!(weight.at(BLACKOUT_NS), 100.0);
        // Without load or queries it says nothing.
        weight.report(100.0, 0.0, 0.0, BLACKOUT_NS);
        weight.report(0.0, 0.0, 0.3, BLACKOUT_NS);
        assert_eq!(weight.at(BLACKOUT_NS), 100.0);
    }

    #[test]
    fn a_weight_counts_after_the_blackout_and_until_it_expires() {
        let mut weight = Weight::default();
        assert_eq!(weight.at(0), 0.0);
        weight.report(10.0, 0.0, 0.1, SECOND_NS);
        assert_eq!(weight.at(SECOND_NS + BLACKOUT_NS - 1), 0.0);
        assert_eq!(weight.at(SECOND_NS + BLACKOUT_NS), 100.0);
        assert_eq!(weight.at(SECOND_NS + EXPIRATION_NS - 1), 100.0);
        assert_eq!(weight.at(SECOND_NS + EXPIRATION_NS), 0.0);
        // Heard again: the blackout is waited for again.
        let again = SECOND_NS + 2 * EXPIRATION_NS;
        weight.report(10.0, 0.0, 0.1, again);
        assert_eq!((weight.at(again), weight.at(again + BLACKOUT_NS)), (0.0, 100.0));
    }

    fn turns(weighed: &[(usize, f64)], turns: usize) -> Vec<usize> {
        let (stride, mut number) = (Stride::new(weighed), 0);
        let mut counts = vec![0; 8];
        (0..turns).for_each(|_| counts[stride.next(&mut number).unwrap()] += 1);
        counts
    }

    #[test]
    fn turns_are_in_proportion_and_the_unknown_get_the_mean() {
        let counts = turns(&[(0, 1.0), (1, 2.0), (2, 4.0), (3, 0.0)], 28_000);
        for (at, due) in [(0, 3_000), (1, 6_000), (2, 12_000), (3, 7_000)] {
            let off = i32::abs(counts[at] as i32 - due);
            assert!(off <= due / 50, "{at}: {} of {due}", counts[at]);
        }
    }

    #[test]
    fn with_less_than_two_weights_it_is_round_robin_among_those_that_are_there() {
        assert_eq!(turns(&[(1, 0.0), (4, 9.0), (6, 0.0)], 300), [0, 100, 0, 0, 100, 0, 100, 0]);
        assert_eq!(Stride::new(&[]).next(&mut 0), None);
    }
}
