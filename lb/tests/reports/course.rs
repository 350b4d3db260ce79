//! Reports over time: too many, none any more, late ones, and what they do to the sharing of flows.

use std::time::Duration;

use super::*;

#[test]
fn l7_a_port_has_a_hundred_reports_a_second_and_takes_none_from_another() {
    let mut world = World::serving(2);
    let before = Seen::of(&world);
    let mut heard = 0;
    for seq in 0..1000 {
        heard += u64::from(report(&mut world, 1, &format!("up app=0.5 seq={seq}")).is_some());
        world.now = world.now + Duration::from_millis(1);
    }
    let seen = Seen::of(&world);
    let counted = ReportCounters { accepted: heard, rate: 1000 - heard, ..Default::default() };
    assert_eq!((heard, seen.counters[1]), (99, counted));
    assert_eq!(seen.counters[2], before.counters[2]);
    assert!(report(&mut world, 2, "up").is_some());
    world.now = world.now + Duration::from_millis(13);
    assert!(report(&mut world, 1, "up").is_some(), "and so has this one again");
}

#[test]
fn a_word_takes_a_guest_out_and_in() {
    let mut world = World::serving(2);
    let out = world.send(UPLINK, &Ends::call(1, 80).tcp("S", &[])).unwrap();
    let n = out.ports[0];
    let drained = report(&mut world, n, "drain").unwrap();
    assert!(drained.contains("state=drain ") && drained.contains("flows=1"), "{drained}");
    assert_eq!(world.standing("web", n).eligibility, Err(Ineligible::AgentDrain));
    world.send(UPLINK, &Ends::call(1, 80).tcp("R", &[])).unwrap();
    assert!(report(&mut world, n, "drain").unwrap().contains("state=drained "));
    assert!(report(&mut world, n, "up ready").unwrap().contains("state=up "));
    assert_eq!(world.standing("web", n).eligibility, Ok(()));
}

#[test]
fn load_reports_move_the_share_and_fade() {
    let mut world = World::serving(3);
    let spec = World::service_spec("web", Protocol::Tcp, 80);
    world.apply(Command::SetService(ServiceSpec { scheduler: Scheduler::Wll, ..spec }));
    let mut client_port = 1000;
    // Beside that load each flow of the last half second makes two per cent.
    let mut shares = |world: &mut World, loads: Option<[u32; 3]>| {
        let mut share = [0; 3];
        let mut before = share;
        for round in 0..20 {
            for (at, load) in loads.into_iter().flatten().enumerate() {
                let load = load + 2 * (share[at] - before[at]) as u32;
                let (whole, part) = (load / 100, load % 100);
                let line = format!("up app={whole}.{part:02} seq={}", client_port + round);
                report(world, at + 1, &line).unwrap();
            }
            before = share;
            for _ in 0..10 {
                client_port += 1;
                let call = Ends::call(client_port, 80);
                let out = world.send(UPLINK, &call.tcp("S", &[])).unwrap();
                share[out.ports[0] - 1] += 1;
                world.send(UPLINK, &call.tcp("R", &[])).unwrap();
            }
            world.pass(Duration::from_millis(500));
        }
        share
    };
    let idle = shares(&mut world, Some([2, 2, 2]));
    let busy = shares(&mut world, Some([2, 100, 2]));
    let silent = shares(&mut world, None);
    let even = |share: i32| (55..=78).contains(&share);
    assert!(idle.into_iter().all(even), "{idle:?}");
    assert!(busy[1] < 20 && busy[0] > 80 && busy[2] > 80, "{busy:?}");
    assert!(silent.into_iter().all(even), "without reports all count alike: {silent:?}");
}

/// What reports make of guest 1: its weight, and in thousandths how much of what it said counts.
fn weight_and_part(world: &World) -> (u32, Option<u32>) {
    let standing = world.standing("web", 1);
    let part = standing.forecast.map(|forecast| forecast.freshness.millionths() / 1000);
    (standing.effective_weight.whole(), part)
}

#[test]
fn f26_l8_a_guest_that_stops_reporting_is_soon_like_the_others_and_then_as_if_it_had_said_nothing()
{
    let mut world = World::serving(3);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wll);
    assert_eq!(weight_and_part(&world), (100, None));
    report(&mut world, 1, "up 25% id=a seq=9 app=0.9").unwrap();
    // Of the intervals of 500 ms that its agent is taken to keep: 2, 3.5, 5, 10 and a little more.
    let course = [
        (0, (25, Some(1000))),
        (1_000, (25, Some(1000))),
        (1_750, (25, Some(500))),
        (2_500, (25, Some(0))),
        (5_000, (25, Some(0))),
        (5_010, (100, Some(0))),
        (30_000, (100, Some(0))),
    ];
    let mut at_ms = 0;
    for (ms, expected) in course {
        while at_ms < ms {
            world.pass(Duration::from_millis(10));
            at_ms += 10;
            if at_ms % 250 == 0 {
                report(&mut world, 2, "up app=0.1").unwrap();
                report(&mut world, 3, "up app=0.1").unwrap();
            }
        }
        assert_eq!(weight_and_part(&world), expected, "after {ms} ms");
        assert_eq!(world.standing("web", 1).eligibility, Ok(()), "silence is no failure");
    }
    world.pass(Duration::from_secs(30));
    assert_eq!(weight_and_part(&world), (100, None), "nobody reports");
}

#[test]
fn f26_a_report_that_comes_30_s_late_counts_only_if_nothing_newer_has_come() {
    let late = "up 25% id=a seq=9 app=0.9";
    let mut world = World::serving(2);
    for seq in 10..70 {
        report(&mut world, 1, &format!("up 75% id=a seq={seq} app=0.2")).unwrap();
        world.pass(Duration::from_millis(500));
    }
    let before = Seen::of(&world);
    let why = "nak seq 9 is not after 69 (a restarted agent needs another id)\n";
    assert_eq!(report(&mut world, 1, late).as_deref(), Some(why));
    let mut expected = before;
    expected.counters[1].old += 1;
    assert_eq!(Seen::of(&world), expected);

    // After a silence it is the latest there is, and its own clock is not asked.
    world.pass(Duration::from_secs(30));
    assert!(report(&mut world, 1, late).unwrap().starts_with("ack seq=9 state=up "));
}
