//! The console as a byte stream: keys, pastes, programs, and those who only make noise.

use std::time::Duration;

use kernel::config::{check, read};
use kernel::console::OUTPUT_MARK;
use lb::Empty;

use crate::desk::Bench;

/// A console whose greeting was read.
fn bench() -> Bench {
    let mut bench = Bench::new(4);
    bench.console.greet(&bench.control);
    bench.type_in(b"");
    bench
}

/// The host name after these keys, which says which line was really entered.
fn hostname_after(keys: &[u8]) -> String {
    let mut bench = bench();
    bench.type_in(b"configure\r");
    bench.type_in(keys);
    let hostname = bench.control.config().hostname.clone();
    hostname.map_or("none".to_string(), |hostname| hostname.to_string())
}

#[test]
fn keys_edit_the_line() {
    let cases: [(&str, &[u8], &str); 24] = [
        ("CR", b"set system hostname abc\r", "abc"),
        ("LF", b"set system hostname abc\n", "abc"),
        ("CRLF", b"set system hostname abc\r\n", "abc"),
        ("backspace", b"set system hostname abx\x08c\r", "abc"),
        ("rubout", b"set system hostname abx\x7fc\r", "abc"),
        ("left", b"set system hostname ac\x1b[Db\r", "abc"),
        ("left as Ctrl-B, right as Ctrl-F", b"set system hostname bc\x02\x02a\x06\x06d\r", "abcd"),
        ("application cursor keys", b"set system hostname ac\x1bODb\r", "abc"),
        ("home, end", b"system hostname ab\x1b[Hset \x1b[Fc\r", "abc"),
        ("home, end of other terminals", b"system hostname ab\x1b[1~set \x1b[4~c\r", "abc"),
        ("Ctrl-A, Ctrl-E", b"system hostname ab\x01set \x05c\r", "abc"),
        ("delete", b"set system hostname xabc\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~\r", "abc"),
        ("Ctrl-D deletes", b"set system hostname xabc\x02\x02\x02\x02\x04\r", "abc"),
        ("Ctrl-W", b"set system hostname abc def\x17\r", "abc"),
        ("Ctrl-W over blanks", b"set system hostname abc  def  \x17\r", "abc"),
        ("Ctrl-K", b"set system hostname abcdef\x02\x02\x02\x0b\r", "abc"),
        ("Ctrl-U", b"rubbish\x15set system hostname abc\r", "abc"),
        ("Ctrl-L", b"set system host\x0cname abc\r", "abc"),
        ("up", b"set system hostname abc\rset system hostname x\r\x1b[A\x1b[A\r", "abc"),
        (
            "Ctrl-P, Ctrl-N",
            b"set system hostname x\rset system hostname abc\r\x10\x10\x0e\r",
            "abc",
        ),
        (
            "down to the draft",
            b"set system hostname abc\rset system hostname d\x1b[A\x1b[Bef\r",
            "def",
        ),
        ("Ctrl-R", b"set system hostname abc\rset system hostname x\rshow\r\x12abc\r", "abc"),
        (
            "Ctrl-R again, then edit",
            b"set system hostname ab\rset system hostname x\r\x12host\x12\x1b[Fc\r",
            "abc",
        ),
        (
            "no paste of tabs and blanks is too indented",
            b"\t \tset\tsystem  hostname abc\t\r",
            "abc",
        ),
    ];
    for (what, keys, expected) in cases {
        assert_eq!(hostname_after(keys), expected, "{what}");
    }
}

#[test]
fn c22_an_interrupted_line_is_never_performed() {
    let line = b"set system hostname oops";
    let interruptions: [(&str, &[u8]); 5] = [
        ("Ctrl-C", b"\x03"),
        ("Ctrl-D", b"\x04"),
        ("BREAK", b"\x00"),
        ("Ctrl-Z", b"\x1a"),
        ("Ctrl-C in a search", b"\x12set\x03\x03"),
    ];
    for (what, keys) in interruptions {
        let mut bench = bench();
        bench.type_in(b"configure\r");
        let shown = bench.type_in(&[line, keys].concat());
        let prompt = if what == "Ctrl-Z" { "fulcrum> " } else { "fulcrum(config)# " };
        assert!(shown.trim_end_matches("\x1b[K").ends_with(prompt), "{what}: {shown:?}");
        bench.type_in(b"\r");
        assert_eq!(bench.control.config().hostname, None, "{what}");
    }
    let mut bench = bench();
    bench.type_in(&[b'x'; 300]);
    let shown = bench.type_in(b"\x03show version\r");
    assert!(shown.contains("Fulcrum"), "{shown}");
}

#[test]
fn c8_a_line_of_1025_bytes_is_refused_and_the_next_is_not() {
    let long = format!("set system hostname abc #{}\r", "x".repeat(1000));
    assert_eq!(long.len() - 1, 1025);
    let mut bench = bench();
    bench.type_in(b"configure\r");
    let shown = bench.type_in(long.as_bytes());
    assert!(shown.contains("% E106 line longer than 1024 bytes"), "{shown}");
    assert_eq!(bench.control.config().hostname, None);
    assert_eq!(
        hostname_after(long[1..].replacen("et", "set", 1).replacen("x", "", 1).as_bytes()),
        "abc"
    );
}

#[test]
fn c10_bytes_that_are_no_text_are_refused_with_their_column() {
    let mut bench = bench();
    let shown = bench.type_in(b"show \xff version\r");
    assert!(shown.contains("% E107 byte 0xff at column 6 is no text"), "{shown}");
    let shown = bench.type_in("show version # \u{e4}\u{20ac}\r".as_bytes());
    assert!(shown.contains("# \u{e4}\u{20ac}\r\nFulcrum"), "{shown}");
    bench.type_in(b"terminal script on\r");
    assert_eq!(bench.type_in(b"show\0 version\n"), "% E107 byte 0x00 at column 5 is no text\r\n");
    assert_eq!(
        bench.type_in(b"\x1b[Ashow version\n"),
        "% E107 byte 0x1b at column 1 is no text\r\n"
    );
}

#[test]
fn a_program_sees_answers_and_nothing_else() {
    let mut bench = bench();
    let answers = [
        ("terminal script on\r\n", "terminal script on\r\n% OK\r\n"),
        ("\n", ""),
        ("# a comment\n", ""),
        ("configure\n", "% OK\r\n"),
        ("set guest web1\tport p1 mac 52:54:00:01:00:01\r\n", "% OK\r\n"),
        ("show\n", "set guest web1 port p1 mac 52:54:00:01:00:01\r\n% OK\r\n"),
        (
            "set gest\n",
            "% E101 unknown word 'gest' at column 5. Expected: guest … Did you mean 'guest'?\r\n",
        ),
        ("show port | match p1 | count\n", "1\r\n% OK\r\n"),
        ("set gu\x03show port | count\n", "4\r\n% OK\r\n"),
        (
            "show ?\n",
            "% E101 unknown word '?' at column 6. Expected: capacity configuration counters flow guest health lb load log mac neighbor port real service version\r\n",
        ),
        ("delete guest web2\n", "% E201 there is no guest web2 (guests: web1)\r\n"),
        (
            "set service s real web1\n",
            "% E204 service s: it has no VIP (set service … vip …)\r\n% E202 1 error, nothing was changed\r\n",
        ),
        ("terminal script off\n", "fulcrum(config)# "),
    ];
    for (typed, answer) in answers {
        assert_eq!(bench.type_in(typed.as_bytes()), answer, "{typed:?}");
    }
}

#[test]
fn tab_completes_words_and_values() {
    let mut bench = bench();
    bench.configure(
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22\n\
         set guest db port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
         set service front vip 10.0.2.100 tcp 80\n\
         set service front real web2\n",
    );
    // What TAB puts after what was typed; BEL where nothing fits.
    let cases = [
        ("sh", "ow "),
        ("show por", "t "),
        ("show port u", "p0 "),
        ("drain guest d", "b "),
        ("drain guest w", "eb"),
        ("drain real f", "ront "),
        ("drain real front ", "web2 "),
        ("show xyz", "\x07"),
        ("show nonsense p", "\x07"),
        ("show port", " "),
        ("terminal s", "cript "),
    ];
    for (typed, completed) in cases {
        bench.type_in(b"\x15");
        bench.type_in(typed.as_bytes());
        assert_eq!(bench.type_in(b"\t"), completed, "{typed}");
    }
    bench.type_in(b"\x15drain guest web");
    let choices = bench.type_in(b"\t");
    assert_eq!(choices, "\r\nweb1  web2\r\n\rfulcrum> drain guest web\x1b[K");
    bench.type_in(b"1\r");
    assert!(bench.type_in(b"\x10").ends_with("drain guest web1\x1b[K"));
}

#[test]
fn a_long_line_is_a_window_that_follows_the_cursor() {
    let mut bench = bench();
    let text = "# ".to_string() + &"0123456789".repeat(20);
    let mut row = bench.type_in(text.as_bytes());
    row += &bench.type_in(b"\x1b[D\x01\x05\x02\x02");
    let rows = row.split('\r').map(|row| row.split('\x1b').next().unwrap());
    let widest = rows.map(|row| row.chars().count()).max().unwrap();
    assert!(widest < 80, "{widest} columns");
    let entered = bench.type_in(b"\r");
    assert!(entered.contains(&format!("\rfulcrum> {text}\r\n")), "{entered}");
}

/// A paste of 5,000 lines into a terminal that hangs now and then loses nothing, and what waits
/// for the terminal stays bounded.
#[test]
fn a_paste_of_5000_lines_loses_nothing() {
    let mut bench = bench();
    let mut paste = String::from("configure\r");
    for number in 0..5000 {
        paste += &match number % 50 {
            0 => format!("set guest g{number} port p1 mac 52:54:00:02:00:{:02x}\r", number / 50),
            _ => format!("set system hostname h{number} # and what may stand after it\r"),
        };
    }
    bench.tty.keys.extend(paste.bytes());
    let mut turn = 0;
    while !bench.tty.keys.is_empty() {
        turn += 1;
        bench.tty.takes = if turn % 10 == 0 { 700 } else { 0 };
        bench.console.poll(&mut bench.tty, &mut bench.control, &mut bench.appliance);
        assert!(bench.console.waiting() < 2 * OUTPUT_MARK);
    }
    bench.tty.takes = 4096;
    bench.settle();
    let screen = String::from_utf8(std::mem::take(&mut bench.tty.screen)).unwrap();
    assert!(!screen.contains("% E"), "every line was whole");
    assert_eq!(screen.matches("(config)# set ").count(), 5000);
    assert_eq!(screen.matches("# and what may stand after it\r\n").count(), 4900);
    assert_eq!(bench.control.config().guests.len(), 100);
    assert_eq!(bench.control.config().hostname, Some("h4999".parse().unwrap()));
}

/// A megabyte of noise, and a terminal that stops taking output: afterwards the console answers.
#[test]
fn noise_is_survived() {
    let mut bench = bench();
    let mut random = Random(1);
    let noise: Vec<u8> = (0..1_000_000).map(|_| random.next() as u8).collect();
    bench.tty.keys.extend(&noise[..500_000]);
    bench.tty.takes = 0;
    (0..1000).for_each(|_| {
        bench.console.poll(&mut bench.tty, &mut bench.control, &mut bench.appliance);
        assert!(bench.console.waiting() < 4 * OUTPUT_MARK);
    });
    bench.tty.takes = 4096;
    bench.settle();
    bench.type_in(&noise[500_000..]);
    assert_eq!(bench.appliance.request, None, "noise is no command");
    let shown = bench.type_in(b"\x03\x1a\x03show version\r");
    assert!(shown.contains("Fulcrum"), "{shown}");
}

/// Commands of every kind, right and wrong, whole and torn: nothing panics, a refusal changes
/// nothing, the configuration can be read back, and the tables are what it says.
#[test]
fn a_random_walk_of_10000_commands() {
    let mut bench = bench();
    bench.type_in(b"terminal script on\rconfigure\r");
    let mut random = Random(2026);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let mut line = random.command().into_bytes();
        random.spoil(&mut line);
        line.push(b'\n');
        let before = bench.control.config().clone();
        let epoch = bench.appliance.dataplane.tables().epoch();
        let answer = bench.type_in(&line);
        if answer.contains("% E") {
            refused += 1;
            assert_eq!(*bench.control.config(), before, "{line:?}: {answer}");
            let now = bench.appliance.dataplane.tables().epoch();
            assert_eq!(now, epoch, "{line:?}: {answer}");
        } else {
            accepted += 1;
            agree(&bench);
        }
    }
    assert!(accepted > 1500 && refused > 1500, "{accepted} accepted, {refused} refused");
    bench.run(Duration::from_secs(1));
}

/// A configuration takes another's place whole or not at all, whatever stands in its way: the
/// steps that were taken before one was refused are taken back.
#[test]
fn one_configuration_takes_anothers_place_whole_or_not_at_all() {
    let mut bench = bench();
    bench.type_in(b"terminal script on\rconfigure\r");
    let mut random = Random(7);
    let mut texts = vec![String::new()];
    for _ in 0..30 {
        (0..15).for_each(|_| drop(bench.type_in(format!("{}\n", random.command()).as_bytes())));
        texts.push(bench.control.config().to_string());
    }
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..100 {
        let text = &texts[random.below(texts.len())];
        let before = bench.control.config().to_string();
        let result = bench.start_up(text);
        let (expected, count) = match result {
            Ok(()) => (text, &mut taken),
            Err(_) => (&before, &mut refused),
        };
        *count += 1;
        assert_eq!(bench.control.config().to_string(), *expected);
        agree(&bench);
    }
    assert!(taken > 30 && refused > 3, "{taken} taken, {refused} refused");
}

/// Changes of which no order of kinds would do: each thing takes what another gives up.
#[test]
fn one_thing_takes_what_another_gives_up() {
    const G1: &str = "set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.0.1\n";
    const G2: &str = "set guest g2 port p2 mac 52:54:00:01:00:02 address 10.0.0.2\n";
    const WEB: &str = "set service web vip 10.0.0.100 tcp 80\nset service web real g1\n";
    const WEB_MOVED: &str = "set service web vip 10.0.0.102 tcp 80\nset service web real g1\n";
    let cases = [
        (
            "a guest the address of a service",
            format!("{G1}{WEB}"),
            format!("{G1}set guest g1 address 10.0.0.100\n{WEB_MOVED}"),
        ),
        (
            "a service the address of another",
            format!("{G1}{WEB}set service api vip 10.0.0.101 tcp 80\n"),
            format!("{G1}{WEB_MOVED}set service api vip 10.0.0.100 tcp 80\n"),
        ),
        (
            "the sorry guest goes",
            format!("{G1}{G2}{WEB}set service web empty sorry g2\n"),
            format!("{G1}{WEB}"),
        ),
        (
            "another sorry guest",
            format!("{G1}{G2}{WEB}set service web empty sorry g2\n"),
            format!("{G1}{WEB}set service web empty sorry g1\n"),
        ),
        (
            "to direct, without the port",
            format!("{G1}{WEB}set service web real g1 port 8080\n"),
            format!("{G1}{WEB}set service web forwarding direct\n"),
        ),
        (
            "from direct, with a port",
            format!("{G1}{WEB}set service web forwarding direct\n"),
            format!("{G1}{WEB}set service web real g1 port 8080\n"),
        ),
    ];
    for (what, before, after) in cases {
        let mut bench = bench();
        for text in [&before, &after, &before] {
            assert_eq!(bench.start_up(text), Ok(()), "{what}");
            agree(&bench);
        }
    }
}

/// Configuration, its text, its plan and the tables say the same.
fn agree(bench: &Bench) {
    let (config, plan) = (bench.control.config(), bench.control.plan());
    let reading = read(config.to_string().as_bytes());
    assert_eq!((&reading.config, reading.errors.len()), (config, 0));
    assert_eq!(check(config, &bench.site).as_ref(), Ok(plan));
    let tables = bench.appliance.dataplane.tables();
    let ports: Vec<_> = tables.ports().map(|(_, port)| (port.name.clone(), port.role)).collect();
    let planned: Vec<_> = plan.ports.iter().map(|port| (port.name.clone(), port.role)).collect();
    assert_eq!(ports, planned);
    assert_eq!(tables.guests().count(), plan.guests.len());
    for (_, guest) in tables.guests() {
        assert_eq!(plan.guests.get(&guest.spec.name), Some(&guest.spec));
    }
    assert_eq!(tables.services().count(), plan.services.len());
    for (_, service) in tables.services() {
        let planned = &plan.services[&service.spec.name];
        assert_eq!(planned.spec, service.spec);
        let sorry = service.sorry.and_then(|id| tables.real(id)).map(|real| &real.spec.guest);
        let planned_sorry = match &planned.spec.empty {
            Empty::Sorry(guest) => Some(guest),
            Empty::Drop | Empty::Reset => None,
        };
        assert_eq!(sorry, planned_sorry);
        assert_eq!(planned.reals.len(), service.reals.len());
        for &id in &service.reals {
            let real = tables.real(id).unwrap();
            assert_eq!(planned.reals.get(&real.spec.guest), Some(&real.spec));
        }
    }
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A command of few names, so that they meet.
    fn command(&mut self) -> String {
        let guest = self.pick(&["g1", "g2", "g3", "g4"]);
        let port = self.pick(&["up0", "p1", "p2", "p3", "lan"]);
        let mac = self.pick(&["52:54:00:01:00:01", "52:54:00:01:00:02", "52:54:00:aa:00:02"]);
        let address = self.pick(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.100", "fd00::1"]);
        let service = self.pick(&["web", "dns", "api"]);
        let number = self.pick(&["0", "1", "80", "100", "65535", "70000"]);
        let aspect = self.pick(&["", " address 10.0.0.1", " address 10.0.0.2"]);
        let part = self.pick(&["", " port", " weight", " max-flows"]);
        let option = self.pick(&[
            "forwarding direct",
            "forwarding nat",
            "persistence source 24 timeout 1m",
            "persistence source 64 timeout 300s",
            "persistence payload 12 4 timeout 60s",
            "empty reset",
            "max-flows 10",
            "idle 30s",
            "one-packet",
        ]);
        match self.below(28) {
            0..=3 => format!("set guest {guest} port {port} mac {mac} address {address}"),
            4 => format!("set guest {guest} port {port}"),
            5 => format!("set guest {guest} address {address}"),
            6..=7 => format!("set service {service} vip {address} tcp {number}"),
            8 => format!("set service {service} vip {address} udp {number}"),
            22 => format!("set service {service} vip {address} udp {number} vlan {number}"),
            23..=25 => format!("set service {service} {option}"),
            26 => format!("set service {service} empty sorry {guest}"),
            9..=11 => format!("set service {service} real {guest}"),
            12 => format!("set service {service} real {guest} port {number} weight {number}"),
            13 => format!("set service {service} scheduler {}", self.pick(&["wlc", "wll", "rr"])),
            14 => format!("set port {port} role {}", self.pick(&["guest", "uplink"])),
            15 => {
                let role = self.pick(&["guest", "uplink"]);
                let nic = self.pick(&["pci 00:02.0", "pci 00:04.0", "mac 52:54:00:aa:00:03"]);
                format!("set port {port} role {role} match {nic}")
            }
            16 => format!("delete port {port}{}", self.pick(&["", " match"])),
            17 => format!("delete guest {guest}{aspect}"),
            18 => {
                let parts = ["", " scheduler", " forwarding", " empty", " persistence", " idle"];
                format!("delete service {service}{}", self.pick(&parts))
            }
            19 => format!("no service {service} real {guest}{part}"),
            20 => format!("set system hostname {guest}"),
            _ => {
                let what = self.pick(&[
                    "port",
                    "mac",
                    "guest",
                    "service web",
                    "real",
                    "load",
                    "neighbor",
                    "capacity",
                ]);
                format!("show {what} | {}", self.pick(&["count", "match p", "last 2", "first x"]))
            }
        }
    }

    /// Every third line is torn, misspelt or binary.
    fn spoil(&mut self, line: &mut Vec<u8>) {
        let at = self.below(line.len());
        match self.below(12) {
            0 => line.truncate(at),
            1 => drop(line.remove(at)),
            2 => line.insert(at, b'x'),
            3 => line[at] = (self.next() as u8).max(0x80),
            _ => {}
        }
    }
}
