//! A real that is new or back gets its share by and by, and moves no flow of before.

mod world;

use std::time::Duration;

use lb::*;
use world::*;

/// So many new flows, each closed at once: the share of guest `n`, in thousandths.
fn share(world: &mut World, n: usize, first_port: u16) -> usize {
    const FLOWS: u16 = 2_000;
    let mut given = 0;
    for client_port in first_port..first_port + FLOWS {
        let call = Ends::call(client_port, 80);
        let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
        given += usize::from(out.ports == [n]);
        world.send(UPLINK, &call.tcp("R", &[])).unwrap();
    }
    given * 1000 / usize::from(FLOWS)
}

fn slow_start(world: &World, n: usize) -> u32 {
    world.standing("web", n).factors.slow_start.get()
}

fn administer(world: &mut World, n: usize, state: AdminState) {
    let guest = name(&format!("web{n}"));
    world.apply(Command::Administer { service: Some(name("web")), guest, state });
}

/// Three guests that serve for long, and a fourth that is no real yet.
fn three_of_four(by: Scheduler) -> World {
    let mut world = World::new(4);
    world.set_service("web", Protocol::Tcp, 80, by);
    for n in 1..=4 {
        world.define(n);
    }
    for n in 1..=3 {
        world.set_real("web", n, Some(8080), 100);
    }
    world.settle();
    world
}

#[test]
fn f2_a_guest_that_is_added_has_its_share_after_ten_seconds_and_no_flow_moves() {
    for by in [Scheduler::Wrr, Scheduler::Wlc, Scheduler::Wll, Scheduler::P2c] {
        let mut world = three_of_four(by);
        let long = (1..=90).map(|at| Ends::call(at, 80));
        let mut homes = Vec::new();
        for call in long {
            homes.push((call, world.send(UPLINK, &call.tcp("S", &[])).unwrap().ports));
        }
        for (call, _) in &homes {
            world.send(UPLINK, &call.tcp("R", &[])).unwrap();
        }
        world.set_real("web", 4, Some(8080), 100);
        world.pass(Duration::from_millis(300));
        assert!((11..=12).contains(&slow_start(&world, 4)), "{by:?}");
        let first = share(&mut world, 4, 1_000);
        assert!(first <= 70, "{by:?}: {first} of 1000 at first");
        world.pass(Duration::from_secs(10));
        let full = share(&mut world, 4, 4_000);
        assert!((225..=275).contains(&full), "{by:?}: {full} of 1000 after 10 s");
        for (call, ports) in homes {
            let moved = world.send(UPLINK, &call.tcp("R", &[])).map(|out| out.ports != ports);
            assert!(!moved.unwrap_or(false), "{by:?}: {call:?}");
        }
    }
}

#[test]
fn nobody_ramps_who_is_there_from_the_beginning() {
    let mut world = three_of_four(Scheduler::Wrr);
    assert_eq!([1, 2, 3].map(|n| slow_start(&world, n)), [100; 3]);
    let is_third = |n: usize, world: &mut World, from| {
        let share = share(world, n, from);
        assert!((330..=336).contains(&share), "{n}: {share}");
    };
    is_third(1, &mut world, 1_000);

    // All out and in again: nobody stands full beside whom they would be new.
    world.pass_without(Duration::from_secs(2), &[1, 2, 3]);
    world.pass(Duration::from_millis(500));
    assert_eq!([1, 2, 3].map(|n| slow_start(&world, n)), [100; 3]);
    is_third(3, &mut world, 4_000);
}

#[test]
fn whoever_comes_back_ramps_whatever_kept_it_out() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, Change); 4] = [
        ("maint", |w| administer(w, 1, AdminState::Maint), |w| administer(w, 1, AdminState::Ready)),
        (
            "port",
            |w| w.apply(Command::SetLink { port: port(1), up: false }),
            |w| w.apply(Command::SetLink { port: port(1), up: true }),
        ),
        ("agent down", |w| w.report(1, "down"), |w| w.report(1, "up")),
        (
            "silent",
            |w| drop(w.pass_without(Duration::from_secs(2), &[1])),
            |w| w.pass(Duration::from_millis(260)),
        ),
    ];
    for (what, out, back) in cases {
        let mut world = three_of_four(Scheduler::Wrr);
        out(&mut world);
        assert_eq!(share(&mut world, 1, 1_000), 0, "{what}");
        back(&mut world);
        let first = share(&mut world, 1, 4_000);
        assert!((1..=60).contains(&first), "{what}: {first}");
        world.pass(Duration::from_secs(5));
        let half = world.standing("web", 1).effective_weight.whole();
        assert!((53..=58).contains(&half), "{what}: {half}");
        assert_eq!([2, 3].map(|n| slow_start(&world, n)), [100; 2], "{what}: the others stand");
        world.pass(Duration::from_secs(5));
        assert_eq!(slow_start(&world, 1), 100, "{what}");
    }
}

#[test]
fn one_that_was_drained_is_back_whole() {
    let mut world = three_of_four(Scheduler::Wrr);
    administer(&mut world, 1, AdminState::Drain);
    world.report(2, "drain");
    world.pass(Duration::from_secs(1));
    administer(&mut world, 1, AdminState::Ready);
    world.report(2, "ready");
    assert_eq!([1, 2].map(|n| slow_start(&world, n)), [100; 2]);
}

#[test]
fn l12_an_agent_that_begins_a_new_life_after_a_silence_ramps() {
    // After the second line six seconds pass, in which the first has expired.
    let cases = [
        ("a restarted guest", "up id=a seq=900", "up id=b seq=1", 10),
        ("one without an id", "up seq=900", "up seq=1", 10),
        ("one that paused", "up id=a seq=900", "up id=a seq=901", 100),
        ("a line from a shell, now and then", "up", "up", 100),
    ];
    for (what, before, after, expected) in cases {
        let mut world = three_of_four(Scheduler::Wrr);
        world.report(1, before);
        world.pass(Duration::from_secs(6));
        world.report(1, after);
        assert_eq!(slow_start(&world, 1), expected, "{what}");
    }
    // A new version of the agent is no new guest.
    let mut world = three_of_four(Scheduler::Wrr);
    world.report(1, "up id=a seq=900");
    world.pass(Duration::from_secs(1));
    world.report(1, "up id=b seq=1");
    assert_eq!(slow_start(&world, 1), 100);
}

#[test]
fn the_operator_says_how_long_it_takes() {
    for (seconds, after_5_s) in [(0, 100), (5, 100), (50, 19)] {
        let mut world = three_of_four(Scheduler::Wrr);
        let spec = ServiceSpec {
            slow_start: Some(Duration::from_secs(seconds)),
            scheduler: Scheduler::Wrr,
            ..World::service_spec("web", Protocol::Tcp, 80)
        };
        world.apply(Command::SetService(spec));
        administer(&mut world, 1, AdminState::Maint);
        world.pass(Duration::from_secs(1));
        administer(&mut world, 1, AdminState::Ready);
        share(&mut world, 1, 1_000);
        world.pass(Duration::from_secs(5));
        assert_eq!(slow_start(&world, 1), after_5_s, "{seconds} s");
    }
}
