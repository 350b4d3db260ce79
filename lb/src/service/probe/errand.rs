//! What is asked of whom, and what may come of it.

use core::net::IpAddr;
use core::time::Duration;

use crate::addr::link_local_like;
use crate::limits::REPORT_BYTES_MAX;
use crate::service::check::http::Beginning;
use crate::service::check::{Check, CheckKind, Failure};
use crate::service::probe::Sender;
use crate::wire::{Address, Endpoint};
use crate::{MacAddr, PortId};

/// How long an agent may take for its line.
const PULL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    pub task: Task,
    pub target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "in a table of fixed size, without allocation")]
pub(crate) enum Task {
    Check(Check),
    /// A line of the guest's agent.
    Pull {
        interval: Duration,
    },
}

/// Where the asked is, and whom it sees asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub egress: PortId,
    pub mac: MacAddr,
    pub vlan: u16,
    pub source: Address,
    pub address: Address,
    pub port: u16,
    /// What the service is called in HTTP.
    pub host: IpAddr,
}

/// How a probe has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "goes from hand to hand once, without allocation")]
pub(crate) enum Outcome {
    Checked(Result<(), Failure>),
    /// What the agent said, if it said something.
    Pulled(Option<Line>),
}

/// An agent's line, and one byte more if it is too long.
pub(crate) type Line = heapless::Vec<u8, { REPORT_BYTES_MAX + 1 }>;

impl Errand {
    /// Whether both ask the same of the same, at whatever pace.
    pub fn asks_like(&self, other: &Errand) -> bool {
        let kinds = (self.task.kind(), other.task.kind());
        kinds.0 == kinds.1 && self.target == other.target
    }
}

impl Task {
    pub fn check(&self) -> Option<&Check> {
        match self {
            Task::Check(check) => Some(check),
            Task::Pull { .. } => None,
        }
    }

    /// What is checked; `None` for a pull.
    pub fn kind(&self) -> Option<&CheckKind> {
        self.check().map(|check| &check.kind)
    }

    pub fn interval(&self) -> Duration {
        match self {
            Task::Check(check) => check.interval,
            Task::Pull { interval } => *interval,
        }
    }

    pub fn timeout(&self) -> Duration {
        match self {
            Task::Check(check) => check.timeout.min(check.interval),
            Task::Pull { interval } => PULL_TIMEOUT.min(*interval),
        }
    }

    /// What it means that no answer came, or none was complete, in time.
    pub fn silence(&self) -> Outcome {
        match self.kind() {
            Some(CheckKind::Udp) => Outcome::Checked(Ok(())),
            _ => self.failed(Failure::NoAnswer),
        }
    }

    pub fn failed(&self, failure: Failure) -> Outcome {
        match self {
            Task::Check(_) => Outcome::Checked(Err(failure)),
            Task::Pull { .. } => Outcome::Pulled(None),
        }
    }

    /// What a connection that was taken says, as far as it has come; `None` if that is not enough.
    pub fn judge(&self, answer: Beginning<'_>) -> Option<Outcome> {
        match self.kind() {
            Some(CheckKind::Http { expect, .. }) => answer.judge(expect).map(Outcome::Checked),
            Some(CheckKind::Tcp | CheckKind::Icmp | CheckKind::Udp | CheckKind::Neighbor) => {
                Some(Outcome::Checked(Ok(())))
            }
            None => line(answer).map(Outcome::Pulled),
        }
    }
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        matches!(self, Outcome::Checked(Ok(())) | Outcome::Pulled(Some(_)))
    }
}

impl Target {
    pub fn is_at(&self, sender: Sender) -> bool {
        (self.egress, self.mac, self.vlan) == sender
    }

    pub fn end(&self) -> Endpoint {
        Endpoint { address: self.address, port: self.port }
    }

    /// The switch's own address, whatever the guest sees in its place.
    pub fn canonical_source(&self) -> Address {
        link_local_like(self.address.into()).into()
    }
}

/// The agent's line, once it has ended: as with HAProxy by CR, LF, or the connection's end.
fn line(answer: Beginning<'_>) -> Option<Option<Line>> {
    let Beginning { bytes, is_all } = answer;
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let is_known = end.is_some() || is_all || bytes.len() > REPORT_BYTES_MAX;
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let said = line.iter().copied().take(REPORT_BYTES_MAX + 1).collect();
    is_known.then_some((!bytes.is_empty()).then_some(said))
}
