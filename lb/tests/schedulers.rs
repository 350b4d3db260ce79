//! Each scheduler through the whole data path: frames in, guests chosen.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use lb::limits::MH_SERVICES_MAX;
use lb::wire::ip::Version;
use lb::*;
use world::*;

/// Three guests behind `web` with these weights.
fn serving(by: Scheduler, weights: &[u16]) -> World {
    let mut world = World::serving(weights.len());
    world.set_service("web", Protocol::Tcp, 80, by);
    for (at, &weight) in weights.iter().enumerate() {
        world.set_real("web", at + 1, Some(8080), weight);
    }
    world.settle();
    world
}

fn call_from(host: u32, client_port: u16) -> Ends {
    let client = std::net::Ipv4Addr::from_bits(0x0a00_0300 + host).into();
    Ends { source: (client, client_port), ..Ends::call(client_port, 80) }
}

/// Which guest a new connection goes to. It is established.
fn open(world: &mut World, call: Ends) -> usize {
    let out = world.send(UPLINK, &call.new_syn(world)).unwrap();
    let guest = out.ports[0];
    let answer = read(&out.frame).0.reversed_to(call.source_mac);
    world.send(guest, &answer.tcp("SA", &[])).unwrap();
    world.send(UPLINK, &call.tcp("A", &[])).unwrap();
    guest
}

/// Opens a connection and ends it at once.
fn visit(world: &mut World, call: Ends) -> usize {
    let guest = open(world, call);
    world.send(UPLINK, &call.tcp("R", &[])).unwrap();
    guest
}

/// The guests of connections from this many hosts.
fn visits(world: &mut World, hosts: u32) -> Vec<usize> {
    (0..hosts).map(|host| visit(world, call_from(host, 1000))).collect()
}

fn shares(guests: &[usize]) -> BTreeMap<usize, usize> {
    let mut shares = BTreeMap::new();
    guests.iter().for_each(|&guest| *shares.entry(guest).or_default() += 1);
    shares
}

fn administer(world: &mut World, guest: &str, state: AdminState) {
    world.apply(Command::Administer { service: None, guest: name(guest), state });
}

/// What holds for all of them.
#[test]
fn every_scheduler_heeds_who_may_be_chosen() {
    for by in Scheduler::ALL {
        let mut world = serving(by, &[100, 100, 0, 100]);
        let given = shares(&visits(&mut world, 200));
        let guests: Vec<_> = given.keys().copied().collect();
        assert_eq!(guests, [1, 2, 4], "{by:?}: all with weight, and no other: {given:?}");
        administer(&mut world, "web1", AdminState::Drain);
        world.apply(Command::SetLink { port: port(2), up: false });
        assert_eq!(shares(&visits(&mut world, 50)), BTreeMap::from([(4, 50)]), "{by:?}");
        administer(&mut world, "web4", AdminState::Maint);
        let refused = world.send(UPLINK, &call_from(1, 2000).tcp("S", &[]));
        assert_eq!(refused.unwrap_err(), DropReason::NoBackend, "{by:?}");
        administer(&mut world, "web1", AdminState::Ready);
        assert_eq!(shares(&visits(&mut world, 50)), BTreeMap::from([(1, 50)]), "{by:?}");
    }
}

#[test]
fn every_scheduler_takes_one_that_is_unproven_before_none() {
    for by in Scheduler::ALL {
        let mut world = World::new(2);
        world.set_service("web", Protocol::Tcp, 80, by);
        world.define(1);
        world.set_real("web", 1, Some(8080), 100);
        assert_eq!(open(&mut world, call_from(1, 1000)), 1, "{by:?}");
    }
}

#[test]
fn rr_goes_round_whatever_the_weights_and_whoever_is_busy() {
    let mut world = serving(Scheduler::Rr, &[1, 500, 1000]);
    let guests: Vec<_> = (0..6).map(|host| open(&mut world, call_from(host, 1000))).collect();
    assert_eq!(guests, [1, 2, 3, 1, 2, 3]);
    administer(&mut world, "web2", AdminState::Drain);
    let guests: Vec<_> = (6..10).map(|host| open(&mut world, call_from(host, 1000))).collect();
    assert_eq!(guests, [1, 3, 1, 3]);
}

#[test]
fn wrr_gives_exactly_the_weights_and_a_change_holds_at_once() {
    let mut world = serving(Scheduler::Wrr, &[5, 1, 1]);
    assert_eq!(visits(&mut world, 7), [1, 1, 2, 1, 3, 1, 1]);
    world.set_real("web", 1, Some(8080), 1);
    assert_eq!(shares(&visits(&mut world, 30)), BTreeMap::from([(1, 10), (2, 10), (3, 10)]));
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web3") });
    assert_eq!(shares(&visits(&mut world, 30)), BTreeMap::from([(1, 15), (2, 15)]));
    world.set_real("web", 3, Some(8080), 2);
    // Nobody asked for it meanwhile: it has to answer first, and is new then.
    world.pass(Duration::from_millis(10_300));
    let given = shares(&visits(&mut world, 40));
    assert!(given[&3].abs_diff(20) <= 1 && given[&1].abs_diff(10) <= 1, "{given:?}");
}

#[test]
fn turns_go_round_among_those_that_are_unproven_too() {
    for by in [Scheduler::Rr, Scheduler::Wrr] {
        let mut world = World::new(3);
        world.set_service("web", Protocol::Tcp, 80, by);
        for n in 1..=3 {
            world.define(n);
            world.set_real("web", n, Some(8080), 100);
        }
        assert_eq!(visits(&mut world, 6), [1, 2, 3, 1, 2, 3], "{by:?}");
    }
}

#[test]
fn lc_counts_open_flows_and_not_weights() {
    let mut world = serving(Scheduler::Lc, &[1, 1000, 10]);
    let guests: Vec<_> = (0..300).map(|host| open(&mut world, call_from(host, 1000))).collect();
    assert_eq!(shares(&guests), BTreeMap::from([(1, 100), (2, 100), (3, 100)]));
    // A guest whose flows end gets the next ones.
    for host in (0..300u32).filter(|&host| guests[host as usize] == 2).take(20) {
        world.send(UPLINK, &call_from(host, 1000).tcp("R", &[])).unwrap();
    }
    for host in 300..320 {
        assert_eq!(open(&mut world, call_from(host, 1000)), 2);
    }
}

#[test]
fn p2c_keeps_open_flows_near_the_weights() {
    let mut world = serving(Scheduler::P2c, &[100, 200, 100]);
    let guests: Vec<_> = (0..400).map(|host| open(&mut world, call_from(host, 1000))).collect();
    for (guest, due) in [(1, 100usize), (2, 200), (3, 100)] {
        assert!(shares(&guests)[&guest].abs_diff(due) <= 5, "{:?}", shares(&guests));
    }
    assert!(world.standing("web", 1).forecast.is_none(), "nobody has reported");
}

#[test]
fn sh_keeps_a_client_at_his_guest() {
    let mut world = serving(Scheduler::Sh, &[100, 100, 100, 100]);
    let homes = visits(&mut world, 400);
    for share in shares(&homes).values() {
        assert!((70..=130).contains(share), "{:?}", shares(&homes));
    }
    for (host, &home) in (0..).zip(&homes) {
        assert_eq!(visit(&mut world, call_from(host, 2000)), home, "whatever his port");
    }
    // A guest goes: its clients move, all others stay; it comes back, and they with it.
    world.pass_without(Duration::from_secs(1), &[2]);
    let without = visits(&mut world, 400);
    for (home, now) in homes.iter().zip(&without) {
        assert!(*now != 2 && (home == now || *home == 2));
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(visits(&mut world, 400), homes);
}

/// What an appliance has places alike with: the guests' names. Another one has other slots and
/// another secret.
#[test]
fn sh_and_mh_choose_alike_on_two_appliances_and_after_a_restart() {
    for by in [Scheduler::Sh, Scheduler::Mh] {
        let mut one = serving(by, &[100, 300, 200, 100]);
        let mut other = World::with_secret(4, 0xfeed);
        for n in [3, 1, 4, 2] {
            other.define(n);
        }
        // Slots that were others' before.
        other.set_service("old", Protocol::Udp, 53, Scheduler::Rr);
        other.set_real("old", 2, None, 10);
        other.set_service("web", Protocol::Tcp, 80, by);
        other.apply(Command::DeleteService(name("old")));
        for (n, weight) in [(4, 100), (2, 300), (3, 200), (1, 100)] {
            other.set_real("web", n, Some(8080), weight);
        }
        other.settle();
        let given = visits(&mut one, 500);
        assert_eq!(given, visits(&mut other, 500), "{by:?}");
        for (guest, due) in [(1, 71), (2, 214), (3, 143), (4, 71usize)] {
            let share = shares(&given)[&guest];
            assert!(share.abs_diff(due) <= 35, "{by:?}: {guest} has {share}");
        }
    }
}

#[test]
fn mh_keeps_a_flow_at_its_guest_and_spreads_a_client() {
    let mut world = serving(Scheduler::Mh, &[100; 4]);
    let all = |world: &mut World| -> Vec<usize> {
        (1000..1400).map(|port| visit(world, call_from(1, port))).collect()
    };
    let homes = all(&mut world);
    assert!(shares(&homes).values().all(|share| (70..=130).contains(share)), "{homes:?}");
    assert_eq!(all(&mut world), homes);
    // Silent, then back: the table stays as it is, and only flows of that guest move.
    world.pass_without(Duration::from_secs(1), &[2]);
    let without = all(&mut world);
    for (home, now) in homes.iter().zip(&without) {
        assert!(*now != 2 && (home == now || *home == 2));
    }
    for guest in [1, 3, 4] {
        let more = shares(&without)[&guest] - shares(&homes)[&guest];
        assert!(more > 10, "its flows are spread: {more} to {guest}");
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(all(&mut world), homes);
}

#[test]
fn mh_builds_a_new_table_while_the_old_one_serves() {
    let mut world = serving(Scheduler::Mh, &[100; 4]);
    let homes = visits(&mut world, 400);
    let open_flow = call_from(7, 3000);
    let kept = open(&mut world, open_flow);
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web3") });
    for when in ["at once", "half-way", "when it is built"] {
        let now = visits(&mut world, 400);
        assert!(!now.contains(&3), "{when}");
        let others = homes.iter().zip(&now).filter(|(home, _)| **home != 3);
        let moved = others.filter(|(home, now)| home != now).count();
        assert!(moved <= 6, "{when}: {moved} of some 300 others moved");
        world.pass(Duration::from_millis(if when == "at once" { 200 } else { 4_000 }));
    }
    assert_eq!(world.send(UPLINK, &open_flow.tcp("A", b"on")).unwrap().ports, [kept]);
    // It comes again, in whatever slot: all is as it was.
    world.set_real("web", 3, Some(8080), 100);
    world.settle();
    assert_eq!(visits(&mut world, 400), homes);
}

#[test]
fn mh_places_flows_before_its_table_is_there_and_at_start_has_it_at_once() {
    let mut world = World::serving(3);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Mh);
    assert_eq!(shares(&visits(&mut world, 200)).len(), 3, "by rendezvous");
    world.plane.start(world.now);
    let built = visits(&mut world, 200);
    world.settle();
    assert_eq!(visits(&mut world, 200), built);
}

#[test]
fn the_number_of_mh_services_is_bounded_and_memory_is_given_back() {
    let mut world = World::new(1);
    let spec = |n: usize, scheduler| ServiceSpec {
        scheduler,
        ..World::service_spec(&format!("s{n}"), Protocol::Tcp, 80 + n as u16)
    };
    for n in 0..MH_SERVICES_MAX {
        world.apply(Command::SetService(spec(n, Scheduler::Mh)));
    }
    let one_more = spec(MH_SERVICES_MAX, Scheduler::Mh);
    let full = Refusal::Full { table: "services by mh", max: MH_SERVICES_MAX };
    assert_eq!(world.refused(Command::SetService(one_more.clone())), full);
    assert_eq!(world.plane.tables().services().count(), MH_SERVICES_MAX);
    world.apply(Command::SetService(spec(3, Scheduler::Mh)));
    world.apply(Command::SetService(spec(MH_SERVICES_MAX, Scheduler::Wll)));
    assert_eq!(world.refused(Command::SetService(one_more.clone())), full);
    world.apply(Command::SetService(spec(3, Scheduler::Sh)));
    world.apply(Command::SetService(one_more.clone()));
    world.apply(Command::DeleteService(name("s5")));
    world.apply(Command::SetService(spec(3, Scheduler::Mh)));
    assert_eq!(world.refused(Command::SetService(spec(5, Scheduler::Mh))), full);
}

#[test]
fn a_service_may_change_its_scheduler_under_traffic() {
    let mut world = serving(Scheduler::Wll, &[100, 200, 100]);
    let mut flows = Vec::new();
    for (round, by) in (0u16..).zip(Scheduler::ALL.into_iter().chain(Scheduler::ALL)) {
        world.set_service("web", Protocol::Tcp, 80, by);
        for host in 0..20 {
            let call = call_from(host, 5000 + round);
            flows.push((call, open(&mut world, call)));
        }
        for &(call, guest) in &flows {
            let out = world.send(UPLINK, &call.tcp("A", b"on")).unwrap();
            assert_eq!(out.ports, [guest], "{by:?}");
        }
        world.pass(Duration::from_millis(50));
    }
}

#[test]
fn sh_port_spreads_a_client_and_keeps_each_of_its_ports() {
    for version in [Version::V4, Version::V6] {
        let served = Served { version, ..Served::default() };
        let mut world = World::serving_as(4, served);
        let scheduler = Scheduler::ShPort;
        world.apply(Command::SetService(ServiceSpec { scheduler, ..served.spec("web") }));
        let all = |world: &mut World| -> Vec<usize> {
            (1000..1400).map(|port| visit(world, served.call(port))).collect()
        };
        let homes = all(&mut world);
        assert!(shares(&homes).values().all(|share| (70..=130).contains(share)), "{homes:?}");
        assert_eq!(all(&mut world), homes, "by address and port alone");
        world.pass_without(Duration::from_secs(1), &[2]);
        for (home, now) in homes.iter().zip(all(&mut world)) {
            assert!(now != 2 && (*home == now || *home == 2), "only its flows move");
        }
    }
}
