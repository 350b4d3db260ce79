//! The plan of memory: from the loader's map to one region for the heap and the access rights of
//! every page.
//!
//! Virtual addresses are physical ones, so that a device is told what Rust sees. What has no use is
//! not mapped: page 0, the guard pages below the stacks, and the gap between RAM and the devices.

use core::ops::Range;

use super::paging::{Access, Full, PAGE_BYTES, Tables};

/// A piece of the loader's memory map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    pub range: Range<u64>,
    /// Ordinary RAM; what is not usable may be ACPI's tables, the firmware's, or a device's.
    pub usable: bool,
}

/// Where the parts of the image lie; they follow one another.
#[derive(Clone, Debug)]
pub struct ImageLayout {
    pub text: Range<u64>,
    pub rodata: Range<u64>,
    pub data: Range<u64>,
    /// Pages below the stacks.
    pub guards: [u64; 5],
}

/// Everything below belongs to the firmware; the image begins here.
pub const FIRMWARE_END: u64 = 0x20_0000;
/// Where devices' 32-bit addresses may begin on a PC, at the lowest.
const DEVICES_START: u64 = 0x8000_0000;
const DEVICES_END: u64 = 1 << 32;
/// RAM above this is left alone: 64 GiB is more than any table here may grow to, and bounds the
/// page tables.
pub const RAM_END: u64 = 64 << 30;

/// The largest piece of RAM that is nobody's: above the firmware, in whole pages, and outside of
/// every range of `taken`.
pub fn largest_free(map: &[Region], taken: &[Range<u64>]) -> Option<Range<u64>> {
    let mut best: Option<Range<u64>> = None;
    for region in map.iter().filter(|region| region.usable) {
        let mut start = region.range.start.max(FIRMWARE_END);
        let end = region.range.end.min(RAM_END);
        // Take the free piece that begins at `start`, then go on behind what bounds it.
        while start < end {
            let next = taken
                .iter()
                .filter(|other| other.end > start && other.start < end && !other.is_empty())
                .min_by_key(|other| other.start);
            let free = start..next.map_or(end, |other| other.start.max(start));
            let free = page_up(free.start)..page_down(free.end);
            let longer = best.as_ref().is_none_or(|best| length(best) < length(&free));
            if !free.is_empty() && longer {
                best = Some(free);
            }
            start = next.map_or(end, |other| other.end);
        }
    }
    best
}

/// Whether `range` lies in RAM that may be read: boot loaders put modules right behind page 0.
pub fn is_usable(map: &[Region], range: &Range<u64>) -> bool {
    map.iter().any(|region| {
        region.usable
            && region.range.start.max(PAGE_BYTES) <= range.start
            && range.end <= region.range.end.min(RAM_END)
    })
}

/// Fills the page tables: RAM to be read and written, the devices' window, what the firmware left to
/// be read, and the image by its parts. Later lines overrule earlier ones.
pub fn map(tables: &mut Tables<'_>, map: &[Region], image: &ImageLayout) -> Result<(), Full> {
    let low = |region: &&Region| region.range.end <= DEVICES_END;
    for region in map.iter().filter(low).filter(|region| !region.usable) {
        tables.map(page_down(region.range.start)..page_up(region.range.end), Access::Read)?;
    }
    for region in map.iter().filter(|region| region.usable) {
        let end = region.range.end.min(RAM_END);
        tables.map(page_up(region.range.start)..page_down(end), Access::ReadWrite)?;
    }
    tables.map(devices_start(map)..DEVICES_END, Access::Device)?;

    tables.map(0..FIRMWARE_END, Access::Read)?;
    tables.map(0..PAGE_BYTES, Access::None)?;

    tables.map(image.text.clone(), Access::ReadExecute)?;
    tables.map(image.rodata.clone(), Access::Read)?;
    tables.map(image.data.clone(), Access::ReadWrite)?;
    for guard in image.guards {
        tables.map(guard..guard + PAGE_BYTES, Access::None)?;
    }
    Ok(())
}

/// Devices begin above the RAM below 4 GiB, and not below 2 GiB.
fn devices_start(map: &[Region]) -> u64 {
    let ram = map.iter().filter(|region| region.usable && region.range.end <= DEVICES_END);
    ram.map(|region| page_up(region.range.end)).fold(DEVICES_START, u64::max)
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn page_down(address: u64) -> u64 {
    address & !(PAGE_BYTES - 1)
}

fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE_BYTES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::paging::Table;
    use core::slice::from_ref;
    use std::vec;
    use std::vec::Vec;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    /// As SeaBIOS reports it for a machine `pc` of 64 MiB.
    fn small() -> Vec<Region> {
        let region = |start, end, usable| Region { range: start..end, usable };
        vec![
            region(0, 0x9fc00, true),
            region(0x9fc00, 0xa0000, false),
            region(0xf0000, MIB, false),
            region(MIB, 64 * MIB - 0x20000, true),
            region(64 * MIB - 0x20000, 64 * MIB, false),
            region(0xfffc_0000, 4 * GIB, false),
            region(0xfd_0000_0000, 0x100_0000_0000, false),
        ]
    }

    /// 8 GiB on q35: 2 GiB below the devices, 6 GiB above them.
    fn large() -> Vec<Region> {
        let mut map = small();
        map[3].range = MIB..2 * GIB - 0x20000;
        map[4].range = 2 * GIB - 0x20000..2 * GIB;
        map.push(Region { range: 4 * GIB..10 * GIB, usable: true });
        map
    }

    fn image() -> ImageLayout {
        ImageLayout {
            text: 2 * MIB..2 * MIB + 0x30000,
            rodata: 2 * MIB + 0x30000..2 * MIB + 0x38000,
            data: 2 * MIB + 0x38000..2 * MIB + 0x90000,
            guards: [1, 2, 3, 4, 5].map(|at| 2 * MIB + 0x40000 + at * 0x5000),
        }
    }

    #[test]
    fn the_heap_gets_what_is_left() {
        let taken = [2 * MIB..2 * MIB + 0x90000, 50 * MIB + 5..50 * MIB + 10];
        let free = largest_free(&small(), &taken);
        assert_eq!(free, Some(2 * MIB + 0x90000..50 * MIB));
        // A module in the middle of it all: the greater part counts.
        let free = largest_free(&small(), &[2 * MIB..3 * MIB, 20 * MIB..21 * MIB]);
        assert_eq!(free, Some(21 * MIB..64 * MIB - 0x20000));
        assert_eq!(largest_free(&large(), &taken), Some(4 * GIB..10 * GIB));
    }

    #[test]
    fn taken_ranges_may_overlap_lie_outside_or_be_empty() {
        let taken = [MIB..3 * MIB, 2 * MIB..4 * MIB, 10 * MIB..10 * MIB, GIB..2 * GIB];
        assert_eq!(largest_free(&small(), &taken), Some(4 * MIB..64 * MIB - 0x20000));
        assert_eq!(largest_free(&small(), from_ref(&(0..u64::MAX))), None);
        assert_eq!(largest_free(&[], &[]), None);
    }

    #[test]
    fn a_module_must_lie_in_ram() {
        assert!(is_usable(&small(), &(50 * MIB..51 * MIB)));
        assert!(is_usable(&small(), &(0x1000..0x2000)), "where GRUB puts one");
        assert!(!is_usable(&small(), &(0x800..0x1000)), "page 0");
        assert!(!is_usable(&small(), &(0x9f000..0xa0000)), "the firmware's");
        assert!(!is_usable(&small(), &(63 * MIB..65 * MIB)), "beyond the end");
    }

    #[test]
    fn every_page_has_the_rights_of_its_use() {
        for (map_of_memory, ram_end) in [(small(), 63 * MIB), (large(), 10 * GIB)] {
            let mut frames = vec![Table::EMPTY; 64];
            let mut tables = Tables::new(&mut frames, 0x1000_0000);
            map(&mut tables, &map_of_memory, &image()).unwrap();
            let cases = [
                (0, Access::None, "null"),
                (0x1000, Access::Read, "firmware"),
                (0xf5a40, Access::Read, "ACPI's root pointer"),
                (2 * MIB, Access::ReadExecute, "code"),
                (2 * MIB + 0x2ffff, Access::ReadExecute, "code's end"),
                (2 * MIB + 0x30000, Access::Read, "constants"),
                (2 * MIB + 0x38000, Access::ReadWrite, "variables"),
                (2 * MIB + 0x44fff, Access::ReadWrite, "below a guard page"),
                (2 * MIB + 0x45000, Access::None, "guard page"),
                (2 * MIB + 0x46000, Access::ReadWrite, "stack"),
                (3 * MIB, Access::ReadWrite, "heap"),
                (ram_end - 1, Access::ReadWrite, "end of RAM"),
                (0x8000_0000, Access::Device, "devices"),
                (0xfee0_0000, Access::Device, "local APIC"),
                (11 * GIB, Access::None, "nothing"),
                (0xfd_0000_0000, Access::None, "not ours"),
            ];
            for (address, access, what) in cases {
                assert_eq!(tables.access(address), access, "{what}, {address:#x}");
            }
        }
        let mut frames = vec![Table::EMPTY; 64];
        let mut tables = Tables::new(&mut frames, 0);
        map(&mut tables, &small(), &image()).unwrap();
        assert_eq!(tables.access(64 * MIB - 1), Access::Read, "ACPI's tables");
        assert_eq!(tables.access(64 * MIB), Access::None, "between RAM and devices");
    }
}
