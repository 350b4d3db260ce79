//! Frames that leave something for a NIC to do: agreed on, received, sent on, refused.

use super::*;
use crate::offload::{Offload, PartialChecksum, SegmentKind, Segments};
use crate::pool::{BUFFERS_PER_FRAME_MAX, FRAME_BYTES_MAX};
use crate::virtio::fake::net::{CSUM, GUEST_CSUM, GUEST_CUTS, HOST_CUTS, OFFLOADS};

/// As QEMU offers it on a tap.
const TAP: u64 = OFFERED | OFFLOADS;
/// The longest frame that has one tag at most.
const LEN: usize = 14 + 4 + 65_535;

/// A port that agrees on everything, with rings for one frame of 64 KiB and some.
fn bench() -> Bench {
    on(&Arena::new(256), TAP)
}

fn on(arena: &Arena, offered: u64) -> Bench {
    Bench::on(arena, |device| device.set(|it| (it.offered, it.sizes) = (offered, [64; 2])))
}

fn header(flags: u8, gso_type: u8, gso_size: u16, start: u16, offset: u16) -> Header {
    let mut header = PLAIN;
    (header[0], header[1]) = (flags, gso_type);
    header[2..4].copy_from_slice(&[0xff; 2]); // D11: nobody reads `hdr_len`
    for (at, value) in [(4, gso_size), (6, start), (8, offset)] {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    header
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 3) as u8 ^ (at >> 8) as u8).collect()
}

#[test]
fn each_offload_is_agreed_on_with_all_that_it_needs() {
    let plain = OFFERED & !(1 << 29 | 1 << 28 | 1 << 17);
    let sums = CSUM | GUEST_CSUM;
    let cases: &[(&str, u64, [u32; 2], u64)] = &[
        ("nothing", 0, [64; 2], 0),
        ("everything", OFFLOADS, [64; 2], sums | HOST_CUTS | GUEST_CUTS),
        ("large rings", OFFLOADS, [1024; 2], sums | HOST_CUTS | GUEST_CUTS),
        ("a small ring to receive", OFFLOADS, [16, 64], sums | HOST_CUTS),
        ("a small ring to send", OFFLOADS, [64, 16], sums | GUEST_CUTS),
        ("checksums alone", sums, [64; 2], sums),
        ("sending alone", CSUM | HOST_CUTS, [64; 2], CSUM | HOST_CUTS),
        ("receiving alone", GUEST_CSUM | GUEST_CUTS, [64; 2], GUEST_CSUM | GUEST_CUTS),
        ("cuts without sums", HOST_CUTS | GUEST_CUTS, [64; 2], 0),
        ("TSO for IPv4", sums | 1 << 7 | 1 << 11, [64; 2], sums | 1 << 7 | 1 << 11),
    ];
    for &(name, offered, sizes, accepted) in cases {
        let arena = Arena::new(600);
        let bench = Bench::on(&arena, |device| {
            device.set(|it| (it.offered, it.sizes) = (OFFERED | offered, sizes));
        });
        assert_eq!(bench.device.get(|it| it.accepted), plain | accepted, "{name}");
        let has = |bit: u64| accepted & bit == bit;
        let able = Abilities {
            checksum: has(CSUM),
            tcp_v4: has(1 << 11),
            tcp_v6: has(1 << 12),
            udp: has(1 << 56),
        };
        assert_eq!(bench.nic.abilities(), able, "{name}");
        bench.end();
    }
    let arena = Arena::new(128);
    let bench = on(&arena, TAP & !MRG_RXBUF);
    let accepted = bench.device.get(|it| it.accepted);
    assert_eq!(accepted & GUEST_CUTS, 0, "64 KiB do not fit one buffer");
    assert_eq!(accepted & GUEST_CSUM, GUEST_CSUM);
    bench.end();
}

/// A frame of 64 KiB comes in, goes on, and was not copied: the buffers are the same.
#[test]
fn a_long_frame_goes_from_port_to_port_as_it_is() {
    let arena = Arena::new(256);
    let (mut left, mut right) = (on(&arena, TAP), on(&arena, TAP));
    for (gso_type, kind) in
        [(1, SegmentKind::TcpV4), (4, SegmentKind::TcpV6), (5, SegmentKind::UdpL4)]
    {
        let bytes = numbered(LEN);
        let came = header(1, gso_type, 1448, 34, 16);
        left.device.receive(|ring| ring.deliver_with(came, &bytes));
        let frame = left.received().pop().unwrap();
        assert_eq!((frame.total_len(), frame.buffers()), (LEN, BUFFERS_PER_FRAME_MAX));
        assert_eq!(whole(&frame), bytes);
        let checksum = Some(PartialChecksum { start: 34, offset: 16 });
        let segments = Some(Segments { kind, payload_len: 1448.try_into().unwrap() });
        assert_eq!(frame.offload(), Offload { checksum, segments });
        let buffers: Vec<(u64, u32)> = frame.whole_for_device();

        right.nic.send(frame).unwrap();
        right.nic.flush();
        let posted = right.device.transmit(|ring| ring.fetch()[0].clone());
        let first = (posted.address, posted.len);
        assert_eq!([&[first], &posted.further[..]].concat(), buffers, "no copy");
        let (told, sent) = right.device.transmit(|ring| ring.transmitted_with()).pop().unwrap();
        assert_eq!(sent, bytes);
        assert_eq!((&told[..2], &told[4..10]), (&came[..2], &came[4..10]));
        assert_eq!(told[2..4], 2048_u16.to_le_bytes(), "a hint that is true");
    }
    let lens = 3 * LEN as u64;
    assert_eq!(left.moved(&NicCounters::default()), [("rx_frames", 3), ("rx_bytes", lens)]);
    assert_eq!(right.moved(&NicCounters::default()), [("tx_frames", 3), ("tx_bytes", lens)]);
    right.nic.service(right.now_ms); // gives back what was sent
    drop(right.nic);
    left.end();
}

#[test]
fn a_checksum_to_finish_goes_with_its_frame() {
    let mut bench = bench();
    let bytes = numbered(60);
    for flags in [1, 3] {
        let came = header(flags, 0, 0, 34, 16);
        bench.device.receive(|ring| ring.deliver_with(came, &bytes));
        let frame = bench.received().pop().unwrap();
        assert_eq!(frame.offload().checksum, Some(PartialChecksum { start: 34, offset: 16 }));
        assert!(bench.nic.send(frame).is_ok());
        bench.nic.flush();
        let sent = bench.device.transmit(|ring| ring.transmitted_with());
        let told = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];
        assert_eq!(sent, [(told, bytes.clone())], "and DATA_VALID does not");
    }
    bench.end();
}

/// D8 to D12 and P4 with everything agreed on: one counter moves, and nothing else.
#[test]
fn d8_d9_d10_d11_d12_p4_f34_what_cannot_be_is_counted_by_its_name() {
    type Moved = &'static [(&'static str, u64)];
    let cases: &[(&str, Header, usize, Moved)] = &[
        (
            "D8",
            header(4, 0, 0, 0, 0),
            60,
            &[("rx_frames", 1), ("rx_bytes", 60), ("rx_hdr_flags", 1)],
        ),
        ("D9 start", header(1, 0, 0, 65_535, 0), 60, &[("rx_csum_range", 1)]),
        ("D9 end", header(1, 0, 0, 43, 16), 60, &[("rx_csum_range", 1)]),
        ("D9 offset", header(1, 0, 0, 34, 65_535), 60, &[("rx_csum_range", 1)]),
        ("D9 beyond the head", header(1, 1, 1448, 2044, 16), LEN, &[("rx_csum_range", 1)]),
        ("D10 without csum", header(0, 1, 1448, 34, 16), LEN, &[("rx_gso", 1)]),
        ("D10 type 3", header(1, 3, 1448, 34, 16), LEN, &[("rx_gso", 1)]),
        ("D10 type 0x7f", header(1, 0x7f, 1448, 34, 16), LEN, &[("rx_gso", 1)]),
        ("D10 with ECN", header(1, 0x81, 1448, 34, 16), LEN, &[("rx_gso", 1)]),
        ("D10 size 0", header(1, 1, 0, 34, 16), LEN, &[("rx_gso", 1)]),
        ("D10 size 65,535", header(1, 1, 65_535, 34, 16), LEN, &[("rx_gso", 1)]),
        ("P4 9,023", header(0, 0, 0, 0, 0), 9_023, &[("rx_too_big", 1)]),
        ("P4 F34 12,000", header(1, 0, 0, 34, 16), 12_000, &[("rx_too_big", 1)]),
        ("P4 65,549", header(0, 0, 0, 0, 0), 65_549, &[("rx_too_big", 1)]),
        ("P4 beyond IP", header(1, 1, 1448, 34, 16), FRAME_BYTES_MAX + 1, &[("rx_too_big", 1)]),
    ];
    for &(name, header, len, expected) in cases {
        let mut bench = bench();
        let before = *bench.nic.counters();
        bench.device.receive(|ring| ring.deliver_with(header, &vec![7; len]));
        let delivered = bench.received().len() as u64;
        assert_eq!(bench.moved(&before), expected, "{name}");
        assert_eq!(delivered, bench.nic.counters().rx_frames, "{name}");
        bench.assert_device_has_all(name);
        bench.assert_works();
        bench.end();
    }
}

/// D12: what was written to a frame's buffers is not what its header says.
#[test]
fn d12_buffers_that_do_not_make_a_frame() {
    let full = RECEIVE_BYTES;
    let cases: &[(&str, u16, &[u32])] = &[
        ("more than were answered", 4, &[full, full, 100]),
        ("the first is not full", 2, &[full - 1, 100]),
        ("a middle one is not full", 3, &[full, full - 1, 100]),
        ("a middle one is empty", 3, &[full, 0, 100]),
        ("the last is empty", 3, &[full, full, 0]),
    ];
    for &(name, count, written) in cases {
        let mut bench = bench();
        let mut header = header(1, 1, 1448, 34, 16);
        header[10..].copy_from_slice(&count.to_le_bytes());
        bench.device.receive(|ring| {
            for (at, &len) in written.iter().enumerate() {
                let posted = ring.fetch().pop_front().unwrap();
                ring.fill(&posted, if at == 0 { &header } else { &PLAIN }, &[0; 60]);
                ring.answer(posted.id.into(), len);
            }
            ring.show();
        });
        bench.received();
        assert_eq!(bench.nic.counters().rx_num_buffers, 1, "{name}");
        bench.assert_device_has_all(name);
        bench.assert_works();
        bench.end();
    }
}

/// A ring takes a whole frame or none of it, and has room again once the device has sent.
#[test]
fn a_long_frame_waits_for_no_half_of_a_ring() {
    let mut bench = bench();
    let offload = Offload {
        checksum: Some(PartialChecksum { start: 34, offset: 16 }),
        segments: Some(Segments {
            kind: SegmentKind::TcpV4,
            payload_len: 1448.try_into().unwrap(),
        }),
    };
    let long = |bench: &Bench| {
        let mut frame = bench.pool.take_copy(&numbered(LEN)).unwrap();
        frame.set_offload(offload);
        frame
    };
    let (first, second) = (long(&bench), long(&bench));
    bench.nic.send(bench.pool.take_copy(&[0; 60]).unwrap()).unwrap();
    bench.nic.send(first).unwrap();
    let back = bench.nic.send(second).unwrap_err();
    assert_eq!((back.total_len(), bench.nic.counters().tx_full), (LEN, 1));
    bench.nic.flush();
    assert_eq!(bench.device.transmit(|ring| ring.transmitted_with()).len(), 2);
    bench.nic.send(back).unwrap();
    bench.nic.flush();
    assert_eq!(bench.device.transmit(|ring| ring.transmitted_with()).len(), 1);
    bench.end();
}

/// A device that is less after its reset gets no more than it can do.
#[test]
fn d16_abilities_are_those_of_the_device_as_it_is_now() {
    let mut bench = bench();
    assert_eq!(bench.nic.abilities(), Abilities::ALL);
    bench.device.set(|it| it.status |= DeviceStatus::DEVICE_NEEDS_RESET);
    bench.device.set(|it| it.offered = OFFERED);
    bench.pass(1_200);
    assert_eq!(bench.nic.abilities(), Abilities::default());
    bench.device.receive(|ring| ring.deliver_with(header(1, 1, 1448, 34, 16), &[0; 60]));
    assert_eq!(bench.received().len(), 0);
    assert_eq!(bench.nic.counters().rx_gso, 1);
    bench.assert_works();
    bench.end();
}
