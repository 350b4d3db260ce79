//! What can be wrong with a disk, with a slot, and with saving: the E5xx of manuals.

use alloc::string::String;
use core::fmt;

use drivers::{Absent, DiskFault};

use super::{DISK_BYTES_MIN, TEXT_BYTES_MAX};

/// Why there is no disk to use, or why something was not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has not answered within these seconds.
    Stalled {
        seconds: u64,
    },
    /// It failed at a request, or broke a rule.
    Fault(DiskFault),
    /// Its driver could not take it.
    Absent(Absent),
    TooSmall {
        bytes: u64,
    },
    /// Something else is on it.
    NotOurs,
    /// It was written by a later version of this program.
    NewerDisk {
        version: u32,
    },
    ReadOnly,
    /// The configuration is longer than a slot.
    TooLong {
        bytes: usize,
    },
    /// It is still busy with earlier ones.
    Busy,
}

/// Why a slot is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its bytes are not those that were written.
    Checksum,
    /// It was being written when the machine stopped; nobody was told that it was saved.
    Unfinished,
    /// It was written by a later version of this program.
    Newer { version: u32 },
    /// It was committed on another host.
    OtherHost { host: String },
}

impl Trouble {
    /// The stable number.
    pub fn code(&self) -> u16 {
        match self {
            Trouble::Stalled { .. } => 501,
            Trouble::Fault(_) => 502,
            Trouble::Absent(_) => 503,
            Trouble::TooSmall { .. } => 504,
            Trouble::NotOurs => 505,
            Trouble::NewerDisk { .. } => 506,
            Trouble::ReadOnly => 507,
            Trouble::TooLong { .. } => 508,
            Trouble::Busy => 509,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Stalled { seconds } => {
                write!(f, "the disk has not answered for {seconds} s")
            }
            Trouble::Fault(fault) => write!(f, "{fault}"),
            Trouble::Absent(absent) => write!(f, "the disk cannot be used: {absent}"),
            Trouble::TooSmall { bytes } => {
                write!(f, "the disk has {bytes} bytes; give one of {DISK_BYTES_MIN} or more")
            }
            Trouble::NotOurs => f.write_str(
                "something else is on the disk, so it is left alone; give one that is all zeros \
                 (truncate -s 8M FILE)",
            ),
            Trouble::NewerDisk { version } => write!(
                f,
                "the disk has format {version} of a later version, so it is left alone; start that \
                 version, or give another disk"
            ),
            Trouble::ReadOnly => f.write_str("the disk is read-only"),
            Trouble::TooLong { bytes } => {
                write!(f, "{bytes} bytes of configuration are more than {TEXT_BYTES_MAX}")
            }
            Trouble::Busy => f.write_str("the disk is still busy with earlier commits"),
        }
    }
}

impl Damage {
    /// The stable number.
    pub fn code(&self) -> u16 {
        match self {
            Damage::Checksum => 510,
            Damage::Unfinished => 511,
            Damage::Newer { .. } => 512,
            Damage::OtherHost { .. } => 513,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Checksum => f.write_str("it is damaged (bad checksum)"),
            Damage::Unfinished => f.write_str("saving it was cut off"),
            Damage::Newer { version } => write!(f, "it has format {version} of a later version"),
            Damage::OtherHost { host } => write!(f, "it was committed on host {host}"),
        }
    }
}

impl From<DiskFault> for Trouble {
    fn from(fault: DiskFault) -> Trouble {
        Trouble::Fault(fault)
    }
}
