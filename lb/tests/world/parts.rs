//! Datagrams in fragments: cut by hand, put together by a foreign stack.

use std::net::IpAddr;

use etherparse::defrag::IpDefragPool;
use etherparse::{LinkSlice, SlicedPacket};

use super::*;

/// Cuts a packet without options or extensions into fragments of so many bytes of payload.
pub fn cut(whole: &[u8], ends: &Ends, identification: u16, part_len: usize) -> Vec<Vec<u8>> {
    assert!(part_len.is_multiple_of(8));
    let (headers, payload) = whole.split_at(ends.payload_at());
    let count = payload.len().div_ceil(part_len);
    let part = |(index, bytes): (usize, &[u8])| {
        part(headers, ends, identification, index * part_len, index + 1 < count, bytes)
    };
    payload.chunks(part_len).enumerate().map(part).collect()
}

/// One fragment with this place in its datagram.
pub fn part(
    headers: &[u8],
    ends: &Ends,
    identification: u16,
    offset_bytes: usize,
    more: bool,
    bytes: &[u8],
) -> Vec<u8> {
    let at = ends.ip_at();
    let mut frame = headers.to_vec();
    let [i0, i1] = identification.to_be_bytes();
    if ends.source.0.is_ipv4() {
        let [len0, len1] = (20 + bytes.len() as u16).to_be_bytes();
        let word = (offset_bytes / 8) as u16 | u16::from(more) << 13;
        let [o0, o1] = word.to_be_bytes();
        let patches = [(2, len0), (3, len1), (4, i0), (5, i1), (6, o0), (7, o1)];
        patch_ipv4(&mut frame, at, &patches);
    } else {
        let len = (8 + bytes.len() as u16).to_be_bytes();
        frame[at + 4..at + 6].copy_from_slice(&len);
        let next = std::mem::replace(&mut frame[at + 6], 44);
        let [o0, o1] = (offset_bytes as u16 | u16::from(more)).to_be_bytes();
        frame.extend([next, 0, o0, o1, 0, 0, i0, i1]);
    }
    frame.extend(bytes);
    frame
}

/// What a station reads from fragments: the ends that all of them have, and the datagram's payload
/// after its checksum is summed over all of it.
pub fn read_parts(frames: &[Vec<u8>]) -> (Ends, Vec<u8>) {
    let mut pool = IpDefragPool::<(), ()>::new();
    let mut whole = None;
    let mut all_ends = Vec::new();
    for frame in frames {
        let sliced = SlicedPacket::from_ethernet(frame).expect("a whole fragment");
        let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!() };
        let (source, destination, _) = read::network(&sliced);
        all_ends.push(Ends {
            vlan: sliced.vlan_ids().first().map_or(0, |vlan| vlan.value()),
            source_mac: ethernet.source(),
            destination_mac: ethernet.destination(),
            source: (source, 0),
            destination: (destination, 0),
        });
        whole = pool.process_sliced_packet(&sliced, (), ()).expect("a fragment that fits");
    }
    let datagram = whole.expect("the last one completes the datagram").payload;
    let ends = all_ends[0];
    assert!(all_ends.iter().all(|other| *other == ends), "all go one way: {all_ends:?}");
    let (source, destination): (IpAddr, IpAddr) = (ends.source.0, ends.destination.0);
    let sum = pseudo_header(source, destination, 17, datagram.len()).add_slice(&datagram);
    assert_eq!(sum.ones_complement(), 0, "the datagram's checksum");
    let port = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
    let ends = Ends { source: (source, port(0)), destination: (destination, port(2)), ..ends };
    (ends, datagram[8..].to_vec())
}
