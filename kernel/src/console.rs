//! The console: a byte stream with the shell behind it.
//!
//! It never waits. Output goes into a queue and from there to the terminal as fast as that takes
//! it; while more than [`OUTPUT_MARK`] bytes are queued no input is read, so the line's own flow
//! control holds a paste back and nothing is lost. One poll reads a bounded number of bytes and
//! performs at most one command, so a paste of a whole configuration does not hold up frames for
//! longer than its slowest line. The queue is bounded by the mark and the longest answer, which
//! `show` bounds by rows.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::appliance::Appliance;
use crate::control::Control;
use crate::seats::Place;
use crate::shell::complete::{Completion, complete, help};
use crate::shell::editor::{Editor, Event};
use crate::shell::{COLUMNS, Desk, Shell};

/// No input is read while more output than this is waiting.
pub const OUTPUT_MARK: usize = 4096;
/// Bytes read in one poll.
const READ_MAX: usize = 256;
/// Bytes offered to the terminal in one poll.
const WRITE_MAX: usize = 1024;
/// Bytes that may be typed ahead of a command that is at work.
const AHEAD_MAX: usize = 256;

/// The wire of a seat: a UART, or a test.
pub trait Tty {
    /// A byte, if one has come.
    fn read(&mut self) -> Option<u8>;
    /// Takes as many bytes as there is room for and says how many.
    fn write(&mut self, bytes: &[u8]) -> usize;
}

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
    /// What was typed while a command was at work.
    ahead: VecDeque<u8>,
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
        if !self.shell.is_script() && self.output.len() <= OUTPUT_MARK {
            self.print("\n");
            self.print(text);
            if !self.is_busy() {
                self.redraw();
            }
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
        if !self.shell.is_busy() {
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

    /// Whether a command is at work, and there is no prompt.
    pub fn is_busy(&self) -> bool {
        self.shell.is_busy()
    }

    /// Output that the terminal has not taken yet.
    pub fn waiting(&self) -> usize {
        self.output.len()
    }

    fn write(&mut self, tty: &mut dyn Tty) {
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
                    let answer = self.shell.execute(&line, desk);
                    self.print(&answer);
                    self.editor.be_silent(self.shell.is_script());
                    if !self.shell.is_busy() {
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
                Some(Event::Help) => self.help(desk.control),
                Some(Event::Complete) => self.complete(desk.control),
            }
        }
        Visit::Bytes
    }

    fn prompt(&mut self, control: &Control) {
        let mut out = Vec::new();
        self.editor.expect_prose(self.shell.is_loading());
        self.editor.begin(self.shell.prompt(control), &mut out);
        self.output.extend(out);
    }

    fn help(&mut self, control: &Control) {
        let before = self.editor.before_cursor().unwrap_or_default();
        let text = match help(before, self.shell.root(), &self.shell.known(control)) {
            Ok(text) => text,
            Err(error) => format!("{error}\n"),
        };
        self.print(&text);
        self.redraw();
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
