//! The driver and a device that is honest, or not.

use super::*;
use crate::virtio::memory::RingAddresses;
use std::cell::RefCell;
use std::rc::Rc;
use virtio_drivers::Error;
use virtio_drivers::transport::{DeviceType, InterruptStatus};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// VERSION_1, FLUSH, and some that the driver must not take.
const OFFERED: u64 = 1 << 32 | FEATURE_FLUSH | 1 << 28 | 1 << 29 | 1 << 6 | 1 << 11;

/// The registers, and a disk of 16 blocks behind them.
struct Inside {
    offered: u64,
    accepted: u64,
    status: DeviceStatus,
    ignores_reset: bool,
    restless: bool,
    queue_max: u32,
    sectors: u64,
    generation: u32,
    doorbells: usize,
    ring: Option<RingAddresses>,
    available: u16,
    used: u16,
    bytes: Vec<u8>,
}

#[derive(Clone)]
struct Device(Rc<RefCell<Inside>>);

/// A request as the device sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    kind: u32,
    sector: u64,
    /// Address, length, and whether the device writes there.
    parts: Vec<(u64, u32, bool)>,
}

impl Device {
    fn new() -> Device {
        Device(Rc::new(RefCell::new(Inside {
            offered: OFFERED,
            accepted: 0,
            status: DeviceStatus::empty(),
            ignores_reset: false,
            restless: false,
            queue_max: 256,
            sectors: 16 * SECTORS_PER_BLOCK + 7,
            generation: 0,
            doorbells: 0,
            ring: None,
            available: 0,
            used: 0,
            bytes: vec![0; 16 * BLOCK_BYTES],
        })))
    }

    fn driver(&self) -> VirtioBlock<Device, Device> {
        VirtioBlock::new(self.clone(), self.clone()).expect("a device that can be used")
    }

    fn set(&self, change: impl FnOnce(&mut Inside)) {
        change(&mut self.0.borrow_mut());
    }

    fn addresses(&self) -> RingAddresses {
        self.0.borrow().ring.expect("the device is driven")
    }

    /// The request that was published last, if there is a new one.
    fn fetch(&self) -> Option<Seen> {
        let ring = self.addresses();
        let mut inside = self.0.borrow_mut();
        if read::<u16>(ring.available + 2) == inside.available {
            return None;
        }
        let head = read::<u16>(ring.available + 4 + 2 * u64::from(inside.available % 4));
        inside.available = inside.available.wrapping_add(1);
        let mut parts = Vec::new();
        let mut id = Some(head);
        while let Some(at) = id.map(|id| ring.descriptors + 16 * u64::from(id)) {
            let flags = read::<u16>(at + 12);
            parts.push((read::<u64>(at), read::<u32>(at + 8), flags & WRITE != 0));
            assert!(parts.len() <= 3, "a chain without end");
            id = (flags & NEXT != 0).then(|| read::<u16>(at + 14));
        }
        let (header, bytes, writes) = parts[0];
        assert_eq!((bytes, writes), (16, false));
        Some(Seen { kind: read(header), sector: read(header + 8), parts })
    }

    fn answer(&self, id: u32, len: u32) {
        let ring = self.addresses();
        let mut inside = self.0.borrow_mut();
        let at = ring.used + 4 + 8 * u64::from(inside.used % 4);
        write(at, id);
        write(at + 4, len);
        inside.used = inside.used.wrapping_add(1);
        write(ring.used + 2, inside.used);
    }

    /// Does what is asked, honestly.
    fn serve(&self) -> Seen {
        let seen = self.fetch().expect("a request");
        let at = seen.sector as usize * 512;
        let mut written = 1;
        if let [_, (address, len, writes), _] = seen.parts[..] {
            let mut inside = self.0.borrow_mut();
            let bytes = &mut inside.bytes[at..at + len as usize];
            for (offset, byte) in (0..).zip(bytes) {
                if writes { write(address + offset, *byte) } else { *byte = read(address + offset) }
            }
            written += if writes { len } else { 0 };
        }
        self.finish(&seen, STATUS_OK, written);
        seen
    }

    fn finish(&self, seen: &Seen, status: u8, written: u32) {
        let &(address, len, writes) = seen.parts.last().expect("a chain has parts");
        assert_eq!((len, writes), (1, true));
        write(address, status);
        self.answer(0, written);
    }
}

impl Doorbell for Device {
    fn ring(&mut self, queue: u16) {
        assert_eq!(queue, QUEUE);
        self.0.borrow_mut().doorbells += 1;
    }
}

impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }

    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().offered
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        self.0.borrow_mut().accepted = driver_features;
    }

    fn max_queue_size(&mut self, _: u16) -> u32 {
        self.0.borrow().queue_max
    }

    fn notify(&mut self, _: u16) {
        panic!("the doorbell is the driver's own");
    }

    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut inside = self.0.borrow_mut();
        if !status.is_empty() || !inside.ignores_reset {
            inside.status = status;
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, descriptors: u64, available: u64, used: u64) {
        assert_eq!((queue, size), (QUEUE, 4));
        self.0.borrow_mut().ring = Some(RingAddresses { descriptors, available, used });
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, _: u16) -> bool {
        self.0.borrow().ring.is_some()
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        let mut inside = self.0.borrow_mut();
        inside.generation += u32::from(inside.restless);
        inside.generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let config = self.0.borrow().sectors.to_le_bytes();
        let bytes =
            config.get(offset..offset + size_of::<T>()).ok_or(Error::ConfigSpaceTooSmall)?;
        Ok(T::read_from_bytes(bytes).expect("as many bytes as the type has"))
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> Result<(), Error> {
        panic!("nothing of a disk's configuration is the driver's to write");
    }
}

fn read<T: Copy>(address: u64) -> T {
    // SAFETY: the ring's memory or a buffer that the driver has posted; both are never freed, and
    // a test runs on one thread.
    unsafe { (address as usize as *const T).read_volatile() }
}

fn write<T: Copy>(address: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { (address as usize as *mut T).write_volatile(value) }
}

const READ: Request<'static> = Request::Read { block: 2, blocks: 1 };

#[test]
fn blocks_are_written_read_and_flushed() {
    let device = Device::new();
    let mut disk = device.driver();
    assert_eq!((disk.blocks(), disk.is_read_only()), (16, false), "a last part is left");
    assert!(disk.poll().is_none(), "nothing was asked for");

    let bytes: Vec<u8> = (0..2 * BLOCK_BYTES).map(|at| at as u8 ^ (at >> 8) as u8).collect();
    disk.begin(Request::Write { block: 3, bytes: &bytes }).unwrap();
    assert!(disk.poll().is_none(), "the device has not answered");
    let seen = device.serve();
    assert_eq!((seen.kind, seen.sector, seen.parts[1].1), (TYPE_OUT, 24, 8192));
    assert!(!seen.parts[1].2);
    assert_eq!(disk.poll(), Some(Ok(&[][..])));
    assert_eq!(device.0.borrow().bytes[3 * BLOCK_BYTES..][..bytes.len()], bytes);

    disk.begin(Request::Flush).unwrap();
    let seen = device.serve();
    assert_eq!((seen.kind, seen.sector, seen.parts.len()), (TYPE_FLUSH, 0, 2));
    assert_eq!(disk.poll(), Some(Ok(&[][..])));

    disk.begin(Request::Read { block: 2, blocks: 3 }).unwrap();
    assert_eq!(device.serve().kind, TYPE_IN);
    let read = disk.poll().unwrap().unwrap().to_vec();
    assert_eq!((&read[..BLOCK_BYTES], &read[BLOCK_BYTES..]), (&[0; BLOCK_BYTES][..], &bytes[..]));
    assert!(disk.poll().is_none() && device.fetch().is_none());
    assert_eq!(device.0.borrow().doorbells, 3);
}

/// The ring has four places: indices wrap, and then the numbers do.
#[test]
fn requests_without_number() {
    let device = Device::new();
    let mut disk = device.driver();
    for round in 0..70_000_u32 {
        disk.begin(Request::Flush).unwrap();
        device.serve();
        assert!(disk.poll().unwrap().is_ok(), "round {round}");
    }
}

#[test]
fn only_features_that_are_used_are_taken() {
    let device = Device::new();
    device.set(|it| it.offered |= FEATURE_RO);
    let disk = device.driver();
    assert_eq!(device.0.borrow().accepted, 1 << 32 | FEATURE_FLUSH | FEATURE_RO);
    assert!(disk.is_read_only());
}

#[test]
fn without_a_cache_there_is_nothing_to_flush() {
    let device = Device::new();
    device.set(|it| it.offered = 1 << 32);
    let mut disk = device.driver();
    disk.begin(Request::Flush).unwrap();
    assert_eq!(disk.poll(), Some(Ok(&[][..])));
    assert!(disk.poll().is_none() && device.fetch().is_none());
}

#[test]
fn a_request_that_the_device_refuses_costs_only_itself() {
    let device = Device::new();
    let mut disk = device.driver();
    for status in [1, 2, STATUS_NONE] {
        disk.begin(READ).unwrap();
        let seen = device.fetch().unwrap();
        device.finish(&seen, status, 1);
        assert_eq!(disk.poll(), Some(Err(DiskFault::Refused { status })));
        disk.begin(READ).unwrap();
        device.serve();
        assert!(disk.poll().unwrap().is_ok());
    }
}

/// Every answer that cannot be stops the device, and nothing else.
#[test]
fn d15_a_device_that_lies_is_stopped() {
    type Lie = fn(&Device);
    let cases: [(&str, Lie, RingFault); 7] = [
        ("two answers", |it| (0..2).for_each(|_| it.answer(0, 1)), RingFault::UsedIdx),
        (
            "an index that goes back",
            |it| write(it.addresses().used + 2, 0xffff_u16),
            RingFault::UsedIdx,
        ),
        ("no such descriptor", |it| it.answer(4, 1), RingFault::UsedId),
        ("far beyond", |it| it.answer(0x1_0000, 1), RingFault::UsedId),
        ("another descriptor", |it| it.answer(1, 1), RingFault::UsedNotHead),
        ("more than it was given", |it| it.answer(0, 4098), RingFault::UsedLen),
        ("much more", |it| it.answer(0, u32::MAX), RingFault::UsedLen),
    ];
    for (what, lie, fault) in cases {
        let device = Device::new();
        let mut disk = device.driver();
        disk.begin(READ).unwrap();
        device.fetch().unwrap();
        lie(&device);
        let stopped = DiskFault::Ring(fault);
        assert_eq!(disk.poll(), Some(Err(stopped)), "{what}");
        assert!(device.0.borrow().status.is_empty(), "{what}: it was reset");
        assert_eq!(disk.begin(READ), Err(stopped), "{what}");
        assert_eq!(disk.poll(), Some(Err(stopped)), "{what}");
        assert!(device.fetch().is_none(), "{what}: nothing more was asked of it");
    }
}

/// What was read does not change under the reader.
#[test]
fn a_device_that_goes_on_writing_changes_nothing() {
    let device = Device::new();
    let mut disk = device.driver();
    disk.begin(READ).unwrap();
    let seen = device.serve();
    let read = disk.poll().unwrap().unwrap();
    write(seen.parts[1].0, 0xee_u8);
    assert_eq!(read[0], 0);
}

#[test]
fn d15_a_device_that_cannot_be_used_is_absent_for_a_reason() {
    type Change = fn(&mut Inside);
    let cases: &[(Change, Absent)] = &[
        (|it| it.offered &= !(1 << 32), Absent::FeaturesMissing { bits: 1 << 32 }),
        (|it| (it.ignores_reset, it.status) = (true, DeviceStatus::DRIVER_OK), Absent::NoReset),
        (|it| it.restless = true, Absent::Config),
        (|it| it.queue_max = 0, Absent::QueueSize { queue: 0, offered: 0 }),
        (|it| it.queue_max = 2, Absent::QueueSize { queue: 0, offered: 2 }),
    ];
    for &(change, reason) in cases {
        let device = Device::new();
        device.set(change);
        let result = VirtioBlock::new(device.clone(), device);
        assert_eq!(result.err(), Some(reason));
    }
}
