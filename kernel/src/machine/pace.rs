//! When the loop looks after the console, and when it may rest.
//!
//! Every access to the UART leaves the VM, so the console is not visited every turn: every
//! [`CONSOLE_INTERVAL`] while it is quiet, and every [`CONSOLE_BUSY_INTERVAL`] while bytes come and
//! go and for [`CONSOLE_LINGER`] afterwards, because the host needs a moment to fill the UART's 16
//! bytes again: a paste of 5,000 lines takes 2.5 s under emulation, and 4.4 s without that moment.
//!
//! A loop that looks in vain looks a little later the next time: after four pauses of the processor, then
//! eight, up to [`PAUSES_MAX`], which is about a microsecond and takes a tenth of the instructions. An
//! emulator, or a host with more machines than cores, does something better with each. Nor is each look a
//! whole turn: only after [`LOOKS`] of them is it seen what time brings.
//!
//! Going to sleep and waking up costs more than some looks in vain, and a frame that comes meanwhile
//! waits for it. So the loop polls on for a while, and how long is learned (as Linux's haltpoll does): a
//! frame that came soon after the loop had gone to rest would have been worth more patience, one that
//! came after [`PATIENCE_MAX`] was not worth any. Who sends without a stop never finds the loop asleep,
//! and who sends now and then costs no more than he needs.

use core::hint;
use core::time::Duration;

use lb::Instant;

const CONSOLE_INTERVAL: Duration = Duration::from_millis(5);
const CONSOLE_BUSY_INTERVAL: Duration = Duration::from_micros(100);
const CONSOLE_LINGER: Duration = Duration::from_millis(20);
const PATIENCE_MIN: Duration = Duration::from_micros(20);
const PATIENCE_MAX: Duration = Duration::from_micros(500);
/// Pauses between two looks, at least and at most.
const PAUSES_MIN: u32 = 4;
const PAUSES_MAX: u32 = 32;
/// Looks at NICs alone, between two turns that find nothing.
const LOOKS: usize = 8;
/// The longest rest: consoles and NICs are looked after as often.
const REST_MAX: Duration = Duration::from_millis(100);
/// While a console is in use: no interrupt tells that its UART can take the next bytes.
const REST_TALKING_MAX: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Pace {
    console_at: Instant,
    linger_until: Instant,
    worked_at: Instant,
    /// How long the loop polls after work before it rests.
    patience_ns: u64,
    pauses: u32,
}

impl Pace {
    pub fn begin(now: Instant) -> Self {
        let patience_ns = nanos(PATIENCE_MAX);
        Self { console_at: now, linger_until: now, worked_at: now, patience_ns, pauses: PAUSES_MIN }
    }

    /// Frames came or went.
    pub fn worked(&mut self, now: Instant) {
        let gap_ns = self.idle_ns(now);
        if gap_ns > nanos(PATIENCE_MAX) {
            self.patience_ns = (self.patience_ns / 2).max(nanos(PATIENCE_MIN));
        } else if gap_ns > self.patience_ns {
            self.patience_ns = (2 * self.patience_ns).min(nanos(PATIENCE_MAX));
        }
        (self.worked_at, self.pauses) = (now, PAUSES_MIN);
    }

    /// Looks for frames after a turn that found none, until one is there or another turn is due.
    #[inline(always)]
    pub fn look_for_frames(&mut self, is_there: impl Fn() -> bool) {
        for _ in 0..LOOKS {
            pause(self.next_pauses());
            if is_there() {
                return;
            }
        }
    }

    fn next_pauses(&mut self) -> u32 {
        let pauses = self.pauses;
        self.pauses = (2 * pauses).min(PAUSES_MAX);
        pauses
    }

    pub fn is_console_due(&self, now: Instant) -> bool {
        now >= self.console_at
    }

    /// The console was visited, and bytes came or went, or not.
    pub fn visited_console(&mut self, now: Instant, moved_bytes: bool) {
        if moved_bytes {
            self.linger_until = now + CONSOLE_LINGER;
            // A key says nothing of how soon frames come.
            (self.worked_at, self.pauses) = (now, PAUSES_MIN);
        }
        let is_busy = now < self.linger_until;
        self.console_at = now + if is_busy { CONSOLE_BUSY_INTERVAL } else { CONSOLE_INTERVAL };
    }

    pub fn may_rest(&self, now: Instant) -> bool {
        self.idle_ns(now) >= self.patience_ns
    }

    /// How long the loop may rest, whatever else there is to do.
    pub fn rest_max(&self, now: Instant) -> Duration {
        if now < self.linger_until { REST_TALKING_MAX } else { REST_MAX }
    }

    fn idle_ns(&self, now: Instant) -> u64 {
        now.as_nanos().saturating_sub(self.worked_at.as_nanos())
    }

    /// The loop has rested; perhaps a key woke it. The UART's interrupt is an edge, so its bytes are
    /// taken before the next rest, else it would not wake the loop again. Without work the loop may
    /// rest again at once.
    pub fn woke(&mut self, now: Instant) {
        (self.console_at, self.pauses) = (now, PAUSES_MIN);
    }
}

/// So many pauses of the processor, by [`PAUSES_MIN`]: an instruction each and hardly any more.
#[inline(always)]
fn pause(pauses: u32) {
    for _ in 0..pauses / PAUSES_MIN {
        hint::spin_loop();
        hint::spin_loop();
        hint::spin_loop();
        hint::spin_loop();
    }
}

/// As a number, since this is done at every turn.
const fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use core::array;
    use core::cell::Cell;

    use super::*;

    const fn us(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    #[test]
    fn a_quiet_console_is_left_alone_and_a_busy_one_is_not() {
        let mut pace = Pace::begin(us(0));
        assert!(pace.is_console_due(us(0)));
        pace.visited_console(us(0), false);
        assert!(!pace.is_console_due(us(4_999)) && pace.is_console_due(us(5_000)));
        pace.visited_console(us(5_000), true);
        assert!(!pace.is_console_due(us(5_099)) && pace.is_console_due(us(5_100)));
        pace.visited_console(us(24_999), false);
        assert!(pace.is_console_due(us(25_099)), "it lingers");
        pace.visited_console(us(25_099), false);
        assert!(!pace.is_console_due(us(30_098)) && pace.is_console_due(us(30_099)));
    }

    #[test]
    fn work_of_either_kind_puts_off_rest() {
        let mut pace = Pace::begin(us(0));
        assert!(!pace.may_rest(us(499)) && pace.may_rest(us(500)));
        pace.worked(us(400));
        assert!(!pace.may_rest(us(899)));
        pace.visited_console(us(800), false);
        assert!(pace.may_rest(us(900)), "a visit in vain is no work");
        pace.visited_console(us(900), true);
        assert!(!pace.may_rest(us(1_399)) && pace.may_rest(us(1_400)));
    }

    /// Rests begin so long after work, when frames have come at these distances.
    fn patience_after(gaps: &[u64]) -> u64 {
        let (mut pace, mut now) = (Pace::begin(us(0)), 0);
        for gap in gaps {
            now += gap;
            pace.worked(us(now));
        }
        (0..).find(|idle| pace.may_rest(us(now + idle))).unwrap()
    }

    #[test]
    fn patience_is_learned_from_how_soon_frames_come() {
        let seldom = [10_000; 9];
        for (name, gaps, expected) in [
            ("at the start", &[][..], 500),
            ("frames without a stop", &[1, 30, 2, 499], 500),
            ("one that came late", &[501], 250),
            ("all come late", &seldom, 20),
            ("soon after a rest began", &[10_000, 300], 500),
            ("before it would have begun", &[10_000, 249, 249], 250),
            ("late, then soon", &[&seldom[..], &[21, 39, 41]].concat(), 80),
        ] {
            assert_eq!(patience_after(gaps), expected, "{name}");
        }
    }

    #[test]
    fn looks_in_vain_become_rarer() {
        let mut pace = Pace::begin(us(0));
        let pauses: [u32; 6] = array::from_fn(|_| pace.next_pauses());
        assert_eq!(pauses, [4, 8, 16, 32, 32, 32]);
        pace.worked(us(1));
        assert_eq!(pace.next_pauses(), 4);
    }

    #[test]
    fn looks_end_when_a_frame_is_there() {
        for (there_at, looks) in [(1, 1), (3, 3), (LOOKS, LOOKS), (LOOKS + 1, LOOKS)] {
            let seen = Cell::new(0);
            Pace::begin(us(0)).look_for_frames(|| {
                seen.set(seen.get() + 1);
                seen.get() == there_at
            });
            assert_eq!(seen.get(), looks, "one that is there at look {there_at}");
        }
    }

    #[test]
    fn rests_are_short_while_somebody_talks() {
        let mut pace = Pace::begin(us(0));
        assert_eq!(pace.rest_max(us(0)), REST_MAX);
        pace.visited_console(us(100), true);
        assert_eq!(pace.rest_max(us(20_099)), REST_TALKING_MAX);
        assert_eq!(pace.rest_max(us(20_100)), REST_MAX);
    }

    #[test]
    fn waking_up_looks_at_the_console_and_rests_again() {
        let mut pace = Pace::begin(us(0));
        pace.visited_console(us(600), false);
        pace.woke(us(700));
        assert!(pace.is_console_due(us(700)) && pace.may_rest(us(700)));
    }
}
