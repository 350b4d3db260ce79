//! The seats of one machine beside each other, and one console over every kind of wire.

use std::io::{ErrorKind, Write};

use tests::{Console, DiskFile, Machine, Reach, Setup};

/// A short session is the same whatever lies between: pipes, a UNIX socket, TCP, telnet.
#[test]
fn a_console_is_the_same_over_every_wire() {
    for reach in [Reach::Pipes, Reach::Unix, Reach::Tcp, Reach::Telnet] {
        println!("{reach:?}");
        let mut machine = Machine::start(Setup { reach, ..Setup::default() });
        let console = &machine.console;
        console.await_prompt();
        console.press("sh verx\x7fs\t\r");
        console.wait_for("sion ");
        console.wait_for("Fulcrum");
        console.press("configure\rset system hostname \u{e4}\r");
        console.wait_for("% E104 '\u{e4}' is not ");
        let paste: String =
            (0..100).map(|number| format!("set system hostname h{number}\r")).collect();
        console.press(&paste);
        console.wait_for("set system hostname h99\r\n");
        console.press("exit\r");
        console.wait_for("fulcrum> ");
        console.script_mode();
        assert_eq!(console.command("show port | count"), "4\n");
        assert_eq!(console.command("show configuration candidate"), "set system hostname h99\n");
        machine.console.press("poweroff\r");
        assert_eq!(machine.await_exit(), Some(0), "{reach:?}");
    }
}

/// A program at the second port needs to strip nothing from the first byte on, a person at the first
/// one notices nothing of it, and both work on one candidate.
#[test]
fn the_second_port_is_a_programs() {
    let mut machine = with_serial2();
    let (person, program) = (&machine.console, Console::over(machine.serial2.take().unwrap()));
    // A UART that is not set up yet loses what comes.
    person.wait_for("fulcrum> ");
    assert_eq!(program.command("show port | count"), "4\n");
    let said = person.transcript();
    program.command("configure");
    let lines = 500;
    let paste: String =
        (0..lines).map(|number| format!("set system hostname h{number}\nshow\n")).collect();
    program.press(&paste);
    for number in 0..lines {
        assert_eq!(program.line(), "% OK");
        assert_eq!(program.line(), format!("set system hostname h{number}"));
        assert_eq!(program.line(), "% OK");
    }
    let refused = program.ask("set guest").unwrap_err();
    assert!(refused.starts_with("% E103 "), "{refused}");
    assert_eq!(person.transcript(), said, "nobody told the person");
    person.press("configure\r");
    person.wait_for("Also in configuration mode: serial2. You share one candidate.");
    person.press("commit\r");
    person.wait_for("Generation 1 runs");
    assert_eq!(program.command("show configuration"), "set system hostname h499\n");
    program.command("exit");
    program.press("poweroff\n");
    program.wait_for("% OK\r\n");
    assert_eq!(machine.await_exit(), Some(0));
}

/// A program that asks and does not read holds up itself alone, and finds every answer later.
#[test]
fn a_seat_that_is_not_read_delays_nobody() {
    let mut machine = with_serial2();
    let mut far_end = machine.serial2.take().unwrap();
    let person = &machine.console;
    person.wait_for("fulcrum> ");
    // More than sockets and queue hold; what is not taken is not asked.
    far_end.set_nonblocking(true).unwrap();
    let mut asked = 0;
    for round in 0..1000 {
        let line = format!("show counters tables | match none{round}\n");
        match far_end.write(line.as_bytes()) {
            Ok(length) => assert_eq!(length, line.len()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
        asked += 1;
        if round % 10 == 0 {
            person.press("show version\r");
            person.wait_for("Fulcrum");
        }
    }
    far_end.set_nonblocking(false).unwrap();
    let program = Console::over(far_end);
    for _ in 0..asked {
        program.wait_for("% OK\r\n");
    }
    assert_eq!(program.command("show port | count"), "4\n");
}

/// A person at a virtio console has keys and a prompt as at the serial port, and both work beside a
/// program.
#[test]
fn a_virtio_console_is_one_more_persons() {
    let setup = Setup { serial2: true, virtio_console: true, ..Setup::default() };
    let mut machine = Machine::start(setup);
    let serial = &machine.console;
    let program = Console::over(machine.serial2.take().unwrap());
    let virtio = Console::over(machine.virtio_console.take().unwrap());
    for person in [serial, &virtio] {
        person.wait_for("virtio console");
        person.wait_for("fulcrum> ");
    }
    program.press("\n");
    assert_eq!(program.command("show port | count"), "4\n");
    virtio.press("sh verx\x7fs\t\r");
    virtio.wait_for("sion ");
    virtio.wait_for("Fulcrum");
    virtio.press("\x1b[A\x1b[A\x15show ?");
    virtio.wait_for("this appliance: build and time up");
    virtio.press("\x15configure\r");
    virtio.wait_for("fulcrum(config)# ");
    let lines = 500;
    let paste: String =
        (0..lines).map(|number| format!("set system hostname h{number}\r")).collect();
    virtio.press(&paste);
    for number in 0..lines {
        virtio.wait_for(&format!("set system hostname h{number}\r\n"));
    }
    serial.press("configure\r");
    serial.wait_for("Also in configuration mode: virtio. You share one candidate.");
    serial.press("commit confirmed 1s\r");
    serial.wait_for("On trial for 1 seconds");
    for person in [serial, &virtio] {
        person.wait_for("was not confirmed in time");
    }
    assert_eq!(program.command("show port | count"), "4\n", "news are for people");
    virtio.press("\x1apoweroff\r");
    assert_eq!(machine.await_exit(), Some(0));
}

fn with_serial2() -> Machine {
    Machine::start(Setup { serial2: true, ..Setup::default() })
}

/// A whole change in requests: asked in JSON, answered in JSON, a line for a line, with lines of words
/// between them.
#[test]
fn requests_at_the_second_port() {
    let disk = DiskFile::blank();
    let setup = Setup { serial2: true, disk: Some(disk.path.clone()), ..Setup::default() };
    let mut machine = Machine::start(setup);
    let program = Console::over(machine.serial2.take().unwrap());
    let ask = |request: &str| {
        program.press(&format!("{request}\n"));
        program.line()
    };
    let is_ok = |reply: &str| reply.contains("\"ok\":true");
    // A UART that is not set up yet loses what comes.
    machine.console.wait_for("fulcrum> ");
    assert_eq!(program.command("show port | count"), "4\n");
    let ports = ask(r#"{"id": "p", "command": "show port"}"#);
    let head = r#"{"schema":"fulcrum.reply/1","id":"p","ok":true,"document":{"schema":"fulcrum.show.ports/1","#;
    assert!(ports.starts_with(head), "{ports}");
    assert!(is_ok(&ask(r#"{"command": "configure"}"#)));
    let names = |range: std::ops::Range<u32>| -> String {
        range.map(|n| format!("set guest g{n} port p1 mac 52:54:00:01:00:{n:02x}\\n")).collect()
    };
    let load =
        |text: &str| ask(&format!("{{\"id\":1,\"command\":\"load replace\",\"text\":\"{text}\"}}"));
    let refused = load("set system hostname edge1\\nset guest web1 prot p1");
    assert!(refused.contains(r#""ok":false,"errors":[{"code":"E101","line":2,"column":16,"#));
    assert!(load(&names(0..200)).contains("200 lines loaded"));
    assert_eq!(
        ask(r#"{"id":2,"command":"commit"}"#),
        r#"{"schema":"fulcrum.reply/1","id":2,"output":"Generation 1 runs.\u000aSaved as generation 1.\u000a","ok":true}"#
    );
    assert_eq!(program.command("show configuration | count"), "200\n");
    assert!(ask("{\"id\":3,").contains(r#""id":3,"ok":false,"errors":[{"code":"E112","#));
    assert!(is_ok(&ask(r#"{"command": "exit"}"#)));
    assert!(is_ok(&ask(r#"{"command": "poweroff"}"#)));
    assert_eq!(machine.await_exit(), Some(0));
}
