//! Every frame of a machine, in the order in which the harness sent or received it: printed and
//! left as a pcap file when a test fails.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::frame::{Frame, describe};

/// Frames that are kept: more than any test has, and not all that a soak has.
const KEPT_MAX: usize = 500_000;
/// Lines printed for a failed test; the file holds all.
const PRINTED_MAX: usize = 120;
/// Length of a line that describes a frame.
const LINE_CHARS_MAX: usize = 300;

pub struct Trace {
    start: Instant,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    /// The last of them.
    entries: VecDeque<Entry>,
    counts: BTreeMap<(usize, Direction), u64>,
}

struct Entry {
    at: Duration,
    port: usize,
    direction: Direction,
    bytes: Vec<u8>,
}

/// As the appliance sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    In,
    Out,
}

impl Trace {
    pub fn new() -> Trace {
        Trace { start: Instant::now(), record: Mutex::default() }
    }

    pub fn record(&self, port: usize, direction: Direction, bytes: &[u8]) {
        let entry = Entry { at: self.start.elapsed(), port, direction, bytes: bytes.to_vec() };
        let mut record = self.record.lock().unwrap();
        *record.counts.entry((port, direction)).or_default() += 1;
        if record.entries.len() == KEPT_MAX {
            record.entries.pop_front();
        }
        record.entries.push_back(entry);
    }

    /// Frames of one port so far.
    pub fn count(&self, port: usize, direction: Direction) -> u64 {
        self.record.lock().unwrap().counts.get(&(port, direction)).copied().unwrap_or(0)
    }

    /// The last frames, a line each; the switch's ARP checks and their answers are left out.
    pub fn text(&self) -> String {
        let entries = &self.record.lock().unwrap().entries;
        let told: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_check()).collect();
        let printed = &told[told.len().saturating_sub(PRINTED_MAX)..];
        let mut text = String::new();
        for entry in printed {
            let arrow = match entry.direction {
                Direction::In => "->",
                Direction::Out => "<-",
            };
            let (at_ms, port) = (entry.at.as_millis(), entry.port);
            let line: String = describe(&entry.bytes).chars().take(LINE_CHARS_MAX).collect();
            let _ = writeln!(text, "{at_ms:>7} ms  port {port:<2} {arrow} {line}");
        }
        let left_out = entries.len() - printed.len();
        let _ = writeln!(text, "({left_out} more, earlier or ARP checks, are in the pcap file)");
        text
    }

    /// A pcap file of all frames, microseconds since the machine's start.
    pub fn write_pcap(&self, path: &Path) -> io::Result<()> {
        let mut file = Vec::new();
        let header: [u32; 6] = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 1];
        file.extend(header.iter().flat_map(|word| word.to_le_bytes()));
        for entry in &self.record.lock().unwrap().entries {
            let length = entry.bytes.len() as u32;
            let record = [entry.at.as_secs() as u32, entry.at.subsec_micros(), length, length];
            file.extend(record.iter().flat_map(|word| word.to_le_bytes()));
            file.extend(&entry.bytes);
        }
        fs::write(path, file)
    }
}

impl Entry {
    /// The switch asks a guest whether it is there, or the guest says so.
    fn is_check(&self) -> bool {
        let Ok(Frame::Arp(arp)) = Frame::parse(&self.bytes) else {
            return false;
        };
        arp.sender.is_unspecified() || arp.target.is_unspecified()
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}
