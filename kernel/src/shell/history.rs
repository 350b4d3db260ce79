//! The lines that were typed before: the last 64, each once in a row.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

const LINES_MAX: usize = 64;

#[derive(Debug, Default)]
pub struct History {
    /// Oldest first.
    lines: VecDeque<Vec<u8>>,
    /// Which line is being looked at; `None` is the one that is being typed.
    at: Option<usize>,
    /// What was typed before the first look back.
    draft: Vec<u8>,
}

impl History {
    pub fn add(&mut self, line: &[u8]) {
        self.at = None;
        if line.trim_ascii().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_vec());
    }

    /// The line before the one that is looked at; `current` is kept to come back to.
    pub fn older(&mut self, current: &[u8]) -> Option<&[u8]> {
        let at = match self.at {
            None => {
                self.draft = current.to_vec();
                self.lines.len().checked_sub(1)?
            }
            Some(at) => at.checked_sub(1)?,
        };
        self.at = Some(at);
        self.lines.get(at).map(Vec::as_slice)
    }

    /// The line after it; in the end what was being typed.
    pub fn newer(&mut self) -> Option<&[u8]> {
        let at = self.at? + 1;
        match self.lines.get(at) {
            Some(line) => {
                self.at = Some(at);
                Some(line)
            }
            None => {
                self.at = None;
                Some(&self.draft)
            }
        }
    }

    /// Back to the line that is being typed.
    pub fn rest(&mut self) {
        self.at = None;
    }

    /// The newest line before `before` that holds `text`, with its number.
    pub fn search(&self, text: &[u8], before: Option<usize>) -> Option<(usize, &[u8])> {
        let end = before.unwrap_or(self.lines.len());
        let holds = |line: &[u8]| line.windows(text.len().max(1)).any(|part| part == text);
        let lines = self.lines.iter().enumerate().take(end).rev();
        lines.map(|(at, line)| (at, line.as_slice())).find(|(_, line)| holds(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn back_and_forth_and_back_to_the_draft() {
        let mut history = History::default();
        for line in ["one", "two", "two", "  ", "three"] {
            history.add(line.as_bytes());
        }
        assert_eq!(history.older(b"dra"), Some(&b"three"[..]));
        assert_eq!(history.older(b"three"), Some(&b"two"[..]));
        assert_eq!(history.older(b"two"), Some(&b"one"[..]));
        assert_eq!(history.older(b"one"), None);
        assert_eq!(history.newer(), Some(&b"two"[..]));
        assert_eq!(history.newer(), Some(&b"three"[..]));
        assert_eq!(history.newer(), Some(&b"dra"[..]));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut history = History::default();
        for number in 0..100 {
            history.add(format!("line {number}").as_bytes());
        }
        assert_eq!(history.lines.len(), LINES_MAX);
        assert_eq!(history.search(b"line 35", None), None);
        assert_eq!(history.search(b"line 36", None).unwrap().0, 0);
    }
}
