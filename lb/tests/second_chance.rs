//! A SYN that a real refuses or does not answer is another's, before the client notices.

mod world;

use std::time::Duration;

use lb::explain::decisions::Placed;
use lb::flow::{Flow, FlowState};
use lb::service::ServiceCounters;
use lb::wire::ip::Version;
use lb::wire::offload::PartialChecksum;
use lb::wire::{Ip, Offload};
use lb::*;
use world::*;

const GUESTS: usize = 4;
/// The client's first repetition (RFC 6298).
const SECOND: Duration = Duration::from_secs(1);

fn tcp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == Protocol::Tcp)
}

/// Every kind of service by every scheduler.
fn everywhere() -> impl Iterator<Item = (World, Served, String)> {
    let all = tcp_services().flat_map(|served| Scheduler::ALL.map(|by| (served, by)));
    all.map(|(served, by)| (world(GUESTS, served, by), served, format!("{by:?}, {served:?}")))
}

fn world(guests: usize, served: Served, scheduler: Scheduler) -> World {
    let mut world = World::serving_as(guests, served);
    world.apply(Command::SetService(ServiceSpec { scheduler, ..served.spec("web") }));
    // A client that everybody knows.
    let hello = [&served.call(1).link_header(0x88b5)[..], &[0; 46]].concat();
    assert_eq!(world.send(UPLINK, &hello).map(drop), Err(DropReason::NotForUs));
    world.originated();
    world
}

fn syn(call: Ends) -> Vec<u8> {
    call.tcp("S", &[])
}

/// The client sends its SYN; who gets it.
fn to_real(world: &mut World, served: Served, call: Ends) -> usize {
    let out = world.send(UPLINK, &syn(call)).unwrap();
    let [n] = out.ports[..] else { panic!("{out:?}") };
    assert_eq!(read(&out.frame).0, served.at_real(n, call), "{served:?}");
    n
}

fn of_real(served: Served, n: usize, call: Ends) -> Ends {
    served.at_real(n, call).reversed_to(call.source_mac)
}

/// The real says something that the switch keeps to itself, and sends the SYN to another.
fn kept(world: &mut World, served: Served, n: usize, call: Ends, frame: &[u8]) -> usize {
    assert_eq!(world.send(n, frame).map(drop), Err(DropReason::SecondChance), "{served:?}");
    let said = world.originated();
    let [Out { ports, frame }] = &said[..] else { panic!("{said:?}") };
    let [other] = ports[..] else { panic!("{ports:?}") };
    let Packet { ends, carries, payload, .. } = read_packet(frame);
    let Carries::Tcp(tcp) = carries else { panic!("{carries:?}") };
    assert_eq!((ends, payload.len()), (served.at_real(other, call), 0), "{served:?}");
    assert_eq!((tcp.syn, tcp.ack, tcp.rst, tcp.sequence_number), (true, false, false, 1000));
    other
}

fn refuse(world: &mut World, served: Served, n: usize, call: Ends) -> usize {
    kept(world, served, n, call, &of_real(served, n, call).refusal())
}

/// What the real says leaves in the VIP's name.
fn to_client(world: &mut World, served: Served, n: usize, call: Ends, frame: &[u8]) {
    let out = world.send(n, frame).unwrap();
    assert_eq!((out.ports, read_packet(&out.frame).ends), (vec![UPLINK], call.reversed()));
    assert_eq!(world.originated(), [], "{served:?}: and nothing else is said");
}

fn answer(world: &mut World, served: Served, n: usize, call: Ends) {
    to_client(world, served, n, call, &of_real(served, n, call).tcp("SA", &[]));
    let out = world.send(UPLINK, &call.tcp("A", &[])).unwrap();
    assert_eq!(out.ports, [n]);
    assert_eq!(only_flow(world).state, FlowState::Established);
}

fn only_flow(world: &World) -> Flow {
    let flows: Vec<_> = world.plane.flows().iter().cloned().collect();
    let [flow] = &flows[..] else { panic!("{flows:?}") };
    flow.clone()
}

fn counters(world: &World) -> ServiceCounters {
    world.plane.tables().services().next().expect("the service").1.counters
}

/// Open, given and ended flows of a real.
fn counts(world: &World, n: usize) -> (u32, u64, u64) {
    let counters = world.real("web", n).counters;
    (counters.flows_open, counters.flows_new, counters.flows_ended)
}

/// One flow of the service: it was at these reals, one after the other, and is at the last.
fn assert_was_at(world: &World, tried: &[usize], what: &str) {
    let (last, before) = tried.split_last().unwrap();
    for n in 1..=GUESTS {
        let expected = match n {
            _ if n == *last => (1, 1, 0),
            _ if before.contains(&n) => (0, 1, 1),
            _ => (0, 0, 0),
        };
        assert_eq!(counts(world, n), expected, "{what}: guest {n} of {tried:?}");
    }
    let counters = counters(world);
    let chances = before.len() as u64;
    assert_eq!((counters.flows_new, counters.second_chances), (1, chances), "{what}");
    assert_eq!(only_flow(world).placed() == Placed::SecondChance, chances > 0, "{what}");
}

/// What a real may say, and how.
type Says = (&'static str, fn(Ends) -> Vec<u8>);

fn distinct(tried: &[usize]) -> bool {
    (1..tried.len()).all(|at| !tried[..at].contains(&tried[at]))
}

#[test]
fn what_is_not_answered_goes_elsewhere_with_the_clients_repetition() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let first = to_real(&mut world, served, call);
        world.now = world.now + SECOND / 10;
        assert_eq!(to_real(&mut world, served, call), first, "{what}: the network's copy");
        assert_was_at(&world, &[first], &what);
        world.now = world.now + SECOND;
        let second = to_real(&mut world, served, call);
        assert_was_at(&world, &[first, second], &what);
        world.now = world.now + 2 * SECOND;
        let third = to_real(&mut world, served, call);
        let tried = [first, second, third];
        assert!(distinct(&tried), "{what}: {tried:?}");
        assert_was_at(&world, &tried, &what);
        world.now = world.now + 4 * SECOND;
        assert_eq!(to_real(&mut world, served, call), third, "{what}: three are enough");
        assert_was_at(&world, &tried, &what);
        assert_eq!(world.originated(), []);
        answer(&mut world, served, third, call);
        assert_was_at(&world, &tried, &what);
    }
}

#[test]
fn what_is_refused_goes_elsewhere_at_once() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let first = to_real(&mut world, served, call);
        let second = refuse(&mut world, served, first, call);
        assert_was_at(&world, &[first, second], &what);
        let third = refuse(&mut world, served, second, call);
        let tried = [first, second, third];
        assert!(distinct(&tried), "{what}: {tried:?}");
        assert_was_at(&world, &tried, &what);
        assert_eq!(counters(&world).traffic.packets_in, 3, "each got the SYN");
        // The last word is the client's.
        to_client(&mut world, served, third, call, &of_real(served, third, call).refusal());
        assert_eq!(only_flow(&world).state, FlowState::Closed, "{what}");
        assert_eq!((counters(&world).flows_new, counters(&world).second_chances), (1, 2));
    }
}

#[test]
fn an_unreachable_guest_refuses_too() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let first = to_real(&mut world, served, call);
        let (kind, code) = match served.version {
            Version::V4 => (3, 3),
            Version::V6 => (1, 4),
        };
        let seen = served.at_real(first, call).tcp("S", &[]);
        let quote = &seen[call.ip_at()..];
        let path = of_real(served, first, call);
        let own = Ends { source: (served.guest(first), 0), ..path };
        let error = own.icmp(kind, code, [0; 4], quote);
        let second = kept(&mut world, served, first, call, &error);
        assert_was_at(&world, &[first, second], &what);
        answer(&mut world, served, second, call);
    }
}

#[test]
fn what_is_no_refusal_is_the_clients() {
    for (mut world, served, what) in everywhere() {
        let says: [Says; 3] = [
            ("a reset that acknowledges nothing", |ends| ends.tcp("R", &[])),
            ("a reset that acknowledges something else", |ends| ends.tcp("RA", &[])),
            ("a reset after the answer", |ends| ends.refusal()),
        ];
        for (client_port, (said, frame)) in (40_000..).zip(says) {
            let call = served.call(client_port);
            let n = to_real(&mut world, served, call);
            let ends = of_real(served, n, call);
            if said.ends_with("answer") {
                to_client(&mut world, served, n, call, &ends.tcp("SA", &[]));
            }
            to_client(&mut world, served, n, call, &frame(ends));
            assert_eq!(counters(&world).second_chances, 0, "{said}, {what}");
        }
        assert_eq!(counters(&world).flows_new, 3, "{what}");
    }
}

#[test]
fn an_error_that_is_no_refusal_is_the_clients() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let n = to_real(&mut world, served, call);
        let unreachable = match served.version {
            Version::V4 => (3, 1),
            Version::V6 => (1, 3),
        };
        let exceeded = match served.version {
            Version::V4 => (11, 0),
            Version::V6 => (3, 0),
        };
        let other = Ends::new_syn(&served.at_real(n, call), &world);
        let same = syn(served.at_real(n, call));
        for ((kind, code), seen) in [(unreachable, other), (exceeded, same)] {
            let own = Ends { source: (served.guest(n), 0), ..of_real(served, n, call) };
            let error = own.icmp(kind, code, [0; 4], &seen[call.ip_at()..]);
            let out = world.send(n, &error).unwrap();
            assert_eq!((out.ports, world.originated()), (vec![UPLINK], vec![]), "{what}");
        }
        assert_was_at(&world, &[n], &what);
    }
}

#[test]
fn nobody_else_refuses_for_a_real() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let n = to_real(&mut world, served, call);
        let other = n % GUESTS + 1;
        let refusal = Ends { source_mac: guest_mac(other), ..of_real(served, n, call) }.refusal();
        assert_eq!(world.send(other, &refusal).map(drop), Err(DropReason::SpoofMac), "{what}");
        assert_eq!(world.originated(), []);
        assert_was_at(&world, &[n], &what);
    }
}

#[test]
fn who_answers_too_late_is_told_so_and_the_client_is_not() {
    for (mut world, served, what) in everywhere() {
        let call = served.call(40_000);
        let first = to_real(&mut world, served, call);
        world.now = world.now + SECOND;
        let second = to_real(&mut world, served, call);
        let late = of_real(served, first, call);
        assert_eq!(world.send(first, &late.tcp("SA", &[])).map(drop), Err(DropReason::NoFlow));
        let said = world.originated();
        let [Out { ports, frame }] = &said[..] else { panic!("{what}: {said:?}") };
        let Packet { ends, carries, .. } = read_packet(frame);
        let Carries::Tcp(tcp) = carries else { panic!("{carries:?}") };
        assert_eq!((ports, ends), (&vec![first], served.at_real(first, call)), "{what}");
        assert_eq!((tcp.rst, tcp.syn, tcp.ack, tcp.sequence_number), (true, false, false, 7));
        assert_eq!(world.send(first, &late.refusal()).map(drop), Err(DropReason::NoFlow));
        assert_eq!(world.originated(), [], "nobody answers a reset");
        answer(&mut world, served, second, call);
        assert_was_at(&world, &[first, second], &what);
    }
}

#[test]
fn without_another_real_nothing_changes() {
    for served in tcp_services() {
        let mut world = world(1, served, Scheduler::Wll);
        let call = served.call(40_000);
        assert_eq!(to_real(&mut world, served, call), 1);
        world.now = world.now + SECOND;
        assert_eq!(to_real(&mut world, served, call), 1);
        to_client(&mut world, served, 1, call, &of_real(served, 1, call).refusal());
        assert_eq!((counters(&world).flows_new, counters(&world).second_chances), (1, 0));
        assert_eq!(only_flow(&world).placed(), Placed::Scheduler);
    }
}

#[test]
fn the_sorry_real_is_the_last_resort_and_who_is_full_is_none() {
    for served in tcp_services() {
        let mut world = world(3, served, Scheduler::Rr);
        let sorry = Empty::Sorry(name("web3"));
        let spec = ServiceSpec { empty: sorry, scheduler: Scheduler::Rr, ..served.spec("web") };
        world.apply(Command::DeleteReal { service: name("web"), guest: name("web3") });
        world.apply(Command::SetService(spec));
        let call = |client_port| served.call(client_port);
        let first = to_real(&mut world, served, call(40_000));
        let second = refuse(&mut world, served, first, call(40_000));
        assert!(second < 3, "not yet");
        let out = world.send(second, &of_real(served, second, call(40_000)).refusal());
        assert_eq!(out.map(drop), Err(DropReason::SecondChance));
        assert_eq!(world.originated()[0].ports, [3], "{served:?}");
        // With its only flow a real of one flow has what it may have.
        let n = to_real(&mut world, served, call(40_001));
        let other = 3 - n;
        to_real(&mut world, served, call(40_002));
        let spec = RealSpec {
            port: served.real_port().map(|port| port.try_into().unwrap()),
            flows_max: Some(1),
            ..RealSpec::new(name(&format!("web{other}")))
        };
        world.apply(Command::SetReal { service: name("web"), real: spec });
        let refusal = of_real(served, n, call(40_001)).refusal();
        assert_eq!(world.send(n, &refusal).map(drop), Err(DropReason::SecondChance));
        assert_eq!(world.originated()[0].ports, [3], "{served:?}");
    }
}

#[test]
fn a_syn_that_was_not_kept_goes_elsewhere_when_it_comes_again() {
    for served in tcp_services() {
        let mut world = world(GUESTS, served, Scheduler::Wll);
        let call = served.call(40_000);
        let long = call.tcp("S", &[7; 200]);
        let first = world.send(UPLINK, &long).unwrap().ports[0];
        let refusal = of_real(served, first, call).refusal();
        assert_eq!(world.send(first, &refusal).map(drop), Err(DropReason::SecondChance));
        assert_eq!(world.originated(), [], "there is nothing to send");
        assert_was_at(&world, &[first], "not yet");
        world.now = world.now + SECOND;
        let second = world.send(UPLINK, &long).unwrap().ports[0];
        assert_ne!(first, second);
        assert_was_at(&world, &[first, second], "now");
    }
}

#[test]
fn a_nics_part_of_the_syn_is_done_and_a_wrong_one_is_not_repeated() {
    for served in tcp_services() {
        let mut world = world(GUESTS, served, Scheduler::Wll);
        let call = served.call(40_000);
        let at = call.payload_at();
        let mut owing = syn(call);
        let ip = Ip::parse(
            &owing,
            owing.len(),
            call.ip_at(),
            if served.version == Version::V4 { 0x0800 } else { 0x86dd },
        );
        let pseudo = ip.unwrap().unwrap().pseudo_header().folded();
        owing[at + 16..at + 18].copy_from_slice(&pseudo.to_be_bytes());
        let checksum = Some(PartialChecksum { start: at as u16, offset: 16 });
        let mut offload = Offload { checksum, segments: None };
        let first = world.send_offloaded(UPLINK, &owing, &mut offload).unwrap().ports[0];
        refuse(&mut world, served, first, call);

        let call = served.call(40_001);
        let mut wrong = syn(call);
        wrong[at + 17] ^= 1;
        let first = world.send(UPLINK, &wrong).unwrap().ports[0];
        let refusal = of_real(served, first, call).refusal();
        assert_eq!(world.send(first, &refusal).map(drop), Err(DropReason::SecondChance));
        assert_eq!(world.originated(), [], "{served:?}");
    }
}

#[test]
fn a_client_is_remembered_where_it_was_heard() {
    for served in tcp_services() {
        let mut world = world(GUESTS, served, Scheduler::Rr);
        let timeout = Duration::from_secs(300);
        let persistence = Some(Persistence::Source { prefix_len: 32, timeout });
        let spec = ServiceSpec { persistence, scheduler: Scheduler::Rr, ..served.spec("web") };
        world.apply(Command::SetService(spec));
        let first = to_real(&mut world, served, served.call(40_000));
        let second = refuse(&mut world, served, first, served.call(40_000));
        // Nobody has answered, so this may be anybody.
        assert_eq!(to_real(&mut world, served, served.call(40_001)), first, "{served:?}");
        let call = served.call(40_000);
        let out = of_real(served, second, call).tcp("SA", &[]);
        to_client(&mut world, served, second, call, &out);
        world.send(UPLINK, &call.tcp("A", &[])).unwrap();
        assert_eq!(to_real(&mut world, served, served.call(40_002)), second, "{served:?}");
    }
}

#[test]
fn a_guest_that_calls_may_be_its_own_second_chance_with_nat_alone() {
    for served in tcp_services() {
        let mut world = world(2, served, Scheduler::Rr);
        // Guest 1 calls until guest 2 gets the call; `direct` drops those that would be its own.
        let call = (40_000..40_002).map(|client_port| served.call_of_guest(1, client_port));
        let is_at_2 = |call: &Ends| world.send(1, &syn(*call)).is_ok_and(|out| out.ports == [2]);
        let call = call.filter(is_at_2).last().expect("whose turn it is changes");
        match served.forwarding {
            Forwarding::Nat => assert_eq!(refuse(&mut world, served, 2, call), 1),
            Forwarding::Direct => {
                let out = world.send(2, &of_real(served, 2, call).refusal()).unwrap();
                let ends = read(&out.frame).0;
                assert_eq!((out.ports, ends), (vec![1], call.reversed()), "{served:?}");
                assert_eq!(world.originated(), []);
            }
        }
    }
}

#[test]
fn a_decision_is_seen_for_each_real() {
    let mut world = world(GUESTS, Served::default(), Scheduler::Wlc);
    let call = Ends::call(40_000, 80);
    let first = to_real(&mut world, Served::default(), call);
    let second = refuse(&mut world, Served::default(), first, call);
    let decisions = world.plane.decisions().iter();
    let seen: Vec<_> = decisions
        .map(|decision| {
            let chosen = decision.outcome.clone().unwrap();
            (chosen.guest, chosen.by, chosen.candidates)
        })
        .collect();
    let of = |n| name(&format!("web{n}"));
    let expected = [(of(first), Placed::Scheduler, 4), (of(second), Placed::SecondChance, 3)];
    assert_eq!(seen, expected);
}
