//! Rewriting there and back, beside a foreign parser's sums.

use super::*;
use crate::wire::ethernet;
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use std::vec::Vec;

/// A frame between two ends, with whole sums.
fn frame(protocol: Protocol, [source, destination]: [Endpoint; 2], payload: &[u8]) -> Vec<u8> {
    let (from, to) = (source.address.into(), destination.address.into());
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = match (from, to) {
        (core::net::IpAddr::V4(from), core::net::IpAddr::V4(to)) => {
            ethernet.ipv4(from.octets(), to.octets(), 64)
        }
        (core::net::IpAddr::V6(from), core::net::IpAddr::V6(to)) => {
            ethernet.ipv6(from.octets(), to.octets(), 64)
        }
        mixed => panic!("{mixed:?}"),
    };
    let mut frame = Vec::new();
    match protocol {
        Protocol::Tcp => {
            let tcp = ip.tcp(source.port, destination.port, 1, 1024).ack(2);
            tcp.write(&mut frame, payload).unwrap();
        }
        Protocol::Udp => {
            ip.udp(source.port, destination.port).write(&mut frame, payload).unwrap();
        }
    }
    frame
}

/// Gives a frame other ends; a foreign parser then finds its sums right.
fn rewritten(frame: &mut [u8], ends: [Endpoint; 2]) {
    let header = ethernet::Ethernet::parse(frame).unwrap();
    let parsed = Ip::parse(frame, frame.len(), header.payload_at, header.ethertype);
    let ip = parsed.unwrap().unwrap();
    let segment = Transport::parse(frame, &ip).unwrap();
    segment.rewrite(&ip, frame, &Offload::default(), ends[0], ends[1]);
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let net = sliced.net.unwrap();
    if let etherparse::NetSlice::Ipv4(ip) = &net {
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
    }
    let (sum, found) = match (net, sliced.transport.unwrap()) {
        (etherparse::NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.calc_checksum_ipv4(from, to).unwrap(), tcp.checksum())
        }
        (etherparse::NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.calc_checksum_ipv6(from, to).unwrap(), tcp.checksum())
        }
        (etherparse::NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            let (from, to) = (ip.header().source(), ip.header().destination());
            let sum = header.calc_checksum_ipv4_raw(from, to, udp.payload()).unwrap();
            (sum, header.checksum)
        }
        (etherparse::NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = udp.to_header();
            let (from, to) = (ip.header().source(), ip.header().destination());
            let sum = header.calc_checksum_ipv6_raw(from, to, udp.payload()).unwrap();
            (sum, header.checksum)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(sum, found);
}

fn end(is_v4: bool) -> impl Strategy<Value = Endpoint> {
    let address = any::<u128>().prop_map(move |bits| match is_v4 {
        true => core::net::IpAddr::from((bits as u32).to_be_bytes()),
        // Of the range for global unicast (RFC 4291 §2.4).
        false => core::net::IpAddr::from((bits >> 3 | 1 << 125).to_be_bytes()),
    });
    (address, 1..=u16::MAX).prop_map(|(address, port)| Endpoint { address: address.into(), port })
}

fn pair(is_v4: bool) -> impl Strategy<Value = [Endpoint; 2]> {
    [end(is_v4), end(is_v4)]
}

proptest! {
    #[test]
    fn there_and_back_is_nowhere(
        (old, new) in any::<bool>().prop_flat_map(|is_v4| (pair(is_v4), pair(is_v4))),
        protocol in prop::sample::select(&Protocol::ALL[..]),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let sent = frame(protocol, old, &payload);
        let mut passed = sent.clone();
        rewritten(&mut passed, new);
        rewritten(&mut passed, old);
        prop_assert_eq!(passed, sent);
    }
}
