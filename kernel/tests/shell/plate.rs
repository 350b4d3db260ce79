//! A disk in memory that holds configurations, and the machines that start with it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use drivers::disk::BLOCK_BYTES;
use drivers::{Disk, DiskFault, Request};
use kernel::start::{Note, Start, offers_of};
use kernel::store::{DISK_BYTES_MIN, Found, Keeper, Trouble};
use lb::Instant;

use super::desk::Bench;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Prompt,
    /// Answers nothing until it is prompt again.
    Still,
    /// Refuses everything.
    Refuses,
}

/// A disk in memory, which outlives the machines that it is given to.
#[derive(Clone)]
pub struct Plate {
    pub inside: Rc<RefCell<Inside>>,
    read: Vec<u8>,
}

pub struct Inside {
    pub bytes: Vec<u8>,
    manner: Manner,
    answer: Option<Vec<u8>>,
}

impl Plate {
    pub fn blank() -> Plate {
        let (bytes, manner) = (vec![0; DISK_BYTES_MIN as usize], Manner::Prompt);
        let inside = Inside { bytes, manner, answer: None };
        Plate { inside: Rc::new(RefCell::new(inside)), read: Vec::new() }
    }

    pub fn be(&self, manner: Manner) {
        self.inside.borrow_mut().manner = manner;
    }

    /// Changes a byte of the text in a slot.
    pub fn damage(&self, slot: usize) {
        self.inside.borrow_mut().bytes[(1 + 100 * slot) * BLOCK_BYTES + 430] ^= 1;
    }

    pub fn open(&self) -> (Keeper, Result<Found, Trouble>) {
        let mut now = Instant::START;
        Keeper::open(Box::new(self.clone()), "", || {
            now = now + Duration::from_millis(1);
            now
        })
    }

    /// A machine that has it starts, at this time in seconds since 1970.
    pub fn start(&self, bench: &mut Bench, began: Option<u64>) {
        let (keeper, found) = self.open();
        let (commits, notes) = match found {
            Ok(Found { commits, passed }) => {
                (commits, passed.into_iter().map(Note::Slot).collect())
            }
            Err(trouble) => (Vec::new(), vec![Note::Disk(trouble)]),
        };
        bench.control.adopt(keeper, &commits, began);
        let start = Start::choose(offers_of(&commits).collect(), notes, &bench.site);
        start.finish(&bench.site.clone(), &mut bench.control, &mut bench.appliance);
    }

    /// The generations on it, newest first, as the next start would see them.
    pub fn generations(&self) -> Vec<u64> {
        let found = self.open().1.expect("a disk of ours");
        found.commits.iter().map(|commit| commit.generation).collect()
    }
}

impl Disk for Plate {
    fn blocks(&self) -> u64 {
        DISK_BYTES_MIN / BLOCK_BYTES as u64
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn begin(&mut self, request: Request<'_>) -> Result<(), DiskFault> {
        let inside = &mut *self.inside.borrow_mut();
        let at = |block: u64| block as usize * BLOCK_BYTES;
        inside.answer = Some(match request {
            Request::Read { block, blocks } => {
                inside.bytes[at(block)..][..blocks * BLOCK_BYTES].to_vec()
            }
            Request::Write { block, bytes } => {
                inside.bytes[at(block)..][..bytes.len()].copy_from_slice(bytes);
                Vec::new()
            }
            Request::Flush => Vec::new(),
        });
        Ok(())
    }

    fn poll(&mut self) -> Option<Result<&[u8], DiskFault>> {
        let inside = &mut *self.inside.borrow_mut();
        match inside.manner {
            Manner::Still => return None,
            Manner::Refuses => return Some(Err(DiskFault::Refused { status: 1 })),
            Manner::Prompt => {}
        }
        self.read = inside.answer.take()?;
        Some(Ok(&self.read))
    }
}
