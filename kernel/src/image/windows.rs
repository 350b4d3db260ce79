//! Devices beside the PCI bus, where the command line says that they are: QEMU's `microvm` has all of
//! its devices there. They come in the order of the command line.

use alloc::boxed::Box;
use alloc::vec::Vec;

use drivers::disk::BLOCK_BYTES;
use drivers::{Absent, Disk, Pool, Tty, Window, WindowKind};
use kernel::appliance::Attached;
use kernel::machine::options::MmioWindow;
use kernel::store::Trouble;

use super::devices::met;
use super::idle::Lines;
use super::memory;

/// The devices, before they have drivers.
pub struct Windows(Vec<Place>);

struct Place {
    address: u64,
    window: Window,
    line: Lines,
}

impl Windows {
    /// Looks who is there.
    ///
    /// # Safety
    /// Once; nothing else uses these devices.
    pub unsafe fn look(named: &[MmioWindow]) -> Windows {
        let places = named.iter().filter_map(|MmioWindow { registers, line }| {
            let address = registers.start;
            let ends = [address, registers.end.saturating_sub(1)];
            // SAFETY: mapped, just now if it was not; whatever is there, reading it does no harm.
            let found = match ends.into_iter().try_for_each(memory::map_device) {
                Ok(()) => unsafe { Window::look(registers.clone()) },
                Err(_) => Err(Absent::Window),
            };
            match found {
                Ok(window) => Some(Place { address, window, line: Lines::number(*line) }),
                Err(reason) => {
                    log::error!("{address:#x} is no device: {reason}");
                    None
                }
            }
        });
        Windows(places.collect())
    }

    fn of(&self, kind: WindowKind) -> impl Iterator<Item = &Place> {
        self.0.iter().filter(move |place| place.window.kind == kind)
    }

    /// NICs, those included that may not do.
    pub fn count(&self) -> usize {
        self.of(WindowKind::Nic).count()
    }

    /// Gives the first disk its driver, if there is one.
    pub fn disk(&self) -> Option<Result<Box<dyn Disk>, Trouble>> {
        let Place { address, window, .. } = self.of(WindowKind::Disk).next()?;
        // SAFETY: as in `attach`; this is called once.
        let disk = unsafe { window.open_disk() };
        Some(disk.map_err(Trouble::Absent).inspect(|disk| {
            let mib = (disk.blocks() * BLOCK_BYTES as u64) >> 20;
            log::info!("{address:#x} virtio-blk {mib} MiB");
        }))
    }

    /// Gives the first virtio console its driver, if there is one.
    pub fn console(&self) -> Option<Box<dyn Tty>> {
        let Place { address, window, .. } = self.of(WindowKind::Console).next()?;
        // SAFETY: as in `attach`; this is called once.
        let console = unsafe { window.open_console() };
        console.inspect_err(|reason| log::error!("{address:#x} is no console: {reason}")).ok()
    }

    /// Gives every NIC its driver; the log says what became of each. The interrupt lines are theirs.
    pub fn attach(self, pool: &'static Pool) -> (Vec<Attached>, Lines) {
        let (mut attached, mut lines) = (Vec::new(), Lines::NONE);
        for Place { address, window, line } in self.of(WindowKind::Nic) {
            // SAFETY: memory is mapped one to one, the registers uncached unless they lie in RAM, where
            // no device of virtio is; `self` is used up, so no device gets a second driver.
            let result = unsafe { window.open_nic(pool) };
            if let Some(nic) = met(&format_args!("{address:#x}"), None, result) {
                attached.push(nic);
                lines = lines.with(*line);
            }
        }
        (attached, lines)
    }
}
