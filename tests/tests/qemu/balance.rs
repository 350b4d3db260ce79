//! The balancer, with a client and guests in the test's hands: who gets what, and that both ends
//! see exactly the addresses that they should.

use std::net::{Ipv4Addr, SocketAddrV4};

use tests::console::number_after;
use tests::flow::{Target, delivered};
use tests::frame::EchoKind;
use tests::world::{DNS, VIP, WEB, World, guest_line};
use tests::{Arp, Echo, Ends, Frame, MacAddr, Station, Tcp, TcpFlags, TcpFlow, Udp};

const VIRTUAL_MAC: MacAddr = MacAddr::virtual_of(std::net::IpAddr::V4(VIP));

#[test]
fn the_vip_answers_arp_with_its_virtual_mac() {
    let world = World::with_weights(&[100, 100]);
    for asker in world.stations() {
        let request = Arp::request(asker.mac, asker.address, VIP);
        asker.send(request);
        asker.expect(request.answer(VIRTUAL_MAC));
    }
    let others = Station::settle(&world.stations());
    assert!(others.iter().all(Vec::is_empty), "somebody else was asked: {others:?}");
    assert_eq!(VIRTUAL_MAC.to_string(), "02:6c:0a:00:02:64");
}

#[test]
fn the_vip_announces_itself_at_start() {
    let world = World::with_weights(&[100]);
    for station in world.stations() {
        let announcement = station.await_announcement();
        assert_eq!((announcement.from, announcement.sender), (VIRTUAL_MAC, VIP));
        assert_eq!(announcement.sender_mac, VIRTUAL_MAC);
    }
}

#[test]
fn the_vip_answers_echo() {
    let world = World::with_weights(&[100]);
    for (sequence, length) in [(1, 0), (2, 56), (3, 57), (4, 1472)] {
        let request = Echo {
            from_mac: world.client.mac,
            to_mac: VIRTUAL_MAC,
            from: world.client.address,
            to: VIP,
            kind: EchoKind::Request,
            identifier: 77,
            sequence,
            payload: (0..length).map(|at| at as u8).collect(),
        };
        world.client.send(request.clone());
        world.client.expect(request.answer(VIRTUAL_MAC));
    }
}

/// All lengths of payload up to a full frame, odd and even, in both directions.
#[test]
fn a_tcp_connection_is_the_same_on_both_sides() {
    let world = World::with_weights(&[100, 100, 100]);
    let mut flow = TcpFlow::open(&world.client, 40_000, WEB, &world.reals());
    for length in [1, 2, 3, 64, 255, 256, 1000, 1459, 1460] {
        let payload: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
        flow.client_says(&payload);
        flow.real_says(&payload);
        flow.real_says(&[0xff; 100]);
    }
    flow.close();
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "nothing else was sent: {arrived:?}");
}

/// A client behind a router: its packets carry the router's MAC and a far address, which is kept.
#[test]
fn a_far_client_keeps_its_address() {
    let world = World::with_weights(&[100]);
    let far = world.client.calling_as(Ipv4Addr::new(198, 51, 100, 7));
    let mut flow = TcpFlow::open(&far, 50_001, WEB, &world.reals());
    flow.client_says(b"from afar");
    flow.real_says(b"welcome");
    flow.reset();
}

#[test]
fn new_connections_are_spread_by_weight() {
    let world = World::with_weights(&[100, 200, 300]);
    let mut got = [0; 3];
    let _open: Vec<TcpFlow> = (0..60)
        .map(|number| {
            let flow = TcpFlow::open(&world.client, 41_000 + number, WEB, &world.reals());
            got[flow.real.port - 1] += 1;
            flow
        })
        .collect();
    let fair = [10, 20, 30];
    let near = got.iter().zip(fair).all(|(got, fair): (&i32, i32)| (got - fair).abs() <= 2);
    assert!(near, "of 60 connections, weights 1:2:3 gave {got:?}");
}

#[test]
fn packets_of_a_connection_stay_with_their_guest() {
    let world = World::with_weights(&[100, 100, 100]);
    let mut flows: Vec<TcpFlow> = (0..12)
        .map(|number| TcpFlow::open(&world.client, 42_000 + number, WEB, &world.reals()))
        .collect();
    for round in 0..5 {
        for flow in &mut flows {
            flow.client_says(&[round; 9]);
            flow.real_says(&[round; 11]);
        }
    }
    for flow in flows {
        flow.close();
    }
    world.machine.assert_accounted();
}

#[test]
fn udp_goes_to_a_guest_and_back() {
    let world = World::with_weights(&[100, 100]);
    let mut got = [0; 2];
    for number in 0..10 {
        let sent = Ends {
            from_mac: world.client.mac,
            to_mac: VIRTUAL_MAC,
            from: SocketAddrV4::new(world.client.address, 30_000 + number),
            to: DNS.vip,
        };
        let query = Udp { ends: sent, payload: vec![number as u8; 33 + number as usize] };
        world.client.send(query.clone());
        let (real, seen) = Station::first_of(&world.reals(), "datagram");
        let at_real = delivered(sent, &world.client, real, DNS.real_port);
        assert_eq!(seen, Frame::Udp(Udp { ends: at_real, ..query.clone() }));
        got[real.port - 1] += 1;
        // The second one of a flow finds the same guest.
        world.client.send(query.clone());
        real.expect(Udp { ends: at_real, ..query });
        let reply = Udp {
            ends: Ends { to_mac: world.client.mac, ..at_real.back() },
            payload: vec![7; 120],
        };
        real.send(reply.clone());
        world.client.expect(Udp { ends: sent.back(), ..reply });
    }
    assert_eq!(got, [5, 5], "ten clients over two equal guests");
}

/// RFC 768: a datagram without a checksum is one without a checksum afterwards.
#[test]
fn a_datagram_without_checksum_stays_without() {
    const CHECKSUM: std::ops::Range<usize> = 40..42;
    let world = World::with_weights(&[100]);
    let ends = Ends {
        from_mac: world.client.mac,
        to_mac: VIRTUAL_MAC,
        from: SocketAddrV4::new(world.client.address, 31_000),
        to: DNS.vip,
    };
    let query = Udp { ends, payload: b"no sum".to_vec() };
    let at_real = delivered(ends, &world.client, &world.guests[0], DNS.real_port);
    let without = |udp: Udp| {
        let mut bytes = Frame::from(udp).bytes();
        bytes[CHECKSUM].fill(0);
        bytes
    };
    world.client.send_bytes(&without(query.clone()));
    world.guests[0].expect_bytes(&without(Udp { ends: at_real, ..query }));
}

#[test]
fn what_no_service_takes_goes_nowhere() {
    let world = World::with_weights(&[100, 100]);
    let syn = |port, flags| Tcp {
        ends: Ends {
            from_mac: world.client.mac,
            to_mac: VIRTUAL_MAC,
            from: SocketAddrV4::new(world.client.address, 43_000),
            to: SocketAddrV4::new(VIP, port),
        },
        sequence: 1,
        acknowledged: None,
        flags,
        payload: vec![],
    };
    world.client.send(syn(81, TcpFlags::SYN));
    world.client.send(syn(80, TcpFlags::NONE));
    world.client.send(Tcp { acknowledged: Some(5), ..syn(80, TcpFlags::FIN) });
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "{arrived:?}");
    let drops = world.command("show counters drops");
    for (reason, count) in [("vip_noport", 1), ("tcp_flags", 1), ("no_flow", 1)] {
        assert_eq!(number_after(&drops, reason), Some(count), "{reason} in\n{drops}");
    }
    world.machine.assert_accounted();
}

/// A guest may call a VIP that its neighbours serve, though they share its subnet.
#[test]
fn a_guest_is_a_client_of_its_neighbours() {
    let world = World::with_configuration(
        3,
        &[
            guest_line(1),
            guest_line(2),
            guest_line(3),
            format!("set service web vip {VIP} tcp 80"),
            "set service web real g2 port 8080".into(),
            "set service web real g3 port 8080".into(),
        ],
    );
    let reals = [&world.guests[1], &world.guests[2]];
    for number in 0..4 {
        let mut flow = TcpFlow::open(&world.guests[0], 44_000 + number, WEB, &reals);
        flow.client_says(b"neighbour?");
        flow.real_says(b"yes");
        flow.close();
    }
}

/// A guest that calls a VIP and is itself chosen sees the switch's own address as the caller.
#[test]
fn a_guest_is_served_by_itself() {
    let world = World::with_weights(&[100]);
    let guest = &world.guests[0];
    let mut flow = TcpFlow::open(guest, 45_000, WEB, &[guest]);
    assert_eq!(*flow.at_real.from.ip(), Ipv4Addr::new(169, 254, 2, 1));
    flow.client_says(b"is it me?");
    flow.real_says(b"it is");
    flow.close();
}

/// One client port towards two VIPs at one guest: the guest can tell the two connections apart.
#[test]
fn two_vips_do_not_meet_at_one_guest() {
    let other = Target {
        vip: SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 101), 80),
        real_port: WEB.real_port,
    };
    let mut lines = vec![guest_line(1)];
    for (name, target) in [("one", WEB), ("two", other)] {
        lines.push(format!("set service {name} vip {} tcp 80", target.vip.ip()));
        lines.push(format!("set service {name} real g1 port {}", target.real_port));
    }
    let world = World::with_configuration(1, &lines);
    let _first = TcpFlow::open(&world.client, 46_000, WEB, &world.reals());
    let syn = Tcp {
        ends: Ends {
            from_mac: world.client.mac,
            to_mac: MacAddr::virtual_of((*other.vip.ip()).into()),
            from: SocketAddrV4::new(world.client.address, 46_000),
            to: other.vip,
        },
        sequence: 9,
        acknowledged: None,
        flags: TcpFlags::SYN,
        payload: vec![],
    };
    world.client.send(syn.clone());
    let Frame::Tcp(seen) = world.guests[0].next("SYN") else {
        panic!("that was no TCP");
    };
    assert_eq!(seen.ends.from.ip(), syn.ends.from.ip(), "the client's address is kept");
    assert_ne!(seen.ends.from.port(), 46_000, "its port is in use at this guest");
}
