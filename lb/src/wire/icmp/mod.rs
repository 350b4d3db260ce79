//! ICMP (RFC 792) and ICMPv6 (RFC 4443): the echo that a VIP answers, and errors with the packet
//! that they quote ([`error`]).

pub mod error;

use super::checksum::{Delta, Sum};
use super::ip::{Version, pseudo_header};
use super::{Address, Ip, bytes_at, put};
use crate::DropReason;

pub use error::{IcmpError, Translation};

/// IANA protocol numbers.
pub const PROTOCOL_V4: u8 = 1;
pub const PROTOCOL_V6: u8 = 58;

/// Bytes before the payload of an echo, or before the packet that an error quotes.
pub const HEADER_BYTES: usize = 8;

/// TTL of a reply: what the request had left says nothing about the way back.
const TTL: u8 = 64;

/// The numbers of one version.
struct Types {
    echo_request: u8,
    echo_reply: u8,
}

const V4: Types = Types { echo_request: 8, echo_reply: 0 };
const V6: Types = Types { echo_request: 128, echo_reply: 129 };

/// Whether a packet carries ICMP of its own version.
pub fn is_icmp(ip: &Ip) -> bool {
    match ip.version {
        Version::V4 => ip.protocol == PROTOCOL_V4,
        Version::V6 => ip.protocol == PROTOCOL_V6,
    }
}

/// Whether a message is about another packet (RFC 1122 §3.2.2, RFC 4443 §2.1); by its type alone.
pub fn is_error(frame: &[u8], ip: &Ip) -> bool {
    ip.payload(frame).first().is_some_and(|&kind| error::is_error_type(ip.version, kind))
}

/// What a message must be before anything is done about it: as it was sent.
pub fn check_sum(frame: &[u8], ip: &Ip) -> Result<(), DropReason> {
    let pseudo = match ip.version {
        Version::V4 => Sum::default(),
        Version::V6 => ip.pseudo_header(),
    };
    let is_whole = ip.end_at <= frame.len();
    match pseudo.bytes(ip.payload(frame)).checksum() {
        0 if is_whole => Ok(()),
        _ => Err(DropReason::Icmp),
    }
}

/// The protocol number of a version's ICMP.
pub const fn protocol_of(version: Version) -> u8 {
    match version {
        Version::V4 => PROTOCOL_V4,
        Version::V6 => PROTOCOL_V6,
    }
}

const fn types_of(version: Version) -> Types {
    match version {
        Version::V4 => V4,
        Version::V6 => V6,
    }
}

/// An echo request of ours, without a payload.
pub fn echo_request(
    source: Address,
    destination: Address,
    id: u16,
    sequence: u16,
) -> [u8; HEADER_BYTES] {
    let version = destination.version();
    let mut request = [0; HEADER_BYTES];
    request[0] = types_of(version).echo_request;
    put(&mut request, 4, id.to_be_bytes());
    put(&mut request, 6, sequence.to_be_bytes());
    let pseudo = match version {
        Version::V4 => Sum::default(),
        Version::V6 => pseudo_header(source, destination, PROTOCOL_V6, HEADER_BYTES),
    };
    let checksum = pseudo.bytes(&request).checksum();
    put(&mut request, 2, checksum.to_be_bytes());
    request
}

/// Identifier and sequence number, if a packet is an echo reply.
pub fn echo_reply(frame: &[u8], ip: &Ip) -> Option<(u16, u16)> {
    let header = bytes_at::<HEADER_BYTES>(ip.payload(frame), 0)?;
    let [kind, code, _, _, i0, i1, s0, s1] = header;
    let is_reply = (kind, code) == (types_of(ip.version).echo_reply, 0);
    is_reply.then_some((u16::from_be_bytes([i0, i1]), u16::from_be_bytes([s0, s1])))
}

/// Whether an error says that nobody listens at the port (RFC 792, RFC 4443 §3.1).
pub fn is_port_unreachable(frame: &[u8], ip: &Ip) -> bool {
    let kind_and_code = match ip.version {
        Version::V4 => [3, 3],
        Version::V6 => [1, 4],
    };
    ip.payload(frame).starts_with(&kind_and_code)
}

/// Turns an echo request to us into its reply, in place; anything else is refused.
pub fn answer_echo(frame: &mut [u8], ip: &Ip) -> Result<(), DropReason> {
    let types = types_of(ip.version);
    let header = bytes_at::<HEADER_BYTES>(ip.payload(frame), 0).ok_or(DropReason::Icmp)?;
    let [kind, code, c0, c1, ..] = header;
    if (kind, code) != (types.echo_request, 0) {
        return Err(DropReason::Icmp);
    }
    // Of one that goes on in other buffers a wrong sum stays wrong, and who asked finds it out.
    if ip.end_at <= frame.len() {
        check_sum(frame, ip)?;
    }
    let word = |kind: u8| u16::from_be_bytes([kind, code]);
    // The pseudo header of ICMPv6 has both addresses, so turning them round changes no sum.
    let delta = Delta::default().word(word(types.echo_request), word(types.echo_reply));
    let checksum = match delta.apply(u16::from_be_bytes([c0, c1])) {
        // Of nothing but zeros both are the sum in one's complement, and only this one is right.
        0 => 0xffff,
        checksum => checksum,
    };
    frame[ip.payload_at] = types.echo_reply;
    put(frame, ip.payload_at + 2, checksum.to_be_bytes());
    ip.set_addresses(frame, ip.destination, ip.source);
    ip.set_ttl(frame, TTL);
    Ok(())
}
