//! A service in all its kinds, and a small model of what becomes of its packets.

use std::net::IpAddr;

use lb::*;

use super::*;

/// What makes the service `web` of a world differ from that of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    pub forwarding: Forwarding,
    pub version: Version,
    pub protocol: Protocol,
    /// 0 is untagged.
    pub vlan: u16,
}

/// Every kind.
pub const SERVED: [Served; 16] = {
    let mut all = [Served::DEFAULT; 16];
    let mut at = 0;
    while at < all.len() {
        all[at] = Served {
            forwarding: if at & 1 == 0 { Forwarding::Nat } else { Forwarding::Direct },
            version: if at & 2 == 0 { Version::V4 } else { Version::V6 },
            protocol: if at & 4 == 0 { Protocol::Tcp } else { Protocol::Udp },
            vlan: if at & 8 == 0 { 0 } else { 10 },
        };
        at += 1;
    }
    all
};

impl Default for Served {
    fn default() -> Served {
        Served::DEFAULT
    }
}

impl Served {
    const DEFAULT: Served = Served {
        forwarding: Forwarding::Nat,
        version: Version::V4,
        protocol: Protocol::Tcp,
        vlan: 0,
    };

    pub fn spec(&self, service: &str) -> ServiceSpec {
        ServiceSpec {
            vip: self.vip(),
            forwarding: self.forwarding,
            vlan: self.vlan,
            ..World::service_spec(service, self.protocol, 80)
        }
    }

    /// `direct` leaves the port as it is.
    pub fn real_port(&self) -> Option<u16> {
        match self.forwarding {
            Forwarding::Nat => Some(8080),
            Forwarding::Direct => None,
        }
    }

    pub fn vip(&self) -> IpAddr {
        self.pick(VIP, VIP_V6)
    }

    pub fn vip_mac(&self) -> [u8; 6] {
        MacAddr::virtual_of(self.vip()).0
    }

    pub fn client(&self) -> IpAddr {
        self.pick(CLIENT, CLIENT_V6)
    }

    pub fn guest(&self, n: usize) -> IpAddr {
        self.pick(guest_address(n), guest_address_v6(n))
    }

    /// The switch's own address on guest ports.
    pub fn switch(&self) -> IpAddr {
        self.pick(SWITCH, SWITCH_V6)
    }

    /// A client on the uplink calls the VIP.
    pub fn call(&self, client_port: u16) -> Ends {
        Ends {
            vlan: self.vlan,
            source_mac: CLIENT_MAC,
            destination_mac: self.vip_mac(),
            source: (self.client(), client_port),
            destination: (self.vip(), 80),
        }
    }

    /// Guest `n` calls the VIP.
    pub fn call_of_guest(&self, n: usize, client_port: u16) -> Ends {
        let source = (self.guest(n), client_port);
        Ends { source_mac: guest_mac(n), source, ..self.call(client_port) }
    }

    /// What guest `n` must see of a call: the client, as called by the switch.
    pub fn at_real(&self, n: usize, call: Ends) -> Ends {
        let destination = match self.forwarding {
            Forwarding::Nat => (self.guest(n), 8080),
            Forwarding::Direct => call.destination,
        };
        let is_own = call.source.0 == self.guest(n);
        let client = if is_own { self.switch() } else { call.source.0 };
        Ends {
            source_mac: SWITCH_MAC,
            destination_mac: guest_mac(n),
            source: (client, call.source.1),
            destination,
            ..call
        }
    }

    /// A packet of the service's protocol; flags are TCP's.
    pub fn packet(&self, ends: Ends, flags: &str, payload: &[u8]) -> Vec<u8> {
        match self.protocol {
            Protocol::Tcp => ends.tcp(flags, payload),
            Protocol::Udp => ends.udp(payload),
        }
    }

    fn pick(&self, v4: IpAddr, v6: IpAddr) -> IpAddr {
        match self.version {
            Version::V4 => v4,
            Version::V6 => v6,
        }
    }
}
