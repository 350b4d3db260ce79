//! Flows in all their kinds, and errors about their packets in all their shapes.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::Ipv4HeaderSlice;
use lb::service::Traffic;
use lb::wire::ip::Version;
use lb::*;

use crate::world::*;

const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const ROUTER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9));
/// Type, code and the four bytes after the checksum.
pub type Kind = (u8, u8, [u8; 4]);

pub const fn mtu(mtu: u16) -> [u8; 4] {
    let [high, low] = mtu.to_be_bytes();
    [0, 0, high, low]
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sender {
    Client,
    Real,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Carried {
    Tcp,
    Udp,
    /// IPv4 allows it.
    UdpWithoutChecksum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// IP header and 8 bytes (RFC 792).
    Minimum,
    /// The whole packet (RFC 1812).
    Full,
    /// The same for a packet with IP options or an extension header, and so has the error itself.
    Options,
    /// Cut at 128 bytes or filled up to them, and an extension behind (RFC 4884).
    Extensions,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    Normal,
    /// Another flow looks the same at the real, so this one has a translated client port.
    Colliding,
    /// The guest calls the VIP and is itself chosen.
    Own,
}

pub const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
pub const CARRIED: [Carried; 3] = [Carried::Tcp, Carried::Udp, Carried::UdpWithoutChecksum];
pub const SHAPES: [Shape; 4] = [Shape::Minimum, Shape::Full, Shape::Options, Shape::Extensions];
pub const FLOWS: [Flow; 3] = [Flow::Normal, Flow::Colliding, Flow::Own];

/// A flow that both ends have used, and one more packet in each direction, as sent and as received.
pub struct Opened {
    pub world: World,
    pub client_port: usize,
    /// What the real sees.
    pub at_real: Ends,
    pub call: Ends,
    pub to_real: [Vec<u8>; 2],
    pub to_client: [Vec<u8>; 2],
}

impl Opened {
    pub fn new(version: Version, carried: Carried, flow: Flow, has_options: bool) -> Opened {
        let served = Served { version, ..Served::default() };
        let mut world = World::serving_as(1, served);
        // There is a router behind it.
        let trusts = [Trust::Address].into_iter().collect();
        world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(1) }));
        world.settle();
        for (service, protocol, port) in
            [("alt", Protocol::Tcp, 81), ("dns", Protocol::Udp, 80), ("alt-dns", Protocol::Udp, 81)]
        {
            let port = port.try_into().unwrap();
            world.apply(Command::SetService(ServiceSpec {
                protocol,
                port,
                ..served.spec(service)
            }));
            world.set_real(service, 1, Some(8080), 100);
        }
        let (client_port, mut call) = match flow {
            Flow::Normal | Flow::Colliding => (UPLINK, served.call(40_000)),
            Flow::Own => (1, served.call_of_guest(1, 40_000)),
        };
        if flow == Flow::Colliding {
            world.send(client_port, &packet(carried, call, "S", false)).unwrap();
            call.destination.1 = 81;
        }
        let seen = world.send(client_port, &packet(carried, call, "S", false)).unwrap().frame;
        let at_real = read(&seen).0;
        assert_eq!(at_real.source.1 != 40_000, flow == Flow::Colliding);
        let answer = at_real.reversed_to(CLIENT_MAC);
        world.send(1, &packet(carried, answer, "SA", false)).unwrap();
        let mut pass = |ingress, sent: Vec<u8>| {
            let received = world.send(ingress, &sent).unwrap().frame;
            [sent, received]
        };
        let to_real = pass(client_port, packet(carried, call, "A", has_options));
        let to_client = pass(1, packet(carried, answer, "A", has_options));
        Opened { world, client_port, at_real, call, to_real, to_client }
    }

    /// Where an error about a packet to the client comes from, and where to; or one about a packet
    /// to the real.
    pub fn path(&self, sender: Sender, source: IpAddr) -> (usize, Ends) {
        match sender {
            Sender::Client => (self.client_port, path(self.call, source)),
            Sender::Real => (1, path(self.at_real.reversed_to(CLIENT_MAC), source)),
        }
    }

    /// Some router's address.
    pub fn router(&self) -> IpAddr {
        if self.call.source.0.is_ipv4() { ROUTER } else { ROUTER_V6 }
    }

    /// The packet that the error of this sender quotes: as its author sent it, as it arrived.
    pub fn quoted(&self, sender: Sender) -> &[Vec<u8>; 2] {
        match sender {
            Sender::Client => &self.to_client,
            Sender::Real => &self.to_real,
        }
    }

    /// An error by which a router tells about a packet.
    pub fn error(&self, sender: Sender, kind: Kind, shape: Shape) -> (usize, Vec<u8>) {
        let (ingress, path) = self.path(sender, self.router());
        let [_, received] = self.quoted(sender);
        (ingress, error(&path, kind, shape, received))
    }
}

pub fn port_unreachable(version: Version) -> Kind {
    match version {
        Version::V4 => (3, 3, [0; 4]),
        Version::V6 => (1, 4, [0; 4]),
    }
}

pub fn too_big(version: Version, mtu_bytes: u16) -> Kind {
    match version {
        Version::V4 => (3, 4, mtu(mtu_bytes)),
        Version::V6 => (2, 0, mtu(mtu_bytes)),
    }
}

/// The way of these packets for an error of somebody on it.
pub fn path(ends: Ends, source: IpAddr) -> Ends {
    Ends { source: (source, 0), destination: (ends.destination.0, 0), ..ends }
}

pub fn error(path: &Ends, kind: Kind, shape: Shape, packet: &[u8]) -> Vec<u8> {
    let (kind_byte, code, mut rest) = kind;
    let is_v4 = path.source.0.is_ipv4();
    let shape = shape_of(is_v4, kind, shape);
    if shape == Shape::Extensions {
        // The quote's length, in words of 4 or 8 bytes.
        if is_v4 { rest[1] = 32 } else { rest[0] = 16 }
    }
    let frame = path.icmp(kind_byte, code, rest, &quote(shape, packet));
    if shape == Shape::Options { with_options(&frame) } else { frame }
}

/// The shape that an error of this kind really has: not every one of ICMPv6 has room for extensions.
pub fn shape_of(is_v4: bool, kind: Kind, shape: Shape) -> Shape {
    let has_room = is_v4 || matches!(kind.0, 1 | 3);
    if shape == Shape::Extensions && !has_room { Shape::Full } else { shape }
}

pub fn packet(carried: Carried, ends: Ends, flags: &str, has_options: bool) -> Vec<u8> {
    let payload: Vec<u8> = (0..201).map(|byte| byte ^ 0x5a).collect();
    let frame = match carried {
        Carried::Tcp => ends.tcp(flags, &payload),
        Carried::Udp => ends.udp(&payload),
        Carried::UdpWithoutChecksum => {
            let mut frame = ends.udp(&payload);
            let at = ends.payload_at() + 6;
            frame[at..at + 2].fill(0);
            frame
        }
    };
    if has_options { with_options(&frame) } else { frame }
}

fn is_v4(frame: &[u8]) -> bool {
    frame[14] >> 4 == 4
}

/// A router alert and padding, put behind a header that had nothing of that kind.
fn with_options(frame: &[u8]) -> Vec<u8> {
    if is_v4(frame) {
        let options = [148, 4, 0, 0, 1, 1, 1, 0];
        let mut frame = [&frame[..34], &options, &frame[34..]].concat();
        let total_len = u16::from_be_bytes([frame[16], frame[17]]) + 8;
        let [len0, len1] = total_len.to_be_bytes();
        patch_ipv4(&mut frame, 14, &[(0, 0x47), (2, len0), (3, len1)]);
        return frame;
    }
    let options = [frame[20], 0, 5, 2, 0, 0, 1, 0];
    let mut frame = [&frame[..54], &options, &frame[54..]].concat();
    let payload_len = u16::from_be_bytes([frame[18], frame[19]]) + 8;
    frame[18..20].copy_from_slice(&payload_len.to_be_bytes());
    frame[20] = 0;
    frame
}

/// What an error about this frame quotes. The router has counted the hops down before.
pub fn quote(shape: Shape, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let header_len = match is_v4(&frame) {
        true => {
            let ttl = frame[22] - 1;
            patch_ipv4(&mut frame, 14, &[(8, ttl)]);
            usize::from(frame[14] & 0xf) * 4
        }
        false => {
            frame[21] -= 1;
            if frame[20] == 0 { 48 } else { 40 }
        }
    };
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
pub fn read_error(frame: &[u8]) -> (Ends, Kind, Vec<u8>) {
    let Packet { ends, carries, payload: quote, .. } = read_packet(frame);
    let Carries::Icmp { kind, code, rest } = carries else { panic!("{carries:?}") };
    check_quoted_sums(&quote);
    (ends, (kind, code, rest), quote)
}

fn check_quoted_sums(quote: &[u8]) {
    let len = u16::from_be_bytes(match quote[0] >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(quote).unwrap().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum, "quoted IPv4 header");
            [quote[2], quote[3]]
        }
        _ => [quote[4], quote[5]],
    });
    let len = usize::from(len) + if quote[0] >> 4 == 6 { 40 } else { 0 };
    // No sum over what is not there.
    if quote.len() >= len {
        read_quote(quote);
    }
}

/// Every flow with its state, times and counts.
pub fn flows(world: &World) -> impl PartialEq + Debug + use<> {
    let mut flows: Vec<_> = world.plane.flows().iter().map(|flow| format!("{flow:?}")).collect();
    flows.sort();
    flows
}

/// Packets of all reals, both ways; those of all services are as many.
pub fn packets(world: &World) -> u64 {
    let tables = world.plane.tables();
    let sum = |traffic: Traffic| traffic.packets_in + traffic.packets_out;
    let reals: u64 = tables.reals().map(|(_, real)| sum(real.counters.traffic)).sum();
    let services: u64 = tables.services().map(|(_, service)| sum(service.counters.traffic)).sum();
    assert_eq!(reals, services);
    reals
}
