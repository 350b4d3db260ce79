//! A device that works: frames, buffers, counters, interrupts.

use super::*;

#[test]
fn frames_arrive_as_they_were_sent() {
    let mut bench = Bench::new();
    let lens = [1, 14, 60, 1514, 1518, 2048, 2049, 4096, 9014, WIRE_BYTES_MAX];
    for len in lens {
        let bytes: Vec<u8> = (0..len).map(|index| index as u8).collect();
        bench.device.receive(|ring| ring.deliver(&bytes));
        let received = bench.received();
        assert_eq!(received.len(), 1);
        assert_eq!(whole(&received[0]), bytes);

        assert!(bench.send(&bytes));
        assert_eq!(bench.device.transmit(|ring| ring.transmitted()), [bytes]);
    }
    let (count, bytes) = (lens.len() as u64, lens.iter().sum::<usize>() as u64);
    assert_eq!(
        bench.moved(&NicCounters::default()),
        [("rx_frames", count), ("rx_bytes", bytes), ("tx_frames", count), ("tx_bytes", bytes)]
    );
    bench.end();
}

#[test]
fn a_received_frame_is_sent_on_without_a_copy() {
    let arena = Arena::new(64);
    let (mut left, mut right) = (Bench::on(&arena, |_| {}), Bench::on(&arena, |_| {}));
    left.device.receive(|ring| ring.deliver(b"from port to port"));
    let frame = left.received().pop().unwrap();
    let address = frame.device_address();
    right.nic.send(frame).unwrap();
    right.nic.flush();
    let posted = right.device.transmit(|ring| ring.fetch()[0].address);
    assert_eq!(posted, address);
    assert_eq!(right.device.transmit(|ring| ring.transmitted()), [b"from port to port"]);
}

#[test]
fn a_batch_is_never_more_than_it_holds() {
    let arena = Arena::new(128);
    let mut bench = Bench::on(&arena, |device| device.set(|it| it.sizes = [64, 8]));
    for number in 0..40_u8 {
        bench.device.receive(|ring| ring.deliver(&[number; 60]));
    }
    let (first, second) = (bench.received(), bench.received());
    assert_eq!((first.len(), second.len()), (32, 8));
    let numbers: Vec<u8> = first.iter().chain(&second).map(|frame| frame[0]).collect();
    assert_eq!(numbers, (0..40).collect::<Vec<u8>>(), "in order");
    drop((first, second));
    bench.end();
}

#[test]
fn the_receive_ring_is_kept_full_and_the_doorbell_rung_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.device.get(|it| it.doorbells), [1, 0]);
    for _ in 0..3 {
        bench.device.receive(|ring| ring.deliver(&[0; 60]));
    }
    assert_eq!(bench.received().len(), 3);
    assert_eq!(bench.device.get(|it| it.doorbells), [2, 0]);
    assert_eq!(bench.device.receive(|ring| ring.fetch().len()), 8);
    assert_eq!(bench.received().len(), 0);
    assert_eq!(bench.device.get(|it| it.doorbells), [2, 0], "nothing new");
    bench.end();
}

#[test]
fn a_full_transmit_ring_gives_frames_back_and_counts_them() {
    let mut bench = Bench::new();
    let sent = (0..10).filter(|_| bench.send(&[0; 60])).count();
    assert_eq!(sent, 8);
    assert_eq!(bench.nic.counters().tx_full, 2);
    assert_eq!(bench.device.transmit(|ring| ring.transmitted()).len(), 8);
    bench.assert_works();
    bench.end();
}

#[test]
fn an_empty_pool_leaves_the_ring_short_and_is_made_up_for() {
    let mut bench = Bench::new();
    for _ in 0..8 {
        bench.device.receive(|ring| ring.deliver(&[0; 60]));
    }
    let hoard: Vec<Frame> = std::iter::from_fn(|| bench.pool.take()).collect();
    let held = bench.received();
    assert_eq!(held.len(), 8);
    for _ in 0..100 {
        assert_eq!(bench.received().len(), 0);
    }
    assert_eq!(bench.nic.counters().rx_no_buffer, 1, "once, not a hundred times");
    drop((hoard, held));
    assert_eq!(bench.received().len(), 0);
    assert_eq!(bench.device.receive(|ring| ring.fetch().len()), 8);
    bench.assert_works();
    bench.end();
}

/// D3, D8 to D12 and the lengths of P1 and P2: one counter moves, and nothing else.
#[test]
fn d3_d8_d9_d10_d11_d12_what_is_no_frame_is_counted_by_its_name() {
    let header = |flags, gso_type, num_buffers: u16| -> Header {
        let [low, high] = num_buffers.to_le_bytes();
        [flags, gso_type, 255, 255, 0, 0, 255, 255, 255, 255, low, high]
    };
    let unmerged = OFFERED & !MRG_RXBUF;
    type Moved = &'static [(&'static str, u64)];
    let cases: &[(&str, u64, Header, u32, Moved)] = &[
        ("D3 short", OFFERED, PLAIN, 11, &[("rx_runt", 1)]),
        ("D3 empty", OFFERED, PLAIN, 12, &[("rx_runt", 1)]),
        (
            "D8 NEEDS_CSUM, D9, D11",
            OFFERED,
            header(1, 0, 1),
            72,
            &[("rx_frames", 1), ("rx_bytes", 60), ("rx_hdr_flags", 1)],
        ),
        (
            "D8 DATA_VALID",
            OFFERED,
            header(2, 0, 1),
            72,
            &[("rx_frames", 1), ("rx_bytes", 60), ("rx_hdr_flags", 1)],
        ),
        ("D10 TCPv4", OFFERED, header(1, 1, 1), 72, &[("rx_gso", 1)]),
        ("D10 unknown", OFFERED, header(0, 0x7f, 1), 72, &[("rx_gso", 1)]),
        ("D12 0", unmerged, header(0, 0, 0), 72, &[("rx_num_buffers", 1)]),
        ("D12 2", unmerged, header(0, 0, 2), 72, &[("rx_num_buffers", 1)]),
        ("D12 all", unmerged, header(0, 0, 65_535), 72, &[("rx_num_buffers", 1)]),
        ("merged 0", OFFERED, header(0, 0, 0), 72, &[("rx_num_buffers", 1)]),
        ("merged, but alone", OFFERED, header(0, 0, 2), RECEIVE_BYTES, &[("rx_num_buffers", 1)]),
    ];
    for &(name, offered, header, written_bytes, expected) in cases {
        let mut bench = Bench::with(|device| device.set(|it| it.offered = offered));
        let before = *bench.nic.counters();
        bench.device.receive(|ring| ring.deliver_as(header, &[7; 60], written_bytes));
        let delivered = bench.received().len() as u64;
        assert_eq!(bench.moved(&before), expected, "{name}");
        assert_eq!(delivered, bench.nic.counters().rx_frames, "{name}");
        assert_eq!(bench.device.receive(|ring| ring.fetch().len()), 8, "{name}: reposted");
        bench.assert_works();
        bench.end();
    }
}

/// A device that leaves `num_buffers` alone when no merging was agreed on is understood.
#[test]
fn d12_a_header_of_ten_bytes_still_says_one_buffer() {
    let mut bench = Bench::with(|device| device.set(|it| it.offered = OFFERED & !MRG_RXBUF));
    bench.device.receive(|ring| {
        let posted = ring.fetch().pop_front().unwrap();
        ring.fill(&posted, &[0; 10], &[]);
        ring.answer(posted.id.into(), 72);
        ring.show();
    });
    assert_eq!(bench.received().len(), 1);
    bench.end();
}

#[test]
fn p4_a_frame_in_several_buffers_is_gathered_dropped_and_counted_once() {
    let mut bench = Bench::new();
    for len in [9_023, 12_000] {
        let before = *bench.nic.counters();
        bench.device.receive(|ring| {
            ring.deliver(b"before");
            ring.deliver(&vec![9; len]);
            ring.deliver(b"after");
        });
        let received = bench.received();
        assert_eq!(received.len(), 2);
        assert_eq!((&*received[0], &*received[1]), (&b"before"[..], &b"after"[..]));
        assert_eq!(bench.moved(&before), [("rx_frames", 2), ("rx_bytes", 11), ("rx_too_big", 1)]);
        assert_eq!(bench.device.receive(|ring| ring.fetch().len()), 8, "all reposted");
    }
    bench.end();
}

/// D14: interrupts are asked for only between `arm` and `disarm`, and are no more than a hint.
#[test]
fn d14_interrupts_are_wanted_only_while_armed() {
    let mut bench = Bench::new();
    let wanted = |bench: &Bench| bench.device.receive(|ring| ring.wants_interrupts());
    assert!(!wanted(&bench));
    assert!(bench.nic.arm(), "nothing waits");
    assert!(wanted(&bench));
    assert!(!bench.device.transmit(|ring| ring.wants_interrupts()));
    bench.nic.disarm();
    assert!(!wanted(&bench));

    bench.device.set(|it| it.interrupt = 1);
    assert!(bench.nic.arm(), "an interrupt without work");
    assert_eq!(bench.device.get(|it| it.interrupt), 0, "the line is released");

    bench.device.receive(|ring| ring.deliver(&[0; 60]));
    assert!(!bench.nic.arm(), "a frame came before");
    bench.nic.disarm();
    assert_eq!(bench.received().len(), 1);

    bench.device.set(|it| (it.interrupt, it.kind.link_status) = (2, 0));
    assert!(!bench.nic.arm(), "the link changed");
    bench.nic.service(bench.now_ms);
    assert_eq!(bench.nic.state(), NicState::LinkDown, "seen without waiting");
    assert!(bench.nic.arm());

    bench.device.receive(|ring| ring.show_index(99));
    assert!(bench.nic.arm(), "a broken port has nothing to wake for");
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedIdx)));
    assert!(bench.nic.arm());
    bench.end();
}
