//! The area that is shared with the device: what it is to be, and what it says of itself.
//!
//! ```text
//!     0                 720  1024                 1280                1536
//!     ├ magic, configuration ─┼ transmit queue ─────┼ receive queue ─────┤
//!       events at 696           statistics at 88      statistics at 88
//! ```
//!
//! It is written before the device is activated, and then only what interrupts are wanted. From the
//! device come events and a count of what found no buffer; neither is believed to be more than a
//! reason to look, and a number.

use crate::words::{WORD_BYTES, Words};

const BYTES: usize = 1536;
const MAGIC: u32 = 0xbabe_fee1;
const TRANSMIT_QUEUE: usize = 1024;
const RECEIVE_QUEUE: usize = 1280;
const QUEUES_BYTES: u32 = 512;

/// Offsets of what is written, by their names in VMware's interface.
const VERSION: usize = 8;
const GOS: usize = 12;
const REVISION_SUPPORTED: usize = 16;
const INTERFACE_SUPPORTED: usize = 20;
const FEATURES: usize = 24;
const QUEUES_AT: usize = 40;
const QUEUES_LEN: usize = 52;
const MTU: usize = 56;
const PARTS_MAX: usize = 60;
const TRANSMIT_QUEUES: usize = 62;
const RECEIVE_QUEUES: usize = 63;
const INTERRUPTS: usize = 81;
const INTERRUPT_CONTROL: usize = 108;
const RECEIVE_MODE: usize = 120;
const EVENTS: usize = 696;

/// In a queue's descriptor.
const RING_AT: usize = 16;
const SECOND_AT: usize = 24;
const COMPLETIONS_AT: usize = 32;
const RING_LEN: usize = 56;
const SECOND_LEN: usize = 60;
const COMPLETIONS_LEN: usize = 64;
/// The device wants to be told of each buffer that it is given.
const WANTS_PRODUCER: usize = 0;
const OUT_OF_BUFFERS: usize = 152;

/// A 64-bit system that has heads in one ring and bodies in the other, as Linux has.
const GOS_64_BITS_LINUX: u32 = 2 | 1 << 2;
const NO_INTERRUPTS: u32 = 1;
/// Unicast, broadcast, all groups, and whatever else there is.
const EVERY_ADDRESS: u32 = 0x01 | 0x04 | 0x08 | 0x10;
const FEATURE_CHECKSUM: u64 = 1 << 0;
const FEATURE_LRO: u64 = 1 << 3;

/// Where a ring is, and how many elements it has.
#[derive(Clone, Copy, Debug)]
pub struct RingAt {
    pub address: u64,
    pub len: u16,
}

/// Whether frames may come put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lro {
    On,
    Off,
}

/// All that the device is told.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub transmit: RingAt,
    pub transmit_completions: RingAt,
    pub heads: RingAt,
    pub bodies: RingAt,
    pub receive_completions: RingAt,
    pub parts_max: u16,
    pub mtu: u32,
    pub lro: Lro,
}

pub struct Shared {
    words: Words,
}

impl Shared {
    pub fn new() -> Option<Shared> {
        Some(Shared { words: Words::new(BYTES / WORD_BYTES)? })
    }

    pub fn address(&self) -> u64 {
        self.words.address(0)
    }

    /// The device goes on with nothing that it was told here.
    pub fn take_back(&mut self) {
        self.words.take_back();
    }

    /// Writes all of it, interrupts being off.
    pub fn describe(&mut self, layout: &Layout) {
        let mut area = [0; BYTES];
        let features = match layout.lro {
            Lro::On => FEATURE_CHECKSUM | FEATURE_LRO,
            Lro::Off => 0,
        };
        put(&mut area, 0, MAGIC);
        put(&mut area, VERSION, 1);
        put(&mut area, GOS, GOS_64_BITS_LINUX);
        put(&mut area, REVISION_SUPPORTED, 1);
        put(&mut area, INTERFACE_SUPPORTED, 1);
        put_long(&mut area, FEATURES, features);
        put_long(&mut area, QUEUES_AT, self.words.address(TRANSMIT_QUEUE / WORD_BYTES));
        put(&mut area, QUEUES_LEN, QUEUES_BYTES);
        put(&mut area, MTU, layout.mtu);
        area[PARTS_MAX..PARTS_MAX + 2].copy_from_slice(&layout.parts_max.to_le_bytes());
        (area[TRANSMIT_QUEUES], area[RECEIVE_QUEUES], area[INTERRUPTS]) = (1, 1, 1);
        put(&mut area, INTERRUPT_CONTROL, NO_INTERRUPTS);
        put(&mut area, RECEIVE_MODE, EVERY_ADDRESS);

        put_ring(&mut area, TRANSMIT_QUEUE, [RING_AT, RING_LEN], layout.transmit);
        let completions = [COMPLETIONS_AT, COMPLETIONS_LEN];
        put_ring(&mut area, TRANSMIT_QUEUE, completions, layout.transmit_completions);
        put_ring(&mut area, RECEIVE_QUEUE, [RING_AT, RING_LEN], layout.heads);
        put_ring(&mut area, RECEIVE_QUEUE, [SECOND_AT, SECOND_LEN], layout.bodies);
        put_ring(&mut area, RECEIVE_QUEUE, completions, layout.receive_completions);
        for (at, word) in area.as_chunks().0.iter().enumerate() {
            self.words.write(at, u64::from_le_bytes(*word));
        }
    }

    pub fn want_interrupts(&mut self) {
        self.write(INTERRUPT_CONTROL, 0);
    }

    pub fn refuse_interrupts(&mut self) {
        self.write(INTERRUPT_CONTROL, NO_INTERRUPTS);
    }

    /// What the device has to say and was not yet told to be seen.
    pub fn events(&self) -> u32 {
        self.read(EVENTS)
    }

    /// Whether the device wants to be told of each buffer that it is given.
    pub fn wants_producer(&self) -> bool {
        self.read(RECEIVE_QUEUE + WANTS_PRODUCER) & 0xff != 0
    }

    /// Frames that found no buffer since the device was activated, when it was asked last.
    pub fn out_of_buffers(&self) -> u64 {
        self.words.read((RECEIVE_QUEUE + OUT_OF_BUFFERS) / WORD_BYTES)
    }

    fn read(&self, at: usize) -> u32 {
        (self.words.read(at / WORD_BYTES) >> (at % WORD_BYTES * 8)) as u32
    }

    /// Writes half a word, the other half of which is ours too.
    fn write(&mut self, at: usize, value: u32) {
        let shift = at % WORD_BYTES * 8;
        let rest = self.words.read(at / WORD_BYTES) & !(u64::from(u32::MAX) << shift);
        self.words.write(at / WORD_BYTES, rest | u64::from(value) << shift);
    }
}

fn put(area: &mut [u8; BYTES], at: usize, value: u32) {
    area[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_long(area: &mut [u8; BYTES], at: usize, value: u64) {
    area[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn put_ring(area: &mut [u8; BYTES], queue: usize, [at, len]: [usize; 2], ring: RingAt) {
    put_long(area, queue + at, ring.address);
    put(area, queue + len, ring.len.into());
}
