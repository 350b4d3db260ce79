//! The handshake with a virtio-net device: what it must be, and what it says of itself.
//!
//! Of the features we take VERSION_1, MAC, STATUS and MRG_RXBUF. CTRL_RX is left: it is what a
//! driver narrows reception with, and a device that was never asked to, passes on every frame
//! (QEMU resets to promiscuous), which is what a switch wants. MRG_RXBUF costs nothing and lets
//! the device say that a frame was too long, where it would otherwise drop it unseen. MTU is left:
//! it could only tell what the length of each frame tells better.

use super::Queue;
use super::header::Merging;
use super::memory::RingSize;
use super::ring::RING_SIZE_MAX;
use crate::probe::Absent;
use virtio_drivers::transport::{DeviceStatus, Transport};

const FEATURE_MAC: u64 = 1 << 5;
const FEATURE_MRG_RXBUF: u64 = 1 << 15;
const FEATURE_STATUS: u64 = 1 << 16;
const FEATURE_VERSION_1: u64 = 1 << 32;

const FEATURES_NEEDED: u64 = FEATURE_VERSION_1 | FEATURE_MAC;
const FEATURES_WANTED: u64 = FEATURES_NEEDED | FEATURE_STATUS | FEATURE_MRG_RXBUF;

/// Offsets in the device's configuration (5.1.4): the address in two parts, as 32-bit accesses
/// are the widest, and the status with the link in bit 0.
const CONFIG_MAC_LOW: usize = 0;
const CONFIG_MAC_HIGH: usize = 4;
const CONFIG_STATUS: usize = 6;
const STATUS_LINK_UP: u16 = 1;

/// Tries to read a configuration that stands still.
const CONFIG_TRIES: usize = 8;

/// The features that both sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

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

    pub fn merging(self) -> Merging {
        if self.has(FEATURE_MRG_RXBUF) { Merging::Agreed } else { Merging::NotAgreed }
    }
}

/// The handshake up to FEATURES_OK (3.1.1), with a device that is reset.
pub fn negotiate(transport: &mut impl Transport) -> Result<Features, Absent> {
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(status);
    let offered = transport.read_device_features();
    let missing = FEATURES_NEEDED & !offered;
    if missing != 0 {
        transport.set_status(status | DeviceStatus::FAILED);
        return Err(Absent::FeaturesMissing { bits: missing });
    }
    let features = offered & FEATURES_WANTED;
    transport.write_driver_features(features);
    status |= DeviceStatus::FEATURES_OK;
    transport.set_status(status);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        transport.set_status(status | DeviceStatus::FAILED);
        return Err(Absent::FeaturesRefused);
    }
    Ok(Features(features))
}

/// Reads address and link together: the generation is the same before and after (2.5).
pub fn identify(transport: &impl Transport, features: Features) -> Option<Identity> {
    (0..CONFIG_TRIES).find_map(|_| {
        let before = transport.read_config_generation();
        let identity = read_identity(transport, features)?;
        (before == transport.read_config_generation()).then_some(identity)
    })
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

/// The size to use of what the device offers.
pub fn ring_size(transport: &mut impl Transport, queue: Queue) -> Result<RingSize, Absent> {
    let offered = transport.max_queue_size(queue.number());
    u16::try_from(offered)
        .ok()
        .and_then(RingSize::new)
        .and_then(|size| RingSize::new(size.get().min(RING_SIZE_MAX)))
        .ok_or(Absent::QueueSize { queue: queue.number(), offered })
}
