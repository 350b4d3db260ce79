//! How much a second: bits or frames, as people write them.

use alloc::format;
use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use super::{Misfit, ranged};

/// So many bits, or so many frames, a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Bits(NonZeroU64),
    Frames(NonZeroU32),
}

/// So many frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate(pub NonZeroU32);

const BITS_MAX: u64 = 1_000_000_000_000;
const FRAMES_MAX: u64 = 1_000_000_000;
const PREFIXES: [(&str, u64); 4] = [("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000), ("", 1)];

impl Rate {
    pub(super) fn parse(text: &str) -> Result<Rate, Misfit> {
        let wanted = "a rate such as 500Mbps or 100kpps";
        let bits = amount(text, "bps", BITS_MAX).and_then(NonZeroU64::new).map(Rate::Bits);
        let frames = || FrameRate::read(text).map(|FrameRate(frames)| Rate::Frames(frames));
        bits.or_else(frames).ok_or_else(|| Misfit::whole(wanted))
    }
}

impl FrameRate {
    pub(super) fn parse(text: &str) -> Result<FrameRate, Misfit> {
        FrameRate::read(text)
            .ok_or_else(|| Misfit::whole("a number of frames a second such as 1000pps"))
    }

    fn read(text: &str) -> Option<FrameRate> {
        let frames = amount(text, "pps", FRAMES_MAX)?;
        u32::try_from(frames).ok().and_then(NonZeroU32::new).map(FrameRate)
    }
}

/// A whole number with a prefix and this unit, 1 to `max`.
fn amount(text: &str, unit: &str, max: u64) -> Option<u64> {
    let number = text.strip_suffix(unit)?;
    let of = |(prefix, factor): (&str, u64)| {
        let number: u64 = ranged(number.strip_suffix(prefix)?, "", 1, max).ok()?;
        number.checked_mul(factor).filter(|&amount| amount <= max)
    };
    PREFIXES.into_iter().find_map(of)
}

/// In the largest unit that leaves no fraction.
fn write(f: &mut fmt::Formatter<'_>, amount: u64, unit: &str) -> fmt::Result {
    let whole = PREFIXES.into_iter().find(|(_, factor)| amount.is_multiple_of(*factor));
    let (prefix, factor) = whole.unwrap_or(("", 1));
    f.pad(&format!("{}{prefix}{unit}", amount / factor))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Bits(bits) => write(f, bits.get(), "bps"),
            Rate::Frames(frames) => FrameRate(*frames).fmt(f),
        }
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0.get().into(), "pps")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn rates_read_in_all_units_and_print_in_one() {
        for (text, printed) in [
            ("500Mbps", "500Mbps"),
            ("1000Mbps", "1Gbps"),
            ("1500kbps", "1500kbps"),
            ("1bps", "1bps"),
            ("0100kpps", "100kpps"),
            ("1000pps", "1kpps"),
            ("1001pps", "1001pps"),
            ("1000Gbps", "1000Gbps"),
        ] {
            let rate = Rate::parse(text).expect(text);
            assert_eq!(rate.to_string(), printed);
            assert_eq!(Rate::parse(printed), Ok(rate));
        }
    }

    #[test]
    fn what_is_no_rate() {
        for text in [
            "", "bps", "0bps", "500", "500Mb", "1.5Mbps", "-1pps", "1001Gbps", "5 Mbps", "1mbps",
            "5Gpps",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
        assert!(FrameRate::parse("500Mbps").is_err());
    }
}
