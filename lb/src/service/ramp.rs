//! Slow start: a real that is new or back gets its share by and by.
//!
//! A guest that has just booted has cold caches and half of its workers, and by every measure of
//! least it looks like the best of all: no open flow, no load. So its weight begins at a tenth and
//! rises evenly to all of it within the service's `slow-start`, in steps of a hundredth: a weight
//! holds for a while, and who keeps one knows until when.
//!
//! What is shared out is relative, so a ramp helps only where others stand full. Reals that come in
//! together with the service itself, within [`FOUNDING`] of the first, do not ramp: at the start of
//! the appliance all guests answer within a second, and none of them is new to its work.

use core::time::Duration;

use crate::Instant;

/// How long after the first of a service's reals another one still counts as there from its
/// beginning; every guest that is there answers a probe within three of them.
pub(crate) const FOUNDING: Duration = Duration::from_secs(1);

/// How far a real is on its way to its full share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ramp {
    since: Option<Instant>,
}

/// A part of a weight, per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Ramp {
    /// Without one: all of the share.
    pub const FULL: Ramp = Ramp { since: None };
    const FIRST: u32 = 10;

    pub fn from(now: Instant) -> Ramp {
        Ramp { since: Some(now) }
    }

    /// The part that is reached, of a way that takes so long.
    pub fn reached(self, slow_start: Duration, now: Instant) -> Percent {
        let Some(passed) = self.since.map(|since| now.since(since)) else {
            return Percent::ALL;
        };
        if passed >= slow_start {
            return Percent::ALL;
        }
        let steps = u128::from(Percent::ALL.0 - Self::FIRST);
        let step = steps * passed.as_nanos() / slow_start.as_nanos();
        Percent(Self::FIRST + step as u32)
    }

    /// The last moment at which no more is reached than now.
    pub fn holds_until(self, slow_start: Duration, now: Instant) -> Option<Instant> {
        let Percent(reached) = self.reached(slow_start, now);
        let next = reached.checked_sub(Self::FIRST - 1).filter(|_| reached < Percent::ALL.0)?;
        let steps = Percent::ALL.0 - Self::FIRST;
        let nanos = (slow_start.as_nanos() * u128::from(next)).div_ceil(u128::from(steps));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Some(self.since? + Duration::from_nanos(nanos.saturating_sub(1)))
    }
}

impl Percent {
    pub const ALL: Percent = Percent(100);

    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(5_000 + ms)
    }

    #[test]
    fn a_share_rises_evenly_from_a_tenth_to_all() {
        let ramp = Ramp::from(at(0));
        let reached = |ms| ramp.reached(TEN, at(ms)).get();
        assert_eq!(
            [reached(0), reached(111), reached(112), reached(5_000), reached(9_999)],
            [10, 10, 11, 55, 99]
        );
        assert_eq!([reached(10_000), reached(99_000)], [100, 100]);
        assert_eq!(ramp.reached(TEN, Instant::START).get(), 10, "a clock that steps back");
        assert_eq!(ramp.reached(Duration::ZERO, at(0)), Percent::ALL);
        assert_eq!(Ramp::FULL.reached(TEN, at(0)), Percent::ALL);
    }

    #[test]
    fn what_is_reached_holds_as_long_as_it_says() {
        for slow_start in [1, 90, 777, 10_000, 3_600_000].map(Duration::from_millis) {
            let ramp = Ramp::from(at(0));
            let (mut now, mut steps) = (at(0), 1);
            while let Some(until) = ramp.holds_until(slow_start, now) {
                let reached = ramp.reached(slow_start, now);
                assert_eq!(ramp.reached(slow_start, until), reached, "{slow_start:?}");
                now = until + Duration::from_nanos(1);
                assert!(ramp.reached(slow_start, now) > reached, "{slow_start:?}");
                steps += 1;
            }
            assert_eq!((ramp.reached(slow_start, now), steps), (Percent::ALL, 91));
        }
        assert_eq!(Ramp::FULL.holds_until(TEN, at(0)), None);
    }
}
