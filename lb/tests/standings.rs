//! What changes a real's standing holds for the very next flow, in whatever instant it comes, and
//! what the switch says of its reals is what it chooses by.

mod world;

use std::time::Duration;

use lb::*;
use proptest::prelude::*;
use world::*;

/// Guests behind `web`, by this scheduler.
fn serving(by: Scheduler, guests: usize) -> World {
    let mut world = World::serving(guests);
    world.set_service("web", Protocol::Tcp, 80, by);
    world
}

fn call_from(client_port: u16) -> Ends {
    Ends::call(client_port, 80)
}

/// Which guest a new flow goes to, if to any.
fn open(world: &mut World, client_port: u16) -> Option<usize> {
    match world.send(UPLINK, &call_from(client_port).tcp("S", &[])) {
        Ok(out) => Some(out.ports[0]),
        Err(reason) => {
            assert_eq!(reason, DropReason::NoBackend);
            None
        }
    }
}

fn close(world: &mut World, client_port: u16) {
    world.send(UPLINK, &call_from(client_port).tcp("R", &[])).unwrap();
}

fn set_flows_max(world: &mut World, n: usize, flows_max: u32) {
    let spec = RealSpec { flows_max: Some(flows_max), ..world.real("web", n).spec.clone() };
    world.apply(Command::SetReal { service: name("web"), real: spec });
}

#[test]
fn a_real_that_fills_up_gets_no_more_until_a_flow_of_it_ends() {
    for by in Scheduler::ALL {
        let mut world = serving(by, 2);
        set_flows_max(&mut world, 1, 2);
        set_flows_max(&mut world, 2, 1);
        let mut guests: Vec<_> = (1..=3).map(|at| open(&mut world, at).unwrap()).collect();
        let of_2 = 1 + guests.iter().position(|&guest| guest == 2).unwrap() as u16;
        guests.sort_unstable();
        assert_eq!(guests, [1, 1, 2], "{by:?}");
        assert_eq!(open(&mut world, 4), None, "{by:?}: all are full");
        close(&mut world, of_2);
        assert_eq!(open(&mut world, 5), Some(2), "{by:?}: has room again");
        assert_eq!(open(&mut world, 6), None, "{by:?}");
    }
}

#[test]
fn reports_hold_at_once_and_words_until_they_run_out() {
    for by in Scheduler::ALL {
        let mut world = serving(by, 2);
        open(&mut world, 1).unwrap();
        world.report(1, "drain ttl=1003");
        let guests: Vec<_> = (2..12).map(|at| open(&mut world, at)).collect();
        assert_eq!(guests, [Some(2); 10], "{by:?}");
        world.report(2, "maint");
        assert_eq!(open(&mut world, 20), None, "{by:?}");
        world.now = world.now + Duration::from_millis(1000);
        for (at, more_ms, expected) in [(21, 0, None), (22, 3, None), (23, 1, Some(1))] {
            world.now = world.now + Duration::from_millis(more_ms);
            assert_eq!(open(&mut world, at), expected, "{by:?}: flow {at}");
        }
    }
}

#[test]
fn a_guest_that_answers_again_is_there_at_once() {
    let mut world = serving(Scheduler::Lc, 2);
    world.pass_without(Duration::from_secs(1), &[2]);
    assert_eq!([open(&mut world, 1), open(&mut world, 2)], [Some(1); 2]);
    world.settle();
    assert_eq!([open(&mut world, 3), open(&mut world, 4)], [Some(2); 2]);
}

/// What may happen between two flows.
#[derive(Clone, Debug)]
enum Happening {
    Flow,
    Close(usize),
    Report(usize, u32),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Flow),
        2 => (0..200usize).prop_map(Happening::Close),
        1 => (1..=4usize, 0..=120u32).prop_map(|(n, percent)| Happening::Report(n, percent)),
        2 => (1..40_000u64).prop_map(Happening::Pass),
        1 => (1..900_000u64).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nobody stood better by the switch's own account than the real that a flow got.
    #[test]
    fn what_is_said_is_what_is_chosen_by(
        happenings in proptest::collection::vec(happening(), 1..150),
        weights in proptest::collection::vec(1..300u16, 4),
    ) {
        let mut world = serving(Scheduler::Wll, 4);
        for (n, &weight) in (1..).zip(&weights) {
            world.set_real("web", n, Some(8080), weight);
        }
        let mut open_ports = Vec::new();
        for (client_port, happening) in (1000..).zip(happenings) {
            match happening {
                Happening::Close(at) if at < open_ports.len() => {
                    close(&mut world, open_ports.swap_remove(at));
                }
                Happening::Close(_) => {}
                Happening::Report(n, percent) => {
                    world.report(n, &format!("up cpu={percent}%"));
                }
                Happening::Pass(us) => world.now = world.now + Duration::from_micros(us),
                Happening::Flow => {
                    let loads: Vec<_> = (1..=4).map(|n| load(&world, n)).collect();
                    let guest = open(&mut world, client_port).unwrap();
                    open_ports.push(client_port);
                    // This may have been the first flow of a slice.
                    let loads = if loads.contains(&None) { continue } else { loads };
                    let of = |n: usize| loads[n - 1].unwrap_or_default();
                    let (load, weight) = of(guest);
                    let best = (1..=4).all(|n| load * of(n).1 <= of(n).0 * weight);
                    prop_assert!(best, "{guest} of {loads:?}");
                }
            }
        }
    }
}

/// A real's expected delay and the part of its weight that is wished for, where reports are fresh.
fn load(world: &World, n: usize) -> Option<(u64, u64)> {
    let standing = world.standing("web", n);
    let weight = u32::from(world.real("web", n).spec.weight);
    let wish = standing.effective_weight.thousandths() / weight;
    Some((standing.forecast?.delay.as_nanos() as u64, wish.into()))
}
