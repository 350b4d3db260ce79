//! A frame on a cable, and the damage that it may suffer there.
//!
//! Damage strikes behind the Ethernet header of IP packets only, within one byte and once: what
//! Ethernet's own check finds is a loss, and what no checksum can find no stack could be blamed
//! for. So nobody may ever read a damaged frame, whatever the switch has rewritten in it. Nor does
//! damage make a SYN of what was none: the switch sums nothing up, and a client that seems to begin
//! anew behind a connection's last FIN loses what of it is still under way.

use super::dice::Dice;
use super::packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
/// Where a packet says what is behind its header, and where its addresses begin (RFC 8200 §3).
const NEXT_HEADER_AT: usize = 6;
const ADDRESSES_AT: usize = 8;
const FRAGMENT: u8 = 44;
/// The same in IPv4 (RFC 791 §3.1), and TCP's flags (RFC 9293 §3.1).
const PROTOCOL_AT: usize = 9;
const TCP: u8 = 6;
const FLAGS_AT: usize = 13;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FRAGMENT_BYTES: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carried {
    pub bytes: Vec<u8>,
    pub is_damaged: bool,
}

impl Carried {
    /// Flips bits of one byte, which a checksum over it finds; `false` for what none covers, or
    /// not for certain any more.
    pub fn damage(&mut self, dice: &mut Dice) -> bool {
        let places = if self.is_damaged { Vec::new() } else { self.covered() };
        if places.is_empty() {
            return false;
        }
        let opened = self.opens();
        self.bytes[places[dice.index(places.len())]] ^= dice.between(1, 255) as u8;
        self.is_damaged = true;
        opened || !self.opens()
    }

    /// Whether it looks like the SYN that opens a connection.
    fn opens(&self) -> bool {
        let (protocol_at, segment_at) = match self.packet() {
            (ETHERTYPE_IPV4, at) => (at + PROTOCOL_AT, at + IPV4_BYTES),
            (ETHERTYPE_IPV6, at) => (at + NEXT_HEADER_AT, at + IPV6_BYTES),
            _ => return false,
        };
        self.bytes[protocol_at] == TCP && self.bytes[segment_at + FLAGS_AT] & (SYN | ACK) == SYN
    }

    /// The bytes that a checksum covers: in IPv4 all of them, in IPv6 those that nobody changes on
    /// the way. A datagram's checksum would not find that two of its parts are damaged, so of all
    /// parts but the first there is only the header's.
    fn covered(&self) -> Vec<usize> {
        let word = |at: usize| self.word(at);
        match self.packet() {
            (ETHERTYPE_IPV4, at) => {
                let is_later_part = word(at + 6) & 0x1fff != 0;
                let len = if is_later_part { IPV4_BYTES } else { usize::from(word(at + 2)) };
                (at..at + len).collect()
            }
            (ETHERTYPE_IPV6, at) => {
                let payload = at + IPV6_BYTES..at + IPV6_BYTES + usize::from(word(at + 4));
                let addresses = at + ADDRESSES_AT..payload.start;
                let is_part = self.bytes[at + NEXT_HEADER_AT] == FRAGMENT;
                let is_later_part = is_part && word(payload.start + 2) & !7 != 0;
                let skipped = if is_part { FRAGMENT_BYTES } else { 0 };
                match is_later_part {
                    true => Vec::new(),
                    false => addresses.chain(payload.skip(skipped)).collect(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// What is in it, and where that begins.
    fn packet(&self) -> (u16, usize) {
        match self.word(12) {
            ETHERTYPE_VLAN => (self.word(16), 18),
            ethertype => (ethertype, 14),
        }
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }
}
