//! Passive checks: what a real's own flows show of it, without asking anybody.
//!
//! Both directions pass the switch, so it sees each SYN and what became of it. An answer is a success
//! (for UDP a flow's first answer). A failure is
//!
//! - a SYN that is *refused* with a reset: nobody listens;
//! - a SYN that stays *unanswered* for [`PATIENCE`]: the client repeats it, or its flow expires;
//! - an ICMP *unreachable* by which the guest itself quotes a packet that it was sent.
//!
//! [`FAILURES`] of them in a row, over at least [`DOUBT`], eject the real for [`BASE`], twice that
//! the second time and so on up to [`LONGEST`]; then it is back, with a slow start. So does coming
//! and going: [`FLAPS`] times out within [`FLAPS_WITHIN`] by its link, its probes, its agent.
//!
//! **Who may cause it.** A guest only has its own real ejected: what counts comes in by its port with
//! its MAC. A client cannot make a guest silent, but can send SYNs that a good one refuses or drops
//! (a bad checksum, an address that its firewall hates) as fast as it likes. Hence the second
//! condition: one success ends the row, so nobody is ejected to whom others' flows come and who
//! answers them at least once in a second; who has fewer flows than that can spare a real. A flood
//! of SYNs from invented addresses is a row of successes, since the real answers; that nobody
//! confirms the answer is not looked at, nor are SYNs that a full table let go before their time.
//! Where a whole service fails alike, no real of it is to blame: another must have answered
//! meanwhile. And what must not go wrong is bounded: at most half of a service's reals are out by
//! this at a time and never the last (`tables/ejections.rs`), and in a panic it does not count.

use core::time::Duration;

use crate::Instant;

/// Failures in a row that eject a real.
pub const FAILURES: u8 = 5;
/// How long at least they take.
pub const DOUBT: Duration = Duration::from_secs(1);
/// How long an ejection lasts the first time.
pub const BASE: Duration = Duration::from_secs(10);
/// And at most; after so long in peace earlier ejections are forgotten.
pub const LONGEST: Duration = Duration::from_secs(300);
/// How often a real may go within [`FLAPS_WITHIN`].
pub const FLAPS: usize = 3;
pub const FLAPS_WITHIN: Duration = Duration::from_secs(30);
/// A SYN that nobody has answered by then is unanswered: half of what RFC 6298 has clients wait.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// What a real's flows have shown of it.
#[derive(Clone, Debug, Default)]
pub struct Passive {
    pub counters: PassiveCounters,
    /// Smoothed: of each answer an eighth.
    answer_time: Option<Duration>,
    answered_at: Option<Instant>,
    /// Failures since the last success, and when they began.
    row: u8,
    row_since: Instant,
    /// The last times it went, the oldest first.
    flaps: [Option<Instant>; FLAPS],
    last: Option<Ejection>,
    /// How many ejections follow one another.
    count: u8,
    /// Whether the log knows of the ejection.
    pub(crate) is_told: bool,
}

/// Counted per real since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassiveCounters {
    pub refused: u64,
    pub unanswered: u64,
    pub unreachable: u64,
    pub flaps: u64,
    pub ejections: u64,
}

/// How a real failed a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFailure {
    Refused,
    Unanswered,
    Unreachable,
}

/// A real gets no new flow for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    pub cause: Cause,
    pub until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its flows fail.
    Failures,
    /// It comes and goes.
    Flaps,
}

impl Passive {
    /// Smoothed time to a flow's first answer.
    pub fn answer_time(&self) -> Option<Duration> {
        self.answer_time
    }

    /// Failures since the last success.
    pub fn failures_in_row(&self) -> u8 {
        self.row
    }

    /// The ejection that holds now.
    pub fn ejection(&self, now: Instant) -> Option<Ejection> {
        self.last.filter(|ejection| now < ejection.until)
    }

    pub(crate) fn answered(&mut self, after: Duration, now: Instant) {
        let smoothed = self.answer_time.map_or(after, |before| (before * 7 + after) / 8);
        (self.answer_time, self.answered_at, self.row) = (Some(smoothed), Some(now), 0);
    }

    /// Whether it has answered since `then`.
    pub(crate) fn has_answered_since(&self, then: Instant) -> bool {
        self.answered_at.is_some_and(|at| at >= then)
    }

    /// Takes in a failure; since when the row of them has lasted, if it is long enough. A new one
    /// begins then: who is not ejected for this one is not looked at again for each failure.
    pub(crate) fn failed(&mut self, failure: FlowFailure, now: Instant) -> Option<Instant> {
        *match failure {
            FlowFailure::Refused => &mut self.counters.refused,
            FlowFailure::Unanswered => &mut self.counters.unanswered,
            FlowFailure::Unreachable => &mut self.counters.unreachable,
        } += 1;
        if self.row == 0 {
            self.row_since = now;
        }
        self.row = self.row.saturating_add(1);
        let is_long = self.row >= FAILURES && now.since(self.row_since) >= DOUBT;
        is_long.then(|| {
            self.row = 0;
            self.row_since
        })
    }

    /// Takes in that it went by itself; whether that was once too often.
    pub(crate) fn flapped(&mut self, now: Instant) -> bool {
        self.counters.flaps += 1;
        self.flaps.rotate_left(1);
        self.flaps[FLAPS - 1] = Some(now);
        self.flaps[0].is_some_and(|first| now.since(first) <= FLAPS_WITHIN)
    }

    /// Ejects it, or leaves it out for longer.
    pub(crate) fn eject(&mut self, cause: Cause, now: Instant) {
        if let Some(Ejection { cause, until }) = self.ejection(now) {
            self.last = Some(Ejection { cause, until: until.max(now + BASE) });
            return;
        }
        let is_first = self.last.is_none_or(|last| now.since(last.until) >= LONGEST);
        self.count = if is_first { 1 } else { self.count.saturating_add(1) };
        let lasts = (BASE * u32::from(self.count)).min(LONGEST);
        self.counters.ejections += 1;
        self.last = Some(Ejection { cause, until: now + lasts });
    }

    /// The last moment at which it is ejected.
    pub(crate) fn holds_until(&self, now: Instant) -> Option<Instant> {
        let Ejection { until, .. } = self.ejection(now)?;
        Some(Instant::from_nanos(until.as_nanos() - 1))
    }
}

impl Cause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Failures => "failures",
            Cause::Flaps => "flaps",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(10_000 + ms)
    }

    #[test]
    fn a_row_is_long_after_five_failures_and_a_second() {
        let cases: [(&str, &[u64], bool); 4] = [
            ("five at once", &[0, 0, 0, 0, 0, 999], false),
            ("four in long", &[0, 900, 1_800, 9_000], false),
            ("five in a second", &[0, 100, 200, 300, 1_000], true),
            ("many in a second", &[0, 1, 2, 3, 4, 5, 6, 1_000], true),
        ];
        for (what, times, expected) in cases {
            let mut passive = Passive::default();
            let long = times.iter().map(|&ms| passive.failed(FlowFailure::Refused, at(ms))).last();
            assert_eq!(long.flatten(), expected.then_some(at(0)), "{what}");
        }
        let mut passive = Passive::default();
        for ms in (0..60_000).step_by(100) {
            if ms % 900 == 0 {
                passive.answered(Duration::from_millis(3), at(ms));
            }
            assert_eq!(
                passive.failed(FlowFailure::Unanswered, at(ms)),
                None,
                "answers now and then"
            );
        }
        assert_eq!(passive.answer_time(), Some(Duration::from_millis(3)));
    }

    #[test]
    fn each_ejection_is_longer_until_there_is_peace() {
        let mut passive = Passive::default();
        let mut now = at(0);
        let mut lasts = std::vec::Vec::new();
        for _ in 0..40 {
            passive.eject(Cause::Failures, now);
            let until = passive.ejection(now).unwrap().until;
            assert_eq!(passive.ejection(until), None);
            assert!(passive.ejection(passive.holds_until(now).unwrap()).is_some());
            lasts.push(until.since(now).as_secs());
            now = until + Duration::from_secs(299);
        }
        assert_eq!((&lasts[..3], lasts[39]), (&[10, 20, 30][..], 300));
        passive.eject(Cause::Failures, now + Duration::from_secs(1));
        assert_eq!(passive.ejection(now + Duration::from_secs(11)), None, "ten seconds again");
    }
}
