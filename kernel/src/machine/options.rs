//! The command line that the loader hands over (`-append`): words `key=value`, set apart by blanks.
//!
//! ```text
//! panic=halt|reboot|exit     what to do after last words; exit is QEMU's isa-debug-exit
//! crash=panic|fault|stack|text|data|null|heap    die at the start, to see the last words (for tests)
//! crash=hang                 stand still instead, to see the watchdog
//! host=NAME                  whose configuration the disk's must be (crate::store)
//! virtio_mmio.device=BYTES@ADDRESS:LINE   a virtio device without PCI, one word each; QEMU's microvm
//!                            and Firecracker add these words themselves, in Linux's spelling
//! ```
//!
//! A word that is not understood is reported and otherwise ignored: an appliance that is deaf to a
//! word still switches.

use core::ops::Range;

use crate::store::HOST_BYTES_MAX;

/// Written to QEMU's `-device isa-debug-exit,iobase=0xf4,iosize=4` after last words.
pub const EXIT_VALUE_CRASHED: u32 = 0x2a;
/// The status that QEMU then ends with, to be seen by tests.
pub const EXIT_STATUS_CRASHED: i32 = (EXIT_VALUE_CRASHED << 1 | 1) as i32;

/// What becomes of the machine after a panic or a trap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// Stand still, last words on the console.
    #[default]
    Halt,
    Reboot,
    /// End QEMU with [`EXIT_STATUS_CRASHED`].
    Exit,
}

/// Ways to die on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Panic,
    /// An invalid instruction.
    Fault,
    /// Endless recursion, into the guard page.
    Stack,
    /// A write to code.
    Text,
    /// A call into data.
    Data,
    /// A read at address 0.
    Null,
    /// An allocation larger than the heap.
    Heap,
    /// No death: the loop does not go round.
    Hang,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub on_panic: OnPanic,
    pub crash: Option<Crash>,
    /// Empty when nothing is said.
    pub host: heapless::String<HOST_BYTES_MAX>,
    /// In the order in which they are named.
    pub windows: heapless::Vec<MmioWindow, WINDOWS_MAX>,
}

/// Where a virtio device's registers are, and the interrupt line that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmioWindow {
    pub registers: Range<u64>,
    pub line: u8,
}

/// Devices without PCI that are known of; QEMU's microvm has eight.
pub const WINDOWS_MAX: usize = 16;
/// Registers of one device, of which no loader says more.
const WINDOW_BYTES_MAX: u64 = 64 << 10;

/// A word of the command line that means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    pub word: &'a str,
    pub expected: &'static str,
}

impl OnPanic {
    const WORDS: [(&'static str, OnPanic); 3] =
        [("halt", OnPanic::Halt), ("reboot", OnPanic::Reboot), ("exit", OnPanic::Exit)];
}

impl Crash {
    const WORDS: [(&'static str, Crash); 8] = [
        ("panic", Crash::Panic),
        ("fault", Crash::Fault),
        ("stack", Crash::Stack),
        ("text", Crash::Text),
        ("data", Crash::Data),
        ("null", Crash::Null),
        ("heap", Crash::Heap),
        ("hang", Crash::Hang),
    ];
}

impl Options {
    /// Of several words with one key the last one counts.
    pub fn parse<'a>(line: &'a str, mut unknown: impl FnMut(Unknown<'a>)) -> Self {
        let mut options = Options::default();
        for word in line.split_ascii_whitespace() {
            if let Err(expected) = options.take(word) {
                unknown(Unknown { word, expected });
            }
        }
        options
    }

    /// The error is what would have been right.
    fn take(&mut self, word: &str) -> Result<(), &'static str> {
        match word.split_once('=') {
            Some(("panic", value)) => {
                self.on_panic =
                    find(&OnPanic::WORDS, value).ok_or("panic=halt, panic=reboot or panic=exit")?;
            }
            Some(("crash", value)) => {
                self.crash = Some(
                    find(&Crash::WORDS, value)
                        .ok_or("crash=panic, fault, stack, text, data, null, heap or hang")?,
                );
            }
            Some(("host", value)) => {
                let name = value.try_into().ok().filter(|_| !value.is_empty());
                self.host = name.ok_or("host=NAME, of 64 bytes at most")?;
            }
            Some(("virtio_mmio.device", value)) => {
                let window = read_window(value)
                    .ok_or("virtio_mmio.device=BYTES@ADDRESS:LINE, as in 512@0xfeb00e00:12")?;
                self.windows.push(window).map_err(|_| "16 of these words at most")?;
            }
            _ => return Err("panic=…, crash=…, host=… or virtio_mmio.device=…"),
        }
        Ok(())
    }
}

/// As Linux writes it: `512@0xfeb00e00:12`, `4K@0xd0000000:5`, with a number at the end, if any, that
/// means nothing here.
fn read_window(value: &str) -> Option<MmioWindow> {
    let (bytes, rest) = value.split_once('@')?;
    let mut rest = rest.split(':');
    let (address, line) = (rest.next()?, rest.next()?);
    let bytes = match bytes.strip_suffix(['K', 'k']) {
        Some(number) => read_number(number)?.checked_mul(1024)?,
        None => read_number(bytes)?,
    };
    let start = read_number(address)?;
    let end = start.checked_add(bytes).filter(|_| (1..=WINDOW_BYTES_MAX).contains(&bytes))?;
    Some(MmioWindow { registers: start..end, line: line.parse().ok()? })
}

fn read_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn find<T: Copy>(words: &[(&str, T)], value: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn words_and_what_is_said_of_others() {
        let long = "host=a123456789b123456789c123456789d123456789e123456789f123456789g1234";
        let mut unknown = Vec::new();
        let line = " panic=exit  console=ttyS0 crash=stack panic=now quiet host=rack4-2 host=";
        let line = [line, long].join(" ");
        let options = Options::parse(&line, |word| unknown.push(word.word));
        let host = "rack4-2".try_into().unwrap();
        let windows = heapless::Vec::new();
        let wanted = Options { on_panic: OnPanic::Exit, crash: Some(Crash::Stack), host, windows };
        assert_eq!(options, wanted);
        assert_eq!(unknown, ["console=ttyS0", "panic=now", "quiet", "host=", long]);
    }

    #[test]
    fn devices_without_pci() {
        let window = |value: &str| {
            let mut unknown = 0;
            let line = std::format!("virtio_mmio.device={value}");
            let options = Options::parse(&line, |_| unknown += 1);
            assert_eq!(options.windows.len() + unknown, 1, "{value}");
            options.windows.first().cloned()
        };
        let at = |registers, line| Some(MmioWindow { registers, line });
        let cases = [
            ("512@0xfeb00e00:12", at(0xfeb0_0e00..0xfeb0_1000, 12)),
            ("4K@0xd0000000:5", at(0xd000_0000..0xd000_1000, 5)),
            ("0x200@4276092928:1:7", at(0xfee0_0000..0xfee0_0200, 1)),
            ("512@0xfeb00e00", None),
            ("512:12", None),
            ("0@0xfeb00e00:12", None),
            ("1000000K@0xfeb00e00:12", None),
            ("18446744073709551615K@0:1", None),
            ("512@0xffffffffffffffff:12", None),
            ("512@-1:12", None),
            ("512@0xfeb00e00:256", None),
            ("", None),
        ];
        for (value, expected) in cases {
            assert_eq!(window(value), expected, "{value:?}");
        }
        let mut refused = 0;
        let many = "virtio_mmio.device=512@0xfeb00e00:12 ".repeat(WINDOWS_MAX + 2);
        let options = Options::parse(&many, |_| refused += 1);
        assert_eq!((options.windows.len(), refused), (WINDOWS_MAX, 2));
    }

    #[test]
    fn nothing_said_is_a_halt() {
        let options = Options::parse("", |word| panic!("{word:?}"));
        assert_eq!(options, Options::default());
        assert_eq!(options.on_panic, OnPanic::Halt);
    }
}
