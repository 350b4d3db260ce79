//! What the loader tells: the PVH start info (Xen, `public/arch-x86/hvm/start_info.h`), version 1
//! or later, because version 0 has no memory map.
//!
//! It is read once, before anything else may write to memory, into a copy of our own. Nothing in it
//! is believed: strings and lists end at a bound, whatever their lengths say.

use core::fmt;
use core::ops::Range;

use super::Physical;
use super::memory::Region;

/// Bytes of the command line that are kept.
pub const COMMAND_LINE_BYTES_MAX: usize = 512;
/// Regions of the memory map that are kept; a PC has about ten.
pub const REGIONS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartInfo {
    pub command_line: heapless::String<COMMAND_LINE_BYTES_MAX>,
    /// Where the first module lies (`-initrd`), if there is one.
    pub module: Option<Range<u64>>,
    /// ACPI's root pointer; 0 when the loader knows none.
    pub rsdp: u64,
    pub memory: heapless::Vec<Region, REGIONS_MAX>,
}

/// Why there is no start info to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartInfoError {
    /// A part of it lies where nothing can be read.
    Unreadable { address: u64 },
    /// It does not begin as it must: this is no PVH loader.
    Magic { found: u32 },
    /// Version 0, or a list without entries.
    NoMemoryMap { version: u32 },
}

const MAGIC: u32 = 0x336e_c578;
const HEADER_BYTES: usize = 56;
const MODULE_BYTES: usize = 32;
const REGION_BYTES: usize = 24;
const REGION_USABLE: u32 = 1;

impl StartInfo {
    pub fn read(memory: &impl Physical, address: u64) -> Result<Self, StartInfoError> {
        let header: [u8; HEADER_BYTES] =
            memory.bytes(address).ok_or(StartInfoError::Unreadable { address })?;
        let magic = u32_at(&header, 0);
        if magic != MAGIC {
            return Err(StartInfoError::Magic { found: magic });
        }
        let version = u32_at(&header, 4);
        let modules = u32_at(&header, 12);
        let module_list = u64_at(&header, 16);
        let command_line = u64_at(&header, 24);
        let rsdp = u64_at(&header, 32);
        let region_list = u64_at(&header, 40);
        let regions = u32_at(&header, 48);
        if version == 0 || regions == 0 {
            return Err(StartInfoError::NoMemoryMap { version });
        }
        Ok(Self {
            command_line: read_text(memory, command_line),
            module: if modules == 0 { None } else { Some(read_module(memory, module_list)?) },
            rsdp,
            memory: read_regions(memory, region_list, regions)?,
        })
    }
}

impl fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartInfoError::Unreadable { address } => {
                write!(f, "the loader's start info at {address:#x} cannot be read")
            }
            StartInfoError::Magic { found } => write!(
                f,
                "the start info begins with {found:#x}, not {MAGIC:#x}: boot this image with PVH"
            ),
            StartInfoError::NoMemoryMap { version } => {
                write!(f, "the loader's start info (version {version}) holds no memory map")
            }
        }
    }
}

/// A string that ends with a zero, shortened to what is kept; bytes that are not ASCII become `?`.
fn read_text(memory: &impl Physical, address: u64) -> heapless::String<COMMAND_LINE_BYTES_MAX> {
    let mut text = heapless::String::new();
    if address == 0 {
        return text;
    }
    for at in 0..COMMAND_LINE_BYTES_MAX as u64 {
        let Some([byte]) = memory.bytes(address.saturating_add(at)) else {
            break;
        };
        if byte == 0 {
            break;
        }
        let character = if byte.is_ascii() { char::from(byte) } else { '?' };
        text.push(character).expect("as many one-byte characters as it has room for");
    }
    text
}

fn read_module(memory: &impl Physical, list: u64) -> Result<Range<u64>, StartInfoError> {
    let entry: [u8; MODULE_BYTES] =
        memory.bytes(list).ok_or(StartInfoError::Unreadable { address: list })?;
    let start = u64_at(&entry, 0);
    Ok(start..start.saturating_add(u64_at(&entry, 8)))
}

fn read_regions(
    memory: &impl Physical,
    list: u64,
    count: u32,
) -> Result<heapless::Vec<Region, REGIONS_MAX>, StartInfoError> {
    (0..u64::from(count).min(REGIONS_MAX as u64))
        .map(|at| {
            let address = list.saturating_add(at * REGION_BYTES as u64);
            let entry: [u8; REGION_BYTES] =
                memory.bytes(address).ok_or(StartInfoError::Unreadable { address })?;
            let start = u64_at(&entry, 0);
            Ok(Region {
                range: start..start.saturating_add(u64_at(&entry, 8)),
                usable: u32_at(&entry, 16) == REGION_USABLE,
            })
        })
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Memory;
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

    fn region(start: u64, bytes: u64, kind: u32) -> Vec<u8> {
        let mut entry = Vec::new();
        entry.extend(start.to_le_bytes());
        entry.extend(bytes.to_le_bytes());
        entry.extend(kind.to_le_bytes());
        entry.extend(0u32.to_le_bytes());
        entry
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

    #[test]
    fn all_that_a_loader_says() {
        let info = StartInfo::read(&machine(), 0x1000).unwrap();
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
        let info = StartInfo::read(&memory, 0x1000).unwrap();
        assert_eq!((info.command_line.as_str(), info.module), ("", None));
    }

    #[test]
    fn what_is_no_start_info() {
        let read = |memory: &Memory| StartInfo::read(memory, 0x1000).unwrap_err();
        assert_eq!(read(&Memory::default()), StartInfoError::Unreadable { address: 0x1000 });

        let mut memory = machine();
        memory.0[0].1[0] = 0;
        assert_eq!(read(&memory), StartInfoError::Magic { found: MAGIC & !0xff });

        memory.0[0].1 = header(0, 1, 2);
        assert_eq!(read(&memory), StartInfoError::NoMemoryMap { version: 0 });
        memory.0[0].1 = header(1, 1, 0);
        assert_eq!(read(&memory), StartInfoError::NoMemoryMap { version: 1 });

        // More regions claimed than there are bytes for.
        memory.0[0].1 = header(1, 1, 3);
        assert_eq!(read(&memory), StartInfoError::Unreadable { address: 0x4030 });
    }

    #[test]
    fn bounds_hold_whatever_the_lengths_say() {
        let mut memory = machine();
        memory.0[0].1 = header(1, 1, u32::MAX);
        memory.0[2].1 = std::vec![b'x'; 1000];
        memory.0[3].1 = region(u64::MAX - 1, u64::MAX, 1).repeat(100);
        let info = StartInfo::read(&memory, 0x1000).unwrap();
        assert_eq!(info.memory.len(), REGIONS_MAX);
        assert_eq!(info.memory[0].range, u64::MAX - 1..u64::MAX);
        assert_eq!(info.command_line.len(), COMMAND_LINE_BYTES_MAX);
    }
}
