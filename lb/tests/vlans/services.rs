//! Services in VLANs that only tags tell apart on one port, and that another does not know of: calls,
//! answers, probes and reports.

use std::time::Duration;

use lb::*;

use crate::world::*;

/// An uplink that is a trunk, guests on access ports of VLAN 10, and the service in it.
fn serving(served: Served) -> World {
    let mut world = World::new(2);
    world.set_vlan(UPLINK, trunk("10-20", Some(1)));
    world.apply(Command::SetService(served.spec("web")));
    for n in [1, 2] {
        world.set_vlan(n, access(10));
        world.define(n);
        world.set_real("web", n, served.real_port(), 100);
    }
    world.settle();
    world
}

fn packet(ends: Ends, protocol: Protocol, flags: &str) -> Vec<u8> {
    match protocol {
        Protocol::Tcp => ends.tcp(flags, &[]),
        Protocol::Udp => ends.udp(flags.as_bytes()),
    }
}

/// By hand and by the short way of a flow that goes on.
#[test]
fn a_client_on_a_trunk_and_a_real_on_an_access_port() {
    for served in SERVED.into_iter().filter(|served| served.vlan == 10) {
        let mut world = serving(served);
        let call = Ends {
            vlan: 10,
            destination_mac: served.vip_mac(),
            source: (served.client(), 1000),
            destination: (served.vip(), 80),
            ..Ends::call(1000, 80)
        };
        let mut at = None;
        for (there, back) in [("S", "SA"), ("A", "A"), ("A", "A")] {
            let out = world.cross(UPLINK, &packet(call, served.protocol, there)).unwrap();
            let (&to, delivered) = out.first_key_value().unwrap();
            assert_eq!((out.len(), *at.get_or_insert(to)), (1, to), "{served:?}");
            let delivered = read_packet(delivered).ends;
            assert_eq!(
                (delivered.vlan, delivered.destination_mac),
                (0, guest_mac(to)),
                "{served:?}"
            );

            let answer = packet(delivered.reversed_to(CLIENT_MAC), served.protocol, back);
            let out = world.cross(to, &answer).unwrap();
            let heard = read_packet(&out[&UPLINK]).ends;
            assert_eq!((out.len(), heard), (1, call.reversed()), "{served:?}");
        }
        let untagged = Ends { vlan: 0, ..call };
        let lost = world.cross(UPLINK, &packet(untagged, served.protocol, "S"));
        assert_eq!(lost, Err(DropReason::NotForUs), "it is in VLAN 1 then");
    }
}

#[test]
fn a_port_that_leaves_the_vlan_gets_nothing_more_of_a_flow() {
    for flags in ["A", "PA"] {
        let mut world = serving(Served { vlan: 10, ..Served::default() });
        let call = Ends { vlan: 10, ..Ends::call(1000, 80) };
        let out = world.cross(UPLINK, &call.tcp("S", &[])).unwrap();
        let (&at, delivered) = out.first_key_value().unwrap();
        let answer = read_packet(delivered).ends.reversed_to(CLIENT_MAC);
        world.cross(at, &answer.tcp("SA", &[])).unwrap();
        world.cross(UPLINK, &call.tcp("A", &[])).unwrap();
        world.set_vlan(at, access(20));
        let ended = world.cross(UPLINK, &call.tcp(flags, b"lost"));
        assert_eq!(ended, Err(DropReason::VlanEgress));
        let other = world.cross(UPLINK, &Ends { vlan: 10, ..Ends::call(1001, 80) }.tcp("S", &[]));
        assert_eq!(other.map(|out| out.into_keys().collect()), Ok(vec![3 - at]), "others serve");
        assert_eq!(world.standing("web", at).eligibility, Err(Ineligible::PortDown));
    }
}

#[test]
fn guests_are_asked_in_the_vlan_of_their_service_and_see_no_tag() {
    for served in SERVED.into_iter().filter(|served| served.vlan == 10) {
        let mut world = serving(served);
        assert_eq!([1, 2].map(|n| world.standing("web", n).sources.neighbor), [Health::Up; 2]);
        world.said();
        world.now = world.now + Duration::from_millis(250);
        world.plane.housekeep(world.now);
        let said = world.said();
        let asked = said.iter().filter(|(_, frame)| frame[..6] != BROADCAST);
        let asked: Vec<_> = asked.map(|(at, frame)| (*at, [frame[12], frame[13]])).collect();
        let kind = if served.vip().is_ipv4() { [8, 6] } else { [0x86, 0xdd] };
        assert_eq!(asked, [(1, kind), (2, kind)], "{served:?}");
    }
}

/// A guest whose port does not carry the service's VLAN is asked nothing and serves nobody.
#[test]
fn a_real_outside_of_its_services_vlan_is_not_there() {
    let mut world = serving(Served { vlan: 10, ..Served::default() });
    let spec = ServiceSpec {
        vlan: 11,
        check: Some(Check::new(CheckKind::Icmp)),
        ..World::service_spec("web", Protocol::Tcp, 80)
    };
    world.apply(Command::SetService(spec));
    world.said();
    for _ in 0..500 {
        world.now = world.now + Duration::from_millis(10);
        world.plane.housekeep(world.now);
        let said = world.said();
        let to_guests: Vec<_> = said.iter().filter(|(at, _)| *at != UPLINK).collect();
        assert!(to_guests.is_empty(), "{to_guests:x?}");
    }
    assert_eq!(world.plane.probes().counters().sent, 0);
    let call = Ends { vlan: 11, ..Ends::call(1000, 80) }.tcp("S", &[]);
    let ended = world.cross(UPLINK, &call).map(|out| out.into_keys().collect::<Vec<_>>());
    assert_eq!(ended, Err(DropReason::NoBackend));
}

#[test]
fn a_guest_on_an_access_port_reports_and_is_answered_without_a_tag() {
    let mut world = serving(Served { vlan: 10, ..Served::default() });
    world.said();
    let report = Ends {
        vlan: 0,
        source_mac: guest_mac(1),
        destination_mac: SWITCH_MAC,
        source: (guest_address(1), 4000),
        destination: (SWITCH, 3333),
    };
    assert_eq!(world.cross(1, &report.udp(b"up 50%")), Ok([].into()));
    let said = world.said();
    let [(1, answer)] = &said[..] else { panic!("{said:x?}") };
    let answer = read_packet(answer);
    assert_eq!(answer.ends, report.reversed());
    assert!(answer.payload.starts_with(b"ack "), "{:?}", answer.payload);
    assert_eq!(world.standing("web", 1).effective_weight.whole(), 50);
}

/// Whoever comes into a VLAN has not heard where its VIPs are.
#[test]
fn a_port_that_comes_into_a_vlan_is_told_of_its_vips() {
    let mut world = serving(Served { vlan: 10, ..Served::default() });
    world.pass(Duration::from_secs(60));
    world.said();
    world.set_vlan(2, trunk("10", None));
    world.now = world.now + Duration::from_millis(10);
    world.plane.housekeep(world.now);
    let said = world.said();
    let heard: Vec<_> = said.iter().filter(|(_, frame)| frame[..6] == BROADCAST).collect();
    let tags: Vec<_> =
        heard.iter().map(|(at, frame)| (*at, frame[12..16] == [0x81, 0, 0, 10])).collect();
    assert_eq!(tags, [(0, true), (1, false), (2, true)]);
}
