//! The bytes of a frame, as every tool that shows frames can write them: two digits a byte.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::Misfit;

pub(super) fn frame(text: &str) -> Result<Vec<u8>, Misfit> {
    let wanted = "a frame's bytes, two hexadecimal digits each";
    if let Some((offset, odd)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(Misfit::part(wanted, offset, format!("'{odd}' is no hexadecimal digit")));
    }
    if !text.len().is_multiple_of(2) {
        let reason = "half of the last byte is missing".to_string();
        return Err(Misfit::part(wanted, text.len() - 1, reason));
    }
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_default();
    Ok((0..text.len()).step_by(2).map(digits).collect())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn digits_are_bytes_or_what_is_wrong_is_named() {
        assert_eq!(frame("00ffA5"), Ok(vec![0, 255, 0xa5]));
        for (text, offset) in [("0g", 1), ("00:11", 2), ("001", 2), ("\u{e9}0", 0)] {
            assert_eq!(frame(text).unwrap_err().part.unwrap().0, offset, "{text}");
        }
    }
}
