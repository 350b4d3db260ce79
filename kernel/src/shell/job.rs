//! Jobs: commands that take longer than a turn of the loop.
//!
//! Most commands are answered at once. One that is not leaves a job with the shell, and the console
//! gives it a step at each visit, so nothing waits for it: it prints what it has, and in the end it
//! answers like any command. As long as one runs there is no prompt, and what is typed waits; only
//! Ctrl-C (or any key, if the job says so) is taken, and asks it to stop.

use alloc::string::String;
use alloc::vec::Vec;

use super::Desk;
use super::problem::Error;

pub trait Job {
    /// A bounded piece of work.
    fn step(&mut self, desk: &mut Desk<'_>) -> Step;

    /// Somebody has had enough: one of the next steps ends it, and soon, if it can be ended.
    fn stop(&mut self, desk: &mut Desk<'_>);

    /// Whether a person may stop it by any key.
    fn stops_at_any_key(&self) -> bool {
        false
    }
}

/// How far a job is.
pub enum Step {
    /// It goes on; this is to be printed meanwhile.
    Goes(String),
    /// It is over; this is the answer to its command.
    Ends(Result<String, Vec<Error>>),
}
