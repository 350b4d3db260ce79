//! What guest 1 says, byte by byte.

use super::*;

#[test]
fn what_is_no_report_is_refused_with_its_column() {
    const NO_NUMBER: &str = "not a number (digits and at most one point; no sign, no exponent)";
    const NO_WORD: &str = "unknown word (up down stopped fail ready drain maint N% weight:N \
                           maxconn:N key=value #reason)";
    let no_ascii =
        |byte: u8| format!("byte 0x{byte:02x} (a report is one line of printable ASCII)");
    let no_number = || NO_NUMBER.to_string();
    let no_word = || NO_WORD.to_string();
    let range = |from: u32, to: u32| format!("out of range {from} to {to}");
    let no_name = || "a name begins with a letter".to_string();
    let nothing = || "the report says nothing".to_string();
    let too_long = format!("up #{}", "x".repeat(509));
    let rows: [(&str, &[u8], usize, String); 32] = [
        ("L1 a negative number", b"up cpu=-1", 8, no_number()),
        ("L1 not a number", b"up app=NaN", 8, no_number()),
        ("L1 infinity", b"up app=inf", 8, no_number()),
        ("L1 no digits", b"up app=", 8, no_number()),
        ("L1 an exponent", b"up qps=1e30", 8, no_number()),
        ("L1 10^30", b"cpu=1000000000000000000000000000000", 5, range(0, 100)),
        ("L1 10^30 requests", b"rif=1000000000000000000000000000000", 5, range(0, u32::MAX)),
        ("L1 u32::MAX times busy", b"app=4294967295", 5, range(0, 100)),
        ("L1 2^32", b"up seq=4294967296", 8, range(0, u32::MAX)),
        ("L1 101 % of the weight", b"up 101%", 4, range(0, 100)),
        ("L1 400 % of the weight", b"400%", 1, range(0, 100)),
        ("L1 less than nothing of the weight", b"-5%", 1, no_number()),
        ("L1 a weight beyond the limit", b"weight:1001", 8, range(0, 1000)),
        ("L1 a negative weight", b"weight:-1", 8, no_number()),
        ("L1 2^32 flows", b"maxconn:4294967296", 9, range(0, u32::MAX)),
        ("L1 an id that is none", b"up id=xyz", 7, no_number()),
        ("L1 words that hold for no time", b"up ttl=0", 8, range(1, 3_600_000)),
        ("L1 words that hold for ever", b"drain ttl=3600001", 11, range(1, 3_600_000)),
        ("L2 nothing", b"", 1, nothing()),
        ("L2 a line without a word", b" ,\t\r\n", 1, nothing()),
        ("L2 an empty line before the report", b"\nup", 1, nothing()),
        ("L2 a reason without one", b"#", 1, nothing()),
        ("L2 513 bytes", too_long.as_bytes(), 513, "longer than 512 bytes".to_string()),
        ("L2 not ASCII", "up \u{e9}".as_bytes(), 4, no_ascii(0xc3)),
        ("L2 a NUL", b"up\0", 3, no_ascii(0)),
        ("L2 a terminal's escape", b"up #\x1b[2J", 5, no_ascii(0x1b)),
        ("L2 an unknown word", b"up 75% wat", 8, no_word()),
        ("L2 a word misspelt", b"up wieght:7", 4, no_word()),
        ("L2 a number alone", b"75", 1, no_word()),
        ("L2 a word cut short", b"dow", 1, no_word()),
        ("L3 a service's name that is none", b"svc=9web", 5, no_name()),
        ("L2 no version but this one", b"v2:up", 1, no_word()),
    ];
    for (what, line, column, why) in rows {
        says(what, BEFORE, line, Ending::Refused(MALFORMED, format!("column={column} {why}")));
    }
}

/// What guest 1 says, the answer, and how its real then stands.
type Odd<'a> = (&'a str, &'a [u8], &'static str, Result<(), Ineligible>);

#[test]
fn odd_reports_are_taken() {
    let longest = format!("up 40% #{}", "x".repeat(504));
    let reason = format!("up #{}", "because ".repeat(12));
    let plain = "state=up weight=40 flows=0 new=0 ended=0";
    let whole = "state=up weight=100 flows=0 new=0 ended=0";
    let drained = "state=drained weight=100 flows=0 new=0 ended=0";
    let down = "state=down weight=100 flows=0 new=0 ended=0";
    let no_weight = "state=drain weight=0 flows=0 new=0 ended=0";
    let rows: [Odd; 21] = [
        ("512 bytes", longest.as_bytes(), plain, Ok(())),
        ("a reason of 100 bytes", reason.as_bytes(), whole, Ok(())),
        ("two lines: the first", b"up 40%\nfoo", plain, Ok(())),
        ("CRLF", b"up 40%\r\n", plain, Ok(())),
        ("capitals, commas, tabs", b" UP,\t40% ", plain, Ok(())),
        ("what a later agent may add", b"up 40% gpu=0.9 new=", plain, Ok(())),
        ("L14 a time to come", b"up 40% ts=4102444800 app=0.5", plain, Ok(())),
        ("no word at all", b"app=0.9", whole, Ok(())),
        ("four CPUs' worth of a CPU", b"up cpu=400%", whole, Ok(())),
        ("more weight than it has been given", b"weight:1000", whole, Ok(())),
        ("no weight", b"0%", no_weight, Err(Ineligible::NoWeight)),
        ("no flow more", b"up maxconn:0", whole, Err(Ineligible::Full)),
        ("the longest ttl", b"up ttl=3600000", whole, Ok(())),
        ("a share said twice: the last", b"10% up 40%", plain, Ok(())),
        ("a number said twice: the last", b"up 40% app=9 app=0.1", plain, Ok(())),
        ("health said twice: the last", b"up down", down, Err(Ineligible::AgentDown)),
        ("and the other way round", b"down up", whole, Ok(())),
        ("health and wish: the weightier", b"up drain", drained, Err(Ineligible::AgentDrain)),
        ("in any order", b"ready fail", down, Err(Ineligible::AgentDown)),
        ("for its one service", b"up 40% svc=web", plain, Ok(())),
        ("all numbers, all 0", b"up app=0 cpu=0 mem=0 io=0 steal=0 rif=0 lat=0", whole, Ok(())),
    ];
    for (what, line, answer, eligibility) in rows {
        says(what, BEFORE, line, Ending::Taken(answer, eligibility));
    }
}

#[test]
fn reports_out_of_order() {
    let old = |seq: u32, last: u32| {
        let why = format!("seq {seq} is not after {last} (a restarted agent needs another id)");
        Ending::Refused(OLD, why)
    };
    const SEQ_MAX: &[&str] = &["up id=a seq=4294967295"];
    const HALF_ROUND: &[&str] = &["up id=a seq=5", "up id=a seq=2147483653"];
    let rows = [
        ("L5 a replay", BEFORE, "up id=a seq=5", old(5, 5)),
        ("L5 an older one", BEFORE, "down id=a seq=4", old(4, 5)),
        ("L5 F26 from before the wrap", BEFORE, "down id=a seq=4294967295", old(u32::MAX, 5)),
        ("L6 jumped back", HALF_ROUND, "up id=a seq=5", old(5, 2_147_483_653)),
        (
            "L6 a jump of 2^31",
            BEFORE,
            "up id=a seq=2147483653",
            taken("seq=2147483653 state=up weight=100 flows=0 new=0 ended=0"),
        ),
        (
            "L6 the wrap",
            SEQ_MAX,
            "up id=a seq=0",
            taken("seq=0 state=up weight=100 flows=0 new=0 ended=0"),
        ),
        (
            "another id is another life",
            BEFORE,
            "up id=c seq=1",
            taken("seq=1 state=up weight=100 flows=0 new=0 ended=0"),
        ),
        (
            "and so is the old one again: whose port it is may say who it is",
            &["up id=a seq=5", "up id=c seq=1"],
            "up id=a seq=5",
            taken("seq=5 state=up weight=100 flows=0 new=0 ended=0"),
        ),
        (
            "by hand, between an agent's",
            BEFORE,
            "up",
            taken("state=up weight=100 flows=0 new=0 ended=0"),
        ),
    ];
    for (what, before, line, ending) in rows {
        says(what, before, line.as_bytes(), ending);
    }
}

#[test]
fn l3_a_guest_speaks_for_its_own_reals() {
    let no_real =
        || Ending::Refused(NO_REAL, "this guest is no real of such a service".to_string());
    says("another guest's service", BEFORE, b"down svc=dns", no_real());
    says("nobody's service", BEFORE, b"down svc=nil", no_real());
}

/// Guest 1 says these bytes, by both versions of IP.
fn says(what: &str, before: &[&str], bytes: &[u8], ending: Ending) {
    for version in VERSIONS {
        let ends = ends_of_report(1, own_address(1, version));
        let (frame, ending) = (ends.udp(bytes), ending.clone());
        try_out(&Row { what, before, ingress: 1, ends, frame, ending });
    }
}
