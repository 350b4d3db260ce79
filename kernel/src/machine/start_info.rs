//! What the loader tells, whichever of two it is: a hypervisor that starts the image itself (PVH: QEMU's
//! `-kernel`, Xen), or a boot loader on a disk (multiboot2: GRUB).
//!
//! It is read once, before anything else may write to memory, into a copy of our own. Nothing in it
//! is believed: strings and lists end at a bound, whatever their lengths say.

mod multiboot2;
mod pvh;

use core::fmt;
use core::ops::Range;

use super::Physical;
use super::memory::Region;

/// Bytes of the command line that are kept.
pub const COMMAND_LINE_BYTES_MAX: usize = 512;
/// Regions of the memory map that are kept; a PC has about ten, and with UEFI twenty.
pub const REGIONS_MAX: usize = 64;

type CommandLine = heapless::String<COMMAND_LINE_BYTES_MAX>;
type MemoryMap = heapless::Vec<Region, REGIONS_MAX>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartInfo {
    pub command_line: CommandLine,
    /// Where the first module lies (`-initrd`, `module2`), if there is one.
    pub module: Option<Range<u64>>,
    /// ACPI's root pointer; 0 when the loader knows none.
    pub rsdp: u64,
    pub memory: MemoryMap,
}

/// What the loader left in the processor's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// EBX: where its information begins.
    pub address: u64,
    /// EAX: a multiboot2 loader's magic number; from PVH, anything.
    pub magic: u32,
}

/// Why there is no start info to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartInfoError {
    /// A part of it lies where nothing can be read.
    Unreadable { address: u64 },
    /// It does not begin as it must: this is no loader that we know.
    Magic { found: u32 },
    /// PVH's version 0, or a list without entries.
    NoMemoryMap,
}

impl StartInfo {
    pub fn read(memory: &impl Physical, handover: Handover) -> Result<Self, StartInfoError> {
        let Handover { address, magic } = handover;
        let first = memory.u32(address).ok_or(StartInfoError::Unreadable { address })?;
        // PVH's mark lies in memory, and multiboot2 has a length there that is never as large.
        match (first, magic) {
            (pvh::MAGIC, _) => pvh::read(memory, address),
            (_, multiboot2::MAGIC) => multiboot2::read(memory, address),
            (found, _) => Err(StartInfoError::Magic { found }),
        }
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
                "the start info begins with {found:#x}: boot this image with PVH or multiboot2"
            ),
            StartInfoError::NoMemoryMap => {
                f.write_str("the loader's start info holds no memory map")
            }
        }
    }
}

/// A string that ends with a zero, shortened to what is kept; bytes that are not ASCII become `?`.
fn read_text(memory: &impl Physical, address: u64) -> CommandLine {
    let mut text = CommandLine::new();
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

/// So many regions, which both loaders describe alike: address, length, kind, a word that is left;
/// an entry every `stride` bytes.
fn read_regions(
    memory: &impl Physical,
    list: u64,
    count: u64,
    stride: u64,
) -> Result<MemoryMap, StartInfoError> {
    const USABLE: u32 = 1;
    (0..count.min(REGIONS_MAX as u64))
        .map(|at| {
            let address = list.saturating_add(at * stride);
            let entry: [u8; REGION_BYTES] =
                memory.bytes(address).ok_or(StartInfoError::Unreadable { address })?;
            let start = u64_at(&entry, 0);
            Ok(Region {
                range: start..start.saturating_add(u64_at(&entry, 8)),
                usable: u32_at(&entry, 16) == USABLE,
            })
        })
        .collect()
}

const REGION_BYTES: usize = 24;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// An entry of a memory map, for tests.
#[cfg(test)]
fn region(start: u64, bytes: u64, kind: u32) -> std::vec::Vec<u8> {
    let mut entry = std::vec::Vec::new();
    entry.extend(start.to_le_bytes());
    entry.extend(bytes.to_le_bytes());
    entry.extend(kind.to_le_bytes());
    entry.extend(0u32.to_le_bytes());
    entry
}
