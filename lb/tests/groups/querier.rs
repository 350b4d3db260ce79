//! The switch asks where nobody does: what it says, where, and what it makes of the answers.

use std::time::Duration;

use lb::*;

use crate::said::*;
use crate::world::*;
use crate::{heard, ways};

fn querier() -> Command {
    let querier = Querier { interval: Querier::INTERVAL, vlans: Vlans::All };
    Command::SetGroups(GroupRules { querier: Some(querier), ..GroupRules::default() })
}

/// What the switch says of groups while time passes, and where.
fn said(world: &mut World, time: Duration) -> Vec<(Vec<usize>, Vec<u8>)> {
    let said = world.pass_without(time, &[]);
    said.into_iter().map(|out| (out.ports, out.frame)).collect()
}

#[test]
fn it_asks_guests_in_nobodys_name() {
    let mut world = World::new(3);
    assert_eq!(said(&mut world, Duration::from_secs(2)), [], "not without being told");
    world.apply(querier());
    let asked = said(&mut world, Duration::from_secs(3));
    // In the words of a router: only the sender differs.
    let mut igmp = igmp_query(UPLINK, "0.0.0.0");
    igmp[6..12].copy_from_slice(&SWITCH_MAC);
    patch_ipv4(&mut igmp, 14, &[(1, 0xc0), (6, 0x40), (12, 0), (13, 0), (14, 0), (15, 0)]);
    assert_eq!(asked[0], (vec![1, 2, 3], igmp));
    let (ports, mld) = &asked[1];
    assert_eq!((asked.len(), &ports[..]), (2, &[1, 2, 3][..]));
    let mut expected = ends(UPLINK, "ff02::1");
    (expected.source_mac, expected.source.0) = (SWITCH_MAC, SWITCH_V6);
    let rest = [&[0; 16][..], &[2, 125, 0, 0]].concat();
    let mut expected = expected.icmp(130, 0, [0x27, 0x10, 0, 0], &rest);
    expected[21] = 1;
    assert_eq!(*mld, with_extensions(&expected, 14, &[(0, &ALERT_V6)]));
    assert_eq!(world.plane.groups().counters().asked, 2);
}

#[test]
fn in_each_vlan_that_a_port_is_said_to_carry() {
    let mut world = World::new(3);
    world.set_vlan(1, access(10));
    world.set_vlan(2, trunk("20-21", None));
    world.set_vlan(3, access(10));
    world.apply(querier());
    said(&mut world, Duration::from_millis(0));
    let mut asked = std::collections::BTreeSet::new();
    for (ports, frame) in said(&mut world, Duration::from_secs(2)) {
        assert_eq!(frame[12..14], [0x81, 0]);
        asked.insert((u16::from_be_bytes([frame[14], frame[15]]), ports));
    }
    let expected = [(10, vec![1, 3]), (20, vec![2]), (21, vec![2])];
    assert_eq!(Vec::from_iter(asked), expected);
}

#[test]
fn it_finds_out_who_is_left() {
    let group = "239.1.2.3";
    let mut world = World::new(4);
    world.apply(querier());
    said(&mut world, Duration::from_secs(15));
    for n in [1, 2] {
        ways(&mut world, n, &joined(n, group)).unwrap();
    }
    assert_eq!(heard(&mut world, group)[0], Ok(vec![1, 2]));
    ways(&mut world, 1, &left(1, group)).unwrap();
    let first = world.originated();
    let second = said(&mut world, Duration::from_secs(2));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!((&first[0].ports, &first[0].frame), (&vec![1], &second[0].1));
    assert_eq!(first[0].frame[..6], [1, 0, 0x5e, 1, 2, 3], "to the group itself");
    assert_eq!(heard(&mut world, group)[0], Ok(vec![1, 2]), "somebody may be left");
    said(&mut world, Duration::from_secs(3));
    assert_eq!(heard(&mut world, group)[0], Ok(vec![2]));
    assert_eq!(world.plane.groups().counters().aged, 1);
}

/// Behind the port of one defined guest nobody is left.
#[test]
fn one_guest_leaves_at_once() {
    let group = "239.1.2.3";
    let mut world = World::new(4);
    world.define(1);
    world.apply(querier());
    said(&mut world, Duration::from_secs(15));
    ways(&mut world, 1, &joined(1, group)).unwrap();
    ways(&mut world, 1, &left(1, group)).unwrap();
    assert_eq!(heard(&mut world, group)[0], Err(DropReason::NoMember));
    assert_eq!(world.originated(), []);
    assert_eq!(world.plane.groups().counters().left, 1);
}

#[test]
fn it_is_silent_while_another_asks() {
    let mut world = World::new(2);
    world.apply(querier());
    said(&mut world, Duration::from_secs(40));
    world.send(UPLINK, &igmp_query(UPLINK, "0.0.0.0")).unwrap();
    world.send(UPLINK, &mld_query(UPLINK, "::")).unwrap();
    assert_eq!(said(&mut world, Duration::from_secs(250)), []);
    assert_eq!(said(&mut world, Duration::from_secs(7)).len(), 2, "it has gone");
}
