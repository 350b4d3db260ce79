//! LLDP at the ports: when we say who we are and to whom, and what is made of what others say.

mod world;

use std::time::Duration;

use lb::switch::lldp::{INTERVAL, TTL_S};
use lb::wire::lldp::{Advertisement, BRIDGE, ETHERTYPE_LLDP, Id, NEAREST_BRIDGE, text};
use lb::*;
use world::*;

const SECOND: usize = 4;
const OWN: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 0];
const OTHERS: [u8; 6] = [0x52, 0x55, 0, 0, 0, 0x42];

/// An uplink, three guest ports, and an uplink that stands by.
fn world() -> World {
    let mut world = World::new(SECOND);
    world.apply(Command::SetPort { port: port(SECOND), name: name("up1"), role: Role::Uplink });
    world.set_rules(SECOND, PortRules { standby: true, ..PortRules::default() });
    world
}

fn identity() -> Command {
    Command::SetIdentity(Some(Box::new(Identity {
        chassis: MacAddr(OWN),
        macs: vec![
            Some(MacAddr(OWN)),
            None,
            None,
            None,
            Some(MacAddr([0x52, 0x54, 0, 0xaa, 0, 4])),
        ],
        system_name: text(b"edge1"),
        description: text(b"a switch"),
    })))
}

fn set(world: &mut World, at: usize, lldp: Lldp) {
    world.set_rules(at, PortRules { lldp: Some(lldp), ..PortRules::default() });
}

/// Ports that hear of us as time passes, in the order in which they do.
fn told(world: &mut World, time: Duration) -> Vec<usize> {
    let said = world.pass_without(time, &[]);
    let ours = said.into_iter().filter(|out| out.frame[..6] == NEAREST_BRIDGE.0);
    ours.flat_map(|out| out.ports).collect()
}

fn frame(to: MacAddr, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [&to.0[..], &OTHERS, &ethertype.to_be_bytes(), packet].concat()
}

fn said(chassis: u8, ttl_s: u16) -> Advertisement {
    let mac = MacAddr([0x52, 0x55, 0, 0, 1, chassis]);
    Advertisement::new(Id::mac(mac), Id::name("Eth1/1"), ttl_s)
}

fn lldp(chassis: u8, ttl_s: u16) -> Vec<u8> {
    frame(NEAREST_BRIDGE, ETHERTYPE_LLDP, &said(chassis, ttl_s).packet())
}

/// The last bytes of the chassis that are known, by port.
fn peers(world: &World) -> Vec<(usize, u8)> {
    let all = world.plane.peers().iter();
    let mut all: Vec<_> = all.map(|peer| (peer.port.index(), peer.said.chassis.bytes[5])).collect();
    all.sort();
    all
}

#[test]
fn uplinks_hear_who_we_are() {
    let mut world = world();
    assert!(told(&mut world, INTERVAL).is_empty(), "who does not know himself says nothing");
    world.apply(identity());
    let out = world.pass_without(Duration::from_millis(10), &[]);
    let to = |at: usize| out.iter().find(|out| out.ports == [at]).map(|out| &out.frame);
    assert_eq!([1, 2, 3].map(to), [None; 3], "guests do not");
    for (at, mac, port) in [(UPLINK, OWN, "up0"), (SECOND, [0x52, 0x54, 0, 0xaa, 0, 4], "up1")] {
        let frame = to(at).expect("an uplink, even one that stands by, does");
        assert_eq!(frame[..14], [&NEAREST_BRIDGE.0[..], &mac, &[0x88, 0xcc]].concat());
        let expected = Advertisement {
            system_name: Some(text(b"edge1")),
            description: Some(text(b"a switch")),
            capabilities: Some([BRIDGE; 2]),
            ..Advertisement::new(Id::mac(MacAddr(OWN)), Id::name(port), TTL_S)
        };
        assert_eq!(Advertisement::parse(&frame[14..]), Ok(expected));
    }
    assert!(told(&mut world, INTERVAL - Duration::from_millis(20)).is_empty());
    assert_eq!(told(&mut world, Duration::from_millis(20)), [UPLINK, SECOND], "and again");
}

#[test]
fn a_link_that_comes_up_hears_it_at_once_and_others_when_they_are_told_to() {
    let mut world = world();
    world.apply(identity());
    let tick = Duration::from_millis(10);
    told(&mut world, tick);
    world.apply(Command::SetLink { port: port(UPLINK), up: false });
    assert!(told(&mut world, tick).is_empty());
    world.apply(Command::SetLink { port: port(UPLINK), up: true });
    assert_eq!(told(&mut world, tick), [UPLINK]);
    set(&mut world, 1, Lldp::Send);
    set(&mut world, 2, Lldp::On);
    set(&mut world, UPLINK, Lldp::Off);
    assert_eq!(told(&mut world, tick), [1, 2]);
    assert_eq!(told(&mut world, INTERVAL), [1, 2, SECOND]);
    let (from, to, filter) = (port(1), port(SECOND), Filter::default());
    world.apply(Command::SetMirror(MirrorSpec { name: name("m"), from, way: None, filter, to }));
    assert_eq!(told(&mut world, tick), [1, 2], "who gets copies gets nothing else");
}

#[test]
fn it_leaves_and_comes_without_a_tag_whatever_the_vlans_of_a_port() {
    let mut world = world();
    let trunk: PortVlan = PortVlan::Trunk { tagged: Box::new("10".parse().unwrap()), native: None };
    world.set_rules(UPLINK, PortRules { vlan: trunk, ..PortRules::default() });
    world.apply(identity());
    let out = world.pass_without(Duration::from_millis(10), &[]);
    let own = &out.iter().find(|out| out.ports == [UPLINK]).expect("it is told").frame;
    assert_eq!(world.plane.departure(port(UPLINK), own), Departure::AsIs);
    assert_eq!(world.plane.entry(port(UPLINK), &lldp(1, 9)), Ok(Entry::AsIs));
    world.send(UPLINK, &lldp(1, 9)).unwrap();
    assert_eq!(peers(&world), [(UPLINK, 1)]);
}

#[test]
fn who_is_heard_is_known_for_as_long_as_he_said() {
    let mut world = world();
    world.send(UPLINK, &lldp(1, 120)).unwrap();
    world.send(SECOND, &lldp(2, 60)).unwrap();
    assert_eq!(peers(&world), [(UPLINK, 1), (SECOND, 2)]);
    let first = world.plane.peers().iter().next().unwrap();
    assert_eq!((first.mac, &first.said), (MacAddr(OTHERS), &said(1, 120)));
    world.pass(Duration::from_secs(50));
    world.send(UPLINK, &lldp(1, 60)).unwrap();
    world.pass(Duration::from_secs(11));
    assert_eq!(peers(&world), [(UPLINK, 1)], "the other one is too old");
    world.send(UPLINK, &lldp(1, 0)).unwrap();
    assert!(peers(&world).is_empty(), "it says that it goes");
    world.send(UPLINK, &lldp(1, 60)).unwrap();
    world.apply(Command::SetLink { port: port(UPLINK), up: false });
    assert!(peers(&world).is_empty(), "the link has gone");
    let counters = LldpCounters { heard: 5, aged: 1, ..LldpCounters::default() };
    assert_eq!(*world.plane.peers().counters(), counters);
}

/// P58.
#[test]
fn what_is_not_for_our_ears_ends_as_all_that_is_about_a_link() {
    let mut world = world();
    let bpdu = frame(MacAddr([1, 0x80, 0xc2, 0, 0, 0]), 0x27, &[0x42, 0x42, 3]);
    let hello = lldp(1, 120);
    let tagged = [&hello[..12], &[0x81, 0, 0, 10], &hello[12..]].concat();
    let plain = frame(MacAddr(BROADCAST), ETHERTYPE_LLDP, &said(1, 120).packet());
    for at in [1, UPLINK] {
        assert_eq!(world.send(at, &bpdu), Err(DropReason::LinkLocal));
        assert_eq!(world.send(at, &tagged), Err(DropReason::LinkLocal));
    }
    assert_eq!(world.send(1, &hello), Err(DropReason::LinkLocal), "a guest is not heard");
    set(&mut world, 1, Lldp::Send);
    assert_eq!(world.send(1, &hello), Err(DropReason::LinkLocal), "nor one that we tell");
    assert_eq!(world.send(SECOND, &bpdu), Err(DropReason::Standby));
    assert_eq!(world.send(UPLINK, &plain).unwrap().ports, [1, 2, 3], "to all it is a frame");
    assert!(peers(&world).is_empty());
    set(&mut world, 1, Lldp::On);
    world.send(1, &hello).unwrap();
    assert_eq!(peers(&world), [(1, 1)]);
    let traced = world.plane.trace(port(1), &Frame::plain(&mut hello.clone()), world.now);
    assert_eq!(traced.verdict, Verdict::Punt, "it is foreseen");
    set(&mut world, 1, Lldp::Off);
    assert!(peers(&world).is_empty());
}

#[test]
fn lies_are_counted_and_a_third_peer_finds_no_room() {
    let mut world = world();
    let lie = frame(NEAREST_BRIDGE, ETHERTYPE_LLDP, &[2, 0xff, 4]);
    world.send(UPLINK, &lie).unwrap();
    for chassis in 0..9 {
        world.send(UPLINK, &lldp(chassis, u16::MAX)).unwrap();
    }
    world.send(SECOND, &lldp(9, 10)).unwrap();
    assert_eq!(peers(&world), [(UPLINK, 0), (UPLINK, 1), (SECOND, 9)]);
    let counters = LldpCounters { heard: 10, malformed: 1, no_room: 7, aged: 0 };
    assert_eq!(*world.plane.peers().counters(), counters);
}
