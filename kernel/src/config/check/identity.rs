//! What the appliance says of itself to those at the other ends of its links.

use lb::wire::lldp::text;
use lb::{Identity, Role};

use super::PortPlan;
use crate::config::{Config, Site};

/// Who it is on this machine: the first uplink's NIC, or the first that has a MAC. `None` if none has.
pub(super) fn identity(config: &Config, site: &Site, ports: &[PortPlan]) -> Option<Identity> {
    let macs = || site.nics.iter().map(|nic| nic.mac);
    let uplink = ports.iter().position(|port| port.role == Role::Uplink);
    let of_uplink = uplink.and_then(|at| site.nics.get(at)?.mac);
    let chassis = of_uplink.or_else(|| macs().flatten().next())?;
    let name = config.hostname.as_ref().map_or("fulcrum", |name| name.as_str());
    let version = concat!("Fulcrum ", env!("CARGO_PKG_VERSION"), ", a virtual switch");
    let (system_name, description) = (text(name.as_bytes()), text(version.as_bytes()));
    Some(Identity { chassis, macs: macs().collect(), system_name, description })
}
