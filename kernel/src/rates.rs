//! How fast a port's counters grew: over the last second, the last ten and the last minute.
//!
//! Once a second it is written down what the counters stand at, and a rate is the difference of two
//! notes over the time between them. Where nothing has changed the loop is not woken for a note, so they
//! may lie further apart: each knows its time.

use core::array;
use core::time::Duration;

use drivers::NicCounters;
use lb::Instant;

/// Times over which a rate is told.
pub const WINDOWS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
const INTERVAL: Duration = WINDOWS[0];
/// A minute of them, and the one before.
const NOTES: usize = 61;

/// So many in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    pub frames_in: u64,
    pub frames_out: u64,
    pub bits_in: u64,
    pub bits_out: u64,
}

/// What one port's counters stood at.
#[derive(Debug, Default)]
pub struct Rates(heapless::HistoryBuf<Note, NOTES>);

#[derive(Clone, Copy, Debug)]
struct Note {
    when: Instant,
    /// In the order of [`Rate`].
    counts: [u64; 4],
}

impl Rates {
    /// Writes down what the counters stand at, if it is time.
    pub fn note(&mut self, counters: &NicCounters, now: Instant) {
        if self.0.recent().is_none_or(|last| now.since(last.when) >= INTERVAL) {
            self.0.write(Note { when: now, counts: counts(counters) });
        }
    }

    /// When the counters have to be written down; `None` as long as they do not change.
    pub fn next(&self, counters: &NicCounters) -> Option<Instant> {
        let last = self.0.recent()?;
        (last.counts != counts(counters)).then(|| last.when + INTERVAL)
    }

    /// The rate over the time up to the last note; over as much of it as is known.
    pub fn over(&self, window: Duration) -> Rate {
        let Some(last) = self.0.recent() else {
            return Rate::default();
        };
        let is_before = |note: &&Note| last.when.since(note.when) >= window;
        let before = self.0.oldest_ordered().rfind(is_before);
        let first = before.or(self.0.oldest_ordered().next()).unwrap_or(last);
        let time_ms = u128::from(last.when.since(first.when).as_millis() as u64).max(1);
        let [frames_in, frames_out, bytes_in, bytes_out] = array::from_fn(|at| {
            let more = u128::from(last.counts[at].saturating_sub(first.counts[at]));
            u64::try_from(more * 1000 / time_ms).unwrap_or(u64::MAX)
        });
        let [bits_in, bits_out] = [bytes_in, bytes_out].map(|bytes| bytes.saturating_mul(8));
        Rate { frames_in, frames_out, bits_in, bits_out }
    }
}

fn counts(counters: &NicCounters) -> [u64; 4] {
    let NicCounters { rx_frames, tx_frames, rx_bytes, tx_bytes, .. } = *counters;
    [rx_frames, tx_frames, rx_bytes, tx_bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many frames of 100 bytes come in and half as many leave each second.
    fn after(seconds: impl IntoIterator<Item = u64>) -> Rates {
        let mut rates = Rates::default();
        let mut counters = NicCounters::default();
        rates.note(&counters, Instant::START);
        for (at, frames) in (1..).zip(seconds) {
            counters.rx_frames += frames;
            counters.rx_bytes += frames * 100;
            counters.tx_frames += frames / 2;
            counters.tx_bytes += frames / 2 * 100;
            rates.note(&counters, Instant::from_millis(at * 1000));
        }
        rates
    }

    #[test]
    fn each_window_has_its_own_rate() {
        let rates = after([0; 30].into_iter().chain([600; 29]).chain([1200]));
        let frames_in = WINDOWS.map(|window| rates.over(window).frames_in);
        assert_eq!(frames_in, [1200, 660, 310]);
        let Rate { frames_out, bits_in, bits_out, .. } = rates.over(WINDOWS[0]);
        assert_eq!((frames_out, bits_in, bits_out), (600, 960_000, 480_000));
    }

    #[test]
    fn what_is_older_than_a_minute_counts_for_nothing() {
        let rates = after([1_000_000].into_iter().chain([10; 60]));
        assert_eq!(WINDOWS.map(|window| rates.over(window).frames_in), [10; 3]);
    }

    #[test]
    fn before_there_are_two_notes_there_is_no_rate() {
        assert_eq!(Rates::default().over(WINDOWS[0]), Rate::default());
        assert_eq!(after([]).over(WINDOWS[2]), Rate::default());
    }

    /// The notes are as far apart as the loop rested.
    #[test]
    fn a_rest_makes_a_rate_one_over_a_longer_time() {
        let mut rates = after([500, 500]);
        let counters = NicCounters { rx_frames: 1_000, ..NicCounters::default() };
        assert_eq!(rates.next(&NicCounters::default()), Some(Instant::from_millis(3_000)));
        rates.note(&counters, Instant::from_millis(2_500));
        assert_eq!(rates.over(WINDOWS[0]).frames_in, 500, "half a second later nothing is noted");
        rates.note(&counters, Instant::from_millis(32_000));
        assert_eq!(rates.next(&counters), None);
        assert_eq!(WINDOWS.map(|window| rates.over(window).frames_in), [0, 0, 31]);
    }
}
