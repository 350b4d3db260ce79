//! The agent as a program, over loopback, before a switch that reads with the switch's own parser.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use lb::report::{Ack, AckState, Answer, Fraction, HealthWord, LoadReport};

/// The switch's end.
struct Switch(UdpSocket);

/// An agent that ends with the test.
struct Agent(Child);

impl Switch {
    fn new() -> Switch {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Switch(socket)
    }

    fn target(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    fn hear(&self) -> (String, SocketAddr) {
        let mut datagram = [0; 600];
        let (len, from) = self.0.recv_from(&mut datagram).expect("a report within ten seconds");
        (String::from_utf8(datagram[..len].to_vec()).unwrap(), from)
    }

    fn answer(&self, to: SocketAddr, line: &str) {
        self.0.send_to(format!("{line}\n").as_bytes(), to).unwrap();
    }
}

impl Agent {
    fn start(switch: &Switch, options: &[&str]) -> Agent {
        let child = command(options).arg("--target").arg(switch.target()).spawn().unwrap();
        Agent(child)
    }

    fn finish(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code(), out, err)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum-agent"));
    command.args(options).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(options: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(options).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn ack(seq: u32) -> String {
    Ack {
        seq: Some(seq),
        state: AckState::Up,
        weight: 100,
        flows: 12,
        new: 3,
        ended: 2,
        syn_ack_us: Some(180),
    }
    .to_string()
}

#[test]
fn it_reports_at_its_interval_and_prints_what_is_acknowledged() {
    let switch = Switch::new();
    let mut agent = Agent::start(&switch, &["--interval=50", "--service", "web", "-v"]);
    let mut printed = BufReader::new(agent.0.stdout.take().unwrap()).lines();
    let mut id = None;
    for seq in 1..=5 {
        let (line, from) = switch.hear();
        let report = LoadReport::parse(line.as_bytes()).unwrap();
        assert_eq!(report.health, Some(HealthWord::Up));
        assert_eq!(report.seq, Some(seq));
        assert_eq!(report.service, Some("web".parse().unwrap()));
        assert!(report.id.is_some());
        assert_eq!(*id.get_or_insert(report.id), report.id, "one life, one id");
        let cpu = report.numbers.cpu.expect("50 ms have ticks");
        assert!(cpu.millionths() <= 2 * Fraction::ONE.millionths(), "{line}");
        assert!(report.numbers.mem.is_some_and(|mem| mem <= Fraction::ONE), "{line}");
        switch.answer(from, &ack(seq));
        assert_eq!(printed.next().unwrap().unwrap(), ack(seq));
    }
    let another = Agent::start(&switch, &["--interval=50"]);
    let other_id = loop {
        let (line, _) = switch.hear();
        let report = LoadReport::parse(line.as_bytes()).unwrap();
        if report.service.is_none() {
            break report.id;
        }
    };
    assert_ne!(Some(other_id), id, "another life, another id");
    drop(another);
}

#[test]
fn once_is_one_report_and_its_answer() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let (_, from) = switch.hear();
    switch.answer(from, &ack(1));
    assert_eq!(agent.finish(), (Some(0), format!("{}\n", ack(1)), String::new()));
}

#[test]
fn once_fails_when_it_is_refused_or_nobody_answers() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let (_, from) = switch.hear();
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
    let mut agent = Agent::start(&switch, &["--interval=50"]);
    for _ in 0..3 {
        let (_, from) = switch.hear();
        switch.answer(from, "nak column=7 unknown word");
    }
    for seq in 4..6 {
        let (_, from) = switch.hear();
        switch.answer(from, &ack(seq));
    }
    switch.hear();
    agent.0.kill().unwrap();
    let (_, out, err) = agent.finish();
    let told = "fulcrum-agent: the switch says: nak column=7 unknown word\n\
                fulcrum-agent: the switch takes our reports\n";
    assert_eq!((out.as_str(), err.as_str()), ("", told));
}

#[test]
fn silence_is_told_and_the_reports_go_on() {
    let switch = Switch::new();
    let mut agent = Agent::start(&switch, &["--interval=50"]);
    for _ in 0..14 {
        switch.hear();
    }
    agent.0.kill().unwrap();
    let (_, _, err) = agent.finish();
    assert_eq!(err, format!("fulcrum-agent: no answer from {} so far\n", switch.target()));
}

#[test]
fn another_ones_datagram_is_no_answer() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--once", "--interval=50"]);
    let (_, from) = switch.hear();
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(b"nak go away\n", from).unwrap();
    switch.answer(from, &ack(1));
    assert_eq!(agent.finish(), (Some(0), format!("{}\n", ack(1)), String::new()));
}

#[test]
fn bad_options_and_interfaces_are_named_and_nothing_is_sent() {
    let (code, out, err) = run(&["--intervall", "5"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(err, "fulcrum-agent: unknown option '--intervall'\nTry: fulcrum-agent --help\n");
    let (code, _, err) = run(&["--interface", "no-such-if0"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "fulcrum-agent: there is no interface no-such-if0\n");
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("Usage: fulcrum-agent [OPTIONS]\n"), "{out}");
}
