//! Static MACs: each at a port that carries its VLAN, and nobody else's. And which VLANs a guest is
//! in, for all who ask.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use lb::limits::ACCESS_RULES_MAX;
use lb::switch::access::Target;
use lb::{Name, PortId, PortRules, PortVlan, Role};

use super::PortPlan;
use super::guests::is_ours;
use crate::config::{Config, Finding, GuestConfig, Item, PortPart, StaticMac, Wrong};

/// Static MACs that may be stated.
const STATIC_MACS_MAX: usize = 1024;
const TRANSPARENT: &PortVlan = &PortVlan::Transparent;

/// Where each static MAC is, its VLAN found out.
pub type Macs = BTreeMap<StaticMac, PortId>;

/// The rules of each port.
pub(super) fn rules(config: &Config, ports: &[PortPlan]) -> Vec<PortRules> {
    let stated = |port: &PortPlan| config.ports.get(&port.name).map(|port| port.rules.clone());
    ports.iter().map(|port| stated(port).unwrap_or_default()).collect()
}

/// Whether rules are where they may be, and name what there is.
pub(super) fn check_rules(config: &Config, ports: &[PortPlan], findings: &mut Vec<Finding>) {
    for (name, port) in &config.ports {
        let is = |role| ports.iter().any(|plan| plan.name == *name && plan.role == role);
        let is_uplink = is(Role::Uplink);
        if port.rules.standby && is(Role::Guest) {
            let item = Item::PortPart(name.clone(), PortPart::Standby);
            findings.push(Finding::new(item, Wrong::StandbyOfGuest));
        }
        for (at, rule) in port.rules.access.iter().enumerate() {
            let mut found = |wrong| {
                let item = Item::PortPart(name.clone(), PortPart::Rule(rule.number));
                findings.push(Finding::new(item, wrong));
            };
            if is_uplink {
                found(Wrong::AccessOfUplink);
            }
            if at == ACCESS_RULES_MAX {
                found(Wrong::TooMany { what: "rules of one port", max: ACCESS_RULES_MAX });
            }
            match &rule.to {
                Target::Service(service) if !config.services.contains_key(service) => {
                    found(Wrong::NoSuchService { who: "a rule", service: service.clone() });
                }
                Target::Any | Target::Service(_) | Target::Hosts(_) => {}
            }
        }
    }
}

/// The VLANs of a port.
pub(super) fn vlans_at<'c>(config: &'c Config, port: &Name) -> &'c PortVlan {
    config.ports.get(port).map_or(TRANSPARENT, |port| &port.rules.vlan)
}

/// The VLANs that a guest is in.
pub(super) fn vlans_of<'c>(config: &'c Config, guest: &GuestConfig) -> &'c PortVlan {
    guest.port.as_ref().map_or(TRANSPARENT, |port| vlans_at(config, port))
}

pub(super) fn check_macs(config: &Config, ports: &[PortPlan], findings: &mut Vec<Finding>) -> Macs {
    let mut macs = Macs::new();
    for (said, port) in &config.macs {
        let item = Item::Mac(*said);
        match place(config, ports, *said, port) {
            Err(wrong) => findings.push(Finding::new(item, wrong)),
            Ok((whole, id)) => match macs.entry(whole) {
                Entry::Vacant(free) => _ = free.insert(id),
                Entry::Occupied(other) if *other.get() == id => {}
                Entry::Occupied(other) => {
                    let port = ports[other.get().index()].name.clone();
                    findings.push(Finding::new(item, Wrong::MacElsewhere { port }));
                }
            },
        }
    }
    if let Some((said, _)) = config.macs.iter().nth(STATIC_MACS_MAX) {
        let wrong = Wrong::TooMany { what: "static MACs", max: STATIC_MACS_MAX };
        findings.push(Finding::new(Item::Mac(*said), wrong));
    }
    macs
}

/// The port of a static MAC, and its VLAN where none was said.
fn place(
    config: &Config,
    ports: &[PortPlan],
    StaticMac { mac, vlan }: StaticMac,
    port: &Name,
) -> Result<(StaticMac, PortId), Wrong> {
    let found = ports.iter().position(|plan| plan.name == *port);
    let id = found.and_then(PortId::new).ok_or_else(|| {
        let known = ports.iter().map(|plan| plan.name.clone()).collect();
        Wrong::UnknownPort { port: port.clone(), known }
    })?;
    if is_ours(config, mac) {
        return Err(Wrong::MacIsOurs { mac });
    }
    let vlans = vlans_at(config, port);
    let vlan = match vlan {
        0 => vlans.of_untagged().ok_or_else(|| Wrong::NothingUntagged { port: port.clone() })?,
        vlan if vlans.carries(vlan) => vlan,
        vlan => return Err(Wrong::NotCarried { port: port.clone(), vlan }),
    };
    let is_its =
        |guest: &GuestConfig| guest.mac == Some(mac) && vlans_of(config, guest).carries(vlan);
    match config.guests.iter().find(|(_, guest)| is_its(guest)) {
        Some((guest, _)) => Err(Wrong::MacTaken { mac, guest: guest.clone() }),
        None => Ok((StaticMac { mac, vlan }, id)),
    }
}

/// What is wrong with a guest that serves in a VLAN, if its port does not carry it.
pub(super) fn check_server(
    config: &Config,
    role: &'static str,
    name: &Name,
    guest: &GuestConfig,
    vlan: u16,
    at: Item,
) -> Option<Finding> {
    let port = guest.port.clone().filter(|port| !vlans_at(config, port).carries(vlan))?;
    let with = Item::PortPart(port.clone(), PortPart::Vlan);
    let wrong = Wrong::NotInVlan { role, guest: name.clone(), port, vlan };
    Some(Finding::against(at, wrong, with))
}
