//! NICs come and go while frames flow: on each kind of board by its own way of plugging.

use std::net::SocketAddrV4;

use tests::console::number_after;
use tests::flow::Target;
use tests::machine::Board;
use tests::world::{VIP, WEB, World};
use tests::{Console, MacAddr, Raw, Setup, Station, TcpFlow};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
const MODELS: [&str; 3] = ["virtio-net-pci", "e1000e", "vmxnet3"];
/// What one port, some lines of the log and a screenful take.
const KEPT_BYTES: u64 = 64 << 10;
/// Buffers in the receive ring of a virtio port.
const RING: u64 = 256;
/// The wire whose NIC comes and goes, behind those of an uplink and two guests.
const SOCKET: usize = 3;

fn world(board: Board) -> World {
    World::on(Setup { board, sockets: 1, ..Setup::default() }, &[100, 100])
}

/// All buffers but those in the receive rings of so many virtio ports are in the pool, once what was
/// sent has been taken back.
#[track_caller]
fn await_buffers_of(console: &Console, ports: u64) {
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
fn await_port(console: &Console, name: &str, link: &str) {
    let is_it = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&name) && words.get(2) == Some(&link)
    };
    console.command_until("show port", |table| table.lines().any(is_it));
}

/// Frames of many lengths, to and from a station.
#[track_caller]
fn assert_passes(one: &Station, other: &Station) {
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

/// While frames flow between others, NICs of all models come, carry frames and go, over and over; the
/// port stays and is the same; nobody else loses a frame, and no buffer stays out.
#[track_caller]
fn nics_come_and_go(board: Board, rounds: usize) {
    let world = world(board);
    let machine = &world.machine;
    let memory_before = memory_free(&machine.console);
    let guest = machine.station(SOCKET);
    world.under_traffic(40_000, |traffic| {
        for round in 0..rounds {
            machine.plug(SOCKET, MODELS[round % MODELS.len()]);
            await_port(&machine.console, "p3", "up");
            traffic.pass(1);
            assert_passes(&guest, &world.guests[0]);
            machine.unplug(SOCKET);
            await_port(&machine.console, "p3", "absent");
            traffic.pass(1);
        }
    });
    machine.assert_accounted();
    await_buffers_of(&machine.console, 3);
    // The port itself, what its station left in tables and the log stay; what NICs had does not.
    let kept = memory_before.saturating_sub(memory_free(&machine.console));
    println!("{kept} bytes more than before");
    assert!(kept < KEPT_BYTES, "{kept} bytes were kept");
    let log = machine.console.command("show log | match broken");
    assert_eq!(log, "", "nobody was found broken");
}

#[test]
fn f15_nics_come_and_go_by_acpi_on_q35() {
    nics_come_and_go(Board::Q35, 6);
}

#[test]
fn f15_nics_come_and_go_by_their_slots_on_q35() {
    nics_come_and_go(Board::Q35Native, 6);
}

#[test]
fn f15_nics_come_and_go_by_acpi_on_pc() {
    nics_come_and_go(Board::Pc, 6);
}

/// What is configured for a MAC or a place waits for its NIC, and again when it has gone: a flow that
/// ends at a guest behind it goes on when it is back in time, and nobody else's notices.
#[test]
fn f15_a_nic_that_comes_takes_what_is_configured_for_it() {
    const SOLO: Target = Target { vip: SocketAddrV4::new(VIP, 81), real_port: 8080 };
    let setup = Setup { board: Board::Q35, sockets: 2, ..Setup::default() };
    let world = World::on(setup, &[100, 100]);
    let (machine, console) = (&world.machine, &world.machine.console);
    world.command("configure");
    world.commit(&[
        "set port late role guest match mac 52:54:00:aa:00:03",
        "set port early role guest match pci 02:00.0",
        "set guest g3 port late mac 52:54:00:01:00:03 address 10.0.2.23",
        "set service solo vip 10.0.2.100 tcp 81",
        "set service solo real g3 port 8080",
    ]);
    await_port(console, "late", "absent");
    await_port(console, "early", "absent");
    let mut other = TcpFlow::open(&world.client, 40_001, WEB, &world.reals());

    machine.plug(4, "virtio-net-pci");
    await_port(console, "early", "up");
    machine.plug(3, "virtio-net-pci");
    await_port(console, "late", "up");
    let shown = console.command("show port");
    assert_eq!(shown.lines().count(), 6, "no port more than was configured:\n{shown}");
    world.await_up(3);
    let guest = machine.station(3);
    assert_passes(&guest, &world.guests[0]);
    assert_passes(&machine.station(4), &world.guests[0]);
    let mut flow = TcpFlow::open(&world.client, 40_002, SOLO, &[&guest]);
    flow.client_says(b"GET / HTTP/1.0\r\n\r\n");

    machine.unplug(3);
    await_port(console, "late", "absent");
    for port in 0..10 {
        TcpFlow::open(&world.client, 41_000 + port, WEB, &world.reals()).close();
    }
    machine.plug(3, "virtio-net-pci");
    await_port(console, "late", "up");
    world.await_up(3);
    flow.real_says(b"HTTP/1.0 200 OK\r\n\r\n");
    flow.client_says(b"as if nothing had been");
    flow.close();
    other.client_says(b"nothing was");
    other.real_says(b"here");
    other.close();
}
