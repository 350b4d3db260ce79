//! Multicast groups: what is for a group goes to who is in it and to routers, and what hosts and
//! routers say of groups is heard. `any.rs` has what holds whatever is said.

#[path = "../world/mod.rs"]
mod world;

mod any;
mod hostile;
mod querier;
mod said;

use lb::*;
use said::*;
use world::*;

/// A router on the uplink has asked, and all have had the time to answer.
fn asked(guests: usize) -> World {
    let mut world = World::new(guests);
    for query in [igmp_query(UPLINK, "0.0.0.0"), mld_query(UPLINK, "::")] {
        world.send(UPLINK, &query).unwrap();
    }
    world.now = world.now + std::time::Duration::from_secs(12);
    world
}

fn ways(world: &mut World, ingress: usize, frame: &[u8]) -> Result<Vec<usize>, DropReason> {
    let traced = world.plane.trace(port(ingress), &Frame::plain(&mut frame.to_vec()), world.now);
    let out = world.send(ingress, frame);
    match (traced.verdict, &out) {
        (Verdict::Drop(foreseen), Err(reason)) => assert_eq!(foreseen, *reason),
        (Verdict::Flood(foreseen), Ok(out)) => {
            assert_eq!(foreseen.map(PortId::index).collect::<Vec<_>>(), out.ports);
        }
        other => panic!("{other:?}"),
    }
    out.map(|out| out.ports)
}

/// Where what is for a group comes out, sent by the uplink, and by guest 4.
fn heard(world: &mut World, group: &str) -> [Result<Vec<usize>, DropReason>; 2] {
    [UPLINK, 4].map(|from| ways(world, from, &to_group(from, group)))
}

const NOBODY: Result<Vec<usize>, DropReason> = Err(DropReason::NoMember);

#[test]
fn it_goes_to_who_is_in_the_group() {
    for group in ["239.1.2.3", "ff05::1:3"] {
        let mut world = asked(4);
        assert_eq!(heard(&mut world, group), [NOBODY, Ok(vec![UPLINK])], "{group}: nobody yet");
        for n in [1, 2] {
            let report = joined(n, group);
            assert_eq!(
                ways(&mut world, n, &report),
                Ok(vec![UPLINK]),
                "routers hear it, not guests"
            );
        }
        assert_eq!(heard(&mut world, group), [Ok(vec![1, 2]), Ok(vec![UPLINK, 1, 2])], "{group}");
        assert_eq!(ways(&mut world, 1, &to_group(1, group)), Ok(vec![UPLINK, 2]), "never back");
        ways(&mut world, 1, &left(1, group)).unwrap();
        assert_eq!(heard(&mut world, group)[0], Ok(vec![1, 2]), "somebody may be left there");
        // The router asks, guest 2 answers.
        let question = match group.contains(':') {
            true => mld_query(UPLINK, group),
            false => igmp_query(UPLINK, group),
        };
        assert_eq!(ways(&mut world, UPLINK, &question), Ok(vec![1, 2, 3, 4]));
        ways(&mut world, 2, &joined(2, group)).unwrap();
        world.pass(std::time::Duration::from_secs(23));
        assert_eq!(heard(&mut world, group), [Ok(vec![2]), Ok(vec![UPLINK, 2])], "{group}");
        let other = if group.contains(':') { "ff05::2:3" } else { "239.129.2.3" };
        assert_eq!(heard(&mut world, other)[0], NOBODY, "another group");
    }
}

#[test]
fn every_way_to_say_it() {
    let group = "239.1.2.3";
    let records = |kind: u8, sources: u8| {
        let record = [&[kind, 0, 0, sources, 239, 1, 2, 3][..], &vec![9; 4 * usize::from(sources)]];
        igmp(1, "224.0.0.22", &[&[0x22, 0, 0, 0, 0, 0, 0, 1], &record.concat()[..]].concat())
    };
    let old = |kind: u8| igmp(1, group, &[kind, 0, 0, 0, 239, 1, 2, 3]);
    for (what, frame) in [
        ("version 1", old(0x12)),
        ("version 2", old(0x16)),
        ("version 3, from anybody", records(4, 0)),
        ("version 3, from all but one", records(2, 1)),
        ("version 3, from two", records(1, 2)),
        ("version 3, from one more", records(5, 1)),
    ] {
        let mut world = asked(4);
        ways(&mut world, 1, &frame).unwrap();
        assert_eq!(heard(&mut world, group)[0], Ok(vec![1]), "{what}");
    }
    for (what, frame, leaves) in [
        ("version 2", old(0x17), true),
        ("version 3, from nobody", records(3, 0), true),
        ("version 3, no longer from one", records(6, 1), false),
        ("version 3, now from one", records(3, 1), false),
    ] {
        let mut world = asked(4);
        world.set_rules(1, PortRules { fast_leave: true, ..PortRules::default() });
        world.pass(std::time::Duration::from_secs(1));
        ways(&mut world, 1, &joined(1, group)).unwrap();
        ways(&mut world, 1, &frame).unwrap();
        let members = world.plane.groups().iter().count();
        assert_eq!(members, usize::from(!leaves), "{what}");
    }
}

/// Without a querier nothing is known for sure, and everything is flooded.
#[test]
fn nobody_asks() {
    let mut world = World::new(4);
    ways(&mut world, 1, &joined(1, "239.1.2.3")).unwrap();
    let all = [Ok(vec![1, 2, 3, 4]), Ok(vec![UPLINK, 1, 2, 3])];
    for group in ["239.1.2.3", "239.9.9.9", "ff05::1:3"] {
        assert_eq!(heard(&mut world, group), all, "{group}");
    }
}

#[test]
fn what_is_always_flooded() {
    let mut world = asked(4);
    for group in ["224.0.0.1", "224.0.0.251", "ff02::1", "ff02::fb", "ff02::1:ff00:21", "ff01::1"] {
        let all = [Ok(vec![1, 2, 3, 4]), Ok(vec![UPLINK, 1, 2, 3])];
        assert_eq!(heard(&mut world, group), all, "{group}");
        let report = joined(1, group);
        assert_eq!(ways(&mut world, 1, &report), Ok(vec![UPLINK]), "{group}");
    }
    assert!(world.plane.groups().is_empty(), "nobody has to be in those");
    let mut other_mac = to_group(4, "239.1.2.3");
    other_mac[5] ^= 1;
    let opaque = [&[1, 0, 0x5e, 1, 2, 3][..], &guest_mac(4), &[0x88, 0xb5], &[7; 46]].concat();
    let everybody = [&[0xff; 6][..], &to_group(4, "239.1.2.3")[6..]].concat();
    for (what, frame) in [
        ("a group's address under another MAC", other_mac),
        ("not IP", opaque),
        ("a group's address to everybody", everybody),
    ] {
        assert_eq!(ways(&mut world, 4, &frame), Ok(vec![UPLINK, 1, 2, 3]), "{what}");
    }
}

/// What is said on an uplink is not learned: it gets everything anyway.
#[test]
fn what_is_said_outside() {
    let mut world = asked(4);
    let report = joined(UPLINK, "239.1.2.3");
    assert_eq!(ways(&mut world, UPLINK, &report), Err(DropReason::GroupReport), "no router here");
    assert!(world.plane.groups().is_empty());
    // A guest that asks, and may, is a router, and hears it.
    assert_eq!(ways(&mut world, 3, &igmp_query(3, "0.0.0.0")), Ok(vec![UPLINK, 1, 2, 4]));
    assert_eq!(ways(&mut world, UPLINK, &report), Ok(vec![3]));
    assert_eq!(ways(&mut world, 1, &joined(1, "239.1.2.3")), Ok(vec![UPLINK, 3]));
    assert_eq!(heard(&mut world, "239.1.2.3"), [Ok(vec![1, 3]), Ok(vec![UPLINK, 1, 3])]);
    assert_eq!(heard(&mut world, "ff05::1:3")[0], NOBODY, "it is none for IPv6");
}

#[test]
fn each_vlan_by_itself() {
    let mut world = World::new(3);
    for at in [UPLINK, 1, 2] {
        world.set_vlan(at, trunk("10,20", None));
    }
    world.set_vlan(3, access(10));
    let mut said = |at: usize, vlan: u16, frame: &[u8]| world.cross(at, &tagged(vlan, frame));
    said(UPLINK, 10, &igmp_query(UPLINK, "0.0.0.0")).unwrap();
    said(1, 10, &joined(1, "239.1.2.3")).unwrap();
    said(1, 20, &joined(1, "239.1.2.3")).unwrap();
    world.cross(3, &joined(3, "239.1.2.3")).unwrap();
    world.now = world.now + std::time::Duration::from_secs(12);
    let data = to_group(UPLINK, "239.1.2.3");
    let mut ports = |vlan: u16| {
        let out = world.cross(UPLINK, &tagged(vlan, &data)).unwrap();
        out.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(ports(10), [1, 3]);
    assert_eq!(ports(20), [1, 2], "there nobody asks");
    world.set_vlan(3, access(20));
    let members: Vec<_> = world.plane.groups().iter().map(|(key, at, _)| (key.vlan, at)).collect();
    assert_eq!(members.len(), 2, "who is in a VLAN no longer is not in its groups: {members:?}");
}

#[test]
fn a_link_that_goes_down_takes_its_groups_along() {
    let mut world = asked(4);
    for n in [1, 2] {
        ways(&mut world, n, &joined(n, "239.1.2.3")).unwrap();
    }
    world.apply(Command::SetLink { port: port(1), up: false });
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![2]));
    assert_eq!(world.plane.groups().iter().count(), 1);
    world.apply(Command::SetLink { port: port(1), up: true });
    assert_eq!(heard(&mut world, "239.9.9.9")[0], Ok(vec![1]), "who is there has not been asked");
}

#[test]
fn what_the_operator_says() {
    let rules = |rules: GroupRules| Command::SetGroups(rules);
    let mut world = asked(4);
    ways(&mut world, 1, &joined(1, "239.1.2.3")).unwrap();
    world.apply(rules(GroupRules { flood_unknown: true, ..GroupRules::default() }));
    assert_eq!(heard(&mut world, "239.9.9.9")[0], Ok(vec![1, 2, 3, 4]));
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![1]));
    world.apply(rules(GroupRules { unheard: Some(Vlans::All), ..GroupRules::default() }));
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![1, 2, 3, 4]));
    let all = Ok(vec![UPLINK, 2, 3, 4]);
    assert_eq!(ways(&mut world, 1, &joined(1, "239.1.2.3")), all, "nobody listens");
    world.apply(rules(GroupRules::default()));
    assert_eq!(heard(&mut world, "239.1.2.3")[0], Ok(vec![1, 2, 3, 4]), "it was not heard");
}

/// What a port is for cuts what a group would have it get.
#[test]
fn groups_and_what_keeps_ports_apart() {
    let group = "239.1.2.3";
    let mut world = World::new(5);
    world.apply(Command::SetPort { port: port(5), name: name("up1"), role: Role::Uplink });
    world.set_rules(5, PortRules { standby: true, ..PortRules::default() });
    for at in [1, 2] {
        world.set_rules(at, PortRules { isolated: true, ..PortRules::default() });
    }
    world.send(UPLINK, &igmp_query(UPLINK, "0.0.0.0")).unwrap();
    world.now = world.now + std::time::Duration::from_secs(12);
    for n in [1, 2, 3] {
        assert_eq!(
            ways(&mut world, n, &joined(n, group)),
            Ok(vec![UPLINK]),
            "not to who stands by"
        );
    }
    assert_eq!(ways(&mut world, 1, &to_group(1, group)), Ok(vec![UPLINK, 3]), "isolated");
    assert_eq!(ways(&mut world, 4, &to_group(4, group)), Ok(vec![UPLINK, 1, 2, 3]));
    world.apply(Command::SetLink { port: port(UPLINK), up: false });
    assert_eq!(ways(&mut world, 1, &to_group(1, group)), Ok(vec![3, 5]), "it takes over");
    world.apply(Command::SetLink { port: port(5), up: false });
    for at in [3, 4] {
        world.set_rules(at, PortRules { group: Some(name("a")), ..PortRules::default() });
    }
    assert_eq!(ways(&mut world, 1, &to_group(1, group)), NOBODY, "nobody that it may reach");
    let locked = PortRules { locked: true, ..PortRules::default() };
    world.set_rules(4, locked);
    assert_eq!(ways(&mut world, 4, &joined(4, group)), Err(DropReason::Locked));
    let ten = std::num::NonZeroU32::new(10);
    let few = StormLimits { multicast: ten, ..StormLimits::OF_GUESTS };
    world.set_rules(3, PortRules { storm: Some(few), ..PortRules::default() });
    let limited = (0..1000).filter(|_| world.send(3, &to_group(3, group)).is_err()).count();
    assert!(limited > 900, "{limited}");
}
