//! The line editor: keys in, bytes for the terminal out, whole lines to the shell.
//!
//! It works over a plain byte stream and never asks the terminal anything: not its width, not
//! where the cursor is. One row of [`COLUMNS`] columns is all it uses; a wider terminal merely
//! stays empty at the right. A line that is longer is shown as a window that follows the cursor,
//! with `<` and `>` where there is more, and once more whole when it is entered. What is typed at
//! the end of a line is echoed as it is, everything else redraws the row, so a paste costs a byte
//! a byte.
//!
//! For a program ([`Editor::be_silent`]) there is no editing and no echo: bytes are a line until
//! a line end comes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::COLUMNS;
use super::cells::{Cell, cells, columns};
use super::history::History;
use super::keys::{Decoder, Key};
use super::request::{REQUEST_BYTES_MAX, is_request};
use crate::config::LINE_BYTES_MAX;

/// What the shell has to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Line(Vec<u8>),
    /// Complete the word at the cursor.
    Complete,
    /// Show what may come next.
    Help,
    /// Ctrl-Z: leave configuration mode.
    Leave,
    /// The line was abandoned, and so is whatever it is a part of.
    Abandon,
}

#[derive(Debug, Default)]
pub struct Editor {
    decoder: Decoder,
    history: History,
    prompt: String,
    line: Vec<u8>,
    /// Where the next character goes: an offset in `line`.
    cursor: usize,
    /// Bytes of the line that are left of the window.
    hidden: usize,
    /// A program is typing.
    is_silent: bool,
    /// What is typed is no command: nothing is completed, explained or remembered.
    is_prose: bool,
    search: Option<Search>,
}

/// Ctrl-R: the line shown is the newest that holds the pattern.
#[derive(Debug)]
struct Search {
    pattern: Vec<u8>,
    hit: Option<usize>,
    /// The line before the search.
    before: Vec<u8>,
}

const PATTERN_BYTES_MAX: usize = 40;
const BELL: &[u8] = b"\x07";
/// What stands before the pattern of a search.
const SEARCH: &[u8] = b"(search) ";

impl Editor {
    /// A new line after this prompt.
    pub fn begin(&mut self, prompt: String, out: &mut Vec<u8>) {
        self.prompt = prompt;
        self.clear();
        out.extend_from_slice(self.prompt.as_bytes());
    }

    /// Whether bytes are taken as they are, without echo.
    pub fn be_silent(&mut self, is_silent: bool) {
        self.is_silent = is_silent;
    }

    /// Whether lines are something else than commands, such as a text that is pasted.
    pub fn expect_prose(&mut self, is_prose: bool) {
        self.is_prose = is_prose;
    }

    /// The line up to the cursor, if it is text.
    pub fn before_cursor(&self) -> Option<&str> {
        core::str::from_utf8(&self.line[..self.cursor]).ok()
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Takes a byte in if it belongs to the line end before it; whether it does.
    pub fn swallows(&mut self, byte: u8) -> bool {
        let is_swallowed = self.decoder.ends_line_end(byte);
        if is_swallowed {
            self.decoder.feed(byte);
        }
        is_swallowed
    }

    /// Takes a byte in.
    pub fn feed(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Event> {
        // More than one key, and the first are text; only the last can be an event.
        let keys = self.decoder.feed(byte);
        if self.is_silent {
            return self.take_silently(byte, &keys);
        }
        keys.into_iter().fold(None, |event, key| event.or(self.press(key, out)))
    }

    /// Puts text in at the cursor, as if it were typed.
    pub fn insert(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
        if text.len() > room {
            out.extend_from_slice(BELL);
            // One byte more than a line may have, so that it is refused and not cut.
            let text = if room > 0 { &text[..1] } else { &[] };
            self.line.extend_from_slice(text);
            return;
        }
        let at_end = self.cursor == self.line.len();
        self.line.splice(self.cursor..self.cursor, text.iter().copied());
        self.cursor += text.len();
        if at_end && self.has_room_at_end() {
            draw(cells(text), out);
        } else {
            self.redraw(out);
        }
    }

    /// Draws prompt and line anew, on the row where the cursor is.
    pub fn redraw(&mut self, out: &mut Vec<u8>) {
        let room = self.room();
        self.hidden = window(&self.line, self.cursor, self.hidden, room);
        let window = &self.line[self.hidden..];
        let mut left = room;
        let fits = |cell: &Cell<'_>| {
            let fits = cell.columns <= left;
            left = left.saturating_sub(cell.columns);
            fits
        };
        let shown: Vec<Cell<'_>> = cells(window).take_while(fits).collect();
        let end = self.hidden + shown.iter().map(|cell| cell.bytes.len()).sum::<usize>();
        out.push(b'\r');
        self.push_prompt(out);
        for (number, cell) in shown.iter().enumerate() {
            let more_left = number == 0 && self.hidden > 0;
            let more_right = number + 1 == shown.len() && end < self.line.len();
            match (more_left, more_right) {
                (true, _) => out.extend(b"< ".iter().take(cell.columns)),
                (false, true) => out.extend(b"> ".iter().take(cell.columns)),
                (false, false) => cell.draw(out),
            }
        }
        out.extend_from_slice(b"\x1b[K");
        if self.cursor < end {
            let before = columns(&self.line[self.hidden..self.cursor]);
            let column = self.prompt_width() + before;
            out.extend_from_slice(format!("\r\x1b[{column}C").as_bytes());
        }
    }

    fn press(&mut self, key: Key, out: &mut Vec<u8>) -> Option<Event> {
        if self.search.is_some() && self.search_key(&key, out) {
            return None;
        }
        match key {
            Key::Text(text) => return self.text(&text, out),
            Key::Enter => return Some(self.enter(out)),
            Key::Tab => return self.tab(out),
            Key::Break | Key::Control(b'C') => return Some(self.abandon(out)),
            Key::Control(b'D') if self.cursor == self.line.len() => return Some(self.abandon(out)),
            Key::Control(b'Z') => {
                self.leave_row(b"^Z", out);
                self.clear();
                return Some(Event::Leave);
            }
            Key::Up | Key::Control(b'P') => {
                let older = self.history.older(&self.line).map(<[u8]>::to_vec);
                self.replace(older, out);
            }
            Key::Down | Key::Control(b'N') => {
                let newer = self.history.newer().map(<[u8]>::to_vec);
                self.replace(newer, out);
            }
            Key::Left | Key::Control(b'B') => self.go_to(self.left(), out),
            Key::Right | Key::Control(b'F') => self.go_to(self.right(), out),
            Key::Home | Key::Control(b'A') => self.go_to(0, out),
            Key::End | Key::Control(b'E') => self.go_to(self.line.len(), out),
            Key::Backspace => self.erase(self.left(), self.cursor, out),
            Key::Delete | Key::Control(b'D') => self.erase(self.cursor, self.right(), out),
            Key::Control(b'W') => self.erase(self.word_start(), self.cursor, out),
            Key::Control(b'K') => self.erase(self.cursor, self.line.len(), out),
            Key::Control(b'U') => self.erase(0, self.cursor, out),
            Key::Control(b'L') => {
                out.extend_from_slice(b"\x1b[H\x1b[2J");
                self.redraw(out);
            }
            Key::Control(b'R') => {
                let before = self.line.clone();
                self.search = Some(Search { pattern: Vec::new(), hit: None, before });
                self.redraw(out);
            }
            // Flow control characters that went astray, and keys that mean nothing here.
            Key::Control(_) => {}
        }
        None
    }

    /// `?` asks for help, but in a comment, or between quotes, it is a character.
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) -> Option<Event> {
        if text == b"?" && !self.is_in_prose() {
            self.leave_row(b"?", out);
            return Some(Event::Help);
        }
        self.insert(text, out);
        None
    }

    /// TAB completes; at the beginning and in a comment it is the blank of somebody's indented
    /// paste.
    fn tab(&mut self, out: &mut Vec<u8>) -> Option<Event> {
        let is_blank = self.line[..self.cursor].trim_ascii().is_empty();
        if is_blank || self.is_in_prose() {
            self.insert(b" ", out);
            return None;
        }
        Some(Event::Complete)
    }

    fn enter(&mut self, out: &mut Vec<u8>) -> Event {
        self.leave_row(b"", out);
        let line = core::mem::take(&mut self.line);
        if !self.is_prose {
            self.history.add(&line);
        }
        self.clear();
        Event::Line(line)
    }

    /// To the next row, after a mark of the key that led there. A line that was seen through a window
    /// is shown whole, for whoever scrolls back; the terminal may wrap it.
    fn leave_row(&self, mark: &[u8], out: &mut Vec<u8>) {
        if columns(&self.line) >= self.room() {
            out.push(b'\r');
            out.extend_from_slice(self.prompt.as_bytes());
            draw(cells(&self.line), out);
        }
        out.extend_from_slice(mark);
        out.extend_from_slice(b"\r\n");
    }

    fn abandon(&mut self, out: &mut Vec<u8>) -> Event {
        self.leave_row(b"^C", out);
        self.clear();
        Event::Abandon
    }

    fn clear(&mut self) {
        self.line.clear();
        (self.cursor, self.hidden, self.search) = (0, 0, None);
        self.history.rest();
    }

    fn replace(&mut self, line: Option<Vec<u8>>, out: &mut Vec<u8>) {
        let Some(line) = line else {
            return out.extend_from_slice(BELL);
        };
        (self.cursor, self.hidden, self.line) = (line.len(), 0, line);
        self.redraw(out);
    }

    fn go_to(&mut self, cursor: usize, out: &mut Vec<u8>) {
        if self.cursor != cursor {
            self.cursor = cursor;
            self.redraw(out);
        }
    }

    fn erase(&mut self, start: usize, end: usize, out: &mut Vec<u8>) {
        if start == end {
            return out.extend_from_slice(BELL);
        }
        self.line.drain(start..end);
        self.cursor = start;
        self.redraw(out);
    }

    /// Does a key of a search; `false` if the key ends the search and is to be done as usual.
    fn search_key(&mut self, key: &Key, out: &mut Vec<u8>) -> bool {
        let Some(mut search) = self.search.take() else {
            return false;
        };
        let from = match key {
            Key::Text(text) if search.pattern.len() < PATTERN_BYTES_MAX => {
                search.pattern.extend_from_slice(text);
                // What is shown may still fit.
                search.hit.map(|hit| hit + 1)
            }
            Key::Text(_) => search.hit.map(|hit| hit + 1),
            Key::Control(b'R') => search.hit,
            Key::Backspace => {
                search.pattern.pop();
                None
            }
            Key::Break | Key::Control(b'C' | b'G') => {
                self.replace(Some(search.before), out);
                return true;
            }
            _ => {
                // The prompt comes back before the key does its work.
                self.redraw(out);
                return false;
            }
        };
        match self.history.search(&search.pattern, from) {
            Some((hit, line)) if !search.pattern.is_empty() => {
                search.hit = Some(hit);
                (self.line, self.hidden) = (line.to_vec(), 0);
                self.cursor = self.line.len();
            }
            _ => out.extend_from_slice(BELL),
        }
        self.search = Some(search);
        self.redraw(out);
        true
    }

    fn take_silently(&mut self, byte: u8, keys: &[Key]) -> Option<Event> {
        const INTERRUPT: u8 = 0x03;
        const END_OF_TRANSMISSION: u8 = 0x04;
        match byte {
            _ if keys.contains(&Key::Enter) => {
                return Some(Event::Line(core::mem::take(&mut self.line)));
            }
            // The second half of CR LF, or of CR NUL.
            b'\n' | 0 if keys.is_empty() => {}
            INTERRUPT => {
                self.line.clear();
                return Some(Event::Abandon);
            }
            END_OF_TRANSMISSION if self.line.is_empty() => return Some(Event::Abandon),
            _ if self.line.len() <= self.silent_bytes_max() => self.line.push(byte),
            _ => {}
        }
        None
    }

    /// How long a program's line may be. One byte more is kept, so that it is refused and not cut.
    fn silent_bytes_max(&self) -> usize {
        if is_request(&self.line) { REQUEST_BYTES_MAX } else { LINE_BYTES_MAX }
    }

    /// Whether what comes is for people: it is in a comment or after a quote.
    fn is_in_prose(&self) -> bool {
        let before = &self.line[..self.cursor];
        let is_quoted = before.iter().filter(|&&byte| byte == b'"').count() % 2 == 1;
        if is_quoted || self.is_prose {
            return true;
        }
        let mut words = before.split(|byte| matches!(byte, b' ' | b'\t'));
        words.any(|word| word.starts_with(b"#") || word.starts_with(b"!"))
    }

    fn left(&self) -> usize {
        let last = cells(&self.line[..self.cursor]).last();
        self.cursor - last.map_or(0, |cell| cell.bytes.len())
    }

    fn right(&self) -> usize {
        let next = cells(&self.line[self.cursor..]).next();
        self.cursor + next.map_or(0, |cell| cell.bytes.len())
    }

    fn word_start(&self) -> usize {
        let before = self.line[..self.cursor].trim_ascii_end();
        before.iter().rposition(u8::is_ascii_whitespace).map_or(0, |blank| blank + 1)
    }

    /// Whether the line's end is in the window and does not fill it.
    fn has_room_at_end(&self) -> bool {
        columns(&self.line[self.hidden..]) < self.room()
    }

    /// Columns for the line; the last of the row stays empty, where a terminal might wrap.
    fn room(&self) -> usize {
        COLUMNS - 1 - self.prompt_width()
    }

    fn prompt_width(&self) -> usize {
        match &self.search {
            None => columns(self.prompt.as_bytes()),
            Some(search) => SEARCH.len() + columns(&search.pattern) + 2,
        }
    }

    fn push_prompt(&self, out: &mut Vec<u8>) {
        match &self.search {
            None => out.extend_from_slice(self.prompt.as_bytes()),
            Some(search) => {
                out.extend_from_slice(SEARCH);
                draw(cells(&search.pattern), out);
                out.extend_from_slice(b": ");
            }
        }
    }
}

/// Where a window begins that holds the cursor: where it began, or so that the cursor comes into its
/// middle.
fn window(line: &[u8], cursor: usize, hidden: usize, room: usize) -> usize {
    let mut taken = 0;
    let is_whole = cells(line).all(|cell| {
        taken += cell.columns;
        taken < room
    });
    let before = line.get(hidden..cursor).filter(|before| !before.is_empty());
    if is_whole {
        0
    } else if before.is_some_and(|before| columns(before) < room) {
        hidden
    } else {
        let before: Vec<Cell<'_>> = cells(&line[..cursor]).collect();
        let mut taken = 0;
        let half = before.iter().rev().take_while(|cell| {
            taken += cell.columns;
            taken <= room / 2
        });
        cursor - half.map(|cell| cell.bytes.len()).sum::<usize>()
    }
}

fn draw<'a>(cells: impl Iterator<Item = Cell<'a>>, out: &mut Vec<u8>) {
    cells.for_each(|cell| cell.draw(out));
}
