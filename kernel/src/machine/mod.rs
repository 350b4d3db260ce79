//! What can be known of the machine without touching it: the loader's start info, the command line,
//! ACPI's tables, the plan of memory, the arithmetic of clocks. Pure functions over bytes and
//! numbers that are handed in; the image does the touching.

pub mod acpi;
pub mod aml;
pub mod bars;
pub mod clock;
pub mod fw_cfg;
pub mod memory;
pub mod options;
pub mod pace;
pub mod paging;
pub mod rtc;
pub mod sizes;
pub mod start_info;

/// Physical memory as bytes: what the loader and the firmware left there.
pub trait Physical {
    /// Fills `into` from `address` on; false when those bytes cannot be read.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes).then_some(bytes)
    }

    fn u32(&self, address: u64) -> Option<u32> {
        self.bytes(address).map(u32::from_le_bytes)
    }

    fn u64(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }
}

/// Memory for tests: some pieces of bytes at their addresses.
#[cfg(test)]
pub(crate) mod fake {
    use std::vec::Vec;

    use super::Physical;

    #[derive(Default)]
    pub struct Memory(pub Vec<(u64, Vec<u8>)>);

    impl Memory {
        pub fn put(&mut self, address: u64, bytes: &[u8]) {
            self.0.push((address, bytes.to_vec()));
        }
    }

    impl Physical for Memory {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            self.0.iter().any(|(start, piece)| {
                let Some(skip) = address.checked_sub(*start) else {
                    return false;
                };
                let Some(rest) = piece.get(skip as usize..) else {
                    return false;
                };
                let Some(bytes) = rest.get(..into.len()) else {
                    return false;
                };
                into.copy_from_slice(bytes);
                true
            })
        }
    }
}
