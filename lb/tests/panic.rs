//! Where too few of a service's reals work, nobody's word that one does not is believed.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use lb::*;
use world::*;

/// The guests that get new flows.
fn served_by(world: &mut World, first_port: u16) -> Vec<usize> {
    let mut guests = BTreeSet::new();
    for client_port in first_port..first_port + 40 {
        let call = Ends::call(client_port, 80);
        let Ok(out) = world.send(UPLINK, &call.tcp("S", &[])) else {
            continue;
        };
        guests.extend(out.ports);
        world.send(UPLINK, &call.tcp("R", &[])).unwrap();
    }
    guests.into_iter().collect()
}

/// What the log hears of panic.
fn told(world: &mut World) -> Vec<bool> {
    world.pass(Duration::from_millis(80));
    let events = std::iter::from_fn(|| world.plane.events().pop());
    let is_on = |event| match event {
        Event::Panic { service, is_on } => (service == name("web")).then_some(is_on),
        _ => None,
    };
    events.filter_map(is_on).collect()
}

#[test]
fn f5_below_two_fifths_the_words_of_agents_are_not_believed() {
    let mut world = World::serving(5);
    told(&mut world);
    for n in 1..=3 {
        world.report(n, "down");
    }
    assert_eq!(served_by(&mut world, 1), [4, 5], "two of five are enough");
    let sources = world.standing("web", 1).sources;
    assert_eq!((told(&mut world), sources.panics, sources.disbelieved()), (vec![], false, None));

    world.report(4, "down");
    assert_eq!(served_by(&mut world, 100)[..3], [1, 2, 3], "at once");
    world.pass(Duration::from_secs(1));
    assert_eq!(served_by(&mut world, 150), [1, 2, 3, 4, 5], "as if nothing was said");
    let Standing { eligibility, sources, .. } = world.standing("web", 1);
    assert_eq!((eligibility, sources.panics), (Ok(()), true));
    assert_eq!(sources.agent, Some(guest::load::AgentWord::Down), "what it says is shown");
    let disbelieved = [1, 4, 5].map(|n| world.standing("web", n).sources.disbelieved());
    let down = Some(Ineligible::AgentDown);
    assert_eq!(disbelieved, [down, down, None], "and that it is not believed");
    assert_eq!((told(&mut world), told(&mut world)), (vec![true], vec![]), "told once");

    world.report(1, "up");
    assert_eq!(told(&mut world), [false], "two of five");
    world.pass(Duration::from_secs(5));
    assert_eq!(served_by(&mut world, 200), [1, 5]);
}

#[test]
fn f5_what_cannot_be_reached_or_is_not_wanted_stays_out() {
    let mut world = World::serving(7);
    world.report(1, "down");
    world.report(2, "drain");
    world.report(3, "maint");
    let state = AdminState::Maint;
    world.apply(Command::Administer { service: None, guest: name("web4"), state });
    world.apply(Command::SetLink { port: port(5), up: false });
    world.set_real("web", 6, Some(8080), 0);
    world.pass_without(Duration::from_secs(1), &[7]);
    // Wanted are 1, 5 and 7, and none is well.
    assert_eq!(served_by(&mut world, 1), [1]);
    let word = |n| world.standing("web", n).eligibility.map_err(Ineligible::as_str);
    assert_eq!(
        [1, 2, 3, 4, 5, 6, 7].map(word),
        [
            Ok(()),
            Err("agent: drain"),
            Err("agent: maint"),
            Err("maint"),
            Err("port down"),
            Err("no weight"),
            Err("silent")
        ]
    );
}

#[test]
fn nobody_panics_who_has_nothing_to_disbelieve() {
    let mut world = World::serving(5);
    told(&mut world);
    world.pass_without(Duration::from_secs(1), &[1, 2, 3, 4]);
    assert_eq!((served_by(&mut world, 1), told(&mut world)), (vec![5], vec![]), "silent");
    let mut world = World::serving(5);
    (1..=4).for_each(|n| world.report(n, "drain"));
    assert_eq!((served_by(&mut world, 1), told(&mut world)), (vec![5], vec![]), "a restart");
}

#[test]
fn the_operator_sets_the_share_and_0_is_never() {
    for (panic, expected) in [(Some(0), &[][..]), (Some(1), &[1, 2]), (Some(100), &[1, 2])] {
        let mut world = World::serving(2);
        let spec = World::service_spec("web", Protocol::Tcp, 80);
        world.apply(Command::SetService(ServiceSpec { panic, ..spec }));
        (1..=2).for_each(|n| world.report(n, "down"));
        assert_eq!(served_by(&mut world, 1), expected, "{panic:?}");
    }
}
