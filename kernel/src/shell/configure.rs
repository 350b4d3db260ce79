//! Configuration mode: what is done to the candidate, and what is said of that.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::Desk;
use super::grammar::Loading;
use super::parse::{Sentence, text_of, words};
use super::problem::{Error, Problem};
use super::value::Choice;
use crate::config::{Config, Reading, Statement, compare};
use crate::control::{Control, Kept, Order, Remark, cut};
use crate::seats::Place;
use crate::store::Ticket;

const EDITED: &str = "\
The candidate has changes that are not committed (compare, discard).
";
const STAYS: &str = "\
The candidate keeps its changes, which do not run: in configuration mode
'commit' makes them run, 'discard' forgets them.
";
const NOTHING_TO_WRITE: &str = "\
There is nothing to write: a configuration is kept when it is committed.
";
const NO_DISK: &str = "\
It is kept until the machine stops, for there is no configuration disk. To
keep it longer, give the machine one (run-qemu.sh --disk FILE), or save what
'show configuration' prints in a file and hand that to it: qemu -initrd FILE.
";

/// What a command says at once, and what it waits for then.
pub(super) struct Answer {
    pub said: String,
    pub saving: Option<Ticket>,
}

/// Lines on their way into the candidate.
#[derive(Debug)]
pub(super) struct Load {
    reading: Reading,
    lines: usize,
    /// What it goes on top of, by the number that the candidate had then.
    onto: Option<u64>,
}

impl Load {
    pub(super) fn begin(loading: Loading, control: &Control) -> Load {
        let (config, onto) = match loading {
            Loading::Merge => (control.candidate().clone(), Some(control.edits())),
            Loading::Replace => (Config::default(), None),
        };
        Load { reading: Reading::onto(config, control.site()), lines: 0, onto }
    }

    /// Takes a line in; `false` if it is the one that ends the load.
    pub(super) fn takes(&mut self, line: &[u8]) -> bool {
        let is_end = |line| matches!(words(line).as_slice(), [word] if word.text == "end");
        if text_of(line).is_ok_and(is_end) {
            return false;
        }
        self.line(line);
        true
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        self.reading.line(line);
    }

    /// Makes what was loaded the candidate, all of it or nothing.
    pub(super) fn end(self, control: &mut Control) -> Result<String, Vec<Error>> {
        let Load { reading, lines, onto } = self;
        if onto.is_some_and(|edits| edits != control.edits()) {
            return Err(vec![Error::whole(Problem::Overtaken)]);
        }
        control.replace_candidate(reading.end(control.site())?);
        let lines = if lines == 1 { "1 line".to_string() } else { format!("{lines} lines") };
        Ok(format!("{lines} loaded into the candidate.\n"))
    }
}

pub(super) fn enter(place: Place, control: &mut Control) -> String {
    let others: Vec<&str> = control.editors().iter().map(|place| place.as_str()).collect();
    let company = match others.join(", ") {
        names if names.is_empty() => names,
        names => format!("Also in configuration mode: {names}. You share one candidate.\n"),
    };
    control.enter(place);
    let edited = if control.is_edited() { EDITED } else { "" };
    company + edited
}

pub(super) fn leave(place: Place, control: &mut Control) -> &'static str {
    control.leave(place);
    if control.is_edited() { STAYS } else { "" }
}

pub(super) fn state(sentence: &Sentence, control: &mut Control) -> Result<(), Problem> {
    let statement = Statement::of(sentence);
    statement.map_or(Ok(()), |statement| control.edit(&statement))
}

pub(super) fn check(control: &Control) -> Result<String, Vec<Error>> {
    control.check()?;
    Ok("The candidate holds together.\n".to_string())
}

pub(super) fn commit(sentence: &Sentence, desk: &mut Desk<'_>) -> Result<Answer, Vec<Error>> {
    let cuts = sentence.choice() == Some(Choice::Now);
    if !desk.control.is_edited() {
        let ended = if cuts { cut(desk.appliance) } else { Vec::new() };
        let nothing = "There is nothing to commit: the candidate is what runs.\n";
        return Ok(Answer { said: nothing.to_string() + &said_of(&ended), saving: None });
    }
    let order = Order { trial: sentence.time(), cuts, comment: sentence.comment() };
    let done = desk.control.commit(order, desk.appliance)?;
    let answer = done.kept.map_or_else(|| on_trial(sentence.time().unwrap_or_default()), kept);
    Ok(Answer { said: answer.said + &said_of(&done.remarks), ..answer })
}

fn on_trial(time: Duration) -> Answer {
    let seconds = time.as_secs();
    let said =
        format!("On trial for {seconds} seconds, then taken back unless you type: confirm\n");
    Answer { said, saving: None }
}

pub(super) fn said_of(remarks: &[Remark]) -> String {
    remarks.iter().map(|remark| format!("{remark}\n")).collect()
}

pub(super) fn confirm(desk: &mut Desk<'_>) -> Result<Answer, Vec<Error>> {
    let confirmed = desk.control.confirm(desk.appliance.now());
    confirmed.map(kept).map_err(|problem| vec![Error::whole(problem)])
}

/// Takes back the last commit, or the one that is on trial, and says which statements that changed.
pub(super) fn undo(desk: &mut Desk<'_>) -> Result<Answer, Vec<Error>> {
    let before = desk.control.config().clone();
    let done = desk.control.undo(desk.appliance)?;
    let differences = compare(&before, desk.control.config());
    let mut said: String = differences.iter().map(|line| format!("{line}\n")).collect();
    let answer = done.kept.map_or_else(trial_ended, kept);
    said.push_str(&(answer.said + &said_of(&done.remarks)));
    Ok(Answer { said, ..answer })
}

fn trial_ended() -> Answer {
    let said = "The commit on trial is taken back. The candidate still has it.\n".to_string();
    Answer { said, saving: None }
}

pub(super) fn rollback(sentence: &Sentence, control: &mut Control) -> Result<String, Vec<Error>> {
    let back = sentence.back().unwrap_or_default();
    let config = control.committed(back).map_err(|problem| vec![Error::whole(problem)])?;
    control.replace_candidate(config);
    Ok(if control.is_edited() {
        "It is in the candidate: compare shows what commit would change.\n".to_string()
    } else {
        "The candidate is what runs.\n".to_string()
    })
}

pub(super) fn discard(control: &mut Control) -> String {
    let was_edited = control.is_edited();
    control.discard();
    let said = if was_edited { "The candidate is what runs again.\n" } else { "" };
    said.to_string()
}

/// Saves what runs if the disk does not have it, and else says how it is kept.
pub(super) fn write(desk: &mut Desk<'_>) -> Result<Answer, Vec<Error>> {
    let now = desk.appliance.now();
    let edited = if desk.control.is_edited() { EDITED } else { "" };
    if let Some(generation) = desk.control.saved_generation() {
        let said = format!("{NOTHING_TO_WRITE}{edited}The disk has it: generation {generation}.\n");
        return Ok(Answer { said, saving: None });
    }
    let written = desk.control.write(now).map_err(|problem| vec![Error::whole(problem)])?;
    let said = match written.ticket {
        None => format!("{NOTHING_TO_WRITE}{edited}{NO_DISK}"),
        Some(_) => edited.to_string(),
    };
    Ok(Answer { said, saving: written.ticket })
}

/// What is said of a configuration that is in the archive now.
fn kept(Kept { generation, ticket }: Kept) -> Answer {
    let said = match ticket {
        None => format!(
            "Generation {generation} runs until the machine stops (write says how to keep it).\n"
        ),
        Some(_) => format!("Generation {generation} runs.\n"),
    };
    Answer { said, saving: ticket }
}
