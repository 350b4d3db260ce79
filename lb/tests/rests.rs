//! How long the switch may be left alone: what it says by itself, it says at the same instants.

mod world;

use std::time::Duration;

use lb::*;
use world::*;

const STEP: Duration = Duration::from_millis(10);
const REST_MAX: Duration = Duration::from_millis(100);

/// Two guests of a service, of which the second never answers, and a management address that no server
/// lends.
fn world() -> World {
    let mut world = World::new(2);
    let spec = Served::default().spec("web");
    world.apply(Command::SetService(spec));
    for n in [1, 2] {
        world.define(n);
        world.set_real("web", n, None, 100);
    }
    let addresses = [AddressSpec { source: AddressSource::Dhcp, vlan: 0 }];
    let spec = ManagementSpec {
        mac: MacAddr([2, 0, 0, 0, 9, 9]),
        addresses: addresses.into_iter().collect(),
    };
    world.apply(Command::SetManagement(Some(spec.into())));
    world
}

/// What is said within a minute, when, and how often housekeeping was done for it. Steps are multiples
/// of ten milliseconds, so that instants can be compared.
fn minute(step: impl Fn(&World) -> Duration) -> (Vec<(u64, Out)>, usize) {
    let (mut world, mut said, mut calls) = (world(), Vec::new(), 0);
    let end = world.now + Duration::from_secs(60);
    while world.now < end {
        let passed = step(&world);
        world.now = world.now + (passed - STEP);
        let outs = world.pass_without(STEP, &[2]);
        said.extend(outs.into_iter().map(|out| (world.now.as_millis(), out)));
        calls += 1;
    }
    // The last step may reach beyond it.
    said.retain(|(at, _)| *at <= end.as_millis());
    (said, calls)
}

#[test]
fn a_switch_that_is_left_alone_says_the_same() {
    let (always, calls_always) = minute(|_| STEP);
    let (seldom, calls_seldom) = minute(|world| {
        let due = world.plane.next_due().since(world.now).min(REST_MAX);
        STEP * (due.as_millis().div_ceil(STEP.as_millis()) as u32).max(1)
    });
    assert!(always.len() > 2 * 4 * 59, "each guest is asked four times a second");
    let differs = always.iter().zip(&seldom).find(|(always, seldom)| always != seldom);
    assert_eq!((differs, seldom.len()), (None, always.len()));
    assert_eq!(calls_always, 6000);
    assert!(calls_seldom < 2000, "{calls_seldom}");
}

#[test]
fn what_grows_old_is_looked_after_all_the_time() {
    let mut world = World::serving(1);
    assert!(world.plane.next_due() > world.now, "nothing is there");
    world.send(0, &Ends::call(40_000, 80).tcp("S", &[])).unwrap();
    assert!(world.plane.next_due() <= world.now, "a flow");
    world.pass_without(Duration::from_secs(120), &[]);
    assert!(world.plane.flows().is_empty());
    assert!(world.plane.next_due() > world.now, "it has gone");
}
