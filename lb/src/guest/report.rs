//! Load reports: what a guest says of itself, one line of text in one UDP datagram.
//!
//! ```text
//! up 75% id=7f3a seq=1042 svc=web app=0.61 cpu=0.42 mem=0.55 rif=37 lat=1800 #gc pause soon
//! ```
//!
//! The words are HAProxy's agent-check words, so that an agent written for HAProxy needs only
//! another way out; the numbers are named in the sense of ORCA. Text, because a guest's owner
//! must be able to send one by hand (`echo "up 75%" > /dev/udp/169.254.2.1/3333`) and read one in
//! a capture.
//!
//! Words come in any case and any order, between spaces, tabs or commas; said twice, the last
//! counts. What a later agent may add, `key=value`, is passed over; a bare word that is unknown
//! is refused, for it may have meant to take the guest out of service. A report is taken whole or
//! not at all, and the refusal names the column. Nothing but printable ASCII gets in, because
//! reasons are shown on consoles.

mod answer;
mod number;

pub use answer::{Ack, AckState, Answer, NotAnAnswer};
pub use number::{Fraction, NumberError, Rate};

use core::fmt;
use core::time::Duration;

use crate::limits::REPORT_BYTES_MAX;
use crate::name::NameError;
use crate::{AdminState, Name, RealSpec};
use number::{hex, whole};

/// One report. What it does not say is `None`: a report is the whole state, not a change of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport<'a> {
    /// Does the guest work?
    pub health: Option<HealthWord>,
    /// Does the guest want new flows?
    pub admin: Option<AdminState>,
    pub share: Option<Share>,
    /// `maxconn:N`, flows that the guest can hold.
    pub flows_max: Option<u32>,
    /// Drawn at the agent's start: another `id` is another life.
    pub id: Option<u64>,
    pub seq: Option<u32>,
    /// The service that is meant; all of the guest's when absent.
    pub service: Option<Name>,
    pub numbers: Numbers,
    /// How long the words hold when no further report comes.
    pub ttl: Option<Ttl>,
    pub reason: Option<&'a str>,
}

/// A guest's word on whether it works. The last three are all "down"; they say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthWord {
    Up,
    Down,
    Stopped,
    Fail,
}

/// How much of its weight a guest wants. It may ask for less than the operator gave, not more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Of the configured weight.
    Percent(u8),
    /// Instead of the configured weight.
    Weight(u16),
}

/// What a guest measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The application's own view of its load; where it is said it outranks the rest.
    pub app: Option<Fraction>,
    /// CPU time used.
    pub cpu: Option<Fraction>,
    /// Memory used.
    pub mem: Option<Fraction>,
    /// Time in which work waited for I/O.
    pub io: Option<Fraction>,
    /// CPU time wanted but not given by the hypervisor.
    pub steal: Option<Fraction>,
    /// `rif`, requests in flight.
    pub requests_in_flight: Option<u32>,
    /// `lat`, the usual time to answer.
    pub latency_us: Option<u32>,
    /// `p99`, the time that one answer in a hundred exceeds.
    pub p99_us: Option<u32>,
    /// `qps`, requests.
    pub requests: Option<Rate>,
    /// `eps`, errors.
    pub errors: Option<Rate>,
}

/// How long words hold: 1 ms to an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(u32);

/// Why a report was refused, and where. Nothing of it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportError {
    /// Of the word or value that is wrong, from 1.
    pub column: u16,
    pub kind: ReportErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportErrorKind {
    /// The line says nothing.
    Empty,
    /// Longer than a report may be.
    TooLong,
    /// This byte is no printable ASCII.
    Byte(u8),
    /// A bare word that is none of ours.
    Word,
    Number(NumberError),
    Name(NameError),
}

impl<'a> LoadReport<'a> {
    /// Reads the first line of a datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ReportError> {
        let line = first_line(datagram)?;
        let (said, reason) = line.split_once('#').unwrap_or((line, ""));
        let mut report = LoadReport::default();
        let reason = reason.trim();
        if !reason.is_empty() {
            report.reason = Some(reason);
        }
        let mut empty = report.reason.is_none();
        for (column, word) in words(said) {
            empty = false;
            report.take(word).map_err(|(at, kind)| error(column + at, kind))?;
        }
        if empty { Err(error(0, ReportErrorKind::Empty)) } else { Ok(report) }
    }

    /// One word; an error comes with the offset of its fault.
    fn take(&mut self, word: &str) -> Result<(), (usize, ReportErrorKind)> {
        if let Some((key, value)) = word.split_once('=') {
            return self.take_number(key, value).map_err(|kind| (key.len() + 1, kind));
        }
        if let Some((key, value)) = word.split_once(':') {
            return self.take_limit(key, value);
        }
        if let Some(percent) = word.strip_suffix('%') {
            let percent = whole(percent, 0, 100).map_err(|error| (0, error.into()))?;
            self.share = Some(Share::Percent(percent as u8));
            return Ok(());
        }
        if let Some(health) = named(&HealthWord::ALL, HealthWord::as_str, word) {
            self.health = Some(health);
        } else if let Some(admin) = named(&AdminState::ALL, AdminState::as_str, word) {
            self.admin = Some(admin);
        } else {
            return Err((0, ReportErrorKind::Word));
        }
        Ok(())
    }

    /// `weight:N` and `maxconn:N`.
    fn take_limit(&mut self, key: &str, value: &str) -> Result<(), (usize, ReportErrorKind)> {
        let number = |max| {
            whole(value, 0, max).map_err(|error| (key.len() + 1, ReportErrorKind::from(error)))
        };
        if key.eq_ignore_ascii_case("weight") {
            self.share = Some(Share::Weight(number(u32::from(RealSpec::WEIGHT_MAX))? as u16));
        } else if key.eq_ignore_ascii_case("maxconn") {
            self.flows_max = Some(number(u32::MAX)?);
        } else {
            return Err((0, ReportErrorKind::Word));
        }
        Ok(())
    }

    /// `key=value`.
    fn take_number(&mut self, key: &str, value: &str) -> Result<(), ReportErrorKind> {
        let numbers = &mut self.numbers;
        match key {
            "app" => numbers.app = Some(Fraction::parse(value)?),
            "cpu" => numbers.cpu = Some(Fraction::parse(value)?),
            "mem" => numbers.mem = Some(Fraction::parse(value)?),
            "io" => numbers.io = Some(Fraction::parse(value)?),
            "steal" => numbers.steal = Some(Fraction::parse(value)?),
            "rif" => numbers.requests_in_flight = Some(whole(value, 0, u32::MAX)?),
            "lat" => numbers.latency_us = Some(whole(value, 0, u32::MAX)?),
            "p99" => numbers.p99_us = Some(whole(value, 0, u32::MAX)?),
            "qps" => numbers.requests = Some(Rate::parse(value)?),
            "eps" => numbers.errors = Some(Rate::parse(value)?),
            "id" => self.id = Some(hex(value)?),
            "seq" => self.seq = Some(whole(value, 0, u32::MAX)?),
            "svc" => self.service = Some(value.parse().map_err(ReportErrorKind::Name)?),
            "ttl" => self.ttl = Some(Ttl(whole(value, 1, Ttl::MAX_MS)?)),
            _ => {}
        }
        Ok(())
    }
}

/// The line that parses to this report; empty when it says nothing.
impl fmt::Display for LoadReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = &self.numbers;
        let mut line = Line { f, begun: false };
        line.word("", "", self.health.map(HealthWord::as_str))?;
        line.word("", "", self.admin.map(AdminState::as_str))?;
        match self.share {
            Some(Share::Percent(percent)) => line.word("", "%", Some(percent))?,
            Some(Share::Weight(weight)) => line.word("weight:", "", Some(weight))?,
            None => {}
        }
        line.word("maxconn:", "", self.flows_max)?;
        line.word("id=", "", self.id.map(Hex))?;
        line.word("seq=", "", self.seq)?;
        line.word("svc=", "", self.service.as_ref())?;
        line.word("app=", "", numbers.app)?;
        line.word("cpu=", "", numbers.cpu)?;
        line.word("mem=", "", numbers.mem)?;
        line.word("io=", "", numbers.io)?;
        line.word("steal=", "", numbers.steal)?;
        line.word("rif=", "", numbers.requests_in_flight)?;
        line.word("lat=", "", numbers.latency_us)?;
        line.word("p99=", "", numbers.p99_us)?;
        line.word("qps=", "", numbers.requests)?;
        line.word("eps=", "", numbers.errors)?;
        line.word("ttl=", "", self.ttl.map(|ttl| ttl.0))?;
        line.word("#", "", self.reason)
    }
}

impl HealthWord {
    pub const ALL: [HealthWord; 4] =
        [HealthWord::Up, HealthWord::Down, HealthWord::Stopped, HealthWord::Fail];

    pub const fn as_str(self) -> &'static str {
        match self {
            HealthWord::Up => "up",
            HealthWord::Down => "down",
            HealthWord::Stopped => "stopped",
            HealthWord::Fail => "fail",
        }
    }
}

impl Ttl {
    /// What holds when a report says nothing of it.
    pub const DEFAULT: Ttl = Ttl(60_000);
    pub const MAX: Ttl = Ttl(Ttl::MAX_MS);
    const MAX_MS: u32 = 3_600_000;

    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl ReportErrorKind {
    /// The counter's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReportErrorKind::Empty | ReportErrorKind::TooLong => "report_len",
            ReportErrorKind::Byte(_) => "report_byte",
            ReportErrorKind::Word => "report_word",
            ReportErrorKind::Number(_) => "report_range",
            ReportErrorKind::Name(_) => "report_name",
        }
    }
}

impl From<NumberError> for ReportErrorKind {
    fn from(error: NumberError) -> Self {
        ReportErrorKind::Number(error)
    }
}

impl fmt::Display for ReportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportErrorKind::Empty => f.write_str("the report says nothing"),
            ReportErrorKind::TooLong => write!(f, "longer than {REPORT_BYTES_MAX} bytes"),
            ReportErrorKind::Byte(byte) => {
                write!(f, "byte 0x{byte:02x} (a report is one line of printable ASCII)")
            }
            ReportErrorKind::Word => f.write_str(
                "unknown word (up down stopped fail ready drain maint N% weight:N maxconn:N \
                 key=value #reason)",
            ),
            ReportErrorKind::Number(error) => error.fmt(f),
            ReportErrorKind::Name(error) => error.fmt(f),
        }
    }
}

/// Words with one space between them.
struct Line<'f, 'b> {
    f: &'f mut fmt::Formatter<'b>,
    begun: bool,
}

impl Line<'_, '_> {
    fn word(&mut self, before: &str, after: &str, what: Option<impl fmt::Display>) -> fmt::Result {
        let Some(what) = what else { return Ok(()) };
        let gap = if self.begun { " " } else { "" };
        self.begun = true;
        write!(self.f, "{gap}{before}{what}{after}")
    }
}

struct Hex(u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// An error at this offset of the line.
fn error(at: usize, kind: ReportErrorKind) -> ReportError {
    ReportError { column: u16::try_from(at + 1).unwrap_or(u16::MAX), kind }
}

/// Up to the end of the first line, checked to be printable ASCII.
fn first_line(datagram: &[u8]) -> Result<&str, ReportError> {
    if datagram.len() > REPORT_BYTES_MAX {
        return Err(error(REPORT_BYTES_MAX, ReportErrorKind::TooLong));
    }
    let end = datagram.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = &datagram[..end.unwrap_or(datagram.len())];
    let misfit = line.iter().position(|byte| !matches!(byte, b' '..=b'~' | b'\t'));
    if let Some(at) = misfit {
        return Err(error(at, ReportErrorKind::Byte(line[at])));
    }
    core::str::from_utf8(line)
        .map_err(|utf8| error(utf8.valid_up_to(), ReportErrorKind::Byte(line[utf8.valid_up_to()])))
}

/// The words of a line with their offsets.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split([' ', '\t', ','])
        .scan(0, |next, word| {
            let at = *next;
            *next += word.len() + 1;
            Some((at, word))
        })
        .filter(|(_, word)| !word.is_empty())
}

/// The one of `all` that is called `word`, in any case.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> Option<T> {
    all.iter().copied().find(|&one| name(one).eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
