//! The management address: in a VLAN that an uplink has, with a gateway on its own network, and
//! nobody else's.

use alloc::vec::Vec;
use core::net::IpAddr;

use lb::wire::ip::Version;
use lb::{AddressSource, AddressSpec, HostAddress, MacAddr, ManagementSpec, Role, addr};

use super::PortPlan;
use super::switching::{vlans_at, vlans_of};
use crate::config::{Config, Finding, Item, ServicePart, Site, Wrong};

/// The management address on this machine; `None` if there is none, or no uplink to reach it by.
pub(super) fn check(
    config: &Config,
    site: &Site,
    ports: &[PortPlan],
    findings: &mut Vec<Finding>,
) -> Option<ManagementSpec> {
    let uplink = ports.iter().position(|port| port.role == Role::Uplink);
    let placed = config.addresses.iter().flatten().filter_map(|said| {
        let item = Item::Address(Some(said.version()));
        let placed = place(config, ports, said).map_err(|wrong| Finding::new(item, wrong));
        placed.map_err(|finding| findings.push(finding)).ok()
    });
    let addresses: heapless::Vec<AddressSpec, 2> = placed.take(2).collect();
    for address in &addresses {
        check_address(config, address, findings);
    }
    // One that is yet to come has perhaps no MAC that is known.
    let nic = uplink.and_then(|at| site.nics.get(at))?;
    let mac = MacAddr::of_management(nic.mac?);
    (!addresses.is_empty()).then(|| {
        findings.extend(check_mac(config, mac));
        ManagementSpec { mac, addresses }
    })
}

/// An address in its VLAN: that of untagged frames at the first uplink, if none is said. Without an
/// uplink it is as it was said: a machine that has lost its NIC still starts.
fn place(config: &Config, ports: &[PortPlan], said: &AddressSpec) -> Result<AddressSpec, Wrong> {
    let mut uplinks = ports.iter().filter(|port| port.role == Role::Uplink);
    let Some(first) = uplinks.clone().next() else {
        return Ok(*said);
    };
    let port = first.name.clone();
    let vlan = match said.vlan {
        0 => vlans_at(config, &port).of_untagged().ok_or(Wrong::NothingUntagged { port })?,
        vlan if uplinks.any(|uplink| vlans_at(config, &uplink.name).carries(vlan)) => vlan,
        vlan => return Err(Wrong::NotCarried { port, vlan }),
    };
    Ok(AddressSpec { vlan, ..*said })
}

fn check_address(config: &Config, said: &AddressSpec, findings: &mut Vec<Finding>) {
    let AddressSource::Static(host) = said.source else {
        return;
    };
    let HostAddress { address, prefix_len, gateway } = host;
    let item = || Item::Address(Some(Version::of(address)));
    if addr::is_link_local_of_ours(address) {
        findings.push(Finding::new(item(), Wrong::AddressIsOurs { address }));
    }
    if let Some(gateway) = gateway.filter(|&gateway| !host.may_have_gateway(gateway)) {
        let wrong = Wrong::GatewayElsewhere { gateway, address, prefix_len };
        findings.push(Finding::new(item(), wrong));
    }
    for address in [Some(address), gateway].into_iter().flatten() {
        findings.extend(
            whose(config, address, said.vlan)
                .map(|(wrong, with)| Finding::against(item(), wrong, with)),
        );
    }
    for (name, guest) in &config.guests {
        if guest.probe_sources.contains(&address) {
            let at = Item::GuestProbeSource(name.clone(), address);
            findings.push(Finding::against(at, Wrong::AddressIsOurs { address }, item()));
        }
    }
}

/// Who else has an address in a VLAN.
fn whose(config: &Config, address: IpAddr, vlan: u16) -> Option<(Wrong, Item)> {
    let mut guests = config.guests.iter().filter(|(_, its)| vlans_of(config, its).carries(vlan));
    if let Some((guest, _)) = guests.find(|(_, its)| its.addresses.contains(&address)) {
        let wrong = Wrong::AddressTaken { address, guest: guest.clone() };
        return Some((wrong, Item::GuestAddress(guest.clone(), address)));
    }
    let mut services = config.services.iter().filter_map(|(name, its)| Some((name, its.vip?)));
    let (service, _) = services.find(|(_, vip)| (vip.address, vip.vlan) == (address, vlan))?;
    let wrong = Wrong::AddressIsVip { address, service: service.clone() };
    Some((wrong, Item::Part(service.clone(), ServicePart::Vip)))
}

/// Whoever is said to have its MAC.
fn check_mac(config: &Config, mac: MacAddr) -> impl Iterator<Item = Finding> {
    let guests = config.guests.iter().filter(move |(_, guest)| guest.mac == Some(mac));
    let guests = guests.map(|(name, _)| Item::GuestMac(name.clone()));
    let stated = config.macs.keys().filter(move |said| said.mac == mac).copied().map(Item::Mac);
    guests.chain(stated).map(move |at| Finding::new(at, Wrong::MacIsOurs { mac }))
}
