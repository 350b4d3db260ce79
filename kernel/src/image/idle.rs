//! Waiting without burning a core: the two 8259 interrupt controllers and the PIT's one shot.
//!
//! All lines are masked while the loop runs; it polls and wants no interrupts. [`Idle::wait`] opens
//! the lines that may wake it, halts, and comes back with all of them masked again: the handler
//! (`boot/src/traps.s`) masks, acknowledges and does nothing else. So an interrupt means "wake up",
//! a level-triggered line whose device still asks cannot storm, and nothing is ever handled twice.
//!
//! STI takes effect after the instruction behind it, the HLT: an interrupt that came after the last
//! look at a device is held by the controller and ends the halt at once.

use core::time::Duration;

use boot::cpu;
use boot::traps::INTERRUPT_BASE;
use kernel::machine::clock::PIT_HZ;

/// Interrupt lines 0 to 15, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(u16);

/// The interrupt controllers, put in order.
pub struct Idle {
    usable: bool,
}

/// The longest halt: the PIT's 16 bits hold 54 ms.
const HALT_MAX: Duration = Duration::from_millis(50);

const PRIMARY_COMMAND: u16 = 0x20;
const PRIMARY_DATA: u16 = 0x21;
const SECONDARY_COMMAND: u16 = 0xa0;
const SECONDARY_DATA: u16 = 0xa1;
const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;

impl Lines {
    pub const NONE: Lines = Lines(0);
    const TIMER: Lines = Lines(1 << 0);
    /// The secondary controller reports through this line of the primary one.
    const CASCADE: Lines = Lines(1 << 2);

    /// The line with this number; numbers from 16 on are no lines of these controllers.
    pub fn number(number: u8) -> Lines {
        Lines(1u16.checked_shl(number.into()).unwrap_or(0))
    }

    pub fn with(self, other: Lines) -> Lines {
        Lines(self.0 | other.0)
    }
}

impl Idle {
    /// Moves the controllers' lines away from the processor's exceptions and masks them all.
    pub fn new() -> Self {
        const INITIALIZE: u8 = 0x11; // edge-triggered, cascaded, a fourth word follows
        const MODE_8086: u8 = 0x01;
        out(PRIMARY_COMMAND, INITIALIZE);
        out(SECONDARY_COMMAND, INITIALIZE);
        out(PRIMARY_DATA, INTERRUPT_BASE);
        out(SECONDARY_DATA, INTERRUPT_BASE + 8);
        out(PRIMARY_DATA, Lines::CASCADE.0 as u8);
        out(SECONDARY_DATA, 2);
        out(PRIMARY_DATA, MODE_8086);
        out(SECONDARY_DATA, MODE_8086);

        let usable = controllers_answer() && pit_counts();
        mask_all_but(Lines::NONE);
        if !usable {
            log::warn!("no 8259 or no PIT to end a halt: the loop will poll without a rest");
        }
        Self { usable }
    }

    /// Whether there is anything that could end a halt.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Halts until one of `lines` asks, at most for `time`. What may have happened is for the caller
    /// to find out.
    pub fn wait(&mut self, lines: Lines, time: Duration) {
        let mut left = time;
        while left > HALT_MAX {
            left -= HALT_MAX;
            self.halt(lines, HALT_MAX);
            if !pit_has_expired() {
                return;
            }
        }
        self.halt(lines, left);
    }

    fn halt(&mut self, lines: Lines, time: Duration) {
        let ticks = time.as_micros() as u64 * PIT_HZ / 1_000_000;
        start_pit(ticks.max(1) as u16);
        mask_all_but(lines.with(Lines::TIMER).with(Lines::CASCADE));
        // SAFETY: ring 0; `boot::traps::install` was the first thing that happened, and its handler
        // for these lines keeps every register.
        unsafe { cpu::wait_for_interrupt() };
        // Something that is no line (an SMI, a spurious interrupt) may have ended the halt.
        mask_all_but(Lines::NONE);
    }
}

/// A machine without these controllers answers with ones.
fn controllers_answer() -> bool {
    const ALL_BUT_TWO: u8 = 0b1111_0101;
    out(PRIMARY_DATA, ALL_BUT_TWO);
    input(PRIMARY_DATA) == ALL_BUT_TWO
}

fn pit_counts() -> bool {
    const LOOKS: u32 = 1000; // each is longer than a tick of the PIT
    start_pit(u16::MAX);
    let first = pit_count();
    (0..LOOKS).any(|_| pit_count() != first)
}

/// Counts down from `ticks` once and raises line 0 at the end (mode 0).
pub fn start_pit(ticks: u16) {
    const CHANNEL_0_BOTH_BYTES_MODE_0: u8 = 0x30;
    let [low, high] = ticks.to_le_bytes();
    out(PIT_COMMAND, CHANNEL_0_BOTH_BYTES_MODE_0);
    out(PIT_CHANNEL_0, low);
    out(PIT_CHANNEL_0, high);
}

/// What the PIT's counter shows.
pub fn pit_count() -> u16 {
    const LATCH_CHANNEL_0: u8 = 0;
    out(PIT_COMMAND, LATCH_CHANNEL_0);
    u16::from_le_bytes([input(PIT_CHANNEL_0), input(PIT_CHANNEL_0)])
}

/// Whether the PIT has counted through zero since it was started: the level of its output in the
/// read-back status.
pub fn pit_has_expired() -> bool {
    const READ_BACK_STATUS_0: u8 = 0xe2;
    const OUTPUT: u8 = 1 << 7;
    out(PIT_COMMAND, READ_BACK_STATUS_0);
    input(PIT_CHANNEL_0) & OUTPUT != 0
}

fn mask_all_but(lines: Lines) {
    let [low, high] = (!lines.0).to_le_bytes();
    out(PRIMARY_DATA, low);
    out(SECONDARY_DATA, high);
}

fn out(port: u16, value: u8) {
    // SAFETY: the ports of the 8259s and the PIT, which are this file's alone; they have no access
    // to memory, and an interrupt finds its handler installed.
    unsafe { cpu::out8(port, value) };
}

fn input(port: u16) -> u8 {
    // SAFETY: as in `out`.
    unsafe { cpu::in8(port) }
}
