//! Datagrams that are longer than a frame: cut by who sends them, put together by who they are for.
//!
//! The receiver believes what RFC 5722 lets it believe: the same part twice is one, but parts that
//! overlap in any other way spoil their datagram. One whose parts are not all there in time is
//! dropped, and so is one that does not sum up in the end; whoever asked will ask again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv4Slice, Ipv6ExtensionSlice, Ipv6FragmentHeader,
    Ipv6Slice,
};

use super::packet::{Cutter, Datagram, PROTOCOL_UDP, ip_header};
use super::{Nanos, SECOND};

/// A datagram waits so long for its last part.
const WAITS: Nanos = 2 * SECOND;
/// Protocol number of the fragment header (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;

#[derive(Clone, Debug)]
pub struct Part {
    pub from: IpAddr,
    pub to: IpAddr,
    pub identification: u32,
    pub offset_bytes: usize,
    pub more: bool,
    pub payload: Vec<u8>,
}

/// Datagrams of which something is still missing.
#[derive(Default)]
pub struct Puzzles(BTreeMap<(u16, IpAddr, IpAddr, u32), Puzzle>);

#[derive(Default)]
struct Puzzle {
    /// By where they begin.
    parts: BTreeMap<usize, Vec<u8>>,
    len_bytes: Option<usize>,
    until: Nanos,
    is_spoiled: bool,
    /// One of them at least is not as it was sent.
    is_damaged: bool,
}

impl Part {
    /// Of IPv6, with the fragment header; IPv4's are shorter.
    pub const HEADERS_BYTES_MAX: usize = 48;

    /// The parts of a datagram, in order.
    pub fn cut(
        from: IpAddr,
        to: IpAddr,
        cutter: &Cutter,
        datagram: &[u8],
    ) -> impl Iterator<Item = Part> {
        let identification = match from {
            IpAddr::V4(_) => cutter.identification & 0xffff,
            IpAddr::V6(_) => cutter.identification,
        };
        let part_bytes = (cutter.mtu_bytes - Part::HEADERS_BYTES_MAX) & !7;
        datagram.chunks(part_bytes).enumerate().map(move |(at, payload)| {
            let offset_bytes = at * part_bytes;
            let more = offset_bytes + payload.len() < datagram.len();
            Part { from, to, identification, offset_bytes, more, payload: payload.to_vec() }
        })
    }

    /// The packet that carries it.
    pub fn bytes(&self, hops: u8) -> Vec<u8> {
        let Part { from, to, identification, offset_bytes, more, ref payload } = *self;
        let offset = (offset_bytes / 8) as u16;
        let fragment_offset = IpFragOffset::try_new(offset).expect("a datagram is not that long");
        let headers = match from {
            IpAddr::V4(_) => {
                let header = ip_header(from, to, (PROTOCOL_UDP, hops), payload.len());
                let (mut header, _) = Ipv4Header::from_slice(&header).expect("just written");
                header.identification = identification as u16;
                (header.dont_fragment, header.more_fragments) = (false, more);
                header.fragment_offset = fragment_offset;
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            IpAddr::V6(_) => {
                let len = Ipv6FragmentHeader::LEN + payload.len();
                let udp = IpNumber(PROTOCOL_UDP);
                let fragment = Ipv6FragmentHeader::new(udp, fragment_offset, more, identification);
                [&ip_header(from, to, (FRAGMENT, hops), len)[..], &fragment.to_bytes()].concat()
            }
        };
        [&headers[..], payload].concat()
    }

    pub fn read_ipv4(ip: &Ipv4Slice<'_>) -> Option<Part> {
        let header = ip.header();
        let is_part = header.is_fragmenting_payload() && header.protocol().0 == PROTOCOL_UDP;
        is_part.then(|| Part {
            from: header.source_addr().into(),
            to: header.destination_addr().into(),
            identification: header.identification().into(),
            offset_bytes: header.fragments_offset().byte_offset().into(),
            more: header.more_fragments(),
            payload: ip.payload().payload.to_vec(),
        })
    }

    pub fn read_ipv6(ip: &Ipv6Slice<'_>) -> Option<Part> {
        let header = ip.header();
        let mut extensions = ip.extensions().clone().into_iter();
        let fragment = extensions.find_map(|extension| match extension {
            Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment),
            _ => None,
        });
        let fragment = fragment.filter(|fragment| fragment.next_header().0 == PROTOCOL_UDP)?;
        Some(Part {
            from: header.source_addr().into(),
            to: header.destination_addr().into(),
            identification: fragment.identification(),
            offset_bytes: fragment.fragment_offset().byte_offset().into(),
            more: fragment.more_fragments(),
            payload: ip.payload().payload.to_vec(),
        })
    }
}

impl Puzzles {
    /// Takes in a part; returns the datagram that is whole with it.
    pub fn take(
        &mut self,
        vlan: u16,
        part: Part,
        is_damaged: bool,
        now: Nanos,
    ) -> Option<Datagram> {
        self.0.retain(|_, puzzle| now < puzzle.until);
        let Part { from, to, identification, .. } = part;
        let key = (vlan, from, to, identification);
        let new = || Puzzle { until: now + WAITS, ..Puzzle::default() };
        let puzzle = self.0.entry(key).or_insert_with(new);
        puzzle.is_damaged |= is_damaged;
        puzzle.take(part);
        if !puzzle.is_whole() {
            return None;
        }
        let puzzle = self.0.remove(&key)?;
        let bytes: Vec<u8> = puzzle.parts.into_values().flatten().collect();
        let datagram = Datagram::read(from, to, &bytes)?;
        assert!(!puzzle.is_damaged, "damaged and yet read: {datagram:?}");
        Some(datagram)
    }
}

impl Puzzle {
    fn take(&mut self, part: Part) {
        let (start, end) = (part.offset_bytes, part.offset_bytes + part.payload.len());
        let ends_elsewhere = !part.more && self.len_bytes.is_some_and(|len| len != end);
        let is_same = self.parts.get(&start).is_some_and(|known| *known == part.payload);
        let overlaps = self.parts.iter().any(|(&at, known)| at < end && start < at + known.len());
        self.is_spoiled |= ends_elsewhere || (overlaps && !is_same);
        if !part.more {
            self.len_bytes = Some(end);
        }
        self.parts.insert(start, part.payload);
    }

    /// Whether nothing is missing, and nothing too much.
    fn is_whole(&self) -> bool {
        let lengths = self.parts.iter();
        let end = lengths.fold(0, |end, (&at, part)| if at == end { at + part.len() } else { end });
        let last = self.parts.last_key_value().map(|(&at, part)| at + part.len());
        !self.is_spoiled && self.len_bytes == Some(end) && last == Some(end)
    }
}
