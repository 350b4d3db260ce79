//! Page tables (Intel SDM 3A, 4.5) for an identity map: large pages of 2 MiB where a range covers
//! one, pages of 4 KiB where not.
//!
//! The tables are numbers in an array that somebody else makes known to the processor, so that all
//! of this runs on the host too. A later range overrules an earlier one.

use core::ops::Range;

pub const PAGE_BYTES: u64 = 4096;
pub const LARGE_BYTES: u64 = 2 << 20;
const ENTRIES: u64 = 512;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not mapped: every access faults.
    None,
    Read,
    ReadWrite,
    ReadExecute,
    /// Read and write, uncached.
    Device,
}

/// One table of 512 entries, as the processor reads it.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table([u64; ENTRIES as usize]);

/// A tree of tables, its root the first of them.
pub struct Tables<'a> {
    frames: &'a mut [Table],
    /// Physical address of the first frame.
    base: u64,
    used: usize,
}

/// There are more tables to make than frames to make them in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// The bits that are the address of a page or a table.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The level whose entries are large pages; 0 is that of small pages, 3 the root's.
const LARGE_LEVEL: u32 = 1;
const ROOT_LEVEL: u32 = 3;

impl Table {
    pub const EMPTY: Table = Table([0; ENTRIES as usize]);
}

impl<'a> Tables<'a> {
    /// # Panics
    /// When there is not one frame.
    pub fn new(frames: &'a mut [Table], base: u64) -> Self {
        frames[0] = Table::EMPTY;
        Self { frames, base, used: 1 }
    }

    /// What CR3 is to be.
    pub fn root(&self) -> u64 {
        self.base
    }

    /// Maps whole pages to themselves.
    pub fn map(&mut self, range: Range<u64>, access: Access) -> Result<(), Full> {
        debug_assert!(range.start.is_multiple_of(PAGE_BYTES));
        debug_assert!(range.end.is_multiple_of(PAGE_BYTES));
        let mut at = range.start;
        while at < range.end {
            let large = at.is_multiple_of(LARGE_BYTES) && range.end - at >= LARGE_BYTES;
            let level = if large { LARGE_LEVEL } else { 0 };
            let table = self.descend(at, level)?;
            let flags = if large && access != Access::None { LARGE } else { 0 };
            self.frames[table].0[index(at, level)] = entry(at, access) | flags;
            at += if large { LARGE_BYTES } else { PAGE_BYTES };
        }
        Ok(())
    }

    /// What may be done at `address`.
    pub fn access(&self, address: u64) -> Access {
        let mut table = 0;
        let mut level = ROOT_LEVEL;
        loop {
            let entry = self.frames[table].0[index(address, level)];
            if entry & PRESENT == 0 || level == 0 || entry & LARGE != 0 {
                return access_of(entry);
            }
            table = self.frame(entry);
            level -= 1;
        }
    }

    /// The table of `level` that holds the entry of `address`, made where it is missing.
    fn descend(&mut self, address: u64, level: u32) -> Result<usize, Full> {
        let mut table = 0;
        for above in (level + 1..=ROOT_LEVEL).rev() {
            let slot = index(address, above);
            let entry = self.frames[table].0[slot];
            let is_table = entry & PRESENT != 0 && entry & LARGE == 0;
            if !is_table {
                let made = self.take(entry)?;
                // A table grants everything; the pages below it restrict.
                self.frames[table].0[slot] = self.address(made) | PRESENT | WRITE;
            }
            table = self.frame(self.frames[table].0[slot]);
        }
        Ok(table)
    }

    /// A new table in place of `entry`: empty, or the large page in 512 small ones.
    fn take(&mut self, entry: u64) -> Result<usize, Full> {
        let frame = self.used;
        let table = self.frames.get_mut(frame).ok_or(Full)?;
        *table = Table::EMPTY;
        if entry & PRESENT != 0 {
            for (at, small) in table.0.iter_mut().enumerate() {
                *small = (entry & !LARGE) + at as u64 * PAGE_BYTES;
            }
        }
        self.used += 1;
        Ok(frame)
    }

    fn address(&self, frame: usize) -> u64 {
        self.base + frame as u64 * PAGE_BYTES
    }

    fn frame(&self, entry: u64) -> usize {
        (((entry & ADDRESS) - self.base) / PAGE_BYTES) as usize
    }
}

fn index(address: u64, level: u32) -> usize {
    (address / PAGE_BYTES / ENTRIES.pow(level) % ENTRIES) as usize
}

fn entry(address: u64, access: Access) -> u64 {
    match access {
        Access::None => 0,
        Access::Read => address | PRESENT | NO_EXECUTE,
        Access::ReadWrite => address | PRESENT | WRITE | NO_EXECUTE,
        Access::ReadExecute => address | PRESENT,
        Access::Device => address | PRESENT | WRITE | NO_EXECUTE | WRITE_THROUGH | CACHE_DISABLE,
    }
}

fn access_of(entry: u64) -> Access {
    let has = |flag: u64| entry & flag != 0;
    match (has(PRESENT), has(WRITE), has(NO_EXECUTE)) {
        (false, _, _) => Access::None,
        (true, _, false) => Access::ReadExecute,
        (true, false, true) => Access::Read,
        (true, true, true) if has(CACHE_DISABLE) => Access::Device,
        (true, true, true) => Access::ReadWrite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_large_page_is_split_when_a_part_of_it_becomes_another_thing() {
        let mut frames = vec![Table::EMPTY; 8];
        let mut tables = Tables::new(&mut frames, 0x7000);
        tables.map(0..4 * LARGE_BYTES, Access::ReadWrite).unwrap();
        let before = tables.used;
        tables.map(LARGE_BYTES + 0x3000..LARGE_BYTES + 0x5000, Access::Read).unwrap();
        assert_eq!(tables.used, before + 1);
        assert_eq!(tables.access(LARGE_BYTES + 0x2fff), Access::ReadWrite);
        assert_eq!(tables.access(LARGE_BYTES + 0x3000), Access::Read);
        assert_eq!(tables.access(LARGE_BYTES + 0x5000), Access::ReadWrite);
        assert_eq!(tables.access(4 * LARGE_BYTES), Access::None);
    }

    #[test]
    fn entries_say_what_the_processor_expects() {
        let mut frames = vec![Table::EMPTY; 8];
        let mut tables = Tables::new(&mut frames, 0x7000);
        tables.map(0x1000..0x2000, Access::ReadExecute).unwrap();
        tables.map(LARGE_BYTES..2 * LARGE_BYTES, Access::Device).unwrap();
        assert_eq!(tables.root(), 0x7000);
        assert_eq!(tables.frames[0].0[0], 0x8003, "root to the second frame");
        assert_eq!(tables.frames[2].0[1], 0x8000_0000_0020_009b, "a large uncached page");
        assert_eq!(tables.frames[3].0[1], 0x1001, "a small page of code");
    }

    #[test]
    fn full_is_said() {
        let mut frames = vec![Table::EMPTY; 3];
        let mut tables = Tables::new(&mut frames, 0);
        assert_eq!(tables.map(0..LARGE_BYTES, Access::Read), Ok(()));
        assert_eq!(tables.map(0..PAGE_BYTES, Access::None), Err(Full));
    }
}
