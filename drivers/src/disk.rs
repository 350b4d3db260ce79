//! What a disk can do: read, write and flush whole blocks, one request at a time, without waiting.
//!
//! A request is begun, and [`Disk::poll`] says when it is done; until then the disk takes no other
//! one. How long that may take is not for the driver to say: a host's disk can stand still for
//! minutes and go on. A device that breaks the rules is stopped and stays so, and every request from
//! then on fails with the rule's name.

use crate::nic::RingFault;
use core::fmt;

/// What is read and written at once, and where: multiples of as many bytes. No disk in use has
/// larger sectors, and writing a part of one would put its neighbours at risk.
pub const BLOCK_BYTES: usize = 4096;
/// The most blocks of one request.
pub const REQUEST_BLOCKS_MAX: usize = 8;

pub trait Disk {
    /// Whole blocks that it has.
    fn blocks(&self) -> u64;

    fn is_read_only(&self) -> bool;

    /// Begins a request, which is within the disk and no longer than [`REQUEST_BLOCKS_MAX`]. Not to
    /// be called before the last one is done.
    fn begin(&mut self, request: Request<'_>) -> Result<(), DiskFault>;

    /// Whether the request is done: with what was read, or with nothing if there was nothing to
    /// read.
    fn poll(&mut self) -> Option<Result<&[u8], DiskFault>>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    Read {
        block: u64,
        blocks: usize,
    },
    /// As many bytes as some blocks have.
    Write {
        block: u64,
        bytes: &'a [u8],
    },
    /// Done when everything that was written before will survive a power cut.
    Flush,
}

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The device says that it could not do it.
    Refused { status: u8 },
    /// The device broke a rule of its ring: it was stopped.
    Ring(RingFault),
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskFault::Refused { status } => {
                write!(f, "the disk reports an error, status {status}")
            }
            DiskFault::Ring(fault) => {
                write!(f, "the disk broke a rule ({}) and was stopped", fault.as_str())
            }
        }
    }
}
