//! TCP (RFC 9293) and UDP (RFC 768): ports, flags, and the way both are rewritten.

use core::fmt;

use super::checksum::Delta;
use super::ip::{Version, pseudo_header};
use super::offload::{Offload, PartialChecksum};
use super::{Address, Ip, bytes_at, put};
use crate::flow::FlowKey;
use crate::{DropReason, Protocol};

pub const UDP_HEADER_BYTES: usize = 8;

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub address: Address,
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
    /// TCP's sequence number.
    pub sequence: u32,
    /// Whether it carries anything.
    pub has_payload: bool,
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

    /// Neither opens a connection nor ends one; so does what has no flags.
    pub const fn goes_on(self) -> bool {
        self.0 & (Self::SYN.0 | Self::FIN.0 | Self::RST.0) == 0
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

    /// Reads the header that the packet, or its first fragment, carries.
    #[inline(always)]
    pub fn parse(head: &[u8], ip: &Ip) -> Result<Transport, DropReason> {
        let segment = ip.payload(head);
        let (protocol, header_len, (flags, sequence)) = match ip.protocol {
            6 => {
                let (header_len, told) = check_tcp(segment)?;
                (Protocol::Tcp, header_len, told)
            }
            17 => (Protocol::Udp, UDP_HEADER_BYTES, check_udp(segment, ip)?),
            _ => return Err(DropReason::Protocol),
        };
        let [s0, s1, d0, d1] = bytes_at(segment, 0).ok_or(DropReason::L4Header)?;
        let source = Endpoint { address: ip.source, port: u16::from_be_bytes([s0, s1]) };
        let destination = Endpoint { address: ip.destination, port: u16::from_be_bytes([d0, d1]) };
        if source.port == 0 || destination.port == 0 {
            return Err(DropReason::L4Header);
        }
        let has_payload = ip.payload_len() > header_len;
        let at = ip.payload_at;
        Ok(Transport { protocol, at, source, destination, flags, sequence, has_payload })
    }

    /// The number of the SYN that this reset refuses; `None` if it names none (RFC 9293 §3.10.7.3).
    pub fn refuses(&self, head: &[u8]) -> Option<u32> {
        let acknowledged = bytes_at(head, self.at + 8).map(u32::from_be_bytes)?;
        let is_refusal = self.flags.has(TcpFlags::RST) && self.flags.has(TcpFlags::ACK);
        is_refusal.then_some(acknowledged.wrapping_sub(1))
    }

    /// The key of the flow that this is of, if it comes from a client.
    pub fn key_to_real(&self, vlan: u16) -> FlowKey {
        FlowKey::new(self.protocol, vlan, self.source, self.destination)
    }

    /// The same if it comes from a real.
    pub fn key_to_client(&self, vlan: u16) -> FlowKey {
        FlowKey::new(self.protocol, vlan, self.destination, self.source)
    }

    /// Gives the packet other ends; all checksums change by the difference, and a UDP checksum
    /// of 0 (none) stays 0.
    #[inline(always)]
    pub fn rewrite(
        &self,
        ip: &Ip,
        head: &mut [u8],
        offload: &Offload,
        source: Endpoint,
        destination: Endpoint,
    ) {
        let addresses = ip.set_addresses(head, source.address, destination.address);
        let [[s0, s1], [d0, d1]] = [source.port, destination.port].map(u16::to_be_bytes);
        put(head, self.at, [s0, s1, d0, d1]);
        let at = self.at + Self::checksum_offset(self.protocol);
        let old = u16::from_be_bytes([head[at], head[at + 1]]);
        let new = if self.owes(offload) {
            // The ports are summed when the checksum is finished.
            addresses.apply_to_sum(old)
        } else {
            let ports = addresses
                .words([self.source.port, self.destination.port], [source.port, destination.port]);
            Self::changed_checksum(self.protocol, old, ports)
        };
        put(head, at, new.to_be_bytes());
    }

    /// Whether this segment's checksum is the one that a NIC has still to finish.
    fn owes(&self, offload: &Offload) -> bool {
        offload.checksum.is_some_and(|PartialChecksum { start, offset }| {
            let field = Self::checksum_offset(self.protocol);
            (usize::from(start), usize::from(offset)) == (self.at, field)
        })
    }

    /// A checksum field after a change; one that is absent stays absent.
    #[inline(always)]
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

/// The header's length; flags and sequence number.
#[inline(always)]
fn check_tcp(segment: &[u8]) -> Result<(usize, (TcpFlags, u32)), DropReason> {
    let header = bytes_at::<20>(segment, 0).ok_or(DropReason::L4Header)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < header.len() || header_len > segment.len() {
        return Err(DropReason::TcpHeader);
    }
    let flags = TcpFlags(header[13]);
    let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    match flags.are_nonsense() {
        true => Err(DropReason::TcpFlags),
        false => Ok((header_len, (flags, sequence))),
    }
}

#[inline(always)]
fn check_udp(segment: &[u8], ip: &Ip) -> Result<(TcpFlags, u32), DropReason> {
    let header = bytes_at::<8>(segment, 0).ok_or(DropReason::L4Header)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A first fragment has only the beginning of its datagram.
    let is_beyond = len > ip.payload_len() && ip.part().is_none();
    match len < header.len() || is_beyond {
        true => Err(DropReason::L4Header),
        false => Ok(Default::default()),
    }
}

/// The payload of a UDP packet, if its checksum is right, or absent where it may be: with IPv6 it
/// is all that covers the addresses (RFC 8200 §8.1).
pub fn udp_payload<'a>(frame: &'a [u8], ip: &Ip) -> Option<&'a [u8]> {
    let segment = ip.payload(frame);
    let header = bytes_at::<8>(segment, 0)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let datagram = segment.get(..len)?;
    let sum = pseudo_header(ip.source, ip.destination, Protocol::Udp.number(), len).bytes(datagram);
    let is_right = match header[6..8] {
        [0, 0] => ip.version == Version::V4,
        _ => sum.checksum() == 0,
    };
    if is_right { datagram.get(8..) } else { None }
}

/// A UDP header of ours for `payload`, checksum included.
pub fn udp_header(source: Endpoint, destination: Endpoint, payload: &[u8]) -> [u8; 8] {
    let mut header = [0; 8];
    let len = header.len() + payload.len();
    put(&mut header, 0, source.port.to_be_bytes());
    put(&mut header, 2, destination.port.to_be_bytes());
    put(&mut header, 4, (len as u16).to_be_bytes());
    let pseudo = pseudo_header(source.address, destination.address, Protocol::Udp.number(), len);
    let checksum = pseudo.bytes(&header).bytes(payload).checksum();
    put(&mut header, 6, udp_wire(checksum).to_be_bytes());
    header
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 5952 §6 for IPv6: at most 39 characters of address, brackets, colon and port.
        let mut text = heapless::String::<47>::new();
        let Endpoint { address, port } = self;
        match address.version() {
            Version::V4 => fmt::write(&mut text, format_args!("{address}:{port}"))?,
            Version::V6 => fmt::write(&mut text, format_args!("[{address}]:{port}"))?,
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests;
