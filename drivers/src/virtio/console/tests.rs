//! The driver and a console that is honest, or not.

use super::*;
use crate::virtio::fake::{Chain, FakeDevice, FarEnd, Handle, Kind, Part, Random, read, write};
use crate::virtio::memory::RingAddresses;
use std::collections::VecDeque;
use virtio_drivers::transport::DeviceType;

/// VERSION_1, and some that the driver must not take: SIZE, MULTIPORT, EMERG_WRITE, EVENT_IDX.
const OFFERED: u64 = 1 << 32 | 1 | 1 << 1 | 1 << 2 | 1 << 29;

/// A console behind the registers, of whose configuration nothing is read.
struct Terminal;

/// The device's end of a ring, and what was lent to it.
struct Wire {
    far: FarEnd,
    writes: bool,
    held: VecDeque<(u16, Part)>,
}

type Device = Handle<Terminal>;

impl Kind for Terminal {
    type Queue = Wire;
    const TYPE: DeviceType = DeviceType::Console;

    fn queue(&self, number: u16, addresses: RingAddresses, size: u16) -> Wire {
        assert_eq!(size, BUFFERS);
        Wire { far: FarEnd::new(addresses, size), writes: number == 0, held: VecDeque::new() }
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl Wire {
    /// What is lent now: each buffer once, and only to be read or only to be written.
    fn fetch(&mut self) -> &mut VecDeque<(u16, Part)> {
        while let Some(Chain { id, parts }) = self.far.fetch() {
            let [part] = parts[..] else {
                panic!("one buffer a chain: {parts:?}");
            };
            assert_eq!(part.writes, self.writes);
            assert!((1..=BUFFER_BYTES as u32).contains(&part.len));
            assert!(self.held.iter().all(|(held, _)| *held != id), "{id} is lent twice");
            self.held.push_back((id, part));
        }
        &mut self.held
    }

    fn answer(&mut self, id: u32, len: u32) {
        self.far.answer(id, len);
        self.far.show();
    }
}

impl Device {
    fn with_terminal() -> Device {
        Handle::new(FakeDevice::new(Terminal, OFFERED))
    }

    fn driver(&self) -> VirtioConsole<Device, Device> {
        VirtioConsole::new(self.clone(), self.clone()).expect("a device that can be used")
    }

    /// Somebody types; as much as fits into one buffer.
    fn type_in(&self, bytes: &[u8]) {
        self.queue(0, |ring| {
            let (id, part) = ring.fetch().pop_front().expect("a buffer is lent");
            assert!(bytes.len() <= part.len as usize);
            for (at, byte) in (part.address..).zip(bytes) {
                write(at, *byte);
            }
            ring.answer(id.into(), bytes.len() as u32);
        });
    }

    /// Shows everything that was sent.
    fn show(&self) -> Vec<u8> {
        self.queue(1, |ring| {
            let mut shown = Vec::new();
            while let Some((id, part)) = ring.fetch().pop_front() {
                shown.extend((part.address..).take(part.len as usize).map(read::<u8>));
                ring.answer(id.into(), 0);
            }
            shown
        })
    }
}

fn read_all(console: &mut impl Tty) -> Vec<u8> {
    std::iter::from_fn(|| console.read()).collect()
}

#[test]
fn bytes_go_both_ways() {
    let device = Device::with_terminal();
    let mut console = device.driver();
    assert_eq!(device.get(|it| (it.accepted, it.status.bits())), (1 << 32, 0b1111));
    assert_eq!(device.get(|it| it.doorbells), [1, 0], "buffers for what may come");
    assert_eq!(device.queue(0, |ring| ring.fetch().len()), 8);
    assert_eq!(console.read(), None);

    device.type_in(b"show ");
    device.type_in(b"version\r");
    assert_eq!(read_all(&mut console), b"show version\r");
    assert_eq!(device.queue(0, |ring| ring.fetch().len()), 8, "lent again");

    let long: Vec<u8> = (0..1000).map(|at| at as u8).collect();
    assert_eq!(console.write(&long), 1000);
    assert_eq!(device.get(|it| it.doorbells), [3, 1], "one for all that is sent at once");
    assert_eq!(device.show(), long);
    assert_eq!(console.write(b""), 0);
    assert_eq!(device.get(|it| it.doorbells), [3, 1]);
    assert!(!device.queue(0, |ring| ring.far.wants_interrupts()));
    assert!(!device.queue(1, |ring| ring.far.wants_interrupts()));
}

/// Nobody takes what is sent: the driver takes no more than its buffers hold, and nothing is lost.
#[test]
fn a_terminal_that_hangs_takes_no_more() {
    let device = Device::with_terminal();
    let mut console = device.driver();
    let all: Vec<u8> = (0..4000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(console.write(&all), 8 * BUFFER_BYTES);
    assert_eq!(console.write(&all[2048..]), 0);
    device.type_in(b"x");
    assert_eq!(console.read(), Some(b'x'), "what is typed comes all the same");
    assert_eq!(device.show(), all[..2048]);
    assert_eq!(console.write(&all[2048..]), 4000 - 2048);
    assert_eq!(device.show(), all[2048..]);
}

/// Far beyond where indices wrap, in any order, in pieces of any size.
#[test]
fn bytes_without_number() {
    let device = Device::with_terminal();
    let mut console = device.driver();
    let mut random = Random(53);
    let (mut typed, mut seen, mut sent, mut shown) = (0u64, 0u64, 0u64, 0u64);
    for _ in 0..200_000 {
        match random.below(4) {
            0 if device.queue(0, |ring| !ring.fetch().is_empty()) => {
                device.queue(0, |ring| ring.held.rotate_left(1));
                let len = random.below(5);
                device.type_in(&(typed..typed + len as u64).map(|n| n as u8).collect::<Vec<_>>());
                typed += len as u64;
            }
            1 => {
                for byte in read_all(&mut console) {
                    assert_eq!(byte, seen as u8);
                    seen += 1;
                }
            }
            2 => {
                let len = random.below(300) as u64;
                let bytes: Vec<u8> = (sent..sent + len).map(|n| n as u8).collect();
                sent += console.write(&bytes) as u64;
            }
            _ => {
                for byte in device.show() {
                    assert_eq!(byte, shown as u8);
                    shown += 1;
                }
            }
        }
    }
    while seen < typed {
        seen += read_all(&mut console).len() as u64;
    }
    shown += device.show().len() as u64;
    assert_eq!((seen, shown, console.fault()), (typed, sent, None));
    assert!(typed > 70_000 && sent > 1_000_000, "{typed} {sent}");
}

/// Every answer that cannot be stops the device, and nothing else: what it typed before can be read,
/// and what is written goes nowhere.
#[test]
fn d15_a_device_that_lies_is_stopped() {
    type Lie = fn(&mut Wire);
    let cases: [(&str, Lie, RingFault); 8] = [
        ("more answers than buffers", |it| it.far.show_index(10), RingFault::UsedIdx),
        ("an index that goes back", |it| it.far.show_index(0xffff), RingFault::UsedIdx),
        ("no such buffer", |it| it.answer(8, 1), RingFault::UsedId),
        ("far beyond", |it| it.answer(0x1_0000, 1), RingFault::UsedId),
        ("further still", |it| it.answer(u32::MAX, 1), RingFault::UsedId),
        ("more than it was lent", |it| it.answer(7, 257), RingFault::UsedLen),
        ("much more", |it| it.answer(7, u32::MAX), RingFault::UsedLen),
        (
            "a buffer twice",
            |it| {
                it.answer(7, 1);
                it.answer(7, 1);
            },
            RingFault::UsedNotHead,
        ),
    ];
    for (what, lie, fault) in cases {
        for queue in [0, 1] {
            let device = Device::with_terminal();
            let mut console = device.driver();
            device.type_in(b"ab");
            assert_eq!(console.read(), Some(b'a'));
            // All are lent, the first one again as the last.
            console.write(&[0; 8 * BUFFER_BYTES]);
            device.queue(queue, lie);
            let got = read_all(&mut console);
            let taken = console.write(&[0; 100]);
            if queue == 0 && fault == RingFault::UsedNotHead {
                // It was lent again before the second answer was looked at.
                assert_eq!((got.len(), console.fault()), (3, None), "{what}");
                continue;
            }
            assert!(got.starts_with(b"b"), "{what}");
            assert_eq!((console.fault(), taken), (Some(fault), 100), "{what} in queue {queue}");
            assert!(device.get(|it| it.status.is_empty()), "{what}: it was reset");
            let doorbells = device.get(|it| it.doorbells);
            assert_eq!((console.read(), console.write(b"x")), (None, 1), "{what}");
            assert_eq!(device.get(|it| it.doorbells), doorbells, "{what}: it is left alone");
        }
    }
}

/// What was taken in does not change under the reader, and what the device writes over our part of a
/// ring misleads nobody.
#[test]
fn a_device_that_goes_on_writing_changes_nothing() {
    let device = Device::with_terminal();
    let mut console = device.driver();
    let first = device.queue(0, |ring| ring.fetch()[0].1);
    device.type_in(b"abc");
    assert_eq!(console.read(), Some(b'a'));
    write(first.address + 1, b'X');
    assert_eq!(read_all(&mut console), b"bc");
    device.queue(0, |ring| {
        ring.fetch();
        ring.far.scribble();
        let (id, part) = ring.held.pop_front().unwrap();
        write(part.address, b'd');
        ring.answer(id.into(), 1);
    });
    assert_eq!((console.read(), console.fault()), (Some(b'd'), None));
}

/// A device may fill buffers with nothing for ever: each look takes one.
#[test]
fn empty_answers_end() {
    let device = Device::with_terminal();
    let mut console = device.driver();
    for _ in 0..8 {
        device.type_in(b"");
    }
    device.queue(0, |ring| assert_eq!(ring.fetch().len(), 0));
    assert_eq!(console.read(), None);
    device.queue(0, |ring| assert_eq!(ring.fetch().len(), 1, "one was looked at"));
}

#[test]
fn a_device_that_cannot_be_used_has_a_reason() {
    type Change = fn(&mut FakeDevice<Terminal>);
    let cases: &[(Change, Absent)] = &[
        (|it| it.offered &= !(1 << 32), Absent::FeaturesMissing { bits: 1 << 32 }),
        (|it| it.refuses_features = true, Absent::FeaturesRefused),
        (|it| (it.ignores_reset, it.status) = (true, DeviceStatus::DRIVER_OK), Absent::NoReset),
        (|it| it.sizes[0] = 0, Absent::QueueSize { queue: 0, offered: 0 }),
        (|it| it.sizes[1] = 4, Absent::QueueSize { queue: 1, offered: 4 }),
    ];
    for &(change, reason) in cases {
        let device = Device::with_terminal();
        device.set(change);
        let result = VirtioConsole::new(device.clone(), device);
        assert_eq!(result.err(), Some(reason));
    }
}

#[test]
fn a_console_that_is_given_up_is_stopped() {
    let device = Device::with_terminal();
    drop(device.driver());
    assert!(device.get(|it| it.status.is_empty()));
}
