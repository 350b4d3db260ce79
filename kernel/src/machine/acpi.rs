//! How to switch the machine off and on again, and what its slots are opened by, from ACPI's tables:
//! root pointer, root table, FADT (ACPI 6.5, 5.2.5 to 5.2.9), and of the code in the DSDT what
//! [`super::aml`] reads.

use super::Physical;
use super::aml::{self, Plugging};

const SLEEP_ENABLE: u16 = 1 << 13;

/// What is known of the machine from ACPI's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acpi {
    pub power: Power,
    pub plugging: Option<Plugging>,
}

/// The ports of the FADT that this appliance uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// PM1a control block, and what is written there to enter S5.
    pub off: Option<(u16, u16)>,
    /// The power button's events.
    pub button: Option<Button>,
    /// Where to write what, to reset the machine.
    pub reset: Option<(u16, u8)>,
}

/// Where a press of the power button is seen: the PM1a event block's status, of which a bit is cleared
/// by being written, and what enables that (ACPI 6.5, 4.8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Button {
    pub status: u16,
    pub enable: u16,
}

impl Button {
    pub const BIT: u16 = 1 << 8;
}

/// Tables that a root table may list before we stop looking.
const TABLES_MAX: u64 = 128;
const HEADER_BYTES: u64 = 36;
/// Generic address structure: system I/O space.
const SPACE_IO: u8 = 1;
const FLAG_RESET_SUPPORTED: u32 = 1 << 10;
/// The button, if there is one, is no fixed event.
const FLAG_BUTTON_ELSEWHERE: u32 = 1 << 4;

impl Acpi {
    /// Looks from the root pointer at `rsdp`; whatever is missing or broken is just not known.
    pub fn find(memory: &impl Physical, rsdp: u64) -> Acpi {
        let Some(fadt) = find_fadt(memory, rsdp) else { return Acpi::default() };
        let code = find_dsdt(memory, fadt);
        let aml::Known { sleep_type_off, plugging } =
            code.map(|code| aml::read(memory, code)).unwrap_or_default();
        // Where the code does not say it: QEMU's machines use 0.
        let power = read_fadt(memory, fadt, sleep_type_off.unwrap_or(0));
        Acpi { power, plugging }
    }
}

fn find_fadt(memory: &impl Physical, rsdp: u64) -> Option<u64> {
    if rsdp == 0 || &memory.bytes::<8>(rsdp)? != b"RSD PTR " {
        return None;
    }
    let [revision] = memory.bytes(rsdp.checked_add(15)?)?;
    // XSDT with 64-bit addresses since revision 2, RSDT with 32-bit ones before.
    let (root, signature, entry_bytes) = match revision {
        0 | 1 => (u64::from(memory.u32(rsdp.checked_add(16)?)?), b"RSDT", 4),
        _ => (memory.u64(rsdp.checked_add(24)?)?, b"XSDT", 8),
    };
    if &memory.bytes::<4>(root)? != signature {
        return None;
    }
    let length = u64::from(memory.u32(root.checked_add(4)?)?);
    let entries = length.checked_sub(HEADER_BYTES)? / entry_bytes;
    (0..entries.min(TABLES_MAX)).find_map(|at| {
        let entry = root.checked_add(HEADER_BYTES + at * entry_bytes)?;
        let table = match entry_bytes {
            4 => u64::from(memory.u32(entry)?),
            _ => memory.u64(entry)?,
        };
        (&memory.bytes::<4>(table)? == b"FACP").then_some(table)
    })
}

/// Where the code of the DSDT lies.
fn find_dsdt(memory: &impl Physical, fadt: u64) -> Option<core::ops::Range<u64>> {
    let length = memory.u32(fadt.checked_add(4)?)?;
    let wide = (length >= 148).then(|| memory.u64(fadt.checked_add(140)?)).flatten();
    let narrow = memory.u32(fadt.checked_add(40)?).map(u64::from);
    let dsdt = wide.filter(|at| *at != 0).or(narrow).filter(|at| *at != 0)?;
    if &memory.bytes::<4>(dsdt)? != b"DSDT" {
        return None;
    }
    let end = dsdt.checked_add(memory.u32(dsdt.checked_add(4)?)?.into())?;
    Some(dsdt.checked_add(HEADER_BYTES)?..end)
}

fn read_fadt(memory: &impl Physical, fadt: u64, sleep_type_off: u8) -> Power {
    let field = |offset: u64| fadt.checked_add(offset);
    let length = field(4).and_then(|at| memory.u32(at)).unwrap_or(0);
    let port = |number: u64| u16::try_from(number).ok().filter(|port| *port != 0);

    let pm1a_control = field(64).and_then(|at| memory.u32(at)).map(u64::from).and_then(port);
    let flags = field(112).and_then(|at| memory.u32(at)).unwrap_or(0);
    let button = || {
        let status = port(memory.u32(field(56)?)?.into())?;
        let [bytes] = memory.bytes(field(88)?)?;
        let enable = status.checked_add(u16::from(bytes) / 2).filter(|at| *at > status)?;
        (flags & FLAG_BUTTON_ELSEWHERE == 0).then_some(Button { status, enable })
    };
    let reset = || {
        if length < 129 || flags & FLAG_RESET_SUPPORTED == 0 {
            return None;
        }
        let [space] = memory.bytes(field(116)?)?;
        let address = memory.u64(field(120)?)?;
        let [value] = memory.bytes(field(128)?)?;
        (space == SPACE_IO).then(|| port(address))?.map(|port| (port, value))
    };
    let off = pm1a_control.map(|port| (port, SLEEP_ENABLE | u16::from(sleep_type_off) << 10));
    Power { off, button: button(), reset: reset() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Memory;
    use std::vec;
    use std::vec::Vec;

    fn power(memory: &Memory, rsdp: u64) -> Power {
        Acpi::find(memory, rsdp).power
    }

    fn table(signature: &[u8], length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        bytes[..4].copy_from_slice(signature);
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    fn fadt() -> Vec<u8> {
        let mut bytes = table(b"FACP", 244);
        bytes[56..60].copy_from_slice(&0x600u32.to_le_bytes());
        bytes[64..68].copy_from_slice(&0x604u32.to_le_bytes());
        bytes[88] = 4;
        bytes[112..116].copy_from_slice(&FLAG_RESET_SUPPORTED.to_le_bytes());
        bytes[116] = SPACE_IO;
        bytes[120..128].copy_from_slice(&0xcf9u64.to_le_bytes());
        bytes[128] = 0x0f;
        bytes
    }

    /// A machine whose root pointer (0xf0000) has `revision`, with the FADT as second table.
    fn machine(revision: u8) -> Memory {
        let mut rsdp = vec![0; 36];
        rsdp[..8].copy_from_slice(b"RSD PTR ");
        rsdp[15] = revision;
        rsdp[16..20].copy_from_slice(&0x10000u32.to_le_bytes());
        rsdp[24..32].copy_from_slice(&0x20000u64.to_le_bytes());
        let mut rsdt = table(b"RSDT", 44);
        rsdt[36..40].copy_from_slice(&0x30000u32.to_le_bytes());
        rsdt[40..44].copy_from_slice(&0x40000u32.to_le_bytes());
        let mut xsdt = table(b"XSDT", 52);
        xsdt[36..44].copy_from_slice(&0x30000u64.to_le_bytes());
        xsdt[44..52].copy_from_slice(&0x40000u64.to_le_bytes());
        let mut memory = Memory::default();
        memory.put(0xf0000, &rsdp);
        memory.put(0x10000, &rsdt);
        memory.put(0x20000, &xsdt);
        memory.put(0x30000, &table(b"APIC", 44));
        memory.put(0x40000, &fadt());
        memory
    }

    #[test]
    fn both_root_tables_lead_to_the_ports() {
        for revision in [0, 2] {
            let power = power(&machine(revision), 0xf0000);
            let wanted = Power {
                off: Some((0x604, 0x2000)),
                button: Some(Button { status: 0x600, enable: 0x602 }),
                reset: Some((0xcf9, 0x0f)),
            };
            assert_eq!(power, wanted, "revision {revision}");
        }
    }

    #[test]
    fn a_button_that_is_no_fixed_event_is_not_looked_for() {
        let is_known = |flags: u32, bytes: u8| {
            let mut memory = machine(2);
            memory.0[4].1[112..116].copy_from_slice(&flags.to_le_bytes());
            memory.0[4].1[88] = bytes;
            power(&memory, 0xf0000).button.is_some()
        };
        assert!(is_known(0, 4));
        assert!(!is_known(FLAG_BUTTON_ELSEWHERE, 4));
        assert!(!is_known(0, 0), "no such block");
    }

    #[test]
    fn an_old_fadt_knows_no_reset() {
        let mut memory = machine(0);
        let mut short = fadt()[..116].to_vec();
        short[4..8].copy_from_slice(&116u32.to_le_bytes());
        memory.0[4].1 = short;
        let power = power(&memory, 0xf0000);
        assert_eq!((power.off, power.reset), (Some((0x604, 0x2000)), None));
    }

    #[test]
    fn whatever_is_broken_is_not_known() {
        let nothing = Power::default();
        assert_eq!(power(&machine(0), 0), nothing, "no root pointer");
        assert_eq!(power(&machine(0), 0x1234), nothing, "not readable");
        for piece in 0..5 {
            let mut memory = machine(2);
            memory.0[piece].1[0] = b'?';
            let known = power(&memory, 0xf0000) != nothing;
            // Neither the RSDT nor the MADT is on this way.
            assert_eq!(known, piece == 1 || piece == 3, "piece {piece}");
        }
        let mut endless = machine(0);
        endless.0[1].1[4..8].fill(0xff);
        endless.0[4].1[0] = b'?';
        assert_eq!(power(&endless, 0xf0000), nothing, "a length beyond all bytes");
        let mut memory = machine(0);
        memory.0[1].1[4..8].fill(0);
        assert_eq!(power(&memory, 0xf0000), nothing, "shorter than its header");
    }
}
