//! A virtio-net device for tests: the other side of a pool's buffers.
//!
//! It checks that everything the driver posts is a whole buffer of the pool, or several to send, that
//! it does not have already. Honest behaviour is a call (`deliver`, `transmitted`); for the other kind
//! a test writes to the used ring what it likes.

use super::{FakeDevice, FarEnd, Kind, Part, read, write};
pub use crate::fake::Arena;
use crate::pool::HEADROOM_BYTES;
use crate::virtio::Queue;
use crate::virtio::header::{HEADER_BYTES, Header};
use crate::virtio::memory::RingAddresses;
use crate::virtio::ring::RECEIVE_BYTES;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use virtio_drivers::transport::DeviceType;

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
const HEADER_AT: usize = HEADROOM_BYTES - HEADER_BYTES;

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

/// The device's end of a ring of the pool's buffers.
pub struct FakeQueue {
    far: FarEnd,
    writes: bool,
    arena: Arena,
    /// Fetched and not answered.
    pub held: VecDeque<Posted>,
    /// The test answers what it does not hold, so that the driver may post what it does.
    pub lies: bool,
}

impl FakeQueue {
    pub fn new(queue: Queue, addresses: RingAddresses, size: u16, arena: &Arena) -> FakeQueue {
        FakeQueue {
            far: FarEnd::new(addresses, size),
            writes: queue == Queue::Receive,
            arena: arena.clone(),
            held: VecDeque::new(),
            lies: false,
        }
    }

    /// Takes what the driver has published since the last time.
    pub fn fetch(&mut self) -> &mut VecDeque<Posted> {
        while let Some(chain) = self.far.fetch() {
            let mut parts = chain.parts.iter().map(|part| self.checked(part));
            let (address, len) = parts.next().expect("a chain has a descriptor");
            let posted = Posted { id: chain.id, address, len, further: parts.collect() };
            assert!(len as usize >= HEADER_BYTES, "{len} bytes");
            assert!(posted.further.is_empty() || !self.writes, "one buffer each to write to");
            let held = self.held.len();
            self.held.retain(|held| held.id != posted.id);
            assert!(self.lies || self.held.len() == held, "posted twice: {posted:?}");
            self.held.push_back(posted);
        }
        &mut self.held
    }

    /// Right before the frame's place in its buffer, and to the end of it at most.
    fn checked(&self, &Part { address, len, writes }: &Part) -> (u64, u32) {
        assert_eq!(writes, self.writes, "who writes");
        assert_eq!(self.arena.offset(address), HEADER_AT);
        assert!((1..=RECEIVE_BYTES).contains(&len), "{len} bytes");
        (address, len)
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

impl Deref for FakeQueue {
    type Target = FarEnd;

    fn deref(&self) -> &FarEnd {
        &self.far
    }
}

impl DerefMut for FakeQueue {
    fn deref_mut(&mut self) -> &mut FarEnd {
        &mut self.far
    }
}

/// What makes a device a network device.
pub struct Net {
    pub arena: Arena,
    pub mac: [u8; 6],
    pub link_status: u16,
}

pub type Handle = super::Handle<Net>;

impl Kind for Net {
    type Queue = FakeQueue;
    const TYPE: DeviceType = DeviceType::Network;

    fn queue(&self, number: u16, addresses: RingAddresses, size: u16) -> FakeQueue {
        let which = if number == 0 { Queue::Receive } else { Queue::Transmit };
        FakeQueue::new(which, addresses, size, &self.arena)
    }

    fn config(&self) -> Vec<u8> {
        [&self.mac[..], &self.link_status.to_le_bytes()].concat()
    }
}

impl Handle {
    pub fn of(arena: &Arena) -> Handle {
        let net = Net { arena: arena.clone(), mac: MAC, link_status: 1 };
        Handle::new(FakeDevice { sizes: [8, 8], ..FakeDevice::new(net, OFFERED) })
    }

    pub fn receive<R>(&self, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        self.queue(0, act)
    }

    pub fn transmit<R>(&self, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        self.queue(1, act)
    }
}
