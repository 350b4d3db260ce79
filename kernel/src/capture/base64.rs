//! Bytes as lines of text that any terminal carries (RFC 4648 §4, in lines as RFC 2045 §6.8 has them).

use alloc::string::String;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const COLUMNS: usize = 76;

/// Takes bytes as they come; three of them are four letters.
#[derive(Debug, Default)]
pub struct Base64 {
    /// Bytes that wait for others to be written with, fewer than three.
    rest: heapless::Vec<u8, 3>,
    column: usize,
}

impl Base64 {
    /// Writes bytes down, but for those that are too few yet.
    pub fn write(&mut self, bytes: impl Iterator<Item = u8>, text: &mut String) {
        for byte in bytes {
            // There is room: three have been written before.
            let _ = self.rest.push(byte);
            if self.rest.is_full() {
                self.put(text);
            }
        }
    }

    /// Writes the last ones and ends the line.
    pub fn end(&mut self, text: &mut String) {
        if !self.rest.is_empty() {
            self.put(text);
        }
        if core::mem::take(&mut self.column) > 0 {
            text.push('\n');
        }
    }

    fn put(&mut self, text: &mut String) {
        let count = self.rest.len();
        let byte = |at: usize| u32::from(self.rest.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= count { char::from(letter) } else { '=' });
        }
        self.rest.clear();
        self.column += 4;
        if self.column == COLUMNS {
            text.push('\n');
            self.column = 0;
        }
    }
}
