//! virtio-net, virtio-blk and virtio console, over PCI or with registers in memory, as in the standard's
//! version 1.2; clauses named here are that text's.
//!
//! virtio-drivers speaks to the device's registers: features, status, configuration, queue
//! addresses. What moves frames and blocks is ours, because it has to survive any device, and for
//! frames to be quick: split rings in memory of which every access is written down in one file.

mod block;
mod console;
mod handshake;
mod header;
mod memory;
pub mod mmio;
mod net;
pub mod pci;
mod ring;
mod transport;

#[cfg(test)]
mod fake;

pub use ring::RING_SIZE_MAX;

use crate::probe::Absent;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// The device keeps to version 1 of the standard (6).
const FEATURE_VERSION_1: u64 = 1 << 32;

/// The device reaches memory as the platform lets it, and may refuse a driver that does not know so
/// (6.2). Addresses are physical ones, and nobody here has put an IOMMU to work: there is nothing to do.
const FEATURE_ACCESS_PLATFORM: u64 = 1 << 33;

/// Tries to see a reset confirmed at start. Real devices take milliseconds, QEMU none.
const RESET_TRIES: usize = 100_000;

/// Tries to read a configuration that stands still.
const CONFIG_TRIES: usize = 8;

/// The queues of a network device without multiqueue, and of a console with one port, by number (5.1.2,
/// 5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Receive = 0,
    Transmit = 1,
}

impl Queue {
    pub const COUNT: usize = 2;

    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// How the device is told that a queue has something new.
pub trait Doorbell {
    /// `queue` is one of those that the doorbell was made for.
    fn ring(&mut self, queue: u16);
}

/// Proof that the device has confirmed its reset. Until then it may still write to whatever was
/// posted; from then on it touches no memory until it is told to drive again (2.4.1).
pub struct Quiet(());

impl Quiet {
    /// For a device that is not there any more, which its bus knows and its registers cannot say.
    fn lost() -> Quiet {
        Quiet(())
    }

    pub fn check(transport: &impl Transport) -> Option<Quiet> {
        transport.get_status().is_empty().then_some(Quiet(()))
    }
}

/// Resets a device that is met for the first time, and waits a bounded while for it to confirm.
fn reset(transport: &mut impl Transport) -> Result<Quiet, Absent> {
    transport.set_status(DeviceStatus::empty());
    (0..RESET_TRIES).find_map(|_| Quiet::check(transport)).ok_or(Absent::NoReset)
}

/// The handshake up to FEATURES_OK (3.1.1), with a device that is reset: it must offer all that is
/// `needed`; what is `wanted` of its offer is taken, and comes back.
fn agree(
    transport: &mut impl Transport,
    needed: u64,
    wanted: impl FnOnce(u64) -> u64,
) -> Result<u64, Absent> {
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(status);
    let offered = transport.read_device_features();
    let missing = needed & !offered;
    if missing != 0 {
        transport.set_status(status | DeviceStatus::FAILED);
        return Err(Absent::FeaturesMissing { bits: missing });
    }
    let features = offered & (wanted(offered) | FEATURE_ACCESS_PLATFORM);
    transport.write_driver_features(features);
    status |= DeviceStatus::FEATURES_OK;
    transport.set_status(status);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        transport.set_status(status | DeviceStatus::FAILED);
        return Err(Absent::FeaturesRefused);
    }
    Ok(features)
}

/// Reads of the configuration what belongs together: the generation is the same before and after
/// (2.5).
fn read_still<T: Transport, R>(transport: &T, read: impl Fn(&T) -> Option<R>) -> Option<R> {
    (0..CONFIG_TRIES).find_map(|_| {
        let before = transport.read_config_generation();
        let all = read(transport)?;
        (before == transport.read_config_generation()).then_some(all)
    })
}
