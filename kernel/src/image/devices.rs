//! The devices: found on the PCI bus, their registers mapped, their interrupt lines noted.

use alloc::boxed::Box;
use alloc::vec::Vec;

use drivers::disk::BLOCK_BYTES;
use drivers::pci::{Bus, ConfigurationAccess, PortIo};
use drivers::{Disk, First, Found, Pool, Tty, probe_all, probe_console, probe_disk};
use kernel::appliance::Attached;
use kernel::machine::bars::memory_bars;
use kernel::store::Trouble;

use super::idle::Lines;
use super::memory;

/// The bus, before its devices have drivers.
pub struct DeviceBus {
    config: PortIo,
    count: usize,
}

/// The NICs with their drivers.
pub struct Nics {
    pub attached: Vec<Attached>,
    /// The interrupt lines that they share.
    pub lines: Lines,
}

impl DeviceBus {
    /// Looks who is there, and makes sure that all registers can be reached.
    ///
    /// # Safety
    /// Once; nothing else uses the ports of PCI's configuration space or these devices.
    pub unsafe fn scan() -> DeviceBus {
        // SAFETY: the caller's promise.
        let config = unsafe { PortIo::new() };
        // SAFETY: the copy lives only as long as this scan and only reads.
        let bus = Bus::new(unsafe { config.unsafe_clone() });
        let (nics, disks, consoles) = (bus.nics(), bus.disks(), bus.consoles());
        for device in nics.iter().chain(&disks).chain(&consoles) {
            let word = |register| config.read_word(device.address, register);
            for address in memory_bars(word) {
                if memory::map_device(address).is_err() {
                    log::error!("{}: a BAR at {address:#x} cannot be mapped", device.address);
                }
            }
        }
        for device in disks.iter().skip(1).chain(consoles.iter().skip(1)) {
            log::warn!("{}: a disk or console beside the first one: left alone", device.address);
        }
        DeviceBus { config, count: nics.len() }
    }

    /// NICs on the bus, those included that no driver may know.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Gives the disk its driver, if there is one.
    pub fn disk(&mut self) -> Option<Result<Box<dyn Disk>, Trouble>> {
        // SAFETY: the copy lives only as long as this call, in which nothing else uses the ports.
        let mut bus = Bus::new(unsafe { self.config.unsafe_clone() });
        // SAFETY: as in `attach`; this is called once, before `attach` uses the bus up.
        let First { address, result } = unsafe { probe_disk(&mut bus, memory::mapped_end()) }?;
        Some(result.map_err(Trouble::Absent).inspect(|disk| {
            let mib = (disk.blocks() * BLOCK_BYTES as u64) >> 20;
            log::info!("{address} virtio-blk {mib} MiB");
        }))
    }

    /// Gives the virtio console its driver, if there is one.
    pub fn console(&mut self) -> Option<Box<dyn Tty>> {
        // SAFETY: as in `disk`.
        let mut bus = Bus::new(unsafe { self.config.unsafe_clone() });
        // SAFETY: as in `disk`.
        let First { address, result } = unsafe { probe_console(&mut bus, memory::mapped_end()) }?;
        match result {
            Ok(console) => {
                log::info!("{address} virtio console");
                Some(console)
            }
            Err(reason) => {
                log::error!("{address} is no console: {reason}");
                None
            }
        }
    }

    /// Gives every NIC its driver; the log says what became of each.
    pub fn attach(self, pool: &'static Pool) -> Nics {
        let mut bus = Bus::new(self.config);
        // SAFETY: memory is mapped one to one and registers are uncached, up to 4 GiB by `memory`
        // and wherever a BAR lies by `scan`; the firmware placed the BARs; `self` is used up, so
        // this is the only probe.
        let found = unsafe { probe_all(&mut bus, pool, memory::mapped_end()) };
        let mut nics = Nics { attached: Vec::new(), lines: Lines::NONE };
        found.into_iter().for_each(|found| nics.add(found));
        nics
    }
}

impl Nics {
    fn add(&mut self, found: Found) {
        let Found { address, irq_line, result, .. } = found;
        match result {
            Ok(nic) => {
                let [a, b, c, d, e, f] = nic.mac();
                log::info!(
                    "{address} {} {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} offloads: {}",
                    nic.driver(),
                    nic.abilities()
                );
                self.lines = self.lines.with(irq_line.map_or(Lines::NONE, Lines::number));
                self.attached.push(Attached { nic, pci: Some(address) });
            }
            Err(reason) => log::error!("{address} is no port: {reason}"),
        }
    }
}
