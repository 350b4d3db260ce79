//! The console as a byte stream: keys, pastes, programs, and those who only make noise.

use kernel::console::OUTPUT_MARK;

use crate::desk::Bench;
use crate::walk::Random;

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
    let hostname = bench.control.candidate().hostname.clone();
    hostname.map_or("none".to_string(), |hostname| hostname.to_string())
}

#[test]
fn keys_edit_the_line() {
    let cases: [(&str, &[u8], &str); 25] = [
        ("CR", b"set system hostname abc\r", "abc"),
        ("LF", b"set system hostname abc\n", "abc"),
        ("CRLF", b"set system hostname abc\r\n", "abc"),
        ("CR NUL", b"set system hostname abc\r\0", "abc"),
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
        assert_eq!(bench.control.candidate().hostname, None, "{what}");
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
    assert_eq!(bench.control.candidate().hostname, None);
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
    assert_eq!(
        bench.type_in(b"show\0 version\n"),
        "% E107 byte 0x00 at column 5 is no text\r\n% FAILED\r\n"
    );
    assert_eq!(
        bench.type_in(b"\x1b[Ashow version\n"),
        "% E107 byte 0x1b at column 1 is no text\r\n% FAILED\r\n"
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
        ("set guest web1\tport p1 mac 52:54:00:01:00:01\r\0", "% OK\r\n"),
        ("show\n", "set guest web1 port p1 mac 52:54:00:01:00:01\r\n% OK\r\n"),
        (
            "set gest\n",
            "% E101 unknown word 'gest' at column 5. Expected: guest … Did you mean 'guest'?\r\n% FAILED\r\n",
        ),
        ("show port | match p1 | count\n", "1\r\n% OK\r\n"),
        ("set gu\x03show port | count\n", "4\r\n% OK\r\n"),
        (
            "show port | count | json\n",
            "{\"schema\":\"fulcrum.count/1\",\"count\":4,\"is_complete\":true}\r\n% OK\r\n",
        ),
        (
            "show real a b | json\n",
            "{\"schema\":\"fulcrum.error/1\",\"errors\":[{\"code\":\"E201\",\"line\":null,\
             \"column\":11,\"message\":\"there is no service a (there is none at all)\"}]}\r\n\
             % FAILED\r\n",
        ),
        (
            "show ?\n",
            "% E101 unknown word '?' at column 6. Expected: capacity commits configuration counters flow groups guest health lb lldp load log mac mirror neighbor port real service system tech-support version vlan\r\n% FAILED\r\n",
        ),
        ("delete guest web2\n", "% E201 there is no guest web2 (guests: web1)\r\n% FAILED\r\n"),
        ("set service s real web1\n", "% OK\r\n"),
        (
            "commit\n",
            "% E204 service s: it has no VIP (set service … vip …)\r\n% E202 1 error, nothing was changed\r\n% FAILED\r\n",
        ),
        ("no service s\n", "% OK\r\n"),
        ("commit check\n", "The candidate holds together.\r\n% OK\r\n"),
        ("load merge\n", ""),
        ("set system hostname edge1\n", ""),
        ("set system hostnam\n", ""),
        (
            "end\n",
            "% E103 line 2, column 20: the line ends too early. Expected: NAME\r\n% E202 1 error, nothing was changed\r\n% FAILED\r\n",
        ),
        ("load merge\nset system hostname edge1\n", ""),
        ("end\n", "1 line loaded into the candidate.\r\n% OK\r\n"),
        ("discard\n", "The candidate is what runs again.\r\n% OK\r\n"),
        ("set system hostname edge2\n", "% OK\r\n"),
        ("terminal script off\n", "fulcrum(config*)# "),
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
    assert_eq!(screen.matches("(config)# set ").count(), 1);
    assert_eq!(screen.matches("(config*)# set ").count(), 4999);
    assert_eq!(screen.matches("# and what may stand after it\r\n").count(), 4900);
    assert_eq!(bench.control.candidate().guests.len(), 100);
    assert_eq!(bench.control.candidate().hostname, Some("h4999".parse().unwrap()));
}

/// Noise, and a terminal that stops taking output: afterwards the console answers. The image is
/// given a megabyte of it (`tests/tests/qemu`).
#[test]
fn noise_is_survived() {
    let mut bench = bench();
    let mut random = Random(1);
    let noise: Vec<u8> = (0..200_000).map(|_| random.next() as u8).collect();
    bench.tty.keys.extend(&noise[..100_000]);
    bench.tty.takes = 0;
    (0..1000).for_each(|_| {
        bench.console.poll(&mut bench.tty, &mut bench.control, &mut bench.appliance);
        assert!(bench.console.waiting() < 4 * OUTPUT_MARK);
    });
    bench.tty.takes = 4096;
    bench.settle();
    bench.type_in(&noise[100_000..]);
    assert_eq!(bench.appliance.request, None, "noise is no command");
    let shown = bench.type_in(b"\x03\x1a\x03show version\r");
    assert!(shown.contains("Fulcrum"), "{shown}");
}
