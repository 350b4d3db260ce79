//! A device that breaks the rules, hangs, goes away or changes its mind, and how its port comes back.

use super::*;
use crate::nic::RingFault::{UsedId, UsedLen, UsedNotHead};
use crate::vmxnet3::fake::{BODY_RING, EOP, SOP};

/// What a device completes, and the rule that this breaks.
#[test]
fn d1_d2_d4_d5_d6_a_broken_rule_breaks_one_port_and_is_healed_by_a_reset() {
    type Deed = fn(&mut FakeDevice);
    let cases: &[(&str, Deed, RingFault)] = &[
        (
            "D1: a body that is not there",
            |it| {
                it.fill(&[0; 2048], true, [0, 0]);
                it.complete([BODY_RING | EOP | 64, 60]);
            },
            UsedId,
        ),
        (
            "D1: of all bodies the last that can be said",
            |it| {
                it.fill(&[0; 2048], true, [0, 0]);
                it.complete([BODY_RING | EOP | 0xfff, 60]);
            },
            UsedId,
        ),
        ("D1: a head that is not there", |it| it.complete([SOP | EOP | 256, 60]), UsedId),
        ("D1: a ring that is not there", |it| it.complete([SOP | EOP | 2 << 16, 60]), UsedId),
        (
            "D2: the same once more",
            |it| {
                it.deliver(b"once");
                it.complete([SOP | EOP, 60]);
            },
            UsedNotHead,
        ),
        (
            "D2: one that was passed over",
            |it| {
                it.skip_head();
                it.deliver(b"the second");
                it.complete([SOP | EOP, 60]);
            },
            UsedNotHead,
        ),
        (
            "D2: a frame that begins with a body",
            |it| it.complete([BODY_RING | SOP | EOP, 60]),
            UsedNotHead,
        ),
        ("D2: a frame that begins in the middle", |it| it.complete([EOP, 60]), UsedNotHead),
        (
            "D2: a frame that begins twice",
            |it| {
                it.fill(&[0; 2048], true, [0, 0]);
                it.fill(&[0; 60], true, [EOP, 0]);
            },
            UsedNotHead,
        ),
        ("D4: one byte too many", |it| it.complete([SOP | EOP, 2049]), UsedLen),
        ("D4: as many as can be said", |it| it.complete([SOP | EOP, 0x3fff]), UsedLen),
        (
            "D4: a frame without an end",
            |it| {
                it.fill(&[0; 2048], true, [0, 0]);
                (0..40).for_each(|_| it.fill(&[0; 2048], false, [0, 0]));
            },
            UsedLen,
        ),
        ("all ones", |it| it.complete([u64::MAX, u64::MAX]), UsedId),
    ];
    for &(name, deed, rule) in cases {
        let arena = Arena::new(900);
        let mut bench = Bench::on(&arena, |_| {});
        let mut neighbour = Bench::on(&arena, |_| {});
        bench.act(deed);
        drop(bench.received());
        assert_eq!(bench.fault(), Some(Fault::Ring(rule)), "{name}");
        assert!(!bench.act(|it| it.is_active), "stopped at once");
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

/// The transmit queue is believed no more than the other.
#[test]
fn d1_d2_d5_on_the_transmit_queue() {
    type Deed = fn(&mut FakeDevice);
    let cases: &[(&str, Deed, RingFault)] = &[
        ("a part that is not there", |it| it.complete_transmit(128), UsedId),
        ("the last that can be said", |it| it.complete_transmit(0xfff), UsedId),
        ("a part that the device does not have", |it| it.complete_transmit(9), UsedNotHead),
        ("the second frame first", |it| it.complete_transmit(5), UsedNotHead),
        ("the middle of a frame", |it| it.complete_transmit(1), UsedNotHead),
        (
            "the same once more",
            |it| {
                it.complete_transmit(4);
                it.complete_transmit(4);
            },
            UsedNotHead,
        ),
        (
            "more than there are",
            |it| [4, 5, 6].into_iter().for_each(|last| it.complete_transmit(last)),
            UsedNotHead,
        ),
    ];
    for &(name, deed, rule) in cases {
        let mut bench = Bench::new();
        assert!(bench.send(&[0; 9_000]), "in five parts");
        assert!(bench.send(&[0; 60]));
        bench.act(deed);
        bench.pass(100);
        assert_eq!(bench.fault(), Some(Fault::Ring(rule)), "{name}");
        bench.pass(1_000);
        bench.assert_works();
        bench.end();
    }
}

/// What came before the broken rule in the same batch was good and is kept.
#[test]
fn frames_before_a_fault_are_delivered() {
    let mut bench = Bench::new();
    bench.act(|it| {
        it.deliver(b"good");
        it.complete([SOP | EOP | 777, 60]);
    });
    let received = bench.received();
    assert_eq!(&*received[0], b"good");
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedId)));
    drop(received);
    bench.end();
}

/// The device says itself that a queue has stopped.
#[test]
fn d16_a_queue_that_stops_is_begun_anew() {
    for event in [EVENT_RECEIVE_ERROR, EVENT_TRANSMIT_ERROR] {
        let mut bench = Bench::new();
        assert!(bench.send(b"in flight"));
        bench.act(|it| it.announce(event));
        bench.pass(100);
        assert_eq!(bench.fault(), Some(Fault::NeedsReset));
        bench.pass(1_000);
        bench.assert_works();
        bench.end();
    }
}

#[test]
fn d16_a_device_that_hangs_is_reset() {
    let mut bench = Bench::new();
    let before = bench.owned_by_rings();
    (0..3).for_each(|_| assert!(bench.send(b"waits for ever")));
    bench.pass(2_100);
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
fn a_link_that_is_down_is_no_standstill() {
    let mut bench = Bench::new();
    bench.act(|it| {
        it.is_link_up = false;
        it.announce(EVENT_LINK);
    });
    bench.pass(100);
    assert_eq!((bench.nic.state(), bench.nic.speed_mbit()), (NicState::LinkDown, None));
    assert!(bench.send(b"into the void"));
    bench.pass(60_000);
    assert_eq!((bench.fault(), bench.nic.counters().tx_stall), (None, 0));
    bench.act(|it| {
        it.is_link_up = true;
        it.announce(EVENT_LINK);
    });
    bench.pass(100);
    assert_eq!(bench.transmitted().len(), 1);
    bench.assert_works();
    bench.end();
}

#[test]
fn d16_buffers_stay_out_of_the_pool_until_the_device_has_stopped() {
    let mut bench = Bench::new();
    assert!(bench.send(b"in flight"));
    let kept = bench.pool.free();
    bench.act(|it| {
        it.never_resets = true;
        it.complete([SOP | EOP | 777, 60]);
    });
    bench.received();
    bench.pass(900);
    assert_eq!(bench.pool.free(), kept);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Reset));
    assert_eq!(bench.pool.free(), kept);

    bench.act(|it| it.never_resets = false);
    bench.pass(100);
    assert_eq!(bench.pool.free(), bench.pool.total());
    bench.pass(1_900);
    bench.assert_works();
    bench.end();
}

/// A device that was pulled out answers with ones, and keeps what it had until it is back.
#[test]
fn a_device_that_is_gone_is_missed_and_welcomed_back() {
    let mut bench = Bench::new();
    bench.act(|it| it.is_gone = true);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Config));
    assert!(bench.nic.arm(), "nothing to wake for");
    bench.pass(10_000);
    assert!(bench.fault().is_some());
    bench.act(|it| it.is_gone = false);
    bench.pass(20_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn d13_d15_another_device_stays_broken() {
    type Change = fn(&mut FakeDevice);
    let cases: &[(Change, Change, Fault)] = &[
        (|it| it.mac[5] ^= 1, |it| it.mac[5] ^= 1, Fault::Config),
        (|it| it.revisions = REVISION_1, |it| it.revisions = 3, Fault::Handshake),
        (|it| it.refuses = true, |it| it.refuses = false, Fault::Handshake),
    ];
    for &(change, undo, fault) in cases {
        let mut bench = Bench::new();
        bench.act(|it| {
            it.announce(EVENT_RECEIVE_ERROR);
            change(it);
        });
        bench.pass(1_200);
        assert_eq!(bench.fault(), Some(fault), "not after the reset either");
        bench.act(undo);
        bench.pass(2_000);
        bench.assert_works();
        bench.end();
    }
}

/// 1,000 times down and up with frames on their way: none is lost, no buffer either.
#[test]
fn d13_a_link_that_flaps() {
    let mut bench = Bench::new();
    let before = bench.owned_by_rings();
    for flap in 0..1_000_u16 {
        for (is_up, state) in [(false, NicState::LinkDown), (true, NicState::Up)] {
            bench.act(|it| {
                it.is_link_up = is_up;
                it.announce(EVENT_LINK);
            });
            if !is_up {
                assert!(bench.send(&flap.to_le_bytes()));
            }
            bench.pass(100);
            assert_eq!(bench.nic.state(), state);
        }
        assert_eq!(bench.transmitted(), [flap.to_le_bytes()]);
    }
    bench.pass(100);
    assert_eq!(bench.owned_by_rings(), before);
    bench.end();
}

/// Pulled out with everything in its hands: nothing waits for it, and all of that comes back.
#[test]
fn a_device_that_is_pulled_out_keeps_no_buffer() {
    for looked_at_ms in [0, 100, 10_000] {
        let mut bench = Bench::new();
        assert!(bench.send(b"on its way"));
        let pool = bench.pool;
        bench.act(|it| it.is_gone = true);
        bench.pass(looked_at_ms);
        bench.received();
        bench.nic.arm();
        bench.nic.lost();
        assert_eq!(pool.free(), pool.total(), "after {looked_at_ms} ms");
        drop(bench.nic);
        assert_eq!(pool.free(), pool.total());
    }
}
