//! Which frames somebody wants to see: every word that was said must hold.
//!
//! A filter reads a frame as it is, with no table at hand but the ends of a service, copied when the
//! filter was made. What cannot be read has no address and no port, so no filter by these takes it.
//! A capture at the console and a mirror ask by the same one.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::wire::{Endpoint, Headers, Transport, icmp, nd};
use crate::{Protocol, RealSpec, ServiceSpec};

/// What is said of the frames that are wanted; nothing takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// 0 is untagged.
    pub vlan: Option<u16>,
    pub proto: Option<Proto>,
    /// One of the two ends, or who or what ARP and neighbor discovery are about.
    pub host: Option<IpAddr>,
    /// TCP's or UDP's, at one of the two ends.
    pub l4_port: Option<u16>,
    pub ends: Option<Ends>,
}

/// Which way a frame passes its port, as seen from the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    Arp,
    /// ICMP, or ICMPv6 with neighbor discovery.
    Icmp,
    Transport(Protocol),
}

/// The ends of a service: its VIP's, and its reals'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    pub protocol: Protocol,
    pub ends: Vec<Endpoint>,
}

/// What a filter wants to know of a frame.
#[derive(Default)]
struct Facts {
    vlan: u16,
    proto: Option<Proto>,
    hosts: heapless::Vec<IpAddr, 3>,
    segment: Option<Transport>,
}

impl Way {
    pub const ALL: [Way; 2] = [Way::In, Way::Out];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Way::In => "in",
            Way::Out => "out",
        }
    }
}

impl Proto {
    pub const ALL: [Proto; 4] =
        [Proto::Arp, Proto::Icmp, Proto::Transport(Protocol::Tcp), Proto::Transport(Protocol::Udp)];

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Proto::Arp => "arp",
            Proto::Icmp => "icmp",
            Proto::Transport(Protocol::Tcp) => "tcp",
            Proto::Transport(Protocol::Udp) => "udp",
        }
    }
}

impl Ends {
    /// Where a service's segments are seen; `reals` come with the addresses of their guests.
    pub fn of<'a>(
        service: &ServiceSpec,
        reals: impl Iterator<Item = (&'a RealSpec, &'a [IpAddr])>,
    ) -> Ends {
        let at_real = |(real, addresses): (&'a RealSpec, &'a [IpAddr])| {
            let port = real.port.unwrap_or(service.port).get();
            addresses.iter().map(move |&address| Endpoint { address: address.into(), port })
        };
        let vip = Endpoint { address: service.vip.into(), port: service.port.get() };
        let ends = reals.flat_map(at_real).chain([vip]).collect();
        Ends { protocol: service.protocol, ends }
    }
}

impl Filter {
    /// Whether a frame is wanted, of which this is the first buffer.
    pub fn takes(&self, frame: &[u8]) -> bool {
        self.asks_nothing() || self.takes_by(&Facts::of(frame).unwrap_or_default())
    }

    fn asks_nothing(&self) -> bool {
        let Filter { vlan, proto, host, l4_port, ends } = self;
        vlan.is_none() && proto.is_none() && host.is_none() && l4_port.is_none() && ends.is_none()
    }

    fn takes_by(&self, facts: &Facts) -> bool {
        let ends = facts.segment.map(|segment| [segment.source, segment.destination]);
        let is_of = |Ends { protocol, ends: wanted }: &Ends| {
            facts.proto == Some(Proto::Transport(*protocol))
                && ends.is_some_and(|ends| ends.iter().any(|end| wanted.contains(end)))
        };
        self.vlan.is_none_or(|vlan| facts.vlan == vlan)
            && self.proto.is_none_or(|proto| facts.proto == Some(proto))
            && self.host.is_none_or(|host| facts.hosts.contains(&host))
            && self
                .l4_port
                .is_none_or(|port| ends.is_some_and(|ends| ends.iter().any(|end| end.port == port)))
            && self.ends.as_ref().is_none_or(is_of)
    }
}

impl Facts {
    /// Nothing is known of what is no frame, and nothing but the VLAN of what carries no packet.
    fn of(frame: &[u8]) -> Option<Facts> {
        // Of a packet in further buffers no more than its headers matter here.
        let Headers { ethernet, arp, ip, segment } = Headers::read(frame, usize::MAX)?;
        let mut facts = Facts { vlan: ethernet.vlan, segment, ..Facts::default() };
        if let Some(arp) = arp {
            facts.proto = Some(Proto::Arp);
            facts.hosts.extend([arp.sender, arp.target].map(IpAddr::V4));
        }
        if let Some(Ok(ip)) = ip {
            facts.hosts.extend([ip.source, ip.destination].map(IpAddr::from));
            facts.proto = Protocol::of(ip.protocol).map(Proto::Transport);
            if icmp::is_icmp(&ip) {
                facts.proto = Some(Proto::Icmp);
                let target = nd::is_neighbor(frame, &ip).then(|| nd::target(frame, &ip)).flatten();
                facts.hosts.extend(target.map(IpAddr::V6));
            }
        }
        Some(facts)
    }
}

#[cfg(test)]
mod tests;
