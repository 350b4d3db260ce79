//! The address by DHCP: a server of a few lines, and what becomes of a lease.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;

use crate::scene::*;
use crate::world::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const LENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 77);
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What a client asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Discover,
    Request,
}

/// How a server answers.
#[derive(Clone, Copy)]
struct Server {
    lent: Ipv4Addr,
    mask: [u8; 4],
    router: Ipv4Addr,
    lease_s: u32,
    to_all: bool,
}

const KIND: Server = Server {
    lent: LENT,
    mask: [255, 255, 255, 0],
    router: Ipv4Addr::new(10, 0, 2, 1),
    lease_s: 600,
    to_all: false,
};

fn dhcp(vlan: u16) -> AddressSpec {
    AddressSpec { source: AddressSource::Dhcp, vlan }
}

/// A world that asks for a lease.
fn asking(vlan: u16) -> World {
    let mut world = managed(vlan);
    manage(&mut world, &[dhcp(vlan)]);
    world
}

/// The message of a client, if a frame is one: what it asks, its transaction, whether by broadcast.
fn read_question(frame: &[u8]) -> Option<(Asked, [u8; 4], bool)> {
    let at = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    if frame[at - 2..at] != [8, 0] || frame[at + 9] != 17 {
        return None;
    }
    let packet = read_packet(frame);
    assert_eq!((packet.ends.source.1, packet.ends.destination.1), (68, 67));
    assert_eq!(packet.payload[28..34], OWN_MAC);
    let kind = packet.payload[240..].windows(3).find(|option| option[..2] == [53, 1])?[2];
    let asked = if kind == 1 { Asked::Discover } else { Asked::Request };
    let to_all = packet.ends.destination_mac == BROADCAST;
    Some((asked, packet.payload[4..8].try_into().unwrap(), to_all))
}

/// All questions that the switch has asked by now; each went out of the uplinks, and of no other port.
fn questions(said: &[Out]) -> Vec<(Asked, [u8; 4], bool)> {
    let mut all = Vec::new();
    for out in said {
        let Some(question) = read_question(&out.frame) else { continue };
        let to_one = out.frame[..6] == CLIENT_MAC;
        assert!(out.ports == [UPLINK, STANDBY] || to_one && out.ports == [UPLINK], "{out:?}");
        all.push(question);
    }
    all
}

impl Server {
    /// A server's message, from its station.
    fn says(&self, vlan: u16, kind: u8, transaction: [u8; 4]) -> Vec<u8> {
        let mut message = vec![2, 1, 6, 0];
        message.extend(transaction);
        message.extend([0; 8]);
        message.extend(if kind == NAK { [0; 4] } else { self.lent.octets() });
        message.extend([0; 8]);
        message.extend(OWN_MAC);
        message.resize(236, 0);
        message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4]);
        message.extend(SERVER.octets());
        if kind != NAK {
            message.extend([51, 4]);
            message.extend(self.lease_s.to_be_bytes());
            message.extend([1, 4]);
            message.extend(self.mask);
            message.extend([3, 4]);
            message.extend(self.router.octets());
        }
        message.push(255);
        let (mac, to) = if self.to_all { (BROADCAST, ALL) } else { (OWN_MAC, self.lent) };
        let ends = Ends {
            vlan,
            source_mac: CLIENT_MAC,
            destination_mac: mac,
            source: (SERVER.into(), 67),
            destination: (to.into(), 68),
        };
        ends.udp(&message)
    }

    /// Lends what is asked for.
    fn lend(&self, world: &mut World, vlan: u16) {
        const OFFER: u8 = 2;
        let said = world.pass_without(Duration::from_millis(20), &[]);
        let [(Asked::Discover, transaction, true)] = questions(&said)[..] else {
            panic!("{said:x?}")
        };
        assert!(world.send(UPLINK, &self.says(vlan, OFFER, transaction)).unwrap().ports.is_empty());
        let said = world.pass_without(Duration::from_millis(20), &[]);
        let [(Asked::Request, transaction, true)] = questions(&said)[..] else {
            panic!("{said:x?}")
        };
        assert!(world.send(UPLINK, &self.says(vlan, ACK, transaction)).unwrap().ports.is_empty());
    }
}

fn held(world: &World) -> Option<(IpAddr, u8, Option<IpAddr>)> {
    let held = world.plane.tables().held().first()?;
    Some((held.host.address, held.host.prefix_len, held.host.gateway))
}

fn to_lent(vlan: u16) -> Ends {
    let ends = ends(vlan, Version::V4);
    Ends { source: ([10, 0, 2, 9].into(), 0), destination: (LENT.into(), 0), ..ends }
}

#[test]
fn a_lease_is_an_address_like_any_other() {
    for (vlan, to_all) in [(0, false), (10, false), (0, true), (10, true)] {
        let mut world = asking(vlan);
        assert_eq!(held(&world), None);
        Server { to_all, ..KIND }.lend(&mut world, vlan);
        assert_eq!(held(&world), Some((LENT.into(), 24, Some([10, 0, 2, 1].into()))));
        assert_eq!(told(&mut world), ["management: leased 10.0.2.77/24 gateway 10.0.2.1"]);
        let until = world.plane.leased_until().unwrap();
        assert_eq!(until.since(world.now), Duration::from_secs(600));
        let out = world.send(UPLINK, &echo_request(&to_lent(vlan))).unwrap();
        assert_eq!(out.ports, [UPLINK]);
        let said = world.pass_without(Duration::from_secs(4), &[]);
        let announced = |out: &&Out| out.frame[6..12] == OWN_MAC && out.ports == [UPLINK, STANDBY];
        assert_eq!(said.iter().filter(announced).count(), 3, "it is announced");
        assert!(world.plane.ping([198, 51, 100, 7].into(), world.now).is_ok(), "by its gateway");
    }
}

#[test]
fn a_lease_is_renewed_by_asking_its_server() {
    let mut world = asking(10);
    KIND.lend(&mut world, 10);
    let first = world.plane.leased_until().unwrap();
    told(&mut world);
    // Half of the time is over.
    let said = world.pass_without(Duration::from_secs(301), &[]);
    let [(Asked::Request, transaction, false)] = questions(&said)[..] else { panic!("{said:x?}") };
    world.send(UPLINK, &KIND.says(10, ACK, transaction)).unwrap();
    world.pass(Duration::from_millis(20));
    assert!(world.plane.leased_until().unwrap() > first);
    assert_eq!(held(&world).unwrap().0, IpAddr::from(LENT));
    assert!(told(&mut world).is_empty(), "nothing has changed");
}

#[test]
fn a_lease_that_nobody_renews_is_over() {
    let mut world = asking(0);
    KIND.lend(&mut world, 0);
    told(&mut world);
    world.pass(Duration::from_secs(595));
    assert!(held(&world).is_some());
    world.pass(Duration::from_secs(10));
    assert_eq!(held(&world), None);
    assert_eq!(told(&mut world), ["management: the lease of 10.0.2.77 is over"]);
    let ended = world.send(UPLINK, &echo_request(&to_lent(0)));
    assert_eq!(ended, Err(DropReason::NotForUs));
    KIND.lend_later(&mut world);
    assert!(held(&world).is_some(), "and asked for again");
}

impl Server {
    /// The same when it was asked a while ago.
    fn lend_later(&self, world: &mut World) {
        let said = world.pass_without(Duration::from_secs(4), &[]);
        let (asked, transaction, _) = questions(&said).pop().expect("a question");
        assert_eq!(asked, Asked::Discover);
        world.send(UPLINK, &self.says(0, 2, transaction)).unwrap();
        let said = world.pass_without(Duration::from_millis(20), &[]);
        let (_, transaction, _) = questions(&said).pop().expect("a request");
        world.send(UPLINK, &self.says(0, ACK, transaction)).unwrap();
    }
}

#[test]
fn an_address_that_is_somebodys_is_not_taken() {
    for (lent, why) in [
        (guest_address(1), "10.0.2.21 is guest web1's"),
        (VIP, "10.0.2.100 is the VIP of service web"),
        ([10, 0, 2, 255].into(), "10.0.2.255 is no address that a host may have"),
    ] {
        let mut world = asking(0);
        Server { lent: v4(lent), router: v4(lent), ..KIND }.lend(&mut world, 0);
        assert_eq!(held(&world), None, "{lent}");
        assert_eq!(
            told(&mut world),
            [format!("management: leased {lent}/24, which is not used: {why}")]
        );
    }
}

#[test]
fn a_leased_address_is_nobody_elses() {
    let mut world = asking(0);
    KIND.lend(&mut world, 0);
    let vip = ServiceSpec { vip: LENT.into(), ..World::service_spec("other", Protocol::Tcp, 80) };
    assert_eq!(world.refused(Command::SetService(vip)), Refusal::AddressIsOurs(LENT.into()));
}

#[test]
fn p32_no_guest_lends_us_an_address() {
    for vlan in [0, 10] {
        let mut world = asking(vlan);
        open(&mut world, 2);
        let said = world.pass_without(Duration::from_millis(20), &[]);
        let [(Asked::Discover, transaction, true)] = questions(&said)[..] else { panic!() };
        for (ingress, to_all, source_mac, expected) in [
            (1, false, guest_mac(1), Err(DropReason::ManagementPort)),
            (1, true, guest_mac(1), Err(DropReason::DhcpGuard)),
            // A station that nobody has defined may serve other stations, and not us.
            (2, false, [0x52, 0x54, 0, 0xaa, 0, 9], Err(DropReason::ManagementPort)),
            (2, true, [0x52, 0x54, 0, 0xaa, 0, 9], Ok(vec![UPLINK, 1, STANDBY])),
        ] {
            let mut offer = Server { to_all, ..KIND }.says(vlan, 2, transaction);
            offer[6..12].copy_from_slice(&source_mac);
            let ended = world.send(ingress, &offer).map(|out| out.ports);
            assert_eq!(ended, expected, "port {ingress}, to all: {to_all}");
        }
        let said = world.pass_without(Duration::from_millis(100), &[]);
        assert!(questions(&said).is_empty(), "no offer was heard");
        assert_eq!(held(&world), None);
    }
}

#[test]
fn answers_to_others_are_left_alone() {
    let mut world = asking(0);
    let said = world.pass_without(Duration::from_millis(20), &[]);
    let [(Asked::Discover, transaction, true)] = questions(&said)[..] else { panic!() };
    let to_all = Server { to_all: true, ..KIND };
    let mut to_guest = to_all.says(0, 2, transaction);
    let mac_at = 14 + 20 + 8 + 28;
    to_guest[mac_at..mac_at + 6].copy_from_slice(&guest_mac(1));
    assert_eq!(world.send(UPLINK, &to_guest).unwrap().ports, [1, 2], "a guest's offer");
    let other_vlan = to_all.says(10, 2, transaction);
    assert_eq!(world.send(UPLINK, &other_vlan).unwrap().ports, [1, 2], "of another VLAN");
    let mut wrong = to_all.says(0, 2, transaction);
    wrong[14 + 20 + 8 + 4] ^= 1;
    assert!(world.send(UPLINK, &wrong).unwrap().ports.is_empty());
    let said = world.pass_without(Duration::from_millis(100), &[]);
    assert!(questions(&said).is_empty(), "of no question of ours");
}

#[test]
fn a_lease_outlives_what_does_not_concern_it() {
    let mut world = asking(0);
    KIND.lend(&mut world, 0);
    let v6 = AddressSpec { source: fixed(own_v6(), 64, None), vlan: 0 };
    manage(&mut world, &[dhcp(0), v6]);
    assert_eq!(held(&world).unwrap().0, IpAddr::from(LENT));
    manage(&mut world, &[dhcp(10), v6]);
    assert_eq!(held(&world).unwrap().0, own_v6(), "another VLAN is another network");
    assert_eq!(world.plane.leased_until(), None);
    world.apply(Command::SetManagement(None));
    assert!(world.plane.tables().held().is_empty());
    let said = world.pass_without(Duration::from_secs(10), &[]);
    assert!(questions(&said).is_empty());
}

#[test]
fn a_server_that_takes_back_its_word() {
    let mut world = asking(0);
    KIND.lend(&mut world, 0);
    told(&mut world);
    // At seven eighths of the time everybody is asked.
    let said = world.pass_without(Duration::from_secs(530), &[]);
    let (asked, transaction, to_all) = questions(&said).pop().expect("a question");
    assert_eq!((asked, to_all), (Asked::Request, true));
    world.send(UPLINK, &Server { to_all: true, ..KIND }.says(0, NAK, transaction)).unwrap();
    world.pass(Duration::from_millis(20));
    assert_eq!(held(&world), None);
    assert_eq!(told(&mut world), ["management: the lease of 10.0.2.77 is over"]);
}
