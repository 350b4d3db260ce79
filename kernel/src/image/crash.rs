//! Dying on purpose (`crash=` on the command line), so that tests can see the last words of each way
//! to die, and that the page tables forbid what they should.
//!
//! What is `unsafe` here is wrong on purpose: it traps, and after a trap nothing runs any more.

use core::hint::black_box;

use alloc::vec::Vec;
use boot::{cpu, layout};
use kernel::machine::options::Crash;

pub fn crash(way: Crash) -> ! {
    log::warn!("crash={way:?} was asked for on the command line");
    match way {
        Crash::Panic => panic!("asked for on the command line"),
        Crash::Fault => invalid_instruction(),
        Crash::Stack => drop(black_box(recurse(black_box(1)))),
        Crash::Text => write_to(layout::text().start),
        Crash::Data => execute(layout::data().start),
        Crash::Null => read_from(8),
        Crash::Hang => stand_still(),
        Crash::Heap => drop(black_box(Vec::<u8>::with_capacity(isize::MAX as usize))),
    }
    unreachable!("crash={way:?} did not crash");
}

fn stand_still() {
    while black_box(true) {
        core::hint::spin_loop();
    }
}

fn invalid_instruction() {
    // SAFETY: ring 0, and traps do not come back.
    unsafe { cpu::invalid_instruction() }
}

#[expect(unconditional_recursion, reason = "to run into the guard page")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(frame[63] + 1) + frame[0]
}

fn write_to(address: u64) {
    // SAFETY: the page may not be written: this traps.
    unsafe { (black_box(address) as *mut u8).write_volatile(0) };
}

fn execute(address: u64) {
    // SAFETY: the page may not be executed: the call traps.
    let function = unsafe { core::mem::transmute::<u64, fn()>(black_box(address)) };
    function();
}

fn read_from(address: u64) {
    // SAFETY: the page is not mapped: this traps.
    black_box(unsafe { (black_box(address) as *const u8).read_volatile() });
}
