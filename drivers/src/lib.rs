//! Drivers move frames and know no protocol: to them a frame is bytes with a length. README.md tells
//! how the next one is written.
//!
//! A NIC is a [`Nic`]: it hands out received frames in batches, takes frames to send, and says how
//! it is. A frame is owned by one at a time: pool, ring, loop, ring, pool. The one [`Disk`] reads and
//! writes blocks, a [`Tty`] bytes, and both know as little of what they mean.
//!
//! ```text
//!   bays      where NICs are and may come to be: at the start, and while the machine runs
//!   probe     gives NICs, disk and console their drivers
//!    ├─ pci      the bus: who is there, behind bridges too, and room for the registers of who comes
//!    ├─ virtio   virtio-net, virtio-blk and virtio console
//!    │    ├─ pci     capabilities checked, doorbells found
//!    │    ├─ mmio    the same where a command line says that a device is
//!    │    ├─ transport   what both ways lead to
//!    │    ├─ block   the disk's driver: one request at a time
//!    │    ├─ console the console's: bytes in buffers of its own
//!    │    ├─ net     the driver: two rings, and how a port comes back
//!    │    │   ├─ handshake   what a device must be
//!    │    │   └─ header      what a received buffer is worth
//!    │    ├─ ring    a split virtqueue that believes nothing
//!    │    └─ memory  the shared pages below it
//!    ├─ e1000e   Intel's gigabit chips
//!    └─ vmxnet3  ESXi's NIC
//!   nic       what every driver can do        pool   the buffers
//!   offload   what a frame leaves undone      disk   what a disk can do
//!   tty       what a console's wire can do     vacancy  a port whose NIC is not there
//!   watchdog  starts a machine anew whose loop hangs
//!
//!   what drivers of chips are made of:
//!   mmio      registers                       words  descriptors
//!   health    how a port comes back           headers  where a frame's headers lie
//! ```
//!
//! `unsafe` lives in `pool`, `mmio`, `words`, `virtio::{memory, mmio, pci, transport}` and where `pci` and
//! `bays` reach configuration space and ports.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod bays;
pub mod disk;
mod e1000e;
#[cfg(test)]
mod fake;
mod headers;
mod health;
mod mmio;
pub mod nic;
pub mod offload;
pub mod pci;
pub mod pool;
mod probe;
pub mod tty;
mod vacancy;
mod virtio;
mod vmxnet3;
mod watchdog;
mod words;

pub use bays::{Bays, News};
pub use disk::{Disk, DiskFault, Request};
pub use nic::{
    BATCH, BUFFERS_PER_BATCH, BUFFERS_PER_NIC, Batch, Fault, Nic, NicCounters, NicState, RingFault,
};
pub use offload::{Abilities, Offload, PartialChecksum, SegmentKind, Segments};
pub use pool::{BUFFERS_PER_FRAME_MAX, Frame, HEAD_BYTES_MAX, Pool};
pub use probe::{Absent, First, Found, probe_console, probe_disk};
pub use tty::Tty;
pub use vacancy::Vacancy;
pub use virtio::mmio::{Window, WindowKind};
pub use watchdog::Watchdog;
