//! A hash leads home, but the flow may have begun where another stood in for a home that was out.
//! So until a real has answered, it is a guess where the flow goes on: a reset of the first real is
//! not the client's, one of the stand-in is, and whichever real speaks has the flow.

use std::sync::OnceLock;

use crate::*;

/// Where the hash leads a call: home, and the one that stands in for it.
#[derive(Clone, Copy)]
struct Places {
    call: Ends,
    home: usize,
    stand_in: usize,
    /// Neither of them.
    other: usize,
}

/// Every scheduler that places by hash and every service, with a call.
fn by_hash() -> impl Iterator<Item = (Scheduler, Served, Places)> {
    static CASES: OnceLock<Vec<(Scheduler, Served, Places)>> = OnceLock::new();
    let schedulers = || Scheduler::ALL.into_iter().filter(is_by_hash);
    let cases = || schedulers().flat_map(|scheduler| tcp_services().map(move |s| (scheduler, s)));
    let all = || cases().map(|(scheduler, served)| (scheduler, served, places(scheduler, served)));
    CASES.get_or_init(|| all().collect()).iter().copied()
}

/// A call and its places, found out by calling.
fn places(scheduler: Scheduler, served: Served) -> Places {
    let call = call(served, 1);
    let mut before = started(served, scheduler, SECRETS[0]);
    let home = to_real(&mut before, served, call, "A");
    before.pass_without(Duration::from_secs(11), &[home]);
    assert!(before.plane.flows().is_empty(), "it is forgotten");
    greet(&mut before, served);
    let stand_in = to_real(&mut before, served, call, "S");
    let other = (1..=GUESTS).find(|n| ![home, stand_in].contains(n)).unwrap();
    Places { call, home, stand_in, other }
}

/// A real's reset of this call; how it ends.
fn reset(world: &mut World, served: Served, n: usize, call: Ends) -> Result<Ends, DropReason> {
    let out = world.send(n, &answer(served, n, call).tcp("R", b""))?;
    assert_eq!(out.ports, [UPLINK], "{served:?}");
    Ok(read(&out.frame).0)
}

fn flows_open(world: &World) -> Vec<u32> {
    (1..=GUESTS).map(|n| world.real("web", n).counters.flows_open).collect()
}

/// One flow, of this guest.
fn assert_only_at(world: &World, n: usize) {
    let expected: Vec<u32> = (1..=GUESTS).map(|at| u32::from(at == n)).collect();
    assert_eq!((world.plane.flows().len(), flows_open(world)), (1, expected));
}

#[test]
fn what_home_does_not_know_goes_on_at_the_stand_in() {
    for (scheduler, served, Places { call, home, stand_in, .. }) in by_hash() {
        let mut world = restarted(served, scheduler);
        assert_eq!(to_real(&mut world, served, call, "A"), home, "{scheduler:?}");
        assert_only_at(&world, home);
        assert_eq!(reset(&mut world, served, home, call), Err(DropReason::NoFlow));
        assert_only_at(&world, stand_in);
        assert_eq!(to_real(&mut world, served, call, "PA"), stand_in, "{scheduler:?}");
        to_client(&mut world, served, stand_in, call, "A");
        assert_eq!(to_real(&mut world, served, call, "PA"), stand_in, "{scheduler:?}");
        assert_eq!(state(&world), [FlowState::Established]);
        assert_only_at(&world, stand_in);
        // What it says from now on is said to the client.
        assert_eq!(reset(&mut world, served, stand_in, call), Ok(call.reversed()));
        assert_eq!(state(&world), [FlowState::Closed]);
    }
}

#[test]
fn what_nobody_knows_is_reset_by_the_second() {
    for (scheduler, served, Places { call, home, stand_in, .. }) in by_hash() {
        let mut world = restarted(served, scheduler);
        to_real(&mut world, served, call, "A");
        assert_eq!(reset(&mut world, served, home, call), Err(DropReason::NoFlow));
        assert_eq!(to_real(&mut world, served, call, "A"), stand_in);
        assert_eq!(reset(&mut world, served, stand_in, call), Ok(call.reversed()));
        assert_eq!(state(&world), [FlowState::Closed], "{scheduler:?}, {served:?}");
    }
}

#[test]
fn the_real_that_speaks_has_the_flow_wherever_the_guess_led() {
    for (scheduler, served, Places { call, home, other, .. }) in by_hash() {
        for is_reset in [false, true] {
            let mut world = restarted(served, scheduler);
            assert_eq!(to_real(&mut world, served, call, "A"), home);
            if is_reset {
                assert_eq!(reset(&mut world, served, home, call), Err(DropReason::NoFlow));
            }
            to_client(&mut world, served, other, call, "A");
            assert_only_at(&world, other);
            assert_eq!(to_real(&mut world, served, call, "A"), other, "{scheduler:?}");
            assert_eq!(state(&world), [FlowState::Established], "{served:?}");
        }
    }
}

#[test]
fn a_flow_that_a_real_has_answered_is_no_other_reals() {
    for (scheduler, served, Places { call, home, stand_in, .. }) in by_hash() {
        let mut world = restarted(served, scheduler);
        to_real(&mut world, served, call, "A");
        to_client(&mut world, served, home, call, "A");
        let frame = answer(served, stand_in, call).tcp("A", b"");
        let ended = world.send(stand_in, &frame).map(|out| out.frame);
        match served.forwarding {
            Forwarding::Nat => assert_eq!(ended, Ok(frame), "as it is"),
            Forwarding::Direct => assert_eq!(ended, Err(DropReason::SpoofMac)),
        }
        assert_only_at(&world, home);
        assert_eq!(to_real(&mut world, served, call, "A"), home, "{scheduler:?}, {served:?}");
    }
}

#[test]
fn a_reset_is_the_clients_where_there_is_nothing_to_guess() {
    type Change = (&'static str, &'static str, fn(&mut World, &Places));
    let changes: [Change; 4] = [
        ("its SYN is refused", "S", |_, _| {}),
        ("the time is over", "A", |world, _| {
            world.now = world.now + RECOVERY;
        }),
        ("the configuration is another", "A", |world, places| {
            world.set_real("web", places.other, None, 0);
        }),
        ("nobody could stand in", "A", |world, places| {
            let others = (1..=GUESTS).filter(|&n| n != places.home);
            others.for_each(|n| {
                let guest = name(&format!("web{n}"));
                let state = AdminState::Maint;
                world.apply(Command::Administer { service: None, guest, state });
            });
        }),
    ];
    for (scheduler, served, places) in by_hash() {
        let Places { call, home, .. } = places;
        for (what, flags, change) in &changes {
            let mut world = restarted(served, scheduler);
            change(&mut world, &places);
            greet(&mut world, served);
            let what = format!("{what}, {scheduler:?}, {served:?}");
            assert_eq!(to_real(&mut world, served, call, flags), home, "{what}");
            assert_eq!(reset(&mut world, served, home, call), Ok(call.reversed()), "{what}");
            assert_eq!(state(&world), [FlowState::Closed], "{what}");
        }
    }
}

#[test]
fn a_client_that_begins_anew_ends_the_guessing() {
    for (scheduler, served, Places { call, home, .. }) in by_hash() {
        let mut world = restarted(served, scheduler);
        to_real(&mut world, served, call, "A");
        assert_eq!(reset(&mut world, served, home, call), Err(DropReason::NoFlow));
        assert_eq!(to_real(&mut world, served, call, "S"), home, "{scheduler:?}");
        assert_only_at(&world, home);
        assert_eq!(reset(&mut world, served, home, call), Ok(call.reversed()), "{served:?}");
    }
}
