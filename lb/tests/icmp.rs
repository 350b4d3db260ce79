//! ICMP errors about balanced packets. What the owner of a flow gets to read must be, byte for
//! byte, what it had sent itself: each case quotes a packet as a router further on has seen it,
//! and compares with the packet as its sender made it.

mod world;

use std::fmt::Debug;
use std::net::Ipv4Addr;

use etherparse::{Ipv4HeaderSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use lb::addr::LINK_LOCAL;
use lb::service::Traffic;
use lb::*;
use world::*;

const ROUTER: [u8; 4] = [203, 0, 113, 9];
/// Type, code and the four bytes after the checksum.
type Kind = (u8, u8, [u8; 4]);
const PORT_UNREACHABLE: Kind = (3, 3, [0; 4]);
const FRAGMENTATION_NEEDED: Kind = (3, 4, mtu(1400));

const fn mtu(mtu: u16) -> [u8; 4] {
    let [high, low] = mtu.to_be_bytes();
    [0, 0, high, low]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sender {
    Client,
    Real,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Carries {
    Tcp,
    Udp,
    UdpWithoutChecksum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// IP header and 8 bytes (RFC 792).
    Minimum,
    /// The whole packet (RFC 1812).
    Full,
    /// The same for a packet with IP options, the error itself with options too.
    Options,
    /// Cut at 128 bytes or filled up to them, and an extension behind (RFC 4884).
    Extensions,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flow {
    Normal,
    /// Another flow looks the same at the real, so this one has a translated client port.
    Colliding,
    /// The guest calls the VIP and is itself chosen.
    Own,
}

const CARRIES: [Carries; 3] = [Carries::Tcp, Carries::Udp, Carries::UdpWithoutChecksum];
const SHAPES: [Shape; 4] = [Shape::Minimum, Shape::Full, Shape::Options, Shape::Extensions];
const FLOWS: [Flow; 3] = [Flow::Normal, Flow::Colliding, Flow::Own];

/// A flow that both ends have used, and one more packet in each direction, as sent and as received.
struct Opened {
    world: World,
    client_port: usize,
    /// What the real sees.
    at_real: Ends,
    call: Ends,
    to_real: [Vec<u8>; 2],
    to_client: [Vec<u8>; 2],
}

impl Opened {
    fn new(carries: Carries, flow: Flow, has_options: bool) -> Opened {
        let mut world = World::serving(1);
        for (service, protocol, port) in
            [("alt", Protocol::Tcp, 81), ("dns", Protocol::Udp, 80), ("alt-dns", Protocol::Udp, 81)]
        {
            world.set_service(service, protocol, port, Scheduler::Wlc);
            world.set_real(service, 1, Some(8080), 100);
        }
        let (client_port, mut call) = match flow {
            Flow::Normal | Flow::Colliding => (UPLINK, Ends::call(40_000, 80)),
            Flow::Own => {
                let source = (guest_address(1), 40_000);
                (1, Ends { source_mac: guest_mac(1), source, ..Ends::call(0, 80) })
            }
        };
        if flow == Flow::Colliding {
            world.send(client_port, &packet(carries, call, "S", false)).unwrap();
            call.destination.1 = 81;
        }
        let seen = world.send(client_port, &packet(carries, call, "S", false)).unwrap().frame;
        let at_real = read(&seen).0;
        assert_eq!(at_real.source.1 != 40_000, flow == Flow::Colliding);
        let answer_ends =
            Ends { source_mac: guest_mac(1), destination_mac: CLIENT_MAC, ..at_real.reversed() };
        world.send(1, &packet(carries, answer_ends, "SA", false)).unwrap();
        let mut pass = |ingress, sent: Vec<u8>| {
            let received = world.send(ingress, &sent).unwrap().frame;
            [sent, received]
        };
        let to_real = pass(client_port, packet(carries, call, "A", has_options));
        let to_client = pass(1, packet(carries, answer_ends, "A", has_options));
        Opened { world, client_port, at_real, call, to_real, to_client }
    }

    /// Where an error about a packet to the client comes from, and where to; or one about a packet
    /// to the real.
    fn path(&self, sender: Sender, source: [u8; 4]) -> (usize, Path) {
        match sender {
            Sender::Client => {
                let macs = [self.call.source_mac, VIP_MAC];
                (self.client_port, Path { macs, source, destination: VIP })
            }
            Sender::Real => {
                let macs = [guest_mac(1), CLIENT_MAC];
                (1, Path { macs, source, destination: self.at_real.source.0 })
            }
        }
    }

    /// The packet that the error of this sender quotes: as its author sent it, as it arrived.
    fn quoted(&self, sender: Sender) -> &[Vec<u8>; 2] {
        match sender {
            Sender::Client => &self.to_client,
            Sender::Real => &self.to_real,
        }
    }

    /// An error by which a router tells about a packet.
    fn error(&self, sender: Sender, kind: Kind, shape: Shape) -> (usize, Vec<u8>) {
        let (ingress, path) = self.path(sender, ROUTER);
        let [_, received] = self.quoted(sender);
        (ingress, path.error(kind, shape, received))
    }
}

/// MAC addresses from and to, and addresses of an error.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Path {
    macs: [[u8; 6]; 2],
    source: [u8; 4],
    destination: [u8; 4],
}

impl Path {
    fn error(&self, kind: Kind, shape: Shape, packet: &[u8]) -> Vec<u8> {
        let (kind_byte, code, mut rest) = kind;
        if shape == Shape::Extensions {
            rest[1] = 32;
        }
        let frame = self.message((kind_byte, code, rest), &quote(shape, packet));
        if shape == Shape::Options { with_options(&frame) } else { frame }
    }

    fn message(&self, (kind, code, rest): Kind, quote: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let ip = PacketBuilder::ethernet2(self.macs[0], self.macs[1]).ipv4(
            self.source,
            self.destination,
            60,
        );
        ip.icmpv4_raw(kind, code, rest).write(&mut frame, quote).unwrap();
        frame
    }
}

fn packet(carries: Carries, ends: Ends, flags: &str, has_options: bool) -> Vec<u8> {
    let payload: Vec<u8> = (0..201).map(|byte| byte ^ 0x5a).collect();
    let frame = match carries {
        Carries::Tcp => ends.tcp(flags, &payload),
        Carries::Udp => ends.udp(&payload),
        Carries::UdpWithoutChecksum => {
            let mut frame = ends.udp(&payload);
            frame[40..42].fill(0);
            frame
        }
    };
    if has_options { with_options(&frame) } else { frame }
}

/// A router alert and padding, put behind a header that had no options.
fn with_options(frame: &[u8]) -> Vec<u8> {
    let mut frame = [&frame[..34], &[148, 4, 0, 0, 1, 1, 1, 0], &frame[34..]].concat();
    frame[14] = 0x47;
    let total_len = u16::from_be_bytes([frame[16], frame[17]]) + 8;
    frame[16..18].copy_from_slice(&total_len.to_be_bytes());
    sum_header(&mut frame);
    frame
}

fn sum_header(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let header_len = usize::from(frame[14] & 0xf) * 4;
    let sum = wire::checksum::Sum::default().bytes(&frame[14..14 + header_len]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

/// What an error about this frame quotes. The router has counted the TTL down before.
fn quote(shape: Shape, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[22] -= 1;
    sum_header(&mut frame);
    let header_len = usize::from(frame[14] & 0xf) * 4;
    let mut packet = frame.split_off(14);
    match shape {
        Shape::Minimum => packet.truncate(header_len + 8),
        Shape::Full | Shape::Options => {}
        Shape::Extensions => {
            packet.resize(128, 0);
            // An MPLS label stack (RFC 4950).
            packet.extend([0x20, 0, 0x5e, 0x1b, 0, 8, 1, 1, 0x12, 0x34, 0x51, 0x40]);
        }
    }
    packet
}

/// Reads an error with a foreign parser, all sums that can be summed in full; what is quoted.
fn read_error(frame: &[u8]) -> (Path, Kind, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).expect("a whole frame");
    let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = packet.link else { panic!() };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!() };
    let header = ip.header().to_header();
    assert_eq!(header.calc_header_checksum(), header.header_checksum, "outer IPv4 checksum");
    let Some(TransportSlice::Icmpv4(icmp)) = &packet.transport else { panic!() };
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(icmp.slice());
    assert_eq!(sum.ones_complement(), 0, "ICMP checksum");
    let quote = icmp.slice()[8..].to_vec();
    check_quoted_sums(&quote);
    let path = Path {
        macs: [ethernet.source(), ethernet.destination()],
        source: header.source,
        destination: header.destination,
    };
    (path, (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8()), quote)
}

fn check_quoted_sums(quote: &[u8]) {
    let header = Ipv4HeaderSlice::from_slice(quote).unwrap().to_header();
    assert_eq!(header.calc_header_checksum(), header.header_checksum, "quoted IPv4 checksum");
    let Some(segment) = quote.get(header.header_len()..usize::from(header.total_len)) else {
        return; // No sum over what is not there.
    };
    match header.protocol.0 {
        6 => {
            let tcp = etherparse::TcpSlice::from_slice(segment).unwrap();
            let sum = tcp.calc_checksum_ipv4(header.source, header.destination).unwrap();
            assert_eq!(sum, tcp.checksum(), "quoted TCP checksum");
        }
        _ => {
            let udp = etherparse::UdpSlice::from_slice(segment).unwrap();
            let (udp, payload) = (udp.to_header(), udp.payload());
            let sum = udp.calc_checksum_ipv4_raw(header.source, header.destination, payload);
            assert!([0, sum.unwrap()].contains(&udp.checksum), "quoted UDP checksum");
        }
    }
}

/// Every flow with its state, times and counts.
fn flows(world: &World) -> impl PartialEq + Debug + use<> {
    let mut flows: Vec<_> = world.plane.flows().iter().map(|flow| format!("{flow:?}")).collect();
    flows.sort();
    flows
}

/// Packets of all reals, both ways; those of all services are as many.
fn packets(world: &World) -> u64 {
    let tables = world.plane.tables();
    let sum = |traffic: Traffic| traffic.packets_in + traffic.packets_out;
    let reals: u64 = tables.reals().map(|(_, real)| sum(real.counters.traffic)).sum();
    let services: u64 = tables.services().map(|(_, service)| sum(service.counters.traffic)).sum();
    assert_eq!(reals, services);
    reals
}

/// Runs `check` on every kind of flow and quote.
fn everywhere(check: impl Fn(&mut Opened, Sender, Shape, &str)) {
    for carries in CARRIES {
        for shape in SHAPES {
            for flow in FLOWS {
                let mut opened = Opened::new(carries, flow, shape == Shape::Options);
                for sender in [Sender::Client, Sender::Real] {
                    let what = format!("{sender:?}'s side, {carries:?}, {shape:?}, {flow:?}");
                    check(&mut opened, sender, shape, &what);
                }
            }
        }
    }
}

#[test]
fn an_error_reaches_the_one_who_sent_the_packet() {
    let kinds: [Kind; 6] = [
        (3, 0, [0; 4]),
        PORT_UNREACHABLE,
        FRAGMENTATION_NEEDED,
        (3, 4, mtu(576)),
        (11, 0, [0; 4]),
        (12, 0, [20, 0, 0, 0]),
    ];
    everywhere(|opened, sender, shape, what| {
        let before = flows(&opened.world);
        let packets_before = packets(&opened.world);
        for kind in kinds {
            let (ingress, frame) = opened.error(sender, kind, shape);
            let out = opened.world.send(ingress, &frame).unwrap();
            let (path, read_kind, quoted) = read_error(&out.frame);
            let (egress, expected) = match sender {
                Sender::Client => {
                    let macs = [SWITCH_MAC, guest_mac(1)];
                    (1, Path { macs, source: ROUTER, destination: guest_address(1) })
                }
                Sender::Real => {
                    let macs = [VIP_MAC, opened.call.source_mac];
                    let destination = opened.call.source.0;
                    (opened.client_port, Path { macs, source: ROUTER, destination })
                }
            };
            assert_eq!((out.ports, path), (vec![egress], expected), "{what}, {kind:?}");
            let [sent, _] = opened.quoted(sender);
            assert_eq!(quoted, quote(shape, sent), "{what}, {kind:?}: as it was sent");
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
            Sender::Real => (guest_address(1), VIP),
        };
        let (ingress, path) = opened.path(sender, own);
        let [_, received] = opened.quoted(sender);
        let frame = path.error(PORT_UNREACHABLE, shape, received);
        let out = opened.world.send(ingress, &frame).unwrap();
        assert_eq!(read_error(&out.frame).0.source, known_as, "{what}");
    });
}

#[test]
fn a_client_behind_another_guest_port() {
    let mut world = World::serving(2);
    let state = AdminState::Drain;
    world.apply(Command::Administer { service: None, guest: name("web1"), state });
    let call =
        Ends { source_mac: guest_mac(1), source: (guest_address(1), 50_000), ..Ends::call(0, 80) };
    let sent = call.tcp("S", &[]);
    let received = world.send(1, &sent).unwrap().frame;
    let path = Path {
        macs: [guest_mac(2), guest_mac(1)],
        source: guest_address(2),
        destination: guest_address(1),
    };
    let out = world.send(2, &path.error(PORT_UNREACHABLE, Shape::Full, &received)).unwrap();
    let expected = Path { macs: [VIP_MAC, guest_mac(1)], source: VIP, ..path };
    let (path, _, quoted) = read_error(&out.frame);
    assert_eq!((out.ports, path, quoted), (vec![1], expected, quote(Shape::Full, &sent)));
}

#[test]
fn f9_of_a_thousand_flows_every_error_reaches_its_owner() {
    let mut world = World::serving(3);
    let calls: Vec<_> = (0..1000).map(|at| Ends::call(10_000 + at, 80)).collect();
    let mut errors = Vec::new();
    for call in calls {
        let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
        let [guest] = out.ports[..] else { panic!("{out:?}") };
        let seen = read(&out.frame).0;
        let answer =
            Ends { source_mac: guest_mac(guest), destination_mac: CLIENT_MAC, ..seen.reversed() };
        let sent = answer.tcp("SA", &[]);
        let received = world.send(guest, &sent).unwrap().frame;
        world.send(UPLINK, &call.tcp("A", &[])).unwrap();
        let path = Path { macs: [CLIENT_MAC, VIP_MAC], source: ROUTER, destination: VIP };
        errors.extend(SHAPES.map(|shape| {
            let error = path.error(FRAGMENTATION_NEEDED, shape, &received);
            (guest, error, quote(shape, &sent))
        }));
    }
    for (guest, error, quote) in errors {
        let out = world.send(UPLINK, &error).unwrap();
        assert_eq!((out.ports, read_error(&out.frame).2), (vec![guest], quote));
    }
}

#[test]
fn p33_a_path_mtu_is_believed_down_to_576() {
    for sender in [Sender::Client, Sender::Real] {
        let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
        for (mtu_said, ending) in [
            (68, Err(DropReason::IcmpMtu)),
            (0, Err(DropReason::IcmpMtu)),
            (575, Err(DropReason::IcmpMtu)),
            (576, Ok(())),
            (65_535, Ok(())),
        ] {
            let (ingress, frame) = opened.error(sender, (3, 4, mtu(mtu_said)), Shape::Full);
            let ended = opened.world.send(ingress, &frame).map(drop);
            assert_eq!(ended, ending, "{sender:?}: MTU {mtu_said}");
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
        let kind = FRAGMENTATION_NEEDED;
        Hostile { what, kind, quote, reason: DropReason::IcmpInner }
    };
    let unwanted =
        |what, kind| Hostile { what, kind, quote: good.clone(), reason: DropReason::Icmp };
    let about_icmp = |what, kind, reason| Hostile {
        what,
        kind: PORT_UNREACHABLE,
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
    let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
    let before = flows(&opened.world);
    let (ingress, path) = opened.path(Sender::Client, ROUTER);
    for Hostile { what, kind, quote, reason } in hostile(&opened.to_client[1]) {
        let frame = path.message(kind, &quote);
        assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), reason, "{what}");
    }
    let (ingress, good) = opened.error(Sender::Client, PORT_UNREACHABLE, Shape::Full);
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
    short[16..18].copy_from_slice(&27u16.to_be_bytes());
    sum_header(&mut short);
    assert_eq!(
        opened.world.send(ingress, &short).unwrap_err(),
        DropReason::Icmp,
        "7 bytes of ICMP"
    );
    assert_eq!(flows(&opened.world), before);
}

#[test]
fn an_error_to_one_vip_about_a_packet_of_another() {
    let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
    let other = Ipv4Addr::new(10, 0, 2, 101);
    let spec = ServiceSpec { vip: other.into(), ..World::service_spec("other", Protocol::Tcp, 80) };
    opened.world.apply(Command::SetService(spec));
    let (ingress, path) = opened.path(Sender::Client, ROUTER);
    let macs = [CLIENT_MAC, MacAddr::virtual_of(other).0];
    let path = Path { macs, destination: other.octets(), ..path };
    let frame = path.error(PORT_UNREACHABLE, Shape::Full, &opened.to_client[1]);
    assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), DropReason::IcmpInner);
}

#[test]
fn the_reals_port_is_down() {
    let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
    opened.world.apply(Command::SetLink { port: port(1), up: false });
    let (ingress, frame) = opened.error(Sender::Client, PORT_UNREACHABLE, Shape::Full);
    assert_eq!(opened.world.send(ingress, &frame).unwrap_err(), DropReason::NoPort);
}

#[test]
fn p34_p35_errors_from_the_real() {
    let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
    let before = flows(&opened.world);
    let (ingress, path) = opened.path(Sender::Real, guest_address(1));
    let good = quote(Shape::Full, &opened.to_real[1]);
    for Hostile { what, kind, quote, reason } in hostile(&opened.to_real[1]) {
        let frame = path.message(kind, &quote);
        let is_about_the_flow = quote == good && reason == DropReason::Icmp;
        match opened.world.send(ingress, &frame) {
            Err(ended) => {
                assert_eq!((ended, is_about_the_flow), (DropReason::Icmp, true), "{what}")
            }
            Ok(out) => {
                assert!(!is_about_the_flow, "{what}");
                assert_eq!((out.ports, out.frame), (vec![UPLINK], frame), "{what}: only switched");
            }
        }
    }
    let mut damaged = path.error(PORT_UNREACHABLE, Shape::Full, &opened.to_real[1]);
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(opened.world.send(ingress, &damaged).unwrap_err(), DropReason::Icmp);
    let (_, as_vip) = opened.path(Sender::Real, VIP);
    let forged = as_vip.error(PORT_UNREACHABLE, Shape::Full, &opened.to_real[1]);
    assert_eq!(opened.world.send(ingress, &forged).unwrap_err(), DropReason::VipSource);
    assert_eq!(flows(&opened.world), before);
}

#[test]
fn another_guest_says_nothing_about_a_reals_flow() {
    let mut world = World::serving(2);
    let sent = Ends::call(40_000, 80).tcp("S", &[]);
    let out = world.send(UPLINK, &sent).unwrap();
    let other = 3 - out.ports[0];
    let path = Path {
        macs: [guest_mac(other), CLIENT_MAC],
        source: guest_address(other),
        destination: CLIENT,
    };
    let frame = path.error(PORT_UNREACHABLE, Shape::Full, &out.frame);
    assert_eq!(world.send(other, &frame).unwrap_err(), DropReason::SpoofMac);
}

#[test]
fn an_error_to_the_switch_about_no_flow() {
    let mut world = World::serving(1);
    let sent = Ends {
        source_mac: SWITCH_MAC,
        destination_mac: guest_mac(1),
        source: (LINK_LOCAL.octets(), 3333),
        destination: (guest_address(1), 999),
    };
    let path = Path {
        macs: [guest_mac(1), SWITCH_MAC],
        source: guest_address(1),
        destination: LINK_LOCAL.octets(),
    };
    let frame = path.error(PORT_UNREACHABLE, Shape::Full, &sent.udp(b"ok"));
    assert_eq!(world.send(1, &frame).unwrap_err(), DropReason::IcmpInner);
}

#[test]
fn fragments_of_an_error_are_not_acted_upon() {
    let mut opened = Opened::new(Carries::Tcp, Flow::Normal, false);
    for (sender, reason) in [(Sender::Client, Some(DropReason::Fragment)), (Sender::Real, None)] {
        let (ingress, mut frame) = opened.error(sender, PORT_UNREACHABLE, Shape::Full);
        frame[20] = 0x20;
        sum_header(&mut frame);
        match (opened.world.send(ingress, &frame), reason) {
            (Err(ended), Some(reason)) => assert_eq!(ended, reason),
            (Ok(out), None) => assert_eq!(out.frame, frame, "switched untouched"),
            (ended, _) => panic!("{sender:?}: {ended:?}"),
        }
    }
}

mod any_bytes {
    use super::*;
    use lb::wire::icmp::{IcmpError, Translation};
    use lb::wire::{Endpoint, Ipv4};
    use proptest::prelude::*;
    use std::cell::RefCell;

    /// Frames end once (`World::verdict` compares the sums), and flows stay what they were.
    fn end_somewhere(opened: &RefCell<Opened>, ingress: usize, frame: &[u8]) {
        let world = &mut opened.borrow_mut().world;
        let before = flows(world);
        world.verdict(ingress, frame);
        assert_eq!(flows(world), before);
    }

    fn opened() -> RefCell<Opened> {
        RefCell::new(Opened::new(Carries::Tcp, Flow::Own, false))
    }

    fn sender() -> impl Strategy<Value = Sender> {
        prop::sample::select(&[Sender::Client, Sender::Real][..])
    }

    #[test]
    fn as_icmp_to_a_vip_or_from_a_real() {
        let opened = opened();
        let quotes = prop::collection::vec(any::<u8>(), 0..200);
        let strategy = (sender(), any::<Kind>(), quotes);
        proptest!(ProptestConfig::with_cases(4000), |((sender, kind, quote) in strategy)| {
            let (ingress, path) = opened.borrow().path(sender, ROUTER);
            end_somewhere(&opened, ingress, &path.message(kind, &quote));
        });
    }

    #[test]
    fn in_an_error_that_was_good() {
        let opened = opened();
        let patches = prop::collection::vec((0usize..80, any::<u8>()), 0..5);
        let strategy = (sender(), patches, 8usize..241, any::<bool>());
        proptest!(ProptestConfig::with_cases(8000), |((sender, patches, len, damage) in strategy)| {
            let (ingress, path) = opened.borrow().path(sender, ROUTER);
            let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
            message.extend(quote(Shape::Full, &opened.borrow().quoted(sender)[1]));
            patches.iter().for_each(|&(at, byte)| message[at] = byte);
            message.truncate(len);
            let rest = [message[4], message[5], message[6], message[7]];
            let mut frame = path.message((message[0], message[1], rest), &message[8..]);
            if damage {
                frame[36] ^= 0x40;
            }
            end_somewhere(&opened, ingress, &frame);
        });
    }

    /// There and back again is nowhere, and on the way all sums are right.
    #[test]
    fn ends_translate_back() {
        let address = || any::<u32>().prop_map(Ipv4Addr::from);
        let end = move || {
            (address(), any::<u16>()).prop_map(|(address, port)| Endpoint { address, port })
        };
        let ends = move || {
            (address(), address(), end(), end()).prop_map(|(source, destination, from, to)| {
                Translation { source, destination, quoted_source: from, quoted_destination: to }
            })
        };
        let carries = prop::sample::select(&CARRIES[..]);
        let shape = prop::sample::select(&SHAPES[..]);
        proptest!(ProptestConfig::with_cases(2000), |(
            old in ends(), new in ends(), carries in carries, shape in shape,
        )| {
            let quoted = Ends {
                source_mac: VIP_MAC,
                destination_mac: CLIENT_MAC,
                source: (old.quoted_source.address.octets(), old.quoted_source.port),
                destination: (old.quoted_destination.address.octets(), old.quoted_destination.port),
            };
            let path = Path {
                macs: [CLIENT_MAC, VIP_MAC],
                source: old.source.octets(),
                destination: old.destination.octets(),
            };
            let packet = packet(carries, quoted, "A", shape == Shape::Options);
            let frame = path.error(PORT_UNREACHABLE, shape, &packet);
            let mut translated = frame.clone();
            for ends in [&new, &old] {
                let ip = Ipv4::parse(&translated, 14).unwrap();
                let error = IcmpError::parse(&translated, &ip).unwrap();
                error.rewrite(&ip, &mut translated, ends);
                read_error(&translated);
            }
            prop_assert_eq!(translated, frame);
        });
    }
}
