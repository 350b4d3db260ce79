//! Serial ports: the 16550s at COM1 and COM2 (National PC16550D; QEMU's `-serial`).
//!
//! Every access leaves the VM and costs a microsecond or more, so callers come by now and then and
//! move what there is. [`Uart`] never waits. [`Blocking`] does, for the first line and the last
//! words, but not for ever: a host that does not read must not keep an appliance from rebooting.

use core::fmt;

use boot::cpu;
use kernel::console::Tty;

use super::idle::Lines;

/// A serial port of a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Com {
    base: u16,
    line: u8,
}

/// The 16550 of a port, in use by a seat.
pub struct Uart {
    com: Com,
    /// Bytes that the transmit FIFO surely has room for.
    room: usize,
}

/// Writes to COM1 at once and waits for room.
pub struct Blocking {
    dead: bool,
}

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
    /// The port's UART with 115200 baud, 8N1, FIFOs on, an interrupt for what comes; if it has one.
    pub fn find(com: Com) -> Option<Uart> {
        com.initialize();
        com.is_present().then_some(Uart { com, room: 0 })
    }

    /// The interrupt line that says that bytes have come.
    pub fn line(&self) -> Lines {
        Lines::number(self.com.line)
    }
}

impl Tty for Uart {
    fn read(&mut self) -> Option<u8> {
        let is_ready = self.com.line_status() & LINE_DATA_READY != 0;
        is_ready.then(|| self.com.read(Register::Data))
    }

    /// Takes what the FIFO has room for.
    fn write(&mut self, bytes: &[u8]) -> usize {
        // Nothing to write costs no access.
        if self.room == 0 && !bytes.is_empty() && self.com.line_status() & LINE_TRANSMIT_EMPTY != 0
        {
            self.room = FIFO_BYTES;
        }
        let count = bytes.len().min(self.room);
        for byte in &bytes[..count] {
            self.com.write(Register::Data, *byte);
        }
        self.room -= count;
        count
    }
}

impl Blocking {
    pub fn new() -> Self {
        Com::ONE.initialize();
        Self { dead: !Com::ONE.is_present() }
    }

    fn put(&mut self, byte: u8) {
        let mut patience = PATIENCE;
        while !self.dead && Com::ONE.line_status() & LINE_TRANSMIT_EMPTY == 0 {
            patience -= 1;
            self.dead = patience == 0;
        }
        if !self.dead {
            Com::ONE.write(Register::Data, byte);
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

impl Com {
    pub const ONE: Com = Com { base: 0x3f8, line: 4 };
    pub const TWO: Com = Com { base: 0x2f8, line: 3 };

    fn initialize(self) {
        const DLAB: u8 = 1 << 7;
        const EIGHT_BITS: u8 = 3;
        // An interrupt at 14 bytes, or when the line has been still for four bytes' time. QEMU hands
        // over as many bytes at once: with an interrupt at each byte a paste was ten times slower.
        const FIFO_ENABLE_AT_14: u8 = 0xc1;
        const RECEIVED: u8 = 1;
        const DTR_RTS_OUT2: u8 = 0b1011; // OUT2 lets the interrupt out
        self.write(Register::LineControl, DLAB | EIGHT_BITS);
        self.write(Register::Data, 1);
        self.write(Register::InterruptEnable, 0);
        self.write(Register::LineControl, EIGHT_BITS);
        self.write(Register::FifoControl, FIFO_ENABLE_AT_14);
        self.write(Register::ModemControl, DTR_RTS_OUT2);
        self.write(Register::InterruptEnable, RECEIVED);
    }

    /// A port without a UART answers with ones.
    fn is_present(self) -> bool {
        self.write(Register::Scratch, 0x5a);
        self.read(Register::Scratch) == 0x5a
    }

    fn line_status(self) -> u8 {
        self.read(Register::LineStatus)
    }

    fn read(self, register: Register) -> u8 {
        // SAFETY: there are but two `Com`s, whose ports are a UART's or nobody's on every PC; reading
        // them touches no memory.
        unsafe { cpu::in8(self.base + register as u16) }
    }

    fn write(self, register: Register, value: u8) {
        // SAFETY: as in `read`; a 16550 has no access to memory.
        unsafe { cpu::out8(self.base + register as u16, value) };
    }
}
