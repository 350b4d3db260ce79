//! What is done to a machine while it works, and what must hold afterwards: shared by tests, which do it a
//! few times, and by `./tests/soak.sh`, which does it for as long as one likes.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::console::number_after;
use crate::machine::Board;
use crate::world::{VIP, World};
use crate::{Arp, Console, Dice, MacAddr, Raw, Setup, Station};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
const MODELS: [&str; 3] = ["virtio-net-pci", "e1000e", "vmxnet3"];
/// What one port, some lines of the log and a screenful take.
const KEPT_BYTES: u64 = 64 << 10;
/// Buffers in the receive ring of a virtio port.
const RING: u64 = 256;
/// The wires of somebody who only talks to whoever comes and goes, and of that one; behind those of an
/// uplink and two guests, whose traffic is counted.
const PARTNER: usize = 3;
const SOCKET: usize = 4;
/// Its port, and how many others there are.
const PORT: &str = "p4";
const OTHERS: u64 = 4;

/// A client, two guests that nothing is done to, and two sockets.
fn world(board: Board) -> World {
    World::on(Setup { board, sockets: 2, watchdog: true, ..Setup::default() }, &[100, 100])
}

/// Somebody to talk to is plugged in, and the switch knows where: it was asked for the VIP's MAC.
#[track_caller]
fn begin(world: &World) {
    world.machine.plug(PARTNER, "virtio-net-pci");
    await_port(&world.machine.console, "p3", "up");
    let partner = world.machine.station(PARTNER);
    partner.send(Arp::request(partner.mac, partner.address, VIP));
    partner.next("answer");
}

/// Frames pass between who came and his partner.
#[track_caller]
fn assert_it_works(world: &World) {
    assert_passes(&world.machine.station(SOCKET), &world.machine.station(PARTNER));
}

/// All buffers but those in the receive rings of so many virtio ports are in the pool, once what was
/// sent has been taken back.
#[track_caller]
pub fn await_buffers_of(console: &Console, ports: u64) {
    let are_in_use = |table: &str| number_after(table, "buffers");
    console.command_until("show capacity", |table| are_in_use(table) == Some(ports * RING));
}

/// Bytes of memory that are free.
fn memory_free(console: &Console) -> u64 {
    let shown = console.command("show system | json");
    let (_, rest) = shown.split_once("\"memory_free_bytes\":").expect("it is a member");
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().expect("it is a number")
}

/// Waits for a port to be like this.
#[track_caller]
pub fn await_port(console: &Console, name: &str, link: &str) {
    let is_it = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&name) && words.get(2) == Some(&link)
    };
    console.command_until("show port", |table| table.lines().any(is_it));
}

/// Frames of many lengths, to and from a station.
#[track_caller]
pub fn assert_passes(one: &Station, other: &Station) {
    let frame = |from: &Station, to: MacAddr, len: usize| {
        let payload = vec![len as u8; len];
        Raw { from: from.mac, to, ether_type: ETHER_TYPE, payload }
    };
    for len in (46..1500).step_by(97) {
        for (from, to) in [(one, other), (other, one)] {
            from.send(frame(from, to.mac, len));
            to.expect(frame(from, to.mac, len));
        }
    }
}

/// A NIC of this model comes, carries frames, and goes.
#[track_caller]
fn come_and_go(world: &World, model: &str) {
    plug(world, model);
    assert_it_works(world);
    world.machine.unplug(SOCKET);
    await_port(&world.machine.console, PORT, "absent");
}

#[track_caller]
fn plug(world: &World, model: &str) {
    world.machine.plug(SOCKET, model);
    await_port(&world.machine.console, PORT, "up");
}

/// The link of the socket's NIC goes down and comes back.
#[track_caller]
fn flap(world: &World) {
    for (up, link) in [(false, "down"), (true, "up")] {
        world.machine.qmp.set_link(SOCKET, up);
        await_port(&world.machine.console, PORT, link);
    }
}

/// Every frame is counted, every buffer is where it belongs, and memory is as it was.
#[track_caller]
fn assert_nothing_is_left(world: &World, memory_before: u64) {
    let machine = &world.machine;
    machine.assert_accounted();
    await_buffers_of(&machine.console, OTHERS);
    // The port itself, what its station left in tables and the log stay; what NICs had does not.
    let kept = memory_before.saturating_sub(memory_free(&machine.console));
    assert!(kept < KEPT_BYTES, "{kept} bytes were kept");
    let log = machine.console.command("show log | match broken");
    assert_eq!(log, "", "nobody was found broken");
    assert!(!machine.qmp.has_event("WATCHDOG"), "the loop went round");
}

/// While frames flow between others, NICs of all models come, carry frames and go, over and over; the
/// port stays and is the same; nobody else loses a frame, and no buffer stays out.
#[track_caller]
pub fn nics_come_and_go(board: Board, rounds: usize) {
    let world = world(board);
    let mut before = 0;
    world.under_traffic(40_000, |traffic| {
        begin(&world);
        before = memory_free(&world.machine.console);
        for round in 0..rounds {
            come_and_go(&world, MODELS[round % MODELS.len()]);
            traffic.pass(1);
        }
    });
    assert_nothing_is_left(&world, before);
}

/// The same with the link of one port that goes down and comes back.
#[track_caller]
pub fn a_link_flaps(board: Board, rounds: usize) {
    let world = world(board);
    let mut before = 0;
    world.under_traffic(40_000, |traffic| {
        begin(&world);
        before = memory_free(&world.machine.console);
        plug(&world, "virtio-net-pci");
        for _ in 0..rounds {
            flap(&world);
            assert_it_works(&world);
            traffic.pass(1);
        }
        world.machine.unplug(SOCKET);
        await_port(&world.machine.console, PORT, "absent");
    });
    assert_nothing_is_left(&world, before);
}

/// Faults of all kinds in an order that a seed gives, until so many are enough: who is untouched loses
/// nothing, every counter sums, memory is flat. Says how often each was done.
#[track_caller]
pub fn soak(board: Board, seed: u64, are_enough: impl Fn(usize) -> bool) -> String {
    type Deed = fn(&World, &mut Dice);
    let deeds: [(&str, Deed); 6] = [
        ("NICs that came and went", |world, dice| {
            come_and_go(world, MODELS[dice.roll(MODELS.len())]);
        }),
        ("links that flapped", |world, dice| {
            plug(world, MODELS[dice.roll(MODELS.len())]);
            (0..=dice.roll(4)).for_each(|_| flap(world));
            assert_it_works(world);
            world.machine.unplug(SOCKET);
            await_port(&world.machine.console, PORT, "absent");
        }),
        ("machines that stood still", |world, dice| {
            world.machine.qmp.set_running(false);
            thread::sleep(Duration::from_millis(dice.roll(1_000) as u64));
            world.machine.qmp.set_running(true);
        }),
        ("bad frames", |world, dice| {
            plug(world, MODELS[dice.roll(MODELS.len())]);
            let guest = world.machine.station(SOCKET);
            (0..dice.roll(200)).for_each(|_| guest.send(nonsense(&guest, dice)));
            assert_it_works(world);
            world.machine.unplug(SOCKET);
            await_port(&world.machine.console, PORT, "absent");
        }),
        ("configurations", |world, dice| {
            world.command("configure");
            let (weight, number) = (1 + dice.roll(255), 1 + dice.roll(20));
            world.commit(&[
                &format!("set service web real g1 weight {weight}"),
                &format!("set service s{number} vip 10.0.2.101 udp {number}"),
                &format!("set service s{number} real g{}", 1 + dice.roll(2)),
            ]);
            world.commit(&[&format!("delete service s{number}")]);
            world.command("exit");
        }),
        ("slips of the keyboard", |world, dice| {
            let noise = (0..dice.roll(500)).map(|_| char::from(b' ' + dice.roll(95) as u8));
            let noise: String = noise.collect();
            // It may even be a comment; no command is made of so little chance.
            let _ = world.machine.console.ask(&format!("~{noise}"));
        }),
    ];
    let (world, mut dice) = (world(board), Dice(seed));
    let mut done = [0; 6];
    let mut before = 0;
    world.under_traffic(40_000, |traffic| {
        begin(&world);
        // What is kept at the first time is kept once.
        deeds.iter().for_each(|(_, deed)| deed(&world, &mut dice));
        before = memory_free(&world.machine.console);
        while !are_enough(done.iter().sum()) {
            let at = dice.roll(deeds.len());
            deeds[at].1(&world, &mut dice);
            done[at] += 1;
            traffic.pass(1);
        }
    });
    assert_nothing_is_left(&world, before);
    let after = memory_free(&world.machine.console);
    let mut said = format!("memory free: {before} bytes, then {after}\n");
    for ((what, _), times) in deeds.iter().zip(done) {
        let _ = writeln!(said, "{times:7} {what}");
    }
    said
}

/// To the VIP, where everybody looks at it and nobody gets it.
fn nonsense(from: &Station, dice: &mut Dice) -> Raw {
    let ether_type = [0x0800, 0x0806, 0x86dd][dice.roll(3)];
    let payload = (0..46 + dice.roll(1_400)).map(|_| dice.roll(256) as u8).collect();
    Raw { from: from.mac, to: MacAddr::virtual_of(VIP.into()), ether_type, payload }
}
