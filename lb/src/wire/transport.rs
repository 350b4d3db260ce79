//! TCP (RFC 9293) and UDP (RFC 768): ports, flags, and the way both are rewritten.

use core::fmt;
use core::net::Ipv4Addr;

use super::checksum::{Delta, Sum};
use super::{Ipv4, bytes_at, put};
use crate::{DropReason, Protocol};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub address: Ipv4Addr,
    pub port: u16,
}

/// The flags of a TCP segment; none for UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub(crate) u8);

/// A transport header whose lengths hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    pub protocol: Protocol,
    /// Offset of the header in the frame.
    pub at: usize,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub flags: TcpFlags,
}

impl TcpFlags {
    pub const FIN: TcpFlags = TcpFlags(0x01);
    pub const SYN: TcpFlags = TcpFlags(0x02);
    pub const RST: TcpFlags = TcpFlags(0x04);
    pub const ACK: TcpFlags = TcpFlags(0x10);

    pub const fn has(self, flag: TcpFlags) -> bool {
        self.0 & flag.0 != 0
    }

    /// Opens a connection: SYN and not ACK.
    pub const fn opens(self) -> bool {
        self.has(TcpFlags::SYN) && !self.has(TcpFlags::ACK)
    }

    /// Combinations that no stack sends: none at all, SYN with FIN or RST.
    const fn are_nonsense(self) -> bool {
        let syn_and_end =
            self.has(TcpFlags::SYN) && (self.has(TcpFlags::FIN) || self.has(TcpFlags::RST));
        self.0 & 0x3f == 0 || syn_and_end
    }
}

impl Transport {
    /// Bytes from the header's start to its checksum field.
    pub(super) const fn checksum_offset(protocol: Protocol) -> usize {
        match protocol {
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        }
    }

    pub fn parse(frame: &[u8], ip: &Ipv4) -> Result<Transport, DropReason> {
        let segment = &frame[ip.payload_at..ip.end_at];
        let (protocol, flags) = match ip.protocol {
            6 => (Protocol::Tcp, check_tcp(segment)?),
            17 => (Protocol::Udp, check_udp(segment)?),
            _ => return Err(DropReason::Protocol),
        };
        let [s0, s1, d0, d1] = bytes_at(segment, 0).ok_or(DropReason::L4Header)?;
        let source = Endpoint { address: ip.source, port: u16::from_be_bytes([s0, s1]) };
        let destination = Endpoint { address: ip.destination, port: u16::from_be_bytes([d0, d1]) };
        if source.port == 0 || destination.port == 0 {
            return Err(DropReason::L4Header);
        }
        Ok(Transport { protocol, at: ip.payload_at, source, destination, flags })
    }

    /// Gives the packet other ends; all checksums change by the difference, and a UDP checksum
    /// of 0 (none) stays 0.
    pub fn rewrite(&self, ip: &Ipv4, frame: &mut [u8], source: Endpoint, destination: Endpoint) {
        let delta = ip
            .set_addresses(frame, source.address, destination.address)
            .word(self.source.port, source.port)
            .word(self.destination.port, destination.port);
        put(frame, self.at, source.port.to_be_bytes());
        put(frame, self.at + 2, destination.port.to_be_bytes());
        let at = self.at + Self::checksum_offset(self.protocol);
        let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
        let new = Self::changed_checksum(self.protocol, old, delta);
        put(frame, at, new.to_be_bytes());
    }

    /// A checksum field after a change; one that is absent stays absent.
    pub(super) fn changed_checksum(protocol: Protocol, old: u16, delta: Delta) -> u16 {
        match protocol {
            Protocol::Tcp => delta.apply(old),
            Protocol::Udp if old == 0 => 0,
            Protocol::Udp => udp_wire(delta.apply(old)),
        }
    }
}

/// A computed UDP checksum as it is sent: 0 means none, so 0 is sent as all ones (RFC 768).
fn udp_wire(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

fn check_tcp(segment: &[u8]) -> Result<TcpFlags, DropReason> {
    let header = bytes_at::<20>(segment, 0).ok_or(DropReason::L4Header)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < header.len() || header_len > segment.len() {
        return Err(DropReason::TcpHeader);
    }
    let flags = TcpFlags(header[13]);
    if flags.are_nonsense() { Err(DropReason::TcpFlags) } else { Ok(flags) }
}

fn check_udp(segment: &[u8]) -> Result<TcpFlags, DropReason> {
    let header = bytes_at::<8>(segment, 0).ok_or(DropReason::L4Header)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if len < header.len() || len > segment.len() {
        return Err(DropReason::L4Header);
    }
    Ok(TcpFlags::default())
}

/// The payload of a UDP packet, if its checksum is right or absent.
pub fn udp_payload<'a>(frame: &'a [u8], ip: &Ipv4) -> Option<&'a [u8]> {
    let header = bytes_at::<8>(&frame[..ip.end_at], ip.payload_at)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let datagram = frame[ip.payload_at..ip.end_at].get(..len)?;
    let has_checksum = header[6..8] != [0, 0];
    if has_checksum && udp_sum(ip.source, ip.destination, datagram).checksum() != 0 {
        return None;
    }
    datagram.get(8..)
}

/// A UDP header of ours for `payload`, checksum included.
pub fn udp_header(source: Endpoint, destination: Endpoint, payload: &[u8]) -> [u8; 8] {
    let mut header = [0; 8];
    put(&mut header, 0, source.port.to_be_bytes());
    put(&mut header, 2, destination.port.to_be_bytes());
    put(&mut header, 4, (8 + payload.len() as u16).to_be_bytes());
    let pseudo = udp_sum(source.address, destination.address, &header).bytes(payload);
    // The length in the pseudo header is the datagram's, of which `udp_sum` saw the header only.
    let checksum = pseudo.word(payload.len() as u16).checksum();
    put(&mut header, 6, udp_wire(checksum).to_be_bytes());
    header
}

/// Pseudo header (RFC 768) and datagram.
fn udp_sum(source: Ipv4Addr, destination: Ipv4Addr, datagram: &[u8]) -> Sum {
    Sum::default()
        .address(source)
        .address(destination)
        .word(u16::from(Protocol::Udp.number()))
        .word(datagram.len() as u16)
        .bytes(datagram)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = heapless::String::<21>::new();
        fmt::write(&mut text, format_args!("{}:{}", self.address, self.port))?;
        f.pad(&text)
    }
}
