//! F16: a chip that writes whatever comes to its mind.

use super::*;
use crate::e1000e::fake::{DD, EOP};
use crate::fake::Random;

/// Frames that the test holds, full of a pattern that nobody may touch.
const WITNESSES: usize = 16;

const LENGTHS: [u64; 8] = [0, 1, 60, 2047, 2048, 2049, 9_000, 0xffff];

/// One deed, honest more often than not, so that the port is running most of the time.
fn act(chip: &mut FakeChip, random: &mut Random) {
    chip.lies = true;
    if !chip.is_running() || chip.buffers() < 8 {
        return;
    }
    match random.below(40) {
        0 => {
            let status = random.next();
            chip.say(random.below(256) as u16, status);
        }
        1 => chip.say(random.below(256) as u16, DD | EOP | random.one_of(&LENGTHS) << 32),
        2 => chip.fill(&[0x55; 100], DD),
        3 => chip.is_link_up = !chip.is_link_up,
        4..8 => drop(chip.transmit_one()),
        _ => {
            let len = random.one_of(&[1, 60, 1514, 2048, 2049, 9_000]);
            chip.deliver(&vec![0x55; len]);
        }
    }
    if random.below(4) > 0 {
        chip.transmitted();
    }
}

#[test]
fn f16_random_descriptors() {
    let arena = Arena::new(700);
    let witnesses: Vec<Frame> =
        (0..WITNESSES).map(|_| arena.pool.take_copy(&[0xa5; 2048]).unwrap()).collect();
    let mut bench = Bench::on(&arena, |_| {});
    let mut random = Random(16);
    let mut faults_seen = std::collections::BTreeMap::new();
    for _ in 0..15_000 {
        bench.chip.act(|it| act(it, &mut random));
        for frame in bench.received() {
            assert!((1..=WIRE_BYTES_MAX).contains(&frame.total_len()));
            let _ = bench.nic.send(frame);
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
    assert!(
        faults_seen.contains_key("used_len") && faults_seen.contains_key("used_idx"),
        "{faults_seen:?}"
    );
    for witness in &witnesses {
        assert!(witness.iter().all(|&byte| byte == 0xa5), "written to");
    }
    let counters = *bench.nic.counters();
    assert_eq!(counters.faults, counters.resets, "each fault was healed at the first try");
    assert!(counters.rx_frames > 5_000 && counters.tx_frames > 5_000, "{counters:?}");
    let pool = bench.pool;
    drop(bench.nic);
    drop(witnesses);
    assert_eq!(pool.free(), pool.total());
}
