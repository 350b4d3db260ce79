//! From bytes to keys.
//!
//! A terminal sends a key as a byte, as UTF-8 or as an escape sequence, and a line end as CR, LF
//! or both, or as telnet's CR NUL (RFC 854). Whatever else comes over the line is either text that
//! nobody can read or nothing: no byte leads into a state that the next carriage return does not lead
//! out of.

use heapless::Vec;

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// One character, or one byte that is no part of any.
    Text(Vec<u8, 4>),
    Enter,
    Tab,
    /// Erases to the left: 0x08 or 0x7f.
    Backspace,
    /// Erases to the right.
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    /// BREAK, which a serial line gives as NUL, is a loud Ctrl-C.
    Break,
    /// With its letter in upper case.
    Control(u8),
}

/// Keys that one byte can complete: a cut-off character of up to three bytes, and its own.
pub type KeysOfByte = Vec<Key, 4>;

/// What is left of the bytes so far.
#[derive(Debug, Default)]
pub struct Decoder {
    escape: Escape,
    /// The beginning of a character.
    partial: Vec<u8, 4>,
    after_return: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// ESC
    Begun,
    /// ESC O
    Single,
    /// ESC [, and the first number after it
    Sequence { number: u8, in_first: bool },
}

const ESC: u8 = 0x1b;

impl Decoder {
    /// Whether this byte is the second half of a line end, which is no key of its own.
    pub fn ends_line_end(&self, byte: u8) -> bool {
        matches!(byte, b'\n' | 0) && self.after_return
    }

    pub fn feed(&mut self, byte: u8) -> KeysOfByte {
        let mut keys = KeysOfByte::new();
        if !byte.is_ascii() {
            self.escape = Escape::None;
            self.text(byte, &mut keys);
            return keys;
        }
        for byte in core::mem::take(&mut self.partial) {
            add(&mut keys, unreadable(byte));
        }
        let is_second_half = self.ends_line_end(byte);
        self.after_return = byte == b'\r';
        if is_second_half {
            return keys;
        }
        let is_control = byte.is_ascii_control();
        let key = match self.escape {
            Escape::None => self.plain(byte),
            _ if is_control => {
                self.escape = Escape::None;
                self.plain(byte)
            }
            Escape::Begun => {
                self.escape = match byte {
                    b'[' => Escape::Sequence { number: 0, in_first: true },
                    b'O' => Escape::Single,
                    _ => Escape::None,
                };
                None
            }
            Escape::Single => {
                self.escape = Escape::None;
                cursor_key(byte)
            }
            Escape::Sequence { number, in_first } => self.sequence(number, in_first, byte),
        };
        if let Some(key) = key {
            add(&mut keys, key);
        }
        keys
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0 => Key::Break,
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            ESC => {
                self.escape = Escape::Begun;
                return None;
            }
            1..=26 => Key::Control(byte + b'A' - 1),
            b' '..=b'~' => Key::Text(Vec::from_iter([byte])),
            _ => return None,
        })
    }

    fn sequence(&mut self, number: u8, in_first: bool, byte: u8) -> Option<Key> {
        self.escape = match byte {
            b'0'..=b'9' if in_first => {
                let number = number.saturating_mul(10).saturating_add(byte - b'0');
                Escape::Sequence { number, in_first }
            }
            b' '..=b'?' => Escape::Sequence { number, in_first: false },
            _ => Escape::None,
        };
        match (byte, number) {
            (b'~', 1 | 7) => Some(Key::Home),
            (b'~', 4 | 8) => Some(Key::End),
            (b'~', 3) => Some(Key::Delete),
            _ => cursor_key(byte),
        }
    }

    /// A byte of a character, or of none.
    fn text(&mut self, byte: u8, keys: &mut KeysOfByte) {
        self.after_return = false;
        if self.partial.push(byte).is_err() {
            return;
        }
        match core::str::from_utf8(&self.partial) {
            Ok(_) => add(keys, Key::Text(core::mem::take(&mut self.partial))),
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                // The last byte may begin a character of its own; the ones before it cannot.
                let mut broken = core::mem::take(&mut self.partial);
                let last = if broken.len() > 1 { broken.pop() } else { None };
                broken.into_iter().for_each(|byte| add(keys, unreadable(byte)));
                if let Some(last) = last {
                    self.text(last, keys);
                }
            }
        }
    }
}

fn cursor_key(last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

fn unreadable(byte: u8) -> Key {
    Key::Text(Vec::from_iter([byte]))
}

fn add(keys: &mut KeysOfByte, key: Key) {
    // Three bytes of a broken character and one key are as many as fit.
    let _ = keys.push(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> std::vec::Vec<Key> {
        let mut decoder = Decoder::default();
        bytes.iter().flat_map(|&byte| decoder.feed(byte)).collect()
    }

    fn text(bytes: &[u8]) -> Key {
        Key::Text(bytes.iter().copied().collect())
    }

    #[test]
    fn line_ends() {
        assert_eq!(keys(b"\r\n\n\r\r\n"), [Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
        assert_eq!(keys(b"\r\0\0\n\0"), [Key::Enter, Key::Break, Key::Enter, Key::Break]);
    }

    #[test]
    fn cursor_keys_of_many_terminals() {
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[D"),
            [Key::Up, Key::Down, Key::Right, Key::Left]
        );
        assert_eq!(keys(b"\x1b[H\x1b[1~\x1bOH\x1b[7~"), [const { Key::Home }; 4]);
        assert_eq!(keys(b"\x1b[F\x1b[4~\x1b[3~"), [Key::End, Key::End, Key::Delete]);
    }

    #[test]
    fn c10_garbage_leads_into_no_state_that_enter_does_not_lead_out_of() {
        let garbage: [&[u8]; 6] =
            [b"\x1b", b"\x1b[", b"\x1b[1;9999999999999", b"\x1bO", b"\x1b\x1b[\x1b", b"\xe2\x82"];
        for bytes in garbage {
            let mut decoder = Decoder::default();
            bytes.iter().for_each(|&byte| drop(decoder.feed(byte)));
            assert_eq!(decoder.feed(b'\r').last(), Some(&Key::Enter), "{bytes:x?}");
        }
        assert_eq!(keys(b"\x00"), [Key::Break]);
    }

    #[test]
    fn characters_and_bytes_that_are_none() {
        assert_eq!(
            keys("aé€".as_bytes()),
            [text(b"a"), text("é".as_bytes()), text("€".as_bytes())]
        );
        assert_eq!(keys(b"\xff"), [text(b"\xff")]);
        assert_eq!(keys(b"\xe2\x82A"), [text(b"\xe2"), text(b"\x82"), text(b"A")]);
        // A lone surrogate is three bytes that mean nothing.
        assert_eq!(keys(b"\xed\xa0\x80"), [text(b"\xed"), text(b"\xa0"), text(b"\x80")]);
        assert_eq!(keys(b"\xe2\x82\xc3\xa9"), [text(b"\xe2"), text(b"\x82"), text("é".as_bytes())]);
    }
}
