//! How long a packet may be: each port says it for itself, 1,500 bytes if it says nothing.
//!
//! A port's MTU counts the bytes behind the Ethernet header and its tags, of which there may be two (RFC 791's
//! and RFC 8200's packet, not the frame). It holds both ways. What comes in longer ends there, and what is to
//! be cut counts with its segments. What would leave by a port that takes less ends as well, but for the
//! copies of a flood that fit elsewhere: nothing is cut here, and who sent it to or for a VIP is told what
//! would have fitted ([`crate::dataplane`]).
//!
//! Where all ports say the same, nobody asks for the second: what came in fits everywhere.

use core::fmt;

use crate::limits::PORTS_MAX;
use crate::{PortId, PortSet};

/// Bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u16);

impl Mtu {
    /// What every link that carries IPv6 takes (RFC 8200 §5).
    pub const MIN: Mtu = Mtu(1280);
    pub const MAX: Mtu = Mtu(9000);
    pub const DEFAULT: Mtu = Mtu(1500);

    /// `None` outside of what a port may have.
    pub const fn new(bytes: u16) -> Option<Mtu> {
        let is_one = bytes >= Mtu::MIN.0 && bytes <= Mtu::MAX.0;
        if is_one { Some(Mtu(bytes)) } else { None }
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether a packet of so many bytes may pass.
    #[inline(always)]
    pub const fn takes(self, packet_len: usize) -> bool {
        packet_len <= self.0 as usize
    }
}

impl Default for Mtu {
    fn default() -> Mtu {
        Mtu::DEFAULT
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Those of all ports.
#[derive(Clone, Debug)]
pub(crate) struct Mtus {
    of: [Mtu; PORTS_MAX],
    least: Mtu,
}

impl Mtus {
    pub fn new() -> Mtus {
        Mtus { of: [Mtu::DEFAULT; PORTS_MAX], least: Mtu::DEFAULT }
    }

    /// Takes the place of all that was said before.
    pub fn map(&mut self, ports: impl Iterator<Item = (PortId, Mtu)>) {
        *self = Mtus::new();
        let mut all = PortSet::EMPTY;
        for (port, mtu) in ports {
            self.of[port.index()] = mtu;
            all = all.with(port);
        }
        self.least = self.least_of(all);
    }

    #[inline(always)]
    pub fn of(&self, port: PortId) -> Mtu {
        self.of[port.index()]
    }

    #[inline(always)]
    pub fn least(&self) -> Mtu {
        self.least
    }

    /// Whether every port takes what this one lets in.
    #[inline(always)]
    pub fn is_least(&self, port: PortId) -> bool {
        self.of(port) <= self.least
    }

    /// What passes by each of these ports.
    pub fn least_of(&self, ports: PortSet) -> Mtu {
        ports.map(|port| self.of(port)).min().unwrap_or_default()
    }

    /// Of these ports, those that take a packet of so many bytes.
    pub fn taking(&self, ports: PortSet, packet_len: usize) -> PortSet {
        ports.filter(|&port| self.of(port).takes(packet_len)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_carries_ipv6_and_fits_the_buffers() {
        for (bytes, is_one) in
            [(0, false), (1279, false), (1280, true), (9000, true), (9001, false)]
        {
            assert_eq!(Mtu::new(bytes).is_some(), is_one, "{bytes}");
        }
        assert_eq!(Mtu::new(1500), Some(Mtu::DEFAULT));
    }

    #[test]
    fn the_least_is_of_the_ports_that_there_are() {
        let [one, two, three] = [0, 1, 2].map(|at| PortId::new(at).unwrap());
        let [jumbo, small] = [9000, 1400].map(|bytes| Mtu::new(bytes).unwrap());
        let all: PortSet = [one, two, three].into_iter().collect();
        let mut mtus = Mtus::new();
        assert!(mtus.is_least(one) && mtus.taking(all, 1500) == all);
        mtus.map([(one, jumbo), (two, jumbo)].into_iter());
        assert!(mtus.is_least(one), "nobody takes less");
        mtus.map([(one, jumbo), (two, small), (three, Mtu::DEFAULT)].into_iter());
        assert_eq!([one, two, three].map(|port| mtus.is_least(port)), [false, true, false]);
        for (packet_len, taking) in
            [(1400, all), (1401, all.without(two)), (1501, PortSet::EMPTY.with(one))]
        {
            assert_eq!(mtus.taking(all, packet_len), taking, "{packet_len}");
        }
        mtus.map([].into_iter());
        assert!(mtus.is_least(one));
    }
}
