//! What is taken and what is not, the bytes of the file, and what a full ring does.

use std::net::IpAddr;
use std::string::String;
use std::vec::Vec;

use drivers::{Offload, PartialChecksum, Pool};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder, VlanId};
use lb::wire::Endpoint;
use lb::{Instant, PortId, Protocol};

use super::*;

const CLIENT: [u8; 4] = [192, 0, 2, 9];
const VIP: [u8; 4] = [10, 0, 2, 100];
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

fn port(at: usize) -> PortId {
    PortId::new(at).expect("a port")
}

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
        ("nothing said", any.clone(), [1, 1, 1, 1, 1, 1]),
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
        let taken = frames.each_ref().map(|f| u8::from(filter.takes(port(0), Way::In, f)));
        assert_eq!(taken, expected, "{what}");
    }
    for (at, way, expected) in [(1, Way::In, true), (1, Way::Out, false), (2, Way::In, false)] {
        let here = Filter { port: Some(port(1)), way: Some(Way::In), ..any.clone() };
        assert_eq!(here.takes(port(at), way, &frames[0]), expected);
    }
}

/// A filter reads what guests send.
#[test]
fn a_filter_reads_frames_that_are_cut_anywhere() {
    let filter = Filter { l4_port: Some(80), host: Some(address("::1")), ..Filter::default() };
    for frame in [tcp(None), tcp(Some(20)), udp_v6(), echo(), arp()] {
        for len in 0..frame.len() {
            assert!(!filter.takes(port(0), Way::In, &frame[..len]));
        }
    }
}

fn wanted(frames: u16, snap_bytes: u16) -> Wanted {
    Wanted { frames, snap_bytes, ..Wanted::default() }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn the_ring_holds_a_pcap_file() {
    let pool = Pool::new(8);
    let mut capture = Capture::default();
    assert!(!capture.is_on());
    capture.begin(wanted(2, 20));
    let (bytes, now) = (tcp(None), Instant::from_millis(61_234));
    let frame = pool.take_copy(&bytes).unwrap();
    capture.see(port(0), Way::In, &frame, now);
    assert!(capture.is_on());
    let mut half_done = pool.take_copy(&bytes[..18]).unwrap();
    half_done.set_offload(Offload {
        checksum: Some(PartialChecksum { start: 14, offset: 2 }),
        segments: None,
    });
    capture.see(port(1), Way::Out, &half_done, now);
    capture.see(port(1), Way::Out, &frame, now);
    assert!(!capture.is_on(), "both were taken");
    let tally = Tally { received: 1, sent: 1, cut_short: 1, unfinished: 1, ..Tally::default() };
    assert_eq!(capture.tally(), tally);

    let mut file: Vec<u8> = capture.read(7).collect();
    file.extend(capture.read(usize::MAX));
    assert_eq!(capture.waiting(), 0);
    assert_eq!(
        [0, 4, 8, 12, 16, 20].map(|at| word(&file, at)),
        [0xa1b2_3c4d, 0x4_0002, 0, 0, 20, 1]
    );
    let record = |at: usize| [0, 4, 8, 12].map(|field| word(&file, at + field));
    assert_eq!(record(24), [61, 234_000_000, 20, bytes.len() as u32]);
    assert_eq!(file[40..60], bytes[..20]);
    assert_eq!(record(60), [61, 234_000_000, 18, 18]);
    assert_eq!(file[76..], bytes[..18]);
}

#[test]
fn a_full_ring_counts_what_it_misses() {
    let pool = Pool::new(2);
    let mut capture = Capture::default();
    capture.begin(wanted(FRAMES_MAX, SNAP_BYTES_MAX));
    let frame = pool.take_copy(&[7; 1514]).unwrap();
    let see = |capture: &mut Capture, times: usize| {
        (0..times).for_each(|_| capture.see(port(0), Way::In, &frame, Instant::START));
    };
    see(&mut capture, 400);
    let fit = (RING_BYTES - 24) / (16 + 1514);
    let Tally { received, missed, .. } = capture.tally();
    assert_eq!((usize::from(received), missed), (fit, 400 - fit as u64));
    assert!(capture.waiting() <= RING_BYTES && capture.is_on());
    capture.read(2 * (16 + 1514)).for_each(drop);
    see(&mut capture, 3);
    assert_eq!(usize::from(capture.tally().received), fit + 2, "what was read makes room");
    capture.begin(wanted(1, SNAP_BYTES_MAX));
    assert_eq!((capture.tally(), capture.waiting()), (Tally::default(), 24), "all anew");
}

#[test]
fn what_did_not_leave_was_not_seen() {
    let pool = Pool::new(2);
    let mut capture = Capture::default();
    capture.begin(wanted(1, SNAP_BYTES_MAX));
    let frame = pool.take_copy(&[7; 60]).unwrap();
    let mut tap = Tap { capture: &mut capture, port: port(3), now: Instant::START };
    let mark = tap.see(&frame);
    tap.take_back(mark);
    assert_eq!((capture.tally(), capture.waiting(), capture.is_on()), (Tally::default(), 24, true));
    capture.stop();
    let mut tap = Tap { capture: &mut capture, port: port(3), now: Instant::START };
    let mark = tap.see(&frame);
    tap.take_back(mark);
    assert!(!capture.is_on(), "what was stopped stays so");
}

/// RFC 4648 §10, and lines of 76.
#[test]
fn base64_is_base64() {
    let text_of = |bytes: &[u8], chunk: usize| {
        let (mut base64, mut text) = (Base64::default(), String::new());
        bytes.chunks(chunk).for_each(|part| base64.write(part.iter().copied(), &mut text));
        base64.end(&mut text);
        text
    };
    let cases = [
        ("", ""),
        ("f", "Zg==\n"),
        ("fo", "Zm8=\n"),
        ("foo", "Zm9v\n"),
        ("foob", "Zm9vYg==\n"),
        ("fooba", "Zm9vYmE=\n"),
        ("foobar", "Zm9vYmFy\n"),
    ];
    for (bytes, text) in cases {
        for chunk in 1..4 {
            assert_eq!(text_of(bytes.as_bytes(), chunk), text);
        }
    }
    assert_eq!(text_of(&[0xfb, 0xff], 2), "+/8=\n");
    let long = text_of(&[0; 130], 11);
    let lines: Vec<usize> = long.lines().map(str::len).collect();
    assert_eq!(lines, [76, 76, 24]);
}
