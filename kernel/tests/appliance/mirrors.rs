//! Mirrors on the loop: copies as the wire has the frames, and what they never do to a frame.

use drivers::{BUFFERS_PER_BATCH, NicState};
use lb::{
    Command, DropReason, Filter, MirrorCounters, MirrorSpec, PortRules, PortVlan, VlanId, Way,
};

use crate::bench::{Bench, frame, port};

/// The port that copies go to.
const MONITOR: usize = 3;

impl Bench {
    /// An uplink and three guest ports, of which the first is mirrored to the last.
    fn mirroring(way: Option<Way>) -> Bench {
        let mut bench = Bench::new(3);
        bench.mirror("m", [1, MONITOR], way);
        bench
    }

    fn mirror(&mut self, name: &str, [from, to]: [usize; 2], way: Option<Way>) {
        let (name, filter) = (name.parse().unwrap(), Filter::default());
        let (from, to) = (port(from), port(to));
        self.apply(Command::SetMirror(MirrorSpec { name, from, way, filter, to }));
    }

    /// What came out of each port.
    fn all_taken(&self) -> [Vec<Vec<u8>>; 4] {
        assert_eq!(self.pool.free(), self.pool.total(), "every buffer comes back");
        [0, 1, 2, 3].map(|at| self.taken(at))
    }

    fn counters(&self, mirror: usize) -> MirrorCounters {
        self.appliance.dataplane.tables().mirrors().iter().nth(mirror).unwrap().counters
    }
}

#[test]
fn a_frame_is_copied_as_it_came_and_as_it_left() {
    let (hello, answer) = (frame(1, 0xff), frame(2, 1));
    for (way, expected) in [
        (None, vec![hello.clone(), answer.clone()]),
        (Some(Way::In), vec![hello.clone()]),
        (Some(Way::Out), vec![answer.clone()]),
    ] {
        let mut bench = Bench::mirroring(way);
        bench.put(1, &hello);
        bench.turn();
        bench.put(2, &answer);
        bench.turn();
        let [up0, p1, p2, copies] = bench.all_taken();
        assert_eq!(
            [up0, p1, p2],
            [[&hello], [&answer], [&hello]].map(|f| f.map(Clone::clone).to_vec())
        );
        assert_eq!(copies, expected, "{way:?}");
        let counters = MirrorCounters { copies: copies.len() as u64, ..MirrorCounters::default() };
        assert_eq!(bench.counters(0), counters);
    }
}

#[test]
fn tags_are_as_on_the_wire_whatever_the_vlans_of_the_port_that_gets_them() {
    let mut bench = Bench::mirroring(None);
    let access = |vlan| PortVlan::Access(VlanId::new(vlan).unwrap());
    for (at, vlan) in [(1, access(10)), (MONITOR, access(20))] {
        let rules = PortRules { vlan, ..PortRules::default() };
        bench.apply(Command::SetPortRules { port: port(at), rules });
    }
    let plain = frame(1, 0xff);
    let tagged = [&plain[..12], &[0x81, 0, 0, 10], &plain[12..]].concat();
    bench.put(1, &plain);
    bench.turn();
    let nothing = vec![];
    assert_eq!(
        bench.all_taken(),
        [vec![tagged.clone()], nothing.clone(), vec![tagged], vec![plain]]
    );
    let stray = [&frame(1, 9)[..12], &[0x81, 0, 0, 11], &[0; 46][..]].concat();
    bench.put(1, &stray);
    bench.turn();
    let [none @ .., copies] = bench.all_taken();
    assert_eq!((none, copies), ([nothing.clone(), nothing.clone(), nothing], vec![stray]));
    assert_eq!(bench.appliance.dataplane.endings(port(1)).dropped(DropReason::VlanIngress), 1);
}

#[test]
fn who_looks_on_says_nothing_and_there_is_no_copy_of_a_copy() {
    let mut bench = Bench::mirroring(None);
    bench.mirror("of-copies", [MONITOR, 2], None);
    bench.mirror("again", [1, MONITOR], Some(Way::In));
    bench.put(1, &frame(1, 0xff));
    bench.put(MONITOR, &frame(3, 0xff));
    bench.turn();
    let [up0, p1, of_copies, copies] = bench.all_taken();
    assert_eq!((up0, p1), (vec![frame(1, 0xff)], vec![]));
    assert_eq!(copies, [frame(1, 0xff), frame(1, 0xff)], "one of each mirror of the port");
    assert_eq!(of_copies, [frame(3, 0xff)], "what came in there, not what was copied");
    assert_eq!(bench.appliance.dataplane.endings(port(MONITOR)).dropped(DropReason::MirrorPort), 1);
}

#[test]
fn copies_that_find_no_place_cost_the_frames_nothing() {
    let frames = |bench: &mut Bench, count: usize| {
        (0..count).for_each(|_| bench.put(1, &frame(1, 0xff)));
        while bench.turn() == kernel::appliance::Turn::Busy {}
        let taken = bench.all_taken().map(|frames| frames.len());
        assert_eq!([taken[0], taken[2]], [count; 2], "the originals");
        taken[MONITOR]
    };
    let mut bench = Bench::mirroring(Some(Way::In));
    bench.cables[MONITOR].borrow_mut().room = 2;
    assert_eq!(frames(&mut bench, 5), 2);
    assert_eq!(bench.counters(0), MirrorCounters { copies: 2, no_room: 0, not_taken: 3 });
    bench.cables[MONITOR].borrow_mut().state = Some(NicState::LinkDown);
    assert_eq!(frames(&mut bench, 5), 0);
    assert_eq!(bench.counters(0), MirrorCounters { copies: 2, no_room: 0, not_taken: 8 });
}

#[test]
fn the_last_buffers_are_for_frames_on_their_own_way() {
    let mut bench = Bench::mirroring(Some(Way::In));
    let left = BUFFERS_PER_BATCH + 3;
    let held: Vec<_> = (left..bench.pool.total()).map(|_| bench.pool.take().unwrap()).collect();
    (0..4).for_each(|_| bench.put(1, &frame(1, 0xff)));
    bench.turn();
    // Four buffers are the frames' own.
    assert_eq!(bench.counters(0), MirrorCounters { copies: 0, no_room: 4, not_taken: 0 });
    drop(held);
    assert_eq!(bench.all_taken().map(|frames| frames.len()), [4, 0, 4, 0]);
}

#[test]
fn what_did_not_leave_is_not_copied() {
    let mut bench = Bench::mirroring(Some(Way::Out));
    bench.cables[1].borrow_mut().room = 1;
    (0..3).for_each(|n| bench.put(2, &frame(2, 0xf0 + n)));
    bench.turn();
    let [_, left, _, copies] = bench.all_taken();
    assert_eq!((left, copies), (vec![frame(2, 0xf0)], vec![frame(2, 0xf0)]));
    assert_eq!(bench.counters(0), MirrorCounters { copies: 1, ..MirrorCounters::default() });
}
