use super::fake::{FakeChip, Handle, MAC};
use super::*;
use crate::fake::{Arena, numbered, whole};

mod offload;
mod random;
mod recovery;
mod setup;
mod traffic;

/// A running port, its chip, and the pool below.
struct Bench {
    pool: &'static Pool,
    chip: Handle,
    nic: E1000e<Handle>,
    now_ms: u64,
}

impl Bench {
    fn new() -> Bench {
        Bench::on(&Arena::new(600), |_| {})
    }

    fn on(arena: &Arena, change: impl FnOnce(&mut FakeChip)) -> Bench {
        let chip = Handle::new(arena);
        chip.act(change);
        let nic = E1000e::new(chip.clone(), 20, arena.pool).unwrap();
        let mut bench = Bench { pool: arena.pool, chip, nic, now_ms: 5_000 };
        bench.nic.service(bench.now_ms);
        bench
    }

    fn received(&mut self) -> Vec<Frame> {
        let mut batch = Batch::new();
        self.nic.receive(&mut batch);
        batch.into_iter().collect()
    }

    /// Sends one frame, and whether it was taken.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let frame = self.pool.take_copy(bytes).unwrap();
        let sent = self.nic.send(frame).is_ok();
        self.nic.flush();
        sent
    }

    fn transmitted(&self) -> Vec<Vec<u8>> {
        self.chip.act(FakeChip::transmitted)
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            self.nic.service(self.now_ms);
        }
    }

    fn fault(&self) -> Option<Fault> {
        match self.nic.state() {
            NicState::Broken(fault) => Some(fault),
            NicState::Up | NicState::LinkDown | NicState::Absent => None,
        }
    }

    /// What changed in the counters since `before`, by name.
    fn moved(&self, before: &NicCounters) -> Vec<(&'static str, u64)> {
        let pairs = self.nic.counters().iter().zip(before.iter());
        pairs
            .filter(|((_, after), (_, before))| after != before)
            .map(|((name, after), (_, before))| (name, after - before))
            .collect()
    }

    /// Buffers that are free once the port has given back what was sent.
    fn owned_by_rings(&self) -> usize {
        self.pool.total() - self.pool.free()
    }

    /// The port works: a frame goes in, another out.
    fn assert_works(&mut self) {
        assert_eq!(self.nic.state(), NicState::Up);
        self.chip.act(|it| it.deliver(b"a frame for us"));
        let received = self.received();
        assert_eq!(received.len(), 1);
        assert_eq!(&*received[0], b"a frame for us");
        assert!(self.send(b"a frame from us"));
        assert_eq!(self.transmitted().last().unwrap(), b"a frame from us");
    }

    /// The end of each test: every buffer comes back.
    fn end(self) {
        let pool = self.pool;
        drop(self.nic);
        assert_eq!(pool.free(), pool.total());
    }
}
