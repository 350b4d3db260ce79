//! Frames as stations read them, by a foreign parser that sums every checksum in full.

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{LinkSlice, NetSlice, SlicedPacket, TcpHeader, TransportSlice};

use super::Ends;

/// A packet that came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Ports are 0 for ICMP.
    pub ends: Ends,
    pub hops: u8,
    pub carries: Carries,
    pub payload: Vec<u8>,
}

/// What stands before the payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Carries {
    Tcp(TcpHeader),
    Udp,
    Icmp { kind: u8, code: u8, rest: [u8; 4] },
}

/// Reads a TCP or UDP frame: its ends and its payload.
pub fn read(frame: &[u8]) -> (Ends, Vec<u8>) {
    let packet = read_packet(frame);
    let is_transport = matches!(packet.carries, Carries::Tcp(_) | Carries::Udp);
    assert!(is_transport, "{packet:?}");
    (packet.ends, packet.payload)
}

/// Reads a frame with any of what a VIP carries.
pub fn read_packet(frame: &[u8]) -> Packet {
    let sliced = SlicedPacket::from_ethernet(frame).expect("a whole frame");
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!("{:?}", sliced.link) };
    let vlan = sliced.vlan_ids().first().map_or(0, |vlan| vlan.value());
    let (source_mac, destination_mac) = (ethernet.source(), ethernet.destination());
    let (source, destination, hops) = network(&sliced);
    let (ports, carries, payload) = transport(&sliced, source, destination);
    let ends = Ends {
        vlan,
        source_mac,
        destination_mac,
        source: (source, ports.0),
        destination: (destination, ports.1),
    };
    Packet { ends, hops, carries, payload }
}

/// Reads the whole packet that an ICMP error quotes.
pub fn read_quote(quote: &[u8]) -> (IpAddr, u16, IpAddr, u16) {
    let sliced = SlicedPacket::from_ip(quote).expect("a whole packet");
    let (source, destination, _) = network(&sliced);
    let (ports, ..) = transport(&sliced, source, destination);
    (source, ports.0, destination, ports.1)
}

pub(super) fn network(sliced: &SlicedPacket<'_>) -> (IpAddr, IpAddr, u8) {
    match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum, "IPv4 checksum");
            (header.source.into(), header.destination.into(), header.time_to_live)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (header.source().into(), header.destination().into(), header.hop_limit())
        }
        net => panic!("no IP: {net:?}"),
    }
}

type Transport = ((u16, u16), Carries, Vec<u8>);

fn transport(sliced: &SlicedPacket<'_>, source: IpAddr, destination: IpAddr) -> Transport {
    let check = |protocol: u8, slice: &[u8], what: &str| {
        let sum = pseudo_header(source, destination, protocol, slice.len()).add_slice(slice);
        assert_eq!(sum.ones_complement(), 0, "{what} checksum");
    };
    match sliced.transport.as_ref().expect("a transport") {
        TransportSlice::Tcp(tcp) => {
            check(6, tcp.slice(), "TCP");
            let ports = (tcp.source_port(), tcp.destination_port());
            (ports, Carries::Tcp(tcp.to_header()), tcp.payload().to_vec())
        }
        TransportSlice::Udp(udp) => {
            // With IPv4 there may be none.
            if udp.checksum() != 0 || source.is_ipv6() {
                check(17, udp.slice(), "UDP");
            }
            let ports = (udp.source_port(), udp.destination_port());
            (ports, Carries::Udp, udp.payload().to_vec())
        }
        TransportSlice::Icmpv4(icmp) => {
            let sum = Sum16BitWords::new().add_slice(icmp.slice());
            assert_eq!(sum.ones_complement(), 0, "ICMP checksum");
            let (kind, code, rest) = (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8());
            ((0, 0), Carries::Icmp { kind, code, rest }, icmp.slice()[8..].to_vec())
        }
        TransportSlice::Icmpv6(icmp) => {
            check(58, icmp.slice(), "ICMPv6");
            let (kind, code, rest) = (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8());
            ((0, 0), Carries::Icmp { kind, code, rest }, icmp.slice()[8..].to_vec())
        }
        other => panic!("{other:?}"),
    }
}

/// The sum of the pseudo header.
pub fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    len: usize,
) -> Sum16BitWords {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let rest = [(len as u32).to_be_bytes(), [0, 0, 0, protocol]].concat();
    let bytes = [octets(source), octets(destination), rest].concat();
    Sum16BitWords::new().add_slice(&bytes)
}
