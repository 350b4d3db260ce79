//! Placement by hash: who gets a flow follows from who calls, and from nothing else.
//!
//! `sh` places a client by its address, so that a client keeps its real over all its connections
//! (and over all services whose reals are the same guests). `mh` places a flow by both its ends;
//! its table is [`super::maglev`], and this file has its key and says what is done when the table
//! does not help.
//!
//! Two appliances, or one before and after a restart, must place alike without having talked. So
//! the hash is fixed and has no key, it knows a real by its guest's *name* (slots are numbers of
//! this hour), and the order in which reals were set does not matter. The weight is the operator's:
//! an agent's wish is heard on its own host only and changes from report to report, and with it
//! clients would wander; what an agent can do is to ask for no new flow at all. That anybody can
//! work out where his flows go is the price, and why the flow table's own hash is a keyed one.
//!
//! **Rendezvous** (Thaler and Ravishankar, 1998). Every real draws a number from its name and the
//! key, and the best number wins. For weights the numbers are waiting times, `−ln u ÷ weight` with
//! `u` even in (0, 1): the first to come is real `i` with probability `weightᵢ ÷ Σ weight`
//! (Schindelhauer and Schomaker, 2005). A real that goes, or that may not be chosen now, takes
//! only its own clients along, each to the real that is the next in *that client's* order; one
//! whose weight grows only wins; nobody else moves. IPVS's `sh` looks into a table of 256 slots
//! and moves nearly everybody when a real comes or goes; a table that did not would be Maglev's.
//! Rendezvous asks every candidate, of which a service has at most 64, and needs no table, no
//! memory and no time to build one.
//!
//! Logarithms to base 2 will do, as only their ratios count: [`log2`] has 32 bits behind the
//! point, from a table made at compile time, and is off by less than 3 millionths, which moves one
//! flow in 10⁵. All is integers, so every machine agrees.

use core::net::IpAddr;

use super::maglev::Member;
use crate::{Name, Protocol, RealId};

/// A guest's name as a number: the same on every appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameHash(u64);

/// Whose flow it is, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowHash(u64);

/// Fills the gaps between words that differ little (2⁶⁴ over the golden ratio).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl NameHash {
    /// The name's length, then its bytes in little-endian words of eight, the last filled with 0.
    pub fn of(name: &Name) -> NameHash {
        let bytes = name.as_str().as_bytes();
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        NameHash(words.fold(mix(bytes.len() as u64), absorb))
    }

    /// Another number of the same name for each `purpose`.
    pub(super) fn derive(self, purpose: u64) -> u64 {
        absorb(self.0, purpose)
    }
}

impl FlowHash {
    /// For `sh`: the client's address alone.
    pub fn of_client(client: IpAddr) -> FlowHash {
        FlowHash(address(mix(STEP), client))
    }

    /// For `sh-port`: the client's address and port.
    pub fn of_client_end(client: IpAddr, port: u16) -> FlowHash {
        FlowHash(absorb(address(mix(STEP), client), u64::from(port)))
    }

    /// For `mh`: client address, client port, protocol, VIP and its port.
    pub fn of_ends(client: (IpAddr, u16), protocol: Protocol, vip: (IpAddr, u16)) -> FlowHash {
        let number = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        let ports = u64::from(client.1) | u64::from(vip.1) << 16 | number << 32;
        FlowHash(absorb(address(address(mix(STEP), client.0), vip.0), ports))
    }

    /// Even over `0..bound`.
    pub(super) fn below(self, bound: usize) -> usize {
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

/// The one whose turn comes first for this key.
pub fn rendezvous<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    key: FlowHash,
) -> Option<RealId> {
    let mut first: Option<(u64, &Member)> = None;
    for member in members {
        let wait = wait(absorb(key.0, member.name.0));
        let is_sooner = first.is_none_or(|(soonest, other)| {
            // `a / v < b / w` without dividing; waits fit 39 bits and weights 10.
            let (mine, its) = (wait * u64::from(other.weight), soonest * u64::from(member.weight));
            (mine, member.name) < (its, other.name)
        });
        if is_sooner {
            first = Some((wait, member));
        }
    }
    first.map(|(_, member)| member.real)
}

/// `−log2 u` with 32 bits behind the point, for the `u` in (0, 1) that a hash stands for.
fn wait(hash: u64) -> u64 {
    (64 << LOG_BITS) - log2(hash.max(1))
}

/// With 32 bits behind the point; between the 256 places of the table it is a straight line.
fn log2(number: u64) -> u64 {
    let zeros = number.leading_zeros();
    let mantissa = number << zeros;
    let at = (mantissa >> 55) as usize & 0xff;
    let beyond = (mantissa >> 23) & 0xffff_ffff;
    let (low, high) = (LOG[at], LOG[at + 1]);
    (u64::from(63 - zeros) << LOG_BITS) + low + (((high - low) * beyond) >> LOG_BITS)
}

const LOG_BITS: u32 = 32;
/// `log2(1 + i / 256)`, each bit by squaring.
const LOG: [u64; 257] = {
    let mut table = [0; 257];
    let mut at = 0;
    while at < 256 {
        // In [1, 2), with 63 bits behind the point.
        let mut x = (256 + at as u128) << 55;
        let (mut bit, mut log) = (0, 0);
        while bit < LOG_BITS {
            x = (x * x) >> 63;
            log <<= 1;
            if x >= 1 << 64 {
                x >>= 1;
                log |= 1;
            }
            bit += 1;
        }
        table[at] = log;
        at += 1;
    }
    table[256] = 1 << LOG_BITS;
    table
};

/// An address as 128 bits, an IPv4 one mapped into IPv6 (RFC 4291 §2.5.5.2).
fn address(hash: u64, address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    absorb(absorb(hash, (bits >> 64) as u64), bits as u64)
}

fn absorb(hash: u64, word: u64) -> u64 {
    mix(hash.wrapping_add(STEP) ^ word)
}

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves half of
/// the output's.
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests;
