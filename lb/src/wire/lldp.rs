//! LLDP (IEEE 802.1AB): who is at the other end of a link, in TLVs of seven bits of type and nine of
//! length.
//!
//! What comes is read in full before any of it is believed. The first three TLVs, who it is, by which
//! port and for how long, must be there, in that order and never again; a TLV that is longer than what
//! is left spoils all (§9.2.7). Of the others those that make no sense are skipped, and so are those
//! that nobody here asks for. Texts are bytes: whoever shows them sees to it that they are only shown.

use core::net::IpAddr;

use super::bytes_at;
use crate::MacAddr;

pub const ETHERTYPE_LLDP: u16 = 0x88cc;
/// The group of the nearest bridge (§7.1, table 7-1).
pub const NEAREST_BRIDGE: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
/// How much of a text or of an identity is kept; the standard allows 255 bytes.
pub const TEXT_BYTES_MAX: usize = 128;
/// Bytes of an advertisement of ours, at most: each of its texts in full.
pub const PACKET_BYTES_MAX: usize = 4 * (3 + TEXT_BYTES_MAX) + 64;

/// A capability's bit: it forwards frames as a bridge (§8.5.8, table 8-4).
pub const BRIDGE: u16 = 1 << 2;

pub type Text = heapless::Vec<u8, TEXT_BYTES_MAX>;

/// What somebody says of himself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    pub chassis: Id,
    pub port: Id,
    /// How long it holds; 0: it does no more.
    pub ttl_s: u16,
    pub system_name: Option<Text>,
    pub description: Option<Text>,
    /// What it can do, and what of that it does.
    pub capabilities: Option<[u16; 2]>,
    /// Where it is managed, one of each IP version at most.
    pub management: heapless::Vec<IpAddr, 2>,
}

/// An identity: what sort it is of, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    pub kind: IdKind,
    pub bytes: Text,
}

/// What the bytes of an identity are. The standard has more sorts, which are all text to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    Mac,
    /// Led by a byte that says of which family.
    Network,
    /// The name of a port.
    Name,
    /// Another sort, by its number.
    Other(u8),
}

/// Not an advertisement that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Types of TLVs (§8.4.1, table 8-1).
const END: u8 = 0;
const CHASSIS: u8 = 1;
const PORT: u8 = 2;
const TTL: u8 = 3;
const SYSTEM_NAME: u8 = 5;
const DESCRIPTION: u8 = 6;
const CAPABILITIES: u8 = 7;
const MANAGEMENT: u8 = 8;

/// How chassis and port number their sorts of identities (tables 8-2 and 8-3).
const OF_CHASSIS: Numbers = Numbers { mac: 4, network: 5, name: 6 };
const OF_PORT: Numbers = Numbers { mac: 3, network: 4, name: 5 };

/// Families of addresses (IANA).
const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;

#[derive(Clone, Copy)]
struct Numbers {
    mac: u8,
    network: u8,
    name: u8,
}

impl Advertisement {
    /// Reads what follows the header of a frame.
    pub fn parse(bytes: &[u8]) -> Result<Advertisement, Malformed> {
        let mut tlvs = Tlvs(bytes);
        let chassis = id(tlvs.need(CHASSIS)?, OF_CHASSIS)?;
        let port = id(tlvs.need(PORT)?, OF_PORT)?;
        let ttl = bytes_at(tlvs.need(TTL)?, 0).ok_or(Malformed)?;
        let mut said = Advertisement::new(chassis, port, u16::from_be_bytes(ttl));
        while let Some((kind, value)) = tlvs.next()? {
            match kind {
                END => break,
                CHASSIS | PORT | TTL => return Err(Malformed),
                SYSTEM_NAME => _ = said.system_name.get_or_insert_with(|| text(value)),
                DESCRIPTION => _ = said.description.get_or_insert_with(|| text(value)),
                CAPABILITIES => said.capabilities = said.capabilities.or(capabilities(value)),
                // The third address of one that has many finds no place.
                MANAGEMENT => said.management.extend(management(value).filter(|address| {
                    let is_like = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
                    !said.management.iter().any(is_like)
                })),
                _ => {}
            }
        }
        Ok(said)
    }

    /// One that says nothing else.
    pub fn new(chassis: Id, port: Id, ttl_s: u16) -> Advertisement {
        let management = heapless::Vec::new();
        let (system_name, description, capabilities) = (None, None, None);
        Advertisement { chassis, port, ttl_s, system_name, description, capabilities, management }
    }

    /// What follows the header of a frame that says this.
    pub fn packet(&self) -> heapless::Vec<u8, PACKET_BYTES_MAX> {
        let mut packet = heapless::Vec::new();
        let mut put = |kind: u8, parts: &[&[u8]]| {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            let head = (u16::from(kind) << 9 | len as u16).to_be_bytes();
            // The parts are bounded, and the packet has room for the longest of each.
            let whole = core::iter::once(&head[..]).chain(parts.iter().copied());
            packet.extend(whole.flatten().copied());
        };
        put(CHASSIS, &[&[OF_CHASSIS.of(self.chassis.kind)], &self.chassis.bytes]);
        put(PORT, &[&[OF_PORT.of(self.port.kind)], &self.port.bytes]);
        put(TTL, &[&self.ttl_s.to_be_bytes()]);
        self.system_name.iter().for_each(|name| put(SYSTEM_NAME, &[name]));
        self.description.iter().for_each(|text| put(DESCRIPTION, &[text]));
        if let Some([can, does]) = self.capabilities {
            put(CAPABILITIES, &[&can.to_be_bytes(), &does.to_be_bytes()]);
        }
        for address in &self.management {
            // It is of no interface of its own, and no object tells more of it.
            const REST: [u8; 6] = [1, 0, 0, 0, 0, 0];
            match address {
                IpAddr::V4(v4) => put(MANAGEMENT, &[&[5, FAMILY_V4], &v4.octets(), &REST]),
                IpAddr::V6(v6) => put(MANAGEMENT, &[&[17, FAMILY_V6], &v6.octets(), &REST]),
            }
        }
        put(END, &[]);
        packet
    }
}

impl Id {
    pub fn mac(mac: MacAddr) -> Id {
        Id { kind: IdKind::Mac, bytes: text(&mac.0) }
    }

    pub fn name(name: &str) -> Id {
        Id { kind: IdKind::Name, bytes: text(name.as_bytes()) }
    }

    /// The MAC that it is, if it is one.
    pub fn as_mac(&self) -> Option<MacAddr> {
        match (self.kind, &self.bytes[..]) {
            (IdKind::Mac, &[a, b, c, d, e, f]) => Some(MacAddr([a, b, c, d, e, f])),
            _ => None,
        }
    }

    /// The address that it is, if it is one.
    pub fn as_address(&self) -> Option<IpAddr> {
        match (self.kind, self.bytes.split_first()) {
            (IdKind::Network, Some((&family, octets))) => address(family, octets),
            _ => None,
        }
    }
}

/// Bytes, as far as they are kept.
pub fn text(bytes: &[u8]) -> Text {
    bytes.iter().copied().take(TEXT_BYTES_MAX).collect()
}

/// What is left of the TLVs.
struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// The type and the value of the next one; `None` behind the last.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        let head = u16::from_be_bytes(*head);
        let (value, rest) = rest.split_at_checked(usize::from(head & 0x1ff)).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Some(((head >> 9) as u8, value)))
    }

    /// The value of the next one, which must be of this type.
    fn need(&mut self, kind: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            Some((found, value)) if found == kind => Ok(value),
            Some(_) | None => Err(Malformed),
        }
    }
}

impl Numbers {
    fn of(self, kind: IdKind) -> u8 {
        match kind {
            IdKind::Mac => self.mac,
            IdKind::Network => self.network,
            IdKind::Name => self.name,
            IdKind::Other(number) => number,
        }
    }

    fn kind(self, number: u8) -> IdKind {
        match number {
            _ if number == self.mac => IdKind::Mac,
            _ if number == self.network => IdKind::Network,
            _ if number == self.name => IdKind::Name,
            number => IdKind::Other(number),
        }
    }
}

fn id(value: &[u8], numbers: Numbers) -> Result<Id, Malformed> {
    match value.split_first() {
        Some((&number, bytes)) if !bytes.is_empty() && bytes.len() <= 255 => {
            Ok(Id { kind: numbers.kind(number), bytes: text(bytes) })
        }
        Some(_) | None => Err(Malformed),
    }
}

fn capabilities(value: &[u8]) -> Option<[u16; 2]> {
    let [c0, c1, d0, d1] = bytes_at(value, 0)?;
    Some([u16::from_be_bytes([c0, c1]), u16::from_be_bytes([d0, d1])])
}

fn management(value: &[u8]) -> Option<IpAddr> {
    let (&len, rest) = value.split_first()?;
    let (&family, octets) = rest.get(..usize::from(len))?.split_first()?;
    address(family, octets)
}

fn address(family: u8, octets: &[u8]) -> Option<IpAddr> {
    match family {
        FAMILY_V4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)),
        FAMILY_V6 => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
