//! What a server keeps for Prequal's probes: recent latencies, each with the number of requests in
//! flight that it met. A probe is told the median of those that met about as many as there are
//! now (Prequal, section 4: the estimate is for a query that would come now).

use std::collections::VecDeque;

/// Latencies kept for one number in flight.
const KEPT: usize = 16;
/// Numbers in flight that are told apart; more count as this many.
const FOUND_MAX: usize = 255;
/// Older ones are not recent.
const RECENT_NS: u64 = 5_000_000_000;

pub struct Latencies {
    /// By requests found in flight: latency and when it was seen.
    seen: Vec<VecDeque<(u64, u64)>>,
}

impl Latencies {
    pub fn new() -> Latencies {
        Latencies { seen: vec![VecDeque::new(); FOUND_MAX + 1] }
    }

    pub fn note(&mut self, found: u32, latency_ns: u64, now: u64) {
        let seen = &mut self.seen[(found as usize).min(FOUND_MAX)];
        if seen.len() == KEPT {
            seen.pop_front();
        }
        seen.push_back((latency_ns, now));
    }

    /// The median at this number in flight, or at the nearest that was seen; none if nothing was.
    pub fn estimate(&self, in_flight: u32, now: u64) -> Option<u64> {
        let here = (in_flight as usize).min(FOUND_MAX);
        (0..=FOUND_MAX).find_map(|away| {
            let below = here.checked_sub(away).and_then(|at| self.median(at, now));
            below.or_else(|| self.median(here + away, now))
        })
    }

    fn median(&self, found: usize, now: u64) -> Option<u64> {
        let seen = self.seen.get(found)?.iter();
        let recent = seen.filter(|(_, at)| now - at <= RECENT_NS).map(|&(latency, _)| latency);
        let mut recent: Vec<u64> = recent.collect();
        recent.sort_unstable();
        recent.get(recent.len() / 2).copied()
    }
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_median_at_the_nearest_number_in_flight() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.estimate(3, 0), None);
        for latency in [10, 30, 20] {
            latencies.note(2, latency, 0);
        }
        latencies.note(9, 500, 0);
        assert_eq!(latencies.estimate(2, 0), Some(20));
        assert_eq!(latencies.estimate(4, 0), Some(20));
        assert_eq!(latencies.estimate(300, 0), Some(500));
        assert_eq!(latencies.estimate(2, RECENT_NS + 1), None, "no longer recent");
    }
}
