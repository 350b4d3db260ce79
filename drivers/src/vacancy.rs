//! A port whose NIC is not there: it takes nothing, gives nothing, and says so.

use crate::nic::{Batch, Nic, NicCounters, NicState};
use crate::pool::Frame;

#[derive(Default)]
pub struct Vacancy {
    mac: [u8; 6],
    counters: NicCounters,
}

impl Vacancy {
    /// In the place of a NIC that has this address; zero if nobody knows it.
    pub fn of(mac: [u8; 6]) -> Vacancy {
        Vacancy { mac, counters: NicCounters::default() }
    }
}

impl Nic for Vacancy {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn state(&self) -> NicState {
        NicState::Absent
    }

    fn receive(&mut self, _: &mut Batch) {}

    fn is_waiting(&self) -> bool {
        false
    }

    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        self.counters.tx_broken += 1;
        Err(frame)
    }

    fn flush(&mut self) {}

    fn service(&mut self, _: u64) {}

    fn arm(&mut self) -> bool {
        true
    }

    fn disarm(&mut self) {}

    fn lost(&mut self) {}

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "none"
    }
}
