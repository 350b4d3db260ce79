//! The command line.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lb::Name;
use lb::name::NameError;

pub const HELP: &str = "\
Usage: fulcrum-agent [OPTIONS]

Reports this guest's load to the Fulcrum switch, every half second until it is ended.

  --interface NAME   bind to this interface (eth0); for guests without a default route
  --interval MS      time between reports, 50 to 60000 (500); the switch trusts a report
                     fully for a second, so more than that is of little use
  --service NAME     speak for this service only, not for all of this guest's
  --target ADDR:PORT the switch (169.254.2.1:3333)
  --once             report once, print the answer, fail unless it is an 'ack'
  -v, --verbose      print every answer of the switch
  -h, --help         this text
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    Run(Options),
    Help,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub interface: Option<String>,
    pub interval: Duration,
    pub service: Option<Name>,
    pub target: SocketAddr,
    pub once: bool,
    pub verbose: bool,
}

/// What is wrong with the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum OptionError {
    Unknown(String),
    /// This option stands without what it needs.
    NoValue(&'static str),
    /// This option takes no value.
    Value(&'static str),
    Interval(String),
    Interface(String),
    Service(String, NameError),
    Target(String),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interface: None,
            interval: lb::load::INTERVAL,
            service: None,
            target: SocketAddr::from((Ipv4Addr::new(169, 254, 2, 1), 3333)),
            once: false,
            verbose: false,
        }
    }
}

/// Reads the arguments that follow the program's name; `--key value` and `--key=value` are one.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, OptionError> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let (key, joined) = match argument.split_once('=') {
            Some((key, value)) if key.starts_with("--") => (key, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = |option| {
            let value = joined.clone().or_else(|| arguments.next());
            value.ok_or(OptionError::NoValue(option))
        };
        let flag =
            |option| if joined.is_none() { Ok(true) } else { Err(OptionError::Value(option)) };
        match key {
            "--interface" => options.interface = Some(interface(value("--interface")?)?),
            "--interval" => options.interval = interval(value("--interval")?)?,
            "--service" => options.service = Some(service(value("--service")?)?),
            "--target" => options.target = target(value("--target")?)?,
            "--once" => options.once = flag("--once")?,
            "-v" | "--verbose" => options.verbose = flag("--verbose")?,
            "-h" | "--help" => return Ok(Request::Help),
            _ => return Err(OptionError::Unknown(argument)),
        }
    }
    Ok(Request::Run(options))
}

/// As Linux takes it: 1 to 15 bytes without `/` and white space.
fn interface(text: String) -> Result<String, OptionError> {
    let fits =
        (1..16).contains(&text.len()) && !text.contains(|c: char| c == '/' || c.is_whitespace());
    if fits { Ok(text) } else { Err(OptionError::Interface(text)) }
}

fn interval(text: String) -> Result<Duration, OptionError> {
    match text.parse() {
        Ok(ms @ 50..=60_000) => Ok(Duration::from_millis(ms)),
        Ok(_) | Err(_) => Err(OptionError::Interval(text)),
    }
}

fn service(text: String) -> Result<Name, OptionError> {
    text.parse().map_err(|error| OptionError::Service(text, error))
}

fn target(text: String) -> Result<SocketAddr, OptionError> {
    match text.parse() {
        Ok(target) if SocketAddr::port(&target) != 0 => Ok(target),
        Ok(_) | Err(_) => Err(OptionError::Target(text)),
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::Unknown(argument) => write!(f, "unknown option '{argument}'"),
            OptionError::NoValue(option) => write!(f, "{option} needs a value"),
            OptionError::Value(option) => write!(f, "{option} takes no value"),
            OptionError::Interval(text) => {
                write!(f, "--interval '{text}': expected milliseconds, 50 to 60000")
            }
            OptionError::Interface(text) => {
                write!(f, "--interface '{text}': expected a name such as eth0")
            }
            OptionError::Service(text, error) => write!(f, "--service '{text}': {error}"),
            OptionError::Target(text) => {
                write!(f, "--target '{text}': expected ADDRESS:PORT such as 169.254.2.1:3333")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, OptionError> {
        parse(line.split_ascii_whitespace().map(String::from))
    }

    #[test]
    fn nothing_is_needed() {
        let Ok(Request::Run(options)) = parsed("") else { panic!("no options are options") };
        assert_eq!(options.target.to_string(), "169.254.2.1:3333");
        assert_eq!(options.interval, Duration::from_millis(500));
        assert_eq!((options.interface, options.service), (None, None));
        assert!(!options.once && !options.verbose);
    }

    #[test]
    fn all_of_them_in_both_forms() {
        let expected = Options {
            interface: Some("eth0".into()),
            interval: Duration::from_millis(250),
            service: Some("web".parse().unwrap()),
            target: "[fe80::6c:62%2]:3333".parse().unwrap(),
            once: true,
            verbose: true,
        };
        let spaced = "--interface eth0 --interval 250 --service web --target [fe80::6c:62%2]:3333 \
                      --once -v";
        let joined = "--interface=eth0 --interval=250 --service=web --target=[fe80::6c:62%2]:3333 \
                      --once --verbose";
        assert_eq!(parsed(joined), parsed(spaced));
        assert_eq!(parsed(joined), Ok(Request::Run(expected)));
        assert_eq!(parsed("--interval 99 --help"), Ok(Request::Help));
    }

    #[test]
    fn errors_say_what_was_expected() {
        let cases = [
            ("--intervall 5", "unknown option '--intervall'"),
            ("eth0", "unknown option 'eth0'"),
            ("-v=1", "unknown option '-v=1'"),
            ("--interface", "--interface needs a value"),
            ("--once=yes", "--once takes no value"),
            ("--interval 5", "--interval '5': expected milliseconds, 50 to 60000"),
            ("--interval 1s", "--interval '1s': expected milliseconds, 50 to 60000"),
            ("--interface a/b", "--interface 'a/b': expected a name such as eth0"),
            ("--service 9", "--service '9': a name begins with a letter"),
            (
                "--target 169.254.2.1",
                "--target '169.254.2.1': expected ADDRESS:PORT such as 169.254.2.1:3333",
            ),
            (
                "--target 1.2.3.4:0",
                "--target '1.2.3.4:0': expected ADDRESS:PORT such as 169.254.2.1:3333",
            ),
        ];
        for (line, expected) in cases {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.to_string(), expected);
        }
    }
}
