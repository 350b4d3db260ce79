//! Requests: a line that begins with `{` asks for one command as JSON, and one line of JSON answers.
//!
//! ```text
//!  {"id": 7, "command": "show port"}
//!  {"schema":"fulcrum.reply/1","id":7,"ok":true,"document":{"schema":"fulcrum.show.ports/1",…}}
//! ```
//!
//! What `show` makes comes as its document, what another command says as `output`, and what is wrong
//! as `errors`, in the words of `| json`. The answer of a job is written while it runs, so that
//! nobody has to keep a long one: its `output` stays open until the job ends, and `ok` comes last.

mod reader;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use self::reader::Reader;
use super::configure::Load;
use super::grammar::Action;
use super::job::{Job, Step};
use super::json::{self, Object};
use super::parse::{text_of, text_within};
use super::problem::{Error, Problem};
use super::units::Shown;
use super::{Desk, Shell};

/// The longest request: the text of a configuration that fills every table fits.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
const ID_BYTES_MAX: usize = 64;
const SCHEMA: &str = "fulcrum.reply/1";

/// What a program calls its request, as JSON: a number or a string, or `null` if it has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(String);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub command: String,
    /// The lines to be loaded, and where they stand in the request.
    pub text: Option<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub lines: String,
    pub column: usize,
}

/// Why a line is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Something else stands where this was expected.
    Expected(&'static str),
    /// A character that only an escape may stand for.
    Unescaped,
    /// Half of a character beyond the basic plane.
    Surrogate,
    LongId,
    NoCommand,
    /// `load` without the lines that are to be loaded.
    NoText,
    /// Lines for a command that loads none.
    TextForNothing,
}

/// What a command came to.
pub enum Reply {
    Document(String),
    Output(String),
    Errors(Vec<Error>),
}

/// Takes the lines of a request into the candidate, some at each step.
pub(super) struct Loading {
    load: Option<Load>,
    lines: String,
    at: usize,
}

impl Shell {
    /// Does what a request asks for and returns its answer, or the beginning of it.
    pub(super) fn fulfil(&mut self, line: &[u8], desk: &mut Desk<'_>) -> String {
        let (id, request) = read(line);
        let reply = match request.map_err(|error| vec![error]) {
            Ok(request) => self.ask(request, desk).unwrap_or_else(Reply::Errors),
            Err(errors) => Reply::Errors(errors),
        };
        self.is_replying = self.is_busy();
        match reply {
            Reply::Output(said) if self.is_replying => begin(&id) + &more(&said),
            reply => answer(&id, &reply),
        }
    }

    fn ask(&mut self, request: Request, desk: &mut Desk<'_>) -> Result<Reply, Vec<Error>> {
        let Request { command, text } = request;
        let read = text_of(command.as_bytes()).and_then(|text| self.read(text));
        let Some(mut sentence) = read.map_err(|error| vec![error])? else {
            return Ok(Reply::Output(String::new()));
        };
        match (sentence.action, text) {
            (Action::Load(loading), Some(text)) => {
                let load = Load::begin(loading, desk.control);
                self.job = Some(Box::new(Loading::of(load, text.lines)));
                Ok(Reply::Output(String::new()))
            }
            (Action::Load(_), None) => Err(vec![Error::whole(Problem::NoRequest(Flaw::NoText))]),
            (_, Some(text)) => {
                let problem = Problem::NoRequest(Flaw::TextForNothing);
                Err(vec![Error::at(text.column, problem)])
            }
            (Action::Show(_), None) => {
                sentence.ask_for_document();
                self.perform(&sentence, desk).map(Reply::Document)
            }
            (_, None) => self.perform(&sentence, desk).map(Reply::Output),
        }
    }
}

/// Whether a program's line is a request.
pub fn is_request(line: &[u8]) -> bool {
    line.first() == Some(&b'{')
}

/// What a line asks for. The name of a request is known even if the rest makes no sense, if it comes
/// before that.
pub fn read(line: &[u8]) -> (Id, Result<Request, Error>) {
    let mut id = Id::default();
    let request =
        text_within(line, REQUEST_BYTES_MAX).and_then(|text| Reader::of(text).request(&mut id));
    (id, request)
}

/// The line that answers at once.
pub fn answer(id: &Id, reply: &Reply) -> String {
    let is_ok = !matches!(reply, Reply::Errors(_));
    let mut object = Object::of_schema(SCHEMA).with("id", id).with("ok", is_ok);
    match reply {
        Reply::Document(document) => object.set("document", Raw(document.trim_end())),
        Reply::Output(output) => object.set("output", output.as_str()),
        Reply::Errors(errors) => object.objects("errors", json::each(errors).iter()),
    }
    object.line()
}

/// The beginning of an answer that goes on with [`more`] and ends with [`end`].
pub fn begin(id: &Id) -> String {
    let mut line = String::new();
    Object::of_schema(SCHEMA).with("id", id).with("output", "").write(&mut line);
    // Neither the object nor its last string is over.
    line.truncate(line.len() - "\"}".len());
    line
}

/// A piece of the output.
pub fn more(text: &str) -> String {
    let mut piece = String::new();
    json::text(&mut piece, text);
    piece[1..piece.len() - 1].to_string()
}

pub fn end(answer: Result<String, Vec<Error>>) -> String {
    let (last, errors) = match answer {
        Ok(text) => (more(&text), Vec::new()),
        Err(errors) => (String::new(), errors),
    };
    let mut rest = Object::default().with("ok", errors.is_empty());
    if !errors.is_empty() {
        rest.objects("errors", json::each(&errors).iter());
    }
    let rest = rest.line();
    format!("{last}\",{}", &rest["{".len()..])
}

impl Loading {
    pub(super) fn of(load: Load, lines: String) -> Loading {
        Loading { load: Some(load), lines, at: 0 }
    }
}

impl Job for Loading {
    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        const STEP_LINES: usize = 32;
        let Some(mut load) = self.load.take() else {
            return Step::Ends(Err(vec![Error::whole(Problem::Abandoned)]));
        };
        for _ in 0..STEP_LINES {
            let rest = &self.lines[self.at..];
            if rest.is_empty() {
                return Step::Ends(load.end(desk.control));
            }
            let line = rest.split_inclusive('\n').next().unwrap_or(rest);
            load.line(line.strip_suffix('\n').unwrap_or(line).as_bytes());
            self.at += line.len();
        }
        self.load = Some(load);
        Step::Goes(String::new())
    }

    fn stop(&mut self, _desk: &mut Desk<'_>) {
        self.load = None;
    }
}

/// JSON as it is.
struct Raw<'a>(&'a str);

impl Shown for Raw<'_> {
    fn words(&self) -> String {
        self.0.to_string()
    }

    fn json(&self, json: &mut String) {
        json.push_str(self.0);
    }
}

impl Shown for Id {
    fn words(&self) -> String {
        self.0.clone()
    }

    fn json(&self, json: &mut String) {
        json.push_str(&self.0);
    }
}

impl Default for Id {
    fn default() -> Id {
        Id("null".to_string())
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Expected(what) => write!(f, "no request: {what} is expected"),
            Flaw::Unescaped => f.write_str("no request: a control character has to be escaped"),
            Flaw::Surrogate => f.write_str("no request: half of a pair of surrogates"),
            Flaw::LongId => write!(f, "an id has at most {ID_BYTES_MAX} bytes"),
            Flaw::NoCommand => f.write_str("no request: it has no member \"command\""),
            Flaw::NoText => f.write_str("a request for 'load' has its lines in a member \"text\""),
            Flaw::TextForNothing => f.write_str("\"text\" is for 'load merge' and 'load replace'"),
        }
    }
}
