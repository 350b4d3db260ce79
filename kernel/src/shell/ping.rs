//! `ping`: echo requests from the management address, one a second, and a line for each.
//!
//! It ends with what all of them came to: after the last answer, or at Ctrl-C. That nobody has
//! answered is an error, so that a program sees it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use lb::Instant;
use lb::management::{PingId, PingOutcome};

use super::Desk;
use super::job::{Job, Step};
use super::parse::Sentence;
use super::problem::{Error, Problem};

const INTERVAL: Duration = Duration::from_secs(1);
/// How many are sent if nothing is said.
const COUNT_DEFAULT: u16 = 5;

pub struct Pinging {
    to: IpAddr,
    left: u16,
    next: Instant,
    under_way: Option<PingId>,
    tally: Tally,
    /// What is still to be said: the end of it.
    failure: Option<Problem>,
}

/// In milliseconds, to the microsecond.
struct Millis(Duration);

/// What has come of all of them.
#[derive(Default)]
struct Tally {
    sent: u32,
    /// How long each answer took.
    answered: u32,
    least: Duration,
    most: Duration,
    sum: Duration,
}

impl Pinging {
    /// Sends the first one, unless it cannot be sent.
    pub fn begin(said: &Sentence, desk: &mut Desk<'_>) -> Result<Pinging, Problem> {
        let to = said.address().ok_or(Problem::Incomplete { expected: vec!["ADDRESS"] })?;
        let left = said.echoes().unwrap_or(COUNT_DEFAULT);
        let next = desk.appliance.now();
        let tally = Tally::default();
        let mut pinging = Pinging { to, left, next, under_way: None, tally, failure: None };
        pinging.send(desk)?;
        Ok(pinging)
    }

    fn send(&mut self, desk: &mut Desk<'_>) -> Result<(), Problem> {
        let now = desk.appliance.now();
        let begun = desk.appliance.dataplane.ping(self.to, now);
        let id =
            begun.map_err(|refusal| Problem::NoPing { to: self.to, refusal: Box::new(refusal) })?;
        (self.under_way, self.next) = (Some(id), now + INTERVAL);
        self.left -= 1;
        self.tally.sent += 1;
        Ok(())
    }

    /// The line of a ping that is over.
    fn line(&self, outcome: PingOutcome) -> String {
        let (number, to) = (self.tally.sent, self.to);
        match outcome {
            PingOutcome::Answered { took, ttl } => {
                format!("{number}: {to} answers after {}, TTL {ttl}\n", Millis(took))
            }
            PingOutcome::Silence => format!("{number}: no answer from {to}\n"),
            PingOutcome::NoNeighbor(hop) if hop == to => {
                format!("{number}: nobody on the uplinks says where {to} is\n")
            }
            PingOutcome::NoNeighbor(hop) => {
                format!("{number}: nobody on the uplinks says where the gateway {hop} is\n")
            }
            PingOutcome::Unreachable { by } => format!("{number}: {by} knows no way to {to}\n"),
        }
    }

    /// Says what all came to; an error is said by itself then.
    fn end(&mut self, mut text: String, failure: Option<Problem>) -> Step {
        text.push_str(&self.tally.words());
        let silence = Problem::NoAnswer { to: self.to };
        self.failure = failure.or((self.tally.answered == 0).then_some(silence));
        if self.failure.is_some() { Step::Goes(text) } else { Step::Ends(Ok(text)) }
    }
}

impl Job for Pinging {
    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        if let Some(failure) = self.failure.take() {
            return Step::Ends(Err(vec![Error::whole(failure)]));
        }
        let now = desk.appliance.now();
        let mut text = String::new();
        if let Some(id) = self.under_way {
            let Some(outcome) = desk.appliance.dataplane.ping_outcome(id, now) else {
                return Step::Goes(text);
            };
            self.under_way = None;
            self.tally.take(outcome);
            text.push_str(&self.line(outcome));
        }
        if self.left == 0 {
            return self.end(text, None);
        }
        if now >= self.next
            && let Err(problem) = self.send(desk)
        {
            return self.end(text, Some(problem));
        }
        Step::Goes(text)
    }

    fn stop(&mut self, _desk: &mut Desk<'_>) {
        (self.under_way, self.left) = (None, 0);
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03} ms", micros / 1000, micros % 1000)
    }
}

impl Tally {
    fn take(&mut self, outcome: PingOutcome) {
        let PingOutcome::Answered { took, .. } = outcome else {
            return;
        };
        self.least = if self.answered == 0 { took } else { self.least.min(took) };
        self.most = self.most.max(took);
        self.sum += took;
        self.answered += 1;
    }

    fn words(&self) -> String {
        let Tally { sent, answered, least, most, sum } = *self;
        let lost = (100 * (sent - answered)).checked_div(sent).unwrap_or(0);
        let mut words = format!("{sent} sent, {answered} received, {lost}% lost");
        if let Some(mean) = sum.checked_div(answered) {
            let [least, mean, most] = [least, mean, most].map(Millis);
            words.push_str(&format!("; min {least}, avg {mean}, max {most}"));
        }
        words + "\n"
    }
}
