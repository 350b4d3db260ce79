//! The agent as a service: one thread, one loop that waits for whatever comes first.
//!
//! Every interval it measures, hears the application, reports to the switch and writes the line
//! that HAProxy will be told. In between it takes answers, the application's lines, requests to
//! drain and HAProxy's calls as they come. None of them can make it wait, and of each it takes a
//! bounded number before it goes round.
//!
//! It goes on when the network comes late or goes away. A signal ends it, and then the guest stays
//! in service: an operator who restarts the agent does not mean the guest. Its numbers age at the
//! switch, and what it or the operator last asked for holds for its time. With `--drain-on-stop`
//! the end of the agent is the end of the guest's service, and it waits for the last flow first; a
//! second signal cuts that short.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use lb::guest::load::INTERVAL;
use lb::guest::report::Answer;

use crate::app::App;
use crate::control::{self, Control};
use crate::drain::Watch;
use crate::link::Link;
use crate::notice::{Trouble, complain, say};
use crate::options::Options;
use crate::pull::Pull;
use crate::reporter::{Reporter, Want};
use crate::wait;

/// Reports without an answer after which that is worth a word.
const UNANSWERED_MAX: u32 = 10;
/// Requests and answers that are taken in one go.
const TAKEN_MAX: usize = 16;

pub struct Daemon {
    interval: Duration,
    drain_on_stop: Option<Duration>,
    reporter: Reporter,
    app: Option<App>,
    switch: Option<Switch>,
    pull: Option<Pull>,
    control: Option<Control>,
    /// With the kernel's numbers.
    trouble: Trouble,
    stop: SignalFd,
    /// The next report.
    due: Instant,
    /// The last flows' end, if that is what the agent waits for before its own.
    stopping: Option<Watch>,
}

/// The switch, as one who reports sees it.
struct Switch {
    link: Link,
    verbose: bool,
    /// Reports since the last answer.
    unanswered: u32,
    trouble: Trouble,
    /// The first report that asked for the present drain.
    drain_seq: u32,
    /// The last answer to one that did.
    drain_answer: Option<String>,
}

impl Daemon {
    pub fn start(options: &Options) -> Result<Daemon, String> {
        // First, so that a signal finds nothing half done, such as a socket's file left behind.
        let stop = stop_signals()?;
        let now = Instant::now();
        let switch = match options.push {
            true => Some(Switch::new(options.link()?, options.verbose)),
            false => None,
        };
        Ok(Daemon {
            interval: options.interval,
            drain_on_stop: options.drain_on_stop,
            reporter: Reporter::new(options.service.clone(), Want::Serve)?,
            app: options.app()?,
            switch,
            pull: options.listen.map(|address| Pull::listen(address, now)).transpose()?,
            control: control(options.control.as_deref())?,
            trouble: Trouble::new("the kernel's numbers can be read"),
            stop,
            due: now + options.interval,
            stopping: None,
        })
    }

    /// Reports until it is told to stop.
    pub fn run(mut self) -> ExitCode {
        loop {
            self.wait();
            let now = Instant::now();
            if let Some(switch) = &mut self.switch {
                switch.listen(self.reporter.want(), self.stopping.as_mut(), now);
            }
            if let Some(app) = &mut self.app {
                app.listen(now);
            }
            self.heed(now);
            if self.due <= now {
                self.report(now);
            }
            if let Some(pull) = &mut self.pull {
                pull.serve(now);
            }
            if self.is_stopped(now) {
                return ExitCode::SUCCESS;
            }
        }
    }

    fn wait(&self) {
        let dues = [self.pull.as_ref().and_then(Pull::due), self.stopping.as_ref().map(Watch::due)];
        let due = dues.into_iter().flatten().fold(self.due, Instant::min);
        let all = [
            Some(self.stop.as_fd()),
            self.switch.as_ref().map(|switch| switch.link.as_fd()),
            self.app.as_ref().and_then(App::socket).map(|socket| socket.as_fd()),
            self.control.as_ref().map(|control| control.socket.as_fd()),
            self.pull.as_ref().map(|pull| pull.as_fd()),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        wait::until_readable_or(due, &all);
    }

    /// Does what is asked through the control socket.
    fn heed(&mut self, now: Instant) {
        for _ in 0..TAKEN_MAX {
            let Some((want, sender)) = self.control.as_ref().and_then(Control::request) else {
                return;
            };
            let answer = if self.stopping.is_some() && want == Want::Serve {
                "nak this agent is about to stop"
            } else {
                self.want(want, now);
                match (want, &self.switch) {
                    (Want::Serve, _) => "ok",
                    (Want::Drain, Some(switch)) => switch.drain_answer.as_deref().unwrap_or("wait"),
                    (Want::Drain, None) => "nak this agent reports to no switch (--no-push)",
                }
            };
            if let Some(control) = &self.control {
                control.socket.answer(&sender, answer);
            }
        }
    }

    /// A change is reported at once.
    fn want(&mut self, want: Want, now: Instant) {
        if self.reporter.want() == want {
            return;
        }
        self.reporter.set_want(want);
        self.due = now;
        if let Some(switch) = &mut self.switch {
            switch.drain_seq = self.reporter.next_seq();
            switch.drain_answer = None;
        }
    }

    fn report(&mut self, now: Instant) {
        let interval = match self.reporter.want() {
            Want::Serve => self.interval,
            // Somebody watches the flows fall.
            Want::Drain => self.interval.min(INTERVAL),
        };
        // Never a burst after a pause (a stopped guest, a suspended laptop).
        self.due = (self.due + interval).max(now);
        let app = self.app.as_mut().and_then(|app| app.words(now));
        let report = match self.reporter.next(app) {
            Ok(report) => report,
            Err(error) => return self.trouble.is(error),
        };
        self.trouble.is_over();
        if let Some(pull) = &mut self.pull {
            pull.tell(&report, now);
        }
        if let Some(switch) = &mut self.switch {
            switch.tell(&report);
        }
    }

    /// Whether the end has come, by a signal or after the last flow.
    fn is_stopped(&mut self, now: Instant) -> bool {
        let signalled = matches!(self.stop.read_signal(), Ok(Some(_)));
        match (&self.stopping, self.drain_on_stop) {
            (Some(_), _) if signalled => true,
            (Some(watch), _) => match watch.ending(now) {
                Some(ending) => {
                    complain(ending);
                    true
                }
                None => false,
            },
            (None, Some(wait)) if signalled => {
                self.want(Want::Drain, now);
                self.stopping = Some(Watch::new(now, wait));
                false
            }
            (None, _) => signalled,
        }
    }
}

impl Switch {
    fn new(link: Link, verbose: bool) -> Switch {
        let trouble = Trouble::new("the switch takes our reports");
        Switch { link, verbose, unanswered: 0, trouble, drain_seq: 0, drain_answer: None }
    }

    fn tell(&mut self, report: &lb::guest::report::LoadReport<'_>) {
        self.unanswered = self.unanswered.saturating_add(1);
        if let Err(error) = self.link.send(report) {
            self.trouble.is(error);
        } else if self.unanswered > UNANSWERED_MAX {
            self.trouble.is(format!("no answer from {} so far", self.link.target()));
        }
    }

    /// What the switch makes of our reports: shown if asked for, and always if it refuses them.
    fn listen(&mut self, want: Want, mut watch: Option<&mut Watch>, now: Instant) {
        for _ in 0..TAKEN_MAX {
            let Some(answer) = self.link.answer() else { return };
            self.unanswered = 0;
            if self.verbose {
                say(&answer);
            }
            let asked = match Answer::parse(answer.as_bytes()) {
                Ok(Answer::Ack(ack)) => {
                    self.trouble.is_over();
                    ack.seq.is_some_and(|seq| is_from(seq, self.drain_seq))
                }
                Ok(Answer::Nak { .. }) => {
                    self.trouble.is(format!("the switch says: {answer}"));
                    true
                }
                Err(_) => {
                    self.trouble.is(format!("{} is no switch", self.link.target()));
                    false
                }
            };
            if want == Want::Drain && asked {
                if let Some(watch) = &mut watch {
                    watch.hear(&answer, now);
                }
                self.drain_answer = Some(answer);
            }
        }
    }
}

/// Whether `seq` is `first` or comes after it, half the circle ahead at most.
fn is_from(seq: u32, first: u32) -> bool {
    seq.wrapping_sub(first) < 1 << 31
}

/// The control socket: at a path that was asked for, or else at the usual one if that can be had.
fn control(path: Option<&Path>) -> Result<Option<Control>, String> {
    match path {
        Some(path) => Control::bind(path).map(Some),
        None => Ok(Control::bind(Path::new(control::PATH))
            .map_err(|error| complain(format_args!("{error} ('drain' will not find this agent)")))
            .ok()),
    }
}

/// SIGTERM and SIGINT, as something to read. One that is sent at any time from here on is kept.
fn stop_signals() -> Result<SignalFd, String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals
        .thread_block()
        .and_then(|()| {
            SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        })
        .map_err(|errno| format!("cannot wait for signals: {}", errno.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_reports_asked_for_a_drain() {
        let cases = [(5, 5, true), (6, 5, true), (4, 5, false), (0, u32::MAX, true)];
        for (seq, first, asked) in cases {
            assert_eq!(is_from(seq, first), asked, "{seq} {first}");
        }
    }
}
