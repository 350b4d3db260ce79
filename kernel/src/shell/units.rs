//! What is shown, twice: in words as people read them, and as the value that a program reads.
//!
//! For a person a number has the unit and the two or three digits that matter; for a program it is
//! whole, in one base unit, which the member's name tells (`idle_ms`, `bytes_in`). What is not there
//! is `-` to the one and `null` to the other.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::net::IpAddr;
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

use drivers::pci::Address;
use lb::guest::load::{EffectiveWeight, MilliFlows};
use lb::guest::report::Fraction;
use lb::service::sched::Measured;
use lb::{MacAddr, Name, Protocol};

use super::json;
use super::value::Time;
use crate::config::Description;

/// What a table shows where there is nothing to show.
pub const NOTHING: &str = "-";

/// Something that can be shown.
pub trait Shown {
    fn words(&self) -> String;
    /// Appends the value.
    fn json(&self, json: &mut String);
}

/// How long ago something was, in milliseconds: `350ms`, `42s`, `5m07s`, `3h20m`, `12d04h`.
#[derive(Clone, Copy)]
pub struct Age(pub Duration);

/// How long something took, in microseconds: `850us`, `12.5ms`, `1.20s`.
#[derive(Clone, Copy)]
pub struct Latency(pub Duration);

/// `512 B`, `1.5 kB`, `23.0 MB`: powers of ten, as on a wire.
#[derive(Clone, Copy)]
pub struct Bytes(pub u64);

/// A part of a hundred.
#[derive(Clone, Copy)]
pub struct Percent(pub u32);

/// Flows, of which there can be a part: `3`, `0.25`.
#[derive(Clone, Copy)]
pub struct Flows(pub MilliFlows);

/// A VLAN; 0 is untagged.
#[derive(Clone, Copy)]
pub struct Vlan(pub u16);

/// A value, or other words for its absence than `-`.
pub struct Or<T>(pub Option<T>, pub &'static str);

/// What has a text and is that to programs too.
pub struct InText<T>(pub T);

impl<T: Shown + ?Sized> Shown for &T {
    fn words(&self) -> String {
        (**self).words()
    }

    fn json(&self, json: &mut String) {
        (**self).json(json);
    }
}

impl<T: Shown> Shown for Option<T> {
    fn words(&self) -> String {
        self.as_ref().map_or(NOTHING.to_string(), T::words)
    }

    fn json(&self, json: &mut String) {
        match self {
            Some(value) => value.json(json),
            None => json.push_str("null"),
        }
    }
}

impl<T: Shown> Shown for Or<T> {
    fn words(&self) -> String {
        self.0.as_ref().map_or(self.1.to_string(), T::words)
    }

    fn json(&self, json: &mut String) {
        self.0.json(json);
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn words(&self) -> String {
        match &self[..] {
            [] => NOTHING.to_string(),
            all => all.iter().map(T::words).collect::<Vec<_>>().join(" "),
        }
    }

    fn json(&self, json: &mut String) {
        json::list(json, self.iter(), T::json);
    }
}

impl Shown for bool {
    fn words(&self) -> String {
        if *self { "yes" } else { "no" }.to_string()
    }

    fn json(&self, json: &mut String) {
        json.push_str(if *self { "true" } else { "false" });
    }
}

impl Shown for str {
    fn words(&self) -> String {
        self.to_string()
    }

    fn json(&self, json: &mut String) {
        json::text(json, self);
    }
}

impl Shown for Description {
    fn words(&self) -> String {
        self.as_str().words()
    }

    fn json(&self, json: &mut String) {
        self.as_str().json(json);
    }
}

impl<T: Display> Shown for InText<T> {
    fn words(&self) -> String {
        self.0.to_string()
    }

    fn json(&self, json: &mut String) {
        json::text(json, &self.0.to_string());
    }
}

macro_rules! shown_as_text {
    ($($of:ty)*) => {
        $(impl Shown for $of {
            fn words(&self) -> String {
                self.to_string()
            }

            fn json(&self, json: &mut String) {
                json::text(json, &self.to_string());
            }
        })*
    };
}

macro_rules! shown_as_number {
    ($($of:ty)*) => {
        $(impl Shown for $of {
            fn words(&self) -> String {
                self.to_string()
            }

            fn json(&self, json: &mut String) {
                json.push_str(&self.to_string());
            }
        })*
    };
}

shown_as_text!(String Name MacAddr IpAddr Address Protocol);
shown_as_number!(u8 u16 u32 u64 usize NonZeroU16 NonZeroU32);

impl Shown for Age {
    fn words(&self) -> String {
        let seconds = self.0.as_secs();
        match seconds {
            0 => format!("{}ms", self.0.as_millis()),
            1..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
            _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
        }
    }

    fn json(&self, json: &mut String) {
        json.push_str(&self.0.as_millis().to_string());
    }
}

impl Shown for Latency {
    fn words(&self) -> String {
        let micros = self.0.as_micros();
        match micros {
            0..1000 => format!("{micros}us"),
            1000..1_000_000 => format!("{}.{}ms", micros / 1000, micros / 100 % 10),
            _ => format!("{}.{:02}s", micros / 1_000_000, micros / 10_000 % 100),
        }
    }

    fn json(&self, json: &mut String) {
        json.push_str(&self.0.as_micros().to_string());
    }
}

/// As the configuration says it; in milliseconds.
impl Shown for Time {
    fn words(&self) -> String {
        self.to_string()
    }

    fn json(&self, json: &mut String) {
        json.push_str(&self.0.as_millis().to_string());
    }
}

impl Shown for Bytes {
    fn words(&self) -> String {
        let bytes = self.0;
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

    fn json(&self, json: &mut String) {
        self.0.json(json);
    }
}

impl Shown for Percent {
    fn words(&self) -> String {
        format!("{}%", self.0)
    }

    fn json(&self, json: &mut String) {
        self.0.json(json);
    }
}

/// Per cent to a person, a part of 1 to a program, as in a report.
impl Shown for Fraction {
    fn words(&self) -> String {
        format!("{}%", (self.millionths() + 5_000) / 10_000)
    }

    fn json(&self, json: &mut String) {
        json::decimal(json, u64::from(self.millionths()), 6);
    }
}

impl Shown for Flows {
    fn words(&self) -> String {
        match self.0 % 1000 {
            0 => (self.0 / 1000).to_string(),
            part => format!("{}.{:02}", self.0 / 1000, part / 10),
        }
    }

    fn json(&self, json: &mut String) {
        json::decimal(json, self.0, 3);
    }
}

impl Shown for EffectiveWeight {
    fn words(&self) -> String {
        self.to_string()
    }

    fn json(&self, json: &mut String) {
        json::decimal(json, u64::from(self.thousandths()), 3);
    }
}

impl Shown for Vlan {
    fn words(&self) -> String {
        NonZeroU16::new(self.0).words()
    }

    fn json(&self, json: &mut String) {
        NonZeroU16::new(self.0).json(json);
    }
}

/// What a candidate for a new flow is compared by.
impl Shown for Measured {
    fn words(&self) -> String {
        match self {
            Measured::Delay(delay) => Latency(*delay).words(),
            Measured::Flows(1000) => "1 flow".to_string(),
            Measured::Flows(count) => format!("{} flows", Flows(*count).words()),
        }
    }

    fn json(&self, json: &mut String) {
        match self {
            Measured::Delay(delay) => Latency(*delay).json(json),
            Measured::Flows(count) => Flows(*count).json(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(value: impl Shown) -> (String, String) {
        let mut json = String::new();
        value.json(&mut json);
        (value.words(), json)
    }

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
        for (millis, words) in cases {
            let age = Age(Duration::from_millis(millis));
            assert_eq!(both(age), (words.to_string(), millis.to_string()));
        }
        let longest = Age(Duration::from_nanos(u64::MAX));
        assert_eq!(both(longest), ("213503d23h".to_string(), "18446744073709".to_string()));
    }

    #[test]
    fn a_number_has_its_unit_in_words_and_is_whole_in_json() {
        let is = |value: (String, String), words: &str, json: &str| {
            assert_eq!(value, (words.to_string(), json.to_string()));
        };
        let micros = Duration::from_micros;
        is(both(Latency(micros(999))), "999us", "999");
        is(both(Latency(micros(1000))), "1.0ms", "1000");
        is(both(Latency(micros(12_550))), "12.5ms", "12550");
        is(both(Latency(micros(1_250_000))), "1.25s", "1250000");
        is(both(Bytes(0)), "0 B", "0");
        is(both(Bytes(999)), "999 B", "999");
        is(both(Bytes(1000)), "1.0 kB", "1000");
        is(both(Bytes(1599)), "1.5 kB", "1599");
        is(both(Bytes(u64::MAX)), "18.4 EB", "18446744073709551615");
        is(both(Flows(3000)), "3", "3");
        is(both(Flows(250)), "0.25", "0.25");
        let part = Fraction::from_millionths;
        is(both(Measured::Delay(micros(12_500))), "12.5ms", "12500");
        is(both(Measured::Flows(1500)), "1.50 flows", "1.5");
        is(both(part(615_000)), "62%", "0.615");
        is(both(Percent(40)), "40%", "40");
        is(both(Time(micros(1_500_000))), "1500ms", "1500");
    }

    #[test]
    fn what_is_not_there_is_null() {
        let is = |value: (String, String), words: &str, json: &str| {
            assert_eq!(value, (words.to_string(), json.to_string()));
        };
        is(both(None::<u64>), "-", "null");
        is(both(Vlan(0)), "-", "null");
        is(both(Vlan(20)), "20", "20");
        is(both(Or(None::<u64>, "no limit")), "no limit", "null");
        is(both(Or(Some(3u64), "no limit")), "3", "3");
        is(both(Vec::<&str>::new()), "-", "[]");
        is(both([Some("a"), None].to_vec()), "a -", "[\"a\",null]");
        is(both(true), "yes", "true");
    }
}
