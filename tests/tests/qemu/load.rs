//! Load reports: what a guest says moves its share, and only its own.

use std::net::SocketAddrV4;

use tests::world::{WEB, World};
use tests::{Ends, Frame, MacAddr, Station, TcpFlow, Udp};

const REPORT_TO: SocketAddrV4 = SocketAddrV4::new(lb::addr::LINK_LOCAL, lb::addr::REPORT_PORT);

/// A report as the agent sends it, to whatever MAC its route says.
fn report(guest: &Station, to_mac: MacAddr, line: &str) -> Udp {
    Udp {
        ends: Ends {
            from_mac: guest.mac,
            to_mac,
            from: SocketAddrV4::new(guest.address, 3333),
            to: REPORT_TO,
        },
        payload: line.as_bytes().to_vec(),
    }
}

/// Sends a report and gives the switch's answer.
#[track_caller]
fn ask(guest: &Station, to_mac: MacAddr, line: &str) -> String {
    let sent = report(guest, to_mac, line);
    guest.send(sent.clone());
    let Frame::Udp(answer) = guest.next("answer to a load report") else {
        panic!("the answer to a report is a datagram");
    };
    let expected = Ends { from_mac: MacAddr::SWITCH, to_mac: guest.mac, ..sent.ends.back() };
    assert_eq!(answer.ends, expected);
    String::from_utf8(answer.payload).expect("an answer is ASCII")
}

#[test]
fn a_report_is_acknowledged_with_the_switchs_view() {
    let world = World::with_weights(&[100, 100]);
    let guest = &world.guests[0];
    let gateway = world.client.mac;
    for (sequence, to_mac) in [(1042, MacAddr::SWITCH), (1043, gateway)] {
        let answer = ask(guest, to_mac, &format!("up 75% id=7f3a seq={sequence} cpu=0.42"));
        let start = format!("ack seq={sequence} state=up ");
        assert!(answer.starts_with(&start), "{answer:?}");
        for word in ["weight=", "flows=", "new=", "ended="] {
            assert!(answer.contains(word), "{word} is missing in {answer:?}");
        }
    }
    let others = Station::settle(&world.stations());
    assert!(others.iter().all(Vec::is_empty), "a report was forwarded: {others:?}");
}

#[test]
fn a_loaded_guest_gets_less() {
    let world = World::with_weights(&[100, 100, 100]);
    let mut got = [0; 3];
    for number in 0..60_u16 {
        if number % 10 == 0 {
            for (guest, cpu) in world.guests.iter().zip(["0.95", "0.05", "0.05"]) {
                let line = format!("up id=1 seq={number} cpu={cpu} rif=0");
                let answer = ask(guest, MacAddr::SWITCH, &line);
                assert!(answer.starts_with("ack "), "{answer:?}");
            }
        }
        let flow = TcpFlow::open(&world.client, 40_000 + number, WEB, &world.reals());
        got[flow.real.port - 1] += 1;
        flow.close();
    }
    assert!(got[0] * 3 < got[1] && got[0] * 3 < got[2], "g1 is loaded, and the shares are {got:?}");
}

#[test]
fn a_guest_may_ask_to_be_drained() {
    let world = World::with_weights(&[100, 100]);
    let mut open: Vec<TcpFlow> = (0..4)
        .map(|number| TcpFlow::open(&world.client, 40_000 + number, WEB, &world.reals()))
        .collect();
    let has = |open: &[TcpFlow]| open.iter().filter(|flow| flow.real.port == 1).count();
    assert_ne!(has(&open), 0, "g1 has some connection to keep");
    let answer = ask(&world.guests[0], MacAddr::SWITCH, "drain id=1 seq=1");
    assert!(answer.contains(&format!(" flows={}", has(&open))), "{answer:?}");
    for number in 0..6 {
        let flow = TcpFlow::open(&world.client, 41_000 + number, WEB, &world.reals());
        assert_eq!(flow.real.port, 2, "g1 asked for no more");
        flow.close();
    }
    let (kept, others): (Vec<_>, Vec<_>) = open.drain(..).partition(|flow| flow.real.port == 1);
    kept.into_iter().for_each(TcpFlow::close);
    let answer = ask(&world.guests[0], MacAddr::SWITCH, "drain id=1 seq=2");
    assert!(answer.contains(" flows=0") || answer.contains("drained"), "{answer:?}");
    others.into_iter().for_each(TcpFlow::close);
}

/// Identity is the port: whoever speaks in another guest's name, or from outside, is not heard.
#[test]
fn nobody_speaks_for_another() {
    let world = World::with_weights(&[100, 100]);
    let [victim, liar] = [&world.guests[0], &world.guests[1]];
    let drain = |from_mac, guest: &Station| {
        let mut lie = report(guest, MacAddr::SWITCH, "drain id=1 seq=1");
        lie.ends.from_mac = from_mac;
        lie
    };
    liar.send(drain(victim.mac, victim));
    liar.send(drain(liar.mac, victim));
    world.client.send(drain(world.client.mac, victim));
    Station::settle(&world.stations());
    let mut got = [0; 2];
    for number in 0..8 {
        let flow = TcpFlow::open(&world.client, 40_000 + number, WEB, &world.reals());
        got[flow.real.port - 1] += 1;
        flow.close();
    }
    assert_ne!(got[0], 0, "the victim was drained by a lie: {got:?}");
}

#[test]
fn words_that_mean_nothing_are_refused_by_column() {
    let world = World::with_weights(&[100]);
    let answer = ask(&world.guests[0], MacAddr::SWITCH, "up florp seq=1");
    assert!(answer.starts_with("nak"), "{answer:?}");
    assert!(answer.contains('4'), "the column is missing in {answer:?}");
}
