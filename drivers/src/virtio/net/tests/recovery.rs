//! A device that breaks the rules, stands still or changes its mind, and how its port comes back.

use super::*;

/// What a device does to its used ring, and the rule that this breaks.
#[test]
fn d1_d2_d4_d5_d6_a_broken_rule_breaks_one_port_and_is_healed_by_a_reset() {
    type Deed = fn(&mut crate::virtio::fake::net::FakeQueue);
    let cases: &[(Deed, RingFault)] = &[
        (|ring| ring.answer(8, 72), UsedId),
        (|ring| ring.answer(0x1_0000, 72), UsedId),
        (|ring| ring.answer(u32::MAX, 72), UsedId),
        (
            |ring| {
                let id = ring.fetch()[0].id.into();
                ring.answer(id, 72);
                ring.answer(id, 72);
            },
            UsedNotHead,
        ),
        (|ring| ring.answer(0, RECEIVE_BYTES + 1), UsedLen),
        (|ring| ring.answer(0, u32::MAX), UsedLen),
        (|ring| ring.used = 9, UsedIdx),
        (|ring| ring.used = 0xffff, UsedIdx),
    ];
    for &(deed, rule) in cases {
        let arena = Arena::new(96);
        let mut bench = Bench::on(&arena, |_| {});
        let mut neighbour = Bench::on(&arena, |_| {});
        bench.device.receive(|ring| {
            ring.fetch();
            deed(ring);
            ring.show();
        });
        bench.received();
        assert_eq!(bench.fault(), Some(Fault::Ring(rule)));
        assert_eq!(bench.device.get(|it| it.resets), 2, "stopped at once");

        assert_eq!(bench.received().len(), 0);
        assert!(!bench.send(b"nobody takes this"));
        assert_eq!(bench.nic.counters().tx_broken, 1);
        neighbour.assert_works();

        bench.pass(1_000);
        bench.assert_works();
        assert_eq!((bench.nic.counters().faults, bench.nic.counters().resets), (1, 1));
        drop(neighbour.nic);
        bench.end();
    }
}

/// The transmit ring is believed no more than the other.
#[test]
fn d1_d2_d4_d5_on_the_transmit_ring() {
    type Deed = fn(&mut crate::virtio::fake::net::FakeQueue);
    let cases: &[(Deed, RingFault)] = &[
        (|ring| ring.answer(0x1_0000, 0), UsedId),
        (|ring| ring.answer(7, 0), UsedNotHead),
        (|ring| ring.answer(0, 73), UsedLen),
        (|ring| ring.used = 2, UsedIdx),
    ];
    for &(deed, rule) in cases {
        let mut bench = Bench::new();
        assert!(bench.send(&[0; 60]));
        bench.device.transmit(|ring| {
            deed(ring);
            ring.show();
        });
        bench.pass(100);
        assert_eq!(bench.fault(), Some(Fault::Ring(rule)));
        bench.pass(1_000);
        bench.assert_works();
        bench.end();
    }
}

/// What came before the broken rule in the same batch was good and is kept.
#[test]
fn frames_before_a_fault_are_delivered() {
    let mut bench = Bench::new();
    bench.device.receive(|ring| {
        ring.deliver(b"good");
        ring.answer(77, 72);
        ring.show();
    });
    let received = bench.received();
    assert_eq!(&*received[0], b"good");
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedId)));
    drop(received);
    bench.end();
}

#[test]
fn d16_buffers_stay_out_of_the_pool_until_the_reset_is_confirmed() {
    let mut bench = Bench::new();
    assert!(bench.send(b"in flight"));
    assert!(bench.send(b"in flight"));
    bench.device.set(|it| it.ignores_reset = true);
    bench.device.receive(|ring| ring.show_index(99));
    bench.received();
    assert_eq!(bench.fault(), Some(Fault::Ring(UsedIdx)));
    let kept = bench.pool.total() - 8 - 2;
    assert_eq!(bench.pool.free(), kept);
    bench.pass(900);
    assert_eq!(bench.pool.free(), kept);

    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Reset), "asked for a second time");
    assert_eq!(bench.device.get(|it| it.resets), 3);
    assert_eq!(bench.pool.free(), kept);

    bench.device.set(|it| it.ignores_reset = false);
    bench.device.set(|it| it.status = DeviceStatus::empty());
    bench.pass(100);
    assert_eq!(bench.pool.free(), bench.pool.total(), "confirmed");
    bench.pass(1_900);
    bench.assert_works();
    bench.end();
}

#[test]
fn d16_a_port_dropped_with_an_unproven_device_keeps_its_frames() {
    let bench = Bench::new();
    bench.device.set(|it| it.ignores_reset = true);
    let pool = bench.pool;
    drop(bench.nic);
    assert_eq!(pool.total() - pool.free(), 8);
}

#[test]
fn d16_needs_reset_is_heard() {
    let mut bench = Bench::new();
    bench.device.set(|it| it.status |= DeviceStatus::DEVICE_NEEDS_RESET);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::NeedsReset));
    bench.pass(1_000);
    bench.assert_works();
    bench.end();
}

/// F13: a peer that is stopped for a minute finds its port as it was.
#[test]
fn d16_transmission_that_stands_still_is_counted_and_long_after_given_up() {
    let mut bench = Bench::new();
    assert!(bench.send(b"waits"));
    bench.pass(1_900);
    assert_eq!(bench.nic.counters().tx_stall, 0);
    bench.pass(60_000);
    assert_eq!(bench.nic.counters().tx_stall, 1, "once a standstill");
    assert_eq!(bench.device.transmit(|ring| ring.transmitted()), [b"waits"]);
    bench.pass(100);
    bench.assert_works();

    assert!(bench.send(b"waits for ever"));
    bench.pass(119_900);
    assert_eq!(bench.fault(), None);
    bench.pass(200);
    assert_eq!(bench.fault(), Some(Fault::TxStall));
    bench.pass(1_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn a_link_that_is_down_is_no_standstill() {
    let mut bench = Bench::new();
    bench.device.set(|it| it.kind.link_status = 0);
    bench.pass(100);
    assert!(bench.send(b"into the void"));
    bench.pass(300_000);
    assert_eq!(bench.nic.state(), NicState::LinkDown);
    assert_eq!(bench.nic.counters().tx_stall, 0);
    bench.end();
}

#[test]
fn d16_the_reset_is_tried_after_1_2_4_and_at_most_60_seconds() {
    let mut bench = Bench::new();
    bench.device.receive(|ring| ring.show_index(99));
    bench.received();
    bench.device.set(|it| it.refuses_features = true);
    let mut waits_ms = Vec::new();
    let mut since_ms = bench.now_ms;
    while waits_ms.len() < 9 {
        let resets = bench.nic.counters().resets;
        bench.pass(100);
        if bench.nic.counters().resets > resets {
            waits_ms.push(bench.now_ms - since_ms);
            since_ms = bench.now_ms;
        }
    }
    let seconds: Vec<u64> = waits_ms.iter().map(|ms| ms / 1000).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(bench.fault(), Some(Fault::Handshake));

    bench.device.set(|it| it.refuses_features = false);
    bench.pass(60_000);
    bench.assert_works();
    // A minute without a fault, and the next wait is a short one again.
    bench.pass(60_000);
    bench.device.receive(|ring| ring.show_index(99));
    bench.received();
    bench.pass(1_000);
    bench.assert_works();
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
    bench.device.transmit(|ring| ring.transmitted());
    bench.end();
}

#[test]
fn d13_the_link_is_seen_within_a_tenth_of_a_second() {
    let mut bench = Bench::new();
    for (status, state) in
        [(0, NicState::LinkDown), (1, NicState::Up), (0xfffe, NicState::LinkDown)]
    {
        bench.device.set(|it| it.kind.link_status = status);
        bench.pass(100);
        assert_eq!(bench.nic.state(), state);
    }
    bench.end();
}

#[test]
fn d13_a_configuration_that_never_stands_still() {
    let mut bench = Bench::new();
    bench.device.set(|it| (it.restless, it.generation) = (true, 0));
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Config));
    assert_eq!(bench.device.get(|it| it.generation), 2 * 8, "eight tries");
    bench.pass(1_000);
    assert_eq!(bench.fault(), Some(Fault::Config));
    bench.device.set(|it| it.restless = false);
    bench.pass(2_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn d13_a_mac_address_that_changes() {
    let mut bench = Bench::new();
    bench.device.set(|it| it.kind.mac[5] += 1);
    bench.pass(100);
    assert_eq!(bench.fault(), Some(Fault::Config));
    bench.pass(1_000);
    assert_eq!(bench.fault(), Some(Fault::Config), "not after the reset either");
    bench.device.set(|it| it.kind.mac = MAC);
    bench.pass(2_000);
    bench.assert_works();
    bench.end();
}

#[test]
fn d15_a_device_that_is_less_after_its_reset_stays_broken() {
    let mut bench = Bench::new();
    bench.device.set(|it| it.status |= DeviceStatus::DEVICE_NEEDS_RESET);
    bench.device.set(|it| it.sizes = [4, 8]);
    bench.pass(1_200);
    assert_eq!(bench.fault(), Some(Fault::Handshake));
    bench.device.set(|it| it.sizes = [16, 16]);
    bench.pass(2_000);
    bench.assert_works();
    assert_eq!(bench.nic.receive.size().get(), 8, "as it was");
    bench.end();
}

/// Pulled out with everything in its hands: nothing waits for it, and all of that comes back.
#[test]
fn a_device_that_is_pulled_out_keeps_no_buffer() {
    for looked_at_ms in [0, 100, 10_000] {
        let mut bench = Bench::new();
        assert!(bench.send(b"on its way"));
        let pool = bench.pool;
        bench.device.set(|it| it.is_gone = true);
        bench.pass(looked_at_ms);
        bench.received();
        bench.nic.arm();
        bench.nic.lost();
        assert_eq!(pool.free(), pool.total(), "after {looked_at_ms} ms");
        drop(bench.nic);
        assert_eq!(pool.free(), pool.total());
    }
}
