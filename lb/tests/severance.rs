//! Flows whose real is gone: who is told, when, and that nobody else is.

mod world;

use std::net::IpAddr;
use std::time::Duration;

use lb::explain::Call;
use lb::service::severance::LINK_PATIENCE;
use lb::wire::Endpoint;
use lb::*;
use world::*;

const TCP: Protocol = Protocol::Tcp;
const ALIVE: Duration = Duration::from_secs(2);

/// A flow that was opened: its guest, its ends there, and the call.
#[derive(Clone, Copy, Debug)]
struct Opened {
    guest: usize,
    seen: Ends,
    call: Ends,
}

/// Opens a flow from the uplink and has both ends speak.
fn open(world: &mut World, served: Served, client_port: u16) -> Opened {
    let call = served.call(client_port);
    let first = if served.protocol == TCP { call.new_syn(world) } else { call.udp(b"1") };
    let out = world.send(UPLINK, &first).unwrap();
    let (guest, seen) = (out.ports[0], read(&out.frame).0);
    let answer = served.packet(seen.reversed_to(CLIENT_MAC), "SA", b"");
    assert_eq!(world.send(guest, &answer).unwrap().ports, [UPLINK]);
    goes_on(world, served, Opened { guest, seen, call });
    Opened { guest, seen, call }
}

/// Opens flows until every guest has one.
fn open_at_each(world: &mut World, served: Served, guests: usize) -> Vec<Opened> {
    let mut opened: Vec<Option<Opened>> = vec![None; guests];
    for client_port in 1000..1100 {
        let flow = open(world, served, client_port);
        opened[flow.guest - 1] = Some(flow);
    }
    opened.into_iter().map(|flow| flow.expect("each guest got some of a hundred")).collect()
}

fn goes_on(world: &mut World, served: Served, flow: Opened) {
    let out = world.send(UPLINK, &served.packet(flow.call, "A", b"x")).unwrap();
    assert_eq!((out.ports, read(&out.frame).0), (vec![flow.guest], flow.seen));
}

/// The resets that wait in the outbox: where to, between whom, and their numbers.
fn resets(world: &mut World) -> Vec<(Vec<usize>, Ends, u32)> {
    let packets = world.originated().into_iter().map(|out| (out.ports, out.frame));
    let resets = packets.filter_map(|(ports, frame)| {
        // Questions to guests are in there too.
        let is_ip = etherparse::SlicedPacket::from_ethernet(&frame).ok()?.transport.is_some();
        let Packet { ends, carries, payload, .. } = is_ip.then(|| read_packet(&frame))?;
        let Carries::Tcp(tcp) = carries else { return None };
        assert!(tcp.rst && !tcp.ack && !tcp.syn && payload.is_empty(), "{tcp:?}");
        Some((ports, ends, tcp.sequence_number))
    });
    resets.collect()
}

/// The client speaks and is told, and so is the guest if somebody is there. A segment of the
/// client's is numbered 1000 and acknowledges 7.
fn client_is_told(world: &mut World, served: Served, flow: Opened, guest_is_there: bool) {
    world.originated();
    let segment = served.packet(flow.call, "PA", b"are you there?");
    assert_eq!(world.send(UPLINK, &segment).unwrap_err(), DropReason::Severed, "{served:?}");
    let mut expected = vec![(vec![UPLINK], flow.call.reversed(), 7)];
    if guest_is_there {
        expected.push((vec![flow.guest], flow.seen, 1000));
    }
    assert_eq!(resets(world), expected, "{served:?}");
    let reason = world.send(UPLINK, &segment).unwrap_err();
    assert_eq!((reason, resets(world)), (DropReason::NoFlow, vec![]), "told once");
}

fn tcp_services() -> impl Iterator<Item = Served> {
    SERVED.into_iter().filter(|served| served.protocol == TCP)
}

#[test]
fn f1_clients_of_a_guest_that_is_gone_are_told_with_their_next_packet() {
    for served in tcp_services() {
        let mut world = World::serving_as(3, served);
        let flows = open_at_each(&mut world, served, 3);
        world.pass_without(Duration::from_secs(2), &[1]);
        // The declaration; a second later at most everybody who speaks is told.
        assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent));
        world.pass_without(Duration::from_secs(1), &[1]);
        assert_eq!(world.real("web", 1).severed(), Some(Severed::Silent));
        client_is_told(&mut world, served, flows[0], false);
        // Whoever calls again is served by another, and nobody else has noticed.
        let again = open(&mut world, served, flows[0].call.source.1);
        assert_ne!(again.guest, 1);
        goes_on(&mut world, served, flows[1]);
        goes_on(&mut world, served, flows[2]);
    }
}

#[test]
fn a_guest_that_still_sends_is_only_late() {
    let served = Served::default();
    let mut world = World::serving(2);
    let flows = open_at_each(&mut world, served, 2);
    for _ in 0..20 {
        world.pass_without(Duration::from_millis(500), &[1]);
        let download = flows[0].seen.reversed_to(CLIENT_MAC).tcp("A", b"more");
        assert_eq!(world.send(1, &download).unwrap().ports, [UPLINK]);
    }
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent), "no new flow");
    goes_on(&mut world, served, flows[0]);
}

#[test]
fn a_guest_that_is_back_goes_on_with_who_has_not_spoken() {
    let served = Served::default();
    let mut world = World::serving(2);
    let flows = open_at_each(&mut world, served, 2);
    world.pass_without(Duration::from_secs(5), &[1]);
    assert_eq!(world.real("web", 1).severed(), Some(Severed::Silent));
    world.pass(Duration::from_millis(300));
    assert_eq!(world.real("web", 1).severed(), None);
    goes_on(&mut world, served, flows[0]);
}

#[test]
fn a_link_that_is_down_is_waited_for() {
    let served = Served::default();
    let mut world = World::serving(2);
    let flows = open_at_each(&mut world, served, 2);
    for (down, is_severed) in [(LINK_PATIENCE - ALIVE, false), (LINK_PATIENCE + ALIVE, true)] {
        world.apply(Command::SetLink { port: port(1), up: false });
        world.pass_without(down, &[1]);
        assert_eq!(world.real("web", 1).severed().is_some(), is_severed, "{down:?}");
        if is_severed {
            client_is_told(&mut world, served, flows[0], false);
        } else {
            world.apply(Command::SetLink { port: port(1), up: true });
            world.pass(ALIVE);
            goes_on(&mut world, served, flows[0]);
        }
    }
    goes_on(&mut world, served, flows[1]);
}

#[test]
fn a_service_may_have_its_clients_wait() {
    let served = Served::default();
    let mut world = World::serving(2);
    world.apply(Command::SetService(ServiceSpec { on_down: OnDown::Keep, ..served.spec("web") }));
    let flows = open_at_each(&mut world, served, 2);
    world.pass_without(Duration::from_secs(60), &[1]);
    goes_on(&mut world, served, flows[0]);
}

#[test]
fn f3_a_drained_real_keeps_its_flows_for_the_time_it_was_given_and_no_other_loses_any() {
    let timeout = Duration::from_secs(60);
    for served in tcp_services() {
        for is_removed in [false, true] {
            let mut world = World::serving_as(3, served);
            let spec = ServiceSpec { drain_timeout: Some(timeout), ..served.spec("web") };
            world.apply(Command::SetService(spec));
            let flows = open_at_each(&mut world, served, 3);
            let (service, guest) = (name("web"), name("web1"));
            world.apply(match is_removed {
                true => Command::DeleteReal { service, guest },
                false => Command::Administer { service: None, guest, state: AdminState::Drain },
            });
            world.pass(timeout - ALIVE);
            flows.iter().for_each(|&flow| goes_on(&mut world, served, flow));
            world.pass(2 * ALIVE);
            client_is_told(&mut world, served, flows[0], true);
            goes_on(&mut world, served, flows[1]);
            goes_on(&mut world, served, flows[2]);
        }
    }
}

#[test]
fn without_a_time_a_drained_real_keeps_its_flows() {
    let served = Served::default();
    let mut world = World::serving(2);
    let flows = open_at_each(&mut world, served, 2);
    let guest = name("web1");
    world.apply(Command::Administer { service: None, guest, state: AdminState::Drain });
    world.pass(Duration::from_secs(3600));
    goes_on(&mut world, served, flows[0]);
}

#[test]
fn a_real_that_is_cut_ends_at_once_whoever_speaks_first() {
    for served in tcp_services() {
        let mut world = World::serving_as(2, served);
        let by_client = open_at_each(&mut world, served, 2)[0];
        let by_guest = (2000..2100).map(|at| open(&mut world, served, at)).find(|f| f.guest == 1);
        let by_guest = by_guest.expect("one of a hundred");
        let (service, guest) = (name("web"), name("web1"));
        world.apply(Command::CutReal { service, guest });
        client_is_told(&mut world, served, by_client, true);

        let answer = by_guest.seen.reversed_to(CLIENT_MAC).tcp("PA", b"here it is");
        assert_eq!(world.send(1, &answer).unwrap_err(), DropReason::Severed);
        let to_guest = Ends { destination_mac: guest_mac(1), ..by_guest.seen };
        let expected = [(vec![1], to_guest, 7), (vec![UPLINK], by_guest.call.reversed(), 1000)];
        assert_eq!(resets(&mut world), expected, "{served:?}");
        // A client that did not believe it says where it is, and is told that.
        client_is_told(&mut world, served, by_guest, true);
    }
}

/// The operator has waited long enough for the flows of a real, or a service, that went.
#[test]
fn a_real_may_be_cut_after_it_went() {
    let (service, guest) = (name("web"), name("web1"));
    let gone = [
        Command::DeleteReal { service: service.clone(), guest: guest.clone() },
        Command::DeleteService(service.clone()),
    ];
    for went in gone {
        let served = Served::default();
        let mut world = World::serving(2);
        let flows = open_at_each(&mut world, served, 2);
        world.apply(went.clone());
        goes_on(&mut world, served, flows[0]);
        world.apply(Command::CutReal { service: service.clone(), guest: guest.clone() });
        let segment = served.packet(flows[0].call, "PA", b"are you there?");
        assert_eq!(world.send(UPLINK, &segment).unwrap_err(), DropReason::Severed, "{went:?}");
        goes_on(&mut world, served, flows[1]);
        let stranger = Command::CutReal { service: service.clone(), guest: name("web9") };
        assert!(world.plane.apply(&stranger, world.now).is_err(), "{went:?}");
    }
}

#[test]
fn nobody_ends_another_guests_flow() {
    let served = Served::default();
    let mut world = World::serving(3);
    let flow = open_at_each(&mut world, served, 3)[0];
    world.apply(Command::CutReal { service: name("web"), guest: name("web1") });
    let forged = Ends { source_mac: guest_mac(2), ..flow.seen.reversed_to(CLIENT_MAC) };
    assert_eq!(world.send(2, &forged.tcp("PA", b"me")).unwrap_err(), DropReason::Severed);
    assert_eq!(resets(&mut world), []);
    client_is_told(&mut world, served, flow, true);
}

#[test]
fn datagrams_and_calls_go_to_another_real() {
    for served in SERVED.into_iter().filter(|served| served.protocol == Protocol::Udp) {
        let mut world = World::serving_as(2, served);
        let flow = open_at_each(&mut world, served, 2)[0];
        world.pass_without(Duration::from_secs(4), &[1]);
        let out = world.send(UPLINK, &flow.call.udp(b"again")).unwrap();
        assert_eq!(out.ports, [2], "{served:?}");
    }
    let served = Served::default();
    let mut world = World::serving(2);
    let flow = open_at_each(&mut world, served, 2)[0];
    world.pass_without(Duration::from_secs(4), &[1]);
    assert_eq!(world.send(UPLINK, &flow.call.new_syn(&world)).unwrap().ports, [2]);
}

#[test]
fn clients_of_a_guest_that_is_defined_no_more_are_told() {
    let served = Served::default();
    let mut world = World::serving(2);
    let flow = open_at_each(&mut world, served, 2)[0];
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web1") });
    goes_on(&mut world, served, flow);
    world.apply(Command::DeleteGuest(name("web1")));
    client_is_told(&mut world, served, flow, false);
}

#[test]
fn the_log_hears_of_it_once_with_the_number_of_flows() {
    let mut world = World::serving(2);
    open_at_each(&mut world, Served::default(), 2);
    let flows = world.real("web", 1).counters.flows_open;
    world.pass_without(Duration::from_secs(10), &[1]);
    let mut told = Vec::new();
    while let Some(event) = world.plane.events().pop() {
        told.extend(matches!(event, Event::Severed { .. }).then(|| event.to_string()));
    }
    let expected =
        format!("service web: {flows} open flows of web1 are ended: its guest is silent");
    assert_eq!(told, [expected]);
}

#[test]
fn an_agent_that_drains_is_told_when_its_time_is_over() {
    let served = Served::default();
    let mut world = World::serving(2);
    let drain_timeout = Some(Duration::from_secs(5));
    world.apply(Command::SetService(ServiceSpec { drain_timeout, ..served.spec("web") }));
    open_at_each(&mut world, served, 2);
    let mut states = Vec::new();
    for seq in 1..20 {
        let to_switch = Ends {
            source_mac: guest_mac(1),
            destination_mac: SWITCH_MAC,
            source: (guest_address(1), 3333),
            destination: (SWITCH, 3333),
            ..Ends::call(0, 0)
        };
        let report = format!("drain id=a seq={seq}");
        world.send(1, &to_switch.udp(report.as_bytes())).unwrap();
        let answers = world.originated().into_iter().filter(|out| out.ports == [1]);
        let lines: Vec<String> =
            answers.map(|out| String::from_utf8_lossy(&read(&out.frame).1).into_owned()).collect();
        states.extend(lines.iter().filter_map(|l| Some(l.split_once("state=")?.1.to_owned())));
        world.pass(Duration::from_millis(500));
    }
    let states: Vec<&str> = states.iter().filter_map(|s| s.split(' ').next()).collect();
    assert_eq!((states.first(), states.last()), (Some(&"drain"), Some(&"drained")), "{states:?}");
}

/// The operator ends one flow: both ends are told as if its real were gone, and nobody else is.
#[test]
fn one_flow_is_cut_and_no_other() {
    for served in tcp_services() {
        let mut world = World::serving_as(1, served);
        let [cut, other] = [2000, 2001].map(|client_port| open(&mut world, served, client_port));
        let end = |(address, port): (IpAddr, u16)| Endpoint { address: address.into(), port };
        let (client, vip) = (end(cut.call.source), end(cut.call.destination));
        let call = Call { vlan: cut.call.vlan, protocol: TCP, client, vip };
        let now = world.now;
        assert!(world.plane.cut(&call, now));
        assert!(!world.plane.cut(&call, now), "it is not open any more");
        assert_eq!(world.real("web", 1).counters.flows_open, 1, "{served:?}");
        client_is_told(&mut world, served, cut, true);
        goes_on(&mut world, served, other);
        assert_eq!(world.plane.flows().len(), 1);
        assert_eq!(resets(&mut world), []);
    }
}
