//! The end of a run: reboot, power off, or leave QEMU with a code.

use boot::cpu;
use kernel::machine::acpi::{Button, Power};
use kernel::machine::options::EXIT_VALUE_CRASHED;
use spin::Once;

/// Where QEMU's isa-debug-exit is expected.
const EXIT_PORT: u16 = 0xf4;

static POWER: Once<Power> = Once::new();

/// Remembers what ACPI's tables say, and has the power button's presses seen.
pub fn know(power: Power) {
    POWER.call_once(|| power);
    if let Some(Button { enable, .. }) = power.button {
        // SAFETY: the FADT says that this register enables events; that they interrupt is for the
        // interrupt controller, where their line is masked.
        unsafe { cpu::out16(enable, Button::BIT) };
    }
}

/// Whether the power button was pressed since that was asked last.
pub fn was_button_pressed() -> bool {
    let Some(Button { status, .. }) = POWER.get().and_then(|power| power.button) else {
        return false;
    };
    // SAFETY: the FADT says that this is the status of those events.
    let was_pressed = unsafe { cpu::in16(status) } & Button::BIT != 0;
    if was_pressed {
        // SAFETY: as above; the bit is cleared by being written.
        unsafe { cpu::out16(status, Button::BIT) };
    }
    was_pressed
}

/// Starts the machine again, by ever ruder means.
pub fn reboot() -> ! {
    const RESET_CONTROL: u16 = 0xcf9;
    const KEYBOARD_COMMAND: u16 = 0x64;
    const PULSE_RESET: u8 = 0xfe;
    // SAFETY: each of these ports resets the machine or does nothing; nothing is left to be kept.
    unsafe {
        if let Some((port, value)) = POWER.get().and_then(|power| power.reset) {
            cpu::out8(port, value);
        }
        cpu::out8(RESET_CONTROL, 0x02);
        cpu::out8(RESET_CONTROL, 0x06);
        cpu::out8(KEYBOARD_COMMAND, PULSE_RESET);
        cpu::triple_fault()
    }
}

/// Switches the machine off; where that is not possible, stands still.
pub fn power_off() -> ! {
    if let Some((port, value)) = POWER.get().and_then(|power| power.off) {
        // SAFETY: the FADT says that this is the power management control register.
        unsafe { cpu::out16(port, value) };
    }
    halt()
}

/// Leaves QEMU with a status of its own; where that device is missing, stands still.
pub fn exit_crashed() -> ! {
    // SAFETY: the port is isa-debug-exit's or nobody's.
    unsafe { cpu::out32(EXIT_PORT, EXIT_VALUE_CRASHED) };
    halt()
}

/// Stands still for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: ring 0, interrupts off: not to come back is what is wanted.
        unsafe {
            cpu::cli();
            cpu::hlt();
        }
    }
}
