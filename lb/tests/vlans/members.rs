//! A frame goes where its VLAN is, and nowhere else.

use std::collections::BTreeMap;

use lb::*;

use crate::world::*;
use crate::{frame, mac};

/// A transparent uplink; ports 1 and 2 in VLAN 10, port 3 in 20, port 4 a trunk of both, 20 native.
fn world() -> World {
    let mut world = World::new(4);
    for (at, vlan) in [access(10), access(10), access(20), trunk("10", Some(20))].iter().enumerate()
    {
        world.set_vlan(at + 1, vlan.clone());
    }
    world
}

#[test]
fn floods_and_known_stations_stay_in_their_vlan() {
    let mut world = world();
    let call = frame(mac(1), BROADCAST);
    let in_ten = tagged(10, &call);
    let expected = [(0, in_ten.clone()), (2, call.clone()), (4, in_ten)];
    assert_eq!(world.cross(1, &call), Ok(BTreeMap::from(expected)));
    let answer = frame(mac(2), mac(1));
    assert_eq!(world.cross(2, &answer), Ok([(1, answer.clone())].into()));
    assert_eq!(world.cross(0, &tagged(10, &answer)), Ok([(1, answer.clone())].into()), "moved");
    let elsewhere = world.cross(3, &answer).unwrap();
    assert_eq!(
        elsewhere,
        [(0, tagged(20, &answer)), (4, answer.clone())].into(),
        "not known in 20"
    );
    let untagged = world.cross(0, &answer);
    assert_eq!(untagged, Err(DropReason::NoPort), "nobody else is without a VLAN");
}

#[test]
fn p9_what_a_port_does_not_carry_stays_out() {
    let mut world = world();
    let plain = frame(mac(9), BROADCAST);
    world.set_vlan(4, trunk("10", None));
    for (at, sent) in [
        (1, tagged(20, &plain)),
        (1, tagged(10, &plain)),
        (4, tagged(20, &plain)),
        (4, plain.clone()),
        (4, tagged(0, &plain)),
        (1, tagged(0, &tagged(10, &plain))),
    ] {
        assert_eq!(world.cross(at, &sent), Err(DropReason::VlanIngress), "port {at}: {sent:x?}");
    }
    assert_eq!(world.plane.fdb().iter(world.now).count(), 0, "and teaches nothing");
    assert_eq!(world.cross(1, &tagged(4095, &plain)), Err(DropReason::VlanTag));
    assert_eq!(world.cross(1, &plain[..13]), Err(DropReason::Runt));
}

#[test]
fn a_station_on_a_port_that_left_the_vlan_is_not_reached() {
    let mut world = world();
    world.apply(Command::SetMac { mac: MacAddr(mac(3)), vlan: 10, port: port(2) });
    world.cross(2, &frame(mac(4), BROADCAST)).unwrap();
    world.set_vlan(2, access(20));
    let to = |n| frame(mac(1), mac(n));
    assert_eq!(world.cross(1, &to(3)), Err(DropReason::VlanEgress), "where it was said to be");
    let flooded = [(0, tagged(10, &to(4))), (4, tagged(10, &to(4)))];
    assert_eq!(world.cross(1, &to(4)), Ok(flooded.into()), "what was learned there is forgotten");
    world.apply(Command::SetLink { port: port(2), up: false });
    assert_eq!(world.cross(1, &to(3)), Err(DropReason::NoPort));
}

/// Two tags: the outer one is the VLAN, and the inner one never takes its place.
#[test]
fn p9_a_tag_never_comes_to_light_behind_another() {
    let mut world = world();
    world.set_vlan(3, trunk("30", Some(10)));
    let hopping = tagged(10, &tagged(30, &frame(mac(5), BROADCAST)));
    let out = world.cross(4, &hopping).unwrap();
    assert_eq!(out, [(0, hopping)].into(), "not by ports that would take the outer tag off");
    for (at, n) in [(1, 1), (3, 3)] {
        world.cross(at, &frame(mac(n), BROADCAST)).unwrap();
        let hopping = tagged(10, &tagged(30, &frame(mac(5), mac(n))));
        assert_eq!(world.cross(4, &hopping), Err(DropReason::VlanEgress), "port {at}");
    }
    let plain = frame(mac(5), mac(3));
    assert_eq!(world.cross(4, &tagged(10, &plain)), Ok([(3, plain)].into()));
    let back = frame(mac(3), mac(5));
    let double = tagged(10, &tagged(30, &frame(mac(6), mac(5))));
    assert_eq!(world.cross(3, &back), Ok([(4, tagged(10, &back))].into()));
    assert_eq!(
        world.cross(0, &double),
        Ok([(4, double.clone())].into()),
        "tags are kept as they are"
    );
}

#[test]
fn between_uplinks_nothing_goes_in_any_vlan() {
    let mut world = world();
    world.apply(Command::SetPort { port: port(4), name: name("up1"), role: Role::Uplink });
    let call = frame(mac(1), BROADCAST);
    let out = world.cross(0, &tagged(10, &call)).unwrap();
    assert_eq!(out, [(1, call.clone()), (2, call)].into());
}

#[test]
fn rules_of_no_port_are_refused() {
    let mut world = world();
    let rules = PortRules::default();
    assert_eq!(world.refused(Command::SetPortRules { port: port(9), rules }), Refusal::UnknownPort);
}
