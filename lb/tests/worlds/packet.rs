//! Packets as stations write and read them: with etherparse, a parser that shares nothing with the
//! switch's own. Every checksum is summed in full, and what does not sum up is not read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use etherparse::*;

pub type Mac = [u8; 6];

pub const BROADCAST: Mac = [0xff; 6];
/// Frames are padded to this (60 bytes without FCS).
const FRAME_BYTES_MIN: usize = 60;
const TTL: u8 = 64;

/// A frame that was read whole.
#[derive(Clone, Debug)]
pub struct Frame {
    pub source: Mac,
    pub destination: Mac,
    pub packet: Packet,
}

#[derive(Clone, Debug)]
pub enum Packet {
    Arp(ArpEthIpv4Packet),
    Tcp(Segment),
    Udp(Datagram),
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

impl Frame {
    /// The frame, unless it is cut, of another kind or damaged: a real stack would not read it
    /// either.
    pub fn read(bytes: &[u8]) -> Option<Frame> {
        let sliced = SlicedPacket::from_ethernet(bytes).ok()?;
        let LinkSlice::Ethernet2(ethernet) = sliced.link? else {
            return None;
        };
        let packet = match (sliced.net?, sliced.transport) {
            (NetSlice::Arp(arp), _) => Packet::Arp(arp.to_packet().try_into().ok()?),
            (NetSlice::Ipv4(ip), Some(transport)) => {
                let header = ip.header();
                let (from, to) = (header.source_addr(), header.destination_addr());
                let is_whole = sums_up(&[header.slice()]);
                is_whole.then(|| read_transport(from.into(), to.into(), transport))??
            }
            _ => return None,
        };
        let (source, destination) = (ethernet.source(), ethernet.destination());
        Some(Frame { source, destination, packet })
    }
}

impl Packet {
    /// The frame that carries this packet.
    pub fn write(&self, source: Mac, destination: Mac) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2(source, destination);
        let mut bytes = Vec::new();
        let written = match self {
            Packet::Arp(arp) => ethernet.arp(arp.clone().into()).write(&mut bytes),
            Packet::Tcp(segment) => {
                let (from, to) = ipv4_ends(segment.from, segment.to);
                let mut header =
                    TcpHeader::new(segment.from.port(), segment.to.port(), segment.seq, u16::MAX);
                (header.syn, header.fin, header.rst) = (segment.syn, segment.fin, segment.rst);
                header.ack = segment.ack.is_some();
                header.acknowledgment_number = segment.ack.unwrap_or(0);
                let ip = ethernet.ipv4(from.octets(), to.octets(), TTL);
                ip.tcp_header(header).write(&mut bytes, &segment.payload)
            }
            Packet::Udp(datagram) => {
                let (from, to) = ipv4_ends(datagram.from, datagram.to);
                let ip = ethernet.ipv4(from.octets(), to.octets(), TTL);
                let udp = ip.udp(datagram.from.port(), datagram.to.port());
                udp.write(&mut bytes, &datagram.payload)
            }
        };
        written.expect("a packet that fits");
        bytes.resize(bytes.len().max(FRAME_BYTES_MIN), 0);
        bytes
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.packet {
            Packet::Arp(arp) => {
                let word = if arp.operation == ArpOperation::REQUEST { "who has" } else { "i am" };
                let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
                write!(f, "{sender} -> {target} arp {word}")
            }
            Packet::Udp(Datagram { from, to, payload }) => {
                write!(f, "{from} -> {to} udp {}", payload.len())
            }
            Packet::Tcp(Segment { from, to, seq, ack, syn, fin, rst, payload }) => {
                write!(f, "{from} -> {to} tcp {seq}+{}", payload.len())?;
                ack.iter().try_for_each(|ack| write!(f, " ack {ack}"))?;
                let flags = [(*syn, " SYN"), (*fin, " FIN"), (*rst, " RST")];
                flags
                    .iter()
                    .filter(|(is_set, _)| *is_set)
                    .try_for_each(|(_, word)| f.write_str(word))
            }
        }
    }
}

fn read_transport(from: IpAddr, to: IpAddr, transport: TransportSlice<'_>) -> Option<Packet> {
    match transport {
        TransportSlice::Tcp(tcp) => {
            let is_whole = sums_up(&[&pseudo_header(from, to, 6, tcp.slice()), tcp.slice()]);
            is_whole.then(|| {
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
        TransportSlice::Udp(udp) => {
            let is_whole = sums_up(&[&pseudo_header(from, to, 17, udp.slice()), udp.slice()]);
            // Everybody here sends a checksum, so none is damage.
            (is_whole && udp.checksum() != 0).then(|| {
                Packet::Udp(Datagram {
                    from: SocketAddr::new(from, udp.source_port()),
                    to: SocketAddr::new(to, udp.destination_port()),
                    payload: udp.payload().to_vec(),
                })
            })
        }
        _ => None,
    }
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
/// also those that no parser has a name for. Only the last part may be of odd length.
fn sums_up(parts: &[&[u8]]) -> bool {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

fn ipv4_ends(from: SocketAddr, to: SocketAddr) -> (Ipv4Addr, Ipv4Addr) {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (from, to),
        ends => panic!("no IPv4 packet has these ends: {ends:?}"),
    }
}
