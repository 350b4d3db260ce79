//! The Internet checksum: summed in full (RFC 1071) where we originate, changed by difference
//! (RFC 1624) where we rewrite, so that a packet that was wrong stays wrong.

use super::Address;
use super::ip::Version;

/// A one's complement sum in the making. Words of 32 bits are added as they are, for they fold to
/// the same: 2¹⁶ is 1 in one's complement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    #[must_use]
    pub fn word(self, word: u16) -> Sum {
        Sum(self.0 + u64::from(word))
    }

    #[must_use]
    pub fn address(self, address: Address) -> Sum {
        match address.version() {
            Version::V4 => Sum(self.0 + u64::from(address.v4_bits())),
            Version::V6 => {
                halves(address.words()).into_iter().fold(self, |sum, half| Sum(sum.0 + half))
            }
        }
    }

    /// Adds bytes in pairs; an odd last byte counts as if a zero followed.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Sum {
        let (fours, rest) = bytes.as_chunks::<4>();
        let long = |sum: Sum, four: &[u8; 4]| Sum(sum.0 + u64::from(u32::from_be_bytes(*four)));
        let sum = fours.iter().fold(self, long);
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        long(sum, &last)
    }

    /// The sum of what lies in pieces, one behind the other.
    #[must_use]
    pub fn of_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Sum {
        let add = |(sum, len): (Sum, usize), piece: &[u8]| {
            (sum.behind(len, Sum::default().bytes(piece)), len + piece.len())
        };
        pieces.fold((Sum::default(), 0), add).0
    }

    /// Adds what follows `len` bytes, which are in this sum: behind an odd one all pairs are turned round
    /// (RFC 1071 §2 B).
    #[must_use]
    pub fn behind(self, len: usize, other: Sum) -> Sum {
        let word = other.folded();
        self.word(if len.is_multiple_of(2) { word } else { word.swap_bytes() })
    }

    /// The checksum field for what was summed; 0 when what was summed held a right one.
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// What a partial checksum field holds: the sum itself.
    pub fn folded(self) -> u16 {
        fold(self.0)
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

    /// Two words at once.
    #[must_use]
    #[inline(always)]
    pub fn words(self, old: [u16; 2], new: [u16; 2]) -> Delta {
        let long = |[one, other]: [u16; 2]| u32::from(one) << 16 | u32::from(other);
        Delta(self.0 + u64::from(!long(old)) + u64::from(long(new)))
    }

    /// Both addresses are of one version.
    #[must_use]
    #[inline(always)]
    pub fn address(self, old: Address, new: Address) -> Delta {
        let long =
            |delta: Delta, old: u32, new: u32| Delta(delta.0 + u64::from(!old) + u64::from(new));
        match old.version() {
            Version::V4 => long(self, old.v4_bits(), new.v4_bits()),
            Version::V6 => {
                let pairs = halves(old.words()).into_iter().zip(halves(new.words()));
                pairs.fold(self, |delta, (old, new)| long(delta, old as u32, new as u32))
            }
        }
    }

    /// Both changes.
    #[must_use]
    pub fn and(self, other: Delta) -> Delta {
        Delta(self.0 + other.0)
    }

    /// The checksum after the change (RFC 1624, equation 3).
    pub fn apply(self, checksum: u16) -> u16 {
        !self.apply_to_sum(!checksum)
    }

    /// The same for a partial checksum, which is a sum as it is.
    pub fn apply_to_sum(self, sum: u16) -> u16 {
        fold(self.0 + u64::from(sum))
    }
}

/// Two words as four of 32 bits.
fn halves([high, low]: [u64; 2]) -> [u64; 4] {
    [high >> 32, high & 0xffff_ffff, low >> 32, low & 0xffff_ffff]
}

/// Adds the halves of a sum, and those of the result. What is carried out of the lower half of
/// `sum + rotated sum` comes in at the upper, where the result then stands with nothing to ask.
#[inline(always)]
fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
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
        fn pieces_are_a_whole(
            bytes in proptest::collection::vec(any::<u8>(), 1..64),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut cuts: std::vec::Vec<usize> = cuts.iter().map(|at| at.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            let sum = Sum::of_pieces(pieces).checksum();
            prop_assert_eq!(sum, Sum::default().bytes(&bytes).checksum());
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
