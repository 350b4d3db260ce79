//! What hostile clients and guests send to a VIP, each with the one counter that must move
//! (`World::send` compares all of them), and legal oddities, which must get through.

mod world;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use world::*;

/// What is sent, and how it must end.
type Row = (&'static str, Vec<u8>, DropReason);

fn served(version: Version, protocol: Protocol, vlan: u16) -> Served {
    Served { version, protocol, vlan, ..Served::default() }
}

/// Sends all rows in, from outside and from a guest.
fn refuse_all(served: Served, rows: impl Fn(&Ends) -> Vec<Row>) {
    let mut world = World::serving_as(2, served);
    let calls = [(UPLINK, served.call(1000)), (2, served.call_of_guest(2, 1000))];
    for (ingress, call) in calls {
        for (what, frame, reason) in rows(&call) {
            let flows = world.plane.flows().len();
            let ended = world.send(ingress, &frame).map(|out| out.ports);
            assert_eq!(ended, Err(reason), "{what}, from port {ingress}, {served:?}");
            assert_eq!(world.plane.flows().len(), flows, "{what}: no flow");
            assert!(world.plane.outbox().is_empty(), "{what}: no answer");
        }
    }
}

fn everywhere(version: Version, rows: impl Fn(&Ends) -> Vec<Row>) {
    for vlan in [0, 10] {
        refuse_all(served(version, Protocol::Tcp, vlan), &rows);
    }
}

fn patched(frame: &[u8], patches: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    patches.iter().for_each(|&(at, value)| frame[at] = value);
    frame
}

fn patched_ipv4(frame: &[u8], ends: &Ends, patches: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    patch_ipv4(&mut frame, ends.ip_at(), patches);
    frame
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// An extension header of eight bytes that is all padding.
const PADDING: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];

#[test]
fn link_headers() {
    refuse_all(served(Version::V4, Protocol::Tcp, 0), |call| {
        let link = call.link_header(0x0800);
        let tagged = |tci: [u8; 2]| [&link[..12], &[0x81, 0], &tci, &[8, 0]].concat();
        let long = |len: usize| [&link[..], &vec![0; len - 14]].concat();
        let long_tagged = |len: usize| [&tagged([0, 0])[..], &vec![0; len - 18]].concat();
        vec![
            ("P1 nothing", vec![], DropReason::Runt),
            ("P2 one byte", vec![2], DropReason::Runt),
            ("P2 13 bytes", link[..13].to_vec(), DropReason::Runt),
            ("P3 nothing after Ethernet", link.clone(), DropReason::ShortIp),
            ("P4 1,515 bytes", long(1515), DropReason::TooBig),
            ("P4 1,519 bytes with a tag", long_tagged(1519), DropReason::TooBig),
            ("P4 9,000 bytes", long(9000), DropReason::TooBig),
            ("P4 65,549 bytes", long(65_549), DropReason::TooBig),
            ("P9 VLAN 4095", tagged([0x0f, 0xff]), DropReason::VlanTag),
            ("P9 a tag without ethertype", tagged([0, 0])[..16].into(), DropReason::ShortVlan),
            ("P9 half a tag", tagged([0, 0])[..15].into(), DropReason::ShortVlan),
            (
                "P9 two tags, the packet is opaque",
                [&link[..12], &[0x88, 0xa8, 0, 0, 0x81, 0, 0, 0, 8, 0], &[0x45; 40]].concat(),
                DropReason::NotForUs,
            ),
            (
                "P8 802.3 length",
                [&link[..12], &[0, 40], &[0x45; 40]].concat(),
                DropReason::NotForUs,
            ),
            (
                "P44 100 MPLS labels",
                [&link[..12], &[0x88, 0x47], &[0, 0, 0x10, 64].repeat(100)].concat(),
                DropReason::NotForUs,
            ),
            (
                "P44 network service header",
                [&link[..12], &[0x89, 0x4f], &[0xff; 40]].concat(),
                DropReason::NotForUs,
            ),
        ]
    });
}

#[test]
fn p9_vlan_0_is_untagged() {
    let mut world = World::serving(1);
    let mut frame = Ends::call(1000, 80).tcp("S", b"");
    frame.splice(12..12, [0x81, 0, 0xe0, 0]);
    let out = world.send(UPLINK, &frame).unwrap();
    let seen = read(&out.frame).0;
    assert_eq!(seen, Served::default().at_real(1, Ends::call(1000, 80)));
    assert_eq!(out.frame[12..16], [0x81, 0, 0xe0, 0], "its priority goes with it");
}

#[test]
fn ipv4_headers() {
    everywhere(Version::V4, |call| {
        let syn = call.tcp("S", b"");
        let header = |patches: &[(usize, u8)]| patched_ipv4(&syn, call, patches);
        let from = |source: [u8; 4]| Ends { source: (source.into(), 1000), ..*call }.tcp("S", b"");
        let options = |options: &[u8]| with_options(&syn, call.ip_at(), options);
        let protocol = |number: u8| call.raw(number, &[1; 40]);
        vec![
            ("P10 version 5", header(&[(0, 0x55)]), DropReason::IpHeader),
            ("P10 version 6", header(&[(0, 0x65)]), DropReason::IpHeader),
            ("P10 header of 16 bytes", header(&[(0, 0x44)]), DropReason::IpHeader),
            ("P10 header of 60 bytes in 40", header(&[(0, 0x4f)]), DropReason::IpHeader),
            ("P11 total length 19", header(&[(2, 0), (3, 19)]), DropReason::IpLength),
            ("P11 total length 41 of 40", header(&[(2, 0), (3, 41)]), DropReason::IpLength),
            ("P11 total length 65,535", header(&[(2, 255), (3, 255)]), DropReason::IpLength),
            ("P13 checksum", patched(&syn, &[(call.ip_at() + 11, 0x5a)]), DropReason::IpChecksum),
            ("P14 loose source route", options(&[131, 3, 4, 0]), DropReason::IpOption),
            ("P14 strict source route", options(&[1, 137, 3, 4]), DropReason::IpOption),
            ("P14 option of length 0", options(&[7, 0, 0, 0]), DropReason::IpOption),
            ("P14 option past the end", options(&[7, 5, 0, 0]), DropReason::IpOption),
            ("P15 source 0.0.0.0", from([0, 0, 0, 0]), DropReason::Martian),
            ("P15 source 127.0.0.1", from([127, 0, 0, 1]), DropReason::Martian),
            ("P15 source 224.0.0.1", from([224, 0, 0, 1]), DropReason::Martian),
            ("P15 source 255.255.255.255", from([255; 4]), DropReason::Martian),
            (
                "P15 LAND",
                Ends { source: call.destination, ..*call }.tcp("S", b""),
                DropReason::Martian,
            ),
            ("P48 protocol 0", protocol(0), DropReason::Protocol),
            ("P48 protocol 255", protocol(255), DropReason::Protocol),
            ("P48 SCTP", protocol(132), DropReason::Protocol),
            ("P48 DCCP", protocol(33), DropReason::Protocol),
            ("P48 GRE", protocol(47), DropReason::Protocol),
            ("P48 ICMPv6 in IPv4", protocol(58), DropReason::Protocol),
        ]
    });
}

#[test]
fn ipv6_headers() {
    everywhere(Version::V6, |call| {
        let syn = call.tcp("S", b"");
        let ip = call.ip_at();
        let from = |source: Ipv6Addr| Ends { source: (source.into(), 1000), ..*call }.tcp("S", b"");
        let mapped = |source: [u8; 4]| from(Ipv4Addr::from(source).to_ipv6_mapped());
        let protocol = |number: u8| call.raw(number, &[1; 40]);
        let mut rows = vec![
            ("P3 39 bytes", syn[..ip + 39].to_vec(), DropReason::ShortIp),
            ("P10 version 4", patched(&syn, &[(ip, 0x45)]), DropReason::IpHeader),
            (
                "P23 length 65,535",
                patched(&syn, &[(ip + 4, 255), (ip + 5, 255)]),
                DropReason::Ip6Length,
            ),
            ("P15 source ::", from(Ipv6Addr::UNSPECIFIED), DropReason::Martian),
            ("P15 source ::1", from(Ipv6Addr::LOCALHOST), DropReason::Martian),
            (
                "P15 source ff02::1",
                from(Ipv6Addr::from_bits(0xff02 << 112 | 1)),
                DropReason::Martian,
            ),
            ("P15 source ::ffff:10.0.2.2", mapped([10, 0, 2, 2]), DropReason::Martian),
            (
                "P15 source ::ffff:10.0.2.100, the other VIP",
                mapped([10, 0, 2, 100]),
                DropReason::Martian,
            ),
            (
                "P15 LAND",
                Ends { source: call.destination, ..*call }.tcp("S", b""),
                DropReason::Martian,
            ),
            ("P48 no next header", protocol(59), DropReason::Protocol),
            ("P48 protocol 255", protocol(255), DropReason::Protocol),
            ("P48 SCTP", protocol(132), DropReason::Protocol),
            ("P48 DCCP", protocol(33), DropReason::Protocol),
            ("P48 GRE", protocol(47), DropReason::Protocol),
            ("P48 ESP", protocol(50), DropReason::Protocol),
            ("P48 ICMP in IPv6", protocol(1), DropReason::Protocol),
        ];
        rows.extend((1..=40).map(|beyond| {
            let frame = patched(&syn, &[(ip + 5, 20 + beyond)]);
            ("P23 a length of more than there is", frame, DropReason::Ip6Length)
        }));
        rows
    });
}

#[test]
fn p24_extension_headers() {
    everywhere(Version::V6, |call| {
        let syn = call.tcp("S", b"");
        let extended = |extensions: &[(u8, &[u8])]| with_extensions(&syn, call.ip_at(), extensions);
        let too_long: &[u8] = &[0, 255, 1, 4, 0, 0, 0, 0];
        let atomic: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 9];
        let chain = [(DESTINATION, PADDING); 100];
        let row = |what, extensions: &[(u8, &[u8])]| {
            (what, extended(extensions), DropReason::Ip6Extension)
        };
        vec![
            row("P24 100 destination options", &chain),
            row("P24 nine headers", &chain[..9]),
            row("P24 hop-by-hop not first", &[(DESTINATION, PADDING), (HOP_BY_HOP, PADDING)]),
            row("P24 hop-by-hop twice", &[(HOP_BY_HOP, PADDING), (HOP_BY_HOP, PADDING)]),
            row("P24 a length past the end", &[(DESTINATION, too_long)]),
            row("P24 routing type 0", &[(ROUTING, &[0, 0, 0, 0, 0, 0, 0, 0])]),
            row("P24 routing not done", &[(ROUTING, &[0, 0, 4, 1, 0, 0, 0, 0])]),
            row("P24 fragment header twice", &[(FRAGMENT, atomic), (FRAGMENT, atomic)]),
        ]
    });
}

#[test]
fn transport_headers() {
    for version in [Version::V4, Version::V6] {
        everywhere(version, |call| {
            let (syn, udp, at) = (call.tcp("S", b""), call.udp(b"four"), call.payload_at());
            let flags = |flags: u8| patched(&syn, &[(at + 13, flags)]);
            let ports = |source: u16, destination: u16| Ends {
                source: (call.source.0, source),
                destination: (call.destination.0, destination),
                ..*call
            };
            let udp_len = |len: u8| patched(&udp, &[(at + 5, len)]);
            vec![
                ("P17 data offset 4", patched(&syn, &[(at + 12, 0x40)]), DropReason::TcpHeader),
                (
                    "P17 data offset 15 in 20",
                    patched(&syn, &[(at + 12, 0xf0)]),
                    DropReason::TcpHeader,
                ),
                ("P17 19 bytes of TCP", call.raw(6, &syn[at..at + 19]), DropReason::L4Header),
                ("P18 no flags", flags(0), DropReason::TcpFlags),
                ("P18 SYN and FIN", flags(0x03), DropReason::TcpFlags),
                ("P18 SYN and RST", flags(0x06), DropReason::TcpFlags),
                ("P18 all flags", flags(0xff), DropReason::TcpFlags),
                ("P19 TCP from port 0", ports(0, 80).tcp("S", b""), DropReason::L4Header),
                ("P19 TCP to port 0", ports(1000, 0).tcp("S", b""), DropReason::L4Header),
                ("P19 UDP from port 0", ports(0, 80).udp(b""), DropReason::L4Header),
                ("P19 UDP to port 0", ports(1000, 0).udp(b""), DropReason::L4Header),
                ("P19 UDP length 7", udp_len(7), DropReason::L4Header),
                ("P19 UDP length 0", udp_len(0), DropReason::L4Header),
                ("P19 UDP length beyond IP", udp_len(13), DropReason::L4Header),
                ("P19 7 bytes of UDP", call.raw(17, &udp[at..at + 7]), DropReason::L4Header),
                ("P37 SYN to another port", ports(1000, 443).tcp("S", b""), DropReason::VipNoPort),
                ("P37 another protocol", udp.clone(), DropReason::VipNoPort),
                ("P38 ACK of no flow", call.tcp("A", b""), DropReason::NoFlow),
                ("P38 FIN of no flow", call.tcp("FA", b""), DropReason::NoFlow),
                ("P38 RST of no flow", call.tcp("R", b""), DropReason::NoFlow),
                ("P38 SYN-ACK of no flow", call.tcp("SA", b""), DropReason::NoFlow),
            ]
        });
    }
}

#[test]
fn icmp_messages() {
    for version in [Version::V4, Version::V6] {
        everywhere(version, |call| {
            let answer = call.reversed().tcp("SA", b"");
            let quote = &answer[call.ip_at()..];
            let header_len = call.payload_at() - call.ip_at();
            let (unreachable, too_big, reply) = match version {
                Version::V4 => ((3, 3), (3, 4), 0),
                Version::V6 => ((1, 4), (2, 0), 129),
            };
            let about = |quote: &[u8]| call.icmp(unreachable.0, unreachable.1, [0; 4], quote);
            let of_mtu = |mtu: u16| {
                let [high, low] = mtu.to_be_bytes();
                call.icmp(too_big.0, too_big.1, [0, 0, high, low], quote)
            };
            let error = call.icmp(unreachable.0, unreachable.1, [0; 4], quote);
            let damaged = patched(&error, &[(error.len() - 1, 0x77)]);
            vec![
                ("P34 no such flow", about(quote), DropReason::IcmpInner),
                ("P34 7 bytes of TCP", about(&quote[..header_len + 7]), DropReason::IcmpInner),
                ("P34 half a header", about(&quote[..7]), DropReason::IcmpInner),
                ("P33 MTU 68 of no such flow", of_mtu(68), DropReason::IcmpInner),
                ("P35 about an error", about(&error[call.ip_at()..]), DropReason::Icmp),
                ("a wrong checksum", damaged, DropReason::Icmp),
                ("an echo reply", call.icmp(reply, 0, [0; 4], b"?"), DropReason::Icmp),
                ("a type that nobody knows", call.icmp(200, 0, [0; 4], b"?"), DropReason::Icmp),
            ]
        });
    }
}

#[test]
fn p33_p35_errors_about_a_flow() {
    let served = served(Version::V6, Protocol::Tcp, 10);
    let mut world = World::serving_as(1, served);
    let call = served.call(1000);
    world.send(UPLINK, &call.tcp("S", b"")).unwrap();
    let answer = call.reversed().tcp("SA", b"");
    let quote = &answer[call.ip_at()..];
    let too_big = |mtu: u16| {
        let [high, low] = mtu.to_be_bytes();
        call.icmp(2, 0, [0, 0, high, low], quote)
    };
    let cases = [
        ("P33 MTU 0", too_big(0), Err(DropReason::IcmpMtu)),
        ("P33 MTU 68", too_big(68), Err(DropReason::IcmpMtu)),
        ("P33 MTU 1279", too_big(1279), Err(DropReason::IcmpMtu)),
        ("P33 MTU 1280", too_big(1280), Ok(vec![1])),
        ("P33 MTU 65,535", too_big(65_535), Ok(vec![1])),
        ("P35 code 255", call.icmp(1, 255, [0; 4], quote), Err(DropReason::Icmp)),
        ("P35 type 100", call.icmp(100, 0, [0; 4], quote), Err(DropReason::Icmp)),
    ];
    for (what, frame, ending) in cases {
        assert_eq!(world.send(UPLINK, &frame).map(|out| out.ports), ending, "{what}");
    }
}

/// Legal, if odd: it reaches the real as it is, but for its ends.
#[test]
fn oddities_get_through() {
    let options =
        |call: &Ends, options: &[u8]| with_options(&call.tcp("S", b"odd"), call.ip_at(), options);
    let extended = |call: &Ends, all: &[(u8, &[u8])]| {
        with_extensions(&call.tcp("S", b"odd"), call.ip_at(), all)
    };
    let hops = |call: &Ends, hops: u8| {
        let mut frame = call.tcp("S", b"odd");
        match call.source.0 {
            IpAddr::V4(_) => patch_ipv4(&mut frame, call.ip_at(), &[(8, hops)]),
            IpAddr::V6(_) => frame[call.ip_at() + 7] = hops,
        }
        frame
    };
    let padded = |call: &Ends| {
        let mut frame = call.tcp("S", b"odd");
        frame.resize(call.ip_at() + 1500, 0xee);
        frame
    };
    let long: &[u8] = &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for vlan in [0, 10] {
        let (v4, v6) =
            (served(Version::V4, Protocol::Tcp, vlan), served(Version::V6, Protocol::Tcp, vlan));
        let (call4, call6) = (v4.call(1000), v6.call(1000));
        let cases = [
            ("P12 padding", v4, padded(&call4)),
            ("P12 padding", v6, padded(&call6)),
            ("P14 40 bytes of NOP", v4, options(&call4, &[1; 40])),
            ("P14 record route", v4, options(&call4, &[7, 7, 4, 0, 0, 0, 0, 0])),
            ("P16 TTL 0", v4, hops(&call4, 0)),
            ("P16 TTL 1", v4, hops(&call4, 1)),
            ("P16 hop limit 0", v6, hops(&call6, 0)),
            ("P16 hop limit 1", v6, hops(&call6, 1)),
            ("P24 eight headers", v6, extended(&call6, &[(DESTINATION, PADDING); 8])),
            (
                "P24 a route that is done",
                v6,
                extended(&call6, &[(ROUTING, &[0, 0, 4, 0, 0, 0, 0, 0])]),
            ),
            (
                "P24 hop-by-hop, options",
                v6,
                extended(&call6, &[(HOP_BY_HOP, PADDING), (DESTINATION, long)]),
            ),
            ("an atomic fragment", v6, extended(&call6, &[(FRAGMENT, &[0, 0, 0, 0, 0, 0, 0, 9])])),
        ];
        for (what, served, frame) in cases {
            let mut world = World::serving_as(1, served);
            let out = world.send(UPLINK, &frame).unwrap();
            let (before, after) = (read_packet(&frame), read_packet(&out.frame));
            let expected = served.at_real(1, served.call(1000));
            assert_eq!((out.ports, after.ends), (vec![1], expected), "{what}, VLAN {vlan}");
            assert_eq!((after.hops, &after.payload), (before.hops, &before.payload), "{what}");
            assert_eq!(out.frame.len(), frame.len(), "{what}");
        }
    }
}

#[test]
fn p49_whatever_quic_says_inside_the_flow_stays() {
    for version in [Version::V4, Version::V6] {
        let served = served(version, Protocol::Udp, 0);
        let mut world = World::serving_as(4, served);
        let call = served.call(1000);
        let long_header = [&[0xc3, 0, 0, 0, 1, 8][..], &[0xaa; 8], &[0; 40]].concat();
        let short_header = [&[0x43][..], &[0xbb; 8], &[0; 40]].concat();
        let home = world.send(UPLINK, &call.udp(&long_header)).unwrap().ports;
        for payload in [&short_header, &long_header, &short_header] {
            assert_eq!(world.send(UPLINK, &call.udp(payload)).unwrap().ports, home);
            world.pass(Duration::from_secs(5));
        }
        assert_eq!(world.plane.flows().len(), 1);
    }
}

#[test]
fn p50_checksums_that_are_wrong_or_missing_stay_so() {
    for served in SERVED {
        let call = served.call(1000);
        let good = served.packet(call, "S", b"damaged");
        let field = call.payload_at() + if served.protocol == Protocol::Tcp { 16 } else { 6 };
        let mut wrong = good.clone();
        *wrong.last_mut().unwrap() ^= 0x10;
        let missing = patched(&good, &[(field, 0), (field + 1, 0)]);
        let good_out = World::serving_as(1, served).send(UPLINK, &good).unwrap().frame;
        let out = World::serving_as(1, served).send(UPLINK, &wrong).unwrap().frame;
        let mut expected = good_out.clone();
        *expected.last_mut().unwrap() ^= 0x10;
        assert_eq!(out, expected, "{served:?}: the sum is that of the right packet");
        if served.protocol == Protocol::Udp {
            let out = World::serving_as(1, served).send(UPLINK, &missing).unwrap().frame;
            let expected = patched(&good_out, &[(field, 0), (field + 1, 0)]);
            assert_eq!(out, expected, "{served:?}: none stays none");
        }
    }
}
