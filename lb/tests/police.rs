//! Policers and storm control: who has more than its share loses it, and nobody else anything.

mod world;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use lb::*;
use world::*;

/// Frames of a second, in steps of a millisecond, each step all at once.
fn second(world: &mut World, ingress: usize, frame: &[u8], per_ms: usize) -> Vec<Vec<usize>> {
    let mut passed = Vec::new();
    for _ in 0..1000 {
        world.now = world.now + Duration::from_millis(1);
        passed.extend((0..per_ms).filter_map(|_| world.send(ingress, frame).ok()).map(|o| o.ports));
    }
    passed
}

fn frames(frames: u32) -> Policer {
    Policer { frames: NonZeroU32::new(frames), ..Policer::default() }
}

fn bits(bits: u64) -> Policer {
    Policer { bits: NonZeroU64::new(bits), ..Policer::default() }
}

/// Guests 1 to 3 at their ports, all known.
fn known(rules: [PortRules; 3]) -> World {
    let mut world = World::new(3);
    for (at, rules) in (1..).zip(rules) {
        world.define(at);
        world.set_rules(at, rules);
    }
    world
}

/// From guest to guest, so many bytes long.
fn hello(from: usize, to: usize, len: usize) -> Vec<u8> {
    let ends = Ends {
        vlan: 0,
        source_mac: guest_mac(from),
        destination_mac: guest_mac(to),
        source: (guest_address(from), 7),
        destination: (guest_address(to), 7),
    };
    ends.udp(&vec![0; len - 42])
}

fn broadcast(from: usize) -> Vec<u8> {
    to_group(from, BROADCAST)
}

fn to_group(from: usize, group: [u8; 6]) -> Vec<u8> {
    let mut frame = hello(from, from, 60);
    frame[..6].copy_from_slice(&group);
    frame
}

/// So many more were dropped.
fn expect_drops(
    world: &World,
    at: usize,
    reason: DropReason,
    range: std::ops::RangeInclusive<u64>,
) {
    let dropped = world.dropped(at, reason);
    assert!(range.contains(&dropped), "port {at}: {dropped} of {reason:?}, not {range:?}");
}

#[test]
fn f12_a_port_sends_what_it_may_and_costs_the_others_nothing() {
    for (what, police_in, passes) in [
        ("frames", frames(1_000), 1_000..=1_101),
        ("bits", bits(64 * 8 * 1_000), 1_000..=1_101),
        ("both, frames are less", Policer { bits: bits(1 << 40).bits, ..frames(500) }, 500..=551),
        (
            "both, bits are less",
            Policer { frames: frames(9_000).frames, ..bits(256_000) },
            500..=551,
        ),
    ] {
        let limited = PortRules { police_in, ..PortRules::default() };
        let mut world = known([limited, PortRules::default(), PortRules::default()]);
        let (noise, quiet) = (hello(1, 3, 64), hello(2, 3, 64));
        let passed = second(&mut world, 1, &noise, 10);
        assert!(passes.contains(&passed.len()), "{what}: {} passed", passed.len());
        expect_drops(&world, 1, DropReason::PoliceIn, 8_899..=9_500);
        assert_eq!(second(&mut world, 2, &quiet, 10).len(), 10_000, "{what}");
        // After a while of silence all is as before.
        world.now = world.now + Duration::from_millis(200);
        assert!(world.send(1, &noise).is_ok(), "{what}");
    }
}

#[test]
fn what_is_too_much_is_not_looked_at() {
    let limited = PortRules { police_in: frames(1), ..PortRules::default() };
    let mut world = known([limited, PortRules::default(), PortRules::default()]);
    world.send(1, &hello(1, 3, 64)).unwrap();
    let stranger = [0x52, 0x54, 0, 0xaa, 0, 1];
    let mut learned = hello(1, 3, 64);
    learned[6..12].copy_from_slice(&stranger);
    assert_eq!(world.send(1, &learned), Err(DropReason::PoliceIn));
    assert_eq!(world.send(1, &[0; 9]), Err(DropReason::PoliceIn), "no frame at all");
    assert_eq!(world.plane.fdb().lookup(MacAddr(stranger), 0, world.now), None);
}

#[test]
fn a_port_gets_what_it_may() {
    let limited = PortRules { police_out: frames(1_000), ..PortRules::default() };
    let mut world = known([PortRules::default(), limited, PortRules::default()]);
    let passed = second(&mut world, 1, &hello(1, 2, 64), 10);
    assert!((1_000..=1_101).contains(&passed.len()), "{} passed", passed.len());
    let withheld = world.plane.withheld(port(2));
    assert_eq!(withheld, 10_000 - passed.len() as u64);
    expect_drops(&world, 1, DropReason::PoliceOut, withheld..=withheld);
    let to_all = PortRules { storm: Some(StormLimits::default()), ..PortRules::default() };
    world.set_rules(1, to_all);
    let copies = second(&mut world, 1, &broadcast(1), 2);
    assert_eq!(copies.len(), 2_000, "the others get theirs");
    let here = copies.iter().filter(|ports| ports.contains(&2)).count();
    assert!((899..=1_101).contains(&here), "{here} copies");
    assert!(copies.iter().all(|ports| ports.contains(&0) && ports.contains(&3)));
    assert_eq!(world.plane.withheld(port(2)), withheld + (2_000 - here as u64));
    assert_eq!(world.plane.withheld(port(3)), 0);
}

#[test]
fn what_nobody_is_left_to_get_is_dropped() {
    let limited = PortRules { police_out: frames(1), ..PortRules::default() };
    let mut world = World::new(1);
    world.set_rules(0, limited);
    assert_eq!(world.send(1, &broadcast(1)).unwrap().ports, [0]);
    assert_eq!(world.send(1, &broadcast(1)), Err(DropReason::PoliceOut));
}

/// What the switch asks its guests is not lost for what others send them.
#[test]
fn a_guest_whose_port_is_full_stays_healthy() {
    let mut world = World::serving(2);
    for at in [1, 2] {
        world.set_rules(at, PortRules { police_out: frames(1), ..PortRules::default() });
    }
    for _ in 0..5 {
        let _ = world.send(UPLINK, &broadcast(9));
        world.pass(Duration::from_secs(1));
    }
    for n in [1, 2] {
        assert!(world.standing("web", n).eligibility.is_ok());
    }
}

#[test]
fn f11_a_storm_is_held_to_its_limit_and_ends_with_it() {
    let mut world = known([PortRules::default(), PortRules::default(), PortRules::default()]);
    let copies = second(&mut world, 1, &broadcast(1), 50);
    assert!((1_000..=1_101).contains(&copies.len()), "{} broadcasts", copies.len());
    expect_drops(&world, 1, DropReason::StormBroadcast, 48_899..=49_000);
    assert_eq!(second(&mut world, 2, &hello(2, 3, 64), 50).len(), 50_000, "the others' traffic");
    assert!(world.send(2, &broadcast(2)).is_ok(), "a limit for each port");
    assert!(world.send(1, &broadcast(1)).is_ok(), "it is over");
}

#[test]
fn f11_each_kind_of_storm_has_a_limit_of_its_own() {
    const MULTICAST: [u8; 6] = [1, 0, 0x5e, 1, 2, 3];
    const UNKNOWN: [u8; 6] = [0x52, 0x54, 0, 0xbb, 0, 1];
    let kinds = [
        (BROADCAST, DropReason::StormBroadcast),
        (MULTICAST, DropReason::StormMulticast),
        (UNKNOWN, DropReason::StormUnknown),
    ];
    let limit = StormLimits::each(NonZeroU32::new(10).unwrap());
    let limited = PortRules { storm: Some(limit), ..PortRules::default() };
    let mut world = known([limited, PortRules::default(), PortRules::default()]);
    for (group, reason) in kinds {
        assert_eq!(world.send(1, &to_group(1, group)).unwrap().ports, [0, 2, 3], "{reason:?}");
        assert_eq!(world.send(1, &to_group(1, group)), Err(reason));
        assert_eq!(world.send(1, &hello(1, 2, 64)).unwrap().ports, [2], "what goes to one");
    }
    let free = PortRules { storm: Some(StormLimits::default()), ..PortRules::default() };
    world.set_rules(1, free);
    for (group, _) in kinds {
        assert_eq!(second(&mut world, 1, &to_group(1, group), 2).len(), 2_000);
    }
    // An uplink is many stations; only what was said holds for it.
    assert_eq!(second(&mut world, UPLINK, &to_group(9, BROADCAST), 3).len(), 3_000);
}

#[test]
fn a_limit_that_stays_goes_on_and_another_begins_anew() {
    let limited = |rate| PortRules { police_in: frames(rate), ..PortRules::default() };
    let mut world = known([limited(1), PortRules::default(), PortRules::default()]);
    let hello = hello(1, 2, 64);
    world.send(1, &hello).unwrap();
    world.set_rules(1, PortRules { isolated: true, ..limited(1) });
    assert_eq!(world.send(1, &hello), Err(DropReason::PoliceIn));
    world.set_rules(1, limited(2));
    assert!(world.send(1, &hello).is_ok());
    world.set_rules(1, PortRules::default());
    assert_eq!(second(&mut world, 1, &hello, 2).len(), 2_000);
}
