//! Mirrors on the booted image: who looks on sees what passes, and is nothing to the others.

use std::net::SocketAddrV4;

use tests::console::number_after;
use tests::flow::delivered;
use tests::world::{DNS, VIP, World, guest_line};
use tests::{Ends, Frame, MacAddr, Raw, Station, Udp};

/// The port that copies go to.
const MONITOR: usize = 3;

#[test]
fn a_vips_packets_are_seen_as_they_came_and_as_they_left() {
    let lines = [
        guest_line(1),
        guest_line(2),
        format!("set service dns vip {VIP} udp 53"),
        "set service dns real g1 port 5353".to_string(),
        "set mirror lan from up0 to p3 in proto udp".to_string(),
        "set mirror guest from p1 to p3 host 10.0.2.21 proto udp".to_string(),
    ];
    let world = World::with_configuration(MONITOR, &lines);
    let (client, real, monitor) = (&world.client, &world.guests[0], &world.guests[MONITOR - 1]);
    let sent = Ends {
        from_mac: client.mac,
        to_mac: MacAddr::virtual_of(VIP.into()),
        from: SocketAddrV4::new(client.address, 30_000),
        to: DNS.vip,
    };
    let at_real = delivered(sent, client, real, DNS.real_port);
    let query = Udp { ends: sent, payload: b"who?".to_vec() };
    client.send(query.clone());
    real.expect(Udp { ends: at_real, ..query.clone() });
    monitor.expect(query.clone());
    monitor.expect(Udp { ends: at_real, ..query });
    let ends = Ends { to_mac: client.mac, ..at_real.back() };
    let reply = Udp { ends, payload: b"you".to_vec() };
    real.send(reply.clone());
    client.expect(Udp { ends: sent.back(), ..reply.clone() });
    monitor.expect(reply);

    let (from, to) = (monitor.mac, MacAddr::BROADCAST);
    monitor.send(Frame::Raw(Raw { from, to, ether_type: 0x88b6, payload: vec![0; 46] }));
    world.machine.console.command_until("show port p3 | match mirror_port", |shown| {
        number_after(shown, "mirror_port") == Some(1)
    });
    let arrived = Station::settle(&[client, real, &world.guests[1]]);
    assert!(arrived.iter().all(Vec::is_empty), "nobody else saw anything: {arrived:?}");
    let shown = world.command("show mirror");
    for (name, copies) in [("guest", "2"), ("lan", "1")] {
        let row = shown.lines().find(|line| line.starts_with(name)).expect("a row a mirror");
        let ends: Vec<&str> = row.split_whitespace().rev().take(3).collect();
        assert_eq!(ends, ["0", "0", copies], "{shown}");
    }
    world.machine.assert_accounted();
}
