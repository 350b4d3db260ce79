//! A session at the console that is played by bytes: any input is one, and whatever is typed, what
//! must hold is looked at after every visit.
//!
//! The first byte says who sits there: a person or a program, at a terminal that takes much or little
//! at once, in which mode to begin, and what the other bytes are. Either they are what is typed, byte
//! for byte. Or each says what comes next among what the command tree has there, so that few bytes
//! are a long line that nearly means something; those from [`KEYS`] on are keys, ends of lines and
//! slips. The same bytes always play the same session. A fuzzer looks for more of them, and those
//! worth keeping lie beside this file and are played by every run of the tests.

use std::time::Duration;

use kernel::config::{Config, THINGS_MAX, check, read};
use kernel::console::{Console, OUTPUT_MARK};
use kernel::seats::Place;
use kernel::shell::grammar::{Node, Then, Token};
use kernel::shell::tree::{CONFIGURATION, FILTERS, OPERATIONAL};
use kernel::shell::value::Kind;

use crate::desk::Bench;

/// Bits of the first byte.
const PROGRAM: u8 = 1;
const WORDS: u8 = 2;
const CONFIGURING: u8 = 4;
const SLOW: u8 = 8;

/// What a slow terminal takes at a visit.
const SLOW_BYTES: usize = 40;
/// Output that may wait: the mark, and an answer that came on top of it.
const WAITING_MAX: usize = OUTPUT_MARK + (256 << 10);
/// In words: bytes below are choices.
const KEYS: u8 = 0xd8;

/// What is configured when a session begins.
const CONFIGURATION_FILE: &str = "\
set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21
set guest g2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22
set service web vip 10.0.2.100 tcp 80
set service web real g1
set service web real g2
";

/// A bench that sessions may begin on.
pub fn stage() -> Bench {
    let mut bench = Bench::new(4);
    bench.configure(CONFIGURATION_FILE);
    bench.run(Duration::from_secs(1));
    (0..3).for_each(|at| bench.call(40_000 + at));
    bench
}

/// Plays a session and looks whether the seat answers at its end.
pub fn play(bench: &mut Bench, bytes: &[u8]) {
    let (&who, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let place = if who & PROGRAM == 0 { Place::Serial1 } else { Place::Serial2 };
    bench.console = Console::at(place);
    bench.tty.takes = if who & SLOW == 0 { 4096 } else { SLOW_BYTES };
    bench.console.greet(&bench.control);
    let mut session = Session { running: bench.control.config().clone(), bench };
    if who & CONFIGURING != 0 {
        session.type_in(b"configure\n");
    }
    match who & WORDS {
        0 => session.type_in(rest),
        _ => session.speak(rest),
    }
    session.end();
}

struct Session<'a> {
    bench: &'a mut Bench,
    /// What ran at the last look.
    running: Config,
}

/// Where a line is in the command tree.
struct Line {
    /// What may come next; empty where the line is whole.
    next: &'static [Node],
    /// The list of clauses that it is in.
    clauses: &'static [Node],
}

impl Session<'_> {
    /// Types and waits until all was read, or until whoever reads has had enough of it.
    fn type_in(&mut self, keys: &[u8]) {
        self.bench.tty.keys.extend(keys);
        let mut visits = 30 + 2 * keys.len();
        while !self.bench.tty.keys.is_empty() && visits > 0 {
            self.visit();
            visits -= 1;
        }
        self.bench.tty.keys.clear();
    }

    /// A visit, and what must hold after it.
    fn visit(&mut self) {
        if self.bench.console.is_busy() {
            self.bench.run(Duration::from_millis(10));
        }
        self.bench.poll();
        let Bench { control, appliance, console, tty, site, .. } = &mut *self.bench;
        assert!(console.waiting() <= WAITING_MAX, "{} bytes wait", console.waiting());
        assert!(control.candidate().things() <= THINGS_MAX);
        // Whoever wanted the machine to end is asked to stay.
        appliance.request = None;
        if *control.config() != self.running {
            self.running = control.config().clone();
            let again = read(self.running.to_string().as_bytes());
            assert_eq!((&again.config, again.errors.len()), (&self.running, 0));
            assert_eq!(check(&self.running, site).as_ref(), Ok(control.plan()));
            let tables = appliance.dataplane.tables();
            assert_eq!(tables.guests().count(), control.plan().guests.len());
            assert_eq!(tables.services().count(), control.plan().services.len());
        }
        if tty.screen.len() > WAITING_MAX {
            is_fit_for_a_terminal(&std::mem::take(&mut tty.screen));
        }
    }

    /// Types what each byte stands for.
    fn speak(&mut self, bytes: &[u8]) {
        let mut line = self.line();
        for &byte in bytes {
            if byte >= KEYS {
                self.press(byte, &mut line);
                continue;
            }
            let count = line.next.len();
            if count == 0 {
                self.type_in(b"\n");
                line = self.line();
                continue;
            }
            let byte = usize::from(byte);
            let node = &line.next[byte % count];
            let word = match node.token {
                Token::Word(word)
                | Token::Whole(word)
                | Token::Alias(word)
                | Token::Choice(word, _) => word,
                Token::Value(kind) => values(kind)[byte / count % values(kind).len()],
            };
            self.type_in(format!("{word} ").as_bytes());
            line.follow(node);
        }
        self.type_in(b"\n");
    }

    fn press(&mut self, byte: u8, line: &mut Line) {
        let (keys, ends): (&[u8], bool) = match byte {
            0xd8 => (b"\t", false),
            0xd9 => (b"?", false),
            0xda => (b"\x7f\x7f", false),
            0xdb => (b"\x1b[D\x1b[D\x1b[D", false),
            0xdc => (b"%", false),
            0xdd => (b"\"", false),
            0xde => ("\u{6771}e\u{301}".as_bytes(), false),
            0xdf => {
                self.type_in(b"| ");
                *line = Line { next: FILTERS, clauses: &[] };
                return;
            }
            0xe0 => (b"\x1b[A", true),
            0xe1 => (b"\x12e\x12", true),
            0xe2 => (b"\x03", true),
            0xe3 => (b"\x1a", true),
            0xe4 => (b"end\n", true),
            0xe5 => (b"terminal script on\n", true),
            0xe6 => (b"terminal script off\n", true),
            0xe7 => {
                self.bench.run(Duration::from_secs(3));
                return;
            }
            0xe8 => (b" ", true),
            0xe9 => (b"q", true),
            0xea => (b"{\"command\":\"show port\"}\n", true),
            _ => (b"\n", true),
        };
        self.type_in(keys);
        if ends {
            *line = self.line();
        }
    }

    /// A new line, of the mode that the seat is in.
    fn line(&self) -> Line {
        let is_configuring = !self.bench.control.editors().is_empty();
        Line { next: if is_configuring { CONFIGURATION } else { OPERATIONAL }, clauses: &[] }
    }

    /// Types, and waits until nothing more comes of it.
    fn settle(&mut self, keys: &[u8]) {
        self.bench.tty.keys.extend(keys);
        let mut still = 0;
        for _ in 0..1000 {
            self.visit();
            let Bench { tty, console, .. } = &*self.bench;
            let is_still = tty.keys.is_empty() && console.waiting() == 0 && !console.is_busy();
            still = if is_still { still + 1 } else { 0 };
            // What was typed ahead is a line a visit.
            if still > 100 {
                break;
            }
        }
    }

    /// Whatever it was, it can be left, and the seat answers.
    fn end(mut self) {
        self.bench.tty.takes = 4096;
        self.settle(b"\x03");
        if self.bench.console.is_busy() {
            // So much was typed ahead of a command that nobody sees the Ctrl-C behind it.
            let Bench { console, control, appliance, tty, .. } = &mut *self.bench;
            console.leave(control, appliance);
            tty.keys.clear();
        }
        self.settle(b"\x03\x1a\x03");
        is_fit_for_a_terminal(&std::mem::take(&mut self.bench.tty.screen));
        self.settle(b"\nshow version\n");
        let shown = std::mem::take(&mut self.bench.tty.screen);
        is_fit_for_a_terminal(&shown);
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("\nFulcrum ") || shown.starts_with("Fulcrum "), "{shown}");
    }
}

impl Line {
    fn follow(&mut self, node: &Node) {
        (self.next, self.clauses) = match node.then {
            Then::End(_) => (&[][..], &[][..]),
            Then::Next(nodes) | Then::EndOr(_, nodes) => (nodes, self.clauses),
            Then::Clauses(_, nodes) | Then::MaybeClauses(_, nodes) => (nodes, nodes),
            Then::Once | Then::Again => (self.clauses, self.clauses),
        };
    }
}

/// Some values of a kind, of which few are wrong.
fn values(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Hostname => &["edge1", "edge2", "-"],
        Kind::Port | Kind::Destination => &["p1", "p2", "up0", "lan"],
        Kind::Mirror => &["m1", "m2"],
        Kind::Guest | Kind::Real => &["g1", "g2", "g3"],
        Kind::Service => &["web", "dns"],
        Kind::Address | Kind::ProbeSource => {
            &["10.0.2.100", "10.0.2.21", "10.0.2.23", "fd00::21", "fd00::100", "10.0.2.300"]
        }
        Kind::Mac => &["52:54:00:01:00:01", "52:54:00:01:00:03", "5254.0001.0004"],
        Kind::Pci => &["00:02.0", "00:04.0"],
        Kind::Vlan | Kind::Vlans => &["10", "20", "10,20-22", "4095"],
        Kind::Ageing | Kind::Time | Kind::Interval | Kind::Timeout | Kind::SlowStart => {
            &["2s", "500ms", "1m", "300s", "1h"]
        }
        Kind::Look => &["1s", "2s"],
        Kind::Path => &["/", "/healthz", "x"],
        Kind::End => &["10.0.2.2:40000", "10.0.2.100:80", "[fd00::1]:1"],
        Kind::Prefix => &["10.0.0.0/8", "10.0.2.2", "::/0"],
        Kind::Percent => &["40%", "0%", "101%"],
        Kind::Frame => &["ffffffffffff5254000100010800", "0"],
        Kind::Text | Kind::Comment | Kind::Description => &["x", "\"two words\"", "\"\u{6771}\""],
        _ => &["1", "0", "8", "80", "200", "1000", "2048", "65536"],
    }
}

/// Text, ends of lines, the bell, and the few sequences that draw a line anew: nothing that was typed
/// or configured gets through to do something else to a terminal.
fn is_fit_for_a_terminal(screen: &[u8]) {
    const SEQUENCES: [&str; 4] = ["[K", "[H", "[2J", "C"];
    let shown = String::from_utf8(screen.to_vec()).expect("what is shown is text");
    let mut parts = shown.split('\x1b');
    let first = parts.next().unwrap_or_default();
    let is_plain = |c: char| !c.is_control() || "\r\n\x07".contains(c);
    assert!(first.chars().all(is_plain), "{first:?}");
    for part in parts {
        let moved = part.trim_start_matches(|c: char| c == '[' || c.is_ascii_digit());
        let is_known =
            SEQUENCES.iter().any(|known| part.starts_with(known) || moved.starts_with(known));
        assert!(is_known && part.chars().all(is_plain), "{part:?}");
    }
}
