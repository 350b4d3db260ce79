//! How busy the loop is: the part of the last second in which it moved frames, and the longest that
//! a frame may have waited for its turn.
//!
//! A turn lasts until the next one begins, so no clock is read for this. A turn without a frame is
//! idle whatever it did, and so is the rest after it: what is left for more frames is what counts.
//! The longest turn is that of the loop with all that it does between frames, but for rests, which
//! end when a frame comes; it tells of a host that gave the machine no processor, too.

use core::time::Duration;

use lb::Instant;
use lb::guest::report::Fraction;

/// Time over which turns are added up.
const WINDOW_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub struct Busy {
    /// When the turn before began; `None` after a rest.
    before: Option<Instant>,
    /// Whether it moved frames.
    moved_frames: bool,
    window_began: Instant,
    busy_ns: u64,
    last: Option<Fraction>,
    longest_ns: u64,
}

impl Busy {
    /// A turn begins.
    #[inline]
    #[cfg_attr(feature = "image", optimize(speed))]
    pub fn begin(&mut self, now: Instant) {
        if let Some(before) = self.before.replace(now) {
            let turn_ns = nanos(before, now);
            self.longest_ns = self.longest_ns.max(turn_ns);
            if self.moved_frames {
                self.busy_ns += turn_ns;
            }
        }
        self.moved_frames = false;
        let over_ns = nanos(self.window_began, now);
        if over_ns >= WINDOW_NS {
            self.last = Some(part(self.busy_ns, over_ns));
            (self.window_began, self.busy_ns) = (now, 0);
        }
    }

    /// The turn moved frames.
    pub fn moved_frames(&mut self) {
        self.moved_frames = true;
    }

    /// The processor halts until something comes: that is no turn.
    pub fn rests(&mut self) {
        self.before = None;
    }

    /// The longest turn since this was cleared.
    pub fn longest_turn(&self) -> Duration {
        Duration::from_nanos(self.longest_ns)
    }

    pub fn clear_longest_turn(&mut self) {
        self.longest_ns = 0;
    }

    /// Of the last whole window; `None` before there was one.
    pub fn last(&self) -> Option<Fraction> {
        self.last
    }
}

/// As a number, since this is done at every turn.
fn nanos(from: Instant, to: Instant) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos())
}

fn part(busy_ns: u64, whole_ns: u64) -> Fraction {
    let millionths = u128::from(busy_ns.min(whole_ns)) * 1_000_000 / u128::from(whole_ns.max(1));
    Fraction::from_millionths(millionths.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// What is said after turns at these milliseconds, of which some moved frames.
    fn after(turns: &[(u64, bool)]) -> Option<u32> {
        let mut busy = Busy::default();
        for &(at, moved) in turns {
            busy.begin(ms(at));
            if moved {
                busy.moved_frames();
            }
        }
        busy.last().map(Fraction::millionths)
    }

    #[test]
    fn a_turn_lasts_until_the_next_begins() {
        type Turns<'a> = &'a [(u64, bool)];
        let cases: [(Turns<'_>, Option<u32>); 6] = [
            (&[(0, true), (999, true)], None),
            (&[(0, false), (1000, false)], Some(0)),
            (&[(0, true), (1000, false)], Some(1_000_000)),
            (&[(0, true), (250, false), (900, true), (1000, true)], Some(350_000)),
            // The window is as long as it turned out to be.
            (&[(0, true), (500, false), (2000, true)], Some(250_000)),
            // The second one counts from its own beginning.
            (&[(0, true), (1000, true), (1100, false), (2000, false)], Some(100_000)),
        ];
        for (turns, expected) in cases {
            assert_eq!(after(turns), expected, "{turns:?}");
        }
    }

    #[test]
    fn the_longest_turn_is_no_rest() {
        let mut busy = Busy::default();
        [0, 3, 10].into_iter().for_each(|at| busy.begin(ms(at)));
        assert_eq!(busy.longest_turn(), Duration::from_millis(7));
        busy.rests();
        [500, 504].into_iter().for_each(|at| busy.begin(ms(at)));
        assert_eq!(busy.longest_turn(), Duration::from_millis(7));
        busy.clear_longest_turn();
        busy.begin(ms(505));
        assert_eq!(busy.longest_turn(), Duration::from_millis(1));
    }

    #[test]
    fn time_that_stands_still_is_no_work() {
        assert_eq!(after(&[(5, true), (5, true), (1005, false), (1005, true)]), Some(995_024));
        assert_eq!(after(&[(2000, true), (1000, true), (3000, false)]), Some(1_000_000));
    }
}
