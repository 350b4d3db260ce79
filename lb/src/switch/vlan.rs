//! Which VLANs a port carries, and what its edge does to a frame's tag (IEEE 802.1Q).
//!
//! Inside the switch a frame carries the tag of its VLAN, and everything is keyed by that: addresses,
//! VIPs, flows, answers. Only at a port's edge are tags put on and taken off, so nobody else has to
//! know what kind of port a frame came by or leaves by.
//!
//! ```text
//!   port           a frame comes in                          a frame leaves
//!   transparent    as it is: untagged is a VLAN of its own   as it is
//!   access 10      untagged: into 10; tagged: dropped        of 10, its tag taken off
//!   trunk 20,30    tagged 20 or 30; untagged: dropped        of 20 and 30, tagged
//!     native 10    untagged: into 10                         of 10, its tag taken off
//! ```
//!
//! A priority tag (VID 0) is no tag but for its priority, which is kept. A tag behind the first is
//! opaque, with one exception: where taking the first one off would bring it to light, the frame does
//! not go. Whoever is in a native VLAN could else send into any other by writing two tags.

use alloc::boxed::Box;
use core::fmt;
use core::num::{IntErrorKind, NonZeroU16};
use core::str::FromStr;

use crate::DropReason;
use crate::wire::Ethernet;
use crate::wire::ethernet::VLAN_MAX;

/// VLANs that a frame may be in: 0, which is untagged, and those that have a number.
pub const VLANS: usize = 4096;

/// A VLAN's number: 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanId(NonZeroU16);

/// A set of VLANs; its text is what operators write, `10,20,30-39`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VlanSet([u64; VLANS / 64]);

/// The VLANs of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PortVlan {
    /// All of them, and no tag is touched.
    #[default]
    Transparent,
    /// This one; whoever is behind the port does not know of it.
    Access(VlanId),
    /// These, told apart by their tags; one may be without.
    Trunk { tagged: Box<VlanSet>, native: Option<VlanId> },
}

/// What is done to a frame that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    AsIs,
    /// It gets a tag.
    Push(VlanId),
    /// Its tag, which named no VLAN, names this one.
    Name(VlanId),
}

/// What is done to a frame that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    AsIs,
    /// Its tag is taken off.
    Pop,
    /// It does not belong here. Nothing is sent here that does not, but for what was on its way when
    /// the port's VLANs changed.
    Never,
}

/// Why a text names no VLANs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanError {
    NotANumber,
    /// Not 1 to 4094.
    OutOfRange,
    /// A range whose end is before its beginning.
    Backwards,
}

impl PortVlan {
    /// Whether frames of a VLAN (0 is untagged) may be on this port.
    pub fn carries(&self, vlan: u16) -> bool {
        match self {
            PortVlan::Transparent => true,
            PortVlan::Access(own) => own.get() == vlan,
            PortVlan::Trunk { tagged, .. } => tagged.contains(vlan) || self.pops(vlan),
        }
    }

    /// The VLAN of frames that come without a tag; `None` where none may.
    pub fn of_untagged(&self) -> Option<u16> {
        match self {
            PortVlan::Transparent => Some(0),
            PortVlan::Access(own) => Some(own.get()),
            PortVlan::Trunk { native, .. } => native.map(VlanId::get),
        }
    }

    /// Whether frames of a VLAN leave without the tag that they have inside.
    pub fn pops(&self, vlan: u16) -> bool {
        vlan != 0 && self.of_untagged() == Some(vlan)
    }

    /// The one VLAN of a port that has no other.
    pub fn only(&self) -> Option<VlanId> {
        match self {
            PortVlan::Access(own) => Some(*own),
            PortVlan::Transparent | PortVlan::Trunk { .. } => None,
        }
    }

    /// Whether some VLAN is on both ports.
    pub fn meets(&self, other: &PortVlan) -> bool {
        (0..=VLAN_MAX).any(|vlan| self.carries(vlan) && other.carries(vlan))
    }

    /// Judges a frame that comes in. One that is no frame is left to those who parse it.
    pub fn enter(&self, head: &[u8]) -> Result<Entry, DropReason> {
        let own = match self {
            PortVlan::Transparent => return Ok(Entry::AsIs),
            PortVlan::Access(own) => Some(*own),
            PortVlan::Trunk { native, .. } => *native,
        };
        let Ok(header) = Ethernet::parse(head) else {
            return Ok(Entry::AsIs);
        };
        match (header.is_tagged(), header.vlan) {
            // What is about the link itself is of no VLAN.
            _ if header.destination.is_reserved_group() => Ok(Entry::AsIs),
            (false, _) => own.map(Entry::Push).ok_or(DropReason::VlanIngress),
            (true, 0) if header.hides_tag() => Err(DropReason::VlanIngress),
            (true, 0) => own.map(Entry::Name).ok_or(DropReason::VlanIngress),
            (true, vlan) => match self {
                PortVlan::Trunk { .. } if self.carries(vlan) => Ok(Entry::AsIs),
                _ => Err(DropReason::VlanIngress),
            },
        }
    }

    /// Judges a frame that leaves.
    pub fn leave(&self, head: &[u8]) -> Departure {
        let Ok(header) = Ethernet::parse(head) else {
            return Departure::AsIs;
        };
        match self.pops(header.vlan) {
            _ if header.destination.is_reserved_group() => Departure::AsIs,
            _ if !self.carries(header.vlan) => Departure::Never,
            true if header.hides_tag() => Departure::Never,
            true => Departure::Pop,
            false => Departure::AsIs,
        }
    }
}

impl VlanId {
    pub fn new(number: u16) -> Option<VlanId> {
        NonZeroU16::new(number).filter(|number| number.get() <= VLAN_MAX).map(VlanId)
    }

    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl VlanSet {
    pub const EMPTY: VlanSet = VlanSet([0; VLANS / 64]);

    pub fn insert(&mut self, vlan: VlanId) {
        self.0[usize::from(vlan.get()) / 64] |= 1 << (vlan.get() % 64);
    }

    pub fn contains(&self, vlan: u16) -> bool {
        self.0.get(usize::from(vlan) / 64).is_some_and(|word| word & 1 << (vlan % 64) != 0)
    }

    pub fn iter(&self) -> impl Iterator<Item = VlanId> {
        (1..=VLAN_MAX).filter(|&vlan| self.contains(vlan)).filter_map(VlanId::new)
    }
}

impl FromIterator<VlanId> for VlanSet {
    fn from_iter<I: IntoIterator<Item = VlanId>>(vlans: I) -> Self {
        let mut set = VlanSet::EMPTY;
        vlans.into_iter().for_each(|vlan| set.insert(vlan));
        set
    }
}

impl FromStr for VlanId {
    type Err = VlanError;

    fn from_str(text: &str) -> Result<VlanId, VlanError> {
        let number =
            text.parse().map_err(|error: core::num::ParseIntError| match error.kind() {
                IntErrorKind::PosOverflow => VlanError::OutOfRange,
                _ => VlanError::NotANumber,
            })?;
        VlanId::new(number).ok_or(VlanError::OutOfRange)
    }
}

impl FromStr for VlanSet {
    type Err = VlanError;

    fn from_str(text: &str) -> Result<VlanSet, VlanError> {
        let mut set = VlanSet::EMPTY;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (VlanId, VlanId) = (first.parse()?, last.parse()?);
            if last < first {
                return Err(VlanError::Backwards);
            }
            (first.get()..=last.get()).filter_map(VlanId::new).for_each(|vlan| set.insert(vlan));
        }
        Ok(set)
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for VlanSet {
    /// In order, neighbours as ranges: never longer than another text that means the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = |vlan: &VlanId| !self.contains(vlan.get() - 1);
        for (at, first) in self.iter().filter(begins).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            let run = (first.get()..=VLAN_MAX).take_while(|&vlan| self.contains(vlan));
            match run.last() {
                Some(last) if last > first.get() => write!(f, "-{last}")?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VlanSet({self})")
    }
}

impl fmt::Display for VlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VlanError::NotANumber => f.write_str("no VLANs like 10,20,30-39"),
            VlanError::OutOfRange => write!(f, "a VLAN is 1 to {VLAN_MAX}"),
            VlanError::Backwards => f.write_str("a range begins with the lower VLAN"),
        }
    }
}

#[cfg(test)]
mod tests;
