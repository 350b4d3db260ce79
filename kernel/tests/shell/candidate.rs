//! What becomes of a candidate: commits, trials, what is loaded, and those who edit it.

use std::time::Duration;

use kernel::config::archive::COMMITS_MAX;
use kernel::config::{LINES_MAX, THINGS_MAX};
use kernel::console::Console;
use kernel::seats::Place;
use lb::{Command, Name};

use crate::desk::{Bench, Terminal};

const WEB: &str = "\
set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21
set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22
set service web vip 10.0.2.100 tcp 80
set service web real web1
set service web real web2
";

/// In script mode and configuration mode, with this configuration.
fn program(configuration: &str) -> Bench {
    let mut bench = Bench::new(4);
    bench.configure(configuration);
    bench.run(Duration::from_secs(2));
    bench.type_in(b"terminal script on\rconfigure\r");
    bench
}

/// The answer to lines, without carriage returns.
fn say(bench: &mut Bench, lines: &str) -> String {
    bench.type_in(format!("{lines}\n").as_bytes()).replace("\r\n", "\n")
}

/// What says whether anything was changed: the epoch, both configurations, and the commits.
fn state(bench: &Bench) -> (u64, String, String, usize) {
    let control = &bench.control;
    (
        bench.appliance.dataplane.tables().epoch(),
        control.config().to_string(),
        control.candidate().to_string(),
        control.archive().commits().len(),
    )
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_refused_commit_names_everything_and_changes_nothing() {
    let mut bench = program(WEB);
    // (row of the list of hostile inputs, lines, what the commit says)
    let cases: [(&str, &str, &[&str]); 5] = [
        (
            "C3 two services of one VIP",
            "set service api vip 10.0.2.100 tcp 80",
            &["% E203 service web: 10.0.2.100 tcp 80 is also service api's"],
        ),
        (
            "C5 a MAC twice",
            "set guest web3 port p3 mac 52:54:00:01:00:02",
            &["% E203 guest web3: 52:54:00:01:00:02 is also guest web2's"],
        ),
        (
            "C16 a VIP that a guest has",
            "set service web vip 10.0.2.22 tcp 80",
            &["% E203 service web: 10.0.2.22 is guest web2's own address; a VIP is nobody's own"],
        ),
        (
            "C16 a VIP that the appliance has",
            "set service web vip 169.254.2.1 tcp 80",
            &["% E203 service web: 169.254.2.1 is the appliance's own"],
        ),
        (
            "three at once",
            "set guest web3 port p9\nset service web real web9",
            &[
                "% E204 guest web3: it has no MAC (set guest … mac …)",
                "% E201 guest web3: there is no port p9 (ports: up0 p1 p2 p3)",
                "% E201 service web: real web9 is no guest (set guest web9 …)",
            ],
        ),
    ];
    for (what, lines, errors) in cases {
        say(&mut bench, "discard");
        let (epoch, running, ..) = state(&bench);
        say(&mut bench, lines);
        let before = state(&bench);
        assert_eq!((before.0, &before.1), (epoch, &running), "{what}: it does not run yet");
        assert_ne!(before.2, running, "{what}: the candidate has it");
        let count = match errors.len() {
            1 => "% E202 1 error, nothing was changed".to_string(),
            count => format!("% E202 {count} errors, nothing was changed"),
        };
        let expected = format!("{}\n{count}\n% FAILED\n", errors.join("\n"));
        for order in ["commit", "commit check", "commit confirmed 5m", "commit comment x"] {
            assert_eq!(say(&mut bench, order), expected, "{what}: {order}");
            assert_eq!(state(&bench), before, "{what}: {order}");
        }
    }
}

#[test]
fn c14_a_real_that_goes_keeps_its_flows_and_the_commit_counts_them() {
    let mut bench = program(WEB);
    (0..10).for_each(|at| bench.call(40_000 + at));
    let open = |bench: &Bench, guest: &str| -> u32 {
        let reals = bench.appliance.dataplane.tables().reals();
        let of_guest = reals.filter(|(_, real)| real.spec.guest == name(guest));
        of_guest.map(|(_, real)| real.counters.flows_open).sum()
    };
    let (of_web1, of_web2) = (open(&bench, "web1"), open(&bench, "web2"));
    assert!(of_web1 > 1 && of_web2 > 1 && of_web1 + of_web2 == 10);
    say(&mut bench, "delete service web real web1");
    let said = say(&mut bench, "commit");
    let waits =
        format!("real web1 has {of_web1} open flows, which go on until they end (or: commit now).");
    assert!(said.contains(&format!("Service web: {waits}\n")), "{said}");
    assert_eq!((open(&bench, "web1"), open(&bench, "web2")), (of_web1, of_web2));
    say(&mut bench, "delete service web");
    let said = say(&mut bench, "commit");
    assert!(said.contains(&format!("real web2 has {of_web2} open flows")), "{said}");
    assert!(!said.contains("web1"), "it went before: {said}");
    assert_eq!(bench.appliance.dataplane.flows().len(), 10);
}

#[test]
fn c15_the_last_real_may_go_and_the_commit_warns() {
    let cases = [
        ("", "its clients hear nothing."),
        ("set service web empty reset\n", "its clients are reset."),
        ("set service web empty sorry web1\n", "guest web1 serves instead."),
    ];
    for (empty, consequence) in cases {
        let mut bench = program(&format!("{WEB}{empty}"));
        say(&mut bench, "delete service web real web1");
        assert!(!say(&mut bench, "commit").contains("Warning"), "one is left");
        say(&mut bench, "delete service web real web2");
        let said = say(&mut bench, "commit");
        let warning = format!("Warning: service web has no real; {consequence}\n% OK\n");
        assert!(said.ends_with(&warning), "{said}");
        say(&mut bench, "set system hostname edge");
        assert!(!say(&mut bench, "commit").contains("Warning"), "it is no news");
    }
}

#[test]
fn c14_now_ends_the_flows_of_what_goes() {
    for lines in ["delete service web real web1\ncommit now", "no service web\ncommit\ncommit now"]
    {
        let mut bench = program(WEB);
        bench.configure(&format!("{WEB}set service web scheduler rr\n"));
        say(&mut bench, "discard");
        (0..4).for_each(|at| bench.call(40_000 + at));
        let said = say(&mut bench, lines);
        assert!(
            said.contains("Service web: 2 flows of real web1 ended; who speaks is told."),
            "{said}"
        );
        assert_eq!(said.contains("2 flows of real web2 ended"), lines.contains("no service"));
        // Whoever was web1's is reset; web2's go on, unless they ended as well.
        let reset: Vec<bool> = (0..4).map(|at| bench.is_reset(40_000 + at)).collect();
        let is_all = lines.contains("no service");
        assert_eq!(reset.iter().filter(|&&reset| reset).count(), if is_all { 4 } else { 2 });
        assert_eq!(bench.appliance.dataplane.flows().len(), if is_all { 0 } else { 2 });
        let nothing = "There is nothing to commit: the candidate is what runs.\n% OK\n";
        assert_eq!(say(&mut bench, "commit now"), nothing, "nobody waits any more");
    }
}

/// What a commit does not name keeps its flows, its counters and its Maglev table.
#[test]
fn what_a_commit_does_not_name_goes_on() {
    let mut bench = program(&format!("{WEB}set service web scheduler mh\n"));
    (0..10).for_each(|at| bench.call(40_000 + at));
    let seen = |bench: &Bench| {
        let plane = &bench.appliance.dataplane;
        let tables = plane.tables();
        let (id, web) = tables.services().find(|(_, s)| s.spec.name == name("web")).unwrap();
        let reals: Vec<_> = web.reals.iter().map(|&id| tables.real(id).unwrap()).collect();
        let counters: Vec<_> = reals.iter().map(|real| real.counters).collect();
        let flows: Vec<_> = plane.flows().iter().map(|f| (f.client(), f.real, f.state)).collect();
        (id, web.counters, web.reals.clone(), counters, flows)
    };
    let before = seen(&bench);
    let lines = "set guest web3 port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
                 set service api vip 10.0.2.101 tcp 80\n\
                 set service api scheduler mh\n\
                 set service api real web3\n\
                 commit";
    assert!(say(&mut bench, lines).contains("Generation 2 runs"));
    assert_eq!(seen(&bench), before, "a service comes");
    assert_eq!(bench.appliance.dataplane.tables().services().count(), 2);
    assert!(say(&mut bench, "delete service api\ncommit").contains("Generation 3 runs"));
    assert_eq!(seen(&bench), before, "and goes");
    assert!(say(&mut bench, "rollback 1\ncommit").contains("Generation 4 runs"));
    assert_eq!(seen(&bench), before, "and comes back");
}

/// Steps that were taken before one was refused are taken back. Here the table of services is full
/// of those that wait for their last flows, which no check of a configuration can know.
#[test]
fn a_commit_that_the_tables_refuse_is_taken_back() {
    let mut bench = program(WEB);
    for at in 0..127 {
        bench.call(40_000 + at);
        say(&mut bench, "delete service web\ncommit");
        let back = "set service web vip 10.0.2.100 tcp 80\nset service web real web1\ncommit";
        let said = say(&mut bench, back);
        assert!(said.contains("Generation"), "{at}: {said}");
    }
    assert_eq!(bench.appliance.dataplane.flows().len(), 127);
    let commands = "delete system hostname\nset system hostname edge\n\
                    set guest web1 mac 52:54:00:01:00:02\nset guest web2 mac 52:54:00:01:00:01\n\
                    set service api vip 10.0.2.101 tcp 80\n\
                    set service web vip 10.0.2.102 tcp 80";
    say(&mut bench, commands);
    let (_, running, candidate, _) = state(&bench);
    let specs = |bench: &Bench| {
        let tables = bench.appliance.dataplane.tables();
        let guests: Vec<_> = tables.guests().map(|(_, guest)| guest.spec.clone()).collect();
        let services: Vec<_> = tables.services().map(|(_, s)| s.spec.clone()).collect();
        (guests, services)
    };
    let before = specs(&bench);
    let said = say(&mut bench, "commit");
    let expected = "% E601 the table of services is full (128)\n\
                    % E202 1 error, nothing was changed\n% FAILED\n";
    assert_eq!(said, expected);
    assert_eq!(specs(&bench), before);
    let (_, running_now, candidate_now, _) = state(&bench);
    assert_eq!((running_now, candidate_now), (running, candidate));
}

#[test]
fn c21_a_commit_on_trial_is_taken_back_by_itself_unless_it_is_confirmed() {
    let mut bench = program(WEB);
    bench.call(40_000);
    let (_, before, ..) = state(&bench);
    say(&mut bench, "set service web scheduler rr");
    let said = say(&mut bench, "commit confirmed 30s comment trial");
    assert_eq!(said, "On trial for 30 seconds, then taken back unless you type: confirm\n% OK\n");
    bench.run(Duration::from_millis(10_500));
    say(&mut bench, "set system hostname edge");
    let there = state(&bench);
    for order in ["commit", "commit confirmed 1m", "commit comment again"] {
        let waits = "% E302 the last commit waits to be confirmed for 20 more seconds (confirm, or \
                     undo; else it is taken back)\n% FAILED\n";
        assert_eq!(say(&mut bench, order), waits);
        assert_eq!(state(&bench), there);
    }
    say(&mut bench, "discard\nterminal script off");
    bench.run(Duration::from_secs(19));
    assert_ne!(bench.control.config().to_string(), before, "it is still on trial");
    bench.type_in(b"show ver");
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.control.config().to_string(), before);
    let shown = bench.type_in(b"");
    let news = "Configuration: the commit was not confirmed in time and is taken back. The candidate \
                still has it.\r\n";
    assert!(shown.contains(news), "{shown:?}");
    // The prompt is the one that the line began with.
    assert!(shown.contains("(config)# show ver"), "the line that was being typed: {shown:?}");
    assert!(bench.type_in(b"\x15confirm\r").contains("% E303 no commit waits to be confirmed"));
    assert!(bench.type_in(b"compare\r").contains("+ set service web scheduler rr\r\n"));
    assert_eq!(bench.control.archive().commits().len(), 2, "it is in no archive");
    assert_eq!(bench.appliance.dataplane.flows().len(), 1, "its flow has gone on");

    bench.type_in(b"commit confirmed 30s\r");
    assert!(bench.type_in(b"confirm\r").contains("Generation 2 runs"));
    bench.run(Duration::from_secs(40));
    assert!(bench.control.config().to_string().contains("scheduler rr"), "it stays");
}

#[test]
fn the_last_commits_are_kept() {
    let mut bench = program("");
    for at in 1..=30 {
        let said =
            say(&mut bench, &format!("set system hostname h{at}\ncommit comment \"no {at}\""));
        assert!(said.contains(&format!("Generation {at} runs")), "{said}");
    }
    assert_eq!(bench.control.archive().commits().len(), COMMITS_MAX);
    for back in 0..COMMITS_MAX {
        let shown = say(&mut bench, &format!("show configuration rollback {back}"));
        assert_eq!(shown, format!("set system hostname h{}\n% OK\n", 30 - back));
    }
    say(&mut bench, "rollback 19");
    assert_eq!(
        say(&mut bench, "compare"),
        "- set system hostname h30\n+ set system hostname h11\n% OK\n"
    );
    assert!(say(&mut bench, "commit").contains("Generation 31 runs"));
    assert_eq!(say(&mut bench, "show"), "set system hostname h11\n% OK\n");
    assert!(say(&mut bench, "show commits | match 29").contains("29"));
    assert_eq!(
        say(&mut bench, "commit"),
        "There is nothing to commit: the candidate is what runs.\n% OK\n"
    );
}

/// What is typed between `load` and what ends it: text of every kind, and what the load says.
#[test]
fn c9_c10_c12_a_load_takes_what_files_take() {
    let long = format!("set system hostname edge # {}", "x".repeat(1000));
    let cases: [(&str, &[u8], &str); 9] = [
        ("C9 CRLF", b"set system hostname edge\r\n\r\nend\r\n", "2 lines loaded"),
        ("C9 tabs and blanks", b"\tset\tsystem  hostname edge \t\n  end \n", "1 line loaded"),
        ("C9 a byte-order mark", b"\xef\xbb\xbfset system hostname edge\nend\n", "1 line loaded"),
        ("a comment after the end", b"set system hostname edge\nend # of it\n", "1 line loaded"),
        (
            "C9 columns after tabs",
            b"\t\tset\tsystem\thostnam_ edge\nend\n",
            "% E101 line 1, column 14: unknown word 'hostnam_'. Expected: hostname … Did you mean 'hostname'?",
        ),
        ("C10 NUL", b"# one\nset\0system\nend\n", "% E107 line 2, column 4: byte 0x00 is no text"),
        ("C10 no UTF-8", b"set \xff\nend\n", "% E107 line 1, column 5: byte 0xff is no text"),
        ("C10 an escape", b"\x1b[Aset\nend\n", "% E107 line 1, column 1: byte 0x1b is no text"),
        ("C12 one letter off", b"set servcie web\nend\n", "Did you mean 'service'?"),
    ];
    for (what, typed, expected) in cases {
        for loading in ["load merge\n", "load replace\n"] {
            let mut bench = program("");
            let said =
                String::from_utf8(bench.type_in(&[loading.as_bytes(), typed].concat()).into());
            let said = said.unwrap();
            assert!(said.contains(expected), "{what}: {said}");
            let hostname = bench.control.candidate().hostname.clone();
            let (is_taken, end) = (expected.contains("loaded"), said.ends_with("% FAILED\r\n"));
            assert_eq!((hostname.is_some(), end), (is_taken, !is_taken), "{what}: {said}");
        }
    }
    let mut bench = program("");
    let said = say(&mut bench, &format!("load merge\n{long}\nset system hostname later\nend"));
    let expected = "% E106 line 1, column 1025: line longer than 1024 bytes\n\
                    % E202 1 error, nothing was changed\n% FAILED\n";
    assert_eq!(said, expected, "C8");
}

/// A megabyte between `load` and `end`: what is kept of it is bounded, and so are the errors.
#[test]
fn c13_a_load_is_bounded() {
    let mut bench = program(WEB);
    let before = state(&bench);
    let guests = |count: usize| -> String {
        (0..count).map(|at| format!("set guest g{at} port p1\n")).collect()
    };
    let cases = [
        (
            "comments",
            "#\n".repeat(100_000),
            format!("line {}: more than {LINES_MAX} lines", LINES_MAX + 1),
        ),
        ("rubbish", "rubbish\n".repeat(100_000), "line 251: more than 250 errors".to_string()),
        (
            "things",
            guests(2 * THINGS_MAX),
            format!("line {}: more than {THINGS_MAX} ports, guests", THINGS_MAX + 1),
        ),
        ("one line", "x".repeat(1_000_000) + "\n", "line 1, column 1025: line longer".to_string()),
    ];
    for (what, text, expected) in cases {
        let said = say(&mut bench, &format!("load replace\n{text}end"));
        assert!(said.contains(&expected), "{what}: {}", &said[said.len().saturating_sub(300)..]);
        assert!(said.ends_with("nothing was changed\n% FAILED\n"), "{what}");
        assert!(said.lines().count() < THINGS_MAX + 10, "{what}");
        assert_eq!(state(&bench), before, "{what}");
    }
    // Typed line by line it is bounded as well.
    let said = say(&mut bench, &guests(THINGS_MAX + 10));
    assert_eq!(bench.control.candidate().things(), THINGS_MAX);
    assert!(said.contains("% E604 more than 4096 ports, guests, addresses, services and reals\n"));
}

#[test]
fn c22_a_load_may_be_abandoned() {
    let abandoned = "% E305 abandoned; the candidate is as it was\r\n";
    for (what, key) in [("Ctrl-C", b"\x03"), ("Ctrl-D", b"\x04")] {
        let mut bench = program(WEB);
        let before = state(&bench);
        let said = bench.type_in(b"load replace\nset system hostname edge\n");
        assert_eq!(said, "", "{what}: no answer before the end");
        assert_eq!(bench.type_in(key), format!("{abandoned}% FAILED\r\n"), "{what}");
        assert_eq!(bench.type_in(b"show | count\n"), "5\r\n% OK\r\n", "{what}: back to commands");
        assert_eq!(state(&bench), before, "{what}");
    }
    let keys: [(&str, &[u8], &str); 4] = [
        ("Ctrl-C", b"\x03", "fulcrum(config)# "),
        ("Ctrl-D", b"\x04", "fulcrum(config)# "),
        ("BREAK", b"\0", "fulcrum(config)# "),
        ("Ctrl-Z", b"\x1a", "fulcrum> "),
    ];
    for (what, key, prompt) in keys {
        let mut bench = program(WEB);
        bench.type_in(b"terminal script off\n");
        let before = state(&bench);
        bench.type_in(b"load replace\rset system hostname edge\rset sys");
        let shown = bench.type_in(key);
        assert!(shown.ends_with(&format!("{abandoned}{prompt}")), "{what}: {shown:?}");
        assert_eq!(state(&bench), before, "{what}");
    }
}

#[test]
fn c11_a_quote_that_is_not_closed_is_pointed_at() {
    let mut bench = program(WEB);
    say(&mut bench, "set system hostname edge");
    let cases = [
        ("commit comment \"two words", "(column 16: this quote is not closed)"),
        ("commit comment \"", "(column 16: this quote is not closed)"),
        ("commit comment \"\"", "'\"\"' is not a comment, 1..80 characters"),
        ("commit comment two words", "unknown word 'words' at column 20"),
    ];
    for (line, expected) in cases {
        let before = state(&bench);
        let said = say(&mut bench, line);
        assert!(said.contains(expected) && said.ends_with("% FAILED\n"), "{line}: {said}");
        assert_eq!(state(&bench), before, "{line}");
    }
    say(&mut bench, "commit comment \"# | are ? words\" confirmed 5m # and this is none\nconfirm");
    let newest = bench.control.archive().newest().unwrap();
    assert_eq!(newest.comment.as_deref(), Some("# | are ? words"));
}

/// Two consoles and one candidate: whoever comes second hears of the first.
#[test]
fn there_is_one_candidate_for_all() {
    let mut bench = Bench::new(4);
    let mut second = Console::at(Place::Virtio);
    let mut type_second = |bench: &mut Bench, keys: &[u8]| -> String {
        let mut tty = Terminal { takes: 4096, ..Terminal::default() };
        tty.keys.extend(keys);
        while !tty.keys.is_empty() || second.waiting() > 0 {
            second.poll(&mut tty, &mut bench.control, &mut bench.appliance);
        }
        String::from_utf8(tty.screen).unwrap()
    };
    let company = "Also in configuration mode: serial1.";
    assert!(!bench.type_in(b"configure\r").contains(company));
    bench.type_in(b"set system hostname edge\r");
    let shown = type_second(&mut bench, b"configure\r");
    assert!(shown.contains(company) && shown.contains("The candidate has changes"), "{shown}");
    assert!(shown.ends_with("fulcrum(config*)# "), "{shown}");
    assert!(type_second(&mut bench, b"show\r").contains("set system hostname edge\r\n"));
    assert!(type_second(&mut bench, b"commit\r").contains("Generation 1 runs"));
    assert!(bench.type_in(b"\r").ends_with("edge(config)# "), "committed for both");
    type_second(&mut bench, b"exit\r");
    bench.type_in(b"\x1a");
    assert!(!type_second(&mut bench, b"configure\r").contains(company), "the first has left");
}

#[test]
fn what_an_operator_does_to_a_real_is_no_configuration() {
    let mut bench = program(WEB);
    let guest = name("web1");
    let drain = Command::Administer { service: None, guest, state: lb::AdminState::Drain };
    assert_eq!(bench.appliance.apply(&drain), Ok(()));
    assert!(!bench.control.is_edited());
    assert_eq!(say(&mut bench, "compare"), "# no difference\n% OK\n");
}
