//! The Internet checksum: summed in full (RFC 1071) where we originate, changed by difference
//! (RFC 1624) where we rewrite, so that a packet that was wrong stays wrong.

use core::net::Ipv4Addr;

/// A one's complement sum in the making.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    #[must_use]
    pub fn word(self, word: u16) -> Sum {
        Sum(self.0 + u64::from(word))
    }

    #[must_use]
    pub fn address(self, address: Ipv4Addr) -> Sum {
        let [a, b, c, d] = address.octets();
        self.word(u16::from_be_bytes([a, b])).word(u16::from_be_bytes([c, d]))
    }

    /// Adds bytes in pairs; an odd last byte counts as if a zero followed.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Sum {
        let (pairs, last) = bytes.as_chunks::<2>();
        let sum = pairs.iter().fold(self, |sum, pair| sum.word(u16::from_be_bytes(*pair)));
        last.iter().fold(sum, |sum, &byte| sum.word(u16::from(byte) << 8))
    }

    /// The checksum field for what was summed; 0 when what was summed held a right one.
    pub fn checksum(self) -> u16 {
        !fold(self.0)
    }
}

/// A change of some words under a checksum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(u64);

impl Delta {
    #[must_use]
    pub fn word(self, old: u16, new: u16) -> Delta {
        Delta(self.0 + u64::from(!old) + u64::from(new))
    }

    #[must_use]
    pub fn address(self, old: Ipv4Addr, new: Ipv4Addr) -> Delta {
        let ([a, b, c, d], [e, f, g, h]) = (old.octets(), new.octets());
        self.word(u16::from_be_bytes([a, b]), u16::from_be_bytes([e, f]))
            .word(u16::from_be_bytes([c, d]), u16::from_be_bytes([g, h]))
    }

    /// The checksum after the change (RFC 1624, equation 3).
    pub fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + u64::from(!checksum))
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: checksum 0xdd2f, a word goes from 0x5555 to 0x3285, and the sum becomes 0.
        assert_eq!(Delta::default().word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    proptest! {
        #[test]
        fn a_difference_equals_a_full_sum(
            mut words in proptest::collection::vec(any::<u16>(), 1..40),
            at in any::<prop::sample::Index>(),
            new in any::<u16>(),
        ) {
            let full = |words: &[u16]| words.iter().fold(Sum::default(), |s, &w| s.word(w)).checksum();
            // A word that is never zero keeps +0 and -0 apart, as an IP header does.
            words.push(0x4500);
            let before = full(&words);
            let slot = at.index(words.len() - 1);
            let changed = Delta::default().word(words[slot], new).apply(before);
            words[slot] = new;
            prop_assert_eq!(changed, full(&words));
        }

        #[test]
        fn bytes_are_words(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut padded = bytes.clone();
            padded.resize(bytes.len().next_multiple_of(2), 0);
            let words = padded.chunks(2).map(|p| u16::from_be_bytes([p[0], p[1]]));
            let sum = words.fold(Sum::default(), Sum::word);
            prop_assert_eq!(Sum::default().bytes(&bytes).checksum(), sum.checksum());
        }
    }
}
