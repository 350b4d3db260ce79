//! The journal: the last lines that were logged, for `show log` and for last words.
//!
//! It is the `log` crate's backend. A line is formatted on the caller's stack and only then put into
//! the ring under a lock, so a panic in the middle of formatting finds the lock open; what wants to
//! read in a panic tries and never waits. Time is told ([`Journal::tell`], once a turn) and not
//! read. The ring has [`LINES_MAX`] lines of at most [`LINE_BYTES_MAX`] bytes; the oldest gives way,
//! and numbers show how many there have been.

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use lb::Instant;
use log::{Level, LevelFilter, Log, Metadata, Record};
use spin::Mutex;

pub const LINES_MAX: usize = 256;
pub const LINE_BYTES_MAX: usize = 160;

/// The appliance's journal.
pub static JOURNAL: Journal = Journal::new();

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Instant,
    pub level: Level,
    /// Without line ends; what did not fit is cut off and replaced by `…`.
    pub text: heapless::String<LINE_BYTES_MAX>,
}

pub struct Journal {
    ring: Mutex<Ring>,
    now_ns: AtomicU64,
}

struct Ring {
    lines: heapless::Vec<Line, LINES_MAX>,
    /// Lines there have been; line `n` lies at `n % LINES_MAX`.
    count: u64,
}

impl Journal {
    pub const fn new() -> Self {
        let ring = Ring { lines: heapless::Vec::new(), count: 0 };
        Self { ring: Mutex::new(ring), now_ns: AtomicU64::new(0) }
    }

    /// Says what time it is for the lines to come.
    pub fn tell(&self, now: Instant) {
        self.now_ns.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Numbers of the lines that are held, oldest first.
    pub fn numbers(&self) -> Range<u64> {
        self.ring.lock().numbers()
    }

    /// The line with this number, if it is still held.
    pub fn line(&self, number: u64) -> Option<Line> {
        self.ring.lock().line(number).cloned()
    }

    /// The lines that are held, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        self.numbers().filter_map(|number| self.line(number))
    }

    /// Shows the last `count` lines without ever waiting; false when the journal was being written
    /// to at this very moment. For last words.
    pub fn try_last(&self, count: u64, show: impl FnMut(&Line)) -> bool {
        let Some(ring) = self.ring.try_lock() else {
            return false;
        };
        let Range { start, end } = ring.numbers();
        let first = end.saturating_sub(count).max(start);
        (first..end).filter_map(|number| ring.line(number)).for_each(show);
        true
    }

    fn record(&self, level: Level, text: fmt::Arguments<'_>) {
        let at = Instant::from_nanos(self.now_ns.load(Ordering::Relaxed));
        let mut cut = Cut { text: heapless::String::new(), full: false };
        // The one error is that of a `Display` of the caller's, whose words end there.
        let _ = fmt::write(&mut cut, text);
        self.ring.lock().push(Line { at, level, text: cut.text });
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.record(record.level(), *record.args());
        }
    }

    fn flush(&self) {}
}

/// Makes the journal the place where `log`'s macros write to.
///
/// # Panics
/// When there is a logger already: there is one journal, and it begins once.
pub fn begin() {
    log::set_logger(&JOURNAL).expect("the journal begins once");
    log::set_max_level(LevelFilter::Info);
}

impl fmt::Display for Line {
    /// `     12.345 warn  text`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, level) = (self.at.as_millis(), self.level_word());
        write!(f, "{:7}.{:03} {level:5} {}", millis / 1000, millis % 1000, self.text)
    }
}

impl Line {
    pub fn level_word(&self) -> &'static str {
        match self.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

impl Ring {
    fn push(&mut self, line: Line) {
        let slot = (self.count % LINES_MAX as u64) as usize;
        match self.lines.get_mut(slot) {
            Some(oldest) => *oldest = line,
            // Not full yet: the slot is the next one.
            None => drop(self.lines.push(line)),
        }
        self.count += 1;
    }

    fn numbers(&self) -> Range<u64> {
        self.count - self.lines.len() as u64..self.count
    }

    fn line(&self, number: u64) -> Option<&Line> {
        let held = self.numbers().contains(&number);
        held.then(|| &self.lines[(number % LINES_MAX as u64) as usize])
    }
}

/// Text that ends in `…` where it is full, and has blanks for control characters: a line stays a
/// line, whatever a guest put into it.
struct Cut {
    text: heapless::String<LINE_BYTES_MAX>,
    full: bool,
}

const ELLIPSIS: char = '…';

impl fmt::Write for Cut {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        for character in words.chars() {
            let room = LINE_BYTES_MAX - self.text.len();
            self.full |= room < character.len_utf8() + ELLIPSIS.len_utf8();
            if self.full {
                break;
            }
            let character = if character.is_control() { ' ' } else { character };
            self.text.push(character).map_err(|_| fmt::Error)?;
        }
        if self.full && !self.text.ends_with(ELLIPSIS) {
            self.text.push(ELLIPSIS).map_err(|_| fmt::Error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    fn journal() -> Box<Journal> {
        Box::new(Journal::new())
    }

    #[test]
    fn lines_have_time_level_and_text() {
        let journal = journal();
        journal.tell(Instant::from_millis(12_345));
        journal.record(Level::Warn, format_args!("port {} is down", "p1"));
        let lines: Vec<Line> = journal.lines().collect();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].to_string(), "     12.345 warn  port p1 is down");
        assert_eq!(journal.numbers(), 0..1);
    }

    #[test]
    fn the_oldest_gives_way() {
        let journal = journal();
        for number in 0..LINES_MAX as u64 + 3 {
            journal.record(Level::Info, format_args!("{number}"));
        }
        assert_eq!(journal.numbers(), 3..LINES_MAX as u64 + 3);
        assert_eq!(journal.line(2), None);
        assert_eq!(journal.line(3).unwrap().text, "3");
        assert_eq!(journal.lines().last().unwrap().text, format!("{}", LINES_MAX + 2).as_str());
        assert_eq!(journal.line(LINES_MAX as u64 + 3), None);
    }

    #[test]
    fn a_line_stays_a_line() {
        let journal = journal();
        journal.record(Level::Info, format_args!("a\nb\x1b[2Jc"));
        assert_eq!(journal.line(0).unwrap().text, "a b [2Jc");
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let journal = journal();
        for long in ["x".repeat(LINE_BYTES_MAX), "ä".repeat(LINE_BYTES_MAX)] {
            journal.record(Level::Info, format_args!("{long}{long}"));
        }
        for line in journal.lines() {
            assert!(line.text.ends_with('…') && line.text.len() > LINE_BYTES_MAX - 3, "{line}");
            assert_eq!(line.text.matches('…').count(), 1);
        }
        journal.record(Level::Info, format_args!("{}", "x".repeat(LINE_BYTES_MAX - 3)));
        assert!(!journal.line(2).unwrap().text.ends_with('…'), "it just fits");
    }

    #[test]
    fn last_words_never_wait() {
        let journal = journal();
        for number in 0..5 {
            journal.record(Level::Info, format_args!("{number}"));
        }
        let mut seen = Vec::new();
        assert!(journal.try_last(2, |line| seen.push(line.text.clone())));
        assert_eq!(seen, ["3", "4"]);
        let held = journal.ring.lock();
        assert!(!journal.try_last(2, |line| panic!("{line}")));
        drop(held);
    }

    #[test]
    fn a_line_that_logs_while_it_is_formatted_stops_nothing() {
        struct Talkative<'a>(&'a Journal);
        impl fmt::Display for Talkative<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.record(Level::Info, format_args!("inner"));
                f.write_str("outer")
            }
        }
        let journal = journal();
        journal.record(Level::Info, format_args!("{}", Talkative(&journal)));
        let texts: Vec<_> = journal.lines().map(|line| line.text).collect();
        assert_eq!(texts, ["inner", "outer"]);
    }
}
