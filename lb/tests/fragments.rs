//! Fragments through the data path: whatever comes first, all go where their first fragment goes,
//! or none does. Fragments in order are in the matrix.

mod world;

use std::time::Duration;

use lb::flow::fragments::HOLD;
use lb::limits::HELD_FRAGMENTS_MAX;
use lb::wire::ip::Version;
use lb::*;
use world::*;

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
/// All orders in which three fragments can come.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn udp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp)
}

fn udp(version: Version) -> Served {
    Served { version, protocol: Protocol::Udp, ..Served::default() }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn datagram(ends: &Ends, identification: u16) -> Vec<Vec<u8>> {
    cut(&ends.udp(&payload(3001)), ends, identification, 1400)
}

/// Sends a fragment; what goes out, held ones that it frees included.
fn send(world: &mut World, ingress: usize, frame: &[u8]) -> Vec<Out> {
    let out = world.send(ingress, frame).unwrap();
    let went = Some(out).filter(|out| !out.ports.is_empty());
    went.into_iter().chain(world.originated()).collect()
}

#[test]
fn in_any_order_they_go_one_way() {
    for served in udp_services() {
        for order in ORDERS {
            let mut world = World::serving_as(3, served);
            let call = served.call(1000);
            let parts = datagram(&call, 7);
            let outs: Vec<Out> =
                order.iter().flat_map(|&at| send(&mut world, UPLINK, &parts[at])).collect();
            let home = outs[0].ports.clone();
            assert!(outs.iter().all(|out| out.ports == home), "{order:?}, {served:?}");
            let frames: Vec<_> = outs.into_iter().map(|out| out.frame).collect();
            let at_real = served.at_real(home[0], call);
            assert_eq!(read_parts(&frames), (at_real, payload(3001)), "{order:?}, {served:?}");
            // And back.
            let answer = at_real.reversed_to(CLIENT_MAC);
            let parts = datagram(&answer, 9);
            let outs: Vec<Out> =
                order.iter().flat_map(|&at| send(&mut world, home[0], &parts[at])).collect();
            assert!(outs.iter().all(|out| out.ports == [UPLINK]), "{order:?}, {served:?}");
            let frames: Vec<_> = outs.into_iter().map(|out| out.frame).collect();
            assert_eq!(read_parts(&frames), (call.reversed(), payload(3001)), "{served:?}");
            let endings = world.plane.endings(port(UPLINK));
            assert_eq!((endings.held, endings.forwarded), (0, 3), "{order:?}");
            let real = world.real("web", home[0]).counters;
            assert_eq!((real.traffic.packets_in, real.traffic.packets_out), (3, 3), "{order:?}");
        }
    }
}

#[test]
fn p20_without_a_first_fragment_the_others_are_dropped() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let call = served.call(1000);
        for identification in 0..10_000 {
            let orphan = &datagram(&call, identification)[1];
            // One that is too many pushes out an older one.
            assert_eq!(world.send(UPLINK, orphan).unwrap().ports, []);
            if identification % 50 == 0 {
                world.pass(Duration::from_millis(10));
                let held = world.plane.endings(port(UPLINK)).held;
                assert!(held <= HELD_FRAGMENTS_MAX as u64 / 4, "one port holds {held}");
            }
        }
        world.pass(HOLD + Duration::from_secs(1));
        let endings = world.plane.endings(port(UPLINK));
        assert_eq!((endings.held, endings.rx), (0, 10_000));
        assert_eq!(world.dropped(UPLINK, DropReason::Fragment), 10_000);
        assert!(world.originated().is_empty());
    }
}

#[test]
fn p20_the_first_comes_too_late() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let parts = datagram(&served.call(1000), 7);
        assert_eq!(send(&mut world, UPLINK, &parts[1]), []);
        world.pass(HOLD + Duration::from_millis(100));
        assert_eq!(world.dropped(UPLINK, DropReason::Fragment), 1);
        // What was held is gone, so the datagram cannot become whole.
        for part in &parts {
            assert_eq!(world.send(UPLINK, part).unwrap_err(), DropReason::Fragment);
        }
    }
}

#[test]
fn p21_a_first_fragment_without_its_whole_transport_header() {
    for version in VERSIONS {
        let served = Served { version, ..Served::default() };
        let mut world = World::serving_as(1, served);
        let call = served.call(1000);
        let syn = call.tcp("S", &payload(64));
        for (len, ending) in [
            (8, Err(DropReason::TinyFragment)),
            (16, Err(DropReason::TinyFragment)),
            (24, Ok(vec![1])),
        ] {
            let first = &cut(&syn, &call, len as u16, len)[0];
            let ended = world.send(UPLINK, first).map(|out| out.ports);
            assert_eq!(ended, ending, "{len} bytes, {version:?}");
        }
        let (head, _) = syn.split_at(call.payload_at());
        let empty = part(head, &call, 99, 0, true, b"");
        let ended = world.send(UPLINK, &empty).map(|out| out.ports);
        assert_eq!(ended, Err(DropReason::Fragment), "no bytes at all, {version:?}");
    }
}

/// A fragment by its place in the datagram: offset, length, whether more follow.
type Place = (usize, usize, bool);

#[test]
fn p22_fragments_that_cannot_be_put_together() {
    // The last one of each is refused, and all after it.
    let datagrams: [(&str, &[Place]); 7] = [
        ("the same bytes twice", &[(0, 64, true), (0, 64, true)]),
        ("teardrop", &[(0, 64, true), (24, 16, false)]),
        ("an overlap by eight bytes", &[(0, 64, true), (56, 64, false)]),
        ("over the first from behind", &[(0, 64, true), (64, 64, true), (120, 64, false)]),
        ("beyond the last one's end", &[(0, 64, true), (128, 64, false), (192, 64, false)]),
        ("not a multiple of eight", &[(0, 64, true), (64, 20, true)]),
        ("ping of death", &[(0, 64, true), (65_528, 64, false)]),
    ];
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let call = served.call(1000);
        let whole = call.udp(&payload(248));
        let (headers, bytes) = whole.split_at(call.payload_at());
        for (at, (what, places)) in datagrams.iter().enumerate() {
            let fragment = |(offset, len, more): Place| {
                let from = if offset < bytes.len() - len { offset } else { 0 };
                part(headers, &call, at as u16, offset, more, &bytes[from..from + len])
            };
            let (last, before) = places.split_last().unwrap();
            for &place in before {
                let ended = world.send(UPLINK, &fragment(place)).map(|out| out.ports);
                assert_eq!(ended, Ok(vec![1]), "{what}, {version:?}");
            }
            let ended = world.send(UPLINK, &fragment(*last)).map(drop);
            assert_eq!(ended, Err(DropReason::Fragment), "{what}, {version:?}");
        }
    }
}

#[test]
fn p36_an_echo_in_fragments_is_not_answered() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let call = served.call(1000);
        let kind = if version == Version::V4 { 8 } else { 128 };
        let parts = cut(&call.icmp(kind, 0, [0; 4], &payload(60_000)), &call, 7, 1400);
        for part in &parts {
            let ended = world.send(UPLINK, part);
            assert!(matches!(ended, Err(DropReason::Fragment)) || ended.unwrap().ports.is_empty());
        }
        world.pass(HOLD + Duration::from_secs(1));
        assert_eq!(world.dropped(UPLINK, DropReason::Fragment), parts.len() as u64);
        assert!(world.originated().is_empty());
    }
}

#[test]
fn a_datagram_that_is_refused_is_refused_in_all_its_parts() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let stranger = Ends { destination: (served.vip(), 81), ..served.call(1000) };
        for order in ORDERS {
            let before = world.plane.endings(port(UPLINK)).rx;
            let parts = datagram(&stranger, order[0] as u16 * 3 + order[1] as u16);
            for at in order {
                let expected = match at {
                    0 => Err(DropReason::VipNoPort),
                    _ => Ok(vec![]),
                };
                let ended = world.send(UPLINK, &parts[at]).map(|out| out.ports);
                assert_eq!(ended, expected, "{order:?}: fragment {at}");
            }
            world.pass(HOLD + Duration::from_secs(1));
            let endings = world.plane.endings(port(UPLINK));
            assert_eq!((endings.held, endings.rx - before, endings.forwarded), (0, 3, 0));
        }
        assert_eq!(world.dropped(UPLINK, DropReason::Fragment), 12);
    }
}

#[test]
fn nobody_joins_a_datagram_from_another_port() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(2, served);
        let parts = datagram(&served.call(1000), 7);
        let home = send(&mut world, UPLINK, &parts[0])[0].ports[0];
        let forger = 3 - home;
        let trusts = [Trust::Address].into_iter().collect();
        world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(forger) }));
        let mut forged = parts[1].clone();
        forged[6..12].copy_from_slice(&guest_mac(forger));
        assert_eq!(send(&mut world, forger, &forged), []);
        let outs: Vec<_> =
            parts[1..].iter().flat_map(|part| send(&mut world, UPLINK, part)).collect();
        assert_eq!(outs.len(), 2, "the client's own go through");
        assert!(outs.iter().all(|out| out.ports == [home]));
    }
}

#[test]
fn a_guests_other_fragments_are_switched_as_they_are() {
    for version in VERSIONS {
        let served = udp(version);
        for order in ORDERS {
            let mut world = World::serving_as(2, served);
            let call = served.call(1000);
            world.send(UPLINK, &call.udp(b"known from now on")).unwrap();
            let own = Ends {
                source_mac: guest_mac(1),
                destination_mac: CLIENT_MAC,
                source: (served.guest(1), 5555),
                destination: (served.client(), 53),
                ..call
            };
            let parts = datagram(&own, 7);
            let outs: Vec<Out> =
                order.iter().flat_map(|&at| send(&mut world, 1, &parts[at])).collect();
            assert!(outs.iter().all(|out| out.ports == [UPLINK]), "{order:?}");
            let mut frames: Vec<_> = outs.into_iter().map(|out| out.frame).collect();
            let mut expected = parts;
            frames.sort();
            expected.sort();
            assert!(frames == expected, "{order:?}, {version:?}");
        }
    }
}

#[test]
fn the_switch_itself_takes_no_fragments() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let report = Ends {
            destination: (served.switch(), 3333),
            destination_mac: SWITCH_MAC,
            ..served.call_of_guest(1, 1000)
        };
        for part in datagram(&report, 7) {
            assert_eq!(world.send(1, &part).unwrap_err(), DropReason::Fragment);
        }
    }
}
