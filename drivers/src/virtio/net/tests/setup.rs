//! What a device must be to become a port.

use super::*;
use crate::virtio::fake::FakeDevice;
use crate::virtio::fake::net::Net;

#[test]
fn without_the_status_feature_the_link_is_up() {
    let bench = Bench::with(|device| {
        device.set(|it| (it.offered, it.kind.link_status) = (OFFERED & !STATUS, 0));
    });
    assert_eq!(bench.nic.state(), NicState::Up);
    bench.end();
}

#[test]
fn only_features_that_are_used_are_taken() {
    let bench = Bench::new();
    let accepted = bench.device.get(|it| it.accepted);
    assert_eq!(accepted, 1 << 32 | 1 << 16 | 1 << 15 | 1 << 5);
    assert_eq!(bench.nic.mac(), MAC);
    assert_eq!(bench.nic.driver(), "virtio-net");
    bench.end();
}

/// Multiqueue, a half of a pair, packed rings, indirect descriptors and whatever is yet to come: offered,
/// and left.
#[test]
fn of_a_device_that_offers_everything_little_is_taken() {
    let arena = Arena::new(300);
    let bench = Bench::on(&arena, |device| {
        device.set(|it| (it.offered, it.sizes) = (u64::MAX, [1024; 2]));
    });
    let accepted = bench.device.get(|it| it.accepted);
    let offloads = 0b1_1001_1000_0011 | 0b111 << 54;
    assert_eq!(accepted, 1 << 33 | 1 << 32 | 1 << 16 | 1 << 15 | 1 << 5 | offloads);
    bench.end();
}

#[test]
fn d15_a_device_that_cannot_be_used_is_absent_for_a_reason() {
    type Change = fn(&mut FakeDevice<Net>);
    let cases: &[(Change, Absent)] = &[
        (|it| it.offered &= !(1 << 32), Absent::FeaturesMissing { bits: 1 << 32 }),
        (|it| it.offered &= !(1 << 5), Absent::FeaturesMissing { bits: 1 << 5 }),
        (|it| it.refuses_features = true, Absent::FeaturesRefused),
        (|it| (it.ignores_reset, it.status) = (true, DeviceStatus::DRIVER_OK), Absent::NoReset),
        (|it| it.restless = true, Absent::Config),
        (|it| it.kind.mac = [0; 6], Absent::Mac([0; 6])),
        (|it| it.kind.mac = [0xff; 6], Absent::Mac([0xff; 6])),
        (|it| it.sizes[0] = 0, Absent::QueueSize { queue: 0, offered: 0 }),
        (|it| it.sizes[1] = 3, Absent::QueueSize { queue: 1, offered: 3 }),
        (|it| it.sizes[1] = 65_535, Absent::QueueSize { queue: 1, offered: 65_535 }),
        (|it| it.sizes[0] = 65_536, Absent::QueueSize { queue: 0, offered: 65_536 }),
    ];
    for &(change, reason) in cases {
        let arena = Arena::new(32);
        let device = Handle::of(&arena);
        device.set(change);
        let result = VirtioNet::new(device.clone(), device, arena.pool);
        assert_eq!(result.err(), Some(reason));
        assert_eq!(arena.pool.free(), 32, "{reason}");
    }
}

#[test]
fn a_ring_is_at_most_256_and_otherwise_what_the_device_has() {
    for (offered, expected) in [(2, 2), (128, 128), (256, 256), (1024, 256), (32_768, 256)] {
        let arena = Arena::new(300);
        let bench = Bench::on(&arena, |device| device.set(|it| it.sizes = [offered; 2]));
        assert_eq!(bench.nic.receive.size().get(), expected);
        assert_eq!(bench.nic.transmit.size().get(), expected);
        bench.end();
    }
}
