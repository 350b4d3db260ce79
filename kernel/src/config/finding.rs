//! What can be wrong with a configuration as a whole, and how it is said.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;

use lb::wire::ip::Version;
use lb::{MacAddr, Name};

use super::{Item, NicId, NicMatch, Vip};
use crate::shell::value::Time;

/// Something wrong with the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub at: Item,
    pub wrong: Wrong,
    /// What it is in conflict with, and the line where that was stated, if it was a line.
    pub with: Option<Item>,
    pub with_line: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    NoSuchNic {
        nic: NicMatch,
        nics: Vec<NicId>,
    },
    /// A port without `match` whose name no NIC has by default.
    NoDefaultPort {
        known: Vec<Name>,
    },
    NicTaken {
        port: Name,
    },
    NoPort,
    NoMac,
    UnknownPort {
        port: Name,
        known: Vec<Name>,
    },
    UplinkPort {
        port: Name,
    },
    MacTaken {
        mac: MacAddr,
        guest: Name,
    },
    MacIsOurs {
        mac: MacAddr,
    },
    /// A static MAC that was said to be at another port too.
    MacElsewhere {
        port: Name,
    },
    /// A static MAC whose VLAN was not said, at a port where it cannot be found out.
    NothingUntagged {
        port: Name,
    },
    NotCarried {
        port: Name,
        vlan: u16,
    },
    /// A guest that would serve in a VLAN that its port does not carry.
    NotInVlan {
        role: &'static str,
        guest: Name,
        port: Name,
        vlan: u16,
    },
    /// A rule about what may be sent from an uplink.
    AccessOfUplink,
    /// A guest's port that is to stand by.
    StandbyOfGuest,
    /// What is named is no service, and by whom.
    NoSuchService {
        who: &'static str,
        service: Name,
    },
    MirrorToItself,
    /// Where a mirror leads, another begins.
    MirrorOfMirror {
        port: Name,
        mirror: Name,
    },
    /// Where a mirror leads there is a guest.
    MirrorToGuest {
        port: Name,
        guest: Name,
    },
    AddressTaken {
        address: IpAddr,
        guest: Name,
    },
    AddressIsOurs {
        address: IpAddr,
    },
    AddressIsVip {
        address: IpAddr,
        service: Name,
    },
    /// A router is on the network of those whose router it is.
    GatewayElsewhere {
        gateway: IpAddr,
        address: IpAddr,
        prefix_len: u8,
    },
    NoVip,
    VipIsGuests {
        address: IpAddr,
        guest: Name,
    },
    VipTaken {
        vip: Vip,
        service: Name,
    },
    /// What the guest would serve as: `real` or `sorry`.
    NoSuchGuest {
        role: &'static str,
        guest: Name,
    },
    /// It is reached by an address of the VIP's version, and has none.
    NoAddress {
        role: &'static str,
        guest: Name,
        version: Version,
    },
    /// `direct` forwarding leaves the port as it is.
    DirectPort {
        guest: Name,
        port: NonZeroU16,
        service_port: NonZeroU16,
    },
    /// TCP cannot have this, and why.
    UdpOnly {
        what: &'static str,
        why: &'static str,
    },
    /// Two addresses of one version.
    ProbeSources {
        source: IpAddr,
        other: IpAddr,
    },
    SourceIsVip {
        address: IpAddr,
        service: Name,
    },
    /// A probe would still be waited for when the next one is sent.
    TimeoutTooLong {
        timeout: Duration,
        interval: Duration,
    },
    PrefixTooLong {
        prefix_len: u8,
        address: IpAddr,
    },
    FlowsDoNotFit {
        flows: NonZeroU32,
        flows_fit: usize,
    },
    TooMany {
        what: &'static str,
        max: usize,
    },
}

impl Finding {
    pub fn new(at: Item, wrong: Wrong) -> Finding {
        Finding { at, wrong, with: None, with_line: None }
    }

    pub fn against(at: Item, wrong: Wrong, with: Item) -> Finding {
        Finding { at, wrong, with: Some(with), with_line: None }
    }

    pub fn code(&self) -> u16 {
        match self.wrong {
            Wrong::NoSuchNic { .. }
            | Wrong::NoDefaultPort { .. }
            | Wrong::UnknownPort { .. }
            | Wrong::NoSuchService { .. }
            | Wrong::NoSuchGuest { .. } => 201,
            Wrong::NicTaken { .. }
            | Wrong::MacTaken { .. }
            | Wrong::MacIsOurs { .. }
            | Wrong::MacElsewhere { .. }
            | Wrong::AddressTaken { .. }
            | Wrong::VipIsGuests { .. }
            | Wrong::AddressIsOurs { .. }
            | Wrong::AddressIsVip { .. }
            | Wrong::SourceIsVip { .. }
            | Wrong::VipTaken { .. } => 203,
            Wrong::NoPort | Wrong::NoMac | Wrong::NoVip | Wrong::NoAddress { .. } => 204,
            Wrong::UplinkPort { .. }
            | Wrong::AccessOfUplink
            | Wrong::StandbyOfGuest
            | Wrong::MirrorToItself
            | Wrong::MirrorOfMirror { .. }
            | Wrong::MirrorToGuest { .. }
            | Wrong::NothingUntagged { .. }
            | Wrong::NotCarried { .. }
            | Wrong::NotInVlan { .. }
            | Wrong::DirectPort { .. }
            | Wrong::UdpOnly { .. }
            | Wrong::GatewayElsewhere { .. }
            | Wrong::ProbeSources { .. }
            | Wrong::TimeoutTooLong { .. }
            | Wrong::PrefixTooLong { .. } => 205,
            Wrong::TooMany { .. } | Wrong::FlowsDoNotFit { .. } => 601,
        }
    }

    /// Whether it would still be wrong if lines that could not be read were there.
    pub fn stands_alone(&self) -> bool {
        !matches!(self.code(), 201 | 204)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt_owner(f)?;
        f.write_str(": ")?;
        match &self.wrong {
            Wrong::NoSuchNic { nic, nics } => {
                write!(f, "no NIC has {nic} (NICs: {})", listed(nics))?;
            }
            Wrong::NoDefaultPort { known } => {
                write!(f, "no NIC is called so by itself (ports: {}); ", listed(known))?;
                write!(f, "say which it is: match pci … or match mac …")?;
            }
            Wrong::NicTaken { port } => write!(f, "that NIC is also port {port}'s")?,
            Wrong::NoPort => f.write_str("it has no port (set guest … port …)")?,
            Wrong::NoMac => f.write_str("it has no MAC (set guest … mac …)")?,
            Wrong::UnknownPort { port, known } => {
                write!(f, "there is no port {port} (ports: {})", listed(known))?;
            }
            Wrong::UplinkPort { port } => {
                write!(f, "port {port} is an uplink; a guest needs a guest port")?;
            }
            Wrong::MacTaken { mac, guest } => write!(f, "{mac} is also guest {guest}'s")?,
            Wrong::MacIsOurs { mac } => write!(f, "{mac} is the switch's own")?,
            Wrong::MacElsewhere { port } => write!(f, "it is also said to be at port {port}")?,
            Wrong::NothingUntagged { port } => {
                write!(f, "port {port} takes nothing without a tag: say in which VLAN it is")?;
            }
            Wrong::NotCarried { port, vlan } => {
                write!(f, "port {port} does not carry VLAN {vlan}")?;
            }
            Wrong::NotInVlan { role, guest, port, vlan: 0 } => {
                write!(f, "{role} {guest} is at port {port}, which has VLANs of its own; ")?;
                f.write_str("say in which of them the service is (set service … vip … vlan …)")?;
            }
            Wrong::NotInVlan { role, guest, port, vlan } => {
                write!(f, "{role} {guest} is at port {port}, which does not carry VLAN {vlan}")?;
            }
            Wrong::AccessOfUplink => f.write_str("it is an uplink; rules are for guests' ports")?,
            Wrong::StandbyOfGuest => f.write_str("it is a guest's; only uplinks stand by")?,
            Wrong::NoSuchService { who, service } => {
                write!(f, "{who} names {service}, which is no service (set service {service} …)")?;
            }
            Wrong::MirrorToItself => f.write_str("its copies would go to the port they are of")?,
            Wrong::MirrorOfMirror { port, mirror } => {
                write!(f, "port {port} gets copies and nothing else, so mirror {mirror} ")?;
                f.write_str("has nothing to copy there")?;
            }
            Wrong::MirrorToGuest { port, guest } => {
                write!(f, "port {port} would get copies and nothing else, but is guest {guest}'s")?;
            }
            Wrong::AddressTaken { address, guest } => {
                write!(f, "{address} is also guest {guest}'s")?
            }
            Wrong::AddressIsOurs { address } => write!(f, "{address} is the appliance's own")?,
            Wrong::AddressIsVip { address, service } => {
                write!(f, "{address} is service {service}'s VIP")?;
            }
            Wrong::GatewayElsewhere { gateway, address, prefix_len } => {
                write!(f, "{gateway} is no router's address on the network of ")?;
                write!(f, "{address}/{prefix_len}")?;
            }
            Wrong::NoVip => f.write_str("it has no VIP (set service … vip …)")?,
            Wrong::VipIsGuests { address, guest } => {
                write!(f, "{address} is guest {guest}'s own address; a VIP is nobody's own")?;
            }
            Wrong::VipTaken { vip, service } => write!(f, "{vip} is also service {service}'s")?,
            Wrong::NoSuchGuest { role, guest } => {
                write!(f, "{role} {guest} is no guest (set guest {guest} …)")?;
            }
            Wrong::NoAddress { role, guest, version } => {
                let version = match version {
                    Version::V4 => "IPv4",
                    Version::V6 => "IPv6",
                };
                write!(f, "{role} {guest} has no {version} address (set guest {guest} address …)")?;
            }
            Wrong::DirectPort { guest, port, service_port } => {
                write!(f, "real {guest} has port {port}, but direct forwarding leaves the ")?;
                write!(f, "service's port {service_port} as it is")?;
            }
            Wrong::UdpOnly { what, why } => write!(f, "{what} is for UDP: {why}")?,
            Wrong::ProbeSources { source, other } => {
                let version = version_of(*source);
                write!(f, "probes have {other} as their {version} source, so not {source} too")?;
            }
            Wrong::SourceIsVip { address, service } => {
                write!(f, "{address} is service {service}'s VIP; probes need an address that ")?;
                f.write_str("nobody has")?;
            }
            Wrong::TimeoutTooLong { timeout, interval } => {
                let (timeout, interval) = (Time(*timeout), Time(*interval));
                write!(f, "the check's timeout {timeout} is longer than its interval {interval}")?;
            }
            Wrong::PrefixTooLong { prefix_len, address } => {
                let (bits, version) =
                    (if address.is_ipv4() { 32 } else { 128 }, version_of(*address));
                write!(f, "a prefix of {prefix_len} bits is longer than an {version} address")?;
                write!(f, " ({bits})")?;
            }
            Wrong::FlowsDoNotFit { flows, flows_fit } => {
                write!(f, "there is no memory for {flows} flows; {flows_fit} fit")?;
            }
            Wrong::TooMany { what, max } => write!(f, "more than {max} {what}")?,
        }
        self.with_line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

fn version_of(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn listed<T: fmt::Display>(things: &[T]) -> String {
    let things: Vec<String> = things.iter().map(|thing| thing.to_string()).collect();
    if things.is_empty() { "none".to_string() } else { things.join(" ") }
}
