//! The ordinary work of a switch.

mod world;

use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use world::*;

fn frame(source: [u8; 6], destination: [u8; 6], rest: &[u8]) -> Vec<u8> {
    let mut frame = [&destination[..], &source, rest].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

const OTHER: [u8; 2] = [0x88, 0xb5];

fn mac(n: u8) -> [u8; 6] {
    [0x52, 0x54, 0, 0xee, 0, n]
}

#[test]
fn learns_floods_and_ages() {
    let mut world = World::new(3);
    let there = frame(mac(1), mac(2), &OTHER);
    let back = frame(mac(2), mac(1), &OTHER);
    assert_eq!(world.send(1, &there).unwrap().ports, [0, 2, 3], "unknown: everywhere else");
    assert_eq!(world.send(2, &back).unwrap().ports, [1], "learned from its source");
    assert_eq!(world.send(1, &there).unwrap().ports, [2]);
    world.send(2, &frame(mac(1), BROADCAST, &OTHER)).unwrap();
    assert_eq!(world.send(3, &frame(mac(3), mac(1), &OTHER)).unwrap().ports, [2], "moved");
    world.pass(Duration::from_secs(301));
    assert_eq!(world.send(3, &back).unwrap().ports, [0, 1, 2], "forgotten after 300 s");
}

#[test]
fn groups_are_flooded_and_reserved_ones_kept() {
    let mut world = World::new(2);
    for group in [BROADCAST, [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        assert_eq!(world.send(1, &frame(mac(1), group, &OTHER)).unwrap().ports, [0, 2]);
    }
    for last in 0..=15 {
        let reserved = frame(mac(1), [1, 0x80, 0xc2, 0, 0, last], &OTHER);
        assert_eq!(world.send(1, &reserved).unwrap_err(), DropReason::LinkLocal, "P7 P43");
    }
}

#[test]
fn nothing_goes_back_or_from_uplink_to_uplink() {
    let mut world = World::new(3);
    world.apply(Command::SetPort { port: port(3), name: name("up1"), role: Role::Uplink });
    world.send(1, &frame(mac(1), BROADCAST, &OTHER)).unwrap();
    world.send(3, &frame(mac(3), BROADCAST, &OTHER)).unwrap();
    let to_same_port = frame(mac(9), mac(1), &OTHER);
    assert_eq!(world.send(1, &to_same_port).unwrap_err(), DropReason::SamePort);
    assert_eq!(world.send(0, &frame(mac(8), mac(7), &OTHER)).unwrap().ports, [1, 2]);
    assert_eq!(world.send(0, &frame(mac(8), mac(3), &OTHER)).unwrap_err(), DropReason::NoPort);
}

#[test]
fn a_link_that_is_down_gets_nothing() {
    let mut world = World::new(2);
    world.send(1, &frame(mac(1), BROADCAST, &OTHER)).unwrap();
    world.apply(Command::SetLink { port: port(1), up: false });
    assert_eq!(world.send(2, &frame(mac(2), mac(1), &OTHER)).unwrap().ports, [0]);
    world.apply(Command::SetLink { port: port(0), up: false });
    let refused = world.send(2, &frame(mac(2), mac(1), &OTHER));
    assert_eq!(refused.unwrap_err(), DropReason::NoPort);
}

#[test]
fn sources_that_cannot_be() {
    let mut world = World::serving(2);
    let cases = [
        ("P5 multicast", [1, 0, 0x5e, 0, 0, 1], DropReason::BadSource),
        ("P5 broadcast", BROADCAST, DropReason::BadSource),
        ("P5 zero", [0; 6], DropReason::BadSource),
        ("P6 the switch", SWITCH_MAC, DropReason::SpoofMac),
        ("P6 a VIP", VIP_MAC, DropReason::SpoofMac),
        ("P6 another defined guest", guest_mac(2), DropReason::SpoofMac),
        ("P6 nobody's", mac(9), DropReason::SpoofMac),
    ];
    for (what, source, reason) in cases {
        let bad = frame(source, BROADCAST, &OTHER);
        assert_eq!(world.send(1, &bad).unwrap_err(), reason, "{what}");
    }
    let claimed = frame(guest_mac(2), BROADCAST, &OTHER);
    assert_eq!(world.send(UPLINK, &claimed).unwrap_err(), DropReason::SpoofUplink, "P40");
    world.apply(Command::SetLink { port: port(2), up: false });
    world.send(UPLINK, &claimed).expect("P40: a guest that has moved away");
}

#[test]
fn vlans_do_not_mix() {
    let mut world = World::serving(1);
    let own = guest_mac(1);
    let tagged = |vlan: u8, source, destination| {
        frame(source, destination, &[0x81, 0, 0, vlan, OTHER[0], OTHER[1]])
    };
    world.send(1, &tagged(10, own, BROADCAST)).unwrap();
    assert_eq!(world.send(0, &tagged(10, mac(2), own)).unwrap().ports, [1]);
    let out = world.send(0, &tagged(20, mac(2), own)).unwrap();
    assert_eq!((out.ports, &out.frame[12..16]), (vec![1], &[0x81, 0, 0, 20][..]), "tag kept");
    let mut call = Ends::call(1, 80).tcp("S", &[]);
    call.splice(12..12, [0x81, 0, 0, 10]);
    let refused = world.send(UPLINK, &call);
    assert_eq!(refused.unwrap_err(), DropReason::NotForUs, "services are untagged");
}

#[test]
fn what_is_not_ours_is_opaque() {
    let mut world = World::serving(1);
    let cases: &[(&str, &[u8])] = &[
        ("P8 802.3 length", &[0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]),
        ("P44 MPLS", &[0x88, 0x47, 1, 2, 3, 4]),
        ("IPv6", &[0x86, 0xdd, 0x60]),
        ("P10 broken IPv4 to a stranger", &[0x08, 0x00, 0x51]),
    ];
    for (what, rest) in cases {
        let sent = frame(CLIENT_MAC, mac(9), rest);
        let out = world.send(UPLINK, &sent).unwrap();
        assert_eq!((out.ports, out.frame), (vec![1], sent), "{what}");
    }
    let to_vip = frame(CLIENT_MAC, VIP_MAC, &[0x86, 0xdd, 0x60]);
    assert_eq!(world.send(UPLINK, &to_vip).unwrap_err(), DropReason::Ip6Extension);
}

#[test]
fn p1_p2_short_frames() {
    let mut world = World::serving(1);
    for len in 0..14 {
        assert_eq!(world.send(1, &vec![0x52; len]).unwrap_err(), DropReason::Runt);
    }
    let ip = [&VIP_MAC[..], &CLIENT_MAC, &[8, 0]].concat();
    assert_eq!(world.send(UPLINK, &ip).unwrap_err(), DropReason::ShortIp, "P3");
}

#[test]
fn refusals_say_what_is_wrong_and_change_nothing() {
    let mut world = World::serving(2);
    let spec = |change: &dyn Fn(&mut GuestSpec)| {
        let mut spec = GuestSpec { name: name("new"), mac: MacAddr(mac(1)), ..world.guest_spec(1) };
        spec.addresses.clear();
        change(&mut spec);
        Command::SetGuest(spec)
    };
    let vip = VIP;
    let address = guest_address(2);
    let cases = [
        (spec(&|s| s.port = port(9)), Refusal::UnknownPort),
        (spec(&|s| s.port = port(0)), Refusal::NotAGuestPort(name("up0"))),
        (spec(&|s| s.mac = MacAddr::BROADCAST), Refusal::NotAStation(MacAddr::BROADCAST)),
        (
            spec(&|s| s.mac = MacAddr(guest_mac(2))),
            Refusal::MacTaken { mac: MacAddr(guest_mac(2)), guest: name("web2") },
        ),
        (
            spec(&|s| s.addresses.push(address).unwrap()),
            Refusal::AddressTaken { address, guest: name("web2") },
        ),
        (
            spec(&|s| s.addresses.push(vip).unwrap()),
            Refusal::AddressIsVip { address: vip, service: name("web") },
        ),
        (
            spec(&|s| s.name = name("web1")),
            Refusal::NoAddressForReal { guest: name("web1"), version: Version::V4 },
        ),
        (
            Command::SetService(World::service_spec("again", Protocol::Tcp, 80)),
            Refusal::VipTaken { service: name("web") },
        ),
        (
            Command::SetService(ServiceSpec {
                vip: address,
                ..World::service_spec("again", Protocol::Tcp, 81)
            }),
            Refusal::VipIsGuest { address, guest: name("web2") },
        ),
        (
            Command::SetService(ServiceSpec {
                vip: std::net::Ipv6Addr::LOCALHOST.into(),
                ..World::service_spec("six", Protocol::Tcp, 81)
            }),
            Refusal::NotAHostAddress(std::net::Ipv6Addr::LOCALHOST.into()),
        ),
        (Command::DeleteService(name("nil")), Refusal::UnknownService(name("nil"))),
        (Command::DeleteGuest(name("nil")), Refusal::UnknownGuest(name("nil"))),
        (
            Command::SetPort { port: port(1), name: name("p2"), role: Role::Guest },
            Refusal::PortNameTaken(name("p2")),
        ),
        (
            Command::SetPort { port: port(1), name: name("p1"), role: Role::Uplink },
            Refusal::NotAGuestPort(name("p1")),
        ),
    ];
    for (command, refusal) in cases {
        assert_eq!(world.refused(command), refusal);
    }
}

#[test]
fn p46_a_mac_on_two_ports_in_turn() {
    let mut world = World::new(3);
    let hello = frame(mac(9), BROADCAST, &OTHER);
    for turn in 0..1000 {
        let ended = world.send(1 + turn % 2, &hello);
        // Its one move of this second was to port 2.
        let expected = if turn > 0 && turn % 2 == 0 { Some(DropReason::MacMove) } else { None };
        assert_eq!(ended.err(), expected, "frame {turn}");
        world.now = world.now + Duration::from_micros(999);
    }
    let counters = world.plane.fdb().counters();
    assert_eq!((counters.moved, counters.restless), (1, 499));
    let told: Vec<_> = std::iter::from_fn(|| world.plane.events().pop()).collect();
    assert_eq!(told, [Event::MacMoves { mac: MacAddr(mac(9)), port: name("p1") }], "said once");
    world.now = world.now + Duration::from_millis(1);
    assert!(world.send(1, &hello).is_ok(), "the next second");
}
