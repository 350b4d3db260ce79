//! Several uplinks: nothing goes from one to another, and those that stand by carry nothing while another
//! is there.

mod world;

use std::time::Duration;

use lb::*;
use world::*;

/// Uplinks behind the guests' ports.
const SECOND: usize = 3;
const THIRD: usize = 4;
const OUTSIDE: [u8; 6] = [0x52, 0x55, 0, 0, 0, 0x42];

/// An uplink, two guests that serve the web, and two uplinks that stand by.
fn world() -> World {
    let mut world = World::new(4);
    for at in [SECOND, THIRD] {
        let name = name(&format!("up{}", at - 2));
        world.apply(Command::SetPort { port: port(at), name, role: Role::Uplink });
        world.set_rules(at, PortRules { standby: true, ..PortRules::default() });
    }
    world.apply(Command::SetService(Served::default().spec("web")));
    for n in [1, 2] {
        world.define(n);
        world.set_real("web", n, Some(8080), 100);
    }
    world.settle();
    world.originated();
    told(&mut world);
    world
}

fn told(world: &mut World) -> Vec<String> {
    let all = std::iter::from_fn(|| world.plane.events().pop());
    all.map(|event| event.to_string()).collect()
}

fn set_link(world: &mut World, at: usize, up: bool) {
    world.apply(Command::SetLink { port: port(at), up });
}

fn frame(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

/// Where a guest's broadcast comes out, and where a frame to a station outside does.
fn ways_out(world: &mut World) -> [Vec<usize>; 2] {
    [BROADCAST, OUTSIDE].map(|to| world.send(1, &frame(guest_mac(1), to)).unwrap().ports)
}

#[test]
fn the_others_carry_nothing_while_one_is_there() {
    let mut world = world();
    world.send(UPLINK, &frame(OUTSIDE, guest_mac(1))).unwrap();
    assert_eq!(ways_out(&mut world), [vec![UPLINK, 2], vec![UPLINK]]);
    for at in [SECOND, THIRD] {
        for to in [guest_mac(1), BROADCAST, VIP_MAC] {
            assert_eq!(world.send(at, &frame(OUTSIDE, to)), Err(DropReason::Standby));
        }
        let asked = frame(OUTSIDE, BROADCAST);
        let traced = world.plane.trace(port(at), &Frame::plain(&mut asked.clone()), world.now);
        assert_eq!(traced.verdict, Verdict::Drop(DropReason::Standby), "it is foreseen");
    }
    assert_eq!(ways_out(&mut world), [vec![UPLINK, 2], vec![UPLINK]], "nothing was learned");
    assert!(told(&mut world).is_empty());
}

#[test]
fn one_takes_over_and_gives_back() {
    let mut world = world();
    let mut flow = Ends::call(5000, 80);
    let real = world.send(UPLINK, &flow.tcp("S", &[])).unwrap().ports;
    world.send(UPLINK, &frame(OUTSIDE, guest_mac(1))).unwrap();

    set_link(&mut world, UPLINK, false);
    assert_eq!(told(&mut world), ["port up1: takes over for the other uplinks"]);
    assert_eq!(ways_out(&mut world), [vec![2, SECOND], vec![2, SECOND]], "nobody knows where");
    world.send(SECOND, &frame(OUTSIDE, guest_mac(1))).unwrap();
    assert_eq!(ways_out(&mut world), [vec![2, SECOND], vec![SECOND]]);
    flow.source_mac = CLIENT_MAC;
    let out = world.send(SECOND, &flow.tcp("A", &[])).unwrap();
    assert_eq!(out.ports, real, "its flow goes on");
    let said = world.pass_without(Duration::from_secs(1), &[]);
    let is_vips = |out: &&Out| out.frame[6..12] == VIP_MAC;
    assert!(said.iter().filter(is_vips).any(|out| out.ports.contains(&SECOND)), "it is announced");
    assert!(said.iter().all(|out| !out.ports.contains(&THIRD)), "the third stands by still");

    set_link(&mut world, SECOND, false);
    assert_eq!(told(&mut world), ["port up2: takes over for the other uplinks"]);
    assert_eq!(ways_out(&mut world)[0], [2, THIRD]);
    set_link(&mut world, UPLINK, true);
    assert_eq!(world.send(THIRD, &frame(OUTSIDE, guest_mac(1))), Err(DropReason::Standby));
    assert_eq!(ways_out(&mut world), [[UPLINK, 2], [UPLINK, 2]], "who was behind it is forgotten");
    set_link(&mut world, SECOND, true);
    assert_eq!(ways_out(&mut world)[0], [UPLINK, 2]);
    assert!(told(&mut world).is_empty());
}

#[test]
fn without_the_rule_all_uplinks_carry_and_none_to_another() {
    let mut world = world();
    for at in [SECOND, THIRD] {
        world.set_rules(at, PortRules::default());
    }
    assert_eq!(ways_out(&mut world)[0], [UPLINK, 2, SECOND, THIRD]);
    for at in [UPLINK, SECOND, THIRD] {
        let mut from = OUTSIDE;
        from[5] = at as u8;
        assert_eq!(world.send(at, &frame(from, BROADCAST)).map(|out| out.ports), Ok(vec![1, 2]));
    }
}
