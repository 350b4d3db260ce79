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

use crate::{virtio, watchdog};

pub use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction as Address};

#[cfg(test)]
pub(crate) mod fake;
mod place;
#[cfg(test)]
mod tests;

const ID: u8 = 0x00;
const CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0c;
const BRIDGE_BUSES: u8 = 0x18;
const INTERRUPT: u8 = 0x3c;

pub(crate) const COMMAND_STATUS: u8 = 0x04;
pub(crate) const STATUS_CAPABILITIES: u32 = 1 << 20;
pub(crate) const CAPABILITIES_POINTER: u8 = 0x34;
/// Capabilities lie behind the header, at multiples of four: there is room for no more.
pub(crate) const CAPABILITIES_FIRST: u8 = 0x40;
pub(crate) const CAPABILITIES_MAX: usize = (256 - CAPABILITIES_FIRST as usize) / 4;

/// BARs of a function that is no bridge.
pub(crate) const BARS: u8 = 6;

pub(crate) const SLOTS: u8 = 32;
const FUNCTIONS: u8 = 8;
const CLASS_STORAGE: u8 = 0x01;
const CLASS_NETWORK: u8 = 0x02;
const CLASS_COMMUNICATION: u8 = 0x07;
const CLASS_SYSTEM: u8 = 0x08;

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
    /// A second handle: [`PciRoot`] keeps the first to itself.
    config: C,
}

/// A bridge: where it is, and the bus behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub address: Address,
    pub secondary: u8,
    /// The interrupt of the 8259 that the first pin behind it arrives at.
    pub irq_line: Option<u8>,
}

/// A function that was met on the bus.
pub(crate) enum Function {
    Device { class: u8, device: Device },
    Bridge(Bridge),
}

/// Where a device's registers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub address: u64,
    pub size_bytes: u64,
}

impl<C: ConfigurationAccess> Bus<C> {
    pub fn new(config: C) -> Bus<C> {
        // SAFETY: both handles are this value's, and whoever has it for himself writes by one of them at
        // a time.
        let second = unsafe { config.unsafe_clone() };
        Bus { root: PciRoot::new(config), config: second }
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

    /// The watchdog, if there is one.
    pub(crate) fn watchdog(&self) -> Option<Address> {
        let devices = self.devices(CLASS_SYSTEM);
        let is_it = |device: &&Device| (device.vendor, device.device) == watchdog::ID;
        devices.iter().find(is_it).map(|device| device.address)
    }

    /// Those of a class, by vendor and device.
    fn known(&self, class: u8, known: [(u16, u16); 2]) -> Vec<Device> {
        let mut devices = self.devices(class);
        devices.retain(|device| known.contains(&(device.vendor, device.device)));
        devices
    }

    fn devices(&self, class: u8) -> Vec<Device> {
        let of_class = |function| match function {
            Function::Device { class: its, device } => (its == class).then_some(device),
            Function::Bridge(_) => None,
        };
        self.functions().into_iter().filter_map(of_class).collect()
    }

    /// Everything on the bus, in ascending order of address.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        let mut reached = [false; 256];
        reached[0] = true;
        for bus in 0..=u8::MAX {
            if !reached[usize::from(bus)] {
                continue;
            }
            for slot in 0..SLOTS {
                self.visit_slot(bus, slot, &mut reached, &mut functions);
            }
        }
        functions
    }

    fn visit_slot(
        &self,
        bus: u8,
        slot: u8,
        reached: &mut [bool; 256],
        functions: &mut Vec<Function>,
    ) {
        for function in 0..FUNCTIONS {
            let address = Address { bus, device: slot, function };
            match Header::read(&self.config, address) {
                // A slot without function 0 is empty.
                None if function == 0 => return,
                None => {}
                Some(header) => {
                    // A bus that was passed already is not visited again.
                    if let Some(Function::Bridge(bridge)) = &header.function {
                        reached[usize::from(bridge.secondary)] = true;
                    }
                    functions.extend(header.function);
                    // A device of one function may answer for all eight.
                    if function == 0 && !header.multifunction {
                        return;
                    }
                }
            }
        }
    }

    /// The NIC at an address, if there is one.
    pub(crate) fn nic_at(&self, address: Address) -> Option<Device> {
        match Header::read(&self.config, address)?.function? {
            Function::Device { class: CLASS_NETWORK, device } => Some(device),
            Function::Device { .. } | Function::Bridge(_) => None,
        }
    }

    /// Whether anything answers at an address. What is not there reads as ones.
    pub(crate) fn is_somebody_at(&self, address: Address) -> bool {
        self.read_word(address, ID) as u16 != u16::MAX
    }

    /// Where a capability of PCI's own kind lies. A list that is a loop ends.
    pub(crate) fn capability(&self, address: Address, wanted: u8) -> Option<u8> {
        if self.read_word(address, COMMAND_STATUS) & STATUS_CAPABILITIES == 0 {
            return None;
        }
        let mut at = self.read_word(address, CAPABILITIES_POINTER) as u8 & 0xfc;
        for _ in 0..CAPABILITIES_MAX {
            if at < CAPABILITIES_FIRST {
                break;
            }
            let [id, next, ..] = self.read_word(address, at).to_le_bytes();
            if id == wanted {
                return Some(at);
            }
            at = next & 0xfc;
        }
        None
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
        self.config.read_word(address, register)
    }

    pub(crate) fn write_word(&mut self, address: Address, register: u8, word: u32) {
        self.config.write_word(address, register, word);
    }

    /// For virtio-drivers, which walks the capabilities itself.
    pub(crate) fn root(&mut self) -> &mut PciRoot<C> {
        &mut self.root
    }
}

/// What a function says of itself.
struct Header {
    /// `None` for what is neither a device nor a bridge to another bus of this kind.
    function: Option<Function>,
    multifunction: bool,
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
        let irq_line = irq_line(config.read_word(address, INTERRUPT));
        let function = match header_type & 0x7f {
            0 => {
                let device = Device { address, vendor, device, irq_line };
                Some(Function::Device { class, device })
            }
            1 => {
                let secondary = (config.read_word(address, BRIDGE_BUSES) >> 8) as u8;
                Some(Function::Bridge(Bridge { address, secondary, irq_line }))
            }
            _ => None,
        };
        Some(Header { function, multifunction: header_type & 0x80 != 0 })
    }
}

/// The line, if the function has a pin at all and the line is one that an 8259 has for it: 0 is the
/// timer's, and what stands where nobody has written.
fn irq_line(interrupt: u32) -> Option<u8> {
    let (line, pin) = (interrupt as u8, (interrupt >> 8) as u8);
    (pin != 0 && (1..16).contains(&line)).then_some(line)
}

/// Writes of less than a word, for registers that take no other.
pub trait NarrowAccess: ConfigurationAccess {
    fn write_half(&mut self, address: Address, register: u8, half: u16);
    fn write_byte(&mut self, address: Address, register: u8, byte: u8);
}

impl<C: NarrowAccess> Bus<C> {
    pub(crate) fn write_half(&mut self, address: Address, register: u8, half: u16) {
        self.config.write_half(address, register, half);
    }

    pub(crate) fn write_byte(&mut self, address: Address, register: u8, byte: u8) {
        self.config.write_byte(address, register, byte);
    }
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
        // SAFETY: as in `select`. What is written here are BARs, windows of bridges, the control of slots
        // and the command register; a device so enabled writes to memory only after its driver has told
        // it where, and where a BAR is placed only devices are.
        unsafe { boot::cpu::out32(CONFIG_DATA, data) }
    }

    unsafe fn unsafe_clone(&self) -> PortIo {
        PortIo(())
    }
}

impl NarrowAccess for PortIo {
    fn write_half(&mut self, address: Address, register: u8, half: u16) {
        PortIo::select(address, register);
        // SAFETY: as in `write_word`.
        unsafe { boot::cpu::out16(CONFIG_DATA + u16::from(register & 2), half) }
    }

    fn write_byte(&mut self, address: Address, register: u8, byte: u8) {
        PortIo::select(address, register);
        // SAFETY: as in `write_word`.
        unsafe { boot::cpu::out8(CONFIG_DATA + u16::from(register & 3), byte) }
    }
}
