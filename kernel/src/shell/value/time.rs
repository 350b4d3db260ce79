//! Times in commands: a whole number and its unit.

use alloc::format;
use core::fmt;
use core::time::Duration;

use super::{Misfit, ranged};

/// A time as the configuration says it: `300s`, or `1500ms` where it is no whole seconds. It is read
/// in minutes (`5m`), hours and days too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// The times that a kind of value may have. Those that begin below a second are said in
/// milliseconds too.
pub struct Span {
    low: Duration,
    high: Duration,
    /// Both ends in words.
    pub label: &'static str,
    example: &'static str,
}

const HOUR: Duration = Duration::from_secs(3600);

/// How long something is kept.
pub const LIFETIME: Span = Span {
    low: Duration::from_secs(1),
    high: HOUR.saturating_mul(7 * 24),
    label: "1s..7d",
    example: "30s or 5m",
};
/// How long a MAC is remembered (IEEE 802.1Q, table 8-6).
pub const AGEING: Span = Span {
    low: Duration::from_secs(10),
    high: Duration::from_secs(1_000_000),
    label: "10s..1000000s",
    example: "300s or 5m",
};
/// How long somebody looks on.
pub const LOOK: Span =
    Span { low: Duration::from_secs(1), high: HOUR, label: "1s..1h", example: "10s or 5m" };
/// How often something is asked.
pub const INTERVAL: Span = Span {
    low: Duration::from_millis(100),
    high: HOUR,
    label: "100ms..1h",
    example: "500ms or 2s",
};
/// How long an answer is waited for.
pub const TIMEOUT: Span =
    Span { low: Duration::from_millis(50), high: HOUR, label: "50ms..1h", example: "500ms or 1s" };
/// How long something grows; not at all in no time.
pub const RAMP: Span =
    Span { low: Duration::ZERO, high: HOUR, label: "0s..1h", example: "30s or 2m" };

impl Span {
    pub(super) fn parse(&self, text: &str) -> Result<Duration, Misfit> {
        let misfit = || Misfit::whole(&format!("a time such as {}, {}", self.example, self.label));
        let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        let unit_ms = match unit {
            "ms" if self.low.subsec_millis() > 0 => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(misfit()),
        };
        let number: u32 = ranged(number, "", 0, u32::MAX).map_err(|_| misfit())?;
        let time = Duration::from_millis(u64::from(number) * unit_ms);
        if (self.low..=self.high).contains(&time) { Ok(time) } else { Err(misfit()) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            _ => write!(f, "{}ms", self.0.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn times_read_in_all_units_and_print_in_one() {
        let cases = [
            (LIFETIME, "1s", "1s"),
            (LIFETIME, "030s", "30s"),
            (LIFETIME, "5m", "300s"),
            (LIFETIME, "2h", "7200s"),
            (LIFETIME, "7d", "604800s"),
            (LIFETIME, "604800s", "604800s"),
            (INTERVAL, "100ms", "100ms"),
            (INTERVAL, "2000ms", "2s"),
            (INTERVAL, "2500ms", "2500ms"),
            (INTERVAL, "1h", "3600s"),
            (TIMEOUT, "50ms", "50ms"),
            (RAMP, "0s", "0s"),
        ];
        for (span, text, printed) in cases {
            let time = span.parse(text).expect(text);
            assert_eq!(Time(time).to_string(), printed);
            assert_eq!(span.parse(printed), Ok(time));
        }
    }

    #[test]
    fn what_is_no_time_says_what_would_be_one() {
        let lifetimes = [
            "",
            "s",
            "0s",
            "5",
            "5x",
            "5 s",
            "-5s",
            "1.5s",
            "8d",
            "604801s",
            "5ss",
            "5ms",
            "1500ms",
            "4294967296s",
            "5\u{e9}",
        ];
        for text in lifetimes {
            let misfit = Misfit::whole("a time such as 30s or 5m, 1s..7d");
            assert_eq!(LIFETIME.parse(text), Err(misfit), "{text}");
        }
        for text in ["0s", "99ms", "3600001ms", "3601s", "2h", "ms", "1d"] {
            let misfit = Misfit::whole("a time such as 500ms or 2s, 100ms..1h");
            assert_eq!(INTERVAL.parse(text), Err(misfit), "{text}");
        }
        assert!(TIMEOUT.parse("49ms").is_err() && RAMP.parse("500ms").is_err());
    }
}
