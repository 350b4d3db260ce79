//! Severance: when a real's open flows are ended, and not only left alone.
//!
//! No change of weights, states or configuration moves an open flow, and a real that goes keeps its
//! flows until they end. That is right as long as somebody is there to end them. Where nobody is, or
//! where the operator has waited long enough, the flows are severed: both ends hear so with their
//! next packet ([`crate::dataplane`], `sever.rs`), and a client that is told at once calls again at
//! once, where one that hears nothing waits for minutes.
//!
//! Why a real is severed is looked at ten times a second and is no state that has to be left: a guest
//! that was silent and answers again goes on with those flows that have not been ended meanwhile.

use core::fmt;
use core::time::Duration;

use crate::Instant;

/// A link that is down for less is one that somebody plugs, or a guest that restarts its network.
pub const LINK_PATIENCE: Duration = Duration::from_secs(30);

/// Why a real's open flows are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severed {
    /// The operator has removed the real and its flows with it.
    Cut,
    /// Its guest is defined no more.
    NoGuest,
    /// Its guest's address does not answer, and nothing else is heard of the guest.
    Silent,
    /// The link of its guest's port is down for [`LINK_PATIENCE`].
    NoLink,
    /// It is drained, and the time that flows had to end is over.
    Drained,
}

/// What becomes of the open flows of a real whose guest is silent or out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDown {
    /// Clients are told by a reset.
    #[default]
    Reset,
    /// They wait for the guest to come back.
    Keep,
}

/// Whether a real is severed, and since when what may lead to it lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Severance {
    pub is_cut: bool,
    pub severed: Option<Severed>,
    /// Whether the log was told of it.
    pub is_told: bool,
    no_link_since: Option<Instant>,
    drained_since: Option<Instant>,
}

/// What is seen of a real.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub has_guest: bool,
    pub has_link: bool,
    /// Its guest's address was asked and does not answer, nor does the guest send anything.
    pub is_silent: bool,
    /// It is to get no more flows, by the operator's word, its agent's, or because it was removed.
    pub is_drained: bool,
    pub on_down: OnDown,
    /// How long a drained real keeps its flows; for ever when absent.
    pub drain_timeout: Option<Duration>,
}

impl OnDown {
    pub const ALL: [OnDown; 2] = [OnDown::Keep, OnDown::Reset];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnDown::Keep => "keep",
            OnDown::Reset => "reset",
        }
    }
}

impl Severance {
    /// Takes in what is seen now; whether that has severed the real, or has ended it.
    pub fn look(&mut self, sight: Sight, now: Instant) -> bool {
        let Sight { has_guest, has_link, is_silent, is_drained, on_down, drain_timeout } = sight;
        let (is_cut, resets) = (self.is_cut, on_down == OnDown::Reset);
        let without_link = lasting(&mut self.no_link_since, !has_link, now);
        let drained = lasting(&mut self.drained_since, is_drained, now);
        let is_late = |after: Duration, max: Duration| after >= max;
        let severed = match () {
            () if is_cut => Some(Severed::Cut),
            () if !has_guest => Some(Severed::NoGuest),
            () if resets && has_link && is_silent => Some(Severed::Silent),
            () if resets && without_link.is_some_and(|t| is_late(t, LINK_PATIENCE)) => {
                Some(Severed::NoLink)
            }
            () if drained.zip(drain_timeout).is_some_and(|(t, max)| is_late(t, max)) => {
                Some(Severed::Drained)
            }
            () => None,
        };
        let has_changed = severed.is_some() != self.severed.is_some();
        self.severed = severed;
        has_changed
    }
}

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severed::Cut => "removed at once",
            Severed::NoGuest => "its guest is no more",
            Severed::Silent => "its guest is silent",
            Severed::NoLink => "its guest's link is down",
            Severed::Drained => "drained for long enough",
        })
    }
}

/// For how long something lasts, if it does now.
fn lasting(since: &mut Option<Instant>, lasts: bool, now: Instant) -> Option<Duration> {
    *since = since.or(Some(now)).filter(|_| lasts);
    since.map(|since| now.since(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Sight = Sight {
        has_guest: true,
        has_link: true,
        is_silent: false,
        is_drained: false,
        on_down: OnDown::Reset,
        drain_timeout: None,
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1000 * seconds)
    }

    #[test]
    fn each_reason_has_its_time() {
        let minute = Some(Duration::from_secs(60));
        let silent = Sight { is_silent: true, ..WELL };
        let no_link = Sight { has_link: false, is_silent: true, ..WELL };
        let drained = Sight { is_drained: true, drain_timeout: minute, ..WELL };
        let cases = [
            ("well", WELL, None),
            ("no guest", Sight { has_guest: false, ..WELL }, Some((0, Severed::NoGuest))),
            ("silent", silent, Some((0, Severed::Silent))),
            ("silent, to be kept", Sight { on_down: OnDown::Keep, ..silent }, None),
            ("no link", no_link, Some((30, Severed::NoLink))),
            ("no link, to be kept", Sight { on_down: OnDown::Keep, ..no_link }, None),
            ("drained", drained, Some((60, Severed::Drained))),
            ("drained without end", Sight { drain_timeout: None, ..drained }, None),
        ];
        for (what, sight, expected) in cases {
            let mut real = Severance::default();
            let seen = (0..100).find_map(|s| {
                real.look(sight, at(s));
                Some((s, real.severed?))
            });
            assert_eq!(seen, expected, "{what}");
            let is_severed = expected.is_some();
            assert_eq!(real.look(WELL, at(100)), is_severed, "{what}: and well again");
            assert_eq!(real.severed, None, "{what}");
        }
    }

    #[test]
    fn a_link_that_comes_back_begins_its_time_anew() {
        let mut real = Severance::default();
        let no_link = Sight { has_link: false, ..WELL };
        for second in 0..100 {
            let sight = if second % 30 == 29 { WELL } else { no_link };
            assert!(!real.look(sight, at(second)), "after {second} s");
        }
    }

    #[test]
    fn what_was_cut_stays_cut() {
        let mut real = Severance { is_cut: true, ..Severance::default() };
        assert!(real.look(WELL, at(0)));
        assert!(!real.look(WELL, at(1)));
        assert_eq!(real.severed, Some(Severed::Cut));
    }
}
