//! The clock: the time stamp counter, its frequency from CPUID or from 10 ms beside the PIT.

use core::time::Duration;

use boot::cpu;
use kernel::machine::clock::{Clock, Frequency, Leaf, PIT_HZ, PitReading};
use kernel::machine::clock::{guessed_by_cpuid, measured, told_by_cpuid};
use lb::Instant;

use super::idle;

pub struct TscClock(Clock);

/// How long a comparison with the PIT takes; a reading is good to about a microsecond, so this is
/// good to a few parts in ten thousand.
const COMPARE: Duration = Duration::from_millis(10);
const TRIES: u32 = 3;
/// Readings of the PIT of which the shortest counts.
const READINGS: u32 = 8;
/// Loops after which a PIT that has not counted is none.
const LOOPS_MAX: u32 = 2_000_000;
/// When nothing tells and nothing counts: an ordinary processor.
const ASSUMED_HZ: u64 = 2_500_000_000;

impl TscClock {
    /// Finds out how fast the counter runs; the clock begins at [`Instant::START`].
    pub fn calibrate() -> Self {
        let (frequency, source) = find_frequency();
        log::info!("clock: {} MHz, {source}", frequency.hz() / 1_000_000);
        Self(Clock::new(frequency, cpu::rdtsc(), Instant::START))
    }

    pub fn now(&mut self) -> Instant {
        self.0.at(cpu::rdtsc())
    }
}

fn find_frequency() -> (Frequency, &'static str) {
    let cpuid = |leaf| {
        let result = cpu::cpuid(leaf, 0);
        Leaf { eax: result.eax, ebx: result.ebx, ecx: result.ecx, edx: result.edx }
    };
    if let Some(frequency) = told_by_cpuid(cpuid) {
        return (frequency, "as CPUID says");
    }
    if let Some(frequency) = (0..TRIES).find_map(|_| compare_with_pit()) {
        return (frequency, "measured against the PIT");
    }
    if let Some(frequency) = guessed_by_cpuid(cpuid) {
        return (frequency, "the base frequency: times may be off by some per cent");
    }
    let assumed = Frequency::from_hz(ASSUMED_HZ).expect("a plausible frequency");
    (assumed, "ASSUMED: nothing tells, times may be wrong")
}

/// `None` when the host let us wait for so long that the PIT ran out.
fn compare_with_pit() -> Option<Frequency> {
    let wanted = (COMPARE.as_micros() as u64 * PIT_HZ / 1_000_000) as u16;
    idle::start_pit(u16::MAX);
    let first = read_pit();
    for _ in 0..LOOPS_MAX {
        if first.count.wrapping_sub(idle::pit_count()) >= wanted {
            let last = read_pit();
            return if idle::pit_has_expired() { None } else { measured(first, last) };
        }
    }
    None
}

/// The shortest of some readings: one that nothing interrupted.
fn read_pit() -> PitReading {
    let reading =
        || PitReading { before: cpu::rdtsc(), count: idle::pit_count(), after: cpu::rdtsc() };
    (1..READINGS)
        .map(|_| reading())
        .fold(reading(), |best, next| if next.width() < best.width() { next } else { best })
}
