//! `set system address …`: where the appliance itself is reached, as it is said.

use core::fmt;
use core::num::NonZeroU16;

use lb::wire::ip::Version;
use lb::{AddressSource, AddressSpec, HostAddress};

use super::InWords;
use super::print::clause;
use crate::shell::parse::Sentence;
use crate::shell::value::{Choice, Prefix};

/// The address that a sentence states; its VLAN is 0 if none is said.
pub(super) fn address(said: &Sentence) -> AddressSpec {
    let vlan = said.vlan().unwrap_or(0);
    let source = match said.own_address() {
        Some(Prefix { address, len }) => {
            let gateway = said.gateway();
            AddressSource::Static(HostAddress { address, prefix_len: len, gateway })
        }
        None => AddressSource::Dhcp,
    };
    AddressSpec { source, vlan }
}

/// Which of the addresses a sentence takes back; all, if it does not say.
pub(super) fn which(said: &Sentence) -> Option<Version> {
    match said.choice() {
        Some(Choice::Version(version)) => Some(version),
        _ => None,
    }
}

/// The word of the configuration.
pub const fn word_of(version: Version) -> &'static str {
    match version {
        Version::V4 => "ipv4",
        Version::V6 => "ipv6",
    }
}

impl fmt::Display for InWords<'_, AddressSpec> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source {
            AddressSource::Static(HostAddress { address, prefix_len, gateway }) => {
                write!(f, "{address}/{prefix_len}")?;
                clause(f, "gateway", &gateway)?;
            }
            AddressSource::Dhcp => f.write_str("dhcp")?,
        }
        clause(f, "vlan", &NonZeroU16::new(self.0.vlan))
    }
}
