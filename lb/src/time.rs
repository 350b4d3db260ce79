//! Time as an argument: `lb` is told when it is and never asks.
//!
//! Differences saturate, so a clock that stands still or steps back ages nothing and overflows
//! nothing.

use core::ops::Add;
use core::time::Duration;

/// A moment, in nanoseconds since the appliance started (584 years fit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    pub const START: Instant = Instant(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Time from `earlier` to `self`; zero when `earlier` is not earlier.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, step: Duration) -> Instant {
        let nanos = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_ages_nothing() {
        let late = Instant::from_millis(10);
        assert_eq!(Instant::from_millis(4).since(late), Duration::ZERO);
        assert_eq!(late.since(Instant::from_millis(4)), Duration::from_millis(6));
    }

    #[test]
    fn the_end_of_time_saturates() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Instant::START + Duration::MAX, end);
    }
}
