//! The command line that the loader hands over (`-append`): words `key=value`, set apart by blanks.
//!
//! ```text
//! panic=halt|reboot|exit     what to do after last words; exit is QEMU's isa-debug-exit
//! crash=panic|fault|stack|text|data|null|heap    die at the start, to see the last words (for tests)
//! crash=hang                 stand still instead, to see the watchdog
//! host=NAME                  whose configuration the disk's must be (crate::store)
//! ```
//!
//! A word that is not understood is reported and otherwise ignored: an appliance that is deaf to a
//! word still switches.

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
}

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
            _ => return Err("panic=…, crash=… or host=…"),
        }
        Ok(())
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
        let wanted = Options { on_panic: OnPanic::Exit, crash: Some(Crash::Stack), host };
        assert_eq!(options, wanted);
        assert_eq!(unknown, ["console=ttyS0", "panic=now", "quiet", "host=", long]);
    }

    #[test]
    fn nothing_said_is_a_halt() {
        let options = Options::parse("", |word| panic!("{word:?}"));
        assert_eq!(options, Options::default());
        assert_eq!(options.on_panic, OnPanic::Halt);
    }
}
