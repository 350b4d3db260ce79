//! Frames as stations make them, by a foreign builder.

use std::net::IpAddr;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, PacketBuilderStep};
use lb::MacAddr;

use super::{CLIENT, CLIENT_MAC, VIP, VIP_MAC, World};

/// The ends of a packet; for one without a transport the ports are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// 0 is untagged.
    pub vlan: u16,
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
}

impl Ends {
    /// A client on the uplink calls the VIP.
    pub fn call(client_port: u16, vip_port: u16) -> Ends {
        Ends {
            vlan: 0,
            source_mac: CLIENT_MAC,
            destination_mac: VIP_MAC,
            source: (CLIENT, client_port),
            destination: (VIP, vip_port),
        }
    }

    pub fn reversed(self) -> Ends {
        Ends {
            source_mac: self.destination_mac,
            destination_mac: self.source_mac,
            source: self.destination,
            destination: self.source,
            ..self
        }
    }

    /// The answer of a guest that resolved the client's MAC by itself.
    pub fn reversed_to(self, client_mac: [u8; 6]) -> Ends {
        Ends { destination_mac: client_mac, ..self.reversed() }
    }

    /// Offset of the IP header.
    pub fn ip_at(&self) -> usize {
        if self.vlan == 0 { 14 } else { 18 }
    }

    /// Offset of what a packet without options or extensions carries.
    pub fn payload_at(&self) -> usize {
        self.ip_at() + if self.source.0.is_ipv4() { 20 } else { 40 }
    }

    /// The Ethernet header with its tag, if there is one.
    pub fn link_header(&self, ethertype: u16) -> Vec<u8> {
        let tag = [[0x81, 0], self.vlan.to_be_bytes()].concat();
        let tag: &[u8] = if self.vlan == 0 { &[] } else { &tag };
        [&self.destination_mac[..], &self.source_mac, tag, &ethertype.to_be_bytes()].concat()
    }

    /// A segment with sequence number 1000, which acknowledges 7 if it has that flag.
    pub fn tcp(&self, flags: &str, payload: &[u8]) -> Vec<u8> {
        self.tcp_at(1000, flags, payload)
    }

    /// The reset that refuses a SYN of sequence number 1000 (RFC 9293 §3.10.7.1).
    pub fn refusal(&self) -> Vec<u8> {
        self.segment(0, 1001, 0, "RA", &[])
    }

    /// A SYN with another sequence number than that of any flow before, and so no copy of one.
    pub fn new_syn(&self, world: &World) -> Vec<u8> {
        self.tcp_at(2000 + world.plane.flows().counters().created as u32, "S", &[])
    }

    fn tcp_at(&self, sequence: u32, flags: &str, payload: &[u8]) -> Vec<u8> {
        self.segment(sequence, 7, 4096, flags, payload)
    }

    /// Any segment.
    pub fn segment(
        &self,
        sequence: u32,
        acknowledges: u32,
        window: u16,
        flags: &str,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut tcp = self.builder(64).tcp(self.source.1, self.destination.1, sequence, window);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'A' => tcp.ack(acknowledges),
                'F' => tcp.fin(),
                'R' => tcp.rst(),
                'P' => tcp.psh(),
                _ => panic!("no flag {flag}"),
            };
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).unwrap();
        frame
    }

    pub fn udp(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let udp = self.builder(64).udp(self.source.1, self.destination.1);
        udp.write(&mut frame, payload).unwrap();
        frame
    }

    /// ICMP, or ICMPv6 between IPv6 addresses.
    pub fn icmp(&self, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
        self.icmp_with_hops(64, kind, code, rest, payload)
    }

    /// Neighbor discovery: from a neighbour.
    pub fn neighbor(&self, kind: u8, flags: u8, target: IpAddr, options: &[u8]) -> Vec<u8> {
        let IpAddr::V6(target) = target else { panic!("{target}") };
        let payload = [&target.octets()[..], options].concat();
        self.icmp_with_hops(255, kind, 0, [flags, 0, 0, 0], &payload)
    }

    /// Any protocol.
    pub fn raw(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        self.builder(64).write(&mut frame, IpNumber(protocol), payload).unwrap();
        frame
    }

    /// ARP between the ends' addresses: a request, or a reply.
    pub fn arp(&self, operation: u8) -> Vec<u8> {
        let (IpAddr::V4(sender), IpAddr::V4(target)) = (self.source.0, self.destination.0) else {
            panic!("ARP is for IPv4")
        };
        let target_mac = match operation {
            1 => MacAddr::ZERO.0,
            _ => self.destination_mac,
        };
        let head = [0, 1, 8, 0, 6, 4, 0, operation];
        let sender = [&self.source_mac[..], &sender.octets()].concat();
        let target = [&target_mac[..], &target.octets()].concat();
        let mut frame = [self.link_header(0x0806), head.into(), sender, target].concat();
        frame.resize(self.ip_at() + 46, 0);
        frame
    }

    fn icmp_with_hops(
        &self,
        hops: u8,
        kind: u8,
        code: u8,
        rest: [u8; 4],
        payload: &[u8],
    ) -> Vec<u8> {
        let mut frame = Vec::new();
        let ip = self.builder(hops);
        match self.source.0 {
            IpAddr::V4(_) => ip.icmpv4_raw(kind, code, rest).write(&mut frame, payload),
            IpAddr::V6(_) => ip.icmpv6_raw(kind, code, rest).write(&mut frame, payload),
        }
        .unwrap();
        frame
    }

    fn builder(&self, hops: u8) -> PacketBuilderStep<IpHeaders> {
        let headers = match (self.source.0, self.destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (source, destination) = (source.octets(), destination.octets());
                let protocol = IpNumber(0);
                let header = Ipv4Header::new(0, hops, protocol, source, destination).unwrap();
                IpHeaders::Ipv4(header, Default::default())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (source, destination) = (source.octets(), destination.octets());
                let header =
                    Ipv6Header { hop_limit: hops, source, destination, ..Default::default() };
                IpHeaders::Ipv6(header, Default::default())
            }
            ends => panic!("two versions: {ends:?}"),
        };
        let link = PacketBuilder::ethernet2(self.source_mac, self.destination_mac);
        match self.vlan {
            0 => link.ip(headers),
            vlan => link.single_vlan(vlan.try_into().unwrap()).ip(headers),
        }
    }
}

/// Changes bytes of an IPv4 header, and its checksum along.
pub fn patch_ipv4(frame: &mut [u8], at: usize, patches: &[(usize, u8)]) {
    for &(offset, value) in patches {
        frame[at + offset] = value;
    }
    frame[at + 10..at + 12].fill(0);
    let header_len = (usize::from(frame[at] & 0x0f) * 4).min(frame.len() - at);
    let header = &frame[at..at + header_len];
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(header);
    let checksum = sum.ones_complement().to_ne_bytes();
    frame[at + 10..at + 12].copy_from_slice(&checksum);
}

/// The packet with options behind its IPv4 header.
pub fn with_options(frame: &[u8], at: usize, options: &[u8]) -> Vec<u8> {
    let mut frame = [&frame[..at + 20], options, &frame[at + 20..]].concat();
    let [len0, len1] = ((frame.len() - at) as u16).to_be_bytes();
    let words = 5 + options.len() as u8 / 4;
    patch_ipv4(&mut frame, at, &[(0, 0x40 | words), (2, len0), (3, len1)]);
    frame
}

/// The packet with these extension headers, as number and bytes, behind its IPv6 header.
pub fn with_extensions(frame: &[u8], at: usize, extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let (headers, carried) = frame.split_at(at + 40);
    let mut headers = headers.to_vec();
    let mut next_at = at + 6;
    let protocol = headers[next_at];
    for (number, bytes) in extensions {
        headers[next_at] = *number;
        next_at = headers.len();
        headers.extend(*bytes);
    }
    headers[next_at] = protocol;
    let len = (headers.len() - at - 40 + carried.len()) as u16;
    headers[at + 4..at + 6].copy_from_slice(&len.to_be_bytes());
    [&headers, carried].concat()
}
