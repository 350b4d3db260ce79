//! How the memory that was found is divided, once: buffers for the NICs, a reserve for everything
//! that is small, and what is left for flows.
//!
//! With 9 NICs a machine of 64 MiB holds 262,144 flows, the default one of 256 MiB 1,048,576.

use core::num::NonZeroU32;

use drivers::{BUFFERS_PER_BATCH, BUFFERS_PER_NIC, Pool};
use lb::Capacity;
use lb::flow::FlowTable;
use lb::limits::PERSISTENT_CLIENTS_MAX;

use crate::config::FLOWS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Buffers, each for a frame as it is on the wire.
    pub frames: usize,
    /// Flows that there is memory for: a power of two, as the index of the flow table is.
    pub flows_fit: usize,
}

/// Buffers beyond those in the rings: a batch on its way, copies of a flood, frames that wait to be
/// looked at.
const FRAMES_SPARE: usize = BUFFERS_PER_BATCH + 1024;
/// The configuration, tables of small size, the console.
const RESERVE_BYTES: usize = 12 << 20;
/// More flows than these nobody has without asking for them.
const FLOWS_DEFAULT_MAX: usize = 1 << 20;
const FLOWS_MIN: usize = *FLOWS.start() as usize;
const FLOWS_MAX: usize = *FLOWS.end() as usize;

impl Sizes {
    /// For a heap of `heap_bytes` and so many NICs.
    pub fn of(heap_bytes: usize, nics: usize) -> Sizes {
        let wanted = nics * BUFFERS_PER_NIC + FRAMES_SPARE;
        let frames = wanted.min(heap_bytes / 2 / Pool::BYTES_PER_BUFFER);
        let left = heap_bytes.saturating_sub(frames * Pool::BYTES_PER_BUFFER + RESERVE_BYTES);
        let flows = (left / FlowTable::BYTES_PER_FLOW).clamp(FLOWS_MIN, FLOWS_MAX);
        Sizes { frames, flows_fit: 1 << flows.ilog2() }
    }

    /// The tables, with as many flows as the configuration asks for, if it does.
    pub fn capacity(&self, flows: Option<NonZeroU32>) -> Capacity {
        let flows = flows.map_or(FLOWS_DEFAULT_MAX, |flows| flows.get() as usize);
        let flows = flows.min(self.flows_fit);
        let macs = (flows / 16).clamp(4096, 65536);
        Capacity { flows, macs, clients: (flows / 4).clamp(1024, PERSISTENT_CLIENTS_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb::service::persist::PersistenceTable;

    const MIB: usize = 1 << 20;

    fn taken(sizes: &Sizes) -> usize {
        let clients = sizes.capacity(NonZeroU32::new(u32::MAX)).clients;
        sizes.frames * Pool::BYTES_PER_BUFFER
            + sizes.flows_fit * FlowTable::BYTES_PER_FLOW
            + clients * PersistenceTable::BYTES_PER_CLIENT
    }

    #[test]
    fn the_default_machine_holds_a_million_flows() {
        let sizes = Sizes::of(252 * MIB, 5);
        let capacity = Capacity { flows: 1 << 20, macs: 65536, clients: 65536 };
        assert_eq!(sizes.capacity(None), capacity);
        assert_eq!(sizes.frames, 5 * BUFFERS_PER_NIC + FRAMES_SPARE);
    }

    #[test]
    fn every_machine_has_room_for_what_is_small() {
        for heap_mib in [27, 60, 124, 252, 1000, 8000] {
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
        assert_eq!(sizes.frames, 9 * BUFFERS_PER_NIC + FRAMES_SPARE);
        assert!(sizes.flows_fit >= 65536, "{sizes:?}");
    }

    #[test]
    fn whoever_asks_gets_as_many_flows_as_fit() {
        let large = Sizes::of(4000 * MIB, 5);
        let flows = |sizes: &Sizes, asked| sizes.capacity(NonZeroU32::new(asked)).flows;
        assert_eq!(flows(&large, 0), 1 << 20, "nobody asks");
        assert_eq!(flows(&large, 1024), 1024);
        assert_eq!(flows(&large, 3_000_000), 3_000_000);
        assert_eq!(flows(&large, 16_777_216), large.flows_fit);
        let small = Sizes::of(60 * MIB, 9);
        assert_eq!(flows(&small, 16_777_216), small.flows_fit);
        assert_eq!(Sizes::of(0, 0).flows_fit, 1024);
    }
}
