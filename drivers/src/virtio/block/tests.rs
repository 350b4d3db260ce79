//! The driver and a device that is honest, or not.

use super::*;
use crate::virtio::fake::{Chain, FakeDevice, FarEnd, Handle, Kind, Part, read, write};
use crate::virtio::memory::RingAddresses;
use virtio_drivers::transport::DeviceType;

/// VERSION_1, FLUSH, and some that the driver must not take.
const OFFERED: u64 = 1 << 32 | FEATURE_FLUSH | 1 << 28 | 1 << 29 | 1 << 6 | 1 << 11;

/// A disk of 16 blocks behind the registers.
struct Blocks {
    sectors: u64,
    bytes: Vec<u8>,
}

type Device = Handle<Blocks>;

/// A request as the device sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    kind: u32,
    sector: u64,
    parts: Vec<Part>,
}

impl Kind for Blocks {
    type Queue = FarEnd;
    const TYPE: DeviceType = DeviceType::Block;

    fn queue(&self, number: u16, addresses: RingAddresses, size: u16) -> FarEnd {
        assert_eq!((number, size), (QUEUE, 4));
        FarEnd::new(addresses, size)
    }

    fn config(&self) -> Vec<u8> {
        self.sectors.to_le_bytes().to_vec()
    }
}

impl Device {
    fn with_blocks() -> Device {
        let sectors = 16 * SECTORS_PER_BLOCK + 7;
        let blocks = Blocks { sectors, bytes: vec![0; 16 * BLOCK_BYTES] };
        Handle::new(FakeDevice::new(blocks, OFFERED))
    }

    fn driver(&self) -> VirtioBlock<Device, Device> {
        VirtioBlock::new(self.clone(), self.clone()).expect("a device that can be used")
    }

    /// The request that was published last, if there is a new one.
    fn fetch(&self) -> Option<Seen> {
        let Chain { parts, .. } = self.queue(0, FarEnd::fetch)?;
        let Part { address: header, len, writes } = parts[0];
        assert_eq!((len, writes), (16, false));
        Some(Seen { kind: read(header), sector: read(header + 8), parts })
    }

    fn answer(&self, id: u32, len: u32) {
        self.queue(0, |ring| {
            ring.answer(id, len);
            ring.show();
        });
    }

    /// Does what is asked, honestly.
    fn serve(&self) -> Seen {
        let seen = self.fetch().expect("a request");
        let at = seen.sector as usize * 512;
        let mut written = 1;
        if let [_, Part { address, len, writes }, _] = seen.parts[..] {
            self.set(|it| {
                let bytes = &mut it.kind.bytes[at..at + len as usize];
                for (offset, byte) in (0..).zip(bytes) {
                    match writes {
                        true => write(address + offset, *byte),
                        false => *byte = read(address + offset),
                    }
                }
            });
            written += if writes { len } else { 0 };
        }
        self.finish(&seen, STATUS_OK, written);
        seen
    }

    fn finish(&self, seen: &Seen, status: u8, written: u32) {
        let &Part { address, len, writes } = seen.parts.last().expect("a chain has parts");
        assert_eq!((len, writes), (1, true));
        write(address, status);
        self.answer(0, written);
    }
}

const READ: Request<'static> = Request::Read { block: 2, blocks: 1 };

#[test]
fn blocks_are_written_read_and_flushed() {
    let device = Device::with_blocks();
    let mut disk = device.driver();
    assert_eq!((disk.blocks(), disk.is_read_only()), (16, false), "a last part is left");
    assert!(disk.poll().is_none(), "nothing was asked for");

    let bytes: Vec<u8> = (0..2 * BLOCK_BYTES).map(|at| at as u8 ^ (at >> 8) as u8).collect();
    disk.begin(Request::Write { block: 3, bytes: &bytes }).unwrap();
    assert!(disk.poll().is_none(), "the device has not answered");
    let seen = device.serve();
    assert_eq!((seen.kind, seen.sector, seen.parts[1].len), (TYPE_OUT, 24, 8192));
    assert!(!seen.parts[1].writes);
    assert_eq!(disk.poll(), Some(Ok(&[][..])));
    assert_eq!(device.get(|it| it.kind.bytes[3 * BLOCK_BYTES..][..bytes.len()].to_vec()), bytes);

    disk.begin(Request::Flush).unwrap();
    let seen = device.serve();
    assert_eq!((seen.kind, seen.sector, seen.parts.len()), (TYPE_FLUSH, 0, 2));
    assert_eq!(disk.poll(), Some(Ok(&[][..])));

    disk.begin(Request::Read { block: 2, blocks: 3 }).unwrap();
    assert_eq!(device.serve().kind, TYPE_IN);
    let read = disk.poll().unwrap().unwrap().to_vec();
    assert_eq!((&read[..BLOCK_BYTES], &read[BLOCK_BYTES..]), (&[0; BLOCK_BYTES][..], &bytes[..]));
    assert!(disk.poll().is_none() && device.fetch().is_none());
    assert_eq!(device.get(|it| it.doorbells), [3, 0]);
}

/// The ring has four places: indices wrap, and then the numbers do.
#[test]
fn requests_without_number() {
    let device = Device::with_blocks();
    let mut disk = device.driver();
    for round in 0..70_000_u32 {
        disk.begin(Request::Flush).unwrap();
        device.serve();
        assert!(disk.poll().unwrap().is_ok(), "round {round}");
    }
}

#[test]
fn only_features_that_are_used_are_taken() {
    let device = Device::with_blocks();
    device.set(|it| it.offered |= FEATURE_RO);
    let disk = device.driver();
    assert_eq!(device.get(|it| it.accepted), 1 << 32 | FEATURE_FLUSH | FEATURE_RO);
    assert!(disk.is_read_only());
}

#[test]
fn without_a_cache_there_is_nothing_to_flush() {
    let device = Device::with_blocks();
    device.set(|it| it.offered = 1 << 32);
    let mut disk = device.driver();
    disk.begin(Request::Flush).unwrap();
    assert_eq!(disk.poll(), Some(Ok(&[][..])));
    assert!(disk.poll().is_none() && device.fetch().is_none());
}

#[test]
fn a_request_that_the_device_refuses_costs_only_itself() {
    let device = Device::with_blocks();
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
            |it| it.queue(0, |ring| ring.show_index(0xffff)),
            RingFault::UsedIdx,
        ),
        ("no such descriptor", |it| it.answer(4, 1), RingFault::UsedId),
        ("far beyond", |it| it.answer(0x1_0000, 1), RingFault::UsedId),
        ("another descriptor", |it| it.answer(1, 1), RingFault::UsedNotHead),
        ("more than it was given", |it| it.answer(0, 4098), RingFault::UsedLen),
        ("much more", |it| it.answer(0, u32::MAX), RingFault::UsedLen),
    ];
    for (what, lie, fault) in cases {
        let device = Device::with_blocks();
        let mut disk = device.driver();
        disk.begin(READ).unwrap();
        device.fetch().unwrap();
        lie(&device);
        let stopped = DiskFault::Ring(fault);
        assert_eq!(disk.poll(), Some(Err(stopped)), "{what}");
        assert!(device.get(|it| it.status).is_empty(), "{what}: it was reset");
        assert_eq!(disk.begin(READ), Err(stopped), "{what}");
        assert_eq!(disk.poll(), Some(Err(stopped)), "{what}");
        assert_eq!(device.get(|it| it.doorbells), [1, 0], "{what}: nothing more was asked of it");
    }
}

/// What was read does not change under the reader.
#[test]
fn a_device_that_goes_on_writing_changes_nothing() {
    let device = Device::with_blocks();
    let mut disk = device.driver();
    disk.begin(READ).unwrap();
    let seen = device.serve();
    let read = disk.poll().unwrap().unwrap();
    write(seen.parts[1].address, 0xee_u8);
    assert_eq!(read[0], 0);
}

#[test]
fn d15_a_device_that_cannot_be_used_is_absent_for_a_reason() {
    type Change = fn(&mut FakeDevice<Blocks>);
    let cases: &[(Change, Absent)] = &[
        (|it| it.offered &= !(1 << 32), Absent::FeaturesMissing { bits: 1 << 32 }),
        (|it| (it.ignores_reset, it.status) = (true, DeviceStatus::DRIVER_OK), Absent::NoReset),
        (|it| it.restless = true, Absent::Config),
        (|it| it.sizes[0] = 0, Absent::QueueSize { queue: 0, offered: 0 }),
        (|it| it.sizes[0] = 2, Absent::QueueSize { queue: 0, offered: 2 }),
    ];
    for &(change, reason) in cases {
        let device = Device::with_blocks();
        device.set(change);
        let result = VirtioBlock::new(device.clone(), device);
        assert_eq!(result.err(), Some(reason));
    }
}
