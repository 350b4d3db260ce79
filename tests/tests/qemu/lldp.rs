//! LLDP on the booted image: uplinks hear who we are, and we who they are; guests do neither.

use lb::wire::lldp::{Advertisement, ETHERTYPE_LLDP, Id, NEAREST_BRIDGE, text};
use tests::world::{World, guest_line};
use tests::{Frame, MacAddr, Raw, Station};

#[test]
fn both_ends_of_an_uplink_know_each_other_and_guests_neither() {
    let world = World::with_configuration(2, &[guest_line(1)]);
    let (client, guest) = (&world.client, &world.guests[0]);
    let heard = client.await_introduction();
    assert_eq!(heard[12..14], ETHERTYPE_LLDP.to_be_bytes());
    let ours = Advertisement::parse(&heard[14..]).expect("it can be believed");
    assert_eq!((ours.system_name, ours.port), (Some(text(b"fulcrum")), Id::name("up0")));
    assert_eq!((ours.chassis.as_mac(), ours.ttl_s), (Some(mac_of(&heard)), 120));

    let said = Advertisement {
        system_name: Some(text(b"\x1b[2Jleaf1")),
        ..Advertisement::new(Id::mac(client.mac), Id::name("Ethernet1/7"), 120)
    };
    for station in [client, guest] {
        let (from, to, payload) = (station.mac, NEAREST_BRIDGE, said.packet().to_vec());
        station.send(Frame::Raw(Raw { from, to, ether_type: ETHERTYPE_LLDP, payload }));
    }
    let shown = world.machine.console.command_until("show lldp", |shown| shown.contains("leaf1"));
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("leaf1")).collect();
    assert!(rows.len() == 1 && rows[0].starts_with("up0 "), "the guest is not believed: {shown}");
    assert!(rows[0].contains("?[2Jleaf1") && rows[0].contains("Ethernet1/7"), "{shown}");
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "it goes nowhere: {arrived:?}");
    assert_eq!(guest.introductions(), 0, "a guest is not told");
    let drops = world.command("show counters drops");
    assert!(
        drops.lines().any(|row| row.starts_with("p1 ") && row.contains("link_local")),
        "{drops}"
    );
    world.machine.assert_accounted();
}

fn mac_of(frame: &[u8]) -> MacAddr {
    MacAddr(frame[6..12].try_into().expect("six bytes"))
}
