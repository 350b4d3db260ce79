//! ICMP errors about balanced packets. What the owner of a flow gets to read must be, byte for
//! byte, what it had sent itself: each case quotes a packet as a router further on has seen it,
//! and compares with the packet as its sender made it.

mod any_bytes;
mod errors;
#[path = "../world/mod.rs"]
mod world;

use std::net::IpAddr;

use errors::*;
use lb::wire::ip::Version;
use lb::*;
use world::*;

/// Runs `check` on every kind of flow and quote.
fn everywhere(check: impl Fn(&mut Opened, Sender, Shape, &str)) {
    let kinds = VERSIONS.into_iter().flat_map(|version| CARRIED.map(|carried| (version, carried)));
    let is_legal = |kind: &(Version, Carried)| *kind != (Version::V6, Carried::UdpWithoutChecksum);
    for (version, carried) in kinds.filter(is_legal) {
        for shape in SHAPES {
            for flow in FLOWS {
                let mut opened = Opened::new(version, carried, flow, shape == Shape::Options);
                for sender in [Sender::Client, Sender::Real] {
                    let what =
                        format!("{version:?}, {sender:?}'s side, {carried:?}, {shape:?}, {flow:?}");
                    check(&mut opened, sender, shape, &what);
                }
            }
        }
    }
}

fn version_of(opened: &Opened) -> Version {
    Version::of(opened.call.source.0)
}

#[test]
fn an_error_reaches_the_one_who_sent_the_packet() {
    let kinds_v4: [Kind; 6] = [
        (3, 0, [0; 4]),
        port_unreachable(Version::V4),
        too_big(Version::V4, 1400),
        too_big(Version::V4, 576),
        (11, 0, [0; 4]),
        (12, 0, [20, 0, 0, 0]),
    ];
    let kinds_v6: [Kind; 6] = [
        (1, 0, [0; 4]),
        port_unreachable(Version::V6),
        too_big(Version::V6, 1400),
        too_big(Version::V6, 1280),
        (3, 0, [0; 4]),
        (4, 0, [0, 0, 0, 40]),
    ];
    everywhere(|opened, sender, shape, what| {
        let before = flows(&opened.world);
        let packets_before = packets(&opened.world);
        let (kinds, is_v4) = match version_of(opened) {
            Version::V4 => (kinds_v4, true),
            Version::V6 => (kinds_v6, false),
        };
        for kind in kinds {
            let (ingress, frame) = opened.error(sender, kind, shape);
            let out = opened.world.send(ingress, &frame).unwrap();
            let (ends, read_kind, quoted) = read_error(&out.frame);
            // It goes the way of the flow's packets, as a router's.
            let (egress, expected) = match sender {
                Sender::Client => (1, opened.at_real),
                Sender::Real => (opened.client_port, opened.call.reversed()),
            };
            let expected = path(expected, opened.router());
            assert_eq!((out.ports, ends), (vec![egress], expected), "{what}, {kind:?}");
            let [sent, _] = opened.quoted(sender);
            let sent = quote(shape_of(is_v4, kind, shape), sent);
            assert_eq!(quoted, sent, "{what}, {kind:?}: as it was sent");
            assert_eq!(
                (read_kind.0, read_kind.1, &read_kind.2[2..]),
                (kind.0, kind.1, &kind.2[2..])
            );
        }
        assert_eq!(flows(&opened.world), before, "{what}: an error says nothing about the flow");
        let counted = packets(&opened.world) - packets_before;
        assert_eq!(counted, kinds.len() as u64, "{what}: but it is traffic of the real");
    });
}

#[test]
fn an_end_of_the_flow_is_named_as_the_other_side_knows_it() {
    everywhere(|opened, sender, shape, what| {
        let (own, known_as) = match sender {
            Sender::Client => (opened.call.source.0, opened.at_real.source.0),
            Sender::Real => (opened.at_real.destination.0, opened.call.destination.0),
        };
        let (ingress, path) = opened.path(sender, own);
        let [_, received] = opened.quoted(sender);
        let frame = error(&path, port_unreachable(version_of(opened)), shape, received);
        let out = opened.world.send(ingress, &frame).unwrap();
        assert_eq!(read_error(&out.frame).0.source.0, known_as, "{what}");
    });
}

#[test]
fn f9_of_a_thousand_flows_every_error_reaches_its_owner() {
    let mut world = World::serving(3);
    let v6 = Served { version: Version::V6, ..Served::default() };
    world.apply(Command::SetService(v6.spec("six")));
    for n in 1..=3 {
        world.set_real("six", n, Some(8080), 100);
    }
    world.settle();
    let calls = (0..1000).map(|at| match at % 2 {
        0 => Ends::call(10_000 + at, 80),
        _ => v6.call(10_000 + at),
    });
    let mut errors = Vec::new();
    for call in calls {
        let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
        let [guest] = out.ports[..] else { panic!("{out:?}") };
        let seen = read(&out.frame).0;
        let sent = seen.reversed_to(CLIENT_MAC).tcp("SA", &[]);
        let received = world.send(guest, &sent).unwrap().frame;
        world.send(UPLINK, &call.tcp("A", &[])).unwrap();
        let path = path(call, call.source.0);
        let kind = too_big(Version::of(call.source.0), 1400);
        errors.extend(SHAPES.map(|shape| {
            let quote = quote(shape_of(call.source.0.is_ipv4(), kind, shape), &sent);
            (guest, error(&path, kind, shape, &received), quote)
        }));
    }
    for (guest, error, quote) in errors {
        let out = world.send(UPLINK, &error).unwrap();
        assert_eq!((out.ports, read_error(&out.frame).2), (vec![guest], quote));
    }
}

#[test]
fn p33_a_path_mtu_is_believed_down_to_what_every_link_carries() {
    for (version, min) in [(Version::V4, 576), (Version::V6, 1280)] {
        for sender in [Sender::Client, Sender::Real] {
            let mut opened = Opened::new(version, Carried::Tcp, Flow::Normal, false);
            for (mtu_said, ending) in [
                (68, Err(DropReason::IcmpMtu)),
                (0, Err(DropReason::IcmpMtu)),
                (min - 1, Err(DropReason::IcmpMtu)),
                (min, Ok(())),
                (65_535, Ok(())),
            ] {
                let kind = too_big(version, mtu_said);
                let (ingress, frame) = opened.error(sender, kind, Shape::Full);
                let ended = opened.world.send(ingress, &frame).map(drop);
                assert_eq!(ended, ending, "{sender:?}: MTU {mtu_said}");
            }
        }
    }
}

/// A message of the given sender with this quote, and how it must end.
struct Hostile {
    what: &'static str,
    kind: Kind,
    quote: Vec<u8>,
    reason: DropReason,
}

fn hostile(received: &[u8]) -> Vec<Hostile> {
    let good = quote(Shape::Full, received);
    let cut = |len: usize| good[..len].to_vec();
    let patched = |patches: &[(usize, u8)]| {
        let mut quote = good.clone();
        patches.iter().for_each(|&(at, value)| quote[at] = value);
        quote
    };
    let inner = |what, quote| {
        let kind = too_big(Version::V4, 1400);
        Hostile { what, kind, quote, reason: DropReason::IcmpInner }
    };
    let unwanted =
        |what, kind| Hostile { what, kind, quote: good.clone(), reason: DropReason::Icmp };
    let about_icmp = |what, kind, reason| Hostile {
        what,
        kind: port_unreachable(Version::V4),
        quote: patched(&[(9, 1), (20, kind)]),
        reason,
    };
    vec![
        inner("P34 a port that nobody uses", patched(&[(23, 99)])),
        inner("P34 another client", patched(&[(16, 99), (12, 99)])),
        inner("P34 the other protocol", patched(&[(9, 17)])),
        inner("P34 SCTP", patched(&[(9, 132)])),
        inner("P34 7 bytes of TCP", cut(27)),
        inner("P34 7 bytes in all", cut(7)),
        inner("P34 nothing", cut(0)),
        inner("P34 a header of 60 bytes in 48", {
            let mut quote = cut(48);
            quote[0] = 0x4f;
            quote
        }),
        inner("P34 a header of 16 bytes", patched(&[(0, 0x44)])),
        inner("P34 version 6", patched(&[(0, 0x65)])),
        inner("P34 a total length of 27", patched(&[(2, 0), (3, 27)])),
        inner("P34 a later fragment", patched(&[(6, 0x00), (7, 0x01)])),
        Hostile {
            what: "P34 the length field leaves 24 bytes",
            kind: (3, 4, [0, 6, 0x05, 0x78]),
            quote: good.clone(),
            reason: DropReason::IcmpInner,
        },
        about_icmp("P35 an error about an error", 3, DropReason::Icmp),
        about_icmp("P35 an error about a redirect", 5, DropReason::Icmp),
        about_icmp("an error about an echo", 0, DropReason::IcmpInner),
        unwanted("P35 code 255", (3, 255, [0; 4])),
        unwanted("P35 time exceeded, code 2", (11, 2, [0; 4])),
        unwanted("source quench", (4, 0, [0; 4])),
        unwanted("redirect", (5, 1, [10, 99, 2, 1])),
    ]
}

#[test]
fn p34_p35_errors_that_nobody_is_to_hear_from_outside() {
    let mut opened = Opened::new(Version::V4, Carried::Tcp, Flow::Normal, false);
    let before = flows(&opened.world);
    let (ingress, path) = opened.path(Sender::Client, opened.router());
    for Hostile { what, kind, quote, reason } in hostile(&opened.to_client[1]) {
        let frame = path.icmp(kind.0, kind.1, kind.2, &quote);
        assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), reason, "{what}");
    }
    let (ingress, good) = opened.error(Sender::Client, port_unreachable(Version::V4), Shape::Full);
    let damaged = |at: usize| {
        let mut frame = good.clone();
        frame[at] ^= 1;
        frame
    };
    for (what, at) in [("ICMP checksum", 36), ("quoted address", 58), ("last byte", good.len() - 1)]
    {
        let ended = opened.world.send(ingress, &damaged(at));
        assert_eq!(ended.unwrap_err(), DropReason::Icmp, "{what}");
    }
    let mut short = good[..34 + 7].to_vec();
    patch_ipv4(&mut short, 14, &[(2, 0), (3, 27)]);
    assert_eq!(
        opened.world.send(ingress, &short).unwrap_err(),
        DropReason::Icmp,
        "7 bytes of ICMP"
    );
    assert_eq!(flows(&opened.world), before);
}

#[test]
fn an_error_to_one_vip_about_a_packet_of_another() {
    let mut opened = Opened::new(Version::V4, Carried::Tcp, Flow::Normal, false);
    let other = IpAddr::from([10, 0, 2, 101]);
    let spec = ServiceSpec { vip: other, ..World::service_spec("other", Protocol::Tcp, 80) };
    opened.world.apply(Command::SetService(spec));
    let (ingress, path) = opened.path(Sender::Client, opened.router());
    let destination_mac = MacAddr::virtual_of(other).0;
    let path = Ends { destination_mac, destination: (other, 0), ..path };
    let frame = error(&path, port_unreachable(Version::V4), Shape::Full, &opened.to_client[1]);
    assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), DropReason::IcmpInner);
}

#[test]
fn the_reals_port_is_down() {
    let mut opened = Opened::new(Version::V4, Carried::Tcp, Flow::Normal, false);
    opened.world.apply(Command::SetLink { port: port(1), up: false });
    let (ingress, frame) = opened.error(Sender::Client, port_unreachable(Version::V4), Shape::Full);
    assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), DropReason::NoPort);
}

#[test]
fn p34_p35_errors_from_the_real() {
    let mut opened = Opened::new(Version::V4, Carried::Tcp, Flow::Normal, false);
    let before = flows(&opened.world);
    let (ingress, path) = opened.path(Sender::Real, guest_address(1));
    let good = quote(Shape::Full, &opened.to_real[1]);
    for Hostile { what, kind, quote, reason } in hostile(&opened.to_real[1]) {
        let frame = path.icmp(kind.0, kind.1, kind.2, &quote);
        let is_about_the_flow = quote == good && reason == DropReason::Icmp;
        match opened.world.send(ingress, &frame) {
            Err(ended) => {
                // No guest speaks as a router.
                let is_redirect = kind.0 == 5;
                let expected = if is_redirect { DropReason::RaGuard } else { DropReason::Icmp };
                assert_eq!((ended, is_about_the_flow), (expected, true), "{what}");
            }
            Ok(out) => {
                assert!(!is_about_the_flow, "{what}");
                assert_eq!((out.ports, out.frame), (vec![UPLINK], frame), "{what}: only switched");
            }
        }
    }
    let mut damaged = error(&path, port_unreachable(Version::V4), Shape::Full, &opened.to_real[1]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(opened.world.send(ingress, &damaged).unwrap_err(), DropReason::Icmp);
    let (_, as_vip) = opened.path(Sender::Real, VIP);
    let forged = error(&as_vip, port_unreachable(Version::V4), Shape::Full, &opened.to_real[1]);
    assert_eq!(opened.world.send(ingress, &forged).unwrap_err(), DropReason::VipSource);
    assert_eq!(flows(&opened.world), before);
}

#[test]
fn another_guest_says_nothing_about_a_reals_flow() {
    let mut world = World::serving(2);
    let sent = Ends::call(40_000, 80).tcp("S", &[]);
    let out = world.send(UPLINK, &sent).unwrap();
    let other = 3 - out.ports[0];
    let path = Ends {
        source_mac: guest_mac(other),
        destination_mac: CLIENT_MAC,
        ..path(Ends::call(0, 0).reversed(), guest_address(other))
    };
    let frame = error(&path, port_unreachable(Version::V4), Shape::Full, &out.frame);
    assert_eq!(world.send(other, &frame).unwrap_err(), DropReason::SpoofMac);
}

#[test]
fn an_error_to_the_switch_about_no_flow() {
    let mut world = World::serving(1);
    let sent = Ends {
        vlan: 0,
        source_mac: SWITCH_MAC,
        destination_mac: guest_mac(1),
        source: (SWITCH, 3333),
        destination: (guest_address(1), 999),
    };
    let path = path(sent.reversed(), guest_address(1));
    let frame = error(&path, port_unreachable(Version::V4), Shape::Full, &sent.udp(b"ok"));
    assert_eq!(world.send(1, &frame).unwrap_err(), DropReason::IcmpInner);
}

#[test]
fn fragments_of_an_error_are_not_acted_upon() {
    let mut opened = Opened::new(Version::V4, Carried::Tcp, Flow::Normal, false);
    for (sender, reason) in [(Sender::Client, Some(DropReason::Fragment)), (Sender::Real, None)] {
        let (ingress, mut frame) = opened.error(sender, port_unreachable(Version::V4), Shape::Full);
        patch_ipv4(&mut frame, 14, &[(6, 0x20)]);
        match (opened.world.send(ingress, &frame), reason) {
            (Err(ended), Some(reason)) => assert_eq!(ended, reason),
            (Ok(out), None) => assert_eq!(out.frame, frame, "switched untouched"),
            (ended, _) => panic!("{sender:?}: {ended:?}"),
        }
    }
}
