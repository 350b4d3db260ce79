//! How often a real was asked within the last half second: a window that slides without remembering
//! each time.
//!
//! It is the same half second however seldom an agent reports: its load is that of a time that the
//! switch does not know, and what is asked in one half second is much as in another.
//!
//! Two buckets, one window each. As the newer fills, the older counts for the part of it that
//! the window still covers; so a burst leaves the count evenly over one window after it and
//! never all at once, which would look like a guest that suddenly has time.

use core::time::Duration;

use crate::Instant;

/// Over how long is counted.
pub const ASKED_WITHIN: Duration = Duration::from_millis(500);

/// Flows, in thousandths: the part of a bucket that a window covers is rarely whole.
pub type MilliFlows = u64;

/// A sliding count of events over [`ASKED_WITHIN`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    start: Instant,
    current: u32,
    previous: u32,
}

impl Window {
    pub(super) fn count(&mut self, now: Instant) {
        *self = self.rolled(now);
        self.current = self.current.saturating_add(1);
    }

    pub(super) fn at(&self, now: Instant) -> MilliFlows {
        let window = self.rolled(now);
        let left = ASKED_WITHIN.saturating_sub(now.since(window.start));
        // 2^32 flows × 1000 × 500,000 µs fit.
        let previous = u64::from(window.previous) * 1000 * micros(left) / micros(ASKED_WITHIN);
        u64::from(window.current) * 1000 + previous
    }

    /// The same window with its newer bucket begun less than a window before `now`.
    fn rolled(self, now: Instant) -> Window {
        let elapsed = now.since(self.start);
        if elapsed < ASKED_WITHIN {
            self
        } else if elapsed < 2 * ASKED_WITHIN {
            Window { start: self.start + ASKED_WITHIN, current: 0, previous: self.current }
        } else {
            Window { start: now, current: 0, previous: 0 }
        }
    }
}

/// Of a part of a window.
pub(super) const fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_within_a_window() {
        let mut window = Window::default();
        let start = Instant::from_millis(10_000);
        for _ in 0..10 {
            window.count(start);
        }
        let at = |ms: u64| window.at(Instant::from_millis(10_000 + ms));
        assert_eq!(
            [at(0), at(499), at(500), at(750), at(999), at(1000)],
            [10_000, 10_000, 10_000, 5_000, 20, 0]
        );
    }

    #[test]
    fn a_steady_rate_reads_steady() {
        let mut window = Window::default();
        for ms in (0..5_000).step_by(10) {
            window.count(Instant::from_millis(ms));
            if ms >= 1_000 {
                let flows = window.at(Instant::from_millis(ms));
                assert!((49_000..=51_000).contains(&flows), "{flows} at {ms} ms");
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_or_far_ahead_counts_on() {
        let mut window = Window::default();
        window.count(Instant::from_millis(9_000));
        window.count(Instant::from_millis(1_000));
        assert_eq!(window.at(Instant::from_millis(1_000)), 2_000);
        assert_eq!(window.at(Instant::from_nanos(u64::MAX)), 0);
    }
}
