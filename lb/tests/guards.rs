//! What a defined guest may not say: the words of those who run a network, and other stations'
//! names. Each is said by a guest, by a station that nobody has defined and from the uplink; the
//! guest's is dropped with its one counter (`World::send` compares all of them), the others' goes on
//! as it is.

mod world;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use world::*;

/// The port of a station that nobody has defined.
const UNDEFINED: usize = 3;
const STRANGER_MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 1];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const VLANS: [u16; 2] = [0, 10];

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
/// An extension header of eight bytes that is all padding.
const PADDING: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
/// The same as an option that routers look at, as MLD has it (RFC 2711).
const ROUTER_ALERT: &[u8] = &[0, 0, 5, 2, 0, 0, 1, 0];
/// Fragment headers: of a whole packet, and of the first of several.
const ATOMIC: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 9];
const FIRST: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 9];

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;

/// Guests 1 and 2 are reals of a service in this VLAN; at port 3 is somebody.
fn world(vlan: u16) -> World {
    let served = Served { vlan, ..Served::default() };
    let mut world = World::new(3);
    world.apply(Command::SetService(served.spec("web")));
    for n in [1, 2] {
        world.define(n);
        world.set_real("web", n, served.real_port(), 100);
    }
    world.settle();
    world
}

/// Who says it, and from where.
#[derive(Clone, Copy, Debug)]
struct Speaker {
    ingress: usize,
    mac: [u8; 6],
    v4: IpAddr,
    v6: IpAddr,
}

fn guest(n: usize) -> Speaker {
    Speaker { ingress: n, mac: guest_mac(n), v4: guest_address(n), v6: guest_address_v6(n) }
}

fn stranger() -> Speaker {
    let (v4, v6) = (IpAddr::from([10, 0, 2, 77]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x77]));
    Speaker { ingress: UNDEFINED, mac: STRANGER_MAC, v4, v6 }
}

fn outside() -> Speaker {
    Speaker { ingress: UPLINK, mac: CLIENT_MAC, v4: CLIENT, v6: CLIENT_V6 }
}

impl Speaker {
    /// To everybody.
    fn ends(&self, version: Version, vlan: u16) -> Ends {
        let (source, destination, destination_mac) = match version {
            Version::V4 => (self.v4, Ipv4Addr::BROADCAST.into(), BROADCAST),
            Version::V6 => (self.v6, all_nodes(), ALL_NODES_MAC),
        };
        Ends {
            vlan,
            source_mac: self.mac,
            destination_mac,
            source: (source, 0),
            destination: (destination, 0),
        }
    }

    fn udp(&self, version: Version, vlan: u16, source: u16, destination: u16) -> Vec<u8> {
        let mut ends = self.ends(version, vlan);
        (ends.source.1, ends.destination.1) = (source, destination);
        ends.udp(&[2; 64])
    }

    fn discovery(&self, vlan: u16, kind: u8) -> Vec<u8> {
        self.ends(Version::V6, vlan).neighbor(kind, 0, self.v6, &[0; 16])
    }
}

fn all_nodes() -> IpAddr {
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into()
}

/// The packet with these extension headers behind its IPv6 header, and of what it carries so many
/// bytes at most.
fn behind(frame: &[u8], at: usize, extensions: &[(u8, &[u8])], carried_max: usize) -> Vec<u8> {
    let len = frame.len().min(at + 40 + carried_max);
    with_extensions(&frame[..len], at, extensions)
}

/// The frame with a tag of VLAN 0: of that priority, untagged.
fn with_priority(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0xe0, 0], &frame[12..]].concat()
}

/// What is said, and how it ends if a defined guest says it.
type Row = (&'static str, Vec<u8>, DropReason);

/// Has everybody say it.
fn only_guests_are_refused(rows: impl Fn(Speaker, u16) -> Vec<Row>) {
    for vlan in VLANS {
        let mut world = world(vlan);
        for speaker in [guest(1), stranger(), outside()] {
            for (what, frame, reason) in rows(speaker, vlan) {
                let what = format!("{what}, port {}, VLAN {vlan}", speaker.ingress);
                let ended = world.send(speaker.ingress, &frame);
                match speaker.ingress {
                    1 => assert_eq!(ended, Err(reason), "{what}"),
                    ingress => assert_eq!(ended, Ok(to_all_but(ingress, frame)), "{what}"),
                }
                assert!(world.plane.outbox().is_empty(), "{what}: no answer");
            }
        }
    }
}

fn to_all_but(ingress: usize, frame: Vec<u8>) -> Out {
    Out { ports: (0..=UNDEFINED).filter(|&port| port != ingress).collect(), frame }
}

#[test]
fn p25_routers() {
    only_guests_are_refused(|speaker, vlan| {
        let at = speaker.ends(Version::V6, vlan).ip_at();
        let advertisement = speaker.discovery(vlan, ROUTER_ADVERTISEMENT);
        let redirect = speaker.discovery(vlan, REDIRECT);
        let claim = speaker.discovery(vlan, ADVERTISEMENT);
        let guarded = |what, frame| (what, frame, DropReason::RaGuard);
        let hidden = |frame: &[u8], extensions: &[(u8, &[u8])]| behind(frame, at, extensions, 999);
        let v4 = speaker.ends(Version::V4, vlan);
        let nops = [1; 40];
        let mut rows = vec![
            guarded("P25 an advertisement", advertisement.clone()),
            guarded("P25 a redirect", redirect.clone()),
            guarded("P25 ICMP redirect", v4.icmp(5, 1, [10, 0, 2, 21], &[0x45; 28])),
            guarded(
                "P25 ICMP redirect behind options",
                with_options(&v4.icmp(5, 1, [10, 0, 2, 21], &[0x45; 28]), v4.ip_at(), &nops),
            ),
            guarded("P25 with a priority", with_priority(&advertisement)),
        ];
        rows.retain(|(what, ..)| vlan == 0 || !what.ends_with("priority"));
        for (frame, what) in [
            (&advertisement, "P25 an advertisement that hides"),
            (&redirect, "P25 a redirect that hides"),
            (&claim, "P25 a neighbor advertisement that hides"),
        ] {
            rows.extend([
                guarded(what, hidden(frame, &[(DESTINATION, PADDING)])),
                guarded(what, hidden(frame, &[(DESTINATION, PADDING); 8])),
                guarded(what, hidden(frame, &[(HOP_BY_HOP, PADDING), (DESTINATION, PADDING)])),
                guarded(what, hidden(frame, &[(FRAGMENT, ATOMIC)])),
                guarded(what, hidden(frame, &[(FRAGMENT, FIRST)])),
                guarded(what, hidden(frame, &[(DESTINATION, PADDING), (FRAGMENT, FIRST)])),
                guarded(what, hidden(frame, &[(FRAGMENT, FIRST), (DESTINATION, PADDING)])),
                (what, hidden(frame, &[(DESTINATION, PADDING); 9]), DropReason::Ip6Extension),
            ]);
        }
        rows
    });
}

#[test]
fn p25_p32_a_chain_that_goes_on_in_the_next_fragment() {
    only_guests_are_refused(|speaker, vlan| {
        let at = speaker.ends(Version::V6, vlan).ip_at();
        let advertisement = speaker.discovery(vlan, ROUTER_ADVERTISEMENT);
        let advertise = speaker.udp(Version::V6, vlan, 547, 546);
        let chain: &[(u8, &[u8])] = &[(FRAGMENT, FIRST), (DESTINATION, PADDING)];
        let half = {
            let mut half = behind(&advertisement, at, chain, 0);
            // The options say that they are sixteen bytes long.
            half[at + 40 + 8 + 1] = 1;
            half
        };
        vec![
            ("P25 ICMPv6 follows", behind(&advertisement, at, chain, 0), DropReason::RaGuard),
            ("P25 half of the options follows", half, DropReason::Ip6Extension),
            ("P32 UDP follows", behind(&advertise, at, chain, 0), DropReason::DhcpGuard),
        ]
    });
}

#[test]
fn p32_servers_of_addresses() {
    only_guests_are_refused(|speaker, vlan| {
        let offer = speaker.udp(Version::V4, vlan, 67, 68);
        let advertise = speaker.udp(Version::V6, vlan, 547, 546);
        let at = speaker.ends(Version::V4, vlan).ip_at();
        let options = |options: &[u8]| with_options(&offer, at, options);
        let first = {
            let mut first = offer.clone();
            patch_ipv4(&mut first, at, &[(6, 0x20)]);
            first
        };
        let hidden = |extensions: &[(u8, &[u8])]| behind(&advertise, at, extensions, 999);
        let mut rows = vec![
            ("P32 OFFER", offer.clone()),
            ("P32 OFFER behind four bytes of options", options(&[1; 4])),
            ("P32 OFFER behind forty bytes of options", options(&[1; 40])),
            ("P32 OFFER, a first fragment", first),
            ("P32 to a relay", speaker.udp(Version::V4, vlan, 67, 67)),
            ("P32 OFFER from another port", speaker.udp(Version::V4, vlan, 1067, 68)),
            ("P32 ADVERTISE", advertise.clone()),
            ("P32 ADVERTISE behind options", hidden(&[(DESTINATION, PADDING)])),
            ("P32 ADVERTISE behind a hop-by-hop header", hidden(&[(HOP_BY_HOP, PADDING)])),
            ("P32 ADVERTISE, an atomic fragment", hidden(&[(FRAGMENT, ATOMIC)])),
            ("P32 ADVERTISE, a first fragment", hidden(&[(FRAGMENT, FIRST)])),
            ("P32 ADVERTISE from another port", speaker.udp(Version::V6, vlan, 1547, 546)),
        ];
        if vlan == 0 {
            rows.push(("P32 OFFER with a priority", with_priority(&offer)));
            rows.push(("P32 ADVERTISE with a priority", with_priority(&advertise)));
        }
        rows.into_iter().map(|(what, frame)| (what, frame, DropReason::DhcpGuard)).collect()
    });
}

#[test]
fn p47_queries_for_members_of_groups() {
    const IGMP_QUERY: &[u8] = &[0x11, 100, 0xee, 0x9b, 0, 0, 0, 0];
    only_guests_are_refused(|speaker, vlan| {
        let igmp = speaker.ends(Version::V4, vlan).raw(2, IGMP_QUERY);
        let (at, mld) = mld_query(speaker, vlan);
        let alert = behind(&mld, at, &[(HOP_BY_HOP, ROUTER_ALERT)], 999);
        let hidden = behind(&mld, at, &[(HOP_BY_HOP, ROUTER_ALERT), (DESTINATION, PADDING)], 999);
        let rows = [
            ("P47 IGMP", igmp.clone()),
            ("P47 IGMP with a router alert", with_options(&igmp, at, &[148, 4, 0, 0])),
            ("P47 MLD", alert),
            ("P47 MLD behind options", hidden),
        ];
        rows.map(|(what, frame)| (what, frame, DropReason::QueryGuard)).into()
    });
}

/// Nobody believes it without a router alert, whoever says it.
#[test]
fn p47_a_query_without_its_router_alert() {
    for vlan in VLANS {
        let mut world = world(vlan);
        for (speaker, reason) in [
            (guest(1), DropReason::QueryGuard),
            (stranger(), DropReason::GroupMessage),
            (outside(), DropReason::GroupMessage),
        ] {
            let (_, query) = mld_query(speaker, vlan);
            assert_eq!(world.send(speaker.ingress, &query), Err(reason), "P47 {speaker:?}");
        }
    }
}

/// A query as neighbours hear it, its router alert aside, and where its IP header is.
fn mld_query(speaker: Speaker, vlan: u16) -> (usize, Vec<u8>) {
    let link_local = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, speaker.ingress as u16 + 1]);
    let ends = Speaker { v6: link_local, ..speaker }.ends(Version::V6, vlan);
    let mut query = ends.icmp(130, 0, [0; 4], &[0; 16]);
    query[ends.ip_at() + 7] = 1;
    (ends.ip_at(), query)
}

#[test]
fn a_guest_says_what_hosts_say() {
    for vlan in VLANS {
        let mut world = world(vlan);
        let host = guest(1);
        let (v4, v6) = (host.ends(Version::V4, vlan), host.ends(Version::V6, vlan));
        let own_mac = option(SOURCE_OPTION, host.mac);
        let cases = [
            ("DHCP DISCOVER", host.udp(Version::V4, vlan, 68, 67)),
            ("DHCPv6 SOLICIT", host.udp(Version::V6, vlan, 546, 547)),
            ("a DNS answer", host.udp(Version::V4, vlan, 53, 5353)),
            ("a router solicitation", v6.icmp(ROUTER_SOLICITATION, 0, [0; 4], &own_mac)),
            (
                "where it is",
                v6.neighbor(ADVERTISEMENT, 0, host.v6, &option(TARGET_OPTION, host.mac)),
            ),
            ("an echo request", v4.icmp(8, 0, [0; 4], b"")),
            ("ICMP destination unreachable", v4.icmp(3, 3, [0; 4], &[0x45; 28])),
            ("ICMPv6 packet too big", v6.icmp(2, 0, [0, 0, 5, 0], &[0x60; 48])),
            ("an IGMPv3 report", v4.raw(2, &[0x22, 0, 0, 0, 0, 0, 0, 0])),
            ("SCTP", v6.raw(132, &[0; 40])),
        ];
        for (what, frame) in cases {
            assert_eq!(world.send(1, &frame), Ok(to_all_but(1, frame)), "{what}, VLAN {vlan}");
        }
    }
}

#[test]
fn p28_another_guests_address() {
    for vlan in VLANS {
        let mut world = world(vlan);
        let owner = guest(2);
        let refused = |world: &mut World, speaker: Speaker, is_there: bool| {
            // Says what the owner would say.
            let owners = Speaker { v4: owner.v4, v6: owner.v6, ..speaker };
            let arp = |sender: IpAddr, target: IpAddr, operation| {
                let mut ends = owners.ends(Version::V4, vlan);
                (ends.source.0, ends.destination.0) = (sender, target);
                ends.arp(operation)
            };
            let own = [&[2, 1][..], &speaker.mac].concat();
            let claim = |source: IpAddr, flags| {
                let mut ends = owners.ends(Version::V6, vlan);
                ends.source.0 = source;
                ends.neighbor(ADVERTISEMENT, flags, owner.v6, &own)
            };
            let question = {
                let mut ends = owners.ends(Version::V6, vlan);
                let (group, mac) = solicited_node(CLIENT_V6);
                (ends.destination.0, ends.destination_mac) = (group, mac);
                let own = [&[1, 1][..], &speaker.mac].concat();
                ends.neighbor(SOLICITATION, 0, CLIENT_V6, &own)
            };
            for (what, frame, reason) in [
                ("a question", arp(owner.v4, CLIENT, 1), DropReason::ArpSpoof),
                ("an answer", arp(owner.v4, CLIENT, 2), DropReason::ArpSpoof),
                ("an announcement", arp(owner.v4, owner.v4, 1), DropReason::ArpSpoof),
                ("a gratuitous reply", arp(owner.v4, owner.v4, 2), DropReason::ArpSpoof),
                ("an advertisement", claim(owner.v6, 0x20), DropReason::NdSpoof),
                ("by its own address", claim(speaker.v6, 0x60), DropReason::NdSpoof),
                ("a solicitation", question, DropReason::NdSpoof),
            ] {
                let ended = world.send(speaker.ingress, &frame).map(|out| out.frame);
                let expected = if is_there { Err(reason) } else { Ok(frame) };
                assert_eq!(ended, expected, "{what}, {speaker:?}, VLAN {vlan}");
            }
        };
        for speaker in [guest(1), stranger(), outside()] {
            refused(&mut world, speaker, true);
        }
        // It has moved away.
        world.apply(Command::SetLink { port: port(2), up: false });
        refused(&mut world, outside(), false);
    }
}

#[test]
fn p30_announcements_once_a_second() {
    const COUNT: u64 = 1000;
    for vlan in VLANS {
        let mut world = world(vlan);
        let other = IpAddr::from([10, 0, 2, 210]);
        let spec = world.guest_spec(1);
        let addresses = spec.addresses.iter().copied().chain([other]).collect();
        world.apply(Command::SetGuest(GuestSpec { addresses, ..spec }));
        let announcement = |address: IpAddr, operation| {
            let ends = Speaker { v4: address, ..guest(1) }.ends(Version::V4, vlan);
            Ends { destination: ends.source, ..ends }.arp(operation)
        };
        for second in 1..=3 {
            for (address, operation) in [(guest_address(1), 1), (other, 2)] {
                let frame = announcement(address, operation);
                let went = (0..COUNT).filter(|_| world.send(1, &frame).is_ok()).count();
                assert_eq!(went, 1, "{address} in second {second}");
            }
            let dropped = world.dropped(1, DropReason::ArpRate);
            assert_eq!(dropped, 2 * (COUNT - 1) * second);
            // A neighbour's own are not counted among them.
            let neighbors = guest(2).ends(Version::V4, vlan);
            let neighbors = Ends { destination: neighbors.source, ..neighbors }.arp(1);
            assert_eq!(world.send(2, &neighbors), Ok(to_all_but(2, neighbors)));
            world.pass(Duration::from_secs(1));
        }
        let storm = Some(StormLimits::default());
        world.set_rules(UNDEFINED, PortRules { storm, ..PortRules::default() });
        for speaker in [stranger(), outside()] {
            let ends = speaker.ends(Version::V4, vlan);
            let frame = Ends { destination: ends.source, ..ends }.arp(1);
            let went = (0..COUNT).filter(|_| world.send(speaker.ingress, &frame).is_ok()).count();
            assert_eq!(went as u64, COUNT, "{speaker:?}");
        }
    }
}

#[test]
fn p31_probes_for_duplicates_as_many_as_it_likes() {
    for vlan in VLANS {
        let mut world = world(vlan);
        let mut v4 = guest(1).ends(Version::V4, vlan);
        (v4.source.0, v4.destination.0) = (Ipv4Addr::UNSPECIFIED.into(), guest_address(1));
        let (group, mac) = solicited_node(guest_address_v6(1));
        let mut v6 = guest(1).ends(Version::V6, vlan);
        (v6.source.0, v6.destination.0) = (Ipv6Addr::UNSPECIFIED.into(), group);
        v6.destination_mac = mac;
        let v6 = v6.neighbor(SOLICITATION, 0, guest_address_v6(1), &[]);
        for frame in [v4.arp(1), v6].into_iter().cycle().take(20) {
            assert_eq!(world.send(1, &frame), Ok(to_all_but(1, frame)), "VLAN {vlan}");
        }
    }
}

#[test]
fn p40_a_guests_mac_from_elsewhere() {
    for vlan in VLANS {
        let mut world = world(vlan);
        let frames = |mac: [u8; 6]| {
            let ends = Speaker { mac, ..guest(1) }.ends(Version::V4, vlan);
            let opaque = [&ends.link_header(0x88b5)[..], &[0; 46]].concat();
            [ends.arp(1), ends.udp(b"?"), opaque]
        };
        let place = |world: &World, n: usize| {
            let mac = MacAddr(guest_mac(n));
            world.plane.fdb().lookup(mac, vlan, world.now).map(PortId::index)
        };
        // It has spoken in this VLAN.
        world.send(1, &frames(guest_mac(1))[1]).unwrap();
        for (ingress, reason) in [
            (UPLINK, DropReason::SpoofUplink),
            (2, DropReason::SpoofMac),
            (UNDEFINED, DropReason::SpoofMac),
        ] {
            for frame in frames(guest_mac(1)) {
                let ended = world.send(ingress, &frame).map(|out| out.ports);
                assert_eq!(ended, Err(reason), "port {ingress}, VLAN {vlan}");
                assert_eq!(place(&world, 1), Some(1), "the FDB is the same");
            }
        }
        world.apply(Command::SetLink { port: port(1), up: false });
        for frame in frames(guest_mac(1)) {
            let ports = world.send(UPLINK, &frame).map(|out| out.ports);
            assert_eq!(ports, Ok(vec![2, UNDEFINED]), "it has moved away, VLAN {vlan}");
        }
        world.apply(Command::SetLink { port: port(1), up: true });
        let ended = world.send(UPLINK, &frames(guest_mac(1))[1]);
        assert_eq!(ended, Err(DropReason::SpoofUplink), "it is back, VLAN {vlan}");
    }
}
