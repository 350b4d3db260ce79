//! virtio-net over PCI, as in the standard's version 1.2; clauses named here are that text's.
//!
//! virtio-drivers speaks to the device's registers: features, status, configuration, queue
//! addresses. What moves frames is ours, because it has to be quick and to survive any device:
//! two split rings of one descriptor a buffer, published once a batch.

mod handshake;
mod header;
mod memory;
mod net;
pub mod pci;
mod ring;

#[cfg(test)]
mod fake;

pub use ring::RING_SIZE_MAX;

use virtio_drivers::transport::Transport;

/// The queues of a network device without multiqueue, by number (5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Receive = 0,
    Transmit = 1,
}

impl Queue {
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// How the device is told that a queue has something new.
pub trait Doorbell {
    fn ring(&mut self, queue: Queue);
}

/// Proof that the device has confirmed its reset. Until then it may still write to whatever was
/// posted; from then on it touches no memory until it is told to drive again (2.4.1).
pub struct Quiet(());

impl Quiet {
    pub fn check(transport: &impl Transport) -> Option<Quiet> {
        transport.get_status().is_empty().then_some(Quiet(()))
    }
}
