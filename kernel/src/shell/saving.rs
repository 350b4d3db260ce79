//! The end of a command that saves: it is done when the disk says that it has what was committed, or
//! that it does not.
//!
//! What was committed runs meanwhile. Ctrl-C ends the waiting, not the saving.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use super::Desk;
use super::job::{Job, Step};
use super::problem::{Error, Problem};
use crate::store::{Outcome, Ticket};

const NOT_WAITED_FOR: &str = "\
Saving goes on; how it ends will be in the log (show log).
";

pub struct Saving {
    ticket: Ticket,
    is_waited_for: bool,
}

impl Saving {
    pub fn of(ticket: Ticket) -> Saving {
        Saving { ticket, is_waited_for: true }
    }
}

impl Job for Saving {
    fn step(&mut self, _desk: &mut Desk<'_>) -> Step {
        match self.ticket.outcome() {
            Outcome::Waiting if self.is_waited_for => Step::Goes(String::new()),
            Outcome::Waiting => Step::Ends(Ok(NOT_WAITED_FOR.to_string())),
            Outcome::Saved { generation } => {
                Step::Ends(Ok(format!("Saved as generation {generation}.\n")))
            }
            Outcome::NotSaved(trouble) => {
                Step::Ends(Err(vec![Error::whole(Problem::NotSaved(trouble))]))
            }
        }
    }

    fn stop(&mut self, _desk: &mut Desk<'_>) {
        self.is_waited_for = false;
    }
}
