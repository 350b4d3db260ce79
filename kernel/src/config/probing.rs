//! What is asked of reals, as stated: checks, and how load reports come.
//!
//! A check is one statement. To say it again is to say it anew: what the new line leaves out has its
//! default, whatever the line before said. A timeout that nobody stated is never longer than the
//! interval, so that `interval 500ms` says enough.

use alloc::boxed::Box;
use core::fmt;
use core::num::{NonZeroU8, NonZeroU16};
use core::time::Duration;

use lb::service::check::Path;
use lb::{Agent, Check, CheckKind, Expect};

use super::InWords;
use super::print::clause;
use crate::shell::parse::Sentence;
use crate::shell::value::{Choice, Time};

/// `check …`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckConfig {
    pub asks: Asks,
    pub port: Option<NonZeroU16>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub rise: Option<NonZeroU8>,
    pub fall: Option<NonZeroU8>,
}

/// What a check asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    Http { path: Box<Path>, expect: Option<Expect> },
    Icmp,
    Neighbor,
    Tcp,
    Udp,
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    Http,
    Icmp,
    Neighbor,
    Tcp,
    Udp,
}

/// `agent …`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentConfig {
    Push,
    Pull { port: NonZeroU16, interval: Option<Duration> },
}

impl CheckConfig {
    /// The check that a sentence states, if it states one.
    pub(super) fn of(said: &Sentence) -> Option<CheckConfig> {
        let Some(Choice::Check(asking)) = said.choice() else {
            return None;
        };
        let asks = match asking {
            Asking::Http => Asks::Http { path: Box::new(said.path()?), expect: said.expect() },
            Asking::Icmp => Asks::Icmp,
            Asking::Neighbor => Asks::Neighbor,
            Asking::Tcp => Asks::Tcp,
            Asking::Udp => Asks::Udp,
        };
        Some(CheckConfig {
            asks,
            port: said.check_port(),
            interval: said.interval(),
            timeout: said.timeout(),
            rise: said.rise(),
            fall: said.fall(),
        })
    }

    /// The interval and a timeout that is longer, if that is what was stated.
    pub(super) fn contradiction(&self) -> Option<(Duration, Duration)> {
        let interval = self.interval.unwrap_or(Check::INTERVAL_DEFAULT);
        let timeout = self.timeout.filter(|&timeout| timeout > interval)?;
        Some((interval, timeout))
    }

    /// With what was not stated.
    pub(super) fn plan(&self) -> Check {
        let kind = match &self.asks {
            Asks::Http { path, expect } => {
                let expect = expect.clone().unwrap_or(Expect::DEFAULT);
                CheckKind::Http { path: (**path).clone(), expect }
            }
            Asks::Icmp => CheckKind::Icmp,
            Asks::Neighbor => CheckKind::Neighbor,
            Asks::Tcp => CheckKind::Tcp,
            Asks::Udp => CheckKind::Udp,
        };
        let interval = self.interval.unwrap_or(Check::INTERVAL_DEFAULT);
        Check {
            port: self.port,
            interval,
            timeout: self.timeout.unwrap_or(Check::TIMEOUT_DEFAULT.min(interval)),
            rise: self.rise.unwrap_or(Check::RISE_DEFAULT),
            fall: self.fall.unwrap_or(Check::FALL_DEFAULT),
            ..Check::new(kind)
        }
    }
}

/// A check as it is, every word of it said.
impl From<&Check> for CheckConfig {
    fn from(check: &Check) -> CheckConfig {
        let asks = match &check.kind {
            CheckKind::Http { path, expect } => {
                Asks::Http { path: Box::new(path.clone()), expect: Some(expect.clone()) }
            }
            CheckKind::Icmp => Asks::Icmp,
            CheckKind::Neighbor => Asks::Neighbor,
            CheckKind::Tcp => Asks::Tcp,
            CheckKind::Udp => Asks::Udp,
        };
        CheckConfig {
            asks,
            port: check.port,
            interval: Some(check.interval),
            timeout: Some(check.timeout),
            rise: Some(check.rise),
            fall: Some(check.fall),
        }
    }
}

impl From<Agent> for AgentConfig {
    fn from(agent: Agent) -> AgentConfig {
        match agent {
            Agent::Push => AgentConfig::Push,
            Agent::Pull { port, interval } => AgentConfig::Pull { port, interval: Some(interval) },
        }
    }
}

impl AgentConfig {
    /// What a sentence says of how reports come, if it does.
    pub(super) fn of(said: &Sentence) -> Option<AgentConfig> {
        match said.choice()? {
            Choice::Push => Some(AgentConfig::Push),
            Choice::Pull => {
                Some(AgentConfig::Pull { port: said.l4_port()?, interval: said.interval() })
            }
            _ => None,
        }
    }

    /// With what was not stated.
    pub(super) fn plan(self) -> Agent {
        match self {
            AgentConfig::Push => Agent::Push,
            AgentConfig::Pull { port, interval } => {
                Agent::Pull { port, interval: interval.unwrap_or(Check::INTERVAL_DEFAULT) }
            }
        }
    }
}

impl Asking {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Asking::Http => "http",
            Asking::Icmp => "icmp",
            Asking::Neighbor => "neighbor",
            Asking::Tcp => "tcp",
            Asking::Udp => "udp",
        }
    }
}

impl fmt::Display for CheckConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asks {
            Asks::Http { path, expect } => {
                write!(f, "{} get {path}", Asking::Http.as_str())?;
                clause(f, "expect", &expect.as_ref().map(InWords))?;
            }
            Asks::Icmp => f.write_str(Asking::Icmp.as_str())?,
            Asks::Neighbor => f.write_str(Asking::Neighbor.as_str())?,
            Asks::Tcp => f.write_str(Asking::Tcp.as_str())?,
            Asks::Udp => f.write_str(Asking::Udp.as_str())?,
        }
        clause(f, "port", &self.port)?;
        clause(f, "interval", &self.interval.map(Time))?;
        clause(f, "timeout", &self.timeout.map(Time))?;
        clause(f, "rise", &self.rise)?;
        clause(f, "fall", &self.fall)
    }
}

impl fmt::Display for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AgentConfig::Push => f.write_str("push"),
            AgentConfig::Pull { port, interval } => {
                write!(f, "pull {port}")?;
                clause(f, "interval", &interval.map(Time))
            }
        }
    }
}
