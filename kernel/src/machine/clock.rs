//! Time from a counter: ticks in, [`Instant`]s out.
//!
//! The counter is the time stamp counter, its frequency what the hypervisor says (CPUID) or what a
//! short comparison with the PIT gives. The clock never goes back: when the counter does (a machine
//! that was moved or restored), the clock stands at its last instant and goes on from there. Nor does
//! it jump: nobody looks at it less often than many times a second, so a longer time between two looks
//! is one in which the machine stood still, and nothing of the kind happened that timers wait for.

use core::time::Duration;

use lb::Instant;

/// What passes between two looks at most.
const STEP_MAX: Duration = Duration::from_secs(1);
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The PIT's input frequency, from 105/88 MHz.
pub const PIT_HZ: u64 = 1_193_182;
/// Counters outside of this are taken for nonsense.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 10_000_000..=20_000_000_000;

/// Ticks a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency(u64);

impl Frequency {
    /// `None` for a frequency that no processor has.
    pub fn from_hz(hz: u64) -> Option<Self> {
        PLAUSIBLE_HZ.contains(&hz).then_some(Self(hz))
    }

    pub fn hz(self) -> u64 {
        self.0
    }
}

/// A clock over a counter that somebody else reads.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds per tick, as a fixed-point number with 32 bits behind the point.
    scale: u64,
    base_ticks: u64,
    base: Instant,
    last_ticks: u64,
    /// Ticks of [`STEP_MAX`].
    step_max: u64,
}

impl Clock {
    /// A clock that shows `start` at `ticks`.
    pub fn new(frequency: Frequency, ticks: u64, start: Instant) -> Self {
        let scale = (u128::from(NANOS_PER_SECOND) << 32) / u128::from(frequency.0);
        let step_max = STEP_MAX.as_secs() * frequency.0;
        Self { scale: scale as u64, base_ticks: ticks, base: start, last_ticks: ticks, step_max }
    }

    /// What the clock shows when the counter shows `ticks`.
    #[cfg_attr(feature = "image", optimize(speed))]
    pub fn at(&mut self, ticks: u64) -> Instant {
        if ticks < self.last_ticks || ticks - self.last_ticks > self.step_max {
            self.jump(ticks);
        }
        self.last_ticks = ticks;
        self.show(ticks)
    }

    /// The counter was set back, or the machine has stood still.
    #[cold]
    fn jump(&mut self, ticks: u64) {
        let step = if ticks < self.last_ticks { Duration::ZERO } else { STEP_MAX };
        self.base = self.show(self.last_ticks) + step;
        self.base_ticks = ticks;
    }

    #[cfg_attr(feature = "image", optimize(speed))]
    fn show(&self, ticks: u64) -> Instant {
        let passed = (u128::from(ticks - self.base_ticks) * u128::from(self.scale)) >> 32;
        self.base + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// Four registers of CPUID.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leaf {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// The TSC's frequency as CPUID tells it: the hypervisors' timing leaf (VMware's 0x4000_0010, also
/// KVM's), else the processor's crystal and ratio (leaf 0x15).
pub fn told_by_cpuid(cpuid: impl Fn(u32) -> Leaf) -> Option<Frequency> {
    const HYPERVISOR: u32 = 1 << 31;
    if cpuid(1).ecx & HYPERVISOR != 0 && cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let khz = u64::from(cpuid(0x4000_0010).eax);
        if let Some(frequency) = Frequency::from_hz(khz * 1000) {
            return Some(frequency);
        }
    }
    if cpuid(0).eax < 0x15 {
        return None;
    }
    let Leaf { eax: denominator, ebx: numerator, ecx: crystal_hz, .. } = cpuid(0x15);
    let scaled = u64::from(crystal_hz) * u64::from(numerator);
    scaled.checked_div(u64::from(denominator)).and_then(Frequency::from_hz)
}

/// The processor's base frequency (leaf 0x16), to the nearest 100 MHz: a guess for when nothing
/// better is to be had.
pub fn guessed_by_cpuid(cpuid: impl Fn(u32) -> Leaf) -> Option<Frequency> {
    if cpuid(0).eax < 0x16 {
        return None;
    }
    Frequency::from_hz(u64::from(cpuid(0x16).eax & 0xffff) * 1_000_000)
}

/// The PIT's counter, read between two readings of the TSC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PitReading {
    pub before: u64,
    pub after: u64,
    /// It counts down.
    pub count: u16,
}

impl PitReading {
    /// How long the reading took: what its moment is uncertain by.
    pub fn width(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    fn moment(&self) -> u64 {
        self.before + self.width() / 2
    }
}

/// The TSC's frequency from two readings of the PIT, less than 65536 of its ticks (55 ms) apart.
/// `None` when the PIT stood still, or when a reading was interrupted for so long that the result
/// could be wrong by more than a thousandth.
pub fn measured(first: PitReading, last: PitReading) -> Option<Frequency> {
    let pit_ticks = u64::from(first.count.wrapping_sub(last.count));
    let ticks = last.moment().checked_sub(first.moment())?;
    let uncertain = first.width() / 2 + last.width() / 2;
    if pit_ticks == 0 || uncertain > ticks / 1000 {
        return None;
    }
    let hz = u128::from(ticks) * u128::from(PIT_HZ) / u128::from(pit_ticks);
    Frequency::from_hz(u64::try_from(hz).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GHZ: u64 = 1_000_000_000;

    fn frequency(hz: u64) -> Frequency {
        Frequency::from_hz(hz).unwrap()
    }

    #[test]
    fn ticks_become_nanoseconds() {
        let mut clock = Clock::new(frequency(2 * GHZ), 1000, Instant::START);
        assert_eq!(clock.at(1000), Instant::START);
        assert_eq!(clock.at(1000 + 2 * GHZ), Instant::from_millis(1000));
        // A year at an odd frequency is right to the millisecond.
        let hz = 2_593_906_123;
        let year_s = 365 * 24 * 3600;
        let clock = Clock::new(frequency(hz), 0, Instant::START);
        let shown = clock.show(hz * year_s).as_millis();
        assert!(shown.abs_diff(year_s * 1000) <= 32, "{shown}");
    }

    #[test]
    fn a_counter_that_steps_back_stops_no_clock_and_turns_none_back() {
        let mut clock = Clock::new(frequency(GHZ), 5_000_000, Instant::START);
        let before = clock.at(9_000_000);
        assert_eq!(before, Instant::from_millis(4));
        assert_eq!(clock.at(17), before, "stepped back");
        assert_eq!(clock.at(1_000_017), Instant::from_millis(5), "goes on");
        assert_eq!(clock.at(0), Instant::from_millis(5), "and again");
        assert_eq!(clock.at(2_000_000), Instant::from_millis(7));
    }

    /// F24: a machine that is stopped for five minutes finds that a second has passed, and goes on.
    #[test]
    fn f24_a_machine_that_stood_still_has_missed_nothing() {
        let mut clock = Clock::new(frequency(GHZ), 0, Instant::START);
        assert_eq!(clock.at(GHZ), Instant::from_millis(1_000), "a second may pass");
        let stopped = 300 * GHZ;
        assert_eq!(clock.at(GHZ + stopped), Instant::from_millis(2_000));
        assert_eq!(clock.at(GHZ + stopped + 1_000_000), Instant::from_millis(2_001));
        assert_eq!(clock.at(2 * GHZ + 2 * stopped), Instant::from_millis(3_001), "and again");
        assert_eq!(clock.at(7), Instant::from_millis(3_001), "moved to a younger host");
    }

    #[test]
    fn the_end_of_the_counter_is_no_end() {
        let mut clock = Clock::new(frequency(10_000_000), 0, Instant::START);
        assert_eq!(clock.show(u64::MAX), Instant::from_nanos(u64::MAX));
        clock.last_ticks = u64::MAX;
        assert_eq!(clock.at(0), Instant::from_nanos(u64::MAX));
    }

    #[test]
    fn what_cpuid_tells() {
        let with = |hypervisor: bool, max_hypervisor: u32, max: u32| {
            move |leaf: u32| match leaf {
                0 => Leaf { eax: max, ..Leaf::default() },
                1 => Leaf { ecx: u32::from(hypervisor) << 31, ..Leaf::default() },
                0x15 => Leaf { eax: 2, ebx: 216, ecx: 24_000_000, edx: 0 },
                0x16 => Leaf { eax: 2600, ..Leaf::default() },
                0x4000_0000 => Leaf { eax: max_hypervisor, ..Leaf::default() },
                0x4000_0010 => Leaf { eax: 2_893_202, ..Leaf::default() },
                _ => Leaf::default(),
            }
        };
        assert_eq!(told_by_cpuid(with(true, 0x4000_0010, 0x16)), Some(frequency(2_893_202_000)));
        assert_eq!(told_by_cpuid(with(true, 0x4000_0001, 0x16)), Some(frequency(2_592_000_000)));
        assert_eq!(told_by_cpuid(with(false, 0x4000_0010, 0x16)), Some(frequency(2_592_000_000)));
        assert_eq!(told_by_cpuid(with(true, 0x4000_0001, 0x0d)), None);
        assert_eq!(guessed_by_cpuid(with(true, 0, 0x16)), Some(frequency(2_600_000_000)));
        assert_eq!(guessed_by_cpuid(with(true, 0, 0x15)), None);
        assert_eq!(
            told_by_cpuid(|leaf| Leaf { eax: if leaf == 0 { 0x16 } else { 0 }, ..Leaf::default() }),
            None
        );
    }

    #[test]
    fn measured_against_the_pit() {
        let reading = |moment: u64, width: u64, count: u16| PitReading {
            before: moment - width / 2,
            after: moment + width / 2,
            count,
        };
        // 10 ms at 3 GHz, the counter passing zero between.
        let first = reading(GHZ, 2000, 1000);
        let last = reading(GHZ + 30_000_000, 2000, 1000u16.wrapping_sub(11_932));
        let hz = measured(first, last).unwrap().hz();
        assert!(hz.abs_diff(3 * GHZ) < 3 * GHZ / 10_000, "{hz}");

        assert_eq!(measured(first, reading(GHZ + 30_000_000, 2000, 1000)), None, "stood still");
        let slow = reading(GHZ + 30_000_000, 80_000, 1000u16.wrapping_sub(11_932));
        assert_eq!(measured(first, slow), None, "interrupted");
        assert_eq!(measured(last, first), None, "stepped back");
    }
}
