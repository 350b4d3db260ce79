//! What a check asks for over HTTP and what it wants to hear, in commands.

use alloc::format;
use alloc::string::ToString;
use core::fmt;

use lb::service::check::Path;
use lb::{Check, Expect};

use super::Misfit;
use crate::config::InWords;

const STATUS_MIN: u16 = 100;
const STATUS_MAX: u16 = 599;

pub(super) fn path(text: &str) -> Result<Path, Misfit> {
    let wanted = format!("a path, 1..{} bytes", Check::PATH_BYTES_MAX);
    if !text.starts_with('/') {
        return Err(Misfit::part(&wanted, 0, "it does not begin with '/'".to_string()));
    }
    printable(text, &wanted)
}

/// Statuses, where nothing but digits and a `-` is said: `200`, `200-399`. Else a text.
pub(super) fn expect(text: &str) -> Result<Expect, Misfit> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return statuses(text);
    }
    let wanted = format!("a text, 1..{} bytes", Check::NEEDLE_BYTES_MAX);
    printable::<{ Check::NEEDLE_BYTES_MAX }>(text, &wanted).map(Expect::Text)
}

fn statuses(text: &str) -> Result<Expect, Misfit> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let is_plain = text.len() == 3;
        let number = text.parse().ok().filter(|_| is_plain);
        number.filter(|status| (STATUS_MIN..=STATUS_MAX).contains(status))
    };
    match (status(low), status(high)) {
        (Some(low), Some(high)) if low <= high => Ok(Expect::Status(low..=high)),
        _ => {
            let example = format!("{STATUS_MIN}..{STATUS_MAX}, or two such as 200-399");
            Err(Misfit::whole(&format!("a status of HTTP, {example}")))
        }
    }
}

/// A word of ASCII that can be seen.
fn printable<const BYTES_MAX: usize>(
    text: &str,
    wanted: &str,
) -> Result<heapless::String<BYTES_MAX>, Misfit> {
    if let Some((offset, odd)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
        return Err(Misfit::part(wanted, offset, format!("'{odd}' is no printable ASCII")));
    }
    heapless::String::try_from(text).map_err(|_| Misfit::whole(wanted))
}

impl fmt::Display for InWords<'_, Expect> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expect::Status(statuses) if statuses.start() == statuses.end() => {
                write!(f, "{}", statuses.start())
            }
            Expect::Status(statuses) => write!(f, "{}-{}", statuses.start(), statuses.end()),
            Expect::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use lb::service::check::Needle;

    use super::*;

    #[test]
    fn a_path_is_one_line_of_a_request() {
        let longest = format!("/{}", "x".repeat(127));
        for text in ["/", "/healthz", "/a?b=c&d=%20", "//", longest.as_str()] {
            assert_eq!(path(text).as_deref(), Ok(text));
        }
        let too_long = format!("/{}", "x".repeat(128));
        let cases = [
            ("healthz", Some((0, "it does not begin with '/'"))),
            ("", Some((0, "it does not begin with '/'"))),
            ("/caf\u{e9}", Some((4, "'\u{e9}' is no printable ASCII"))),
            ("/a\r\nHost:", Some((2, "'\r' is no printable ASCII"))),
            (too_long.as_str(), None),
        ];
        for (text, part) in cases {
            let part = part.map(|(at, reason)| (at, reason.to_string()));
            let misfit = Misfit { wanted: "a path, 1..128 bytes".to_string(), part };
            assert_eq!(path(text), Err(misfit), "{text:?}");
        }
    }

    #[test]
    fn what_is_expected_is_statuses_or_a_text() {
        let text = |text| Expect::Text(Needle::try_from(text).unwrap());
        let cases = [
            ("200", Expect::Status(200..=200)),
            ("200-399", Expect::Status(200..=399)),
            ("100-599", Expect::Status(100..=599)),
            ("OK", text("OK")),
            ("200x", text("200x")),
            ("\"ready\":true", text("\"ready\":true")),
        ];
        for (said, meant) in cases {
            let meant_in_words = InWords(&meant).to_string();
            assert_eq!(expect(said), Ok(meant), "{said}");
            assert_eq!(meant_in_words, said);
        }
        for said in ["99", "600", "0200", "200-", "-", "-200", "399-200", "200-300-400", "20"] {
            let misfit = Misfit::whole("a status of HTTP, 100..599, or two such as 200-399");
            assert_eq!(expect(said), Err(misfit), "{said}");
        }
        assert_eq!(expect(&"x".repeat(33)), Err(Misfit::whole("a text, 1..32 bytes")));
    }
}
