//! What an application says of itself, for the agent to pass on.
//!
//! An application knows its load better than any counter of the kernel's. It hands over a line in
//! the words of a report, by a file that is read before each report or by a datagram to a socket:
//!
//! ```text
//! app=0.7 rif=12 lat=1800 qps=512 eps=0.2 #cache is cold
//! ```
//!
//! A line is the application's whole state: each replaces the one before. It may say the numbers
//! that only an application knows, how it is (`up`, `down` …), what it wants (`drain`, `50%` …)
//! and why. What the agent measures or draws itself (`cpu`, `mem`, `io`, `steal`, `id`, `seq`,
//! `svc`, `ttl`) is not the application's to say. A line that is wrong anywhere changes nothing.
//!
//! An application that hangs must not be taken at its word for ever, so a line counts for a bound,
//! three reports and at least two seconds. Then the guest is judged by the kernel's numbers alone.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use lb::AdminState;
use lb::guest::load::RealLoad;
use lb::guest::report::{HealthWord, LoadReport, Numbers, Share};
use lb::limits::REPORT_BYTES_MAX;

use crate::notice::Trouble;
use crate::socket_file::SocketFile;

/// Datagrams that are taken in one go; an application that sends more keeps the rest waiting.
const DATAGRAMS_MAX: usize = 16;

/// An application's words and how long they count.
pub struct App {
    source: Source,
    /// Age from which a line no longer counts.
    bound: Duration,
    said: Option<(AppWords, Instant)>,
    trouble: Trouble,
}

pub enum Source {
    File(PathBuf),
    Socket(SocketFile),
}

/// One line of an application's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppWords {
    health: Option<HealthWord>,
    admin: Option<AdminState>,
    share: Option<Share>,
    flows_max: Option<u32>,
    numbers: Numbers,
    reason: Option<String>,
}

impl App {
    pub fn new(source: Source, interval: Duration) -> App {
        let trouble = Trouble::new(format!("{}: the application counts", source.path().display()));
        App { source, bound: bound(interval), said: None, trouble }
    }

    /// What one can wait for, where the source is one to wait for.
    pub fn socket(&self) -> Option<&SocketFile> {
        match &self.source {
            Source::File(_) => None,
            Source::Socket(socket) => Some(socket),
        }
    }

    /// Takes in what has come by the socket; each sender is told what became of its line.
    pub fn listen(&mut self, now: Instant) {
        let Source::Socket(socket) = &self.source else { return };
        let mut datagram = [0; REPORT_BYTES_MAX + 1];
        for _ in 0..DATAGRAMS_MAX {
            let Some((len, sender)) = socket.receive(&mut datagram) else { return };
            match AppWords::parse(&datagram[..len]) {
                Ok(words) => {
                    socket.answer(&sender, "ok");
                    self.said = Some((words, now + self.bound));
                    self.trouble.is_over();
                }
                Err(error) => {
                    socket.answer(&sender, &format!("nak {error}"));
                    self.trouble.is(format!("{}: {error}", socket.path().display()));
                }
            }
        }
    }

    /// What the application says at this moment, if anything.
    pub fn words(&mut self, now: Instant) -> Option<&AppWords> {
        if let Source::File(path) = &self.source {
            match read(path, self.bound) {
                Ok((words, age)) => {
                    self.said = Some((words, now + self.bound.saturating_sub(age)));
                    self.trouble.is_over();
                }
                Err(error) => self.trouble.is(format!("{}: {error}", path.display())),
            }
        }
        if self.said.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.said = None;
            if let Source::Socket(socket) = &self.source {
                self.trouble.is(format!("{}: {}", socket.path().display(), too_old(self.bound)));
            }
        }
        self.said.as_ref().map(|(words, _)| words)
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Source::File(path) => path,
            Source::Socket(socket) => socket.path(),
        }
    }
}

impl AppWords {
    /// Reads a line; the error names the column where there is one.
    pub fn parse(line: &[u8]) -> Result<AppWords, String> {
        let report = LoadReport::parse(line)
            .map_err(|error| format!("column={} {}", error.column, error.kind))?;
        if let Some((column, key)) = of_the_agent(line) {
            return Err(format!("column={column} '{key}' is the agent's to say"));
        }
        Ok(AppWords {
            health: report.health,
            admin: report.admin,
            share: report.share,
            flows_max: report.flows_max,
            numbers: report.numbers,
            // As much as the switch keeps, so that the whole report always fits its line.
            reason: report
                .reason
                .map(|text| text.chars().take(RealLoad::REASON_BYTES_MAX).collect()),
        })
    }

    /// Puts the application's words into a report that has the agent's own.
    pub fn speak<'a>(&'a self, report: &mut LoadReport<'a>) {
        report.health = self.health.or(report.health);
        report.admin = self.admin.or(report.admin);
        report.share = self.share;
        report.flows_max = self.flows_max;
        report.reason = self.reason.as_deref();
        let measured = report.numbers;
        report.numbers = Numbers {
            cpu: measured.cpu,
            mem: measured.mem,
            io: measured.io,
            steal: measured.steal,
            ..self.numbers
        };
    }
}

/// Three reports, and at least two seconds.
fn bound(interval: Duration) -> Duration {
    (3 * interval).max(Duration::from_secs(2))
}

/// The first word of a line that an application may not say, and its column.
fn of_the_agent(line: &[u8]) -> Option<(usize, &'static str)> {
    const KEYS: [&str; 8] = ["cpu", "mem", "io", "steal", "id", "seq", "svc", "ttl"];
    let is_end = |byte: &u8| matches!(byte, b'#' | b'\r' | b'\n');
    let said = &line[..line.iter().position(is_end).unwrap_or(line.len())];
    let mut column = 1;
    for word in said.split(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        let key = word.split(|&byte| byte == b'=').next().filter(|key| key.len() < word.len());
        if let Some(key) = KEYS.into_iter().find(|own| key == Some(own.as_bytes())) {
            return Some((column, key));
        }
        column += word.len() + 1;
    }
    None
}

/// What a file says, and how old that is.
fn read(path: &Path, bound: Duration) -> Result<(AppWords, Duration), String> {
    let said = |error: std::io::Error| error.to_string();
    let about = fs::metadata(path).map_err(said)?;
    // Opening a FIFO would wait for its writer.
    if !about.is_file() {
        return Err("no plain file".into());
    }
    // A file from the future, by a clock that was set since, is no more to be believed.
    let written = about.modified().map_err(said)?;
    let age = SystemTime::now().duration_since(written).unwrap_or_else(|ahead| ahead.duration());
    if age >= bound {
        return Err(too_old(bound));
    }
    let mut line = Vec::new();
    let file = File::open(path).map_err(said)?;
    file.take(REPORT_BYTES_MAX as u64 + 1).read_to_end(&mut line).map_err(said)?;
    if !line.contains(&b'\n') && line.len() <= REPORT_BYTES_MAX {
        return Err("the line has no end (write another file and rename it to this)".into());
    }
    // What follows the first line is not looked at, however much it is.
    let end = line.iter().position(|&byte| byte == b'\n').unwrap_or(line.len());
    Ok((AppWords::parse(&line[..end])?, age))
}

fn too_old(bound: Duration) -> String {
    format!("nothing new for {} s, the application no longer counts", bound.as_secs_f32())
}

#[cfg(test)]
mod tests;
