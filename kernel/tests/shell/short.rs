//! What takes one line where it took three: `undo`, and a line of configuration after `configure`.

use std::time::Duration;

use crate::desk::Bench;

const WEB: &str = "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
                   set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22\n\
                   set service web vip 10.0.2.100 tcp 80\n\
                   set service web real web1\n";

/// Two guests, of which one serves the web and has a flow; a program at the console.
fn serving() -> Bench {
    let mut bench = Bench::new(3);
    bench.configure(WEB);
    bench.run(Duration::from_secs(2));
    bench.call(40_000);
    bench.type_in(b"terminal script on\r");
    bench
}

fn say(bench: &mut Bench, lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("{line}\r")).collect();
    bench.type_in(lines.as_bytes()).replace("\r\n", "\n")
}

fn running(bench: &Bench) -> String {
    bench.control.config().to_string()
}

#[test]
fn the_last_commit_is_taken_back_and_made_again() {
    let mut bench = serving();
    let before = running(&bench);
    say(&mut bench, "configure\nset service web real web2\ncommit\nexit");
    let after = running(&bench);
    assert_ne!(before, after);

    let said = say(&mut bench, "undo");
    let runs = "runs until the machine stops (write says how to keep it).\n% OK\n";
    assert_eq!(said, format!("- set service web real web2\nGeneration 3 {runs}"));
    assert_eq!(running(&bench), before);
    assert!(!bench.control.is_edited());
    let said = say(&mut bench, "undo");
    assert_eq!(said, format!("+ set service web real web2\nGeneration 4 {runs}"));
    assert_eq!(running(&bench), after);
    assert!(say(&mut bench, "show commits").contains(" undo\n"), "the archive says what it was");
    assert!(!bench.is_reset(40_000), "a flow that has nothing to do with it goes on");
}

#[test]
fn a_trial_is_ended_without_waiting_for_its_end() {
    let mut bench = serving();
    let before = running(&bench);
    say(&mut bench, "configure\nset service web real web2\ncommit confirmed 5m");
    let said = say(&mut bench, "undo");
    let taken = "The commit on trial is taken back. The candidate still has it.\n% OK\n";
    assert_eq!(said, format!("- set service web real web2\n{taken}"));
    assert_eq!(running(&bench), before);
    assert!(bench.control.is_edited(), "nobody's work is lost");
    assert_eq!(bench.control.archive().commits().len(), 2, "it was never kept");
    bench.run(Duration::from_secs(400));
    assert_eq!(running(&bench), before, "and nothing comes afterwards");
    assert!(say(&mut bench, "confirm").starts_with("% E303 "));
    assert!(say(&mut bench, "commit").starts_with("Generation 2 runs"), "it may be tried again");
}

#[test]
fn what_undo_would_destroy_it_leaves() {
    let mut bench = serving();
    let plain = "% E311 before what runs there was only the plain switch (rollback 1 and commit make \
                 it one)\n% FAILED\n";
    assert_eq!(say(&mut bench, "undo"), plain);
    say(&mut bench, "configure\nset service web real web2\ncommit\nset system hostname edge");
    let (after, candidate) = (running(&bench), bench.control.candidate().to_string());
    let edited =
        "% E310 the candidate has changes that are not committed (compare, discard)\n% FAILED\n";
    assert_eq!(say(&mut bench, "undo"), edited);
    assert_eq!(running(&bench), after);
    assert_eq!(bench.control.candidate().to_string(), candidate);
    say(&mut bench, "discard");
    assert!(say(&mut bench, "und").starts_with("% E111 "), "by its whole name only");
    assert_eq!(running(&bench), after);
}

#[test]
fn a_line_of_configuration_after_configure() {
    let mut bench = Bench::new(3);
    bench.configure(WEB);
    bench.type_in(b"\r");
    let shown = bench.type_in(b"configure set service web real web2\r");
    assert!(shown.ends_with("\r\nfulcrum(config*)# "), "one is in that mode: {shown:?}");
    assert!(bench.type_in(b"compare\r").contains("\r\n+ set service web real web2\r\n"));
    bench.type_in(b"exit\r");
    let shown = bench.type_in(b"configure discard\r");
    let notes = "The candidate has changes that are not committed (compare, discard).\r\n\
                 The candidate is what runs again.\r\n";
    assert!(shown.contains(notes), "{shown:?}");
    bench.type_in(b"exit\r");
    let shown = bench.type_in(b"configure set servce\r");
    assert!(shown.contains("% E101 "), "{shown:?}");
    assert!(shown.ends_with("fulcrum> "), "a line that is none leads nowhere: {shown:?}");
    assert!(bench.type_in(b"configure show\r").contains("% E101 "), "looking needs no other mode");
}
