//! Traffic that goes on while something else happens, and of which not one frame may be lost.
//!
//! A round is a burst of numbered frames from one guest to another and a question and an answer over
//! an open connection to a VIP. Each frame must arrive, unchanged and in order, before the next round
//! begins; so nothing is lost in a socket that nobody reads, and a frame that does not come is one
//! that the switch has lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::{WEB, World};
use crate::{Frame, LIMIT, MacAddr, Raw, TcpFlow};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
/// Frames of a burst: more than the loop takes at once, fewer than a ring holds.
const BURST: u64 = 100;
/// Between two rounds others get the processor, too.
const REST: Duration = Duration::from_millis(10);

/// The traffic, as whoever does something else sees it.
#[derive(Default)]
pub struct Traffic {
    rounds: AtomicU64,
    is_over: AtomicBool,
}

impl World {
    /// Does something while frames go from the first guest to the second, and over a connection from
    /// `client_port` to the service `web`.
    pub fn under_traffic<T>(&self, client_port: u16, work: impl FnOnce(&Traffic) -> T) -> T {
        let traffic = Traffic::default();
        let mut flow = TcpFlow::open(&self.client, client_port, WEB, &self.reals());
        let result = thread::scope(|scope| {
            scope.spawn(|| traffic.flow(self, &mut flow));
            // It ends even if the work fails.
            let _end = End(&traffic);
            traffic.pass(1);
            work(&traffic)
        });
        flow.close();
        result
    }
}

impl Traffic {
    /// Waits until so many more rounds have passed.
    #[track_caller]
    pub fn pass(&self, rounds: u64) {
        // The one that is under way does not count.
        let wanted = self.rounds.load(Ordering::Relaxed) + rounds + 1;
        let end = Instant::now() + LIMIT;
        while self.rounds.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < end, "frames were lost, or it takes too long");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn flow(&self, world: &World, flow: &mut TcpFlow) {
        let [from, to] = [&world.guests[0], &world.guests[1]];
        introduce(world);
        while !self.is_over.load(Ordering::Relaxed) {
            let round = self.rounds.load(Ordering::Relaxed);
            let burst = (0..BURST).map(|number| {
                let payload = [&round.to_be_bytes()[..], &number.to_be_bytes(), &[0; 30]].concat();
                Frame::Raw(Raw { from: from.mac, to: to.mac, ether_type: ETHER_TYPE, payload })
            });
            burst.clone().for_each(|frame| from.send(frame));
            burst.for_each(|frame| to.expect(frame));
            flow.client_says(&round.to_be_bytes());
            flow.real_says(&round.to_be_bytes());
            self.rounds.fetch_add(1, Ordering::Relaxed);
            thread::sleep(REST);
        }
    }
}

/// The guests are known to the switch, so no frame between them is flooded.
fn introduce(world: &World) {
    for guest in &world.guests {
        let to = MacAddr::BROADCAST;
        guest.send(Raw { from: guest.mac, to, ether_type: ETHER_TYPE, payload: vec![0; 46] });
    }
    crate::Station::settle(&world.stations());
}

/// Whatever happens, the traffic ends with this.
struct End<'a>(&'a Traffic);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}
