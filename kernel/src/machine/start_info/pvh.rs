//! PVH's start info (Xen, `public/arch-x86/hvm/start_info.h`), version 1 or later, because version 0 has
//! no memory map.

use core::ops::Range;

use super::{REGION_BYTES, StartInfo, StartInfoError, read_regions, read_text, u32_at, u64_at};
use crate::machine::Physical;

pub const MAGIC: u32 = 0x336e_c578;
const HEADER_BYTES: usize = 56;
const MODULE_BYTES: usize = 32;

pub fn read(memory: &impl Physical, address: u64) -> Result<StartInfo, StartInfoError> {
    let header: [u8; HEADER_BYTES] =
        memory.bytes(address).ok_or(StartInfoError::Unreadable { address })?;
    let version = u32_at(&header, 4);
    let modules = u32_at(&header, 12);
    let module_list = u64_at(&header, 16);
    let command_line = u64_at(&header, 24);
    let rsdp = u64_at(&header, 32);
    let region_list = u64_at(&header, 40);
    let regions = u32_at(&header, 48);
    if version == 0 || regions == 0 {
        return Err(StartInfoError::NoMemoryMap);
    }
    Ok(StartInfo {
        command_line: read_text(memory, command_line),
        module: if modules == 0 { None } else { Some(read_module(memory, module_list)?) },
        rsdp,
        memory: read_regions(memory, region_list, regions.into(), REGION_BYTES as u64)?,
    })
}

fn read_module(memory: &impl Physical, list: u64) -> Result<Range<u64>, StartInfoError> {
    let entry: [u8; MODULE_BYTES] =
        memory.bytes(list).ok_or(StartInfoError::Unreadable { address: list })?;
    let start = u64_at(&entry, 0);
    Ok(start..start.saturating_add(u64_at(&entry, 8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Memory;
    use crate::machine::memory::Region;
    use crate::machine::start_info::{COMMAND_LINE_BYTES_MAX, Handover, REGIONS_MAX, region};
    use std::vec::Vec;

    /// A start info at 0x1000 with its lists at 0x2000 (modules), 0x3000 (text), 0x4000 (map).
    fn header(version: u32, modules: u32, regions: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC, version, 0, modules] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [0x2000u64, 0x3000, 0xf5a40, 0x4000] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(regions.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes
    }

    fn machine() -> Memory {
        let mut memory = Memory::default();
        memory.put(0x1000, &header(1, 1, 2));
        let module: Vec<u8> =
            [0x0ffe_0000u64, 1234, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.put(0x2000, &module);
        memory.put(0x3000, b"panic=exit crash=fault\0rest");
        let map = [region(0, 0x9fc00, 1), region(0x9fc00, 0x400, 2)].concat();
        memory.put(0x4000, &map);
        memory
    }

    fn read(memory: &Memory) -> Result<StartInfo, StartInfoError> {
        StartInfo::read(memory, Handover { address: 0x1000, magic: 0 })
    }

    #[test]
    fn all_that_a_loader_says() {
        let info = read(&machine()).unwrap();
        assert_eq!(info.command_line, "panic=exit crash=fault");
        assert_eq!(info.module, Some(0x0ffe_0000..0x0ffe_04d2));
        assert_eq!(info.rsdp, 0xf5a40);
        let map = [
            Region { range: 0..0x9fc00, usable: true },
            Region { range: 0x9fc00..0xa0000, usable: false },
        ];
        assert_eq!(info.memory, map);
    }

    #[test]
    fn no_module_and_no_command_line() {
        let mut memory = machine();
        let mut bare = header(1, 0, 2);
        bare[24..32].fill(0);
        memory.0[0].1 = bare;
        let info = read(&memory).unwrap();
        assert_eq!((info.command_line.as_str(), info.module), ("", None));
    }

    #[test]
    fn what_is_no_start_info() {
        let error = |memory: &Memory| read(memory).unwrap_err();
        assert_eq!(error(&Memory::default()), StartInfoError::Unreadable { address: 0x1000 });

        let mut memory = machine();
        memory.0[0].1[0] = 0;
        assert_eq!(error(&memory), StartInfoError::Magic { found: MAGIC & !0xff });

        memory.0[0].1 = header(0, 1, 2);
        assert_eq!(error(&memory), StartInfoError::NoMemoryMap);
        memory.0[0].1 = header(1, 1, 0);
        assert_eq!(error(&memory), StartInfoError::NoMemoryMap);

        // More regions claimed than there are bytes for.
        memory.0[0].1 = header(1, 1, 3);
        assert_eq!(error(&memory), StartInfoError::Unreadable { address: 0x4030 });
    }

    #[test]
    fn bounds_hold_whatever_the_lengths_say() {
        let mut memory = machine();
        memory.0[0].1 = header(1, 1, u32::MAX);
        memory.0[2].1 = std::vec![b'x'; 1000];
        memory.0[3].1 = region(u64::MAX - 1, u64::MAX, 1).repeat(100);
        let info = read(&memory).unwrap();
        assert_eq!(info.memory.len(), REGIONS_MAX);
        assert_eq!(info.memory[0].range, u64::MAX - 1..u64::MAX);
        assert_eq!(info.command_line.len(), COMMAND_LINE_BYTES_MAX);
    }
}
