//! What of a frame is left for a NIC to do: a checksum to finish, a packet to cut into segments.
//!
//! It travels with the frame as data. A port whose NIC can do it gets the frame as it is.

use core::num::NonZeroU16;

/// What of a frame is left for a NIC to do; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    pub checksum: Option<PartialChecksum>,
    pub segments: Option<Segments>,
}

/// A transport checksum of which only the pseudo header is summed (virtio 1.2, 5.1.6.2).
///
/// The field at `start + offset` holds that sum, folded and not complemented; the sum from `start`
/// to the frame's end is still to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Offset from the frame's first byte.
    pub start: u16,
    /// Offset of the field from `start`.
    pub offset: u16,
}

/// A packet that stands for several on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub kind: SegmentKind,
    /// Bytes of transport payload in each segment but the last.
    pub payload_len: NonZeroU16,
}

/// How a packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    TcpV4,
    TcpV6,
    /// Datagrams of equal length (virtio 1.3, `VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
}
