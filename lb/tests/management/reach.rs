//! Whoever is on an uplink reaches it in its VLAN; guests do not, whatever they send.

use std::net::IpAddr;
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;

use crate::scene::*;
use crate::world::*;

const VLANS: [u16; 2] = [0, 10];
const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

/// Everything that a station can ask of the address.
fn questions(ends: &Ends) -> Vec<(&'static str, Vec<u8>)> {
    let v6 = ends.source.0.is_ipv6();
    let with_ports = |source, destination| Ends {
        source: (ends.source.0, source),
        destination: (ends.destination.0, destination),
        ..*ends
    };
    let mut all = vec![
        ("echo", echo_request(ends)),
        ("SSH", with_ports(40_000, 22).tcp("S", &[])),
        ("SNMP", with_ports(40_000, 161).udp(b"get")),
        ("report", with_ports(40_000, addr::REPORT_PORT).udp(b"up")),
        ("DHCP", with_ports(67, 68).udp(&[2; 300])),
        ("other protocol", ends.raw(47, &[0; 20])),
    ];
    match v6 {
        false => {
            all.push(("ARP", ends.arp(1)));
            all.push(("ARP to all", Ends { destination_mac: BROADCAST, ..*ends }.arp(1)));
            let probe = Ends { destination_mac: BROADCAST, source: (NOBODY, 0), ..*ends };
            all.push(("ARP probe", probe.arp(1)));
            all.push(("ARP reply", ends.arp(2)));
        }
        true => {
            let target = ends.destination.0;
            let (group, group_mac) = solicited_node(target);
            let option = option(SOURCE_OPTION, ends.source_mac);
            all.push(("NS", ends.neighbor(SOLICITATION, 0, target, &option)));
            let to_group = Ends { destination: (group, 0), destination_mac: group_mac, ..*ends };
            all.push(("NS to all", to_group.neighbor(SOLICITATION, 0, target, &option)));
            let probe = Ends { source: (NOBODY_V6, 0), ..to_group };
            all.push(("DAD", probe.neighbor(SOLICITATION, 0, target, &[])));
        }
    }
    all
}

#[test]
fn whoever_is_on_an_uplink_finds_it() {
    for vlan in VLANS {
        for ingress in [UPLINK, STANDBY] {
            let mut world = managed(vlan);
            let ends = ends(vlan, Version::V4);
            let asked = Ends { destination_mac: BROADCAST, ..ends }.arp(1);
            let out = world.send(ingress, &asked).unwrap();
            assert_eq!(out.ports, [ingress]);
            assert_eq!(out.frame, ends.reversed().arp(2));
            assert!(world.originated().is_empty());

            let ends = self::ends(vlan, Version::V6);
            let target = ends.destination.0;
            let (group, group_mac) = solicited_node(target);
            let asked = Ends { destination: (group, 0), destination_mac: group_mac, ..ends };
            let asked = asked.neighbor(SOLICITATION, 0, target, &option(SOURCE_OPTION, CLIENT_MAC));
            assert_eq!(world.send(ingress, &asked).unwrap().ports, [0; 0]);
            let own = option(TARGET_OPTION, OWN_MAC);
            let answer =
                ends.reversed().neighbor(ADVERTISEMENT, SOLICITED | OVERRIDE, target, &own);
            assert_eq!(world.originated(), [Out { ports: vec![ingress], frame: answer }]);
        }
    }
}

#[test]
fn it_answers_an_echo_from_near_and_far() {
    for (vlan, version) in VLANS.into_iter().flat_map(|vlan| VERSIONS.map(|v| (vlan, v))) {
        let mut world = managed(vlan);
        let near = ends(vlan, version);
        let far: IpAddr = match version {
            Version::V4 => [198, 51, 100, 7].into(),
            Version::V6 => "2001:db8::7".parse().unwrap(),
        };
        for asker in [near, Ends { source: (far, 0), source_mac: GATEWAY_MAC, ..near }] {
            let out = world.send(UPLINK, &echo_request(&asker)).unwrap();
            assert_eq!(out.ports, [UPLINK]);
            let answer = read_packet(&out.frame);
            assert_eq!((answer.ends, answer.hops), (asker.reversed(), 64));
            let kind = if version == Version::V4 { 0 } else { 129 };
            assert_eq!(answer.carries, Carries::Icmp { kind, code: 0, rest: [0, 7, 0, 9] });
            assert_eq!(answer.payload, b"are you there?");
            assert!(world.originated().is_empty(), "nothing else is said");
        }
    }
}

#[test]
fn nothing_else_listens_there() {
    for (vlan, version) in VLANS.into_iter().flat_map(|vlan| VERSIONS.map(|v| (vlan, v))) {
        let mut world = managed(vlan);
        let ends = ends(vlan, version);
        let call =
            Ends { source: (ends.source.0, 40_000), destination: (ends.destination.0, 22), ..ends };
        assert_eq!(world.send(UPLINK, &call.tcp("S", &[])), Err(DropReason::NotForUs));
        let [reset] = &world.originated()[..] else { panic!("one reset") };
        assert_eq!(*reset, Out { ports: vec![UPLINK], frame: call.reversed().refusal() });

        assert_eq!(world.send(UPLINK, &call.udp(b"get")), Err(DropReason::NotForUs));
        let [error] = &world.originated()[..] else { panic!("one error") };
        let error = read_packet(&error.frame);
        let (kind, code) = if version == Version::V4 { (3, 3) } else { (1, 4) };
        assert_eq!(error.carries, Carries::Icmp { kind, code, rest: [0; 4] });
        assert_eq!(error.ends, ends.reversed());
        assert_eq!(read_quote(&error.payload), (call.source.0, 40_000, call.destination.0, 22));

        for (what, frame, reason) in [
            ("a reset", call.tcp("R", &[]), DropReason::NotForUs),
            ("a protocol", ends.raw(47, &[0; 20]), DropReason::Protocol),
            (
                "no echo of ours",
                ends.icmp(if version == Version::V4 { 0 } else { 129 }, 0, [0; 4], &[]),
                DropReason::NoProbe,
            ),
            ("an odd type", ends.icmp(200, 0, [0; 4], &[]), DropReason::Icmp),
        ] {
            assert_eq!(world.send(UPLINK, &frame), Err(reason), "{what}");
            assert!(world.originated().is_empty(), "{what} is told nothing");
        }
    }
}

#[test]
fn it_is_in_one_vlan_alone() {
    let mut world = managed(10);
    for vlan in [0, 20] {
        for version in VERSIONS {
            let frame = echo_request(&ends(vlan, version));
            assert_eq!(world.send(UPLINK, &frame), Err(DropReason::NotForUs), "VLAN {vlan}");
        }
        let asked = Ends { destination_mac: BROADCAST, ..ends(vlan, Version::V4) }.arp(1);
        let out = world.send(UPLINK, &asked).unwrap();
        assert_eq!((out.ports, out.frame), (vec![1, 2], asked), "somebody else's question");
    }
}

#[test]
fn p51_a_guest_reaches_it_by_nothing() {
    for (vlan, version) in VLANS.into_iter().flat_map(|vlan| VERSIONS.map(|v| (vlan, v))) {
        let mut world = managed(vlan);
        let is_v4 = version == Version::V4;
        let guest = |n| if is_v4 { guest_address(n) } else { guest_address_v6(n) };
        let (source_mac, source) = (guest_mac(1), (guest(1), 0));
        let ends = Ends { source_mac, source, ..ends(vlan, version) };
        for (what, frame) in questions(&ends) {
            let reason = world.send(1, &frame).expect_err(what);
            assert_eq!(reason, DropReason::ManagementPort, "{what}, VLAN {vlan}");
            assert!(world.originated().is_empty(), "{what} is told nothing");
        }
        // Nor by way of a router, which sends it back by the uplink.
        let routed = Ends { source_mac: GATEWAY_MAC, ..ends };
        let ended = world.send(UPLINK, &echo_request(&routed));
        assert_eq!(ended, Err(DropReason::SpoofUplink));
        assert!(told(&mut world).is_empty());
    }
}

#[test]
fn a_guests_port_is_one_whoever_is_behind_it() {
    let mut world = managed(0);
    open(&mut world, 2);
    let stranger = [0x52, 0x54, 0, 0xaa, 0, 9];
    for version in VERSIONS {
        let ends = Ends { source_mac: stranger, ..ends(0, version) };
        for (what, frame) in questions(&ends) {
            assert_eq!(world.send(2, &frame), Err(DropReason::ManagementPort), "{what}");
        }
    }
    assert!(world.originated().is_empty());
}

#[test]
fn p52_no_guest_takes_its_name() {
    let mut world = managed(0);
    let v4 = Ends {
        source_mac: guest_mac(1),
        destination_mac: BROADCAST,
        source: (own(), 0),
        destination: (own(), 0),
        vlan: 0,
    };
    let to_client = Ends { destination_mac: CLIENT_MAC, destination: (CLIENT, 0), ..v4 };
    let v6 = Ends { source: (own_v6(), 0), destination: (CLIENT_V6, 0), ..to_client };
    let claim = option(TARGET_OPTION, guest_mac(1));
    for (what, frame, reason) in [
        ("announcement", v4.arp(1), DropReason::ArpSpoof),
        ("reply", to_client.arp(2), DropReason::ArpSpoof),
        ("question", to_client.arp(1), DropReason::ArpSpoof),
        (
            "advertisement",
            v6.neighbor(ADVERTISEMENT, OVERRIDE, own_v6(), &claim),
            DropReason::NdSpoof,
        ),
        ("packet", echo_request(&to_client), DropReason::VipSource),
        ("packet", echo_request(&v6), DropReason::VipSource),
        ("its MAC", echo_request(&Ends { source_mac: OWN_MAC, ..to_client }), DropReason::SpoofMac),
    ] {
        assert_eq!(world.send(1, &frame), Err(reason), "{what}");
    }
    assert!(world.originated().is_empty() && told(&mut world).is_empty());
}

#[test]
fn it_is_said_where_it_is_on_uplinks_alone() {
    let mut world = managed(10);
    world.originated();
    let heard = |said: &[Out]| -> Vec<usize> {
        let own = said.iter().filter(|out| out.frame[6..12] == OWN_MAC);
        own.flat_map(|out| out.ports.clone()).collect()
    };
    let said = world.pass_without(Duration::from_secs(61), &[]);
    assert_eq!(heard(&said), [UPLINK, STANDBY, UPLINK, STANDBY], "once a minute, each version");
    world.apply(Command::SetLink { port: port(UPLINK), up: false });
    world.apply(Command::SetLink { port: port(UPLINK), up: true });
    let said = world.pass_without(Duration::from_secs(4), &[]);
    assert_eq!(heard(&said).len(), 3 * 2 * 2, "three times when a link comes up");
    let announcement = Ends {
        vlan: 10,
        source_mac: OWN_MAC,
        destination_mac: BROADCAST,
        source: (own(), 0),
        destination: (own(), 0),
    };
    assert!(said.iter().any(|out| out.frame == announcement.arp(1)), "RFC 5227 §2.3");
}

#[test]
fn changing_it_touches_no_flow() {
    let mut world = managed(0);
    let call = Ends::call(5000, 80);
    let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
    let (at, created) = (out.ports.clone(), world.plane.flows().counters().created);
    let other = fixed([10, 0, 2, 99].into(), 24, None);
    manage(&mut world, &[AddressSpec { source: other, vlan: 0 }]);
    assert_eq!(world.send(UPLINK, &call.tcp("S", &[])).unwrap().ports, at);
    assert_eq!(world.plane.flows().counters().created, created);
    let frame = echo_request(&ends(0, Version::V4));
    assert_eq!(world.send(UPLINK, &frame), Err(DropReason::NotForUs), "the one of before is gone");
    world.apply(Command::SetManagement(None));
    let out = world.send(UPLINK, &frame).unwrap();
    assert_eq!(out.ports, [1, 2], "without one, it is a MAC that nobody knows");
}

#[test]
fn c16_it_is_nobody_elses() {
    let mut world = managed(0);
    let vip = ServiceSpec { vip: own(), ..World::service_spec("other", Protocol::Tcp, 80) };
    let refused = world.refused(Command::SetService(vip.clone()));
    assert_eq!(refused, Refusal::AddressIsOurs(own()));
    let mut guest = world.guest_spec(1);
    guest.addresses.push(own()).unwrap();
    assert_eq!(world.refused(Command::SetGuest(guest)), Refusal::AddressIsOurs(own()));
    let mut guest = world.guest_spec(1);
    guest.probe_sources.push(own()).unwrap();
    assert_eq!(world.refused(Command::SetGuest(guest)), Refusal::AddressIsOurs(own()));
    // In another VLAN it is another address.
    world.apply(Command::SetService(ServiceSpec { vlan: 20, ..vip }));

    let with = |address: IpAddr, prefix_len| {
        let spec = ManagementSpec {
            mac: MacAddr(OWN_MAC),
            addresses: [AddressSpec { source: fixed(address, prefix_len, None), vlan: 0 }]
                .into_iter()
                .collect(),
        };
        Command::SetManagement(Some(Box::new(spec)))
    };
    let guest = name("web1");
    let service = name("web");
    for (address, len, expected) in [
        (guest_address(1), 24, Refusal::AddressTaken { address: guest_address(1), guest }),
        (VIP, 24, Refusal::AddressIsVip { address: VIP, service }),
        (SWITCH, 16, Refusal::NotAHostAddress(SWITCH)),
        ([10, 0, 2, 255].into(), 24, Refusal::NotAHostAddress([10, 0, 2, 255].into())),
        ([224, 0, 0, 1].into(), 24, Refusal::NotAHostAddress([224, 0, 0, 1].into())),
    ] {
        assert_eq!(world.refused(with(address, len)), expected);
    }
    let frame = echo_request(&ends(0, Version::V4));
    assert_eq!(world.send(UPLINK, &frame).unwrap().ports, [UPLINK], "all is as it was");
}
