//! From a bus to devices: a network controller gets its driver, or a reason why it has none, and so do
//! the first disk and the first console.
//!
//! A NIC that cannot be used costs nothing but itself: the machine goes on with the others, and
//! the reason stands where an operator looks for the port.

use crate::disk::Disk;
use crate::nic::Nic;
use crate::pci::{Address, Bus, ConfigurationAccess, Device, NarrowAccess};
use crate::pool::Pool;
use crate::tty::Tty;
use crate::watchdog::Watchdog;
use crate::{e1000e, virtio, vmxnet3};
use alloc::boxed::Box;
use core::fmt;

/// A network controller and what became of it.
pub struct Found {
    pub address: Address,
    pub vendor: u16,
    pub device: u16,
    /// The interrupt of the 8259 that its INTx arrives at.
    pub irq_line: Option<u8>,
    pub result: Result<Box<dyn Nic>, Absent>,
}

/// The first device of a kind, and whether it can be used.
pub struct First<T> {
    pub address: Address,
    pub result: Result<T, Absent>,
}

/// Why a network controller is no port, a disk no disk, or a console none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// None of the drivers knows it.
    NoDriver { vendor: u16, device: u16 },
    /// Its list of capabilities leads back to itself.
    CapabilityLoop,
    /// A capability reaches beyond configuration space, or names a BAR that cannot be.
    CapabilityRange,
    /// It has not all structures of virtio 1.
    CapabilityMissing,
    /// Nothing of virtio is where its registers should be.
    Window,
    /// Its registers are laid out in another way than version 1 of virtio does.
    Legacy,
    /// A BAR has no place or size, is no memory, or a structure reaches beyond it.
    Bar { index: u8 },
    /// A BAR lies where this image has no mapping.
    BarUnmapped { index: u8 },
    /// The doorbell of a queue lies outside of the notification structure.
    NotifyRange { queue: u16 },
    /// It did not confirm a reset.
    NoReset,
    /// It does not offer all that we cannot do without (bits of virtio 1.2, 6 and 5.1.3).
    FeaturesMissing { bits: u64 },
    /// It refused the features that we chose from its own.
    FeaturesRefused,
    /// A queue's size is no power of two, or too small.
    QueueSize { queue: u16, offered: u32 },
    /// Its configuration never stood still, or is too short.
    Config,
    /// Its MAC address is zero or a group's.
    Mac([u8; 6]),
    /// No memory for its rings.
    NoMemory,
    /// There were buffers for so many NICs when the machine started.
    NoBuffers { nics: usize },
    /// Behind its bridge is no room for its registers.
    NoRoom,
    /// There are as many ports as there can be.
    NoPort,
}

/// Gives a network controller its driver.
///
/// # Safety
/// 1. Memory is identity-mapped, and so are, uncached, the registers behind every BAR that ends
///    at or below `mapped_end`.
/// 2. The BARs are where the firmware or [`crate::Bays`] put them and overlap no memory of ours.
/// 3. No driver uses the device, nor is it given another one while this one lives.
pub(crate) unsafe fn probe<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    nic: Device,
    pool: &'static Pool,
    mapped_end: u64,
) -> Found {
    let Device { address, vendor, irq_line, .. } = nic;
    let result = match (vendor, nic.device) {
        virtio::pci::NET_TRANSITIONAL | virtio::pci::NET => {
            // SAFETY: exactly what our caller promised.
            unsafe { virtio::pci::open_nic(bus, address, pool, mapped_end) }
        }
        vmxnet3::ID => {
            // SAFETY: exactly what our caller promised.
            unsafe { vmxnet3::open(bus, nic, pool, mapped_end) }
        }
        (vendor, id) if e1000e::knows(vendor, id) => {
            // SAFETY: exactly what our caller promised.
            unsafe { e1000e::open(bus, nic, pool, mapped_end) }
        }
        (vendor, device) => Err(Absent::NoDriver { vendor, device }),
    };
    Found { address, vendor, device: nic.device, irq_line, result }
}

/// Gives the first disk on the bus its driver. Others stay untouched, whatever is on them.
///
/// # Safety
/// As [`probe`].
pub unsafe fn probe_disk<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    mapped_end: u64,
) -> Option<First<Box<dyn Disk>>> {
    let address = bus.disks().first()?.address;
    // SAFETY: exactly what our caller promised.
    let result = unsafe { virtio::pci::open_disk(bus, address, mapped_end) };
    Some(First { address, result })
}

/// Gives the first console on the bus its driver.
///
/// # Safety
/// As [`probe`].
pub unsafe fn probe_console<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    mapped_end: u64,
) -> Option<First<Box<dyn Tty>>> {
    let address = bus.consoles().first()?.address;
    // SAFETY: exactly what our caller promised.
    let result = unsafe { virtio::pci::open_console(bus, address, mapped_end) };
    Some(First { address, result })
}

/// Has the machine's watchdog count, if there is one.
///
/// # Safety
/// As [`probe`].
pub(crate) unsafe fn start_watchdog<C: NarrowAccess>(
    bus: &mut Bus<C>,
    mapped_end: u64,
) -> Option<First<Watchdog>> {
    let address = bus.watchdog()?;
    // SAFETY: exactly what our caller promised.
    let result = unsafe { Watchdog::start(bus, address, mapped_end) };
    Some(First { address, result })
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Absent::NoDriver { vendor, device } => {
                write!(
                    f,
                    "no driver for {vendor:04x}:{device:04x} (virtio-net, e1000e and vmxnet3 are supported)"
                )
            }
            Absent::CapabilityLoop => f.write_str("its PCI capability list is a loop"),
            Absent::CapabilityRange => f.write_str("a PCI capability is out of range"),
            Absent::CapabilityMissing => {
                f.write_str("no virtio 1 interface (QEMU: disable-modern must be off)")
            }
            Absent::Window => f.write_str("no virtio device is there"),
            Absent::Legacy => f.write_str(
                "its registers are those of old (QEMU: -global virtio-mmio.force-legacy=false)",
            ),
            Absent::Bar { index } => write!(f, "BAR {index} is unusable"),
            Absent::BarUnmapped { index } => write!(f, "BAR {index} lies in unmapped memory"),
            Absent::NotifyRange { queue } => {
                write!(f, "the doorbell of queue {queue} is outside of its BAR")
            }
            Absent::NoReset => f.write_str("it does not confirm a reset"),
            Absent::FeaturesMissing { bits } => write!(f, "features {bits:#x} are not offered"),
            Absent::FeaturesRefused => f.write_str("it refuses the features it offered"),
            Absent::QueueSize { queue, offered } => {
                write!(f, "queue {queue} has size {offered}, not a power of two from 2 to 32768")
            }
            Absent::Config => f.write_str("its configuration cannot be read"),
            Absent::Mac(mac) => write!(f, "{mac:02x?} is no MAC address for a station"),
            Absent::NoMemory => f.write_str("no memory for its rings"),
            Absent::NoBuffers { nics } => {
                write!(f, "there are buffers for {nics} NICs; a start with it makes more")
            }
            Absent::NoPort => f.write_str("there are as many ports as there can be"),
            Absent::NoRoom => f.write_str("there is no room for its registers"),
        }
    }
}
