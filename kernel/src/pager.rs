//! The pager: an answer that is longer than the screen, a screenful at a time.
//!
//! The screen has as many rows as `terminal length` says, for no terminal is ever asked, and
//! [`COLUMNS`] columns: a longer line is counted as the rows that it wraps to. A wider terminal has
//! rows to spare then, and nobody misses one.
//!
//! What comes while somebody is asked for a key may not be for the pager at all. One key by itself is
//! the pager's if it is one of its keys; any other ends it and counts as typed. More than one key at
//! once is nobody who reads: a paste goes on, or a program that waits for its answer. Then the rest is
//! shown without a stop and all of it counts as typed. So no pasted line is ever eaten, and where input
//! waits already the console does not stop at all.

use alloc::string::String;
use core::num::NonZeroU16;

use crate::shell::COLUMNS;
use crate::shell::cells::columns;

/// The rows of a terminal; without, nothing is paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen(pub Option<NonZeroU16>);

/// What is yet to be shown of an answer.
#[derive(Debug)]
pub struct Pager {
    rest: String,
    /// Rows of text beside the one that asks.
    rows: usize,
}

/// What is wanted of the pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Page,
    Line,
    End,
    /// It ends, and the key was meant for the line that comes.
    Typed,
    /// All is shown, and what was typed is meant for the lines that come.
    Pasted,
}

/// What asks for a key.
pub const MORE: &str = "--More--";
/// Takes that away again: the row is as empty as it was.
pub const ERASE: &str = "\r\x1b[K";

const ROWS_DEFAULT: NonZeroU16 = NonZeroU16::new(24).expect("not zero");

impl Default for Screen {
    fn default() -> Screen {
        Screen(Some(ROWS_DEFAULT))
    }
}

impl Pager {
    /// For a text that is longer than a screen of so many rows, with nothing shown yet; `Err` is one
    /// that is not.
    pub fn of(text: String, screen_rows: NonZeroU16) -> Result<Pager, String> {
        // One row is the next prompt's.
        let rows = usize::from(screen_rows.get()).saturating_sub(1).max(1);
        match end_of(&text, rows) {
            end if end == text.len() => Err(text),
            _ => Ok(Pager { rest: text, rows }),
        }
    }

    /// What comes next on the screen.
    pub fn turn(&mut self, wish: Wish) -> String {
        let end = match wish {
            Wish::Page => end_of(&self.rest, self.rows),
            Wish::Line => end_of(&self.rest, 1),
            Wish::Pasted => self.rest.len(),
            Wish::End | Wish::Typed => {
                self.rest.clear();
                0
            }
        };
        let rest = self.rest.split_off(end);
        core::mem::replace(&mut self.rest, rest)
    }

    /// Whether all was shown, or nobody wants the rest.
    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }
}

impl Wish {
    /// By the bytes that came at once.
    pub fn of(typed: &[u8]) -> Wish {
        const CTRL_C: u8 = 0x03;
        const ESC: u8 = 0x1b;
        match typed {
            [b' '] => Wish::Page,
            [b'\r' | b'\n'] | [b'\r', b'\n' | 0] => Wish::Line,
            [b'q' | b'Q' | CTRL_C | 0] => Wish::End,
            // One key may be a sequence of bytes.
            [_] | [ESC, ..] => Wish::Typed,
            _ => Wish::Pasted,
        }
    }

    /// Whether what was typed is still to be read.
    pub fn is_for_others(self) -> bool {
        matches!(self, Wish::Typed | Wish::Pasted)
    }
}

/// Where the lines end that fit so many rows, but at least the first.
fn end_of(text: &str, rows: usize) -> usize {
    let (mut end, mut left) = (0, rows);
    for line in text.split_inclusive('\n') {
        let taken = columns(line.trim_end_matches('\n').as_bytes()).div_ceil(COLUMNS).max(1);
        if taken > left && end > 0 {
            break;
        }
        (end, left) = (end + line.len(), left.saturating_sub(taken));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    fn pager(text: &str, rows: u16) -> Option<Pager> {
        Pager::of(text.to_string(), NonZeroU16::new(rows).unwrap()).ok()
    }

    fn lines(lines: core::ops::RangeInclusive<usize>) -> String {
        lines.map(|line| format!("line {line}\n")).collect()
    }

    #[test]
    fn a_row_is_left_for_what_comes_after_the_text() {
        assert!(pager(&lines(1..=23), 24).is_none());
        let mut pager = pager(&lines(1..=50), 24).unwrap();
        assert_eq!(pager.turn(Wish::Page), lines(1..=23));
        assert_eq!(pager.turn(Wish::Line), lines(24..=24));
        assert_eq!(pager.turn(Wish::Page), lines(25..=47));
        assert!(!pager.is_over());
        assert_eq!(pager.turn(Wish::Page), lines(48..=50));
        assert!(pager.is_over());
    }

    #[test]
    fn a_line_counts_as_the_rows_that_it_takes() {
        let wide = |letter: &str, count: usize| letter.repeat(count) + "\n";
        let text = wide("a", 80) + &wide("b", 81) + &wide("東", 40) + &wide("c", 400) + "end\n";
        let mut pager = pager(&text, 4).unwrap();
        assert_eq!(pager.turn(Wish::Page), wide("a", 80) + &wide("b", 81));
        assert_eq!(pager.turn(Wish::Page), wide("東", 40));
        assert_eq!(pager.turn(Wish::Page), wide("c", 400), "as long as it is, it comes");
        assert_eq!(pager.turn(Wish::Page), "end\n");
    }

    #[test]
    fn it_ends_with_all_or_with_nothing_more() {
        for (wish, shown) in [(Wish::End, 0), (Wish::Typed, 0), (Wish::Pasted, 77)] {
            let mut pager = pager(&lines(1..=100), 24).unwrap();
            pager.turn(Wish::Page);
            assert_eq!(pager.turn(wish).lines().count(), shown, "{wish:?}");
            assert!(pager.is_over());
        }
    }

    #[test]
    fn one_key_is_the_pagers_and_more_are_not() {
        let cases: [(&[u8], Wish); 14] = [
            (b" ", Wish::Page),
            (b"\r", Wish::Line),
            (b"\n", Wish::Line),
            (b"\r\n", Wish::Line),
            (b"q", Wish::End),
            (b"\x03", Wish::End),
            (b"\0", Wish::End),
            (b"s", Wish::Typed),
            (b"\x1b[A", Wish::Typed),
            (b"show version\r", Wish::Pasted),
            (b" set x\r", Wish::Pasted),
            (b"quit\r", Wish::Pasted),
            (b"\r\rshow", Wish::Pasted),
            ("ä".as_bytes(), Wish::Pasted),
        ];
        for (typed, wish) in cases {
            assert_eq!(Wish::of(typed), wish, "{typed:?}");
        }
    }
}
