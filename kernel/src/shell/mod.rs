//! The shell: what a line means, and what is answered.
//!
//! A line comes in as bytes and an answer goes out as text; there is no terminal here. The words
//! are in [`tree`], how they are matched in [`parse`], what is wrong with them in [`problem`],
//! what may come next in [`complete`], and what `show` prints in `show`. [`editor`] makes lines
//! out of keys; `console` couples both with a byte stream.
//!
//! In configuration mode a statement acts at once, through [`crate::control`].

pub mod complete;
pub mod editor;
pub mod grammar;
mod history;
mod keys;
mod page;
pub mod parse;
pub mod problem;
mod show;
pub mod tree;
mod units;
pub mod value;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use lb::Refusal;

use self::grammar::{Action, Node, Switch};
use self::parse::Sentence;
use self::problem::{Error, Problem};
use crate::appliance::{Appliance, Request};
use crate::config::Statement;
use crate::control::Control;

/// What a command works on.
pub struct Desk<'a> {
    pub control: &'a mut Control,
    pub appliance: &'a mut Appliance,
}

/// One person's or program's seat at the appliance.
#[derive(Debug, Default)]
pub struct Shell {
    mode: Mode,
    /// A program is typing: no echo, no prompt, a closing line after each answer.
    is_script: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Operational,
    Configuration,
}

/// Columns that every terminal has.
pub const COLUMNS: usize = 80;

const HELP: &str = "\
Two modes. Here you look at the appliance and act on guests:
  show …                       look at something; disturbs nothing
  drain | enable | maint …     take guests out of service and back
  reboot | poweroff
and after 'configure' you change what it is, each line at once:
  set …                        make a statement
  delete …  (or: no …)         take it back
  show                         all statements, ready to be pasted
  exit
Words may be shortened as long as they stay unique. ? says what may come
next, TAB completes. | match TEXT, except, begin, count, first N and last N
filter what show prints. # and ! begin a comment. Ctrl-C abandons a line.
";

const FIRST_STEPS: &str = "\
Nothing is configured yet: this is a plain learning switch. To balance:
  configure
  set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21
  set service web vip 10.0.2.100 tcp 80
  set service web real web1
";

const WRITE: &str = "\
Every set and delete acts at once and holds until the machine stops.
To keep it, save what 'show configuration' prints in a file and hand that
to the machine when it starts: qemu -initrd FILE.
";

impl Shell {
    pub fn is_script(&self) -> bool {
        self.is_script
    }

    /// What stands before the cursor; nothing for a program.
    pub fn prompt(&self, control: &Control) -> String {
        let hostname = control.config().hostname.as_ref().map_or("fulcrum", |name| name.as_str());
        match (self.is_script, self.mode) {
            (true, _) => String::new(),
            (false, Mode::Operational) => format!("{hostname}> "),
            (false, Mode::Configuration) => format!("{hostname}(config)# "),
        }
    }

    /// The first words to whoever is there.
    pub fn greeting(&self, control: &Control) -> &'static str {
        if control.config().statements().is_empty() { FIRST_STEPS } else { "" }
    }

    /// Leaves configuration mode, wherever in it one is.
    pub fn leave(&mut self) {
        self.mode = Mode::Operational;
    }

    /// Does what a line says and returns the answer.
    pub fn execute(&mut self, line: &[u8], desk: &mut Desk<'_>) -> String {
        let prompt = self.prompt(desk.control);
        let read = parse::text_of(line).and_then(|text| self.read(text));
        let answer = match read {
            Ok(None) => return String::new(),
            Ok(Some(sentence)) => self.perform(&sentence, desk),
            Err(error) => Err(vec![error]),
        };
        match answer {
            Ok(text) if self.is_script => text + "% OK\n",
            Ok(text) => text,
            Err(errors) => self.complain(&errors, &prompt, line),
        }
    }

    /// The words of the mode that one is in.
    pub fn root(&self) -> &'static [Node] {
        match self.mode {
            Mode::Operational => tree::OPERATIONAL,
            Mode::Configuration => tree::CONFIGURATION,
        }
    }

    fn read(&self, line: &str) -> Result<Option<Sentence>, Error> {
        let sentence = parse::parse(line, self.root());
        sentence.map_err(|error| self.other_mode(line, &error).unwrap_or(error))
    }

    /// What to say instead, if the unknown word that a line begins with is one of the other mode.
    fn other_mode(&self, line: &str, error: &Error) -> Option<Error> {
        let (other, way) = match self.mode {
            Mode::Operational => (tree::CONFIGURATION, "configuration mode (type configure)"),
            Mode::Configuration => (tree::OPERATIONAL, "operational mode (type exit)"),
        };
        let first = parse::words(line).into_iter().next()?;
        let is_unknown = matches!(error.problem, Problem::UnknownWord { .. });
        if !is_unknown || error.column != Some(first.column) {
            return None;
        }
        let word = parse::first_word(line, other)?.to_string();
        Some(Error::at(first.column, Problem::OtherMode { word, way }))
    }

    fn perform(&mut self, sentence: &Sentence, desk: &mut Desk<'_>) -> Result<String, Vec<Error>> {
        match sentence.action {
            Action::Show(what) => {
                let page = show::show(what, sentence, desk)
                    .map_err(|problem| vec![locate(Error::whole(problem), sentence)])?;
                return Ok(page.filtered(&sentence.filters).text());
            }
            Action::Set(_) | Action::Delete(_) => return self.state(sentence, desk),
            Action::Administer(state) => {
                if let Some(guest) = sentence.guest() {
                    let service = sentence.service();
                    desk.control
                        .administer(service, guest, state, desk.appliance)
                        .map_err(|error| vec![locate(error, sentence)])?;
                }
            }
            Action::Configure => self.mode = Mode::Configuration,
            Action::Exit | Action::End => self.leave(),
            Action::Help => return Ok(HELP.to_string()),
            Action::Write => return Ok(WRITE.to_string()),
            Action::Script(switch) => self.is_script = switch == Switch::On,
            Action::Reboot => desk.appliance.request = Some(Request::Reboot),
            Action::Poweroff => desk.appliance.request = Some(Request::PowerOff),
            // A sentence ends in a filter only through its show.
            Action::Filter(_) => {}
        }
        Ok(String::new())
    }

    fn state(&self, sentence: &Sentence, desk: &mut Desk<'_>) -> Result<String, Vec<Error>> {
        let Some(statement) = Statement::of(sentence) else {
            return Ok(String::new());
        };
        let stated = desk.control.state(&statement, desk.appliance);
        stated.map_err(|errors| -> Vec<Error> {
            errors.into_iter().map(|error| locate(error, sentence)).collect()
        })?;
        Ok(if statement.is_of_flows() { next_start(desk) } else { String::new() })
    }

    /// Errors as they are printed, with a caret under the first if its place is in the line.
    fn complain(&self, errors: &[Error], prompt: &str, line: &[u8]) -> String {
        let mut text = String::new();
        if let Some(column) = errors.first().and_then(|error| error.column)
            && !self.is_script
        {
            text.push_str(&caret(prompt, line, column));
        }
        for error in errors {
            text.push_str(&format!("{error}\n"));
        }
        text
    }
}

/// What to say of a statement about the size of the flow table.
fn next_start(desk: &Desk<'_>) -> String {
    let flows = desk.appliance.dataplane.flows().capacity();
    format!(
        "It acts at the next start, from the configuration that is read then.\n\
         Until then the flow table has {flows} places.\n"
    )
}

/// A caret under a column of the line that was typed after the prompt. Where the line was too
/// long to be seen whole, the part around the column is shown again.
fn caret(prompt: &str, line: &[u8], column: usize) -> String {
    const CONTEXT: usize = 30;
    let line = String::from_utf8_lossy(line);
    let (prompt_width, before) = (prompt.chars().count(), column - 1);
    if prompt_width + line.chars().count().max(column) < COLUMNS {
        return format!("{:1$}^\n", "", prompt_width + before);
    }
    let start = before.saturating_sub(CONTEXT);
    let part = line.chars().skip(start).take(2 * CONTEXT);
    let part: String = part.map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("… {part}\n{:1$}^\n", "", before - start + 2)
}

/// An error about a name, at the place where the name was said.
fn locate(error: Error, sentence: &Sentence) -> Error {
    let column = match &error.problem {
        Problem::Absent { name, .. } => sentence.column_of(name),
        Problem::Refused(refusal) => match &**refusal {
            Refusal::UnknownGuest(name)
            | Refusal::UnknownService(name)
            | Refusal::NoReals(name)
            | Refusal::UnknownReal { guest: name, .. } => sentence.column_of(name.as_str()),
            _ => None,
        },
        Problem::NotStated(_) => sentence.said.last().map(|said| said.column),
        _ => None,
    };
    Error { column: error.column.or(column), ..error }
}
