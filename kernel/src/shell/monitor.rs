//! `monitor`: a `show` again and again, once a second, until a key is pressed.
//!
//! Somebody who forgets it finds it ended after [`ROUNDS_MAX`] rounds.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use lb::Instant;

use super::Desk;
use super::grammar::Show;
use super::job::{Job, Step};
use super::parse::Sentence;
use super::problem::Error;
use super::show;
use super::units::{Age, Shown};

const INTERVAL: Duration = Duration::from_secs(1);
pub const ROUNDS_MAX: u32 = 600;

pub struct Monitor {
    what: Show,
    said: Sentence,
    next: Instant,
    left: u32,
}

impl Monitor {
    pub fn of(what: Show, said: &Sentence) -> Monitor {
        Monitor { what, said: said.clone(), next: Instant::START, left: ROUNDS_MAX }
    }
}

impl Job for Monitor {
    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        let now = desk.appliance.now();
        if self.left == 0 {
            return Step::Ends(Ok(String::new()));
        }
        if now < self.next {
            return Step::Goes(String::new());
        }
        self.next = now + INTERVAL;
        self.left -= 1;
        match show::show(self.what, &self.said, desk) {
            Ok(page) => {
                let up = Age(now.since(Instant::START)).words();
                Step::Goes(format!("--- up {up}; a key ends this ---\n{}", page.printed(&[])))
            }
            // What is looked at may go meanwhile.
            Err(problem) => Step::Ends(Err(vec![Error::whole(problem)])),
        }
    }

    fn stop(&mut self, _desk: &mut Desk<'_>) {
        self.left = 0;
    }

    fn stops_at_any_key(&self) -> bool {
        true
    }
}
