//! Who reaches whom: groups of ports, and access lists with their counters.

mod world;

use std::net::IpAddr;

use lb::switch::access::{Action, Hosts, Ports, Target, Transport};
use lb::*;
use world::*;

const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn group(name_: &str) -> PortRules {
    PortRules { group: Some(name(name_)), ..PortRules::default() }
}

fn isolated() -> PortRules {
    PortRules { isolated: true, ..PortRules::default() }
}

/// From one guest to another, or to the client outside.
fn hello(from: usize, to: usize) -> Vec<u8> {
    let (mac, address) = match to {
        UPLINK => (CLIENT_MAC, CLIENT),
        _ => (guest_mac(to), guest_address(to)),
    };
    Ends {
        vlan: 0,
        source_mac: guest_mac(from),
        destination_mac: mac,
        source: (guest_address(from), 7),
        destination: (address, 7),
    }
    .udp(b"?")
}

/// P56.
#[test]
fn ports_of_a_group_reach_each_other_and_those_of_none() {
    let mut world = World::new(7);
    let rules = [
        group("a"),
        group("a"),
        group("b"),
        isolated(),
        PortRules { isolated: true, ..group("a") },
        PortRules::default(),
        PortRules::default(),
    ];
    for (n, rules) in (1..).zip(rules) {
        world.define(n);
        world.set_rules(n, rules);
    }
    let greeting = [&CLIENT_MAC[..], &[0x88, 0xb5], &[0; 46]].concat();
    world.send(UPLINK, &[&BROADCAST[..], &greeting].concat()).unwrap();
    let reached: [&[usize]; 7] = [
        &[0, 2, 6, 7],
        &[0, 1, 6, 7],
        &[0, 6, 7],
        &[0, 6, 7],
        &[0, 6, 7],
        &[0, 1, 2, 3, 4, 5, 7],
        &[0, 1, 2, 3, 4, 5, 6],
    ];
    for (from, reached) in (1..).zip(reached) {
        let mut everybody = hello(from, from);
        everybody[..6].copy_from_slice(&BROADCAST);
        assert_eq!(world.send(from, &everybody).unwrap().ports, reached, "to all from {from}");
        for to in (0..=7).filter(|&to| to != from) {
            let ended = world.send(from, &hello(from, to)).map(|out| out.ports);
            let expected = match reached.contains(&to) {
                true => Ok(vec![to]),
                false => Err(DropReason::Isolated),
            };
            assert_eq!(ended, expected, "from {from} to {to}");
        }
    }
    world.set_rules(3, group("a"));
    assert_eq!(world.send(1, &hello(1, 3)).unwrap().ports, [3], "it has joined");
}

fn hosts(address: [u8; 4], prefix_len: u8, transport: Option<Transport>) -> Target {
    Target::Hosts(Hosts { address: address.into(), prefix_len, transport })
}

fn listed(rules: Vec<(Action, Target)>) -> PortRules {
    let rules = (1..).map(|at| at * 10).zip(rules);
    let access = rules.map(|(number, (action, to))| AccessRule { number, action, to }).collect();
    PortRules { access, ..PortRules::default() }
}

/// Guest 2 has this list; guest 1 serves the VIP.
fn world(rules: Vec<(Action, Target)>) -> World {
    let mut world = World::new(3);
    for n in 1..=3 {
        world.define(n);
    }
    world.set_rules(2, listed(rules));
    world.apply(Command::SetService(Served::default().spec("web")));
    world.set_real("web", 1, Some(8080), 100);
    world.settle();
    world
}

/// Each rule's number and how often it decided; 0 is none.
fn hits(world: &World) -> Vec<(u16, u64)> {
    let list = world.plane.tables().access_list(port(2)).unwrap();
    let none = [(0, list.denied())];
    list.rules().map(|(rule, hits)| (rule.number, hits)).chain(none).collect()
}

fn to(destination: IpAddr, port: u16) -> Ends {
    let mac = match destination {
        VIP => VIP_MAC,
        _ => CLIENT_MAC,
    };
    Ends {
        vlan: 0,
        source_mac: guest_mac(2),
        destination_mac: mac,
        source: (guest_address(2), 1000),
        destination: (destination, port),
    }
}

/// P55.
#[test]
fn the_first_rule_that_matches_decides_and_counts() {
    let https = Transport::Of(Protocol::Tcp, Some(Ports { first: 443, last: 443 }));
    let mut world = world(vec![
        (Action::Permit, Target::Service(name("web"))),
        (Action::Deny, hosts([192, 0, 2, 7], 32, None)),
        (Action::Permit, hosts([192, 0, 2, 0], 24, Some(https))),
        (Action::Permit, hosts([10, 0, 2, 0], 24, Some(Transport::Icmp))),
    ]);
    let neighbour = IpAddr::from([192, 0, 2, 8]);
    let refused = Err(DropReason::NotAllowed);
    let later = |ends: Ends| cut(&ends.tcp("A", &[0; 64]), &ends, 7, 48)[1].clone();
    let opaque = [&CLIENT_MAC[..], &guest_mac(2), &[0x88, 0xb5], &[0; 46]].concat();
    let mut counts = [0; 5];
    for (what, frame, place, end) in [
        ("the service", to(VIP, 80).tcp("S", &[]), 0, Ok(())),
        ("another port of its VIP", to(VIP, 81).tcp("S", &[]), 4, refused),
        ("its VIP by UDP", to(VIP, 80).udp(b"?"), 4, refused),
        ("whom it may not", to(OUTSIDE, 443).tcp("S", &[]), 1, refused),
        ("a neighbour of his", to(neighbour, 443).tcp("S", &[]), 2, Ok(())),
        ("at another port", to(neighbour, 80).tcp("S", &[]), 4, refused),
        ("a later fragment to him", later(to(neighbour, 443)), 2, Ok(())),
        ("a later fragment to the other", later(to(OUTSIDE, 443)), 1, refused),
        ("an echo request", to(CLIENT, 0).icmp(8, 0, [0; 4], b""), 3, Ok(())),
        ("an echo request elsewhere", to(neighbour, 0).icmp(8, 0, [0; 4], b""), 4, refused),
        ("neither ARP nor IP", opaque, 4, refused),
    ] {
        assert_eq!(world.send(2, &frame).map(drop), end, "{what}");
        counts[place] += 1;
        let numbers = [10, 20, 30, 40, 0];
        let expected: Vec<_> = numbers.into_iter().zip(counts).collect();
        assert_eq!(hits(&world), expected, "{what}");
        world.originated();
    }
    // What stays in the list goes on counting, and a flow is held to a list that comes later.
    world.set_rules(2, listed(vec![(Action::Permit, Target::Service(name("web")))]));
    assert_eq!(hits(&world), [(10, 1), (0, counts[4])]);
}

/// Also on the short way of a flow that goes on, and as soon as the list changes.
#[test]
fn a_flow_is_held_to_the_list_of_now() {
    let permits = || vec![(Action::Permit, Target::Service(name("web")))];
    let mut world = world(permits());
    let call = to(VIP, 80);
    let seen = read(&world.send(2, &call.tcp("S", &[])).unwrap().frame).0;
    world.send(1, &seen.reversed_to(guest_mac(2)).tcp("SA", &[])).unwrap();
    for packet in 1..5 {
        assert_eq!(world.send(2, &call.tcp("A", b"?")).unwrap().ports, [1]);
        assert_eq!(hits(&world), [(10, 1 + packet), (0, 0)]);
    }
    world.set_rules(2, listed(vec![(Action::Deny, Target::Any)]));
    assert_eq!(world.send(2, &call.tcp("A", b"?")), Err(DropReason::NotAllowed));
    world.set_rules(2, listed(permits()));
    assert_eq!(world.send(2, &call.tcp("A", b"?")).unwrap().ports, [1]);
    // A service that moves takes its rule along.
    let spec = ServiceSpec { vip: [10, 0, 2, 101].into(), ..Served::default().spec("web") };
    world.apply(Command::SetService(spec));
    assert_eq!(world.send(2, &call.tcp("A", b"?")), Err(DropReason::NotAllowed));
    world.apply(Command::DeleteService(name("web")));
    assert_eq!(world.send(2, &call.tcp("A", b"?")), Err(DropReason::NotAllowed));
}

/// What belongs to being on a link, and what a guest answers as a real.
#[test]
fn a_list_that_permits_nothing_leaves_a_guest_on_its_link() {
    let mut world = world(vec![(Action::Deny, Target::Any)]);
    world.set_real("web", 2, Some(8080), 100);
    world.settle();
    let (own, own_v6) = (guest_address(2), guest_address_v6(2));
    let v6 = |destination: [u16; 8]| Ends {
        destination_mac: [0x33, 0x33, 0, 0, 0, 1],
        source: (own_v6, 546),
        destination: (destination.into(), 547),
        ..to(CLIENT, 0)
    };
    let routers = [0xff02, 0, 0, 0, 0, 0, 0, 2];
    let dhcp =
        Ends { source: ([0; 4].into(), 68), destination: ([255; 4].into(), 67), ..to(own, 0) };
    let report = Ends { destination: ([224, 0, 0, 22].into(), 0), ..to(own, 0) };
    for (what, frame) in [
        ("ARP", to(CLIENT, 0).arp(1)),
        ("DHCP", dhcp.udp(&[1; 240])),
        ("DHCPv6", v6([0xff02, 0, 0, 0, 0, 0, 1, 2]).udp(b"?")),
        ("a router solicitation", v6(routers).icmp(133, 0, [0; 4], &[])),
        ("a neighbor solicitation", v6(routers).neighbor(SOLICITATION, 0, CLIENT_V6, &[])),
        ("an MLD report", v6(routers).icmp(143, 0, [0; 4], &[])),
        ("an IGMP report", report.raw(2, &[0x22, 0, 0, 0, 0, 0, 0, 0])),
    ] {
        assert!(world.send(2, &frame).is_ok(), "{what}");
    }
    world.report(2, "up");
    let calls = (1000..1008).map(|client| Ends::call(client, 80));
    let served: Vec<Ends> = calls
        .filter_map(|call| {
            let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
            (out.ports == [2]).then(|| read(&out.frame).0)
        })
        .collect();
    assert!(!served.is_empty());
    for seen in served {
        let answer = seen.reversed_to(CLIENT_MAC).tcp("SA", &[]);
        assert_eq!(world.send(2, &answer).unwrap().ports, [UPLINK]);
    }
    assert_eq!(hits(&world), [(10, 0), (0, 0)]);
    assert_eq!(world.send(2, &hello(2, 3)), Err(DropReason::NotAllowed));
    assert_eq!(world.send(3, &hello(3, 2)).unwrap().ports, [2], "it is a list of what is sent");
}

#[test]
fn lists_that_cannot_be() {
    let mut world = World::new(2);
    let rules = || listed(vec![(Action::Permit, Target::Any)]);
    let of_uplink = Command::SetPortRules { port: port(UPLINK), rules: rules() };
    assert_eq!(world.refused(of_uplink), Refusal::AccessOfUplink(name("up0")));
    world.set_rules(1, rules());
    world.apply(Command::SetPort { port: port(1), name: name("p1"), role: Role::Uplink });
    assert!(world.plane.tables().access_list(port(1)).is_none(), "an uplink has none");
    world.apply(Command::SetPort { port: port(1), name: name("p1"), role: Role::Guest });
    assert!(world.plane.tables().access_list(port(1)).is_some());
    let many = vec![(Action::Permit, Target::Any); 65];
    let command = Command::SetPortRules { port: port(1), rules: listed(many) };
    let full = Refusal::Full { table: "access rules of one port", max: 64 };
    assert_eq!(world.refused(command), full);
}
