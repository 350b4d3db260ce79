//! A guest: cores that its requests share evenly, an agent that looks at them, and now and then a
//! program that takes its part.
//!
//! Processor sharing: while there are no more requests than cores each has a core, else all go on
//! equally slowly. What matters is then one number, how much each request has been served since
//! the queue was last empty; a request that comes is done when that number has grown by its work,
//! and the order in which requests will end is known when they come.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::latencies::Latencies;
use super::scenario::CORES;

pub struct Guest {
    pub speed: f64,
    /// How much slower than it could be, 1 if not.
    pub slowed: f64,
    /// The part of its cores that others take.
    pub hog: f64,
    pub is_up: bool,
    /// Says of itself that it does nothing.
    pub lies: bool,
    /// What Prequal's probes ask for.
    pub latencies: Latencies,
    jobs: BinaryHeap<Reverse<Job>>,
    /// Work done for each request since the queue was empty, and when that was.
    served: f64,
    at: u64,
    totals: Totals,
}

/// Sums since the beginning; a report or a measurement is the difference of two.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Time times the part of the cores that worked, the hog's included.
    pub busy_ns: f64,
    /// Time in which some request had to share.
    pub crowded_ns: f64,
    pub requests: u64,
    pub latency_ns: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    done_at: f64,
    pub request: u32,
    pub began: u64,
    /// How many others there were when it came.
    pub found: u32,
}

impl Guest {
    pub fn new(speed: f64) -> Guest {
        Guest {
            speed,
            slowed: 1.0,
            hog: 0.0,
            is_up: true,
            lies: false,
            latencies: Latencies::new(),
            jobs: BinaryHeap::new(),
            served: 0.0,
            at: 0,
            totals: Totals::default(),
        }
    }

    pub fn in_flight(&self) -> u32 {
        self.jobs.len() as u32
    }

    /// Cores of speed 1 that its requests may have.
    pub fn capacity(&self) -> f64 {
        f64::from(CORES) * (1.0 - self.hog) * self.speed / self.slowed
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Brings its requests forward to `now`; call before anything of it changes.
    pub fn pass(&mut self, now: u64) {
        let time = (now - self.at) as f64;
        self.at = now;
        self.served += time * self.pace();
        let cores = f64::from(CORES) * (1.0 - self.hog);
        let jobs = self.jobs.len() as f64;
        self.totals.busy_ns += time * (jobs.min(cores) / f64::from(CORES) + self.hog);
        if jobs > cores {
            self.totals.crowded_ns += time;
        }
    }

    pub fn add(&mut self, request: u32, work: f64, now: u64) {
        self.pass(now);
        if self.jobs.is_empty() {
            self.served = 0.0;
        }
        let found = self.in_flight();
        self.jobs.push(Reverse(Job { done_at: self.served + work, request, began: now, found }));
    }

    /// When the next request is done, if nothing else happens.
    pub fn next_end(&self) -> u64 {
        let Some(Reverse(job)) = self.jobs.peek() else {
            return u64::MAX;
        };
        let left = (job.done_at - self.served).max(0.0);
        self.at + (left / self.pace()).ceil() as u64
    }

    /// Ends the request that is due now.
    pub fn finish(&mut self, now: u64) -> Job {
        self.pass(now);
        let Reverse(job) = self.jobs.pop().expect("one is due");
        self.served = self.served.max(job.done_at);
        self.totals.requests += 1;
        self.totals.latency_ns += now - job.began;
        self.latencies.note(job.found, now - job.began, now);
        job
    }

    /// All requests are gone, unanswered.
    pub fn cut(&mut self, now: u64) -> Vec<u32> {
        self.pass(now);
        self.latencies = Latencies::new();
        self.jobs.drain().map(|Reverse(job)| job.request).collect()
    }

    /// Work that one request gets in a nanosecond.
    fn pace(&self) -> f64 {
        let cores = f64::from(CORES) * (1.0 - self.hog);
        let share = (cores / self.jobs.len() as f64).min(1.0);
        share * self.speed / self.slowed
    }
}

/// By what is done first; of those alike, the one that came first.
impl Ord for Job {
    fn cmp(&self, other: &Job) -> Ordering {
        self.done_at.total_cmp(&other.done_at).then(self.request.cmp(&other.request))
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Job) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Job {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario::{Demand, WORK_MS};
    use crate::lab::{Scenario, Workload};

    /// Runs it until it is idle: which request ended when.
    fn ends(guest: &mut Guest) -> Vec<(u32, u64)> {
        let mut ends = Vec::new();
        while guest.in_flight() > 0 {
            let now = guest.next_end();
            ends.push((guest.finish(now).request, now));
        }
        ends
    }

    #[test]
    fn requests_have_a_core_each_until_there_are_more_of_them() {
        let mut guest = Guest::new(1.0);
        guest.add(0, 100.0, 0);
        guest.add(1, 200.0, 0);
        assert_eq!(ends(&mut guest), [(0, 100), (1, 200)]);

        let mut guest = Guest::new(1.0);
        (0..4).for_each(|request| guest.add(request, 100.0, 0));
        assert_eq!(ends(&mut guest), [(0, 200), (1, 200), (2, 200), (3, 200)]);
    }

    #[test]
    fn a_faster_guest_a_hog_and_a_cold_cache_change_the_pace_at_once() {
        let mut guest = Guest::new(2.0);
        guest.add(0, 100.0, 0);
        assert_eq!(guest.next_end(), 50);
        guest.pass(25);
        guest.hog = 0.75;
        // Half a core is left, of speed 2.
        assert_eq!(guest.next_end(), 75);
        guest.slowed = 2.0;
        assert_eq!(guest.next_end(), 125);
        let totals = guest.totals();
        assert_eq!(totals.busy_ns, 12.5);
        assert_eq!(ends(&mut guest), [(0, 125)]);
        assert_eq!(guest.totals().busy_ns, 12.5 + 100.0);
    }

    #[test]
    fn what_is_cut_is_told_and_the_rest_of_the_counts_stays() {
        let mut guest = Guest::new(1.0);
        (0..3).for_each(|request| guest.add(request, 300.0, 0));
        let mut cut = guest.cut(150);
        cut.sort_unstable();
        assert_eq!(cut, [0, 1, 2]);
        assert_eq!((guest.in_flight(), guest.next_end()), (0, u64::MAX));
        assert_eq!(guest.totals().requests, 0);
        assert_eq!((guest.totals().busy_ns, guest.totals().crowded_ns), (150.0, 150.0));
    }

    /// Mean answer time of what one guest is asked for, in ms.
    fn mean_ms(demand: Demand, load_percent: u32, hog: f64) -> f64 {
        let scenario = Scenario { demand, measure_s: 6000, ..Scenario::new("", 1, load_percent) };
        let workload = Workload::new(&scenario, 1);
        let mut guest = Guest { hog, ..Guest::new(1.0) };
        for (number, request) in workload.requests.iter().enumerate() {
            while guest.next_end() <= request.at {
                guest.finish(guest.next_end());
            }
            guest.add(number as u32, request.work, request.at);
        }
        ends(&mut guest);
        let totals = guest.totals();
        assert_eq!(totals.requests as usize, workload.requests.len());
        totals.latency_ns as f64 / totals.requests as f64 / 1e6
    }

    #[test]
    fn the_mean_answer_time_is_that_of_theory_whatever_requests_are_like() {
        // M/M/1-PS and M/G/1-PS: 1 / (μ - λ); of two cores: 1 / (μ (1 - ρ²)), for the queue is as
        // long as that of M/M/2, and processor sharing does not look at how work is distributed.
        let one = WORK_MS / (1.0 - 0.6);
        let two = WORK_MS / (1.0 - 0.6 * 0.6);
        for (demand, load, hog, due) in [
            (Demand::Exponential, 30, 0.5, one),
            (Demand::Bimodal, 30, 0.5, one),
            (Demand::Exponential, 60, 0.0, two),
            (Demand::Bimodal, 60, 0.0, two),
        ] {
            let mean = mean_ms(demand, load, hog);
            assert!((mean / due - 1.0).abs() < 0.04, "{demand:?}, {hog}: {mean} ms, not {due}");
        }
    }
}
