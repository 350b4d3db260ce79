//! Who has which address, in both IP versions and in VLANs: questions about VIPs, probes of guests,
//! announcements, and who lies about it.

mod world;

use std::net::IpAddr;
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;
use world::*;

const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

fn served(version: Version, vlan: u16) -> Served {
    Served { version, vlan, ..Served::default() }
}

/// Who asks, from where.
#[derive(Clone, Copy, Debug)]
struct Asker {
    ingress: usize,
    mac: [u8; 6],
    address: IpAddr,
    vlan: u16,
}

impl Asker {
    fn ends(&self, to: [u8; 6], destination: IpAddr) -> Ends {
        Ends {
            vlan: self.vlan,
            source_mac: self.mac,
            destination_mac: to,
            source: (self.address, 0),
            destination: (destination, 0),
        }
    }

    /// "Who has it?", to everybody; a probe for duplicates if the asker has no address.
    fn question(&self, target: IpAddr) -> Vec<u8> {
        if target.is_ipv4() {
            return self.ends(BROADCAST, target).arp(1);
        }
        let (group, mac) = solicited_node(target);
        let own = option(SOURCE_OPTION, self.mac);
        let options = if self.address.is_unspecified() { &[][..] } else { &own };
        self.ends(mac, group).neighbor(SOLICITATION, 0, target, options)
    }

    /// "Are you still there?", to one.
    fn question_to(&self, mac: [u8; 6], target: IpAddr) -> Vec<u8> {
        match target {
            IpAddr::V4(_) => self.ends(mac, target).arp(1),
            IpAddr::V6(_) => self.ends(mac, target).neighbor(SOLICITATION, 0, target, &[]),
        }
    }

    /// The answer that there must be: the address is at `mac`.
    fn answer(&self, target: IpAddr, mac: [u8; 6]) -> Vec<u8> {
        let answer = Ends { source: (target, 0), ..self.ends([0; 6], target) };
        let to_all = target.is_ipv6() && self.address.is_unspecified();
        let (to, destination, flags) = match to_all {
            true => (ALL_NODES_MAC, ALL_NODES, OVERRIDE),
            false => (self.mac, self.address, SOLICITED | OVERRIDE),
        };
        let answer =
            Ends { source_mac: mac, destination_mac: to, destination: (destination, 0), ..answer };
        match target {
            IpAddr::V4(_) => answer.arp(2),
            IpAddr::V6(_) => {
                answer.neighbor(ADVERTISEMENT, flags, target, &option(TARGET_OPTION, mac))
            }
        }
    }
}

/// Asks; what the switch answers, and where.
fn ask(world: &mut World, ingress: usize, question: &[u8]) -> Result<Out, DropReason> {
    world.originated();
    let out = world.send(ingress, question)?;
    Ok(world.originated().pop().unwrap_or(out))
}

#[test]
fn a_vip_is_answered_for_in_its_vlan() {
    for (version, vlan) in VERSIONS.into_iter().flat_map(|version| [(version, 0), (version, 10)]) {
        let served = served(version, vlan);
        let mut world = World::serving_as(1, served);
        let vip_mac = served.vip_mac();
        let nobody = if version == Version::V4 { NOBODY } else { NOBODY_V6 };
        let client = Asker { ingress: UPLINK, mac: CLIENT_MAC, address: served.client(), vlan };
        let askers = [
            ("a client", client),
            ("a guest", Asker { ingress: 1, mac: guest_mac(1), address: served.guest(1), vlan }),
            ("a probe for duplicates", Asker { address: nobody, ..client }),
        ];
        for (what, asker) in askers {
            let out = ask(&mut world, asker.ingress, &asker.question(served.vip())).unwrap();
            let what = format!("{what}, {served:?}");
            assert_eq!(out.ports, [asker.ingress], "{what}");
            assert_eq!(out.frame, asker.answer(served.vip(), vip_mac), "{what}");
        }
        let out = ask(&mut world, UPLINK, &client.question_to(vip_mac, served.vip())).unwrap();
        assert_eq!(out.frame, client.answer(served.vip(), vip_mac), "asked again by the one MAC");
        let elsewhere = Asker { vlan: 20, ..client };
        let question = elsewhere.question(served.vip());
        let out = ask(&mut world, UPLINK, &question).unwrap();
        assert_eq!((out.ports, out.frame), (vec![1], question), "in VLAN 20 it is a stranger's");
    }
}

#[test]
fn the_switchs_own_addresses_are_there_for_guests_in_any_vlan() {
    let mut world = World::new(1);
    for (own, vlan) in [(SWITCH, 0), (SWITCH, 10), (SWITCH_V6, 0), (SWITCH_V6, 10)] {
        let address = if own.is_ipv4() { guest_address(1) } else { guest_address_v6(1) };
        let guest = Asker { ingress: 1, mac: guest_mac(1), address, vlan };
        let out = ask(&mut world, 1, &guest.question(own)).unwrap();
        assert_eq!((out.ports, out.frame), (vec![1], guest.answer(own, SWITCH_MAC)), "{own}");
        let outside = Asker { ingress: UPLINK, mac: CLIENT_MAC, ..guest };
        let ended = ask(&mut world, UPLINK, &outside.question(own));
        assert_eq!(ended.unwrap_err(), DropReason::NotForUs, "{own}");
    }
}

#[test]
fn p26_p27_p28_neighbor_discovery_that_is_not_believed() {
    for vlan in [0, 10] {
        let served = served(Version::V6, vlan);
        let mut world = World::serving_as(2, served);
        let guest = Asker { ingress: 1, mac: guest_mac(1), address: served.guest(1), vlan };
        let outside = Asker { ingress: UPLINK, mac: CLIENT_MAC, address: CLIENT_V6, vlan };
        for asker in [guest, outside] {
            let (group, group_mac) = solicited_node(VIP_V6);
            let ends = asker.ends(group_mac, group);
            let ip = ends.ip_at();
            let asks = |options: &[u8]| ends.neighbor(SOLICITATION, 0, VIP_V6, options);
            let question = asks(&option(SOURCE_OPTION, asker.mac));
            let patched = |at: usize, value: u8| {
                let mut frame = question.clone();
                frame[at] = value;
                frame
            };
            let fragment = |word: u8| {
                let mut frame = question.clone();
                frame[ip + 6] = 44;
                frame[ip + 5] += 8;
                frame.splice(ip + 40..ip + 40, [58, 0, 0, word, 0, 0, 0, 9]);
                frame
            };
            let claim = |target: IpAddr| {
                let ends = asker.ends(ALL_NODES_MAC, ALL_NODES);
                let own = option(TARGET_OPTION, asker.mac);
                ends.neighbor(ADVERTISEMENT, OVERRIDE, target, &own)
            };
            let claim_by_source =
                |source: IpAddr| Asker { address: source, ..asker }.question(served.client());
            let probe = Asker { address: NOBODY_V6, ..asker }.ends(group_mac, group);
            let own = option(SOURCE_OPTION, asker.mac);
            let cases = [
                ("P26 an atomic fragment", fragment(0), DropReason::NdFragment),
                ("P26 a first fragment", fragment(1), DropReason::NdFragment),
                ("P27 option length 0", asks(&[1, 0, 0, 0, 0, 0, 0, 0]), DropReason::NdOption),
                ("P27 option length 255", asks(&[1, 255, 0, 0, 0, 0, 0, 0]), DropReason::NdOption),
                ("P27 half an option", asks(&[1, 1, 0, 0]), DropReason::NdOption),
                ("P27 one byte of an option", asks(&[1]), DropReason::NdOption),
                ("hop limit 254", patched(ip + 7, 254), DropReason::NdHeader),
                ("code 1", patched(ip + 41, 1), DropReason::NdHeader),
                ("checksum", patched(ip + 42, 0x5a), DropReason::NdHeader),
                (
                    "a probe that says who asks",
                    probe.neighbor(SOLICITATION, 0, VIP_V6, &own),
                    DropReason::NdHeader,
                ),
                ("P28 the VIP is here", claim(VIP_V6), DropReason::NdSpoof),
                ("P28 the switch is here", claim(SWITCH_V6), DropReason::NdSpoof),
                ("P28 the VIP asks", claim_by_source(VIP_V6), DropReason::NdSpoof),
                ("P28 the switch asks", claim_by_source(SWITCH_V6), DropReason::NdSpoof),
            ];
            for (what, frame, reason) in cases {
                let ended = world.send(asker.ingress, &frame).map(|out| out.ports);
                assert_eq!(ended, Err(reason), "{what}, port {}, VLAN {vlan}", asker.ingress);
                assert!(world.plane.outbox().is_empty(), "{what}: no answer");
            }
        }
    }
}

#[test]
fn p28_p29_arp_that_is_not_believed() {
    for vlan in [0, 10] {
        let mut world = World::serving_as(2, served(Version::V4, vlan));
        let guest = Asker { ingress: 1, mac: guest_mac(1), address: guest_address(1), vlan };
        let outside = Asker { ingress: UPLINK, mac: CLIENT_MAC, address: CLIENT, vlan };
        for asker in [guest, outside] {
            let question = asker.question(guest_address(2));
            let at = asker.ends([0; 6], NOBODY).ip_at();
            let patched = |offset: usize, value: u8| {
                let mut frame = question.clone();
                frame[at + offset] = value;
                frame
            };
            let by = |sender: IpAddr, operation| {
                Asker { address: sender, ..asker }.ends(BROADCAST, CLIENT).arp(operation)
            };
            let in_a_virtual_mac = {
                let mut frame = question.clone();
                frame[at + 8..at + 14].copy_from_slice(&VIP_MAC);
                frame
            };
            let cases = [
                ("P29 htype 2", patched(1, 2), DropReason::ArpHeader),
                ("P29 ptype IPv6", patched(2, 0x86), DropReason::ArpHeader),
                ("P29 hlen 0", patched(4, 0), DropReason::ArpHeader),
                ("P29 hlen 255", patched(4, 255), DropReason::ArpHeader),
                ("P29 plen 16", patched(5, 16), DropReason::ArpHeader),
                ("P29 operation 3", patched(7, 3), DropReason::ArpHeader),
                ("P29 10 bytes", question[..at + 10].to_vec(), DropReason::ArpHeader),
                ("P28 the VIP asks", by(VIP, 1), DropReason::ArpSpoof),
                ("P28 the VIP is here", by(VIP, 2), DropReason::ArpSpoof),
                ("P28 the switch is here", by(SWITCH, 2), DropReason::ArpSpoof),
                ("P28 the VIP's MAC inside", in_a_virtual_mac, DropReason::ArpSpoof),
            ];
            for (what, frame, reason) in cases {
                let ended = world.send(asker.ingress, &frame).map(|out| out.ports);
                assert_eq!(ended, Err(reason), "{what}, port {}, VLAN {vlan}", asker.ingress);
            }
        }
    }
}

#[test]
fn p31_a_guest_may_probe_for_its_own_address() {
    for version in VERSIONS {
        let mut world = World::serving_as(2, served(version, 0));
        let (nobody, own) = match version {
            Version::V4 => (NOBODY, guest_address(1)),
            Version::V6 => (NOBODY_V6, guest_address_v6(1)),
        };
        let guest = Asker { ingress: 1, mac: guest_mac(1), address: nobody, vlan: 0 };
        let out = world.send(1, &guest.question(own)).unwrap();
        assert_eq!((out.ports, out.frame), (vec![0, 2], guest.question(own)));
    }
}

#[test]
fn a_guest_is_asked_four_times_a_second_by_each_of_its_addresses_in_use() {
    for (version, vlan) in VERSIONS.into_iter().flat_map(|version| [(version, 0), (version, 10)]) {
        let mut world = World::serving_as(1, served(version, vlan));
        let said = world.pass_without(Duration::from_secs(1), &[]);
        // An answer to a probe in nobody's name would go to all nodes.
        let (address, target) = match version {
            Version::V4 => (NOBODY, guest_address(1)),
            Version::V6 => (SWITCH_V6, guest_address_v6(1)),
        };
        let asker = Asker { ingress: 1, mac: SWITCH_MAC, address, vlan };
        let expected = match version {
            Version::V4 => asker.ends(guest_mac(1), target).arp(1),
            Version::V6 => {
                let (group, _) = solicited_node(target);
                let own = option(SOURCE_OPTION, SWITCH_MAC);
                asker.ends(guest_mac(1), group).neighbor(SOLICITATION, 0, target, &own)
            }
        };
        let probes: Vec<_> = said.into_iter().map(|out| (out.ports, out.frame)).collect();
        assert_eq!(probes, vec![(vec![1], expected); 4], "{version:?}, VLAN {vlan}");
    }
}

#[test]
fn only_the_guests_own_advertisement_counts() {
    let mut world = World::serving_as(2, served(Version::V6, 10));
    let advertises = |n: usize, about: usize, inside: [u8; 6], to: [u8; 6], vlan: u16| {
        let own = Asker { ingress: n, mac: guest_mac(n), address: guest_address_v6(n), vlan };
        let target = guest_address_v6(about);
        let option = option(TARGET_OPTION, inside);
        own.ends(to, SWITCH_V6).neighbor(ADVERTISEMENT, 0x60, target, &option)
    };
    let hops_64 = {
        let mut frame = advertises(1, 1, guest_mac(1), SWITCH_MAC, 10);
        frame[18 + 7] = 64;
        frame
    };
    let spoof = Err(DropReason::NdSpoof);
    let claims = [
        ("P28 a neighbour for it", 2, advertises(2, 1, guest_mac(2), SWITCH_MAC, 10), spoof),
        ("P28 about a neighbour", 1, advertises(1, 2, guest_mac(1), SWITCH_MAC, 10), spoof),
        ("with another MAC inside", 1, advertises(1, 1, guest_mac(2), SWITCH_MAC, 10), spoof),
        ("in another VLAN", 1, advertises(1, 1, guest_mac(1), SWITCH_MAC, 20), Ok(())),
        ("from beyond a router", 1, hops_64, Ok(())),
    ];
    for _ in 0..8 {
        world.pass_without(Duration::from_millis(250), &[1]);
        for (what, ingress, claim, ending) in &claims {
            assert_eq!(world.send(*ingress, claim).map(drop), *ending, "{what}");
        }
    }
    assert_eq!(world.standing("web", 1).eligibility, Err(Ineligible::Silent));
    world.send(1, &advertises(1, 1, guest_mac(1), SWITCH_MAC, 10)).unwrap();
    assert_eq!(world.standing("web", 1).eligibility, Ok(()));
}

#[test]
fn a_vip_is_announced_in_its_vlan_thrice_and_then_each_minute() {
    for (version, vlan) in VERSIONS.into_iter().flat_map(|version| [(version, 0), (version, 10)]) {
        let served = served(version, vlan);
        let vip = Asker { ingress: 0, mac: served.vip_mac(), address: served.vip(), vlan };
        let announcement = match version {
            Version::V4 => vip.ends(BROADCAST, VIP).arp(1),
            Version::V6 => {
                let own = option(TARGET_OPTION, served.vip_mac());
                let ends = vip.ends(ALL_NODES_MAC, ALL_NODES);
                ends.neighbor(ADVERTISEMENT, OVERRIDE, VIP_V6, &own)
            }
        };
        let mut world = World::new(2);
        // Seconds from now at which all ports hear of it.
        let heard = |world: &mut World, seconds: u64| -> Vec<u64> {
            let is_one = |out: &Out| out.frame == announcement && out.ports == [0, 1, 2];
            let count = |second| {
                let said = world.pass_without(Duration::from_secs(1), &[]);
                vec![second; said.iter().filter(|out| is_one(out)).count()]
            };
            (0..seconds).flat_map(count).collect()
        };
        world.apply(Command::SetService(served.spec("web")));
        assert_eq!(heard(&mut world, 190), [0, 1, 2, 62, 122, 182], "at first, {served:?}");
        world.apply(Command::SetService(served.spec("web")));
        assert_eq!(heard(&mut world, 70), [0, 1, 2, 62], "after a change, {served:?}");
        world.apply(Command::SetLink { port: port(2), up: false });
        world.apply(Command::SetLink { port: port(2), up: true });
        assert_eq!(heard(&mut world, 70), [0, 1, 2, 62], "to a new link, {served:?}");
        world.apply(Command::DeleteService(name("web")));
        assert_eq!(heard(&mut world, 130), [], "{served:?}");
    }
}
