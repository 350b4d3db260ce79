//! F16: a device that writes whatever comes to its mind.

use super::*;
use crate::pool::FRAME_BYTES_MAX;
use crate::virtio::fake::Random;
use crate::virtio::fake::net::{FakeQueue, OFFLOADS};

/// Frames that the test holds, full of a pattern that nobody may touch.
const WITNESSES: usize = 16;

const IDS: [u32; 9] = [0, 1, 3, 7, 8, 9, 0xffff, 0x1_0000, u32::MAX];
const LENGTHS: [u32; 12] = [0, 11, 12, 13, 60, 72, 1530, 1531, 2060, 2061, 0x1_0000, u32::MAX];
const JUMPS: [u16; 6] = [0, 1, 8, 9, 0x8000, 0xffff];

/// TCP over IPv4 to be cut, in two buffers.
const TO_CUT: Header = [1, 1, 0, 0, 0xa8, 5, 34, 0, 16, 0, 2, 0];

/// A header of either kind, now and then with one wrong byte.
fn any_header(random: &mut Random) -> Header {
    let mut header = random.one_of(&[PLAIN, TO_CUT]);
    if random.below(4) == 0 {
        header[random.below(12)] = random.one_of(&[0, 1, 2, 3, 0x7f, 0xff]);
    }
    header
}

/// One deed, honest more often than not, so that the port is running most of the time.
fn act(ring: &mut FakeQueue, random: &mut Random) {
    ring.lies = true;
    ring.fetch();
    match random.below(48) {
        0 => ring.answer(random.one_of(&IDS), random.one_of(&LENGTHS)),
        1 => ring.used = ring.used.wrapping_add(random.one_of(&JUMPS)),
        2 => {
            let id = random.below(8) as u32;
            ring.answer(id, random.one_of(&LENGTHS));
        }
        _ => {
            if ring.held.len() > 40 && ring.held.iter().all(|held| held.len == RECEIVE_BYTES) {
                let bytes = vec![0x55; random.one_of(&[1, 2060, 9000, 65_000])];
                ring.deliver_with(any_header(random), &bytes);
            }
            let Some(posted) = ring.held.pop_front() else {
                return;
            };
            let header = any_header(random);
            let written_bytes = random.one_of(&[12, 13, 72, 1530, 1531, 2060]).min(posted.len);
            if posted.len == RECEIVE_BYTES {
                ring.fill(&posted, &header, &[0x55; 60]);
            }
            ring.answer(posted.id.into(), written_bytes);
        }
    }
    ring.show();
}

#[test]
fn f16_d1_to_d6_random_used_rings() {
    misuse(OFFERED, 8, 100_000);
}

#[test]
fn f16_d8_to_d12_random_headers_with_every_offload() {
    let counters = misuse(OFFERED | OFFLOADS, 64, 20_000);
    let refused = [counters.rx_num_buffers, counters.rx_csum_range, counters.rx_gso];
    assert!(refused.iter().all(|&count| count > 0), "{counters:?}");
    assert!(counters.rx_bytes > 2_000 * counters.rx_frames, "long frames were among them");
}

fn misuse(offered: u64, size: u16, steps: usize) -> NicCounters {
    let arena = Arena::new(5 * usize::from(size) + 64);
    let witnesses: Vec<Frame> =
        (0..WITNESSES).map(|_| arena.pool.take_copy(&[0xa5; 2048]).unwrap()).collect();
    let mut bench = Bench::on(&arena, |device| {
        device.set(|it| (it.offered, it.sizes) = (offered, [size.into(); 2]));
    });
    let mut random = Random(16);
    let mut faults_seen = std::collections::BTreeMap::new();
    for _ in 0..steps {
        if random.below(2) == 0 {
            bench.device.receive(|ring| act(ring, &mut random));
        } else {
            bench.device.transmit(|ring| act(ring, &mut random));
        }
        let received = bench.received();
        // What came in goes out again, as in a switch; what is not taken is dropped.
        for frame in received {
            let is_cut = frame.offload().segments.is_some();
            let len_max = if is_cut { FRAME_BYTES_MAX } else { WIRE_BYTES_MAX };
            assert!((1..=len_max).contains(&frame.total_len()));
            let _ = bench.nic.send(frame);
        }
        bench.send(&[0x77; 60]);
        bench.pass(100);
        assert_eq!(bench.astray(), WITNESSES);
        if let Some(fault) = bench.fault() {
            *faults_seen.entry(fault.as_str()).or_insert(0) += 1;
            while bench.fault().is_some() {
                bench.pass(1_000);
            }
        }
    }
    let names: Vec<&str> = faults_seen.into_keys().collect();
    assert_eq!(names, ["used_id", "used_idx", "used_len", "used_not_head"]);
    for witness in &witnesses {
        assert!(witness.iter().all(|&byte| byte == 0xa5), "written to");
    }
    let counters = *bench.nic.counters();
    assert_eq!(counters.faults, counters.resets, "each fault was healed at the first try");
    assert!(counters.rx_frames > 0 && counters.tx_frames > 0);
    let pool = bench.pool;
    drop(bench.nic);
    drop(witnesses);
    assert_eq!(pool.free(), pool.total());
    counters
}
