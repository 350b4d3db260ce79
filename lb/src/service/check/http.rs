//! HTTP/1.1 (RFC 9112) as far as a check needs it: one request, and the beginning of an answer.
//!
//! The status line is read as curl reads it: any HTTP/1 version, one space, three digits, then
//! whatever explains them, and a line feed alone ends the line too (RFC 9112 §2.2). What is only on
//! the way to an answer (1xx, RFC 9110 §15.2) is passed over.

use core::fmt::Write;
use core::net::IpAddr;

use super::{Check, Expect, Failure, Path};

/// Room for a request: its words, the path and an IPv6 address.
pub const REQUEST_BYTES_MAX: usize = 256;
/// `HTTP/1.1 200` and the byte that follows.
const STATUS_BYTES: usize = 13;

const _: () = assert!(Check::PATH_BYTES_MAX + 41 + 74 <= REQUEST_BYTES_MAX);

/// The request for `path` of the service at `vip`.
pub fn request(path: &Path, vip: IpAddr) -> heapless::String<REQUEST_BYTES_MAX> {
    let mut request = heapless::String::new();
    let _fits = write!(request, "GET {path} HTTP/1.1\r\nHost: ").and_then(|()| match vip {
        IpAddr::V4(vip) => write!(request, "{vip}"),
        IpAddr::V6(vip) => write!(request, "[{vip}]"),
    });
    let _fits = request.write_str("\r\nUser-Agent: fulcrum\r\nConnection: close\r\n\r\n");
    request
}

/// What has come of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    pub bytes: &'a [u8],
    /// No more will be read.
    pub is_all: bool,
}

impl Beginning<'_> {
    /// Whether it is what is expected; `None` while that is not known yet.
    pub fn judge(self, expect: &Expect) -> Option<Result<(), Failure>> {
        let (status, answer) = match self.final_answer() {
            Ok(Some(found)) => found,
            Ok(None) if self.is_all => return Some(Err(Failure::NoHttp)),
            Ok(None) => return None,
            Err(failure) => return Some(Err(failure)),
        };
        let statuses = match expect {
            Expect::Status(statuses) => statuses,
            Expect::Text(_) => &Expect::TEXT_STATUSES,
        };
        if !statuses.contains(&status) {
            return Some(Err(Failure::Status(status)));
        }
        let Expect::Text(needle) = expect else {
            return Some(Ok(()));
        };
        let body = after_header(answer).unwrap_or_default();
        if find(body, needle.as_bytes()).is_some() {
            return Some(Ok(()));
        }
        self.is_all.then_some(Err(Failure::TextMissing))
    }

    /// The status that is no interim one, and the answer from its status line on.
    fn final_answer(&self) -> Result<Option<(u16, &[u8])>, Failure> {
        let mut answer = self.bytes;
        loop {
            match status(answer)? {
                Some(100..=199) => match after_header(answer) {
                    Some(next) => answer = next,
                    None => return Ok(None),
                },
                Some(status) => return Ok(Some((status, answer))),
                None => return Ok(None),
            }
        }
    }
}

/// The status, if the line is there as far as that.
fn status(answer: &[u8]) -> Result<Option<u16>, Failure> {
    let line = &answer[..answer.len().min(STATUS_BYTES)];
    let fits = |(at, &byte): (usize, &u8)| match at {
        0..=6 => byte == b"HTTP/1."[at],
        8 => byte == b' ',
        12 => matches!(byte, b' ' | b'\r' | b'\n'),
        _ => byte.is_ascii_digit(),
    };
    if !line.iter().enumerate().all(fits) {
        return Err(Failure::NoHttp);
    }
    let digits = line.get(9..STATUS_BYTES).map(|rest| &rest[..3]);
    let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    Ok(digits.map(number))
}

/// What follows the empty line.
fn after_header(answer: &[u8]) -> Option<&[u8]> {
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    let ends = ends.into_iter().filter_map(|end| Some(find(answer, end)? + end.len()));
    ends.min().map(|at| &answer[at..])
}

/// Where a text begins in another.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    bytes.windows(needle.len()).position(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::check::Needle;

    fn text(needle: &str) -> Expect {
        Expect::Text(Needle::try_from(needle).unwrap())
    }

    #[test]
    fn what_is_asked() {
        let path = Path::try_from("/healthz?a=b").unwrap();
        let rest = "\r\nUser-Agent: fulcrum\r\nConnection: close\r\n\r\n";
        for (vip, host) in [("10.0.2.100", "10.0.2.100"), ("fd00::100", "[fd00::100]")] {
            let request = request(&path, vip.parse().unwrap());
            let expected = std::format!("GET /healthz?a=b HTTP/1.1\r\nHost: {host}{rest}");
            assert_eq!(request, expected.as_str());
        }
        let longest = "/".repeat(Check::PATH_BYTES_MAX);
        let vip = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
        assert!(request(&Path::try_from(longest.as_str()).unwrap(), vip).ends_with(rest));
    }

    #[test]
    fn what_is_answered() {
        let default = Expect::DEFAULT;
        let only_503 = Expect::Status(503..=503);
        let (ok, no_http) = (Some(Ok(())), Some(Err(Failure::NoHttp)));
        let status = |status| Some(Err(Failure::Status(status)));
        let missing = Some(Err(Failure::TextMissing));
        for (what, expect, is_all, answer, judged) in [
            ("good", &default, false, "HTTP/1.1 200 OK\r\n", ok),
            ("an old server", &default, false, "HTTP/1.0 204 \r\n", ok),
            ("no reason", &default, false, "HTTP/1.1 200\r\n", ok),
            ("a line feed alone", &default, false, "HTTP/1.1 302\n", ok),
            ("out of range", &default, false, "HTTP/1.1 503 no", status(503)),
            ("a range of one", &only_503, false, "HTTP/1.1 503 no", ok),
            ("not there yet", &default, false, "HTTP/1.1 200", None),
            ("never there", &default, true, "HTTP/1.1 200", no_http),
            ("nothing", &default, true, "", no_http),
            ("nothing yet", &default, false, "", None),
            ("another protocol", &default, false, "SSH-2.0-x", no_http),
            ("small letters", &default, false, "http/1.1 200 OK", no_http),
            ("another version", &default, false, "HTTP/2 200 ", no_http),
            ("four digits", &default, false, "HTTP/1.1 2000 ", no_http),
            ("two digits", &default, false, "HTTP/1.1 20 OK", no_http),
            ("a sign", &default, false, "HTTP/1.1 +20 OK", no_http),
            ("two spaces", &default, false, "HTTP/1.1  200", no_http),
            (
                "interim",
                &default,
                false,
                "HTTP/1.1 103 x\r\nlink: y\r\n\r\nHTTP/1.1 500 ",
                status(500),
            ),
            ("interim only", &default, false, "HTTP/1.1 100 \r\n\r\n", None),
            ("interim for ever", &default, true, "HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 ", no_http),
            ("a text", &text("ready"), false, "HTTP/1.1 200 OK\r\n\r\nall ready!", ok),
            ("a text in a lone body", &text("ready"), false, "HTTP/1.1 200 OK\n\nready", ok),
            ("a text to come", &text("ready"), false, "HTTP/1.1 200 OK\r\n\r\nall rea", None),
            ("no text", &text("ready"), true, "HTTP/1.1 200 OK\r\n\r\nall rea", missing),
            ("in the header only", &text("OK"), true, "HTTP/1.1 200 OK\r\nx: OK\r\n\r\n", missing),
            ("a text, bad status", &text("ready"), false, "HTTP/1.1 404 ready", status(404)),
        ] {
            let beginning = Beginning { bytes: answer.as_bytes(), is_all };
            assert_eq!(beginning.judge(expect), judged, "{what}");
        }
    }
}
