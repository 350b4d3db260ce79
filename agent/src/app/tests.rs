//! An application's words: which it may say, and for how long they count.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use super::*;
use crate::socket_file::Senders;

const INTERVAL: Duration = Duration::from_millis(500);

/// A name in the temporary directory that is free again with the test's end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("fulcrum-app-{name}.{}", std::process::id())))
    }

    fn write(&self, text: &str, ago: Duration) {
        fs::write(&self.0, text).unwrap();
        self.touch(SystemTime::now() - ago);
    }

    fn touch(&self, at: SystemTime) {
        File::options().write(true).open(&self.0).unwrap().set_modified(at).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What an application's words make of a report of the agent's.
fn spoken(words: Option<&AppWords>) -> String {
    let mut report = LoadReport::parse(b"up id=7 seq=1 cpu=0.42 mem=0.5 io=0.1 steal=0").unwrap();
    if let Some(words) = words {
        words.speak(&mut report);
    }
    report.to_string()
}

const ALONE: &str = "up id=7 seq=1 cpu=0.42 mem=0.5 io=0.1 steal=0";

#[test]
fn what_an_application_may_say() {
    let measured = "cpu=0.42 mem=0.5 io=0.1 steal=0";
    let cases = [
        (
            "app=0.7 rif=12 lat=1800 p99=9000 qps=512 eps=0.2 #cold",
            format!(
                "up id=7 seq=1 app=0.7 {measured} rif=12 lat=1800 p99=9000 qps=512 eps=0.2 #cold"
            ),
        ),
        ("down #no database", format!("down id=7 seq=1 {measured} #no database")),
        ("drain", format!("up drain id=7 seq=1 {measured}")),
        (
            "UP, ready 50% maxconn:9\r\nnot read",
            format!("up ready 50% maxconn:9 id=7 seq=1 {measured}"),
        ),
        ("weight:7 what=ever", format!("up weight:7 id=7 seq=1 {measured}")),
        ("#cpu=1 id=9", format!("up id=7 seq=1 {measured} #cpu=1 id=9")),
    ];
    for (line, report) in cases {
        let words = AppWords::parse(line.as_bytes()).expect(line);
        assert_eq!(spoken(Some(&words)), report, "{line}");
    }
}

#[test]
fn what_it_may_not_say_is_named_with_its_column() {
    let own = |column, key| format!("column={column} '{key}' is the agent's to say");
    let cases = [
        ("id=7", own(1, "id")),
        ("app=0.7 cpu=0.3", own(9, "cpu")),
        ("app=0.7,\tmem=0.3", own(10, "mem")),
        ("up io=1", own(4, "io")),
        ("up steal=1", own(4, "steal")),
        ("seq=1 svc=web", own(1, "seq")),
        ("up svc=web", own(4, "svc")),
        ("app=1 ttl=5", own(7, "ttl")),
        (
            "app=lots",
            "column=5 not a number (digits and at most one point; no sign, no exponent)".into(),
        ),
        ("", "column=1 the report says nothing".into()),
        ("app=1 #\u{1b}[2J", "column=8 byte 0x1b (a report is one line of printable ASCII)".into()),
    ];
    for (line, expected) in cases {
        assert_eq!(AppWords::parse(line.as_bytes()), Err(expected), "{line:?}");
    }
    let error = AppWords::parse(b"app=0.7 rfi").unwrap_err();
    assert!(error.starts_with("column=9 unknown word (up down"), "{error}");
    let error = AppWords::parse(&[b'#'; REPORT_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error, "column=513 longer than 512 bytes");
}

#[test]
fn a_long_reason_is_cut_to_what_the_switch_keeps() {
    let words = AppWords::parse(format!("up #{}", "x".repeat(400)).as_bytes()).unwrap();
    assert_eq!(words.reason.map(|reason| reason.len()), Some(RealLoad::REASON_BYTES_MAX));
}

#[test]
fn three_reports_and_at_least_two_seconds() {
    assert_eq!(bound(Duration::from_millis(50)), Duration::from_secs(2));
    assert_eq!(bound(INTERVAL), Duration::from_secs(2));
    assert_eq!(bound(Duration::from_secs(60)), Duration::from_secs(180));
}

#[test]
fn a_file_counts_until_it_is_too_old() {
    let path = Scratch::new("old");
    let mut app = App::new(Source::File(path.0.clone()), INTERVAL);
    assert!(app.socket().is_none());
    let start = Instant::now();
    assert_eq!(app.words(start), None, "there is none yet");
    path.write("app=0.7\n", Duration::ZERO);
    assert!(spoken(app.words(start)).contains(" app=0.7 "));
    path.write("app=0.8\n", Duration::from_secs(1));
    assert!(spoken(app.words(start)).contains(" app=0.8 "), "each line replaces the one before");
    path.touch(SystemTime::now() - Duration::from_secs(3));
    assert!(spoken(app.words(start)).contains(" app=0.8 "), "as it was read a second old");
    assert_eq!(spoken(app.words(start + Duration::from_secs(1))), ALONE);
    path.write("app=0.9\n", Duration::ZERO);
    assert!(spoken(app.words(start)).contains(" app=0.9 "), "it counts again");
    path.touch(SystemTime::now() + Duration::from_secs(60));
    assert_eq!(spoken(app.words(start + Duration::from_secs(2))), ALONE, "from the future");
}

#[test]
fn a_bad_file_changes_nothing_and_is_named() {
    let path = Scratch::new("bad");
    let mut app = App::new(Source::File(path.0.clone()), INTERVAL);
    let start = Instant::now();
    path.write("app=0.7\n", Duration::ZERO);
    app.words(start);
    let cases = [
        ("app=0.", "the line has no end"),
        ("", "the line has no end"),
        ("app=0.1 upp\n", "column=9 unknown word"),
        ("app=0.1 id=7\n", "column=9 'id' is"),
        (&"x".repeat(100_000), "column=513 longer than 512 bytes"),
    ];
    for (text, expected) in cases {
        path.write(text, Duration::ZERO);
        let error = read(&path.0, app.bound).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert!(spoken(app.words(start)).contains(" app=0.7 "), "{text}");
    }
    let long = format!("app=0.2\n{}", "more\n".repeat(10_000));
    path.write(&long, Duration::ZERO);
    assert!(spoken(app.words(start)).contains(" app=0.2 "), "only the first line is looked at");
    assert_eq!(read(&std::env::temp_dir(), app.bound), Err("no plain file".into()));
}

#[test]
fn a_socket_answers_each_line_and_forgets_the_last() {
    let path = Scratch::new("socket");
    let socket = SocketFile::bind(&path.0, Senders::Group).unwrap();
    assert_eq!(fs::metadata(&path.0).unwrap().permissions().mode() & 0o777, 0o660);
    let mut app = App::new(Source::Socket(socket), INTERVAL);
    let start = Instant::now();
    app.listen(start);
    assert_eq!(app.words(start), None, "silence from the start is no trouble");

    let sender = Scratch::new("sender");
    let application = UnixDatagram::bind(&sender.0).unwrap();
    application.set_nonblocking(true).unwrap();
    let answered = |app: &mut App, line: &str| {
        application.send_to(line.as_bytes(), &path.0).unwrap();
        app.listen(start);
        let mut answer = [0; 200];
        let len = application.recv(&mut answer).unwrap();
        String::from_utf8(answer[..len].to_vec()).unwrap()
    };
    assert_eq!(answered(&mut app, "app=0.7 #one"), "ok\n");
    assert_eq!(
        answered(&mut app, "app=0.9 svc=web\n"),
        "nak column=9 'svc' is the agent's to say\n"
    );
    assert!(answered(&mut app, &"#".repeat(2_000)).starts_with("nak column=513 longer"));
    assert!(spoken(app.words(start)).ends_with("#one"), "a bad line changes nothing");
    assert_eq!(answered(&mut app, "rif=3\n"), "ok\n");
    let later = start + Duration::from_millis(1_999);
    assert_eq!(spoken(app.words(later)), format!("{ALONE} rif=3"), "a line is the whole state");
    assert_eq!(spoken(app.words(start + Duration::from_secs(2))), ALONE);
}

#[test]
fn a_flood_is_taken_in_pieces() {
    let path = Scratch::new("flood");
    let socket = SocketFile::bind(&path.0, Senders::User).unwrap();
    let mut app = App::new(Source::Socket(socket), INTERVAL);
    let application = UnixDatagram::unbound().unwrap();
    application.set_nonblocking(true).unwrap();
    let now = Instant::now();
    let mut sent = 0_usize;
    while application.send_to(format!("rif={sent}").as_bytes(), &path.0).is_ok() {
        sent += 1;
        assert!(sent < 100_000, "the kernel keeps only so many");
    }
    for _ in 0..sent.div_ceil(DATAGRAMS_MAX) {
        app.listen(now);
    }
    assert_eq!(spoken(app.words(now)), format!("{ALONE} rif={}", sent - 1));
}
