//! Makes the lengths and checksums of a frame right, as far as it can be read.
//!
//! A byte changed at random makes a frame that is refused at its first checksum. Mended, the same
//! frame gets as far as its other bytes let it. Sums are made by a foreign library.

use std::ops::Range;

use etherparse::checksum::Sum16BitWords;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const FRAGMENT: u8 = 44;
/// Hop-by-hop, routing, destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const EXTENSIONS_MAX: usize = 8;

/// Where things are in a frame.
struct Layout {
    addresses: Range<usize>,
    payload_at: usize,
    protocol: u8,
    /// The transport's checksum is not over this packet alone.
    is_part: bool,
}

/// Makes the frame's packet fill it, and its checksums right.
pub fn mend(frame: &mut [u8]) {
    let Some((ip_at, ethertype)) = network(frame) else {
        return;
    };
    let layout = match ethertype {
        0x0800 => mend_ipv4(frame, ip_at),
        0x86dd => mend_ipv6(frame, ip_at),
        _ => None,
    };
    if let Some(layout) = layout.filter(|layout| !layout.is_part) {
        mend_transport(frame, &layout);
    }
}

/// Makes the sum right of the bytes from `at` on, with its field at `field`.
pub fn mend_sum(frame: &mut [u8], at: usize, field: usize, pseudo: Sum16BitWords) {
    if frame.len() < field + 2 {
        return;
    }
    frame[field..field + 2].fill(0);
    let sum = pseudo.add_slice(&frame[at..]).ones_complement();
    frame[field..field + 2].copy_from_slice(&sum.to_ne_bytes());
}

/// The sum of the pseudo header: both addresses as they stand in the packet, and what else.
pub fn pseudo_header(addresses: &[u8], protocol: u8, len: usize) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new().add_slice(addresses);
    sum.add_4bytes((len as u32).to_be_bytes()).add_2bytes([0, protocol])
}

fn network(frame: &[u8]) -> Option<(usize, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    match word(12)? {
        0x8100 | 0x88a8 => Some((18, word(16)?)),
        ethertype => Some((14, ethertype)),
    }
}

fn mend_ipv4(frame: &mut [u8], at: usize) -> Option<Layout> {
    let total_len = u16::try_from(frame.len().checked_sub(at)?).ok()?;
    let header_len = usize::from(frame.get(at)? & 0x0f) * 4;
    if header_len < 20 || header_len > usize::from(total_len) {
        return None;
    }
    frame[at + 2..at + 4].copy_from_slice(&total_len.to_be_bytes());
    frame[at + 10..at + 12].fill(0);
    let sum = Sum16BitWords::new().add_slice(&frame[at..at + header_len]).ones_complement();
    frame[at + 10..at + 12].copy_from_slice(&sum.to_ne_bytes());
    let is_part = frame[at + 6] & 0x3f != 0 || frame[at + 7] != 0;
    let (payload_at, protocol) = (at + header_len, frame[at + 9]);
    Some(Layout { addresses: at + 12..at + 20, payload_at, protocol, is_part })
}

fn mend_ipv6(frame: &mut [u8], at: usize) -> Option<Layout> {
    let payload_len = u16::try_from(frame.len().checked_sub(at + 40)?).ok()?;
    frame[at + 4..at + 6].copy_from_slice(&payload_len.to_be_bytes());
    let (mut protocol, mut payload_at, mut is_part) = (frame[at + 6], at + 40, false);
    for _ in 0..EXTENSIONS_MAX {
        let Some(&[next, len, high, low]) = frame.get(payload_at..)?.first_chunk() else {
            break;
        };
        if protocol == FRAGMENT {
            is_part |= high != 0 || low & !6 != 0;
            payload_at += 8;
        } else if EXTENSIONS.contains(&protocol) {
            payload_at += 8 + usize::from(len) * 8;
        } else {
            break;
        }
        protocol = next;
    }
    Some(Layout { addresses: at + 8..at + 40, payload_at, protocol, is_part })
}

fn mend_transport(frame: &mut [u8], layout: &Layout) {
    let &Layout { ref addresses, payload_at: at, protocol, .. } = layout;
    let Some(len) = frame.len().checked_sub(at) else {
        return;
    };
    let pseudo = |frame: &[u8]| pseudo_header(&frame[addresses.clone()], protocol, len);
    match protocol {
        TCP => {
            let sum = pseudo(frame);
            mend_sum(frame, at, at + 16, sum);
        }
        UDP if len >= 8 => {
            frame[at + 4..at + 6].copy_from_slice(&(len as u16).to_be_bytes());
            let sum = pseudo(frame);
            mend_sum(frame, at, at + 6, sum);
            if frame[at + 6..at + 8] == [0, 0] {
                frame[at + 6..at + 8].fill(0xff);
            }
        }
        ICMP => mend_sum(frame, at, at + 2, Sum16BitWords::new()),
        ICMPV6 => {
            let sum = pseudo(frame);
            mend_sum(frame, at, at + 2, sum);
        }
        _ => {}
    }
}
