//! Ports that take longer packets than others, and who is told when one does not fit.

mod world;

use lb::switch::mtu::Mtu;
use lb::wire::Offload;
use lb::wire::ip::Version;
use lb::wire::offload::{PartialChecksum, SegmentKind, Segments};
use lb::*;
use proptest::prelude::*;
use world::*;

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];
const JUMBO: u16 = 9000;

fn set_mtu(world: &mut World, at: usize, bytes: u16) {
    let mtu = Mtu::new(bytes).unwrap();
    world.set_rules(at, PortRules { mtu, ..PortRules::default() });
}

fn udp(version: Version, vlan: u16) -> Served {
    Served { version, protocol: Protocol::Udp, vlan, ..Served::default() }
}

/// A datagram that makes a packet of so many bytes.
fn datagram(ends: &Ends, packet_len: usize) -> Vec<u8> {
    ends.udp(&vec![0x5a; packet_len + ends.ip_at() - ends.payload_at() - 8])
}

/// What the switch says of a frame that ends so.
fn refused(world: &mut World, ingress: usize, frame: &[u8]) -> Vec<Out> {
    world.originated();
    let sent = world.send(ingress, frame).map(|out| out.ports);
    assert_eq!(sent, Err(DropReason::TooBig));
    world.originated()
}

/// That it is told to this port what would fit, about this very frame.
#[track_caller]
fn assert_told(
    said: &[Out],
    (ingress, from_mac): (usize, [u8; 6]),
    sent: &Ends,
    frame: &[u8],
    mtu: u16,
) {
    let [out] = said else { panic!("{said:?}") };
    let Packet { ends, carries, payload, .. } = read_packet(&out.frame);
    assert_eq!(out.ports, [ingress]);
    assert_eq!((ends.source.0, ends.destination.0), (sent.destination.0, sent.source.0));
    assert_eq!((ends.source_mac, ends.destination_mac), (from_mac, sent.source_mac));
    assert_eq!(ends.vlan, sent.vlan);
    let (kind, code) = if sent.source.0.is_ipv4() { (3, 4) } else { (2, 0) };
    let [high, low] = mtu.to_be_bytes();
    assert_eq!(carries, Carries::Icmp { kind, code, rest: [0, 0, high, low] });
    assert!(payload.len() > 500 && frame[sent.ip_at()..].starts_with(&payload), "as it came");
}

#[test]
fn f34_a_call_that_its_real_cannot_take_is_told_what_it_can() {
    for version in VERSIONS {
        for vlan in [0, 10] {
            let served = udp(version, vlan);
            let mut world = World::serving_as(1, served);
            set_mtu(&mut world, UPLINK, JUMBO);
            let call = served.call(1000);
            let long = datagram(&call, 1501);
            let said = refused(&mut world, UPLINK, &long);
            assert_told(&said, (UPLINK, call.destination_mac), &call, &long, 1500);
            assert_eq!(world.send(UPLINK, &datagram(&call, 1500)).map(|it| it.ports), Ok(vec![1]));
            // Of what its own port does not take it is told the same way.
            let longer = datagram(&call, 9001);
            let said = refused(&mut world, UPLINK, &longer);
            assert_told(&said, (UPLINK, call.destination_mac), &call, &longer, JUMBO);
            set_mtu(&mut world, 1, JUMBO);
            let out = world.send(UPLINK, &datagram(&call, 9000)).unwrap();
            assert_eq!((out.ports, out.frame.len()), (vec![1], 9000 + call.ip_at()));
            world.check();
        }
    }
}

#[test]
fn f34_a_real_is_told_what_its_client_can_take() {
    for version in VERSIONS {
        let served = udp(version, 0);
        let mut world = World::serving_as(1, served);
        set_mtu(&mut world, 1, JUMBO);
        let call = served.call(1000);
        world.send(UPLINK, &datagram(&call, 1000)).unwrap();
        let back = served.at_real(1, call).reversed_to(CLIENT_MAC);
        let long = datagram(&back, 8000);
        let said = refused(&mut world, 1, &long);
        assert_told(&said, (1, SWITCH_MAC), &back, &long, 1500);
        assert_eq!(world.send(1, &datagram(&back, 1500)).map(|it| it.ports), Ok(vec![UPLINK]));
        set_mtu(&mut world, UPLINK, 1280);
        let long = datagram(&back, 1281);
        let said = refused(&mut world, 1, &long);
        assert_told(&said, (1, SWITCH_MAC), &back, &long, 1280);
        world.check();
    }
}

/// A switch tells nobody; and of a flood those get a copy who take it.
#[test]
fn f34_between_stations_it_only_ends() {
    let mut world = World::new(3);
    [UPLINK, 1, 2].iter().for_each(|&at| set_mtu(&mut world, at, JUMBO));
    let ends = |from, to: [u8; 6]| Ends {
        source_mac: guest_mac(from),
        destination_mac: to,
        source: (guest_address(from), 7),
        destination: (guest_address(9), 7),
        ..Ends::call(7, 7)
    };
    for guest in 1..=3 {
        world.send(guest, &datagram(&ends(guest, BROADCAST), 100)).unwrap();
    }
    let long = |from, to| datagram(&ends(from, to), 9000);
    assert_eq!(world.send(1, &long(1, guest_mac(2))).map(|it| it.ports), Ok(vec![2]));
    assert_eq!(refused(&mut world, 1, &long(1, guest_mac(3))), []);
    assert_eq!(world.send(1, &long(1, BROADCAST)).map(|it| it.ports), Ok(vec![UPLINK, 2]));
    assert_eq!(refused(&mut world, 3, &long(3, BROADCAST)), []);
    set_mtu(&mut world, 2, 1500);
    set_mtu(&mut world, UPLINK, 1500);
    assert_eq!(refused(&mut world, 1, &long(1, BROADCAST)), [], "nobody takes it");
    world.check();
}

#[test]
fn f34_what_is_to_be_cut_leaves_as_long_as_its_segments() {
    let served = Served::default();
    let mut world = World::serving_as(1, served);
    set_mtu(&mut world, UPLINK, JUMBO);
    let call = served.call(1000);
    let frame = call.tcp("S", &[0x5a; 20_000]);
    let checksum = Some(PartialChecksum { start: call.payload_at() as u16, offset: 16 });
    for (payload_len, ending) in [(1460, Ok(vec![1])), (1461, Err(DropReason::TooBig))] {
        let payload_len = payload_len.try_into().unwrap();
        let segments = Some(Segments { kind: SegmentKind::TcpV4, payload_len });
        let sent = world.send_offloaded(UPLINK, &frame, &mut Offload { checksum, segments });
        assert_eq!(sent.map(|out| out.ports), ending, "{payload_len}");
    }
    world.check();
}

/// A fragment that is too long to be kept does not wait for its first.
#[test]
fn f34_a_long_fragment_before_its_first_is_not_held() {
    let served = udp(Version::V4, 0);
    let mut world = World::serving_as(1, served);
    [UPLINK, 1].iter().for_each(|&at| set_mtu(&mut world, at, JUMBO));
    let call = served.call(1000);
    let whole = call.udp(&vec![0x5a; 20_000]);
    let parts = cut(&whole, &call, 7, 8000);
    let early = world.send(UPLINK, &parts[1]).map(|out| out.ports);
    assert_eq!(early, Err(DropReason::Fragment));
    let whole = cut(&whole, &call, 8, 8000);
    for part in &whole {
        assert_eq!(world.send(UPLINK, part).map(|out| out.ports), Ok(vec![1]));
    }
    world.check();
}

proptest! {
    /// Whatever the ports say: a packet passes where both take it, and nowhere else.
    #[test]
    fn a_packet_passes_where_both_ports_take_it(
        mtus in prop::array::uniform3(1280..=9000u16),
        packet_len in 1200..9100usize,
        (from, to) in (1..=2usize, 0..=2usize),
        tags in 0..=2usize,
    ) {
        prop_assume!(from != to);
        let mut world = World::new(2);
        (0..3).for_each(|at| set_mtu(&mut world, at, mtus[at]));
        let mac = |at| if at == UPLINK { CLIENT_MAC } else { guest_mac(at) };
        const TAGS: [u8; 8] = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6];
        let tags = [&[][..], &TAGS[4..], &TAGS][tags];
        let frame = |from, to, len: usize| {
            [&mac(to)[..], &mac(from), tags, &[0x88, 0xb6], &vec![0; len]].concat()
        };
        world.send(to, &frame(to, from, 60)).unwrap();
        let fits = [from, to].iter().all(|&at| packet_len <= usize::from(mtus[at]));
        let expected = if fits { Ok(vec![to]) } else { Err(DropReason::TooBig) };
        prop_assert_eq!(world.send(from, &frame(from, to, packet_len)).map(|out| out.ports), expected);
        world.check();
    }
}
