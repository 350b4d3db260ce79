//! From registers in memory to a running virtio device (4.2): how a machine without PCI has them, QEMU's
//! `microvm` or Firecracker. Nothing lists these devices but the loader's command line, which says
//! where each one is.
//!
//! Only version 2 of the layout is used. Version 1 is that of the time before the standard: QEMU has it
//! unless `virtio-mmio.force-legacy=false`.

use super::transport::{AnyTransport, Bells, Connection};
use crate::disk::Disk;
use crate::nic::Nic;
use crate::pool::Pool;
use crate::probe::Absent;
use crate::tty::Tty;
use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::ptr::NonNull;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};

/// Registers (4.2.2).
const MAGIC: u64 = 0x00;
const VERSION: u64 = 0x04;
const DEVICE_ID: u64 = 0x08;
const QUEUE_NOTIFY: u64 = 0x50;
/// Where the device's own configuration begins.
const CONFIG: u64 = 0x100;

const MAGIC_VIRT: u32 = u32::from_le_bytes(*b"virt");
const VERSION_1_0: u32 = 2;

/// A device at its registers, before it has a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    registers: Range<u64>,
    pub kind: WindowKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    Nic,
    Disk,
    Console,
    /// Something else, or nobody.
    Other,
}

impl Window {
    /// Looks who is there.
    ///
    /// # Safety
    /// The range is mapped, uncached if it is a device's, and reading it does no harm.
    pub unsafe fn look(registers: Range<u64>) -> Result<Window, Absent> {
        let bytes = registers.end.saturating_sub(registers.start);
        if !registers.start.is_multiple_of(4) || registers.start == 0 || bytes <= CONFIG {
            return Err(Absent::Window);
        }
        let word = |offset| {
            let register = (registers.start + offset) as usize as *const u32;
            // SAFETY: aligned, and within the range that the caller vouches for.
            unsafe { register.read_volatile() }
        };
        match (word(MAGIC), word(VERSION)) {
            (MAGIC_VIRT, VERSION_1_0) => {}
            (MAGIC_VIRT, _) => return Err(Absent::Legacy),
            _ => return Err(Absent::Window),
        }
        let kind = match word(DEVICE_ID) {
            1 => WindowKind::Nic,
            2 => WindowKind::Disk,
            3 => WindowKind::Console,
            _ => WindowKind::Other,
        };
        Ok(Window { registers, kind })
    }

    /// # Safety
    /// Memory is identity-mapped; the registers are mapped, uncached, and nothing else uses the device
    /// from now on. The same for the other two.
    pub unsafe fn open_nic(&self, pool: &'static Pool) -> Result<Box<dyn Nic>, Absent> {
        // SAFETY: the caller's promise.
        unsafe { self.connect() }?.nic(pool)
    }

    /// # Safety
    /// As [`Window::open_nic`].
    pub unsafe fn open_disk(&self) -> Result<Box<dyn Disk>, Absent> {
        // SAFETY: the caller's promise.
        unsafe { self.connect() }?.disk()
    }

    /// # Safety
    /// As [`Window::open_nic`].
    pub unsafe fn open_console(&self) -> Result<Box<dyn Tty>, Absent> {
        // SAFETY: the caller's promise.
        unsafe { self.connect() }?.console()
    }

    /// # Safety
    /// As [`Window::open_nic`].
    unsafe fn connect<const QUEUES: usize>(&self) -> Result<Connection<QUEUES>, Absent> {
        let Range { start, end } = self.registers;
        let header = NonNull::new(start as usize as *mut VirtIOHeader).ok_or(Absent::Window)?;
        // SAFETY: aligned and longer than the header, as `look` has seen; a device's registers for ever,
        // by the caller's promise.
        let transport = unsafe { MmioTransport::new(header, (end - start) as usize) };
        let transport = transport.map_err(|_| Absent::Window)?;
        let bell = NonNull::new((start + QUEUE_NOTIFY) as usize as *mut u32);
        // SAFETY: within the same registers.
        let bells = unsafe { Bells::shared(bell.ok_or(Absent::Window)?) };
        Ok(Connection { transport: ManuallyDrop::new(AnyTransport::Mmio(transport)), bells })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers of which only the first three matter here.
    #[repr(align(4))]
    struct Registers([u32; 0x200 / 4]);

    fn look(words: [u32; 3]) -> Result<WindowKind, Absent> {
        let mut registers = Box::new(Registers([0; 0x200 / 4]));
        registers.0[..3].copy_from_slice(&words);
        let start = registers.0.as_ptr() as u64;
        // SAFETY: memory of ours.
        unsafe { Window::look(start..start + 0x200) }.map(|window| window.kind)
    }

    #[test]
    fn who_is_there() {
        let virt = 0x7472_6976;
        let cases = [
            ("a NIC", [virt, 2, 1], Ok(WindowKind::Nic)),
            ("a disk", [virt, 2, 2], Ok(WindowKind::Disk)),
            ("a console", [virt, 2, 3], Ok(WindowKind::Console)),
            ("a balloon", [virt, 2, 5], Ok(WindowKind::Other)),
            ("an empty place", [virt, 2, 0], Ok(WindowKind::Other)),
            ("an old layout", [virt, 1, 1], Err(Absent::Legacy)),
            ("a layout to come", [virt, 3, 1], Err(Absent::Legacy)),
            ("memory", [0, 0, 0], Err(Absent::Window)),
            ("nobody", [u32::MAX; 3], Err(Absent::Window)),
        ];
        for (what, words, expected) in cases {
            assert_eq!(look(words), expected, "{what}");
        }
    }

    #[test]
    fn places_that_cannot_be() {
        for range in [0..0x200, 0x1002..0x1202, 0x1000..0x1100, 0x1000..0x1000] {
            // SAFETY: refused before anything is read.
            let found = unsafe { Window::look(range.clone()) };
            assert_eq!(found, Err(Absent::Window), "{range:x?}");
        }
    }
}
