//! A disk for tests: sectors that stay, writes that are in a cache until a flush, and what a power cut
//! leaves of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use drivers::disk::BLOCK_BYTES;
use drivers::{Disk, DiskFault, Request};
use kernel::store::{Commit, DISK_BYTES_MIN, Found, Opening, Saving, State, Task, Trouble};

pub const SECTOR_BYTES: usize = 512;
pub const BLOCKS: u64 = DISK_BYTES_MIN / BLOCK_BYTES as u64;
const SECTORS_PER_BLOCK: usize = BLOCK_BYTES / SECTOR_BYTES;

pub type Sector = [u8; SECTOR_BYTES];

/// What survives a power cut. Sectors that nobody wrote are zeros.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Platter(BTreeMap<u64, Sector>);

/// What reached the disk, in the order in which it did.
#[derive(Clone)]
pub enum Event {
    Sector { at: u64, bytes: Box<Sector> },
    Flush,
}

impl Platter {
    pub fn sector(&self, at: u64) -> Sector {
        self.0.get(&at).copied().unwrap_or([0; SECTOR_BYTES])
    }

    pub fn put(&mut self, at: u64, bytes: Sector) {
        self.0.insert(at, bytes);
    }

    /// Changes a byte of a block.
    pub fn flip(&mut self, block: u64, byte: usize) {
        let at = block * SECTORS_PER_BLOCK as u64 + (byte / SECTOR_BYTES) as u64;
        let mut sector = self.sector(at);
        sector[byte % SECTOR_BYTES] ^= 0x40;
        self.put(at, sector);
    }

    pub fn write(&mut self, block: u64, bytes: &[u8]) {
        for event in sectors(block, bytes) {
            self.take(&event);
        }
    }

    pub fn read(&self, block: u64, blocks: usize) -> Vec<u8> {
        let first = block * SECTORS_PER_BLOCK as u64;
        let all = first..first + (blocks * SECTORS_PER_BLOCK) as u64;
        let mut bytes = vec![0; blocks * BLOCK_BYTES];
        for (into, at) in bytes.chunks_exact_mut(SECTOR_BYTES).zip(all) {
            if let Some(sector) = self.0.get(&at) {
                into.copy_from_slice(sector);
            }
        }
        bytes
    }

    pub fn take(&mut self, event: &Event) {
        if let Event::Sector { at, bytes } = event {
            self.put(*at, **bytes);
        }
    }

    /// Sectors that are not zeros.
    pub fn used(&self) -> usize {
        self.0.values().filter(|sector| **sector != [0; SECTOR_BYTES]).count()
    }

    pub fn open_for(&self, host: &str) -> Result<(State, Found), Trouble> {
        let mut opening = Opening::new(BLOCKS)?;
        loop {
            let read = match opening.next() {
                None => return opening.finish(host),
                Some(Request::Read { block, blocks }) => self.read(block, blocks),
                Some(request) => panic!("{request:?} is not for reading"),
            };
            opening.done(&read);
        }
    }

    #[track_caller]
    pub fn open(&self) -> (State, Found) {
        self.open_for("").expect("a disk of ours, or a blank one")
    }

    /// Saves to the end.
    #[track_caller]
    pub fn save(&mut self, state: &mut State, commit: &Commit, host: &str) -> u64 {
        let mut saving = state.save(commit, host).expect("a slot takes it");
        events(&mut saving).iter().for_each(|event| self.take(event));
        state.saved(&saving)
    }
}

/// All that a save does to a disk.
pub fn events(saving: &mut Saving) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(request) = saving.next() {
        match request {
            Request::Write { block, bytes } => events.extend(sectors(block, bytes)),
            Request::Flush => events.push(Event::Flush),
            Request::Read { .. } => panic!("a save reads nothing"),
        }
        saving.done(&[]);
    }
    events
}

fn sectors(block: u64, bytes: &[u8]) -> impl Iterator<Item = Event> + '_ {
    assert!(bytes.len().is_multiple_of(BLOCK_BYTES) && block < BLOCKS);
    let first = block * SECTORS_PER_BLOCK as u64;
    let pieces = bytes.as_chunks().0.iter();
    (first..).zip(pieces).map(|(at, &bytes)| Event::Sector { at, bytes: Box::new(bytes) })
}

/// How a [`Device`] behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Prompt,
    /// Answers nothing until it is prompt again.
    Still,
    /// Answers the next request so, and is then prompt.
    Fails(u8),
    Lies,
}

#[derive(Default)]
pub struct Inside {
    pub platter: Platter,
    pub manner: Manner,
    pub read_only: bool,
    pub requests: usize,
    pending: Option<Vec<u8>>,
}

/// A device over a platter, shared with the test.
#[derive(Clone, Default)]
pub struct Device(pub Rc<RefCell<Inside>>, Vec<u8>);

impl Device {
    pub fn set(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.0.borrow_mut());
    }

    pub fn platter(&self) -> Platter {
        self.0.borrow().platter.clone()
    }
}

impl Disk for Device {
    fn blocks(&self) -> u64 {
        BLOCKS
    }

    fn is_read_only(&self) -> bool {
        self.0.borrow().read_only
    }

    fn begin(&mut self, request: Request<'_>) -> Result<(), DiskFault> {
        let mut inside = self.0.borrow_mut();
        assert!(inside.pending.is_none(), "one request at a time");
        inside.requests += 1;
        let read = match request {
            Request::Read { block, blocks } => inside.platter.read(block, blocks),
            Request::Write { block, bytes } => {
                assert!(!inside.read_only);
                inside.platter.write(block, bytes);
                Vec::new()
            }
            Request::Flush => Vec::new(),
        };
        inside.pending = Some(read);
        Ok(())
    }

    fn poll(&mut self) -> Option<Result<&[u8], DiskFault>> {
        let mut inside = self.0.borrow_mut();
        match inside.manner {
            Manner::Still => return None,
            Manner::Lies => return Some(Err(DiskFault::Ring(drivers::RingFault::UsedId))),
            Manner::Fails(status) => {
                inside.pending = None;
                inside.manner = Manner::Prompt;
                return Some(Err(DiskFault::Refused { status }));
            }
            Manner::Prompt => {}
        }
        self.1 = inside.pending.take()?;
        Some(Ok(&self.1))
    }
}
