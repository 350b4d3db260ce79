//! Flows through the balancer, packet by packet.

mod world;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use lb::flow::FlowState;
use lb::wire::ip::Version;
use lb::*;
use world::*;

/// Opens a TCP flow from the uplink; the guest that got it, and the ends as it sees them.
fn open(world: &mut World, call: Ends) -> (usize, Ends) {
    let out = world.send(UPLINK, &call.new_syn(world)).unwrap();
    let (seen, _) = read(&out.frame);
    let guest = out.ports[0];
    let answer = world.send(guest, &seen.reversed_to(call.source_mac).tcp("SA", &[])).unwrap();
    assert_eq!(read(&answer.frame).0, call.reversed());
    world.send(UPLINK, &call.tcp("A", &[])).unwrap();
    (guest, seen)
}

#[test]
fn a_tcp_flow_both_ways() {
    let mut world = World::serving(3);
    let call = Ends::call(40_000, 80);
    let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
    let [guest] = out.ports[..] else { panic!("{out:?}") };
    let (seen, _) = read(&out.frame);
    let expected = Ends {
        vlan: 0,
        source_mac: SWITCH_MAC,
        destination_mac: guest_mac(guest),
        source: (CLIENT, 40_000),
        destination: (guest_address(guest), 8080),
    };
    assert_eq!(seen, expected, "the client's address is kept, the source MAC is the switch's");
    for (flags, payload) in
        [("SA", &b""[..]), ("A", b"odd"), ("A", b"HTTP/1.1 200 OK\r\n"), ("FA", b"")]
    {
        let answer = seen.reversed_to(CLIENT_MAC).tcp(flags, payload);
        let out = world.send(guest, &answer).unwrap();
        assert_eq!(out.ports, [UPLINK]);
        assert_eq!(read(&out.frame), (call.reversed(), payload.to_vec()), "in the VIP's name");
        let out = world.send(UPLINK, &call.tcp("A", payload)).unwrap();
        assert_eq!((out.ports, read(&out.frame)), (vec![guest], (seen, payload.to_vec())));
    }
    world.send(UPLINK, &call.tcp("FA", &[])).unwrap();
    let counters = world.real("web", guest).counters;
    assert_eq!((counters.flows_open, counters.flows_new, counters.flows_ended), (0, 1, 1));
    assert_eq!((counters.traffic.packets_in, counters.traffic.packets_out), (6, 4));
    let service = world.plane.tables().services().next().unwrap().1.counters;
    assert_eq!(service.traffic, counters.traffic);
}

#[test]
fn udp_with_and_without_a_checksum() {
    let mut world = World::serving(2);
    world.set_service("dns", Protocol::Udp, 53, Scheduler::Wlc);
    world.set_real("dns", 1, None, 100);
    let call = Ends::call(4000, 53);
    for strip in [false, true] {
        let mut query = call.udp(b"who is it?");
        if strip {
            query[40..42].fill(0);
        }
        let out = world.send(UPLINK, &query).unwrap();
        let (seen, payload) = read(&out.frame);
        assert_eq!((out.ports, payload), (vec![1], b"who is it?".to_vec()));
        assert_eq!(seen.destination, (guest_address(1), 53), "the service's port by default");
        assert_eq!(out.frame[40..42] == [0, 0], strip, "no checksum stays no checksum");
        let out = world.send(1, &seen.reversed_to(CLIENT_MAC).udp(b"me")).unwrap();
        assert_eq!(read(&out.frame), (call.reversed(), b"me".to_vec()));
    }
    assert_eq!(world.plane.flows().iter().next().unwrap().state, FlowState::Established);
}

#[test]
fn wrong_checksums_are_never_repaired() {
    let mut world = World::serving(1);
    let mut frame = Ends::call(40_000, 80).tcp("S", b"damaged");
    let last = frame.len() - 1;
    frame[last] ^= 0x10;
    let out = world.send(UPLINK, &frame).unwrap();
    let parsed = etherparse::SlicedPacket::from_ethernet(&out.frame).unwrap();
    let Some(etherparse::TransportSlice::Tcp(tcp)) = parsed.transport else { panic!() };
    let sum = tcp.calc_checksum_ipv4(v4(CLIENT).octets(), v4(guest_address(1)).octets()).unwrap();
    assert_ne!(sum, tcp.checksum(), "P50");
}

#[test]
fn a_client_behind_another_guest_port() {
    let mut world = World::serving(2);
    world.apply(Command::Administer {
        service: None,
        guest: name("web1"),
        state: AdminState::Drain,
    });
    let call =
        Ends { source_mac: guest_mac(1), source: (guest_address(1), 50_000), ..Ends::call(0, 80) };
    let out = world.send(1, &call.tcp("S", &[])).unwrap();
    let (seen, _) = read(&out.frame);
    assert_eq!((out.ports, seen.source), (vec![2], (guest_address(1), 50_000)));
    let out = world.send(2, &seen.reversed_to(guest_mac(1)).tcp("SA", &[])).unwrap();
    assert_eq!((out.ports, read(&out.frame).0), (vec![1], call.reversed()));
}

#[test]
fn p42_a_guest_that_gets_its_own_call() {
    let mut world = World::serving(1);
    let call =
        Ends { source_mac: guest_mac(1), source: (guest_address(1), 50_000), ..Ends::call(0, 80) };
    let out = world.send(1, &call.tcp("S", &[])).unwrap();
    let (seen, _) = read(&out.frame);
    assert_eq!(out.ports, [1]);
    assert_eq!(seen.source, (SWITCH, 50_000), "nobody calls himself");
    // The guest answers by its default route: to its gateway's MAC, or to ours.
    for route_mac in [CLIENT_MAC, SWITCH_MAC] {
        let out = world.send(1, &seen.reversed_to(route_mac).tcp("SA", b"hello")).unwrap();
        assert_eq!((out.ports, read(&out.frame)), (vec![1], (call.reversed(), b"hello".to_vec())));
    }
}

#[test]
fn p42_whichever_of_its_addresses_it_calls_by() {
    for version in [Version::V4, Version::V6] {
        let served = Served { version, ..Served::default() };
        let mut world = World::serving_as(1, served);
        let other = match version {
            Version::V4 => [10, 0, 2, 99].into(),
            Version::V6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x99]),
        };
        let mut spec = world.guest_spec(1);
        spec.addresses.push(other).unwrap();
        world.apply(Command::SetGuest(spec));
        let call = Ends { source: (other, 50_000), ..served.call_of_guest(1, 0) };
        let out = world.send(1, &call.tcp("S", &[])).unwrap();
        let seen = read(&out.frame).0;
        assert_eq!((seen.source, seen.destination.0), ((served.switch(), 50_000), served.guest(1)));
        let out = world.send(1, &seen.reversed_to(CLIENT_MAC).tcp("SA", b"")).unwrap();
        assert_eq!((out.ports, read(&out.frame).0), (vec![1], call.reversed()));
    }
}

#[test]
fn two_vips_one_client_port_one_real() {
    let mut world = World::serving(1);
    world.set_service("alt", Protocol::Tcp, 81, Scheduler::Wlc);
    world.set_real("alt", 1, Some(8080), 100);
    let (call_web, call_alt) = (Ends::call(40_000, 80), Ends::call(40_000, 81));
    let (_, seen_web) = open(&mut world, call_web);
    let (_, seen_alt) = open(&mut world, call_alt);
    assert_eq!(seen_web.source, (CLIENT, 40_000));
    assert_eq!(seen_alt.source.0, CLIENT, "the address is kept");
    assert_ne!(seen_alt.source.1, 40_000, "the port tells the flows apart");
    for (seen, call) in [(seen_web, call_web), (seen_alt, call_alt)] {
        let out = world.send(1, &seen.reversed_to(CLIENT_MAC).tcp("A", b"x")).unwrap();
        assert_eq!(read(&out.frame).0, call.reversed());
    }
}

#[test]
fn flows_spread_by_weight() {
    let mut world = World::serving(3);
    world.set_real("web", 3, Some(8080), 200);
    let mut share = BTreeMap::<usize, u32>::new();
    for client_port in 1000..1400 {
        let (guest, _) = open(&mut world, Ends::call(client_port, 80));
        *share.entry(guest).or_default() += 1;
    }
    assert_eq!(share, BTreeMap::from([(1, 100), (2, 100), (3, 200)]));
}

#[test]
fn drain_moves_nothing_that_is_open() {
    let mut world = World::serving(2);
    let flows: Vec<_> = (1000..1020)
        .map(|client_port| {
            let call = Ends::call(client_port, 80);
            (call, open(&mut world, call).0)
        })
        .collect();
    for state in [AdminState::Drain, AdminState::Maint] {
        world.apply(Command::Administer { service: Some(name("web")), guest: name("web1"), state });
        for &(call, guest) in &flows {
            let out = world.send(UPLINK, &call.tcp("A", b"on")).unwrap();
            assert_eq!(out.ports, [guest]);
        }
        let first = 2000 + state as u16 * 100;
        for client_port in first..first + 20 {
            assert_eq!(open(&mut world, Ends::call(client_port, 80)).0, 2);
        }
    }
    world.apply(Command::Administer {
        service: None,
        guest: name("web1"),
        state: AdminState::Ready,
    });
    world.pass(Duration::from_secs(5));
    assert_eq!(open(&mut world, Ends::call(3000, 80)).0, 1, "the emptier one, even of half weight");
}

#[test]
fn a_removed_real_keeps_its_flows_until_they_end() {
    let mut world = World::serving(2);
    let calls: Vec<_> = (1000..1010).map(|port| Ends::call(port, 80)).collect();
    let guests: Vec<_> = calls.iter().map(|&call| open(&mut world, call).0).collect();
    let mine = guests.iter().position(|&guest| guest == 1).unwrap();
    let in_use = world.refused(Command::DeleteGuest(name("web1")));
    assert!(matches!(in_use, Refusal::GuestInUse { .. }));
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web1") });
    let out = world.send(UPLINK, &calls[mine].tcp("A", b"still")).unwrap();
    assert_eq!(out.ports, [1]);
    assert_eq!(open(&mut world, Ends::call(2000, 80)).0, 2);
    world.apply(Command::DeleteService(name("web")));
    let out = world.send(UPLINK, &calls[mine].tcp("A", b"still")).unwrap();
    assert_eq!(out.ports, [1]);
    let refused = world.send(UPLINK, &Ends::call(3000, 80).tcp("S", &[]));
    assert_eq!(refused.unwrap_err(), DropReason::VipNoPort);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wlc);
    world.set_real("web", 2, Some(8080), 100);
    assert_eq!(open(&mut world, Ends::call(4000, 80)).0, 2, "the same again beside the old one");
    world.apply(Command::DeleteService(name("web")));
    world.apply(Command::DeleteGuest(name("web1")));
    world.pass_without(Duration::from_secs(8000), &[]);
    assert_eq!(world.plane.flows().len(), 0);
    assert_eq!(
        world.plane.tables().reals().count(),
        0,
        "the last flow took the retired real along"
    );
}

#[test]
fn a_silent_guest_gets_no_new_flow_after_a_second() {
    let mut world = World::serving(2);
    let (call, guest) = (1000..1002)
        .map(|port| (Ends::call(port, 80), open(&mut world, Ends::call(port, 80)).0))
        .find(|&(_, guest)| guest == 1)
        .unwrap();
    world.pass_without(Duration::from_millis(1000), &[1]);
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent));
    assert_eq!(world.plane.events().pop().map(|_| ()), Some(()));
    for client_port in 2000..2010 {
        assert_eq!(open(&mut world, Ends::call(client_port, 80)).0, 2);
    }
    let out = world.send(UPLINK, &call.tcp("A", b"waiting")).unwrap();
    assert_eq!(out.ports, [guest], "an established flow stays where it is");
    world.pass(Duration::from_millis(300));
    assert_eq!(open(&mut world, Ends::call(3000, 80)).0, 1, "it answers again, and is emptier");
}

#[test]
fn a_port_without_link_gets_no_new_flow_at_once() {
    let mut world = World::serving(2);
    world.apply(Command::SetLink { port: port(1), up: false });
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::PortDown));
    for client_port in 1000..1010 {
        assert_eq!(open(&mut world, Ends::call(client_port, 80)).0, 2);
    }
}

#[test]
fn f5_no_real_at_all() {
    let mut world = World::serving(1);
    world.pass_without(Duration::from_secs(1), &[1]);
    let refused = world.send(UPLINK, &Ends::call(1, 80).tcp("S", &[]));
    assert_eq!(refused.unwrap_err(), DropReason::NoBackend);
    let service = world.plane.tables().services().next().unwrap().1;
    assert_eq!(service.counters.refused_no_real, 1);
}

#[test]
fn an_unproven_guest_is_better_than_nobody() {
    let mut world = World::new(2);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wll);
    world.define(1);
    world.set_real("web", 1, Some(8080), 100);
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Unproven));
    assert_eq!(open(&mut world, Ends::call(1000, 80)).0, 1);
    world.settle();
    world.define(2);
    world.set_real("web", 2, Some(8080), 100);
    for client_port in 2000..2010 {
        assert_eq!(open(&mut world, Ends::call(client_port, 80)).0, 1);
    }
    world.pass(Duration::from_millis(10));
    assert_eq!(open(&mut world, Ends::call(3000, 80)).0, 2, "it has answered, and is empty");
}

#[test]
fn a_full_real_gets_no_more() {
    let mut world = World::serving(2);
    let real = RealSpec { flows_max: Some(3), ..world.real("web", 1).spec.clone() };
    world.apply(Command::SetReal { service: name("web"), real });
    for client_port in 1000..1020 {
        open(&mut world, Ends::call(client_port, 80));
    }
    assert_eq!(world.real("web", 1).counters.flows_open, 3);
    assert_eq!(world.real("web", 2).counters.flows_open, 17);
}

#[test]
fn f6_a_flow_table_full_of_established_flows_refuses_and_moves_nobody() {
    let mut world = World::serving(2);
    let capacity = world.plane.flows().capacity() as u16;
    let calls: Vec<_> = (0..capacity).map(|at| Ends::call(1000 + at, 80)).collect();
    let guests: Vec<_> = calls.iter().map(|&call| open(&mut world, call).0).collect();
    let refused = world.send(UPLINK, &Ends::call(9, 80).tcp("S", &[]));
    assert_eq!(refused.unwrap_err(), DropReason::FlowsFull);
    assert_eq!(world.plane.flows().counters().refused, 1);
    for (call, guest) in calls.iter().zip(guests) {
        assert_eq!(world.send(UPLINK, &call.tcp("A", b"on")).unwrap().ports, [guest]);
    }
}

#[test]
fn a_closed_tuple_begins_anew() {
    let mut world = World::serving(2);
    let call = Ends::call(1000, 80);
    let opening = call.new_syn(&world);
    let (guest, _) = open(&mut world, call);
    world.send(UPLINK, &call.tcp("RA", &[])).unwrap();
    assert_eq!(world.plane.flows().len(), 1, "kept for its last segments");
    let out = world.send(UPLINK, &opening).unwrap();
    assert_eq!(out.ports, [guest], "a late copy of the SYN");
    assert_eq!(world.plane.flows().iter().next().unwrap().state, FlowState::Closed);
    open(&mut world, call);
    assert_eq!(world.plane.flows().len(), 1);
    assert_eq!(world.plane.flows().iter().next().unwrap().state, FlowState::Established);
}

#[test]
fn what_belongs_to_no_flow() {
    let mut world = World::serving(1);
    let cases: &[(&str, Vec<u8>, DropReason)] = &[
        ("P37 no service there", Ends::call(1, 443).tcp("S", &[]), DropReason::VipNoPort),
        ("P37 another protocol", Ends::call(1, 80).udp(b"?"), DropReason::VipNoPort),
        ("P38 ACK", Ends::call(1, 80).tcp("A", &[]), DropReason::NoFlow),
        ("P38 RST", Ends::call(1, 80).tcp("R", &[]), DropReason::NoFlow),
        ("P38 FIN", Ends::call(1, 80).tcp("FA", &[]), DropReason::NoFlow),
        ("P18 no flags", Ends::call(1, 80).tcp("", &[]), DropReason::TcpFlags),
        ("P18 SYN and FIN", Ends::call(1, 80).tcp("SF", &[]), DropReason::TcpFlags),
        ("P18 SYN and RST", Ends::call(1, 80).tcp("SR", &[]), DropReason::TcpFlags),
        ("P19 port 0", Ends::call(0, 80).tcp("S", &[]), DropReason::L4Header),
    ];
    for (what, frame, reason) in cases {
        assert_eq!(world.send(UPLINK, frame).unwrap_err(), *reason, "{what}");
    }
    assert_eq!(world.plane.flows().len(), 0);
}

#[test]
fn hostile_bytes_in_what_is_for_a_vip() {
    let mut world = World::serving(1);
    let patched = |at: usize, bytes: &[u8]| {
        let mut frame = Ends::call(1, 80).tcp("S", &[]);
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        fix_ip_checksum(&mut frame);
        frame
    };
    let udp_len = |len: u16| {
        let mut frame = Ends::call(1, 80).udp(b"four");
        frame[38..40].copy_from_slice(&len.to_be_bytes());
        frame
    };
    let cases: &[(&str, Vec<u8>, DropReason)] = &[
        (
            "P13 header checksum",
            {
                let mut frame = Ends::call(1, 80).tcp("S", &[]);
                frame[24] ^= 1;
                frame
            },
            DropReason::IpChecksum,
        ),
        ("P17 data offset 4", patched(46, &[0x40]), DropReason::TcpHeader),
        ("P17 data offset 15 in 20 bytes", patched(46, &[0xf0]), DropReason::TcpHeader),
        ("P48 protocol 0", patched(23, &[0]), DropReason::Protocol),
        ("P48 SCTP", patched(23, &[132]), DropReason::Protocol),
        ("P15 LAND", patched(26, &octets(VIP)), DropReason::Martian),
        ("P19 UDP length 7", udp_len(7), DropReason::L4Header),
        ("P19 UDP length beyond IP", udp_len(13), DropReason::L4Header),
    ];
    for (what, frame, reason) in cases {
        assert_eq!(world.send(UPLINK, frame).unwrap_err(), *reason, "{what}");
    }
}

fn fix_ip_checksum(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let checksum = wire::checksum::Sum::default().bytes(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn p41_a_guest_does_not_speak_in_a_vips_name() {
    let mut world = World::serving(2);
    let forged = Ends {
        vlan: 0,
        source_mac: guest_mac(1),
        destination_mac: CLIENT_MAC,
        source: (VIP, 80),
        destination: (CLIENT, 5),
    };
    assert_eq!(world.send(1, &forged.tcp("A", &[])).unwrap_err(), DropReason::VipSource);
}

#[test]
fn another_guest_does_not_answer_for_a_real() {
    let mut world = World::serving(2);
    let (guest, seen) = open(&mut world, Ends::call(1000, 80));
    let other = 3 - guest;
    let forged = Ends { source_mac: guest_mac(other), ..seen.reversed_to(CLIENT_MAC) };
    assert_eq!(world.send(other, &forged.tcp("A", b"!")).unwrap_err(), DropReason::SpoofMac);
}

#[test]
fn what_a_real_says_outside_of_flows_is_switched_untouched() {
    let mut world = World::serving(1);
    let direct = Ends {
        vlan: 0,
        source_mac: guest_mac(1),
        destination_mac: CLIENT_MAC,
        source: (guest_address(1), 8080),
        destination: (CLIENT, 5),
    };
    world.send(UPLINK, &direct.reversed().tcp("S", &[])).unwrap();
    let frame = direct.tcp("SA", b"direct");
    let out = world.send(1, &frame).unwrap();
    assert_eq!((out.ports, out.frame), (vec![UPLINK], frame));
}

#[test]
fn any_bytes_end_somewhere() {
    use proptest::test_runner::{Config, TestRunner};
    let mut world = World::serving(2);
    open(&mut world, Ends::call(1000, 80));
    let mut runner = TestRunner::new(Config { cases: 4000, ..Config::default() });
    let seeds = [
        Ends::call(1000, 80).tcp("A", b"payload"),
        Ends::call(2000, 80).tcp("S", b""),
        Ends::call(2000, 53).udp(b"payload"),
        wire::arp::Arp::announcement(v4(VIP), MacAddr(CLIENT_MAC))
            .frame(MacAddr::BROADCAST)
            .to_vec(),
    ];
    let strategy = (
        0usize..4,
        0usize..3,
        proptest::collection::vec((0usize..64, proptest::num::u8::ANY), 0..6),
        0usize..80,
    );
    let world = std::cell::RefCell::new(world);
    runner
        .run(&strategy, |(seed, ingress, patches, len)| {
            let mut frame = seeds[seed].clone();
            for (at, value) in patches {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(len.max(1));
            let mut world = world.borrow_mut();
            if world.verdict(ingress, &frame) == Verdict::Punt {
                let now = world.now;
                world.plane.local(port(ingress), &frame, now);
            }
            Ok(())
        })
        .unwrap();
}
