//! After a restart (P38): the same configuration, another secret, an empty flow table, and
//! connections that are in their middle. What a hash placed is found again by what the client
//! sends; all others by what their real sends.

mod resume {
    mod guesses;
}
mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lb::flow::FlowState;
use lb::wire::ip::Version;
use lb::*;
use world::*;

/// How long after the start a real's packet is taken for one of a flow of before.
const RECOVERY: Duration = Duration::from_secs(600);
const GUESTS: usize = 4;
const FLOWS: u16 = 200;
const SECRETS: [u64; 2] = [0x5eed, 0x0dd_5eed];

fn tcp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == Protocol::Tcp)
}

fn is_by_hash(scheduler: &Scheduler) -> bool {
    matches!(scheduler, Scheduler::Mh | Scheduler::Sh | Scheduler::ShPort)
}

/// An appliance with its configuration, and nothing else yet.
fn configured(served: Served, scheduler: Scheduler, secret: u64) -> World {
    let mut world = World::with_secret(GUESTS, secret);
    world.apply(Command::SetService(ServiceSpec { scheduler, ..served.spec("web") }));
    for n in 1..=GUESTS {
        world.define(n);
        world.set_real("web", n, served.real_port(), 100);
    }
    world
}

fn started(served: Served, scheduler: Scheduler, secret: u64) -> World {
    let mut world = configured(served, scheduler, secret);
    world.plane.start(world.now);
    world.settle();
    world
}

fn restarted(served: Served, scheduler: Scheduler) -> World {
    let mut world = started(served, scheduler, SECRETS[1]);
    greet(&mut world, served);
    world
}

/// Has the switch know where the client is: it speaks about something else.
fn greet(world: &mut World, served: Served) {
    let other = [&served.call(1).link_header(0x88b5)[..], &[0; 46]].concat();
    assert_eq!(world.send(UPLINK, &other).map(drop), Err(DropReason::NotForUs));
}

/// One of many clients, each with its own address and port.
fn call(served: Served, n: u16) -> Ends {
    let address: IpAddr = match served.version {
        Version::V4 => [10, 7, (n >> 8) as u8, n as u8].into(),
        Version::V6 => [0xfd00, 0, 0, 7, 0, 0, 0, n].into(),
    };
    Ends { source: (address, 40_000 + n), ..served.call(1) }
}

/// What the real at guest `n` sends of this call.
fn answer(served: Served, n: usize, call: Ends) -> Ends {
    served.at_real(n, call).reversed_to(CLIENT_MAC)
}

fn state(world: &World) -> Vec<FlowState> {
    world.plane.flows().iter().map(|flow| flow.state).collect()
}

/// Sends a segment of the client's; the guest that gets it, as it must.
fn to_real(world: &mut World, served: Served, call: Ends, flags: &str) -> usize {
    let out = world.send(UPLINK, &call.tcp(flags, b"")).unwrap();
    let [home] = out.ports[..] else { panic!("{out:?}") };
    assert_eq!(read(&out.frame).0, served.at_real(home, call), "{served:?}");
    home
}

/// Sends a segment of the real's; it must leave in the VIP's name.
fn to_client(world: &mut World, served: Served, n: usize, call: Ends, flags: &str) {
    let out = world.send(n, &answer(served, n, call).tcp(flags, b"data")).unwrap();
    assert_eq!((out.ports, read(&out.frame).0), (vec![UPLINK], call.reversed()), "{served:?}");
}

#[test]
fn p38_what_a_hash_placed_is_found_again_by_the_client() {
    for scheduler in Scheduler::ALL.into_iter().filter(is_by_hash) {
        for served in tcp_services() {
            let mut before = started(served, scheduler, SECRETS[0]);
            let mut after = restarted(served, scheduler);
            let mut homes = BTreeSet::new();
            for call in (0..FLOWS).map(|n| call(served, n)) {
                let home = to_real(&mut before, served, call, "S");
                assert_eq!(after.send(UPLINK, &call.tcp("R", b"")), Err(DropReason::NoFlow));
                assert_eq!(to_real(&mut after, served, call, "A"), home, "{scheduler:?}");
                to_client(&mut after, served, home, call, "A");
                assert_eq!(to_real(&mut after, served, call, "PA"), home, "{scheduler:?}");
                homes.insert(home);
            }
            assert_eq!(homes.len(), GUESTS, "all of them had some, {scheduler:?}, {served:?}");
            assert_eq!(state(&after), [FlowState::Established; FLOWS as usize]);
        }
    }
}

#[test]
fn p38_segments_that_end_create_nothing_that_stays() {
    for scheduler in Scheduler::ALL {
        for served in tcp_services() {
            let mut world = restarted(served, scheduler);
            for flags in ["R", "RA"] {
                let ended = world.send(UPLINK, &call(served, 1).tcp(flags, b""));
                assert_eq!(ended, Err(DropReason::NoFlow), "{scheduler:?}");
                // A real's goes on as it is, if it may speak in that name at all.
                let reset = answer(served, 1, call(served, 1)).tcp(flags, b"");
                let expected = match served.forwarding {
                    Forwarding::Nat => Ok(Out { ports: vec![UPLINK], frame: reset.clone() }),
                    Forwarding::Direct => Err(DropReason::VipSource),
                };
                assert_eq!(world.send(1, &reset), expected, "{served:?}");
            }
            assert!(world.plane.flows().is_empty());
        }
    }
}

#[test]
fn p38_what_no_hash_placed_comes_back_when_its_real_speaks() {
    // How it then ends: what the client (true) and the real say, and what becomes of the flow.
    type End = (&'static str, &'static [(bool, &'static str)], FlowState);
    let ends: [End; 5] = [
        ("the client closes first", &[(true, "FA"), (false, "FA")], FlowState::Closed),
        ("the real closes first", &[(false, "FA"), (true, "FA")], FlowState::Closed),
        ("one side only", &[(false, "FA"), (true, "A")], FlowState::Closing),
        ("the client resets", &[(true, "R")], FlowState::Closed),
        ("the real resets", &[(false, "R")], FlowState::Closed),
    ];
    for scheduler in Scheduler::ALL.into_iter().filter(|scheduler| !is_by_hash(scheduler)) {
        for served in tcp_services() {
            for (what, segments, expected) in ends {
                let mut world = restarted(served, scheduler);
                let (call, home) = (call(served, 1), 3);
                let what = format!("{what}, {scheduler:?}, {served:?}");
                for flags in ["A", "PA", "FA", "R"] {
                    let ended = world.send(UPLINK, &call.tcp(flags, b""));
                    assert_eq!(ended, Err(DropReason::NoFlow), "{flags}, {what}");
                }
                assert!(world.plane.flows().is_empty());
                to_client(&mut world, served, home, call, "A");
                assert_eq!(state(&world), [FlowState::Embryonic], "{what}");
                assert_eq!(to_real(&mut world, served, call, "A"), home, "{what}");
                to_client(&mut world, served, home, call, "PA");
                assert_eq!(state(&world), [FlowState::Established], "{what}");
                assert_eq!(world.real("web", home).counters.flows_new, 1);
                for &(is_clients, flags) in segments {
                    match is_clients {
                        true => assert_eq!(to_real(&mut world, served, call, flags), home),
                        false => to_client(&mut world, served, home, call, flags),
                    }
                }
                assert_eq!(state(&world), [expected], "{what}");
            }
        }
    }
}

#[test]
fn p38_many_flows_come_back_each_to_its_own_real() {
    for served in tcp_services() {
        let mut before = started(served, Scheduler::Wll, SECRETS[0]);
        let mut after = restarted(served, Scheduler::Wll);
        for call in (0..FLOWS).map(|n| call(served, n)) {
            let home = to_real(&mut before, served, call, "S");
            to_client(&mut after, served, home, call, "A");
            assert_eq!(to_real(&mut after, served, call, "A"), home, "{served:?}");
        }
        for n in 1..=GUESTS {
            let [before, after] = [&before, &after].map(|world| world.real("web", n).counters);
            assert_eq!(before.flows_open, after.flows_open, "guest {n}, {served:?}");
        }
        assert_eq!(state(&after), [FlowState::Established; FLOWS as usize]);
    }
}

#[test]
fn p38_a_guests_flow_with_itself() {
    for served in tcp_services().filter(|served| served.forwarding == Forwarding::Nat) {
        let mut world = restarted(served, Scheduler::Wll);
        let call = served.call_of_guest(1, 1000);
        assert_eq!(world.send(1, &call.tcp("A", b"")), Err(DropReason::NoFlow));
        let at_real = served.at_real(1, call);
        assert_eq!(at_real.source.0, served.switch());
        for flags in ["A", "PA"] {
            let out = world.send(1, &at_real.reversed_to(SWITCH_MAC).tcp(flags, b"")).unwrap();
            assert_eq!((out.ports, read(&out.frame).0), (vec![1], call.reversed()), "{served:?}");
            let out = world.send(1, &call.tcp(flags, b"")).unwrap();
            assert_eq!((out.ports, read(&out.frame).0), (vec![1], at_real), "{served:?}");
        }
        assert_eq!(state(&world), [FlowState::Established]);
    }
}

#[test]
fn a_straight_connection_that_was_seen_to_begin_keeps_its_name() {
    for served in tcp_services() {
        let mut world = restarted(served, Scheduler::Wll);
        let real_port = served.real_port().unwrap_or(80);
        let callers = [(UPLINK, served.call(1000)), (2, served.call_of_guest(2, 1000))];
        for (ingress, call) in callers {
            let straight = Ends {
                destination_mac: guest_mac(1),
                destination: (served.guest(1), real_port),
                ..call
            };
            let said = [
                (ingress, 1, straight.tcp("S", b"")),
                (1, ingress, straight.reversed().tcp("SA", b"")),
                (ingress, 1, straight.tcp("A", b"")),
                (1, ingress, straight.reversed().tcp("PA", b"hello")),
                (ingress, 1, straight.tcp("FA", b"")),
                (1, ingress, straight.reversed().tcp("FA", b"")),
                (1, ingress, straight.reversed().tcp("R", b"")),
            ];
            for (from, to, frame) in said {
                let what = format!("{from} to {to}, {served:?}");
                // In a VLAN a guest is where it was heard last.
                let out = world.send(from, &frame).unwrap();
                assert!(out.ports.contains(&to), "{what}");
                assert_eq!(out.frame, frame, "as it is, {what}");
            }
        }
        assert!(world.plane.flows().is_empty(), "{served:?}");
    }
}

#[test]
fn a_packet_that_can_be_of_two_services_is_of_none() {
    for served in tcp_services() {
        let other_vip: IpAddr = match served.version {
            Version::V4 => [10, 0, 2, 101].into(),
            Version::V6 => [0xfd00, 0, 0, 0, 0, 0, 0, 0x101].into(),
        };
        let port =
            |spec: ServiceSpec, port: u16| ServiceSpec { port: port.try_into().unwrap(), ..spec };
        let nat = served.forwarding == Forwarding::Nat;
        type Other = Box<dyn Fn(ServiceSpec) -> ServiceSpec>;
        let others: [(&str, Other, bool); 4] = [
            ("its VIP, port 81", Box::new(move |spec| port(spec, 81)), nat),
            ("port 80", Box::new(move |spec| ServiceSpec { vip: other_vip, ..spec }), nat),
            ("VLAN 20", Box::new(|spec| ServiceSpec { vlan: 20, ..spec }), false),
            ("UDP", Box::new(|spec| ServiceSpec { protocol: Protocol::Udp, ..spec }), false),
        ];
        for (what, other, is_ambiguous) in others {
            let mut world = configured(served, Scheduler::Wll, SECRETS[1]);
            world.apply(Command::SetService(other(served.spec("other"))));
            world.set_real("other", 1, served.real_port(), 100);
            world.plane.start(world.now);
            greet(&mut world, served);
            let frame = answer(served, 1, call(served, 1)).tcp("A", b"data");
            let out = world.send(1, &frame).unwrap();
            assert_eq!(out.frame == frame, is_ambiguous, "{what}, {served:?}");
            assert_eq!(world.plane.flows().is_empty(), is_ambiguous, "{what}");
            // The other guests' packets are of one service still.
            to_client(&mut world, served, 2, call(served, 2), "A");
        }
    }
}

#[test]
fn only_the_real_is_believed() {
    for served in tcp_services() {
        let mut world = restarted(served, Scheduler::Wll);
        let of = |n| answer(served, n, call(served, 1));
        let stranger = Ends { source_mac: [0x52, 0x54, 0, 0xaa, 0, 1], ..of(1) };
        let other_port = Ends { source: (of(1).source.0, 9999), ..of(1) };
        let in_its_name = Ends { source_mac: guest_mac(2), ..of(1) };
        let cases = [
            ("another MAC at its port", 1, stranger),
            ("another port of its", 1, other_port),
            // With `direct` both have the VIP.
            ("another real's address", 2, in_its_name),
        ];
        for (what, ingress, ends) in cases {
            let is_its_own = ends.source == of(ingress).source && ends.source_mac == guest_mac(2);
            let frame = ends.tcp("A", b"");
            let ended = world.send(ingress, &frame).map(|out| out.frame);
            match (served.forwarding, is_its_own) {
                _ if ends.source_mac == stranger.source_mac => {
                    assert_eq!(ended, Err(DropReason::SpoofMac), "{what}");
                }
                (Forwarding::Nat, _) if ingress == 2 => {
                    assert_eq!(ended, Err(DropReason::SpoofAddress), "{what}");
                }
                (Forwarding::Nat, _) => assert_eq!(ended, Ok(frame), "{what}, {served:?}"),
                (Forwarding::Direct, false) => {
                    assert_eq!(ended, Err(DropReason::VipSource), "{what}");
                }
                (Forwarding::Direct, true) => continue,
            }
            assert!(world.plane.flows().is_empty(), "{what}, {served:?}");
        }
    }
}

#[test]
fn after_a_while_nothing_is_taken_up() {
    for served in tcp_services() {
        let nanosecond = Duration::from_nanos(1);
        for (passed, is_early) in [(RECOVERY - nanosecond, true), (RECOVERY, false)] {
            let mut world = configured(served, Scheduler::Wll, SECRETS[1]);
            world.plane.start(world.now);
            world.now = world.now + passed;
            greet(&mut world, served);
            let frame = answer(served, 1, call(served, 1)).tcp("A", b"");
            let ended = world.send(1, &frame);
            assert_eq!(world.plane.flows().len(), usize::from(is_early), "{served:?}");
            match (is_early, served.forwarding) {
                (true, _) => assert_ne!(ended.unwrap().frame, frame),
                (false, Forwarding::Nat) => assert_eq!(ended.unwrap().frame, frame),
                (false, Forwarding::Direct) => assert_eq!(ended, Err(DropReason::VipSource)),
            }
        }
    }
}

#[test]
fn what_is_made_up_stays_in_the_quota_and_costs_no_established_flow() {
    const ESTABLISHED: u16 = 700;
    const FLOOD: u16 = 1000;
    for (scheduler, forger) in [(Scheduler::Mh, UPLINK), (Scheduler::Sh, 2), (Scheduler::Wll, 2)] {
        for served in tcp_services().filter(|served| served.vlan == 0) {
            let mut world = configured(served, scheduler, SECRETS[1]);
            if forger != UPLINK {
                let trusts = [Trust::Address].into_iter().collect();
                world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(forger) }));
                world.settle();
            }
            world.plane.start(world.now);
            greet(&mut world, served);
            let quota = world.plane.flows().capacity() / 4;
            let connect = |n| {
                let call = call(served, n);
                let home = to_real(&mut world, served, call, "S");
                to_client(&mut world, served, home, call, "SA");
                to_real(&mut world, served, call, "A");
                home
            };
            let homes: Vec<usize> = (0..ESTABLISHED).map(connect).collect();
            for n in ESTABLISHED..ESTABLISHED + FLOOD {
                let made_up = call(served, n);
                let frame = match (forger, scheduler) {
                    (UPLINK, _) => made_up.tcp("A", b""),
                    // A real that speaks to clients that never were.
                    (_, Scheduler::Wll) => answer(served, forger, made_up).tcp("A", b""),
                    _ => Ends { source_mac: guest_mac(forger), ..made_up }.tcp("A", b""),
                };
                world.send(forger, &frame).unwrap();
                assert!(world.plane.flows().embryonic() <= quota);
            }
            let counters = world.plane.flows().counters();
            assert_eq!(counters.evicted_embryonic, u64::from(FLOOD) - quota as u64);
            assert_eq!((counters.refused, counters.evicted_closed), (0, 0));
            for (n, home) in (0..ESTABLISHED).zip(homes) {
                let call = call(served, n);
                assert_eq!(to_real(&mut world, served, call, "A"), home, "{scheduler:?}");
                to_client(&mut world, served, home, call, "A");
            }
        }
    }
}

#[test]
fn many_straight_connections_keep_their_names() {
    const CONNECTIONS: u16 = 500;
    for served in tcp_services().filter(|served| served.forwarding == Forwarding::Nat) {
        let mut world = restarted(served, Scheduler::Wll);
        let straight = |n| Ends {
            destination_mac: guest_mac(1),
            destination: (served.guest(1), 8080),
            ..call(served, n)
        };
        for ends in (0..CONNECTIONS).map(straight) {
            world.send(UPLINK, &ends.tcp("S", b"")).unwrap();
            world.send(1, &ends.reversed().tcp("SA", b"")).unwrap();
            world.send(UPLINK, &ends.tcp("A", b"")).unwrap();
        }
        let is_as_it_was = |n: &u16| {
            let frame = straight(*n).reversed().tcp("A", b"hello");
            world.send(1, &frame).unwrap().frame == frame
        };
        let kept = (0..CONNECTIONS).filter(is_as_it_was).count();
        assert_eq!(kept, usize::from(CONNECTIONS), "{served:?}");
    }
}

#[test]
fn p38_a_hash_finds_its_real_while_others_are_yet_to_prove_themselves() {
    for scheduler in Scheduler::ALL.into_iter().filter(is_by_hash) {
        for served in tcp_services() {
            let mut before = started(served, scheduler, SECRETS[0]);
            for silent in [&[1, 2, 3, 4][..], &[2, 3, 4]] {
                let mut after = configured(served, scheduler, SECRETS[1]);
                after.plane.start(after.now);
                after.pass_without(Duration::from_millis(20), silent);
                for call in (0..FLOWS).map(|n| call(served, n)) {
                    let home = to_real(&mut before, served, call, "S");
                    let now = to_real(&mut after, served, call, "A");
                    assert_eq!(now, home, "{scheduler:?}, {silent:?} are silent yet, {served:?}");
                }
            }
        }
    }
}

#[test]
fn with_another_configuration_nothing_is_taken_up() {
    let [web1, web2, web4] = ["web1", "web2", "web4"].map(name);
    let (up, role, state) = (false, Role::Guest, AdminState::Drain);
    for served in tcp_services() {
        let other = ServiceSpec { port: 81.try_into().unwrap(), ..served.spec("other") };
        let (service, guest) = (name("web"), web4.clone());
        let changes = [
            (Command::SetLink { port: port(2), up }, true),
            (Command::SetPort { port: port(2), name: name("left"), role }, true),
            (Command::Administer { service: None, guest: web1.clone(), state }, true),
            (
                Command::SetGuest(GuestSpec { name: web2.clone(), ..World::new(2).guest_spec(2) }),
                false,
            ),
            (Command::SetService(other), false),
            (Command::SetReal { service: name("web"), real: RealSpec::new(web4.clone()) }, false),
            (Command::DeleteReal { service, guest }, false),
            (Command::DeleteService(name("web")), false),
        ];
        for (command, goes_on) in changes {
            let mut world = restarted(served, Scheduler::Wll);
            world.apply(command.clone());
            let frame = answer(served, 1, call(served, 1)).tcp("A", b"");
            let is_its_own = world.send(1, &frame).is_ok_and(|out| out.frame != frame);
            assert_eq!(is_its_own, goes_on, "{command:?}, {served:?}");
            assert_eq!(world.plane.flows().len(), usize::from(goes_on), "{command:?}");
        }
    }
}
