//! Does a configuration hold together, and what does it come to on this machine?
//!
//! [`check`] looks at the whole: every reference, every conflict, every size. Either it returns a
//! [`Plan`], in which names are resolved and nothing is missing, or every finding there is. Each
//! finding names the item that it is about, so that whoever knows where that was stated can say
//! the line.

mod guests;
mod identity;
mod management;
mod mirrors;
mod services;
mod switching;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use lb::{
    GroupRules, GuestSpec, Identity, ManagementSpec, MirrorSpec, Name, PortRules, RealSpec, Role,
    ServiceSpec,
};

use self::guests::Guests;
use self::mirrors::Mirrors;
use self::services::Services;
pub use self::switching::Macs;
use super::ports::name_ports;
use super::{Config, Finding, Item, Site, Wrong};

/// A configuration that holds together, resolved for the NICs of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By the NIC's number, which is the port's.
    pub ports: Vec<PortPlan>,
    /// By the port's number.
    pub rules: Vec<PortRules>,
    pub macs: Macs,
    pub mac_ageing: Option<Duration>,
    pub groups: GroupRules,
    pub management: Option<ManagementSpec>,
    /// `None`: it has nobody's MAC to be known by.
    pub identity: Option<Identity>,
    pub guests: BTreeMap<Name, GuestSpec>,
    pub services: BTreeMap<Name, ServicePlan>,
    pub mirrors: BTreeMap<Name, MirrorSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlan {
    pub name: Name,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    pub spec: ServiceSpec,
    pub reals: BTreeMap<Name, RealSpec>,
}

/// The plan of a configuration, or everything that is wrong with it.
pub fn check(config: &Config, site: &Site) -> Result<Plan, Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(check_flows(config, site));
    let ports = name_ports(&config.ports, site, &mut findings);
    let guests = Guests { config, ports: &ports }.check(&mut findings);
    let services = Services { config, guests: &guests }.check(&mut findings);
    let refers = Mirrors { config, ports: &ports, guests: &guests, services: &services };
    let mirrors = refers.check(&mut findings);
    let macs = switching::check_macs(config, &ports, &mut findings);
    switching::check_rules(config, &ports, &mut findings);
    let (rules, mac_ageing) = (switching::rules(config, &ports), config.mac_ageing);
    let management = management::check(config, site, &ports, &mut findings);
    let identity = identity::identity(config, site, &ports);
    let groups = config.groups.rules();
    let plan = Plan {
        ports,
        rules,
        macs,
        mac_ageing,
        groups,
        management,
        identity,
        guests,
        services,
        mirrors,
    };
    if findings.is_empty() { Ok(plan) } else { Err(findings) }
}

/// Whether there is memory for the flow table that is asked for.
fn check_flows(config: &Config, site: &Site) -> Option<Finding> {
    let flows = config.flows.filter(|flows| flows.get() as usize > site.flows_fit)?;
    let wrong = Wrong::FlowsDoNotFit { flows, flows_fit: site.flows_fit };
    Some(Finding::new(Item::Flows, wrong))
}
