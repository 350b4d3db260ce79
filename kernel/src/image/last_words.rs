//! Last words: what a panic or a trap says before the end, and which end it is.
//!
//! A panic says its message and then traps on purpose, so that both go one way: registers, a trace of
//! return addresses, the last lines of the journal. The addresses get names from `fulcrum.map`, the
//! linker's map beside the image. Nothing here allocates, waits for a lock, or trusts a pointer; what
//! fails within last words ends them.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use boot::traps::Registers;
use boot::{cpu, layout, stack};
use kernel::journal::JOURNAL;
use kernel::machine::options::OnPanic;
use spin::Once;

use super::power;
use super::uart::Blocking;

/// Says what is to be done in the end. Until then the end is to halt.
pub fn prepare(on_panic: OnPanic) {
    END.call_once(|| on_panic);
}

/// The end of every trap.
pub fn trap(registers: &Registers) -> ! {
    let from_panic = registers.vector == BREAKPOINT && PANICKED.swap(false, Ordering::Relaxed);
    if !from_panic && DEPTH.fetch_add(1, Ordering::Relaxed) > 0 {
        end("trapped again within last words");
    }
    let mut console = Blocking::new();
    if !from_panic {
        say_trap(&mut console, registers);
    }
    say_registers(&mut console, registers);
    say_trace(&mut console, registers);
    say_journal(&mut console);
    end("");
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if DEPTH.fetch_add(1, Ordering::Relaxed) > 0 {
        end("panicked again within last words");
    }
    let mut console = Blocking::new();
    let _ = writeln!(console, "\n*** {info}");
    PANICKED.store(true, Ordering::Relaxed);
    // SAFETY: ring 0 with our own traps: a breakpoint leads to `trap`.
    unsafe { cpu::breakpoint() };
    end("the trap after a panic did not come")
}

static END: Once<OnPanic> = Once::new();
/// How many panics and traps there have been; the second one is the end.
static DEPTH: AtomicU8 = AtomicU8::new(0);
/// Whether the next breakpoint is a panic's.
static PANICKED: AtomicBool = AtomicBool::new(false);

const BREAKPOINT: u64 = 3;
const PAGE_FAULT: u64 = 14;
const FRAMES_MAX: usize = 24;
const JOURNAL_LINES: u64 = 20;

fn end(remark: &str) -> ! {
    let on_panic = END.get().copied().unwrap_or_default();
    let word = match on_panic {
        OnPanic::Halt => "halted",
        OnPanic::Reboot => "rebooting",
        OnPanic::Exit => "exiting",
    };
    let separator = if remark.is_empty() { "" } else { ": " };
    let _ = writeln!(Blocking::new(), "*** {word}{separator}{remark}");
    match on_panic {
        OnPanic::Halt => power::halt(),
        OnPanic::Reboot => power::reboot(),
        OnPanic::Exit => power::exit_crashed(),
    }
}

fn say_trap(console: &mut Blocking, registers: &Registers) {
    let Registers { vector, code, rip, .. } = *registers;
    let _ = writeln!(console, "\n*** trap {vector}: {}, code {code:#x}, at {rip:#x}", name(vector));
    if vector == PAGE_FAULT {
        // SAFETY: ring 0.
        let address = unsafe { cpu::cr2() };
        let _ = writeln!(console, "    {} {address:#x}, {}", access(code), place(address));
    }
}

fn say_registers(console: &mut Blocking, registers: &Registers) {
    let Registers { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, .. } = *registers;
    let Registers { r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } = *registers;
    let rows = [
        [("rax", rax), ("rbx", rbx), ("rcx", rcx), ("rdx", rdx)],
        [("rsi", rsi), ("rdi", rdi), ("rbp", rbp), ("rsp", rsp)],
        [("r8 ", r8), ("r9 ", r9), ("r10", r10), ("r11", r11)],
        [("r12", r12), ("r13", r13), ("r14", r14), ("r15", r15)],
    ];
    for row in rows {
        for (name, value) in row {
            let _ = write!(console, "  {name} {value:016x}");
        }
        let _ = writeln!(console);
    }
    let _ = writeln!(console, "  rip {rip:016x}  flags {rflags:x}");
}

/// Every function keeps a frame pointer (the target demands it): RBP leads to the caller's RBP, with
/// the return address above it, up to the 0 that the entry began with.
fn say_trace(console: &mut Blocking, registers: &Registers) {
    let _ = write!(console, "  trace {:#x}", registers.rip);
    let mut frame = registers.rbp;
    for _ in 0..FRAMES_MAX {
        let Some((caller, address)) = frame_at(frame) else {
            break;
        };
        let _ = write!(console, " {address:#x}");
        frame = caller;
    }
    let _ = writeln!(console);
}

/// The caller's frame and the return address, if `frame` can be one: aligned and whole on a stack.
fn frame_at(frame: u64) -> Option<(u64, u64)> {
    let on_stack = |range: &core::ops::Range<u64>| {
        range.contains(&frame) && range.end - frame >= 2 * size_of::<u64>() as u64
    };
    if !frame.is_multiple_of(8) || !stack::all().iter().any(on_stack) {
        return None;
    }
    // SAFETY: both words lie on one of our stacks, which are mapped and hold plain bytes.
    let [caller, address] = unsafe { (frame as *const [u64; 2]).read_volatile() };
    layout::text().contains(&address).then_some((caller, address))
}

fn say_journal(console: &mut Blocking) {
    let _ = writeln!(console, "  last lines of the journal:");
    let whole = JOURNAL.try_last(JOURNAL_LINES, |line| {
        let _ = writeln!(console, "  {line}");
    });
    if !whole {
        let _ = writeln!(console, "  (being written to at that moment)");
    }
}

fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero",
        1 => "debug",
        2 => "non-maskable interrupt",
        BREAKPOINT => "breakpoint",
        6 => "invalid instruction",
        7 => "no coprocessor",
        8 => "double fault",
        10 => "invalid task state",
        11 => "segment not present",
        12 => "stack segment",
        13 => "general protection",
        PAGE_FAULT => "page fault",
        16 => "x87 error",
        17 => "alignment",
        18 => "machine check",
        19 => "SIMD error",
        _ => "exception",
    }
}

/// A page fault's error code (Intel SDM 3A, figure 4-12).
fn access(code: u64) -> &'static str {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    match (code & FETCH != 0, code & WRITE != 0) {
        (true, _) => "execution at",
        (false, true) => "write to",
        (false, false) => "read at",
    }
}

/// What lies at an address, in words.
fn place(address: u64) -> &'static str {
    let page = address & !(stack::PAGE_BYTES as u64 - 1);
    if stack::guards().contains(&page) {
        "a stack's guard page: the stack is full"
    } else if page == 0 {
        "page 0: a null pointer"
    } else if layout::text().contains(&address) {
        "in the code"
    } else if layout::rodata().contains(&address) {
        "in the constants"
    } else if layout::data().contains(&address) {
        "in the variables"
    } else {
        "outside of the image"
    }
}
