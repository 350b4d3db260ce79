//! What one run was like: answer times, how busy the guests were, and how their shares moved.
//!
//! Counted is what arrives in the measured time, whenever it is answered; a run goes on until
//! everything is, so nobody looks good by leaving requests behind.

use super::guest::Totals;
use super::scenario::Scenario;

const SECOND_NS: u64 = 1_000_000_000;
/// Seconds over which a share is taken to see whether it swings.
const WINDOW_S: usize = 5;

/// What is collected while a run goes on.
pub struct Measure {
    begin: u64,
    end: u64,
    answer_times: Vec<u64>,
    /// Of guests other than guest 0.
    others: Vec<u64>,
    /// Flows given, by second and guest.
    given: Vec<Vec<u32>>,
    lost: u64,
    /// Seen by flows when they came.
    in_flight: u64,
    in_flight_max: u32,
    looks: u64,
    totals: [Vec<Totals>; 2],
}

/// What is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    pub requests: f64,
    /// Cut off or refused.
    pub lost: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// Of requests that guest 0 did not answer.
    pub others_p99_ms: f64,
    /// Per cent of the busiest guest's cores, and how far it is from the idlest one's.
    pub busiest: f64,
    pub spread: f64,
    /// Per cent of new flows whose guest is another than it would have been a second ago: half the
    /// sum of what shares gained and lost.
    pub moved: f64,
    /// By how many per cent of its mean the share of the least steady guest deviates in five
    /// seconds (standard deviation).
    pub swing: f64,
    /// The longest queue over the mean one.
    pub peak: f64,
    /// Per cent of flows that guest 0 got, and the least that another did, of an equal share.
    pub share_of_first: f64,
    pub least_of_others: f64,
}

impl Measure {
    pub fn new(scenario: &Scenario, requests: usize) -> Measure {
        let [begin, end] =
            [scenario.settle_s, scenario.end_s()].map(|at| u64::from(at) * SECOND_NS);
        Measure {
            begin,
            end,
            answer_times: Vec::with_capacity(requests),
            others: Vec::with_capacity(requests),
            given: vec![vec![0; scenario.guests]; scenario.measure_s as usize],
            lost: 0,
            in_flight: 0,
            in_flight_max: 0,
            looks: 0,
            totals: [Vec::new(), Vec::new()],
        }
    }

    /// A flow came, met these many requests under way at the guests, and was given to one.
    pub fn opened(&mut self, guest: Option<usize>, now: u64, under_way: impl Iterator<Item = u32>) {
        if !self.counts(now) {
            return;
        }
        if let Some(guest) = guest {
            self.given[((now - self.begin) / SECOND_NS) as usize][guest] += 1;
        }
        self.looks += 1;
        for in_flight in under_way {
            self.in_flight += u64::from(in_flight);
            self.in_flight_max = self.in_flight_max.max(in_flight);
        }
    }

    pub fn answered(&mut self, guest: usize, began: u64, now: u64) {
        if self.counts(began) {
            self.answer_times.push(now - began);
            if guest != 0 {
                self.others.push(now - began);
            }
        }
    }

    pub fn lost(&mut self, now: u64) {
        self.lost += u64::from(self.counts(now));
    }

    /// The guests' sums at the begin, and at the end.
    pub fn totals(&mut self, begins: bool, totals: impl Iterator<Item = Totals>) {
        self.totals[usize::from(!begins)] = totals.collect();
    }

    pub fn outcome(mut self, scenario: &Scenario) -> Outcome {
        self.answer_times.sort_unstable();
        self.others.sort_unstable();
        let guests = scenario.guests as f64;
        let [begin, end] = &self.totals;
        let time = (self.end - self.begin) as f64;
        let busy: Vec<f64> = begin
            .iter()
            .zip(end)
            .map(|(begin, end)| (end.busy_ns - begin.busy_ns) / time * 100.0)
            .collect();
        let busiest = busy.iter().copied().fold(0.0, f64::max);
        let idlest = busy.iter().copied().fold(f64::MAX, f64::min);
        let given: Vec<u32> = (0..scenario.guests)
            .map(|guest| self.given.iter().map(|second| second[guest]).sum())
            .collect();
        let flows = given.iter().sum::<u32>().max(1);
        let fair = f64::from(flows) / guests;
        let least = given[1..].iter().copied().min().unwrap_or(0);
        Outcome {
            requests: self.answer_times.len() as f64,
            lost: self.lost as f64,
            p50_ms: quantile_ms(&self.answer_times, 0.5),
            p99_ms: quantile_ms(&self.answer_times, 0.99),
            p999_ms: quantile_ms(&self.answer_times, 0.999),
            others_p99_ms: quantile_ms(&self.others, 0.99),
            busiest,
            spread: busiest - idlest,
            moved: moved(&self.given) * 100.0,
            swing: swing(&self.given) * 100.0,
            peak: f64::from(self.in_flight_max) * guests * self.looks as f64
                / (self.in_flight.max(1) as f64),
            share_of_first: f64::from(given[0]) / f64::from(flows) * 100.0,
            least_of_others: f64::from(least) / fair * 100.0,
        }
    }

    fn counts(&self, at: u64) -> bool {
        (self.begin..self.end).contains(&at)
    }
}

/// Of sorted times.
fn quantile_ms(sorted_ns: &[u64], part: f64) -> f64 {
    let at = (sorted_ns.len() as f64 * part).ceil() as usize;
    sorted_ns.get(at.saturating_sub(1)).map_or(0.0, |&ns| ns as f64 / 1e6)
}

/// Half of what shares gain and lose from one second to the next, on average.
fn moved(given: &[Vec<u32>]) -> f64 {
    let shares: Vec<Vec<f64>> = given.iter().map(|second| shares(second)).collect();
    let steps = shares.windows(2).map(|pair| {
        let changes = pair[0].iter().zip(&pair[1]).map(|(before, after)| (after - before).abs());
        changes.sum::<f64>() / 2.0
    });
    steps.sum::<f64>() / (shares.len().max(2) - 1) as f64
}

/// The largest relative deviation that a guest's share has over the windows.
fn swing(given: &[Vec<u32>]) -> f64 {
    let windows: Vec<Vec<f64>> = given
        .chunks(WINDOW_S)
        .map(|seconds| {
            let guests = 0..seconds[0].len();
            let sum = |guest: usize| seconds.iter().map(|second| second[guest]).sum();
            shares(&guests.map(sum).collect::<Vec<u32>>())
        })
        .collect();
    let count = windows.len() as f64;
    let of_guest = |guest: usize| {
        let mean = windows.iter().map(|shares| shares[guest]).sum::<f64>() / count;
        let square = |shares: &Vec<f64>| (shares[guest] - mean) * (shares[guest] - mean);
        let variance = windows.iter().map(square).sum::<f64>() / count;
        if mean > 0.0 { variance.sqrt() / mean } else { 0.0 }
    };
    (0..given[0].len()).map(of_guest).fold(0.0, f64::max)
}

fn shares(counts: &[u32]) -> Vec<f64> {
    let all = f64::from(counts.iter().sum::<u32>().max(1));
    counts.iter().map(|&count| f64::from(count) / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_least_time_that_so_many_do_not_exceed() {
        let times: Vec<u64> = (1..=1000).map(|ms| ms * 1_000_000).collect();
        let at = |part| quantile_ms(&times, part);
        assert_eq!([at(0.5), at(0.99), at(0.999)], [500.0, 990.0, 999.0]);
        assert_eq!(quantile_ms(&[], 0.5), 0.0);
    }

    #[test]
    fn what_moves_is_half_of_what_changes_and_steady_shares_do_not_swing() {
        assert_eq!(moved(&[vec![10, 10], vec![20, 0], vec![0, 20]]), 0.75);
        assert_eq!(moved(&vec![vec![3, 7]; 4]), 0.0);
        assert_eq!(swing(&vec![vec![3, 7]; 20]), 0.0);
        let swinging: Vec<Vec<u32>> = (0..20)
            .map(|second| if second / 5 % 2 == 0 { vec![4, 6] } else { vec![6, 4] })
            .collect();
        assert!((swing(&swinging) - 0.2).abs() < 1e-9);
    }
}
