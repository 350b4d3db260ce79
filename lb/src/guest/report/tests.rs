//! Reports and answers as text and as values.

use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

fn millionths(fraction: Option<Fraction>) -> Option<u32> {
    fraction.map(Fraction::millionths)
}

fn refused(line: &str) -> (u16, &'static str) {
    let error = LoadReport::parse(line.as_bytes()).expect_err(line);
    (error.column, error.kind.as_str())
}

#[test]
fn the_example_of_the_interface() {
    let line = b"up 75% id=7f3a seq=1042 svc=web app=0.61 cpu=0.42 mem=0.55 steal=0.03 rif=37 \
                 lat=1800 qps=512 eps=0.2 ttl=2500 #gc pause soon";
    let report = LoadReport::parse(line).unwrap();
    assert_eq!(report.health, Some(HealthWord::Up));
    assert_eq!(report.admin, None);
    assert_eq!(report.share, Some(Share::Percent(75)));
    assert_eq!((report.id, report.seq), (Some(0x7f3a), Some(1042)));
    assert_eq!(report.service, Some("web".parse().unwrap()));
    let numbers = report.numbers;
    assert_eq!(millionths(numbers.app), Some(610_000));
    assert_eq!(millionths(numbers.cpu), Some(420_000));
    assert_eq!(millionths(numbers.mem), Some(550_000));
    assert_eq!(millionths(numbers.steal), Some(30_000));
    assert_eq!(numbers.io, None);
    assert_eq!((numbers.requests_in_flight, numbers.latency_us), (Some(37), Some(1800)));
    assert_eq!(numbers.requests.map(Rate::thousandths), Some(512_000));
    assert_eq!(numbers.errors.map(Rate::thousandths), Some(200));
    assert_eq!(report.ttl.map(Ttl::duration), Some(Duration::from_millis(2500)));
    assert_eq!(report.reason, Some("gc pause soon"));
    assert_eq!(report.to_string().as_bytes(), line);
}

#[test]
fn what_other_agents_write() {
    let drained = "drain";
    let cases = [
        ("UP 99%\r\n", "up 99%"),
        ("  ready,up\t50%  ", "up ready 50%"),
        ("down#disk on fire", "down #disk on fire"),
        ("DRAIN\nup", drained),
        ("stopped", "stopped"),
        ("fail # ", "fail"),
        ("maint weight:20 maxconn:300", "maint weight:20 maxconn:300"),
        ("up down", "down"),
        ("cpu=42% mem=1.5", "cpu=0.42 mem=1.5"),
        ("up ts=99999999999 psi=x cpu=0.1", "up cpu=0.1"),
    ];
    for (text, meant) in cases {
        assert_eq!(LoadReport::parse(text.as_bytes()).unwrap().to_string(), meant, "{text}");
    }
}

#[test]
fn l1_numbers_out_of_range_are_refused_with_their_column() {
    let cases = [
        ("up cpu=nan", 8),
        ("up cpu=-1", 8),
        ("cpu=4294967295", 5),
        ("cpu=100.1", 5),
        ("101%", 1),
        ("-5%", 1),
        ("up, app=0.4 mem=", 17),
        ("weight:1001", 8),
        ("maxconn:-1", 9),
        ("seq=4294967296", 5),
        ("id=xyz", 4),
        ("ttl=0", 5),
        ("ttl=3600001", 5),
    ];
    for (line, column) in cases {
        assert_eq!(refused(line), (column, "report_range"), "{line}");
    }
}

#[test]
fn l2_wrong_lengths_are_refused() {
    assert_eq!(refused(""), (1, "report_len"));
    assert_eq!(refused(" , \r\n"), (1, "report_len"));
    assert_eq!(refused("#"), (1, "report_len"));
    let longest = format!("up #{}", "x".repeat(REPORT_BYTES_MAX - 4));
    assert!(LoadReport::parse(longest.as_bytes()).is_ok());
    assert_eq!(refused(&format!("{longest}x")), (513, "report_len"));
}

#[test]
fn unknown_words_and_bytes_are_refused_with_their_column() {
    assert_eq!(refused("up 75 id=1"), (4, "report_word"));
    assert_eq!(refused("up cpu=0,42"), (10, "report_word"));
    assert_eq!(refused("up wieght:7"), (4, "report_word"));
    assert_eq!(refused("svc=9web"), (5, "report_name"));
    assert_eq!(refused("up #\x1b[2J"), (5, "report_byte"));
    assert_eq!(refused("up \u{e9}"), (4, "report_byte"));
    assert_eq!(refused("up\0"), (3, "report_byte"));
}

#[test]
fn answers_as_text() {
    let line = "ack seq=1042 state=up weight=75 flows=12 new=3 ended=2 synack=180";
    let ack = Ack {
        seq: Some(1042),
        state: AckState::Up,
        weight: 75,
        flows: 12,
        new: 3,
        ended: 2,
        syn_ack_us: Some(180),
    };
    assert_eq!(ack.to_string(), line);
    assert_eq!(Answer::parse(line.as_bytes()), Ok(Answer::Ack(ack)));

    let refusal = Answer::from(LoadReport::parse(b"up 75% upp").unwrap_err());
    let text = refusal.to_string();
    assert!(text.starts_with("nak column=8 unknown word (up down"), "{text}");
    let read = Answer::parse(text.as_bytes()).unwrap();
    assert!(matches!(read, Answer::Nak { column: Some(8), why } if why.starts_with("unknown")));
}

#[test]
fn what_is_no_answer() {
    let lines =
        ["", "ack", "up 75%", "ack seq=1", "ack state=odd", "ack state=up flows=x", "ack up"];
    for line in lines {
        assert_eq!(Answer::parse(line.as_bytes()), Err(NotAnAnswer), "{line}");
    }
    assert_eq!(Answer::parse(b"nak \x1b[2J"), Err(NotAnAnswer));
}

fn fraction() -> impl Strategy<Value = Option<Fraction>> {
    proptest::option::of((0..=100_000_000u64).prop_map(Fraction::from_millionths))
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    proptest::option::of((0..=1_000_000_000_000u64).prop_map(Rate::from_thousandths))
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let loads = (fraction(), fraction(), fraction(), fraction(), fraction());
    (loads, any::<[Option<u32>; 3]>(), rate(), rate()).prop_map(
        |(loads, counts, requests, errors)| {
            let (app, cpu, mem, io, steal) = loads;
            let [requests_in_flight, latency_us, p99_us] = counts;
            Numbers {
                app,
                cpu,
                mem,
                io,
                steal,
                requests_in_flight,
                latency_us,
                p99_us,
                requests,
                errors,
            }
        },
    )
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![
        (0..=100u8).prop_map(Share::Percent),
        (0..=RealSpec::WEIGHT_MAX).prop_map(Share::Weight),
    ]
}

/// A report, its reason apart, for that it only borrows.
fn report() -> impl Strategy<Value = (LoadReport<'static>, String)> {
    let words = (
        proptest::option::of(proptest::sample::select(&HealthWord::ALL[..])),
        proptest::option::of(proptest::sample::select(&AdminState::ALL[..])),
        proptest::option::of(share()),
        any::<Option<u32>>(),
    );
    let names = (
        any::<Option<u64>>(),
        any::<Option<u32>>(),
        proptest::option::of("[a-z][a-z0-9._-]{0,30}"),
    );
    let ttl = proptest::option::of((1..=Ttl::MAX_MS).prop_map(Ttl));
    let reason = "([!-~]([ -~]{0,100}[!-~])?)?";
    (words, names, numbers(), ttl, reason).prop_map(|(words, names, numbers, ttl, reason)| {
        let (health, admin, share, flows_max) = words;
        let (id, seq, service) = names;
        let service = service.map(|name| name.parse().unwrap());
        let report = LoadReport {
            health,
            admin,
            share,
            flows_max,
            id,
            seq,
            service,
            numbers,
            ttl,
            reason: None,
        };
        (report, reason)
    })
}

proptest! {
    #[test]
    fn a_report_says_in_text_what_it_is((mut report, reason) in report()) {
        report.reason = (!reason.is_empty()).then_some(reason.as_str());
        let text = report.to_string();
        prop_assert!(text.len() <= REPORT_BYTES_MAX, "{} bytes", text.len());
        if text.is_empty() {
            prop_assert_eq!(report, LoadReport::default());
        } else {
            prop_assert_eq!(LoadReport::parse(text.as_bytes()), Ok(report));
        }
    }

    #[test]
    fn an_answer_says_in_text_what_it_is(
        seq in any::<Option<u32>>(),
        state in proptest::sample::select(&AckState::ALL[..]),
        (weight, flows) in any::<(u32, u32)>(),
        (new, ended) in any::<(u64, u64)>(),
        syn_ack_us in any::<Option<u32>>(),
        column in any::<Option<u16>>(),
    ) {
        let ack = Ack { seq, state, weight, flows, new, ended, syn_ack_us };
        let text = ack.to_string();
        prop_assert_eq!(Answer::parse(text.as_bytes()), Ok(Answer::Ack(ack)));
        let nak = Answer::Nak { column, why: "no such service" };
        let text = nak.to_string();
        prop_assert_eq!(Answer::parse(text.as_bytes()), Ok(nak));
    }

    /// Whatever comes in, an error points into the datagram or just behind it.
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Err(error) = LoadReport::parse(&bytes) {
            prop_assert!(usize::from(error.column) <= bytes.len() + 1);
        }
        let _ = Answer::parse(&bytes);
    }

    /// The same, with bytes that get past the first checks.
    #[test]
    fn any_words_are_taken_or_refused(
        words in proptest::collection::vec(
            "(up|drain|weight:|maxconn:|cpu=|id=|svc=|ttl=|#|[0-9]{0,12}\\.?[0-9]{0,9}%?|[ -~]{0,6})",
            0..12,
        )
    ) {
        let line: String = words.into_iter().collect::<Vec<_>>().join(" ");
        match LoadReport::parse(line.as_bytes()) {
            Err(error) => prop_assert!(usize::from(error.column) <= line.len() + 1),
            Ok(report) if report != LoadReport::default() => {
                let text = report.to_string();
                prop_assert_eq!(LoadReport::parse(text.as_bytes()), Ok(report));
            }
            Ok(_) => {}
        }
    }
}
