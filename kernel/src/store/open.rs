//! Reading a disk: what is committed there, what is damaged, and what may be overwritten.
//!
//! The first block tells whether the store is a partition of the disk or all of it. Then superblocks,
//! the first block of every slot, and the texts, newest first. Only where neither a superblock nor a
//! slot is sound is the whole area read, to tell a blank disk from somebody's. Texts are read until they take [`TEXTS_BYTES_MAX`] together, so a disk full of the
//! longest ones does not fill the memory; older commits are then on the disk, and out of reach.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use drivers::Request;
use drivers::disk::{BLOCK_BYTES, REQUEST_BLOCKS_MAX};

use super::format::{Head, Read, Superblock, is_torn_first};
use super::{
    AREA_BLOCKS, Commit, DISK_BLOCKS_MIN, Damage, SLOTS, SUPERBLOCKS, Task, Trouble, partition,
    slot_block,
};

/// Room for a few of the longest texts, or for twenty of any that people write.
const TEXTS_BYTES_MAX: usize = 2 << 20;

/// Work on a disk that is met for the first time.
pub struct Opening {
    /// Blocks that the disk has, and the one that the store begins with.
    blocks: u64,
    start: u64,
    phase: Phase,
    superblocks: [Read<Superblock>; 2],
    slots: Vec<Slot>,
    texts_bytes: usize,
    /// Of the text that is being read.
    bytes: Vec<u8>,
}

enum Phase {
    Superblock(usize),
    Head,
    Text(usize),
    /// Looking for a byte that is not zero.
    Scan {
        block: u64,
    },
    End(End),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ours,
    Blank,
    NotOurs,
    Newer { version: u32 },
}

struct Slot {
    head: Read<Head>,
    /// Once it was read: the text, or why there is none.
    text: Option<Result<String, Damage>>,
}

/// What a disk holds, as far as saving has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The block that the store begins with.
    pub(super) start: u64,
    pub(super) in_force: InForce,
    /// By slot; 0: nothing that anybody would miss.
    pub(super) generations: [u64; SLOTS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InForce {
    /// There is no superblock, since the disk is blank.
    Blank,
    /// Both superblocks are damaged, and yet there are commits.
    Lost,
    Superblock {
        /// Which of the two.
        which: usize,
        superblock: Superblock,
    },
}

/// What a disk has to offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Newest first.
    pub commits: Vec<Commit>,
    /// Slots that are not taken, newest first.
    pub passed: Vec<Passed>,
}

/// A slot that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub slot: usize,
    /// As far as it can be known.
    pub generation: Option<u64>,
    pub damage: Damage,
}

impl Opening {
    /// For a disk of so many blocks.
    pub fn new(blocks: u64) -> Result<Opening, Trouble> {
        if blocks < DISK_BLOCKS_MIN {
            return Err(Trouble::TooSmall { bytes: blocks.saturating_mul(BLOCK_BYTES as u64) });
        }
        Ok(Opening {
            blocks,
            start: 0,
            phase: Phase::Superblock(0),
            superblocks: [Read::Blank, Read::Blank],
            slots: Vec::with_capacity(SLOTS),
            texts_bytes: 0,
            bytes: Vec::new(),
        })
    }

    /// What there is for `host`, when all was read.
    pub fn finish(self, host: &str) -> Result<(State, Found), Trouble> {
        match self.phase {
            Phase::End(End::Ours) => {
                let state = self.state();
                let found = self.found(&state, host);
                Ok((state, found))
            }
            Phase::End(End::Blank) => {
                let generations = [0; SLOTS];
                let state = State { start: self.start, in_force: InForce::Blank, generations };
                Ok((state, Found::default()))
            }
            Phase::End(End::Newer { version }) => Err(Trouble::NewerDisk { version }),
            _ => Err(Trouble::NotOurs),
        }
    }

    fn superblock(&mut self, which: usize, block: &[u8; BLOCK_BYTES]) -> Phase {
        if self.start == 0
            && let Some(start) = partition::find(block, self.blocks).filter(|_| which == 0)
        {
            self.start = start;
            return Phase::Superblock(0);
        }
        let read = Superblock::decode(block);
        if let Read::Newer { version, .. } = read {
            return Phase::End(End::Newer { version });
        }
        self.superblocks[which] = read;
        if which == 0 { Phase::Superblock(1) } else { Phase::Head }
    }

    fn head(&mut self, block: &[u8; BLOCK_BYTES]) -> Phase {
        self.slots.push(Slot { head: Head::decode(block), text: None });
        if self.slots.len() < SLOTS {
            return Phase::Head;
        }
        self.next_text()
    }

    fn head_of(&self, slot: usize) -> Option<&Head> {
        match &self.slots.get(slot)?.head {
            Read::Whole(head) => Some(head),
            Read::Blank | Read::Damaged | Read::Newer { .. } => None,
        }
    }

    /// The newest text that was not read, if there is room for it.
    fn next_text(&mut self) -> Phase {
        self.bytes.clear();
        let heads = (0..SLOTS).filter_map(|slot| Some((slot, self.head_of(slot)?)));
        let unread = heads.filter(|(slot, _)| self.slots[*slot].text.is_none());
        let newest = unread.max_by_key(|(_, head)| head.generation);
        let Some((slot, bytes)) = newest.map(|(slot, head)| (slot, head.text_bytes)) else {
            return self.after_texts();
        };
        self.texts_bytes += bytes;
        if self.texts_bytes <= TEXTS_BYTES_MAX { Phase::Text(slot) } else { self.after_texts() }
    }

    fn after_texts(&self) -> Phase {
        let has_superblock = self.superblocks.iter().any(|read| matches!(read, Read::Whole(_)));
        let has_text = self.slots.iter().any(|slot| matches!(slot.text, Some(Ok(_))));
        if has_superblock || has_text { Phase::End(End::Ours) } else { Phase::Scan { block: 0 } }
    }

    fn text(&mut self, slot: usize, read: &[u8]) -> Phase {
        self.bytes.extend_from_slice(read);
        let Some(head) = self.head_of(slot) else {
            return self.next_text();
        };
        if self.bytes.len() < head.blocks() * BLOCK_BYTES {
            return Phase::Text(slot);
        }
        let text = head.text(&self.bytes);
        self.slots[slot].text = Some(text);
        self.next_text()
    }

    fn scanned(block: u64, read: &[u8]) -> Phase {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        let is_blank = match read.split_at_checked(BLOCK_BYTES) {
            Some((first, rest)) if block == SUPERBLOCKS[0] => is_torn_first(first) && is_zero(rest),
            _ => is_zero(read),
        };
        let next = block + (read.len() / BLOCK_BYTES) as u64;
        match (is_blank, next < AREA_BLOCKS) {
            (false, _) => Phase::End(End::NotOurs),
            (true, true) => Phase::Scan { block: next },
            (true, false) => Phase::End(End::Blank),
        }
    }

    fn state(&self) -> State {
        let sound = self.superblocks.iter().enumerate().filter_map(|(which, read)| match read {
            Read::Whole(superblock) => Some((which, *superblock)),
            Read::Blank | Read::Damaged | Read::Newer { .. } => None,
        });
        let newest = sound.max_by_key(|(_, superblock)| superblock.generation);
        let in_force = newest
            .map_or(InForce::Lost, |(which, superblock)| InForce::Superblock { which, superblock });
        let mut generations = [0; SLOTS];
        for (generation, slot) in generations.iter_mut().zip(&self.slots) {
            *generation = match (&slot.head, &slot.text) {
                (Read::Whole(_), Some(Err(_))) | (Read::Blank | Read::Damaged, _) => 0,
                (Read::Whole(head), Some(Ok(_)) | None) => head.generation,
                (Read::Newer { generation, .. }, _) => *generation,
            };
        }
        State { start: self.start, in_force, generations }
    }

    fn found(self, state: &State, host: &str) -> Found {
        let committed = state.committed();
        let mut found = Found::default();
        let mut slots: Vec<(usize, Slot)> = self.slots.into_iter().enumerate().collect();
        while let Some(newest) = (0..slots.len()).max_by_key(|&at| slots[at].1.generation()) {
            let (at, slot) = slots.swap_remove(newest);
            match slot.judge(committed, host) {
                Some(Ok(commit)) => found.commits.push(commit),
                Some(Err((generation, damage))) => {
                    found.passed.push(Passed { slot: at, generation, damage });
                }
                None => {}
            }
        }
        found.miss(state);
        found
    }
}

impl Task for Opening {
    fn next(&self) -> Option<Request<'_>> {
        let (block, blocks) = match self.phase {
            Phase::Superblock(which) => (SUPERBLOCKS[which], 1),
            Phase::Head => (slot_block(self.slots.len()), 1),
            Phase::Text(slot) => {
                let read = self.bytes.len() / BLOCK_BYTES;
                let all = self.head_of(slot).map_or(0, Head::blocks);
                (slot_block(slot) + read as u64, all.saturating_sub(read))
            }
            Phase::Scan { block } => (block, (AREA_BLOCKS - block) as usize),
            Phase::End(_) => return None,
        };
        let block = self.start + block;
        Some(Request::Read { block, blocks: blocks.min(REQUEST_BLOCKS_MAX) })
    }

    fn done(&mut self, read: &[u8]) {
        let first: Option<&[u8; BLOCK_BYTES]> = read.first_chunk();
        self.phase = match (&self.phase, first) {
            (Phase::Superblock(which), Some(block)) => self.superblock(*which, block),
            (Phase::Head, Some(block)) => self.head(block),
            (Phase::Text(slot), Some(_)) => self.text(*slot, read),
            (Phase::Scan { block }, Some(_)) => Opening::scanned(*block, read),
            (Phase::End(end), _) => Phase::End(*end),
            // Less than was asked for is nothing to go by.
            (_, None) => Phase::End(End::NotOurs),
        };
    }
}

impl State {
    /// The last generation that counts. Where both superblocks are lost it is the newest there is.
    pub(super) fn committed(&self) -> u64 {
        match self.in_force {
            InForce::Blank => 0,
            InForce::Lost => self.generations.iter().copied().max().unwrap_or(0),
            InForce::Superblock { superblock, .. } => superblock.generation,
        }
    }
}

impl Slot {
    /// As it says itself.
    fn generation(&self) -> Option<u64> {
        match &self.head {
            Read::Blank | Read::Damaged => None,
            Read::Whole(head) => Some(head.generation),
            Read::Newer { generation, .. } => Some(*generation),
        }
    }

    /// What is to be made of it: a commit, or a damage and whose; nothing of a blank one, and of one
    /// that there was no room for.
    fn judge(self, committed: u64, host: &str) -> Option<Result<Commit, (Option<u64>, Damage)>> {
        let head = match self.head {
            Read::Blank => return None,
            Read::Damaged => return Some(Err((None, Damage::Checksum))),
            Read::Newer { version, generation } => {
                return Some(Err((Some(generation), Damage::Newer { version })));
            }
            Read::Whole(head) => head,
        };
        let Head { generation, time, comment, host: theirs, .. } = head;
        let is_others = !host.is_empty() && !theirs.is_empty() && theirs != host;
        let commit = match self.text? {
            _ if generation > committed => Err(Damage::Unfinished),
            Err(damage) => Err(damage),
            Ok(_) if is_others => Err(Damage::OtherHost { host: theirs }),
            Ok(text) => Ok(Commit { generation, text, comment, time }),
        };
        Some(commit.map_err(|damage| (Some(generation), damage)))
    }
}

impl Found {
    /// Notes that the commit which counts is not there, unless that is known already.
    fn miss(&mut self, state: &State) {
        let InForce::Superblock { superblock, .. } = state.in_force else {
            return;
        };
        let Superblock { generation, slot } = superblock;
        let is_known = self.commits.iter().any(|commit| commit.generation == generation)
            || self.passed.iter().any(|passed| passed.generation == Some(generation));
        if generation == 0 || is_known {
            return;
        }
        let damaged = Passed { slot, generation: Some(generation), damage: Damage::Checksum };
        match self.passed.iter_mut().find(|passed| passed.slot == slot) {
            // What it says of itself is wrong.
            Some(passed) => *passed = damaged,
            None => self.passed.insert(0, damaged),
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "generation {generation} in slot {}", self.slot)?,
            None => write!(f, "slot {}", self.slot)?,
        }
        write!(f, " is not taken: {}", self.damage)
    }
}
