//! The console's wire: a 16550 at COM1 (National PC16550D; QEMU's `-serial`).
//!
//! Every access leaves the VM and costs a microsecond or more, so callers come by now and then and
//! move what there is. [`Uart`] never waits. [`Blocking`] does, for the first line and the last
//! words, but not for ever: a host that does not read must not keep an appliance from rebooting.

use core::fmt;

use boot::cpu;
use kernel::console::Tty;

/// The 16550 of COM1, in use by the console.
pub struct Uart {
    present: bool,
    /// Bytes that the transmit FIFO surely has room for.
    room: usize,
    moved: bool,
}

/// Writes at once and waits for room.
pub struct Blocking {
    dead: bool,
}

const COM1: u16 = 0x3f8;
const FIFO_BYTES: usize = 16;
/// Asks of the line status before a byte is given up: about a second. A reader that the host lets
/// wait still gets the last words; one that is gone does not keep the machine from its end.
const PATIENCE: u32 = 1_000_000;

const LINE_DATA_READY: u8 = 1 << 0;
const LINE_TRANSMIT_EMPTY: u8 = 1 << 5;

/// Registers, as offsets from the base.
#[derive(Clone, Copy)]
enum Register {
    /// Receive and transmit; the divisor's low byte while DLAB is set.
    Data = 0,
    /// Interrupt enable; the divisor's high byte while DLAB is set.
    InterruptEnable = 1,
    FifoControl = 2,
    LineControl = 3,
    ModemControl = 4,
    LineStatus = 5,
    Scratch = 7,
}

impl Uart {
    /// 115200 baud, 8N1, FIFOs on, an interrupt for what comes.
    pub fn new() -> Self {
        initialize();
        Self { present: is_present(), room: 0, moved: false }
    }

    /// Whether bytes have come or gone since this was asked last.
    pub fn has_moved(&mut self) -> bool {
        core::mem::take(&mut self.moved)
    }
}

impl Tty for Uart {
    fn read(&mut self) -> Option<u8> {
        let ready = self.present && line_status() & LINE_DATA_READY != 0;
        self.moved |= ready;
        ready.then(|| read(Register::Data))
    }

    /// Takes what the FIFO has room for.
    fn write(&mut self, bytes: &[u8]) -> usize {
        if !self.present {
            return bytes.len(); // nobody will ever read it
        }
        if self.room == 0 && line_status() & LINE_TRANSMIT_EMPTY != 0 {
            self.room = FIFO_BYTES;
        }
        let count = bytes.len().min(self.room);
        for byte in &bytes[..count] {
            write(Register::Data, *byte);
        }
        self.room -= count;
        self.moved |= count > 0;
        count
    }
}

impl Blocking {
    pub fn new() -> Self {
        initialize();
        Self { dead: !is_present() }
    }

    fn put(&mut self, byte: u8) {
        let mut patience = PATIENCE;
        while !self.dead && line_status() & LINE_TRANSMIT_EMPTY == 0 {
            patience -= 1;
            self.dead = patience == 0;
        }
        if !self.dead {
            write(Register::Data, byte);
        }
    }
}

impl fmt::Write for Blocking {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
        Ok(())
    }
}

fn initialize() {
    const DLAB: u8 = 1 << 7;
    const EIGHT_BITS: u8 = 3;
    // An interrupt at 14 bytes, or when the line has been still for four bytes' time. QEMU hands over
    // as many bytes at once: with an interrupt at each byte a paste was ten times slower.
    const FIFO_ENABLE_AT_14: u8 = 0xc1;
    const RECEIVED: u8 = 1;
    const DTR_RTS_OUT2: u8 = 0b1011; // OUT2 lets the interrupt out
    write(Register::LineControl, DLAB | EIGHT_BITS);
    write(Register::Data, 1);
    write(Register::InterruptEnable, 0);
    write(Register::LineControl, EIGHT_BITS);
    write(Register::FifoControl, FIFO_ENABLE_AT_14);
    write(Register::ModemControl, DTR_RTS_OUT2);
    write(Register::InterruptEnable, RECEIVED);
}

/// A machine without a UART answers with ones.
fn is_present() -> bool {
    write(Register::Scratch, 0x5a);
    read(Register::Scratch) == 0x5a
}

fn line_status() -> u8 {
    read(Register::LineStatus)
}

fn read(register: Register) -> u8 {
    // SAFETY: COM1 is the console's on every PC; reading it touches no memory.
    unsafe { cpu::in8(COM1 + register as u16) }
}

fn write(register: Register, value: u8) {
    // SAFETY: as in `read`; a 16550 has no access to memory.
    unsafe { cpu::out8(COM1 + register as u16, value) };
}
