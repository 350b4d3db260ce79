//! The archive: configurations that ran, to go back to.
//!
//! The newest [`COMMITS_MAX`] are kept; the oldest gives way. They are kept as text, which is small,
//! is what a disk holds, and reads back as the very configuration that it was ([`Archive::get`]).
//! Each has a generation, more than that of any before, which it keeps for ever; a place counts back
//! from the newest, which is at 0.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use core::time::Duration;

use lb::Instant;

use super::{Config, read};

/// Configurations that are kept, the running one included.
pub const COMMITS_MAX: usize = 20;
/// Longest comment, in characters.
pub const COMMENT_CHARS_MAX: usize = 80;

/// A configuration that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub generation: u64,
    pub since: Since,
    pub comment: Option<String>,
    /// Its `set` lines.
    pub text: Box<str>,
}

/// When a configuration came to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    At(Instant),
    /// So long before the machine's clock began.
    Before(Duration),
    /// At some time before this start of the machine.
    Earlier,
}

/// The last commits, newest first.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    commits: VecDeque<Commit>,
    /// The generation of the next one.
    next: u64,
}

impl Since {
    /// How long ago that is, if it is known.
    pub fn ago(self, now: Instant) -> Option<Duration> {
        match self {
            Since::At(at) => Some(now.since(at)),
            Since::Before(time) => Some(time + now.since(Instant::START)),
            Since::Earlier => None,
        }
    }
}

impl Archive {
    /// Takes in what runs from `at` on, unless it is the newest already; its generation.
    pub fn push(&mut self, config: &Config, comment: Option<String>, at: Instant) -> u64 {
        let text = config.to_string().into_boxed_str();
        if let Some(newest) = self.newest().filter(|newest| newest.text == text) {
            return newest.generation;
        }
        let generation = self.next;
        self.restore(Commit { generation, since: Since::At(at), comment, text });
        generation
    }

    /// Takes in a commit as it was kept somewhere else, newer than all that are here.
    pub fn restore(&mut self, commit: Commit) {
        self.pass_over(commit.generation);
        self.commits.truncate(COMMITS_MAX - 1);
        self.commits.push_front(commit);
    }

    /// Generations up to this one are taken, by commits that are not here.
    pub fn pass_over(&mut self, generation: u64) {
        self.next = self.next.max(generation + 1);
    }

    /// Gives the newest the next generation, if its own is taken.
    pub fn renew(&mut self, is_taken: impl FnOnce(u64) -> bool) {
        if let Some(newest) = self.commits.front_mut()
            && is_taken(newest.generation)
        {
            newest.generation = self.next;
            self.next += 1;
        }
    }

    pub fn newest(&self) -> Option<&Commit> {
        self.commits.front()
    }

    /// All of them, newest first.
    pub fn commits(&self) -> impl ExactSizeIterator<Item = &Commit> {
        self.commits.iter()
    }

    /// The configuration so many places back; 0 is the newest.
    pub fn get(&self, back: usize) -> Option<Config> {
        self.commits.get(back).map(|commit| read(commit.text.as_bytes()).config)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    fn named(number: u64) -> Config {
        let text = format!("set system hostname h{number}\nset port p1 role guest\n");
        read(text.as_bytes()).config
    }

    #[test]
    fn the_newest_are_kept_and_read_back() {
        let mut archive = Archive::default();
        assert_eq!((archive.newest(), archive.get(0)), (None, None));
        for number in 0..25 {
            let comment = (number == 24).then(|| "the last".to_string());
            assert_eq!(archive.push(&named(number), comment, Instant::START), number);
        }
        for back in 0..COMMITS_MAX {
            assert_eq!(archive.get(back), Some(named(24 - back as u64)));
        }
        assert_eq!(archive.get(COMMITS_MAX), None);
        let generations: Vec<u64> = archive.commits().map(|commit| commit.generation).collect();
        assert_eq!(generations, (5..25).rev().collect::<Vec<_>>());
        assert_eq!(archive.newest().unwrap().comment.as_deref(), Some("the last"));
        assert_eq!(archive.push(&named(24), None, Instant::START), 24, "it is the newest already");
        assert_eq!(archive.get(1), Some(named(23)));
    }

    #[test]
    fn what_was_kept_elsewhere_keeps_its_generation() {
        let mut archive = Archive::default();
        let text = named(1).to_string().into_boxed_str();
        archive.restore(Commit { generation: 41, since: Since::Earlier, comment: None, text });
        assert_eq!(archive.push(&named(2), None, Instant::START), 42);
        assert_eq!((archive.get(0), archive.get(1)), (Some(named(2)), Some(named(1))));
    }

    #[test]
    fn a_generation_that_is_taken_is_given_to_nobody() {
        let mut archive = Archive::default();
        archive.renew(|_| true);
        archive.pass_over(41);
        assert_eq!(archive.push(&named(1), None, Instant::START), 42);
        archive.pass_over(7);
        archive.renew(|generation| generation != 42);
        assert_eq!(archive.newest().unwrap().generation, 42);
        archive.renew(|generation| generation == 42);
        assert_eq!(archive.newest().unwrap().generation, 43);
        assert_eq!(archive.push(&named(2), None, Instant::START), 44);
        assert_eq!(archive.get(1), Some(named(1)));
    }
}
