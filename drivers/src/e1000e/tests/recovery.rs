//! A chip that breaks the rules, hangs, goes away or changes its mind, and how its port comes back.

use super::*;
use crate::e1000e::fake::{DD, EOP};
use crate::nic::RingFault::{UsedIdx, UsedLen};

const LEN: u32 = 32;

/// What a chip says of its receive descriptors, and the rule that this breaks.
#[test]
fn d4_a_length_beyond_the_buffer_breaks_one_port_and_is_healed_by_a_reset() {
    type Deed = fn(&mut FakeChip);
    let cases: &[(&str, Deed)] = &[
        ("one byte too many", |it| it.fill_as(&[], DD | EOP | 2049 << LEN)),
        ("as many as can be said", |it| it.fill_as(&[], DD | EOP | 0xffff << LEN)),
        ("in the middle of a frame", |it| {
            it.fill(&[0; 2048], DD);
            it.fill_as(&[], DD | EOP | 2049 << LEN);
        }),
        ("a frame without an end", |it| (0..9).for_each(|_| it.fill(&[0; 2048], DD))),
        ("all ones", |it| it.fill_as(&[], u64::MAX)),
    ];
    for &(name, deed) in cases {
        let arena = Arena::new(900);
        let mut bench = Bench::on(&arena, |_| {});
        let mut neighbour = Bench::on(&arena, |_| {});
        bench.chip.act(deed);
        assert!(bench.received().is_empty(), "{name}");
        assert_eq!(bench.fault(), Some(Fault::Ring(UsedLen)), "{name}");
        assert!(!bench.chip.act(|it| it.is_running()), "stopped at once");
        assert_eq!(bench.received().len(), 0);
        assert!(!bench.send(b"nobody takes this"));
        assert_eq!(bench.nic.counters().tx_broken, 1);
        neighbour.assert_works();

        bench.pass(1_000);
        bench.assert_works();
        assert_eq!((bench.nic.counters().faults, bench.nic.counters().resets), (1, 1));
        drop(neighbour);
        bench.end();
    }
}

/// What came before the broken rule in the same batch was good and is kept.
#[test]
fn frames_before_a_fault_are_delivered() {
    let mut bench = Bench::new();
    bench.chip.act(|it| {
        it.deliver(b"good");
        it.fill_as(&[], DD | EOP | 2049 << LEN);
    });
    let received = bench.received();
    assert_eq!(&*received[0], b"good");
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedLen)));
    drop(received);
    bench.end();
}

/// D2: what the chip says of descriptors that it was not given, or that it is done with, is not read.
#[test]
fn d2_descriptors_that_the_chip_does_not_have_are_not_looked_at() {
    let mut bench = Bench::new();
    (0..31).for_each(|_| bench.chip.act(|it| it.deliver(b"fine")));
    assert_eq!(bench.received().len(), 31);
    // Done once more, while they are ours; and the one that is never the chip's.
    bench
        .chip
        .act(|it| (1..=32).for_each(|back| it.say(0_u16.wrapping_sub(back), DD | EOP | 60 << LEN)));
    bench.pass(500);
    assert!(bench.received().is_empty());
    assert_eq!(bench.fault(), None);
    bench.assert_works();
    bench.end();
}

/// D5: a descriptor that is done before the one in front of it, and stays so.
#[test]
fn d5_descriptors_that_are_skipped() {
    let mut bench = Bench::new();
    bench.chip.act(|it| it.say(1, DD | EOP | 60 << LEN));
    bench.pass(100);
    assert!(bench.received().is_empty());
    assert_eq!(bench.fault(), None, "it may be late");
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedIdx)));
    bench.pass(1_000);
    bench.assert_works();

    bench.chip.act(|it| it.say(1, DD | EOP | 60 << LEN));
    bench.pass(100);
    bench.chip.act(|it| it.deliver(b"late"));
    assert_eq!(&*bench.received()[0], b"late");
    bench.pass(100);
    assert_eq!(bench.fault(), None, "a gap of its own");
    bench.end();
}

/// D7: descriptors and buffers that are written to while they are ours again, or being read.
#[test]
fn d7_what_was_read_once_is_not_read_again() {
    let mut bench = Bench::new();
    (0..40).for_each(|_| bench.chip.act(|it| it.deliver(&[1; 60])));
    let first = bench.received();
    bench.chip.act(FakeChip::scribble);
    assert!(first.iter().all(|frame| frame.len() == 60));
    drop(first);
    assert!(bench.received().is_empty(), "nothing of it is done");
    assert_eq!(bench.fault(), None);
    drop(bench.nic);
    assert_eq!(bench.pool.free(), bench.pool.total());
}

/// D16: a chip that stops sending is counted, then reset; its frames are not in the pool before.
#[test]
fn d16_a_chip_that_hangs_is_reset() {
    let mut bench = Bench::new();
    let before = bench.owned_by_rings();
    (0..3).for_each(|_| assert!(bench.send(b"waits for ever")));
    bench.pass(1_900);
    assert_eq!(bench.nic.counters().tx_stall, 0);
    bench.pass(200);
    assert_eq!(bench.nic.counters().tx_stall, 1);
    bench.pass(2_800);
    assert_eq!((bench.fault(), bench.owned_by_rings()), (None, before + 3));
    bench.pass(200);
    assert_eq!(bench.fault(), Some(Fault::TxStall));
    bench.pass(1_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn d16_slow_is_not_hung() {
    let mut bench = Bench::new();
    (0..100).for_each(|_| assert!(bench.send(&[0; 60])));
    for _ in 0..30 {
        bench.pass(1_000);
        bench.chip.act(|it| it.transmit_one()).unwrap();
    }
    assert_eq!((bench.fault(), bench.nic.counters().tx_stall), (None, 0));
    assert_eq!(bench.transmitted().len(), 70);
    bench.end();
}

#[test]
fn a_link_that_is_down_or_paused_is_no_standstill() {
    let mut bench = Bench::new();
    for (is_link_up, is_paused) in [(false, false), (true, true)] {
        bench.chip.act(|it| (it.is_link_up, it.is_paused) = (is_link_up, is_paused));
        bench.pass(100);
        assert!(bench.send(b"into the void"));
        bench.pass(60_000);
        assert_eq!((bench.fault(), bench.nic.counters().tx_stall), (None, 0));
    }
    bench.chip.act(|it| it.is_paused = false);
    bench.pass(100);
    assert_eq!(bench.transmitted().len(), 2);
    bench.assert_works();
    bench.end();
}

#[test]
fn d16_buffers_stay_out_of_the_pool_until_the_chip_has_stopped() {
    let mut bench = Bench::new();
    assert!(bench.send(b"in flight"));
    let kept = bench.pool.free();
    bench.chip.act(|it| {
        it.never_stops = true;
        it.fill_as(&[], DD | EOP | 2049 << LEN);
    });
    bench.received();
    bench.pass(900);
    assert_eq!(bench.pool.free(), kept);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Reset), "reset without having stopped, and asked again");
    assert_eq!(bench.pool.free(), kept);

    bench.chip.act(|it| it.never_stops = false);
    bench.pass(100);
    assert_eq!(bench.pool.free(), bench.pool.total());
    bench.pass(1_900);
    bench.assert_works();
    bench.end();
}

#[test]
fn d16_a_reset_that_is_never_over_is_tried_after_1_2_4_and_at_most_60_seconds() {
    let mut bench = Bench::new();
    bench.chip.act(|it| {
        it.never_resets = true;
        it.fill_as(&[], DD | EOP | 2049 << LEN);
    });
    bench.received();
    let (mut waits, mut since_ms) = (Vec::new(), bench.now_ms);
    while waits.len() < 8 {
        let resets = bench.nic.counters().resets;
        bench.pass(100);
        if bench.nic.counters().resets > resets {
            waits.push((bench.now_ms - since_ms) / 1000);
            since_ms = bench.now_ms;
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(bench.fault(), Some(Fault::Reset));
    bench.chip.act(|it| it.never_resets = false);
    bench.pass(120_000);
    bench.assert_works();
    // A minute without a fault, and the next wait is a short one again.
    bench.pass(60_000);
    bench.chip.act(|it| it.fill_as(&[], DD | EOP | 2049 << LEN));
    bench.received();
    bench.pass(1_000);
    bench.assert_works();
    bench.end();
}

/// A chip that was pulled out answers with ones, and keeps what it had until it is back.
#[test]
fn a_chip_that_is_gone_is_missed_and_welcomed_back() {
    let mut bench = Bench::new();
    bench.chip.act(|it| it.is_gone = true);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Config));
    assert!(bench.nic.arm(), "nothing to wake for");
    bench.pass(10_000);
    assert!(bench.fault().is_some());
    bench.chip.act(|it| it.is_gone = false);
    bench.pass(20_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn d13_another_mac_address_is_another_device() {
    let mut bench = Bench::new();
    bench.chip.act(|it| it.mac[5] += 1);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Config));
    bench.pass(1_000);
    assert_eq!(bench.fault(), Some(Fault::Config), "not after the reset either");
    bench.chip.act(|it| it.mac = MAC);
    bench.pass(2_000);
    bench.assert_works();
    bench.end();
}

/// 1,000 times down and up with frames on their way: none is lost, no buffer either.
#[test]
fn d13_a_link_that_flaps() {
    let mut bench = Bench::new();
    let before = bench.owned_by_rings();
    for flap in 0..1_000_u16 {
        bench.chip.act(|it| it.is_link_up = false);
        assert!(bench.send(&flap.to_le_bytes()));
        bench.pass(100);
        assert_eq!(bench.nic.state(), NicState::LinkDown);
        bench.chip.act(|it| it.is_link_up = true);
        bench.pass(100);
        assert_eq!(bench.nic.state(), NicState::Up);
        assert_eq!(bench.transmitted(), [flap.to_le_bytes()]);
    }
    bench.pass(100);
    assert_eq!(bench.owned_by_rings(), before);
    bench.end();
}

/// F24: the clock jumps an hour, goes back, and stands still; nothing comes early or breaks.
#[test]
fn f24_a_clock_that_jumps_neither_breaks_nor_hurries() {
    let mut bench = Bench::new();
    assert!(bench.send(b"waits"));
    bench.nic.service(bench.now_ms + 3_600_000);
    assert_eq!((bench.fault(), bench.nic.counters().tx_stall), (None, 0));
    bench.nic.service(0);
    bench.nic.service(0);
    bench.nic.service(u64::MAX);
    assert_eq!(bench.fault(), None);
    bench.end();
}

/// Pulled out with everything in its hands: nothing waits for it, and all of that comes back.
#[test]
fn a_chip_that_is_pulled_out_keeps_no_buffer() {
    for looked_at_ms in [0, 100, 10_000] {
        let mut bench = Bench::new();
        assert!(bench.send(b"on its way"));
        let pool = bench.pool;
        bench.chip.act(|it| it.is_gone = true);
        bench.pass(looked_at_ms);
        bench.received();
        bench.nic.arm();
        bench.nic.lost();
        assert_eq!(pool.free(), pool.total(), "after {looked_at_ms} ms");
        drop(bench.nic);
        assert_eq!(pool.free(), pool.total());
    }
}
