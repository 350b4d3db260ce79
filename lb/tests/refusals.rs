//! Flows that a service does not take, frames beyond the MTU, and what the sender is told.

mod world;

use std::time::Duration;

use lb::limits::{ANSWERS_MAX, OUTBOX_MAX};
use lb::service::ServiceCounters;
use lb::wire::Offload;
use lb::wire::ip::Version;
use lb::wire::offload::{PartialChecksum, SegmentKind, Segments};
use lb::*;
use world::*;

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
/// Errors that are sent a second, at most.
const ERRORS_PER_SECOND: usize = 10;

fn served(version: Version, protocol: Protocol, vlan: u16) -> Served {
    Served { version, protocol, vlan, ..Served::default() }
}

/// Every version, untagged and in a VLAN.
fn everywhere(protocol: Protocol) -> impl Iterator<Item = Served> {
    let all = VERSIONS.into_iter().flat_map(|version| [(version, 0), (version, 10)]);
    all.map(move |(version, vlan)| served(version, protocol, vlan))
}

/// A service without reals, told what to do then.
fn world_without_reals(served: Served, empty: Empty, scheduler: Scheduler) -> World {
    let mut world = World::new(2);
    world.define(1);
    world.define(2);
    world.apply(Command::SetService(ServiceSpec { empty, scheduler, ..served.spec("web") }));
    world.settle();
    world
}

fn counters(world: &World) -> ServiceCounters {
    world.plane.tables().services().next().expect("the service").1.counters
}

/// Sends a frame that is refused for this reason; all that is said then.
fn refused(world: &mut World, ingress: usize, frame: &[u8], reason: DropReason) -> Vec<Out> {
    world.originated();
    assert_eq!(world.send(ingress, frame).map(|out| out.ports), Err(reason));
    world.originated()
}

#[test]
fn a_reset_says_what_the_segment_asked_for() {
    // By our builder a segment has sequence number 1000, and acknowledges 7 if it does.
    // What it says, its data, and the reset: sequence number, what it acknowledges.
    let to_openers = [("S", 0, 0, Some(1001)), ("S", 5, 0, Some(1006))];
    // Only hashing takes a flow in mid-life, or refuses it.
    let to_others = [
        ("A", 0, 7, None),
        ("PA", 99, 7, None),
        ("FA", 3, 7, None),
        ("SA", 0, 7, None),
        ("F", 0, 0, Some(1001)),
        ("PF", 4, 0, Some(1005)),
        ("P", 4, 0, Some(1004)),
    ];
    for served in everywhere(Protocol::Tcp) {
        for scheduler in Scheduler::ALL {
            let mut world = world_without_reals(served, Empty::Reset, scheduler);
            let is_by_hash = matches!(scheduler, Scheduler::Mh | Scheduler::Sh | Scheduler::ShPort);
            let others = if is_by_hash { &to_others[..] } else { &[] };
            let cases = to_openers.iter().chain(others);
            for (count, &(flags, data, sequence, acknowledges)) in (1..).zip(cases) {
                for (ingress, call) in
                    [(UPLINK, served.call(1000)), (2, served.call_of_guest(2, 1000))]
                {
                    let segment = call.tcp(flags, &vec![0x5a; data]);
                    let said = refused(&mut world, ingress, &segment, DropReason::NoBackend);
                    let [Out { ports, frame }] = &said[..] else { panic!("{said:?}") };
                    let Packet { ends, carries, payload, .. } = read_packet(frame);
                    let Carries::Tcp(tcp) = carries else { panic!("{carries:?}") };
                    let what = format!("{flags} with {data} bytes, {scheduler:?}, {served:?}");
                    assert_eq!((ports, ends), (&vec![ingress], call.reversed()), "{what}");
                    assert_eq!((tcp.rst, tcp.ack), (true, acknowledges.is_some()), "{what}");
                    assert!(!tcp.syn && !tcp.fin && !tcp.psh && !tcp.urg, "{what}");
                    let numbers = (tcp.sequence_number, tcp.acknowledgment_number);
                    assert_eq!(numbers, (sequence, acknowledges.unwrap_or(0)), "{what}");
                    assert_eq!((tcp.header_len(), payload.len()), (20, 0), "{what}");
                }
                let counted = counters(&world);
                assert_eq!((counted.refused_no_real, counted.resets_sent), (2 * count, 2 * count));
            }
            let reset =
                refused(&mut world, UPLINK, &served.call(1).tcp("R", b""), DropReason::NoFlow);
            assert_eq!(reset, [], "none to a reset");
        }
    }
}

/// Whoever asks for more resets than there is room for loses the rest, and nobody else anything.
#[test]
fn answers_leave_room_for_questions() {
    let mut world = world_without_reals(Served::default(), Empty::Reset, Scheduler::Wll);
    for client_port in 1000..1000 + OUTBOX_MAX as u16 {
        let syn = Ends::call(client_port, 80).tcp("S", b"");
        assert_eq!(world.send(UPLINK, &syn).unwrap_err(), DropReason::NoBackend);
    }
    let lost = (OUTBOX_MAX - ANSWERS_MAX) as u64;
    assert_eq!(world.plane.outbox().lost(), lost);
    // A guest that is to serve is asked whether it is there.
    world.set_real("web", 1, None, 100);
    world.now = world.now + Duration::from_secs(1);
    world.plane.housekeep(world.now);
    assert_eq!(world.plane.outbox().lost(), lost);
    assert!(world.originated().len() > ANSWERS_MAX);
}

/// Reads an ICMP error that quotes a packet as far as fits into what every host takes.
fn check_error(
    out: &Out,
    ingress: usize,
    sent: &Ends,
    frame: &[u8],
    kind: (u8, u8),
    rest: [u8; 4],
) {
    let Packet { ends, hops, carries, payload } = read_packet(&out.frame);
    let without_ports = |ends: Ends| Ends {
        source: (ends.source.0, 0),
        destination: (ends.destination.0, 0),
        ..ends
    };
    assert_eq!(out.ports, [ingress]);
    assert_eq!((ends, hops), (without_ports(sent.reversed()), 64));
    assert_eq!(carries, Carries::Icmp { kind: kind.0, code: kind.1, rest });
    let packet = &frame[sent.ip_at()..];
    let (max, header) = if sent.source.0.is_ipv4() { (576, 20) } else { (1280, 40) };
    let quote_len = packet.len().min(max - header - 8);
    assert_eq!(payload, packet[..quote_len]);
}

#[test]
fn datagrams_are_refused_by_port_unreachable_ten_times_a_second() {
    for served in everywhere(Protocol::Udp) {
        let mut world = world_without_reals(served, Empty::Reset, Scheduler::Wll);
        let kind = if served.version == Version::V4 { (3, 3) } else { (1, 4) };
        let mut told = 0;
        for second in 1..=2 {
            for at in 0..3 * ERRORS_PER_SECOND {
                let call = served.call(1000 + at as u16);
                let frame = call.udp(&vec![0x5a; at * 48]);
                let said = refused(&mut world, UPLINK, &frame, DropReason::NoBackend);
                for out in &said {
                    check_error(out, UPLINK, &call, &frame, kind, [0; 4]);
                }
                told += said.len();
            }
            assert_eq!(told, second * ERRORS_PER_SECOND, "{served:?}");
            world.pass(Duration::from_secs(1));
        }
        let long = served.call(1).udp(&[0x5a; 1400]);
        let said = refused(&mut world, UPLINK, &long, DropReason::NoBackend);
        check_error(&said[0], UPLINK, &served.call(1), &long, kind, [0; 4]);
        let counted = counters(&world);
        assert_eq!(counted.refused_no_real, 6 * ERRORS_PER_SECOND as u64 + 1);
        assert_eq!(counted.resets_sent, told as u64 + 1, "those who were told");
    }
}

#[test]
fn a_service_may_refuse_in_silence() {
    for served in SERVED {
        let mut world = world_without_reals(served, Empty::Drop, Scheduler::Wll);
        let frame = served.packet(served.call(1000), "S", b"");
        assert_eq!(refused(&mut world, UPLINK, &frame, DropReason::NoBackend), [], "{served:?}");
        let counted = counters(&world);
        assert_eq!((counted.refused_no_real, counted.resets_sent), (1, 0), "{served:?}");
    }
}

#[test]
fn f5_the_sorry_guest_serves_while_nobody_else_does() {
    for served in SERVED {
        let sorry = Empty::Sorry(name("web2"));
        let mut world = world_without_reals(served, sorry.clone(), Scheduler::Wll);
        let packet = |client_port, flags| served.packet(served.call(client_port), flags, b"");
        let gets = |world: &mut World, client_port, flags| {
            world.send(UPLINK, &packet(client_port, flags)).map(|out| out.ports)
        };
        let out = world.send(UPLINK, &packet(1000, "S")).unwrap();
        let at_sorry = served.at_real(2, served.call(1000));
        let at_sorry = Ends { destination: (at_sorry.destination.0, 80), ..at_sorry };
        assert_eq!((out.ports, read(&out.frame).0), (vec![2], at_sorry), "{served:?}");
        let answer = served.packet(at_sorry.reversed_to(CLIENT_MAC), "SA", b"");
        assert_eq!(read(&world.send(2, &answer).unwrap().frame).0, served.call(1000).reversed());
        // Somebody else is there: new flows are his, the old one stays.
        world.set_real("web", 1, served.real_port(), 100);
        world.settle();
        assert_eq!(gets(&mut world, 2000, "S"), Ok(vec![1]), "{served:?}");
        assert_eq!(gets(&mut world, 1000, "A"), Ok(vec![2]), "{served:?}");
        // He is silent, and so is the sorry guest.
        world.pass_without(Duration::from_secs(1), &[1]);
        assert_eq!(gets(&mut world, 3000, "S"), Ok(vec![2]), "{served:?}");
        world.pass_without(Duration::from_secs(1), &[1, 2]);
        assert_eq!(gets(&mut world, 4000, "S"), Err(DropReason::NoBackend), "{served:?}");
        // The service has another rule: the old flow still stays.
        world.apply(Command::SetService(served.spec("web")));
        assert_eq!(gets(&mut world, 1000, "A"), Ok(vec![2]), "{served:?}");
    }
}

#[test]
fn a_sorry_guest_is_a_guest_that_can_serve() {
    let mut world = world_without_reals(Served::default(), Empty::Drop, Scheduler::Wll);
    let spec = |guest| {
        let empty = Empty::Sorry(name(guest));
        Command::SetService(ServiceSpec { empty, ..Served::default().spec("web") })
    };
    assert_eq!(world.refused(spec("nil")), Refusal::UnknownGuest(name("nil")));
    world.apply(spec("web2"));
    let in_use = Refusal::GuestInUse { guest: name("web2"), service: name("web") };
    assert_eq!(world.refused(Command::DeleteGuest(name("web2"))), in_use);
    let without_v4 =
        GuestSpec { addresses: [guest_address_v6(2)].into_iter().collect(), ..world.guest_spec(2) };
    let refusal = Refusal::NoAddressForReal { guest: name("web2"), version: Version::V4 };
    assert_eq!(world.refused(Command::SetGuest(without_v4.clone())), refusal);
    world.apply(spec("web1"));
    world.apply(Command::SetGuest(without_v4));
    assert_eq!(world.refused(spec("web2")), refusal);
}

#[test]
fn a_service_has_so_many_open_flows_and_no_more() {
    for empty in [Empty::Drop, Empty::Reset, Empty::Sorry(name("web2"))] {
        for served in SERVED {
            let mut world = World::serving_as(2, served);
            let flows_max = Some(3.try_into().unwrap());
            world.apply(Command::SetService(ServiceSpec {
                empty: empty.clone(),
                flows_max,
                ..served.spec("web")
            }));
            let packet = |client_port, flags| served.packet(served.call(client_port), flags, b"");
            for client_port in 1000..1003 {
                assert!(world.send(UPLINK, &packet(client_port, "S")).is_ok());
            }
            let said = refused(&mut world, UPLINK, &packet(1003, "S"), DropReason::ServiceFull);
            let told = usize::from(empty == Empty::Reset);
            assert_eq!(said.len(), told, "{empty:?}, {served:?}");
            let counted = counters(&world);
            assert_eq!((counted.refused_full, counted.refused_no_real), (1, 0));
            assert_eq!((counted.flows_new, counted.resets_sent), (3, told as u64));
            assert!(world.send(UPLINK, &packet(1000, "S")).is_ok(), "of one that is open");
            if served.protocol == Protocol::Tcp {
                world.send(UPLINK, &packet(1001, "R")).unwrap();
                assert!(world.send(UPLINK, &packet(1003, "S")).is_ok(), "one has ended");
            }
        }
    }
}

#[test]
fn f34_who_sends_a_vip_too_much_is_told_what_fits_ten_times_a_second() {
    for served in everywhere(Protocol::Udp) {
        let mut world = World::serving_as(2, served);
        let (kind, rest) = match served.version {
            Version::V4 => ((3, 4), [0, 0, 0x05, 0xdc]),
            Version::V6 => ((2, 0), [0, 0, 0x05, 0xdc]),
        };
        let mut told = 0;
        for (ingress, call) in [(UPLINK, served.call(1000)), (2, served.call_of_guest(2, 1000))] {
            for len in [1501, 1514, 9000].repeat(ERRORS_PER_SECOND) {
                let frame = call.udp(&vec![0x5a; len + call.ip_at() - call.payload_at() - 8]);
                let said = refused(&mut world, ingress, &frame, DropReason::TooBig);
                for out in &said {
                    check_error(out, ingress, &call, &frame, kind, rest);
                }
                told += said.len();
            }
            assert_eq!(told, ERRORS_PER_SECOND, "{served:?}");
            told = 0;
            world.pass(Duration::from_secs(1));
        }
    }
}

#[test]
fn f34_nobody_is_told_of_what_was_not_for_a_vip_or_not_meant() {
    for served in everywhere(Protocol::Udp) {
        let mut world = World::serving_as(2, served);
        let call = served.call(1000);
        let big = |ends: Ends| ends.udp(&[0x5a; 2000]);
        let error = {
            let quote = call.reversed().udp(&[0x5a; 2000]);
            let kind = if served.version == Version::V4 { (3, 3) } else { (1, 4) };
            call.icmp(kind.0, kind.1, [0; 4], &quote[call.ip_at()..])
        };
        let to =
            |address, destination_mac| Ends { destination: (address, 80), destination_mac, ..call };
        let from = |source| Ends { source: (source, 1000), ..call };
        let mut cases = vec![
            ("to a guest", big(to(served.guest(1), guest_mac(1)))),
            ("to a stranger by the VIP's MAC", big(to(served.client(), call.destination_mac))),
            ("in another VLAN", big(Ends { vlan: 20, ..call })),
            ("from the VIP itself", big(from(served.vip()))),
            ("from a group MAC", big(Ends { source_mac: [0x33, 0x33, 0, 0, 0, 1], ..call })),
            ("about an error", error),
        ];
        if served.version == Version::V4 {
            let mut may_be_cut = big(call);
            patch_ipv4(&mut may_be_cut, call.ip_at(), &[(6, 0)]);
            let mut damaged = big(call);
            damaged[call.ip_at() + 10] ^= 1;
            cases.push(("that may be cut", may_be_cut));
            cases.push(("that is damaged", damaged));
        }
        for (what, frame) in cases {
            let said = refused(&mut world, UPLINK, &frame, DropReason::TooBig);
            assert_eq!(said, [], "{what}, {served:?}");
        }
    }
}

#[test]
fn f34_what_is_to_be_cut_is_as_long_as_its_segments() {
    let served = served(Version::V4, Protocol::Tcp, 0);
    let mut world = World::serving_as(1, served);
    let call = served.call(1000);
    let frame = call.tcp("S", &[0x5a; 4000]);
    let checksum = Some(PartialChecksum { start: call.payload_at() as u16, offset: 16 });
    for (payload_len, ending) in [(1448, Ok(vec![1])), (1500, Err(DropReason::TooBig))] {
        let payload_len = payload_len.try_into().unwrap();
        let segments = Some(Segments { kind: SegmentKind::TcpV4, payload_len });
        let mut offload = Offload { checksum, segments };
        let ended = world.send_offloaded(UPLINK, &frame, &mut offload).map(|out| out.ports);
        assert_eq!(ended, ending);
    }
}
