//! F16: a device that writes whatever comes to its mind.

use super::*;
use crate::fake::Random;
use crate::pool::FRAME_BYTES_MAX;
use crate::vmxnet3::fake::{BODY_RING, EOP, SOP};

/// Frames that the test holds, full of a pattern that nobody may touch.
const WITNESSES: usize = 16;

const LENGTHS: [u64; 8] = [0, 1, 60, 2047, 2048, 2049, 9_000, 0x3fff];

/// One deed, honest more often than not, so that the port is running most of the time.
fn act(device: &mut FakeDevice, random: &mut Random) {
    if !device.has_buffers() {
        return;
    }
    match random.below(60) {
        0 => device.complete([random.next(), random.next()]),
        1 => {
            let at = random.one_of(&[0, 1, 63, 64, 255, 256, 0xfff]);
            let ring = random.one_of(&[SOP, BODY_RING, SOP | BODY_RING, SOP | 2 << 16]);
            device.complete([at | ring | EOP, random.one_of(&LENGTHS)]);
        }
        2 => device.complete_transmit(random.below(140) as u64),
        3 => device.skip_head(),
        4 => device.fill(&[0x55; 100], true, [0, 0]),
        5 => device.deliver_joined(&[0x45; 3_000], random.one_of(&[0, 1, 1448, 0xffff])),
        6..12 => drop(device.send_one()),
        _ => {
            let len = random.one_of(&[1, 60, 1514, 2048, 2049, 9_000]);
            device.deliver(&vec![0x55; len]);
        }
    }
    if random.below(8) > 0 {
        device.transmitted();
    }
}

#[test]
fn f16_random_completions() {
    let arena = Arena::new(700);
    let witnesses: Vec<Frame> =
        (0..WITNESSES).map(|_| arena.pool.take_copy(&[0xa5; 2048]).unwrap()).collect();
    let mut bench = Bench::on(&arena, |_| {});
    let mut random = Random(16);
    let mut faults_seen = std::collections::BTreeMap::new();
    for _ in 0..10_000 {
        bench.act(|it| act(it, &mut random));
        for frame in bench.received() {
            assert!((1..=FRAME_BYTES_MAX).contains(&frame.total_len()));
            if bench.nic.takes(&frame) {
                let _ = bench.nic.send(frame);
            }
        }
        bench.send(&[0x77; 60]);
        bench.pass(100);
        if let Some(fault) = bench.fault() {
            *faults_seen.entry(fault.as_str()).or_insert(0) += 1;
            while bench.fault().is_some() {
                bench.pass(1_000);
            }
        }
    }
    // One that completes nothing more hangs.
    let names: Vec<&str> = faults_seen.keys().copied().collect();
    assert_eq!(names, ["tx_stall", "used_id", "used_len", "used_not_head"], "{faults_seen:?}");
    for witness in &witnesses {
        assert!(witness.iter().all(|&byte| byte == 0xa5), "written to");
    }
    let counters = *bench.nic.counters();
    assert_eq!(counters.faults, counters.resets, "each fault was healed at the first try");
    assert!(counters.rx_frames > 3_000 && counters.tx_frames > 3_000, "{counters:?}");
    let pool = bench.pool;
    drop(bench.nic);
    drop(witnesses);
    assert_eq!(pool.free(), pool.total());
}
