//! From a line to a request: JSON (RFC 8259), as much of it as one flat object needs.
//!
//! It is one pass over the line and has no depth that could grow. What is wrong is said with its
//! column, and nothing is taken that the standard does not take: what is malformed was not meant by
//! anybody.

use alloc::string::{String, ToString};
use alloc::vec;

use super::{Flaw, ID_BYTES_MAX, Id, Request, Text};
use crate::shell::json;
use crate::shell::parse::nearest;
use crate::shell::problem::{Error, Problem};

/// What an object may have.
const MEMBERS: &[&str] = &["command", "id", "text"];

/// Reads a line from left to right.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn of(text: &str) -> Reader<'_> {
        Reader { text, at: 0 }
    }

    pub(super) fn request(mut self, id: &mut Id) -> Result<Request, Error> {
        let (mut is_named, mut command, mut text) = (false, None, None);
        self.blanks();
        self.token('{', "a request: {\"command\": \"…\"}")?;
        loop {
            self.blanks();
            let column = self.column();
            let name = self.string("a member's name, in quotes")?;
            self.blanks();
            self.token(':', "':'")?;
            self.blanks();
            let is_again = match &*name {
                "id" => {
                    *id = self.id()?;
                    core::mem::replace(&mut is_named, true)
                }
                "command" => command.replace(self.string("a command, in quotes")?).is_some(),
                "text" => {
                    let column = self.column();
                    let lines = self.string("the lines to be loaded, in quotes")?;
                    text.replace(Text { lines, column }).is_some()
                }
                _ => return Err(Error::at(column, unknown(name))),
            };
            if is_again {
                return Err(Error::at(column, Problem::SaidTwice { word: name }));
            }
            self.blanks();
            if !self.takes(',') {
                break;
            }
        }
        let end = self.column();
        self.token('}', "',' or '}'")?;
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.expected("the end of the line"));
        }
        let command = command.ok_or(Error::at(end, Problem::NoRequest(Flaw::NoCommand)))?;
        Ok(Request { command, text })
    }

    fn id(&mut self) -> Result<Id, Error> {
        let (start, column) = (self.at, self.column());
        let id = if self.peek() == Some('"') {
            let mut id = String::new();
            json::text(&mut id, &self.string("a string")?);
            id
        } else {
            self.number()?;
            self.text[start..self.at].to_string()
        };
        if self.at - start > ID_BYTES_MAX {
            return Err(Error::at(column, Problem::NoRequest(Flaw::LongId)));
        }
        Ok(Id(id))
    }

    /// A number (6), whatever its size: nobody calculates with it.
    fn number(&mut self) -> Result<(), Error> {
        const EXPECTED: &str = "a number, or a string in quotes";
        self.takes('-');
        if !self.takes('0') {
            self.digits(EXPECTED)?;
        }
        if self.takes('.') {
            self.digits("a digit")?;
        }
        if self.takes('e') || self.takes('E') {
            let _ = self.takes('+') || self.takes('-');
            self.digits("a digit")?;
        }
        Ok(())
    }

    fn digits(&mut self, expected: &'static str) -> Result<(), Error> {
        let rest = &self.text[self.at..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += digits;
        if digits == 0 { Err(self.expected(expected)) } else { Ok(()) }
    }

    /// A string (7), its escapes resolved.
    fn string(&mut self, expected: &'static str) -> Result<String, Error> {
        self.token('"', expected)?;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c < ' ' || c == '"' || c == '\\');
            let plain = &rest[..plain.unwrap_or(rest.len())];
            string.push_str(plain);
            self.at += plain.len();
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some('\\') => string.push(self.escape()?),
                Some(_) => return Err(self.flaw(Flaw::Unescaped)),
                None => return Err(self.expected("'\"'")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.character(start),
            _ => return Err(self.expected("one of \" \\ / b f n r t u")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of one `\uXXXX`, or of the two that are its surrogates.
    fn character(&mut self, start: usize) -> Result<char, Error> {
        let mut units = vec![self.unit()?];
        if (0xd800..0xdc00).contains(&units[0]) && self.text[self.at..].starts_with("\\u") {
            self.at += 1;
            units.push(self.unit()?);
        }
        let mut characters = char::decode_utf16(units);
        characters.next().and_then(Result::ok).filter(|_| characters.next().is_none()).ok_or_else(
            || {
                self.at = start;
                self.flaw(Flaw::Surrogate)
            },
        )
    }

    /// `uXXXX`
    fn unit(&mut self) -> Result<u16, Error> {
        self.at += 1;
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn takes(&mut self, token: char) -> bool {
        let is_there = self.peek() == Some(token);
        self.at += if is_there { token.len_utf8() } else { 0 };
        is_there
    }

    fn token(&mut self, token: char, expected: &'static str) -> Result<(), Error> {
        if self.takes(token) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn expected(&self, what: &'static str) -> Error {
        self.flaw(Flaw::Expected(what))
    }

    fn flaw(&self, flaw: Flaw) -> Error {
        Error::at(self.column(), Problem::NoRequest(flaw))
    }
}

fn unknown(word: String) -> Problem {
    let nearest = nearest(&word, MEMBERS);
    Problem::UnknownWord { word, expected: MEMBERS.to_vec(), nearest }
}
