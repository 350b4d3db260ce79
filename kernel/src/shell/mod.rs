//! The shell: what a line means, and what is answered.
//!
//! A line comes in as bytes and an answer goes out as text; there is no terminal here. The words
//! are in [`tree`], how they are matched in [`parse`], what is wrong with them in [`problem`],
//! what may come next in [`complete`], and what `show` prints in `show`. [`editor`] makes lines
//! out of keys; `console` couples both with a byte stream.
//!
//! What configuration mode does with the candidate is in `configure`, through [`crate::control`].

mod capture;
pub mod cells;
pub mod complete;
mod configure;
pub mod editor;
pub mod grammar;
mod history;
pub mod job;
pub mod json;
mod keys;
mod monitor;
mod page;
pub mod parse;
mod ping;
pub mod problem;
pub mod request;
mod reset;
mod saving;
mod show;
pub mod support;
pub mod tree;
pub mod units;
pub mod value;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use lb::Refusal;

use self::capture::Capturing;
use self::cells::columns;
use self::complete::Known;
use self::configure::{Answer, Load};
use self::grammar::{Action, Loading, Node, Sieve, Switch};
use self::job::{Job, Step};
use self::monitor::Monitor;
use self::parse::Sentence;
use self::ping::Pinging;
use self::problem::{Error, Problem};
use self::request::is_request;
use self::saving::Saving;
use self::support::Support;
use crate::appliance::{Appliance, Request};
use crate::control::Control;
use crate::pager::Screen;
use crate::seats::{Place, Sitter};

/// What a command works on.
pub struct Desk<'a> {
    pub control: &'a mut Control,
    pub appliance: &'a mut Appliance,
}

/// One person's or program's seat at the appliance.
#[derive(Default)]
pub struct Shell {
    place: Place,
    mode: Mode,
    /// A program is typing: no echo, no prompt, a closing line after each answer.
    is_script: bool,
    screen: Screen,
    /// Lines are not commands now but what is to be loaded.
    load: Option<Load>,
    /// A command that is not done yet.
    job: Option<Box<dyn Job>>,
    /// What it says goes into the open answer of a request.
    is_replying: bool,
}

/// What a line is answered.
pub struct Reply {
    pub text: String,
    /// The rows of the screen that it is read on, a screenful at a time; without, it is shown whole.
    pub rows: Option<NonZeroU16>,
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
  test …                       ask what would happen; changes nothing
  monitor … | capture …        see numbers, or frames, as they go by
  ping …                       ask whether an address answers
  drain | enable | maint …     take guests out of service and back
  clear counters …             let what show counts begin anew
  reset flow …                 end one flow
  undo                         take the last commit back
  reboot | poweroff
and after 'configure' you say what it is to be, in a candidate:
  set …                        make a statement
  delete …  (or: no …)         take it back
  load merge | load replace    many set lines, up to a line 'end'
  show, compare                the candidate; what it would change
  commit                       make it run, all of it or nothing
  discard, rollback N          what runs, or what ran before, again
  exit
Words may be shortened as long as they stay unique. ? says what may come
next, TAB completes. | match TEXT, except, begin, count, first N and last N
filter what show prints; | json makes it a document for a program. # and !
begin a comment. Ctrl-C abandons a line. At --More-- space shows the next
screen, Enter a line, q no more; 'terminal length' says how long a screen is.
";

const FIRST_STEPS: &str = "\
Nothing is configured yet: this is a plain learning switch. To balance:
  configure
  set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21
  set service web vip 10.0.2.100 tcp 80
  set service web real web1
  commit
";

/// After the answer to a program: it was done, or it was not.
const DONE: &str = "% OK\n";
const FAILED: &str = "% FAILED\n";

impl Shell {
    pub fn at(place: Place) -> Shell {
        let is_script = place.sitter() == Sitter::Program;
        Shell { place, is_script, ..Shell::default() }
    }

    pub fn is_script(&self) -> bool {
        self.is_script
    }

    /// What stands before the cursor; nothing for a program.
    pub fn prompt(&self, control: &Control) -> String {
        let hostname = control.config().hostname.as_ref().map_or("fulcrum", |name| name.as_str());
        match (self.is_script, self.mode) {
            (true, _) => String::new(),
            _ if self.is_loading() => "load> ".to_string(),
            (false, Mode::Operational) => format!("{hostname}> "),
            (false, Mode::Configuration) if control.is_edited() => {
                format!("{hostname}(config*)# ")
            }
            (false, Mode::Configuration) => format!("{hostname}(config)# "),
        }
    }

    /// The first words to whoever is there, if it is a person.
    pub fn greeting(&self, control: &Control) -> &'static str {
        let has_nothing = control.config().statements().is_empty();
        if has_nothing && !self.is_script { FIRST_STEPS } else { "" }
    }

    /// Whether lines are not commands now but what is to be loaded.
    pub fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    /// Leaves configuration mode, wherever in it one is; what there is to say of that.
    pub fn leave(&mut self, control: &mut Control) -> String {
        let mut said = self.abandon();
        if core::mem::take(&mut self.mode) == Mode::Configuration {
            said.push_str(configure::leave(self.place, control));
        }
        said
    }

    /// Somebody wants what goes on to end; what there is to say of that.
    pub fn abandon(&mut self) -> String {
        match self.load.take() {
            Some(_) => self.complain(&[Error::whole(Problem::Abandoned)], "", b""),
            None => String::new(),
        }
    }

    /// What TAB and `?` offer names of.
    pub fn known<'a>(&self, control: &'a Control) -> Known<'a> {
        let config = match self.mode {
            Mode::Operational => control.config(),
            Mode::Configuration => control.candidate(),
        };
        Known { config, plan: control.plan() }
    }

    /// The rows of the screen of a person; a program has none.
    pub fn rows(&self) -> Option<NonZeroU16> {
        self.screen.0.filter(|_| !self.is_script)
    }

    /// Does what a line says and returns the answer.
    pub fn execute(&mut self, line: &[u8], desk: &mut Desk<'_>) -> Reply {
        if let Some(load) = self.load.take() {
            return Reply { text: self.go_on_loading(load, line, desk), rows: self.rows() };
        }
        if self.is_script && is_request(line) {
            return Reply { text: self.fulfil(line, desk), rows: None };
        }
        let prompt = self.prompt(desk.control);
        let read = parse::text_of(line).and_then(|text| self.read(text));
        let is_whole = read.as_ref().is_ok_and(|said| said.as_ref().is_some_and(is_whole));
        let answer = match read {
            Ok(None) => return Reply { text: String::new(), rows: None },
            Ok(Some(sentence)) => self.perform(&sentence, desk),
            Err(error) => Err(vec![error]),
        };
        let text = self.reply(answer, &prompt, line);
        Reply { text, rows: self.rows().filter(|_| !is_whole && !self.is_busy()) }
    }

    /// The answer to a line, closed for a program. What is to be loaded is not answered yet.
    fn reply(&self, answer: Result<String, Vec<Error>>, prompt: &str, line: &[u8]) -> String {
        match answer {
            Ok(text) if self.is_script && !self.is_loading() && !self.is_busy() => text + DONE,
            Ok(text) => text,
            Err(errors) => self.complain(&errors, prompt, line),
        }
    }

    /// Whether a command is not done yet.
    pub fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// Does a piece of it; what is to be printed of that.
    pub fn work(&mut self, desk: &mut Desk<'_>) -> String {
        let Some(mut job) = self.job.take() else {
            return String::new();
        };
        match job.step(desk) {
            Step::Goes(text) => {
                self.job = Some(job);
                if self.is_replying { request::more(&text) } else { text }
            }
            Step::Ends(answer) if core::mem::take(&mut self.is_replying) => request::end(answer),
            Step::Ends(answer) => self.reply(answer, "", b""),
        }
    }

    /// A key was pressed while a command is not done; whether it was meant for that.
    pub fn stop(&mut self, key: u8, desk: &mut Desk<'_>) -> bool {
        const CTRL_C: u8 = 0x03;
        let any_key = !self.is_script;
        let Some(job) = &mut self.job else {
            return false;
        };
        let is_meant = key == CTRL_C || any_key && job.stops_at_any_key();
        if is_meant {
            job.stop(desk);
        }
        is_meant
    }

    /// The command is to be over soon, whatever it is.
    pub fn end(&mut self, desk: &mut Desk<'_>) {
        if let Some(job) = &mut self.job {
            job.stop(desk);
        }
    }

    fn go_on_loading(&mut self, mut load: Load, line: &[u8], desk: &mut Desk<'_>) -> String {
        if !load.takes(line) {
            let answer = load.end(desk.control);
            return self.reply(answer, "", b"");
        }
        self.load = Some(load);
        String::new()
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

    /// Does what a line says, in the mode that it is for.
    fn perform(&mut self, sentence: &Sentence, desk: &mut Desk<'_>) -> Result<String, Vec<Error>> {
        let mut said = String::new();
        if self.mode == Mode::Operational && sentence.action.is_configuring() {
            said = self.configure(desk.control);
        }
        said.push_str(&self.carry_out(sentence, desk)?);
        Ok(said)
    }

    fn configure(&mut self, control: &mut Control) -> String {
        self.mode = Mode::Configuration;
        configure::enter(self.place, control)
    }

    fn carry_out(
        &mut self,
        sentence: &Sentence,
        desk: &mut Desk<'_>,
    ) -> Result<String, Vec<Error>> {
        match sentence.action {
            Action::Show(what) => {
                let page = show::show(what, sentence, desk)
                    .map_err(|problem| vec![locate(Error::whole(problem), sentence)])?;
                return Ok(page.printed(&sentence.filters));
            }
            Action::Set(_) | Action::Delete(_) => {
                configure::state(sentence, desk.control)
                    .map_err(|problem| vec![locate(Error::whole(problem), sentence)])?;
            }
            Action::Load(loading) => return Ok(self.begin_load(loading, desk.control)),
            Action::Commit => return configure::commit(sentence, desk).map(|said| self.wait(said)),
            Action::CommitCheck => return configure::check(desk.control),
            Action::Confirm => return configure::confirm(desk).map(|said| self.wait(said)),
            Action::Rollback => return configure::rollback(sentence, desk.control),
            Action::Discard => return Ok(configure::discard(desk.control)),
            Action::Undo => return configure::undo(desk).map(|said| self.wait(said)),
            Action::Administer(state) => {
                if let Some(guest) = sentence.guest() {
                    let service = sentence.service();
                    let remarks = desk
                        .control
                        .administer(service, guest, state, desk.appliance)
                        .map_err(|error| vec![locate(error, sentence)])?;
                    return Ok(configure::said_of(&remarks));
                }
            }
            Action::Clear => show::clear(desk, sentence)
                .map_err(|problem| vec![locate(Error::whole(problem), sentence)])?,
            Action::ResetFlow => {
                return reset::reset(desk, sentence)
                    .map_err(|problem| vec![locate(Error::whole(problem), sentence)]);
            }
            Action::Monitor(what) => self.job = Some(Box::new(Monitor::of(what, sentence))),
            Action::Ping => {
                let begun = Pinging::begin(sentence, desk);
                let begun =
                    begun.map_err(|problem| vec![locate(Error::whole(problem), sentence)])?;
                self.job = Some(Box::new(begun));
            }
            Action::Support => self.job = Some(Box::new(Support::default())),
            Action::Capture => {
                let begun = Capturing::begin(sentence, desk);
                let begun =
                    begun.map_err(|problem| vec![locate(Error::whole(problem), sentence)])?;
                self.job = Some(Box::new(begun));
            }
            Action::Configure => return Ok(self.configure(desk.control)),
            Action::Exit | Action::End => return Ok(self.leave(desk.control)),
            Action::Help => return Ok(HELP.to_string()),
            Action::Write => return configure::write(desk).map(|said| self.wait(said)),
            Action::Script(switch) => self.is_script = switch == Switch::On,
            Action::Length => self.screen = Screen(sentence.rows().and_then(NonZeroU16::new)),
            Action::Reboot => desk.appliance.request = Some(Request::Reboot),
            Action::Poweroff => desk.appliance.request = Some(Request::PowerOff),
            // A sentence ends in a filter only through its show.
            Action::Filter(_) => {}
        }
        Ok(String::new())
    }

    /// The command is done when the disk has what it saves.
    fn wait(&mut self, Answer { said, saving }: Answer) -> String {
        self.job = saving.map(|ticket| Box::new(Saving::of(ticket)) as Box<dyn Job>);
        said
    }

    /// What comes now is to be loaded, up to a line `end`.
    fn begin_load(&mut self, loading: Loading, control: &Control) -> String {
        self.load = Some(Load::begin(loading, control));
        let hint = "Lines of the configuration, and 'end' after the last; Ctrl-C abandons.\n";
        if self.is_script { String::new() } else { hint.to_string() }
    }

    /// Errors, as a document for who asked for one.
    fn complain(&self, errors: &[Error], prompt: &str, line: &[u8]) -> String {
        let text = json::errors(line, errors).unwrap_or_else(|| self.say(errors, prompt, line));
        if self.is_script { text + FAILED } else { text }
    }

    /// Errors as they are printed, with a caret under the first if its place is in this line.
    fn say(&self, errors: &[Error], prompt: &str, line: &[u8]) -> String {
        let mut text = String::new();
        let first = errors.first().filter(|error| error.line.is_none());
        if let Some(column) = first.and_then(|error| error.column)
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

/// Whether an answer is shown at once: somebody said so, or it is for a program.
fn is_whole(said: &Sentence) -> bool {
    said.filters.iter().any(|filter| matches!(filter.sieve, Sieve::NoMore | Sieve::Json))
}

/// A caret under a column of the line that was typed after the prompt. Where the line was too
/// long to be seen whole, the part around the column is shown again.
fn caret(prompt: &str, line: &[u8], column: usize) -> String {
    const CONTEXT: usize = 30;
    let line = String::from_utf8_lossy(line).replace(char::is_control, " ");
    let before = |start: usize| -> String {
        let missing = (column - 1).saturating_sub(line.chars().count());
        let there = line.chars().take(column - 1).skip(start);
        there.chain(core::iter::repeat_n(' ', missing)).collect()
    };
    let wide = |text: &str| columns(text.as_bytes());
    let caret_at = wide(prompt) + wide(&before(0));
    if (caret_at + 1).max(wide(prompt) + wide(&line)) < COLUMNS {
        return format!("{:1$}^\n", "", caret_at);
    }
    let start = (column - 1).saturating_sub(CONTEXT);
    let part: String = line.chars().skip(start).take(2 * CONTEXT).collect();
    format!("… {part}\n{:1$}^\n", "", 2 + wide(&before(start)))
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
