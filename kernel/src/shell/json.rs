//! Documents for programs: JSON (RFC 8259), written as it is made.
//!
//! There is no tree of values. What is to be said is appended at once, so a table of a thousand rows
//! costs a text for each row and no more. A document is one line of printable ASCII, whatever a
//! guest's words hold: all other characters are escaped, so that neither a terminal nor who reads
//! line by line can be led astray.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::parse::words;
use super::problem::Error;
use super::units::Shown;

/// An object under way: its members, and commas between them.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

/// The filter that asks for a document; like every word it may be shortened.
pub const WORD: &str = "json";
/// The schema of what is said instead when something is wrong with a line.
const ERROR_SCHEMA: &str = "fulcrum.error/1";

impl Object {
    /// An object that begins with the name of what it is.
    pub fn of_schema(schema: &str) -> Object {
        Object::default().with("schema", schema)
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Shown) -> Object {
        self.set(key, value);
        self
    }

    pub fn set(&mut self, key: &str, value: impl Shown) {
        self.key(key);
        value.json(&mut self.0);
    }

    /// Takes in the members of another.
    pub fn take(&mut self, other: &Object) {
        if !self.0.is_empty() && !other.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&other.0);
    }

    pub fn object(&mut self, key: &str, object: &Object) {
        self.key(key);
        object.write(&mut self.0);
    }

    pub fn objects<'a>(&mut self, key: &str, objects: impl Iterator<Item = &'a Object>) {
        self.key(key);
        list(&mut self.0, objects, Object::write);
    }

    pub fn write(&self, json: &mut String) {
        json.push('{');
        json.push_str(&self.0);
        json.push('}');
    }

    /// The whole as a line.
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(self.0.len() + 3);
        self.write(&mut line);
        line.push('\n');
        line
    }

    fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        text(&mut self.0, key);
        self.0.push(':');
    }
}

/// What is wrong with a line, if that line asks at its end for a document.
pub fn errors(line: &[u8], errors: &[Error]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let said = words(&line);
    let [.., pipe, last] = &said[..] else {
        return None;
    };
    if pipe.text != "|" || !WORD.starts_with(last.text) {
        return None;
    }
    let mut document = Object::of_schema(ERROR_SCHEMA);
    document.objects("errors", each(errors).iter());
    Some(document.line())
}

/// An object for each error.
pub fn each(errors: &[Error]) -> Vec<Object> {
    let objects = errors.iter().map(|error| {
        Object::default()
            .with("code", format!("E{}", error.problem.code()))
            .with("line", error.line)
            .with("column", error.column)
            .with("message", error.message())
    });
    objects.collect()
}

/// A string: quotes, backslashes and all that is no printable ASCII are escaped, beyond the basic
/// plane as the two surrogates of UTF-16.
pub fn text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            ' '..='~' => json.push(c),
            _ => {
                let units = &mut [0; 2];
                for unit in c.encode_utf16(units) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    json.push('"');
}

/// A number of so many decimal places, without the zeros at its end.
pub fn decimal(json: &mut String, number: u64, places: u32) {
    let one = 10u64.pow(places);
    let (whole, part) = (number / one, number % one);
    json.push_str(&format!("{whole}"));
    if part > 0 {
        let digits = format!("{part:0width$}", width = places as usize);
        json.push('.');
        json.push_str(digits.trim_end_matches('0'));
    }
}

/// An array.
pub fn list<T>(json: &mut String, items: impl Iterator<Item = T>, write: impl Fn(T, &mut String)) {
    json.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            json.push(',');
        }
        write(item, json);
    }
    json.push(']');
}
