//! Every table's size, in one place, and how the sizes bind one another.
//!
//! A size is fixed at start; what happens when a table is full stands with the table.

/// Attachment points: the uplink and the guests' ports. One bit each in a [`crate::PortSet`].
pub const PORTS_MAX: usize = 64;
/// Guests that may be defined.
pub const GUESTS_MAX: usize = 256;
/// Addresses of one guest.
pub const GUEST_ADDRESSES_MAX: usize = 4;
/// Services that may be defined.
pub const SERVICES_MAX: usize = 128;
/// Services that place their flows by `mh`; each has a table of 64 KiB.
pub const MH_SERVICES_MAX: usize = 16;
/// Reals of one service.
pub const SERVICE_REALS_MAX: usize = 64;
/// Reals in all, those that only wait for their last flows included.
pub const REALS_MAX: usize = 1024;
/// Bytes of a load report's line (interfaces: at most 512).
pub const REPORT_BYTES_MAX: usize = 512;
/// Frames of our own that may wait for the loop.
pub const OUTBOX_MAX: usize = 256;
/// Bytes of a frame of our own: an answer to a report with all headers is the longest.
pub const ORIGIN_BYTES_MAX: usize = 256;
/// Events that may wait for the log.
pub const EVENTS_MAX: usize = 64;

const _: () = assert!(PORTS_MAX <= u64::BITS as usize);
const _: () = assert!(REALS_MAX >= SERVICE_REALS_MAX && REALS_MAX <= u16::MAX as usize);
