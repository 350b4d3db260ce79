//! An IP address of either version in sixteen bytes, as the data path compares and hashes it.
//!
//! `core`'s [`IpAddr`] is seventeen bytes on no boundary, and asks for the version at every step.
//! Here an IPv4 address is written as if it were mapped into IPv6 (RFC 4291 §2.5.5.2). Such an
//! address belongs on no wire: the parser of IPv6 refuses it, so it never stands for two.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ip::Version;

/// The upper words of an IPv4 address.
const MAPPED: u64 = 0xffff_0000_0000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    high: u64,
    low: u64,
}

impl Address {
    pub const fn v4(bits: u32) -> Address {
        Address { high: 0, low: MAPPED | bits as u64 }
    }

    pub const fn v6(octets: [u8; 16]) -> Address {
        Address::from_words({
            let bits = u128::from_be_bytes(octets);
            [(bits >> 64) as u64, bits as u64]
        })
    }

    pub const fn from_words([high, low]: [u64; 2]) -> Address {
        Address { high, low }
    }

    pub const fn words(self) -> [u64; 2] {
        [self.high, self.low]
    }

    pub const fn version(self) -> Version {
        if self.is_v4() { Version::V4 } else { Version::V6 }
    }

    pub const fn is_v4(self) -> bool {
        self.high == 0 && self.low & !(u32::MAX as u64) == MAPPED
    }

    /// The bits of an IPv4 address.
    pub const fn v4_bits(self) -> u32 {
        self.low as u32
    }

    pub const fn v6_octets(self) -> [u8; 16] {
        ((self.high as u128) << 64 | self.low as u128).to_be_bytes()
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Address {
        Address::v4(address.to_bits())
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Address {
        Address::v6(address.octets())
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> IpAddr {
        match address.version() {
            Version::V4 => Ipv4Addr::from_bits(address.v4_bits()).into(),
            Version::V6 => Ipv6Addr::from_octets(address.v6_octets()).into(),
        }
    }
}

impl PartialEq<IpAddr> for Address {
    fn eq(&self, other: &IpAddr) -> bool {
        *self == Address::from(*other)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&IpAddr::from(*self), f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_what_it_was(address in any::<IpAddr>()) {
            let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
            prop_assume!(!mapped);
            let packed = Address::from(address);
            prop_assert_eq!(IpAddr::from(packed), address);
            prop_assert_eq!(packed.version(), Version::of(address));
        }
    }
}
