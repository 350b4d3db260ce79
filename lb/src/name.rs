//! Names of ports, guests and services, as an operator types them.

use core::fmt;
use core::str::FromStr;

/// A letter, then letters, digits, `-`, `_` or `.`; at most 31 bytes of ASCII.
///
/// What is not used of the bytes is zero, so names compare as their texts do; and a copy is two
/// words of sixteen bytes, since every new flow has the names of who was chosen copied.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; Name::BYTES_MAX],
    len: u8,
}

/// Why a word is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong,
    /// This character, at this byte offset, may not stand there.
    Character {
        at: usize,
    },
}

impl Name {
    pub const BYTES_MAX: usize = 31;
    /// Stands where there is no name yet.
    pub(crate) const NONE: Name = Name { bytes: [0; Name::BYTES_MAX], len: 0 };

    pub fn as_str(&self) -> &str {
        // ASCII, always.
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let misfit = text.bytes().enumerate().position(|(at, byte)| match byte {
            b'a'..=b'z' | b'A'..=b'Z' => false,
            b'0'..=b'9' | b'-' | b'_' | b'.' => at == 0,
            _ => true,
        });
        if let Some(at) = misfit {
            return Err(NameError::Character { at });
        }
        let mut bytes = [0; Name::BYTES_MAX];
        let place = bytes.get_mut(..text.len()).ok_or(NameError::TooLong)?;
        place.copy_from_slice(text.as_bytes());
        Ok(Name { bytes, len: text.len() as u8 })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("a name has at least one letter"),
            NameError::TooLong => write!(f, "a name has at most {} bytes", Name::BYTES_MAX),
            NameError::Character { at: 0 } => f.write_str("a name begins with a letter"),
            NameError::Character { .. } => {
                f.write_str("a name holds letters, digits, '-', '_' and '.'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "web1", "Blue-green_2.x", "abcdefghijklmnopqrstuvwxyz12345"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("1a".parse::<Name>(), Err(NameError::Character { at: 0 }));
        assert_eq!("ab c".parse::<Name>(), Err(NameError::Character { at: 2 }));
        assert_eq!("abcdefghijklmnopqrstuvwxyz123456".parse::<Name>(), Err(NameError::TooLong));
    }
}
