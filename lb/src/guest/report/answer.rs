//! What the switch answers to a report: its own view, so that a guest knows what came of it.
//!
//! ```text
//! ack seq=1042 state=up weight=75 flows=12 new=3 ended=2 synack=180
//! nak column=7 unknown word (up down …)
//! ```
//!
//! A guest that asked to be drained watches `flows` fall and `state` become `drained`.

use core::fmt;

use super::number::whole;
use super::{Line, ReportError, ReportErrorKind, named};
use crate::limits::REPORT_BYTES_MAX;

/// The answer to one report. `Why` is an error of ours when we write it, and text when we read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<Why> {
    Ack(Ack),
    /// Refused, and nothing of it taken; `column` when one word of the report is at fault.
    Nak {
        column: Option<u16>,
        why: Why,
    },
}

/// How a guest's real stands after its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The report's, when it had one.
    pub seq: Option<u32>,
    pub state: AckState,
    /// The effective weight, rounded up, so that only a real without a share reads 0.
    pub weight: u32,
    /// Open now.
    pub flows: u32,
    /// Begun since the report before.
    pub new: u64,
    /// Ended since the report before.
    pub ended: u64,
    /// From the last SYN to its SYN-ACK, `synack`.
    pub syn_ack_us: Option<u32>,
}

/// What the switch does with new flows for a real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckState {
    /// It gets new flows.
    Up,
    /// Checks or the guest's own word say that it does not work.
    Down,
    /// No new flows, and some are still open.
    Drain,
    /// No new flows, and none is open: the guest may stop.
    Drained,
    /// Out of service by the operator's or the guest's word.
    Maint,
}

/// A line that is no answer of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAnswer;

impl<'a> Answer<&'a str> {
    /// Reads a datagram that came back.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, NotAnAnswer> {
        let text = core::str::from_utf8(datagram).map_err(|_| NotAnAnswer)?;
        let line = text.lines().next().ok_or(NotAnAnswer)?;
        if text.len() > REPORT_BYTES_MAX || line.bytes().any(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(NotAnAnswer);
        }
        match line.split_once(' ') {
            Some(("ack", rest)) => Ack::parse(rest).map(Answer::Ack),
            Some(("nak", rest)) => Ok(parse_nak(rest)),
            _ => Err(NotAnAnswer),
        }
    }
}

impl Ack {
    fn parse(words: &str) -> Result<Self, NotAnAnswer> {
        let mut ack = Ack {
            seq: None,
            state: AckState::Up,
            weight: 0,
            flows: 0,
            new: 0,
            ended: 0,
            syn_ack_us: None,
        };
        let mut state = None;
        for word in words.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(NotAnAnswer)?;
            let number = || whole(value, 0, u32::MAX).map_err(|_| NotAnAnswer);
            let count = || value.parse().map_err(|_| NotAnAnswer);
            match key {
                "seq" => ack.seq = Some(number()?),
                "state" => state = named(&AckState::ALL, AckState::as_str, value),
                "weight" => ack.weight = number()?,
                "flows" => ack.flows = number()?,
                "new" => ack.new = count()?,
                "ended" => ack.ended = count()?,
                "synack" => ack.syn_ack_us = Some(number()?),
                _ => {}
            }
        }
        ack.state = state.ok_or(NotAnAnswer)?;
        Ok(ack)
    }
}

impl AckState {
    pub const ALL: [AckState; 5] =
        [AckState::Up, AckState::Down, AckState::Drain, AckState::Drained, AckState::Maint];

    pub const fn as_str(self) -> &'static str {
        match self {
            AckState::Up => "up",
            AckState::Down => "down",
            AckState::Drain => "drain",
            AckState::Drained => "drained",
            AckState::Maint => "maint",
        }
    }
}

impl From<ReportError> for Answer<ReportErrorKind> {
    fn from(error: ReportError) -> Self {
        Answer::Nak { column: Some(error.column), why: error.kind }
    }
}

impl<Why: fmt::Display> fmt::Display for Answer<Why> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Ack(ack) => ack.fmt(f),
            Answer::Nak { column: Some(column), why } => write!(f, "nak column={column} {why}"),
            Answer::Nak { column: None, why } => write!(f, "nak {why}"),
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line { f, begun: false };
        line.word("", "", Some("ack"))?;
        line.word("seq=", "", self.seq)?;
        line.word("state=", "", Some(self.state.as_str()))?;
        line.word("weight=", "", Some(self.weight))?;
        line.word("flows=", "", Some(self.flows))?;
        line.word("new=", "", Some(self.new))?;
        line.word("ended=", "", Some(self.ended))?;
        line.word("synack=", "", self.syn_ack_us)
    }
}

/// What follows `nak`: perhaps a column, then the reason.
fn parse_nak(rest: &str) -> Answer<&str> {
    let (first, why) = rest.split_once(' ').unwrap_or((rest, ""));
    match first.strip_prefix("column=").and_then(|column| column.parse().ok()) {
        Some(column) => Answer::Nak { column: Some(column), why },
        None => Answer::Nak { column: None, why: rest },
    }
}
