//! ICMP (RFC 792): the echo that a VIP answers.

use super::checksum::{Delta, Sum};
use super::{Ipv4, bytes_at, put};
use crate::DropReason;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
/// TTL of a reply: what the request had left says nothing about the way back.
const TTL: u8 = 64;

/// Turns an echo request to us into its reply, in place; anything else is refused.
pub fn answer_echo(frame: &mut [u8], ip: &Ipv4) -> Result<(), DropReason> {
    let message = &frame[ip.payload_at..ip.end_at];
    let [kind, code, c0, c1, ..] = bytes_at::<8>(message, 0).ok_or(DropReason::Icmp)?;
    let is_right = Sum::default().bytes(message).checksum() == 0;
    if (kind, code) != (ECHO_REQUEST, 0) || !is_right {
        return Err(DropReason::Icmp);
    }
    let word = |kind: u8| u16::from_be_bytes([kind, code]);
    let delta = Delta::default().word(word(ECHO_REQUEST), word(ECHO_REPLY));
    let checksum = delta.apply(u16::from_be_bytes([c0, c1]));
    frame[ip.payload_at] = ECHO_REPLY;
    put(frame, ip.payload_at + 2, checksum.to_be_bytes());
    ip.set_addresses(frame, ip.destination, ip.source);
    ip.set_ttl(frame, TTL);
    Ok(())
}
