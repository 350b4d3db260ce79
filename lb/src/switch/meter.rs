//! A meter: how much may pass in a second, and how much at once.
//!
//! A bucket that each frame fills by what it costs, and that time empties. While it is not full a
//! frame passes, and may overfill it: so a frame passes whatever its length, and who sends longer ones
//! waits longer after each. The bucket holds [`BURST`] of its rate. In any time `t` no more passes than
//! `rate × (t + BURST)`, and one frame.
//!
//! What a unit costs is time: that in which its part of the bucket runs out. So the level is a time as
//! well, and emptying it is a subtraction.

use core::num::NonZeroU64;
use core::time::Duration;

use crate::Instant;

/// What may pass at once: as much as at the rate in this time.
pub const BURST: Duration = Duration::from_millis(100);

/// Parts of a nanosecond that times are counted in: a bit at 100 Gbit/s is 655 of them.
const PARTS: u64 = 1 << 16;
const SECOND: u64 = 1_000_000_000 * PARTS;
const FULL: u64 = BURST.as_nanos() as u64 * PARTS;

/// One limit, and how far it is used up; by default there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    /// What a unit costs; nothing where there is no limit.
    unit: u64,
    /// What the bucket held then.
    level: u64,
    at: Instant,
}

impl Meter {
    /// So many units a second, or as many as come.
    pub fn new(rate: Option<NonZeroU64>) -> Meter {
        // Rounded up: never more than was said.
        let unit = rate.map_or(0, |rate| SECOND.div_ceil(rate.get()));
        Meter { unit, ..Meter::default() }
    }

    /// The meter of a rate, which goes on if it had this rate before.
    #[must_use]
    pub fn renewed(self, rate: Option<NonZeroU64>) -> Meter {
        let new = Meter::new(rate);
        if new.unit == self.unit { self } else { new }
    }

    pub fn is_on(&self) -> bool {
        self.unit != 0
    }

    /// Whether a frame may pass.
    #[inline]
    pub fn allows(&self, now: Instant) -> bool {
        self.level_at(now) < FULL
    }

    /// A frame of so many units passes.
    #[inline]
    pub fn pass(&mut self, units: u64, now: Instant) {
        self.level = self.level_at(now).saturating_add(units.saturating_mul(self.unit));
        self.at = self.at.max(now);
    }

    #[inline]
    fn level_at(&self, now: Instant) -> u64 {
        let passed_ns = now.as_nanos().saturating_sub(self.at.as_nanos());
        self.level.saturating_sub(passed_ns.saturating_mul(PARTS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meter(rate: u64) -> Meter {
        Meter::new(NonZeroU64::new(rate))
    }

    /// What passes of frames of so many units that come every so many nanoseconds.
    fn passed(meter: &mut Meter, units: u64, gap_ns: u64, time_ns: u64) -> u64 {
        let mut sum = 0;
        for at in (0..time_ns).step_by(gap_ns as usize).map(Instant::from_nanos) {
            if meter.allows(at) {
                meter.pass(units, at);
                sum += units;
            }
        }
        sum
    }

    #[test]
    fn a_flood_passes_at_the_rate_and_a_tenth_of_a_second_at_once() {
        const SECONDS: u64 = 3;
        for (what, rate, units, gap_ns) in [
            ("1,000 frames a second of a million", 1_000, 1, 1_000),
            ("500 Mbit/s of 12 Gbit/s", 500_000_000, 12_000, 1_000),
            (
                "10 Gbit/s of 64 Gbit/s in packets that are to be cut",
                10_000_000_000,
                524_288,
                8_192,
            ),
            ("3 frames a second", 3, 1, 10_000_000),
            ("1 Mbit/s in packets longer than a burst", 1_000_000, 524_288, 1_000_000),
        ] {
            let sum = passed(&mut meter(rate), units, gap_ns, SECONDS * 1_000_000_000);
            let (least, most) = (rate * SECONDS, rate * SECONDS + rate / 10 + 2 * units);
            let range = least - least / 1_000..=most;
            assert!(range.contains(&sum), "{what}: {sum}, not {range:?}");
        }
    }

    #[test]
    fn who_stays_below_loses_nothing() {
        let mut meter = meter(1_000);
        assert_eq!(passed(&mut meter, 1, 1_000_100, 1_000_000_000), 1_000);
        // A pause, and then all of a tenth of a second at once.
        let late = Instant::from_millis(5_000);
        for n in 0..100 {
            assert!(meter.allows(late), "{n}");
            meter.pass(1, late);
        }
        assert!(!meter.allows(late));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut meter = meter(10);
        meter.pass(1, Instant::from_millis(5_000));
        assert!(!meter.allows(Instant::from_millis(1)));
        assert!(!meter.allows(Instant::from_millis(5_000)));
        assert!(meter.allows(Instant::from_millis(5_001)));
    }

    #[test]
    fn a_rate_that_stays_goes_on() {
        let mut used = meter(10);
        used.pass(1, Instant::START);
        assert_eq!(used.renewed(NonZeroU64::new(10)), used);
        assert_eq!(used.renewed(NonZeroU64::new(11)), meter(11));
        assert_eq!(used.renewed(None), Meter::default());
        assert_eq!(Meter::default().renewed(NonZeroU64::new(10)), meter(10));
    }

    #[test]
    fn without_a_limit_all_passes() {
        let mut none = Meter::default();
        none.pass(u64::MAX, Instant::START);
        assert!(none.allows(Instant::START) && !none.is_on());
    }

    proptest! {
        /// Whatever comes whenever, in no interval passes more than the rate, a burst and a frame.
        #[test]
        fn no_interval_has_more(
            rate in 1..1u64 << 40,
            frames in prop::collection::vec((0..200_000_000u64, 1..600_000u64), 1..50),
        ) {
            let mut meter = meter(rate);
            let mut passed = std::vec::Vec::new();
            let mut now_ns = 0;
            for (gap_ns, units) in frames {
                now_ns += gap_ns;
                let now = Instant::from_nanos(now_ns);
                if meter.allows(now) {
                    meter.pass(units, now);
                    passed.push((now_ns, units));
                }
            }
            for (at, &(from_ns, _)) in passed.iter().enumerate() {
                let mut sum = 0u128;
                for &(to_ns, units) in &passed[at..] {
                    let time_ns = u128::from(to_ns - from_ns) + BURST.as_nanos();
                    let most = u128::from(rate) * time_ns / 1_000_000_000 + 1;
                    prop_assert!(sum <= most, "{} in {} ns at {}", sum, time_ns, rate);
                    sum += u128::from(units);
                }
            }
        }

        #[test]
        fn nothing_overflows(rate in 1..=u64::MAX, units: u64, ns: u64) {
            let mut meter = meter(rate);
            meter.pass(units, Instant::from_nanos(ns));
            meter.pass(u64::MAX, Instant::from_nanos(ns));
            meter.allows(Instant::from_nanos(u64::MAX));
        }
    }
}
