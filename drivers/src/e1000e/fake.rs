//! An 82574 for tests: registers, and the other side of both rings.
//!
//! It reads descriptors where the driver said and fills buffers as the chip does, and checks on the
//! way that everything it is given is a whole buffer of the pool that it does not have already. What
//! is left to it is done: sums are finished and TCP is cut, by the manual (Intel 317453, 3.5 and 3.6).
//! Honest behaviour is a call (`deliver`, `transmitted`); for the other kind a test writes to
//! descriptors what it likes.

use super::registers::*;
use super::{RING, SLOT_MASK};
use crate::fake::{Arena, cut, finish, read, write};
use crate::mmio::Registers;
use crate::pool::{HEAD_BYTES_MAX, HEADROOM_BYTES};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 2];

/// Bits of a received descriptor's status word, and of its error.
pub const DD: u64 = 1;
pub const EOP: u64 = 2;
pub const RXE: u64 = 1 << 31;

pub struct FakeChip {
    arena: Arena,
    registers: BTreeMap<u32, u32>,
    pub mac: [u8; 6],
    pub is_link_up: bool,
    pub is_paused: bool,
    /// As STATUS says it.
    pub speed: u32,
    pub causes: u32,
    pub missed: u32,
    /// The last request to memory never ends; a reset is never over; nothing answers.
    pub never_stops: bool,
    pub never_resets: bool,
    pub is_gone: bool,
    /// Whether the test writes to descriptors itself, so that buffers may come back early.
    pub lies: bool,
    pub resets: usize,
    /// Writes to the tails of receive and transmit ring.
    pub tails: [usize; 2],
    /// Receive descriptors that it has: their buffers.
    held: BTreeMap<u16, u64>,
    /// Where it is in each ring, and up to where it was shown receive descriptors.
    receive_at: u16,
    receive_end: u16,
    transmit_at: u16,
    context: [u64; 2],
}

#[derive(Clone)]
pub struct Handle(pub Rc<RefCell<FakeChip>>);

impl Handle {
    pub fn new(arena: &Arena) -> Handle {
        Handle(Rc::new(RefCell::new(FakeChip {
            arena: arena.clone(),
            registers: BTreeMap::new(),
            mac: MAC,
            is_link_up: true,
            is_paused: false,
            speed: 2,
            causes: 0,
            missed: 0,
            never_stops: false,
            never_resets: false,
            is_gone: false,
            lies: false,
            resets: 0,
            tails: [0, 0],
            held: BTreeMap::new(),
            receive_at: 0,
            receive_end: 0,
            transmit_at: 0,
            context: [0; 2],
        })))
    }

    /// Changes something about the chip, or has it do something.
    pub fn act<R>(&self, act: impl FnOnce(&mut FakeChip) -> R) -> R {
        act(&mut self.0.borrow_mut())
    }
}

impl Registers for Handle {
    fn read(&self, at: u32) -> u32 {
        self.0.borrow_mut().read(at)
    }

    fn write(&mut self, at: u32, value: u32) {
        self.0.borrow_mut().write(at, value);
    }

    fn pause(&self) {}
}

impl FakeChip {
    /// What is in a register, as it was written.
    pub fn register(&self, at: u32) -> u32 {
        self.registers.get(&at).copied().unwrap_or(0)
    }

    pub fn has(&self, at: u32, bits: u32) -> bool {
        self.register(at) & bits == bits
    }

    fn read(&mut self, at: u32) -> u32 {
        assert!(at.is_multiple_of(4) && at < BYTES);
        if self.is_gone {
            return u32::MAX;
        }
        match at {
            RDH | TDH => panic!("nobody asks where the chip is"),
            STATUS => {
                let stopped = self.has(CTRL, CTRL_MASTER_DISABLE) && !self.never_stops;
                let bit = |is, bit| if is { bit } else { 0 };
                bit(self.is_link_up, STATUS_LINK_UP)
                    | bit(self.is_paused, STATUS_PAUSED)
                    | bit(!stopped, STATUS_MASTER_ENABLED)
                    | self.speed << STATUS_SPEED_SHIFT
            }
            ICR => std::mem::take(&mut self.causes),
            MPC => std::mem::take(&mut self.missed),
            RAL => u32::from_le_bytes(*self.mac.first_chunk().unwrap()),
            RAH => u32::from(u16::from_le_bytes([self.mac[4], self.mac[5]])) | RAH_VALID,
            _ => self.register(at),
        }
    }

    fn write(&mut self, at: u32, value: u32) {
        if self.is_gone {
            return;
        }
        match at {
            STATUS | ICR | MPC | RAL | RAH => panic!("{at:#x} is not the driver's to write"),
            IMS => *self.registers.entry(IMS).or_default() |= value,
            IMC => *self.registers.entry(IMS).or_default() &= !value,
            CTRL if value & CTRL_RESET != 0 => self.reset(value),
            _ => drop(self.registers.insert(at, value)),
        }
        match at {
            RDT => self.fetch(),
            TDT => self.tails[1] += 1,
            _ => {}
        }
    }

    fn reset(&mut self, value: u32) {
        self.resets += 1;
        if self.never_resets {
            self.registers.insert(CTRL, value);
            return;
        }
        self.registers.clear();
        self.held.clear();
        (self.receive_at, self.receive_end, self.transmit_at) = (0, 0, 0);
        self.causes = 0;
    }

    pub fn is_running(&self) -> bool {
        let enabled = self.has(RCTL, RCTL_ENABLE) && self.has(TCTL, TCTL_ENABLE);
        enabled && !self.has(CTRL, CTRL_MASTER_DISABLE)
    }

    fn ring(&self, low: u32, high: u32) -> u64 {
        u64::from(self.register(low)) | u64::from(self.register(high)) << 32
    }

    fn receive_descriptor(&self, at: u16) -> u64 {
        self.ring(RDBAL, RDBAH) + 16 * u64::from(at & SLOT_MASK)
    }

    /// Takes the descriptors up to the new tail.
    fn fetch(&mut self) {
        self.tails[0] += 1;
        let tail = self.register(RDT) as u16;
        assert!(tail < RING, "a tail beyond the ring");
        while self.receive_end != tail {
            let address = read::<u64>(self.receive_descriptor(self.receive_end));
            assert_eq!(self.arena.offset(address), HEADROOM_BYTES);
            assert_eq!(read::<u64>(self.receive_descriptor(self.receive_end) + 8), 0, "unmarked");
            self.held.retain(|_, held| !self.lies || *held != address);
            assert!(!self.held.values().any(|&held| held == address), "given twice");
            self.held.insert(self.receive_end, address);
            self.receive_end = (self.receive_end + 1) & SLOT_MASK;
        }
    }

    /// Buffers that the chip can fill.
    pub fn buffers(&self) -> usize {
        self.held.len()
    }

    /// Receives a frame, or as much of one as there are buffers for.
    pub fn deliver(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks(HEAD_BYTES_MAX).peekable();
        if bytes.is_empty() {
            self.fill(&[], DD | EOP);
        }
        while let Some(chunk) = chunks.next() {
            let end = if chunks.peek().is_none() { EOP } else { 0 };
            self.fill(chunk, DD | end);
        }
        self.causes |= CAUSE_RECEIVE;
    }

    /// Does one descriptor, saying this of it beside the length.
    pub fn fill(&mut self, bytes: &[u8], status: u64) {
        self.fill_as(bytes, status | (bytes.len() as u64) << 32);
    }

    /// Does one descriptor, saying this of it.
    pub fn fill_as(&mut self, bytes: &[u8], status: u64) {
        assert!(self.is_running(), "a chip that was stopped touches no memory");
        let at = self.receive_at;
        let address = self.held.remove(&at);
        assert!(address.is_some() || self.lies, "the driver has given enough");
        for (address, &byte) in address.into_iter().flat_map(|first| first..).zip(bytes) {
            write::<u8>(address, byte);
        }
        self.say(0, status);
        self.receive_at = (at + 1) & SLOT_MASK;
    }

    /// Writes a status into the descriptor that is so far ahead, and does nothing else.
    pub fn say(&mut self, ahead: u16, status: u64) {
        let descriptor = self.receive_descriptor(self.receive_at.wrapping_add(ahead));
        write::<u64>(descriptor, 0x5555_5555_5555_5555);
        write::<u64>(descriptor + 8, status);
    }

    /// Writes nonsense over all that was ours to say.
    pub fn scribble(&mut self) {
        (0..RING).for_each(|ahead| self.say(ahead, !DD));
    }

    /// Sends everything and marks it, with nothing left to do: frames as on the wire.
    pub fn transmitted(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(frame) = self.transmit_one() {
            sent.extend(frame);
        }
        sent
    }

    /// Sends one frame, which may be several on the wire.
    pub fn transmit_one(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        let last = loop {
            if !self.is_running() || self.transmit_at == self.register(TDT) as u16 {
                assert!(bytes.is_empty(), "half a frame");
                return None;
            }
            let descriptor = self.ring(TDBAL, TDBAH) + 16 * u64::from(self.transmit_at);
            self.transmit_at = (self.transmit_at + 1) & SLOT_MASK;
            let words = [read::<u64>(descriptor), read::<u64>(descriptor + 8)];
            assert!(words[1] >> 29 & 1 == 1 && words[1] >> 32 & 1 == 0, "extended, and not done");
            if words[1] >> 20 & 0xf == 0 {
                assert!(bytes.is_empty(), "a context in the middle of a frame");
                self.context = words;
                continue;
            }
            let (address, len) = (words[0], words[1] & 0xf_ffff);
            assert!(self.arena.offset(address) + len as usize <= HEADROOM_BYTES + HEAD_BYTES_MAX);
            bytes.extend((address..address + len).map(read::<u8>));
            assert_eq!(words[1] >> 25 & 1, 1, "with its CRC");
            if words[1] >> 24 & 1 == 1 {
                assert_eq!(words[1] >> 27 & 1, 1, "marked when done");
                write::<u64>(descriptor + 8, words[1] | 1 << 32);
                break words[1];
            }
        };
        let options = (last >> 40) as u8;
        if last >> 26 & 1 == 1 {
            return Some(self.cut(&bytes, options));
        }
        assert_eq!(options & 1, 0, "nobody leaves IP's checksum");
        if options & 2 != 0 {
            self.finish(&mut bytes);
        }
        Some(vec![bytes])
    }

    /// A field of the context.
    fn context(&self, word: usize, from: u32, bits: u32) -> usize {
        (self.context[word] >> from) as usize & ((1 << bits) - 1)
    }

    /// Finishes the transport's sum.
    fn finish(&self, frame: &mut [u8]) {
        assert_eq!(self.context(0, 48, 16), 0, "to the frame's end");
        let is_tcp = self.context(1, 24, 1) == 1;
        finish(frame, self.context(0, 32, 8), self.context(0, 40, 8), is_tcp);
    }

    fn cut(&self, packet: &[u8], options: u8) -> Vec<Vec<u8>> {
        let is_v4 = self.context(1, 25, 1) == 1;
        assert_eq!((self.context(1, 26, 1), self.context(1, 24, 1)), (1, 1), "TCP, to be cut");
        assert_eq!(options, if is_v4 { 3 } else { 2 });
        let (headers_len, mss) = (self.context(1, 40, 8), self.context(1, 48, 16));
        assert_eq!(self.context(1, 0, 20), packet.len() - headers_len, "payload");
        let [ip_at, tcp_at] = [self.context(0, 0, 8), self.context(0, 32, 8)];
        assert_eq!(self.context(0, 16, 16), tcp_at - 1, "IP's end");
        assert!(!is_v4 || self.context(0, 8, 8) == ip_at + 10, "IP's checksum");
        assert_eq!(self.context(0, 40, 8), tcp_at + 16, "TCP's checksum");
        cut(packet, ip_at, tcp_at, headers_len, mss)
    }
}
