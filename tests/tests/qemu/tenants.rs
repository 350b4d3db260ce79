//! What a hostile guest may send and what becomes of it, on the booted image: each row of frames ends in
//! the counter that it should, nobody else gets anything, and no other counter moves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use tests::frame::ArpKind;
use tests::world::{VIP, World, guest_line};
use tests::{Arp, Frame, MacAddr, Station};

/// Ports: the uplink, two guests that are defined, and one that nobody has defined.
const UPLINK: usize = 0;
const VICTIM: usize = 1;
const LIAR: usize = 2;
const STRANGER: usize = 3;

const ALL_NODES: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
const LIARS_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const ANOTHERS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x21);
const ALL_NODES_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TAG: u16 = 0x8100;
const LLC: u16 = 0x0040;
const MPLS: u16 = 0x8847;

const IGMP: u8 = 2;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It is counted as this at its port, once.
    Drop(&'static str),
    /// It comes out of these ports as it is.
    Out(&'static [usize]),
}

use End::{Drop, Out};

struct Row {
    what: &'static str,
    ingress: usize,
    frame: Vec<u8>,
    end: End,
}

/// The defined guests serve `web`; every station is known where it is.
fn world() -> World {
    let real = |n| format!("set service web real g{n} port 8080");
    let service = format!("set service web vip {VIP} tcp 80");
    let lines = [guest_line(VICTIM), guest_line(LIAR), service, real(VICTIM), real(LIAR)];
    let world = World::with_configuration(3, &lines);
    Station::settle(&world.stations());
    world
}

fn mac(port: usize) -> MacAddr {
    match port {
        UPLINK => MacAddr([0x52, 0x54, 0, 2, 0, 1]),
        port => MacAddr([0x52, 0x54, 0, 1, 0, port as u8]),
    }
}

/// Sends each frame, and compares all that arrives anywhere and all that is counted.
#[track_caller]
fn walk(world: &World, rows: Vec<Row>) {
    let stations = world.stations();
    for Row { what, ingress, frame, end } in rows {
        let before = drops(world, ingress);
        stations[ingress].send_bytes(&frame);
        let arrived = Station::settle_bytes(&stations);
        for (port, frames) in arrived.into_iter().enumerate() {
            let is_out = matches!(end, Out(ports) if ports.contains(&port));
            let expected = if is_out { vec![frame.clone()] } else { vec![] };
            assert_eq!(frames, expected, "{what}: at port {port}");
        }
        let mut expected = before;
        if let Drop(reason) = end {
            *expected.entry(reason.to_string()).or_default() += 1;
        }
        assert_eq!(drops(world, ingress), expected, "{what}");
    }
    world.machine.assert_accounted();
}

/// What was dropped of a port's frames so far, by the switch or by the NIC.
fn drops(world: &World, port: usize) -> BTreeMap<String, u64> {
    let name = if port == UPLINK { "up0".to_string() } else { format!("p{port}") };
    let shown = world.command(&format!("show port {name} | json"));
    let (_, nic) = shown.split_once("\"nic\":{").expect("what the NIC counts");
    let (_, switch) = nic.split_once("\"drops\":{").expect("what the switch counts");
    let of_nic = members(nic).filter(|(name, _)| name == "too_big");
    of_nic.chain(members(switch)).collect()
}

/// The members of an object up to its end.
fn members(object: &str) -> impl Iterator<Item = (String, u64)> {
    let end = object.find('}').expect("it ends");
    let all = object[..end].split(',').filter_map(|member| {
        let (name, count) = member.split_once(':')?;
        let name = name.trim_matches('"');
        Some((name.trim_start_matches("rx_").to_string(), count.parse().ok()?))
    });
    all.collect::<Vec<_>>().into_iter()
}

fn frame(from: MacAddr, to: MacAddr, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &ether_type.to_be_bytes(), payload].concat()
}

/// From the liar to the client outside.
fn outward(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    frame(mac(LIAR), mac(UPLINK), ether_type, payload)
}

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => u32::from(pair[0]) << 8,
    });
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

/// A packet with these options in its header.
fn ipv4_from(
    from: Ipv4Addr,
    protocol: u8,
    to: Ipv4Addr,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_len = 20 + options.len();
    let [l0, l1] = ((header_len + payload.len()) as u16).to_be_bytes();
    let first = 0x40 | (header_len / 4) as u8;
    let fixed = [first, 0, l0, l1, 0, 1, 0, 0, 64, protocol, 0, 0];
    let mut header = [&fixed[..], &from.octets(), &to.octets(), options].concat();
    let [c0, c1] = sum(&header).to_be_bytes();
    (header[10], header[11]) = (c0, c1);
    [header, payload.to_vec()].concat()
}

/// The same of the liar's.
fn ipv4(protocol: u8, to: Ipv4Addr, options: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4_from(Ipv4Addr::new(10, 0, 2, 22), protocol, to, options, payload)
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    let parts = [from.to_be_bytes(), to.to_be_bytes(), 12u16.to_be_bytes(), [0; 2]];
    [parts.as_flattened(), &[1; 4]].concat()
}

fn ipv6(next: u8, from: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16).to_be_bytes();
    let first = [0x60, 0, 0, 0, l0, l1, next, 255];
    [&first[..], &from.octets(), &ALL_NODES_V6.octets(), payload].concat()
}

/// An ICMPv6 message of the liar's to all nodes: a type, and what follows the checksum.
fn icmpv6(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0], body].concat();
    let length = (message.len() as u32).to_be_bytes();
    let ends = [LIARS_V6.octets(), ALL_NODES_V6.octets()];
    let pseudo = [ends.as_flattened(), &length, &[0, 0, 0, ICMPV6], &message].concat();
    let [c0, c1] = sum(&pseudo).to_be_bytes();
    (message[2], message[3]) = (c0, c1);
    message
}

fn to_all_v6(payload: &[u8]) -> Vec<u8> {
    frame(mac(LIAR), ALL_NODES, IPV6, payload)
}

fn dropped(what: &'static str, frame: Vec<u8>, reason: &'static str) -> Row {
    Row { what, ingress: LIAR, frame, end: Drop(reason) }
}

#[test]
fn p4_p5_p6_p7_p8_p9_p43_p44_frames_as_such() {
    let group = |last| MacAddr([1, 0x80, 0xc2, 0, 0, last]);
    let greeting = &[0x55; 46];
    let from = |from| frame(from, mac(UPLINK), 0x88b6, greeting);
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &greeting[..]].concat();
    let labels = [0u8, 1, 0, 64].repeat(100);
    walk(
        &world(),
        vec![
            dropped("P4: one byte too long", outward(0x88b6, &[0; 1501]), "too_big"),
            dropped("P5: from a group", from(ALL_NODES), "bad_src"),
            dropped("P5: from everybody", from(MacAddr::BROADCAST), "bad_src"),
            dropped("P5: from nobody", from(MacAddr([0; 6])), "bad_src"),
            dropped("P6: from another guest", from(mac(VICTIM)), "spoof_mac"),
            dropped("P6: from the switch", from(MacAddr::SWITCH), "spoof_mac"),
            dropped("P6: from a VIP", from(MacAddr::virtual_of(VIP.into())), "spoof_mac"),
            dropped("P6: from somebody new", from(MacAddr([2, 0, 0, 0, 0, 9])), "spoof_mac"),
            dropped("P7: a BPDU", frame(mac(LIAR), group(0), 0x26, greeting), "link_local"),
            dropped("P7: LACP", frame(mac(LIAR), group(2), 0x8809, greeting), "link_local"),
            dropped("P43: a pause", frame(mac(LIAR), group(1), 0x8808, greeting), "link_local"),
            dropped("P43: LLDP", frame(mac(LIAR), group(14), 0x88cc, greeting), "link_local"),
            dropped("P8: IP by LLC", outward(LLC, &snap), "disguise"),
            Row {
                what: "P8: the same of whom nobody has defined",
                ingress: STRANGER,
                frame: frame(mac(STRANGER), mac(UPLINK), LLC, &snap),
                end: Out(&[UPLINK]),
            },
            dropped(
                "P9: VLAN 4095",
                outward(TAG, &[&[0x0f, 0xff], &[0; 46][..]].concat()),
                "vlan_tag",
            ),
            dropped("P9: half a tag", outward(TAG, &[0, 7]), "short_vlan"),
            dropped(
                "P9: tags of which one is of no VLAN",
                outward(TAG, &[&[0, 7, 0x81, 0, 0, 0, 8, 0], &[0x45; 46][..]].concat()),
                "disguise",
            ),
            Row {
                what: "P44: MPLS is for others to read",
                ingress: LIAR,
                frame: outward(MPLS, &labels),
                end: Out(&[UPLINK]),
            },
            Row {
                what: "P40: a guest's MAC from outside",
                ingress: UPLINK,
                frame: frame(mac(VICTIM), mac(LIAR), 0x88b6, greeting),
                end: Drop("spoof_uplink"),
            },
        ],
    );
}

#[test]
fn p25_p26_p27_p28_p32_p41_p47_p53_words_of_the_network_and_of_others() {
    let advertisement = icmpv6(134, &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    let target = |address: Ipv6Addr| [&[0; 4], &address.octets()[..]].concat();
    let solicitation = |option: &[u8]| icmpv6(135, &[&target(ANOTHERS_V6), option].concat());
    let claim = icmpv6(136, &[&target(ANOTHERS_V6)[..], &[2, 1], &mac(LIAR).0].concat());
    let behind = |header: [u8; 8], message: &[u8]| [&header, message].concat();
    let atomic = [ICMPV6, 0, 0, 0, 0, 0, 0, 1];
    let options = [ICMPV6, 0, 1, 4, 0, 0, 0, 0];
    let v6 = |next, payload: &[u8]| to_all_v6(&ipv6(next, LIARS_V6, payload));
    let v4 = |packet: Vec<u8>| frame(mac(LIAR), MacAddr::BROADCAST, IPV4, &packet);
    let offer = ipv4(UDP, Ipv4Addr::BROADCAST, &[], &udp(67, 68));
    let tagged = [&[0, 7, 8, 0], &offer[..]].concat();
    let query = ipv4(IGMP, Ipv4Addr::new(224, 0, 0, 1), &[], &[0x11, 100, 0xee, 0x9b, 0, 0, 0, 0]);
    let outside = Ipv4Addr::new(10, 0, 2, 2);
    let from_vip = ipv4_from(VIP, UDP, outside, &[], &udp(7, 7));
    let from_another = ipv4_from(Ipv4Addr::new(10, 0, 2, 99), UDP, outside, &[], &udp(7, 7));
    walk(
        &world(),
        vec![
            dropped("P25: a router", v6(ICMPV6, &advertisement), "ra_guard"),
            dropped(
                "P25: behind destination options",
                v6(DESTINATION_OPTIONS, &behind(options, &advertisement)),
                "ra_guard",
            ),
            dropped(
                "P25: in an atomic fragment",
                v6(FRAGMENT, &behind(atomic, &advertisement)),
                "ra_guard",
            ),
            dropped(
                "P26: a solicitation in one",
                v6(FRAGMENT, &behind(atomic, &solicitation(&[]))),
                "nd_frag",
            ),
            dropped(
                "P27: an option of no length",
                v6(ICMPV6, &solicitation(&[1, 0, 0, 0, 0, 0, 0, 0])),
                "nd_opt",
            ),
            dropped(
                "P27: an option beyond the end",
                v6(ICMPV6, &solicitation(&[1, 255, 0, 0, 0, 0, 0, 0])),
                "nd_opt",
            ),
            dropped("P28: another's address", v6(ICMPV6, &claim), "nd_spoof"),
            dropped("P32: an offer", v4(offer), "dhcp_guard"),
            dropped(
                "P32: behind IP options",
                v4(ipv4(UDP, Ipv4Addr::BROADCAST, &[1; 8], &udp(67, 68))),
                "dhcp_guard",
            ),
            dropped(
                "P32: behind a tag",
                frame(mac(LIAR), MacAddr::BROADCAST, TAG, &tagged),
                "dhcp_guard",
            ),
            dropped("P32: by DHCPv6", v6(UDP, &udp(547, 546)), "dhcp_guard"),
            dropped("P41: a VIP's packet", outward(IPV4, &from_vip), "vip_src"),
            dropped("P53: another's packet", outward(IPV4, &from_another), "spoof_ip"),
            dropped("P47: an IGMP query", v4(query), "query_guard"),
            dropped("P47: an MLD query", v6(ICMPV6, &icmpv6(130, &[0; 20])), "query_guard"),
        ],
    );
}

#[test]
fn p28_p29_p30_p31_arp() {
    let world = world();
    let liar = &world.guests[LIAR - 1];
    let claim = |sender| Arp {
        from: liar.mac,
        to: MacAddr::BROADCAST,
        kind: ArpKind::Reply,
        sender_mac: liar.mac,
        sender,
        target_mac: MacAddr::BROADCAST,
        target: sender,
    };
    let bytes = |arp: Arp| Frame::from(arp).bytes();
    let broken = |at: usize, value| {
        let mut frame = bytes(claim(liar.address));
        frame[at] = value;
        frame
    };
    let probe = Arp {
        kind: ArpKind::Request,
        target_mac: MacAddr([0; 6]),
        sender: Ipv4Addr::UNSPECIFIED,
        target: liar.address,
        ..claim(liar.address)
    };
    let spoofs = [
        ("P28: the VIP", VIP),
        ("P28: the gateway", world.client.address),
        ("P28: another guest", world.guests[0].address),
    ];
    let spoofs = spoofs.map(|(what, sender)| dropped(what, bytes(claim(sender)), "arp_spoof"));
    let headers = [
        ("P29: of other hardware", broken(15, 2)),
        ("P29: addresses of no length", broken(18, 0)),
        ("P29: addresses of 255 bytes", broken(18, 255)),
        ("P29: of other protocols", broken(19, 16)),
        (
            "P29: cut short",
            frame(liar.mac, MacAddr::BROADCAST, ARP, &[0, 1, 8, 0, 6, 4, 0, 1, 0, 0]),
        ),
    ];
    let headers = headers.map(|(what, frame)| dropped(what, frame, "arp_hdr"));
    let is_asked = |number| Row {
        what: number,
        ingress: LIAR,
        frame: bytes(probe),
        end: Out(&[UPLINK, VICTIM, STRANGER]),
    };
    let probes = ["P31: a probe", "P31: and another one"].map(is_asked);
    walk(&world, spoofs.into_iter().chain(headers).chain(probes).collect());

    let (before, heard) = (drops(&world, LIAR), world.client.announcements().len());
    let times = 50;
    (0..times).for_each(|_| liar.send(claim(liar.address)));
    Station::settle(&world.stations());
    let heard = world.client.announcements().len() - heard;
    let counted = drops(&world, LIAR)["arp_rate"];
    assert!((1..=2).contains(&heard), "P30: {heard} in the second that this took");
    assert_eq!((counted as usize + heard, before.get("arp_rate")), (times, None), "P30");
}

/// Neither a guest that makes up MACs nor the world pushes out a guest, or what is known of others.
#[test]
fn p45_f33_more_macs_than_the_table_holds() {
    const EACH: u32 = 40_000;
    const KNOWN_MAX: u64 = 500;
    let world = world();
    world.command("configure");
    world.commit(&[&format!("set port p3 max-macs {KNOWN_MAX}")]);
    let stranger = &world.guests[STRANGER - 1];
    Station::settle(&world.stations());
    world.under_traffic(40_000, |traffic| {
        for number in 0..EACH {
            let [_, a, b, c] = number.to_be_bytes();
            for (sender, port) in [(stranger, STRANGER), (&world.client, UPLINK)] {
                // To the switch, which asked for nothing, so that it goes nowhere.
                let made_up = MacAddr([2, port as u8, 1, a, b, c]);
                sender.send_bytes(&frame(made_up, MacAddr::SWITCH, 0x88b7, &[0; 46]));
            }
            if number % 5_000 == 0 {
                traffic.pass(1);
            }
        }
        traffic.pass(1);
    });
    let refused = drops(&world, STRANGER)["mac_limit"];
    assert!(refused >= u64::from(EACH) - KNOWN_MAX, "{refused}");
    let [_, _, _, to_stranger] = &Station::settle(&world.stations())[..] else { panic!() };
    assert!(to_stranger.is_empty(), "what is for guests is not flooded: {to_stranger:?}");
    world.machine.assert_accounted();
}

/// What guests send comes back by the uplink, and a station is on two ports in turn.
#[test]
fn f14_p40_p46_a_loop_outside() {
    const TIMES: u64 = 2_000;
    let world = world();
    let stranger = &world.guests[STRANGER - 1];
    let lost = |from| frame(from, MacAddr::SWITCH, 0x88b7, &[0; 46]);
    world.under_traffic(40_000, |traffic| {
        for _ in 0..TIMES {
            world.client.send_bytes(&lost(mac(VICTIM)));
            world.client.send_bytes(&lost(mac(STRANGER)));
            stranger.send_bytes(&lost(mac(STRANGER)));
        }
        traffic.pass(1);
    });
    assert_eq!(drops(&world, UPLINK)["spoof_uplink"], TIMES);
    let moves = [UPLINK, STRANGER].map(|port| drops(&world, port).get("mac_move").copied());
    assert!(moves.iter().flatten().sum::<u64>() > TIMES / 2, "{moves:?}");
    let told = world.command("show log | match moves | count");
    assert_eq!(told, "1\n");
    let guest = world.command("show mac | match 52:54:00:01:00:01");
    assert!(guest.contains("p1"), "{guest}");
    world.machine.assert_accounted();
}

/// One port sends as fast as it can while one guest sends to another: of that nothing is lost, and of the
/// flood there comes what was said.
#[test]
fn f11_f12_a_storm_and_a_noisy_neighbour() {
    const FRAMES: u64 = 5_000;
    const LIMIT: u64 = 1_000;
    for (what, to, rule, reason) in [
        ("F11: broadcasts, of which nothing was said", MacAddr::BROADCAST, "", "storm_broadcast"),
        ("F12: to one station", mac(UPLINK), "set port p3 police in 1000pps", "police_in"),
    ] {
        let world = world();
        if !rule.is_empty() {
            world.command("configure");
            world.commit(&[rule]);
        }
        let [from, into, noisy] = &world.guests[..] else { panic!() };
        let quiet = |number: u64| {
            let payload = [&number.to_be_bytes()[..], &[0; 38]].concat();
            frame(from.mac, into.mac, 0x88b6, &payload)
        };
        let noise = frame(noisy.mac, to, 0x88b7, &[0; 46]);
        let begun = std::time::Instant::now();
        for number in 0..FRAMES {
            noisy.send_bytes(&noise);
            if number % 10 == 0 {
                from.send_bytes(&quiet(number / 10));
            }
        }
        let listeners = [&world.client, from, into];
        let arrived = Station::settle_bytes(&listeners);
        let most = LIMIT * (begun.elapsed().as_millis() as u64 + 100) / 1000 + 1;
        let heard = |port: usize| arrived[port].iter().filter(|bytes| **bytes == noise).count();
        let numbered: Vec<_> = arrived[2].iter().filter(|bytes| **bytes != noise).collect();
        let expected: Vec<_> = (0..FRAMES / 10).map(quiet).collect();
        assert!(numbered.into_iter().eq(&expected), "{what}: the others lose nothing");
        let passed = heard(0) as u64;
        assert!(passed >= 100 && passed <= most, "{what}: {passed} of at most {most}");
        assert_eq!(drops(&world, STRANGER)[reason], FRAMES - passed, "{what}");
        let to_others = if to == MacAddr::BROADCAST { passed } else { 0 };
        assert_eq!([heard(1), heard(2)].map(|heard| heard as u64), [to_others; 2], "{what}");
        world.machine.assert_accounted();
    }
}
