//! A virtio-net device for tests: the other side of the same shared memory.
//!
//! It finds the rings where the driver said, reads descriptors and writes used elements as a
//! device does, and checks on the way that everything the driver posts is a whole buffer of the
//! pool, or several to send, that it does not have already. Honest behaviour is a call (`deliver`, `transmitted`);
//! for the other kind a test writes to the used ring what it likes.

use super::header::{HEADER_BYTES, Header};
use super::memory::RingAddresses;
use super::ring::RECEIVE_BYTES;
use super::{Doorbell, Queue};
use crate::pool::{BUFFER_BYTES, HEADROOM_BYTES, Pool};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use virtio_drivers::Error;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 1];
/// VERSION_1, STATUS, MAC, MRG_RXBUF, and some that the driver must not take.
pub const OFFERED: u64 = 1 << 32 | 1 << 16 | 1 << 15 | 1 << 5 | 1 << 29 | 1 << 28 | 1 << 17;
/// Checksums, TSO and USO, for sending and for receiving.
pub const HOST_CUTS: u64 = 1 << 11 | 1 << 12 | 1 << 56;
pub const GUEST_CUTS: u64 = 1 << 7 | 1 << 8 | 1 << 54 | 1 << 55;
pub const CSUM: u64 = 1;
pub const GUEST_CSUM: u64 = 1 << 1;
/// All of that, and ECN and UFO, which the driver must not take.
pub const OFFLOADS: u64 =
    HOST_CUTS | GUEST_CUTS | CSUM | GUEST_CSUM | 1 << 9 | 1 << 10 | 1 << 13 | 1 << 14;
pub const MRG_RXBUF: u64 = 1 << 15;
pub const STATUS: u64 = 1 << 16;

/// A header of a received frame without any offload, in one buffer.
pub const PLAIN: Header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

/// Where in a buffer the header lies.
const HEADER_AT: u64 = (HEADROOM_BYTES - HEADER_BYTES) as u64;

/// A pool and where its buffers lie, as a device would know it.
#[derive(Clone)]
pub struct Arena {
    pub pool: &'static Pool,
    region: Range<u64>,
}

impl Arena {
    pub fn new(count: usize) -> Arena {
        let pool = Pool::new(count);
        let frames: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        let buffers = || frames.iter().map(|frame| frame.device_address() - HEADER_AT);
        let end = buffers().max().unwrap() + BUFFER_BYTES as u64;
        let region = buffers().min().unwrap()..end;
        Arena { pool, region }
    }
}

/// A frame that the driver has posted: its first buffer, and what follows that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub id: u16,
    pub address: u64,
    pub len: u32,
    pub further: Vec<(u64, u32)>,
}

impl Posted {
    pub fn total_len(&self) -> u32 {
        self.len + self.further.iter().map(|part| part.1).sum::<u32>()
    }
}

/// The device's end of a ring.
pub struct FakeQueue {
    addresses: RingAddresses,
    size: u16,
    writes: bool,
    region: Range<u64>,
    available: u16,
    pub used: u16,
    /// Fetched and not answered.
    pub held: VecDeque<Posted>,
    /// The test answers what it does not hold, so that the driver may post what it does.
    pub lies: bool,
}

impl FakeQueue {
    pub fn new(queue: Queue, addresses: RingAddresses, size: u16, arena: &Arena) -> FakeQueue {
        FakeQueue {
            addresses,
            size,
            writes: queue == Queue::Receive,
            region: arena.region.clone(),
            available: 0,
            used: 0,
            held: VecDeque::new(),
            lies: false,
        }
    }

    /// Takes what the driver has published since the last time.
    pub fn fetch(&mut self) -> &mut VecDeque<Posted> {
        let published = read::<u16>(self.addresses.available + 2);
        assert!(published.wrapping_sub(self.available) <= self.size, "published beyond the ring");
        while self.available != published {
            let posted = self.read_posted(self.available % self.size);
            let held = self.held.len();
            self.held.retain(|held| held.id != posted.id);
            assert!(self.lies || self.held.len() == held, "posted twice: {posted:?}");
            self.held.push_back(posted);
            self.available = self.available.wrapping_add(1);
        }
        &mut self.held
    }

    fn read_posted(&self, slot: u16) -> Posted {
        let id = read::<u16>(self.addresses.available + 4 + 2 * u64::from(slot));
        let (address, len, mut next) = self.read_descriptor(id);
        assert!(len as usize >= HEADER_BYTES, "{len} bytes");
        let mut further = Vec::new();
        while let Some(id) = next {
            let (address, len, after) = self.read_descriptor(id);
            further.push((address, len));
            assert!(further.len() < usize::from(self.size), "an endless chain");
            next = after;
        }
        assert!(further.is_empty() || !self.writes, "one buffer each to write to");
        Posted { id, address, len, further }
    }

    /// Address and length of a buffer, and the next descriptor.
    fn read_descriptor(&self, id: u16) -> (u64, u32, Option<u16>) {
        assert!(id < self.size, "descriptor {id} of {}", self.size);
        let at = self.addresses.descriptors + 16 * u64::from(id);
        let (address, len) = (read::<u64>(at), read::<u32>(at + 8));
        let (flags, next) = (read::<u16>(at + 12), read::<u16>(at + 14));
        assert_eq!(flags & !1, if self.writes { 2 } else { 0 }, "flags");
        // Right before the frame's place in its buffer, and to the end of it at most.
        assert!(self.region.contains(&address), "outside of the pool");
        assert_eq!((address - self.region.start) % BUFFER_BYTES as u64, HEADER_AT);
        assert!((1..=RECEIVE_BYTES).contains(&len), "{len} bytes");
        (address, len, (flags & 1 != 0).then_some(next))
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

    /// Writes to a buffer that the driver has posted.
    pub fn fill(&self, posted: &Posted, header: &[u8], bytes: &[u8]) {
        assert!(header.len() + bytes.len() <= posted.len as usize);
        for (offset, &byte) in header.iter().chain(bytes).enumerate() {
            write::<u8>(posted.address + offset as u64, byte);
        }
    }

    /// Receives one frame in one buffer, whatever header and length are claimed.
    pub fn deliver_as(&mut self, header: Header, bytes: &[u8], written_bytes: u32) {
        let posted = self.fetch().pop_front().expect("the driver has posted a buffer");
        self.fill(&posted, &header, bytes);
        self.answer(posted.id.into(), written_bytes);
        self.show();
    }

    /// Receives a frame honestly, with nothing left to do, in as many buffers as it takes.
    pub fn deliver(&mut self, bytes: &[u8]) {
        self.deliver_with(PLAIN, bytes);
    }

    /// The same with a header of which only the number of buffers is not yet right.
    pub fn deliver_with(&mut self, mut header: Header, bytes: &[u8]) {
        let first_room = RECEIVE_BYTES as usize - HEADER_BYTES;
        let (first, rest) = bytes.split_at(bytes.len().min(first_room));
        let rest: Vec<&[u8]> = rest.chunks(RECEIVE_BYTES as usize).collect();
        header[10..].copy_from_slice(&(1 + rest.len() as u16).to_le_bytes());
        let chunks =
            std::iter::once((&header[..], first)).chain(rest.iter().map(|&r| (&[][..], r)));
        for (header, chunk) in chunks {
            let posted = self.fetch().pop_front().expect("the driver has posted enough");
            self.fill(&posted, header, chunk);
            self.answer(posted.id.into(), (header.len() + chunk.len()) as u32);
        }
        self.show();
    }

    /// Sends honestly: answers everything that was posted and returns the frames, of which nothing
    /// is left to do.
    pub fn transmitted(&mut self) -> Vec<Vec<u8>> {
        let plain = |(header, bytes)| {
            assert_eq!(header, [0; HEADER_BYTES], "no offload");
            bytes
        };
        self.transmitted_with().into_iter().map(plain).collect()
    }

    /// The same, with what was said of each.
    pub fn transmitted_with(&mut self) -> Vec<(Header, Vec<u8>)> {
        let posted: Vec<Posted> = self.fetch().drain(..).collect();
        let mut frames = Vec::new();
        for posted in posted {
            let first = (posted.address, posted.len);
            let parts = std::iter::once(first).chain(posted.further);
            let bytes_of = |(address, len)| (address..address + u64::from(len)).map(read::<u8>);
            let mut bytes: Vec<u8> = parts.flat_map(bytes_of).collect();
            let header = bytes.drain(..HEADER_BYTES).collect::<Vec<u8>>().try_into().unwrap();
            frames.push((header, bytes));
            self.answer(posted.id.into(), 0);
        }
        self.show();
        frames
    }
}

/// The registers, and what a test wants them to do.
pub struct FakeDevice {
    pub arena: Arena,
    pub offered: u64,
    pub accepted: u64,
    pub refuses_features: bool,
    pub ignores_reset: bool,
    /// No two reads of the generation are equal.
    pub restless: bool,
    pub status: DeviceStatus,
    pub mac: [u8; 6],
    pub link_status: u16,
    pub generation: u32,
    pub interrupt: u32,
    pub sizes: [u32; 2],
    pub doorbells: [usize; 2],
    /// Resets that were asked for.
    pub resets: usize,
    queues: [Option<FakeQueue>; 2],
}

/// The device, as driver and test share it.
#[derive(Clone)]
pub struct Handle(pub Rc<RefCell<FakeDevice>>);

impl Handle {
    pub fn new(arena: &Arena) -> Handle {
        Handle(Rc::new(RefCell::new(FakeDevice {
            arena: arena.clone(),
            offered: OFFERED,
            accepted: 0,
            refuses_features: false,
            ignores_reset: false,
            restless: false,
            status: DeviceStatus::empty(),
            mac: MAC,
            link_status: 1,
            generation: 0,
            interrupt: 0,
            sizes: [8, 8],
            doorbells: [0, 0],
            resets: 0,
            queues: [None, None],
        })))
    }

    /// Changes the device's mind about something.
    pub fn set(&self, change: impl FnOnce(&mut FakeDevice)) {
        change(&mut self.0.borrow_mut());
    }

    pub fn get<R>(&self, look: impl FnOnce(&FakeDevice) -> R) -> R {
        look(&self.0.borrow())
    }

    pub fn receive<R>(&self, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        act(self.0.borrow_mut().queues[0].as_mut().expect("the device is driven"))
    }

    pub fn transmit<R>(&self, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        act(self.0.borrow_mut().queues[1].as_mut().expect("the device is driven"))
    }
}

impl Doorbell for Handle {
    fn ring(&mut self, queue: u16) {
        self.0.borrow_mut().doorbells[usize::from(queue)] += 1;
    }
}

impl Transport for Handle {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
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
        self.0.borrow().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut device = self.0.borrow_mut();
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
            device.queues = [None, None];
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, available: u64, used: u64) {
        let mut device = self.0.borrow_mut();
        let addresses = RingAddresses { descriptors, available, used };
        let which = if queue == 0 { Queue::Receive } else { Queue::Transmit };
        let fake = FakeQueue::new(which, addresses, size as u16, &device.arena);
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
        let device = self.0.borrow();
        let mut config = [0; 8];
        config[..6].copy_from_slice(&device.mac);
        config[6..].copy_from_slice(&device.link_status.to_le_bytes());
        let bytes =
            config.get(offset..offset + size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        Ok(T::read_from_bytes(bytes).expect("as many bytes as the type has"))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> Result<(), Error> {
        panic!("nothing of a network device's configuration is the driver's to write");
    }
}

/// Numbers that are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

fn read<T: Copy>(address: u64) -> T {
    // SAFETY: a ring's address, or one inside of a buffer that `read_posted` has checked; both
    // are memory that is never freed, and the tests of a ring run on one thread.
    unsafe { (address as usize as *const T).read_volatile() }
}

fn write<T: Copy>(address: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { (address as usize as *mut T).write_volatile(value) }
}
