//! What a device must be to become a port, and what it is told.

use super::*;

#[test]
fn the_revision_decides_what_may_be_put_together() {
    for (revisions, chosen, features) in
        [(1, REVISION_1, 0), (2, REVISION_2, 9), (3, REVISION_2, 9), (0xff, REVISION_2, 9)]
    {
        let bench = Bench::on(&Arena::new(600), |it| it.revisions = revisions);
        assert_eq!(bench.act(|it| (it.revision, it.features())), (chosen, features));
        bench.end();
    }
}

#[test]
fn a_port_is_told_apart_by_its_address_and_has_a_speed() {
    let bench = Bench::new();
    assert_eq!((bench.nic.mac(), bench.nic.driver()), (MAC, "vmxnet3"));
    assert_eq!(bench.nic.abilities().to_string(), "csum tso4 tso6");
    assert_eq!(bench.nic.speed_mbit(), Some(10_000));
    assert!(!bench.act(|it| it.wants_interrupts()), "no interrupts while the loop polls");
    bench.end();
}

#[test]
fn d15_a_device_that_cannot_be_used_is_absent_for_a_reason() {
    type Change = fn(&mut FakeDevice);
    let cases: &[(Change, Absent)] = &[
        (|it| it.never_resets = true, Absent::NoReset),
        (|it| it.is_gone = true, Absent::NoReset),
        (|it| it.revisions = 0, Absent::FeaturesRefused),
        (|it| it.refuses = true, Absent::FeaturesRefused),
        (|it| it.mac = [0; 6], Absent::Mac([0; 6])),
        (|it| it.mac = [0xff; 6], Absent::Mac([0xff; 6])),
    ];
    for &(change, reason) in cases {
        let arena = Arena::new(400);
        let (device, doorbells, control) = FakeDevice::new(&arena);
        change(&mut device.borrow_mut());
        let nic = Vmxnet3::new(doorbells, control, arena.pool);
        assert_eq!(nic.err(), Some(reason));
        assert_eq!(arena.pool.free(), 400, "{reason}");
    }
}
