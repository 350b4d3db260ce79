//! A switch with a management address, and who is around it.

use std::net::IpAddr;

use lb::wire::ip::Version;
use lb::*;

use crate::world::*;

/// The NIC of the uplink, and the MAC that is made of its own.
pub const NIC: MacAddr = MacAddr([0x52, 0x54, 0, 0xaa, 0, 0]);
pub const OWN_MAC: [u8; 6] = MacAddr::of_management(NIC).0;
pub const GATEWAY_MAC: [u8; 6] = [0x52, 0x55, 0, 0, 0, 1];
/// A second uplink, behind the guests' ports.
pub const STANDBY: usize = 3;

pub fn own() -> IpAddr {
    [10, 0, 2, 15].into()
}

pub fn own_v6() -> IpAddr {
    "fd00::15".parse().unwrap()
}

pub fn gateway() -> IpAddr {
    [10, 0, 2, 1].into()
}

pub fn fixed(address: IpAddr, prefix_len: u8, gateway: Option<IpAddr>) -> AddressSource {
    AddressSource::Static(HostAddress { address, prefix_len, gateway })
}

pub fn manage(world: &mut World, addresses: &[AddressSpec]) {
    let spec =
        ManagementSpec { mac: MacAddr(OWN_MAC), addresses: addresses.iter().copied().collect() };
    world.apply(Command::SetManagement(Some(Box::new(spec))));
}

/// Two guests with a service, a second uplink, and an address of each version in this VLAN.
pub fn managed(vlan: u16) -> World {
    let mut world = World::new(3);
    let standby = Command::SetPort { port: port(STANDBY), name: name("up1"), role: Role::Uplink };
    world.apply(standby);
    let served = Served { vlan, ..Served::default() };
    world.apply(Command::SetService(served.spec("web")));
    for n in [1, 2] {
        world.define(n);
        world.set_real("web", n, served.real_port(), 100);
    }
    let v4 = AddressSpec { source: fixed(own(), 24, Some(gateway())), vlan };
    let v6 = AddressSpec { source: fixed(own_v6(), 64, None), vlan };
    manage(&mut world, &[v4, v6]);
    world.settle();
    world.originated();
    told(&mut world);
    world
}

/// Behind the port of guest `n` there are others, whom nobody has defined.
pub fn open(world: &mut World, n: usize) {
    let trusts = Trusts::NONE.with(Trust::Mac);
    world.apply(Command::SetGuest(GuestSpec { trusts, ..world.guest_spec(n) }));
}

/// From a client on the uplink to the address of its version.
pub fn ends(vlan: u16, version: Version) -> Ends {
    let (source, destination) = match version {
        Version::V4 => (CLIENT, own()),
        Version::V6 => (CLIENT_V6, own_v6()),
    };
    Ends {
        vlan,
        source_mac: CLIENT_MAC,
        destination_mac: OWN_MAC,
        source: (source, 0),
        destination: (destination, 0),
    }
}

pub fn echo_request(ends: &Ends) -> Vec<u8> {
    let kind = if ends.source.0.is_ipv4() { 8 } else { 128 };
    ends.icmp(kind, 0, [0, 7, 0, 9], b"are you there?")
}

/// What the log was told, but for what it hears of every port.
pub fn told(world: &mut World) -> Vec<String> {
    let all = std::iter::from_fn(|| world.plane.events().pop());
    let news = all.filter(|event| !matches!(event, Event::Dropped { .. }));
    news.map(|event| event.to_string()).collect()
}
