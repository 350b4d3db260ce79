//! Copies on their way: what mirrors want of the frames of one turn ([`lb::switch::mirror`]).
//!
//! A copy is made where its frame passes and sent at the turn's end, straight to the NIC that it is
//! for. It costs the frame nothing but time: there are as many as one ring takes, in as many buffers as
//! a batch has, and none is made of the last buffers of the pool, which are for frames that are on
//! their own way. What finds no room is counted, and goes on uncopied.

use drivers::{BUFFERS_PER_BATCH, Frame, Pool};
use lb::switch::mirror::Wanted;
use lb::{CopyEnd, Dataplane, PortId, Way};

/// As many as a ring takes of frames in one buffer each.
const COPIES_PER_TURN: usize = BUFFERS_PER_BATCH;

/// One that waits for the turn's end.
pub struct Copy {
    pub wanted: Wanted,
    pub frame: Frame,
}

#[derive(Default)]
pub struct Copies {
    waiting: heapless::Vec<Copy, COPIES_PER_TURN>,
    /// That all of these lie in.
    buffers: usize,
}

/// How many copies there were before a frame was looked at.
#[derive(Clone, Copy)]
pub struct Mark(usize);

impl Copies {
    /// Makes the copies that are wanted of a frame that passes a port.
    pub fn see(
        &mut self,
        dataplane: &mut Dataplane,
        passes: (PortId, Way),
        frame: &Frame,
        pool: &Pool,
    ) -> Mark {
        let mark = Mark(self.waiting.len());
        if dataplane.tables().copied().contains(passes.0) {
            self.copy(dataplane, passes, frame, pool);
        }
        mark
    }

    #[cold]
    fn copy(
        &mut self,
        dataplane: &mut Dataplane,
        (port, way): (PortId, Way),
        frame: &Frame,
        pool: &Pool,
    ) {
        for wanted in dataplane.tables().mirrors().wanted(port, way, frame) {
            let copy = self.may_take(frame, pool).then(|| frame.copy()).flatten();
            let taken = copy.is_some_and(|frame| self.take(Copy { wanted, frame }));
            if !taken {
                dataplane.count_copy(wanted.mirror, CopyEnd::NoRoom);
            }
        }
    }

    /// The frame did not leave after all.
    pub fn take_back(&mut self, mark: Mark) {
        self.waiting.truncate(mark.0);
        self.buffers = self.waiting.iter().map(|copy| copy.frame.buffers()).sum();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All that there are, to be sent.
    pub fn take_all(&mut self) -> Copies {
        core::mem::take(self)
    }

    fn may_take(&self, frame: &Frame, pool: &Pool) -> bool {
        let fits = self.buffers + frame.buffers() <= BUFFERS_PER_BATCH;
        fits && !self.waiting.is_full() && pool.free() >= BUFFERS_PER_BATCH + frame.buffers()
    }

    fn take(&mut self, copy: Copy) -> bool {
        let buffers = copy.frame.buffers();
        let taken = self.waiting.push(copy).is_ok();
        self.buffers += if taken { buffers } else { 0 };
        taken
    }
}

impl IntoIterator for Copies {
    type Item = Copy;
    type IntoIter = heapless::vec::IntoIter<Copy, COPIES_PER_TURN, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.waiting.into_iter()
    }
}
