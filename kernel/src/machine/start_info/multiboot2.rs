//! Multiboot2's information (Multiboot2 Specification 2.0, 3.6): a list of tags, each at a multiple of
//! 8 bytes, up to one of type 0.
//!
//! GRUB leaves UEFI's boot services before it starts us, as long as the image's header does not ask it
//! not to, so the memory map, the tables and the state of the processor are the same with a BIOS.

use super::{REGION_BYTES, StartInfo, StartInfoError, read_regions, read_text};
use crate::machine::Physical;

/// What a loader leaves in EAX.
pub const MAGIC: u32 = 0x36d7_6289;

/// Tags that are looked at before we stop: GRUB has about a dozen.
const TAGS_MAX: usize = 64;
const LIST_HEAD_BYTES: u64 = 8;
const TAG_HEAD_BYTES: u64 = 8;

const END: u32 = 0;
const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
/// Copies of ACPI's root pointer, of revision 1 and of later ones.
const RSDP_OLD: u32 = 14;
const RSDP_NEW: u32 = 15;

pub fn read(memory: &impl Physical, address: u64) -> Result<StartInfo, StartInfoError> {
    let word = |address| memory.u32(address).ok_or(StartInfoError::Unreadable { address });
    let mut info = StartInfo {
        command_line: heapless::String::new(),
        module: None,
        rsdp: 0,
        memory: heapless::Vec::new(),
    };
    let mut tag = address + LIST_HEAD_BYTES;
    for _ in 0..TAGS_MAX {
        let (kind, bytes) = (word(tag)?, u64::from(word(tag + 4)?));
        let body = tag + TAG_HEAD_BYTES;
        match kind {
            END => break,
            COMMAND_LINE => info.command_line = read_text(memory, body),
            MODULE if info.module.is_none() => {
                info.module = Some(word(body)?.into()..word(body + 4)?.into());
            }
            MEMORY_MAP => {
                let stride = u64::from(word(body)?).max(REGION_BYTES as u64);
                let count = bytes.saturating_sub(16) / stride;
                info.memory = read_regions(memory, body + 8, count, stride)?;
            }
            RSDP_OLD if info.rsdp == 0 => info.rsdp = body,
            RSDP_NEW => info.rsdp = body,
            _ => {}
        }
        // A length of nothing would be no way on.
        tag += bytes.max(TAG_HEAD_BYTES).next_multiple_of(8);
    }
    if info.memory.is_empty() { Err(StartInfoError::NoMemoryMap) } else { Ok(info) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Memory;
    use crate::machine::memory::Region;
    use crate::machine::start_info::{Handover, REGIONS_MAX, region};
    use std::vec;
    use std::vec::Vec;

    const ADDRESS: u64 = 0x9000;

    fn tag(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend((8 + body.len() as u32).to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0xee);
        bytes
    }

    fn map(regions: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(24u32.to_le_bytes());
        body.extend(0u32.to_le_bytes());
        body.extend(regions);
        tag(MEMORY_MAP, &body)
    }

    fn module(start: u32, end: u32) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(start.to_le_bytes());
        body.extend(end.to_le_bytes());
        body.extend(b"configuration\0");
        tag(MODULE, &body)
    }

    fn read_tags(tags: &[Vec<u8>]) -> Result<StartInfo, StartInfoError> {
        let mut bytes = vec![0; 8];
        tags.iter().for_each(|tag| bytes.extend(tag));
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        let mut memory = Memory::default();
        memory.put(ADDRESS, &bytes);
        StartInfo::read(&memory, Handover { address: ADDRESS, magic: MAGIC })
    }

    #[test]
    fn all_that_a_loader_says() {
        let regions = [region(0, 0x9fc00, 1), region(0x9fc00, 0x400, 2)].concat();
        let tags = [
            tag(COMMAND_LINE, b"panic=reboot\0"),
            tag(2, b"GRUB 2.06\0"),
            module(0x20_0000, 0x20_0123),
            module(0x30_0000, 0x30_0001),
            map(&regions),
            tag(RSDP_NEW, b"RSD PTR new"),
            tag(RSDP_OLD, b"RSD PTR old"),
            tag(END, &[]),
            tag(COMMAND_LINE, b"behind the end\0"),
        ];
        let info = read_tags(&tags).unwrap();
        assert_eq!(info.command_line, "panic=reboot");
        assert_eq!(info.module, Some(0x20_0000..0x20_0123), "the first one");
        let before: usize = tags[..5].iter().map(Vec::len).sum();
        assert_eq!(info.rsdp, ADDRESS + 8 + before as u64 + 8, "the newer one");
        let map = [
            Region { range: 0..0x9fc00, usable: true },
            Region { range: 0x9fc00..0xa0000, usable: false },
        ];
        assert_eq!(info.memory, map);
    }

    #[test]
    fn a_memory_map_is_all_that_is_needed() {
        let info = read_tags(&[map(&region(0, 0x1000, 1)), tag(END, &[])]).unwrap();
        assert_eq!((info.command_line.as_str(), info.module, info.rsdp), ("", None, 0));
        let nothing = read_tags(&[tag(END, &[])]);
        assert_eq!(nothing, Err(StartInfoError::NoMemoryMap));
        assert_eq!(read_tags(&[map(&[]), tag(END, &[])]), Err(StartInfoError::NoMemoryMap));
    }

    #[test]
    fn bounds_hold_whatever_the_lengths_say() {
        let whole = map(&region(0, 0x1000, 1));
        let endless = tag(END, &[]);
        for bytes in [0, 7, u32::MAX] {
            let mut odd = tag(2, b"odd");
            odd[4..8].copy_from_slice(&bytes.to_le_bytes());
            let result = read_tags(&[whole.clone(), odd, endless.clone()]);
            let is_bounded = matches!(result, Ok(_) | Err(StartInfoError::Unreadable { .. }));
            assert!(is_bounded, "a tag of {bytes} bytes: {result:?}");
        }
        let mut no_stride = whole.clone();
        no_stride[8..12].fill(0);
        assert!(read_tags(&[no_stride, endless.clone()]).is_ok_and(|info| !info.memory.is_empty()));
        let many = read_tags(&[map(&region(0, 0x1000, 1).repeat(100)), endless]).unwrap();
        assert_eq!(many.memory.len(), REGIONS_MAX);
        assert!(read_tags(&vec![tag(2, b""); 1000]).is_err(), "a list that does not end");
    }
}
