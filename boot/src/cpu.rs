//! Single instructions that Rust has no words for, as functions.
//!
//! They compile on any x86-64 host, so that what calls them can be tested there; privileged ones
//! fault outside of ring 0. None of them decides anything.

use core::arch::asm;
use core::arch::x86_64::{__cpuid_count, _rdtsc};

pub use core::arch::x86_64::CpuidResult;

/// Reads a byte from an I/O port.
///
/// # Safety
/// A read may have effects in the device behind `port`: it must be the caller's to read.
#[inline]
pub unsafe fn in8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: touches no memory and no flags; what it does to the device is the caller's promise.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Reads 16 bits from an I/O port.
///
/// # Safety
/// As [`in8`].
#[inline]
pub unsafe fn in16(port: u16) -> u16 {
    let value: u16;
    // SAFETY: as in `in8`.
    unsafe {
        asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Reads 32 bits from an I/O port.
///
/// # Safety
/// As [`in8`].
#[inline]
pub unsafe fn in32(port: u16) -> u32 {
    let value: u32;
    // SAFETY: as in `in8`.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// The device behind `port` must be the caller's, and the write must not make it touch memory
/// that Rust believes to be still.
#[inline]
pub unsafe fn out8(port: u16, value: u8) {
    // SAFETY: the caller's promise. Not `nomem`: a device may act on memory written before.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Writes 16 bits to an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn out16(port: u16, value: u16) {
    // SAFETY: as in `out8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Writes 32 bits to an I/O port.
///
/// # Safety
/// As [`out8`].
#[inline]
pub unsafe fn out32(port: u16, value: u32) {
    // SAFETY: as in `out8`.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    };
}

/// The time stamp counter. Not serialized: good for clocks, not for counting instructions.
#[inline]
pub fn rdtsc() -> u64 {
    // SAFETY: reads a counter; every x86-64 processor has it.
    unsafe { _rdtsc() }
}

/// CPUID of a leaf and subleaf.
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    __cpuid_count(leaf, subleaf)
}

/// A random number from the processor; `None` when it has none to give just now.
///
/// # Safety
/// CPUID leaf 1 must announce RDRAND (ECX bit 30), else this is an invalid opcode.
#[inline]
pub unsafe fn rdrand() -> Option<u64> {
    let value: u64;
    let valid: u8;
    // SAFETY: the instruction exists by the caller's promise and touches only its registers.
    unsafe {
        asm!(
            "rdrand {value}", "setc {valid}",
            value = out(reg) value, valid = out(reg_byte) valid,
            options(nomem, nostack)
        )
    };
    (valid != 0).then_some(value)
}

/// Stops the processor until the next interrupt.
///
/// # Safety
/// Ring 0. With interrupts off and no NMI to come, it never returns.
#[inline]
pub unsafe fn hlt() {
    // SAFETY: the caller's promise. Not `nomem`: an interrupt handler may write memory.
    unsafe { asm!("hlt", options(nostack, preserves_flags)) };
}

/// Lets interrupts in and halts. STI takes effect after the instruction that follows it, so an
/// interrupt that was already waiting wakes the HLT and is not lost before it. Interrupts are off
/// again on return.
///
/// # Safety
/// Ring 0, with an IDT whose handlers keep every register.
#[inline]
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the caller's promise. Handlers push onto this stack at once: the image is built
    // without a red zone.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Keeps interrupts out.
///
/// # Safety
/// Ring 0.
#[inline]
pub unsafe fn cli() {
    // SAFETY: the caller's promise.
    unsafe { asm!("cli", options(nostack)) };
}

/// The address whose access caused the last page fault.
///
/// # Safety
/// Ring 0.
#[inline]
pub unsafe fn cr2() -> u64 {
    let value: u64;
    // SAFETY: reads a register; ring 0 by the caller's promise.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Changes to the page tables at physical address `root`.
///
/// # Safety
/// Ring 0. The tables must map at least the running code, its stack and all that Rust still
/// refers to, at the same addresses.
#[inline]
pub unsafe fn set_cr3(root: u64) {
    // SAFETY: the caller's promise. Not `nomem`: the tables must have been written before.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Traps with vector 3.
///
/// # Safety
/// Somebody waits for that trap.
#[inline]
pub unsafe fn breakpoint() {
    // SAFETY: the caller's promise.
    unsafe { asm!("int3") };
}

/// Traps with vector 6.
///
/// # Safety
/// Ring 0, with traps that never come back.
pub unsafe fn invalid_instruction() -> ! {
    // SAFETY: the caller's promise.
    unsafe { asm!("ud2", options(noreturn)) };
}

/// Loads an IDT of no length and traps: the processor has nowhere to go and resets.
///
/// # Safety
/// Ring 0, and nothing left that wanted to be finished.
pub unsafe fn triple_fault() -> ! {
    static NOWHERE: [u16; 5] = [0; 5];
    // SAFETY: the end of this machine's life is what the caller asked for.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &NOWHERE, options(noreturn)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_privilege_works_on_the_host() {
        let before = rdtsc();
        assert!(rdtsc() > before);
        let highest_leaf = cpuid(0, 0).eax;
        assert!(highest_leaf >= 1);
        if cpuid(1, 0).ecx & 1 << 30 != 0 {
            // SAFETY: RDRAND was announced.
            let draws = [(); 10].map(|()| unsafe { rdrand() });
            assert!(draws.iter().flatten().any(|draw| Some(*draw) != draws[0]));
        }
    }
}
