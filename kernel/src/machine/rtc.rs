//! The date, from the clock that runs while the machine is off (MC146818 and ACPI's century register).
//! It is taken for UTC, as hypervisors keep it.

/// What the clock's registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Seconds, minutes, hours, day, month, year, century: as they are.
    pub date: [u8; 7],
    /// Status register B.
    pub status: u8,
}

const STATUS_BINARY: u8 = 1 << 2;
const STATUS_24_HOURS: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

impl Registers {
    /// Seconds since 1970, if this is a date at all, and none before this program.
    pub fn unix_seconds(&self) -> Option<u64> {
        let number = |byte: u8| -> Option<u64> {
            if self.status & STATUS_BINARY != 0 {
                return Some(byte.into());
            }
            let (tens, ones) = (byte >> 4, byte & 0xf);
            (tens < 10 && ones < 10).then_some(u64::from(tens * 10 + ones))
        };
        let [second, minute, hour, day, month, year, century] = self.date;
        let is_24_hours = self.status & STATUS_24_HOURS != 0;
        let hour = match number(hour & !AFTERNOON)? {
            hour if is_24_hours => hour,
            hour => hour % 12 + if self.date[2] & AFTERNOON != 0 { 12 } else { 0 },
        };
        let (second, minute) = (number(second)?, number(minute)?);
        let (day, month) = (number(day)?, number(month)?);
        // A machine without the register has something else there.
        let century = number(century).filter(|century| (20..30).contains(century)).unwrap_or(20);
        let year = century * 100 + number(year)?;
        let is_date = second < 60
            && minute < 60
            && hour < 24
            && (1..=31).contains(&day)
            && (1..=12).contains(&month)
            && year >= 2025;
        is_date.then(|| ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
    }
}

/// Days from 1970-01-01 on, by the Gregorian calendar. Years begin in March here, so that the leap day
/// is the last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_manner_of_writing() {
        let cases = [
            ("packed", [0x07, 0x46, 0x13, 0x01, 0x03, 0x28, 0x20], 0x02, Some(1_835_531_167)),
            ("binary", [7, 46, 13, 1, 3, 28, 20], 0x06, Some(1_835_531_167)),
            ("afternoon", [0x07, 0x46, 0x81, 0x01, 0x03, 0x28, 0x20], 0x00, Some(1_835_531_167)),
            ("noon", [0, 0, 0x92, 0x29, 0x02, 0x28, 0x20], 0x00, Some(1_835_438_400)),
            ("midnight", [0, 0, 0x12, 0x29, 0x02, 0x28, 0x20], 0x00, Some(1_835_395_200)),
            ("no century", [0, 0, 0, 0x01, 0x01, 0x26, 0xff], 0x02, Some(1_767_225_600)),
            ("the year 2100", [0, 0, 0, 0x01, 0x03, 0x00, 0x21], 0x02, Some(4_107_542_400)),
            ("no clock", [0xff; 7], 0xff, None),
            ("no date", [0; 7], 0x02, None),
            ("month 13", [0, 0, 0, 1, 0x13, 0x26, 0x20], 0x02, None),
            ("not packed", [0x0a, 0, 0, 1, 1, 0x26, 0x20], 0x02, None),
            ("long ago", [0, 0, 0, 1, 1, 0x24, 0x20], 0x02, None),
        ];
        for (what, date, status, expected) in cases {
            assert_eq!(Registers { date, status }.unix_seconds(), expected, "{what}");
        }
    }
}
