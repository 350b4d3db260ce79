//! What a port, a guest or a service is, in somebody's own words.

use alloc::boxed::Box;
use core::fmt;

/// Text on one line, with no blank at its ends. It prints as it is typed: in quotes if it would be
/// more than one word without, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Box<str>);

impl Description {
    pub const CHARS_MAX: usize = 64;

    /// A text that was a word, or in quotes: a quote in it has no blank behind it.
    pub fn new(text: &str) -> Option<Description> {
        let text = text.trim_matches(' ');
        let fits = (1..=Description::CHARS_MAX).contains(&text.chars().count());
        let closes_within = text.as_bytes().windows(2).any(|pair| pair == b"\" ");
        let reads_back = !closes_within && !text.contains(is_unseen);
        (fits && reads_back).then(|| Description(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is in a text and not seen: tabs, control characters, and what turns the direction of the
/// letters after it.
pub fn is_unseen(c: char) -> bool {
    const DIRECTIONS: [core::ops::RangeInclusive<char>; 4] = [
        '\u{61c}'..='\u{61c}',
        '\u{200e}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
    ];
    c.is_control() || DIRECTIONS.iter().any(|range| range.contains(&c))
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word = !self.0.contains(' ') && !self.0.starts_with(['"', '#', '!']);
        if is_word { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0) }
    }
}
