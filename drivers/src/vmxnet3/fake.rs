//! A vmxnet3 for tests: registers, the shared area as a device reads it, and the other side of all
//! rings.
//!
//! It checks on the way that everything it is given is a whole buffer of the pool that it does not have
//! already. What is left to it is done. Honest behaviour is a call (`deliver`, `transmitted`); for the
//! other kind a test writes to completions what it likes.

use super::registers::*;
use crate::fake::{Arena, cut, finish, read, write};
use crate::mmio::Registers;
use crate::pool::{HEAD_BYTES_MAX, HEADROOM_BYTES};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

pub const MAC: [u8; 6] = [0x00, 0x50, 0x56, 0xaa, 0, 3];

/// Bits of a completion's lower word, and of its upper.
pub const EOP: u64 = 1 << 14;
pub const SOP: u64 = 1 << 15;
pub const BODY_RING: u64 = 1 << 16;
pub const ERR: u64 = 1 << 14;
const KIND: u64 = 3 << 56;
const KIND_LRO: u64 = 4 << 56;

pub struct FakeDevice {
    arena: Arena,
    pub revisions: u32,
    pub mac: [u8; 6],
    pub is_link_up: bool,
    /// A reset is never done; nothing is activated; nothing answers.
    pub never_resets: bool,
    pub refuses: bool,
    pub is_gone: bool,
    pub resets: usize,
    pub is_active: bool,
    /// What was chosen, and written to the doorbells.
    pub revision: u32,
    pub is_masked: bool,
    /// Times that the transmit queue's producer was told, and those of the receive rings.
    pub producers: [usize; 2],
    /// Interrupts that were asserted and not read away.
    pub is_asserted: bool,
    shared: u64,
    answer: u32,
    /// Free-running: where it is in the rings of buffers and their completions, and in the transmit ring
    /// and its own.
    heads: u16,
    bodies: u16,
    received: u16,
    transmit_at: u16,
    transmit_done: u16,
}

/// A ring, as the shared area tells of it.
#[derive(Clone, Copy)]
struct RingAt {
    address: u64,
    len: u16,
}

impl RingAt {
    fn element(self, index: u16) -> u64 {
        assert!(self.address.is_multiple_of(512) && self.len.is_multiple_of(32) && self.len > 0);
        self.address + 16 * u64::from(index % self.len)
    }

    fn bit(self, index: u16) -> u64 {
        u64::from((index / self.len).is_multiple_of(2))
    }
}

/// One of the device's BARs.
#[derive(Clone)]
pub struct Bar {
    pub device: Rc<RefCell<FakeDevice>>,
    is_control: bool,
}

impl FakeDevice {
    /// The device, and its doorbells and control registers.
    pub fn new(arena: &Arena) -> (Rc<RefCell<FakeDevice>>, Bar, Bar) {
        let device = Rc::new(RefCell::new(FakeDevice {
            arena: arena.clone(),
            revisions: REVISION_1 | REVISION_2,
            mac: MAC,
            is_link_up: true,
            never_resets: false,
            refuses: false,
            is_gone: false,
            resets: 0,
            is_active: false,
            revision: 0,
            is_masked: false,
            producers: [0; 2],
            is_asserted: false,
            shared: 0,
            answer: 0,
            heads: 0,
            bodies: 0,
            received: 0,
            transmit_at: 0,
            transmit_done: 0,
        }));
        let bar = |is_control| Bar { device: device.clone(), is_control };
        (device.clone(), bar(false), bar(true))
    }
}

impl Registers for Bar {
    fn read(&self, at: u32) -> u32 {
        let mut device = self.device.borrow_mut();
        match (self.is_control, at) {
            _ if device.is_gone => u32::MAX,
            (true, REVISIONS) => device.revisions,
            (true, INTERFACES) => INTERFACE_1,
            (true, COMMAND) => device.answer,
            (true, MAC_LOW) => u32::from_le_bytes(*device.mac.first_chunk().unwrap()),
            (true, MAC_HIGH) => u16::from_le_bytes([device.mac[4], device.mac[5]]).into(),
            (true, INTERRUPT_CAUSE) => std::mem::take(&mut device.is_asserted).into(),
            _ => panic!("{at:#x} is not read"),
        }
    }

    fn write(&mut self, at: u32, value: u32) {
        let mut device = self.device.borrow_mut();
        match (self.is_control, at) {
            _ if device.is_gone => {}
            (false, INTERRUPT_MASK) => device.is_masked = value != 0,
            (false, TRANSMIT_PRODUCER) => device.producers[0] += 1,
            (false, HEADS_PRODUCER | BODIES_PRODUCER) => device.producers[1] += 1,
            (true, REVISIONS) => device.revision = value,
            (true, INTERFACES) => assert_eq!(value, INTERFACE_1),
            (true, SHARED_LOW) => device.shared = value.into(),
            (true, SHARED_HIGH) => device.shared |= u64::from(value) << 32,
            (true, COMMAND) => device.command(value),
            (true, EVENTS_SEEN) => {
                let events = device.shared + 696;
                write::<u32>(events, read::<u32>(events) & !value);
            }
            _ => panic!("{at:#x} is not the driver's to write"),
        }
    }

    fn pause(&self) {}
}

impl FakeDevice {
    fn command(&mut self, command: u32) {
        self.answer = match command {
            command if command == Command::Activate as u32 => self.activate(),
            command if command == Command::Quiesce as u32 => {
                self.is_active = false;
                0
            }
            command if command == Command::Reset as u32 => self.reset(),
            command if command == Command::UpdateReceiveMode as u32 => {
                assert_eq!(self.read32(120), 0x1d, "every address");
                0
            }
            command if command == Command::GetStatistics as u32 => {
                self.check_buffers();
                0
            }
            command if command == Command::GetLink as u32 => {
                u32::from(self.is_link_up) | 10_000 << 16
            }
            _ => panic!("{command:#x} is no command of ours"),
        };
    }

    fn reset(&mut self) -> u32 {
        self.resets += 1;
        if self.never_resets {
            return 1;
        }
        self.is_active = false;
        (self.is_masked, self.is_asserted) = (true, false);
        (self.heads, self.bodies, self.received) = (0, 0, 0);
        (self.transmit_at, self.transmit_done) = (0, 0);
        0
    }

    fn activate(&mut self) -> u32 {
        if self.refuses {
            return 1;
        }
        assert_eq!(self.read32(0), 0xbabe_fee1, "magic");
        assert!(!self.is_active && self.shared.is_multiple_of(8));
        assert_eq!(read::<u16>(self.shared + 62), 0x0101, "a queue each");
        assert_eq!(self.read32(52), 512, "two queues' descriptors");
        assert_eq!(self.read32(56), 9000, "MTU");
        assert!(self.queues().is_multiple_of(128));
        self.is_active = true;
        0
    }

    fn read32(&self, at: u64) -> u32 {
        read::<u32>(self.shared + at)
    }

    /// The features that were asked for.
    pub fn features(&self) -> u64 {
        read::<u64>(self.shared + 24)
    }

    fn queues(&self) -> u64 {
        read::<u64>(self.shared + 40)
    }

    fn ring(&self, queue: u64, address_at: u64, len_at: u64) -> RingAt {
        let queue = self.queues() + 256 * queue;
        let len = read::<u32>(queue + len_at) as u16;
        RingAt { address: read::<u64>(queue + address_at), len }
    }

    /// Raises events, and an interrupt for them.
    pub fn announce(&mut self, events: u32) {
        write::<u32>(self.shared + 696, self.read32(696) | events);
        self.is_asserted = !self.is_masked;
    }

    /// Counts frames that found no buffer.
    pub fn miss(&mut self, count: u64) {
        let counter = self.queues() + 256 + 152;
        write::<u64>(counter, read::<u64>(counter) + count);
    }

    /// From now on the device wants to be told of each buffer.
    pub fn want_producers(&mut self) {
        write::<u8>(self.queues() + 256, 1);
    }

    pub fn wants_interrupts(&self) -> bool {
        self.read32(108) == 0 && !self.is_masked
    }

    fn buffers(&self, is_head: bool) -> RingAt {
        if is_head { self.ring(1, 16, 56) } else { self.ring(1, 24, 60) }
    }

    /// What a buffer's descriptor has, if the driver has given it: its number and address.
    fn buffer(&self, is_head: bool, index: u16) -> Option<(u64, u64)> {
        let ring = self.buffers(is_head);
        let element = ring.element(index);
        let control = read::<u64>(element + 8);
        if control >> 31 & 1 != ring.bit(index) {
            return None;
        }
        let address = read::<u64>(element);
        assert_eq!(self.arena.offset(address), HEADROOM_BYTES);
        assert_eq!(control & 0x3fff, HEAD_BYTES_MAX as u64);
        assert_eq!(control >> 14 & 1, u64::from(!is_head));
        Some(((index % ring.len).into(), address))
    }

    fn next_buffer(&mut self, is_head: bool) -> Option<(u64, u64)> {
        let at = if is_head { self.heads } else { self.bodies };
        let buffer = self.buffer(is_head, at)?;
        *if is_head { &mut self.heads } else { &mut self.bodies } = at.wrapping_add(1);
        Some(buffer)
    }

    /// Every buffer that the device was given is another one.
    fn check_buffers(&self) {
        let mut seen = BTreeSet::new();
        for (is_head, at) in [(true, self.heads), (false, self.bodies)] {
            let given = (0..self.buffers(is_head).len)
                .map_while(|ahead| self.buffer(is_head, at.wrapping_add(ahead)));
            given.for_each(|(_, address)| assert!(seen.insert(address), "given twice"));
        }
    }

    /// Passes over a head, which is the driver's again.
    pub fn skip_head(&mut self) {
        self.next_buffer(true).expect("the driver has given enough");
    }

    /// Fills a buffer, and says this of it beside number and length.
    pub fn fill(&mut self, bytes: &[u8], is_first: bool, [low, high]: [u64; 2]) {
        let (number, address) = self.next_buffer(is_first).expect("the driver has given enough");
        for (address, &byte) in (address..).zip(bytes) {
            write::<u8>(address, byte);
        }
        let ring = if is_first { SOP } else { BODY_RING };
        self.complete([low | ring | number, high | KIND | bytes.len() as u64]);
    }

    /// Writes the next completion.
    pub fn complete(&mut self, [low, high]: [u64; 2]) {
        assert!(self.is_active, "a device that was stopped touches no memory");
        let ring = self.ring(1, 32, 64);
        let element = ring.element(self.received);
        write::<u64>(element, low);
        write::<u64>(element + 8, high & !(1 << 63) | ring.bit(self.received) << 63);
        self.received = self.received.wrapping_add(1);
        self.is_asserted = !self.is_masked;
    }

    /// Receives a frame.
    pub fn deliver(&mut self, bytes: &[u8]) {
        self.deliver_as(bytes, 0);
    }

    /// Receives a frame that was put together of segments.
    pub fn deliver_joined(&mut self, bytes: &[u8], mss: u16) {
        self.deliver_as(bytes, KIND ^ KIND_LRO | u64::from(mss) << 32);
    }

    fn deliver_as(&mut self, bytes: &[u8], high: u64) {
        let mut chunks = bytes.chunks(HEAD_BYTES_MAX).enumerate().peekable();
        if bytes.is_empty() {
            self.fill(&[], true, [EOP, high]);
        }
        while let Some((number, chunk)) = chunks.next() {
            let is_last = chunks.peek().is_none();
            let end = if is_last { EOP } else { 0 };
            let high = if is_last { high } else { 0 };
            let (low, address) = self.next_buffer(number == 0).expect("enough buffers");
            for (address, &byte) in (address..).zip(chunk) {
                write::<u8>(address, byte);
            }
            let ring = if number == 0 { SOP } else { BODY_RING };
            self.complete([low | ring | end, (KIND ^ high) | chunk.len() as u64]);
        }
    }

    /// Whether there are some buffers of both kinds.
    pub fn has_buffers(&self) -> bool {
        let has = |is_head, at: u16, count| {
            (0..count).all(|ahead| self.buffer(is_head, at.wrapping_add(ahead)).is_some())
        };
        self.is_active && has(true, self.heads, 2) && has(false, self.bodies, 8)
    }

    /// Sends everything and completes it: frames as on the wire.
    pub fn transmitted(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.transmit_one()).flatten().collect()
    }

    /// Sends one frame, which may be several on the wire.
    pub fn transmit_one(&mut self) -> Option<Vec<Vec<u8>>> {
        let (sent, last) = self.send_one()?;
        self.complete_transmit(last.into());
        Some(sent)
    }

    /// Sends one frame and does not say so; gives the number of its last part.
    pub fn send_one(&mut self) -> Option<(Vec<Vec<u8>>, u16)> {
        let ring = self.ring(0, 16, 56);
        let (mut bytes, mut first) = (Vec::new(), None);
        loop {
            let element = ring.element(self.transmit_at);
            let control = read::<u64>(element + 8);
            if !self.is_active || control >> 14 & 1 != ring.bit(self.transmit_at) {
                assert!(first.is_none(), "half a frame");
                return None;
            }
            let (address, len) = (read::<u64>(element), control & 0x3fff);
            assert!(self.arena.offset(address) + len as usize <= HEADROOM_BYTES + HEAD_BYTES_MAX);
            bytes.extend((address..address + len).map(read::<u8>));
            let first = *first.get_or_insert(control);
            let last = self.transmit_at % ring.len;
            self.transmit_at = self.transmit_at.wrapping_add(1);
            if control >> 44 & 1 == 1 {
                assert_eq!(control >> 45 & 1, 1, "with a completion");
                return Some((finished(bytes, first), last));
            }
        }
    }

    /// Writes the next completion of the transmit queue.
    pub fn complete_transmit(&mut self, low: u64) {
        let ring = self.ring(0, 32, 64);
        let element = ring.element(self.transmit_done);
        write::<u64>(element, low);
        write::<u64>(element + 8, ring.bit(self.transmit_done) << 63);
        self.transmit_done = self.transmit_done.wrapping_add(1);
    }
}

/// What the first part says is to be done.
fn finished(mut bytes: Vec<u8>, control: u64) -> Vec<Vec<u8>> {
    let (headers, place) = ((control >> 32 & 0x3ff) as usize, (control >> 18 & 0x3fff) as usize);
    match control >> 42 & 3 {
        0 => vec![bytes],
        2 => {
            finish(&mut bytes, headers, place, place - headers == 16);
            vec![bytes]
        }
        3 => {
            let tags = if bytes[12] == 0x81 { 1 + usize::from(bytes[16] == 0x81) } else { 0 };
            let ip_at = 14 + 4 * tags;
            let tcp_at = ip_at + if bytes[ip_at] >> 4 == 4 { 20 } else { 40 };
            cut(&bytes, ip_at, tcp_at, headers, place)
        }
        mode => panic!("{mode} is nothing that a device does"),
    }
}
