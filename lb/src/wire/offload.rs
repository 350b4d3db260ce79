//! What of a frame is left for a NIC to do: a checksum to finish, a packet to cut into segments.
//!
//! It travels with the frame as data. A port whose NIC can do it gets the frame as it is; for any
//! other it is done here, by [`Offload::finish`] or [`Cut`].
//!
//! Whoever sent the frame wrote these numbers, and whoever finishes the checksum writes two bytes
//! where they say: after the switch has judged the frame, maybe in a NIC far away. So they are
//! judged as well ([`Offload::check`]): nothing of what the switch reads may be written over.

use core::num::NonZeroU16;

use super::checksum::Sum;
use super::{Ethernet, Ip, Transport, bytes_at, put};
use crate::Protocol;

mod cut;
#[cfg(test)]
mod tests;

pub use cut::{Cut, Segment};

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

/// What is wrong with what a frame leaves undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// There is no checksum at that place.
    Checksum,
    /// It is not such a packet as is cut like that, or its headers are not all in the head.
    Segments,
}

/// The tag inside of another one (IEEE 802.1Q).
const ETHERTYPE_INNER_TAG: u16 = 0x8100;
const TAG_BYTES: usize = 4;
/// UDP's checksum has an offset that TCP's has not, by which a field of 0 is known to mean "none".
const UDP_CHECKSUM_OFFSET: u16 = 6;
/// The shortest transport header: further in, nobody looks.
const TRANSPORT_BYTES_MIN: usize = 8;
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_ICMPV6: u8 = 58;

impl Offload {
    /// Whether all of it can be done to the frame whose head this is. The checksum must be the
    /// packet's own, or that of a packet inside of it (a guest with tunnels leaves those undone).
    #[inline(always)]
    pub fn check(&self, head: &[u8], len: usize) -> Result<(), Malformed> {
        match self.checksum.is_none() && self.segments.is_none() {
            true => Ok(()),
            false => self.check_parts(head, len),
        }
    }

    #[inline(never)]
    fn check_parts(&self, head: &[u8], len: usize) -> Result<(), Malformed> {
        match (self.segments, self.checksum) {
            (Some(_), _) => Cut::new(self, head, len).map(drop),
            (None, Some(checksum)) if checksum.is_somewhere_in(head) => {
                let (_, packet) = packet(head, len).ok_or(Malformed::Checksum)?;
                checksum.check_place(&packet)
            }
            (None, Some(_)) => Err(Malformed::Checksum),
            (None, None) => Ok(()),
        }
    }

    /// Finishes the checksum of a frame of `len` bytes that is not to be cut; `behind` are those that are
    /// not in its head.
    pub fn finish(&mut self, head: &mut [u8], len: usize, behind: Sum) -> Result<(), Malformed> {
        if self.segments.is_some() {
            return Err(Malformed::Segments);
        }
        self.check(head, len)?;
        if let Some(checksum) = self.checksum.take() {
            checksum.finish(head, behind);
        }
        Ok(())
    }
}

impl PartialChecksum {
    fn start(self) -> usize {
        usize::from(self.start)
    }

    fn field_at(self) -> usize {
        self.start() + usize::from(self.offset)
    }

    fn is_somewhere_in(self, head: &[u8]) -> bool {
        self.field_at() + size_of::<u16>() <= head.len()
    }

    /// Whether this is the checksum of this packet itself.
    pub(super) fn is_of(self, protocol: Protocol, transport_at: usize) -> bool {
        let field_at = Transport::checksum_offset(protocol);
        (self.start(), usize::from(self.offset)) == (transport_at, field_at)
    }

    /// Behind all that is read of a packet, or its own checksum; and none of what has one over all
    /// of a message that the switch understands, or belongs to a larger packet.
    fn check_place(self, packet: &Ip) -> Result<(), Malformed> {
        let own = protocol_of(packet).is_some_and(|own| self.is_of(own, packet.payload_at));
        let inside = self.start() >= packet.payload_at + TRANSPORT_BYTES_MIN;
        let never = matches!(packet.protocol, PROTOCOL_ICMP | PROTOCOL_ICMPV6);
        let possible = (own || inside) && !never && packet.part().is_none();
        if possible { Ok(()) } else { Err(Malformed::Checksum) }
    }

    /// Sums up what is left, and writes the checksum. Its place is in the frame.
    pub(super) fn finish(self, head: &mut [u8], behind: Sum) {
        let own = &head[self.start()..];
        let checksum = match Sum::default().bytes(own).behind(own.len(), behind).checksum() {
            0 if self.offset == UDP_CHECKSUM_OFFSET => 0xffff,
            checksum => checksum,
        };
        put(head, self.field_at(), checksum.to_be_bytes());
    }
}

/// The transport protocol, if it is one that has offloads.
fn protocol_of(packet: &Ip) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp].into_iter().find(|known| known.number() == packet.protocol)
}

/// The Ethernet header of a frame and the IP packet in it, behind two tags at most.
fn packet(head: &[u8], len: usize) -> Option<(Ethernet, Ip)> {
    let header = Ethernet::parse(head).ok()?;
    let Ethernet { mut ethertype, mut payload_at, .. } = header;
    if ethertype == ETHERTYPE_INNER_TAG {
        ethertype = u16::from_be_bytes(bytes_at(head, payload_at + 2)?);
        payload_at += TAG_BYTES;
    }
    Some((header, Ip::parse(head, len, payload_at, ethertype)?.ok()?))
}
