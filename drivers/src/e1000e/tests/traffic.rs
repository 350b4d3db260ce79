//! A chip that works: frames, buffers, counters, interrupts.

use super::*;
use crate::e1000e::fake::{DD, EOP, RXE};

#[test]
fn frames_of_every_length_pass_both_ways() {
    let mut bench = Bench::new();
    let lens = [1, 14, 60, 1514, 1518, 2047, 2048, 2049, 4096, 9014, WIRE_BYTES_MAX];
    for len in lens {
        let bytes = numbered(len);
        bench.chip.act(|it| it.deliver(&bytes));
        let received = bench.received().pop().unwrap();
        assert_eq!(received.total_len(), len);
        assert_eq!(received.buffers(), len.div_ceil(2048));
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

/// Round the rings many times, in order.
#[test]
fn f25_rings_go_round() {
    let mut bench = Bench::new();
    for number in 0..70_000_u32 {
        bench.chip.act(|it| it.deliver(&number.to_le_bytes()));
        let frame = bench.received().pop().unwrap();
        assert_eq!(*frame, number.to_le_bytes());
        bench.nic.send(frame).unwrap();
        bench.nic.flush();
        assert_eq!(bench.transmitted(), [number.to_le_bytes()]);
    }
    bench.end();
}

#[test]
fn what_is_no_frame_is_counted_by_its_name() {
    type Deed = fn(&mut FakeChip);
    let cases: &[(&str, Deed, &str)] = &[
        ("empty", |it| it.deliver(&[]), "rx_runt"),
        ("too long", |it| it.deliver(&[0; WIRE_BYTES_MAX + 1]), "rx_too_big"),
        ("as long as it can be", |it| it.deliver(&[0; 16_384]), "rx_too_big"),
        ("damaged", |it| it.fill(&[0; 60], DD | EOP | RXE), "rx_damaged"),
        (
            "damaged in the middle",
            |it| {
                it.fill(&[0; 2048], DD | RXE);
                it.fill(&[0; 60], DD | EOP);
            },
            "rx_damaged",
        ),
    ];
    for &(name, deed, counter) in cases {
        let mut bench = Bench::new();
        let before = *bench.nic.counters();
        bench.chip.act(deed);
        assert!(bench.received().is_empty(), "{name}");
        assert_eq!(bench.moved(&before), [(counter, 1)], "{name}");
        bench.assert_works();
        bench.end();
    }
}

/// The CRC, which is stripped, may have had a buffer of its own.
#[test]
fn a_last_buffer_may_be_empty() {
    let mut bench = Bench::new();
    bench.chip.act(|it| {
        it.fill(&[7; 2048], DD);
        it.fill(&[], DD | EOP);
    });
    let frame = bench.received().pop().unwrap();
    assert_eq!((frame.total_len(), frame.buffers()), (2048, 1));
    drop(frame);
    bench.end();
}

/// A frame of which a part is there is not touched before the rest is.
#[test]
fn a_frame_is_taken_when_it_is_whole() {
    let mut bench = Bench::new();
    bench.chip.act(|it| it.fill(&[1; 2048], DD));
    assert!(bench.received().is_empty());
    assert!(!bench.nic.arm(), "there is something to wait for without sleep");
    bench.chip.act(|it| it.fill(&[2; 100], DD | EOP));
    assert_eq!(bench.received()[0].total_len(), 2148);
    bench.end();
}

#[test]
fn frames_that_found_no_room_in_the_chip_are_counted() {
    let mut bench = Bench::new();
    bench.chip.act(|it| it.missed = 7);
    bench.pass(200);
    assert_eq!(bench.moved(&NicCounters::default()), [("rx_missed", 7)]);
    bench.end();
}

/// Registers are written once a batch: 32 buffers go out at once, and all frames that were queued.
#[test]
fn tails_are_moved_a_batch_at_a_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.chip.act(|it| (it.buffers(), it.tails)), (255, [2, 1]), "placed, then filled");
    for count in 1..=64 {
        bench.chip.act(|it| it.deliver(&[0; 60]));
        drop(bench.received());
        assert_eq!(bench.chip.act(|it| it.tails[0]), 2 + count / 32);
    }
    for _ in 0..32 {
        let frame = bench.pool.take_copy(&[0; 60]).unwrap();
        bench.nic.send(frame).unwrap();
    }
    assert!(bench.transmitted().is_empty(), "not shown yet");
    bench.nic.flush();
    bench.nic.flush();
    assert_eq!(bench.chip.act(|it| it.tails[1]), 2);
    assert_eq!(bench.transmitted().len(), 32);
    bench.end();
}

#[test]
fn a_batch_is_never_more_than_it_holds() {
    let mut bench = Bench::new();
    for number in 0..40_u8 {
        bench.chip.act(|it| it.deliver(&[number; 60]));
    }
    let (first, second) = (bench.received(), bench.received());
    assert_eq!((first.len(), second.len()), (32, 8));
    let numbers: Vec<u8> = first.iter().chain(&second).map(|frame| frame[0]).collect();
    assert_eq!(numbers, (0..40).collect::<Vec<u8>>(), "in order");
    drop((first, second));
    bench.end();
}

#[test]
fn a_full_transmit_ring_gives_frames_back_and_counts_them() {
    let mut bench = Bench::new();
    let sent = (0..260).filter(|_| bench.send(&[0; 60])).count();
    assert_eq!(sent, 255, "one place is always ours");
    assert_eq!(bench.nic.counters().tx_full, 5);
    assert_eq!(bench.transmitted().len(), 255);
    bench.assert_works();
    bench.end();
}

#[test]
fn an_empty_pool_leaves_the_ring_short_and_is_made_up_for() {
    let arena = Arena::new(300);
    let mut bench = Bench::on(&arena, |_| {});
    let hoard: Vec<Frame> = std::iter::from_fn(|| bench.pool.take()).collect();
    (0..255).for_each(|_| bench.chip.act(|it| it.deliver(&[0; 60])));
    let mut held = Vec::new();
    while held.len() < 255 {
        held.extend(bench.received());
    }
    for _ in 0..100 {
        assert_eq!(bench.received().len(), 0);
    }
    assert_eq!(bench.nic.counters().rx_no_buffer, 1, "once, not a hundred times");
    drop((hoard, held));
    assert_eq!(bench.received().len(), 0);
    assert_eq!(bench.chip.act(|it| it.buffers()), 255);
    bench.assert_works();
    bench.end();
}

/// D14: interrupts are asked for only between `arm` and `disarm`, and are no more than a hint.
#[test]
fn d14_interrupts_are_wanted_only_while_armed() {
    let mut bench = Bench::new();
    assert!(bench.nic.arm(), "nothing waits");
    assert_eq!(bench.chip.act(|it| it.register(IMS)), CAUSE_RECEIVE | CAUSE_LINK);
    bench.nic.disarm();
    assert_eq!(bench.chip.act(|it| it.register(IMS)), 0);

    bench.chip.act(|it| it.causes = CAUSE_RECEIVE);
    assert!(bench.nic.arm(), "an interrupt without work");
    assert_eq!(bench.chip.act(|it| it.causes), 0, "the line is released");

    bench.chip.act(|it| it.deliver(&[0; 60]));
    assert!(!bench.nic.arm(), "a frame came before");
    bench.nic.disarm();
    assert_eq!(bench.received().len(), 1);

    bench.chip.act(|it| (it.causes, it.is_link_up) = (CAUSE_LINK, false));
    assert!(!bench.nic.arm(), "the link changed");
    bench.nic.service(bench.now_ms);
    assert_eq!(bench.nic.state(), NicState::LinkDown, "seen without waiting");
    assert!(bench.nic.arm());
    bench.end();
}
