//! `fulcrum-agent`: tells the switch how loaded this guest is.
//!
//! Twice a second it reads what the kernel counts, makes one line of it and sends that as one
//! datagram to the switch, whose answer says what came of it. It keeps nothing, needs nothing but
//! `/proc` and an interface with an address, and goes on when the network comes late or goes away:
//! a guest must never suffer from its reporter.
//!
//! `procfs` reads the kernel's texts, `sample` makes numbers of two readings, `link` speaks with the
//! switch, `options` with the person who starts it. The line itself is `lb`'s: switch and agent
//! share one grammar.
#![forbid(unsafe_code)]

mod link;
mod options;
mod procfs;
mod sample;

use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lb::report::{Answer, HealthWord, LoadReport};

use link::Link;
use options::{Options, Request};
use sample::Sample;

/// How long `--once` waits for its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Reports without an answer after which that is worth a word.
const UNANSWERED_MAX: u32 = 10;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Help) => {
            say(options::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(format_args!("{error}\nTry: fulcrum-agent --help"));
            return ExitCode::from(2);
        }
    };
    let done = Agent::start(options).and_then(|mut agent| {
        if agent.options.once { agent.report_once() } else { agent.report_forever() }
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

/// One life of a reporter: `id` tells the switch that a new one has begun.
struct Agent {
    options: Options,
    link: Link,
    before: Sample,
    id: u64,
    seq: u32,
    /// Reports since the last answer.
    unanswered: u32,
    trouble: Trouble,
}

impl Agent {
    fn start(options: Options) -> Result<Agent, String> {
        let link = Link::open(options.target, options.interface.as_deref())?;
        let before = Sample::take()?;
        // The seed of a `RandomState` comes from the kernel; 32 bits of it are short to read.
        let id = RandomState::new().build_hasher().finish() >> 32;
        let trouble = Trouble::default();
        Ok(Agent { options, link, before, id, seq: 0, unanswered: 0, trouble })
    }

    fn report_forever(&mut self) -> Result<ExitCode, String> {
        let mut due = Instant::now() + self.options.interval;
        loop {
            while let Some(answer) = self.link.answer_before(due) {
                self.hear(&answer);
            }
            if let Err(error) = self.report() {
                self.trouble.is(error);
            } else if self.unanswered > UNANSWERED_MAX {
                self.trouble.is(format!("no answer from {} so far", self.options.target));
            }
            // Never a burst after a pause (a stopped guest, a suspended laptop).
            due = (due + self.options.interval).max(Instant::now());
        }
    }

    /// Reports once; fails unless the switch acknowledges it.
    fn report_once(&mut self) -> Result<ExitCode, String> {
        thread::sleep(self.options.interval);
        self.report()?;
        let Some(answer) = self.link.answer_before(Instant::now() + ANSWER_TIMEOUT) else {
            return Err(format!("no answer from {}", self.options.target));
        };
        say(&answer);
        match Answer::parse(answer.as_bytes()) {
            Ok(Answer::Ack(_)) => Ok(ExitCode::SUCCESS),
            Ok(Answer::Nak { .. }) | Err(_) => Ok(ExitCode::FAILURE),
        }
    }

    /// Measures since the last report and sends the next one.
    fn report(&mut self) -> Result<(), String> {
        let sample = Sample::take()?;
        self.seq = self.seq.wrapping_add(1);
        let report = LoadReport {
            health: Some(HealthWord::Up),
            id: Some(self.id),
            seq: Some(self.seq),
            service: self.options.service.clone(),
            numbers: sample.since(&self.before),
            ..LoadReport::default()
        };
        self.before = sample;
        self.unanswered = self.unanswered.saturating_add(1);
        self.link.send(&report)
    }

    /// What the switch makes of our reports: shown if asked for, and always if it refuses them.
    fn hear(&mut self, answer: &str) {
        self.unanswered = 0;
        if self.options.verbose {
            say(answer);
        }
        match Answer::parse(answer.as_bytes()) {
            Ok(Answer::Ack(_)) => self.trouble.is_over(),
            Ok(Answer::Nak { .. }) => self.trouble.is(format!("the switch says: {answer}")),
            Err(_) => self.trouble.is(format!("{} is no switch", self.options.target)),
        }
    }
}

/// What is wrong, said once and not twice a second.
#[derive(Default)]
struct Trouble(Option<String>);

impl Trouble {
    fn is(&mut self, what: String) {
        if self.0.as_ref() != Some(&what) {
            complain(&what);
            self.0 = Some(what);
        }
    }

    fn is_over(&mut self) {
        if self.0.take().is_some() {
            complain("the switch takes our reports");
        }
    }
}

/// To standard output; if nobody reads it, that is no reason to stop reporting.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(what: impl Display) {
    let _ = writeln!(std::io::stderr(), "fulcrum-agent: {what}");
}
