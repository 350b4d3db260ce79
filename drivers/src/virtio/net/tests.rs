use super::*;
use crate::fake::whole;
use crate::nic::RingFault::{UsedId, UsedIdx, UsedLen, UsedNotHead};
use crate::nic::WIRE_BYTES_MAX;
use crate::virtio::fake::net::{Arena, Handle, MAC, MRG_RXBUF, OFFERED, PLAIN, STATUS};
use crate::virtio::header::Header;
use crate::virtio::ring::RECEIVE_BYTES;

mod offload;
mod random;
mod recovery;
mod setup;
mod traffic;

/// A running port with rings of eight, its device, and the pool below.
struct Bench {
    pool: &'static Pool,
    device: Handle,
    nic: VirtioNet<Handle, Handle>,
    now_ms: u64,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(|_| {})
    }

    fn with(change: impl FnOnce(&Handle)) -> Bench {
        let arena = Arena::new(64);
        Bench::on(&arena, change)
    }

    fn on(arena: &Arena, change: impl FnOnce(&Handle)) -> Bench {
        let device = Handle::of(arena);
        change(&device);
        let nic = VirtioNet::new(device.clone(), device.clone(), arena.pool).unwrap();
        let mut bench = Bench { pool: arena.pool, device, nic, now_ms: 5_000 };
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

    /// The device has its buffers again, but for those that are not worth a look yet.
    fn assert_device_has_all(&self, name: &str) {
        let (posted, astray) = (self.device.receive(|ring| ring.fetch().len()), self.astray());
        let size = usize::from(self.nic.receive.size().get());
        assert!(posted > size - self.nic.refill_room, "{name}: {posted} of {size} posted");
        assert_eq!((posted + self.nic.receive.room(), astray), (size, 0), "{name}");
    }

    /// Buffers that are neither free nor in a ring: none, unless a test holds some.
    fn astray(&self) -> usize {
        let rings = [&self.nic.receive, &self.nic.transmit];
        let owned: usize =
            rings.map(|ring| usize::from(ring.size().get()) - ring.room()).iter().sum();
        self.pool.total() - self.pool.free() - owned
    }

    /// The port works: a frame goes in, another out.
    fn assert_works(&mut self) {
        assert_eq!(self.nic.state(), NicState::Up);
        self.device.receive(|ring| ring.deliver(b"a frame for us"));
        let received = self.received();
        assert_eq!(received.len(), 1);
        assert_eq!(&*received[0], b"a frame for us");
        assert!(self.send(b"a frame from us"));
        let sent = self.device.transmit(|ring| ring.transmitted());
        assert_eq!(sent.last().unwrap(), b"a frame from us");
    }

    /// The end of each test: every buffer is accounted for and comes back.
    fn end(self) {
        assert_eq!(self.astray(), 0);
        let pool = self.pool;
        drop(self.nic);
        assert_eq!(pool.free(), pool.total());
    }
}
