//! Reports at their interval, and what is said of the answers.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;

use lb::guest::report::{AckState, Answer, Fraction, HealthWord};

use crate::fixture::{Agent, Switch, ack, run};

#[test]
fn it_reports_at_its_interval_and_prints_what_is_acknowledged() {
    let switch = Switch::new();
    let mut agent = Agent::start(&switch, &["--interval=50", "--service", "web", "-v"]);
    let mut printed = BufReader::new(agent.child.stdout.take().unwrap()).lines();
    let mut id = None;
    for seq in 1..=5 {
        let heard = switch.acknowledge(AckState::Up, 12);
        let report = heard.report();
        assert_eq!(report.health, Some(HealthWord::Up));
        assert_eq!(report.seq, Some(seq));
        assert_eq!(report.service, Some("web".parse().unwrap()));
        assert!(report.id.is_some());
        assert_eq!(*id.get_or_insert(report.id), report.id, "one life, one id");
        let cpu = report.numbers.cpu.expect("50 ms have ticks");
        assert!(cpu.millionths() <= 2 * Fraction::ONE.millionths(), "{}", heard.line);
        assert!(report.numbers.mem.is_some_and(|mem| mem <= Fraction::ONE), "{}", heard.line);
        assert_eq!(printed.next().unwrap().unwrap(), ack(seq, AckState::Up, 12));
    }
    let another = Agent::start(&switch, &["--interval=50"]);
    let other_id = switch.hear_until(|report| report.service.is_none()).report().id;
    assert_ne!(Some(other_id), id, "another life, another id");
    drop(another);
}

#[test]
fn an_ipv6_address_may_name_its_link() {
    let switch = Switch::at("[::1]:0");
    let target = format!("[::1%lo]:{}", switch.address().port());
    let once = std::thread::spawn(move || run(&["--once", "--interval=50", "--target", &target]));
    let heard = switch.acknowledge(AckState::Up, 0);
    assert_eq!(heard.seq(), 1);
    assert_eq!(
        once.join().unwrap(),
        (Some(0), format!("{}\n", ack(1, AckState::Up, 0)), "".into())
    );
}

#[test]
fn once_is_one_report_and_its_answer() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let from = switch.hear().from;
    switch.answer(from, &ack(1, AckState::Up, 12));
    assert_eq!(agent.finish(), (Some(0), format!("{}\n", ack(1, AckState::Up, 12)), String::new()));
}

#[test]
fn once_fails_when_it_is_refused_or_nobody_answers() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let from = switch.hear().from;
    let nak = Answer::Nak { column: None, why: "this guest is no real" }.to_string();
    switch.answer(from, &nak);
    assert_eq!(agent.finish(), (Some(1), format!("{nak}\n"), String::new()));

    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let silence = format!("fulcrum-agent: no answer from {}\n", switch.target());
    assert_eq!(agent.finish(), (Some(1), String::new(), silence));
}

#[test]
fn a_refusal_is_told_once_and_so_is_its_end() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=50"]);
    for _ in 0..3 {
        let from = switch.hear().from;
        switch.answer(from, "nak column=7 unknown word");
    }
    for seq in 4..6 {
        let from = switch.hear().from;
        switch.answer(from, &ack(seq, AckState::Up, 12));
    }
    switch.hear();
    let (_, out, err) = agent.kill();
    let told = "fulcrum-agent: the switch says: nak column=7 unknown word\n\
                fulcrum-agent: the switch takes our reports\n";
    assert_eq!((out.as_str(), err.as_str()), ("", told));
}

#[test]
fn silence_is_told_and_the_reports_go_on() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=50"]);
    for _ in 0..14 {
        switch.hear();
    }
    let (_, _, err) = agent.kill();
    assert_eq!(err, format!("fulcrum-agent: no answer from {} so far\n", switch.target()));
}

#[test]
fn another_ones_datagram_is_no_answer() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let from = switch.hear().from;
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"nak go away\n", from).unwrap();
    switch.answer(from, &ack(1, AckState::Up, 12));
    assert_eq!(agent.finish(), (Some(0), format!("{}\n", ack(1, AckState::Up, 12)), String::new()));
}

#[test]
fn bad_options_and_interfaces_are_named_and_nothing_is_sent() {
    let (code, out, err) = run(&["--intervall", "5"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "fulcrum-agent: unknown option '--intervall'\nTry: fulcrum-agent --help\n");
    let (code, _, err) = run(&["--once", "--interface", "no-such-if0"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "fulcrum-agent: there is no interface no-such-if0\n");
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("Usage: fulcrum-agent [OPTIONS] "), "{out}");
}
