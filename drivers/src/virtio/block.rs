//! The virtio-blk driver (5.2): one request at a time, in memory of its own.
//!
//! A configuration is saved now and then and a few kilobytes long, so there is nothing to gain from
//! many requests at once, and much to lose: with one, the device has a single answer to give, and
//! whatever else it writes is a rule broken. Bytes are copied into memory that is the device's for
//! good and out of it again; nothing else of ours is ever shown to it, so a device that goes on
//! writing after its time changes nothing that anybody reads.
//!
//! A request is a chain of three descriptors (5.2.6): what is wanted, the bytes, and a status that the
//! device writes. Interrupts stay off; whoever waits asks now and then.

use super::memory::{Descriptor, RingMemory, RingSize, SharedBytes};
use super::{Doorbell, FEATURE_VERSION_1, agree, read_still, reset};
use crate::disk::{BLOCK_BYTES, Disk, DiskFault, REQUEST_BLOCKS_MAX, Request};
use crate::nic::RingFault;
use crate::probe::Absent;
use alloc::boxed::Box;
use alloc::vec;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, Transport};

#[cfg(test)]
mod tests;

/// The only queue of a disk without multiqueue (5.2.2).
const QUEUE: u16 = 0;
/// Queues that are used.
pub const QUEUES: usize = 1;
/// The smallest ring with room for a request's three descriptors.
const RING: RingSize = RingSize::new(4).unwrap();

const FEATURE_RO: u64 = 1 << 5;
const FEATURE_FLUSH: u64 = 1 << 9;

/// In the device's configuration (5.2.4): sectors of 512 bytes, in two parts.
const CONFIG_CAPACITY_LOW: usize = 0;
const CONFIG_CAPACITY_HIGH: usize = 4;
const SECTORS_PER_BLOCK: u64 = BLOCK_BYTES as u64 / 512;

/// Kinds of requests, and the status of one that was done (5.2.6).
const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const STATUS_OK: u8 = 0;
/// What no device writes.
const STATUS_NONE: u8 = 0xff;

/// Descriptor flags: another one follows; the device writes (2.7.5).
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// Descriptors of a request, by number.
const HEAD: u16 = 0;
const DATA: u16 = 1;
const STATUS: u16 = 2;

/// Where in the shared bytes these lie.
const HEADER_AT: usize = 0;
const HEADER_BYTES: usize = 16;
const STATUS_AT: usize = HEADER_BYTES;
const DATA_AT: usize = BLOCK_BYTES;
const DATA_BYTES_MAX: usize = REQUEST_BLOCKS_MAX * BLOCK_BYTES;

pub struct VirtioBlock<T: Transport, D: Doorbell> {
    /// Never dropped: virtio-drivers' PCI transport would then wait for its reset without end.
    transport: ManuallyDrop<T>,
    doorbell: D,
    ring: RingMemory,
    shared: SharedBytes,
    blocks: u64,
    features: u64,
    /// Requests that were shown to the device, and its answers that were taken: free-running.
    published: u16,
    consumed: u16,
    state: State,
    /// What was read last, where the device cannot reach it.
    read: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// The device has a request: how many bytes it reads for us.
    Busy {
        reads: usize,
    },
    /// There was nothing to do.
    Done,
    Stopped(RingFault),
}

impl<T: Transport, D: Doorbell> VirtioBlock<T, D> {
    /// Takes the device from reset to running.
    pub fn new(transport: T, doorbell: D) -> Result<Self, Absent> {
        let mut transport = ManuallyDrop::new(transport);
        reset(&mut *transport)?;
        let wanted = |_| FEATURE_VERSION_1 | FEATURE_RO | FEATURE_FLUSH;
        let features = agree(&mut *transport, FEATURE_VERSION_1, wanted)?;
        let offered = transport.max_queue_size(QUEUE);
        if offered < u32::from(RING.get()) {
            return Err(Absent::QueueSize { queue: QUEUE, offered });
        }
        let sectors = read_still(&*transport, read_capacity).ok_or(Absent::Config)?;
        let mut ring = RingMemory::new(RING).ok_or(Absent::NoMemory)?;
        let shared = SharedBytes::new(DATA_AT + DATA_BYTES_MAX).ok_or(Absent::NoMemory)?;
        ring.refuse_interrupts();
        let at = ring.addresses();
        let size = u32::from(RING.get());
        transport.queue_set(QUEUE, size, at.descriptors, at.available, at.used);
        transport.finish_init();
        Ok(VirtioBlock {
            transport,
            doorbell,
            ring,
            shared,
            blocks: sectors / SECTORS_PER_BLOCK,
            features,
            published: 0,
            consumed: 0,
            state: State::Idle,
            read: vec![0; DATA_BYTES_MAX].into_boxed_slice(),
        })
    }

    /// Writes down a request and shows it to the device.
    fn submit(&mut self, kind: u32, block: u64, data_bytes: usize) {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&(block * SECTORS_PER_BLOCK).to_le_bytes());
        self.shared.write(HEADER_AT, &header);
        self.shared.write(STATUS_AT, &[STATUS_NONE]);

        let data_flags = if kind == TYPE_IN { NEXT | WRITE } else { NEXT };
        let after_head = if data_bytes > 0 { DATA } else { STATUS };
        self.describe(HEAD, HEADER_AT, HEADER_BYTES, NEXT, after_head);
        self.describe(DATA, DATA_AT, data_bytes, data_flags, STATUS);
        self.describe(STATUS, STATUS_AT, 1, WRITE, 0);
        self.ring.write_available(self.published, HEAD);
        self.published = self.published.wrapping_add(1);
        if self.ring.publish(self.published) {
            self.doorbell.ring(QUEUE);
        }
        let reads = if kind == TYPE_IN { data_bytes } else { 0 };
        self.state = State::Busy { reads };
    }

    fn describe(&mut self, id: u16, at: usize, bytes: usize, flags: u16, next: u16) {
        let address = self.shared.address(at);
        self.ring.write_descriptor(id, Descriptor { address, len: bytes as u32, flags, next });
    }

    /// Takes the device's one answer, if it is there: the status. `reads` is what it may write beside
    /// the status.
    fn answer(&mut self, reads: usize) -> Result<Option<u8>, RingFault> {
        match self.ring.used_index().wrapping_sub(self.consumed) {
            0 => return Ok(None),
            1 => {}
            _ => return Err(RingFault::UsedIdx),
        }
        let answer = self.ring.used_element(self.consumed);
        if answer.id >= u32::from(RING.get()) {
            return Err(RingFault::UsedId);
        }
        if answer.id != u32::from(HEAD) {
            return Err(RingFault::UsedNotHead);
        }
        if answer.len as usize > reads + 1 {
            return Err(RingFault::UsedLen);
        }
        self.consumed = self.consumed.wrapping_add(1);
        let mut status = [STATUS_NONE];
        self.shared.read(STATUS_AT, &mut status);
        Ok(Some(status[0]))
    }

    fn stop(&mut self, fault: RingFault) -> DiskFault {
        self.transport.set_status(DeviceStatus::empty());
        self.state = State::Stopped(fault);
        DiskFault::Ring(fault)
    }
}

impl<T: Transport, D: Doorbell> Disk for VirtioBlock<T, D> {
    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn is_read_only(&self) -> bool {
        self.features & FEATURE_RO != 0
    }

    fn begin(&mut self, request: Request<'_>) -> Result<(), DiskFault> {
        if let State::Stopped(fault) = self.state {
            return Err(DiskFault::Ring(fault));
        }
        assert_eq!(self.state, State::Idle, "one request at a time");
        match request {
            Request::Read { block, blocks } => {
                assert!(blocks <= REQUEST_BLOCKS_MAX);
                self.submit(TYPE_IN, block, blocks * BLOCK_BYTES);
            }
            Request::Write { block, bytes } => {
                assert!(bytes.len() <= DATA_BYTES_MAX);
                self.shared.write(DATA_AT, bytes);
                self.submit(TYPE_OUT, block, bytes.len());
            }
            // Without the feature nothing that was written is only in a cache (5.2.6.2).
            Request::Flush if self.features & FEATURE_FLUSH == 0 => self.state = State::Done,
            Request::Flush => self.submit(TYPE_FLUSH, 0, 0),
        }
        Ok(())
    }

    fn poll(&mut self) -> Option<Result<&[u8], DiskFault>> {
        let reads = match self.state {
            State::Idle => return None,
            State::Busy { reads } => reads,
            State::Done => {
                self.state = State::Idle;
                return Some(Ok(&[]));
            }
            State::Stopped(fault) => return Some(Err(DiskFault::Ring(fault))),
        };
        match self.answer(reads) {
            Ok(None) => None,
            Ok(Some(STATUS_OK)) => {
                self.state = State::Idle;
                let read = &mut self.read[..reads];
                self.shared.read(DATA_AT, read);
                Some(Ok(read))
            }
            Ok(Some(status)) => {
                self.state = State::Idle;
                Some(Err(DiskFault::Refused { status }))
            }
            Err(fault) => Some(Err(self.stop(fault))),
        }
    }
}

impl<T: Transport, D: Doorbell> Drop for VirtioBlock<T, D> {
    /// Stops the device. Its memory is not given back in any case.
    fn drop(&mut self) {
        self.transport.set_status(DeviceStatus::empty());
    }
}

fn read_capacity<T: Transport>(transport: &T) -> Option<u64> {
    let low: u32 = transport.read_config_space(CONFIG_CAPACITY_LOW).ok()?;
    let high: u32 = transport.read_config_space(CONFIG_CAPACITY_HIGH).ok()?;
    Some(u64::from(high) << 32 | u64::from(low))
}
