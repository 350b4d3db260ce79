//! QEMU's firmware configuration device, at its ports. Where there is none, they answer with ones.

use alloc::vec::Vec;

use boot::cpu;
use kernel::machine::fw_cfg::{self, FwCfg, TooLong};
use kernel::store::TEXT_BYTES_MAX;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;

struct Ports;

/// The configuration that was handed over, if there is one; no longer than one that is saved.
pub fn configuration() -> Option<Vec<u8>> {
    match fw_cfg::read_file(&mut Ports, fw_cfg::CONFIGURATION, TEXT_BYTES_MAX) {
        Ok(file) => file,
        Err(TooLong { bytes }) => {
            let name = fw_cfg::CONFIGURATION;
            log::error!("fw_cfg {name} has {bytes} bytes, more than {TEXT_BYTES_MAX}: ignored");
            None
        }
    }
}

impl FwCfg for Ports {
    fn select(&mut self, key: u16) {
        // SAFETY: the device's own port; selecting touches no memory.
        unsafe { cpu::out16(SELECTOR, key) };
    }

    fn read(&mut self, into: &mut [u8]) {
        for byte in into {
            // SAFETY: as in `select`; reading moves nothing but the device's own position.
            *byte = unsafe { cpu::in8(DATA) };
        }
    }
}
