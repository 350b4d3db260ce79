//! The numbers of a report: decimal text to integers and back, without floating point.
//!
//! A report decides where flows go, and one seed must replay a whole world on any machine; so a
//! fraction is a count of millionths and a rate a count of thousandths. Digits beyond the last
//! kept place are dropped. There is no sign and no exponent: `-1`, `nan`, `inf` and `1e3` are no
//! numbers.

use core::fmt;

/// A share of a whole, in millionths. May exceed 1: a queue in front of a busy CPU does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

/// So many a second, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// Why a word is no number of the kind that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Not digits with at most one point.
    NotANumber,
    /// A number, but none from `min` to `max`.
    Range { min: u32, max: u32 },
}

impl Fraction {
    pub const ZERO: Fraction = Fraction(0);
    pub const ONE: Fraction = Fraction(1_000_000);
    /// A hundredfold overload is the most that can be said; what says more confuses its units.
    pub const MAX: Fraction = Fraction(100_000_000);
    const PLACES: u32 = 6;

    /// Bounded by [`Fraction::MAX`].
    pub const fn from_millionths(millionths: u64) -> Self {
        if millionths < Fraction::MAX.0 as u64 {
            Fraction(millionths as u32)
        } else {
            Fraction::MAX
        }
    }

    /// `part` of `whole`; of nothing there is no part.
    pub fn ratio(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Fraction::ZERO;
        }
        let millionths = u128::from(part) * 1_000_000 / u128::from(whole);
        Fraction::from_millionths(u64::try_from(millionths).unwrap_or(u64::MAX))
    }

    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Bounded by [`Fraction::MAX`].
    pub const fn plus(self, other: Fraction) -> Fraction {
        Fraction::from_millionths(self.0 as u64 + other.0 as u64)
    }

    /// `0.42` or `42%`.
    pub(super) fn parse(text: &str) -> Result<Self, NumberError> {
        const RANGE: NumberError = NumberError::Range { min: 0, max: 100 };
        let millionths = match text.strip_suffix('%') {
            Some(percent) => decimal(percent, Self::PLACES - 2, RANGE)?,
            None => decimal(text, Self::PLACES, RANGE)?,
        };
        if millionths > u64::from(Self::MAX.0) {
            return Err(RANGE);
        }
        Ok(Fraction::from_millionths(millionths))
    }
}

impl Rate {
    const PLACES: u32 = 3;
    const WHOLE_MAX: u32 = 1_000_000_000;

    /// Bounded by a thousand million a second.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        let max = Self::WHOLE_MAX as u64 * 1000;
        if thousandths < max { Rate(thousandths) } else { Rate(max) }
    }

    pub const fn thousandths(self) -> u64 {
        self.0
    }

    pub(super) fn parse(text: &str) -> Result<Self, NumberError> {
        const RANGE: NumberError = NumberError::Range { min: 0, max: Rate::WHOLE_MAX };
        let thousandths = decimal(text, Self::PLACES, RANGE)?;
        if thousandths > u64::from(Self::WHOLE_MAX) * 1000 {
            return Err(RANGE);
        }
        Ok(Rate(thousandths))
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, u64::from(self.0), Self::PLACES)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, Self::PLACES)
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberError::NotANumber => {
                f.write_str("not a number (digits and at most one point; no sign, no exponent)")
            }
            NumberError::Range { min, max } => write!(f, "out of range {min} to {max}"),
        }
    }
}

/// A whole number from `min` to `max`; a fractional part is dropped.
pub(super) fn whole(text: &str, min: u32, max: u32) -> Result<u32, NumberError> {
    let range = NumberError::Range { min, max };
    let number = u32::try_from(decimal(text, 0, range)?).map_err(|_| range)?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(range) }
}

/// Hexadecimal digits, as identities are written.
pub(super) fn hex(text: &str) -> Result<u64, NumberError> {
    let digits = !text.is_empty() && text.len() <= 16;
    if !digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NumberError::NotANumber);
    }
    u64::from_str_radix(text, 16).map_err(|_| NumberError::NotANumber)
}

/// `text` × 10^`places`; `too_big` when that does not fit.
fn decimal(text: &str, places: u32, too_big: NumberError) -> Result<u64, NumberError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return Err(NumberError::NotANumber);
    }
    let kept = part.bytes().chain(core::iter::repeat(b'0')).take(places as usize);
    whole.bytes().chain(kept).try_fold(0u64, |number, digit| {
        let shifted = number.checked_mul(10).ok_or(too_big)?;
        shifted.checked_add(u64::from(digit - b'0')).ok_or(too_big)
    })
}

/// The shortest text that parses to the same number.
fn write_decimal(f: &mut fmt::Formatter<'_>, number: u64, places: u32) -> fmt::Result {
    let one = 10u64.pow(places);
    write!(f, "{}", number / one)?;
    let mut rest = number % one;
    if rest == 0 {
        return Ok(());
    }
    f.write_str(".")?;
    let mut place = one / 10;
    while rest > 0 {
        write!(f, "{}", rest / place)?;
        rest %= place;
        place /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    #[test]
    fn fractions_and_per_cents() {
        let cases = [
            ("0", 0, "0"),
            ("0.42", 420_000, "0.42"),
            ("42%", 420_000, "0.42"),
            (".5", 500_000, "0.5"),
            ("1.", 1_000_000, "1"),
            ("1.6", 1_600_000, "1.6"),
            ("150%", 1_500_000, "1.5"),
            ("0.00000199", 1, "0.000001"),
            ("100", 100_000_000, "100"),
            ("000000000000000000000000.25", 250_000, "0.25"),
        ];
        for (text, millionths, printed) in cases {
            let fraction = Fraction::parse(text).unwrap();
            assert_eq!(
                (fraction.millionths(), fraction.to_string().as_str()),
                (millionths, printed)
            );
        }
    }

    #[test]
    fn l1_what_is_no_fraction() {
        let range = NumberError::Range { min: 0, max: 100 };
        let cases = [
            ("", NumberError::NotANumber),
            (".", NumberError::NotANumber),
            ("%", NumberError::NotANumber),
            ("-1", NumberError::NotANumber),
            ("+1", NumberError::NotANumber),
            ("nan", NumberError::NotANumber),
            ("inf", NumberError::NotANumber),
            ("1e3", NumberError::NotANumber),
            ("1.2.3", NumberError::NotANumber),
            ("0x10", NumberError::NotANumber),
            ("100.000001", range),
            ("10001%", range),
            ("4294967295", range),
            ("99999999999999999999999999", range),
        ];
        for (text, error) in cases {
            assert_eq!(Fraction::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn ratios() {
        assert_eq!(Fraction::ratio(1, 3).millionths(), 333_333);
        assert_eq!(Fraction::ratio(5, 0), Fraction::ZERO);
        assert_eq!(Fraction::ratio(u64::MAX, 1), Fraction::MAX);
        assert_eq!(Fraction::ratio(u64::MAX, u64::MAX), Fraction::ONE);
    }

    #[test]
    fn whole_numbers_and_identities() {
        assert_eq!(whole("37.9", 0, 100), Ok(37));
        assert_eq!(whole("0", 1, 9), Err(NumberError::Range { min: 1, max: 9 }));
        assert_eq!(whole("4294967295", 0, u32::MAX), Ok(u32::MAX));
        let range = NumberError::Range { min: 0, max: u32::MAX };
        assert_eq!(whole("4294967296", 0, u32::MAX), Err(range));
        assert_eq!(hex("7f3A"), Ok(0x7f3a));
        for text in ["", "+7", "7g", "11112222333344445"] {
            assert_eq!(hex(text), Err(NumberError::NotANumber), "{text}");
        }
        assert_eq!(format!("{}", Rate::parse("0.2").unwrap()), "0.2");
        assert_eq!(Rate::from_thousandths(u64::MAX), Rate::parse("1000000000").unwrap());
    }
}
