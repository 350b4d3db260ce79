//! NICs come and go while frames flow: on each kind of board by its own way of plugging.

use std::net::SocketAddrV4;

use tests::faults::{a_link_flaps, assert_passes, await_port, nics_come_and_go, soak};
use tests::flow::Target;
use tests::machine::Board;
use tests::world::{VIP, WEB, World};
use tests::{Setup, TcpFlow};

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

/// The others lose nothing, and nobody waits for a link to be believed.
#[test]
fn f15_a_link_flaps() {
    a_link_flaps(Board::Q35, 10);
}

/// As `./tests/soak.sh` does for longer.
#[test]
fn faults_of_all_kinds_cost_the_others_nothing() {
    println!("{}", soak(Board::Q35Native, 1, |faults| faults == 12));
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
