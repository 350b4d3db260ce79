//! Segments, the task state and the interrupt table: what a 64-bit processor needs before it may
//! take a trap. What a trap means is for the function given to [`install`].

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::mem::size_of;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::stack;

/// What is told of a trap. It must not return: nothing here is recovered from.
pub type Handler = fn(&Registers) -> !;

/// The first vector of the two interrupt controllers' 16 lines.
pub const INTERRUPT_BASE: u8 = 32;

/// Every register at the moment of a trap, in the order in which `traps.s` and the processor push
/// them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    /// The processor's error code, or 0 where it gives none.
    pub code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// Takes the processor from the loader's tables to ours; from then on a trap ends in `handler`
/// and a hardware interrupt only ends a halt.
///
/// # Safety
/// Ring 0, once, with interrupts off, before anything else uses the interrupt controllers.
pub unsafe fn install(handler: Handler) {
    HANDLER.store(handler as *mut (), Ordering::Relaxed);
    let tables = TABLES.0.get();
    // SAFETY: called once, on the only processor, before any trap looks at the tables; they are a
    // static and never move.
    unsafe {
        tables.write(Tables::new((&raw const (*tables).task) as u64));
        load(tables);
    }
}

global_asm!(include_str!("traps.s"), trap = sym trap);

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static TABLES: TablesCell = TablesCell(UnsafeCell::new(Tables::EMPTY));

const TRAPS: usize = 32;
const VECTORS: usize = TRAPS + 16;
/// Offsets of the segments in `Tables::segments`.
const CODE_SEGMENT: u16 = 8;
const TASK_SEGMENT: u16 = 16;

unsafe extern "C" {
    /// Addresses of the stubs of vectors 0 to 31.
    safe static trap_stubs: [u64; TRAPS];
    fn interrupt_stub();
}

struct TablesCell(UnsafeCell<Tables>);
// SAFETY: written once by `install`; afterwards only the processor reads (and marks) them.
unsafe impl Sync for TablesCell {}

/// Called by the stubs.
extern "C" fn trap(registers: &Registers) -> ! {
    let handler = HANDLER.load(Ordering::Relaxed);
    // SAFETY: traps come here through the table that `install` loaded, after it stored a `Handler`.
    let handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
    handler(registers)
}

#[repr(C, align(16))]
struct Tables {
    gates: [Gate; VECTORS],
    segments: [u64; 4],
    task: Task,
}

impl Tables {
    const EMPTY: Tables =
        Tables { gates: [Gate::EMPTY; VECTORS], segments: [0; 4], task: Task::EMPTY };

    /// The tables for a task state that lies at `task`.
    fn new(task: u64) -> Self {
        let mut tables = Tables::EMPTY;
        tables.segments = [
            0,
            0x00af_9b00_0000_ffff, // 64-bit code, ring 0, readable
            // An available 64-bit task: type 9, present; its base is spread over the descriptor.
            (size_of::<Task>() as u64 - 1)
                | (task & 0xff_ffff) << 16
                | 0x89 << 40
                | (task >> 24 & 0xff) << 56,
            task >> 32,
        ];
        for (vector, gate) in tables.gates.iter_mut().enumerate() {
            *gate = match trap_stubs.get(vector) {
                Some(&stub) => Gate::new(stub, stack_of(vector)),
                None => Gate::new(interrupt_stub as *const () as u64, OwnStack::Current),
            };
        }
        tables.task.stacks = [
            stack::DOUBLE_FAULT.range().end,
            stack::NON_MASKABLE.range().end,
            stack::PAGE_FAULT.range().end,
            stack::MACHINE_CHECK.range().end,
            0,
            0,
            0,
        ]
        .map(Halves::from);
        tables
    }
}

/// The entry of the interrupt stack table that a vector switches to.
#[derive(Clone, Copy)]
enum OwnStack {
    Current = 0,
    DoubleFault = 1,
    NonMaskable = 2,
    PageFault = 3,
    MachineCheck = 4,
}

fn stack_of(vector: usize) -> OwnStack {
    match vector {
        2 => OwnStack::NonMaskable,
        8 => OwnStack::DoubleFault,
        14 => OwnStack::PageFault,
        18 => OwnStack::MachineCheck,
        _ => OwnStack::Current,
    }
}

/// Intel SDM 3A, figure 6-8.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const EMPTY: Gate = Gate { low: 0, high: 0 };

    /// An interrupt gate, present, for ring 0: interrupts are off inside.
    fn new(target: u64, own_stack: OwnStack) -> Self {
        const PRESENT_INTERRUPT: u64 = 0x8e << 40;
        let low = target & 0xffff
            | u64::from(CODE_SEGMENT) << 16
            | (own_stack as u64) << 32
            | PRESENT_INTERRUPT
            | (target >> 16 & 0xffff) << 48;
        Self { low, high: target >> 32 }
    }
}

/// The task state segment (Intel SDM 3A, figure 8-11), which holds 64-bit values on 4-byte bounds.
#[repr(C)]
struct Task {
    reserved_0: u32,
    ring_stacks: [Halves; 3],
    reserved_1: Halves,
    stacks: [Halves; 7],
    reserved_2: Halves,
    reserved_3: u16,
    io_map_offset: u16,
}

const _: () = assert!(size_of::<Task>() == 104);

impl Task {
    const EMPTY: Task = Task {
        reserved_0: 0,
        ring_stacks: [Halves(0, 0); 3],
        reserved_1: Halves(0, 0),
        stacks: [Halves(0, 0); 7],
        reserved_2: Halves(0, 0),
        reserved_3: 0,
        io_map_offset: size_of::<Task>() as u16,
    };
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Halves(u32, u32);

impl From<u64> for Halves {
    fn from(value: u64) -> Self {
        Halves(value as u32, (value >> 32) as u32)
    }
}

/// What LGDT and LIDT read.
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// Makes the processor use the tables.
///
/// # Safety
/// Ring 0; `tables` hold sound gates and never move.
unsafe fn load(tables: *const Tables) {
    // SAFETY: the pointer is good by the caller's promise; only addresses are taken.
    let (segments, gates) = unsafe { (&raw const (*tables).segments, &raw const (*tables).gates) };
    let gdt = Pointer { limit: size_of::<[u64; 4]>() as u16 - 1, base: segments as u64 };
    let idt = Pointer { limit: size_of::<[Gate; VECTORS]>() as u16 - 1, base: gates as u64 };
    // SAFETY: both pointers lead to tables that live for ever; the code segment has the selector
    // that the running code already uses, so that CS stays valid. LTR marks the task as busy.
    unsafe {
        asm!(
            "lgdt [{gdt}]",
            "lidt [{idt}]",
            "ltr {task:x}",
            gdt = in(reg) &gdt,
            idt = in(reg) &idt,
            task = in(reg) TASK_SEGMENT,
            options(nostack, preserves_flags)
        );
    }
}
