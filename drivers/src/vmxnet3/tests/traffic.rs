//! A device that works: frames, buffers, counters, interrupts.

use super::*;
use crate::vmxnet3::fake::{EOP, ERR};

#[test]
fn frames_of_every_length_pass_both_ways() {
    let mut bench = Bench::new();
    let lens = [1, 14, 60, 1514, 1518, 2047, 2048, 2049, 4096, 9014, WIRE_BYTES_MAX];
    for len in lens {
        let bytes = numbered(len);
        bench.act(|it| it.deliver(&bytes));
        let received = bench.received().pop().unwrap();
        assert_eq!((received.total_len(), received.buffers()), (len, len.div_ceil(2048)));
        assert_eq!(whole(&received), bytes);
        bench.nic.send(received).unwrap();
        bench.nic.flush();
        assert_eq!(bench.transmitted(), [bytes], "without a copy, and without a change");
    }
    let (count, bytes) = (lens.len() as u64, lens.iter().sum::<usize>() as u64);
    assert_eq!(
        bench.moved(&NicCounters::default()),
        [("rx_frames", count), ("rx_bytes", bytes), ("tx_frames", count), ("tx_bytes", bytes)]
    );
    bench.end();
}

/// Round the rings many times, in order, frames of one buffer and of more by turns.
#[test]
fn f25_rings_go_round() {
    let mut bench = Bench::new();
    for number in 0..70_000_u32 {
        let bytes = if number % 16 == 0 { numbered(4_100) } else { number.to_le_bytes().to_vec() };
        bench.act(|it| it.deliver(&bytes));
        let frame = bench.received().pop().unwrap();
        assert_eq!(whole(&frame), bytes);
        bench.nic.send(frame).unwrap();
        bench.nic.flush();
        assert_eq!(bench.transmitted(), [bytes]);
    }
    bench.end();
}

#[test]
fn what_is_no_frame_is_counted_by_its_name() {
    type Deed = fn(&mut FakeDevice);
    let cases: &[(&str, Deed, &str)] = &[
        ("empty", |it| it.deliver(&[]), "rx_runt"),
        ("too long", |it| it.deliver(&[0; WIRE_BYTES_MAX + 1]), "rx_too_big"),
        ("damaged", |it| it.fill(&[0; 60], true, [EOP, ERR]), "rx_damaged"),
        (
            "damaged in the middle",
            |it| {
                it.fill(&[0; 2048], true, [0, ERR]);
                it.fill(&[0; 60], false, [EOP, 0]);
            },
            "rx_damaged",
        ),
        ("put together, and no TCP", |it| it.deliver_joined(&[0; 3_000], 1448), "rx_gso"),
    ];
    for &(name, deed, counter) in cases {
        let mut bench = Bench::new();
        let before = *bench.nic.counters();
        bench.act(deed);
        assert!(bench.received().is_empty(), "{name}");
        assert_eq!(bench.moved(&before), [(counter, 1)], "{name}");
        bench.assert_works();
        bench.end();
    }
}

/// A frame of which a part is there is not touched before the rest is.
#[test]
fn a_frame_is_taken_when_it_is_whole() {
    let mut bench = Bench::new();
    bench.act(|it| it.fill(&[1; 2048], true, [0, 0]));
    assert!(bench.received().is_empty());
    assert!(!bench.nic.arm(), "there is something to wait for without sleep");
    bench.act(|it| it.fill(&[2; 100], false, [EOP, 0]));
    assert_eq!(bench.received()[0].total_len(), 2148);
    bench.end();
}

#[test]
fn frames_that_found_no_buffer_are_counted() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.act(|it| it.miss(5));
        bench.pass(200);
    }
    assert_eq!(bench.moved(&NicCounters::default()), [("rx_missed", 15)]);
    bench.end();
}

/// Registers are written once a batch, and those of the receive rings only for who wants it.
#[test]
fn producers_are_told_a_batch_at_a_time() {
    let mut bench = Bench::new();
    let before = bench.act(|it| it.producers);
    for _ in 0..64 {
        bench.act(|it| it.deliver(&[0; 60]));
        drop(bench.received());
    }
    assert_eq!(bench.act(|it| it.producers), before, "nobody asked");
    bench.act(FakeDevice::want_producers);
    for _ in 0..64 {
        bench.act(|it| it.deliver(&[0; 60]));
        drop(bench.received());
    }
    assert_eq!(bench.act(|it| it.producers[1]), before[1] + 2 * 2);
    for _ in 0..32 {
        let frame = bench.pool.take_copy(&[0; 60]).unwrap();
        bench.nic.send(frame).unwrap();
    }
    bench.nic.flush();
    bench.nic.flush();
    assert_eq!(bench.act(|it| it.producers[0]), before[0] + 1);
    assert_eq!(bench.transmitted().len(), 32);
    bench.end();
}

/// Buffers that the device passes over are given once more, and are nobody else's meanwhile.
#[test]
fn buffers_that_are_passed_over_come_round() {
    let mut bench = Bench::new();
    let owned = bench.owned_by_rings();
    for round in 0..600_u16 {
        bench.act(|it| {
            it.skip_head();
            it.deliver(&round.to_le_bytes());
        });
        assert_eq!(*bench.received().pop().unwrap(), round.to_le_bytes());
    }
    (0..80).for_each(|_| {
        bench.act(|it| it.deliver(b"and on"));
        assert_eq!(bench.received().len(), 1);
    });
    assert_eq!(bench.owned_by_rings(), owned);
    bench.end();
}

#[test]
fn a_full_transmit_ring_gives_frames_back_and_counts_them() {
    let mut bench = Bench::new();
    let sent = (0..133).filter(|_| bench.send(&[0; 60])).count();
    assert_eq!((sent, bench.nic.counters().tx_full), (128, 5));
    assert_eq!(bench.transmitted().len(), 128);
    bench.assert_works();
    bench.end();
}

#[test]
fn an_empty_pool_leaves_the_rings_short_and_is_made_up_for() {
    let arena = Arena::new(400);
    let mut bench = Bench::on(&arena, |_| {});
    let hoard: Vec<Frame> = std::iter::from_fn(|| bench.pool.take()).collect();
    (0..256).for_each(|_| bench.act(|it| it.deliver(&[0; 60])));
    let mut held = Vec::new();
    while held.len() < 256 {
        held.extend(bench.received());
    }
    for _ in 0..100 {
        assert_eq!(bench.received().len(), 0);
    }
    assert_eq!(bench.nic.counters().rx_no_buffer, 1, "once, not a hundred times");
    drop((hoard, held));
    assert_eq!(bench.received().len(), 0);
    bench.assert_works();
    bench.end();
}

/// D14: interrupts are asked for only between `arm` and `disarm`, and are no more than a hint.
#[test]
fn d14_interrupts_are_wanted_only_while_armed() {
    let mut bench = Bench::new();
    assert!(bench.nic.arm(), "nothing waits");
    assert!(bench.act(|it| it.wants_interrupts()));
    bench.nic.disarm();
    assert!(!bench.act(|it| it.wants_interrupts()));

    bench.act(|it| it.is_asserted = true);
    assert!(bench.nic.arm(), "an interrupt without work");
    assert!(!bench.act(|it| it.is_asserted), "the line is released");

    bench.act(|it| it.deliver(&[0; 60]));
    assert!(!bench.nic.arm(), "a frame came before");
    bench.nic.disarm();
    assert_eq!(bench.received().len(), 1);

    bench.act(|it| {
        it.is_link_up = false;
        it.announce(EVENT_LINK);
    });
    assert!(!bench.nic.arm(), "the link changed");
    bench.nic.service(bench.now_ms);
    assert_eq!(bench.nic.state(), NicState::LinkDown, "seen without waiting");
    assert!(bench.nic.arm());
    bench.end();
}
