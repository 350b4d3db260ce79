//! Draining: asking for no new flows and waiting until the old ones have ended.
//!
//! [`Watch`] is the waiting, of the command `drain` and of an agent that drains before it stops:
//! it reads the switch's answers and says when it is over and how. A switch that does not answer
//! is not waited for: a guest's shutdown must not hang because its host has another switch.
//!
//! The command asks the agent that runs; where none does it reports by itself. Either way the word
//! holds at the switch after the command has ended, until the agent says otherwise, another agent
//! begins its life or an hour has passed.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lb::guest::load::INTERVAL;
use lb::guest::report::{Ack, AckState, Answer};

use crate::control::Client;
use crate::link::Link;
use crate::notice::say;
use crate::reporter::{Reporter, Want};

/// Silence after which nobody is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How often the agent that runs is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The waiting for the last flow.
pub struct Watch {
    deadline: Instant,
    /// When the switch last acknowledged a report, or the waiting began.
    heard: Instant,
    last: Option<Ack>,
    /// Why the switch, or the agent that runs, does not do as asked.
    refused: Option<String>,
}

/// How a drain ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Drained,
    /// The deadline has passed with so many flows open.
    Late {
        flows: u32,
    },
    /// No switch acknowledged, perhaps for a reason.
    Silence(Option<String>),
}

/// By whom the switch is asked.
pub enum Asker {
    Running(Client),
    Alone(Box<Alone>),
}

/// What it takes to report without an agent that runs.
pub struct Alone {
    reporter: Reporter,
    link: Link,
    interval: Duration,
    due: Instant,
}

/// Asks for a drain and waits for its end, telling how it goes.
pub fn run(mut asker: Asker, wait: Duration) -> Ending {
    let mut watch = Watch::new(Instant::now(), wait);
    loop {
        let answer = asker.answer();
        let now = Instant::now();
        if let Some(flows) = answer.and_then(|answer| watch.hear(&answer, now)) {
            say(format_args!("flows open: {flows}"));
        }
        if let Some(ending) = watch.ending(now) {
            return ending;
        }
    }
}

impl Watch {
    pub fn new(now: Instant, wait: Duration) -> Watch {
        Watch { deadline: now + wait, heard: now, last: None, refused: None }
    }

    /// Takes an answer to a report that asked for a drain; gives the open flows if they changed.
    pub fn hear(&mut self, answer: &str, now: Instant) -> Option<u32> {
        match Answer::parse(answer.as_bytes()) {
            Ok(Answer::Ack(ack)) => {
                let before = self.last.replace(ack);
                if before.is_none_or(|before| before.seq != ack.seq) {
                    self.heard = now;
                }
                self.refused = None;
                before.is_none_or(|before| before.flows != ack.flows).then_some(ack.flows)
            }
            Ok(Answer::Nak { why, .. }) => {
                self.refused = Some(why.to_owned());
                None
            }
            // The agent that runs has nothing to tell yet.
            Err(_) => None,
        }
    }

    pub fn ending(&self, now: Instant) -> Option<Ending> {
        let silent = now.saturating_duration_since(self.heard) >= SILENCE_MAX;
        match &self.last {
            Some(ack) if is_drained(ack) => Some(Ending::Drained),
            Some(ack) if now >= self.deadline && !silent => Some(Ending::Late { flows: ack.flows }),
            _ if silent || now >= self.deadline => Some(Ending::Silence(self.refused.clone())),
            _ => None,
        }
    }

    /// When to look again at the latest.
    pub fn due(&self) -> Instant {
        self.deadline.min(self.heard + SILENCE_MAX)
    }
}

/// No flow comes and none is left; a guest that an operator or a check took out is out as well.
fn is_drained(ack: &Ack) -> bool {
    match ack.state {
        AckState::Drained => true,
        AckState::Maint | AckState::Down => ack.flows == 0,
        AckState::Up | AckState::Drain => false,
    }
}

impl Ending {
    /// The command's exit status; 1 and 2 are the errors that every command may end with.
    pub fn status(&self) -> u8 {
        match self {
            Ending::Drained => 0,
            Ending::Late { .. } => 3,
            Ending::Silence(_) => 4,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Drained => f.write_str("drained"),
            Ending::Late { flows } => write!(f, "not drained in time, flows open: {flows}"),
            Ending::Silence(None) => f.write_str("no switch answers"),
            Ending::Silence(Some(why)) => write!(f, "no switch drains this guest: {why}"),
        }
    }
}

impl Asker {
    /// The agent that runs, or the means to report without one.
    pub fn find(
        control: &Path,
        interval: Duration,
        alone: impl FnOnce() -> Result<(Reporter, Link), String>,
    ) -> Result<Asker, String> {
        if let Some(client) = Client::find(control)? {
            return Ok(Asker::Running(client));
        }
        let (reporter, link) = alone()?;
        let (interval, due) = (interval.min(INTERVAL), Instant::now());
        Ok(Asker::Alone(Box::new(Alone { reporter, link, interval, due })))
    }

    /// What the switch answered, if anything, after a while.
    fn answer(&mut self) -> Option<String> {
        match self {
            Asker::Running(client) => {
                let due = Instant::now() + ASK_EVERY;
                let answer = client.ask(Want::Drain, due);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                answer
            }
            Asker::Alone(alone) => alone.answer(),
        }
    }
}

impl Alone {
    fn answer(&mut self) -> Option<String> {
        if self.due <= Instant::now() {
            self.due = Instant::now() + self.interval;
            // No route is silence, and the next report may have one.
            let _ = self.reporter.next(None).and_then(|report| self.link.send(&report));
        }
        self.link.answer_before(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(60);

    fn ack(seq: u32, state: &str, flows: u32) -> String {
        format!("ack seq={seq} state={state} weight=0 flows={flows} new=0 ended=0")
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn flows_fall_and_then_it_is_drained() {
        let start = Instant::now();
        let mut watch = Watch::new(start, WAIT);
        assert_eq!(watch.hear("wait", start), None);
        for (seq, flows, told) in [(1, 3, Some(3)), (2, 3, None), (3, 1, Some(1)), (4, 0, Some(0))]
        {
            assert_eq!(watch.hear(&ack(seq, "drain", flows), start), told);
            assert_eq!(watch.ending(start), None);
        }
        assert_eq!(watch.hear(&ack(5, "drained", 0), start), None);
        assert_eq!(watch.ending(start), Some(Ending::Drained));
    }

    #[test]
    fn what_counts_as_drained() {
        let start = Instant::now();
        let cases = [
            ("up", 0, false),
            ("up", 1, false),
            ("drain", 0, false),
            ("drain", 1, false),
            ("drained", 0, true),
            ("maint", 0, true),
            ("maint", 1, false),
            ("down", 0, true),
            ("down", 1, false),
        ];
        for (state, flows, drained) in cases {
            let mut watch = Watch::new(start, WAIT);
            watch.hear(&ack(1, state, flows), start);
            let ending = watch.ending(start);
            assert_eq!(ending, drained.then_some(Ending::Drained), "{state} {flows}");
        }
    }

    #[test]
    fn the_deadline() {
        let start = Instant::now();
        let mut watch = Watch::new(start, s(7));
        watch.hear(&ack(1, "drain", 2), start + s(4));
        assert_eq!(watch.due(), start + s(7));
        assert_eq!(watch.ending(start + s(6)), None);
        assert_eq!(watch.ending(start + s(7)), Some(Ending::Late { flows: 2 }));
        let watch = Watch::new(start, s(2));
        assert_eq!(watch.ending(start + s(2)), Some(Ending::Silence(None)), "nobody was there");
    }

    #[test]
    fn nobody_waits_for_a_silent_switch() {
        let start = Instant::now();
        let mut watch = Watch::new(start, WAIT);
        assert_eq!(watch.due(), start + SILENCE_MAX);
        assert_eq!(watch.ending(start + s(4)), None);
        assert_eq!(watch.ending(start + s(5)), Some(Ending::Silence(None)));

        watch.hear(&ack(1, "drain", 2), start + s(4));
        watch.hear(&ack(1, "drain", 2), start + s(8));
        assert_eq!(watch.ending(start + s(8)), None);
        assert_eq!(
            watch.ending(start + s(9)),
            Some(Ending::Silence(None)),
            "one answer, told twice"
        );

        let mut watch = Watch::new(start, WAIT);
        watch.hear("nak this guest is no real", start + s(4));
        let why = Ending::Silence(Some("this guest is no real".into()));
        assert_eq!(watch.ending(start + s(5)), Some(why));
    }

    #[test]
    fn endings_as_text_and_status() {
        let cases = [
            (Ending::Drained, 0, "drained"),
            (Ending::Late { flows: 3 }, 3, "not drained in time, flows open: 3"),
            (Ending::Silence(None), 4, "no switch answers"),
            (Ending::Silence(Some("no".into())), 4, "no switch drains this guest: no"),
        ];
        for (ending, status, text) in cases {
            assert_eq!((ending.status(), ending.to_string().as_str()), (status, text));
        }
    }
}
