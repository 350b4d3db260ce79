//! What is taken and what is not.

use std::vec::Vec;

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, VlanId};

use super::*;

const CLIENT: [u8; 4] = [192, 0, 2, 9];
const VIP: [u8; 4] = [10, 0, 2, 100];
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn tcp(vlan: Option<u16>) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MACS[0], MACS[1]);
    let mut frame = Vec::new();
    let ip = match vlan {
        Some(vlan) => builder.single_vlan(VlanId::try_new(vlan).unwrap()).ipv4(CLIENT, VIP, 64),
        None => builder.ipv4(CLIENT, VIP, 64),
    };
    ip.tcp(40_000, 80, 1, 100).syn().write(&mut frame, b"hello").unwrap();
    frame
}

fn udp_v6() -> Vec<u8> {
    let ends = [address("2001:db8::9"), address("2001:db8::53")];
    let [IpAddr::V6(client), IpAddr::V6(vip)] = ends else { panic!("{ends:?}") };
    let builder = PacketBuilder::ethernet2(MACS[0], MACS[1])
        .ipv6(client.octets(), vip.octets(), 64)
        .udp(5353, 53);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"who").unwrap();
    frame
}

fn echo() -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MACS[0], MACS[1]).ipv4(CLIENT, VIP, 64);
    let mut frame = Vec::new();
    builder.icmpv4_echo_request(1, 1).write(&mut frame, b"ping").unwrap();
    frame
}

fn arp() -> Vec<u8> {
    let (kind, request) = (ArpHardwareId::ETHERNET, ArpOperation::REQUEST);
    let packet =
        ArpPacket::new(kind, EtherType::IPV4, request, &MACS[0], &CLIENT, &[0; 6], &VIP).unwrap();
    [&MACS[1][..], &MACS[0], &[8, 6], &packet.to_bytes()].concat()
}

#[test]
fn every_word_must_hold() {
    let (any, tcp_only) = (Filter::default(), Proto::Transport(Protocol::Tcp));
    let vip_end = Endpoint { address: address("10.0.2.100").into(), port: 80 };
    let service = |protocol| Ends { protocol, ends: [vip_end].into() };
    let host = |text| Filter { host: Some(address(text)), ..Filter::default() };
    let proto = |proto| Filter { proto: Some(proto), ..Filter::default() };
    let l4_port = |port| Filter { l4_port: Some(port), ..Filter::default() };
    let vlan = |vlan| Filter { vlan: Some(vlan), ..Filter::default() };
    let of = |protocol| Filter { ends: Some(service(protocol)), ..Filter::default() };
    // TCP, the same with a tag, UDP over IPv6, an echo, ARP, and what is no frame.
    let frames = [tcp(None), tcp(Some(20)), udp_v6(), echo(), arp(), [0; 9].into()];
    let cases = [
        ("nothing said", any, [1, 1, 1, 1, 1, 1]),
        ("the client", host("192.0.2.9"), [1, 1, 0, 1, 1, 0]),
        ("the VIP, and who asks for it", host("10.0.2.100"), [1, 1, 0, 1, 1, 0]),
        ("an end of IPv6", host("2001:db8::53"), [0, 0, 1, 0, 0, 0]),
        ("somebody else", host("192.0.2.10"), [0; 6]),
        ("TCP", proto(tcp_only), [1, 1, 0, 0, 0, 0]),
        ("UDP", proto(Proto::Transport(Protocol::Udp)), [0, 0, 1, 0, 0, 0]),
        ("ICMP", proto(Proto::Icmp), [0, 0, 0, 1, 0, 0]),
        ("ARP", proto(Proto::Arp), [0, 0, 0, 0, 1, 0]),
        ("a server's port", l4_port(80), [1, 1, 0, 0, 0, 0]),
        ("a client's port", l4_port(5353), [0, 0, 1, 0, 0, 0]),
        ("no port", l4_port(81), [0; 6]),
        ("a tag", vlan(20), [0, 1, 0, 0, 0, 0]),
        ("another tag", vlan(21), [0; 6]),
        ("a service's end", of(Protocol::Tcp), [1, 1, 0, 0, 0, 0]),
        ("over another protocol", of(Protocol::Udp), [0; 6]),
        ("two words", Filter { vlan: Some(20), ..l4_port(80) }, [0, 1, 0, 0, 0, 0]),
        ("two that exclude each other", Filter { l4_port: Some(53), ..proto(tcp_only) }, [0; 6]),
    ];
    for (what, filter, expected) in cases {
        let taken = frames.each_ref().map(|f| u8::from(filter.takes(f)));
        assert_eq!(taken, expected, "{what}");
    }
}

/// A filter reads what guests send.
#[test]
fn a_filter_reads_frames_that_are_cut_anywhere() {
    let filter = Filter { l4_port: Some(80), host: Some(address("::1")), ..Filter::default() };
    for frame in [tcp(None), tcp(Some(20)), udp_v6(), echo(), arp()] {
        for len in 0..frame.len() {
            assert!(!filter.takes(&frame[..len]));
        }
    }
}
