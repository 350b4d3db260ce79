//! The console: a byte stream with the shell behind it.
//!
//! It never waits. Output goes into a queue and from there to the terminal as fast as that takes
//! it; while more than [`OUTPUT_MARK`] bytes are queued no input is read, so the line's own flow
//! control holds a paste back and nothing is lost. One poll reads a bounded number of bytes and
//! performs at most one command, so a paste of a whole configuration does not hold up frames for
//! longer than its slowest line. The queue is bounded by the mark and the longest answer, which
//! `show` bounds by rows. An answer that is longer than somebody's screen waits for his keys
//! ([`crate::pager`]).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use drivers::Tty;

use crate::appliance::Appliance;
use crate::control::Control;
use crate::pager::{ERASE, MORE, Pager, Wish};
use crate::seats::Place;
use crate::shell::complete::{Completion, complete, help};
use crate::shell::editor::{Editor, Event};
use crate::shell::{COLUMNS, Desk, Reply, Shell};

/// No input is read while more output than this is waiting.
pub const OUTPUT_MARK: usize = 4096;
/// Bytes read in one poll.
const READ_MAX: usize = 256;
/// Bytes offered to the terminal in one poll.
const WRITE_MAX: usize = 1024;
/// Bytes that may be typed ahead of a command that is at work, or of an answer's end.
const AHEAD_MAX: usize = 256;

/// What a visit to the console came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Bytes were moved, if there were any.
    Bytes,
    /// A command was performed, or a piece of one.
    Work,
}

#[derive(Default)]
pub struct Console {
    shell: Shell,
    editor: Editor,
    output: VecDeque<u8>,
    /// What was typed while a command was at work, or an answer was being read.
    ahead: VecDeque<u8>,
    /// An answer of which not all was shown.
    pager: Option<Pager>,
}

impl Console {
    pub fn at(place: Place) -> Console {
        let shell = Shell::at(place);
        let mut editor = Editor::default();
        editor.be_silent(shell.is_script());
        Console { shell, editor, ..Console::default() }
    }

    /// Whether a program sits here.
    pub fn is_script(&self) -> bool {
        self.shell.is_script()
    }

    /// Says the first words and shows the prompt; to a program neither.
    pub fn greet(&mut self, control: &Control) {
        let greeting = self.shell.greeting(control);
        self.print(greeting);
        self.prompt(control);
    }

    /// Text for whoever is there, such as what became of the start-up configuration.
    pub fn print(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.output.push_back(b'\r');
            }
            self.output.push_back(byte);
        }
    }

    /// Text that nobody here has asked for: a person sees it above the line that is being typed, a
    /// program, which would take it for an answer, does not, and neither does somebody who reads nothing
    /// at all: the log has it.
    pub fn tell(&mut self, text: &str) {
        if self.shell.is_script() || self.output.len() > OUTPUT_MARK {
            return;
        }
        self.print(if self.is_paging() { ERASE } else { "\n" });
        self.print(text);
        if self.is_paging() {
            self.print(MORE);
        } else if !self.is_busy() {
            self.redraw();
        }
    }

    /// A bounded step: some output, some input, at most one command.
    pub fn poll(
        &mut self,
        tty: &mut dyn Tty,
        control: &mut Control,
        appliance: &mut Appliance,
    ) -> Visit {
        self.write(tty);
        let desk = &mut Desk { control, appliance };
        if self.is_paging() {
            return self.turn_page(tty, desk);
        }
        if !self.is_busy() {
            return self.read(tty, desk);
        }
        self.listen(tty, desk);
        self.work(desk)
    }

    /// The same before the machine ends: nothing is read, a job is ended, and what was said goes out.
    pub fn wind_up(
        &mut self,
        tty: &mut dyn Tty,
        control: &mut Control,
        appliance: &mut Appliance,
    ) -> Visit {
        let desk = &mut Desk { control, appliance };
        if self.shell.is_busy() {
            self.shell.end(desk);
            self.work(desk);
        }
        self.write(tty);
        Visit::Bytes
    }

    /// The wire is gone for good, and so is whoever sat here.
    pub fn leave(&mut self, control: &mut Control, appliance: &mut Appliance) {
        self.shell.end(&mut Desk { control, appliance });
        self.shell.leave(control);
    }

    /// Whether a command is at work, and there is no prompt.
    pub fn is_busy(&self) -> bool {
        self.shell.is_busy()
    }

    /// Whether somebody is asked for a key to go on.
    pub fn is_paging(&self) -> bool {
        self.pager.is_some()
    }

    /// Output that the terminal has not taken yet.
    pub fn waiting(&self) -> usize {
        self.output.len()
    }

    fn write(&mut self, tty: &mut dyn Tty) {
        if self.output.is_empty() {
            return;
        }
        let (front, _) = self.output.as_slices();
        let written = tty.write(&front[..front.len().min(WRITE_MAX)]);
        self.output.drain(..written);
        if self.output.is_empty() {
            // What a long answer took is given back.
            self.output.shrink_to(OUTPUT_MARK);
        }
    }

    /// Looks for a key that is to stop the command.
    fn listen(&mut self, tty: &mut dyn Tty, desk: &mut Desk<'_>) {
        while self.ahead.len() < AHEAD_MAX
            && let Some(byte) = tty.read()
        {
            if self.shell.stop(byte, desk) {
                // Whoever stops it has thought better of what he typed before.
                self.ahead.clear();
            } else {
                self.ahead.push_back(byte);
            }
        }
    }

    /// Gives the command a step, if there is room for what it may say.
    fn work(&mut self, desk: &mut Desk<'_>) -> Visit {
        if self.output.len() > OUTPUT_MARK {
            return Visit::Bytes;
        }
        let text = self.shell.work(desk);
        self.print(&text);
        if !self.shell.is_busy() {
            self.prompt(desk.control);
        }
        Visit::Work
    }

    fn read(&mut self, tty: &mut dyn Tty, desk: &mut Desk<'_>) -> Visit {
        let mut echo = Vec::new();
        for _ in 0..READ_MAX {
            if self.output.len() > OUTPUT_MARK {
                break;
            }
            let Some(byte) = self.ahead.pop_front().or_else(|| tty.read()) else {
                break;
            };
            let event = self.editor.feed(byte, &mut echo);
            self.output.extend(echo.drain(..));
            match event {
                None => {}
                Some(Event::Line(line)) => {
                    let reply = self.shell.execute(&line, desk);
                    self.answer(reply, tty);
                    self.editor.be_silent(self.shell.is_script());
                    if !self.is_busy() && !self.is_paging() {
                        self.prompt(desk.control);
                    }
                    return Visit::Work;
                }
                Some(Event::Leave) => {
                    let said = self.shell.leave(desk.control);
                    self.print(&said);
                    self.prompt(desk.control);
                }
                Some(Event::Abandon) => {
                    let said = self.shell.abandon();
                    self.print(&said);
                    self.prompt(desk.control);
                }
                Some(Event::Help) => {
                    self.help(tty, desk.control);
                    break;
                }
                Some(Event::Complete) => self.complete(desk.control),
            }
        }
        Visit::Bytes
    }

    /// Prints an answer: all of it, or as much as the screen of whoever reads it holds.
    fn answer(&mut self, Reply { text, rows }: Reply, tty: &mut dyn Tty) {
        let pager = match rows {
            Some(rows) => Pager::of(text, rows),
            None => Err(text),
        };
        match pager {
            Err(text) => self.print(&text),
            Ok(pager) => {
                self.pager = Some(pager);
                let is_pasting = self.has_more(tty);
                self.show_page(if is_pasting { Wish::Pasted } else { Wish::Page });
            }
        }
    }

    /// Whether more was typed than the line that is answered.
    fn has_more(&mut self, tty: &mut dyn Tty) -> bool {
        while self.ahead.is_empty()
            && let Some(byte) = tty.read()
        {
            if !self.editor.swallows(byte) {
                self.ahead.push_back(byte);
            }
        }
        !self.ahead.is_empty()
    }

    /// Looks for the key of somebody who reads.
    fn turn_page(&mut self, tty: &mut dyn Tty, desk: &mut Desk<'_>) -> Visit {
        let before = self.ahead.len();
        while self.ahead.len() < AHEAD_MAX
            && let Some(byte) = tty.read()
        {
            if !self.ahead.is_empty() || !self.editor.swallows(byte) {
                self.ahead.push_back(byte);
            }
        }
        // What has just come may not be all that comes.
        let is_all = self.ahead.len() == before || before == AHEAD_MAX;
        if !is_all || self.ahead.is_empty() || self.output.len() > OUTPUT_MARK {
            return Visit::Bytes;
        }
        let wish = Wish::of(self.ahead.make_contiguous());
        if !wish.is_for_others() {
            self.ahead.clear();
        }
        self.print(ERASE);
        self.show_page(wish);
        if !self.is_paging() {
            // The line whose help this was goes on.
            match self.editor.is_empty() {
                true => self.prompt(desk.control),
                false => self.redraw(),
            }
        }
        Visit::Work
    }

    fn show_page(&mut self, wish: Wish) {
        let Some(mut pager) = self.pager.take() else {
            return;
        };
        self.print(&pager.turn(wish));
        if !pager.is_over() {
            self.print(MORE);
            self.pager = Some(pager);
        }
    }

    fn prompt(&mut self, control: &Control) {
        let mut out = Vec::new();
        self.editor.expect_prose(self.shell.is_loading());
        self.editor.begin(self.shell.prompt(control), &mut out);
        self.output.extend(out);
    }

    fn help(&mut self, tty: &mut dyn Tty, control: &Control) {
        let before = self.editor.before_cursor().unwrap_or_default();
        let text = match help(before, self.shell.root(), &self.shell.known(control)) {
            Ok(text) => text,
            Err(error) => format!("{error}\n"),
        };
        self.answer(Reply { text, rows: self.shell.rows() }, tty);
        if !self.is_paging() {
            self.redraw();
        }
    }

    fn complete(&mut self, control: &Control) {
        let before = self.editor.before_cursor().unwrap_or_default();
        let mut out = Vec::new();
        match complete(before, self.shell.root(), &self.shell.known(control)) {
            Completion::Insert(text) => self.editor.insert(text.as_bytes(), &mut out),
            Completion::Nothing => out.push(0x07),
            Completion::Choose(words) => {
                self.print("\n");
                self.print(&in_columns(&words));
                self.redraw();
            }
        }
        self.output.extend(out);
    }

    fn redraw(&mut self) {
        let mut out = Vec::new();
        self.editor.redraw(&mut out);
        self.output.extend(out);
    }
}

/// Words side by side, as many as a row holds.
fn in_columns(words: &[String]) -> String {
    let width = words.iter().map(|word| word.chars().count()).max().unwrap_or(0) + 2;
    let per_row = (COLUMNS / width).max(1);
    let mut text = String::new();
    for row in words.chunks(per_row) {
        let mut line = String::new();
        row.iter().for_each(|word| line.push_str(&format!("{word:<width$}")));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
