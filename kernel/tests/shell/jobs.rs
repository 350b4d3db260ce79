//! Commands that take several turns: what they print meanwhile, what ends them, and what becomes of
//! keys that are pressed while they are at work.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use kernel::capture::RING_BYTES;
use kernel::shell::parse::parse;
use kernel::shell::support::{LINES_MAX, PAGES};
use kernel::shell::tree::OPERATIONAL;

use crate::desk::Bench;

const PROMPT: &str = "fulcrum> ";

/// A service with three guests, and a console whose greeting was read.
fn bench() -> Bench {
    let mut bench = Bench::new(4);
    bench.configure(
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web scheduler rr\n\
         set service web real web1 port 8080\n\
         set service web real web2 port 8080\n",
    );
    bench.run(std::time::Duration::from_secs(2));
    bench.console.greet(&bench.control);
    bench.type_in(b"");
    bench
}

/// A frame of a pcap file: when, its length on the wire, and what was kept of it.
struct Record {
    nanos: u64,
    len: usize,
    bytes: Vec<u8>,
}

/// The file between the markers, checked as far as all of them are alike.
fn records(screen: &str) -> Vec<Record> {
    let (_, rest) = screen.split_once("-----BEGIN PCAP-----\r\n").expect("a beginning");
    let (text, _) = rest.split_once("-----END PCAP-----\r\n").expect("an end");
    let lines: Vec<&str> = text.lines().collect();
    let (last, whole) = lines.split_last().expect("the header at least");
    assert!(whole.iter().all(|line| line.len() == 76) && last.len() <= 76);
    let file = decoded(text);
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(
        [word(0), word(4), word(20)],
        [0xa1b2_3c4d, 0x4_0002, 1],
        "magic, version, Ethernet"
    );
    let mut records = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let [second, nanos, kept, len] = [0, 4, 8, 12].map(|field| word(at + field));
        let nanos = u64::from(second) * 1_000_000_000 + u64::from(nanos);
        let bytes = file[at + 16..][..kept as usize].to_vec();
        at += 16 + bytes.len();
        records.push(Record { nanos, len: len as usize, bytes });
    }
    assert!(records.is_sorted_by_key(|record| record.nanos));
    records
}

fn decoded(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other}"),
    };
    let letters: Vec<u8> = text.bytes().filter(|b| !b"\r\n".contains(b)).collect();
    let bytes = letters.chunks(4).flat_map(|four| {
        let meant: Vec<u8> = four.iter().filter(|b| **b != b'=').map(|b| value(*b)).collect();
        let word = meant.iter().fold(0u32, |word, six| word << 6 | u32::from(*six));
        let word = word << (6 * (4 - meant.len()));
        word.to_be_bytes()[1..meant.len()].to_vec()
    });
    bytes.collect()
}

/// `source > destination flags` of a TCP segment.
fn told(record: &Record) -> String {
    assert_eq!(record.len, record.bytes.len());
    let packet = SlicedPacket::from_ethernet(&record.bytes).unwrap();
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (packet.net, packet.transport)
    else {
        panic!("{:x?}", record.bytes);
    };
    let flags = [(tcp.syn(), "S"), (tcp.ack(), "A")];
    let flags: String = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, f)| f).collect();
    let (from, to) = (ip.header().source_addr(), ip.header().destination_addr());
    format!("{from}:{} > {to}:{} {flags}", tcp.source_port(), tcp.destination_port())
}

/// Types a line and lets it begin.
fn begin(bench: &mut Bench, line: &str) {
    bench.tty.keys.extend(line.as_bytes());
    bench.tty.keys.push_back(b'\r');
    while !bench.tty.keys.is_empty() {
        bench.poll();
    }
    assert!(bench.console.is_busy(), "{line}");
}

#[test]
fn a_handshake_is_seen_on_both_sides() {
    let mut bench = bench();
    begin(&mut bench, "capture service web count 6");
    bench.call(40_000);
    let screen = bench.type_in(b"");
    let seen: Vec<String> = records(&screen).iter().map(told).collect();
    let expected = [
        "10.0.2.2:40000 > 10.0.2.100:80 S",
        "10.0.2.2:40000 > 10.0.2.21:8080 S",
        "10.0.2.21:8080 > 10.0.2.2:40000 SA",
        "10.0.2.100:80 > 10.0.2.2:40000 SA",
        "10.0.2.2:40000 > 10.0.2.100:80 A",
        "10.0.2.2:40000 > 10.0.2.21:8080 A",
    ];
    assert_eq!(seen, expected);
    assert!(screen.ends_with(&format!("# 6 frames: 3 received, 3 sent\r\n{PROMPT}")), "{screen}");
}

#[test]
fn what_is_not_wanted_is_not_seen() {
    for (words, expected) in [
        ("port p1", 3),
        ("port p2", 0),
        ("port up0 in", 2),
        ("port up0 out", 1),
        ("l4-port 8080", 3),
        ("host 10.0.2.100", 3),
        ("proto udp", 0),
        ("vlan 7", 0),
        ("count 2", 2),
    ] {
        let mut bench = bench();
        let line = format!("capture {words} for 1s");
        let line = if words.starts_with("count") { line } else { format!("{line} proto tcp") };
        let line = line.replace("proto udp for 1s proto tcp", "proto udp for 1s");
        begin(&mut bench, &line);
        bench.call(40_000);
        assert_eq!(records(&bench.type_in(b"")).len(), expected, "{line}");
    }
}

#[test]
fn a_capture_ends_with_its_time_or_at_ctrl_c() {
    let mut bench = bench();
    let before = bench.appliance.now();
    let screen = bench.type_in(b"capture vlan 7 for 3s\r");
    let took = bench.appliance.now().since(before).as_millis();
    assert!((3000..3100).contains(&took), "{took}");
    assert_eq!(records(&screen).len(), 0);
    assert!(screen.ends_with(&format!("# 0 frames: 0 received, 0 sent\r\n{PROMPT}")), "{screen}");

    let before = bench.appliance.now();
    begin(&mut bench, "capture vlan 7 for 1h");
    let screen = bench.type_in(b"show version\r\x03");
    assert!(bench.appliance.now().since(before).as_millis() < 100);
    assert!(
        screen.ends_with(&format!("sent\r\n{PROMPT}")),
        "what was typed before is gone: {screen}"
    );
}

#[test]
fn what_is_typed_ahead_is_done_afterwards() {
    let mut bench = bench();
    bench.type_in(b"terminal script on\r");
    let screen = bench.type_in(b"capture vlan 7 for 1s\rshow flow | count\rshow nothing\r");
    let (capture, after) = screen.split_once("% OK\r\n").expect("a closing line");
    assert!(capture.starts_with("-----BEGIN PCAP-----\r\n"), "{capture}");
    assert!(capture.ends_with("# 0 frames: 0 received, 0 sent\r\n"), "{capture}");
    assert!(after.starts_with("0\r\n% OK\r\n% E101"), "{after}");
    // More than there is room for waits at the terminal, and is not lost.
    let comments = "show flow | count\r".repeat(200);
    let screen = bench.type_in(format!("capture vlan 7 for 1s\r{comments}").as_bytes());
    assert_eq!(screen.matches("% OK\r\n").count(), 201);
}

#[test]
fn a_console_that_hangs_costs_frames_and_nothing_else() {
    let mut bench = bench();
    bench.tty.takes = 0;
    begin(&mut bench, "capture count 1000 for 30s");
    for round in 0..8 {
        (0..100).for_each(|_| {
            bench.put(0, [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88; 1488]].concat())
        });
        (0..20).for_each(|_| bench.turn_and_poll());
        assert!(bench.console.waiting() < 10_000, "round {round}");
    }
    bench.tty.takes = 4096;
    let screen = bench.type_in(b"\x03");
    let taken = records(&screen).len();
    assert!((150..200).contains(&taken), "{taken} of {RING_BYTES} bytes");
    assert!(screen.contains("more found no room: the console was too slow\r\n"), "{screen}");
}

#[test]
fn a_monitor_goes_on_until_a_key() {
    let mut bench = bench();
    let before = bench.appliance.now();
    begin(&mut bench, "monitor service");
    (0..350).for_each(|_| bench.turn_and_poll());
    let screen = bench.type_in(b"q");
    assert_eq!(screen.matches("SERVICE").count(), 4, "at once, and each second: {screen}");
    assert!(screen.contains("--- up 5s; a key ends this ---\r\n"), "{screen}");
    assert!(screen.ends_with(PROMPT) && bench.appliance.now().since(before).as_secs() == 3);
    assert_eq!(
        bench.type_in(b"show flow | count\r"),
        format!("show flow | count\r\n0\r\n{PROMPT}")
    );
}

#[test]
fn news_put_no_prompt_into_a_command_that_is_at_work() {
    let mut bench = bench();
    begin(&mut bench, "monitor service");
    bench.console.tell("the commit is taken back\n");
    (0..50).for_each(|_| bench.turn_and_poll());
    let screen = bench.type_in(b"q");
    assert!(screen.contains("\r\nthe commit is taken back\r\n"), "{screen}");
    assert_eq!(screen.matches(PROMPT).count(), 1, "the one after it: {screen}");
    assert!(screen.ends_with(PROMPT), "{screen}");
}

#[test]
fn a_monitor_that_is_forgotten_ends() {
    let mut bench = bench();
    let before = bench.appliance.now();
    let screen = bench.type_in(b"monitor health\r");
    assert_eq!(screen.matches("a key ends this").count(), 600);
    let took = bench.appliance.now().since(before).as_secs();
    assert!(screen.ends_with(PROMPT) && took == 599, "{took}");
}

#[test]
fn tech_support_is_every_page_under_its_line() {
    let mut bench = bench();
    (0..150).for_each(|at| bench.call(41_000 + at));
    let screen = bench.type_in(b"show tech-support\r");
    let headings: Vec<&str> = screen.lines().filter(|line| line.starts_with("=====")).collect();
    let expected: Vec<String> = PAGES.iter().map(|line| format!("===== {line} =====")).collect();
    assert_eq!(headings, expected);
    assert!(PAGES.iter().all(|line| parse(line, OPERATIONAL).is_ok()), "each is a line");
    assert!(!screen.contains("% E"), "{screen}");
    assert!(screen.contains("more lines: show flow\r\n"), "{screen}");
    assert!(screen.lines().count() < PAGES.len() * (LINES_MAX + 2));
    assert!(screen.ends_with(PROMPT));
}

#[test]
fn a_ping_ends_with_its_count_or_at_ctrl_c() {
    let mut bench = bench();
    bench.configure("set system address 10.0.2.15/24\n");
    let before = bench.appliance.now();
    let screen = bench.type_in(b"ping 10.0.2.2\r");
    assert_eq!(screen.matches("10.0.2.2 answers after ").count(), 5, "{screen}");
    assert!(screen.contains("5 sent, 5 received, 0% lost; min "), "{screen}");
    let took = bench.appliance.now().since(before).as_millis();
    assert!((4000..4100).contains(&took), "one a second: {took}");

    begin(&mut bench, "ping 10.0.2.2 count 1000");
    (0..150).for_each(|_| bench.turn_and_poll());
    let screen = bench.type_in(b"\x03");
    assert!(screen.contains("2 sent, 2 received, 0% lost; min "), "{screen}");
    assert!(screen.ends_with(&format!(" ms\r\n{PROMPT}")), "{screen}");

    begin(&mut bench, "ping 10.0.2.99 count 1000");
    (0..50).for_each(|_| bench.turn_and_poll());
    let screen = bench.type_in(b"\x03");
    let end =
        format!("1 sent, 0 received, 100% lost\r\n% E313 10.0.2.99 has not answered\r\n{PROMPT}");
    assert!(screen.ends_with(&end), "{screen}");
}

#[test]
fn a_ping_that_cannot_go_on_says_why() {
    let mut bench = bench();
    bench.type_in(b"terminal script on\r");
    bench.configure("set system address 10.0.2.15/24\n");
    begin(&mut bench, "ping 10.0.2.2 count 3");
    (0..50).for_each(|_| bench.turn_and_poll());
    bench.configure("set system hostname edge1\n");
    let screen = bench.type_in(b"");
    let lines: Vec<&str> = screen.lines().collect();
    let [first, sum, why, failed] = lines[..] else { panic!("{screen}") };
    assert!(first.starts_with("1: 10.0.2.2 answers after "), "{screen}");
    assert!(sum.starts_with("1 sent, 1 received, 0% lost"), "{screen}");
    assert!(why.starts_with("% E312 there is no IPv4 management address"), "{screen}");
    assert_eq!(failed, "% FAILED");
}
