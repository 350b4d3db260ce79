//! Whole datagrams from fragments, as the far end gets them: long ones in random orders, TCP in
//! pieces, floods of orphans beside them, and what becomes of the pieces whose flow is gone. Each
//! case of a single fragment is in `fragments.rs`.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lb::flow::fragments::HOLD;
use lb::limits::{FRAGMENTED_DATAGRAMS_MAX, HELD_FRAGMENTS_MAX};
use lb::wire::ip::Version;
use lb::*;
use world::*;

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
/// All orders in which three fragments can come.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const SEEDS: u64 = 12;

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn udp(version: Version) -> Served {
    Served { version, protocol: Protocol::Udp, ..Served::default() }
}

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)) >> 8) as usize % end
    }
}

/// An order of so many things (Fisher and Yates).
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut dice = Dice(seed);
    (1..count).rev().for_each(|at| order.swap(at, dice.below(at + 1)));
    order
}

/// Sends fragments in this order; all that comes out, those included that were held until their
/// first was there.
fn send_all(world: &mut World, ingress: usize, parts: &[Vec<u8>], order: &[usize]) -> Vec<Out> {
    let held_before = world.plane.endings(port(ingress)).held;
    let mut outs = Vec::new();
    for (count, &at) in (1..).zip(order) {
        let out = world.send(ingress, &parts[at]).unwrap();
        let freed = world.originated();
        let waits = !order[..count].contains(&0);
        assert_eq!(out.ports.is_empty(), waits, "fragment {at} of {order:?}");
        assert_eq!(freed.len(), if at == 0 { count - 1 } else { 0 }, "{order:?}");
        let held = world.plane.endings(port(ingress)).held - held_before;
        assert_eq!(held as usize, if waits { count } else { 0 }, "{order:?}");
        outs.extend(Some(out).filter(|_| !waits));
        outs.extend(freed);
    }
    outs
}

/// What the far end makes of fragments that all went to one port: the packet, its sums checked in
/// full. `ends` says how long its headers are.
fn whole(outs: &[Out], ends: &Ends) -> (usize, Packet) {
    let [to] = outs[0].ports[..] else { panic!("{:?}", outs[0].ports) };
    let (ip, is_v4) = (ends.ip_at(), ends.source.0.is_ipv4());
    let at = ends.payload_at() + if is_v4 { 0 } else { 8 };
    let offset = |frame: &[u8]| match is_v4 {
        true => (u16::from_be_bytes([frame[ip + 6], frame[ip + 7]]) & 0x1fff) * 8,
        false => u16::from_be_bytes([frame[ip + 42], frame[ip + 43]]) & 0xfff8,
    };
    let mut frames: Vec<&[u8]> = outs.iter().map(|out| &out.frame[..]).collect();
    frames.sort_by_key(|frame| offset(frame));
    let mut packet = frames[0][..ends.payload_at()].to_vec();
    for (frame, out) in frames.iter().zip(outs) {
        assert_eq!(out.ports, [to], "all go one way");
        assert_eq!(frame[..12], frames[0][..12], "by the same MAC addresses");
        assert_eq!(usize::from(offset(frame)), packet.len() - ends.payload_at());
        packet.extend(&frame[at..]);
    }
    let len = packet.len() - ends.payload_at();
    if is_v4 {
        let [len0, len1] = (len as u16 + 20).to_be_bytes();
        patch_ipv4(&mut packet, ip, &[(2, len0), (3, len1), (6, 0), (7, 0)]);
    } else {
        packet[ip + 4..ip + 6].copy_from_slice(&(len as u16).to_be_bytes());
        packet[ip + 6] = frames[0][ip + 40];
    }
    (to, read_packet(&packet))
}

#[test]
fn eight_kilobytes_in_any_order_to_the_vip_and_back() {
    let bytes = payload(8192);
    for served in SERVED {
        let mut world = World::serving_as(3, served);
        for seed in 0..SEEDS {
            let call = served.call(1000 + seed as u16);
            let flags = "SA";
            // A flow of TCP has begun before.
            let begun = served.packet(call, "S", b"");
            let home = (served.protocol == Protocol::Tcp)
                .then(|| world.send(UPLINK, &begun).unwrap().ports[0]);
            let what = format!("seed {seed}, {served:?}");
            let whole_call = served.packet(call, "PA", &bytes);
            let parts = cut(&whole_call, &call, seed as u16, 1400);
            let outs = send_all(&mut world, UPLINK, &parts, &shuffled(parts.len(), seed));
            let (to, packet) = whole(&outs, &call);
            assert_eq!(home.unwrap_or(to), to, "{what}");
            assert_eq!(packet.ends, served.at_real(to, call), "{what}");
            assert!(packet.payload == bytes, "{what}");
            let answer = packet.ends.reversed_to(CLIENT_MAC);
            let parts = cut(&served.packet(answer, flags, &bytes), &answer, seed as u16, 1400);
            let outs = send_all(&mut world, to, &parts, &shuffled(parts.len(), seed + SEEDS));
            let (to, packet) = whole(&outs, &answer);
            assert_eq!((to, packet.ends), (UPLINK, call.reversed()), "{what}");
            assert!(packet.payload == bytes, "{what}");
        }
        let counters = world.plane.fragments();
        assert_eq!((counters.begun, counters.completed), (2 * SEEDS, 2 * SEEDS), "{served:?}");
        assert_eq!((counters.undelivered, counters.refused, counters.spoiled), (0, 0, 0));
    }
}

#[test]
fn p50_a_datagram_without_a_checksum_stays_without() {
    let served = udp(Version::V4);
    let mut world = World::serving_as(1, served);
    let call = served.call(1000);
    let mut datagram = call.udp(&payload(3001));
    datagram[call.payload_at() + 6..call.payload_at() + 8].fill(0);
    let parts = cut(&datagram, &call, 7, 1400);
    let outs = send_all(&mut world, UPLINK, &parts, &[2, 0, 1]);
    let first = outs.iter().find(|out| out.frame[call.ip_at() + 7] == 0).unwrap();
    assert_eq!(first.frame[call.payload_at() + 6..][..2], [0, 0]);
    assert_eq!(whole(&outs, &call).1.ends, served.at_real(1, call));
}

#[test]
fn a_datagram_that_is_scheduled_by_itself_stays_in_one_piece() {
    for served in SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp) {
        let mut world = World::serving_as(3, served);
        let (scheduler, one_packet) = (Scheduler::Rr, true);
        let spec = ServiceSpec { scheduler, one_packet, ..served.spec("web") };
        world.apply(Command::SetService(spec));
        let mut homes = BTreeSet::new();
        for (client_port, order) in (1000..).zip(ORDERS) {
            let call = served.call(client_port);
            let parts = cut(&call.udp(&payload(3001)), &call, client_port, 1400);
            let (home, packet) = whole(&send_all(&mut world, UPLINK, &parts, &order), &call);
            assert_eq!(packet.ends, served.at_real(home, call), "{order:?}, {served:?}");
            homes.insert(home);
        }
        assert_eq!(homes.len(), 3, "{served:?}");
    }
}

#[test]
fn p20_orphans_end_at_the_port_that_they_came_in_on() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(2, served);
        let calls = [(UPLINK, served.call(1000), 3), (2, served.call_of_guest(2, 1000), 5)];
        for (ingress, call, count) in calls {
            for identification in 0..count {
                let parts = cut(&call.udp(&payload(3001)), &call, identification, 1400);
                assert_eq!(world.send(ingress, &parts[1]).map(|out| out.ports), Ok(vec![]));
            }
        }
        let ended = |world: &World| {
            [UPLINK, 1, 2].map(|at| {
                let endings = world.plane.endings(port(at));
                (endings.held, endings.dropped(DropReason::Fragment))
            })
        };
        let step = Duration::from_millis(10);
        world.pass(HOLD - step);
        assert_eq!(ended(&world), [(3, 0), (0, 0), (5, 0)], "not yet");
        world.pass(step * 2);
        assert_eq!(ended(&world), [(0, 3), (0, 0), (0, 5)], "{version:?}");
        assert_eq!(world.plane.fragments().undelivered, 8);
    }
}

#[test]
fn f10_orphans_take_no_memory_and_no_place_of_another_port() {
    const ORPHANS: u32 = 100_000;
    for (version, flooder) in [(Version::V4, UPLINK), (Version::V6, 2)] {
        let served = udp(version);
        let mut world = World::serving_as(2, served);
        let honest = if flooder == UPLINK { 2 } else { UPLINK };
        let honest_call = |n| match honest {
            UPLINK => served.call(n),
            guest => served.call_of_guest(guest, n),
        };
        let call = match flooder {
            UPLINK => served.call(9),
            guest => served.call_of_guest(guest, 9),
        };
        let mut orphan = cut(&call.udp(&payload(64)), &call, 0, 32)[1].clone();
        for n in 0..ORPHANS {
            let [.., i0, i1] = n.to_be_bytes();
            let dice = (n / 65_536) as u8;
            match version {
                Version::V4 => {
                    patch_ipv4(&mut orphan, 14, &[(4, i0), (5, i1), (13, dice + 77)]);
                }
                Version::V6 => orphan[14 + 44..14 + 48].copy_from_slice(&n.to_be_bytes()),
            }
            let verdict = world.verdict(flooder, &orphan);
            let is_expected =
                matches!(verdict, Verdict::Hold) || verdict == Verdict::Drop(DropReason::Fragment);
            assert!(is_expected, "{verdict:?}");
            let counters = world.plane.fragments();
            let gone = counters.completed + counters.expired + counters.evicted;
            assert!(counters.begun - gone <= FRAGMENTED_DATAGRAMS_MAX as u64);
            let held: u64 = [0, 1, 2].map(|at| world.plane.endings(port(at)).held).iter().sum();
            let untold = counters.undelivered - world.dropped(flooder, DropReason::Fragment);
            assert!(held - untold <= HELD_FRAGMENTS_MAX as u64, "{held}, of them {untold}");
            if n % 100 == 99 {
                world.pass(Duration::from_millis(10));
            }
            if n % 10_000 == 9_999 {
                let call = honest_call(1000 + (n / 10_000) as u16);
                let order = ORDERS[n as usize / 10_000 % 6];
                let parts = cut(&call.udp(&payload(3001)), &call, 1, 1400);
                let outs = send_all(&mut world, honest, &parts, &order);
                assert!(whole(&outs, &call).1.payload == payload(3001), "after {n}");
            }
        }
        world.pass(Duration::from_secs(3));
        let counters = *world.plane.fragments();
        let gone = counters.completed + counters.expired + counters.evicted;
        assert_eq!((counters.begun - gone, counters.completed), (0, 10), "{counters:?}");
        assert_eq!(world.dropped(flooder, DropReason::Fragment), u64::from(ORPHANS));
        let held = [0, 1, 2].map(|at| world.plane.endings(port(at)).held);
        assert_eq!(held, [0; 3]);
    }
}

#[test]
fn what_follows_when_the_flow_is_gone_is_dropped() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(2, served);
        let call = served.call(1000);
        let parts = cut(&call.udp(&payload(3001)), &call, 7, 1400);
        let home = world.send(UPLINK, &parts[0]).unwrap().ports[0];
        assert_eq!(world.send(UPLINK, &parts[1]).unwrap().ports, [home]);
        // Made-up beginners push the flow out, which nobody has answered.
        for client_port in 2000..2000 + 1024 {
            world.send(UPLINK, &served.call(client_port).udp(b"")).unwrap();
        }
        assert!(world.plane.flows().iter().all(|flow| flow.client().port != 1000), "it is gone");
        assert_eq!(world.send(UPLINK, &parts[2]), Err(DropReason::Fragment), "{version:?}");
    }
}

#[test]
fn what_follows_goes_to_the_real_of_the_first_whatever_is_changed() {
    type Change = fn(&mut World, usize);
    let changes: [(&str, Change); 4] = [
        ("drained", |world, n| {
            let guest = name(&format!("web{n}"));
            world.apply(Command::Administer { service: None, guest, state: AdminState::Drain });
        }),
        ("removed", |world, n| {
            let (service, guest) = (name("web"), name(&format!("web{n}")));
            world.apply(Command::DeleteReal { service, guest });
        }),
        ("the service is deleted", |world, _| {
            world.apply(Command::DeleteService(name("web")));
        }),
        ("without weight", |world, n| {
            let real = world.real("web", n).spec.port.map(|port| port.get());
            world.set_real("web", n, real, 0);
        }),
    ];
    for served in SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp) {
        for (what, change) in changes {
            let mut world = World::serving_as(3, served);
            let call = served.call(1000);
            let parts = cut(&call.udp(&payload(3001)), &call, 7, 1400);
            let mut outs = vec![world.send(UPLINK, &parts[0]).unwrap()];
            let home = outs[0].ports[0];
            change(&mut world, home);
            outs.extend(parts[1..].iter().map(|part| world.send(UPLINK, part).unwrap()));
            let (to, packet) = whole(&outs, &call);
            assert_eq!((to, packet.ends), (home, served.at_real(home, call)), "{what}");
        }
        let mut world = World::serving_as(3, served);
        let call = served.call(1000);
        let parts = cut(&call.udp(&payload(3001)), &call, 7, 1400);
        let home = world.send(UPLINK, &parts[0]).unwrap().ports[0];
        world.apply(Command::SetLink { port: port(home), up: false });
        assert_eq!(world.send(UPLINK, &parts[1]), Err(DropReason::NoPort), "{served:?}");
    }
}

#[test]
fn a_repetition_of_a_guests_own_fragment_is_switched_too() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(2, served);
        world.send(UPLINK, &served.call(1000).udp(b"known from now on")).unwrap();
        let own = Ends {
            source_mac: guest_mac(1),
            destination_mac: CLIENT_MAC,
            source: (served.guest(1), 5555),
            destination: (served.client(), 53),
            ..served.call(1)
        };
        let parts = cut(&own.udp(&payload(3001)), &own, 7, 1400);
        for at in [0, 0, 1, 1, 2, 0, 2] {
            let expected = Out { ports: vec![UPLINK], frame: parts[at].clone() };
            assert_eq!(world.send(1, &parts[at]), Ok(expected), "fragment {at}, {version:?}");
        }
    }
}

#[test]
fn fragments_to_the_switch_itself_are_dropped_from_wherever() {
    for version in VERSIONS {
        let served = udp(version);
        let mut world = World::serving_as(1, served);
        let own: IpAddr = served.switch();
        let cases = [
            (1, served.call_of_guest(1, 1000), DropReason::Fragment),
            (UPLINK, served.call(1000), DropReason::ReportPort),
        ];
        for (ingress, call, reason) in cases {
            let ends = Ends { destination: (own, 3333), destination_mac: SWITCH_MAC, ..call };
            for part in cut(&ends.udp(&payload(3001)), &ends, 7, 1400) {
                assert_eq!(world.send(ingress, &part), Err(reason), "{version:?}");
            }
        }
    }
}

#[test]
fn a_later_fragment_to_a_vips_mac_is_never_switched_after_a_first_to_another() {
    for version in VERSIONS {
        for order in [[0, 1], [1, 0]] {
            let served = udp(version);
            let mut world = World::serving_as(2, served);
            let call = served.call_of_guest(1, 1000);
            let astray = Ends { destination_mac: CLIENT_MAC, ..call };
            let first = cut(&astray.udp(&payload(2000)), &astray, 7, 1400).remove(0);
            let later = cut(&call.udp(&payload(2000)), &call, 7, 1400).remove(1);
            let sent = [first, later];
            for at in order {
                let verdict = world.verdict(1, &sent[at]);
                let is_kept = matches!(verdict, Verdict::Hold | Verdict::Drop(_));
                assert!(at == 0 || is_kept, "{version:?}: {verdict:?}");
            }
            assert!(world.originated().is_empty(), "nothing held is sent on, {version:?}");
            assert_eq!(world.dropped(1, DropReason::Fragment), 1, "{version:?} {order:?}");
        }
    }
}

#[test]
fn whatever_fragments_come_each_ends_once() {
    for (seed, served) in (0..).zip(SERVED) {
        let mut dice = Dice(seed);
        let mut world = World::serving_as(2, served);
        let mut came_out = 0;
        for at in 0..4000 {
            let ingress = dice.below(3);
            let client_port = 1000 + dice.below(4) as u16;
            let home = 1 + dice.below(2);
            let call = served.call(client_port);
            let ends = match (ingress, dice.below(2)) {
                (UPLINK, _) => call,
                (guest, 0) => served.call_of_guest(guest, client_port),
                (guest, _) => {
                    let answer = served.at_real(home, call).reversed_to(CLIENT_MAC);
                    Ends { source_mac: guest_mac(guest), ..answer }
                }
            };
            let flags = ["S", "A", "SA", "PA", "R"][dice.below(5)];
            let packet = served.packet(ends, flags, &payload(200));
            let (headers, bytes) = packet.split_at(ends.payload_at());
            // Mostly parts that fit together.
            let (offset, len, more) = match dice.below(8) {
                0 => (8 * dice.below(8), [0, 7, 8, 16, 24][dice.below(5)], dice.below(2) == 0),
                1 => (65_528, 64, false),
                _ => [(0, 64, true), (64, 64, true), (128, 72, false)][dice.below(3)],
            };
            let from = offset.min(bytes.len() - len);
            let identification = (at / 12) as u16;
            let bytes = &bytes[from..from + len];
            let frame = match dice.below(8) {
                0 => packet,
                _ => part(headers, &ends, identification, offset, more, bytes),
            };
            // Conservation is checked with every frame; held ones may end with another.
            let verdict = world.verdict(ingress, &frame);
            let went = matches!(verdict, Verdict::Forward(_) | Verdict::Flood(_) | Verdict::Reply);
            came_out += usize::from(went) + world.originated().len();
            if dice.below(10) == 0 {
                world.pass(Duration::from_millis(10 * dice.below(20) as u64));
            }
        }
        world.pass(Duration::from_secs(3));
        for at in [0, 1, 2] {
            assert_eq!(world.plane.endings(port(at)).held, 0, "seed {seed}");
        }
        let counters = world.plane.fragments();
        let gone = counters.completed + counters.expired + counters.evicted;
        assert_eq!(counters.begun, gone, "{counters:?}, seed {seed}");
        assert!(came_out > 0 && counters.held > 0 && counters.completed > 0, "{counters:?}");
    }
}
