//! `direct` forwarding: what a guest that has the VIP on a loopback says about it, and who else
//! says the same. That its packets go where they must is in the matrix.

mod world;

use std::net::IpAddr;

use lb::wire::ip::Version;
use lb::*;
use world::*;

const VLANS: [u16; 2] = [0, 10];

fn direct(version: Version, vlan: u16) -> Served {
    Served { forwarding: Forwarding::Direct, version, vlan, ..Served::default() }
}

/// Guest 1 is the real; guest 2 is nobody of the service's.
fn world(version: Version, vlan: u16) -> World {
    let served = direct(version, vlan);
    let mut world = World::serving_as(2, served);
    world.apply(Command::DeleteReal { service: name("web"), guest: name("web2") });
    // A client that everybody knows.
    world
        .send(UPLINK, &Ends { destination_mac: BROADCAST, ..served.call(1) }.tcp("S", b""))
        .unwrap();
    world
}

/// How a packet about the VIP ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// Goes on as the same question of the guest's own address.
    SentOn,
    /// The switch answers that the VIP is its own.
    Answered,
    Dropped(DropReason),
}

/// Said by the real, and by anybody else.
struct Saying {
    what: &'static str,
    frame: fn([u8; 6], u16) -> Vec<u8>,
    by_real: Ending,
    by_other: Ending,
}

const SUPPRESSED: Ending = Ending::Dropped(DropReason::VipSuppressed);
const ARP_SPOOF: Ending = Ending::Dropped(DropReason::ArpSpoof);
const ND_SPOOF: Ending = Ending::Dropped(DropReason::NdSpoof);

fn ends(mac: [u8; 6], to: [u8; 6], vlan: u16, source: IpAddr, destination: IpAddr) -> Ends {
    Ends {
        vlan,
        source_mac: mac,
        destination_mac: to,
        source: (source, 0),
        destination: (destination, 0),
    }
}

const ARP_SAYINGS: [Saying; 5] = [
    Saying {
        what: "who has the client? tell the VIP (arp_announce 0)",
        frame: |mac, vlan| ends(mac, BROADCAST, vlan, VIP, CLIENT).arp(1),
        by_real: Ending::SentOn,
        by_other: ARP_SPOOF,
    },
    Saying {
        what: "the VIP is here (a gratuitous request)",
        frame: |mac, vlan| ends(mac, BROADCAST, vlan, VIP, VIP).arp(1),
        by_real: SUPPRESSED,
        by_other: ARP_SPOOF,
    },
    Saying {
        what: "the VIP is here (a gratuitous reply)",
        frame: |mac, vlan| ends(mac, BROADCAST, vlan, VIP, VIP).arp(2),
        by_real: SUPPRESSED,
        by_other: ARP_SPOOF,
    },
    Saying {
        what: "the VIP is here (an answer to the client)",
        frame: |mac, vlan| ends(mac, CLIENT_MAC, vlan, VIP, CLIENT).arp(2),
        by_real: SUPPRESSED,
        by_other: ARP_SPOOF,
    },
    Saying {
        what: "has anybody the VIP? (RFC 5227)",
        frame: |mac, vlan| ends(mac, BROADCAST, vlan, NOBODY, VIP).arp(1),
        by_real: SUPPRESSED,
        by_other: Ending::Answered,
    },
];

const ND_SAYINGS: [Saying; 6] = [
    Saying {
        what: "who has the client? tell the VIP",
        frame: |mac, vlan| {
            let (group, group_mac) = solicited_node(CLIENT_V6);
            let ends = ends(mac, group_mac, vlan, VIP_V6, group);
            ends.neighbor(SOLICITATION, 0, CLIENT_V6, &option(SOURCE_OPTION, mac))
        },
        by_real: Ending::SentOn,
        by_other: ND_SPOOF,
    },
    Saying {
        what: "are you still there, client? asks the VIP",
        frame: |mac, vlan| {
            let ends = ends(mac, CLIENT_MAC, vlan, VIP_V6, CLIENT_V6);
            ends.neighbor(SOLICITATION, 0, CLIENT_V6, &option(SOURCE_OPTION, mac))
        },
        by_real: Ending::SentOn,
        by_other: ND_SPOOF,
    },
    Saying {
        what: "the VIP is here (unsolicited, by the VIP)",
        frame: |mac, vlan| {
            let ends = ends(mac, ALL_NODES_MAC, vlan, VIP_V6, ALL_NODES);
            ends.neighbor(ADVERTISEMENT, 0x20, VIP_V6, &option(TARGET_OPTION, mac))
        },
        by_real: SUPPRESSED,
        by_other: ND_SPOOF,
    },
    Saying {
        what: "the VIP is here (solicited, by a link-local address)",
        frame: |mac, vlan| {
            let own = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x21]);
            let ends = ends(mac, CLIENT_MAC, vlan, own, CLIENT_V6);
            ends.neighbor(ADVERTISEMENT, 0x60, VIP_V6, &option(TARGET_OPTION, mac))
        },
        by_real: SUPPRESSED,
        by_other: ND_SPOOF,
    },
    Saying {
        what: "who has the VIP? tell the VIP",
        frame: |mac, vlan| {
            let (group, group_mac) = solicited_node(VIP_V6);
            let ends = ends(mac, group_mac, vlan, VIP_V6, group);
            ends.neighbor(SOLICITATION, 0, VIP_V6, &option(SOURCE_OPTION, mac))
        },
        by_real: SUPPRESSED,
        by_other: ND_SPOOF,
    },
    Saying {
        what: "has anybody the VIP? (duplicate address detection)",
        frame: |mac, vlan| {
            let (group, group_mac) = solicited_node(VIP_V6);
            ends(mac, group_mac, vlan, NOBODY_V6, group).neighbor(SOLICITATION, 0, VIP_V6, &[])
        },
        by_real: SUPPRESSED,
        by_other: Ending::Answered,
    },
];

/// Says one thing; how it ended, by what came out.
fn ending(world: &mut World, ingress: usize, frame: &[u8], what: &str) -> Ending {
    world.originated();
    let asked_from = world.now;
    let guest = MacAddr(guest_mac(1));
    let lookup = |world: &World, mac, vlan| world.plane.fdb().lookup(mac, vlan, asked_from);
    let before = VLANS.map(|vlan| lookup(world, guest, vlan));
    let ended = world.send(ingress, frame);
    assert_eq!(VLANS.map(|vlan| lookup(world, guest, vlan)), before, "{what}: the FDB is the same");
    for vip in [VIP, VIP_V6] {
        let mac = MacAddr::virtual_of(vip);
        assert_eq!(VLANS.map(|vlan| lookup(world, mac, vlan)), [None; 2], "{what}: no VIP in it");
    }
    let said = world.originated();
    match ended {
        Err(reason) => {
            assert_eq!(said, [], "{what}");
            Ending::Dropped(reason)
        }
        Ok(out) if out.ports == [ingress] || !said.is_empty() => Ending::Answered,
        Ok(out) => {
            assert!(out.ports.contains(&UPLINK), "{what}: {out:?}");
            check_sent_on(frame, &out.frame, what);
            Ending::SentOn
        }
    }
}

/// The same question with the guest's own address as the sender, whole.
fn check_sent_on(sent: &[u8], received: &[u8], what: &str) {
    let sliced = etherparse::SlicedPacket::from_ethernet(received).expect("a whole frame");
    if let Some(etherparse::NetSlice::Arp(arp)) = &sliced.net {
        assert_eq!(arp.sender_protocol_addr(), octets(guest_address(1)), "{what}");
        assert_eq!(arp.sender_hw_addr(), guest_mac(1), "{what}");
        assert_eq!(arp.target_protocol_addr(), octets(CLIENT), "{what}");
        assert_eq!(sent.len(), received.len());
        return;
    }
    let (before, after) = (read_packet(sent), read_packet(received));
    let ends = Ends { source: (guest_address_v6(1), 0), ..before.ends };
    assert_eq!(after, Packet { ends, ..before }, "{what}");
}

#[test]
fn p28_what_is_said_of_a_vip_on_a_loopback() {
    for (version, sayings) in [(Version::V4, &ARP_SAYINGS[..]), (Version::V6, &ND_SAYINGS[..])] {
        for vlan in VLANS {
            let mut world = world(version, vlan);
            let stranger = [0x52, 0x54, 0, 0xaa, 0, 1];
            let speakers = [
                ("the real", 1, guest_mac(1)),
                ("another guest", 2, guest_mac(2)),
                ("another MAC at the real's port", 1, stranger),
                ("somebody outside", UPLINK, CLIENT_MAC),
            ];
            for Saying { what, frame, by_real, by_other } in sayings {
                for (at, (who, ingress, mac)) in speakers.into_iter().enumerate() {
                    let expected = match at {
                        0 => by_real,
                        2 => &Ending::Dropped(DropReason::SpoofMac),
                        _ => by_other,
                    };
                    let what = format!("{who}, VLAN {vlan}: {what}");
                    let ended = ending(&mut world, ingress, &frame(mac, vlan), &what);
                    assert_eq!(ended, *expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn in_another_vlan_it_is_an_address_like_any_other() {
    for (version, sayings) in [(Version::V4, &ARP_SAYINGS[..]), (Version::V6, &ND_SAYINGS[..])] {
        let mut world = world(version, 10);
        // It is not its own there, so it has to be trusted.
        let trusts = [Trust::Address].into_iter().collect();
        world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(1) }));
        for Saying { what, frame, .. } in sayings {
            let frame = frame(guest_mac(1), 20);
            let out = world.send(1, &frame).unwrap();
            assert_eq!(out.frame, frame, "{what}");
            assert!(out.ports.contains(&UPLINK), "{what}");
        }
    }
}

#[test]
fn a_guest_goes_on_asking_for_the_last_flows_of_a_deleted_service() {
    for (version, question) in [(Version::V4, &ARP_SAYINGS[0]), (Version::V6, &ND_SAYINGS[0])] {
        let mut world = world(version, 0);
        world.send(UPLINK, &direct(version, 0).call(1000).tcp("S", b"")).unwrap();
        world.apply(Command::DeleteService(name("web")));
        let Saying { what, frame, by_real, .. } = question;
        assert_eq!(ending(&mut world, 1, &frame(guest_mac(1), 0), what), *by_real);
    }
}

#[test]
fn p41_without_a_flow_the_guest_does_not_speak_in_the_vips_name() {
    for served in SERVED.into_iter().filter(|served| served.forwarding == Forwarding::Direct) {
        let mut world = World::serving_as(2, served);
        let ends = served.at_real(1, served.call(1000)).reversed_to(CLIENT_MAC);
        for (n, flags) in [(2, "SA"), (1, "SA"), (1, "R")] {
            let frame = served.packet(Ends { source_mac: guest_mac(n), ..ends }, flags, b"");
            assert_eq!(world.send(n, &frame).unwrap_err(), DropReason::VipSource, "{served:?}");
        }
        let unreachable = if served.version == Version::V4 { (3, 3) } else { (1, 4) };
        let quote = &served.packet(served.call(1000), "S", b"")[ends.ip_at()..];
        let frame = ends.icmp(unreachable.0, unreachable.1, [0; 4], quote);
        assert_eq!(world.send(1, &frame).unwrap_err(), DropReason::VipSource, "{served:?}");
    }
}

#[test]
fn another_guest_does_not_answer_for_the_real() {
    for served in SERVED {
        let mut world = World::serving_as(2, served);
        let out = world.send(UPLINK, &served.packet(served.call(1000), "S", b"")).unwrap();
        let other = 3 - out.ports[0];
        let answer = read(&out.frame).0.reversed_to(CLIENT_MAC);
        let forged = Ends { source_mac: guest_mac(other), ..answer };
        let ended = world.send(other, &served.packet(forged, "SA", b""));
        assert_eq!(ended.unwrap_err(), DropReason::SpoofMac, "{served:?}");
    }
}

#[test]
fn two_vips_one_client_port_one_real_need_no_other_port() {
    let served = direct(Version::V4, 0);
    let mut world = World::serving_as(1, served);
    let other = IpAddr::from([10, 0, 2, 101]);
    world.apply(Command::SetService(ServiceSpec { vip: other, ..served.spec("other") }));
    world.set_real("other", 1, None, 100);
    for vip in [VIP, other] {
        let destination_mac = MacAddr::virtual_of(vip).0;
        let call = Ends { destination: (vip, 80), destination_mac, ..served.call(1000) };
        let out = world.send(UPLINK, &call.tcp("S", b"")).unwrap();
        let seen = read(&out.frame).0;
        assert_eq!((seen.source, seen.destination), (call.source, call.destination));
        let out = world.send(1, &seen.reversed_to(CLIENT_MAC).tcp("SA", b"")).unwrap();
        assert_eq!(read(&out.frame).0, call.reversed());
    }
}

#[test]
fn a_port_of_the_real_is_the_services() {
    let served = direct(Version::V4, 0);
    let mut world = World::serving_as(1, served);
    let real = |port: u16| RealSpec { port: port.try_into().ok(), ..RealSpec::new(name("web1")) };
    let set_real = |port| Command::SetReal { service: name("web"), real: real(port) };
    let refusal = Refusal::DirectPort { service: name("web"), guest: name("web1") };
    assert_eq!(world.refused(set_real(8080)), refusal);
    world.apply(set_real(80));
    let set_service = |change: &dyn Fn(&mut ServiceSpec)| {
        let mut spec = served.spec("web");
        change(&mut spec);
        Command::SetService(spec)
    };
    let moved = set_service(&|spec| spec.port = 81.try_into().unwrap());
    assert_eq!(world.refused(moved), refusal, "its real listens on 80");
    world.apply(set_service(&|spec| spec.forwarding = Forwarding::Nat));
    world.apply(set_real(8080));
    assert_eq!(world.refused(set_service(&|_| ())), refusal);
}

#[test]
fn flows_keep_their_forwarding_when_the_service_changes() {
    let nat = Served { forwarding: Forwarding::Nat, ..direct(Version::V6, 0) };
    let mut world = World::serving_as(1, direct(Version::V6, 0));
    world.send(UPLINK, &nat.call(1000).tcp("S", b"")).unwrap();
    world.apply(Command::SetService(nat.spec("web")));
    for (client_port, served) in [(1000, direct(Version::V6, 0)), (2000, nat)] {
        let call = served.call(client_port);
        let out = world.send(UPLINK, &call.tcp("S", b"")).unwrap();
        // The real has no port of its own.
        let expected = served.at_real(1, call);
        let expected = Ends { destination: (expected.destination.0, 80), ..expected };
        assert_eq!(read(&out.frame).0, expected);
        let out = world.send(1, &expected.reversed_to(CLIENT_MAC).tcp("SA", b"")).unwrap();
        assert_eq!(read(&out.frame).0, call.reversed());
    }
}
