//! UDP services: how long a flow may be silent, and datagrams that are scheduled one by one.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use lb::flow::UDP_IDLE;
use lb::*;
use world::*;

fn udp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp)
}

/// A service of one packet, round robin over three guests.
fn one_packet(served: Served) -> World {
    let mut world = World::serving_as(3, served);
    let (scheduler, one_packet) = (Scheduler::Rr, true);
    world.apply(Command::SetService(ServiceSpec { scheduler, one_packet, ..served.spec("web") }));
    world
}

#[test]
fn each_datagram_gets_its_own_real_and_every_answer_comes_back() {
    for served in udp_services() {
        let mut world = one_packet(served);
        let call = served.call(1000);
        let mut seen = Vec::new();
        for round in 0..9 {
            let out = world.send(UPLINK, &call.udp(b"where now?")).unwrap();
            let guest = 1 + round % 3;
            let at_real = read(&out.frame).0;
            let mut expected = served.at_real(guest, call);
            if served.forwarding == Forwarding::Direct && guest > 1 {
                // Two reals have the one VIP: the ways back differ by the client's port.
                expected.source.1 = at_real.source.1;
            }
            assert_eq!((out.ports, at_real), (vec![guest], expected), "{served:?}");
            seen.push((guest, at_real));
        }
        for (guest, at_real) in seen {
            let answer = at_real.reversed_to(CLIENT_MAC);
            let out = world.send(guest, &answer.udp(b"here")).unwrap();
            assert_eq!((out.ports, read(&out.frame).0), (vec![UPLINK], call.reversed()));
        }
        let flows: BTreeSet<_> = world.plane.flows().iter().map(|flow| flow.real.index()).collect();
        assert_eq!((world.plane.flows().len(), flows.len()), (3, 3), "one way back for each real");
        let counted = world.plane.tables().services().next().unwrap().1.counters;
        assert_eq!((counted.traffic.packets_in, counted.traffic.packets_out), (9, 9));
    }
}

#[test]
fn an_icmp_error_finds_back_to_the_client_of_a_single_datagram() {
    for served in udp_services().filter(|served| served.forwarding == Forwarding::Nat) {
        let mut world = one_packet(served);
        let call = served.call(1000);
        let (kind, code) = if call.source.0.is_ipv4() { (3, 3) } else { (1, 4) };
        let sent = call.udp(b"where now?");
        for guest in [1, 2, 3] {
            let received = world.send(UPLINK, &sent).unwrap().frame;
            let answer = read(&received).0.reversed_to(CLIENT_MAC);
            let error = answer.icmp(kind, code, [0; 4], &received[call.ip_at()..]);
            let out = world.send(guest, &error).unwrap();
            let packet = read_packet(&out.frame);
            assert_eq!(
                (packet.ends.source, packet.ends.destination.0),
                ((call.destination.0, 0), call.source.0)
            );
            assert_eq!(packet.payload, sent[call.ip_at()..], "{served:?}");
        }
    }
}

#[test]
fn a_flow_may_be_silent_as_long_as_its_service_says() {
    for (idle, passes) in
        [(None, UDP_IDLE), (Some(Duration::from_secs(15)), Duration::from_secs(15))]
    {
        let served = Served { protocol: Protocol::Udp, ..Served::default() };
        let mut world = World::serving_as(2, served);
        world.apply(Command::SetService(ServiceSpec { udp_idle: idle, ..served.spec("web") }));
        let call = served.call(1000);
        let out = world.send(UPLINK, &call.udp(b"?")).unwrap();
        let answer = read(&out.frame).0.reversed_to(CLIENT_MAC);
        world.send(out.ports[0], &answer.udp(b"!")).unwrap();
        let second = Duration::from_secs(1);
        world.pass(passes - second);
        assert_eq!(world.plane.flows().len(), 1, "{idle:?}");
        world.send(UPLINK, &call.udp(b"?")).unwrap();
        world.pass(passes - second);
        assert_eq!(world.plane.flows().len(), 1, "{idle:?}: every packet counts");
        // The whole table is swept every five seconds.
        world.pass(7 * second);
        assert_eq!(world.plane.flows().len(), 0, "{idle:?}");
    }
}

#[test]
fn what_only_datagrams_can_have() {
    let mut world = World::serving(1);
    let spec = Served::default().spec("web");
    let idle = ServiceSpec { udp_idle: Some(Duration::from_secs(15)), ..spec.clone() };
    let single = ServiceSpec { one_packet: true, ..spec };
    let refusal = |what| Refusal::UdpOnly { what };
    assert_eq!(world.refused(Command::SetService(idle)), refusal("an idle time"));
    assert_eq!(world.refused(Command::SetService(single)), refusal("one-packet scheduling"));
}
