//! The same MAC, address or VIP in two VLANs: none knows of the other.

use std::collections::BTreeMap;

use lb::*;
use proptest::prelude::*;

use crate::world::*;
use crate::{frame, mac};

const TEN: usize = 0;
const TWENTY: usize = 1;
const IDS: [u16; 2] = [10, 20];
/// The ports of each VLAN beside the uplink, which is a trunk of both.
const PORTS: [[usize; 2]; 2] = [[1, 2], [3, 4]];

fn world() -> World {
    let mut world = World::new(4);
    world.set_vlan(UPLINK, trunk("10,20", None));
    for (at, ports) in PORTS.iter().enumerate() {
        ports.iter().for_each(|&port| world.set_vlan(port, access(IDS[at])));
    }
    world
}

/// A frame as it looks on the cable of this port.
fn seen(at: usize, vlan: usize, frame: &[u8]) -> Vec<u8> {
    if at == UPLINK { tagged(IDS[vlan], frame) } else { frame.to_vec() }
}

proptest! {
    /// Two switches side by side, which a model of one each describes, with the same stations.
    #[test]
    fn two_vlans_are_two_switches(
        steps in proptest::collection::vec((0usize..2, 0usize..3, 0u8..4, 0u8..5), 1..60)
    ) {
        let mut world = world();
        let mut model = [BTreeMap::<u8, usize>::new(), BTreeMap::new()];
        for (vlan, at, source, destination) in steps {
            world.now = world.now + std::time::Duration::from_secs(1);
            let all = [UPLINK, PORTS[vlan][0], PORTS[vlan][1]];
            let (ingress, places) = (all[at], &mut model[vlan]);
            places.insert(source, ingress);
            let to = if destination == 4 { BROADCAST } else { mac(destination) };
            let sent = frame(mac(source), to);
            let expected = match places.get(&destination) {
                Some(&there) if there == ingress => Err(DropReason::SamePort),
                Some(&there) => Ok(vec![there]),
                None => Ok(all.into_iter().filter(|&at| at != ingress).collect()),
            };
            let expected = expected.map(|ports| {
                ports.into_iter().map(|at| (at, seen(at, vlan, &sent))).collect::<BTreeMap<_, _>>()
            });
            prop_assert_eq!(world.cross(ingress, &seen(ingress, vlan, &sent)), expected);
        }
        let known: usize = model.iter().map(BTreeMap::len).sum();
        prop_assert_eq!(world.plane.fdb().iter(world.now).count(), known);
    }
}

/// A guest in each VLAN with one MAC and one address, and a service in each at one VIP.
fn serving(served: Served) -> World {
    let mut world = world();
    for vlan in [TEN, TWENTY] {
        let (guest, service) = (name(&format!("g{}", IDS[vlan])), name(&format!("s{}", IDS[vlan])));
        let spec = world.guest_spec(1);
        world.apply(Command::SetGuest(GuestSpec {
            name: guest.clone(),
            port: port(PORTS[vlan][0]),
            ..spec
        }));
        let spec = ServiceSpec { vlan: IDS[vlan], ..served.spec("web") };
        world.apply(Command::SetService(ServiceSpec { name: service.clone(), ..spec }));
        let port = served.real_port().map(|port| port.try_into().unwrap());
        let real = RealSpec { port, ..RealSpec::new(guest) };
        world.apply(Command::SetReal { service, real });
    }
    world
}

#[test]
fn one_client_and_one_vip_in_two_vlans_are_two_flows_to_two_guests() {
    for served in SERVED.iter().filter(|served| served.vlan == 0) {
        let mut world = serving(*served);
        let call = Ends {
            destination_mac: served.vip_mac(),
            source: (served.client(), 1000),
            destination: (served.vip(), 80),
            ..Ends::call(1000, 80)
        };
        let sent = match served.protocol {
            Protocol::Tcp => call.tcp("S", &[]),
            Protocol::Udp => call.udp(b"?"),
        };
        for vlan in [TEN, TWENTY] {
            let out = world.cross(UPLINK, &tagged(IDS[vlan], &sent)).unwrap();
            let (at, delivered) = out.into_iter().next().unwrap();
            assert_eq!(at, PORTS[vlan][0], "{served:?}");
            let packet = read_packet(&delivered);
            let (to, port) = (served.guest(1), served.real_port().unwrap_or(80));
            let to = if served.real_port().is_some() { to } else { served.vip() };
            assert_eq!(packet.ends.destination, (to, port), "{served:?}");
            assert_eq!(packet.ends.destination_mac, guest_mac(1));

            let answer = packet.ends.reversed_to(CLIENT_MAC);
            let answer = match served.protocol {
                Protocol::Tcp => answer.tcp("SA", &[]),
                Protocol::Udp => answer.udp(b"!"),
            };
            let out = world.cross(at, &answer).unwrap();
            let heard = read_packet(&out[&UPLINK]);
            assert_eq!((out.len(), heard.ends.vlan), (1, IDS[vlan]), "{served:?}");
            assert_eq!(heard.ends.source, (served.vip(), 80), "{served:?}");
        }
        assert_eq!(world.plane.flows().len(), 2, "{served:?}");
        let other = PORTS[TEN][1];
        assert_eq!(
            world.cross(other, &sent).map(|out| out.into_keys().collect()),
            Ok(vec![PORTS[TEN][0]]),
            "a neighbour's call"
        );
    }
}

#[test]
fn who_has_the_vip_is_asked_and_answered_in_each_vlan() {
    let mut world = serving(Served::default());
    world.apply(Command::DeleteService(name("s20")));
    let question = Ends { destination_mac: BROADCAST, ..Ends::call(0, 0) }.arp(1);
    for (vlan, answers) in [(TEN, true), (TWENTY, false)] {
        let out = world.cross(PORTS[vlan][1], &question).unwrap();
        assert_eq!(out.contains_key(&PORTS[vlan][1]), answers, "VLAN {}", IDS[vlan]);
    }
}

/// Neither a guest's MAC nor its address binds anybody in another VLAN.
#[test]
fn a_guest_is_a_guest_in_its_own_vlan() {
    let mut world = world();
    world.define(1);
    let own = Ends { source_mac: guest_mac(1), source: (guest_address(1), 0), ..Ends::call(0, 0) };
    let hello = Ends { destination_mac: BROADCAST, destination: own.source, ..own }.arp(1);
    for _ in 0..2 {
        let out = world.cross(PORTS[TWENTY][0], &hello).unwrap();
        assert_eq!(out.into_keys().collect::<Vec<_>>(), [UPLINK, PORTS[TWENTY][1]]);
    }
    assert_eq!(world.cross(PORTS[TEN][1], &hello), Err(DropReason::SpoofMac));
    assert_eq!(world.cross(UPLINK, &tagged(10, &hello)), Err(DropReason::SpoofUplink));
    let claim = Ends { source_mac: mac(7), ..own }.arp(1);
    assert_eq!(world.cross(PORTS[TEN][1], &claim), Err(DropReason::ArpSpoof));
    assert!(world.cross(PORTS[TWENTY][1], &claim).is_ok());
    let place = |vlan| world.plane.fdb().lookup(MacAddr(guest_mac(1)), vlan, world.now);
    assert_eq!(IDS.map(place), [Some(port(1)), Some(port(PORTS[TWENTY][0]))]);
}

#[test]
fn two_guests_are_alike_only_where_they_never_meet() {
    let mut world = world();
    world.define(1);
    let spec = world.guest_spec(1);
    let twin = GuestSpec { name: name("twin"), port: port(PORTS[TEN][1]), ..spec.clone() };
    let taken = Refusal::MacTaken { mac: twin.mac, guest: name("web1") };
    assert_eq!(world.refused(Command::SetGuest(twin.clone())), taken);
    let other_mac = GuestSpec { mac: MacAddr(mac(8)), ..twin.clone() };
    let address = guest_address(1);
    let taken = Refusal::AddressTaken { address, guest: name("web1") };
    assert_eq!(world.refused(Command::SetGuest(other_mac)), taken);
    world.apply(Command::SetGuest(GuestSpec { port: port(PORTS[TWENTY][0]), ..twin }));
    let vip = ServiceSpec { vip: address, ..World::service_spec("web", Protocol::Tcp, 80) };
    let in_ten = ServiceSpec { vlan: 10, ..vip.clone() };
    let taken = Refusal::VipIsGuest { address, guest: name("web1") };
    assert_eq!(world.refused(Command::SetService(in_ten)), taken);
    world.apply(Command::SetService(ServiceSpec { vlan: 30, ..vip }));
}
