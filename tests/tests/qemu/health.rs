//! Guests that die, hang, lose their link or are drained: who gets new connections, and what
//! becomes of those that are open.

use tests::world::{WEB, World};
use tests::{Station, TcpFlow};

/// Opens and closes so many connections; how many each guest got.
fn shares(world: &World, first_port: u16, count: u16, reals: &[&Station]) -> Vec<usize> {
    let mut got = vec![0; world.guests.len()];
    for number in 0..count {
        let flow = TcpFlow::open(&world.client, first_port + number, WEB, reals);
        got[flow.real.port - 1] += 1;
        flow.close();
    }
    got
}

#[test]
fn a_guest_that_is_silent_gets_nothing_new() {
    let world = World::with_weights(&[100, 100, 100]);
    let silent = &world.guests[1];
    silent.set_alive(false);
    // Three checks without an answer (fall 3); the fourth says that the third has been counted.
    silent.await_probes(4);
    let got = shares(&world, 40_000, 12, &world.reals());
    assert_eq!(got[1], 0, "a dead guest got some of {got:?}");
    world
        .machine
        .console
        .command_until("show guest", |table| line_of(table, "g2").contains("down"));

    silent.set_alive(true);
    world.machine.console.command_until("show guest", |table| line_of(table, "g2").contains("up"));
    let got = shares(&world, 41_000, 12, &world.reals());
    assert_ne!(got[1], 0, "a guest that came back got none of {got:?}");
}

#[test]
fn a_port_without_link_gets_nothing_new() {
    let world = World::with_weights(&[100, 100]);
    let console = &world.machine.console;
    world.machine.qmp.set_link(2, false);
    console.command_until("show port", |table| line_of(table, "p2").contains("down"));
    assert_eq!(shares(&world, 40_000, 8, &[&world.guests[0]]), [8, 0]);

    world.machine.qmp.set_link(2, true);
    console.command_until("show port", |table| line_of(table, "p2").contains(" up"));
    let got = shares(&world, 41_000, 8, &world.reals());
    assert_ne!(got[1], 0, "the port is back and got none of {got:?}");
}

#[test]
fn a_drained_guest_keeps_what_it_has() {
    let world = World::with_weights(&[100, 100]);
    let mut open: Vec<TcpFlow> = (0..6)
        .map(|number| TcpFlow::open(&world.client, 40_000 + number, WEB, &world.reals()))
        .collect();
    assert!(open.iter().any(|flow| flow.real.port == 1), "g1 has some connection to keep");

    world.command("drain guest g1");
    assert_eq!(shares(&world, 41_000, 8, &world.reals()), [0, 8]);
    for flow in &mut open {
        flow.client_says(b"still there?");
        flow.real_says(b"yes");
    }
    for flow in open {
        flow.close();
    }
    world.command("enable guest g1");
    let got = shares(&world, 42_000, 8, &world.reals());
    assert_ne!(got[0], 0, "g1 is back and got none of {got:?}");
}

#[test]
fn one_real_may_be_drained_alone() {
    let world = World::with_weights(&[100, 100]);
    world.command("drain real web g2");
    assert_eq!(shares(&world, 40_000, 6, &world.reals()), [6, 0]);
    world.command("enable real web g2");
    let got = shares(&world, 41_000, 6, &world.reals());
    assert_ne!(got[1], 0, "g2 is back and got none of {got:?}");
}

/// The line of a table that speaks of this name.
fn line_of<'a>(table: &'a str, name: &str) -> &'a str {
    let is_it = |line: &&str| line.split_whitespace().any(|word| word == name);
    table.lines().find(is_it).unwrap_or("")
}
