//! A batch ends as its frames do one by one: the same verdicts, bytes, counts and flows, whatever
//! the frames of a batch do to one another.

mod world;

use lb::*;
use proptest::prelude::*;
use world::*;

const GUESTS: usize = 3;
/// More than the passes take at once.
const LONGEST: usize = 80;

/// Which frame comes in.
#[derive(Clone, Debug)]
struct Step {
    client: u16,
    kind: Kind,
    /// A byte that is changed on the way, at this offset, by this much.
    damage: Option<(usize, u8)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Syn,
    Ack,
    Fin,
    Reset,
    /// To the guest's own address, past the balancer.
    Straight,
    Flooded,
    WhoHas,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Syn, Kind::Ack, Kind::Fin, Kind::Reset, Kind::Straight, Kind::Flooded, Kind::WhoHas];
}

fn any_step() -> impl Strategy<Value = Step> {
    let damage = proptest::option::weighted(0.2, (0usize..60, 1u8..));
    let step = (0u16..12, proptest::sample::select(&Kind::ALL[..]), damage);
    step.prop_map(|(client, kind, damage)| Step { client, kind, damage })
}

fn frame(served: &Served, step: &Step) -> Vec<u8> {
    let call = served.call(2000 + step.client);
    let other = Ends { destination_mac: guest_mac(1), destination: (served.guest(1), 9), ..call };
    let mut frame = match step.kind {
        Kind::Syn => served.packet(call, "S", b""),
        Kind::Ack => served.packet(call, "A", b"x"),
        Kind::Fin => served.packet(call, "FA", b""),
        Kind::Reset => served.packet(call, "R", b""),
        Kind::Straight => other.udp(b"x"),
        Kind::Flooded => Ends { destination_mac: [0x52, 0x56, 0, 0, 0, 1], ..other }.udp(b"x"),
        Kind::WhoHas => Ends::call(0, 0).arp(1),
    };
    if let Some((at, by)) = step.damage {
        let at = at % frame.len();
        frame[at] ^= by;
    }
    frame
}

/// What a dataplane's state looks like from outside.
fn state(world: &World) -> Vec<String> {
    let plane = &world.plane;
    let endings = (0..=GUESTS).map(|at| format!("{:?}", plane.endings(port(at))));
    let flows = plane.flows().iter().map(|flow| format!("{flow:?}"));
    let reals = plane.tables().reals().map(|(_, real)| format!("{:?}", real.counters));
    let macs = plane.fdb().iter(world.now).map(|entry| format!("{entry:?}"));
    endings.chain(flows).chain(reals).chain(macs).collect()
}

proptest! {
    #[test]
    fn a_batch_is_its_frames(
        served in proptest::sample::select(&SERVED[..]),
        steps in proptest::collection::vec(any_step(), 1..LONGEST),
    ) {
        let [mut one_by_one, mut at_once] = [(); 2].map(|()| World::serving_as(GUESTS, served));
        let mut frames: Vec<_> = steps.iter().map(|step| frame(&served, step)).collect();
        let (ingress, now) = (port(UPLINK), one_by_one.now);

        let mut expected = frames.clone();
        let expected: Vec<_> = expected
            .iter_mut()
            .map(|bytes| {
                let verdict = one_by_one.plane.receive(ingress, &mut Frame::plain(bytes), now);
                (verdict, bytes.clone())
            })
            .collect();

        let mut verdicts = vec![Verdict::Hold; frames.len()];
        let mut batch: Vec<_> = frames.iter_mut().map(|bytes| Frame::plain(bytes)).collect();
        at_once.plane.receive_batch(ingress, &mut batch, &mut verdicts, now);

        let ended: Vec<_> = verdicts.into_iter().zip(frames).collect();
        prop_assert_eq!(ended, expected);
        prop_assert_eq!(state(&at_once), state(&one_by_one));
    }
}
