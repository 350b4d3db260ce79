//! The file that `capture` prints: base64 between two marker lines, pcap inside.

const BEGIN: &str = "-----BEGIN PCAP-----";
const END: &str = "-----END PCAP-----";

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 16;

/// The frames of the capture in a console's text, each whole.
#[track_caller]
pub fn frames(console: &str) -> Vec<Vec<u8>> {
    let file = file(console);
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let (nanoseconds, version, ethernet) = (0xa1b2_3c4d, 2 | 4 << 16, 1);
    assert_eq!([word(0), word(4), word(20)], [nanoseconds, version, ethernet]);
    let mut frames = Vec::new();
    let mut at = HEADER_BYTES;
    while at < file.len() {
        let (kept, len) = (word(at + 8) as usize, word(at + 12) as usize);
        assert_eq!(kept, len, "frame {} is whole", frames.len());
        at += RECORD_BYTES;
        frames.push(file[at..at + kept].to_vec());
        at += kept;
    }
    frames
}

/// The bytes of the file itself.
#[track_caller]
pub fn file(console: &str) -> Vec<u8> {
    let (_, rest) = console.split_once(BEGIN).expect("the marker before a capture");
    let (text, _) = rest.split_once(END).expect("the marker after a capture");
    decoded(text)
}

fn decoded(text: &str) -> Vec<u8> {
    let six_bits = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let letters: Vec<u8> = text.bytes().filter_map(six_bits).collect();
    let bytes = letters.chunks(4).flat_map(|four| {
        let word = four.iter().fold(0u32, |word, six| word << 6 | u32::from(*six));
        let word = word << (6 * (4 - four.len()));
        word.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_markers_is_read() {
        let text = |between: &str| format!("x\r\n{BEGIN}\r\n{between}\r\n{END}\r\n# y\r\n");
        for (letters, bytes) in [("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v\r\nYg==", "foob")] {
            assert_eq!(file(&text(letters)), bytes.as_bytes());
        }
    }
}
