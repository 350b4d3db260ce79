//! Mirrors: which copies are wanted, and that the port that they go to is nothing else.

mod world;

use lb::limits::MIRRORS_MAX;
use lb::*;
use world::*;

/// An uplink that the last of the mirrors' ports is in some tests.
const SECOND: usize = 4;
const OUTSIDE: [u8; 6] = [0x52, 0x55, 0, 0, 0, 0x42];

fn mirror(text: &str, from: usize, way: Option<Way>, to: usize) -> MirrorSpec {
    let (from, to) = (port(from), port(to));
    MirrorSpec { name: name(text), from, way, filter: Filter::default(), to }
}

/// Two guests that serve the web, and two ports where nobody is.
fn world() -> World {
    let mut world = World::new(4);
    world.apply(Command::SetService(Served::default().spec("web")));
    for n in [1, 2] {
        world.define(n);
        world.set_real("web", n, Some(8080), 100);
    }
    world.settle();
    world.originated();
    world
}

fn frame(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

/// Where copies are wanted to go of a frame that passes a port.
fn copies(world: &World, at: usize, way: Way, frame: &[u8]) -> Vec<usize> {
    let wanted = world.plane.tables().mirrors().wanted(port(at), way, frame);
    wanted.iter().map(|wanted| wanted.to.index()).collect()
}

#[test]
fn copies_are_wanted_as_it_was_said() {
    let mut world = world();
    let web = Filter { l4_port: Some(80), ..Filter::default() };
    world.apply(Command::SetMirror(mirror("all", UPLINK, None, 3)));
    world.apply(Command::SetMirror(mirror("heard", 1, Some(Way::In), 3)));
    world.apply(Command::SetMirror(MirrorSpec { filter: web, ..mirror("web", UPLINK, None, 4) }));
    let (call, other) = (Ends::call(40_000, 80).tcp("S", &[]), frame(OUTSIDE, BROADCAST));
    let cases: [(usize, Way, &[u8], &[usize]); 8] = [
        (UPLINK, Way::In, &call, &[3, 4]),
        (UPLINK, Way::Out, &call, &[3, 4]),
        (UPLINK, Way::In, &other, &[3]),
        (1, Way::In, &call, &[3]),
        (1, Way::Out, &call, &[]),
        (2, Way::In, &call, &[]),
        (UPLINK, Way::In, &call[..20], &[3]),
        (UPLINK, Way::In, &[], &[3]),
    ];
    for (at, way, frame, expected) in cases {
        assert_eq!(copies(&world, at, way, frame), expected, "{at} {way:?}");
    }
    assert_eq!(world.plane.tables().edges().collect::<Vec<_>>(), [port(0), port(1)]);
    world.apply(Command::DeleteMirror(name("all")));
    world.apply(Command::DeleteMirror(name("web")));
    world.apply(Command::DeleteMirror(name("none")));
    assert!(copies(&world, UPLINK, Way::In, &call).is_empty());
    assert_eq!(copies(&world, 1, Way::In, &call), [3]);
    assert_eq!(world.plane.tables().edges().collect::<Vec<_>>(), [port(1)]);
}

#[test]
fn what_became_of_copies_is_counted_for_each_mirror() {
    let mut world = world();
    world.apply(Command::SetMirror(mirror("a", 1, None, 3)));
    world.apply(Command::SetMirror(mirror("b", 2, None, 3)));
    for (mirror, end) in [
        (0, CopyEnd::Sent),
        (1, CopyEnd::Sent),
        (1, CopyEnd::NoRoom),
        (1, CopyEnd::NotTaken),
        (2, CopyEnd::Sent),
    ] {
        world.plane.count_copy(mirror, end);
    }
    let counters = |world: &World| -> Vec<[u64; 3]> {
        let all = world.plane.tables().mirrors().iter().map(|mirror| mirror.counters);
        all.map(|its| [its.copies, its.no_room, its.not_taken]).collect()
    };
    assert_eq!(counters(&world), [[1, 0, 0], [1, 1, 1]]);
    world.apply(Command::SetMirror(mirror("b", 2, Some(Way::Out), 3)));
    assert_eq!(counters(&world), [[1, 0, 0], [1, 1, 1]], "one that changes goes on");
    world.apply(Command::DeleteMirror(name("a")));
    world.apply(Command::SetMirror(mirror("a", 1, None, 3)));
    assert_eq!(counters(&world), [[1, 1, 1], [0, 0, 0]]);
}

/// P57.
#[test]
fn the_port_that_copies_go_to_is_nothing_else() {
    let mut world = world();
    let from_there = frame(OUTSIDE, guest_mac(1));
    assert_eq!(world.send(3, &from_there).unwrap().ports, [1], "before");
    let to_there = frame(guest_mac(1), OUTSIDE);
    assert_eq!(world.send(1, &to_there).unwrap().ports, [3], "who is there was learned");
    world.apply(Command::SetMirror(mirror("m", UPLINK, None, 3)));
    assert_eq!(world.send(1, &to_there).unwrap().ports, [UPLINK, 2, 4], "and is forgotten");
    let to_all = frame(guest_mac(1), BROADCAST);
    assert_eq!(world.send(1, &to_all).unwrap().ports, [UPLINK, 2, 4]);
    for to in [guest_mac(1), BROADCAST, VIP_MAC, SWITCH_MAC] {
        let sent = frame(OUTSIDE, to);
        assert_eq!(world.send(3, &sent), Err(DropReason::MirrorPort));
        let traced = world.plane.trace(port(3), &Frame::plain(&mut sent.clone()), world.now);
        assert_eq!(traced.verdict, Verdict::Drop(DropReason::MirrorPort), "it is foreseen");
    }
    world.apply(Command::SetLink { port: port(3), up: false });
    world.apply(Command::SetLink { port: port(3), up: true });
    let said = world.pass_without(std::time::Duration::from_secs(60), &[]);
    assert!(said.iter().all(|out| !out.ports.contains(&3)), "not a word of ours");
    world.apply(Command::DeleteMirror(name("m")));
    assert_eq!(world.send(3, &from_there).unwrap().ports, [1], "afterwards");
}

#[test]
fn an_uplink_that_copies_go_to_is_no_uplink() {
    let mut world = world();
    world.apply(Command::SetPort { port: port(SECOND), name: name("up1"), role: Role::Uplink });
    world.set_rules(SECOND, PortRules { standby: true, ..PortRules::default() });
    assert_eq!(world.send(SECOND, &frame(OUTSIDE, BROADCAST)), Err(DropReason::Standby));
    world.apply(Command::SetMirror(mirror("m", 1, None, UPLINK)));
    assert_eq!(world.send(UPLINK, &frame(OUTSIDE, BROADCAST)), Err(DropReason::MirrorPort));
    assert_eq!(world.send(1, &frame(guest_mac(1), BROADCAST)).unwrap().ports, [2, 3, SECOND]);
    let said = world.pass_without(std::time::Duration::from_secs(2), &[]);
    assert!(said.iter().any(|out| out.ports.contains(&SECOND)), "the VIP is announced there");
}

#[test]
fn a_refused_mirror_changes_nothing() {
    let mut world = world();
    let taken = |port: &str| Refusal::MirrorsPort(name(port));
    let unknown = port(9);
    for (spec, refusal) in [
        (mirror("m", 1, None, 1), taken("p1")),
        (mirror("m", 3, None, 1), taken("p1")),
        (MirrorSpec { to: unknown, ..mirror("m", 1, None, 3) }, Refusal::UnknownPort),
        (MirrorSpec { from: unknown, ..mirror("m", 1, None, 3) }, Refusal::UnknownPort),
    ] {
        assert_eq!(world.refused(Command::SetMirror(spec)), refusal);
    }
    for at in 0..MIRRORS_MAX {
        world.apply(Command::SetMirror(mirror(&format!("m{at}"), 1, None, 3)));
    }
    let full = Refusal::Full { table: "mirrors", max: MIRRORS_MAX };
    assert_eq!(world.refused(Command::SetMirror(mirror("m", 1, None, 3))), full);
    assert_eq!(copies(&world, 1, Way::In, &[]), [3; MIRRORS_MAX]);
    let there = GuestSpec::new(name("web3"), port(3), MacAddr(guest_mac(3)));
    assert_eq!(world.refused(Command::SetGuest(there)), taken("p3"));
}
