//! Traces: what is found on the way, what is said in the end, and that looking changes nothing. That
//! what is said is what happens is held against every frame of the corpus (`corpus/harness`).

mod world;

use lb::explain::decisions::Placed;
use lb::explain::trace::{Over, Step, Whom};
use lb::flow::{Direction, FlowState};
use lb::switch::fdb::Lesson;
use lb::*;
use world::*;

fn trace(world: &World, ingress: usize, frame: &[u8]) -> Trace {
    let before = state(world);
    let mut bytes = frame.to_vec();
    let trace = world.plane.trace(port(ingress), &Frame::plain(&mut bytes), world.now);
    assert_eq!(bytes, frame, "the frame is as it was");
    assert_eq!(state(world), before, "and so is the switch");
    trace
}

/// All that a frame may change.
fn state(world: &World) -> String {
    let plane = &world.plane;
    let endings: Vec<_> = (0..4).map(|at| plane.endings(port(at))).collect();
    let macs: Vec<_> = plane.fdb().iter(world.now).collect();
    let flows: Vec<_> = plane.flows().iter().collect();
    let services: Vec<_> = plane.tables().services().map(|(_, its)| its.counters).collect();
    let reals: Vec<_> = plane.tables().reals().map(|(_, its)| (its.counters, &its.load)).collect();
    let decisions: Vec<_> = plane.decisions().iter().collect();
    let counters = (plane.fdb().counters(), plane.flows().counters(), plane.fragments());
    format!("{endings:?}{macs:?}{flows:?}{services:?}{reals:?}{decisions:?}{counters:?}")
}

/// The names of the steps.
fn steps(trace: &Trace) -> Vec<&'static str> {
    let name = |step: &Step| match step {
        Step::Frame(_) => "frame",
        Step::Source(Lesson::Known) => "known",
        Step::Source(Lesson::New) => "new",
        Step::Source(_) => "source",
        Step::Arp(_) => "arp",
        Step::Packet(_) => "packet",
        Step::Segment(_) => "segment",
        Step::Whom(Whom::Vip(_)) => "vip",
        Step::Whom(Whom::Switch) => "switch",
        Step::Whom(Whom::Station) => "station",
        Step::Flow(_, Direction::ToReal) => "flow to real",
        Step::Flow(_, Direction::ToClient) => "flow to client",
        Step::NoFlow => "no flow",
        Step::Over(_, Over::BegunAnew) => "begun anew",
        Step::Over(..) => "over",
        Step::News(_) => "news",
        Step::Chosen(_, Ok(_)) => "chosen",
        Step::Chosen(_, Err(_)) => "refused",
        Step::Remembered(_) => "remembered",
        Step::Begins(_) => "begins",
        Step::Waits => "waits",
    };
    trace.steps.iter().map(name).collect()
}

/// Traces a frame, then sends it: the end and the bytes are the same.
fn traced_and_sent(world: &mut World, ingress: usize, frame: &[u8]) -> Trace {
    let said = trace(world, ingress, frame);
    let mut bytes = frame.to_vec();
    let verdict = world.plane.receive(port(ingress), &mut Frame::plain(&mut bytes), world.now);
    assert_eq!(said.verdict, verdict);
    if let Verdict::Forward(_) | Verdict::Flood(_) | Verdict::Reply = verdict {
        assert_eq!(said.frame, bytes);
    }
    said
}

#[test]
fn a_connection_from_its_first_packet_to_its_successor() {
    for served in SERVED.into_iter().filter(|served| served.protocol == Protocol::Tcp) {
        let mut world = World::serving_as(2, served);
        let call = served.call(4000);
        let syn = served.packet(call, "S", b"");
        let said = traced_and_sent(&mut world, UPLINK, &syn);
        let first = ["frame", "new", "packet", "segment", "vip", "no flow", "chosen", "begins"];
        assert_eq!(steps(&said), first, "{served:?}");
        let Some(Step::Begins(new)) = said.steps.last() else { panic!("{said:?}") };
        let flow = world.plane.flows().iter().last().expect("it has begun").clone();
        assert_eq!((new.real, new.client_at_real), (flow.real, flow.client_at_real()));
        assert_eq!((new.placed, flow.placed()), (Placed::Scheduler, Placed::Scheduler));

        let said = traced_and_sent(&mut world, UPLINK, &syn);
        let again = ["frame", "known", "packet", "segment", "vip", "flow to real"];
        assert_eq!(steps(&said), again, "the same once more");
        assert!(matches!(said.verdict, Verdict::Forward(_)));
    }
}

#[test]
fn a_new_connection_with_the_ports_of_one_that_has_ended() {
    let served = Served::default();
    let mut world = World::serving(2);
    let call = served.call(4000);
    traced_and_sent(&mut world, UPLINK, &served.packet(call, "S", b""));
    traced_and_sent(&mut world, UPLINK, &served.packet(call, "R", b""));
    let flow = world.plane.flows().iter().next().expect("it is kept a while");
    assert_eq!(flow.state, FlowState::Closed);
    let mut syn = served.packet(call, "S", b"");
    // Its sequence number, and the checksum with it, which the switch does not look at.
    syn[38] ^= 0x55;
    let said = traced_and_sent(&mut world, UPLINK, &syn);
    let anew = [
        "frame",
        "known",
        "packet",
        "segment",
        "vip",
        "flow to real",
        "begun anew",
        "chosen",
        "begins",
    ];
    assert_eq!(steps(&said), anew);
}

#[test]
fn what_ends_early_says_why() {
    let served = Served::default();
    let mut world = World::serving(2);
    let call = served.call(4000);
    let syn = served.packet(call, "S", b"");
    let dropped = |said: &Trace| match said.verdict {
        Verdict::Drop(reason) => reason,
        other => panic!("{other:?}"),
    };
    let said = traced_and_sent(&mut world, UPLINK, &syn[..13]);
    assert_eq!((steps(&said).len(), dropped(&said)), (0, DropReason::Runt));
    let said = traced_and_sent(&mut world, UPLINK, &served.packet(call, "A", b""));
    assert_eq!(dropped(&said), DropReason::NoFlow);
    assert_eq!(steps(&said).last(), Some(&"no flow"));
    let mut spoofed = syn.clone();
    spoofed[6..12].copy_from_slice(&guest_mac(1));
    let said = traced_and_sent(&mut world, UPLINK, &spoofed);
    assert_eq!((steps(&said), dropped(&said)), (vec!["frame", "source"], DropReason::SpoofUplink));
    assert_eq!(
        DropReason::SpoofUplink.sentence(),
        "From an uplink in the name of a guest that is here."
    );
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web1") });
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web2") });
    let said = traced_and_sent(&mut world, UPLINK, &syn);
    assert_eq!(dropped(&said), DropReason::NoBackend);
    assert_eq!(steps(&said).last(), Some(&"refused"));
}

/// The source is learned before the destination is looked for, and a trace learns nothing.
#[test]
fn a_frame_to_its_own_sender_goes_nowhere() {
    let mut world = World::new(2);
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&CLIENT_MAC);
    frame[6..12].copy_from_slice(&CLIENT_MAC);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    let said = traced_and_sent(&mut world, UPLINK, &frame);
    assert_eq!(said.verdict, Verdict::Drop(DropReason::SamePort));
    assert_eq!(steps(&said), ["frame", "new", "station"]);
}
