//! Load reports, good, odd and bad, as tables: who sends which bytes, the one counter that moves, the
//! exact answer or silence, and that nothing else has come of it. A report that is not taken leaves
//! every real as it was, to the last number that is kept of it; one that is taken changes what is known
//! of the sender's own real, and of nobody else's.

#[path = "../world/mod.rs"]
mod world;

mod course;
mod frames;
mod lines;

use std::net::IpAddr;

use lb::service::sched::Forecast;
use lb::wire::ip::Version;
use lb::*;
use world::*;

/// A report, and what comes of it.
struct Row<'a> {
    what: &'a str,
    /// What guest 1 has said before.
    before: &'a [&'a str],
    ingress: usize,
    ends: Ends,
    frame: Vec<u8>,
    ending: Ending,
}

#[derive(Clone, Debug)]
enum Ending {
    /// The frame goes nowhere.
    Dropped(DropReason),
    /// Counted, and not answered.
    Silence(Count),
    /// Counted, and answered with this.
    Refused(Count, String),
    /// Answered with this; the guest's real then stands so.
    Taken(&'static str, Result<(), Ineligible>),
}

/// The counter that moves.
type Count = fn(&mut ReportCounters) -> &mut u64;

const MALFORMED: Count = |counters| &mut counters.malformed;
const OLD: Count = |counters| &mut counters.old;
const NO_REAL: Count = |counters| &mut counters.no_real;
const IDENTITY: Count = |counters| &mut counters.identity;

/// What guest 1 has said before, if a row says nothing of it.
const BEFORE: &[&str] = &["up 75% id=a seq=5 app=0.5"];
const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

/// `web` on guests 1 and 2, `dns` on guest 2 alone, `six` on nobody. Both guests have reported.
fn scene(before: &[&str]) -> World {
    let mut world = World::serving(2);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wll);
    world.set_service("dns", Protocol::Udp, 53, Scheduler::Wll);
    world.set_real("dns", 2, None, 100);
    let six = World::service_spec("six", Protocol::Tcp, 80);
    world.apply(Command::SetService(ServiceSpec { vip: VIP_V6, ..six }));
    for line in before {
        report(&mut world, 1, line).unwrap();
    }
    report(&mut world, 2, "up id=b seq=7 app=0.25").unwrap();
    world
}

/// Taken, and the real may be chosen.
fn taken(answer: &'static str) -> Ending {
    Ending::Taken(answer, Ok(()))
}

/// All that reports may change: the counters of every port, and what is known of every real and
/// follows from it.
#[derive(Debug, PartialEq)]
struct Seen {
    counters: Vec<ReportCounters>,
    /// Of guest 1 as a real of `web`.
    senders: String,
    /// Of every other real.
    others: Vec<String>,
    /// Of all of them: what one real reports is part of what is expected of its service's others.
    forecasts: Vec<Option<Forecast>>,
}

impl Seen {
    fn of(world: &World) -> Seen {
        let reals = || world.plane.tables().reals();
        let standing = |id| world.plane.standing(id, world.now).unwrap();
        let known = |(id, real): (RealId, &Real)| {
            let Standing { eligibility, sources, factors, .. } = standing(id);
            format!("{real:?}, {eligibility:?}, {sources:?}, {factors:?}")
        };
        let (senders, others): (Vec<_>, Vec<_>) =
            reals().partition(|(_, real)| real.spec.guest == name("web1"));
        let [senders] = senders[..] else { panic!("guest 1 is one real") };
        Seen {
            counters: (0..3).map(|at| *world.plane.reports().counters(port(at))).collect(),
            senders: known(senders),
            others: others.into_iter().map(known).collect(),
            forecasts: reals().map(|(id, _)| standing(id).forecast).collect(),
        }
    }
}

/// Sends a row in, and looks that what it says comes of it and nothing else.
fn try_out(row: &Row<'_>) {
    let Row { what, ingress, .. } = *row;
    let mut world = scene(row.before);
    let mut expected = Seen::of(&world);
    let flows = world.plane.flows().len();
    let ended = world.send(ingress, &row.frame).map(|out| out.ports);
    let answers: Vec<_> = world.originated().iter().map(|out| answer(row, out)).collect();
    let mut count = |of: Count| *of(&mut expected.counters[ingress]) += 1;
    let (end, said) = match &row.ending {
        Ending::Dropped(reason) => (Err(*reason), vec![]),
        Ending::Silence(of) => {
            count(*of);
            (Ok(vec![]), vec![])
        }
        Ending::Refused(of, said) => {
            count(*of);
            (Ok(vec![]), vec![format!("nak {said}\n")])
        }
        Ending::Taken(said, _) => {
            count(|counters| &mut counters.accepted);
            (Ok(vec![]), vec![format!("ack {said}\n")])
        }
    };
    assert_eq!((ended, answers), (end, said), "{what}, {:?}", row.ends);
    if let Ending::Taken(_, eligibility) = row.ending {
        assert_eq!(world.standing("web", 1).eligibility, eligibility, "{what}");
        let Seen { senders, forecasts, .. } = Seen::of(&world);
        expected = Seen { senders, forecasts, ..expected };
    }
    assert_eq!(Seen::of(&world), expected, "{what}, {:?}", row.ends);
    assert_eq!(world.plane.flows().len(), flows, "{what}");
}

/// The text of an answer, which goes back to where the report came from.
fn answer(row: &Row<'_>, out: &Out) -> String {
    let (ends, text) = read(&out.frame);
    let back = Ends { source_mac: SWITCH_MAC, ..row.ends.reversed() };
    assert_eq!((&out.ports, ends), (&vec![row.ingress], back), "{}", row.what);
    String::from_utf8(text).unwrap()
}

/// From a guest that has a default route, and so to its gateway's MAC: the address counts.
fn ends_of_report(n: usize, source: IpAddr) -> Ends {
    Ends {
        vlan: 0,
        source_mac: guest_mac(n),
        destination_mac: CLIENT_MAC,
        source: (source, 999),
        destination: (if source.is_ipv4() { SWITCH } else { SWITCH_V6 }, 3333),
    }
}

/// Guest `n`'s own.
fn own_address(n: usize, version: Version) -> IpAddr {
    match version {
        Version::V4 => guest_address(n),
        Version::V6 => guest_address_v6(n),
    }
}

/// Guest `n` reports; what the switch answers.
fn report(world: &mut World, n: usize, line: &str) -> Option<String> {
    world.originated();
    world.send(n, &ends_of_report(n, guest_address(n)).udp(line.as_bytes())).unwrap();
    let said = world.originated().pop()?;
    Some(String::from_utf8(read(&said.frame).1).unwrap())
}
