//! How a configuration speaks of a NIC: by its place on the PCI bus or by its MAC.

use core::fmt;

use drivers::pci::Address;
use lb::MacAddr;

/// What is known of a NIC that was found, or that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicId {
    /// `None` where it is on no PCI bus, or may come to any place.
    pub pci: Option<Address>,
    /// `None` if whichever comes is meant.
    pub mac: Option<MacAddr>,
}

/// `match …`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicMatch {
    Pci(Address),
    Mac(MacAddr),
}

impl NicMatch {
    pub fn is(&self, nic: &NicId) -> bool {
        match self {
            NicMatch::Pci(pci) => nic.pci == Some(*pci),
            NicMatch::Mac(mac) => nic.mac == Some(*mac),
        }
    }

    /// What is known of a NIC that it waits for.
    pub fn awaited(&self) -> NicId {
        match *self {
            NicMatch::Pci(pci) => NicId { pci: Some(pci), mac: None },
            NicMatch::Mac(mac) => NicId { pci: None, mac: Some(mac) },
        }
    }
}

/// Reads an [`Address`] as it prints: `00:02.0`, bus, device and function.
pub fn parse_pci(text: &str) -> Option<Address> {
    let hex = |digits: &str, len: usize| {
        let plain = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if plain { u8::from_str_radix(digits, 16).ok() } else { None }
    };
    let (bus, rest) = text.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let address =
        Address { bus: hex(bus, 2)?, device: hex(device, 2)?, function: hex(function, 1)? };
    address.valid().then_some(address)
}

impl fmt::Display for NicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pci, self.mac) {
            (Some(pci), Some(mac)) => write!(f, "{pci}={mac}"),
            (Some(pci), None) => pci.fmt(f),
            (None, Some(mac)) => mac.fmt(f),
            (None, None) => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for NicMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NicMatch::Pci(pci) => write!(f, "pci {pci}"),
            NicMatch::Mac(mac) => write!(f, "mac {mac}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_address_reads_as_it_prints() {
        let address = Address { bus: 0x1f, device: 0x1e, function: 7 };
        assert_eq!(address.to_string(), "1f:1e.7");
        assert_eq!(parse_pci("1f:1e.7"), Some(address));
        for text in ["", "00:02", "0:02.0", "00:20.0", "00:02.8", "00:02.0 ", "+0:02.0", "00:é.0"]
        {
            assert_eq!(parse_pci(text), None, "{text}");
        }
    }
}
