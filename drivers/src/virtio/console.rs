//! The virtio console driver (5.3): bytes of port 0, in buffers of its own.
//!
//! Without VIRTIO_CONSOLE_F_MULTIPORT there is one port and there are two queues, and that is all a
//! console needs. What people type and read is little, so nothing is handed over without a copy:
//! descriptor n is for ever buffer n of memory that the device may touch, and nothing else of ours is
//! shown to it. What came is copied out once, checked against our own record, and the buffer goes
//! back to the device at once.
//!
//! A device that takes nothing has all buffers for sending, and [`Tty::write`] takes no more; one that
//! answers what it was not given is stopped. Interrupts stay off: a visit to the consoles comes every
//! few milliseconds, and no key is in a greater hurry.

use super::memory::{Descriptor, RingMemory, RingSize, SharedBytes};
use super::{Doorbell, FEATURE_VERSION_1, Queue, agree, reset};
use crate::nic::RingFault;
use crate::probe::Absent;
use crate::tty::Tty;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, Transport};

#[cfg(test)]
mod tests;

const BUFFERS: u16 = 8;
const BUFFER_BYTES: usize = 256;
const RING: RingSize = RingSize::new(BUFFERS).unwrap();

/// Descriptor flag: the device writes (2.7.5).
const WRITE: u16 = 2;

pub struct VirtioConsole<T: Transport, D: Doorbell> {
    /// Never dropped: virtio-drivers' PCI transport would then wait for its reset without end.
    transport: ManuallyDrop<T>,
    doorbell: D,
    receive: Lane,
    transmit: Lane,
    came: Came,
    fault: Option<RingFault>,
}

/// What came last, where the device cannot reach it.
struct Came {
    bytes: [u8; BUFFER_BYTES],
    read: usize,
    len: usize,
}

/// A ring and its buffers.
struct Lane {
    queue: Queue,
    ring: RingMemory,
    shared: SharedBytes,
    /// By buffer: how much of it the device has, if it has it.
    lent_bytes: [Option<u32>; BUFFERS as usize],
    /// Buffers that were put into the ring, that were shown to the device, and that it has answered:
    /// free-running.
    queued: u16,
    published: u16,
    consumed: u16,
}

impl<T: Transport, D: Doorbell> VirtioConsole<T, D> {
    /// Takes the device from reset to running.
    pub fn new(transport: T, doorbell: D) -> Result<Self, Absent> {
        let mut transport = ManuallyDrop::new(transport);
        reset(&mut *transport)?;
        agree(&mut *transport, FEATURE_VERSION_1, |_| FEATURE_VERSION_1)?;
        let receive = Lane::new(Queue::Receive, &mut *transport)?;
        let transmit = Lane::new(Queue::Transmit, &mut *transport)?;
        transport.finish_init();
        let came = Came { bytes: [0; BUFFER_BYTES], read: 0, len: 0 };
        let mut console =
            VirtioConsole { transport, doorbell, receive, transmit, came, fault: None };
        while console.receive.lend(BUFFER_BYTES as u32).is_some() {}
        console.receive.publish(&mut console.doorbell);
        Ok(console)
    }

    /// Takes in the next buffer that was filled, and gives it back to the device.
    fn take_in(&mut self) -> Result<(), RingFault> {
        if let Some((buffer, len)) = self.receive.answer()? {
            (self.came.read, self.came.len) = (0, len as usize);
            self.receive.shared.read(place(buffer), &mut self.came.bytes[..len as usize]);
            self.receive.lend(BUFFER_BYTES as u32);
            self.receive.publish(&mut self.doorbell);
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, RingFault> {
        while self.transmit.answer()?.is_some() {}
        let mut taken = 0;
        for chunk in bytes.chunks(BUFFER_BYTES) {
            let Some(buffer) = self.transmit.free() else {
                break;
            };
            self.transmit.shared.write(place(buffer), chunk);
            self.transmit.lend(chunk.len() as u32);
            taken += chunk.len();
        }
        self.transmit.publish(&mut self.doorbell);
        Ok(taken)
    }

    fn stop(&mut self, fault: RingFault) {
        self.transport.set_status(DeviceStatus::empty());
        self.fault = Some(fault);
    }
}

impl<T: Transport, D: Doorbell> Tty for VirtioConsole<T, D> {
    fn read(&mut self) -> Option<u8> {
        if self.came.read == self.came.len
            && self.fault.is_none()
            && let Err(fault) = self.take_in()
        {
            self.stop(fault);
        }
        let byte = self.came.bytes[..self.came.len].get(self.came.read).copied()?;
        self.came.read += 1;
        Some(byte)
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        if self.fault.is_some() {
            return bytes.len();
        }
        self.send(bytes).unwrap_or_else(|fault| {
            self.stop(fault);
            bytes.len()
        })
    }

    fn fault(&self) -> Option<RingFault> {
        self.fault
    }
}

impl<T: Transport, D: Doorbell> Drop for VirtioConsole<T, D> {
    /// Stops the device. Its memory is not given back in any case.
    fn drop(&mut self) {
        self.transport.set_status(DeviceStatus::empty());
    }
}

impl Lane {
    /// A ring that the device knows, with nothing in it.
    fn new(queue: Queue, transport: &mut impl Transport) -> Result<Lane, Absent> {
        let offered = transport.max_queue_size(queue.number());
        if offered < u32::from(BUFFERS) {
            return Err(Absent::QueueSize { queue: queue.number(), offered });
        }
        let mut ring = RingMemory::new(RING).ok_or(Absent::NoMemory)?;
        let bytes = usize::from(BUFFERS) * BUFFER_BYTES;
        let shared = SharedBytes::new(bytes).ok_or(Absent::NoMemory)?;
        ring.refuse_interrupts();
        let at = ring.addresses();
        let size = BUFFERS.into();
        transport.queue_set(queue.number(), size, at.descriptors, at.available, at.used);
        let lent_bytes = [None; BUFFERS as usize];
        Ok(Lane { queue, ring, shared, lent_bytes, queued: 0, published: 0, consumed: 0 })
    }

    /// A buffer that is ours.
    fn free(&self) -> Option<u16> {
        (0..BUFFERS).find(|&buffer| self.lent_bytes[usize::from(buffer)].is_none())
    }

    /// Puts the free buffer into the ring, so many bytes of it.
    fn lend(&mut self, len: u32) -> Option<()> {
        let buffer = self.free()?;
        let flags = if self.queue == Queue::Receive { WRITE } else { 0 };
        let address = self.shared.address(place(buffer));
        self.ring.write_descriptor(buffer, Descriptor { address, len, flags, next: 0 });
        self.ring.write_available(self.queued, buffer);
        self.lent_bytes[usize::from(buffer)] = Some(len);
        self.queued = self.queued.wrapping_add(1);
        Some(())
    }

    /// Shows the device what was lent since the last time.
    fn publish(&mut self, doorbell: &mut impl Doorbell) {
        if self.published == self.queued {
            return;
        }
        self.published = self.queued;
        if self.ring.publish(self.published) {
            doorbell.ring(self.queue.number());
        }
    }

    /// The next answer, if there is one: a buffer that is ours again, and how much was written to it.
    fn answer(&mut self) -> Result<Option<(u16, u32)>, RingFault> {
        let in_flight = self.published.wrapping_sub(self.consumed);
        match self.ring.used_index().wrapping_sub(self.consumed) {
            0 => return Ok(None),
            pending if pending > in_flight => return Err(RingFault::UsedIdx),
            _ => {}
        }
        let answer = self.ring.used_element(self.consumed);
        let lent = self.lent_bytes.get_mut(answer.id as usize).ok_or(RingFault::UsedId)?;
        let lent_bytes = lent.ok_or(RingFault::UsedNotHead)?;
        if answer.len > lent_bytes {
            return Err(RingFault::UsedLen);
        }
        *lent = None;
        self.consumed = self.consumed.wrapping_add(1);
        Ok(Some((answer.id as u16, answer.len)))
    }
}

/// Where a buffer lies in the shared bytes.
fn place(buffer: u16) -> usize {
    usize::from(buffer) * BUFFER_BYTES
}
