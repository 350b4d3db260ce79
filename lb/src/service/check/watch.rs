//! What the probes of a real have found: one good answer proves it, `fall` failures in a row take
//! it out, `rise` good ones in a row bring it back.
//!
//! ```text
//!   unknown ──good──▶ up ──fall failures──▶ down
//!      │               ▲                      │  ▲
//!      │               └────── rise good ─────┘  │
//!      └──────────── fall failures ──────────────┘
//! ```

use core::fmt;
use core::time::Duration;

use super::Check;
use crate::{Health, Instant};

/// How a real stands by its check.
#[derive(Clone, Debug)]
pub struct Watch {
    pub health: Health,
    /// Since when `health` says so.
    pub since: Instant,
    /// What the last probe found: how long the good answer took, or what was wrong.
    pub last: Option<Result<Duration, Failure>>,
    /// Findings in a row that speak against `health`.
    pub against: u8,
    /// Probes since the check was set.
    pub passed: u64,
    pub failed: u64,
}

/// Why a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing, or too little, within the timeout.
    NoAnswer,
    /// The connection was not taken.
    Refused,
    /// The connection was cut before the answer was known.
    Reset,
    /// What came is no answer of HTTP/1.
    NoHttp,
    /// Another status than is expected.
    Status(u16),
    /// The expected text is not there.
    TextMissing,
    /// UDP: nobody listens.
    PortUnreachable,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Watch {
        let (health, last) = (Health::Unknown, None);
        Watch { health, since: now, last, against: 0, passed: 0, failed: 0 }
    }

    /// Takes in what a probe found; whether the health is another now.
    pub(crate) fn observe(
        &mut self,
        found: Result<Duration, Failure>,
        check: &Check,
        now: Instant,
    ) -> bool {
        self.last = Some(found);
        *if found.is_ok() { &mut self.passed } else { &mut self.failed } += 1;
        let (says, needed) = match (self.health, found) {
            (Health::Unknown, Ok(_)) => (Health::Up, 1),
            (Health::Up | Health::Down, Ok(_)) => (Health::Up, check.rise.get()),
            (Health::Unknown | Health::Up | Health::Down, Err(_)) => {
                (Health::Down, check.fall.get())
            }
        };
        if says == self.health {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let changes = self.against >= needed;
        if changes {
            (self.health, self.since, self.against) = (says, now, 0);
        }
        changes
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoAnswer => f.write_str("no answer"),
            Failure::Refused => f.write_str("refused"),
            Failure::Reset => f.write_str("reset"),
            Failure::NoHttp => f.write_str("no HTTP answer"),
            Failure::Status(status) => write!(f, "status {status}"),
            Failure::TextMissing => f.write_str("text not found"),
            Failure::PortUnreachable => f.write_str("port unreachable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckKind;
    use core::num::NonZeroU8;

    #[test]
    fn rise_and_fall() {
        let [rise, fall] = [2, 3].map(|n| NonZeroU8::new(n).unwrap());
        let check = Check { rise, fall, ..Check::new(CheckKind::Tcp) };
        // `+` a good answer, `-` a failure; then the health: `?`, `u`p, `d`own.
        for (what, history, healths) in [
            ("the first success proves", "+", "u"),
            ("failures before any success", "---", "??d"),
            ("a success between failures begins anew", "+--+---", "uuuuuud"),
            ("back after rise in a row", "---+-++", "??ddddu"),
            ("down stays down", "----", "??dd"),
        ] {
            let mut watch = Watch::new(Instant::START);
            for (at, (finding, expected)) in history.chars().zip(healths.chars()).enumerate() {
                let now = Instant::from_millis(at as u64);
                let found = if finding == '+' { Ok(Duration::ZERO) } else { Err(Failure::Reset) };
                let before = watch.health;
                let changes = watch.observe(found, &check, now);
                let health = match watch.health {
                    Health::Unknown => '?',
                    Health::Up => 'u',
                    Health::Down => 'd',
                };
                assert_eq!(health, expected, "{what}, {at}");
                assert_eq!(changes, before != watch.health, "{what}, {at}");
                assert_eq!(watch.since == now, changes || at == 0, "{what}, {at}");
            }
            let passed = history.matches('+').count() as u64;
            let failed = history.len() as u64 - passed;
            assert_eq!((watch.passed, watch.failed), (passed, failed), "{what}");
        }
    }
}
