//! How a NIC is let in and out of its bay.

use boot::cpu;

use crate::pci::{Address, Bus, ConfigurationAccess};

/// How a bay is opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Latch {
    /// Not at all.
    None,
    Power(PowerSlot),
    /// By QEMU's registers for ACPI; the bus has this number there.
    Acpi {
        selector: u32,
    },
}

/// A slot of PCI Express that is made for plugging.
#[derive(Clone, Copy, Debug)]
pub(super) struct PowerSlot {
    port: Address,
    /// Where the port's capability lies.
    capability: u8,
}

const EXPRESS: u8 = 0x10;
/// Of the capability's first word: which kind of port, and whether it has a slot.
const PORT_SHIFT: u32 = 20;
const ROOT_PORT: u32 = 4;
const DOWNSTREAM_PORT: u32 = 6;
const HAS_SLOT: u32 = 1 << 24;
/// Slot capabilities: it may be plugged.
const SLOT_CAPABILITIES: u8 = 0x14;
const HOT_PLUG: u32 = 1 << 6;
/// Slot control, and above it slot status, whose events are cleared by being written.
const SLOT: u8 = 0x18;
const CONTROL: u32 = 0xffff;
const INDICATOR: u32 = 3 << 8;
const INDICATOR_ON: u32 = 1 << 8;
const INDICATOR_OFF: u32 = 3 << 8;
const POWER_OFF: u32 = 1 << 10;
const PRESSED: u32 = 1 << 16;
/// Button, fault, latch, presence, command, link.
const EVENTS: u32 = 0x011f << 16;
const PRESENT: u32 = 1 << 22;

impl PowerSlot {
    /// The slot behind a port, if it may be plugged.
    pub fn of<C: ConfigurationAccess>(bus: &Bus<C>, port: Address) -> Option<PowerSlot> {
        let capability = express_slot(bus, port)?;
        let abilities = bus.read_word(port, capability + SLOT_CAPABILITIES);
        (abilities & HOT_PLUG != 0).then_some(PowerSlot { port, capability })
    }

    /// Whether somebody is there and has power. Who is new gets it, and what led to this is no event
    /// any more.
    pub fn is_powered<C: ConfigurationAccess>(self, bus: &mut Bus<C>, is_new: bool) -> bool {
        let word = self.read(bus);
        if word & PRESENT == 0 {
            return false;
        }
        if is_new && word & (POWER_OFF | EVENTS) != 0 {
            let control = word & CONTROL & !(POWER_OFF | INDICATOR) | INDICATOR_ON;
            self.write(bus, control | word & EVENTS);
        }
        word & POWER_OFF == 0
    }

    pub fn is_present<C: ConfigurationAccess>(self, bus: &Bus<C>) -> bool {
        self.read(bus) & PRESENT != 0
    }

    /// Whether the button was pressed since that was asked last.
    pub fn was_pressed<C: ConfigurationAccess>(self, bus: &mut Bus<C>) -> bool {
        let word = self.read(bus);
        let was_pressed = word & PRESSED != 0;
        if was_pressed {
            self.write(bus, word & (CONTROL | EVENTS));
        }
        was_pressed
    }

    pub fn switch_off<C: ConfigurationAccess>(self, bus: &mut Bus<C>) {
        let control = self.read(bus) & CONTROL & !INDICATOR;
        self.write(bus, control | POWER_OFF | INDICATOR_OFF);
    }

    fn read<C: ConfigurationAccess>(self, bus: &Bus<C>) -> u32 {
        bus.read_word(self.port, self.capability + SLOT)
    }

    fn write<C: ConfigurationAccess>(self, bus: &mut Bus<C>, word: u32) {
        bus.write_word(self.port, self.capability + SLOT, word);
    }
}

/// Whether a bridge is a port of PCI Express with a slot.
pub(super) fn is_express<C: ConfigurationAccess>(bus: &Bus<C>, bridge: Address) -> bool {
    express_slot(bus, bridge).is_some()
}

/// The capability of a port that has a slot.
fn express_slot<C: ConfigurationAccess>(bus: &Bus<C>, port: Address) -> Option<u8> {
    let capability = bus.capability(port, EXPRESS).filter(|at| *at <= u8::MAX - SLOT - 3)?;
    let word = bus.read_word(port, capability);
    let kind = word >> PORT_SHIFT & 0xf;
    let has_slot = matches!(kind, ROOT_PORT | DOWNSTREAM_PORT) && word & HAS_SLOT != 0;
    has_slot.then_some(capability)
}

/// A bus by the bridges that lead to it from the first one: device and function of each.
pub type BusPath = heapless::Vec<(u8, u8), 4>;

/// A bus whose slots can be opened by ACPI's methods, and its number there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub path: BusPath,
    pub number: u32,
}

/// The registers behind ACPI's methods for plugging.
pub trait Ejector {
    /// The slots of a bus whose devices are to be let out, a bit each.
    fn leaving(&mut self, selector: u32) -> u32;

    /// Lets out what is in a slot.
    fn eject(&mut self, selector: u32, slot: u8);
}

/// Those registers, as QEMU has them.
pub struct AcpiPorts {
    base: u16,
}

const LEAVING: u16 = 4;
const EJECT: u16 = 8;
const SELECTOR: u16 = 16;

impl AcpiPorts {
    /// # Safety
    /// The registers begin at this port, as the machine's ACPI tables say, and nothing else uses them.
    pub unsafe fn new(base: u16) -> AcpiPorts {
        AcpiPorts { base }
    }

    fn write(&mut self, register: u16, value: u32) {
        // SAFETY: `new`'s caller has left these ports to us. Who is ejected was forbidden before to
        // reach memory.
        unsafe { cpu::out32(self.base + register, value) }
    }
}

impl Ejector for AcpiPorts {
    fn leaving(&mut self, selector: u32) -> u32 {
        self.write(SELECTOR, selector);
        // SAFETY: as in `write`.
        unsafe { cpu::in32(self.base + LEAVING) }
    }

    fn eject(&mut self, selector: u32, slot: u8) {
        self.write(SELECTOR, selector);
        self.write(EJECT, 1 << slot);
    }
}
