//! The devices: found on the PCI bus, their registers mapped, their interrupt lines noted.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use drivers::bays::{AcpiPorts, Ejector};
use drivers::disk::BLOCK_BYTES;
use drivers::pci::{Address, Bus, ConfigurationAccess, PortIo};
use drivers::{
    Absent, Bays, Disk, First, Found, News, Nic, Pool, Tty, Watchdog, probe_console, probe_disk,
};
use kernel::appliance::{Appliance, Attached};
use kernel::control::Control;
use kernel::machine::aml::Plugging;
use kernel::machine::bars::memory_bars;
use kernel::store::Trouble;

use super::idle::Lines;
use super::memory;

/// The bus, before its devices have drivers.
pub struct DeviceBus {
    config: PortIo,
    bays: Bays<PortIo>,
    /// NICs on the bus, those included that no driver may know, and some that may yet come.
    pub nics_max: usize,
}

/// NICs that may be plugged in beside those that are there at the start: for so many there are buffers.
const NICS_SPARE: usize = 4;

/// The NICs with their drivers.
pub struct Nics {
    pub attached: Vec<Attached>,
    pub sockets: Sockets,
}

impl DeviceBus {
    /// Looks who is there, and makes sure that all registers can be reached.
    ///
    /// # Safety
    /// Once; nothing else uses the ports of PCI's configuration space or these devices.
    pub unsafe fn scan(plugging: Option<&Plugging>) -> DeviceBus {
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
        // SAFETY: as above; they take turns.
        let bays = find_bays(unsafe { config.unsafe_clone() }, plugging);
        let nics_max = nics.len() + bays.empty().count().min(NICS_SPARE);
        DeviceBus { config, bays, nics_max }
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
        let DeviceBus { mut bays, nics_max, .. } = self;
        // SAFETY: memory is mapped one to one and registers are uncached, up to 4 GiB by `memory`
        // and wherever a BAR lies by `scan`; the firmware placed the BARs, and memory ends far below
        // the last 256 MiB of those; `self` is used up, so nothing else uses the bus.
        let news = unsafe { bays.look_at_all(pool, nics_max, memory::mapped_end()) };
        let mut sockets = Sockets { bays, pool, nics_max, lines: Lines::NONE };
        let attached = news.into_iter().filter_map(|news| match news {
            News::Came(found) => sockets.take(found),
            News::Left(_) => None,
        });
        Nics { attached: attached.collect(), sockets }
    }
}

/// Where NICs are and may come to be.
pub struct Sockets {
    bays: Bays<PortIo>,
    pool: &'static Pool,
    nics_max: usize,
    lines: Lines,
}

impl Sockets {
    /// The interrupt lines that the NICs share.
    pub fn lines(&self) -> Lines {
        self.lines
    }

    /// Has the watchdog count, if there is one.
    pub fn start_watchdog(&mut self) -> Option<Watchdog> {
        // SAFETY: as in `attach`; this is called once.
        let First { address, result } = unsafe { self.bays.start_watchdog(memory::mapped_end()) }?;
        match result {
            Ok(watchdog) => {
                log::info!("{address} watchdog: a loop that stands still for 10 s is started anew");
                Some(watchdog)
            }
            Err(reason) => {
                log::error!("{address} is no watchdog: {reason}");
                None
            }
        }
    }

    /// Places that a NIC may be plugged into.
    pub fn empty(&self) -> Vec<Address> {
        self.bays.empty().collect()
    }

    /// Looks whether a NIC has come or gone, at some of the places.
    pub fn look(&mut self, control: &mut Control, appliance: &mut Appliance) {
        // SAFETY: as in `attach`; whoever left is told so and dropped by `unplug`.
        let news = unsafe { self.bays.look(self.pool, self.nics_max, memory::mapped_end()) };
        match news {
            None => {}
            Some(News::Left(address)) => {
                log::info!("{address} is unplugged");
                control.unplug(address, appliance);
            }
            Some(News::Came(found)) => {
                let Some(attached) = self.take(found) else { return };
                if let Err((reason, attached)) = control.plug(attached, appliance) {
                    log::error!("{} is no port: {reason}", attached.id());
                }
            }
        }
    }

    /// Notes what became of a NIC.
    fn take(&mut self, found: Found) -> Option<Attached> {
        let Found { address, irq_line, result, .. } = found;
        let attached = met(&address, Some(address), result)?;
        self.lines = self.lines.with(irq_line.map_or(Lines::NONE, Lines::number));
        Some(attached)
    }
}

/// Tells the log what became of a NIC.
pub fn met(
    place: &dyn fmt::Display,
    pci: Option<Address>,
    result: Result<Box<dyn Nic>, Absent>,
) -> Option<Attached> {
    match result {
        Ok(nic) => {
            let [a, b, c, d, e, f] = nic.mac();
            log::info!(
                "{place} {} {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} offloads: {}",
                nic.driver(),
                nic.abilities()
            );
            Some(Attached { nic, pci })
        }
        Err(reason) => {
            log::error!("{place} is no port: {reason}");
            None
        }
    }
}

fn find_bays(config: PortIo, plugging: Option<&Plugging>) -> Bays<PortIo> {
    let selectors = plugging.map_or(&[][..], |it| &it.selectors);
    let ejector = plugging.map(|Plugging { port, .. }| {
        // SAFETY: the machine's own tables say that these registers are there, and nobody else runs
        // the methods that use them.
        Box::new(unsafe { AcpiPorts::new(*port) }) as Box<dyn Ejector>
    });
    Bays::find(Bus::new(config), ejector, selectors)
}
