//! The stacks: one for everything, and one each for the traps that may come when that one is no
//! longer good (Intel SDM 3A, 6.14.5: the interrupt stack table).
//!
//! Below each lies a guard page, which the page tables leave out: a stack that grows too far
//! faults there instead of writing over its neighbour.

use core::cell::UnsafeCell;
use core::ops::Range;

pub const PAGE_BYTES: usize = 4096;

/// A guard page, then a stack that grows down towards it.
#[repr(C, align(4096))]
pub struct Stack<const BYTES: usize> {
    guard: [u8; PAGE_BYTES],
    bytes: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: Rust code never refers to the bytes; only the processor uses them, as a stack.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

/// Everything but the traps below; the appliance itself lies on it, 175 KiB.
pub static MAIN: Stack<{ 1024 * 1024 }> = Stack::new();
pub static DOUBLE_FAULT: Stack<{ 16 * 1024 }> = Stack::new();
pub static NON_MASKABLE: Stack<{ 16 * 1024 }> = Stack::new();
pub static PAGE_FAULT: Stack<{ 16 * 1024 }> = Stack::new();
pub static MACHINE_CHECK: Stack<{ 16 * 1024 }> = Stack::new();

impl<const BYTES: usize> Stack<BYTES> {
    const fn new() -> Self {
        const { assert!(BYTES.is_multiple_of(PAGE_BYTES)) };
        Self { guard: [0; PAGE_BYTES], bytes: UnsafeCell::new([0; BYTES]) }
    }

    /// The addresses that belong to the stack, its guard page not among them.
    pub fn range(&'static self) -> Range<u64> {
        let bottom = self.bytes.get() as u64;
        bottom..bottom + BYTES as u64
    }

    pub fn guard(&'static self) -> u64 {
        self.guard.as_ptr() as u64
    }
}

/// Every stack's addresses.
pub fn all() -> [Range<u64>; 5] {
    [
        MAIN.range(),
        DOUBLE_FAULT.range(),
        NON_MASKABLE.range(),
        PAGE_FAULT.range(),
        MACHINE_CHECK.range(),
    ]
}

/// Every stack's guard page.
pub fn guards() -> [u64; 5] {
    [
        MAIN.guard(),
        DOUBLE_FAULT.guard(),
        NON_MASKABLE.guard(),
        PAGE_FAULT.guard(),
        MACHINE_CHECK.guard(),
    ]
}
