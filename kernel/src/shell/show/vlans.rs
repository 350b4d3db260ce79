//! VLANs: who serves on each, and whom the switch knows there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use lb::{Name, PortSet};

use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell};
use crate::shell::units::Or;

/// What there is on one VLAN.
#[derive(Default)]
struct Life<'a> {
    services: Vec<&'a Name>,
    macs: usize,
    /// Where these addresses are.
    ports: PortSet,
}

/// Every VLAN on which something is; 0 is untagged.
pub fn vlans(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut vlans: BTreeMap<u16, Life<'_>> = BTreeMap::new();
    for (_, service) in tables.services() {
        vlans.entry(service.spec.vlan).or_default().services.push(&service.spec.name);
    }
    for entry in dataplane.fdb().iter(now) {
        let life = vlans.entry(entry.vlan).or_default();
        life.macs += 1;
        life.ports = life.ports.with(entry.port);
    }
    let columns = [("VLAN", Left), ("MACS", Right), ("PORTS", Left), ("SERVICES", Left)];
    let mut table = Table::new("vlans", columns);
    for (vlan, mut life) in vlans {
        life.services.sort();
        let ports = life.ports.filter_map(|port| Some(&tables.port(port)?.name));
        table.push([
            cell("vlan", Or(NonZeroU16::new(vlan), "untagged")),
            cell("macs", life.macs),
            cell("ports", ports.collect::<Vec<_>>()),
            cell("services", life.services),
        ]);
    }
    let mut page = Page::new("fulcrum.show.vlans/1");
    page.table(table, "No service is defined, and no address was learned in the last 5 minutes.");
    page
}
