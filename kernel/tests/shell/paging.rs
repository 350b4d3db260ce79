//! Answers that are longer than the screen: nothing leaves it unread, and no line that is pasted or
//! typed ahead is taken for a key of the pager.

use std::time::Duration;

use kernel::pager::{ERASE, MORE};

use crate::desk::Bench;
use crate::screen::Screen;

const PROMPT: &str = "fulcrum> ";

/// A person at a screen of 8 rows, and 30 lines of configuration.
fn small() -> Bench {
    let mut bench = bench(30);
    bench.type_in(b"terminal length 8\r");
    bench
}

/// A person at a console of which the configuration has this many lines.
fn bench(lines: usize) -> Bench {
    let mut bench = Bench::new(4);
    let guests = (0..lines).map(|at| format!("set guest g{at:03} port p1 mac {}\n", mac(at)));
    bench.configure(&guests.collect::<String>());
    bench.console.greet(&bench.control);
    bench.type_in(b"");
    bench.stays_at_page = true;
    bench
}

fn mac(at: usize) -> String {
    format!("52:54:00:02:{:02x}:{:02x}", at / 256, at % 256)
}

/// How many guests' lines there are, and that each is whole.
fn guests(shown: &str) -> usize {
    let shown = shown.replace(ERASE, "");
    let lines = shown.lines().filter(|line| line.starts_with("set guest "));
    lines.inspect(|line| assert_eq!(line.len(), 44, "{line}")).count()
}

#[test]
fn nothing_leaves_the_screen_before_a_key() {
    let mut bench = bench(100);
    let mut screen = Screen::new(24, 80);
    screen.show(PROMPT);
    screen.show(&bench.type_in(b"show configuration\r"));
    assert_eq!(screen.scrolled, ["fulcrum> show configuration"], "which was typed and read");
    for page in 0..4 {
        let rows = screen.text();
        assert_eq!(rows.last().unwrap(), MORE);
        assert_eq!(guests(&rows.join("\n")), 23);
        assert!(rows[0].contains(&format!("g{:03} ", 23 * page)), "{rows:#?}");
        screen.show(&bench.type_in(b" "));
        assert_eq!(guests(&screen.scrolled.join("\n")), (23 * (page + 1)).min(100 - 23));
    }
    assert_eq!(screen.cursor(), (PROMPT.trim_end().to_string(), PROMPT.len()));
    assert_eq!(guests(&screen.scrolled.join("\n")) + guests(&screen.text().join("\n")), 100);
    assert!(!screen.scrolled.iter().any(|row| row.contains(MORE)), "what asks is erased");
}

/// Whatever is pasted, and wherever in it an answer is longer than the screen: each line is performed.
#[test]
fn no_pasted_line_is_lost() {
    for lead in ["", " ", "q", "\r", "\n"] {
        let mut bench = small();
        let paste = format!(
            "show configuration\r{lead}\rshow configuration\r\
             configure\rset system hostname edge1\rquit\rshow configuration | count\r"
        );
        let shown = bench.type_in(paste.as_bytes());
        assert_eq!(guests(&shown), 60, "{lead:?}");
        assert!(!shown.contains(MORE), "{lead:?}");
        assert!(shown.ends_with("| count\r\n30\r\nfulcrum> "), "{lead:?}: {shown}");
        assert_eq!(bench.control.candidate().hostname, Some("edge1".parse().unwrap()));
    }
}

/// The same where the paste is slow, so that the question stands when it goes on.
#[test]
fn a_paste_that_goes_on_at_the_question_shows_the_rest_and_is_not_lost() {
    for next in ["configure\r", " configure\r", "\r\rconfigure\r", "quit\rconfigure\r"] {
        let mut bench = small();
        assert!(bench.type_in(b"show configuration\r").ends_with(MORE));
        let shown = bench.type_in(next.as_bytes());
        assert!(shown.starts_with(ERASE), "{next:?}");
        assert_eq!(guests(&shown), 23, "{next:?}");
        assert!(shown.ends_with("configure\r\nfulcrum(config)# "), "{next:?}: {shown}");
    }
}

#[test]
fn keys_of_the_pager_and_others() {
    let cases: [(&[u8], usize, &str); 10] = [
        (b" ", 7, MORE),
        (b"\r", 1, MORE),
        (b"\n", 1, MORE),
        (b"\r\n", 1, MORE),
        (b"q", 0, PROMPT),
        (b"Q", 0, PROMPT),
        (b"\x03", 0, PROMPT),
        (b"\0", 0, PROMPT),
        // They count as typed.
        (b"x", 0, "fulcrum> x"),
        (b"\x1b[A", 0, "fulcrum> show configuration\x1b[K"),
    ];
    for (key, lines, end) in cases {
        let mut bench = small();
        // Of a line end that is CR and LF the second is no key.
        assert!(bench.type_in(b"show configuration\r\n").ends_with(MORE));
        let shown = bench.type_in(key);
        assert_eq!(guests(&shown), lines, "{key:?}");
        assert!(shown.ends_with(end), "{key:?}: {shown:?}");
    }
}

#[test]
fn what_is_for_a_program_is_never_paged() {
    let lines = [
        "show configuration | no-more",
        "show configuration | match guest | no-more",
        "show configuration | json",
        "terminal length 0\rshow configuration",
        "terminal script on\rshow configuration",
        "show tech-support",
    ];
    for line in lines {
        let mut bench = small();
        let shown = bench.type_in(format!("{line}\r").as_bytes());
        assert!(!shown.contains(MORE) && !bench.console.is_paging(), "{line}");
        assert!(shown.contains("g029"), "{line}");
    }
}

#[test]
fn help_is_paged_and_its_line_goes_on() {
    let mut bench = bench(30);
    let shown = bench.type_in(b"drain guest ?");
    assert!(shown.ends_with(MORE) && shown.contains("g021") && !shown.contains("g022"), "{shown}");
    let shown = bench.type_in(b" ");
    assert!(shown.contains("g029"), "{shown}");
    assert!(shown.ends_with("\rfulcrum> drain guest \x1b[K"), "{shown:?}");
    assert!(bench.type_in(b"g00\t").contains("g000  g001"));
}

#[test]
fn news_come_between_the_page_and_the_question() {
    let mut bench = small();
    bench.type_in(b"configure\rset system hostname edge1\rcommit confirmed 60s\r");
    assert!(bench.type_in(b"show configuration\r").ends_with(MORE));
    bench.run(Duration::from_secs(61));
    let shown = bench.type_in(b"");
    assert!(
        shown.starts_with(ERASE) && shown.contains("taken back") && shown.ends_with(MORE),
        "{shown:?}"
    );
    assert_eq!(guests(&bench.type_in(b" ")), 7, "the answer is what it was");
}

/// Whoever went away at a page costs what is left of one answer; the line that comes next ends that.
#[test]
fn a_page_waits_as_long_as_it_must() {
    let mut bench = small();
    bench.type_in(b"show configuration\r");
    (0..1000).for_each(|_| bench.turn_and_poll());
    assert!(bench.console.is_paging());
    assert_eq!(bench.console.waiting(), 0);
    assert!(bench.type_in(b"q").ends_with(PROMPT));
}
