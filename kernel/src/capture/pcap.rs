//! The file that a capture is: classic pcap, as every tool that looks at frames reads it (the IETF's
//! draft-ietf-opsawg-pcap), little-endian, with nanoseconds. The appliance has no calendar: times
//! count from its start, so a reader shows the first hours of 1970.

use lb::Instant;

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
const LINKTYPE_ETHERNET: u32 = 1;

/// Bytes before each frame.
pub(super) const RECORD_BYTES: usize = 16;

/// What the file begins with.
pub(super) fn file_header(snap_bytes: u16) -> impl Iterator<Item = u8> {
    let [major, minor] = VERSION;
    let version = u32::from(major) | u32::from(minor) << 16;
    // Two words of zone and precision that nobody fills in any more.
    let words = [MAGIC_NANOSECONDS, version, 0, 0, u32::from(snap_bytes), LINKTYPE_ETHERNET];
    words.into_iter().flat_map(u32::to_le_bytes)
}

/// What stands before a frame of which `kept` bytes of `len` follow.
pub(super) fn record_header(at: Instant, kept: usize, len: usize) -> [u8; RECORD_BYTES] {
    const NANOS: u64 = 1_000_000_000;
    let mut header = [0; RECORD_BYTES];
    let (second, nanos) = (at.as_nanos() / NANOS, at.as_nanos() % NANOS);
    let words = [second as u32, nanos as u32, kept as u32, len as u32];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    header
}
