//! What is kept beyond the machine's own life: the archive takes over what the disk has, and the disk
//! is given what the archive takes in.

use alloc::string::String;
use core::time::Duration;

use lb::Instant;

use super::Control;
use crate::config::archive::{self, Since};
use crate::shell::problem::Problem;
use crate::store::{self, Keeper, Ticket};

/// A configuration that is in the archive.
#[derive(Debug)]
pub struct Kept {
    pub generation: u64,
    /// Asks how saving it goes; `None`: there is no disk.
    pub ticket: Option<Ticket>,
}

impl Control {
    /// Takes over a disk, before anything is started with: its commits, newest first, may be gone back to,
    /// and what is committed from here on is saved there, with its time if it is known when the clock
    /// `began`, in seconds since 1970.
    pub fn adopt(&mut self, keeper: Keeper, commits: &[store::Commit], began: Option<u64>) {
        let since = |time: Option<u64>| {
            // A clock that was set back knows nothing of then.
            let seconds = began?.checked_sub(time?)?;
            Some(Since::Before(Duration::from_secs(seconds)))
        };
        for store::Commit { generation, text, comment, time } in commits.iter().rev() {
            self.archive.restore(archive::Commit {
                generation: *generation,
                since: since(*time).unwrap_or(Since::Earlier),
                comment: Some(comment.clone()).filter(|comment| !comment.is_empty()),
                text: text.as_str().into(),
            });
        }
        (self.keeper, self.began) = (keeper, began);
        self.pass_over_saved();
    }

    /// The generation that runs, if the disk has it as its newest.
    pub fn saved_generation(&self) -> Option<u64> {
        let archived = self.archive.newest().map(|newest| newest.generation);
        archived.filter(|_| self.trial.is_none() && archived == self.keeper.generation())
    }

    /// The generation that was committed since the start and that the disk has for the next one.
    pub fn next_start(&self) -> Option<u64> {
        let saved = self.keeper.generation()?;
        let is_it = |commit: &archive::Commit| {
            commit.generation == saved && matches!(commit.since, Since::At(_))
        };
        self.archive.commits().any(is_it).then_some(saved)
    }

    /// Saves what runs once more, after that was in vain or because it was never committed.
    pub fn write(&mut self, now: Instant) -> Result<Kept, Problem> {
        if let Some(left) = self.on_trial(now) {
            return Err(Problem::OnTrial { left });
        }
        self.pass_over_saved();
        let taken = self.keeper.newest();
        self.archive.renew(|generation| Some(generation) <= taken);
        Ok(self.save(now))
    }

    /// Whether a commit is on its way to the disk.
    pub fn is_saving(&self) -> bool {
        self.keeper.is_saving()
    }

    /// Keeps the running configuration, here and on the disk.
    pub(super) fn keep(&mut self, comment: Option<String>, now: Instant) -> Kept {
        self.pass_over_saved();
        self.file(comment, now);
        self.save(now)
    }

    /// The archive's newest, to the disk.
    fn save(&mut self, now: Instant) -> Kept {
        let newest = self.archive.newest().expect("the plain switch was filed at the beginning");
        let archive::Commit { generation, comment, text, since } = newest;
        let ago = since.ago(now).map(|ago| ago.as_secs());
        let today = self.began.map(|began| began + now.since(Instant::START).as_secs());
        let generation = *generation;
        let commit = store::Commit {
            generation,
            text: text.as_ref().into(),
            comment: comment.clone().unwrap_or_default(),
            time: today.zip(ago).map(|(today, ago)| today.saturating_sub(ago)),
        };
        Kept { generation, ticket: self.keeper.save(commit, now) }
    }

    /// The disk may have heard of more generations than it has commits, and may have been read only
    /// after the start.
    fn pass_over_saved(&mut self) {
        if let Some(generation) = self.keeper.newest() {
            self.archive.pass_over(generation);
        }
    }
}
