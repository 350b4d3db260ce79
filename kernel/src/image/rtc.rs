//! The clock that runs while the machine is off, at its ports.

use boot::cpu;
use kernel::machine::rtc::Registers;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;

/// Seconds, minutes, hours, day, month, year, and the century where ACPI's tables usually have it.
const DATE: [u8; 7] = [0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x32];
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATING: u8 = 1 << 7;
/// What is read where nobody answers.
const NOBODY: u8 = 0xff;
/// Looks at a clock that is just being updated, which takes 2 ms.
const LOOKS_MAX: usize = 10_000;

/// Seconds since 1970, if there is a clock that says so.
pub fn unix_seconds() -> Option<u64> {
    if read(STATUS_A) == NOBODY {
        return None;
    }
    (0..LOOKS_MAX).find_map(|_| steady())?.unix_seconds()
}

/// The registers, if they were the same twice and were not about to change.
fn steady() -> Option<Registers> {
    let look = || {
        let is_steady = read(STATUS_A) & UPDATING == 0;
        is_steady.then(|| Registers { date: DATE.map(read), status: read(STATUS_B) })
    };
    let first = look()?;
    (look()? == first).then_some(first)
}

fn read(register: u8) -> u8 {
    // SAFETY: the clock's ports, which touch no memory; the index keeps NMIs as they are, open.
    unsafe {
        cpu::out8(INDEX, register);
        cpu::in8(DATA)
    }
}
