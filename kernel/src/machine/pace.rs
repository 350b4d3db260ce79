//! When the loop looks after the console, and when it may rest.
//!
//! Every access to the UART leaves the VM, so the console is not visited every turn: every
//! [`CONSOLE_INTERVAL`] while it is quiet, and every [`CONSOLE_BUSY_INTERVAL`] while bytes come and
//! go and for [`CONSOLE_LINGER`] afterwards, because the host needs a moment to fill the UART's 16
//! bytes again: a paste of 5,000 lines takes 2.5 s under emulation, and 4.4 s without that moment.
//!
//! A loop that looks in vain looks a little later the next time: after one pause of the processor, then
//! two, four, up to [`PAUSES_MAX`], which is less than a microsecond and takes a tenth of the
//! instructions. An emulator, or a host with more machines than cores, does something better with each.
//!
//! The loop rests when nothing has happened for [`REST_AFTER`]: going to sleep and waking up costs
//! more than some empty turns.

use core::time::Duration;

use lb::Instant;

use crate::appliance::TICK;

const CONSOLE_INTERVAL: Duration = Duration::from_millis(5);
const CONSOLE_BUSY_INTERVAL: Duration = Duration::from_micros(100);
const CONSOLE_LINGER: Duration = Duration::from_millis(20);
const REST_AFTER: Duration = Duration::from_micros(500);
/// Pauses between two looks, at most.
const PAUSES_MAX: u32 = 16;
/// The longest rest: the data path's housekeeping wants to be done as often.
pub const REST_MAX: Duration = TICK;

#[derive(Debug)]
pub struct Pace {
    console_at: Instant,
    linger_until: Instant,
    rest_at: Instant,
    pauses: u32,
}

impl Pace {
    pub fn begin(now: Instant) -> Self {
        Self { console_at: now, linger_until: now, rest_at: now + REST_AFTER, pauses: 1 }
    }

    /// Frames came or went.
    pub fn worked(&mut self, now: Instant) {
        self.rest_at = now + REST_AFTER;
        self.pauses = 1;
    }

    /// Pauses of the processor before the next look, as nothing was found at this one.
    pub fn found_nothing(&mut self) -> u32 {
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
            self.worked(now);
        }
        let is_busy = now < self.linger_until;
        self.console_at = now + if is_busy { CONSOLE_BUSY_INTERVAL } else { CONSOLE_INTERVAL };
    }

    pub fn may_rest(&self, now: Instant) -> bool {
        now >= self.rest_at
    }

    /// The loop has rested; perhaps a key woke it. The UART's interrupt is an edge, so its bytes are
    /// taken before the next rest, else it would not wake the loop again. Without work the loop may
    /// rest again at once.
    pub fn woke(&mut self, now: Instant) {
        self.console_at = now;
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn waking_up_looks_at_the_console_and_rests_again() {
        let mut pace = Pace::begin(us(0));
        pace.visited_console(us(600), false);
        pace.woke(us(700));
        assert!(pace.is_console_due(us(700)) && pace.may_rest(us(700)));
    }
}
