//! The store: committed configurations on a small raw disk, so that they outlive the machine.
//!
//! ```text
//!   block  0            1 … 100    101 … 200         1901 … 2000    2001
//!          ├ superblock ┼ slot 0 ──┼ slot 1 ──┼ … ───┼ slot 19 ─────┼ superblock ┤
//! ```
//!
//! A block has 4 KiB. A slot holds one committed configuration: a head and the text, under one
//! checksum. A superblock names a generation and its slot, and that is what a commit is: a generation
//! counts from the moment that a superblock says so.
//!
//! Saving takes the slot with the oldest generation, never the one that the superblock in force
//! names; writes it, flushes; writes the superblock that is not in force, flushes. A power cut at any
//! byte of that leaves the superblock in force and its slot as they were; a slot that was whole by then
//! is among the older ones as soon as a later commit counts. The two superblocks lie at
//! both ends, and nothing shares a block with anything else, because disks tear larger pieces than
//! sectors.
//!
//! All of this may also be a partition of the disk that the machine boots from (`partition.rs`).
//!
//! A disk that is all zero is blank: it is given its first superblock with the first commit, not by
//! being there. That superblock is the same on every disk, so one that was torn while it was written
//! is known for what it is. A disk with anything else on it is somebody's, and never written to; nor
//! is one of a newer format. Nothing that is read is believed before its checksum, and no length
//! before its bound.
//!
//! **Whose configuration is it?** The command line may name the host (`host=NAME`). Slots carry the
//! name of the host that committed them, and one of another host is not taken, so that a disk which was
//! cloned does not bring the same virtual addresses to life twice. Where either has no name, every
//! slot is taken: whoever replaces a machine just gives the disk to the new one.
//!
//! Here nothing touches a device: [`Opening`] and [`Saving`] say which request is next and are told
//! when it is done ([`Task`]). [`Keeper`] drives them.

mod format;
mod keeper;
mod open;
mod partition;
mod save;
mod trouble;

use alloc::string::String;

use drivers::Request;
use drivers::disk::BLOCK_BYTES;

pub use format::{COMMENT_BYTES_MAX, HOST_BYTES_MAX, TEXT_BYTES_MAX};
pub use keeper::{Keeper, Outcome, Ticket};
pub use open::{Found, Opening, Passed, State};
pub use save::Saving;
pub use trouble::{Damage, Trouble};

/// Commits that a disk holds.
pub const SLOTS: usize = 20;
/// A disk that is smaller is not used; of a larger one the rest is left alone.
pub const DISK_BYTES_MIN: u64 = 8 << 20;

const SLOT_BLOCKS: u64 = 100;
const SUPERBLOCKS: [u64; 2] = [0, 1 + SLOTS as u64 * SLOT_BLOCKS];
/// Blocks that are ours.
const AREA_BLOCKS: u64 = SUPERBLOCKS[1] + 1;
const DISK_BLOCKS_MIN: u64 = DISK_BYTES_MIN / BLOCK_BYTES as u64;

const _: () = assert!(AREA_BLOCKS <= DISK_BLOCKS_MIN);

/// A committed configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// More than that of any commit before.
    pub generation: u64,
    pub text: String,
    pub comment: String,
    /// Seconds since 1970 UTC, if it was known.
    pub time: Option<u64>,
}

/// Work on a disk: one request after the other.
pub trait Task {
    /// What is to be done next; `None` when all is.
    fn next(&self) -> Option<Request<'_>>;

    /// It was done; with what was read, if it was a read.
    fn done(&mut self, read: &[u8]);
}

fn slot_block(slot: usize) -> u64 {
    1 + slot as u64 * SLOT_BLOCKS
}
