//! How the memory that was found is divided, once: frames for the NICs, a reserve for everything
//! that is small, and what is left for flows.
//!
//! With 9 NICs a machine of 64 MiB holds 262,144 flows, the default one of 256 MiB 1,048,576.

use drivers::FRAMES_PER_NIC;
use lb::Capacity;
use lb::flow::FlowTable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub frames: usize,
    pub capacity: Capacity,
}

/// Frames beyond those in the rings: copies of a flood, frames that wait to be looked at.
const FRAMES_SPARE: usize = 1024;
const FRAME_BYTES: usize = drivers::pool::BUFFER_BYTES + size_of::<usize>();
/// The configuration, tables of small size, the console.
const RESERVE_BYTES: usize = 12 << 20;
/// More flows than these a machine with 2 GiB would not know what to do with.
const FLOWS_MAX: usize = 1 << 20;
const FLOWS_MIN: usize = 1024;

impl Sizes {
    /// For a heap of `heap_bytes` and so many NICs.
    pub fn of(heap_bytes: usize, nics: usize) -> Sizes {
        let wanted = nics * FRAMES_PER_NIC + FRAMES_SPARE;
        let frames = wanted.min(heap_bytes / 2 / FRAME_BYTES);
        let left = heap_bytes.saturating_sub(frames * FRAME_BYTES + RESERVE_BYTES);
        let flows = (left / FlowTable::BYTES_PER_FLOW).clamp(FLOWS_MIN, FLOWS_MAX);
        let flows = 1 << flows.ilog2(); // the index is a power of two in any case
        Sizes { frames, capacity: Capacity { flows, macs: (flows / 16).clamp(4096, 65536) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn taken(sizes: &Sizes) -> usize {
        sizes.frames * FRAME_BYTES + sizes.capacity.flows * FlowTable::BYTES_PER_FLOW
    }

    #[test]
    fn the_default_machine_holds_a_million_flows() {
        let sizes = Sizes::of(252 * MIB, 5);
        assert_eq!(sizes.capacity, Capacity { flows: 1 << 20, macs: 65536 });
        assert_eq!(sizes.frames, 5 * FRAMES_PER_NIC + FRAMES_SPARE);
    }

    #[test]
    fn every_machine_has_room_for_what_is_small() {
        for heap_mib in [32, 60, 124, 252, 1000, 8000] {
            for nics in [0, 1, 5, 8, 33, 64] {
                let sizes = Sizes::of(heap_mib * MIB, nics);
                let left = (heap_mib * MIB).checked_sub(taken(&sizes));
                assert!(left >= Some(RESERVE_BYTES / 2), "{heap_mib} MiB, {nics} NICs: {sizes:?}");
            }
        }
    }

    #[test]
    fn eight_ports_in_the_smallest_machine_get_all_their_frames() {
        let sizes = Sizes::of(60 * MIB, 9);
        assert_eq!(sizes.frames, 9 * FRAMES_PER_NIC + FRAMES_SPARE);
        assert!(sizes.capacity.flows >= 65536, "{sizes:?}");
    }
}
