//! Who plays: ports, stations and services, as data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use lb::wire::ip::Version;
use lb::*;

pub const UPLINK: usize = 0;
/// The second uplink: stands by.
pub const STANDBY: usize = 5;
/// A guest port at which nobody is defined.
pub const UNDEFINED: usize = 6;
pub const PORTS: usize = 7;
/// Guests `g1` … sit at the ports of their numbers.
pub const GUESTS: usize = 4;
/// Of these the first ones have reals; the last has only an IPv4 address and is sorry.
pub const REALS: usize = 3;

/// The VLAN of the services that have one.
pub const VLAN: u16 = 10;
/// Small enough that an input can fill every table.
pub const CAPACITY: Capacity = Capacity { flows: 32, macs: 64, clients: 64 };
pub const SECRET: u64 = 0x5eed;

/// Somebody who sends: where, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaker {
    pub port: usize,
    pub mac: MacAddr,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
}

impl Speaker {
    pub fn address(&self, version: Version) -> IpAddr {
        match version {
            Version::V4 => self.v4.into(),
            Version::V6 => self.v6.into(),
        }
    }
}

/// A neighbour, a client behind a router, the guests, a stranger, and a client on the other uplink.
pub fn speakers() -> [Speaker; 8] {
    let far = (Ipv4Addr::new(198, 51, 100, 7), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));
    let of = |port: usize, mac: MacAddr, host: u8| Speaker {
        port,
        mac,
        v4: Ipv4Addr::new(10, 0, 2, host),
        v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host)),
    };
    let router = MacAddr([0x52, 0x55, 0, 0, 0, 1]);
    let guest = |n: usize| of(n, guest_mac(n), 20 + n as u8);
    [
        of(UPLINK, MacAddr([0x52, 0x55, 0, 0, 0, 9]), 9),
        Speaker { v4: far.0, v6: far.1, ..of(UPLINK, router, 1) },
        guest(1),
        guest(2),
        guest(3),
        guest(4),
        of(UNDEFINED, MacAddr([0x52, 0x56, 0, 0, 0, 6]), 66),
        of(STANDBY, MacAddr([0x52, 0x55, 0, 0, 0, 5]), 5),
    ]
}

pub fn guest_mac(n: usize) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 1, 0, n as u8])
}

pub fn port(index: usize) -> PortId {
    PortId::new(index).unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn guest_name(n: usize) -> Name {
    name(&format!("g{n}"))
}

pub fn service_name(at: usize) -> Name {
    name(&format!("s{at}"))
}

pub fn role(at: usize) -> Role {
    match at {
        UPLINK | STANDBY => Role::Uplink,
        _ => Role::Guest,
    }
}

pub fn guest(n: usize) -> GuestSpec {
    let Speaker { port: at, mac, v4, v6 } = speakers()[n + 1];
    let mut addresses = heapless::Vec::from_slice(&[IpAddr::from(v4), v6.into()]).unwrap();
    if n > REALS {
        addresses.truncate(1);
    }
    GuestSpec { addresses, ..GuestSpec::new(guest_name(n), port(at), mac) }
}

pub fn vip(version: Version) -> IpAddr {
    match version {
        Version::V4 => Ipv4Addr::new(10, 0, 2, 100).into(),
        Version::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100).into(),
    }
}

/// The appliance's own addresses, if nothing else is said of them.
pub fn own(version: Version) -> IpAddr {
    match version {
        Version::V4 => Ipv4Addr::new(10, 0, 2, 240).into(),
        Version::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xf0).into(),
    }
}

/// Made of the uplink's NIC's.
pub const OWN_MAC: MacAddr = MacAddr::of_management(MacAddr([0x52, 0x54, 0, 0xaa, 0, 0]));

/// The management address: static ones in this VLAN.
pub fn management(vlan: u16) -> ManagementSpec {
    let fixed = |address: IpAddr, prefix_len: u8, gateway: Option<IpAddr>| {
        let host = HostAddress { address, prefix_len, gateway };
        AddressSpec { source: AddressSource::Static(host), vlan }
    };
    let gateway = Ipv4Addr::new(10, 0, 2, 1).into();
    let v4 = fixed(own(Version::V4), 24, Some(gateway));
    let v6 = fixed(own(Version::V6), 64, None);
    ManagementSpec { mac: OWN_MAC, addresses: [v4, v6].into_iter().collect() }
}

/// The same by a lease.
pub fn leased(vlan: u16) -> ManagementSpec {
    let said = AddressSpec { source: AddressSource::Dhcp, vlan };
    ManagementSpec { addresses: [said].into_iter().collect(), ..management(vlan) }
}

/// A second VIP: a client that uses one port towards both collides at a real.
pub fn other_vip() -> IpAddr {
    Ipv4Addr::new(10, 0, 2, 101).into()
}

/// Whether a service has reals from the start.
pub fn has_reals(service: usize) -> bool {
    !(NO_REALS..NO_REALS + 3).contains(&service)
}

const PLAIN: usize = 16;
const NO_REALS: usize = PLAIN + 4;
pub const SERVICES: usize = PLAIN + 10;

/// The services: first every kind of forwarding, version, protocol and VLAN, then those with
/// something of their own.
pub fn service(at: usize) -> ServiceSpec {
    let schedulers = [
        Scheduler::Rr,
        Scheduler::Wrr,
        Scheduler::Lc,
        Scheduler::Wlc,
        Scheduler::Wll,
        Scheduler::P2c,
        Scheduler::Sh,
        Scheduler::ShPort,
    ];
    let plain = |version: Version, protocol: Protocol, port: u16| ServiceSpec {
        scheduler: schedulers[at % schedulers.len()],
        ..ServiceSpec::new(service_name(at), vip(version), protocol, port.try_into().unwrap())
    };
    let timeout = Duration::from_secs(60);
    let by_source = Persistence::Source { prefix_len: 24, timeout };
    let by_payload =
        Persistence::Payload { offset_bytes: 2, len_bytes: NonZeroU8::new(4).unwrap(), timeout };
    let sorry = Empty::Sorry(guest_name(GUESTS));
    match at {
        0..PLAIN => ServiceSpec {
            forwarding: if at & 1 == 0 { Forwarding::Nat } else { Forwarding::Direct },
            vlan: if at & 8 == 0 { 0 } else { VLAN },
            ..plain(
                if at & 2 == 0 { Version::V4 } else { Version::V6 },
                if at & 4 == 0 { Protocol::Tcp } else { Protocol::Udp },
                80 + (at as u16 & 1),
            )
        },
        16 => ServiceSpec { one_packet: true, ..plain(Version::V4, Protocol::Udp, 90) },
        17 => ServiceSpec {
            persistence: Some(by_payload),
            udp_idle: Some(Duration::from_secs(5)),
            ..plain(Version::V6, Protocol::Udp, 91)
        },
        18 => ServiceSpec { persistence: Some(by_source), ..plain(Version::V4, Protocol::Tcp, 92) },
        19 => ServiceSpec {
            flows_max: NonZeroU32::new(2),
            empty: Empty::Reset,
            ..plain(Version::V6, Protocol::Tcp, 93)
        },
        20 => ServiceSpec { empty: Empty::Reset, ..plain(Version::V4, Protocol::Tcp, 94) },
        21 => ServiceSpec { empty: Empty::Reset, ..plain(Version::V6, Protocol::Udp, 95) },
        22 => ServiceSpec { empty: sorry, ..plain(Version::V4, Protocol::Tcp, 96) },
        23 => ServiceSpec { scheduler: Scheduler::Mh, ..plain(Version::V4, Protocol::Tcp, 97) },
        24 => ServiceSpec { vip: other_vip(), ..plain(Version::V4, Protocol::Tcp, 80) },
        _ => ServiceSpec { vip: other_vip(), ..plain(Version::V4, Protocol::Udp, 80) },
    }
}

/// The real of a service on guest `n`: with `nat` at one port for all, so that flows collide.
pub fn real(service: &ServiceSpec, n: usize) -> RealSpec {
    let port = match service.forwarding {
        Forwarding::Nat => Some(8080.try_into().unwrap()),
        Forwarding::Direct => None,
    };
    let flows_max = (n == REALS).then_some(40);
    RealSpec { port, weight: 10 * n as u16, flows_max, ..RealSpec::new(guest_name(n)) }
}
