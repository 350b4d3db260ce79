//! ICMP (RFC 792): the echo that a VIP answers, and errors with the packet that they quote
//! ([`error`]).

pub mod error;

use super::checksum::{Delta, Sum};
use super::{Ipv4, bytes_at, put};
use crate::DropReason;

pub use error::{IcmpError, Translation};

/// Bytes before the payload of an echo, or before the packet that an error quotes.
const HEADER_BYTES: usize = 8;

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const SOURCE_QUENCH: u8 = 4;
const REDIRECT: u8 = 5;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
/// TTL of a reply: what the request had left says nothing about the way back.
const TTL: u8 = 64;

/// Whether a message is about another packet (RFC 1122 §3.2.2); by its type alone.
pub fn is_error(frame: &[u8], ip: &Ipv4) -> bool {
    frame[ip.payload_at..ip.end_at].first().is_some_and(|&kind| is_error_type(kind))
}

/// What a message must be before anything is done about it: as it was sent.
pub fn check_sum(frame: &[u8], ip: &Ipv4) -> Result<(), DropReason> {
    match Sum::default().bytes(&frame[ip.payload_at..ip.end_at]).checksum() {
        0 => Ok(()),
        _ => Err(DropReason::Icmp),
    }
}

/// Turns an echo request to us into its reply, in place; anything else is refused.
pub fn answer_echo(frame: &mut [u8], ip: &Ipv4) -> Result<(), DropReason> {
    let message = &frame[..ip.end_at];
    let header = bytes_at::<HEADER_BYTES>(message, ip.payload_at).ok_or(DropReason::Icmp)?;
    let [kind, code, c0, c1, ..] = header;
    if (kind, code) != (ECHO_REQUEST, 0) {
        return Err(DropReason::Icmp);
    }
    check_sum(frame, ip)?;
    let word = |kind: u8| u16::from_be_bytes([kind, code]);
    let delta = Delta::default().word(word(ECHO_REQUEST), word(ECHO_REPLY));
    let checksum = delta.apply(u16::from_be_bytes([c0, c1]));
    frame[ip.payload_at] = ECHO_REPLY;
    put(frame, ip.payload_at + 2, checksum.to_be_bytes());
    ip.set_addresses(frame, ip.destination, ip.source);
    ip.set_ttl(frame, TTL);
    Ok(())
}

fn is_error_type(kind: u8) -> bool {
    matches!(
        kind,
        DESTINATION_UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
    )
}
