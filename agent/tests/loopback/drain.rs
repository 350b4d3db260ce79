//! Out of service and back: by the agent that runs, without one, and at its end.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::signal::Signal;

use lb::AdminState;
use lb::guest::report::{AckState, Answer, LoadReport, Ttl};

use crate::fixture::{Agent, Finished, Scratch, Switch, ack, command, run};

fn asks_for_drain(report: &LoadReport<'_>) -> bool {
    report.admin == Some(AdminState::Drain)
}

/// Answers the next reports that ask for a drain as if so many flows were open.
fn let_flows_end(switch: &Switch, open: &[u32]) {
    for &flows in open {
        let heard = switch.hear_until(asks_for_drain);
        assert_eq!(heard.report().ttl, Some(Ttl::MAX), "it outlives the agent: {}", heard.line);
        switch.answer(heard.from, &ack(heard.seq(), AckState::Drain, flows));
    }
    let heard = switch.hear_until(asks_for_drain);
    switch.answer(heard.from, &ack(heard.seq(), AckState::Drained, 0));
}

/// The lines of a program as they come.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

fn finished(status: i32, out: &str, err: &str) -> Finished {
    (Some(status), out.into(), err.into())
}

#[test]
fn the_agent_that_runs_drains_and_serves_again() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=50"]);
    for _ in 0..2 {
        assert_eq!(switch.acknowledge(AckState::Up, 2).report().admin, None);
    }
    let mut drain =
        command(&["drain", "--wait=30", "--control", &agent.control()]).spawn().unwrap();
    let printed = lines_of(drain.stdout.take().unwrap());
    let first = switch.hear_until(asks_for_drain);
    switch.answer(first.from, &ack(first.seq() - 1, AckState::Drained, 0));
    // The command asks now and then: each count stands until it was seen.
    for flows in [2, 1, 0] {
        let line = (0..200).find_map(|_| {
            let heard = switch.hear_until(asks_for_drain);
            switch.answer(heard.from, &ack(heard.seq(), AckState::Drain, flows));
            printed.try_recv().ok()
        });
        assert_eq!(line, Some(format!("flows open: {flows}")));
    }
    let_flows_end(&switch, &[]);
    assert_eq!(printed.iter().collect::<Vec<_>>(), ["drained"]);
    assert!(drain.wait().unwrap().success());

    assert!(asks_for_drain(&switch.hear().report()), "it goes on asking");
    assert_eq!(run(&["undrain", "--control", &agent.control()]), finished(0, "", ""));
    let back = switch.hear_until(|report| !asks_for_drain(report));
    assert_eq!((back.report().admin, back.report().ttl), (None, None));
    assert_eq!(back.report().id, first.report().id, "the same life all the while");
    assert_eq!(agent.kill(), (None, String::new(), String::new()));
}

#[test]
fn a_drain_does_not_wait_for_an_interval() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=60000"]);
    let control = agent.control();
    let drain = thread::spawn(move || {
        while !std::path::Path::new(&control).exists() {
            thread::yield_now();
        }
        run(&["drain", "--wait=30", "--control", &control])
    });
    let_flows_end(&switch, &[]);
    assert_eq!(drain.join().unwrap(), finished(0, "flows open: 0\ndrained\n", ""));
}

#[test]
fn without_an_agent_the_command_reports_by_itself() {
    let (switch, files) = (Switch::new(), Scratch::new());
    let (target, control) = (switch.target(), files.name("control"));
    let options = ["--interval=50", "--target", &target, "--control", &control].map(String::from);
    let with = |command: &str| {
        let all: Vec<String> = [command.to_owned()].into_iter().chain(options.clone()).collect();
        thread::spawn(move || run(&all.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let drain = with("drain");
    let_flows_end(&switch, &[7, 7, 3]);
    let out = "flows open: 7\nflows open: 3\nflows open: 0\ndrained\n";
    assert_eq!(drain.join().unwrap(), finished(0, out, ""));

    let undrain = with("undrain");
    let back = switch.hear_until(|report| !asks_for_drain(report));
    assert_eq!(back.report().admin, None);
    let answer = ack(back.seq(), AckState::Up, 0);
    switch.answer(back.from, &answer);
    assert_eq!(undrain.join().unwrap(), finished(0, &format!("{answer}\n"), ""));
}

#[test]
fn a_drain_that_does_not_end_has_its_own_status() {
    let files = Scratch::new();
    let drain = |switch: &Switch| {
        let (target, control) = (switch.target(), files.name("control"));
        let options = ["drain", "--wait=1", "--target", &target, "--control", &control];
        let options = options.map(String::from);
        thread::spawn(move || run(&options.each_ref().map(String::as_str)))
    };
    let switch = Switch::new();
    let late = drain(&switch);
    switch.acknowledge(AckState::Drain, 5);
    let err = "fulcrum-agent: not drained in time, flows open: 5\n";
    assert_eq!(late.join().unwrap(), finished(3, "flows open: 5\n", err));

    let switch = Switch::new();
    let err = "fulcrum-agent: no switch answers\n";
    assert_eq!(drain(&switch).join().unwrap(), finished(4, "", err));

    let switch = Switch::new();
    let refused = drain(&switch);
    let nak = Answer::Nak { column: None, why: "this guest is no real" }.to_string();
    switch.answer(switch.hear().from, &nak);
    let err = "fulcrum-agent: no switch drains this guest: this guest is no real\n";
    assert_eq!(refused.join().unwrap(), finished(4, "", err));
}

#[test]
fn a_stopped_agent_leaves_its_guest_in_service() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let switch = Switch::new();
        let mut agent = Agent::start(&switch, &["--interval=50"]);
        switch.hear();
        let control = agent.files.path("control");
        assert!(control.exists());
        agent.signal(signal);
        assert_eq!(agent.child.wait().unwrap().code(), Some(0));
        assert!(!control.exists(), "its socket goes with it");
        while !switch.is_silent() {
            assert_eq!(switch.hear().report().admin, None);
        }
        assert_eq!(agent.finish(), finished(0, "", ""));
    }
}

#[test]
fn an_agent_may_drain_before_it_stops() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=50", "--drain-on-stop=30"]);
    switch.acknowledge(AckState::Up, 2);
    agent.signal(Signal::SIGTERM);
    let_flows_end(&switch, &[2, 1]);
    assert_eq!(agent.finish(), finished(0, "", "fulcrum-agent: drained\n"));

    let agent = Agent::start(&switch, &["--interval=50", "--drain-on-stop=30"]);
    switch.hear_until(|report| !asks_for_drain(report));
    agent.signal(Signal::SIGTERM);
    let heard = switch.hear_until(asks_for_drain);
    switch.answer(heard.from, &ack(heard.seq(), AckState::Drain, 2));
    let err = "fulcrum-agent: the running agent says: nak this agent is about to stop\n";
    assert_eq!(run(&["undrain", "--control", &agent.control()]), finished(1, "", err));
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.finish(), finished(0, "", ""), "a second signal cuts it short");
}

#[test]
fn two_agents_do_not_share_a_control_socket() {
    let switch = Switch::new();
    let agent = Agent::start(&switch, &["--interval=50"]);
    switch.hear();
    let control = agent.control();
    let err = format!("fulcrum-agent: no socket {control}: another program listens there\n");
    assert_eq!(run(&["--control", &control]), finished(1, "", &err));
    switch.hear();
    assert_eq!(agent.kill(), (None, String::new(), String::new()));
}
