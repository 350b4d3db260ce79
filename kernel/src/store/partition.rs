//! A partition for the store, on a disk that other things are on: the one that the machine boots from.
//!
//! The table is the one of 1983, four entries in the first sector, because GRUB, every BIOS and UEFI
//! read it. Ours is the first of kind 0xda, "data without a file system", that is large enough and
//! lies on whole blocks; without one the disk is taken as it is.

use drivers::disk::BLOCK_BYTES;

use super::DISK_BLOCKS_MIN;

const SIGNATURE: (usize, [u8; 2]) = (510, [0x55, 0xaa]);
const ENTRIES: usize = 446;
const ENTRY_BYTES: usize = 16;
const ENTRIES_MAX: usize = 4;
const KIND_DATA: u8 = 0xda;
const SECTORS_PER_BLOCK: u64 = BLOCK_BYTES as u64 / 512;

/// Where our partition begins, if `first`, the first block of a disk of so many, holds a table that
/// has one.
pub fn find(first: &[u8; BLOCK_BYTES], blocks: u64) -> Option<u64> {
    let (at, signature) = SIGNATURE;
    if first[at..at + 2] != signature {
        return None;
    }
    let entries = first[ENTRIES..at].chunks_exact(ENTRY_BYTES).take(ENTRIES_MAX);
    entries.filter(|entry| entry[4] == KIND_DATA).find_map(|entry| {
        let (start, sectors) = (sector(&entry[8..12]), sector(&entry[12..16]));
        let (start_block, area) = (start / SECTORS_PER_BLOCK, sectors / SECTORS_PER_BLOCK);
        let is_whole = start > 0 && start.is_multiple_of(SECTORS_PER_BLOCK);
        let fits = area >= DISK_BLOCKS_MIN && start_block + area <= blocks;
        (is_whole && fits).then_some(start_block)
    })
}

fn sector(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB_SECTORS: u32 = 2048;
    const BLOCKS: u64 = 32 << 8;

    /// Entries of (kind, first sector, sectors).
    fn table(entries: &[(u8, u32, u32)]) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[510..512].copy_from_slice(&[0x55, 0xaa]);
        for (at, (kind, start, sectors)) in entries.iter().enumerate() {
            let entry = &mut block[ENTRIES + at * ENTRY_BYTES..][..ENTRY_BYTES];
            entry[4] = *kind;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..16].copy_from_slice(&sectors.to_le_bytes());
        }
        block
    }

    #[test]
    fn the_first_that_fits_is_taken() {
        let system = (0xef, MIB_SECTORS, 20 * MIB_SECTORS);
        let ours = (0xda, 21 * MIB_SECTORS, 8 * MIB_SECTORS);
        let cases: [(&str, &[_], Option<u64>); 9] = [
            ("ours behind the system's", &[system, ours], Some(21 << 8)),
            ("the first of two", &[ours, (0xda, 8, 16384)], Some(21 << 8)),
            ("the fourth", &[system, system, system, ours], Some(21 << 8)),
            ("none of that kind", &[system, (0x83, MIB_SECTORS, 16384)], None),
            ("an empty table", &[], None),
            ("too small", &[(0xda, MIB_SECTORS, 16383)], None),
            ("within a block", &[(0xda, 2049, 16384)], None),
            ("at the table itself", &[(0xda, 0, 16384)], None),
            ("beyond the end", &[(0xda, 25 * MIB_SECTORS, 16384), (0xda, !7, !7)], None),
        ];
        for (what, entries, expected) in cases {
            assert_eq!(find(&table(entries), BLOCKS), expected, "{what}");
        }
    }

    #[test]
    fn bytes_without_the_signature_are_no_table() {
        let mut block = table(&[(0xda, MIB_SECTORS, 8 * MIB_SECTORS)]);
        assert!(find(&block, BLOCKS).is_some());
        block[511] = 0;
        assert_eq!(find(&block, BLOCKS), None);
    }
}
