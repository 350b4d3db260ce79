use super::*;
use crate::pool::HEAD_BYTES_MAX;
use crate::virtio::Queue;
use crate::virtio::fake::Random;
use crate::virtio::fake::net::{Arena, FakeQueue, Handle, Posted};
use RingFault::{UsedId, UsedIdx, UsedLen, UsedNotHead};

/// A ring, the device's end of it, and a pool with twice the buffers.
struct Bench {
    arena: Arena,
    ring: Ring,
    device: FakeQueue,
}

impl Bench {
    fn new(size: u16, direction: Direction) -> Bench {
        let arena = Arena::new(2 * usize::from(size));
        let ring = Ring::new(RingSize::new(size).unwrap(), direction).unwrap();
        let queue = match direction {
            Direction::Receive => Queue::Receive,
            Direction::Transmit => Queue::Transmit,
        };
        let device = FakeQueue::new(queue, ring.addresses(), size, &arena);
        Bench { arena, ring, device }
    }

    /// A ring whose indices have come to where they wrap.
    fn near_the_wrap(size: u16, direction: Direction) -> Bench {
        let mut bench = Bench::new(size, direction);
        while bench.device.used != u16::MAX {
            bench.push_published(1);
            let posted = bench.device.fetch().pop_front().unwrap();
            bench.device.answer(posted.id.into(), 12);
            bench.device.show();
            assert_eq!(bench.ring.pending(), Ok(1));
            bench.ring.pop().unwrap();
        }
        bench
    }

    fn push(&mut self, count: usize) {
        for _ in 0..count {
            let mut frame = self.arena.pool.take().unwrap();
            frame.set_len(60);
            self.ring.push(frame).unwrap();
        }
    }

    fn push_published(&mut self, count: usize) {
        self.push(count);
        assert!(self.ring.publish(), "the device has not said that it needs no doorbell");
    }

    /// Pushes a frame of so many buffers.
    fn push_chain(&mut self, buffers: usize) {
        let bytes = vec![0x5a; HEAD_BYTES_MAX + (buffers - 1) * FURTHER_BYTES_MAX - 100];
        let frame = self.arena.pool.take_copy(&bytes).unwrap();
        assert_eq!(frame.buffers(), buffers);
        self.ring.push(frame).unwrap();
    }

    /// What becomes of one answer.
    fn answered(&mut self, id: u32, len: u32) -> Result<u32, RingFault> {
        self.device.answer(id, len);
        self.device.show();
        assert_eq!(self.ring.pending(), Ok(1));
        self.ring.pop().map(|used| used.written_bytes)
    }

    /// The end of each test: a device that is reset gives everything back, to the last buffer.
    fn end(mut self, in_flight: usize) {
        let pool = self.arena.pool;
        assert_eq!(pool.total() - pool.free(), in_flight, "still owned by the ring");
        let quiet = Quiet::check(&Handle::of(&self.arena)).unwrap();
        self.ring.take_back(&quiet);
        assert_eq!(pool.free(), pool.total());
        assert_eq!(self.ring.room(), usize::from(self.ring.size().get()));
        assert_eq!(self.ring.pending(), Ok(0));
    }
}

const BOTH: [Direction; 2] = [Direction::Receive, Direction::Transmit];

#[test]
fn frames_come_back_in_whatever_order() {
    let mut random = Random(7);
    for direction in BOTH {
        let mut bench = Bench::new(16, direction);
        bench.push_published(16);
        let mut held: Vec<Posted> = bench.device.fetch().drain(..).collect();
        let addresses: Vec<u64> = held.iter().map(|posted| posted.address).collect();
        for index in (1..held.len()).rev() {
            held.swap(index, random.below(index + 1));
        }
        let mut returned = Vec::new();
        for posted in &held {
            bench.device.answer(posted.id.into(), posted.len);
        }
        bench.device.show();
        assert_eq!(bench.ring.pending(), Ok(16));
        for posted in &held {
            let used = bench.ring.pop().unwrap();
            assert_eq!(used.written_bytes, posted.len);
            assert_eq!(used.frame.device_address(), posted.address);
            returned.push(posted.address);
        }
        returned.sort_unstable();
        let mut expected = addresses;
        expected.sort_unstable();
        assert_eq!(returned, expected);
        bench.end(0);
    }
}

#[test]
fn nothing_is_seen_before_it_is_published() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.push(3);
    assert_eq!(bench.device.fetch().len(), 0);
    assert_eq!(bench.ring.in_flight(), 0);
    assert!(bench.ring.publish());
    assert_eq!(bench.device.fetch().len(), 3);
    assert_eq!(bench.ring.in_flight(), 3);
    assert!(!bench.ring.publish(), "nothing new, no doorbell");
    bench.end(3);
}

#[test]
fn the_doorbell_is_spared_when_the_device_says_so() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.device.spare_doorbell(true);
    bench.push(1);
    assert!(!bench.ring.publish());
    bench.device.spare_doorbell(false);
    bench.push(1);
    assert!(bench.ring.publish());
    bench.end(2);
}

#[test]
fn a_full_ring_gives_the_frame_back() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.push(8);
    assert_eq!(bench.ring.room(), 0);
    let frame = bench.arena.pool.take_copy(b"one too many").unwrap();
    let frame = bench.ring.push(frame).unwrap_err();
    assert_eq!(&*frame, b"one too many");
    drop(frame);
    bench.end(8);
}

#[test]
fn a_frame_of_several_buffers_is_a_chain_and_one_answer() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.push_chain(5);
    bench.push(2);
    assert_eq!(bench.ring.room(), 1);
    let frame = bench.arena.pool.take_copy(&[0; 3000]).unwrap();
    assert_eq!(bench.ring.push(frame).unwrap_err().buffers(), 2, "no half frames");
    assert!(bench.ring.publish());
    assert_eq!(bench.ring.in_flight(), 3);
    let held: Vec<Posted> = bench.device.fetch().drain(..).collect();
    assert_eq!(held.iter().map(|posted| 1 + posted.further.len()).collect::<Vec<_>>(), [5, 1, 1]);
    for posted in &held {
        assert_eq!(bench.answered(posted.id.into(), 0), Ok(0));
    }
    assert_eq!(bench.ring.room(), 8);
    bench.end(0);
}

/// D2: a number from within a chain is no frame's, before and after the chain is answered.
#[test]
fn d2_used_id_of_the_middle_of_a_chain() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.push_chain(4);
    assert!(bench.ring.publish());
    let posted = bench.device.fetch()[0].clone();
    let middle = bench.ring.slots[usize::from(posted.id)].next;
    assert_eq!(bench.answered(middle.into(), 12), Err(UsedNotHead));
    bench.end(4);
}

/// D4: the whole chain's length may be said of it, and nothing beyond.
#[test]
fn d4_used_len_of_a_chain() {
    for (beyond, expected) in [(0, Ok(())), (1, Err(UsedLen))] {
        let mut bench = Bench::new(8, Direction::Transmit);
        bench.push_chain(3);
        assert!(bench.ring.publish());
        let posted = bench.device.fetch()[0].clone();
        let len = posted.total_len() + beyond;
        assert_eq!(bench.answered(posted.id.into(), len).map(drop), expected);
        bench.end(if expected.is_ok() { 0 } else { 3 });
    }
}

/// F25: chains of every length, answered in any order, and the device writes over all that it
/// could find its way by.
#[test]
fn f25_d7_chains_go_round_and_no_descriptor_is_lost() {
    let mut random = Random(33);
    let mut bench = Bench::new(16, Direction::Transmit);
    for _ in 0..20_000 {
        let room = bench.ring.room();
        if room > 0 {
            bench.push_chain(1 + random.below(room));
            assert!(bench.ring.publish());
        }
        bench.device.fetch();
        bench.device.scribble();
        let at = random.below(bench.device.held.len());
        let posted = bench.device.held.remove(at).unwrap();
        assert_eq!(bench.answered(posted.id.into(), 0), Ok(0));
        let owned = bench.arena.pool.total() - bench.arena.pool.free();
        assert_eq!(owned, 16 - bench.ring.room());
    }
    let owned = 16 - bench.ring.room();
    bench.end(owned);
}

/// F25: 200,000 frames go round three wraps of the index and never look different.
#[test]
fn f25_indices_wrap() {
    let mut random = Random(25);
    for direction in BOTH {
        let mut bench = Bench::new(8, direction);
        let mut frames = 0;
        while frames < 200_000 {
            let room = bench.ring.room();
            bench.push(1 + random.below(room));
            assert!(bench.ring.publish());
            let answers = 1 + random.below(bench.device.fetch().len());
            for _ in 0..answers {
                let posted = bench.device.held.pop_front().unwrap();
                bench.device.answer(posted.id.into(), posted.len);
            }
            bench.device.show();
            assert_eq!(bench.ring.pending(), Ok(answers as u16));
            for _ in 0..answers {
                bench.ring.pop().unwrap();
            }
            frames += answers;
        }
        let in_flight = bench.ring.in_flight().into();
        bench.end(in_flight);
    }
}

#[test]
fn d1_used_id_out_of_range() {
    for direction in BOTH {
        for id in [8, 9, 0xffff, 0x1_0000, 0x1_0001, 0x8000_0000, u32::MAX] {
            let mut bench = Bench::new(8, direction);
            bench.push_published(8);
            assert_eq!(bench.answered(id, 12), Err(UsedId), "{id:#x}");
            bench.end(8);
        }
    }
}

#[test]
fn d2_used_id_that_was_never_posted() {
    for direction in BOTH {
        let mut bench = Bench::new(8, direction);
        bench.push_published(3);
        let held: Vec<u16> = bench.device.fetch().iter().map(|posted| posted.id).collect();
        let stranger = (0..8).find(|id| !held.contains(id)).unwrap();
        assert_eq!(bench.answered(stranger.into(), 12), Err(UsedNotHead));
        bench.end(3);
    }
}

#[test]
fn d2_used_id_answered_twice() {
    for direction in BOTH {
        let mut bench = Bench::new(8, direction);
        bench.push_published(3);
        let id = bench.device.fetch()[0].id.into();
        assert_eq!(bench.answered(id, 12), Ok(12));
        assert_eq!(bench.answered(id, 12), Err(UsedNotHead));
        bench.end(2);
    }
}

/// A frame that the device has not been shown would go back to the pool and then to the device.
#[test]
fn d2_used_id_that_is_only_queued() {
    for direction in BOTH {
        for mut bench in [Bench::new(8, direction), Bench::near_the_wrap(8, direction)] {
            bench.push_published(1);
            let shown = bench.device.fetch()[0].id;
            bench.push(2);
            let mut hidden = (0..8).filter(|&id| {
                let frame = bench.ring.slots[usize::from(id)].frame.as_ref();
                frame.is_some() && id != shown
            });
            let id: u16 = hidden.next().unwrap();
            assert_eq!(bench.answered(id.into(), 12), Err(UsedNotHead));
            bench.end(3);
        }
    }
}

#[test]
fn d4_used_len_more_than_was_given() {
    for (direction, given) in [(Direction::Receive, RECEIVE_BYTES), (Direction::Transmit, 72)] {
        for len in [given + 1, 0x1_0000, u32::MAX] {
            let mut bench = Bench::new(8, direction);
            bench.push_published(2);
            let first = bench.device.fetch()[0].id.into();
            assert_eq!(bench.answered(first, given), Ok(given), "all of it is allowed");
            let second = bench.device.fetch()[1].id.into();
            assert_eq!(bench.answered(second, len), Err(UsedLen), "{len}");
            bench.end(1);
        }
    }
}

#[test]
fn d5_used_idx_jumps() {
    for direction in BOTH {
        for jump in [4, 8, 9, 256, 0x7fff, 0x8000, 0xfffe] {
            for mut bench in [Bench::new(8, direction), Bench::near_the_wrap(8, direction)] {
                bench.push_published(3);
                let index = bench.device.used.wrapping_add(jump);
                bench.device.show_index(index);
                assert_eq!(bench.ring.pending(), Err(UsedIdx), "{jump}");
                bench.end(3);
            }
        }
    }
}

#[test]
fn d6_used_idx_goes_back() {
    for direction in BOTH {
        for mut bench in [Bench::new(8, direction), Bench::near_the_wrap(8, direction)] {
            bench.push_published(3);
            let id = bench.device.fetch()[0].id.into();
            assert_eq!(bench.answered(id, 12), Ok(12));
            let index = bench.device.used.wrapping_sub(2);
            bench.device.show_index(index);
            assert_eq!(bench.ring.pending(), Err(UsedIdx));
            bench.end(2);
        }
    }
}

/// What the driver has written is never read back: an answer means what it meant when the buffer
/// was posted, whatever the device has made of the descriptor since.
#[test]
fn d7_what_the_device_overwrites_is_not_believed() {
    for direction in BOTH {
        let mut bench = Bench::new(8, direction);
        bench.push_published(4);
        let held: Vec<Posted> = bench.device.fetch().drain(..).collect();
        bench.device.scribble();
        for posted in &held {
            bench.device.answer(posted.id.into(), posted.len);
        }
        bench.device.show();
        assert_eq!(bench.ring.pending(), Ok(4));
        for posted in &held {
            let used = bench.ring.pop().unwrap();
            assert_eq!(used.frame.device_address(), posted.address);
            assert_eq!(used.written_bytes, posted.len);
        }
        bench.push_published(8);
        assert_eq!(bench.device.fetch().len(), 8, "as if nothing had been");
        bench.end(8);
    }
}

#[test]
fn d16_a_ring_dropped_with_an_unproven_device_keeps_its_frames() {
    let mut bench = Bench::new(8, Direction::Transmit);
    bench.push_published(3);
    let pool = bench.arena.pool;
    drop(bench.ring);
    assert_eq!(pool.total() - pool.free(), 3);
    assert_eq!(bench.device.transmitted().len(), 3, "still readable");
}
