//! Whatever is done to the console, the data plane loses nothing, and the console is there afterwards.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddrV4;
use std::thread;

use tests::console::number_after;
use tests::world::{DNS, VIP, WEB, World};
use tests::{Arp, Console, Dice, Ends, Frame, MacAddr, Raw, Setup, Station, TcpFlow, Udp};

/// Configurations come one after the other, and between them one with a slip, while frames flow.
#[test]
fn f29_a_new_configuration_again_and_again_loses_no_frame() {
    let world = World::with_weights(&[100, 100]);
    world.command("configure");
    let mut other = TcpFlow::open(&world.client, 40_001, WEB, &world.reals());
    let slip = long_text().replace("x200 description", "x200 descriptoin");
    world.under_traffic(40_000, |traffic| {
        for round in 1..=30 {
            world.commit(&[
                &format!("set service web real g1 weight {}", round * 10),
                &format!("set service s{round} vip 10.0.2.101 udp {round}"),
                &format!("set service s{round} real g{}", 1 + round % 2),
            ]);
            traffic.pass(1);
            if round % 6 > 0 {
                continue;
            }
            let before = world.command("show configuration");
            assert!(before.contains(&format!("s{round} real g")), "{before}");
            world.machine.console.press(&format!("load replace\r{slip}"));
            let refused = world.machine.console.ask("end").unwrap_err();
            let expected = "% E101 line 402, column 16: unknown word 'descriptoin'.";
            assert!(refused.starts_with(expected), "{refused}");
            assert_eq!(world.command("show configuration"), before);
            assert_eq!(world.command("compare"), "# no difference\n");
            traffic.pass(1);
        }
    });
    other.client_says(b"what was open is open");
    other.real_says(b"where it was");
    other.close();
    world.machine.assert_accounted();
}

/// A megabyte of noise, of which the host reads no answer for a while: no frame is lost meanwhile, and
/// then both seats are as they were.
#[test]
fn f30_noise_that_nobody_reads_the_answers_to() {
    let setup = Setup { serial2: true, ..Setup::default() };
    let mut world = World::on(setup, &[100, 100]);
    let program = Console::over(world.machine.serial2.take().unwrap());
    let person = &world.machine.console;
    let before = memory_free(person);
    person.press("terminal script off\r");
    person.wait_for("fulcrum> ");
    let mut dice = Dice(2026);
    let mut noise = |bytes| -> Vec<u8> { (0..bytes).map(|_| dice.roll(256) as u8).collect() };
    // More than the wires hold; a person's seat draws the line anew with nearly every byte.
    let (to_person, to_program) = (noise(100_000), noise(900_000));
    world.under_traffic(40_000, |traffic| {
        thread::scope(|scope| {
            let eyes = (person.look_away(), program.look_away());
            let noises = [
                scope.spawn(|| person.press_bytes(&to_person)),
                scope.spawn(|| program.press_bytes(&to_program)),
            ];
            traffic.pass(50);
            assert!(noises.iter().all(|noise| !noise.is_finished()), "nobody reads");
            drop(eyes);
        });
        traffic.pass(1);
    });
    person.press("\x03\x1a\x03show version\r");
    person.wait_for("\r\nFulcrum");
    person.script_mode();
    program.press("\x03\nsilence\n");
    program.wait_for("'silence'");
    program.wait_for("% FAILED\r\n");
    assert_eq!(program.command("show port | count"), "3\n");
    assert_is_flat(before, memory_free(person));
    world.machine.assert_accounted();
}

/// C13: a hundred thousand lines. What is too much is told at its line, nothing of it is
/// taken, and no memory is left behind.
#[test]
fn c13_a_paste_without_end_leaves_nothing_behind() {
    let world = World::with_weights(&[100, 100]);
    let console = &world.machine.console;
    world.command("configure");
    let running = world.command("show configuration");
    let before = memory_free(console);
    let lines = "#\r".repeat(100_000);
    world.under_traffic(40_000, |traffic| {
        console.press(&format!("load replace\r{lines}"));
        let refused = console.ask("end").unwrap_err();
        assert!(refused.starts_with("% E602 line 10001: more than 10000 lines"), "{refused}");
        traffic.pass(1);
    });
    assert_eq!(world.command("show configuration"), running);
    assert_eq!(world.command("compare"), "# no difference\n");
    assert_is_flat(before, memory_free(console));
    world.machine.assert_accounted();
}

/// Five thousand lines at full speed to somebody who sees each of them, while frames flow.
#[test]
fn a_paste_of_five_thousand_lines_arrives_whole() {
    let world = World::with_weights(&[100, 100]);
    let console = &world.machine.console;
    world.command("configure");
    console.press("terminal script off\r");
    console.wait_for("fulcrum(config)# ");
    let guest = |number: usize| {
        let (high, low) = (number >> 8, number & 0xff);
        format!("set guest x{number:04} port p1 mac 52:54:00:02:{high:02x}:{low:02x}")
    };
    let mut paste = String::new();
    for number in 0..5000 {
        let line = match number % 5 {
            4 => format!("set system hostname edge{number}"),
            _ => guest(number),
        };
        let _ = write!(paste, "{line}\r");
    }
    world.under_traffic(40_000, |traffic| {
        console.press(&paste);
        console.wait_for("set system hostname edge4999\r\n");
        traffic.pass(1);
    });
    console.script_mode();
    let candidate = world.command("show configuration candidate");
    let pasted = candidate.lines().filter(|line| line.starts_with("set guest x"));
    let expected = (0..5000).filter(|number| number % 5 != 4).map(guest);
    assert!(pasted.eq(expected), "{candidate}");
    assert!(candidate.starts_with("set system hostname edge4999\n"), "{candidate}");
}

/// Looks at very many flows while frames flow: each answer ends, and says how many there are.
#[test]
fn looks_at_very_many_flows() {
    const FLOWS: u16 = 20_000;
    const AT_ONCE: u16 = 50;
    let world = World::with_weights(&[100, 100]);
    world.command("configure");
    world.commit(&["set service dns idle 10m"]);
    world.command("exit");
    let to_mac = MacAddr::virtual_of(VIP.into());
    for first in (0..FLOWS).step_by(AT_ONCE.into()) {
        for port in first..first + AT_ONCE {
            let from = SocketAddrV4::new(world.client.address, 10_000 + port);
            let ends = Ends { from_mac: world.client.mac, to_mac, from, to: DNS.vip };
            world.client.send(Udp { ends, payload: vec![0; 20] });
        }
        // A flow that nobody answers does not live for long.
        for _ in 0..AT_ONCE {
            let (real, question) = Station::first_of(&world.reals(), "question");
            let Frame::Udp(Udp { ends, payload }) = question else {
                panic!("no question but {question}");
            };
            real.send(Udp { ends: Ends { to_mac: world.client.mac, ..ends.back() }, payload });
            world.client.next("answer");
        }
    }
    let all = format!("{}\n", FLOWS + 1);
    world.under_traffic(9_999, |traffic| {
        for _ in 0..10 {
            assert_eq!(world.command("show flow | count"), all);
            let some = world.command("show flow service dns client 10.0.2.0/24 | last 5");
            let is_flow = |line: &&str| line.starts_with("udp ");
            assert_eq!(some.lines().filter(is_flow).count(), 5, "{some}");
            traffic.pass(1);
        }
        let shown = world.command("show flow");
        assert!(shown.contains(&format!(" of {} shown.", FLOWS + 1)), "{shown}");
        traffic.pass(1);
    });
    world.machine.assert_accounted();
}

/// F31: of thousands of bad frames of every kind each is counted, and the log has at most a line a
/// second of each kind.
#[test]
fn f31_bad_frames_do_not_flood_the_log() {
    const EACH: u64 = 1_000;
    let world = World::with_weights(&[100, 100]);
    let [victim, liar] = [&world.guests[0], &world.guests[1]];
    world.command("configure");
    world.commit(&["set guest g2 trust any-mac"]);
    let restless = MacAddr([2, 0, 0, 0, 7, 7]);
    let counted =
        |reason| number_after(&world.command("show counters drops"), reason).unwrap_or_default();
    world.under_traffic(40_000, |traffic| {
        for _ in 0..EACH {
            liar.send_bytes(&[0xff; 14]);
            liar.send(Arp::request(victim.mac, liar.address, world.client.address));
            world.client.send(Arp::request(victim.mac, victim.address, world.client.address));
            for station in [liar, &world.client] {
                let (from, to) = (restless, MacAddr::SWITCH);
                station.send(Raw { from, to, ether_type: 0x88b6, payload: vec![0; 46] });
            }
        }
        traffic.pass(1);
    });
    for (reason, at_least) in [("bad_src", EACH), ("spoof_mac", EACH), ("spoof_uplink", EACH)] {
        assert_eq!(counted(reason), at_least, "{reason}");
    }
    // It is at one of both: from there it may come, and once a second it moves.
    assert!(counted("mac_move") > EACH / 2);
    let log = world.command("show log");
    assert!(log.contains("moves"), "{log}");
    let mut told: BTreeMap<&str, f64> = BTreeMap::new();
    for line in log.lines() {
        let (at, text) = line.trim_start().split_once(' ').expect("a time and a text");
        let at: f64 = at.parse().expect("seconds since the start");
        let before = told.insert(text, at);
        assert!(before.is_none_or(|before| at - before >= 1.0), "{text} in\n{log}");
    }
    world.machine.assert_accounted();
}

/// What is left of the memory for what comes and goes, in bytes.
fn memory_free(console: &Console) -> u64 {
    let shown = console.command("show system | json");
    let (_, rest) = shown.split_once("\"memory_free_bytes\":").expect("it is a member");
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().expect("it is a number")
}

/// But for the lines that one can go back to, a screenful and the log.
#[track_caller]
fn assert_is_flat(before: u64, after: u64) {
    const KEPT_BYTES: u64 = 200 << 10;
    assert!(after + KEPT_BYTES > before, "{before} bytes were free, and then {after}");
}

/// A configuration of five hundred lines.
fn long_text() -> String {
    (0..250).fold(String::new(), |mut text, number| {
        let _ = write!(
            text,
            "set guest x{number} port p1 mac 52:54:00:02:00:{number:02x}\r\
             set guest x{number} description \"guest {number}\"\r"
        );
        text
    })
}
