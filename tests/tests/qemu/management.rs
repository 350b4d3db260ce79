//! The management address of the booted image: the client at the uplink reaches it, is asked by it,
//! and lends it its address; a guest is not.

use std::net::Ipv4Addr;
use std::thread;

use tests::frame::{ArpKind, EchoKind};
use tests::world::{World, guest_line};
use tests::{Arp, Echo, Frame, MacAddr, Station};

#[path = "../../../kernel/tests/shell/lender.rs"]
mod lender;

use lender::Lender;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const LENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 77);
/// Made of the first NIC's, which QEMU gives its MAC.
const OWN_MAC: MacAddr = MacAddr::of_management(MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));

/// Where a message of a client says what it asks, which is its first option.
const KIND_AT: usize = 14 + 20 + 8 + 242;

fn world(address: &str) -> World {
    World::with_configuration(1, &[guest_line(1), format!("set system address {address}")])
}

fn echo(from: &Station, to: Ipv4Addr) -> Echo {
    Echo {
        from_mac: from.mac,
        to_mac: OWN_MAC,
        from: from.address,
        to,
        kind: EchoKind::Request,
        identifier: 7,
        sequence: 9,
        payload: b"are you there?".to_vec(),
    }
}

/// Whoever asks is told where it is, and answered.
fn reaches(client: &Station, to: Ipv4Addr) {
    let who_has = Arp::request(client.mac, client.address, to);
    client.send(who_has);
    client.expect(who_has.answer(OWN_MAC));
    let request = echo(client, to);
    client.send(request.clone());
    client.expect(request.answer(OWN_MAC));
}

#[test]
fn the_uplink_reaches_it_and_a_guest_does_not() {
    let world = world("10.0.2.15/24 gateway 10.0.2.1");
    let announced = world.client.await_announcement();
    assert_eq!((announced.sender, announced.sender_mac), (OWN, OWN_MAC));
    reaches(&world.client, OWN);
    let guest = &world.guests[0];
    guest.send(Arp::request(guest.mac, guest.address, OWN));
    guest.send(echo(guest, OWN));
    let claim = Arp { sender: OWN, target: OWN, ..Arp::request(guest.mac, OWN, OWN) };
    guest.send(claim);
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "{arrived:?}");
    assert!(guest.announcements().is_empty(), "nor is it told of it");
    let system = world.command("show system");
    assert!(system.contains("10.0.2.15/24 gateway 10.0.2.1"), "{system}");
    assert!(system.contains("refused to guests   2"), "{system}");
    world.command("configure");
    world.commit(&["delete system address"]);
    world.client.send(echo(&world.client, OWN));
    let arrived = Station::settle(&[&world.client]);
    assert!(arrived.iter().all(Vec::is_empty), "nobody is there any more: {arrived:?}");
}

#[test]
fn it_pings_and_says_who_answers() {
    let world = world("10.0.2.15/24");
    let client = world.client.clone();
    let answers = thread::spawn(move || {
        for _ in 0..2 {
            match client.next("an echo request") {
                Frame::Echo(request) => client.send(request.answer(client.mac)),
                other => panic!("{other}"),
            }
        }
    });
    let said = world.command("ping 10.0.2.2 count 2");
    answers.join().expect("two requests came");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("1: 10.0.2.2 answers after ") && lines[0].ends_with(" ms, TTL 64")
    );
    assert!(lines[2].starts_with("2 sent, 2 received, 0% lost; min "), "{said}");

    let failed = world.machine.console.ask("ping 10.0.2.99 count 1").unwrap_err();
    assert!(failed.contains("nobody on the uplinks says where 10.0.2.99 is"), "{failed}");
    assert!(failed.contains("% E313 10.0.2.99 has not answered"), "{failed}");
    let Frame::Arp(question) = world.client.next("a question") else { panic!("no question") };
    assert_eq!((question.kind, question.target), (ArpKind::Request, Ipv4Addr::new(10, 0, 2, 99)));
    let refused = world.machine.console.ask("ping 10.0.2.21").unwrap_err();
    assert!(refused.contains("% E312 10.0.2.21 is guest g1's"), "{refused}");
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "a guest is asked nothing: {arrived:?}");
}

#[test]
fn its_address_may_be_lent() {
    let world = world("dhcp");
    let client = &world.client;
    let lender = Lender { mac: client.mac.0, server: client.address, lent: LENT, lease_s: 3600 };
    // Who lends, and then what was offered; more often, if nobody was heard at first.
    let mut is_request = false;
    while !is_request {
        let question = client.next("a question to a DHCP server").bytes();
        is_request = question[KIND_AT] == 3;
        client.send_bytes(&lender.answer(&question).expect("a question"));
    }
    let leased = |system: &str| system.contains("10.0.2.77/24 gateway 10.0.2.2, by DHCP for ");
    world.machine.console.command_until("show system", leased);
    reaches(client, LENT);
    assert!(world.command("show log").contains("management: leased 10.0.2.77/24 gateway 10.0.2.2"));
    let heard = Station::settle(&world.stations());
    assert!(heard[1].is_empty(), "the guest heard of none of it: {heard:?}");
}
