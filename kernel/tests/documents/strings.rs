//! Whatever a string holds, a document is one line of ASCII, and who reads it finds that string.

use kernel::shell::json::{Object, decimal};
use proptest::prelude::*;
use serde_json::Value;

/// The member that a reader finds.
fn read(line: &str, key: &str) -> Value {
    let document: Value = serde_json::from_str(line).expect(line);
    document[key].clone()
}

#[test]
fn hostile_strings_are_read_as_they_were_said() {
    let cases = [
        "",
        "\"",
        "\\",
        "\\\"",
        "</script>",
        "\"}\n{\"schema\":\"x\"",
        "% OK\r\n",
        "\x1b]0;title\x07",
        "\0\x01\x08\t\x0b\x0c\x1f\x7f\u{80}\u{9b}",
        "caf\u{e9} \u{2028}\u{2029}\u{feff}",
        "\u{1f680}\u{10ffff}\u{d7ff}\u{e000}\u{ffff}",
    ];
    for text in cases {
        let line = Object::of_schema("x/1").with("text", text).line();
        assert_eq!(read(&line, "text"), text, "{line}");
        assert_eq!(read(&Object::default().with(text, 1u8).line(), text), 1, "as a name: {line}");
    }
}

#[test]
fn decimals_have_no_zeros_at_their_end() {
    for (number, places, expected) in [
        (0, 6, "0"),
        (500_000, 6, "0.5"),
        (1, 6, "0.000001"),
        (1_500, 3, "1.5"),
        (u64::MAX, 3, "18446744073709551.615"),
    ] {
        let mut json = String::new();
        decimal(&mut json, number, places);
        assert_eq!(json, expected);
    }
}

proptest! {
    #[test]
    fn any_string_is_read_as_it_was_said(text in any::<String>(), texts in any::<Vec<String>>()) {
        let line = Object::default().with("text", text.as_str()).with("texts", &texts).line();
        let (last, before) = line.as_bytes().split_last().unwrap();
        prop_assert_eq!(*last, b'\n');
        prop_assert!(before.iter().all(|byte| (b' '..=b'~').contains(byte)), "{}", line);
        prop_assert_eq!(read(&line, "text"), text);
        let read = read(&line, "texts");
        let read: Vec<&str> = read.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        prop_assert_eq!(read, texts);
    }
}
