//! From a PCI function to a running virtio device (4.1).
//!
//! virtio-drivers' `PciTransport` walks the capabilities itself, but for devices that mean well:
//! a list that is a loop, a BAR number out of range or a structure that wraps would make it run
//! for ever, write to the wrong register, or panic. So the list is read here first, and only a
//! device whose structures all lie where they may is handed on.
//!
//! The doorbells are ours as well: their addresses are looked up once. `Transport::notify` asks
//! the device for the offset at each kick, which makes three accesses, each a trip to the
//! hypervisor, out of one.
//!
//! A transitional device, which also speaks virtio 0.9, has all of this too and is met as a modern one.

use super::transport::{AnyTransport, Bells, Connection};
use crate::disk::Disk;
use crate::nic::Nic;
use crate::pci::{
    Address, BARS, Bus, CAPABILITIES_FIRST, CAPABILITIES_MAX, CAPABILITIES_POINTER, COMMAND_STATUS,
    ConfigurationAccess, STATUS_CAPABILITIES,
};
use crate::pool::Pool;
use crate::probe::Absent;
use crate::tty::Tty;
use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use virtio_drivers::transport::pci::bus::PCI_CAP_ID_VNDR;
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG,
    VIRTIO_PCI_CAP_NOTIFY_CFG, VirtioPciError,
};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

#[cfg(test)]
mod tests;

/// Vendor and device of a network card that also speaks virtio 0.9, and of one that does not.
pub const NET_TRANSITIONAL: (u16, u16) = (0x1af4, 0x1000);
pub const NET: (u16, u16) = (0x1af4, 0x1041);
/// The same of a disk.
pub const BLOCK_TRANSITIONAL: (u16, u16) = (0x1af4, 0x1001);
pub const BLOCK: (u16, u16) = (0x1af4, 0x1042);
/// The same of a console.
pub const CONSOLE_TRANSITIONAL: (u16, u16) = (0x1af4, 0x1003);
pub const CONSOLE: (u16, u16) = (0x1af4, 0x1043);

/// `virtio_pci_cap`, and with the multiplier of the notification structure after it.
const STRUCTURE_CAP_BYTES: u8 = 16;
const NOTIFY_CAP_BYTES: u8 = 20;

/// In `virtio_pci_common_cfg` (4.1.4.3).
const COMMON_BYTES: u32 = 56;
const QUEUE_SELECT: u64 = 22;
const QUEUE_NOTIFY_OFF: u64 = 30;

/// Takes a network card's function to a running port.
///
/// # Safety
/// As [`crate::probe::probe`].
pub unsafe fn open_nic<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    address: Address,
    pool: &'static Pool,
    mapped_end: u64,
) -> Result<Box<dyn Nic>, Absent> {
    // SAFETY: the caller's promise.
    unsafe { connect(bus, address, mapped_end) }?.nic(pool)
}

/// Takes a disk's function to a running disk.
///
/// # Safety
/// As [`crate::probe_disk`].
pub unsafe fn open_disk<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    address: Address,
    mapped_end: u64,
) -> Result<Box<dyn Disk>, Absent> {
    // SAFETY: the caller's promise.
    let connection = unsafe { connect(bus, address, mapped_end) }?;
    bus.silence(address);
    connection.disk()
}

/// Takes a console's function to a running console.
///
/// # Safety
/// As [`crate::probe_console`].
pub unsafe fn open_console<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    address: Address,
    mapped_end: u64,
) -> Result<Box<dyn Tty>, Absent> {
    // SAFETY: the caller's promise.
    let connection = unsafe { connect(bus, address, mapped_end) }?;
    bus.silence(address);
    connection.console()
}

/// Finds the registers of a function and the doorbells of its queues.
///
/// # Safety
/// As [`crate::probe::probe`].
unsafe fn connect<C: ConfigurationAccess, const QUEUES: usize>(
    bus: &mut Bus<C>,
    address: Address,
    mapped_end: u64,
) -> Result<Connection<QUEUES>, Absent> {
    bus.disable(address);
    let regions = Capabilities::read(bus, address)?.locate(bus, address, mapped_end)?;
    let transport =
        PciTransport::new::<OneToOne, C>(bus.root(), address).map_err(|error| match error {
            VirtioPciError::Misaligned { .. } | VirtioPciError::InvalidNotifyOffMultiplier(_) => {
                Absent::CapabilityRange
            }
            _ => Absent::CapabilityMissing,
        })?;
    let transport = ManuallyDrop::new(AnyTransport::Pci(transport));
    bus.enable(address);
    // SAFETY: `locate` has found these regions inside the device's BARs and below `mapped_end`,
    // where by our caller's promises 1 and 2 they are mapped and nothing but the device.
    let bells = unsafe { find_bells(&regions) }?;
    Ok(Connection { transport, bells })
}

/// Where a capability says that a structure lies.
#[derive(Clone, Copy, Debug)]
struct Structure {
    bar: u8,
    offset: u32,
    length: u32,
}

/// What the capabilities say; nothing of it is checked against the BARs yet.
struct Capabilities {
    common: Structure,
    notify: Structure,
    notify_multiplier: u32,
    interrupt_status: Structure,
    device: Structure,
}

/// Regions of memory that are the device's registers.
struct Regions {
    common: u64,
    notify: u64,
    notify_bytes: u64,
    notify_multiplier: u32,
}

impl Capabilities {
    /// Walks the list, each element at most once.
    fn read<C: ConfigurationAccess>(
        bus: &Bus<C>,
        address: Address,
    ) -> Result<Capabilities, Absent> {
        let (mut common, mut notify, mut interrupt_status, mut device) = (None, None, None, None);
        let mut notify_multiplier = 0;
        let mut at = first_capability(bus, address)?;
        for _ in 0..CAPABILITIES_MAX {
            let Some(offset) = at else { break };
            let head = bus.read_word(address, offset);
            let [id, next, cap_bytes, kind] = head.to_le_bytes();
            at = next_capability(next)?;
            if id != PCI_CAP_ID_VNDR || cap_bytes < STRUCTURE_CAP_BYTES {
                continue;
            }
            let structure = read_structure(bus, address, offset, cap_bytes)?;
            // The first of each kind is the preferred one (4.1.4.1).
            match kind {
                VIRTIO_PCI_CAP_COMMON_CFG => common = common.or(Some(structure)),
                VIRTIO_PCI_CAP_ISR_CFG => {
                    interrupt_status = interrupt_status.or(Some(structure));
                }
                VIRTIO_PCI_CAP_DEVICE_CFG => device = device.or(Some(structure)),
                VIRTIO_PCI_CAP_NOTIFY_CFG if cap_bytes >= NOTIFY_CAP_BYTES && notify.is_none() => {
                    notify = Some(structure);
                    notify_multiplier = bus.read_word(address, offset + STRUCTURE_CAP_BYTES);
                }
                _ => {}
            }
        }
        if at.is_some() {
            return Err(Absent::CapabilityLoop);
        }
        match (common, notify, interrupt_status, device) {
            (Some(common), Some(notify), Some(interrupt_status), Some(device)) => {
                Ok(Capabilities { common, notify, notify_multiplier, interrupt_status, device })
            }
            _ => Err(Absent::CapabilityMissing),
        }
    }

    /// Finds the structures in memory, each wholly inside its BAR.
    fn locate<C: ConfigurationAccess>(
        &self,
        bus: &mut Bus<C>,
        address: Address,
        mapped_end: u64,
    ) -> Result<Regions, Absent> {
        let mut place = |structure| place(bus, address, structure, mapped_end);
        place(self.interrupt_status)?;
        place(self.device)?;
        let (common, notify) = (place(self.common)?, place(self.notify)?);
        if self.common.length < COMMON_BYTES || !common.is_multiple_of(4) {
            return Err(Absent::CapabilityRange);
        }
        Ok(Regions {
            common,
            notify,
            notify_bytes: u64::from(self.notify.length),
            notify_multiplier: self.notify_multiplier,
        })
    }
}

fn first_capability<C: ConfigurationAccess>(
    bus: &Bus<C>,
    address: Address,
) -> Result<Option<u8>, Absent> {
    if bus.read_word(address, COMMAND_STATUS) & STATUS_CAPABILITIES == 0 {
        return Ok(None);
    }
    next_capability(bus.read_word(address, CAPABILITIES_POINTER) as u8 & 0xfc)
}

fn next_capability(pointer: u8) -> Result<Option<u8>, Absent> {
    match pointer {
        0 => Ok(None),
        pointer if pointer < CAPABILITIES_FIRST || !pointer.is_multiple_of(4) => {
            Err(Absent::CapabilityRange)
        }
        pointer => Ok(Some(pointer)),
    }
}

fn read_structure<C: ConfigurationAccess>(
    bus: &Bus<C>,
    address: Address,
    offset: u8,
    cap_bytes: u8,
) -> Result<Structure, Absent> {
    if u16::from(offset) + u16::from(cap_bytes) > 256 {
        return Err(Absent::CapabilityRange);
    }
    Ok(Structure {
        bar: bus.read_word(address, offset + 4) as u8,
        offset: bus.read_word(address, offset + 8),
        length: bus.read_word(address, offset + 12),
    })
}

/// The structure's address, if it lies inside its BAR, and the BAR where we can reach it.
fn place<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    address: Address,
    structure: Structure,
    mapped_end: u64,
) -> Result<u64, Absent> {
    let Structure { bar: index, offset, length } = structure;
    if index >= BARS {
        return Err(Absent::CapabilityRange);
    }
    let unusable = Absent::Bar { index };
    let bar = bus.memory_bar(address, index).ok_or(unusable)?;
    let end = offset.checked_add(length).map(u64::from);
    if end.is_none_or(|end| end > bar.size_bytes) {
        return Err(unusable);
    }
    match bar.address.checked_add(bar.size_bytes) {
        Some(bar_end) if bar_end <= mapped_end => Ok(bar.address + u64::from(offset)),
        Some(_) | None => Err(Absent::BarUnmapped { index }),
    }
}

/// Asks the device once where its doorbells are.
///
/// # Safety
/// `regions` are mapped registers of the device, and nothing else uses them in this moment.
unsafe fn find_bells<const QUEUES: usize>(regions: &Regions) -> Result<Bells<QUEUES>, Absent> {
    let mut bells = [NonNull::dangling(); QUEUES];
    for (bell, queue) in bells.iter_mut().zip(0..) {
        // SAFETY: the caller's promise.
        *bell = unsafe { doorbell(regions, queue) }.ok_or(Absent::NotifyRange { queue })?;
    }
    // SAFETY: `doorbell` has seen each to be aligned and inside the device's notification structure,
    // which stays mapped.
    Ok(unsafe { Bells::each(bells) })
}

/// # Safety
/// As [`find_bells`].
unsafe fn doorbell(regions: &Regions, queue: u16) -> Option<NonNull<u16>> {
    let select = (regions.common + QUEUE_SELECT) as usize as *mut u16;
    let notify_off = (regions.common + QUEUE_NOTIFY_OFF) as usize as *const u16;
    // SAFETY: both lie in the common structure, which `Capabilities::locate` has seen to be long
    // enough and aligned, and which is mapped by the caller's promise.
    let notify_off = unsafe {
        select.write_volatile(queue);
        notify_off.read_volatile()
    };
    let offset = u64::from(notify_off) * u64::from(regions.notify_multiplier);
    let address = regions.notify + offset;
    if offset + size_of::<u16>() as u64 > regions.notify_bytes
        || !address.is_multiple_of(align_of::<u16>() as u64)
    {
        return None;
    }
    NonNull::new(address as usize as *mut u16)
}

/// Virtual addresses are physical ones.
struct OneToOne;

// SAFETY: registers are where their physical address says, by the promise that `connect`'s caller
// makes; memory is never given out, since the rings have their own.
unsafe impl Hal for OneToOne {
    fn dma_alloc(_: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // Address 0 is this interface's word for "no memory".
        (0, NonNull::dangling())
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        -1
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as usize as *mut u8).expect("a BAR at address 0 is refused before")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
