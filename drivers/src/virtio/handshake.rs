//! The handshake with a virtio-net device: what it must be, and what it says of itself.
//!
//! Of the features we take VERSION_1, MAC, STATUS, MRG_RXBUF, and the offloads in both directions:
//! checksums (CSUM, GUEST_CSUM) and segmentation of TCP and UDP (TSO4, TSO6, USO). What a device
//! may leave to us is sent on as it is where that device can do it, and done in software where
//! not. A frame of 64 KiB wants a ring with room for all of its buffers, and to be received, that
//! the device may use several: without, segmentation is left.
//!
//! Left in any case: UFO, which makes fragments; ECN, since without it the sender cuts the rare
//! frame that says "congestion window reduced" itself, and nobody has to see to the mark being on
//! the first segment alone. CTRL_RX is what a driver narrows reception with, and a device that was
//! never asked to, passes on every frame (QEMU resets to promiscuous), which is what a switch
//! wants. MTU could only tell what the length of each frame tells better. One core has a use for one
//! pair of queues, and without MQ (or RSS) the device keeps to the first (5.1.2). STANDBY would make the
//! port one half of a pair; without it the device is a NIC by itself, and QEMU keeps the other half
//! back. Of a ring with more than 256 places that many are used.

use super::Queue;
use super::header::Merging;
use super::memory::RingSize;
use super::ring::RING_SIZE_MAX;
use super::{FEATURE_VERSION_1, agree, read_still};
use crate::offload::Abilities;
use crate::pool::BUFFERS_PER_FRAME_MAX;
use crate::probe::Absent;
use virtio_drivers::transport::Transport;

const FEATURE_CSUM: u64 = 1 << 0;
const FEATURE_GUEST_CSUM: u64 = 1 << 1;
const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_GUEST_TSO4: u64 = 1 << 7;
const FEATURE_GUEST_TSO6: u64 = 1 << 8;
const FEATURE_HOST_TSO4: u64 = 1 << 11;
const FEATURE_HOST_TSO6: u64 = 1 << 12;
const FEATURE_MRG_RXBUF: u64 = 1 << 15;
const FEATURE_STATUS: u64 = 1 << 16;
const FEATURE_GUEST_USO4: u64 = 1 << 54;
const FEATURE_GUEST_USO6: u64 = 1 << 55;
const FEATURE_HOST_USO: u64 = 1 << 56;

const FEATURES_NEEDED: u64 = FEATURE_VERSION_1 | FEATURE_MAC;
const FEATURES_PLAIN: u64 = FEATURES_NEEDED | FEATURE_STATUS | FEATURE_MRG_RXBUF;
/// Frames that the device cuts for us, and those that it leaves to us to cut.
const FEATURES_HOST_CUTS: u64 = FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6 | FEATURE_HOST_USO;
const FEATURES_GUEST_CUTS: u64 =
    FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6 | FEATURE_GUEST_USO4 | FEATURE_GUEST_USO6;

/// Offsets in the device's configuration (5.1.4): the address in two parts, as 32-bit accesses
/// are the widest, and the status with the link in bit 0.
const CONFIG_MAC_LOW: usize = 0;
const CONFIG_MAC_HIGH: usize = 4;
const CONFIG_STATUS: usize = 6;
const STATUS_LINK_UP: u16 = 1;

/// The features that both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

/// How large the rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    pub receive: RingSize,
    pub transmit: RingSize,
}

/// What the device says of itself, read while it stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub mac: [u8; 6],
    pub link: Link,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Up,
    Down,
}

impl Features {
    fn has(self, feature: u64) -> bool {
        self.0 & feature != 0
    }

    /// Of `offered`, what we take (the dependencies are those of 5.1.3.1).
    fn wanted(offered: u64, sizes: RingSizes) -> Features {
        let fits = |size: RingSize| usize::from(size.get()) >= BUFFERS_PER_FRAME_MAX;
        let mut wanted = FEATURES_PLAIN | FEATURE_CSUM | FEATURE_GUEST_CSUM;
        if offered & FEATURE_CSUM != 0 && fits(sizes.transmit) {
            wanted |= FEATURES_HOST_CUTS;
        }
        let merged_and_summed = FEATURE_GUEST_CSUM | FEATURE_MRG_RXBUF;
        if offered & merged_and_summed == merged_and_summed && fits(sizes.receive) {
            wanted |= FEATURES_GUEST_CUTS;
        }
        Features(offered & wanted)
    }

    /// What the device does with frames that we send.
    pub fn device_abilities(self) -> Abilities {
        Abilities {
            checksum: self.has(FEATURE_CSUM),
            tcp_v4: self.has(FEATURE_HOST_TSO4),
            tcp_v6: self.has(FEATURE_HOST_TSO6),
            udp: self.has(FEATURE_HOST_USO),
        }
    }

    /// What the device may leave undone of frames that we receive.
    pub fn our_abilities(self) -> Abilities {
        Abilities {
            checksum: self.has(FEATURE_GUEST_CSUM),
            tcp_v4: self.has(FEATURE_GUEST_TSO4),
            tcp_v6: self.has(FEATURE_GUEST_TSO6),
            udp: self.has(FEATURE_GUEST_USO4 | FEATURE_GUEST_USO6),
        }
    }

    pub fn merging(self) -> Merging {
        if self.has(FEATURE_MRG_RXBUF) { Merging::Agreed } else { Merging::NotAgreed }
    }
}

/// The handshake up to FEATURES_OK, with a device that is reset and will get rings of these sizes.
pub fn negotiate(transport: &mut impl Transport, sizes: RingSizes) -> Result<Features, Absent> {
    agree(transport, FEATURES_NEEDED, |offered| Features::wanted(offered, sizes).0).map(Features)
}

/// Reads address and link together.
pub fn identify(transport: &impl Transport, features: Features) -> Option<Identity> {
    read_still(transport, |transport| read_identity(transport, features))
}

fn read_identity(transport: &impl Transport, features: Features) -> Option<Identity> {
    let low: u32 = transport.read_config_space(CONFIG_MAC_LOW).ok()?;
    let high: u16 = transport.read_config_space(CONFIG_MAC_HIGH).ok()?;
    let status = if features.has(FEATURE_STATUS) {
        transport.read_config_space(CONFIG_STATUS).ok()?
    } else {
        STATUS_LINK_UP
    };
    let [a, b, c, d] = low.to_le_bytes();
    let [e, f] = high.to_le_bytes();
    let link = if status & STATUS_LINK_UP != 0 { Link::Up } else { Link::Down };
    Some(Identity { mac: [a, b, c, d, e, f], link })
}

/// The sizes to use of what the device offers. Asked for before the features are agreed on, since
/// some of them need room.
pub fn ring_sizes(transport: &mut impl Transport) -> Result<RingSizes, Absent> {
    let mut of = |queue: Queue| {
        let offered = transport.max_queue_size(queue.number());
        u16::try_from(offered)
            .ok()
            .and_then(RingSize::new)
            .and_then(|size| RingSize::new(size.get().min(RING_SIZE_MAX)))
            .ok_or(Absent::QueueSize { queue: queue.number(), offered })
    };
    Ok(RingSizes { receive: of(Queue::Receive)?, transmit: of(Queue::Transmit)? })
}
