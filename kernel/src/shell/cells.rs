//! How much room text takes on a terminal: columns, not bytes and not characters.
//!
//! A letter of most scripts takes one column, one of Chinese, Japanese and Korean and most pictures
//! take two (Unicode's East Asian Width, W and F), an accent that stands behind its letter takes
//! none. With these the editor's cursor and the columns of tables are where they should be. What is
//! not told apart here are the marks of single scripts (Thai, Devanagari …) and pictures joined to
//! one by U+200D: terminals do not agree about them either. Ctrl-L and Enter put right what a
//! terminal sees otherwise.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// What the cursor steps over at once: a character with the marks on it, or a byte that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    pub bytes: &'a [u8],
    pub columns: usize,
}

/// Two columns each.
const WIDE: [RangeInclusive<u32>; 60] = [
    0x1100..=0x115f,
    0x231a..=0x231b,
    0x2329..=0x232a,
    0x23e9..=0x23ec,
    0x23f0..=0x23f0,
    0x23f3..=0x23f3,
    0x25fd..=0x25fe,
    0x2614..=0x2615,
    0x2648..=0x2653,
    0x267f..=0x267f,
    0x2693..=0x2693,
    0x26a1..=0x26a1,
    0x26aa..=0x26ab,
    0x26bd..=0x26be,
    0x26c4..=0x26c5,
    0x26ce..=0x26ce,
    0x26d4..=0x26d4,
    0x26ea..=0x26ea,
    0x26f2..=0x26f3,
    0x26f5..=0x26f5,
    0x26fa..=0x26fa,
    0x26fd..=0x26fd,
    0x2705..=0x2705,
    0x270a..=0x270b,
    0x2728..=0x2728,
    0x274c..=0x274c,
    0x274e..=0x274e,
    0x2753..=0x2755,
    0x2757..=0x2757,
    0x2795..=0x2797,
    0x27b0..=0x27b0,
    0x27bf..=0x27bf,
    0x2b1b..=0x2b1c,
    0x2b50..=0x2b50,
    0x2b55..=0x2b55,
    0x2e80..=0x303e,
    0x3041..=0x4dbf,
    0x4e00..=0xa4cf,
    0xa960..=0xa97c,
    0xac00..=0xd7a3,
    0xf900..=0xfaff,
    0xfe10..=0xfe19,
    0xfe30..=0xfe6b,
    0xff01..=0xff60,
    0xffe0..=0xffe6,
    0x1_6fe0..=0x1_8cff,
    0x1_aff0..=0x1_b2ff,
    0x1_f004..=0x1_f004,
    0x1_f0cf..=0x1_f0cf,
    0x1_f18e..=0x1_f18e,
    0x1_f191..=0x1_f19a,
    0x1_f200..=0x1_f320,
    0x1_f32d..=0x1_f335,
    0x1_f337..=0x1_f37c,
    0x1_f37e..=0x1_f64f,
    0x1_f680..=0x1_f6ff,
    0x1_f7e0..=0x1_f7f0,
    0x1_f90c..=0x1_f9ff,
    0x1_fa70..=0x1_faff,
    0x2_0000..=0x3_fffd,
];

/// None: marks that stand on the character before them, and what is not seen.
const MARKS: [RangeInclusive<u32>; 9] = [
    0x0300..=0x036f,
    0x0483..=0x0489,
    0x1ab0..=0x1aff,
    0x1dc0..=0x1dff,
    0x200b..=0x200f,
    0x2060..=0x2064,
    0x20d0..=0x20ff,
    0xfe00..=0xfe0f,
    0xfe20..=0xfe2f,
];

/// Columns of a text.
pub fn columns(text: &[u8]) -> usize {
    cells(text).map(|cell| cell.columns).sum()
}

/// Blanks that fill a text up to so many columns.
pub fn gap(text: &str, wanted: usize) -> impl Iterator<Item = char> {
    core::iter::repeat_n(' ', wanted.saturating_sub(columns(text.as_bytes())))
}

/// A line as it is seen.
pub fn cells(line: &[u8]) -> impl Iterator<Item = Cell<'_>> {
    let mut rest = line;
    core::iter::from_fn(move || {
        let (first, glyph) = character(rest)?;
        let mut len = first;
        while let Some((more, Some(mark))) = character(&rest[len..])
            && glyph.is_some()
            && columns_of(mark) == 0
        {
            len += more;
        }
        let (bytes, after) = rest.split_at(len);
        rest = after;
        Some(Cell { bytes, columns: glyph.map_or(1, columns_of) })
    })
}

impl Cell<'_> {
    /// As a terminal is to show it; what cannot be shown is a `?`.
    pub fn draw(&self, out: &mut Vec<u8>) {
        match character(self.bytes) {
            Some((_, Some(_))) => out.extend_from_slice(self.bytes),
            _ => out.push(b'?'),
        }
    }
}

/// How many bytes the first character has, and which one it is, if it can be shown.
fn character(bytes: &[u8]) -> Option<(usize, Option<char>)> {
    const CHARACTER_BYTES_MAX: usize = 4;
    if let [plain @ b' '..=b'~', ..] = bytes {
        return Some((1, Some(char::from(*plain))));
    }
    let chunk = bytes[..bytes.len().min(CHARACTER_BYTES_MAX)].utf8_chunks().next()?;
    let first = chunk.valid().chars().next();
    Some(first.map_or((1, None), |c| (c.len_utf8(), Some(c).filter(|c| !c.is_control()))))
}

fn columns_of(c: char) -> usize {
    let code = u32::from(c);
    let is_in = |ranges: &[RangeInclusive<u32>]| {
        let at = ranges.partition_point(|range| *range.end() < code);
        ranges.get(at).is_some_and(|range| range.contains(&code))
    };
    match code {
        ..0x300 => 1,
        _ if is_in(&MARKS) => 0,
        _ if is_in(&WIDE) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn letters_marks_and_wide_letters() {
        let cases = [
            ("web1", 4),
            ("Zürich", 6),
            ("Zu\u{308}rich", 6),
            ("東京", 4),
            ("한국", 4),
            ("ｆｕｌｌ", 8),
            ("Ελλάδα", 6),
            ("⚡✅🔥", 6),
            ("→ ● é", 5),
            ("", 0),
        ];
        for (text, wanted) in cases {
            assert_eq!(columns(text.as_bytes()), wanted, "{text}");
        }
        for ranges in [&WIDE[..], &MARKS] {
            assert!(ranges.windows(2).all(|pair| pair[0].end() < pair[1].start()));
        }
    }

    #[test]
    fn the_cursor_steps_over_a_letter_with_its_marks() {
        let line = "au\u{308}\u{301}京\u{85}".as_bytes();
        let line = [line, b"\xff\xe2\x82x"].concat();
        let seen: Vec<(usize, usize)> =
            cells(&line).map(|cell| (cell.bytes.len(), cell.columns)).collect();
        assert_eq!(seen, [(1, 1), (5, 1), (3, 2), (2, 1), (1, 1), (1, 1), (1, 1), (1, 1)]);
        let mut drawn = Vec::new();
        cells(&line).for_each(|cell| cell.draw(&mut drawn));
        assert_eq!(String::from_utf8(drawn).unwrap(), "au\u{308}\u{301}京????x");
    }
}
