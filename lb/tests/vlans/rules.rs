//! Isolated ports, and what is learned, said and flooded there.

use std::collections::BTreeMap;

use lb::*;

use crate::world::*;
use crate::{frame, mac};

/// An uplink and three guest ports, of which the first two have these rules.
fn world(rules: PortRules) -> World {
    let mut world = World::new(3);
    [1, 2].into_iter().for_each(|at| world.set_rules(at, rules.clone()));
    world
}

/// The frame out of these ports.
fn to(ports: &[usize], frame: &[u8]) -> Result<BTreeMap<usize, Vec<u8>>, DropReason> {
    Ok(ports.iter().map(|&at| (at, frame.to_vec())).collect())
}

fn isolated() -> PortRules {
    PortRules { isolated: true, ..PortRules::default() }
}

#[test]
fn isolated_ports_reach_the_others_and_not_each_other() {
    let mut world = world(isolated());
    for at in 1..=3 {
        let call = frame(mac(at as u8), BROADCAST);
        let others: &[usize] = if at == 3 { &[0, 1, 2] } else { &[0, 3] };
        assert_eq!(world.cross(at, &call), to(others, &call), "port {at}");
    }
    for (from, n, ends) in [
        (1, 2, Err(DropReason::Isolated)),
        (2, 1, Err(DropReason::Isolated)),
        (1, 3, to(&[3], &frame(mac(1), mac(3)))),
        (3, 1, to(&[1], &frame(mac(3), mac(1)))),
        (0, 2, to(&[2], &frame(mac(9), mac(2)))),
    ] {
        let source = if from == 0 { 9 } else { from as u8 };
        assert_eq!(world.cross(from, &frame(mac(source), mac(n))), ends, "{from} to {n}");
    }
    let unknown = frame(mac(1), mac(7));
    assert_eq!(world.cross(1, &unknown), to(&[0, 3], &unknown));
}

/// A service is reached by everybody, and its answers find back; the real is told where its client
/// is, for it cannot ask it, and nobody else is told.
#[test]
fn services_are_reached_between_isolated_ports() {
    for served in SERVED {
        let mut world = World::new(3);
        world.apply(Command::SetService(served.spec("web")));
        [1, 2, 3].into_iter().for_each(|n| world.define(n));
        world.set_real("web", 2, served.real_port(), 100);
        [1, 2].into_iter().for_each(|at| world.set_rules(at, isolated()));
        world.settle();
        for n in [1, 2] {
            let hello = frame(guest_mac(n), BROADCAST);
            let hello = if served.vlan == 0 { hello } else { tagged(served.vlan, &hello) };
            world.send(n, &hello).unwrap();
        }

        let call = Ends {
            vlan: served.vlan,
            source_mac: guest_mac(1),
            destination_mac: served.vip_mac(),
            source: (served.guest(1), 1000),
            destination: (served.vip(), 80),
        };
        let sent = match served.protocol {
            Protocol::Tcp => call.tcp("S", &[]),
            Protocol::Udp => call.udp(b"?"),
        };
        let out = world.send(1, &sent).unwrap();
        assert_eq!(out.ports, [2], "{served:?}");
        let delivered = read_packet(&out.frame).ends;

        let asked = who_has(&mut world, served, 2, 1);
        assert_eq!(asked, vec![(2, guest_mac(1))], "{served:?}: the real is told");
        assert_eq!(
            who_has(&mut world, served, 1, 2),
            vec![],
            "{served:?}: who serves nobody is not"
        );

        for flags in ["SA", "A"] {
            let answer = delivered.reversed_to(guest_mac(1));
            let answer = match served.protocol {
                Protocol::Tcp => answer.tcp(flags, &[]),
                Protocol::Udp => answer.udp(b"!"),
            };
            let out = world.send(2, &answer).unwrap();
            assert_eq!(out.ports, [1], "{served:?}: its answers find back");
            assert_eq!(read_packet(&out.frame).ends.source, (served.vip(), 80));
            if served.protocol == Protocol::Tcp {
                assert_eq!(world.send(1, &call.tcp("A", &[])).unwrap().ports, [2]);
            }
        }
        let stray = Ends { source: (served.guest(2), 9), ..delivered.reversed_to(guest_mac(1)) };
        let stray = stray.udp(b"no answer");
        assert_eq!(world.send(2, &stray), Err(DropReason::Isolated), "{served:?}");
    }
}

/// Asks at one guest's port for another guest; who answers where, with which MAC.
fn who_has(world: &mut World, served: Served, from: usize, whom: usize) -> Vec<(usize, [u8; 6])> {
    let target = served.guest(whom);
    let ends = Ends {
        vlan: served.vlan,
        source_mac: guest_mac(from),
        destination_mac: BROADCAST,
        source: (served.guest(from), 0),
        destination: (target, 0),
    };
    world.originated();
    let question = match target.is_ipv4() {
        true => ends.arp(1),
        false => {
            let (group, mac) = solicited_node(target);
            let ends = Ends { destination_mac: mac, destination: (group, 0), ..ends };
            ends.neighbor(SOLICITATION, 0, target, &option(SOURCE_OPTION, guest_mac(from)))
        }
    };
    let out = world.send(from, &question).unwrap();
    let said = world.originated();
    let all = said.iter().chain([&out]).filter(|out| !out.ports.is_empty());
    let answers = all.filter(|out| out.frame[..6] == guest_mac(from));
    answers.map(|out| (out.ports[0], out.frame[6..12].try_into().unwrap())).collect()
}

#[test]
fn where_nothing_is_learned_stations_are_flooded_to() {
    let mut world = world(PortRules { learning: false, ..PortRules::default() });
    world.cross(1, &frame(mac(1), BROADCAST)).unwrap();
    let back = frame(mac(3), mac(1));
    assert_eq!(world.cross(3, &back), to(&[0, 1, 2], &back));
    assert_eq!(world.cross(1, &frame(mac(1), mac(3))), to(&[3], &frame(mac(1), mac(3))));
    assert_eq!(world.plane.fdb().iter(world.now).count(), 1, "port 3's station");
}

#[test]
fn where_nothing_is_flooded_only_known_stations_and_groups_are_reached() {
    let mut world = world(PortRules { flood: false, ..PortRules::default() });
    let unknown = frame(mac(3), mac(1));
    assert_eq!(world.cross(3, &unknown), to(&[0], &unknown));
    for group in [BROADCAST, [1, 0, 0x5e, 1, 2, 3], [0x33, 0x33, 0, 0, 0, 1]] {
        let call = frame(mac(3), group);
        assert_eq!(world.cross(3, &call), to(&[0, 1, 2], &call));
    }
    world.cross(1, &frame(mac(1), BROADCAST)).unwrap();
    assert_eq!(world.cross(3, &unknown), to(&[1], &unknown));
    for at in [0, 3] {
        world.set_rules(at, PortRules { flood: false, ..PortRules::default() });
    }
    assert_eq!(world.cross(1, &frame(mac(1), mac(9))), Err(DropReason::NoPort));
}

#[test]
fn only_stations_that_it_was_told_of_come_in_by_a_locked_port() {
    let mut world = world(PortRules { locked: true, ..PortRules::default() });
    world.define(1);
    world.apply(Command::SetMac { mac: MacAddr(mac(2)), vlan: 0, port: port(2) });
    world.apply(Command::SetMac { mac: MacAddr(mac(4)), vlan: 10, port: port(2) });
    let locked = Err(DropReason::Locked);
    for (at, source, vlan, ends) in [
        (1, mac(1), 0, locked),
        (1, guest_mac(1), 0, Ok(())),
        (1, guest_mac(1), 10, Ok(())),
        (1, mac(2), 0, Err(DropReason::SpoofMac)),
        (2, mac(2), 0, Ok(())),
        (2, mac(2), 10, locked),
        (2, mac(4), 10, Ok(())),
        (2, mac(4), 0, locked),
        (2, guest_mac(1), 0, Err(DropReason::SpoofMac)),
        (3, mac(1), 0, Ok(())),
        (1, mac(1), 0, locked),
    ] {
        let call = frame(source, BROADCAST);
        let call = if vlan == 0 { call } else { tagged(vlan, &call) };
        for second in 0..2 {
            let out = world.cross(at, &call).map(drop);
            assert_eq!(out, ends, "{source:x?} in {vlan} by port {at}, second {second}");
            world.now = world.now + std::time::Duration::from_secs(1);
        }
    }
    // One that is down gives its guest's MAC free, but not to a locked port.
    world.apply(Command::SetLink { port: port(1), up: false });
    assert_eq!(world.cross(2, &frame(guest_mac(1), BROADCAST)).map(drop), locked);
    world.apply(Command::DeleteMac { mac: MacAddr(mac(2)), vlan: 0 });
    assert_eq!(world.cross(2, &frame(mac(2), BROADCAST)).map(drop), locked);
    world.apply(Command::SetLink { port: port(1), up: true });
    world.apply(Command::DeleteGuest(name("web1")));
    for vlan in [0, 10] {
        let call = frame(guest_mac(1), BROADCAST);
        let call = if vlan == 0 { call } else { tagged(vlan, &call) };
        assert_eq!(world.cross(1, &call).map(drop), locked, "no guest any more, VLAN {vlan}");
    }
    world.set_rules(2, PortRules::default());
    assert!(world.cross(2, &frame(mac(2), BROADCAST)).is_ok());
}

#[test]
fn a_static_address_stays_and_is_nobody_elses() {
    let mut world = World::new(3);
    let (own, there) = (MacAddr(mac(1)), port(1));
    world.apply(Command::SetMac { mac: own, vlan: 0, port: there });
    let call = frame(mac(2), mac(1));
    assert_eq!(world.cross(2, &call), to(&[1], &call), "before it was heard");
    assert_eq!(world.cross(2, &frame(mac(1), BROADCAST)), Err(DropReason::SpoofMac));
    assert_eq!(world.cross(0, &frame(mac(1), BROADCAST)), Err(DropReason::SpoofUplink));
    world.pass(std::time::Duration::from_secs(400));
    assert_eq!(world.cross(2, &call), to(&[1], &call), "long after");
    world.define(3);
    let mac_of_3 = MacAddr(guest_mac(3));
    for (mac, vlan, at, refusal) in [
        (own, 0, 9, Refusal::UnknownPort),
        (MacAddr::BROADCAST, 0, 1, Refusal::NotAStation(MacAddr::BROADCAST)),
        (own, 4095, 1, Refusal::VlanRange),
        (mac_of_3, 0, 1, Refusal::MacTaken { mac: mac_of_3, guest: name("web3") }),
    ] {
        assert_eq!(world.refused(Command::SetMac { mac, vlan, port: port(at) }), refusal);
    }
    world.apply(Command::DeleteMac { mac: own, vlan: 0 });
    assert_eq!(world.cross(2, &frame(mac(1), BROADCAST)).map(|out| out.len()), Ok(3));
    assert_eq!(
        world.cross(3, &frame(guest_mac(3), mac(1))).map(|out| out.into_keys().collect()),
        Ok(vec![2])
    );
}

#[test]
fn silent_stations_are_forgotten_when_it_was_said() {
    let mut world = World::new(2);
    world.apply(Command::SetAgeing(std::time::Duration::from_secs(20)));
    world.cross(1, &frame(mac(1), BROADCAST)).unwrap();
    let back = frame(mac(2), mac(1));
    world.pass(std::time::Duration::from_secs(19));
    assert_eq!(world.cross(2, &back), to(&[1], &back));
    world.pass(std::time::Duration::from_secs(1));
    assert_eq!(world.cross(2, &back), to(&[0, 1], &back));
}
