//! Ethernet II and IEEE 802.1Q tags.

use super::{bytes_at, put};
use crate::{DropReason, MacAddr};

/// Bytes of an untagged header.
pub const HEADER_BYTES: usize = 14;
/// Bytes of a packet of ours, at most.
pub const PAYLOAD_BYTES_MAX: usize = 1500;
pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q and 802.1ad tags: the outer one names the VLAN, what is inside it is opaque.
const ETHERTYPES_TAG: [u16; 2] = [0x8100, 0x88a8];
/// The highest VLAN; 4095 is reserved (IEEE 802.1Q, table 9-2).
pub const VLAN_MAX: u16 = 4094;
/// Lower numbers are lengths, of LLC frames (IEEE 802.3 §3.2.6).
const ETHERTYPES_FROM: u16 = 0x0600;
/// Bytes of a tag.
const TAG_BYTES: usize = 4;

/// The header of a frame; `vlan` 0 is untagged or priority-tagged.
///
/// In this order, so that the VLAN, which goes into every key, is not read together with what was
/// stored beside it: such a read waits until both have met in the cache (4 ns a frame).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ethernet {
    pub destination: MacAddr,
    pub source: MacAddr,
    /// Below 0x0600 an 802.3 length: never parsed further.
    pub ethertype: u16,
    pub vlan: u16,
    pub payload_at: usize,
}

impl Ethernet {
    /// Reads the header.
    pub fn parse(frame: &[u8]) -> Result<Ethernet, DropReason> {
        let header = frame.first_chunk::<HEADER_BYTES>().ok_or(DropReason::Runt)?;
        // Each field in one piece: an address that is put together from bytes is stored in parts,
        // and its next reader waits until the parts have met in the cache (8 ns a frame).
        let (Some(destination), Some(source), Some(ethertype)) =
            (bytes_at(header, 0), bytes_at(header, 6), bytes_at(header, 12))
        else {
            return Err(DropReason::Runt);
        };
        let untagged = Ethernet {
            destination: MacAddr(destination),
            source: MacAddr(source),
            vlan: 0,
            ethertype: u16::from_be_bytes(ethertype),
            payload_at: HEADER_BYTES,
        };
        if !ETHERTYPES_TAG.contains(&untagged.ethertype) {
            return Ok(untagged);
        }
        let Some([tci0, tci1, t0, t1]) = bytes_at(frame, HEADER_BYTES) else {
            return Err(DropReason::ShortVlan);
        };
        let vlan = u16::from_be_bytes([tci0, tci1]) & 0x0fff;
        if vlan > VLAN_MAX {
            return Err(DropReason::VlanTag);
        }
        let ethertype = u16::from_be_bytes([t0, t1]);
        Ok(Ethernet { vlan, ethertype, payload_at: HEADER_BYTES + TAG_BYTES, ..untagged })
    }

    /// Whether there is a tag, be it one of priority alone.
    pub fn is_tagged(&self) -> bool {
        self.payload_at != HEADER_BYTES
    }

    /// Where the packet begins: behind the tag that another one hides, too.
    #[inline(always)]
    pub fn packet_at(&self) -> usize {
        self.payload_at + if self.hides_tag() { TAG_BYTES } else { 0 }
    }

    /// Whether another tag follows the first.
    pub fn hides_tag(&self) -> bool {
        ETHERTYPES_TAG.contains(&self.ethertype)
    }
}

/// Whether a host could take for ARP or IP what is neither by its header: LLC/SNAP, or several tags of
/// which one names no VLAN, which is skipped.
pub fn is_disguise(header: &Ethernet, frame: &[u8]) -> bool {
    if header.ethertype < ETHERTYPES_FROM {
        return true;
    }
    let mut names_none = header.vlan == 0;
    let mut tags = 0;
    let inner = frame.get(header.payload_at..).unwrap_or_default();
    let mut ethertype = header.ethertype;
    // As many as there are bytes for, or one that is cut short.
    for tag in inner.chunks(TAG_BYTES) {
        if !ETHERTYPES_TAG.contains(&ethertype) {
            break;
        }
        let Some([tci0, tci1, t0, t1]) = bytes_at(tag, 0) else {
            return true;
        };
        names_none |= u16::from_be_bytes([tci0, tci1]) & 0x0fff == 0;
        ethertype = u16::from_be_bytes([t0, t1]);
        tags += 1;
    }
    tags > 0 && names_none || ethertype < ETHERTYPES_FROM
}

/// A header of ours; tagged for a VLAN other than 0.
pub fn header(
    destination: MacAddr,
    source: MacAddr,
    vlan: u16,
    ethertype: u16,
) -> heapless::Vec<u8, { HEADER_BYTES + TAG_BYTES }> {
    let tag = [ETHERTYPES_TAG[0], vlan].map(u16::to_be_bytes);
    let tag: &[[u8; 2]] = if vlan == 0 { &[] } else { &tag };
    let addresses = destination.0.into_iter().chain(source.0);
    let rest = tag.iter().copied().chain([ethertype.to_be_bytes()]).flatten();
    // There is room for addresses, tag and ethertype.
    addresses.chain(rest).collect()
}

/// Writes both addresses of a parsed frame.
#[inline(always)]
pub fn set_addresses(frame: &mut [u8], destination: MacAddr, source: MacAddr) {
    put(frame, 0, destination.0);
    put(frame, 6, source.0);
}

/// Writes the source address alone.
#[inline(always)]
pub fn set_source(frame: &mut [u8], source: MacAddr) {
    put(frame, 6, source.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    fn frame(rest: &[u8]) -> std::vec::Vec<u8> {
        [&MACS[..], rest].concat()
    }

    #[test]
    fn what_is_no_frame() {
        for len in 0..HEADER_BYTES {
            assert_eq!(Ethernet::parse(&[0; 64][..len]), Err(DropReason::Runt), "P1 P2 {len}");
        }
        for rest in [&[0x81, 0][..], &[0x81, 0, 0, 5], &[0x81, 0, 0, 5, 8]] {
            assert_eq!(Ethernet::parse(&frame(rest)), Err(DropReason::ShortVlan), "P9");
        }
        let reserved = frame(&[0x81, 0, 0x0f, 0xff, 8, 0]);
        assert_eq!(Ethernet::parse(&reserved), Err(DropReason::VlanTag), "P9");
    }

    #[test]
    fn what_is_written_is_parsed() {
        let [destination, source] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
        for (vlan, payload_at) in [(0, 14), (10, 18)] {
            let written = header(destination, source, vlan, ETHERTYPE_IPV6);
            let ethertype = ETHERTYPE_IPV6;
            let expected = Ethernet { destination, source, vlan, ethertype, payload_at };
            assert_eq!(Ethernet::parse(&written), Ok(expected));
        }
    }

    #[test]
    fn the_outer_tag_names_the_vlan() {
        let untagged = Ethernet::parse(&frame(&[8, 0])).unwrap();
        assert_eq!((untagged.vlan, untagged.ethertype, untagged.payload_at), (0, 0x0800, 14));
        let tagged = Ethernet::parse(&frame(&[0x81, 0, 0xe0, 10, 8, 6])).unwrap();
        assert_eq!((tagged.vlan, tagged.ethertype, tagged.payload_at), (10, 0x0806, 18));
        let double = Ethernet::parse(&frame(&[0x88, 0xa8, 0, 10, 0x81, 0, 0, 20, 8, 0])).unwrap();
        assert_eq!((double.vlan, double.ethertype), (10, 0x8100));
    }
}
