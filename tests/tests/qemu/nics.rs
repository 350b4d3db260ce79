//! NICs that are not virtio: QEMU's models of an 82574 and of ESXi's, as uplink and among guests.

use std::net::SocketAddrV4;

use tests::console::number_after;
use tests::world::{DNS, WEB, World};
use tests::{Ends, Frame, MacAddr, Machine, Raw, Setup, Station, TcpFlow, Udp};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;

/// The model at the uplink and at the third port, with virtio between them.
const E1000E: &[&str] = &["e1000e", "virtio-net-pci", "e1000e"];
const VMXNET3: &[&str] = &["vmxnet3", "virtio-net-pci", "vmxnet3"];

fn boot(models: &'static [&'static str]) -> (Machine, Vec<Station>) {
    let machine = Machine::boot(Setup { models, ..Setup::default() });
    let stations = (0..4).map(|port| machine.station(port)).collect();
    (machine, stations)
}

fn frame(from: &Station, to: MacAddr, len: usize) -> Raw {
    let payload = (0..len - 14).map(|at| (at / 3) as u8 ^ len as u8).collect();
    Raw { from: from.mac, to, ether_type: ETHER_TYPE, payload }
}

/// Everybody is known to the switch.
fn introduce(stations: &[Station]) {
    stations.iter().for_each(|it| it.send(frame(it, MacAddr::BROADCAST, 60)));
    let all: Vec<&Station> = stations.iter().collect();
    Station::settle(&all);
}

/// From each port to each, and to all, in every length: what arrives is what was sent.
#[track_caller]
fn frames_of_every_length_pass(models: &'static [&'static str], driver: &str) {
    let (machine, stations) = boot(models);
    introduce(&stations);
    for len in (60..=1514).step_by(31).chain([61, 63, 64, 65, 1513, 1514]) {
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 3)] {
            let sent = frame(&stations[from], stations[to].mac, len);
            stations[from].send(sent.clone());
            stations[to].expect(sent);
        }
        let sent = frame(&stations[len % 4], MacAddr::BROADCAST, len);
        stations[len % 4].send(sent.clone());
        (0..4).filter(|at| *at != len % 4).for_each(|at| stations[at].expect(sent.clone()));
    }
    // A whole ring at once, and over again, faster than anybody looks.
    for _ in 0..3 {
        for number in 0..200_usize {
            stations[0].send(frame(&stations[0], stations[2].mac, 60 + number));
            stations[2].send(frame(&stations[2], stations[0].mac, 60 + number));
        }
        for number in 0..200_usize {
            stations[2].expect(frame(&stations[0], stations[2].mac, 60 + number));
            stations[0].expect(frame(&stations[2], stations[0].mac, 60 + number));
        }
    }
    let all: Vec<&Station> = stations.iter().collect();
    assert!(Station::settle(&all).iter().all(Vec::is_empty));
    machine.assert_accounted();
    for port in ["up0", "p2"] {
        let about = machine.console.command(&format!("show port {port}"));
        assert!(about.contains(&format!("{driver} at ")), "{about}");
    }
}

/// Tags stay in their frames: nobody takes them out or puts them in.
#[track_caller]
fn tags_stay(models: &'static [&'static str]) {
    let (machine, stations) = boot(models);
    introduce(&stations);
    for (from, to) in [(0, 1), (1, 0), (0, 2)] {
        let mut bytes = Frame::from(frame(&stations[from], stations[to].mac, 100)).bytes();
        bytes.splice(12..12, [0x81, 0, 0, 0]);
        stations[from].send_bytes(&bytes);
        stations[to].expect_bytes(&bytes);
    }
    machine.assert_accounted();
}

/// F34: the port takes frames of 9000 bytes in; the switch, whose MTU is 1500, drops and counts them,
/// and the next frame passes.
#[track_caller]
fn f34_jumbo_frames_end_at_the_switch(models: &'static [&'static str]) {
    let (machine, stations) = boot(models);
    introduce(&stations);
    for len in [1515, 2048, 4_000, 9_014] {
        stations[0].send(frame(&stations[0], stations[1].mac, len));
        let next = frame(&stations[0], stations[1].mac, 1514);
        stations[0].send(next.clone());
        stations[1].expect(next);
    }
    let drops = machine.console.command("show counters drops");
    assert_eq!(number_after(&drops, "too_big"), Some(4), "{drops}");
    machine.assert_accounted();
}

/// A balanced connection and balanced datagrams, client at the model, one real at it and one not.
#[track_caller]
fn flows_are_balanced(models: &'static [&'static str]) {
    let world = World::on(Setup { models, ..Setup::default() }, &[100, 100]);
    for port in 0..20 {
        let mut flow = TcpFlow::open(&world.client, 40_000 + port, WEB, &world.reals());
        flow.client_says(b"GET / HTTP/1.0\r\n\r\n");
        flow.real_says(&[b'x'; 1460]);
        flow.close();
    }
    for port in 0..20 {
        let ends = Ends {
            from_mac: world.client.mac,
            to_mac: MacAddr::virtual_of((*DNS.vip.ip()).into()),
            from: SocketAddrV4::new(world.client.address, 50_000 + port),
            to: DNS.vip,
        };
        world.client.send(Udp { ends, payload: vec![port as u8; 200] });
        let (_, asked) = Station::first_of(&world.reals(), "question");
        let Frame::Udp(asked) = asked else { panic!("{asked:?} is no datagram") };
        assert_eq!(asked.payload, [port as u8; 200]);
    }
    world.machine.assert_accounted();
}

/// F15, F32: a link goes down and comes back, time after time; the others lose nothing meanwhile.
#[track_caller]
fn f15_f32_links_flap(models: &'static [&'static str]) {
    let (machine, stations) = boot(models);
    introduce(&stations);
    let link = |state: &str| {
        let is = |about: &str| {
            let mut lines = about.lines().map(str::trim);
            lines.any(|line| {
                line.strip_prefix("link").is_some_and(|it| it.trim().starts_with(state))
            })
        };
        machine.console.command_until("show port up0", is);
    };
    for round in 0..5 {
        machine.qmp.set_link(0, false);
        link("down");
        for len in 60..80 {
            let among_guests = frame(&stations[1], stations[2].mac, len);
            stations[1].send(among_guests.clone());
            stations[2].expect(among_guests);
        }
        machine.qmp.set_link(0, true);
        link("up");
        // The world first: what was learned of a port goes with its link.
        for (from, to) in [(0, 1), (1, 0)] {
            let sent = frame(&stations[from], stations[to].mac, 100 + round);
            stations[from].send(sent.clone());
            stations[to].expect(sent);
        }
    }
    let about = machine.console.command("show port up0");
    assert!(!about.contains("faults") && !about.contains("resets"), "{about}");
}

#[test]
fn e1000e_frames_of_every_length_pass() {
    frames_of_every_length_pass(E1000E, "e1000e");
}

#[test]
fn e1000e_tags_stay() {
    tags_stay(E1000E);
}

#[test]
fn f34_e1000e_jumbo_frames_end_at_the_switch() {
    f34_jumbo_frames_end_at_the_switch(E1000E);
}

#[test]
fn e1000e_flows_are_balanced() {
    flows_are_balanced(E1000E);
}

#[test]
fn f15_f32_e1000e_links_flap() {
    f15_f32_links_flap(E1000E);
}

#[test]
fn vmxnet3_frames_of_every_length_pass() {
    frames_of_every_length_pass(VMXNET3, "vmxnet3");
}

#[test]
fn vmxnet3_tags_stay() {
    tags_stay(VMXNET3);
}

#[test]
fn f34_vmxnet3_jumbo_frames_end_at_the_switch() {
    f34_jumbo_frames_end_at_the_switch(VMXNET3);
}

#[test]
fn vmxnet3_flows_are_balanced() {
    flows_are_balanced(VMXNET3);
}

#[test]
fn f15_f32_vmxnet3_links_flap() {
    f15_f32_links_flap(VMXNET3);
}
