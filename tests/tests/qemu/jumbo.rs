//! Jumbo frames through the booted image: ports that take 9000 bytes, of every model, and one that does not.

use std::net::SocketAddrV4;

use tests::console::number_after;
use tests::world::{DNS, World};
use tests::{Ends, Frame, MacAddr, Raw, Setup, Station, Udp};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
/// The last one says nothing.
const MODELS: &[&str] = &["virtio-net-pci", "e1000e", "vmxnet3", "virtio-net-pci"];
/// Ports that take them.
const JUMBO: usize = 3;
const MTU: usize = 9000;

fn world() -> World {
    let world = World::on(Setup { models: MODELS, ..Setup::default() }, &[100, 100, 0]);
    world.command("configure");
    world.commit(
        &["up0", "p1", "p2"]
            .map(|port| format!("set port {port} mtu {MTU}"))
            .each_ref()
            .map(String::as_str),
    );
    world.command("exit");
    for station in world.stations() {
        station.send(frame(station, MacAddr::BROADCAST, 46));
    }
    Station::settle(&world.stations());
    world
}

fn frame(from: &Station, to: MacAddr, len: usize) -> Raw {
    let payload = (0..len).map(|at| (at / 3) as u8 ^ len as u8).collect();
    Raw { from: from.mac, to, ether_type: ETHER_TYPE, payload }
}

fn dropped(world: &World) -> u64 {
    let table = world.command("show counters drops");
    let counts = table.lines().filter_map(|line| number_after(line, "too_big"));
    counts.sum()
}

#[test]
fn f34_jumbo_frames_pass_between_ports_that_take_them() {
    let world = world();
    let stations = world.stations();
    let all = (1..=MTU).step_by(499).chain([1500, 1501, 2034, 2035, MTU - 1, MTU]);
    for len in all {
        for (from, to) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
            let sent = frame(stations[from], stations[to].mac, len.max(46));
            stations[from].send(sent.clone());
            stations[to].expect(sent);
        }
    }
    // More than a ring has room for at once, and again.
    for _ in 0..5 {
        for number in 0..40 {
            stations[0].send(frame(stations[0], stations[1].mac, MTU - number));
        }
        for number in 0..40 {
            stations[1].expect(frame(stations[0], stations[1].mac, MTU - number));
        }
    }
    assert_eq!(dropped(&world), 0);
    for len in [1501, MTU] {
        for from in 0..JUMBO {
            stations[from].send(frame(stations[from], stations[3].mac, len));
            let to_all = frame(stations[from], MacAddr::BROADCAST, len);
            stations[from].send(to_all.clone());
            let others = (0..JUMBO).filter(|&at| at != from);
            others.for_each(|at| stations[at].expect(to_all.clone()));
        }
        stations[3].send(frame(stations[3], stations[0].mac, len));
    }
    assert!(Station::settle(&stations).iter().all(Vec::is_empty));
    assert_eq!(dropped(&world), 2 * 4, "to the one that takes less, and from it");
    world.machine.assert_accounted();
}

/// Two tags, and as much behind them as without.
#[test]
fn full_frames_behind_two_tags_pass() {
    let world = world();
    let stations = world.stations();
    let tagged = |from: &Station, to, len| {
        let mut bytes = Frame::from(frame(from, to, len)).bytes();
        bytes.splice(12..12, [0x88, 0xa8, 0, 5, 0x81, 0, 0, 7]);
        bytes
    };
    for station in &stations {
        station.send_bytes(&tagged(station, MacAddr::BROADCAST, 46));
    }
    Station::settle_bytes(&stations);
    for (from, to, len) in [(3, 0, 1500), (0, 3, 1500), (1, 2, MTU), (2, 1, MTU)] {
        let bytes = tagged(stations[from], stations[to].mac, len);
        stations[from].send_bytes(&bytes);
        stations[to].expect_bytes(&bytes);
    }
    world.machine.assert_accounted();
}

#[test]
fn f34_jumbo_datagrams_are_balanced_and_answered() {
    let world = world();
    let to_mac = MacAddr::virtual_of((*DNS.vip.ip()).into());
    for port in 0..20 {
        let from = SocketAddrV4::new(world.client.address, 50_000 + port);
        let ends = Ends { from_mac: world.client.mac, to_mac, from, to: DNS.vip };
        let payload: Vec<u8> = (0..MTU - 28).map(|at| (at / 5) as u8 ^ port as u8).collect();
        world.client.send(Udp { ends, payload: payload.clone() });
        let (real, asked) = Station::first_of(&world.reals(), "question");
        let Frame::Udp(asked) = asked else { panic!("{asked:?} is no datagram") };
        assert_eq!(asked.payload, payload);
        let back = Ends { to_mac: world.client.mac, ..asked.ends.back() };
        real.send(Udp { ends: back, payload: payload.clone() });
        let Frame::Udp(answer) = world.client.next("answer") else { panic!("no datagram") };
        assert_eq!((answer.ends.from, answer.ends.to), (DNS.vip, from));
        assert_eq!(answer.payload, payload);
    }
    assert_eq!(dropped(&world), 0);
    world.machine.assert_accounted();
}
