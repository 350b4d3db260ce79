//! Explanations: what is said of a call beforehand is what becomes of it, and saying it changes
//! nothing. And the ring of the last decisions.

mod world;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use lb::explain::decisions::{Choice, Decision, Placed};
use lb::explain::{Call, Explanation};
use lb::flow::Direction;
use lb::limits::DECISIONS_KEPT;
use lb::service::sched::Measured;
use lb::wire::Endpoint;
use lb::*;
use world::*;

fn end((address, port): (IpAddr, u16)) -> Endpoint {
    Endpoint { address: address.into(), port }
}

fn call_of(served: Served, ends: Ends) -> Call {
    let (client, vip) = (end(ends.source), end(ends.destination));
    Call { vlan: served.vlan, protocol: served.protocol, client, vip }
}

fn explain(world: &World, served: Served, ends: Ends) -> Explanation {
    world.plane.explain(&call_of(served, ends), world.now).expect("the service listens")
}

/// What may not move when a question is asked.
fn state(world: &World) -> String {
    let tables = world.plane.tables();
    let services: Vec<_> = tables.services().map(|(_, service)| service.counters).collect();
    let reals: Vec<_> = tables.reals().map(|(_, real)| (real.counters, &real.load)).collect();
    let flows: Vec<_> = world.plane.flows().iter().collect();
    let decisions: Vec<_> = world.plane.decisions().iter().collect();
    let clients = world.plane.persistence().len();
    format!("{services:?} {reals:?} {flows:?} {decisions:?} {clients}")
}

/// Begins a flow; its outcome as the ring has it.
fn begin(world: &mut World, served: Served, ends: Ends) -> Decision {
    let _ = world.send(UPLINK, &served.packet(ends, "S", b""));
    world.plane.decisions().iter().last().expect("a decision").clone()
}

fn guest_of(world: &World, choice: &Choice) -> Name {
    world.plane.tables().real(choice.real).expect("a real").spec.guest.clone()
}

/// Asks what would become of a call, sees that asking changes nothing, and makes the call.
fn foretold(world: &mut World, served: Served, ends: Ends) -> Decision {
    let before = state(world);
    let said = explain(world, served, ends);
    assert_eq!(explain(world, served, ends).new, said.new, "the same when asked again");
    assert_eq!(state(world), before, "a question changes nothing");
    let names = said.new.map(|choice| {
        let runner_up = choice.runner_up.map(|(id, its)| (Choice { real: id, ..choice }, its));
        let runner_up = runner_up.map(|(other, its)| (guest_of(world, &other), its));
        (guest_of(world, &choice), choice.by, choice.candidates, choice.measured, runner_up)
    });
    let decision = begin(world, served, ends);
    let outcome = decision.outcome.clone();
    let made = outcome.map(|c| (c.guest, c.by, c.candidates, c.measured, c.runner_up));
    assert_eq!(made, names, "what was said is what happened");
    assert_eq!((decision.at, decision.protocol), (world.now, served.protocol));
    assert_eq!((decision.client, decision.service.as_str()), (end(ends.source), "web"));
    decision
}

#[test]
fn what_is_said_beforehand_is_what_happens() {
    for scheduler in Scheduler::ALL {
        for served in SERVED.into_iter().filter(|served| served.forwarding == Forwarding::Nat) {
            let mut world = World::serving_as(4, served);
            world.apply(Command::SetService(ServiceSpec { scheduler, ..served.spec("web") }));
            world.set_real("web", 2, served.real_port(), 250);
            world.plane.start(world.now);
            for client_port in 2000..2060 {
                match client_port {
                    2020 => world.apply(Command::Administer {
                        service: None,
                        guest: name("web1"),
                        state: AdminState::Drain,
                    }),
                    2040 => world.pass(Duration::from_millis(30)),
                    _ => {}
                }
                let decision = foretold(&mut world, served, served.call(client_port));
                let chosen = decision.outcome.expect("a real");
                let by = if scheduler == Scheduler::Mh { Placed::Table } else { Placed::Scheduler };
                let candidates = if client_port < 2020 { 4 } else { 3 };
                // A slot of the table whose real is drained is the scheduler's to fill.
                assert!(chosen.by == by || scheduler == Scheduler::Mh, "{scheduler:?}");
                assert_eq!(chosen.candidates, candidates, "{scheduler:?}");
            }
        }
    }
}

/// Two worlds from one seed; in one of them questions are asked all the time.
#[test]
fn questions_turn_nothing() {
    for scheduler in Scheduler::ALL {
        let served = Served::default();
        let homes = |questions: usize| -> Vec<Name> {
            let mut world = World::serving(3);
            world.apply(Command::SetService(ServiceSpec { scheduler, ..served.spec("web") }));
            let home = |client_port: u16| {
                let ends = served.call(client_port);
                (0..questions).for_each(|_| drop(explain(&world, served, ends)));
                begin(&mut world, served, ends).outcome.expect("a real").guest
            };
            (3000..3030).map(home).collect()
        };
        assert_eq!(homes(0), homes(3), "{scheduler:?}");
    }
}

#[test]
fn every_way_to_a_real_and_every_refusal_is_foretold() {
    let served = Served::default();
    let mut world = World::serving(3);
    let persistence = Persistence::Source { prefix_len: 32, timeout: Duration::from_secs(60) };
    let spec = ServiceSpec {
        scheduler: Scheduler::Rr,
        persistence: Some(persistence),
        empty: Empty::Sorry(name("web3")),
        flows_max: NonZeroU32::new(4),
        ..served.spec("web")
    };
    world.apply(Command::SetService(spec.clone()));
    let delete = |guest: &str| Command::DeleteReal { service: name("web"), guest: name(guest) };
    world.apply(delete("web3"));
    let by = |decision: Decision| decision.outcome.map(|chosen| (chosen.guest, chosen.by));

    let first = by(foretold(&mut world, served, served.call(4000))).unwrap();
    assert_eq!(first.1, Placed::Scheduler);
    let again = foretold(&mut world, served, served.call(4001));
    assert_eq!(by(again), Ok((first.0.clone(), Placed::Persistence)));
    let id = explain(&world, served, served.call(4001)).remembered.expect("a client of before");
    assert_eq!(world.plane.tables().real(id).unwrap().spec.guest, first.0);

    world.apply(delete("web1"));
    world.apply(delete("web2"));
    let sorry = foretold(&mut world, served, served.call(4002));
    assert_eq!(by(sorry), Ok((name("web3"), Placed::Sorry)));

    world.apply(Command::SetService(ServiceSpec { empty: Empty::Drop, ..spec.clone() }));
    assert_eq!(by(foretold(&mut world, served, served.call(4003))), Err(DropReason::NoBackend));

    world.set_real("web", 1, None, 100);
    let flows_max = NonZeroU32::new(1);
    let direct = ServiceSpec { forwarding: Forwarding::Direct, flows_max, ..spec };
    world.apply(Command::SetService(direct));
    let to_itself = explain(&world, served, served.call_of_guest(1, 4004)).new;
    assert_eq!(to_itself.map(|choice| choice.by), Err(DropReason::Hairpin));
    world.pass(Duration::from_secs(1));
    begin(&mut world, served, served.call(4005)).outcome.expect("web1 takes one");
    assert_eq!(by(foretold(&mut world, served, served.call(4006))), Err(DropReason::ServiceFull));
}

#[test]
fn an_open_flow_says_by_what_it_was_placed() {
    let served = Served::default();
    let mut world = World::serving(2);
    assert!(explain(&world, served, served.call(5000)).flow.is_none());
    let home = begin(&mut world, served, served.call(5000)).outcome.unwrap().guest;
    let id = explain(&world, served, served.call(5000)).flow.expect("it is open");
    let flow = world.plane.flows().get(id).unwrap();
    assert_eq!((flow.placed(), flow.started), (Placed::Scheduler, world.now));
    assert_eq!(world.plane.tables().real(flow.real).unwrap().spec.guest, home);
    assert_eq!(world.plane.flows().find(flow.key(Direction::ToReal), Direction::ToReal), Some(id));
    let nowhere = Call { vip: end((VIP, 81)), ..call_of(served, served.call(5000)) };
    assert!(world.plane.explain(&nowhere, world.now).is_none());
}

/// The number that decides is that of the winner, and nobody's is less.
#[test]
fn factors_say_who_may_be_chosen_and_who_is_least() {
    let served = Served::default();
    let mut world = World::serving(4);
    world.set_real("web", 4, Some(8080), 0);
    (6000..6010).for_each(|at| {
        begin(&mut world, served, served.call(at));
    });
    let said = explain(&world, served, served.call(6010));
    let choice = said.new.expect("a real");
    let flows = |measured: Option<Measured>| match measured {
        Some(Measured::Flows(flows)) => flows,
        other => panic!("wlc goes by flows, not {other:?}"),
    };
    let [able @ .., last] = &said.reals[..] else { panic!("four reals") };
    let mut measures: Vec<_> = able.iter().map(|factors| flows(factors.measured)).collect();
    assert!(
        able.iter().all(|factors| factors.is_candidate && factors.standing.eligibility.is_ok())
    );
    assert!(!last.is_candidate && last.measured.is_none());
    assert_eq!(last.standing.eligibility, Err(Ineligible::NoWeight));
    measures.sort_unstable();
    assert_eq!(measures, [3000, 3000, 4000], "open flows in thousandths, at a weight of 100");
    assert_eq!(flows(choice.measured), 3000);
    let (other, its) = choice.runner_up.expect("the other one of the least");
    assert!(other != choice.real && flows(Some(its)) == 3000);
}

#[test]
fn the_ring_keeps_the_last_decisions_in_their_order() {
    let served = Served::default();
    let mut world = World::serving(2);
    assert_eq!(world.plane.decisions().iter().count(), 0);
    for made in 1..=150 {
        begin(&mut world, served, served.call(7000 + made));
        let ports: Vec<u16> = world.plane.decisions().iter().map(|d| d.client.port).collect();
        let kept = usize::from(made).min(DECISIONS_KEPT) as u16;
        let expected: Vec<u16> = (made - kept + 1..=made).map(|at| 7000 + at).collect();
        assert_eq!(ports, expected);
    }
}
