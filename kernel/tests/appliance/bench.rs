//! An appliance whose NICs are queues in memory, and the far ends of their cables.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use drivers::{Abilities, Batch, Frame, Nic, NicCounters, NicState, Offload, Pool};
use kernel::appliance::{Appliance, Attached, Turn};
use lb::{Capacity, Command, Dataplane, Instant, PortId, Role};

/// A frame on a cable, and what it leaves undone.
pub type Sent = (Vec<u8>, Offload);

/// The far end of a cable.
pub struct Cable {
    pub to_switch: VecDeque<Sent>,
    pub from_switch: Vec<Sent>,
    queued: usize,
    pub flushes: usize,
    /// Frames that the ring takes between two looks of the far end.
    pub room: usize,
    pub abilities: Abilities,
    pub state: Option<NicState>,
    pub armed: bool,
}

impl Default for Cable {
    fn default() -> Cable {
        Cable {
            to_switch: VecDeque::new(),
            from_switch: Vec::new(),
            queued: 0,
            flushes: 0,
            room: usize::MAX,
            abilities: Abilities::default(),
            state: None,
            armed: false,
        }
    }
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
            let Some((bytes, offload)) = cable.to_switch.pop_front() else { return };
            let mut frame = self.pool.take_copy(&bytes).expect("the test's pool suffices");
            frame.set_offload(offload);
            batch.push(frame).map_err(drop).expect("there is room");
        }
    }

    fn is_waiting(&self) -> bool {
        !self.cable.borrow().to_switch.is_empty()
    }

    fn abilities(&self) -> Abilities {
        self.cable.borrow().abilities
    }

    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        let mut cable = self.cable.borrow_mut();
        assert!(cable.abilities.cover(frame.offload()), "{frame:?} is not for this NIC");
        if cable.from_switch.len() >= cable.room {
            self.counters.tx_full += 1;
            return Err(frame);
        }
        let bytes = frame.further().fold(frame.to_vec(), |bytes, part| [&bytes, part].concat());
        cable.from_switch.push((bytes, frame.offload()));
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

    fn lost(&mut self) {}

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "fake"
    }
}

pub struct Bench {
    pub appliance: Appliance,
    pub cables: Vec<Rc<RefCell<Cable>>>,
    pub pool: &'static Pool,
    now: Instant,
}

impl Bench {
    /// An uplink and `guests` guest ports, one turn old.
    pub fn new(guests: usize) -> Bench {
        let pool = Pool::new(512);
        let cables: Vec<_> = (0..=guests).map(|_| Rc::new(RefCell::default())).collect();
        let attached = |cable: &Rc<RefCell<Cable>>| Attached {
            nic: Box::new(FakeNic { cable: cable.clone(), pool, counters: NicCounters::default() }),
            pci: None,
        };
        let nics = cables.iter().map(attached).collect();
        let dataplane = Dataplane::new(Capacity { flows: 64, macs: 64, clients: 64 }, 7);
        let appliance = Appliance::new(dataplane, pool, nics);
        let mut bench = Bench { appliance, cables, pool, now: Instant::START };
        for at in 0..=guests {
            let role = if at == 0 { Role::Uplink } else { Role::Guest };
            let name = format!("p{at}").parse().unwrap();
            bench.apply(Command::SetPort { port: port(at), name, role });
        }
        bench.turn();
        bench
    }

    pub fn apply(&mut self, command: Command) {
        self.appliance.apply(&command).unwrap();
    }

    pub fn turn(&mut self) -> Turn {
        self.now = self.now + Duration::from_millis(100);
        self.appliance.turn(self.now)
    }

    pub fn put(&self, at: usize, frame: &[u8]) {
        self.put_with(at, (frame.to_vec(), Offload::default()));
    }

    pub fn put_with(&self, at: usize, sent: Sent) {
        self.cables[at].borrow_mut().to_switch.push_back(sent);
    }

    /// What came out there, of which nothing is left to do.
    pub fn taken(&self, at: usize) -> Vec<Vec<u8>> {
        let done = |(bytes, offload)| {
            assert_eq!(offload, Offload::default());
            bytes
        };
        self.taken_with(at).into_iter().map(done).collect()
    }

    pub fn taken_with(&self, at: usize) -> Vec<Sent> {
        std::mem::take(&mut self.cables[at].borrow_mut().from_switch)
    }
}

pub fn port(at: usize) -> PortId {
    PortId::new(at).unwrap()
}

/// A frame without IP, from one station to another.
pub fn frame(source: u8, destination: u8) -> Vec<u8> {
    let mut frame = vec![0x52, 0, 0, 0, 0, destination, 0x52, 0, 0, 0, 0, source, 0x88, 0xb5];
    frame.resize(60, source);
    frame
}
