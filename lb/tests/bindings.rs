//! What binds a guest: it sends from its own MAC and addresses, speaks of them alone, and hides nothing
//! from who looks; unless it is trusted with more. And how many stations an undefined port may have.

mod world;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use lb::*;
use world::*;

const STRANGER: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 1];
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 99));
const OTHERS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x99));
const LINK_LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 9, 9));
const LINK_LOCAL_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9));
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const NEIGHBOURS: [[u8; 6]; 2] = [BROADCAST, [0x33, 0x33, 0, 0, 0, 1]];
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// Guests 1 and 2, of whom web1 serves the VIP.
fn world(trusts: &[Trust]) -> World {
    let mut world = World::new(3);
    world.apply(Command::SetService(Served::default().spec("web")));
    for n in [1, 2] {
        let trusts = trusts.iter().copied().collect();
        world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(n) }));
    }
    world.set_real("web", 1, Some(8080), 100);
    world.settle();
    world
}

/// From guest 2 in this name to guest 1.
fn from(source: IpAddr) -> Ends {
    let to = if source.is_ipv4() { guest_address(1) } else { guest_address_v6(1) };
    Ends {
        vlan: 0,
        source_mac: guest_mac(2),
        destination_mac: guest_mac(1),
        source: (source, 68),
        destination: (to, 67),
    }
}

fn to_all(source: IpAddr) -> Ends {
    let everybody: IpAddr = match source {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
    };
    let mac = NEIGHBOURS[usize::from(source.is_ipv6())];
    Ends { destination_mac: mac, destination: (everybody, 67), ..from(source) }
}

/// MLD as it has to be sent: to neighbours alone, and with a router alert.
fn of_groups(mut frame: Vec<u8>) -> Vec<u8> {
    frame[21] = 1;
    with_extensions(&frame, 14, &[(0, &[0, 0, 5, 2, 0, 0, 1, 0])])
}

/// What becomes of frames that guest 2 sends: nothing but these drops, or they go on as they are.
fn expect(world: &mut World, rows: Vec<(&str, Vec<u8>, Result<(), DropReason>)>) {
    for (what, frame, end) in rows {
        let ended = world.send(2, &frame);
        assert_eq!(ended.as_ref().map(drop).map_err(|reason| *reason), end, "{what}");
        if let Ok(out) = ended {
            assert_eq!(out.frame, frame, "{what}");
        }
        assert!(world.plane.outbox().is_empty(), "{what}: no answer");
    }
}

/// P53.
#[test]
fn packets_come_from_own_addresses() {
    let mut world = world(&[]);
    let (own, own_v6) = (guest_address(2), guest_address_v6(2));
    let spoof = Err(DropReason::SpoofAddress);
    let whole = |source| from(source).udp(b"?");
    let to_client = |source| Ends { destination: (CLIENT, 7), ..from(source) };
    let later = |source| cut(&from(source).udp(&[0; 64]), &from(source), 7, 32)[1].clone();
    let behind = |source| {
        let padding: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
        with_extensions(&whole(source), 14, &[(0, padding), (60, padding)])
    };
    expect(
        &mut world,
        vec![
            ("its own", whole(own), Ok(())),
            ("its own of IPv6", whole(own_v6), Ok(())),
            ("its own, behind extension headers", behind(own_v6), Ok(())),
            ("a later fragment of its own", later(own), Ok(())),
            ("nobody's", whole(OTHERS), spoof),
            ("nobody's of IPv6", whole(OTHERS_V6), spoof),
            ("nobody's, behind extension headers", behind(OTHERS_V6), spoof),
            ("a later fragment of nobody's", later(OTHERS), spoof),
            ("a later fragment of nobody's of IPv6", later(OTHERS_V6), spoof),
            ("another guest's", to_client(guest_address(1)).udp(b"?"), spoof),
            ("a client's", whole(CLIENT), spoof),
            ("the VIP's", whole(VIP), Err(DropReason::VipSource)),
            ("the switch's", whole(SWITCH), Err(DropReason::SpoofAddress)),
            ("loopback", whole(Ipv4Addr::LOCALHOST.into()), Err(DropReason::Martian)),
            ("a group", whole(Ipv4Addr::new(224, 0, 0, 1).into()), Err(DropReason::Martian)),
            ("one that it gave itself", whole(LINK_LOCAL), Ok(())),
            ("one that it gave itself, of IPv6", whole(LINK_LOCAL_V6), Ok(())),
            ("no address, but asks for one", to_all(ANY).udp(&[1; 240]), Ok(())),
            ("no address, and asks for nothing", from(ANY).icmp(8, 0, [0; 4], b""), {
                Err(DropReason::Martian)
            }),
            (
                "no address, and joins groups",
                to_all(ANY).raw(2, &[0x22, 0, 0, 0, 0, 0, 0, 0]),
                Ok(()),
            ),
            (
                "no address of IPv6, and joins groups",
                of_groups(to_all(ANY_V6).icmp(143, 0, [0; 4], b"")),
                Ok(()),
            ),
            ("no address of IPv6, and calls", whole(ANY_V6), Err(DropReason::Martian)),
        ],
    );
}

/// Whoever's flow it would be.
#[test]
fn a_guest_calls_a_vip_in_its_own_name() {
    let mut world = world(&[]);
    let call = |source| Ends {
        destination_mac: VIP_MAC,
        source: (source, 1000),
        destination: (VIP, 80),
        ..from(source)
    };
    for source in [OTHERS, CLIENT, guest_address(1)] {
        for flags in ["S", "A"] {
            let ended = world.send(2, &call(source).tcp(flags, &[]));
            assert_eq!(ended, Err(DropReason::SpoofAddress), "{source} {flags}");
        }
    }
    assert!(world.plane.flows().is_empty());
    // Into a flow that goes on.
    let client = Ends::call(1000, 80);
    let seen = read(&world.send(UPLINK, &client.tcp("S", &[])).unwrap().frame).0;
    world.send(1, &seen.reversed_to(CLIENT_MAC).tcp("SA", &[])).unwrap();
    world.send(UPLINK, &client.tcp("A", &[])).unwrap();
    let forged = Ends { source_mac: guest_mac(2), ..client };
    assert_eq!(world.send(2, &forged.tcp("PA", b"?")), Err(DropReason::SpoofAddress));
    assert_eq!(world.send(UPLINK, &client.tcp("PA", b"?")).unwrap().ports, [1]);
    assert_eq!(world.send(2, &call(guest_address(2)).tcp("S", &[])).unwrap().ports, [1]);
}

#[test]
fn p28_a_guest_speaks_of_its_own_addresses_and_mac() {
    let mut world = world(&[]);
    let (own, own_v6) = (guest_address(2), guest_address_v6(2));
    let arp = |sender, operation, inside: [u8; 6]| {
        let ends = Ends { destination: (guest_address(1), 0), ..to_all(sender) };
        let mut frame = ends.arp(operation);
        frame[22..28].copy_from_slice(&inside);
        frame
    };
    let asks = |source, named: &[[u8; 6]]| {
        let options: Vec<u8> = named.iter().flat_map(|&mac| option(SOURCE_OPTION, mac)).collect();
        to_all(source).neighbor(SOLICITATION, 0, guest_address_v6(1), &options)
    };
    let says = |target, named| {
        to_all(own_v6).neighbor(ADVERTISEMENT, OVERRIDE, target, &option(TARGET_OPTION, named))
    };
    let wants_router = |named: [u8; 6]| {
        to_all(own_v6).icmp(ROUTER_SOLICITATION, 0, [0; 4], &option(SOURCE_OPTION, named))
    };
    let (me, other) = (guest_mac(2), guest_mac(1));
    let (arp_spoof, nd_spoof) = (Err(DropReason::ArpSpoof), Err(DropReason::NdSpoof));
    expect(
        &mut world,
        vec![
            ("asks", arp(own, 1, me), Ok(())),
            ("answers", arp(own, 2, me), Ok(())),
            ("a probe", arp(ANY, 1, me), Ok(())),
            ("asks as one that it gave itself", arp(LINK_LOCAL, 1, me), Ok(())),
            ("asks as nobody", arp(OTHERS, 1, me), arp_spoof),
            ("answers as nobody", arp(OTHERS, 2, me), arp_spoof),
            ("answers as another guest", arp(guest_address(1), 2, me), arp_spoof),
            ("names another MAC", arp(own, 1, other), arp_spoof),
            ("probes with another MAC", arp(ANY, 1, STRANGER), arp_spoof),
            ("asks by IPv6", asks(own_v6, &[me]), Ok(())),
            ("asks as one that it gave itself, by IPv6", asks(LINK_LOCAL_V6, &[me]), Ok(())),
            ("asks as nobody, by IPv6", asks(OTHERS_V6, &[me]), nd_spoof),
            ("names another MAC by IPv6", asks(own_v6, &[other]), nd_spoof),
            ("names another MAC first", asks(own_v6, &[other, me]), nd_spoof),
            ("names another MAC last", asks(own_v6, &[me, other]), nd_spoof),
            ("says where it is", says(own_v6, me), Ok(())),
            ("says where nobody is", says(OTHERS_V6, me), nd_spoof),
            ("says that it is elsewhere", says(own_v6, other), nd_spoof),
            ("looks for routers", wants_router(me), Ok(())),
            ("looks for routers with another MAC", wants_router(other), nd_spoof),
        ],
    );
}

#[test]
fn p8_p9_p25_nothing_hides_from_the_guards() {
    let mut world = world(&[]);
    let advertisement = to_all(guest_address_v6(2)).icmp(ROUTER_ADVERTISEMENT, 0, [0; 4], &[0; 8]);
    let packet = &advertisement[14..];
    let wrapped = |wrap: &[u8]| [&advertisement[..12], wrap, packet].concat();
    let snap = |len: u16| [&len.to_be_bytes()[..], &[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd]].concat();
    let tag = |vlan: u8| [0x81, 0, 0, vlan];
    let tags = |vlans: &[u8]| {
        let tags: Vec<u8> = vlans.iter().flat_map(|&vlan| tag(vlan)).collect();
        wrapped(&[&tags[..], &[0x86, 0xdd]].concat())
    };
    let disguise = Err(DropReason::Disguise);
    expect(
        &mut world,
        vec![
            ("as it is", advertisement.clone(), Err(DropReason::RaGuard)),
            ("a tag of no VLAN", tags(&[0]), Err(DropReason::RaGuard)),
            ("LLC/SNAP", wrapped(&snap(packet.len() as u16 + 8)), disguise),
            ("LLC/SNAP of a wrong length", wrapped(&snap(9)), disguise),
            ("LLC/SNAP of the longest length", wrapped(&snap(1500)), disguise),
            ("LLC/SNAP of no length", wrapped(&snap(0x05ff)), disguise),
            ("two tags of no VLAN", tags(&[0, 0]), disguise),
            ("four of them", tags(&[0, 0, 0, 0]), disguise),
            ("a VLAN behind a tag of none", tags(&[0, 10]), disguise),
            ("a tag of no VLAN behind one", tags(&[10, 0]), disguise),
            ("LLC/SNAP behind a tag", wrapped(&[&tag(10)[..], &snap(60)].concat()), disguise),
            (
                "LLC/SNAP behind two",
                wrapped(&[&tag(10)[..], &tag(20), &snap(60)].concat()),
                disguise,
            ),
            ("a VLAN in a VLAN is somebody's own", tags(&[10, 20]), Ok(())),
        ],
    );
    // Of a station that nobody has defined all is switched.
    for frame in [wrapped(&snap(60)), tags(&[0, 0])] {
        let mut frame = frame;
        frame[6..12].copy_from_slice(&STRANGER);
        assert!(world.send(3, &frame).is_ok());
    }
}

/// P54.
#[test]
fn packets_that_cannot_be_read_are_not_sent_on() {
    let mut world = world(&[]);
    let (v4, v6) = (from(guest_address(2)), from(guest_address_v6(2)));
    let patched = |frame: &[u8], at: usize, value: u8| {
        let mut frame = frame.to_vec();
        frame[14 + at] = value;
        frame
    };
    let (whole, whole_v6) = (v4.udp(&[0; 40]), v6.udp(&[0; 40]));
    let cases = vec![
        ("a header of 16 bytes", patched(&whole, 0, 0x44), Err(DropReason::IpHeader)),
        ("IPv4 of version 6", patched(&whole, 0, 0x65), Err(DropReason::IpHeader)),
        ("longer than the frame", patched(&whole, 2, 9), Err(DropReason::IpLength)),
        ("IPv6 of version 4", patched(&whole_v6, 0, 0x45), Err(DropReason::IpHeader)),
        ("IPv6 longer than the frame", patched(&whole_v6, 4, 9), Err(DropReason::Ip6Length)),
        ("no header", whole[..20].to_vec(), Err(DropReason::ShortIp)),
    ];
    for (what, frame, _) in &cases {
        let mut frame = frame.clone();
        frame[6..12].copy_from_slice(&STRANGER);
        assert!(world.send(3, &frame).is_ok(), "{what}: a stranger's is opaque");
    }
    expect(&mut world, cases);
}

#[test]
fn discovery_in_fragments_is_refused() {
    let mut world = world(&[]);
    let question = to_all(guest_address_v6(2)).neighbor(SOLICITATION, 0, guest_address_v6(1), &[]);
    let fragment = |word: u8| with_extensions(&question, 14, &[(44, &[0, 0, 0, word, 0, 0, 0, 9])]);
    let refused = Err(DropReason::NdFragment);
    expect(
        &mut world,
        vec![("atomic", fragment(0), refused), ("a first one", fragment(1), refused)],
    );
}

#[test]
fn who_is_trusted_may() {
    let server = |ends: Ends| Ends {
        source: (ends.source.0, 67),
        destination: (ends.destination.0, 68),
        ..ends
    };
    let (own, own_v6) = (guest_address(2), guest_address_v6(2));
    let advertisement = to_all(own_v6).icmp(ROUTER_ADVERTISEMENT, 0, [0; 4], &[0; 8]);
    let query = to_all(LINK_LOCAL_V6).icmp(130, 0, [0; 4], &[0; 16]);
    let behind = {
        let mut frame = from(own).udp(b"?");
        frame[6..12].copy_from_slice(&STRANGER);
        frame
    };
    let rows = [
        (Trust::Address, from(OTHERS).udp(b"?"), DropReason::SpoofAddress),
        (Trust::Address, from(OTHERS_V6).udp(b"?"), DropReason::SpoofAddress),
        (Trust::Dhcp, server(from(own)).udp(b"offer"), DropReason::DhcpGuard),
        (Trust::Mac, behind, DropReason::SpoofMac),
        (Trust::Querier, to_all(own).raw(2, &[0x11, 0, 0, 0, 0, 0, 0, 0]), DropReason::QueryGuard),
        (Trust::Querier, of_groups(query), DropReason::QueryGuard),
        (Trust::Router, advertisement, DropReason::RaGuard),
        (Trust::Router, from(own).icmp(5, 1, [0; 4], &[0x45; 28]), DropReason::RaGuard),
    ];
    for given in Trust::ALL {
        let mut world = world(&[given]);
        for (needed, frame, reason) in &rows {
            let ended = world.send(2, frame).map(drop);
            let expected = if given == *needed { Ok(()) } else { Err(*reason) };
            assert_eq!(ended, expected, "{needed:?} with {given:?}");
        }
    }
}

/// It is not learned; the guest's own stays, and with the guest goes what binds its port.
#[test]
fn p6_nobody_else_sends_from_a_guests_port() {
    let mut world = world(&[]);
    let mut frame = from(guest_address(2)).udp(b"?");
    frame[6..12].copy_from_slice(&STRANGER);
    let place = |world: &World| world.plane.fdb().lookup(MacAddr(STRANGER), 0, world.now);
    assert_eq!(world.send(2, &frame), Err(DropReason::SpoofMac));
    assert_eq!(place(&world), None);
    world.apply(Command::SetMac { mac: MacAddr(STRANGER), vlan: 0, port: port(2) });
    assert!(world.send(2, &frame).is_ok(), "one that the operator has placed there");
    world.apply(Command::DeleteMac { mac: MacAddr(STRANGER), vlan: 0 });
    assert_eq!(world.send(2, &frame), Err(DropReason::SpoofMac));
    world.apply(Command::DeleteGuest(name("web2")));
    assert!(world.send(2, &frame).is_ok());
    assert_eq!(place(&world), Some(port(2)));
    world.define(2);
    assert_eq!(place(&world), None, "what was learned before is forgotten");
    assert_eq!(world.send(2, &frame), Err(DropReason::SpoofMac));
}

/// Who has no address in his definition may use any, but none that is another's in ARP.
#[test]
fn a_guest_without_stated_addresses_uses_any() {
    let mut world = world(&[]);
    let spec = GuestSpec { addresses: Default::default(), ..world.guest_spec(2) };
    world.apply(Command::SetGuest(spec));
    let claims = |sender| Ends { destination: (CLIENT, 0), ..to_all(sender) }.arp(1);
    expect(
        &mut world,
        vec![
            ("a packet", from(OTHERS).udp(b"?"), Ok(())),
            ("a claim", claims(OTHERS), Ok(())),
            ("another guest's", claims(guest_address(1)), Err(DropReason::ArpSpoof)),
            ("the VIP's", from(VIP).udp(b"?"), Err(DropReason::VipSource)),
        ],
    );
}

#[test]
fn trust_says_nothing_of_health() {
    let mut world = world(&[]);
    let health = |world: &World| {
        let guest = world.plane.tables().guest_at(port(1), MacAddr(guest_mac(1))).unwrap();
        world.plane.tables().guest(guest).unwrap().health()
    };
    assert_eq!(health(&world), Health::Up);
    let trusts = Trusts::NONE.with(Trust::Router);
    world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(1) }));
    assert_eq!(health(&world), Health::Up, "it is the same station");
    let mac = MacAddr([0x52, 0x54, 0, 1, 1, 1]);
    world.apply(Command::SetGuest(GuestSpec { mac, ..world.guest_spec(1) }));
    let guest = world.plane.tables().guest_at(port(1), mac).unwrap();
    let health = world.plane.tables().guest(guest).unwrap().health();
    assert_eq!(health, Health::Unknown, "it is another");
}

/// P45.
#[test]
fn a_port_may_have_so_many_stations() {
    let mut world = world(&[]);
    let max = NonZeroU32::new(2);
    world.set_rules(3, PortRules { macs_max: max, ..PortRules::default() });
    let hello = |n: u8, vlan: u16| {
        let mac = [0x52, 0x54, 0, 0xaa, 0, n];
        let ends = Ends { vlan, source_mac: mac, ..from(OTHERS) };
        ends.udp(b"?")
    };
    let full = Err(DropReason::MacLimit);
    for (what, n, vlan, end) in [
        ("the first", 1, 0, Ok(())),
        ("the second", 2, 0, Ok(())),
        ("a third", 3, 0, full),
        ("the first in another VLAN", 1, 10, full),
        ("the first again", 1, 0, Ok(())),
        ("the third again", 3, 0, full),
    ] {
        assert_eq!(world.send(3, &hello(n, vlan)).map(drop), end, "{what}");
    }
    // Elsewhere there is place, and who is elsewhere does not get in by moving.
    assert!(world.send(UPLINK, &hello(4, 0)).is_ok());
    world.now = world.now + Duration::from_secs(2);
    assert_eq!(world.send(3, &hello(4, 0)).map(drop), full);
    assert_eq!(world.send(2, &from(guest_address(2)).udp(b"?")).unwrap().ports, [1]);
    // When one is forgotten there is a place for another.
    world.pass(Duration::from_secs(200));
    world.send(3, &hello(1, 0)).unwrap();
    world.pass(Duration::from_secs(110));
    assert!(world.send(3, &hello(3, 0)).is_ok());
    assert_eq!(world.send(3, &hello(2, 0)).map(drop), full);
    world.set_rules(3, PortRules::default());
    assert!(world.send(3, &hello(2, 0)).is_ok());
}

/// The log hears of it, once a minute for each port and reason.
#[test]
fn what_no_honest_station_sends_is_told() {
    let mut world = world(&[]);
    while world.plane.events().pop().is_some() {}
    let mut told = Vec::new();
    for minute in 0..3 {
        for _ in 0..1000 {
            let _ = world.send(2, &from(OTHERS).udp(b"?"));
        }
        let bpdu = [&[1, 0x80, 0xc2, 0, 0, 0][..], &guest_mac(2), &[0, 38], &[0x42; 38]].concat();
        assert_eq!(world.send(2, &bpdu), Err(DropReason::LinkLocal), "P7");
        let lacp = [&[1, 0x80, 0xc2, 0, 0, 2][..], &CLIENT_MAC, &[0x88, 0x09], &[0; 46]].concat();
        assert_eq!(world.send(UPLINK, &lacp), Err(DropReason::LinkLocal));
        // Looked at after a second, and a minute later again.
        world.pass(Duration::from_secs(if minute == 1 { 20 } else { 61 }));
        while let Some(event) = world.plane.events().pop() {
            told.push((minute, event.to_string()));
        }
    }
    let line = |reason: DropReason, frames: &str| {
        format!("port p2: {frames} dropped, {}: {}", reason.as_str(), reason.sentence())
    };
    let expected = [
        (0, line(DropReason::SpoofAddress, "1000 frames")),
        (0, line(DropReason::LinkLocal, "1 frame")),
        (1, line(DropReason::SpoofAddress, "1000 frames")),
        (1, line(DropReason::LinkLocal, "1 frame")),
        (2, line(DropReason::SpoofAddress, "1000 frames")),
        (2, line(DropReason::LinkLocal, "1 frame")),
    ];
    assert_eq!(told, expected);
}
