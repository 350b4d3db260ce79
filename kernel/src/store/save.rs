//! Saving a commit: what is written, in which order, and where it must have arrived before the next.

use alloc::vec::Vec;

use drivers::Request;
use drivers::disk::{BLOCK_BYTES, REQUEST_BLOCKS_MAX};

use super::format::{Superblock, TEXT_BYTES_MAX, encode_slot};
use super::open::{InForce, State};
use super::{Commit, SLOTS, SUPERBLOCKS, Task, Trouble, slot_block};

/// Work on a disk that ends in a commit being there.
pub struct Saving {
    /// The block that the store begins with.
    start: u64,
    parts: Vec<Part>,
    /// The part that is being done, and how many of its bytes are.
    at: usize,
    written: usize,
    /// What is in force when all is done.
    outcome: InForce,
}

enum Part {
    Write { block: u64, bytes: Vec<u8> },
    Flush,
}

impl State {
    /// Begins to save a commit, for `host`; with the next generation there is, if the disk has commits
    /// that are not before it. The slot that it goes to is given up at once, whatever becomes of this.
    pub fn save(&mut self, commit: &Commit, host: &str) -> Result<Saving, Trouble> {
        let bytes = commit.text.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(Trouble::TooLong { bytes });
        }
        let generation = commit.generation.max(self.newest().saturating_add(1));
        let slot = self.oldest();
        self.generations[slot] = generation;

        let mut parts = Vec::new();
        if self.in_force == InForce::Blank {
            let first = Superblock::FIRST.encode().to_vec();
            parts.extend([Part::Write { block: SUPERBLOCKS[0], bytes: first }, Part::Flush]);
        }
        let which = match self.in_force {
            InForce::Superblock { which, .. } => 1 - which,
            InForce::Blank => 1,
            InForce::Lost => 0,
        };
        let superblock = Superblock { generation, slot };
        let named = superblock.encode().to_vec();
        let bytes = encode_slot(commit, generation, host);
        parts.extend([
            Part::Write { block: slot_block(slot), bytes },
            Part::Flush,
            Part::Write { block: SUPERBLOCKS[which], bytes: named },
            Part::Flush,
        ]);
        let outcome = InForce::Superblock { which, superblock };
        Ok(Saving { start: self.start, parts, at: 0, written: 0, outcome })
    }

    /// Notes that all of it was done; says the generation.
    pub fn saved(&mut self, saving: &Saving) -> u64 {
        self.in_force = saving.outcome;
        self.committed()
    }

    /// The slot to be overwritten: never the one that counts.
    fn oldest(&self) -> usize {
        let kept = match self.in_force {
            InForce::Superblock { superblock, .. } if superblock.generation > 0 => {
                Some(superblock.slot)
            }
            InForce::Superblock { .. } | InForce::Blank | InForce::Lost => None,
        };
        let slots = (0..SLOTS).filter(|&slot| Some(slot) != kept);
        slots.min_by_key(|&slot| self.generations[slot]).unwrap_or(0)
    }

    /// The highest generation there is, committed or not.
    pub(super) fn newest(&self) -> u64 {
        let slots = self.generations.iter().copied().max().unwrap_or(0);
        match self.in_force {
            InForce::Superblock { superblock, .. } => slots.max(superblock.generation),
            InForce::Blank | InForce::Lost => slots,
        }
    }
}

impl Task for Saving {
    fn next(&self) -> Option<Request<'_>> {
        Some(match self.parts.get(self.at)? {
            Part::Flush => Request::Flush,
            Part::Write { block, bytes } => Request::Write {
                block: self.start + block + (self.written / BLOCK_BYTES) as u64,
                bytes: piece(bytes, self.written),
            },
        })
    }

    fn done(&mut self, _: &[u8]) {
        let is_whole = match &self.parts[self.at] {
            Part::Flush => true,
            Part::Write { bytes, .. } => {
                self.written += piece(bytes, self.written).len();
                self.written == bytes.len()
            }
        };
        if is_whole {
            (self.at, self.written) = (self.at + 1, 0);
        }
    }
}

/// What one request takes of the bytes from `start` on.
fn piece(bytes: &[u8], start: usize) -> &[u8] {
    let end = bytes.len().min(start + REQUEST_BLOCKS_MAX * BLOCK_BYTES);
    &bytes[start..end]
}
