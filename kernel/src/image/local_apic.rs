//! The processor's own interrupt controller, which stands between it and the 8259s: told to let them
//! through ("virtual wire", Intel MultiProcessor Specification 1.4, 3.6.2.2).
//!
//! A BIOS does that, but not every firmware is one: QEMU's microvm has none to speak of, and without it
//! nothing would end a halt. UEFI may leave the controller's own timer running.

use boot::cpu;
use boot::traps::INTERRUPT_BASE;

/// Where it is after a reset; nobody moves it.
const BASE: usize = 0xfee0_0000;
/// Registers and their bits (Intel SDM 3A, 11.5.1 and 11.9).
const SPURIOUS: usize = 0xf0;
const TIMER: usize = 0x320;
const LINT0: usize = 0x350;
const ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const EXTERNAL: u32 = 0b111 << 8;

/// Where an interrupt ends that was taken back too late: the last vector of the 8259s, whose handler
/// does no harm.
const SPURIOUS_VECTOR: u8 = INTERRUPT_BASE + 15;

/// Lets the 8259s' interrupts through, and none of its own.
///
/// # Safety
/// The page tables are ours: the controller's page is mapped, uncached.
pub unsafe fn let_8259s_through() {
    const HAS_APIC: u32 = 1 << 9;
    if cpu::cpuid(1, 0).edx & HAS_APIC == 0 {
        return;
    }
    let write = |register: usize, value: u32| {
        // SAFETY: CPUID says that the controller is there, the caller that it is mapped; it has no
        // access to memory, and each of these vectors has a handler.
        unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
    };
    write(SPURIOUS, ENABLE | u32::from(SPURIOUS_VECTOR));
    write(TIMER, MASKED);
    write(LINT0, EXTERNAL);
}
