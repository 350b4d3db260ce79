//! The console as a person and as a program meet it: keys in, text out, letter by letter.

use tests::{Machine, Setup};

fn at_the_prompt() -> Machine {
    let machine = Machine::start(Setup::default());
    machine.console.wait_for("fulcrum> ");
    machine
}

/// What a person types, and what must then stand on the screen.
struct Exchange {
    what: &'static str,
    keys: &'static str,
    shown: &'static [&'static str],
}

#[test]
fn a_persons_session() {
    let machine = at_the_prompt();
    assert!(machine.console.transcript().starts_with("\x1b[?7h\r\n"), "long lines wrap");
    let exchanges = [
        Exchange {
            what: "a wrong word is pointed at, and the right one named",
            keys: "show servce web\r",
            shown: &["     ^", "% E101 unknown word 'servce'", "Did you mean 'service'?"],
        },
        Exchange { what: "words may be shortened", keys: "sh vers\r", shown: &["Fulcrum"] },
        Exchange {
            what: "TAB completes",
            keys: "show vers\t\r",
            shown: &["show version", "Fulcrum"],
        },
        Exchange {
            what: "? lists what may come next, and leaves the line as it was",
            keys: "show ?",
            shown: &["configuration", "service", "version", "fulcrum> show "],
        },
        Exchange {
            what: "Ctrl-U empties the line, and both codes erase",
            keys: "\x15show versiox\x08n\x7fn\r",
            shown: &["Fulcrum"],
        },
        Exchange { what: "Ctrl-C abandons", keys: "poweroff\x03", shown: &["fulcrum> "] },
        Exchange { what: "arrow up brings back", keys: "\x1b[A\r", shown: &["Fulcrum"] },
        Exchange { what: "configuration mode", keys: "configure\r", shown: &["fulcrum(config)"] },
        Exchange {
            what: "a value that is none is pointed at",
            keys: "set service web vip 10.0.0.300 tcp 80\r",
            shown: &["^", "% E104 '10.0.0.300' is not an IPv4 or IPv6 address"],
        },
        Exchange { what: "and back", keys: "exit\r", shown: &["fulcrum> "] },
    ];
    for Exchange { what, keys, shown } in exchanges {
        println!("{what}");
        machine.console.press(keys);
        for text in shown {
            machine.console.wait_for(text);
        }
    }
}

/// In script mode the answer is the output and a closing line, and nothing else.
#[test]
fn script_mode_has_no_echo_and_no_prompt() {
    let machine = Machine::boot(Setup::default());
    let console = &machine.console;
    let before = console.transcript().len();
    assert_eq!(console.command("configure"), "");
    assert_eq!(console.command("set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21"), "");
    let refused = console.ask("show nonsense").unwrap_err();
    assert!(refused.starts_with("% E101 "), "{refused}");
    let shown = console.command("show");
    assert!(
        shown.contains("set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21"),
        "{shown}"
    );
    let said = &console.transcript()[before..];
    assert!(!said.contains("fulcrum"), "a prompt in {said:?}");
    assert!(!said.contains("show nonsense"), "an echo in {said:?}");
}

/// What `show configuration` prints can be pasted into another appliance and is the same there.
#[test]
fn a_configuration_can_be_pasted_back() {
    let first = Machine::boot(Setup::default());
    for line in [
        "configure",
        "set system hostname atlas",
        "set guest a port p1 mac 52:54:00:01:00:01 address 10.0.2.21",
        "set guest b port p2 mac 52:54:00:01:00:02 address 10.0.2.22 address fd00::22",
        "set service web vip 10.0.2.100 tcp 80",
        "set service web scheduler wlc",
        "set service web real a port 8080 weight 30 max-flows 1000",
        "set service web real b",
        "commit",
    ] {
        first.console.command(line);
    }
    let shown = first.console.command("show configuration");
    let second = Machine::boot(Setup::default());
    second.console.command("configure");
    second.console.press(&format!("load replace\r{}", shown.replace('\n', "\r")));
    second.console.command("end");
    second.console.command("commit");
    assert_eq!(second.console.command("show configuration"), shown);
}

/// A paste at full speed loses nothing.
#[test]
fn a_long_paste_arrives_whole() {
    let machine = Machine::boot(Setup::default());
    let lines = 400;
    let paste: String = (0..lines)
        .map(|number| {
            format!("# a remark that does nothing, number {number}\rshow nonsense{number}\r")
        })
        .collect();
    machine.console.press(&paste);
    for number in 0..lines {
        machine.console.wait_for(&format!("'nonsense{number}'"));
    }
}

#[test]
fn filters_narrow_what_show_prints() {
    let machine = Machine::boot(Setup::default());
    let console = &machine.console;
    let all = console.command("show port");
    let table: Vec<&str> = all.lines().collect();
    // A heading is no row: it stays, and is not counted.
    let row = |name: &str| {
        let found = table.iter().find(|line| line.starts_with(name));
        *found.unwrap_or_else(|| panic!("no {name} in\n{all}"))
    };
    let cases = [
        ("show port | match p2", vec![table[0], row("p2")]),
        ("show port | except p2", vec![table[0], row("up0"), row("p1"), row("p3")]),
        ("show port | begin p2", vec![table[0], row("p2"), row("p3")]),
        ("show port | first 2", vec![table[0], row("up0"), row("p1")]),
        ("show port | last 1", vec![table[0], row("p3")]),
        ("show port | count", vec!["4"]),
    ];
    for (command, expected) in cases {
        let shown = console.command(command);
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "{command}");
    }
}
