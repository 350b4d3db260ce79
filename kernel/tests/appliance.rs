//! The poll loop among NICs that are queues: who owns each frame, and what the loop never does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use drivers::{Batch, Fault, Frame, Nic, NicCounters, NicState, Pool};
use kernel::appliance::{Appliance, Attached, Turn};
use lb::{Capacity, Command, Dataplane, DropReason, Instant, PortId, Role};

/// The far end of a cable.
#[derive(Default)]
struct Cable {
    to_switch: VecDeque<Vec<u8>>,
    from_switch: Vec<Vec<u8>>,
    queued: usize,
    flushes: usize,
    is_full: bool,
    state: Option<NicState>,
    armed: bool,
}

struct FakeNic {
    cable: Rc<RefCell<Cable>>,
    pool: &'static Pool,
    counters: NicCounters,
}

impl Nic for FakeNic {
    fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, 1]
    }

    fn state(&self) -> NicState {
        self.cable.borrow().state.unwrap_or(NicState::Up)
    }

    fn receive(&mut self, batch: &mut Batch) {
        let mut cable = self.cable.borrow_mut();
        while !batch.is_full() {
            let Some(bytes) = cable.to_switch.pop_front() else { return };
            let frame = self.pool.take_copy(&bytes).expect("the test's pool suffices");
            batch.push(frame).map_err(drop).expect("there is room");
        }
    }

    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        let mut cable = self.cable.borrow_mut();
        if cable.is_full {
            self.counters.tx_full += 1;
            return Err(frame);
        }
        cable.from_switch.push(frame.to_vec());
        cable.queued += 1;
        Ok(())
    }

    fn flush(&mut self) {
        let mut cable = self.cable.borrow_mut();
        assert!(cable.queued > 0, "nothing to publish");
        (cable.queued, cable.flushes) = (0, cable.flushes + 1);
    }

    fn service(&mut self, _now_ms: u64) {}

    fn arm(&mut self) -> bool {
        let mut cable = self.cable.borrow_mut();
        cable.armed = cable.to_switch.is_empty();
        cable.armed
    }

    fn disarm(&mut self) {
        self.cable.borrow_mut().armed = false;
    }

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "fake"
    }
}

struct Bench {
    appliance: Appliance,
    cables: Vec<Rc<RefCell<Cable>>>,
    pool: &'static Pool,
    now: Instant,
}

impl Bench {
    /// An uplink and `guests` guest ports, one turn old.
    fn new(guests: usize) -> Bench {
        let pool = Pool::new(512);
        let cables: Vec<_> = (0..=guests).map(|_| Rc::new(RefCell::default())).collect();
        let attached = |cable: &Rc<RefCell<Cable>>| Attached {
            nic: Box::new(FakeNic { cable: cable.clone(), pool, counters: NicCounters::default() }),
            pci: None,
        };
        let nics = cables.iter().map(attached).collect();
        let dataplane = Dataplane::new(Capacity { flows: 64, macs: 64 }, 7);
        let appliance = Appliance::new(dataplane, pool, nics);
        let mut bench = Bench { appliance, cables, pool, now: Instant::START };
        for at in 0..=guests {
            let role = if at == 0 { Role::Uplink } else { Role::Guest };
            let name = format!("p{at}").parse().unwrap();
            bench.appliance.apply(&Command::SetPort { port: port(at), name, role }).unwrap();
        }
        bench.turn();
        bench
    }

    fn turn(&mut self) -> Turn {
        self.now = self.now + Duration::from_millis(100);
        self.appliance.turn(self.now)
    }

    fn put(&self, at: usize, frame: &[u8]) {
        self.cables[at].borrow_mut().to_switch.push_back(frame.to_vec());
    }

    fn taken(&self, at: usize) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.cables[at].borrow_mut().from_switch)
    }
}

fn port(at: usize) -> PortId {
    PortId::new(at).unwrap()
}

fn frame(source: u8, destination: u8) -> Vec<u8> {
    let mut frame = vec![0x52, 0, 0, 0, 0, destination, 0x52, 0, 0, 0, 0, source, 0x88, 0xb5];
    frame.resize(60, source);
    frame
}

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
    bench.cables[2].borrow_mut().is_full = true;
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
    report.splice(12.., [8, 0, 0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1]);
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
