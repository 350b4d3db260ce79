//! Packets as stations write and read them: with etherparse, a parser that shares nothing with the
//! switch's own. Every checksum is summed in full, and what does not sum up is not read.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::*;

use super::parts::Part;

pub type Mac = [u8; 6];

pub const BROADCAST: Mac = [0xff; 6];
pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_ARP: u16 = 0x0806;
const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;
/// Frames are padded to this (60 bytes without FCS).
const FRAME_BYTES_MIN: usize = 60;
const HOPS: u8 = 64;
/// What only a neighbour can send (RFC 4861 §7.1).
const HOPS_OF_NEIGHBOUR: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A frame that was read whole.
#[derive(Clone, Debug)]
pub struct Frame {
    pub link: Link,
    pub packet: Packet,
}

/// A frame's header; VLAN 0 is none.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub source: Mac,
    pub destination: Mac,
    pub vlan: u16,
}

#[derive(Clone, Debug)]
pub enum Packet {
    Arp(ArpEthIpv4Packet),
    Neighbor(Neighbor),
    Tcp(Segment),
    Udp(Datagram),
    /// Of a datagram that was cut.
    Part(Part),
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub seq: u32,
    pub ack: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

/// A message of neighbor discovery (RFC 4861).
#[derive(Clone, Debug)]
pub struct Neighbor {
    pub says: Says,
    pub from: Ipv6Addr,
    pub to: Ipv6Addr,
    pub target: Ipv6Addr,
    /// The sender's in a question, the target's in an answer.
    pub mac: Option<Mac>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    WhoHas,
    IAm { asked: bool },
}

/// How a station cuts what is too long for its link.
#[derive(Clone, Debug)]
pub struct Cutter {
    pub mtu_bytes: usize,
    /// Of the datagram that was cut last.
    pub identification: u32,
}

impl Frame {
    /// The frame, unless it is cut off, of another kind or damaged: a real stack would not read it
    /// either.
    pub fn read(bytes: &[u8]) -> Option<Frame> {
        let sliced = SlicedPacket::from_ethernet(bytes).ok()?;
        let vlan = sliced.vlan_ids().first().map_or(0, |id| id.value());
        let LinkSlice::Ethernet2(ethernet) = sliced.link? else {
            return None;
        };
        let link = Link { source: ethernet.source(), destination: ethernet.destination(), vlan };
        let packet = match sliced.net? {
            NetSlice::Arp(arp) => Packet::Arp(arp.to_packet().try_into().ok()?),
            NetSlice::Ipv4(ip) if !sums_up(&[ip.header().slice()]) => return None,
            NetSlice::Ipv4(ip) => {
                let (from, to) = (ip.header().source_addr(), ip.header().destination_addr());
                match sliced.transport {
                    Some(transport) => read_transport(from.into(), to.into(), transport)?,
                    None => Packet::Part(Part::read_ipv4(&ip)?),
                }
            }
            NetSlice::Ipv6(ip) => {
                let (from, to) = (ip.header().source_addr(), ip.header().destination_addr());
                match sliced.transport {
                    Some(TransportSlice::Icmpv6(message)) => {
                        let is_near = ip.header().hop_limit() == HOPS_OF_NEIGHBOUR;
                        let message = Neighbor::read(from, to, message.slice());
                        Packet::Neighbor(message.filter(|_| is_near)?)
                    }
                    Some(transport) => read_transport(from.into(), to.into(), transport)?,
                    None => Packet::Part(Part::read_ipv6(&ip)?),
                }
            }
        };
        Some(Frame { link, packet })
    }
}

impl Packet {
    /// The frames that carry this packet: one, or as many as the datagram has to be cut into.
    pub fn write(&self, link: Link, cutter: &mut Cutter) -> Vec<Vec<u8>> {
        let (from, to, protocol, unsealed) = match self {
            Packet::Arp(arp) => return vec![link.frame(ETHERTYPE_ARP, &arp.to_bytes())],
            Packet::Part(part) => return vec![link.frame(ethertype(part.from), &part.bytes(HOPS))],
            Packet::Neighbor(message) => {
                (message.from.into(), message.to.into(), PROTOCOL_ICMPV6, message.bytes())
            }
            Packet::Tcp(segment) => {
                (segment.from.ip(), segment.to.ip(), PROTOCOL_TCP, segment.bytes())
            }
            Packet::Udp(datagram) => {
                (datagram.from.ip(), datagram.to.ip(), PROTOCOL_UDP, datagram.bytes())
            }
        };
        let payload = sealed(from, to, protocol, unsealed);
        if protocol == PROTOCOL_UDP && payload.len() + Part::HEADERS_BYTES_MAX > cutter.mtu_bytes {
            cutter.identification = cutter.identification.wrapping_add(1);
            let parts = Part::cut(from, to, cutter, &payload);
            return parts.map(|part| link.frame(ethertype(from), &part.bytes(HOPS))).collect();
        }
        let hops = if protocol == PROTOCOL_ICMPV6 { HOPS_OF_NEIGHBOUR } else { HOPS };
        let header = ip_header(from, to, (protocol, hops), payload.len());
        vec![link.frame(ethertype(from), &[header, payload].concat())]
    }
}

impl Link {
    fn frame(&self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        if self.vlan != 0 {
            bytes.extend([ETHERTYPE_VLAN, self.vlan].into_iter().flat_map(u16::to_be_bytes));
        }
        bytes.extend(ethertype.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().max(FRAME_BYTES_MIN), 0);
        bytes
    }
}

/// A segment with nothing where its checksum will be, and where that is.
type Unsealed = (Vec<u8>, usize);

impl Segment {
    fn bytes(&self) -> Unsealed {
        let mut header = TcpHeader::new(self.from.port(), self.to.port(), self.seq, u16::MAX);
        (header.syn, header.fin, header.rst) = (self.syn, self.fin, self.rst);
        header.ack = self.ack.is_some();
        header.acknowledgment_number = self.ack.unwrap_or(0);
        ([&header.to_bytes()[..], &self.payload].concat(), 16)
    }
}

impl Datagram {
    fn bytes(&self) -> Unsealed {
        let length = 8 + self.payload.len() as u16;
        let header = [self.from.port(), self.to.port(), length, 0].map(u16::to_be_bytes);
        ([&header.concat()[..], &self.payload].concat(), 6)
    }

    /// Reads the whole of a datagram, header and all.
    pub fn read(from: IpAddr, to: IpAddr, bytes: &[u8]) -> Option<Datagram> {
        let udp = UdpSlice::from_slice(bytes).ok()?;
        let is_all = udp.slice().len() == bytes.len();
        let pseudo = pseudo_header(from, to, PROTOCOL_UDP, bytes);
        // Everybody here sends a checksum, so none is damage.
        let is_whole = is_all && udp.checksum() != 0 && sums_up(&[&pseudo, bytes]);
        is_whole.then(|| Datagram {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload().to_vec(),
        })
    }
}

impl Neighbor {
    /// Who has `target`? Asked by `from`; a probe is asked by nobody.
    pub fn question(from: Ipv6Addr, mac: Mac, target: Ipv6Addr) -> Neighbor {
        let [.., a, b, c] = target.octets();
        let (a, bc) = (0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
        let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, a, bc);
        let mac = (!from.is_unspecified()).then_some(mac);
        Neighbor { says: Says::WhoHas, from, to, target, mac }
    }

    /// Unasked: `target` is at `mac`.
    pub fn announcement(target: Ipv6Addr, mac: Mac) -> Neighbor {
        let says = Says::IAm { asked: false };
        Neighbor { says, from: target, to: ALL_NODES, target, mac: Some(mac) }
    }

    /// The answer of who is at `mac`; one to a probe is for all.
    pub fn answer(&self, mac: Mac) -> Neighbor {
        let announcement = Neighbor::announcement(self.target, mac);
        match self.from.is_unspecified() {
            true => announcement,
            false => Neighbor { says: Says::IAm { asked: true }, to: self.from, ..announcement },
        }
    }

    /// The group MAC of a message to a group (RFC 2464 §7).
    pub fn group_mac(&self) -> Option<Mac> {
        let [.., a, b, c, d] = self.to.octets();
        self.to.is_multicast().then_some([0x33, 0x33, a, b, c, d])
    }

    fn bytes(&self) -> Unsealed {
        let (kind, option, flags) = match self.says {
            Says::WhoHas => (135, 1, 0),
            Says::IAm { asked: false } => (136, 2, 0x20),
            Says::IAm { asked: true } => (136, 2, 0x60),
        };
        let mut bytes = [&[kind, 0, 0, 0, flags, 0, 0, 0], &self.target.octets()[..]].concat();
        bytes.extend(self.mac.iter().flat_map(|mac| [&[option, 1][..], mac].concat()));
        (bytes, 2)
    }

    fn read(from: Ipv6Addr, to: Ipv6Addr, bytes: &[u8]) -> Option<Neighbor> {
        let pseudo = pseudo_header(from.into(), to.into(), PROTOCOL_ICMPV6, bytes);
        let says = match *bytes.first().filter(|_| sums_up(&[&pseudo, bytes]))? {
            135 => Says::WhoHas,
            136 => Says::IAm { asked: bytes.get(4)? & 0x40 != 0 },
            _ => return None,
        };
        let target = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?);
        // The one option that anybody here sends.
        let mac = bytes.get(26..32).and_then(|mac| mac.try_into().ok());
        Some(Neighbor { says, from, to, target, mac })
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.link.vlan != 0 {
            write!(f, "[{}] ", self.link.vlan)?;
        }
        match &self.packet {
            Packet::Arp(arp) => {
                let word = if arp.operation == ArpOperation::REQUEST { "who has" } else { "i am" };
                let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
                write!(f, "{sender} -> {target} arp {word}")
            }
            Packet::Neighbor(Neighbor { says, from, to, target, .. }) => {
                write!(f, "{from} -> {to} nd {says:?} {target}")
            }
            Packet::Udp(Datagram { from, to, payload }) => {
                write!(f, "{from} -> {to} udp {}", payload.len())
            }
            Packet::Part(Part { from, to, identification, offset_bytes, more, payload }) => {
                let (end, more) = (offset_bytes + payload.len(), if *more { "…" } else { "" });
                write!(f, "{from} -> {to} part of {identification}: {offset_bytes}..{end}{more}")
            }
            Packet::Tcp(Segment { from, to, seq, ack, syn, fin, rst, payload }) => {
                write!(f, "{from} -> {to} tcp {seq:08x}+{} ack {ack:08x?}", payload.len())?;
                let flags = [(*syn, " syn"), (*fin, " fin"), (*rst, " rst")];
                flags
                    .iter()
                    .filter(|(is_set, _)| *is_set)
                    .try_for_each(|(_, word)| f.write_str(word))
            }
        }
    }
}

/// The header of a packet that has this much behind it.
pub fn ip_header(from: IpAddr, to: IpAddr, (protocol, hops): (u8, u8), len: usize) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (from, to) = (from.octets(), to.octets());
            let header = Ipv4Header::new(len as u16, hops, IpNumber(protocol), from, to);
            let mut header = header.expect("a packet that fits");
            header.header_checksum = header.calc_header_checksum();
            header.to_bytes().to_vec()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let header = Ipv6Header {
                payload_length: len as u16,
                next_header: IpNumber(protocol),
                hop_limit: hops,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            };
            header.to_bytes().to_vec()
        }
        ends => panic!("no packet has these ends: {ends:?}"),
    }
}

fn ethertype(address: IpAddr) -> u16 {
    if address.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 }
}

fn read_transport(from: IpAddr, to: IpAddr, transport: TransportSlice<'_>) -> Option<Packet> {
    match transport {
        TransportSlice::Tcp(tcp) => {
            let pseudo = pseudo_header(from, to, PROTOCOL_TCP, tcp.slice());
            sums_up(&[&pseudo, tcp.slice()]).then(|| {
                Packet::Tcp(Segment {
                    from: SocketAddr::new(from, tcp.source_port()),
                    to: SocketAddr::new(to, tcp.destination_port()),
                    seq: tcp.sequence_number(),
                    ack: tcp.ack().then(|| tcp.acknowledgment_number()),
                    syn: tcp.syn(),
                    fin: tcp.fin(),
                    rst: tcp.rst(),
                    payload: tcp.payload().to_vec(),
                })
            })
        }
        TransportSlice::Udp(udp) => Datagram::read(from, to, udp.slice()).map(Packet::Udp),
        _ => None,
    }
}

/// A segment with its checksum; 0 would mean that there is none (RFC 768).
fn sealed(from: IpAddr, to: IpAddr, protocol: u8, (mut bytes, at): Unsealed) -> Vec<u8> {
    let sum = match !folded_sum(&[&pseudo_header(from, to, protocol, &bytes), &bytes]) {
        0 => u16::MAX,
        sum => sum,
    };
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// What a transport checksum covers besides the segment (RFC 9293 §3.1, RFC 8200 §8.1).
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let length = (segment.len() as u32).to_be_bytes();
    [&octets(from)[..], &octets(to), &length, &[0, 0, 0, protocol]].concat()
}

/// Whether the Internet checksum (RFC 1071) among these bytes is right: over every bit that came,
/// also those that no parser has a name for.
fn sums_up(parts: &[&[u8]]) -> bool {
    folded_sum(parts) == 0xffff
}

/// Only the last part may be of odd length.
fn folded_sum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
