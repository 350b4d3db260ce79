//! What can be wrong with a line, and how it is said: with a stable number, the place, what was
//! expected, and what to do.
//!
//! E1xx is syntax, E2xx validation, E3xx state, E5xx storage, E6xx limits. Numbers are for
//! programs and manuals: they never change their meaning.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use lb::Refusal;
use lb::management::PingRefusal;
use lb::wire::ip::Version;

use super::request::Flaw;
use crate::config::{Finding, Item};
use crate::store::Trouble;

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Line of the file, from 1; `None` for a line that was typed.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    UnknownWord {
        word: String,
        expected: Vec<&'static str>,
        nearest: Option<&'static str>,
    },
    Ambiguous {
        word: String,
        candidates: Vec<&'static str>,
    },
    Incomplete {
        expected: Vec<&'static str>,
    },
    /// `part`: the column and the reason, where only a part is wrong.
    NotAValue {
        text: String,
        wanted: String,
        part: Option<(usize, String)>,
    },
    TooMuch {
        word: String,
    },
    LineTooLong {
        bytes_max: usize,
    },
    Byte(u8),
    OtherMode {
        word: String,
        way: &'static str,
    },
    SaidTwice {
        word: String,
    },
    TooShort {
        word: &'static str,
    },
    /// A program's line that begins like a request.
    NoRequest(Flaw),
    /// Nothing can be sent to this address, and why.
    NoPing {
        to: IpAddr,
        refusal: Box<PingRefusal>,
    },
    /// No ping was answered.
    NoAnswer {
        to: IpAddr,
    },
    /// There is no open flow between these ends.
    NoFlow,
    /// Another seat captures, for so long at most.
    CaptureTaken {
        left: Duration,
    },
    /// It was not read for so long that another seat has begun one.
    CaptureLost,
    /// `|` after something that is not `show`.
    NoFilter,
    /// `|` after `| json`.
    AfterJson,
    /// The configuration does not hold together.
    Invalid(Box<Finding>),
    /// Nothing of that name: what kind it would be, and which there are.
    Absent {
        what: &'static str,
        name: String,
        known: Vec<String>,
    },
    /// There is nothing to take back.
    NotStated(Box<Item>),
    /// The line says what an earlier line said.
    StatedBefore {
        what: Box<Item>,
        line: usize,
    },
    /// So many errors, and therefore no change.
    Unchanged {
        errors: usize,
    },
    /// The tables refused.
    Refused(Box<Refusal>),
    TooManyLines {
        max: usize,
    },
    TooManyErrors {
        max: usize,
    },
    TooManyThings {
        max: usize,
    },
    /// The last commit waits to be confirmed.
    OnTrial {
        left: Duration,
    },
    /// No commit waits to be confirmed.
    NoTrial,
    /// The candidate has changes that would be lost.
    Edited,
    /// Before what runs there was nothing but the plain switch.
    NothingToUndo,
    /// There were not so many commits.
    NoCommit {
        back: usize,
        last: usize,
    },
    /// Another seat has changed the candidate meanwhile.
    Overtaken,
    /// Somebody stopped typing what is to be loaded.
    Abandoned,
    /// What was committed runs, but is not on the disk.
    NotSaved(Trouble),
}

impl Error {
    /// A problem without a place in a line.
    pub fn whole(problem: Problem) -> Error {
        Error { line: None, column: None, problem }
    }

    pub fn at(column: usize, problem: Problem) -> Error {
        Error { line: None, column: Some(column), problem }
    }

    #[must_use]
    pub fn on_line(self, line: usize) -> Error {
        Error { line: Some(line), ..self }
    }

    /// What is wrong, without number and place.
    pub fn message(&self) -> String {
        format!("{}", Message(&self.problem))
    }
}

impl Problem {
    /// The stable number.
    pub fn code(&self) -> u16 {
        match self {
            Problem::UnknownWord { .. } => 101,
            Problem::Ambiguous { .. } => 102,
            Problem::Incomplete { .. } => 103,
            Problem::NotAValue { .. } => 104,
            Problem::TooMuch { .. } => 105,
            Problem::LineTooLong { .. } => 106,
            Problem::Byte(_) => 107,
            Problem::OtherMode { .. } => 108,
            Problem::SaidTwice { .. } => 109,
            Problem::NoFilter | Problem::AfterJson => 110,
            Problem::TooShort { .. } => 111,
            Problem::NoRequest(_) => 112,
            Problem::Absent { .. } => 201,
            Problem::Unchanged { .. } => 202,
            Problem::StatedBefore { .. } => 203,
            Problem::Invalid(finding) => finding.code(),
            Problem::NotStated(_) => 207,
            Problem::Refused(refusal) => refusal_code(refusal),
            Problem::NoFlow => 306,
            Problem::CaptureTaken { .. } => 307,
            Problem::CaptureLost => 308,
            Problem::Overtaken => 309,
            Problem::NoPing { .. } => 312,
            Problem::NoAnswer { .. } => 313,
            Problem::TooManyLines { .. } => 602,
            Problem::TooManyErrors { .. } => 603,
            Problem::TooManyThings { .. } => 604,
            Problem::OnTrial { .. } => 302,
            Problem::NoTrial => 303,
            Problem::NoCommit { .. } => 304,
            Problem::Abandoned => 305,
            Problem::Edited => 310,
            Problem::NothingToUndo => 311,
            Problem::NotSaved(trouble) => trouble.code(),
        }
    }

    /// Says it; with `column` where the text does not say the place otherwise.
    fn say(&self, f: &mut fmt::Formatter<'_>, column: Option<usize>) -> fmt::Result {
        match self {
            Problem::UnknownWord { word, expected, nearest } => {
                write!(f, "unknown word '{}'{}. Expected: ", Short(word), At(column))?;
                match nearest {
                    Some(nearest) => write!(f, "{nearest} … Did you mean '{nearest}'?"),
                    None => list(f, expected),
                }
            }
            Problem::Ambiguous { word, candidates } => {
                write!(f, "'{word}'{} is short for more than one word: ", At(column))?;
                list(f, candidates)
            }
            Problem::Incomplete { expected } => {
                f.write_str("the line ends too early. Expected: ")?;
                list(f, expected)
            }
            Problem::NotAValue { text, wanted, part } => {
                write!(f, "'{}' is not {wanted}", Short(text))?;
                match part {
                    Some((column, reason)) => write!(f, " (column {column}: {reason})"),
                    None => Ok(()),
                }
            }
            Problem::TooMuch { word } => {
                write!(
                    f,
                    "'{}'{} is too much: the line is whole before it",
                    Short(word),
                    At(column)
                )
            }
            Problem::LineTooLong { bytes_max } => write!(f, "line longer than {bytes_max} bytes"),
            Problem::Byte(byte) => write!(f, "byte 0x{byte:02x}{} is no text", At(column)),
            Problem::OtherMode { word, way } => write!(f, "'{word}' is for {way}"),
            Problem::SaidTwice { word } => {
                write!(f, "'{word}'{} was said before in this line", At(column))
            }
            Problem::TooShort { word } => {
                write!(f, "'{word}' has to be typed in full")
            }
            Problem::NoRequest(flaw) => write!(f, "{flaw}{}", At(column)),
            Problem::NoFilter => f.write_str("'|' filters what show prints, nothing else"),
            Problem::NoFlow => {
                f.write_str("no flow is open between these ends (show flow client …)")
            }
            Problem::NoPing { to, refusal } => no_ping(f, *to, refusal),
            Problem::NoAnswer { to } => write!(f, "{to} has not answered"),
            Problem::AfterJson => f.write_str("'| json' comes last: lines are filtered before it"),
            Problem::Invalid(finding) => write!(f, "{finding}"),
            Problem::Absent { what, name, known } => {
                write!(f, "there is no {what} {name} (")?;
                if known.is_empty() {
                    return f.write_str("there is none at all)");
                }
                write!(f, "{what}s: ")?;
                list(f, known)?;
                f.write_str(")")
            }
            Problem::NotStated(item) => {
                write!(f, "'{item}' is not stated, so there is nothing to delete")
            }
            Problem::StatedBefore { what, line } => write!(f, "{what} was stated on line {line}"),
            Problem::Unchanged { errors: 1 } => f.write_str("1 error, nothing was changed"),
            Problem::Unchanged { errors } => write!(f, "{errors} errors, nothing was changed"),
            Problem::Refused(refusal) => write!(f, "{refusal}"),
            Problem::TooManyLines { max } => {
                write!(f, "more than {max} lines; the rest was not read")
            }
            Problem::TooManyErrors { max } => {
                write!(f, "more than {max} errors; the rest was not read")
            }
            Problem::TooManyThings { max } => {
                write!(f, "more than {max} ports, guests, addresses, services and reals")
            }
            Problem::OnTrial { left } => write!(
                f,
                "the last commit waits to be confirmed for {} more seconds (confirm, or undo; else \
                 it is taken back)",
                left.as_millis().div_ceil(1000)
            ),
            Problem::NoTrial => f.write_str("no commit waits to be confirmed"),
            Problem::Edited => {
                f.write_str("the candidate has changes that are not committed (compare, discard)")
            }
            Problem::NothingToUndo => f.write_str(
                "before what runs there was only the plain switch (rollback 1 and commit make it one)",
            ),
            Problem::NoCommit { back, last } => {
                write!(f, "there is no configuration {back} commits ago (show commits: 0..{last})")
            }
            Problem::CaptureTaken { left } => {
                let seconds = left.as_millis().div_ceil(1000);
                write!(f, "another seat captures, for {seconds} seconds more at most")
            }
            Problem::CaptureLost => {
                f.write_str("the capture was not read, and another seat has begun its own")
            }
            Problem::Overtaken => {
                f.write_str("another seat has changed the candidate meanwhile; nothing was loaded")
            }
            Problem::Abandoned => f.write_str("abandoned; the candidate is as it was"),
            Problem::NotSaved(trouble) => write!(
                f,
                "not saved: {trouble}; it runs, and holds until the machine stops (write tries again)"
            ),
        }
    }
}

/// A problem, whose place is told elsewhere.
struct Message<'a>(&'a Problem);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.say(f, None)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "% E{} ", self.problem.code())?;
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, _) => return self.problem.say(f, self.column),
        }
        self.problem.say(f, None)
    }
}

/// Errors, and that they changed nothing.
pub fn unchanged(mut errors: Vec<Error>) -> Vec<Error> {
    let count = errors.len();
    errors.push(Error::whole(Problem::Unchanged { errors: count }));
    errors
}

/// " at column 6", or nothing.
struct At(Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |column| write!(f, " at column {column}"))
    }
}

/// The beginning of a text that may be long.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CHARS_MAX: usize = 40;
        match self.0.char_indices().nth(CHARS_MAX) {
            Some((end, _)) => write!(f, "{}…", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// The first of many words; `…` says that there are more.
fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, words: &[T]) -> fmt::Result {
    const WORDS_MAX: usize = 24;
    for (at, word) in words.iter().take(WORDS_MAX).enumerate() {
        let separator = if at == 0 { "" } else { " " };
        write!(f, "{separator}{word}")?;
    }
    if words.len() > WORDS_MAX { f.write_str(" …") } else { Ok(()) }
}

/// Why an address is not asked, and what to do about it.
fn no_ping(f: &mut fmt::Formatter<'_>, to: IpAddr, refusal: &PingRefusal) -> fmt::Result {
    match refusal {
        PingRefusal::NoAddress(version) => {
            let (version, example) = match version {
                Version::V4 => ("IPv4", "10.0.2.15/24 gateway 10.0.2.2, or: dhcp"),
                Version::V6 => ("IPv6", "fd00::15/64 gateway fe80::1"),
            };
            write!(f, "there is no {version} management address to ask from now ")?;
            write!(f, "(show system; set system address {example})")
        }
        PingRefusal::NoGateway => {
            write!(f, "{to} is on another network, and there is no gateway ")?;
            f.write_str("(set system address … gateway …)")
        }
        PingRefusal::Own => write!(f, "{to} is this appliance's own"),
        PingRefusal::Guest(guest) => {
            write!(f, "{to} is guest {guest}'s, and guests are kept from the management address ")?;
            f.write_str("(show neighbor says whether it answers)")
        }
        PingRefusal::NoUplink => f.write_str("no uplink with its VLAN is up (show port)"),
        PingRefusal::Full => f.write_str("too many pings are under way; try again in a second"),
    }
}

fn refusal_code(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::UnknownPort
        | Refusal::UnknownGuest(_)
        | Refusal::UnknownService(_)
        | Refusal::UnknownReal { .. } => 201,
        Refusal::PortNameTaken(_)
        | Refusal::MacTaken { .. }
        | Refusal::AddressTaken { .. }
        | Refusal::AddressIsOurs(_)
        | Refusal::AddressIsVip { .. }
        | Refusal::VipIsGuest { .. }
        | Refusal::VipTaken { .. } => 203,
        Refusal::NoAddressForReal { .. } => 204,
        Refusal::NotAGuestPort(_)
        | Refusal::AccessOfUplink(_)
        | Refusal::MirrorsPort(_)
        | Refusal::NotAStation(_)
        | Refusal::NotAHostAddress(_)
        | Refusal::DirectPort { .. }
        | Refusal::UdpOnly { .. }
        | Refusal::VlanRange
        | Refusal::WeightRange => 205,
        Refusal::GuestInUse { .. } => 206,
        Refusal::NoReals(_) => 301,
        Refusal::Full { .. } | Refusal::NoMemory { .. } | Refusal::NoPlaceForMac(_) => 601,
    }
}
