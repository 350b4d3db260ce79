//! What is asked of a chip beside its rings: to stop, to be reset, who it is, how its link is.

use super::registers::*;
use crate::mmio::Registers;
use crate::probe::Absent;

/// Milliseconds that a chip which is met for the first time may take to stop, and to reset.
const STOP_MS: usize = 20;
const RESET_MS: usize = 20;

/// What the status register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u32);

impl Status {
    pub fn read(registers: &impl Registers) -> Status {
        Status(registers.read(STATUS))
    }

    pub fn is_link_up(self) -> bool {
        self.0 & STATUS_LINK_UP != 0
    }

    /// The far end wants us to send nothing.
    pub fn is_paused(self) -> bool {
        self.0 & STATUS_PAUSED != 0
    }

    pub fn speed_mbit(self) -> u32 {
        match self.0 >> STATUS_SPEED_SHIFT & STATUS_SPEED_MASK {
            0 => 10,
            1 => 100,
            _ => 1000,
        }
    }
}

/// No interrupt, no frame in either direction, no request to memory.
pub fn stop(registers: &mut impl Registers) {
    registers.write(IMC, CAUSE_ALL);
    registers.write(RCTL, 0);
    registers.write(TCTL, 0);
    change(registers, CTRL, CTRL_RESET, CTRL_MASTER_DISABLE);
}

/// Whether the last request to memory has ended, after which there is no other until a reset.
pub fn has_stopped(registers: &mut impl Registers) -> bool {
    change(registers, CTRL, CTRL_RESET, CTRL_MASTER_DISABLE);
    registers.read(STATUS) & STATUS_MASTER_ENABLED == 0
}

/// Clears some bits of a register and sets others.
pub fn change(registers: &mut impl Registers, register: u32, clear: u32, set: u32) {
    let value = registers.read(register);
    registers.write(register, value & !clear | set);
}

/// Whether a reset is over, and what the chip loads from its NVM is there.
pub fn is_reset(registers: &impl Registers) -> bool {
    registers.read(CTRL) & CTRL_RESET == 0 && registers.read(RAH) & RAH_VALID != 0
}

/// Resets a chip that is met for the first time, and waits a bounded while.
pub fn reset_at_once<R: Registers>(registers: &mut R, quiet_ms: usize) -> Result<(), Absent> {
    stop(registers);
    await_ms(registers, STOP_MS, has_stopped)?;
    change(registers, CTRL, CTRL_MASTER_DISABLE, CTRL_RESET);
    (0..quiet_ms).for_each(|_| registers.pause());
    await_ms(registers, RESET_MS, |registers| is_reset(registers))
}

fn await_ms<R: Registers>(
    registers: &mut R,
    limit_ms: usize,
    is_done: impl Fn(&mut R) -> bool,
) -> Result<(), Absent> {
    for _ in 0..limit_ms {
        if is_done(registers) {
            return Ok(());
        }
        registers.pause();
    }
    Err(Absent::NoReset)
}

/// The station's address, if one is loaded.
pub fn read_mac(registers: &impl Registers) -> Option<[u8; 6]> {
    let (low, high) = (registers.read(RAL), registers.read(RAH));
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    (high & RAH_VALID != 0).then_some([a, b, c, d, e, f])
}
