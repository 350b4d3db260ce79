//! Files that QEMU hands over without a loader (`-fw_cfg name=opt/…,file=…`): its firmware
//! configuration device (QEMU, docs/specs/fw_cfg.rst).
//!
//! A key selects an item, and reading goes on from its first byte. Item 0 says that the device is
//! there; item 0x19 lists the files: their number, then each with its size, its key and its name, all
//! big-endian.

use alloc::vec;
use alloc::vec::Vec;

/// The start-up configuration.
pub const CONFIGURATION: &str = "opt/fulcrum/config";

/// The device's two registers.
pub trait FwCfg {
    fn select(&mut self, key: u16);
    /// The next bytes of the item; zeros behind its end.
    fn read(&mut self, into: &mut [u8]);
}

/// A file that is longer than anybody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    pub bytes: u32,
}

const KEY_SIGNATURE: u16 = 0x00;
const KEY_FILES: u16 = 0x19;
const SIGNATURE: &[u8; 4] = b"QEMU";
const ENTRY_BYTES: usize = 64;
const NAME_AT: usize = 8;
/// QEMU has some thirty.
const FILES_MAX: u32 = 1024;

/// The bytes of a file, if there is such a device and such a file.
pub fn read_file(
    device: &mut impl FwCfg,
    name: &str,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, TooLong> {
    let Some((key, bytes)) = find(device, name) else {
        return Ok(None);
    };
    if bytes as usize > bytes_max {
        return Err(TooLong { bytes });
    }
    let mut file = vec![0; bytes as usize];
    device.select(key);
    device.read(&mut file);
    Ok(Some(file))
}

/// Key and size of a file.
fn find(device: &mut impl FwCfg, name: &str) -> Option<(u16, u32)> {
    device.select(KEY_SIGNATURE);
    if next::<4>(device) != *SIGNATURE {
        return None;
    }
    device.select(KEY_FILES);
    let count = u32::from_be_bytes(next(device)).min(FILES_MAX);
    (0..count).find_map(|_| {
        let entry: [u8; ENTRY_BYTES] = next(device);
        let (numbers, text) = entry.split_at(NAME_AT);
        let text = text.split(|&byte| byte == 0).next()?;
        let size = u32::from_be_bytes(*numbers.first_chunk()?);
        let key = u16::from_be_bytes([numbers[4], numbers[5]]);
        (text == name.as_bytes()).then_some((key, size))
    })
}

fn next<const N: usize>(device: &mut impl FwCfg) -> [u8; N] {
    let mut bytes = [0; N];
    device.read(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Fake {
        items: BTreeMap<u16, Vec<u8>>,
        selected: u16,
        at: usize,
    }

    impl Fake {
        fn with(files: &[(&str, &[u8])]) -> Fake {
            let mut fake = Fake::default();
            fake.items.insert(KEY_SIGNATURE, SIGNATURE.to_vec());
            let mut list = (files.len() as u32).to_be_bytes().to_vec();
            for (key, (name, bytes)) in (0x20u16..).zip(files) {
                let mut entry = [0; ENTRY_BYTES];
                entry[..4].copy_from_slice(&(bytes.len() as u32).to_be_bytes());
                entry[4..6].copy_from_slice(&key.to_be_bytes());
                entry[NAME_AT..][..name.len()].copy_from_slice(name.as_bytes());
                list.extend(entry);
                fake.items.insert(key, bytes.to_vec());
            }
            fake.items.insert(KEY_FILES, list);
            fake
        }
    }

    impl FwCfg for Fake {
        fn select(&mut self, key: u16) {
            (self.selected, self.at) = (key, 0);
        }

        fn read(&mut self, into: &mut [u8]) {
            let item = self.items.get(&self.selected);
            for byte in into {
                *byte = item.and_then(|item| item.get(self.at)).copied().unwrap_or(0);
                self.at += 1;
            }
        }
    }

    #[test]
    fn a_file_is_found_among_others() {
        let files: &[(&str, &[u8])] =
            &[("bootorder", b"x"), ("opt/fulcrum/config.old", b"no"), (CONFIGURATION, b"set x")];
        let mut fake = Fake::with(files);
        assert_eq!(read_file(&mut fake, CONFIGURATION, 100), Ok(Some("set x".into())));
        assert_eq!(read_file(&mut fake, "opt/fulcrum", 100), Ok(None));
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let mut fake = Fake::with(&[(CONFIGURATION, &[b'#'; 101])]);
        assert_eq!(read_file(&mut fake, CONFIGURATION, 100), Err(TooLong { bytes: 101 }));
    }

    #[test]
    fn where_there_is_no_such_device_there_is_no_file() {
        let mut ones = Fake::with(&[(CONFIGURATION, b"set")]);
        ones.items.insert(KEY_SIGNATURE, vec![0xff; 4]);
        assert_eq!(read_file(&mut ones, CONFIGURATION, 100), Ok(None));
        assert_eq!(read_file(&mut Fake::default(), CONFIGURATION, 100), Ok(None));
    }

    #[test]
    fn a_list_without_end_is_read_to_a_bound() {
        let mut fake = Fake::with(&[]);
        fake.items.insert(KEY_FILES, vec![0xff; 4]);
        assert_eq!(read_file(&mut fake, CONFIGURATION, 100), Ok(None));
        assert_eq!(fake.at, 4 + FILES_MAX as usize * ENTRY_BYTES);
    }
}
