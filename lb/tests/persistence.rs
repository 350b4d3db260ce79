//! Persistence: a client's later flows go to the real of its earlier ones. The services here go
//! round their reals, so two flows that nothing binds together never meet.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use world::*;

const TIMEOUT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn of_source(prefix_len: u8) -> Persistence {
    Persistence::Source { prefix_len, timeout: TIMEOUT }
}

/// A connection's number, in bytes 4 to 7 of a datagram.
fn of_payload() -> Persistence {
    let len_bytes = NonZeroU8::new(4).unwrap();
    Persistence::Payload { offset_bytes: 4, len_bytes, timeout: TIMEOUT }
}

fn spec(served: Served, persistence: Persistence) -> ServiceSpec {
    let (scheduler, persistence) = (Scheduler::Rr, Some(persistence));
    ServiceSpec { scheduler, persistence, ..served.spec("web") }
}

fn world(served: Served, persistence: Persistence) -> World {
    let mut world = World::serving_as(3, served);
    world.apply(Command::SetService(spec(served, persistence)));
    world
}

fn udp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp)
}

/// Begins a flow; the guest that gets it.
fn begin(world: &mut World, served: Served, call: Ends) -> usize {
    begin_with(world, served, call, b"")
}

fn begin_with(world: &mut World, served: Served, call: Ends, payload: &[u8]) -> usize {
    let out = world.send(UPLINK, &served.packet(call, "S", payload)).unwrap();
    let [home] = out.ports[..] else { panic!("{out:?}") };
    assert_eq!(read(&out.frame).0, served.at_real(home, call));
    home
}

fn from(call: Ends, address: &str) -> Ends {
    Ends { source: (address.parse().unwrap(), call.source.1), ..call }
}

fn administer(guest: usize, state: AdminState) -> Command {
    Command::Administer { service: None, guest: name(&format!("web{guest}")), state }
}

#[test]
fn a_clients_flows_meet_at_one_real_and_others_go_round() {
    // Addresses that are one client, and another one.
    let cases = [
        (Version::V4, 32, ["10.0.2.2", "10.0.2.2", "10.0.2.2"], "10.0.2.3"),
        (Version::V4, 24, ["10.0.2.2", "10.0.2.3", "10.0.2.254"], "10.0.3.2"),
        (Version::V4, 0, ["10.0.2.2", "192.0.2.1", "223.255.255.254"], ""),
        (Version::V6, 128, ["fd00::2", "fd00::2", "fd00::2"], "fd00::3"),
        (Version::V6, 64, ["fd00::2", "fd00::3", "fd00::ffff:0:0:1"], "fd00:0:0:1::2"),
        (Version::V6, 56, ["fd00::2", "fd00:0:0:1::2", "fd00:0:0:ff::2"], "fd00:0:0:100::2"),
    ];
    for (version, prefix_len, alike, other) in cases {
        for served in SERVED.into_iter().filter(|served| served.version == version) {
            let mut world = world(served, of_source(prefix_len));
            let what = format!("/{prefix_len}, {served:?}");
            let call = |address, client_port| from(served.call(client_port), address);
            let home = begin(&mut world, served, call(alike[0], 1000));
            for (address, client_port) in alike.into_iter().cycle().zip(1001..1010) {
                assert_eq!(begin(&mut world, served, call(address, client_port)), home, "{what}");
            }
            if other.is_empty() {
                continue;
            }
            let others = begin(&mut world, served, call(other, 1000));
            assert_ne!(others, home, "{what}");
            assert_eq!(begin(&mut world, served, call(other, 1001)), others, "{what}");
            assert_eq!(begin(&mut world, served, call(alike[2], 1010)), home, "{what}");
        }
    }
}

#[test]
fn other_clients_are_left_to_the_scheduler() {
    for served in SERVED {
        let mut world = world(served, of_source(128));
        let clients = (0..6).map(|n| match served.version {
            Version::V4 => format!("10.0.9.{n}"),
            Version::V6 => format!("fd00::9:{n}"),
        });
        let clients: Vec<String> = clients.collect();
        let homes = |world: &mut World, client_port| -> Vec<usize> {
            let call = |client: &String| from(served.call(client_port), client);
            clients.iter().map(|client| begin(world, served, call(client))).collect()
        };
        let first = homes(&mut world, 1000);
        assert_eq!(first[..3].iter().collect::<BTreeSet<_>>().len(), 3, "{served:?}");
        assert_eq!(first[3..], first[..3], "round and round");
        assert_eq!(homes(&mut world, 1001), first, "and all again");
        assert_eq!(world.plane.persistence().len(), clients.len());
    }
}

#[test]
fn the_time_counts_from_the_last_flow() {
    for served in SERVED.into_iter().filter(|served| served.vlan == 0) {
        let mut world = world(served, of_source(32));
        let home = begin(&mut world, served, served.call(1000));
        for client_port in 1001..1004 {
            world.pass(TIMEOUT - SECOND);
            assert_eq!(begin(&mut world, served, served.call(client_port)), home);
        }
        // Its packets do not prolong it.
        let answer = served.at_real(home, served.call(1003)).reversed_to(CLIENT_MAC);
        for flags in ["SA", "A", "PA"] {
            world.send(home, &served.packet(answer, flags, b"")).unwrap();
            world.send(UPLINK, &served.packet(served.call(1003), "A", b"")).unwrap();
            world.pass(TIMEOUT / 3);
        }
        let next = begin(&mut world, served, served.call(1004));
        assert_ne!(next, home, "{served:?}");
        assert_eq!(begin(&mut world, served, served.call(1005)), next);
    }
}

/// What makes a real one that gets no flow.
type Loss = (&'static str, fn(&mut World, usize));

const LOSSES: [Loss; 6] = [
    ("drained", |world, n| world.apply(administer(n, AdminState::Drain))),
    ("in maintenance", |world, n| world.apply(administer(n, AdminState::Maint))),
    ("without weight", |world, n| {
        let port = real_port(world, n);
        world.set_real("web", n, port, 0);
    }),
    ("removed", |world, n| {
        let (service, guest) = (name("web"), name(&format!("web{n}")));
        world.apply(Command::DeleteReal { service, guest });
    }),
    ("its link is down", |world, n| {
        world.apply(Command::SetLink { port: port(n), up: false });
    }),
    ("silent", |world, n| {
        world.pass_without(SECOND * 2, &[n]);
    }),
];

fn real_port(world: &World, n: usize) -> Option<u16> {
    world.real("web", n).spec.port.map(|port| port.get())
}

#[test]
fn a_real_that_is_gone_is_replaced_for_good() {
    for served in SERVED.into_iter().filter(|served| served.vlan == 0) {
        for (what, lose) in LOSSES {
            let mut world = world(served, of_source(32));
            let what = format!("{what}, {served:?}");
            let home = begin(&mut world, served, served.call(1000));
            let real_port = real_port(&world, home);
            lose(&mut world, home);
            let next = begin(&mut world, served, served.call(1001));
            assert_ne!(next, home, "{what}");
            for client_port in 1002..1005 {
                assert_eq!(begin(&mut world, served, served.call(client_port)), next, "{what}");
            }
            world.apply(Command::SetLink { port: port(home), up: true });
            world.set_real("web", home, real_port, 100);
            world.apply(administer(home, AdminState::Ready));
            world.settle();
            for client_port in 1005..1008 {
                let now = begin(&mut world, served, served.call(client_port));
                assert_eq!(now, next, "{what}: it is back, the client stays");
            }
        }
    }
}

#[test]
fn the_sorry_real_is_no_clients_home() {
    for served in SERVED.into_iter().filter(|served| served.vlan == 0) {
        let mut world = World::serving_as(3, served);
        let sorry = 3;
        world.apply(Command::DeleteReal { service: name("web"), guest: name("web3") });
        let empty = Empty::Sorry(name("web3"));
        world.apply(Command::SetService(ServiceSpec { empty, ..spec(served, of_source(32)) }));
        world.settle();
        for n in [1, 2] {
            world.apply(administer(n, AdminState::Maint));
        }
        let out = world.send(UPLINK, &served.packet(served.call(1000), "S", b"")).unwrap();
        assert_eq!(out.ports, [sorry], "nobody else is there");
        for n in [1, 2] {
            world.apply(administer(n, AdminState::Ready));
        }
        let home = begin(&mut world, served, served.call(1001));
        assert_ne!(home, sorry, "{served:?}");
        assert_eq!(begin(&mut world, served, served.call(1002)), home);
    }
}

#[test]
fn by_a_part_of_the_datagram() {
    for served in udp_services() {
        let mut world = world(served, of_payload());
        let begin = |world: &mut World, client: u16, payload: &[u8]| {
            begin_with(world, served, served.call(client), payload)
        };
        let one = begin(&mut world, 1000, b"....one.");
        let two = begin(&mut world, 1001, b"....two.");
        assert_ne!(one, two);
        for client_port in 1002..1010u16 {
            let head = client_port.to_be_bytes();
            let datagram = |part: &[u8]| [&head, &head, part, &b"whatever follows"[..]].concat();
            let port = client_port * 2;
            assert_eq!(begin(&mut world, port, &datagram(b"one.")), one, "{served:?}");
            assert_eq!(begin(&mut world, port + 1, &datagram(b"two.")), two, "{served:?}");
        }
        let remembered = world.plane.persistence().len();
        for short in [&b""[..], b"....", b"....one"] {
            let homes =
                (0..3).map(|at| begin(&mut world, 4000 + 8 * short.len() as u16 + at, short));
            let homes: BTreeSet<usize> = homes.collect();
            assert_eq!(homes.len(), 3, "{} bytes are too short, {served:?}", short.len());
        }
        assert_eq!(world.plane.persistence().len(), remembered, "nothing to remember");
    }
}

#[test]
fn another_way_to_know_clients_forgets_them() {
    let other = |persistence| move |spec: ServiceSpec| ServiceSpec { persistence, ..spec };
    type Change = Box<dyn Fn(ServiceSpec) -> ServiceSpec>;
    let longer = Persistence::Source { prefix_len: 32, timeout: TIMEOUT * 2 };
    let changes: [(&str, Change, bool); 7] = [
        ("the same again", Box::new(|spec| spec), true),
        (
            "no more than two flows more",
            Box::new(|spec| ServiceSpec { flows_max: 1000.try_into().ok(), ..spec }),
            true,
        ),
        (
            "when there is nobody",
            Box::new(|spec| ServiceSpec { empty: Empty::Reset, ..spec }),
            true,
        ),
        ("a shorter prefix", Box::new(other(Some(of_source(24)))), false),
        ("a longer time", Box::new(other(Some(longer))), false),
        ("by payload", Box::new(other(Some(of_payload()))), false),
        ("not at all", Box::new(other(None)), false),
    ];
    for served in udp_services() {
        for (what, change, keeps) in &changes {
            let mut world = world(served, of_source(32));
            let before = spec(served, of_source(32));
            let home = begin(&mut world, served, served.call(1000));
            world.apply(Command::SetService(change(before.clone())));
            // And as it was; whoever was forgotten stays so.
            world.apply(Command::SetService(before));
            let next = begin(&mut world, served, served.call(1001));
            assert_eq!(next == home, *keeps, "{what}, {served:?}");
            assert_eq!(begin(&mut world, served, served.call(1000)), home, "its flow stays");
        }
    }
}

#[test]
fn a_deleted_service_leaves_no_clients_to_its_successor() {
    for served in SERVED {
        let mut world = world(served, of_source(32));
        begin(&mut world, served, served.call(1));
        let home = begin(&mut world, served, served.call(1000));
        world.apply(Command::DeleteService(name("web")));
        world.apply(Command::SetService(spec(served, of_source(32))));
        // The old home comes last.
        for n in [1, 2, 3].into_iter().filter(|&n| n != home).chain([home]) {
            world.set_real("web", n, served.real_port(), 100);
        }
        let next = begin(&mut world, served, served.call(2000));
        assert_ne!(next, home, "{served:?}");
    }
}

#[test]
fn a_syn_flood_from_made_up_sources_pushes_out_no_confirmed_client() {
    const CLIENTS: u16 = 50;
    const FLOOD: u32 = 5000;
    for served in [
        Served::default(),
        Served { version: Version::V6, forwarding: Forwarding::Direct, ..Served::default() },
    ] {
        let mut world = world(served, of_source(128));
        let client = |n: u16| -> IpAddr {
            match served.version {
                Version::V4 => [10, 0, 9, n as u8].into(),
                Version::V6 => [0xfd00, 0, 0, 0, 0, 0, 9, n].into(),
            }
        };
        let call = |n, client_port| Ends { source: (client(n), client_port), ..served.call(1) };
        let connect = |n| {
            let call = call(n, 1000);
            let home = begin(&mut world, served, call);
            let answer = served.at_real(home, call).reversed_to(CLIENT_MAC);
            world.send(home, &answer.tcp("SA", b"")).unwrap();
            world.send(UPLINK, &call.tcp("A", b"")).unwrap();
            home
        };
        let homes: Vec<usize> = (0..CLIENTS).map(connect).collect();
        for n in 0..FLOOD {
            let made_up: IpAddr = match served.version {
                Version::V4 => (0x0b00_0000 + n).to_be_bytes().into(),
                Version::V6 => (0xfd00 << 112 | u128::from(n) << 64 | 1).to_be_bytes().into(),
            };
            begin(&mut world, served, Ends { source: (made_up, 1), ..served.call(1) });
        }
        let table = world.plane.persistence();
        assert!(table.len() <= table.capacity());
        let counters = *table.counters();
        assert_eq!(counters.evicted_confirmed, 0, "{counters:?}");
        assert!(counters.evicted_tentative > 0, "there was a flood: {counters:?}");
        for (n, home) in (0..CLIENTS).zip(homes) {
            assert_eq!(begin(&mut world, served, call(n, 2000)), home, "client {n}, {served:?}");
            // And its flow is where it was.
            let out = world.send(UPLINK, &call(n, 1000).tcp("A", b"")).unwrap();
            assert_eq!(out.ports, [home]);
        }
    }
}

#[test]
fn datagrams_that_are_scheduled_by_themselves_know_their_client() {
    for served in udp_services() {
        for persistence in [of_source(128), of_payload()] {
            let mut world = world(served, persistence);
            let one_packet = true;
            let spec = ServiceSpec { one_packet, ..spec(served, persistence) };
            world.apply(Command::SetService(spec));
            let by_payload = persistence == of_payload();
            let call = served.call(1000);
            // One client for two connections if the payload tells them apart.
            let others = match by_payload {
                true => served.call(2000),
                false => Ends { source: (served.guest(200), 1000), ..call },
            };
            let one = begin_with(&mut world, served, call, b"....one.");
            let two = begin_with(&mut world, served, others, b"....two.");
            assert_ne!(one, two, "{served:?}");
            for _ in 0..5 {
                for (home, call, payload) in [(one, call, b"....one."), (two, others, b"....two.")]
                {
                    let now = begin_with(&mut world, served, call, payload);
                    assert_eq!(now, home, "{persistence:?}, {served:?}");
                    let answer = served.at_real(home, call).reversed_to(CLIENT_MAC);
                    let out = world.send(home, &answer.udp(payload)).unwrap();
                    assert_eq!((out.ports, read(&out.frame).0), (vec![UPLINK], call.reversed()));
                }
            }
            assert_eq!(world.plane.flows().len(), 2, "one way back for each");
            // A datagram without the part goes round.
            if by_payload {
                let call = |at: u16| served.call(3000 + at);
                let round = (0..3).map(|at| begin_with(&mut world, served, call(at), b"short"));
                assert_eq!(round.collect::<BTreeSet<_>>().len(), 3, "{served:?}");
            }
        }
    }
}

#[test]
fn a_flow_of_before_a_restart_tells_where_its_client_belongs() {
    for served in SERVED.into_iter().filter(|served| served.protocol == Protocol::Tcp) {
        for home in [1, 2, 3] {
            let mut world = world(served, of_source(32));
            world.plane.start(world.now);
            let call = served.call(1000);
            let ended = world.send(UPLINK, &call.tcp("A", b""));
            assert_eq!(ended, Err(DropReason::NoFlow));
            let answer = served.at_real(home, call).reversed_to(CLIENT_MAC);
            for (ingress, frame) in [(home, answer.tcp("A", b"")), (UPLINK, call.tcp("A", b""))] {
                world.send(ingress, &frame).unwrap();
            }
            for client_port in 1001..1004 {
                let next = begin(&mut world, served, served.call(client_port));
                assert_eq!(next, home, "{served:?}");
            }
        }
    }
}
