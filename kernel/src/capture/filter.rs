//! Which frames are captured: every word that was said must hold.
//!
//! A filter reads a frame as it is, with no table at hand but the ends of a service, copied when the
//! capture began. What cannot be read has no address and no port, so no filter by these takes it.

use alloc::vec::Vec;
use core::net::IpAddr;

use lb::wire::{Endpoint, Headers, Transport, icmp, nd};
use lb::{PortId, Protocol};

use super::Way;

/// What is said of the frames that are wanted; nothing takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub port: Option<PortId>,
    pub way: Option<Way>,
    /// 0 is untagged.
    pub vlan: Option<u16>,
    pub proto: Option<Proto>,
    /// One of the two ends, or who or what ARP and neighbor discovery are about.
    pub host: Option<IpAddr>,
    /// TCP's or UDP's, at one of the two ends.
    pub l4_port: Option<u16>,
    pub ends: Option<Ends>,
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

impl Filter {
    /// Whether a frame that passes this port is wanted.
    pub fn takes(&self, port: PortId, way: Way, frame: &[u8]) -> bool {
        let is_here = self.port.is_none_or(|wanted| wanted == port);
        let goes_so = self.way.is_none_or(|wanted| wanted == way);
        is_here && goes_so && (self.asks_nothing_of_frames() || self.takes_frame(frame))
    }

    fn asks_nothing_of_frames(&self) -> bool {
        let Filter { vlan, proto, host, l4_port, ends, .. } = self;
        vlan.is_none() && proto.is_none() && host.is_none() && l4_port.is_none() && ends.is_none()
    }

    fn takes_frame(&self, frame: &[u8]) -> bool {
        let facts = Facts::of(frame).unwrap_or_default();
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
