//! What the switch says itself: ARP and echo for its addresses, announcements, probes.

mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lb::wire::arp::{Arp, Operation};
use lb::wire::ip::Version;
use lb::*;
use world::*;

fn request(sender: IpAddr, sender_mac: [u8; 6], target: IpAddr) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_mac: MacAddr(sender_mac),
        sender: v4(sender),
        target_mac: MacAddr::ZERO,
        target: v4(target),
    }
}

#[test]
fn arp_for_a_vip_is_answered_with_its_virtual_mac() {
    let mut world = World::serving(1);
    let cases = [
        ("a client", UPLINK, CLIENT_MAC, CLIENT),
        ("a guest", 1, guest_mac(1), guest_address(1)),
        ("a probe for duplicates", UPLINK, CLIENT_MAC, NOBODY),
    ];
    for (what, ingress, mac, sender) in cases {
        let asked = request(sender, mac, VIP);
        let out = world.send(ingress, &asked.frame(MacAddr::BROADCAST)).unwrap();
        assert_eq!(out.ports, [ingress], "{what}");
        assert_eq!((&out.frame[..6], &out.frame[6..12]), (&mac[..], &VIP_MAC[..]), "{what}");
        assert_eq!(Arp::parse(&out.frame, 14), Ok(asked.answer(MacAddr(VIP_MAC))), "{what}");
    }
}

#[test]
fn the_link_local_address_is_there_for_guests_only() {
    let mut world = World::new(1);
    let asked = request(guest_address(1), guest_mac(1), SWITCH);
    let out = world.send(1, &asked.frame(MacAddr::BROADCAST)).unwrap();
    assert_eq!(Arp::parse(&out.frame, 14), Ok(asked.answer(MacAddr::SWITCH)));
    let outside = request(CLIENT, CLIENT_MAC, SWITCH).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(UPLINK, &outside).unwrap_err(), DropReason::NotForUs);
}

#[test]
fn p28_nobody_claims_our_addresses() {
    let mut world = World::serving(2);
    for (ingress, mac) in [(1, guest_mac(1)), (UPLINK, CLIENT_MAC)] {
        for address in [VIP, SWITCH] {
            let claim = Arp::announcement(v4(address), MacAddr(mac)).frame(MacAddr::BROADCAST);
            assert_eq!(world.send(ingress, &claim).unwrap_err(), DropReason::ArpSpoof);
        }
    }
    let own = Arp::announcement(v4(guest_address(1)), MacAddr(guest_mac(1)));
    world.send(1, &own.frame(MacAddr::BROADCAST)).expect("its own address");
    let probe = request(NOBODY, guest_mac(1), guest_address(1)).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(1, &probe).unwrap().ports, [0, 2], "P31");
}

#[test]
fn a_vip_is_announced_thrice_and_again_when_a_link_comes_up() {
    let mut world = World::new(2);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Wlc);
    let announcement =
        Arp::announcement(v4(VIP), MacAddr(VIP_MAC)).frame(MacAddr::BROADCAST).to_vec();
    let heard = |world: &mut World| {
        let said = world.pass_without(Duration::from_secs(10), &[]);
        said.into_iter().filter(|out| out.frame == announcement).map(|out| out.ports).collect()
    };
    let everywhere = vec![vec![0, 1, 2]; 3];
    let first: Vec<_> = heard(&mut world);
    assert_eq!(first, everywhere);
    world.apply(Command::SetLink { port: port(2), up: false });
    world.apply(Command::SetLink { port: port(2), up: true });
    let again: Vec<_> = heard(&mut world);
    assert_eq!(again, everywhere);
}

#[test]
fn a_deleted_vip_is_answered_for_its_last_flows_and_not_announced() {
    let mut world = World::serving(1);
    world.send(UPLINK, &Ends::call(1, 80).tcp("S", &[])).unwrap();
    world.apply(Command::DeleteService(name("web")));
    world.apply(Command::SetLink { port: port(1), up: true });
    let said = world.pass_without(Duration::from_secs(2), &[]);
    let announcement = Arp::announcement(v4(VIP), MacAddr(VIP_MAC)).frame(MacAddr::BROADCAST);
    assert!(said.iter().all(|out| out.frame[..] != announcement[..]));
    let asked = request(CLIENT, CLIENT_MAC, VIP).frame(MacAddr::BROADCAST);
    assert_eq!(world.send(UPLINK, &asked).unwrap().ports, [UPLINK]);
    world.pass(Duration::from_secs(30));
    let ports = world.send(UPLINK, &asked).unwrap().ports;
    assert_eq!(ports, [1], "without flows it is nobody's address and a request like any other");
}

#[test]
fn probes_are_unicast_in_nobodys_name() {
    let mut world = World::serving(1);
    let said = world.pass_without(Duration::from_secs(1), &[]);
    let probes: Vec<_> = said.iter().filter(|out| out.ports == [1]).collect();
    assert_eq!(probes.len(), 4, "every 250 ms");
    let arp = Arp::parse(&probes[0].frame, 14).unwrap();
    assert_eq!((arp.sender, arp.target), (Ipv4Addr::UNSPECIFIED, v4(guest_address(1))));
    assert_eq!(probes[0].frame[..12], [guest_mac(1), SWITCH_MAC].concat());
}

#[test]
fn only_the_guests_own_answer_counts() {
    let mut world = World::serving(2);
    let silent = &[1];
    let answer = |mac: [u8; 6], address: IpAddr| Arp {
        operation: Operation::Reply,
        sender_mac: MacAddr(mac),
        sender: v4(address),
        target_mac: MacAddr::SWITCH,
        target: Ipv4Addr::UNSPECIFIED,
    };
    let spoof = Err(DropReason::ArpSpoof);
    let claims = [
        ("P28 a neighbour for it", 2, answer(guest_mac(2), guest_address(1)), spoof),
        ("P28 about a neighbour", 1, answer(guest_mac(1), guest_address(2)), spoof),
        ("another MAC inside", 1, answer(guest_mac(5), guest_address(1)), spoof),
    ];
    for _ in 0..8 {
        world.pass_without(Duration::from_millis(250), silent);
        for (what, ingress, claim, ending) in &claims {
            let mut frame = claim.frame(MacAddr::SWITCH);
            frame[6..12].copy_from_slice(&guest_mac(*ingress));
            assert_eq!(world.send(*ingress, &frame).map(drop), *ending, "{what}");
        }
    }
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent));
}

#[test]
fn echo_to_a_vip_and_to_the_switch_is_answered() {
    for served in SERVED {
        let mut world = World::serving_as(1, served);
        let (request, reply) = match served.version {
            Version::V4 => (8, 0),
            Version::V6 => (128, 129),
        };
        let to_switch = Ends {
            destination_mac: SWITCH_MAC,
            destination: (served.switch(), 0),
            ..served.call_of_guest(1, 0)
        };
        for (ingress, ends) in
            [(UPLINK, served.call(0)), (1, served.call_of_guest(1, 0)), (1, to_switch)]
        {
            let ends = Ends { destination: (ends.destination.0, 0), ..ends };
            let mut frame = ends.icmp(request, 0, [0, 7, 0, 9], b"how are you?");
            let hops_at = ends.ip_at() + if served.version == Version::V4 { 8 } else { 7 };
            match served.version {
                Version::V4 => patch_ipv4(&mut frame, ends.ip_at(), &[(8, 5)]),
                Version::V6 => frame[hops_at] = 5,
            }
            let out = world.send(ingress, &frame).unwrap();
            let expected = Packet {
                ends: ends.reversed(),
                hops: 64,
                carries: Carries::Icmp { kind: reply, code: 0, rest: [0, 7, 0, 9] },
                payload: b"how are you?".to_vec(),
            };
            assert_eq!(
                (out.ports, read_packet(&out.frame)),
                (vec![ingress], expected),
                "{served:?}"
            );
            *frame.last_mut().unwrap() ^= 1;
            assert_eq!(world.send(ingress, &frame).unwrap_err(), DropReason::Icmp, "{served:?}");
        }
    }
}
