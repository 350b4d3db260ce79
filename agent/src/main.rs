//! `fulcrum-agent`: tells the switch how loaded this guest is.
//!
//! Twice a second it reads what the kernel counts, makes one line of it and sends that as one
//! datagram to the switch, whose answer says what came of it. It keeps nothing, needs nothing but
//! `/proc` and an interface with an address, and goes on when the network comes late or goes away:
//! a guest must never suffer from its reporter.
//!
//! `procfs` reads the kernel's texts and `sample` makes numbers of two readings; `app` hears the
//! application. `reporter` makes a report of both, `link` brings it to the switch and `pull` tells
//! HAProxy. `daemon` does all that in one loop, `drain` takes the guest out of service, and by
//! `control` the one reaches the other. `options` speaks with the person who starts it. The line
//! itself is `lb`'s: switch and agent share one grammar.
#![forbid(unsafe_code)]

mod app;
mod control;
mod daemon;
mod drain;
mod link;
mod notice;
mod options;
mod procfs;
mod pull;
mod reporter;
mod sample;
mod socket_file;
mod wait;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use lb::guest::report::Answer;

use control::Client;
use daemon::Daemon;
use drain::{Asker, Ending};
use notice::{complain, say};
use options::{Options, Request};
use reporter::{Reporter, Want};

/// How long one report, or one request to the agent that runs, waits for its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let request = match options::parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            complain(format_args!("{error}\nTry: fulcrum-agent --help"));
            return ExitCode::from(2);
        }
    };
    let done = match request {
        Request::Run(options) => Daemon::start(&options).map(Daemon::run),
        Request::Once(options) => report_once(&options),
        Request::Drain(options) => drain(&options),
        Request::Undrain(options) => undrain(&options),
        Request::Help => {
            say(options::HELP.trim_end());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        complain(error);
        ExitCode::FAILURE
    })
}

/// Reports once; fails unless the switch acknowledges it.
fn report_once(options: &Options) -> Result<ExitCode, String> {
    let link = options.link()?;
    let mut app = options.app()?;
    let mut reporter = Reporter::new(options.service.clone(), Want::Serve)?;
    thread::sleep(options.interval);
    let words = app.as_mut().and_then(|app| app.words(Instant::now()));
    link.send(&reporter.next(words)?)?;
    let Some(answer) = link.answer_before(Instant::now() + ANSWER_TIMEOUT) else {
        return Err(format!("no answer from {}", link.target()));
    };
    say(&answer);
    match Answer::parse(answer.as_bytes()) {
        Ok(Answer::Ack(_)) => Ok(ExitCode::SUCCESS),
        Ok(Answer::Nak { .. }) | Err(_) => Ok(ExitCode::FAILURE),
    }
}

fn drain(options: &Options) -> Result<ExitCode, String> {
    let asker = Asker::find(options.control_path(), options.interval, || {
        Ok((Reporter::new(options.service.clone(), Want::Drain)?, options.link()?))
    })?;
    let ending = drain::run(asker, options.wait);
    match ending {
        Ending::Drained => say(&ending),
        Ending::Late { .. } | Ending::Silence(_) => complain(&ending),
    }
    Ok(ExitCode::from(ending.status()))
}

/// Tells the agent that runs; where none does, a report that asks for nothing is what undoes it.
fn undrain(options: &Options) -> Result<ExitCode, String> {
    let Some(client) = Client::find(options.control_path())? else { return report_once(options) };
    match client.ask(Want::Serve, Instant::now() + ANSWER_TIMEOUT) {
        Some(answer) if answer == "ok" => Ok(ExitCode::SUCCESS),
        Some(answer) => Err(format!("the running agent says: {answer}")),
        None => Err("the running agent does not answer".into()),
    }
}
