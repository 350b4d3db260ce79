//! What a frame leaves undone, as the device does it, and what the device leaves undone.

use super::*;
use crate::fake::{Packet, packets};
use crate::offload::{PartialChecksum, SegmentKind};

#[test]
fn checksums_are_finished_and_nothing_else_changes() {
    let mut bench = Bench::new();
    for (protocol, payload) in [(6, 0), (6, 1), (6, 1460), (17, 0), (17, 33), (17, 8_900)] {
        for packet in packets(protocol, payload) {
            let frame = packet.frame(bench.pool, None);
            assert!(bench.nic.takes(&frame));
            bench.nic.send(frame).unwrap();
            bench.nic.flush();
            let sent = bench.transmitted().pop().unwrap();
            packet.assert_sums(&sent);
            let mut expected = packet.bytes();
            let field = usize::from(packet.checksum().start + packet.checksum().offset);
            expected[field..field + 2].copy_from_slice(&sent[field..field + 2]);
            assert_eq!(sent, expected);
        }
    }
    bench.end();
}

#[test]
fn tcp_is_cut_into_segments_that_are_right() {
    let mut bench = Bench::new();
    for (payload, mss) in [(1, 1448), (1449, 1448), (65_000, 1448), (65_000, 512)] {
        for packet in packets(6, payload) {
            let original = packet.bytes();
            let frame = packet.frame(bench.pool, Some(mss));
            assert!(bench.nic.takes(&frame));
            bench.nic.send(frame).unwrap();
            bench.nic.flush();
            let segments = bench.transmitted();
            assert_eq!(segments.len(), payload.div_ceil(mss.into()));
            let headers_len = packet.headers_len();
            let carried: Vec<u8> =
                segments.iter().flat_map(|it| it[headers_len..].to_vec()).collect();
            assert_eq!(carried, original[headers_len..]);
            segments.iter().for_each(|segment| packet.assert_sums(segment));
        }
    }
    bench.end();
}

/// A frame that the device has put together is one to be cut again, and whoever does it makes right
/// segments of it.
#[test]
fn what_was_put_together_is_cut_again() {
    let arena = Arena::new(1_000);
    let (mut left, mut right) = (Bench::on(&arena, |_| {}), Bench::on(&arena, |_| {}));
    for (payload, mss) in [(2_896, 1448), (65_000, 1448), (9_000, 536)] {
        for packet in packets(6, payload) {
            let mut bytes = packet.bytes();
            // The sum is that of no segment, and nobody looks at it.
            let field = usize::from(packet.checksum().start + packet.checksum().offset);
            bytes[field..field + 2].copy_from_slice(&[0xde, 0xad]);
            left.act(|it| it.deliver_joined(&bytes, mss));
            let frame = left.received().pop().unwrap();
            assert_eq!(frame.offload(), packet.frame(right.pool, Some(mss)).offload());
            assert_eq!(whole(&frame), packet.bytes(), "its checksum is begun");
            right.nic.send(frame).unwrap();
            right.nic.flush();
            let segments = right.transmitted();
            assert_eq!(segments.len(), payload.div_ceil(mss.into()));
            segments.iter().for_each(|segment| packet.assert_sums(segment));
        }
    }
    assert_eq!(left.nic.counters().rx_gso, 0);
    right.nic.service(right.now_ms);
    drop(right.nic);
    left.end();
}

/// The first revision does not say how, and so may not put anything together.
#[test]
fn d10_what_was_put_together_without_being_asked_is_dropped() {
    let mut bench = Bench::on(&Arena::new(600), |it| it.revisions = REVISION_1);
    let packet = Packet { is_v4: true, tags: 0, protocol: 6, payload: 2_896 };
    bench.act(|it| it.deliver_joined(&packet.bytes(), 1448));
    assert!(bench.received().is_empty());
    assert_eq!(bench.moved(&NicCounters::default()), [("rx_gso", 1)]);
    bench.assert_works();
    bench.end();
}

/// Headers that lie: there is no frame, and nothing is written where none is.
#[test]
fn d10_headers_that_are_none_are_not_put_together() {
    type Change = fn(&mut Vec<u8>);
    let changes: &[(&str, Change)] = &[
        ("no IP", |it| it[14] = 0x55),
        ("UDP", |it| it[23] = 17),
        ("options beyond the frame", |it| {
            it[14] = 0x4f;
            it.truncate(80);
        }),
        ("half of IP's header", |it| it.truncate(30)),
        ("half of TCP's header", |it| it.truncate(50)),
        ("one byte", |it| it.truncate(1)),
        ("tags to the end", |it| it[12..].fill(0x81)),
    ];
    for (name, change) in changes {
        let mut bench = Bench::new();
        let mut bytes = Packet { is_v4: true, tags: 0, protocol: 6, payload: 100 }.bytes();
        change(&mut bytes);
        bench.act(|it| it.deliver_joined(&bytes, 1448));
        assert!(bench.received().is_empty(), "{name}");
        assert_eq!(bench.moved(&NicCounters::default()), [("rx_gso", 1)], "{name}");
        bench.end();
    }
}

/// Whoever sends does in software what the device has no words for.
#[test]
fn what_the_device_cannot_be_told_is_not_taken() {
    let pool = Pool::new(40);
    let bench = Bench::new();
    let packet = Packet { is_v4: true, tags: 0, protocol: 6, payload: 1_900 };
    let sum = |start, offset| {
        let mut frame = packet.frame(pool, None);
        frame.offload_mut().checksum = Some(PartialChecksum { start, offset });
        frame
    };
    assert!(bench.nic.takes(&sum(34, 16)));
    assert!(!bench.nic.takes(&sum(84, 16)), "the sum of a packet inside of this one");
    assert!(!bench.nic.takes(&sum(u16::MAX, u16::MAX)));
    let mut wide = packet.frame(pool, Some(0x4000));
    assert!(!bench.nic.takes(&wide), "segments longer than can be said");
    wide.offload_mut().segments.as_mut().unwrap().kind = SegmentKind::UdpL4;
    assert!(!bench.nic.takes(&wide), "datagrams are not cut");
    bench.end();
}
