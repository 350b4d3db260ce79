//! What a person is told: lines on standard output, complaints on standard error.

use std::fmt::Display;
use std::io::Write;

/// To standard output; if nobody reads it, that is no reason to stop.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub fn complain(what: impl Display) {
    let _ = writeln!(std::io::stderr(), "fulcrum-agent: {what}");
}

/// What is wrong with one thing, said once and not twice a second, and so is its end.
pub struct Trouble {
    what: Option<String>,
    /// What is said when it is over.
    relief: String,
}

impl Trouble {
    pub fn new(relief: impl Into<String>) -> Trouble {
        Trouble { what: None, relief: relief.into() }
    }

    pub fn is(&mut self, what: String) {
        if self.what.as_ref() != Some(&what) {
            complain(&what);
            self.what = Some(what);
        }
    }

    pub fn is_over(&mut self) {
        if self.what.take().is_some() {
            complain(&self.relief);
        }
    }
}
