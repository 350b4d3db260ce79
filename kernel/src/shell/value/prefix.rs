//! Networks in commands: addresses that begin alike.

use alloc::string::ToString;
use core::net::IpAddr;

use lb::HostAddress;
use lb::service::persist::ClientKey;

use super::{Misfit, address, ranged, wrong_octet};

/// The addresses whose first `len` bits are those of `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    pub len: u8,
}

impl Prefix {
    pub fn holds(self, address: IpAddr) -> bool {
        let beginning = |address| ClientKey::of_source(address, self.len);
        beginning(address) == beginning(self.address)
    }

    pub(super) fn parse(text: &str) -> Result<Prefix, Misfit> {
        let example = "an address, or those of a network such as 10.0.2.0/24";
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(Misfit { wanted: example.to_string(), part: wrong_octet(address) });
        };
        let len_max: u8 = if address.is_ipv4() { 32 } else { 128 };
        let len = len.map_or(Ok(len_max), |len| ranged(len, "", 0, len_max));
        len.map(|len| Prefix { address, len }).map_err(|_| Misfit::whole(example))
    }

    /// An address of a host and the prefix of its network.
    pub(super) fn parse_own(text: &str) -> Result<Prefix, Misfit> {
        let example = "an address and its network's prefix, such as 10.0.2.15/24, or dhcp";
        let (own, len) = text.split_once('/').ok_or_else(|| Misfit::whole(example))?;
        let address = address(own)?;
        let len_max: u8 = if address.is_ipv4() { 32 } else { 128 };
        let len = ranged(len, "", 1, len_max).map_err(|_| Misfit::whole(example))?;
        match HostAddress::is_for_a_host(address, len) {
            true => Ok(Prefix { address, len }),
            false => {
                Err(Misfit::whole("an address of a host: it is the network's own, or all hosts'"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_prefix_holds_what_begins_like_it() {
        let holds = |prefix: &str, address: &str| {
            Prefix::parse(prefix).expect(prefix).holds(address.parse().unwrap())
        };
        let cases = [
            ("10.0.2.2", "10.0.2.2", true),
            ("10.0.2.2", "10.0.2.3", false),
            ("10.0.2.0/24", "10.0.2.255", true),
            ("10.0.2.77/24", "10.0.2.1", true),
            ("10.0.2.0/24", "10.0.3.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::1", "fd00::2", false),
            ("::/0", "10.0.2.2", false),
        ];
        for (prefix, address, expected) in cases {
            assert_eq!(holds(prefix, address), expected, "{prefix} {address}");
        }
        let wanted = "an address, or those of a network such as 10.0.2.0/24";
        for text in ["10.0.2.0/33", "10.0.2.0/", "10.0.2.0/-1", "fd00::/129", "web", "/8", ""] {
            assert_eq!(Prefix::parse(text).unwrap_err().wanted, wanted, "{text}");
        }
    }

    #[test]
    fn an_own_address_is_a_hosts() {
        for text in ["10.0.2.15/24", "10.0.2.15/32", "10.0.2.14/31", "fd00::15/64", "fe80::1/10"] {
            let Prefix { address, len } = Prefix::parse_own(text).expect(text);
            assert_eq!(format!("{address}/{len}"), text);
        }
        let example = "an address and its network's prefix, such as 10.0.2.15/24, or dhcp";
        let no_host = "an address of a host: it is the network's own, or all hosts'";
        for (text, wanted) in [
            ("10.0.2.15", example),
            ("10.0.2.15/", example),
            ("10.0.2.15/0", example),
            ("10.0.2.15/33", example),
            ("fd00::15/129", example),
            ("10.0.2.0/24", no_host),
            ("10.0.2.255/24", no_host),
            ("fd00::/64", no_host),
            ("10.0.2.300/24", "an IPv4 or IPv6 address"),
            ("224.0.0.1/24", "an address that a host may have"),
            ("127.0.0.1/8", "an address that a host may have"),
        ] {
            assert_eq!(Prefix::parse_own(text).unwrap_err().wanted, wanted, "{text}");
        }
    }
}
