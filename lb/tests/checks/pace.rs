//! When reals are asked, what rise and fall make of it, and that nobody waits for anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use lb::*;

use crate::scene::{Scene, What};
use crate::station::Manner;
use crate::world::*;

/// Times between a guest's probes.
fn gaps(asked_ms: &[u64]) -> Vec<u64> {
    asked_ms.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_dead_guest_beside_62_live_ones_delays_none_and_all_are_spread() {
    let mut manners = vec![Manner::Answers; 63];
    manners[7] = Manner::Silent;
    let check = What::HttpStatus.check();
    let mut scene = Scene::new(What::HttpStatus, Served::default(), check, &manners);
    scene.pass(Duration::from_secs(12));
    let mut at_once = BTreeMap::new();
    for station in &scene.stations {
        let n = station.n;
        let health = if n == 8 { Health::Down } else { Health::Up };
        assert_eq!(scene.watch(n).health, health, "guest {n}");
        assert!(station.asked_ms[0] <= 2010, "guest {n}: first within an interval");
        let gaps = gaps(&station.asked_ms);
        // A tenth early or late, in steps of the housekeeping; the dead one's TCP asks again after a
        // second of its own, which is beyond the timeout.
        assert!(gaps.iter().all(|gap| (900..=1110).contains(gap)), "guest {n}: {gaps:?}");
        let differ = gaps.iter().max().unwrap() - gaps.iter().min().unwrap();
        assert!(differ >= 50, "guest {n} is asked with jitter: {gaps:?}");
        for &ms in &station.asked_ms {
            *at_once.entry(ms).or_insert(0) += 1;
        }
    }
    assert!(at_once.values().all(|&count| count <= 8), "never many at once: {at_once:?}");
    let counters = scene.counters();
    assert_eq!(counters.waited, 0);
    assert_eq!(counters.passed + counters.failed, counters.sent - scene_under_way(&scene));
}

/// Probes that have not ended: those of TCP.
fn scene_under_way(scene: &Scene) -> u64 {
    scene.world.plane.probes().connections() as u64
}

#[test]
fn rise_and_fall_decide_who_gets_flows() {
    let [rise, fall] = [2, 3].map(|n: u8| n.try_into().unwrap());
    let check = Check { rise, fall, ..What::Tcp.check() };
    let manners = [Manner::Answers, Manner::Answers];
    let mut scene = Scene::new(What::Tcp, Served::default(), check, &manners);
    scene.pass(Duration::from_secs(2));
    assert_eq!(scene.world.standing("web", 1).eligibility, Ok(()));
    assert_eq!(scene.told().len(), 2, "both are proven at once");

    scene.stations[0].manner = Manner::Refuses;
    let failed = scene.watch(1).failed;
    while scene.watch(1).failed < failed + 2 {
        scene.step();
    }
    assert_eq!(scene.world.standing("web", 1).eligibility, Ok(()), "two failures are not three");
    while scene.watch(1).failed < failed + 3 {
        scene.step();
    }
    let standing = scene.world.standing("web", 1);
    assert_eq!(standing.eligibility, Err(Ineligible::CheckFailed));
    assert_eq!(Ineligible::CheckFailed.as_str(), "check: down");
    let [told] = &scene.told()[..] else { panic!("said once") };
    assert_eq!(
        told.to_string(),
        "real web1 of service web fails its check (refused): it gets no new flow"
    );
    for client_port in 1000..1010 {
        let out = scene.world.send(UPLINK, &Ends::call(client_port, 80).tcp("S", &[])).unwrap();
        assert_eq!(out.ports, [2], "new flows go to the other");
    }

    scene.stations[0].manner = Manner::Answers;
    let passed = scene.watch(1).passed;
    while scene.watch(1).passed < passed + 1 {
        scene.step();
    }
    assert_eq!(scene.watch(1).health, Health::Down, "one success is not two");
    while scene.watch(1).passed < passed + 2 {
        scene.step();
    }
    assert_eq!(scene.world.standing("web", 1).eligibility, Ok(()));
    let [told] = &scene.told()[..] else { panic!("said once") };
    assert_eq!(told.to_string(), "real web1 of service web passes its check: it takes new flows");
}

#[test]
fn who_is_not_proven_yet_is_better_than_nobody() {
    let check = Check { interval: Duration::from_secs(60), ..What::Tcp.check() };
    let mut scene = Scene::new(What::Tcp, Served::default(), check, &[Manner::Silent]);
    scene.pass(Duration::from_millis(500));
    assert_eq!(scene.counters().sent, 0, "the first probe comes at a random moment of a minute");
    assert_eq!(scene.world.standing("web", 1).eligibility, Err(Ineligible::Unproven));
    let out = scene.world.send(UPLINK, &Ends::call(1000, 80).tcp("S", &[])).unwrap();
    assert_eq!(out.ports, [1]);
}

#[test]
fn f5_checks_that_all_fail_are_not_believed() {
    let mut scene =
        Scene::new(What::Tcp, Served::default(), What::Tcp.check(), &[Manner::Refuses; 3]);
    scene.pass(Duration::from_secs(12));
    for n in 1..=3 {
        let Standing { eligibility, sources, .. } = scene.world.standing("web", n);
        assert_eq!((eligibility, sources.check), (Ok(()), Some(Health::Down)), "guest {n}");
        assert!(sources.panics);
    }
    scene.stations.iter_mut().take(2).for_each(|station| station.manner = Manner::Answers);
    scene.pass(Duration::from_secs(6));
    let eligibility = |n| scene.world.standing("web", n).eligibility;
    assert_eq!([1, 2, 3].map(eligibility), [Ok(()), Ok(()), Err(Ineligible::CheckFailed)]);
}

#[test]
fn connections_are_shared_out_and_who_waits_is_counted() {
    // Twelve services on each of these guests, which take as long as they may.
    let served = Served::default();
    let check = Check { timeout: Duration::from_secs(1), ..What::Tcp.check() };
    let manners: Vec<_> =
        (1..=21).map(|n| if n == 1 { Manner::Answers } else { Manner::Silent }).collect();
    let mut scene = Scene::new(What::Tcp, served, check.clone(), &manners);
    for port in 1..12 {
        let service = format!("more{port}");
        let spec = World::service_spec(&service, Protocol::Tcp, port);
        scene.world.apply(Command::SetService(ServiceSpec { check: Some(check.clone()), ..spec }));
        for n in 2..=21 {
            scene.world.set_real(&service, n, Some(8080), 100);
        }
    }
    let mut most = 0;
    for _ in 0..1500 {
        scene.step();
        let connections = scene.world.plane.probes().connections();
        assert!(connections <= 64);
        most = most.max(connections);
    }
    assert_eq!(most, 64, "all are used");
    assert!(scene.counters().waited > 0);
    for (id, real) in scene.world.plane.tables().reals() {
        let watch = real.watch.as_ref().unwrap();
        // 240 that take a second each, 64 at a time: each has its turn about every four seconds.
        let probes = watch.passed + watch.failed;
        assert!(probes >= 2, "{id:?} is not forgotten: {probes}");
    }
    assert_eq!(scene.watch(1).health, Health::Up);
}

#[test]
fn one_port_has_its_share_of_connections_and_no_more() {
    let check = Check { timeout: Duration::from_secs(1), ..What::Tcp.check() };
    let manners = [Manner::Answers, Manner::Silent];
    let mut scene = Scene::new(What::Tcp, Served::default(), check.clone(), &manners);
    for port in 1..40 {
        let service = format!("more{port}");
        let spec = World::service_spec(&service, Protocol::Tcp, port);
        scene.world.apply(Command::SetService(ServiceSpec { check: Some(check.clone()), ..spec }));
        scene.world.set_real(&service, 2, Some(8080), 100);
    }
    for _ in 0..1000 {
        scene.step();
        assert!(scene.world.plane.probes().connections() <= 8 + 1);
    }
    let gaps = gaps(&scene.stations[0].asked_ms);
    assert!(gaps.iter().all(|gap| (900..=1110).contains(gap)), "never delayed: {gaps:?}");
    assert!(scene.counters().waited > 0, "the other waits for itself");
}

#[test]
fn what_is_changed_meanwhile_is_given_up() {
    let check = What::Tcp.check();
    let mut scene = Scene::new(What::Tcp, Served::default(), check.clone(), &[Manner::Silent]);
    let spec = |check| ServiceSpec { check, ..Served::default().spec("web") };
    let probe = read_packet(&scene.first_probe());
    assert_eq!(scene.world.plane.probes().connections(), 1);

    scene.world.set_real("web", 1, Some(8080), 50);
    assert_eq!(
        (scene.counters().abandoned, scene.world.plane.probes().connections()),
        (0, 1),
        "a weight is none of its business"
    );

    let at = What::HttpStatus.check();
    scene.world.apply(Command::SetService(spec(Some(at))));
    assert_eq!((scene.counters().abandoned, scene.world.plane.probes().connections()), (1, 0));
    let [reset] = &scene
        .world
        .originated()
        .into_iter()
        .filter(|out| out.frame[0] & 1 == 0)
        .collect::<Vec<_>>()[..]
    else {
        panic!("a reset")
    };
    let reset = read_packet(&reset.frame);
    assert_eq!(reset.ends, probe.ends);
    assert!(matches!(reset.carries, Carries::Tcp(ref tcp) if tcp.rst));
    assert_eq!(scene.watch(1).last, None, "nothing is known of what is asked now");

    scene.world.apply(Command::SetService(spec(None)));
    assert!(scene.world.real("web", 1).watch.is_none());
    let sent = scene.counters().sent;
    scene.pass(Duration::from_secs(3));
    assert_eq!(scene.counters().sent, sent, "nobody is asked");
    assert_eq!(scene.world.standing("web", 1).eligibility, Ok(()));
}

#[test]
fn another_pace_keeps_what_is_known() {
    let check = What::Tcp.check();
    let mut scene = Scene::new(What::Tcp, Served::default(), check.clone(), &[Manner::Answers]);
    scene.pass(Duration::from_secs(2));
    let passed = scene.watch(1).passed;
    let check = Check { interval: Duration::from_secs(5), ..check };
    let spec = ServiceSpec { check: Some(check), ..Served::default().spec("web") };
    scene.world.apply(Command::SetService(spec));
    assert_eq!((scene.watch(1).health, scene.watch(1).passed), (Health::Up, passed));
}

#[test]
fn a_reals_own_check_is_asked_in_place_of_the_services() {
    let manners = [Manner::Answers, Manner::Answers];
    let mut scene = Scene::new(What::Icmp, Served::default(), What::Icmp.check(), &manners);
    let own = Check { port: Some(9000.try_into().unwrap()), ..What::Tcp.check() };
    let real = RealSpec { check: Some(own), ..RealSpec::new(name("web2")) };
    scene.world.apply(Command::SetReal { service: name("web"), real });
    // Who is asked at another port fails this station's assertion.
    scene.stations[1].port = 9000;
    scene.pass(Duration::from_secs(2));
    assert_eq!([1, 2].map(|n| scene.watch(n).health), [Health::Up; 2]);
    assert!(scene.stations[1].resets > 0 && scene.stations[0].resets == 0);
}
