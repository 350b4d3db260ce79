//! Numbers as people read them.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;
use core::time::Duration;

use lb::load::MilliFlows;
use lb::report::Fraction;
use lb::sched::Measured;

/// What a table shows where there is nothing to show.
pub const NOTHING: &str = "-";

pub fn or_nothing(value: Option<impl Display>) -> String {
    value.map_or(NOTHING.to_string(), |value| value.to_string())
}

/// Two units at most: `350ms`, `42s`, `5m07s`, `3h20m`, `12d04h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0 => format!("{}ms", age.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `850us`, `12.5ms`, `1.20s`.
pub fn latency(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{}.{}ms", micros / 1000, micros / 100 % 10),
        _ => format!("{}.{:02}s", micros / 1_000_000, micros / 10_000 % 100),
    }
}

/// `512 B`, `1.5 kB`, `23.0 MB`: powers of ten, as on a wire.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut whole = bytes;
    let mut tenths = 0;
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        (whole, tenths) = (whole / 1000, whole % 1000 / 100);
        if whole < 1000 {
            return format!("{whole}.{tenths} {unit}");
        }
    }
    format!("{whole}.{tenths} EB")
}

/// What a candidate for a new flow is compared by, for a weight of 100.
pub fn measured(measured: Measured) -> String {
    match measured {
        Measured::Load(load) => percent(load),
        Measured::Flows(1000) => "1 flow".to_string(),
        Measured::Flows(count) => format!("{} flows", flows(count)),
    }
}

/// `3`, `0.25`.
pub fn flows(flows: MilliFlows) -> String {
    match flows % 1000 {
        0 => (flows / 1000).to_string(),
        part => format!("{}.{:02}", flows / 1000, part / 10),
    }
}

pub fn percent(fraction: Fraction) -> String {
    format!("{}%", (fraction.millionths() + 5_000) / 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let cases: [(u64, &str); 9] = [
            (0, "0ms"),
            (999, "999ms"),
            (1000, "1s"),
            (59_999, "59s"),
            (60_000, "1m00s"),
            (3_599_000, "59m59s"),
            (3_600_000, "1h00m"),
            (86_399_000, "23h59m"),
            (90_000_000, "1d01h"),
        ];
        for (millis, text) in cases {
            assert_eq!(age(Duration::from_millis(millis)), text);
        }
        assert_eq!(age(Duration::from_nanos(u64::MAX)), "213503d23h");
    }

    #[test]
    fn latencies_and_bytes() {
        for (micros, text) in
            [(999, "999us"), (1000, "1.0ms"), (12_550, "12.5ms"), (1_250_000, "1.25s")]
        {
            assert_eq!(latency(Duration::from_micros(micros)), text);
        }
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_599, "1.5 kB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!((flows(3000), flows(250)), ("3".to_string(), "0.25".to_string()));
        let half = Fraction::from_millionths(500_000);
        assert_eq!(measured(Measured::Load(half)), "50%");
        assert_eq!(measured(Measured::Flows(1500)), "1.50 flows");
        assert_eq!(percent(Fraction::from_millionths(615_000)), "62%");
    }
}
