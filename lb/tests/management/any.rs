//! Any frames at all, of any VLAN, by any port: the address says nothing to guests.

use lb::*;
use proptest::prelude::*;

use crate::scene::*;
use crate::world::*;

/// A frame that may well be for it, or looks like it.
fn frames() -> impl Strategy<Value = (usize, u16, Vec<u8>)> {
    let destination = prop_oneof![
        4 => Just(OWN_MAC),
        2 => Just(BROADCAST),
        1 => Just([0x33, 0x33, 0xff, 0, 0, 0x15]),
        1 => any::<[u8; 6]>(),
    ];
    let source = prop_oneof![
        2 => Just(CLIENT_MAC),
        2 => Just(guest_mac(1)),
        1 => Just(OWN_MAC),
        1 => any::<[u8; 6]>(),
    ];
    let address = || prop_oneof![3 => Just(own()), 2 => Just(CLIENT), 1 => Just(guest_address(1)), 1 => Just(NOBODY), 1 => Just(gateway())];
    let address_v6 =
        || prop_oneof![3 => Just(own_v6()), 2 => Just(CLIENT_V6), 1 => Just(guest_address_v6(1))];
    let ends =
        (destination, source, prop_oneof![Just(0u16), Just(10), 1u16..20], any::<[u16; 2]>());
    let v4 = (address(), address()).prop_map(|pair| pair);
    let v6 = (address_v6(), address_v6()).prop_map(|pair| pair);
    let what = (
        0..7u8,
        prop_oneof![Just(67u16), Just(68), Just(3333), any::<u16>()],
        any::<[u8; 8]>(),
        prop::collection::vec(any::<u8>(), 0..320),
    );
    (0..4usize, ends, prop_oneof![v4, v6], what).prop_map(|(ingress, ends, (from, to), what)| {
        let (destination_mac, source_mac, vlan, ports) = ends;
        let (kind, port, head, payload) = what;
        let ends = Ends {
            vlan,
            source_mac,
            destination_mac,
            source: (from, port),
            destination: (to, if port == 67 { 68 } else { ports[1] }),
        };
        let bare = Ends { source: (from, 0), destination: (to, 0), ..ends };
        let [a, b, c, d, e, f, ..] = head;
        let frame = match (kind, from.is_ipv4()) {
            (0 | 1, true) => bare.arp(1 + kind),
            (0 | 1, false) => bare.neighbor(135 + kind, a, to, &option(1 + kind, source_mac)),
            (2, _) => echo_request(&bare),
            (3, _) => bare.icmp(a, b, [c, d, e, f], &payload),
            (4, _) => ends.udp(&payload),
            (5, _) => ends.tcp("S", &payload),
            _ => bare.raw([1, 6, 17, 47, 58, 132][usize::from(a) % 6], &payload),
        };
        (ingress, vlan, frame)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes, and whatever was asked meanwhile: no frame with the management MAC as its
    /// source leaves by a guest's port, and none to it goes on to anybody.
    #[test]
    fn nothing_is_said_to_guests(all in prop::collection::vec(frames(), 1..200), vlan in prop_oneof![Just(0u16), Just(10)]) {
        let mut world = managed(vlan);
        let leased = AddressSpec { source: AddressSource::Dhcp, vlan };
        manage(&mut world, &[AddressSpec { source: fixed(own(), 24, None), vlan }]);
        for (at, (ingress, _, frame)) in all.iter().enumerate() {
            if at % 50 == 25 {
                manage(&mut world, &[leased]);
            }
            if at % 7 == 0 {
                let _ = world.plane.ping(CLIENT, world.now);
            }
            let out = world.send(*ingress, frame);
            let mut said = world.originated();
            said.extend(out.ok().filter(|out| !out.ports.is_empty()));
            for out in said {
                let to_guests = out.ports.iter().any(|port| [1, 2].contains(port));
                let is_own = out.frame[6..12] == OWN_MAC;
                prop_assert!(!(is_own && to_guests), "{:x?} by {:?}", out.frame, out.ports);
                prop_assert!(out.frame[..6] != OWN_MAC, "{:x?} by {:?}", out.frame, out.ports);
            }
            world.now = world.now + std::time::Duration::from_millis(20);
            world.plane.housekeep(world.now);
            for out in world.originated() {
                let is_own = out.frame[6..12] == OWN_MAC;
                prop_assert!(!is_own || out.ports.iter().all(|port| [UPLINK, STANDBY].contains(port)));
            }
        }
        prop_assert_eq!(world.plane.events_lost(), 0);
    }
}
