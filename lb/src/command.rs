//! What can be asked of the tables: one funnel for configuration, console and timers.
//!
//! A command is applied whole or refused whole; [`Refusal`] says which thing is wrong, and the
//! caller, who knows where the words stood, says where.

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::management::ManagementSpec;
use crate::switch::groups::GroupRules;
use crate::wire::ethernet::VLAN_MAX;
use crate::wire::ip::Version;
use crate::{
    AdminState, GuestSpec, Identity, MacAddr, MirrorSpec, Name, PortId, PortRules, RealSpec, Role,
    ServiceSpec,
};

/// One change of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A port appears, or gets another name or role.
    SetPort { port: PortId, name: Name, role: Role },
    /// What a port lets through.
    SetPortRules { port: PortId, rules: PortRules },
    /// An address is at a port, whatever is heard of it.
    SetMac { mac: MacAddr, vlan: u16, port: PortId },
    /// An address is to be learned again.
    DeleteMac { mac: MacAddr, vlan: u16 },
    /// How long a station may be silent until it is forgotten.
    SetAgeing(Duration),
    /// What passes a port is copied to another, in place of what this mirror did before.
    SetMirror(MirrorSpec),
    /// A mirror goes, if there is one of this name.
    DeleteMirror(Name),
    /// How multicast groups are listened for and asked for.
    SetGroups(GroupRules),
    /// What the appliance says of itself by LLDP; `None`: nothing.
    SetIdentity(Option<Box<Identity>>),
    /// What the appliance is as a host; `None` if it is none.
    SetManagement(Option<Box<ManagementSpec>>),
    /// The NIC of a port says that its link went up or down.
    SetLink { port: PortId, up: bool },
    /// A guest appears or changes; its flows stay where they are.
    SetGuest(GuestSpec),
    /// A guest goes; refused while a service names it.
    DeleteGuest(Name),
    /// A service appears or changes; its reals and flows stay.
    SetService(ServiceSpec),
    /// A service goes; its flows go on until they end.
    DeleteService(Name),
    /// A real appears or changes.
    SetReal { service: Name, real: RealSpec },
    /// A real goes; its flows go on until they end.
    DeleteReal { service: Name, guest: Name },
    /// A real goes, or has gone, and its open flows with it: both ends of each are told.
    CutReal { service: Name, guest: Name },
    /// Ready, drained or in maintenance: one real, or with `service` absent all of the guest's.
    Administer { service: Option<Name>, guest: Name, state: AdminState },
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownPort,
    UnknownGuest(Name),
    UnknownService(Name),
    UnknownReal {
        service: Name,
        guest: Name,
    },
    /// The guest is no real of any service.
    NoReals(Name),
    /// Two ports would have one name.
    PortNameTaken(Name),
    /// A guest sits at a guest port only.
    NotAGuestPort(Name),
    /// What a mirror copies goes to a port of its own: no guest's, and not the one it is of.
    MirrorsPort(Name),
    /// An access list is of a guest port.
    AccessOfUplink(Name),
    /// A station's MAC is no group address and not zero.
    NotAStation(MacAddr),
    MacTaken {
        mac: MacAddr,
        guest: Name,
    },
    /// Too many static addresses fall into one part of the table.
    NoPlaceForMac(MacAddr),
    /// Not an address that a host may have.
    NotAHostAddress(IpAddr),
    AddressTaken {
        address: IpAddr,
        guest: Name,
    },
    /// It is the management address.
    AddressIsOurs(IpAddr),
    /// A guest has this address, or a VIP would take it.
    AddressIsVip {
        address: IpAddr,
        service: Name,
    },
    VipIsGuest {
        address: IpAddr,
        guest: Name,
    },
    /// Another service has this VIP, protocol and port.
    VipTaken {
        service: Name,
    },
    /// The guest of a real needs an address of the VIP's version.
    NoAddressForReal {
        guest: Name,
        version: Version,
    },
    /// `direct` forwarding leaves the port as it is.
    DirectPort {
        service: Name,
        guest: Name,
    },
    /// TCP cannot have this.
    UdpOnly {
        what: &'static str,
    },
    VlanRange,
    WeightRange,
    GuestInUse {
        guest: Name,
        service: Name,
    },
    /// The table of this name holds this many, and is full.
    Full {
        table: &'static str,
        max: usize,
    },
    /// There is no memory left for a table of this name.
    NoMemory {
        table: &'static str,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownPort => f.write_str("no such port"),
            Refusal::UnknownGuest(guest) => write!(f, "{guest} is no guest (set guest {guest} …)"),
            Refusal::UnknownService(service) => {
                write!(f, "{service} is no service (set service {service} vip …)")
            }
            Refusal::UnknownReal { service, guest } => {
                write!(f, "service {service} has no real {guest}")
            }
            Refusal::NoReals(guest) => write!(f, "guest {guest} is no real of any service"),
            Refusal::PortNameTaken(name) => write!(f, "another port is called {name}"),
            Refusal::NotAGuestPort(name) => {
                write!(f, "port {name} is an uplink; a guest needs a guest port")
            }
            Refusal::MirrorsPort(name) => {
                write!(f, "port {name} gets the copies of a mirror, so it can be nothing else")
            }
            Refusal::AccessOfUplink(name) => {
                write!(f, "port {name} is an uplink; access rules are for guest ports")
            }
            Refusal::NotAStation(mac) => write!(f, "{mac} is no MAC that a station may have"),
            Refusal::MacTaken { mac, guest } => write!(f, "{mac} is guest {guest}'s"),
            Refusal::NoPlaceForMac(mac) => {
                write!(f, "{mac} falls where the table of MACs is full of static ones")
            }
            Refusal::NotAHostAddress(address) => {
                write!(f, "{address} is no address that a host may have")
            }
            Refusal::AddressIsOurs(address) => write!(f, "{address} is the management address"),
            Refusal::AddressTaken { address, guest } => write!(f, "{address} is guest {guest}'s"),
            Refusal::AddressIsVip { address, service } => {
                write!(f, "{address} is the VIP of service {service}")
            }
            Refusal::VipIsGuest { address, guest } => {
                write!(f, "{address} is guest {guest}'s own; a VIP is nobody's")
            }
            Refusal::VipTaken { service } => {
                write!(f, "service {service} has this VIP, protocol and port")
            }
            Refusal::NoAddressForReal { guest, version } => {
                let version = match version {
                    Version::V4 => "IPv4",
                    Version::V6 => "IPv6",
                };
                write!(f, "guest {guest} has no {version} address (set guest {guest} address …)")
            }
            Refusal::DirectPort { service, guest } => write!(
                f,
                "service {service} is forwarded direct, which leaves the port as it is: \
                 real {guest} can have no other"
            ),
            Refusal::UdpOnly { what } => write!(f, "{what} is for UDP services"),
            Refusal::VlanRange => write!(f, "a VLAN is 1 to {VLAN_MAX}"),
            Refusal::WeightRange => {
                write!(f, "a weight is 0 to {}", RealSpec::WEIGHT_MAX)
            }
            Refusal::GuestInUse { guest, service } => {
                write!(f, "guest {guest} is a real of service {service} (delete that first)")
            }
            Refusal::Full { table, max } => write!(f, "the table of {table} is full ({max})"),
            Refusal::NoMemory { table } => {
                write!(f, "there is no memory for another table of {table}")
            }
        }
    }
}
