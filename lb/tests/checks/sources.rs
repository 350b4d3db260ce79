//! Probes from an address of the guest's own network, for which the switch stands in; and that no
//! flow is ever taken for a probe.

use std::net::IpAddr;
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;

use crate::scene::{Scene, What};
use crate::station::Manner;
use crate::world::*;

fn source(version: Version) -> IpAddr {
    match version {
        Version::V4 => "10.0.2.250".parse().unwrap(),
        Version::V6 => "fd00::250".parse().unwrap(),
    }
}

const SOURCES: [Version; 2] = [Version::V4, Version::V6];

#[test]
fn every_kind_comes_from_the_guests_probe_source() {
    for (what, version) in What::ALL.into_iter().flat_map(|what| SOURCES.map(|v| (what, v))) {
        for vlan in [0, 10] {
            let served = Served { version, vlan, ..Served::default() };
            let mut scene =
                Scene::new(what, served, what.check(), &[Manner::Answers, Manner::Answers]);
            let mut spec = scene.world.guest_spec(1);
            spec.probe_sources = SOURCES.map(source).into_iter().collect();
            scene.world.apply(Command::SetGuest(spec));
            scene.stations[0].asker = source(version);
            scene.pass(Duration::from_secs(2));
            let case = format!("{what:?} {served:?}");
            assert_eq!([1, 2].map(|n| scene.watch(n).health), [Health::Up; 2], "{case}");
        }
    }
}

#[test]
fn the_switch_answers_for_a_probe_source_on_that_port_alone() {
    for version in SOURCES {
        let mut world = World::serving(2);
        let mut spec = world.guest_spec(1);
        spec.probe_sources = [source(version)].into_iter().collect();
        world.apply(Command::SetGuest(spec));
        let ends = |n: usize| Ends {
            vlan: 0,
            source_mac: guest_mac(n),
            destination_mac: BROADCAST,
            source: match version {
                Version::V4 => (guest_address(n), 0),
                Version::V6 => (guest_address_v6(n), 0),
            },
            destination: (source(version), 0),
        };
        let question = |n: usize| match version {
            Version::V4 => ends(n).arp(1),
            Version::V6 => {
                let (group, mac) = solicited_node(source(version));
                let ends = Ends { destination_mac: mac, destination: (group, 0), ..ends(n) };
                let own = option(SOURCE_OPTION, guest_mac(n));
                ends.neighbor(SOLICITATION, 0, source(version), &own)
            }
        };
        world.originated();
        let out = world.send(1, &question(1)).unwrap();
        let answer = world.originated().pop().unwrap_or(out);
        assert_eq!(answer.ports, [1]);
        let answers =
            Ends { source_mac: SWITCH_MAC, destination_mac: guest_mac(1), ..ends(1).reversed() };
        let expected = match version {
            Version::V4 => answers.arp(2),
            Version::V6 => {
                let own = option(TARGET_OPTION, SWITCH_MAC);
                answers.neighbor(ADVERTISEMENT, SOLICITED | OVERRIDE, source(version), &own)
            }
        };
        assert_eq!(answer.frame, expected);

        let out = world.send(2, &question(2)).unwrap();
        assert_eq!(out.ports, [0, 1], "a stranger's address for everybody else");
        let to = |n: usize| Ends { destination_mac: CLIENT_MAC, ..ends(n) };
        let (kind, reply) = if version == Version::V4 { (8, 0) } else { (128, 129) };
        let echo = to(1).icmp(kind, 0, [1, 2, 3, 4], b"?");
        let out = world.send(1, &echo).unwrap();
        assert_eq!(
            (out.ports, out.frame),
            (
                vec![1],
                Ends { source_mac: SWITCH_MAC, destination_mac: guest_mac(1), ..to(1).reversed() }
                    .icmp(reply, 0, [1, 2, 3, 4], b"?")
            )
        );
        let out = world.send(2, &to(2).icmp(kind, 0, [1, 2, 3, 4], b"?")).unwrap();
        assert_eq!(out.ports, [0, 1], "and its packets go on");
        let refused = world.send(1, &to(1).udp(b"?")).unwrap_err();
        assert_eq!(refused, DropReason::L4Header, "no port is no datagram");
        let mut datagram = to(1);
        (datagram.source.1, datagram.destination.1) = (5000, 5001);
        assert_eq!(world.send(1, &datagram.udp(b"?")).unwrap_err(), DropReason::NotForUs);
        let claim = match version {
            Version::V4 => Ends { source: (source(version), 0), ..ends(1) }.arp(1),
            Version::V6 => {
                let claim = Ends {
                    destination_mac: ALL_NODES_MAC,
                    source: (source(version), 0),
                    destination: (ALL_NODES, 0),
                    ..ends(1)
                };
                claim.neighbor(
                    ADVERTISEMENT,
                    OVERRIDE,
                    source(version),
                    &option(TARGET_OPTION, guest_mac(1)),
                )
            }
        };
        let spoof = if version == Version::V4 { DropReason::ArpSpoof } else { DropReason::NdSpoof };
        assert_eq!(world.send(1, &claim).unwrap_err(), spoof);
    }
}

#[test]
fn a_probe_source_is_nobodys() {
    let mut world = World::serving(2);
    for (what, address) in [
        ("a VIP", VIP),
        ("a guest's", guest_address(2)),
        ("its own", guest_address(1)),
        ("the switch's", SWITCH),
        ("a group's", ALL_NODES),
    ] {
        let mut spec = world.guest_spec(1);
        spec.probe_sources = [address].into_iter().collect();
        let refusal = world.refused(Command::SetGuest(spec));
        let says_it = matches!(
            refusal,
            Refusal::AddressIsVip { .. }
                | Refusal::AddressTaken { .. }
                | Refusal::NotAHostAddress(_)
        );
        assert!(says_it, "{what}: {refusal}");
    }
    let mut spec = world.guest_spec(1);
    spec.probe_sources = [source(Version::V4)].into_iter().collect();
    world.apply(Command::SetGuest(spec));
    let vip =
        ServiceSpec { vip: source(Version::V4), ..World::service_spec("b", Protocol::Tcp, 81) };
    let refusal = world.refused(Command::SetService(vip));
    assert_eq!(refusal, Refusal::VipIsGuest { address: source(Version::V4), guest: name("web1") });
}

#[test]
fn a_guests_flow_with_itself_never_has_a_probes_port() {
    for version in SOURCES {
        let served = Served { version, ..Served::default() };
        let mut scene = Scene::new(What::Tcp, served, What::Tcp.check(), &[Manner::Answers]);
        scene.pass(Duration::from_secs(2));
        for client_port in (0xf000..=0xffff).step_by(16) {
            let call = served.call_of_guest(1, client_port);
            let out = scene.world.send(1, &call.tcp("S", &[])).unwrap();
            assert_eq!(out.ports, [1]);
            let (seen, _) = read(&out.frame);
            assert_eq!(seen.source.0, served.switch());
            assert!((0x8000..0xf000).contains(&seen.source.1), "{}", seen.source.1);
            let answer = seen.reversed_to(SWITCH_MAC).tcp("SA", &[]);
            let out = scene.world.send(1, &answer).unwrap();
            let (back, _) = read(&out.frame);
            assert_eq!((back.source, back.destination), (call.destination, call.source));
        }
        let below = served.call_of_guest(1, 0xefff);
        let out = scene.world.send(1, &below.tcp("S", &[])).unwrap();
        assert_eq!(read(&out.frame).0.source.1, 0xefff, "every other port stays");
        let flows = scene.world.plane.flows().len();
        scene.pass(Duration::from_secs(3));
        assert_eq!(scene.watch(1).health, Health::Up, "probes go on beside them");
        assert_eq!(scene.watch(1).failed, 0);
        assert_eq!(scene.world.plane.flows().len(), flows, "and touch none");
    }
}
