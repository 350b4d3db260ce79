//! Pings from it: near and far, answered and not.

use std::net::IpAddr;
use std::time::Duration;

use lb::management::{PingOutcome, PingRefusal};
use lb::wire::ip::Version;
use lb::*;

use crate::scene::*;
use crate::world::*;

const MS: Duration = Duration::from_millis(1);

/// Who has this address says where it is, to who asks.
fn resolve(world: &mut World, question: &Out, mac: [u8; 6], ingress: usize) {
    let asked = etherparse::SlicedPacket::from_ethernet(&question.frame).unwrap();
    let vlan = asked.vlan_ids().first().map_or(0, |vlan| vlan.value());
    let answer = match &asked.net {
        Some(etherparse::NetSlice::Arp(arp)) => {
            let address = |bytes: &[u8]| IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap());
            assert_eq!(address(arp.sender_protocol_addr()), own());
            let source = (address(arp.target_protocol_addr()), 0);
            let destination = (own(), 0);
            let ends =
                Ends { vlan, source_mac: mac, destination_mac: OWN_MAC, source, destination };
            ends.arp(2)
        }
        _ => {
            let question = read_packet(&question.frame);
            assert_eq!((question.ends.source.0, question.hops), (own_v6(), 255));
            let target: [u8; 16] = question.payload[..16].try_into().unwrap();
            let ends = Ends {
                vlan,
                source_mac: mac,
                destination_mac: OWN_MAC,
                source: (target.into(), 0),
                destination: (own_v6(), 0),
            };
            let option = option(TARGET_OPTION, mac);
            ends.neighbor(ADVERTISEMENT, SOLICITED | OVERRIDE, target.into(), &option)
        }
    };
    assert_eq!(world.send(ingress, &answer).unwrap().ports, [0; 0], "it is for us");
}

fn reply(request: &Packet) -> Vec<u8> {
    let Carries::Icmp { kind, rest, .. } = request.carries else { panic!("{request:?}") };
    let kind = if kind == 8 { 0 } else { 129 };
    request.ends.reversed().icmp(kind, 0, rest, &request.payload)
}

#[test]
fn a_ping_near_and_far() {
    let far: IpAddr = [198, 51, 100, 7].into();
    let cases = [
        (0, CLIENT, CLIENT_MAC),
        (10, CLIENT, CLIENT_MAC),
        (10, far, GATEWAY_MAC),
        (0, CLIENT_V6, CLIENT_MAC),
    ];
    for (vlan, target, mac) in cases {
        let mut world = managed(vlan);
        let id = world.plane.ping(target, world.now).unwrap();
        let asked = world.originated();
        assert_eq!((asked.len(), &asked[0].ports[..]), (1, &[UPLINK, STANDBY][..]), "who has it?");
        assert_eq!(world.plane.ping_outcome(id, world.now), None);
        world.now = world.now + 3 * MS;
        resolve(&mut world, &asked[0], mac, STANDBY);
        let [request] = &world.originated()[..] else { panic!("one request") };
        assert_eq!(request.ports, [STANDBY], "where it was heard");
        let request = read_packet(&request.frame);
        assert_eq!((request.ends.destination_mac, request.ends.source_mac), (mac, OWN_MAC));
        assert_eq!((request.ends.destination.0, request.ends.vlan), (target, vlan));
        world.now = world.now + 2 * MS;
        assert_eq!(world.send(STANDBY, &reply(&request)).unwrap().ports, [0; 0]);
        let answered = PingOutcome::Answered { took: 2 * MS, ttl: 64 };
        assert_eq!(world.plane.ping_outcome(id, world.now), Some(answered));
        let again = world.send(STANDBY, &reply(&request));
        assert_eq!(again, Err(DropReason::NoProbe), "one answer each");

        let next = world.plane.ping(target, world.now).unwrap();
        let sent = world.originated();
        assert_eq!(sent.len(), 1, "its station is known");
        assert_eq!(read_packet(&sent[0].frame).ends, request.ends);
        assert_eq!(world.plane.ping_outcome(id, world.now), Some(answered), "what was, was");
        world.now = world.now + 1000 * MS;
        assert_eq!(world.plane.ping_outcome(next, world.now), Some(PingOutcome::Silence));
        let late = world.send(STANDBY, &reply(&read_packet(&sent[0].frame)));
        assert_eq!(late.map(|out| out.ports), Ok(vec![]), "late, and heard all the same");
        assert!(world.plane.outbox().is_empty());
    }
}

#[test]
fn nobody_there() {
    let mut world = managed(0);
    let id = world.plane.ping(CLIENT, world.now).unwrap();
    assert_eq!(world.originated().len(), 1);
    world.now = world.now + 999 * MS;
    assert_eq!(world.plane.ping_outcome(id, world.now), None);
    world.now = world.now + MS;
    let outcome = world.plane.ping_outcome(id, world.now);
    assert_eq!(outcome, Some(PingOutcome::NoNeighbor(CLIENT)));
}

#[test]
fn a_router_says_that_there_is_no_way() {
    for version in [Version::V4, Version::V6] {
        let mut world = managed(0);
        let target = if version == Version::V4 { CLIENT } else { CLIENT_V6 };
        let id = world.plane.ping(target, world.now).unwrap();
        let asked = world.originated();
        resolve(&mut world, &asked[0], GATEWAY_MAC, UPLINK);
        let [request] = &world.originated()[..] else { panic!("one request") };
        let (router, kind, own): (IpAddr, u8, IpAddr) = match version {
            Version::V4 => (gateway(), 3, own()),
            Version::V6 => ("fd00::1".parse().unwrap(), 1, own_v6()),
        };
        let ends = Ends {
            vlan: 0,
            source_mac: GATEWAY_MAC,
            destination_mac: OWN_MAC,
            source: (router, 0),
            destination: (own, 0),
        };
        let mut other = request.frame[14..].to_vec();
        *other.last_mut().unwrap() ^= 1;
        let ended = world.send(UPLINK, &ends.icmp(kind, 1, [0; 4], &other));
        assert_eq!(ended, Err(DropReason::IcmpInner), "about a packet that we never sent");
        let error = ends.icmp(kind, 1, [0; 4], &request.frame[14..]);
        assert_eq!(world.send(UPLINK, &error).unwrap().ports, [0; 0]);
        let outcome = world.plane.ping_outcome(id, world.now);
        assert_eq!(outcome, Some(PingOutcome::Unreachable { by: router }));
    }
}

#[test]
fn what_is_refused() {
    let mut world = managed(0);
    let far_v6: IpAddr = "2001:db8::7".parse().unwrap();
    for (target, refusal) in [
        (own(), PingRefusal::Own),
        (VIP, PingRefusal::Own),
        (guest_address(1), PingRefusal::Guest(name("web1"))),
        (far_v6, PingRefusal::NoGateway),
    ] {
        assert_eq!(world.plane.ping(target, world.now), Err(refusal), "{target}");
    }
    for _ in 0..4 {
        world.plane.ping(CLIENT, world.now).unwrap();
    }
    assert_eq!(world.plane.ping(CLIENT, world.now), Err(PingRefusal::Full));
    world.now = world.now + 1000 * MS;
    assert!(world.plane.ping(CLIENT, world.now).is_ok(), "those of before are over");
    for at in [UPLINK, STANDBY] {
        world.apply(Command::SetLink { port: port(at), up: false });
    }
    assert_eq!(world.plane.ping(CLIENT, world.now), Err(PingRefusal::NoUplink));
    world.apply(Command::SetManagement(None));
    let refusal = world.plane.ping(CLIENT, world.now);
    assert_eq!(refusal, Err(PingRefusal::NoAddress(Version::V4)));
}

#[test]
fn who_was_not_asked_is_not_believed() {
    let mut world = managed(0);
    world.plane.ping(CLIENT, world.now).unwrap();
    world.originated();
    let reply = |ends: Ends, what: &str, world: &mut World, expected: DropReason| {
        assert_eq!(world.send(UPLINK, &ends.arp(2)), Err(expected), "{what}");
    };
    let ends = ends(0, Version::V4);
    let other = Ends { source: ([10, 0, 2, 3].into(), 0), ..ends };
    reply(other, "another address", &mut world, DropReason::NotForUs);
    reply(Ends { vlan: 10, ..ends }, "another VLAN", &mut world, DropReason::NotForUs);
    let from_guest = Ends { source_mac: guest_mac(1), ..ends };
    assert_eq!(world.send(1, &from_guest.arp(2)), Err(DropReason::ManagementPort));
    assert!(world.originated().is_empty(), "no request goes out");
}
