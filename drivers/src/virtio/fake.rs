//! A virtio device for tests: registers, and the other side of the same shared memory.
//!
//! [`FakeDevice`] answers the driver's handshake, well or not, and remembers where the rings are;
//! [`FarEnd`] reads descriptors and writes used elements as a device does. What is behind them makes
//! the [`Kind`]: a network device is in `net`, a disk and a console are with the tests of their
//! drivers.

pub mod net;

use super::Doorbell;
use super::memory::RingAddresses;
pub use crate::fake::{Random, read, write};
use std::cell::RefCell;
use std::rc::Rc;
use virtio_drivers::Error;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The most queues that a device of ours has.
const QUEUES: usize = 2;

/// What the registers belong to.
pub trait Kind {
    /// The device's end of a ring, and what the device does with it.
    type Queue;
    const TYPE: DeviceType;

    fn queue(&self, number: u16, addresses: RingAddresses, size: u16) -> Self::Queue;

    fn config(&self) -> Vec<u8>;
}

/// The registers, and what a test wants them to do.
pub struct FakeDevice<K: Kind> {
    pub kind: K,
    pub offered: u64,
    pub accepted: u64,
    pub refuses_features: bool,
    pub ignores_reset: bool,
    /// Nobody is there: what is read is ones.
    pub is_gone: bool,
    /// No two reads of the generation are equal.
    pub restless: bool,
    pub status: DeviceStatus,
    pub generation: u32,
    pub interrupt: u32,
    pub sizes: [u32; QUEUES],
    pub doorbells: [usize; QUEUES],
    /// Resets that were asked for.
    pub resets: usize,
    queues: [Option<K::Queue>; QUEUES],
}

/// The device, as driver and test share it.
pub struct Handle<K: Kind>(Rc<RefCell<FakeDevice<K>>>);

/// The device's end of a ring.
pub struct FarEnd {
    addresses: RingAddresses,
    size: u16,
    available: u16,
    pub used: u16,
}

/// Descriptors that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub id: u16,
    pub parts: Vec<Part>,
}

/// What a descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub address: u64,
    pub len: u32,
    pub writes: bool,
}

impl FarEnd {
    pub fn new(addresses: RingAddresses, size: u16) -> FarEnd {
        FarEnd { addresses, size, available: 0, used: 0 }
    }

    /// The next chain that the driver has published.
    pub fn fetch(&mut self) -> Option<Chain> {
        let published = read::<u16>(self.addresses.available + 2);
        assert!(published.wrapping_sub(self.available) <= self.size, "published beyond the ring");
        if self.available == published {
            return None;
        }
        let slot = u64::from(self.available % self.size);
        self.available = self.available.wrapping_add(1);
        let id = read::<u16>(self.addresses.available + 4 + 2 * slot);
        let mut parts = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            assert!(parts.len() < usize::from(self.size), "an endless chain");
            let (part, after) = self.descriptor(id);
            parts.push(part);
            next = after;
        }
        Some(Chain { id, parts })
    }

    /// What a descriptor says, and which one comes after it.
    fn descriptor(&self, id: u16) -> (Part, Option<u16>) {
        assert!(id < self.size, "descriptor {id} of {}", self.size);
        let at = self.addresses.descriptors + 16 * u64::from(id);
        let (flags, next) = (read::<u16>(at + 12), read::<u16>(at + 14));
        assert_eq!(flags & !3, 0, "flags");
        let part = Part { address: read(at), len: read(at + 8), writes: flags & 2 != 0 };
        (part, (flags & 1 != 0).then_some(next))
    }

    /// Writes the next used element, without showing it.
    pub fn answer(&mut self, id: u32, len: u32) {
        let at = self.addresses.used + 4 + 8 * u64::from(self.used % self.size);
        write::<u32>(at, id);
        write::<u32>(at + 4, len);
        self.used = self.used.wrapping_add(1);
    }

    /// Shows what was answered.
    pub fn show(&mut self) {
        self.show_index(self.used);
    }

    pub fn show_index(&mut self, index: u16) {
        write::<u16>(self.addresses.used + 2, index);
    }

    /// Asks the driver to spare the doorbell, or not to.
    pub fn spare_doorbell(&mut self, spare: bool) {
        write::<u16>(self.addresses.used, u16::from(spare));
    }

    /// Writes nonsense over all that is the driver's to write: descriptors and available ring.
    pub fn scribble(&mut self) {
        for address in self.addresses.descriptors..self.addresses.used {
            write::<u8>(address, 0xff);
        }
    }

    pub fn wants_interrupts(&self) -> bool {
        read::<u16>(self.addresses.available) == 0
    }
}

impl<K: Kind> FakeDevice<K> {
    /// A device that means well, with queues of 256.
    pub fn new(kind: K, offered: u64) -> FakeDevice<K> {
        FakeDevice {
            kind,
            offered,
            accepted: 0,
            refuses_features: false,
            ignores_reset: false,
            is_gone: false,
            restless: false,
            status: DeviceStatus::empty(),
            generation: 0,
            interrupt: 0,
            sizes: [256; QUEUES],
            doorbells: [0; QUEUES],
            resets: 0,
            queues: [const { None }; QUEUES],
        }
    }
}

impl<K: Kind> Handle<K> {
    pub fn new(device: FakeDevice<K>) -> Handle<K> {
        Handle(Rc::new(RefCell::new(device)))
    }

    /// Changes the device's mind about something.
    pub fn set(&self, change: impl FnOnce(&mut FakeDevice<K>)) {
        change(&mut self.0.borrow_mut());
    }

    pub fn get<R>(&self, look: impl FnOnce(&FakeDevice<K>) -> R) -> R {
        look(&self.0.borrow())
    }

    /// Acts at the device's end of a ring.
    pub fn queue<R>(&self, number: usize, act: impl FnOnce(&mut K::Queue) -> R) -> R {
        act(self.0.borrow_mut().queues[number].as_mut().expect("the device is driven"))
    }
}

impl<K: Kind> Clone for Handle<K> {
    fn clone(&self) -> Handle<K> {
        Handle(self.0.clone())
    }
}

impl<K: Kind> Doorbell for Handle<K> {
    fn ring(&mut self, queue: u16) {
        self.0.borrow_mut().doorbells[usize::from(queue)] += 1;
    }
}

impl<K: Kind> Transport for Handle<K> {
    fn device_type(&self) -> DeviceType {
        K::TYPE
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        self.0.borrow_mut().accepted = driver_features;
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.0.borrow().sizes[usize::from(queue)]
    }

    fn notify(&mut self, _: u16) {
        panic!("the doorbell is the driver's own");
    }

    fn get_status(&self) -> DeviceStatus {
        let device = self.0.borrow();
        if device.is_gone { DeviceStatus::all() } else { device.status }
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
        if device.is_gone {
            return;
        }
        if !status.is_empty() {
            device.status = status;
            let refused = device.refuses_features;
            device.status.set(
                DeviceStatus::FEATURES_OK,
                !refused && status.contains(DeviceStatus::FEATURES_OK),
            );
            return;
        }
        device.resets += 1;
        if !device.ignores_reset {
            device.status = status;
            (device.interrupt, device.accepted) = (0, 0);
            device.queues = [const { None }; QUEUES];
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, available: u64, used: u64) {
        let mut device = self.0.borrow_mut();
        let addresses = RingAddresses { descriptors, available, used };
        let fake = device.kind.queue(queue, addresses, size as u16);
        device.queues[usize::from(queue)] = Some(fake);
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.0.borrow().queues[usize::from(queue)].is_some()
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_retain(std::mem::take(&mut self.0.borrow_mut().interrupt))
    }

    fn read_config_generation(&self) -> u32 {
        let mut device = self.0.borrow_mut();
        device.generation += u32::from(device.restless);
        device.generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let config = self.0.borrow().kind.config();
        let bytes =
            config.get(offset..offset + size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        Ok(T::read_from_bytes(bytes).expect("as many bytes as the type has"))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> Result<(), Error> {
        panic!("nothing of the configuration is the driver's to write");
    }
}
