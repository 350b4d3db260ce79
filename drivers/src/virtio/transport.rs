//! The seam between virtio's drivers and the ways to a device: its registers, and its doorbells.
//!
//! Registers are touched when a device begins, rests or ends, so one driver serves both ways and asks at
//! each access which it is. (virtio-drivers' `SomeTransport` is the same with a third way, which nobody
//! here has.) Doorbells are rung for every batch; they are addresses that were looked up once.

use super::block::{self, VirtioBlock};
use super::console::VirtioConsole;
use super::net::VirtioNet;
use super::{Doorbell, Queue};
use crate::disk::Disk;
use crate::nic::Nic;
use crate::pool::Pool;
use crate::probe::Absent;
use crate::tty::Tty;
use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A way to a device's registers and to the doorbells of its queues, which are numbered from 0.
pub struct Connection<const QUEUES: usize> {
    /// Not to be dropped: that would wait for the device without end.
    pub transport: ManuallyDrop<AnyTransport>,
    pub bells: Bells<QUEUES>,
}

/// A device's registers, by either way.
pub enum AnyTransport {
    Pci(PciTransport),
    Mmio(MmioTransport<'static>),
}

/// The doorbells of a device's queues.
#[derive(Debug)]
pub struct Bells<const QUEUES: usize>(Kind<QUEUES>);

#[derive(Debug)]
enum Kind<const QUEUES: usize> {
    /// One for each queue, of 16 bits (4.1.5.2).
    Each([NonNull<u16>; QUEUES]),
    /// One for all, of 32 bits (4.2.2, QueueNotify).
    Shared(NonNull<u32>),
}

impl Connection<{ Queue::COUNT }> {
    /// Takes a network card to a running port.
    pub fn nic(self, pool: &'static Pool) -> Result<Box<dyn Nic>, Absent> {
        let transport = ManuallyDrop::into_inner(self.transport);
        Ok(Box::new(VirtioNet::new(transport, self.bells, pool)?))
    }

    /// Takes a console to a running one.
    pub fn console(self) -> Result<Box<dyn Tty>, Absent> {
        let transport = ManuallyDrop::into_inner(self.transport);
        Ok(Box::new(VirtioConsole::new(transport, self.bells)?))
    }
}

impl Connection<{ block::QUEUES }> {
    /// Takes a disk to a running one.
    pub fn disk(self) -> Result<Box<dyn Disk>, Absent> {
        let transport = ManuallyDrop::into_inner(self.transport);
        Ok(Box::new(VirtioBlock::new(transport, self.bells)?))
    }
}

impl<const QUEUES: usize> Bells<QUEUES> {
    /// # Safety
    /// Each is aligned and, for ever, the notification register of the queue with its number.
    pub unsafe fn each(bells: [NonNull<u16>; QUEUES]) -> Self {
        Bells(Kind::Each(bells))
    }

    /// # Safety
    /// It is aligned and, for ever, the notification register of the device.
    pub unsafe fn shared(bell: NonNull<u32>) -> Self {
        Bells(Kind::Shared(bell))
    }
}

impl<const QUEUES: usize> Doorbell for Bells<QUEUES> {
    fn ring(&mut self, queue: u16) {
        // SAFETY: aligned registers that stay mapped, as `each` and `shared` were promised. The device
        // takes the write as a hint and no more.
        unsafe {
            match &self.0 {
                Kind::Each(bells) => bells[usize::from(queue)].write_volatile(queue),
                Kind::Shared(bell) => bell.write_volatile(queue.into()),
            }
        }
    }
}

/// Both ways have the same methods.
macro_rules! either {
    ($any:expr, $transport:ident => $call:expr) => {
        match $any {
            AnyTransport::Pci($transport) => $call,
            AnyTransport::Mmio($transport) => $call,
        }
    };
}

impl Transport for AnyTransport {
    fn device_type(&self) -> DeviceType {
        either!(self, it => it.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        either!(self, it => it.read_device_features())
    }

    fn write_driver_features(&mut self, features: u64) {
        either!(self, it => it.write_driver_features(features))
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        either!(self, it => it.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        either!(self, it => it.notify(queue))
    }

    #[inline(never)]
    fn get_status(&self) -> DeviceStatus {
        either!(self, it => it.get_status())
    }

    #[inline(never)]
    fn set_status(&mut self, status: DeviceStatus) {
        either!(self, it => it.set_status(status))
    }

    fn set_guest_page_size(&mut self, size: u32) {
        either!(self, it => it.set_guest_page_size(size))
    }

    fn requires_legacy_layout(&self) -> bool {
        either!(self, it => it.requires_legacy_layout())
    }

    #[inline(never)]
    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        either!(self, it => it.queue_set(queue, size, descriptors, driver, device))
    }

    fn queue_unset(&mut self, queue: u16) {
        either!(self, it => it.queue_unset(queue))
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        either!(self, it => it.queue_used(queue))
    }

    #[inline(never)]
    fn ack_interrupt(&mut self) -> InterruptStatus {
        either!(self, it => it.ack_interrupt())
    }

    #[inline(never)]
    fn read_config_generation(&self) -> u32 {
        either!(self, it => it.read_config_generation())
    }

    #[inline(never)]
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        either!(self, it => it.read_config_space(offset))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<(), Error> {
        either!(self, it => it.write_config_space(offset, value))
    }
}
