//! What the next frame differs in from its shape: bytes, and what is left of it for a NIC to do.

use std::num::NonZeroU16;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use lb::wire::Offload;
use lb::wire::offload::{PartialChecksum, SegmentKind, Segments};

use super::Script;
use crate::harness::cast;
use crate::harness::mend::{mend, pseudo_header};
use crate::harness::stage::{Given, Punted};

/// A change to the next frame that its shape does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Twist {
    /// This byte, at this offset; then mended or not.
    patches: [Option<(usize, u8, Mended)>; 4],
    owes: Owes,
    queue_full: bool,
    other_vlan: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mended {
    Yes,
    No,
}

/// What is left for a NIC.
#[derive(Clone, Copy, Debug, Default)]
enum Owes {
    #[default]
    Nothing,
    /// The transport's checksum, where it is.
    Checksum,
    /// That, and to be cut into segments of so many bytes.
    Cut { payload_len: NonZeroU16 },
    /// Whatever these say.
    Claim { start: u16, offset: u16, kind: u8, payload_len: u16, beyond: u16 },
}

impl Script<'_> {
    pub(super) fn patch(&mut self) {
        let (at, value) = (self.word(), self.byte());
        let mended = if at & 0x8000 != 0 { Mended::Yes } else { Mended::No };
        let free = self.twist.patches.iter_mut().find(|patch| patch.is_none());
        if let Some(patch) = free {
            *patch = Some((usize::from(at & 0x7fff), value, mended));
        }
    }

    pub(super) fn owe(&mut self) {
        match self.byte() % 5 {
            0 => self.twist.queue_full = true,
            1 => self.twist.other_vlan = true,
            2 => self.twist.owes = Owes::Checksum,
            3 => self.twist.owes = Owes::Cut { payload_len: NonZeroU16::MIN | self.word() },
            _ => {
                self.twist.owes = Owes::Claim {
                    start: u16::from(self.byte()),
                    offset: u16::from(self.byte()),
                    kind: self.byte(),
                    payload_len: self.word(),
                    beyond: self.word(),
                };
            }
        }
    }
}

impl Twist {
    /// Another frame than its shape says.
    pub(super) fn bend(&self, vlan: u16, mut bytes: Vec<u8>) -> Vec<u8> {
        match (self.other_vlan, vlan) {
            (false, _) => {}
            (true, 0) => drop(bytes.splice(12..12, [0x81, 0, 0, cast::VLAN as u8])),
            (true, _) => drop(bytes.drain(12..16)),
        }
        for (at, value, mended) in self.patches.into_iter().flatten() {
            let len = bytes.len();
            bytes[at % len] = value;
            if mended == Mended::Yes {
                mend(&mut bytes);
            }
        }
        bytes
    }

    /// The frame with what travels beside it.
    pub(super) fn given(&self, ingress: usize, mut bytes: Vec<u8>) -> Given {
        let (offload, beyond) = self.owes.of(&mut bytes);
        let punt = if self.queue_full { Punted::QueueFull } else { Punted::Taken };
        Given { ingress, bytes, beyond, offload, punt }
    }
}

impl Owes {
    /// What travels beside the frame, which is changed where its checksum is to be left undone.
    fn of(self, bytes: &mut [u8]) -> (Offload, usize) {
        match self {
            Owes::Nothing => (Offload::default(), 0),
            Owes::Checksum => {
                let checksum = leave_checksum(bytes).map(|(checksum, _)| checksum);
                (Offload { checksum, segments: None }, 0)
            }
            Owes::Cut { payload_len } => {
                let (checksum, kind) = leave_checksum(bytes).unzip();
                let segments = kind.map(|kind| Segments { kind, payload_len });
                (Offload { checksum, segments }, 0)
            }
            Owes::Claim { start, offset, kind, payload_len, beyond } => {
                let kinds = [SegmentKind::TcpV4, SegmentKind::TcpV6, SegmentKind::UdpL4];
                let kind = kinds.get(usize::from(kind) % 4);
                let segments = kind.zip(NonZeroU16::new(payload_len));
                let segments = segments.map(|(&kind, payload_len)| Segments { kind, payload_len });
                // Only what is to be cut is longer than its first buffer.
                let beyond = segments.map_or(0, |_| usize::from(beyond));
                (Offload { checksum: Some(PartialChecksum { start, offset }), segments }, beyond)
            }
        }
    }
}

/// Takes back the transport checksum of a whole packet to the sum of its pseudo header; says where
/// it is, and how such a packet is cut.
fn leave_checksum(bytes: &mut [u8]) -> Option<(PartialChecksum, SegmentKind)> {
    let (checksum, kind, sum) = owed_checksum(bytes)?;
    let at = usize::from(checksum.start + checksum.offset);
    bytes[at..at + 2].copy_from_slice(&sum);
    Some((checksum, kind))
}

fn owed_checksum(bytes: &[u8]) -> Option<(PartialChecksum, SegmentKind, [u8; 2])> {
    let packet = SlicedPacket::from_ethernet(bytes).ok()?;
    let (addresses, tcp_kind) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => (&ip.header().slice()[12..20], SegmentKind::TcpV4),
        NetSlice::Ipv6(ip) => (&ip.header().slice()[8..40], SegmentKind::TcpV6),
        NetSlice::Arp(_) => return None,
    };
    let (protocol, offset, segment, kind) = match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => (6, 16, tcp.slice(), tcp_kind),
        TransportSlice::Udp(udp) => (17, 6, udp.slice(), SegmentKind::UdpL4),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => {
            return None;
        }
    };
    let start = u16::try_from(segment.as_ptr().addr() - bytes.as_ptr().addr()).ok()?;
    let sum = !pseudo_header(addresses, protocol, segment.len()).ones_complement();
    Some((PartialChecksum { start, offset }, kind, sum.to_ne_bytes()))
}
