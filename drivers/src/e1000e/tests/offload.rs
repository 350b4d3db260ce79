//! What a frame leaves undone, as the chip does it.

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
    for (payload, mss) in [(1, 1448), (1448, 1448), (1449, 1448), (65_000, 1448), (65_000, 512)] {
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
            let tcp = packet.transport_at();
            for (number, segment) in segments.iter().enumerate() {
                packet.assert_sums(segment);
                let sequence = 0xffff_ff00_u32.wrapping_add(number as u32 * u32::from(mss));
                assert_eq!(segment[tcp + 4..tcp + 8], sequence.to_be_bytes());
                let flags = if number + 1 == segments.len() { 0x19 } else { 0x10 };
                assert_eq!(segment[tcp + 13], flags, "FIN and PSH on the last alone");
            }
        }
    }
    bench.end();
}

/// The chip is told something only when it is something else, and each frame finds its own.
#[test]
fn a_context_is_told_once() {
    let mut bench = Bench::new();
    let [tcp, udp] =
        [6, 17].map(|protocol| Packet { is_v4: true, tags: 0, protocol, payload: 100 });
    let before = bench.nic.transmit.room();
    let order = [&tcp, &tcp, &udp, &tcp, &tcp];
    for packet in order {
        bench.nic.send(packet.frame(bench.pool, None)).unwrap();
        bench.nic.send(bench.pool.take_copy(&[0; 60]).unwrap()).unwrap();
    }
    assert_eq!(before - bench.nic.transmit.room(), 5 + 5 + 3);
    bench.nic.flush();
    let sent = bench.transmitted();
    for (at, packet) in order.iter().enumerate() {
        packet.assert_sums(&sent[2 * at]);
        assert_eq!(sent[2 * at + 1], [0; 60]);
    }
    bench.end();
}

/// After a reset the chip knows nothing.
#[test]
fn a_context_is_told_anew_after_a_reset() {
    let mut bench = Bench::new();
    let packet = Packet { is_v4: true, tags: 0, protocol: 6, payload: 100 };
    for _ in 0..2 {
        bench.nic.send(packet.frame(bench.pool, None)).unwrap();
        bench.nic.flush();
        packet.assert_sums(&bench.transmitted()[0]);
        bench.chip.act(|it| it.mac[5] ^= 1);
        bench.pass(100);
        assert_eq!(bench.fault(), Some(Fault::Config));
        bench.chip.act(|it| it.mac[5] ^= 1);
        bench.pass(2_000);
        bench.assert_works();
    }
    bench.end();
}

/// Whoever sends does in software what the chip has no words for.
#[test]
fn what_the_chip_cannot_be_told_is_not_taken() {
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
    assert!(!bench.nic.takes(&sum(34, 250)), "a place beyond what can be said");
    assert!(!bench.nic.takes(&sum(u16::MAX, u16::MAX)));
    let mut udp = packet.frame(pool, Some(1_000));
    udp.offload_mut().segments.as_mut().unwrap().kind = SegmentKind::UdpL4;
    assert!(!bench.nic.takes(&udp), "datagrams are not cut");
    bench.end();
}

/// A frame of 64 KiB takes its place in the ring as a whole or not at all.
#[test]
fn a_long_frame_waits_for_no_half_of_a_ring() {
    let arena = Arena::new(800);
    let mut bench = Bench::on(&arena, |_| {});
    let packet = Packet { is_v4: true, tags: 0, protocol: 6, payload: 65_000 };
    let mut sent = 0;
    while bench.nic.send(packet.frame(bench.pool, Some(1448))).is_ok() {
        sent += 1;
    }
    assert_eq!((sent, bench.nic.counters().tx_full), (7, 1));
    bench.nic.flush();
    assert_eq!(bench.transmitted().len(), 7 * 45);
    bench.assert_works();
    bench.end();
}
