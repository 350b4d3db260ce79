//! The command line.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lb::Name;
use lb::name::NameError;

use crate::app::{App, Source};
use crate::control;
use crate::link::{Link, Target, is_interface};
use crate::socket_file::{Senders, SocketFile};

pub const HELP: &str = "\
Usage: fulcrum-agent [OPTIONS]           report until ended
       fulcrum-agent drain [OPTIONS]     ask for no new flows, wait for the last one's end
       fulcrum-agent undrain [OPTIONS]   take that back

Reports this guest's load to the Fulcrum switch, every half second until it is ended.

  --interface NAME   bind to this interface (eth0); for guests without a default route
  --interval MS      time between reports, 50 to 60000 (500); the switch trusts a report
                     fully for a second, so more than that is of little use
  --service NAME     speak for this service only, not for all of this guest's
  --target ADDR:PORT the switch (169.254.2.1:3333), or [fe80::6c:62%eth0]:3333
  --control PATH     socket by which 'drain' and 'undrain' reach the agent that runs
                     (/run/fulcrum-agent/control); without one they report by themselves
  -h, --help         this text

To report:
  --app-file PATH    pass on what the application says in this file (app=0.7 rif=12)
  --app-socket PATH  pass on what it sends to this UNIX datagram socket; in both cases for
                     three intervals, at least 2 s
  --listen ADDR:PORT answer HAProxy's agent-check there
  --no-push          answer HAProxy only, do not report to a switch
  --drain-on-stop S  when ended, drain first and wait so many seconds at most
  --once             report once, print the answer, fail unless it is an 'ack'
  -v, --verbose      print every answer of the switch

To drain:
  --wait S           seconds at most, 1 to 3600 (60)

Exit status of 'drain': 0 drained, 3 flows are left after the wait, 4 no switch answers.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    Run(Options),
    Once(Options),
    Drain(Options),
    Undrain(Options),
    Help,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub interface: Option<String>,
    pub interval: Duration,
    pub service: Option<Name>,
    pub target: Target,
    /// The usual one if absent.
    pub control: Option<PathBuf>,
    pub app_file: Option<PathBuf>,
    pub app_socket: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub push: bool,
    pub drain_on_stop: Option<Duration>,
    pub wait: Duration,
    pub verbose: bool,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum OptionError {
    Command(String),
    Unknown(String),
    /// This option stands without what it needs.
    NoValue(&'static str),
    /// This option takes no value.
    Value(&'static str),
    /// This option is of another command.
    NotFor(&'static str, Command),
    /// The two contradict each other.
    Conflict(&'static str, &'static str),
    /// The first says nothing without the second.
    Needs(&'static str, &'static str),
    Interval(String),
    Seconds(&'static str, String),
    Interface(String),
    Service(String, NameError),
    Target(String),
    Listen(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Report,
    Drain,
    Undrain,
}

/// Options that one command has and the others have not.
const OF_ONE_COMMAND: [(&str, Command); 8] = [
    ("--app-file", Command::Report),
    ("--app-socket", Command::Report),
    ("--listen", Command::Report),
    ("--no-push", Command::Report),
    ("--drain-on-stop", Command::Report),
    ("--once", Command::Report),
    ("--verbose", Command::Report),
    ("--wait", Command::Drain),
];

/// Options that cannot stand together.
const CONFLICTS: [(&str, &str); 7] = [
    ("--app-file", "--app-socket"),
    ("--no-push", "--drain-on-stop"),
    ("--once", "--app-socket"),
    ("--once", "--listen"),
    ("--once", "--no-push"),
    ("--once", "--drain-on-stop"),
    ("--once", "--control"),
];

impl Default for Options {
    fn default() -> Self {
        Options {
            interface: None,
            interval: lb::guest::load::INTERVAL,
            service: None,
            target: Target::Address(SocketAddr::from((Ipv4Addr::new(169, 254, 2, 1), 3333))),
            control: None,
            app_file: None,
            app_socket: None,
            listen: None,
            push: true,
            drain_on_stop: None,
            wait: Duration::from_secs(60),
            verbose: false,
        }
    }
}

impl Options {
    pub fn link(&self) -> Result<Link, String> {
        Link::open(&self.target, self.interface.as_deref())
    }

    /// The application to hear, if one was named.
    pub fn app(&self) -> Result<Option<App>, String> {
        let source = match (&self.app_file, &self.app_socket) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(path)) => Source::Socket(SocketFile::bind(path, Senders::Group)?),
            (None, None) => return Ok(None),
        };
        Ok(Some(App::new(source, self.interval)))
    }

    /// Where the agent that runs is to be found.
    pub fn control_path(&self) -> &Path {
        self.control.as_deref().unwrap_or(Path::new(control::PATH))
    }
}

/// Reads the arguments that follow the program's name; `--key value` and `--key=value` are one.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, OptionError> {
    let mut options = Options::default();
    let mut command = None;
    let mut seen = Vec::new();
    while let Some(argument) = arguments.next() {
        if !argument.starts_with('-') {
            match Command::named(&argument) {
                Some(named) if command.is_none() => command = Some(named),
                _ => return Err(OptionError::Command(argument)),
            }
            continue;
        }
        let (key, joined) = match argument.split_once('=') {
            Some((key, value)) if key.starts_with("--") => (key, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = |option| {
            seen.push(option);
            let value = joined.clone().or_else(|| arguments.next());
            value.ok_or(OptionError::NoValue(option))
        };
        match key {
            "--interface" => options.interface = Some(interface(value("--interface")?)?),
            "--interval" => options.interval = interval(value("--interval")?)?,
            "--service" => options.service = Some(service(value("--service")?)?),
            "--target" => options.target = target(value("--target")?)?,
            "--control" => options.control = Some(value("--control")?.into()),
            "--app-file" => options.app_file = Some(value("--app-file")?.into()),
            "--app-socket" => options.app_socket = Some(value("--app-socket")?.into()),
            "--listen" => options.listen = Some(listen(value("--listen")?)?),
            "--drain-on-stop" => {
                let wait = seconds("--drain-on-stop", value("--drain-on-stop")?)?;
                options.drain_on_stop = Some(wait);
            }
            "--wait" => options.wait = seconds("--wait", value("--wait")?)?,
            "-h" | "--help" => return Ok(Request::Help),
            _ => {
                let flag = flag(&argument, key, joined.is_some())?;
                options.push &= flag != "--no-push";
                options.verbose |= flag == "--verbose";
                seen.push(flag);
            }
        }
    }
    options.request(command.unwrap_or(Command::Report), &seen)
}

impl Options {
    /// These options as a request, if they make one together.
    fn request(self, command: Command, seen: &[&'static str]) -> Result<Request, OptionError> {
        let is_seen = |option: &str| seen.contains(&option);
        for (option, of) in OF_ONE_COMMAND {
            if is_seen(option) && of != command {
                return Err(OptionError::NotFor(option, command));
            }
        }
        for (one, other) in CONFLICTS {
            if is_seen(one) && is_seen(other) {
                return Err(OptionError::Conflict(one, other));
            }
        }
        if !self.push && self.listen.is_none() {
            return Err(OptionError::Needs("--no-push", "--listen"));
        }
        Ok(match command {
            Command::Report if is_seen("--once") => Request::Once(self),
            Command::Report => Request::Run(self),
            Command::Drain => Request::Drain(self),
            Command::Undrain => Request::Undrain(self),
        })
    }
}

impl Command {
    fn named(word: &str) -> Option<Command> {
        match word {
            "drain" => Some(Command::Drain),
            "undrain" => Some(Command::Undrain),
            _ => None,
        }
    }
}

/// An option that takes no value, by its long name.
fn flag(argument: &str, key: &str, has_value: bool) -> Result<&'static str, OptionError> {
    let flag = match key {
        "--no-push" => "--no-push",
        "--once" => "--once",
        "-v" | "--verbose" => "--verbose",
        _ => return Err(OptionError::Unknown(argument.to_owned())),
    };
    if has_value { Err(OptionError::Value(flag)) } else { Ok(flag) }
}

fn interface(text: String) -> Result<String, OptionError> {
    if is_interface(&text) { Ok(text) } else { Err(OptionError::Interface(text)) }
}

fn interval(text: String) -> Result<Duration, OptionError> {
    match text.parse() {
        Ok(ms @ 50..=60_000) => Ok(Duration::from_millis(ms)),
        Ok(_) | Err(_) => Err(OptionError::Interval(text)),
    }
}

fn seconds(option: &'static str, text: String) -> Result<Duration, OptionError> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(OptionError::Seconds(option, text)),
    }
}

fn service(text: String) -> Result<Name, OptionError> {
    text.parse().map_err(|error| OptionError::Service(text, error))
}

fn target(text: String) -> Result<Target, OptionError> {
    text.parse().map_err(|()| OptionError::Target(text))
}

fn listen(text: String) -> Result<SocketAddr, OptionError> {
    text.parse().map_err(|_| OptionError::Listen(text))
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::Command(word) => {
                write!(f, "unknown command '{word}': expected drain, undrain or options alone")
            }
            OptionError::Unknown(argument) => write!(f, "unknown option '{argument}'"),
            OptionError::NoValue(option) => write!(f, "{option} needs a value"),
            OptionError::Value(option) => write!(f, "{option} takes no value"),
            OptionError::NotFor(option, Command::Report) => write!(f, "{option} is for 'drain'"),
            OptionError::NotFor(option, Command::Drain) => write!(f, "{option} is not for 'drain'"),
            OptionError::NotFor(option, Command::Undrain) => {
                write!(f, "{option} is not for 'undrain'")
            }
            OptionError::Conflict(one, other) => write!(f, "{one} cannot stand with {other}"),
            OptionError::Needs(one, other) => write!(f, "{one} needs {other}"),
            OptionError::Interval(text) => {
                write!(f, "--interval '{text}': expected milliseconds, 50 to 60000")
            }
            OptionError::Seconds(option, text) => {
                write!(f, "{option} '{text}': expected seconds, 1 to 3600")
            }
            OptionError::Interface(text) => {
                write!(f, "--interface '{text}': expected a name such as eth0")
            }
            OptionError::Service(text, error) => write!(f, "--service '{text}': {error}"),
            OptionError::Target(text) => write!(
                f,
                "--target '{text}': expected ADDRESS:PORT such as 169.254.2.1:3333 or \
                 [fe80::6c:62%eth0]:3333"
            ),
            OptionError::Listen(text) => {
                write!(f, "--listen '{text}': expected ADDRESS:PORT such as 0.0.0.0:3334")
            }
        }
    }
}

#[cfg(test)]
mod tests;
