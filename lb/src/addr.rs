//! Addresses: MAC addresses in text and bytes, and the virtual MAC of an address that the switch
//! itself answers for. IP addresses are `core::net`'s.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::wire::Address;

/// A 48-bit MAC address (IEEE 802).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// Text that is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddrError;

/// Transport protocols that a service may balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// The addresses on every guest port to which guests send load reports, and the source of a flow
/// that a guest has with itself (of the ranges of RFC 3927 and RFC 4291 §2.5.6; the same on every
/// appliance).
pub const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 2, 1);
pub const LINK_LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x6c, 0x62);
/// UDP port of load reports.
pub const REPORT_PORT: u16 = 3333;

impl MacAddr {
    pub const ZERO: MacAddr = MacAddr([0; 6]);
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);
    /// The switch's own MAC: the source of every frame that it delivers to a real.
    pub const SWITCH: MacAddr = MacAddr::virtual_of(IpAddr::V4(LINK_LOCAL));

    /// The virtual MAC with which the switch answers for `address`: locally administered, and the
    /// same on every appliance, so that clients keep it when another host takes over. The switch's
    /// own addresses share one. Any other IPv6 address is folded into its last four bytes; two VIPs that share one are told apart by their
    /// addresses, as any two addresses of one host are.
    pub const fn virtual_of(address: IpAddr) -> MacAddr {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                MacAddr([0x02, 0x6c, a, b, c, d])
            }
            IpAddr::V6(address) if address.to_bits() == LINK_LOCAL_V6.to_bits() => {
                MacAddr::virtual_of(IpAddr::V4(LINK_LOCAL))
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let folded = (bits >> 64) as u64 ^ (bits as u64).rotate_left(17);
                // Fibonacci hashing: the upper bits of a product depend on all bits below.
                let [a, b, c, d, ..] = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                MacAddr([0x02, 0x6d, a, b, c, d])
            }
        }
    }

    /// The MAC of an appliance's management address: locally administered, and as different from any
    /// other appliance's as are the MACs of their NICs, of which this is one.
    pub const fn of_management(nic: MacAddr) -> MacAddr {
        let [a, b, c, d, e, f] = nic.0;
        MacAddr([0x02, 0x6e, a ^ b ^ c, d, e, f])
    }

    /// Whether this may be a virtual MAC, by its first bytes alone.
    pub const fn looks_virtual(self) -> bool {
        matches!(self.0, [0x02, 0x6c | 0x6d, ..])
    }

    /// Whether this may be the MAC of a management address, by its first bytes alone: of those that are
    /// the switch's, it is.
    pub const fn looks_managements(self) -> bool {
        matches!(self.0, [0x02, 0x6e, ..])
    }

    /// Whether this may be a virtual MAC or that of a management address, by its first bytes alone.
    pub const fn looks_ours(self) -> bool {
        matches!(self.0, [0x02, 0x6c..=0x6e, ..])
    }

    /// Group bit: multicast or broadcast (IEEE 802, I/G bit).
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// 01:80:c2:00:00:0x: never forwarded by a bridge (IEEE 802.1Q, table 8-1).
    pub const fn is_reserved_group(self) -> bool {
        matches!(self.0, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f])
    }

    /// May stand as the source of a frame.
    pub fn is_station(self) -> bool {
        !self.is_group() && self != MacAddr::ZERO
    }
}

impl FromStr for MacAddr {
    type Err = MacAddrError;

    /// `52:54:00:aa:00:01`, `52-54-00-aa-00-01` or `5254.00aa.0001`.
    fn from_str(text: &str) -> Result<Self, MacAddrError> {
        let (separator, group) = match text.as_bytes().get(2) {
            Some(separator @ (b':' | b'-')) => (*separator, 2),
            _ => (b'.', 4),
        };
        let mut mac = [0u8; 6];
        let mut nibbles = 0;
        for (at, byte) in text.bytes().enumerate() {
            if at % (group + 1) == group {
                if byte != separator {
                    return Err(MacAddrError);
                }
                continue;
            }
            let digit = (byte as char).to_digit(16).ok_or(MacAddrError)?;
            let slot = mac.get_mut(nibbles / 2).ok_or(MacAddrError)?;
            *slot = *slot << 4 | digit as u8;
            nibbles += 1;
        }
        let whole = nibbles == 12 && text.len() == 12 + 12 / group - 1;
        whole.then_some(MacAddr(mac)).ok_or(MacAddrError)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = heapless::String::<17>::new();
        for (at, byte) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ":" };
            fmt::write(&mut text, format_args!("{separator}{byte:02x}"))?;
        }
        f.pad(&text)
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Protocol {
    pub const ALL: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

    /// The protocol with this IANA number.
    pub const fn of(number: u8) -> Option<Protocol> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            _ => None,
        }
    }

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }

    /// IANA protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The switch's own address of the same family as `address`.
pub const fn link_local_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(LINK_LOCAL),
        IpAddr::V6(_) => IpAddr::V6(LINK_LOCAL_V6),
    }
}

/// Whether packets to this address are for the switch itself, on guest ports.
pub fn is_link_local_of_ours(address: impl Into<Address>) -> bool {
    const OURS: [Address; 2] =
        [Address::v4(LINK_LOCAL.to_bits()), Address::v6(LINK_LOCAL_V6.octets())];
    let address = address.into();
    address == OURS[0] || address == OURS[1]
}

/// Whether a host may have this address as its own: not unspecified, loopback, multicast or
/// broadcast, nor an IPv4 address in IPv6's clothes.
pub fn is_host_address(address: IpAddr) -> bool {
    let taboo = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    !taboo && !mapped && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn three_notations_one_address() {
        let mac = MacAddr([0x52, 0x54, 0x00, 0xaa, 0x00, 0x01]);
        for text in ["52:54:00:aa:00:01", "52-54-00-AA-00-01", "5254.00aa.0001"] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        assert_eq!(mac.to_string(), "52:54:00:aa:00:01");
    }

    #[test]
    fn what_is_no_mac() {
        let texts = [
            "",
            "52:54:00:aa:00",
            "52:54:00:aa:00:01:",
            "52:54:00:aa:00:01:02",
            "5254.00aa.00",
            "52:54-00:aa:00:01",
            "525400aa0001",
            "52:54:00:aa:00:0g",
            "5254.00aa.00011",
        ];
        for text in texts {
            assert_eq!(text.parse::<MacAddr>(), Err(MacAddrError), "{text}");
        }
    }

    #[test]
    fn kinds_of_macs() {
        assert!(MacAddr::BROADCAST.is_group());
        assert!(MacAddr([1, 0x80, 0xc2, 0, 0, 0x0f]).is_reserved_group());
        assert!(!MacAddr([1, 0x80, 0xc2, 0, 0, 0x10]).is_reserved_group());
        assert!(MacAddr::SWITCH.is_station() && !MacAddr::ZERO.is_station());
        let nic = MacAddr([0x52, 0x54, 0, 0xaa, 0, 1]);
        let own = MacAddr::of_management(nic);
        assert_eq!(own, MacAddr([0x02, 0x6e, 0x06, 0xaa, 0, 1]));
        assert!(own.is_station() && own.looks_ours() && !own.looks_virtual());
    }
}
