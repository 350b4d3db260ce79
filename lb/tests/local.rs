//! What the switch says itself: ARP and echo for its addresses, announcements, load reports.

mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lb::wire::arp::{Arp, Operation};
use lb::wire::ip::Version;
use lb::*;
use world::*;

fn request(sender: IpAddr, sender_mac: [u8; 6], target: IpAddr) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_mac: MacAddr(sender_mac),
        sender: v4(sender),
        target_mac: MacAddr::ZERO,
        target: v4(target),
    }
}

#[test]
fn arp_for_a_vip_is_answered_with_its_virtual_mac() {
    let mut world = World::serving(1);
    let cases = [
        ("a client", UPLINK, CLIENT_MAC, CLIENT),
        ("a guest", 1, guest_mac(1), guest_address(1)),
        ("a probe for duplicates", UPLINK, CLIENT_MAC, NOBODY),
    ];
    for (what, ingress, mac, sender) in cases {
        let asked = request(sender, mac, VIP);
        let out = world.send(ingress, &asked.frame(MacAddr::BROADCAST)).unwrap();
        assert_eq!(out.ports, [ingress], "{what}");
        assert_eq!((&out.frame[..6], &out.frame[6..12]), (&mac[..], &VIP_MAC[..]), "{what}");
        assert_eq!(Arp::parse(&out.frame, 14), Ok(asked.answer(MacAddr(VIP_MAC))), "{what}");
    }
}

#[test]
fn the_link_local_address_is_there_for_guests_only() {
    let mut world = World::new(1);
    let asked = request(guest_address(1), guest_mac(1), SWITCH);
    let out = world.send(1, &asked.frame(MacAddr::BROADCAST)).unwrap();
    assert_eq!(Arp::parse(&out.frame, 14), Ok(asked.answer(MacAddr::SWITCH)));
    let outside = request(CLIENT, CLIENT_MAC, SWITCH).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(UPLINK, &outside).unwrap_err(), DropReason::NotForUs);
    let mut report = Ends::call(1, 3333);
    report.destination.0 = SWITCH;
    let refused = world.send(UPLINK, &report.udp(b"up 10%"));
    assert_eq!(refused.unwrap_err(), DropReason::ReportPort, "L4");
}

#[test]
fn p28_nobody_claims_our_addresses() {
    let mut world = World::serving(2);
    for (ingress, mac) in [(1, guest_mac(1)), (UPLINK, CLIENT_MAC)] {
        for address in [VIP, SWITCH] {
            let claim = Arp::announcement(v4(address), MacAddr(mac)).frame(MacAddr::BROADCAST);
            assert_eq!(world.send(ingress, &claim).unwrap_err(), DropReason::ArpSpoof);
        }
    }
    let own = Arp::announcement(v4(guest_address(1)), MacAddr(guest_mac(1)));
    world.send(1, &own.frame(MacAddr::BROADCAST)).expect("its own address");
    let probe = request(NOBODY, guest_mac(1), guest_address(1)).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(1, &probe).unwrap().ports, [0, 2], "P31");
}

#[test]
fn a_vip_is_announced_thrice_and_again_when_a_link_comes_up() {
    let mut world = World::new(2);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wlc);
    let announcement =
        Arp::announcement(v4(VIP), MacAddr(VIP_MAC)).frame(MacAddr::BROADCAST).to_vec();
    let heard = |world: &mut World| {
        let said = world.pass_without(Duration::from_secs(10), &[]);
        said.into_iter().filter(|out| out.frame == announcement).map(|out| out.ports).collect()
    };
    let everywhere = vec![vec![0, 1, 2]; 3];
    let first: Vec<_> = heard(&mut world);
    assert_eq!(first, everywhere);
    world.apply(Command::SetLink { port: port(2), up: false });
    world.apply(Command::SetLink { port: port(2), up: true });
    let again: Vec<_> = heard(&mut world);
    assert_eq!(again, everywhere);
}

#[test]
fn a_deleted_vip_is_answered_for_its_last_flows_and_not_announced() {
    let mut world = World::serving(1);
    world.send(UPLINK, &Ends::call(1, 80).tcp("S", &[])).unwrap();
    world.apply(Command::DeleteService(name("web")));
    world.apply(Command::SetLink { port: port(1), up: true });
    let said = world.pass_without(Duration::from_secs(2), &[]);
    let announcement = Arp::announcement(v4(VIP), MacAddr(VIP_MAC)).frame(MacAddr::BROADCAST);
    assert!(said.iter().all(|out| out.frame[..] != announcement[..]));
    let asked = request(CLIENT, CLIENT_MAC, VIP).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(UPLINK, &asked).unwrap().ports, [UPLINK]);
    world.pass(Duration::from_secs(30));
    let ports = world.send(UPLINK, &asked).unwrap().ports;
    assert_eq!(ports, [1], "without flows it is nobody's address and a request like any other");
}

#[test]
fn probes_are_unicast_in_nobodys_name() {
    let mut world = World::serving(1);
    let said = world.pass_without(Duration::from_secs(1), &[]);
    let probes: Vec<_> = said.iter().filter(|out| out.ports == [1]).collect();
    assert_eq!(probes.len(), 4, "every 250 ms");
    let arp = Arp::parse(&probes[0].frame, 14).unwrap();
    assert_eq!((arp.sender, arp.target), (Ipv4Addr::UNSPECIFIED, v4(guest_address(1))));
    assert_eq!(probes[0].frame[..12], [guest_mac(1), SWITCH_MAC].concat());
}

#[test]
fn only_the_guests_own_answer_counts() {
    let mut world = World::serving(2);
    let silent = &[1];
    let answer = |mac: [u8; 6], address: IpAddr| Arp {
        operation: Operation::Reply,
        sender_mac: MacAddr(mac),
        sender: v4(address),
        target_mac: MacAddr::SWITCH,
        target: Ipv4Addr::UNSPECIFIED,
    };
    let spoof = Err(DropReason::ArpSpoof);
    let claims = [
        ("P28 a neighbour for it", 2, answer(guest_mac(2), guest_address(1)), spoof),
        ("P28 about a neighbour", 1, answer(guest_mac(1), guest_address(2)), spoof),
        ("another MAC inside", 1, answer(guest_mac(5), guest_address(1)), Ok(())),
    ];
    for _ in 0..8 {
        world.pass_without(Duration::from_millis(250), silent);
        for (what, ingress, claim, ending) in &claims {
            let mut frame = claim.frame(MacAddr::SWITCH);
            frame[6..12].copy_from_slice(&guest_mac(*ingress));
            assert_eq!(world.send(*ingress, &frame).map(drop), *ending, "{what}");
        }
    }
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent));
}

#[test]
fn echo_to_a_vip_and_to_the_switch_is_answered() {
    for served in SERVED {
        let mut world = World::serving_as(1, served);
        let (request, reply) = match served.version {
            Version::V4 => (8, 0),
            Version::V6 => (128, 129),
        };
        let to_switch = Ends {
            destination_mac: SWITCH_MAC,
            destination: (served.switch(), 0),
            ..served.call_of_guest(1, 0)
        };
        for (ingress, ends) in
            [(UPLINK, served.call(0)), (1, served.call_of_guest(1, 0)), (1, to_switch)]
        {
            let ends = Ends { destination: (ends.destination.0, 0), ..ends };
            let mut frame = ends.icmp(request, 0, [0, 7, 0, 9], b"how are you?");
            let hops_at = ends.ip_at() + if served.version == Version::V4 { 8 } else { 7 };
            match served.version {
                Version::V4 => patch_ipv4(&mut frame, ends.ip_at(), &[(8, 5)]),
                Version::V6 => frame[hops_at] = 5,
            }
            let out = world.send(ingress, &frame).unwrap();
            let expected = Packet {
                ends: ends.reversed(),
                hops: 64,
                carries: Carries::Icmp { kind: reply, code: 0, rest: [0, 7, 0, 9] },
                payload: b"how are you?".to_vec(),
            };
            assert_eq!(
                (out.ports, read_packet(&out.frame)),
                (vec![ingress], expected),
                "{served:?}"
            );
            *frame.last_mut().unwrap() ^= 1;
            assert_eq!(world.send(ingress, &frame).unwrap_err(), DropReason::Icmp, "{served:?}");
        }
    }
}

/// Guest `n` reports; what the switch answers.
fn report(world: &mut World, n: usize, line: &str) -> Option<String> {
    report_as(world, n, guest_mac(n), guest_address(n), line)
}

fn report_as(
    world: &mut World,
    n: usize,
    mac: [u8; 6],
    address: IpAddr,
    line: &str,
) -> Option<String> {
    world.originated();
    let ends = Ends {
        vlan: 0,
        source_mac: mac,
        // By the route of a guest with a default gateway: whatever MAC, the address counts.
        destination_mac: CLIENT_MAC,
        source: (address, 999),
        destination: (if address.is_ipv4() { SWITCH } else { SWITCH_V6 }, 3333),
    };
    world.send(n, &ends.udp(line.as_bytes())).unwrap();
    let said = world.originated().pop()?;
    let (answer, text) = read(&said.frame);
    let back = Ends { source_mac: SWITCH_MAC, ..ends.reversed() };
    assert_eq!((said.ports, answer), (vec![n], Ends { destination_mac: mac, ..back }));
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn a_report_is_answered_with_the_switchs_view() {
    let mut world = World::serving(2);
    let answer = report(&mut world, 1, "up 75% id=7f seq=1 app=0.5").unwrap();
    assert_eq!(answer, "ack seq=1 state=up weight=75 flows=0 new=0 ended=0\n");
    let counters = *world.plane.reports().counters(port(1));
    assert_eq!(counters, ReportCounters { accepted: 1, ..Default::default() });
}

#[test]
fn a_guest_may_report_by_any_of_its_addresses() {
    for served in SERVED {
        let mut world = World::serving_as(1, served);
        let link_local = [[169, 254, 7, 7].into(), IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 7])];
        let own = [guest_address(1), guest_address_v6(1)];
        for address in own.into_iter().chain(link_local) {
            let answer = report_as(&mut world, 1, guest_mac(1), address, "up 75%");
            assert!(answer.unwrap().starts_with("ack "), "{address}, {served:?}");
        }
        for address in [guest_address(2), guest_address_v6(2), CLIENT_V6] {
            let answer = report_as(&mut world, 1, guest_mac(1), address, "up 75%");
            assert_eq!(answer, None, "{address}, {served:?}");
        }
        let counters = *world.plane.reports().counters(port(1));
        assert_eq!((counters.accepted, counters.identity), (4, 3), "{served:?}");
    }
}

#[test]
fn l4_no_report_comes_from_an_uplink_or_with_a_wrong_sum() {
    for version in [Version::V4, Version::V6] {
        let served = Served { version, ..Served::default() };
        let mut world = World::serving_as(1, served);
        let report = Ends { destination: (served.switch(), 3333), ..served.call_of_guest(1, 999) };
        let outside = Ends { source_mac: CLIENT_MAC, source: (served.client(), 999), ..report };
        let ended = world.send(UPLINK, &outside.udp(b"up 10%"));
        assert_eq!(ended.unwrap_err(), DropReason::ReportPort);
        let mut damaged = report.udp(b"up 10%");
        *damaged.last_mut().unwrap() ^= 1;
        world.send(1, &damaged).unwrap();
        let counters = *world.plane.reports().counters(port(1));
        assert_eq!(counters, ReportCounters { malformed: 1, ..Default::default() });
        assert!(world.originated().is_empty());
    }
}

#[test]
fn hostile_reports() {
    let mut world = World::serving(2);
    report(&mut world, 1, "up id=a seq=5").unwrap();
    let naks = [
        ("an unknown word", "upp", "nak column=1 "),
        ("L1 a negative number", "up cpu=-1", "nak column=8 "),
        ("L5 a replay", "up id=a seq=5", "nak seq 5 "),
        ("L3 another guest's service", "up svc=nil", "nak this guest "),
        ("L2 nothing", "", "nak column=1 "),
    ];
    for (what, line, answer) in naks {
        let said = report(&mut world, 1, line).unwrap();
        assert!(said.starts_with(answer), "{what}: {said}");
    }
    assert_eq!(report_as(&mut world, 1, guest_mac(1), guest_address(2), "up"), None, "L3");
    let stranger = [0x52, 0x54, 0, 9, 9, 9];
    assert_eq!(report_as(&mut world, 1, stranger, guest_address(1), "up"), None);
    assert!(report_as(&mut world, 1, guest_mac(1), [169, 254, 7, 7].into(), "up id=b").is_some());
    let counters = *world.plane.reports().counters(port(1));
    let expected =
        ReportCounters { accepted: 2, malformed: 3, old: 1, no_real: 1, identity: 2, rate: 0 };
    assert_eq!(counters, expected);
}

#[test]
fn l7_reports_are_limited() {
    let mut world = World::serving(2);
    let answered = (0..1000).filter(|_| report(&mut world, 1, "up").is_some()).count();
    let counters = *world.plane.reports().counters(port(1));
    assert_eq!((answered as u64, counters.rate), (counters.accepted, 1000 - counters.accepted));
    assert!(counters.accepted <= 100);
    assert!(report(&mut world, 2, "up").is_some(), "another port has its own");
}

#[test]
fn a_word_takes_a_guest_out_and_in() {
    let mut world = World::serving(2);
    let out = world.send(UPLINK, &Ends::call(1, 80).tcp("S", &[])).unwrap();
    let n = out.ports[0];
    let drained = report(&mut world, n, "drain").unwrap();
    assert!(drained.contains("state=drain ") && drained.contains("flows=1"), "{drained}");
    assert_eq!(world.standing("web", n).eligibility, Err(Ineligible::AgentDrain));
    world.send(UPLINK, &Ends::call(1, 80).tcp("R", &[])).unwrap();
    assert!(report(&mut world, n, "drain").unwrap().contains("state=drained "));
    assert!(report(&mut world, n, "up ready").unwrap().contains("state=up "));
    assert_eq!(world.standing("web", n).eligibility, Ok(()));
}

#[test]
fn load_reports_move_the_share_and_fade() {
    let mut world = World::serving(3);
    let spec = World::service_spec("web", Protocol::Tcp, 80);
    world.apply(Command::SetService(ServiceSpec { scheduler: Scheduler::Wll, ..spec }));
    let mut client_port = 1000;
    let mut shares = |world: &mut World, loads: Option<[&str; 3]>| {
        let mut share = [0; 3];
        for round in 0..20 {
            for (n, load) in loads.into_iter().flatten().enumerate() {
                report(world, n + 1, &format!("up app={load} seq={}", client_port + round))
                    .unwrap();
            }
            for _ in 0..10 {
                client_port += 1;
                let call = Ends::call(client_port, 80);
                let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
                share[out.ports[0] - 1] += 1;
                world.send(UPLINK, &call.tcp("R", &[])).unwrap();
            }
            world.pass(Duration::from_millis(500));
        }
        share
    };
    let idle = shares(&mut world, Some(["0.1", "0.1", "0.1"]));
    let busy = shares(&mut world, Some(["0.1", "1.0", "0.1"]));
    let silent = shares(&mut world, None);
    let even = |share: i32| (55..=78).contains(&share);
    assert!(idle.into_iter().all(even), "{idle:?}");
    assert!(busy[1] < 20 && busy[0] > 80 && busy[2] > 80, "{busy:?}");
    assert!(silent.into_iter().all(even), "without reports all count alike: {silent:?}");
}
