//! Who owns each frame, and what the loop never does.

use drivers::{Fault, NicState};
use kernel::appliance::Turn;
use lb::DropReason;

use crate::bench::{Bench, frame, port};

#[test]
fn floods_then_forwards_and_every_buffer_comes_back() {
    let mut bench = Bench::new(3);
    bench.put(1, &frame(1, 2));
    assert_eq!(bench.turn(), Turn::Busy);
    assert_eq!([0, 1, 2, 3].map(|at| bench.taken(at).len()), [1, 0, 1, 1]);
    bench.put(2, &frame(2, 1));
    bench.turn();
    assert_eq!([0, 1, 2, 3].map(|at| bench.taken(at)), [vec![], vec![frame(2, 1)], vec![], vec![]]);
    assert_eq!(bench.turn(), Turn::Idle);
    assert_eq!(bench.pool.free(), bench.pool.total());
}

#[test]
fn a_turn_takes_a_bounded_batch_and_publishes_it_once() {
    let mut bench = Bench::new(2);
    bench.put(2, &frame(2, 9));
    bench.turn();
    bench.taken(1);
    let flushes = bench.cables[2].borrow().flushes;
    for _ in 0..40 {
        bench.put(1, &frame(1, 2));
    }
    bench.turn();
    assert_eq!(bench.taken(2).len(), drivers::BATCH);
    assert_eq!(bench.cables[2].borrow().flushes, flushes + 1);
    bench.turn();
    assert_eq!(bench.taken(2).len(), 40 - drivers::BATCH);
}

#[test]
fn a_full_port_loses_its_own_frames_and_no_others() {
    let mut bench = Bench::new(3);
    bench.cables[2].borrow_mut().room = 0;
    bench.put(1, &frame(1, 0xff));
    bench.turn();
    assert_eq!([0, 2, 3].map(|at| bench.taken(at).len()), [1, 0, 1]);
    assert_eq!(bench.appliance.nic(port(2)).unwrap().nic.counters().tx_full, 1);
    assert_eq!(bench.pool.free(), bench.pool.total());
}

#[test]
fn a_broken_device_is_a_port_without_link() {
    let mut bench = Bench::new(2);
    let fault = Fault::NeedsReset;
    for (state, up) in
        [(NicState::Broken(fault), false), (NicState::Up, true), (NicState::LinkDown, false)]
    {
        bench.cables[1].borrow_mut().state = Some(state);
        bench.turn();
        assert_eq!(bench.appliance.dataplane.tables().port(port(1)).unwrap().link_up, up);
        bench.put(2, &frame(2, 0xff));
        bench.turn();
        assert_eq!((bench.taken(0).len(), bench.taken(1).len()), (1, usize::from(up)));
    }
}

#[test]
fn rest_is_asked_of_every_port_or_of_none() {
    let mut bench = Bench::new(2);
    assert!(bench.appliance.arm());
    assert!(bench.cables.iter().all(|cable| cable.borrow().armed));
    bench.appliance.disarm();
    bench.put(1, &frame(1, 2));
    assert!(!bench.appliance.arm());
    assert!(bench.cables.iter().all(|cable| !cable.borrow().armed));
}

#[test]
fn one_port_cannot_fill_the_slow_path() {
    let mut bench = Bench::new(2);
    let mut report = frame(1, 0);
    report.splice(12.., [8, 0, 0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0xc4, 0xcf, 10, 0, 0, 1]);
    report.extend([169, 254, 2, 1, 0, 9, 0x0d, 0x05, 0, 10, 0, 0, b'u', b'p']);
    for _ in 0..30 {
        bench.put(1, &report);
    }
    bench.put(2, &report);
    bench.turn();
    let endings = |at| bench.appliance.dataplane.endings(port(at));
    assert_eq!((endings(1).punted, endings(1).dropped(DropReason::PuntFull)), (16, 14));
    assert_eq!((endings(2).punted, endings(2).dropped(DropReason::PuntFull)), (1, 0));
    assert!([1, 2].iter().all(|&at| endings(at).rx == endings(at).sum()));
    assert_eq!(bench.pool.free(), bench.pool.total());
}
