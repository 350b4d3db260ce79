//! A device's registers in memory. All drivers of ours reach them here and nowhere else.
//!
//! A register is 32 bits wide, but for the watchdog's, and every access touches it once, where it stands in the program: the
//! pages are uncached and the accesses volatile. What was written to memory before a register is
//! seen before it, so a doorbell needs no fence of its own.

use crate::pci::{Address, Bus, ConfigurationAccess};
use crate::probe::Absent;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

/// Registers by their offset, which is a multiple of four.
pub trait Registers {
    fn read(&self, at: u32) -> u32;

    fn write(&mut self, at: u32, value: u32);

    /// Leaves the device alone for about a millisecond.
    fn pause(&self);
}

/// Registers behind a BAR.
pub struct Mmio {
    base: NonNull<u8>,
    bytes: u32,
}

impl Mmio {
    /// The first so many bytes behind a function's memory BAR.
    ///
    /// # Safety
    /// As [`crate::probe::probe`].
    pub unsafe fn open<C: ConfigurationAccess>(
        bus: &mut Bus<C>,
        address: Address,
        index: u8,
        bytes: u32,
        mapped_end: u64,
    ) -> Result<Mmio, Absent> {
        let unusable = Absent::Bar { index };
        let bar = bus.memory_bar(address, index).ok_or(unusable)?;
        let end = bar.address.checked_add(bar.size_bytes).ok_or(unusable)?;
        if end > mapped_end {
            return Err(Absent::BarUnmapped { index });
        }
        let base = NonNull::new(bar.address as usize as *mut u8).ok_or(unusable)?;
        let is_aligned = bar.address.is_multiple_of(4);
        if bar.size_bytes < u64::from(bytes) || !is_aligned {
            Err(unusable)
        } else {
            Ok(Mmio { base, bytes })
        }
    }

    /// Writes to a register that takes only so many bits.
    pub fn write_half(&mut self, at: u32, value: u16) {
        fence(Ordering::Release);
        // SAFETY: as in `write`; a part of a register is aligned as well.
        unsafe { self.register(at).cast().write_volatile(value) }
    }

    fn register(&self, at: u32) -> NonNull<u32> {
        assert!(at.is_multiple_of(4) && at < self.bytes, "there is no register {at:#x}");
        // SAFETY: `open` has seen that so many bytes lie behind the BAR.
        unsafe { self.base.add(at as usize).cast() }
    }
}

/// Not inlined: beside the trip to the device a call is nothing, and there are many of them.
impl Registers for Mmio {
    #[inline(never)]
    fn read(&self, at: u32) -> u32 {
        // SAFETY: (1) `register` gives an aligned address behind the BAR, which is mapped by the
        // promise to `open`; (2) there nothing but the device's registers is, and no reference.
        let value = unsafe { self.register(at).read_volatile() };
        fence(Ordering::Acquire);
        value
    }

    #[inline(never)]
    fn write(&mut self, at: u32, value: u32) {
        fence(Ordering::Release);
        // SAFETY: as in `read`. What makes a device touch memory are addresses, and drivers give it
        // those of memory that they own.
        unsafe { self.register(at).write_volatile(value) }
    }

    /// Nothing decodes this port but what shows POST codes; a write takes the bus about a
    /// microsecond, as PCs have been measuring short times for decades.
    fn pause(&self) {
        const PORT: u16 = 0x80;
        for _ in 0..1000 {
            // SAFETY: no device of ours or of anybody's acts on this port.
            unsafe { boot::cpu::out8(PORT, 0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pci::fake::{FakeConfig, Function, address};

    const BYTES: u32 = 0x4000;
    #[repr(align(0x4000))]
    struct Page([u32; BYTES as usize / 4]);

    /// Opens so many bytes of a function whose BAR 0 is at this address.
    fn open(at: u64, bytes: u32, mapped_end: u64) -> Result<Mmio, Absent> {
        let config = FakeConfig::default();
        let mut function = Function::new(0x8086, 0x10d3, 0x02);
        function.words[4] = at as u32 | 0x4;
        function.words[5] = (at >> 32) as u32;
        function.bar_masks[..2].copy_from_slice(&[!(BYTES - 1), u32::MAX]);
        config.insert(address(0, 2, 0), function);
        let mut bus = Bus::new(config);
        // SAFETY: the tests' BARs are pages that live for ever, or are never touched.
        unsafe { Mmio::open(&mut bus, address(0, 2, 0), 0, bytes, mapped_end) }
    }

    #[test]
    fn registers_are_where_their_bar_is() {
        let page = Box::leak(Box::new(Page([0; BYTES as usize / 4])));
        page.0[2] = 7;
        let at = page.0.as_ptr() as u64;
        let mut registers = open(at, BYTES, u64::MAX).unwrap();
        assert_eq!(registers.read(8), 7);
        registers.write(BYTES - 4, 9);
        assert_eq!(registers.read(BYTES - 4), 9);
    }

    #[test]
    fn d15_bars_that_cannot_be_used() {
        let cases = [
            (0, BYTES, u64::MAX, Absent::Bar { index: 0 }),
            (0x10_0000, BYTES + 4, u64::MAX, Absent::Bar { index: 0 }),
            (0x10_0000, BYTES, 0x10_3fff, Absent::BarUnmapped { index: 0 }),
            (u64::MAX - 0x3fff, BYTES, u64::MAX, Absent::Bar { index: 0 }),
        ];
        for (at, bytes, mapped_end, reason) in cases {
            assert_eq!(open(at, bytes, mapped_end).err(), Some(reason), "{at:#x}");
        }
    }

    #[test]
    #[should_panic(expected = "no register")]
    fn a_register_beyond_what_was_asked_for_is_our_own_mistake() {
        let page = Box::leak(Box::new(Page([0; BYTES as usize / 4])));
        open(page.0.as_ptr() as u64, 0x100, u64::MAX).unwrap().read(0x100);
    }
}
