//! What a chip must be to become a port, and what it is told.

use super::*;
use crate::e1000e::fake::FakeChip;

#[test]
fn a_port_takes_every_frame_as_it_was_on_the_wire() {
    let bench = Bench::new();
    bench.chip.act(|it| {
        assert!(it.is_running());
        let all = RCTL_UNICAST_ALL | RCTL_MULTICAST_ALL | RCTL_BROADCAST | RCTL_LONG;
        assert!(it.has(RCTL, all | RCTL_STRIP_CRC));
        assert!(!it.has(CTRL, CTRL_VLAN_MODE), "tags stay where they are");
        assert!(it.has(CTRL, CTRL_SET_LINK_UP));
        assert!(it.has(RFCTL, RFCTL_EXTENDED));
        assert_eq!(it.register(IMS), 0, "no interrupts while the loop polls");
        assert_eq!((it.register(RDLEN), it.register(TDLEN)), (4096, 4096));
    });
    assert_eq!((bench.nic.mac(), bench.nic.driver()), (MAC, "e1000e"));
    assert_eq!(bench.nic.abilities().to_string(), "csum tso4 tso6");
    bench.end();
}

/// Firmware, or the system before us, may have left rings that the chip still fills.
#[test]
fn a_chip_that_was_at_work_is_stopped_and_reset_before() {
    let arena = Arena::new(600);
    let before = Bench::on(&arena, |_| {});
    let chip = before.chip.clone();
    assert!(chip.act(|it| it.is_running()));
    let nic = E1000e::new(chip.clone(), 20, arena.pool).unwrap();
    assert_eq!(chip.act(|it| it.resets), 2);
    drop((before, nic));
    assert_eq!(arena.pool.free(), 600);
}

#[test]
fn d15_a_chip_that_cannot_be_used_is_absent_for_a_reason() {
    type Change = fn(&mut FakeChip);
    let cases: &[(Change, Absent)] = &[
        (|it| it.never_stops = true, Absent::NoReset),
        (|it| it.never_resets = true, Absent::NoReset),
        (|it| it.is_gone = true, Absent::NoReset),
        (|it| it.mac = [0; 6], Absent::Mac([0; 6])),
        (|it| it.mac = [0xff; 6], Absent::Mac([0xff; 6])),
    ];
    for &(change, reason) in cases {
        let arena = Arena::new(300);
        let chip = Handle::new(&arena);
        chip.act(change);
        assert_eq!(E1000e::new(chip, 20, arena.pool).err(), Some(reason));
        assert_eq!(arena.pool.free(), 300, "{reason}");
    }
}

#[test]
fn a_link_has_a_speed_while_it_is_up() {
    let mut bench = Bench::new();
    for (speed, mbit) in [(0, 10), (1, 100), (2, 1000), (3, 1000)] {
        bench.chip.act(|it| it.speed = speed);
        bench.pass(100);
        assert_eq!(bench.nic.speed_mbit(), Some(mbit));
    }
    bench.chip.act(|it| it.is_link_up = false);
    bench.pass(100);
    assert_eq!((bench.nic.state(), bench.nic.speed_mbit()), (NicState::LinkDown, None));
    bench.end();
}
