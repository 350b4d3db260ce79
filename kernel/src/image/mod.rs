//! The bare machine: what the appliance stands on when there is no operating system.
//!
//! [`Machine::start`] brings it up in one order that matters: traps first, so that whatever goes
//! wrong is seen; the console; what the loader says, read before anything writes to memory; the
//! page tables; the heap; the clock. Here, in `boot` and in `drivers` is all the `unsafe` there is.

mod clock;
mod crash;
mod devices;
pub mod fw_cfg;
mod heap;
mod idle;
mod last_words;
mod local_apic;
mod memory;
mod power;
mod random;
mod rtc;
mod uart;
mod windows;

use core::fmt::Write;

use kernel::appliance::Memory;
use kernel::machine::acpi::Acpi;
use kernel::machine::aml::Plugging;
use kernel::machine::options::{Options, Unknown};
use kernel::machine::start_info::{Handover, StartInfo};
use lb::Instant;

pub use clock::TscClock;
pub use devices::{DeviceBus, Nics, Sockets};
pub use idle::{Idle, Lines};
pub use power::{power_off, reboot, was_button_pressed};
pub use uart::{Com, Uart};
pub use windows::Windows;

/// Lines that are longer than a row go on in the next one. SeaBIOS, where it has the serial port
/// (`qemu -nographic`), leaves terminals that overwrite their last column.
const WRAP: &str = "\x1b[?7h";

/// The machine, brought up.
pub struct Machine {
    pub clock: TscClock,
    /// Seconds since 1970 when the clock began, if that is known.
    pub began: Option<u64>,
    pub idle: Idle,
    pub options: Options,
    /// QEMU's registers for plugging, if the machine has them.
    pub plugging: Option<Plugging>,
    /// The loader's module (`-initrd`, `module2`): a configuration.
    pub module: Option<&'static [u8]>,
    /// Bytes that the heap has for everything.
    pub heap_bytes: usize,
    /// Drawn at boot and told to nobody: the key of the flow tables.
    pub secret: u64,
}

impl Machine {
    /// Takes over the machine.
    ///
    /// # Safety
    /// Once, as the first thing that the image does, with what the loader passed to the entry.
    pub unsafe fn start(handover: Handover) -> Machine {
        // SAFETY: ring 0, first of all, interrupts are still off.
        unsafe { boot::traps::install(last_words::trap) };
        let mut console = uart::Blocking::new();
        // Nothing can be done about a console that takes nothing.
        let _ = writeln!(console, "{WRAP}\nFulcrum {}", env!("CARGO_PKG_VERSION"));
        kernel::journal::begin();

        // SAFETY: the entry's page tables map all that is read here; nothing has written yet.
        let firmware = unsafe { memory::Firmware::new() };
        let info = StartInfo::read(&firmware, handover).unwrap_or_else(|error| panic!("{error}"));
        let options = Options::parse(&info.command_line, |unknown| {
            let Unknown { word, expected } = unknown;
            log::warn!("command line: '{word}' is not known; expected {expected}");
        });
        let Acpi { power, plugging } = Acpi::find(&firmware, info.rsdp);
        power::know(power);
        last_words::prepare(options.on_panic);

        // SAFETY: once, before there is any allocation.
        let memory = unsafe { memory::take(&info) };
        // SAFETY: the region is RAM that nothing else uses, mapped for ever, given away once.
        unsafe { heap::begin(memory.heap.clone()) };

        // SAFETY: the page tables are those of `take`.
        unsafe { local_apic::let_8259s_through() };
        let idle = Idle::new();
        let clock = TscClock::calibrate();
        let secret = random::secret();
        Machine {
            clock,
            began: rtc::unix_seconds(),
            idle,
            options,
            plugging,
            module: memory.module,
            heap_bytes: heap::free_bytes(),
            secret,
        }
    }

    /// The heap, for whoever shows how full it is.
    pub fn memory(&self) -> Memory {
        Memory { bytes: self.heap_bytes, free_bytes: heap::free_bytes }
    }

    /// The time, which the journal is told as well.
    #[inline]
    pub fn now(&mut self) -> Instant {
        let now = self.clock.now();
        kernel::journal::JOURNAL.tell(now);
        now
    }

    /// Dies in the way that the command line asks for, if it does.
    pub fn crash_if_asked(&self) {
        if let Some(crash) = self.options.crash {
            crash::crash(crash);
        }
    }
}
