//! The watchdog of Intel's 6300ESB (its datasheet, 17), which is QEMU's and libvirt's `i6300esb`: a
//! machine whose loop does not go round any more is started anew.
//!
//! It counts down twice, and at the end of the second time resets the machine; feeding it has it begin
//! again. Its registers take writes of the width they have and no other, each of them after two that
//! open it. They are never read: what is there is what was written.

use crate::mmio::{Mmio, Registers};
use crate::pci::{Address, Bus, NarrowAccess};
use crate::probe::Absent;

pub struct Watchdog {
    registers: Mmio,
}

pub(crate) const ID: (u16, u16) = (0x8086, 0x25ab);

/// How long the loop may stand still, in steps of about a millisecond for each of the two counts: an
/// emulator on a busy host may hold a machine up for seconds.
const COUNT: u32 = 5_000;

/// In configuration space: what happens at the end of a count (nothing at the first, a reset at the
/// second, steps of a millisecond), and whether it counts.
const CONFIGURATION: u8 = 0x60;
const NO_INTERRUPT: u16 = 0b11;
const LOCK: u8 = 0x68;
const ENABLED: u8 = 1 << 1;
/// Behind its BAR.
const BYTES: u32 = 16;
const COUNTS: [u32; 2] = [0, 4];
const RELOAD: u32 = 12;
const OPENING: [u16; 2] = [0x80, 0x86];
const BEGIN_AGAIN: u16 = 1 << 8;

impl Watchdog {
    /// Has the watchdog of a function count from here on.
    ///
    /// # Safety
    /// As [`crate::probe::probe`].
    pub(crate) unsafe fn start<C: NarrowAccess>(
        bus: &mut Bus<C>,
        address: Address,
        mapped_end: u64,
    ) -> Result<Watchdog, Absent> {
        // SAFETY: the caller's promise.
        let registers = unsafe { Mmio::open(bus, address, 0, BYTES, mapped_end) }?;
        bus.enable(address);
        let mut watchdog = Watchdog { registers };
        bus.write_half(address, CONFIGURATION, NO_INTERRUPT);
        for count in COUNTS {
            watchdog.open();
            watchdog.registers.write(count, COUNT);
        }
        watchdog.feed();
        bus.write_byte(address, LOCK, ENABLED);
        Ok(watchdog)
    }

    /// Has it begin again.
    pub fn feed(&mut self) {
        self.open();
        self.registers.write_half(RELOAD, BEGIN_AGAIN);
    }

    /// The next register may be written.
    fn open(&mut self) {
        OPENING.into_iter().for_each(|key| self.registers.write_half(RELOAD, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::fake::{self, FakeConfig, Function};
    use std::boxed::Box;

    /// Its registers hold the last that was written to each.
    #[repr(C, align(4096))]
    struct Page([u32; 1024]);

    #[test]
    fn it_is_started_and_fed() {
        let page: &'static mut Page = Box::leak(Box::new(Page([0; 1024])));
        let at = page.0.as_ptr() as u64;
        let mut function = Function::new(ID.0, ID.1, 0x08);
        // The page lies anywhere, so the BAR is wide, which the chip's is not.
        function.words[4] = at as u32 | 4;
        function.words[5] = (at >> 32) as u32;
        function.bar_masks[..2].copy_from_slice(&[0xffff_f000, u32::MAX]);
        let config = FakeConfig::default();
        let address = fake::address(0, 4, 0);
        config.insert(address, function);
        let mut bus = Bus::new(config.clone());
        // SAFETY: the page lives for ever, and nothing else is behind the BAR.
        let mut watchdog = unsafe { Watchdog::start(&mut bus, address, u64::MAX) }.unwrap();
        assert_eq!(config.word(address, CONFIGURATION), 3);
        assert_eq!(config.word(address, LOCK), 2);
        // SAFETY: as above.
        let read = |at: usize| unsafe { page.0.as_ptr().add(at / 4).read_volatile() };
        assert_eq!([read(0), read(4), read(12)], [COUNT, COUNT, BEGIN_AGAIN.into()]);
        watchdog.open();
        assert_eq!(read(12), 0x86);
        watchdog.feed();
        assert_eq!(read(12), BEGIN_AGAIN.into());
    }
}
