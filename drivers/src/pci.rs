//! The PCI bus: who is there, and where.
//!
//! The firmware has numbered the buses and placed the BARs; this walks what it left. A bridge's
//! secondary bus always has a higher number than the bus the bridge is on, so one pass over the
//! bus numbers, each looked at only if a bridge before it led there, meets everything, in
//! ascending order, and cannot loop whatever a bridge claims.
//!
//! [`PortIo`] is configuration mechanism #1 (ports 0xCF8 and 0xCFC), which every PC has, q35
//! included. A machine with memory-mapped configuration space alone takes virtio-drivers'
//! `MmioCam` in its place. Root buses that no bridge leads to (QEMU's `pxb`) are not met.

use alloc::vec::Vec;
use virtio_drivers::transport::pci::bus::{BarInfo, Command, PciRoot};

use crate::virtio;

pub use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction as Address};

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

const ID: u8 = 0x00;
const CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0c;
const BRIDGE_BUSES: u8 = 0x18;
const INTERRUPT: u8 = 0x3c;

/// BARs of a function that is no bridge.
pub(crate) const BARS: u8 = 6;

const SLOTS: u8 = 32;
const FUNCTIONS: u8 = 8;
const CLASS_STORAGE: u8 = 0x01;
const CLASS_NETWORK: u8 = 0x02;
const CLASS_COMMUNICATION: u8 = 0x07;

/// A controller on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub address: Address,
    pub vendor: u16,
    pub device: u16,
    /// The interrupt of the 8259 that the firmware has routed its INTx to.
    pub irq_line: Option<u8>,
}

/// The bus, through some access to configuration space.
pub struct Bus<C: ConfigurationAccess> {
    root: PciRoot<C>,
    /// A second handle: [`PciRoot`] keeps the first to itself. It only reads.
    reads: C,
}

/// Where a device's registers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub address: u64,
    pub size_bytes: u64,
}

impl<C: ConfigurationAccess> Bus<C> {
    pub fn new(config: C) -> Bus<C> {
        // SAFETY: `reads` is private to this module, which only calls `read_word` on it, for
        // fields that nobody writes: identity, class, bus numbers, interrupt line, capabilities.
        let reads = unsafe { config.unsafe_clone() };
        Bus { root: PciRoot::new(config), reads }
    }

    /// Every network controller, in ascending order of address.
    pub fn nics(&self) -> Vec<Device> {
        self.devices(CLASS_NETWORK)
    }

    /// Every disk of a kind that there is a driver for, in ascending order of address.
    pub fn disks(&self) -> Vec<Device> {
        self.known(CLASS_STORAGE, [virtio::pci::BLOCK_TRANSITIONAL, virtio::pci::BLOCK])
    }

    /// Every console of a kind that there is a driver for, in ascending order of address.
    pub fn consoles(&self) -> Vec<Device> {
        self.known(CLASS_COMMUNICATION, [virtio::pci::CONSOLE_TRANSITIONAL, virtio::pci::CONSOLE])
    }

    /// Those of a class, by vendor and device.
    fn known(&self, class: u8, known: [(u16, u16); 2]) -> Vec<Device> {
        let mut devices = self.devices(class);
        devices.retain(|device| known.contains(&(device.vendor, device.device)));
        devices
    }

    fn devices(&self, class: u8) -> Vec<Device> {
        let mut devices = Vec::new();
        let mut reached = [false; 256];
        reached[0] = true;
        for bus in 0..=u8::MAX {
            if !reached[usize::from(bus)] {
                continue;
            }
            for slot in 0..SLOTS {
                self.visit_slot(bus, slot, &mut reached, |found, device| {
                    if found == class {
                        devices.push(device);
                    }
                });
            }
        }
        devices
    }

    fn visit_slot(
        &self,
        bus: u8,
        slot: u8,
        reached: &mut [bool; 256],
        mut meet: impl FnMut(u8, Device),
    ) {
        for function in 0..FUNCTIONS {
            let address = Address { bus, device: slot, function };
            match Header::read(&self.reads, address) {
                // A slot without function 0 is empty.
                None if function == 0 => return,
                None => {}
                Some(header) => {
                    match header.kind {
                        Kind::Device { class, device } => meet(class, device),
                        // A bus that was passed already is not visited again.
                        Kind::Bridge { secondary } => reached[usize::from(secondary)] = true,
                        Kind::Other => {}
                    }
                    // A device of one function may answer for all eight.
                    if function == 0 && !header.multifunction {
                        return;
                    }
                }
            }
        }
    }

    /// Takes the device off its BARs and off memory. To be done before BARs are sized, which
    /// would else do and undo it at every step, and each step makes the hypervisor rebuild its
    /// map of the machine: 24 ms a NIC in a machine of forty.
    pub(crate) fn disable(&mut self, address: Address) {
        let (_, command) = self.root.get_status_command(address);
        let decode = Command::IO_SPACE | Command::MEMORY_SPACE;
        self.root.set_command(address, command - (decode | Command::BUS_MASTER));
    }

    /// Lets the device answer at its memory BARs, read and write memory, and assert INTx.
    pub(crate) fn enable(&mut self, address: Address) {
        let (_, command) = self.root.get_status_command(address);
        let wanted = Command::MEMORY_SPACE | Command::BUS_MASTER;
        self.root.set_command(address, (command | wanted) - Command::INTERRUPT_DISABLE);
    }

    /// Keeps the device from asserting INTx: nobody waits for it, and it may share its line with a
    /// device that somebody waits for.
    pub(crate) fn silence(&mut self, address: Address) {
        let (_, command) = self.root.get_status_command(address);
        self.root.set_command(address, command | Command::INTERRUPT_DISABLE);
    }

    /// A memory BAR that has a place, or `None`. `index` is below [`BARS`].
    pub(crate) fn memory_bar(&mut self, address: Address, index: u8) -> Option<Bar> {
        match self.root.bar_info(address, index) {
            Ok(Some(BarInfo::Memory { address, size, .. })) if address > 0 && size > 0 => {
                Some(Bar { address, size_bytes: size })
            }
            Ok(_) | Err(_) => None,
        }
    }

    pub(crate) fn read_word(&self, address: Address, register: u8) -> u32 {
        self.reads.read_word(address, register)
    }

    /// For virtio-drivers, which walks the capabilities itself.
    pub(crate) fn root(&mut self) -> &mut PciRoot<C> {
        &mut self.root
    }
}

/// What a function says of itself.
struct Header {
    kind: Kind,
    multifunction: bool,
}

enum Kind {
    Device { class: u8, device: Device },
    Bridge { secondary: u8 },
    Other,
}

impl Header {
    fn read<C: ConfigurationAccess>(config: &C, address: Address) -> Option<Header> {
        let id = config.read_word(address, ID);
        let (vendor, device) = (id as u16, (id >> 16) as u16);
        if vendor == u16::MAX {
            return None;
        }
        let header_type = (config.read_word(address, HEADER_TYPE) >> 16) as u8;
        let class = (config.read_word(address, CLASS) >> 24) as u8;
        let kind = match (header_type & 0x7f, class) {
            (0, class) => {
                let irq_line = irq_line(config.read_word(address, INTERRUPT));
                Kind::Device { class, device: Device { address, vendor, device, irq_line } }
            }
            (1, _) => {
                Kind::Bridge { secondary: (config.read_word(address, BRIDGE_BUSES) >> 8) as u8 }
            }
            _ => Kind::Other,
        };
        Some(Header { kind, multifunction: header_type & 0x80 != 0 })
    }
}

/// The line, if the function has a pin at all and the line is one that an 8259 has.
fn irq_line(interrupt: u32) -> Option<u8> {
    let (line, pin) = (interrupt as u8, (interrupt >> 8) as u8);
    (pin != 0 && line < 16).then_some(line)
}

/// Configuration mechanism #1.
pub struct PortIo(());

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;

impl PortIo {
    /// # Safety
    /// The caller may use I/O ports, and nothing else uses 0xCF8 and 0xCFC while this lives.
    pub unsafe fn new() -> PortIo {
        PortIo(())
    }

    fn select(address: Address, register: u8) {
        let word = 1 << 31
            | u32::from(address.bus) << 16
            | u32::from(address.device & 0x1f) << 11
            | u32::from(address.function & 0x7) << 8
            | u32::from(register & 0xfc);
        // SAFETY: `new`'s caller has left these ports to us; selecting touches no memory.
        unsafe { boot::cpu::out32(CONFIG_ADDRESS, word) }
    }
}

impl ConfigurationAccess for PortIo {
    fn read_word(&self, address: Address, register: u8) -> u32 {
        PortIo::select(address, register);
        // SAFETY: as in `select`; reading configuration space has no effect on memory.
        unsafe { boot::cpu::in32(CONFIG_DATA) }
    }

    fn write_word(&mut self, address: Address, register: u8, data: u32) {
        PortIo::select(address, register);
        // SAFETY: as in `select`. What is written here are BAR sizes and the command register; a
        // device so enabled writes to memory only after its driver has told it where.
        unsafe { boot::cpu::out32(CONFIG_DATA, data) }
    }

    unsafe fn unsafe_clone(&self) -> PortIo {
        PortIo(())
    }
}
