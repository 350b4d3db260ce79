//! Commands that take several turns: what they print meanwhile, what ends them, and what becomes of
//! keys that are pressed while they are at work.

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
fn a_monitor_that_is_forgotten_ends() {
    let mut bench = bench();
    let before = bench.appliance.now();
    let screen = bench.type_in(b"monitor health\r");
    assert_eq!(screen.matches("a key ends this").count(), 600);
    let took = bench.appliance.now().since(before).as_secs();
    assert!(screen.ends_with(PROMPT) && took == 599, "{took}");
}

#[test]
fn what_is_typed_ahead_is_done_afterwards() {
    let mut bench = bench();
    bench.type_in(b"terminal script on\r");
    let screen = bench.type_in(b"show tech-support\rshow flow | count\rshow nothing\r");
    let (support, after) = screen.split_once("% OK\r\n").expect("a closing line");
    assert!(support.starts_with("===== show version =====\r\n"), "{support}");
    assert!(after.starts_with("0\r\n% OK\r\n% E101"), "{after}");
    // More than there is room for waits at the terminal, and is not lost.
    let lines = "show flow | count\r".repeat(200);
    let screen = bench.type_in(format!("show tech-support\r{lines}").as_bytes());
    assert_eq!(screen.matches("% OK\r\n").count(), 201);
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
