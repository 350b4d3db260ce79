//! VLANs: which ports are in each, who serves there, and whom the switch knows there.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use lb::switch::vlan::{PortVlan, VLANS};
use lb::wire::ethernet::VLAN_MAX;
use lb::{Name, Port, PortId, PortSet, Tables};

use super::ROWS_MAX;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::units::{Or, Shown};

/// What there is on one VLAN.
#[derive(Default, PartialEq)]
struct Life<'a> {
    /// Ports by what they do with its tag: those behind it know of none.
    access: PortSet,
    /// They tell it by its tag.
    trunk: PortSet,
    /// On a trunk what has no tag is in it.
    native: PortSet,
    services: Vec<&'a Name>,
    macs: usize,
    /// Where these addresses are.
    seen: PortSet,
}

/// Neighbours of which all is the same.
struct Run<'a> {
    vlans: core::ops::RangeInclusive<u16>,
    life: Life<'a>,
}

/// Every VLAN on which something is; 0 is untagged.
pub fn vlans(desk: &Desk<'_>) -> Page {
    let tables = desk.appliance.dataplane.tables();
    let mut columns = Vec::from([("VLAN", Left), ("ACCESS", Left), ("TRUNK", Left)]);
    columns.extend([("NATIVE", Left), ("MACS", Right), ("AT", Left), ("SERVICES", Left)]);
    let mut table = Table::new("vlans", columns);
    let runs = runs(desk);
    for Run { vlans, life } in runs.iter().take(ROWS_MAX) {
        let (first, last) = (*vlans.start(), *vlans.end());
        let number = Or(NonZeroU16::new(first), "untagged");
        let told = if first == last { number.words() } else { format!("{first}-{last}") };
        table.push([
            words(told).with("vlan", number).with("vlan_last", NonZeroU16::new(last)),
            members("access", tables, life.access),
            members("trunk", tables, life.trunk),
            members("native", tables, life.native),
            cell("macs", life.macs),
            members("ports", tables, life.seen),
            cell("services", &life.services),
        ]);
    }
    let mut page = Page::new("fulcrum.show.vlans/1");
    page.table(table, "No service is defined, and no address was learned in the last 5 minutes.");
    page.cut(runs.len().min(ROWS_MAX), runs.len());
    let is_transparent = |(_, port): &(PortId, &Port)| port.rules.vlan == PortVlan::Transparent;
    let all = tables.ports().filter(is_transparent).map(|(id, _)| id).collect();
    let all = names(tables, all);
    let told = match &all[..] {
        [] => String::new(),
        _ => format!("Ports with all VLANs, their tags untouched: {}", all.words()),
    };
    page.note(words(told).with("transparent", all));
    page
}

fn runs<'a>(desk: &'a Desk<'_>) -> Vec<Run<'a>> {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut heard = vec![(0, PortSet::EMPTY); VLANS];
    for entry in dataplane.fdb().iter(now) {
        let (macs, seen) = &mut heard[usize::from(entry.vlan) % VLANS];
        (*macs, *seen) = (*macs + 1, seen.with(entry.port));
    }
    let services = tables.services().map(|(_, service)| (service.spec.vlan, &service.spec.name));
    let mut services: Vec<(u16, &Name)> = services.collect();
    services.sort_unstable();
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (vlan, (macs, seen)) in (0..=VLAN_MAX).zip(heard) {
        let here = services.iter().filter(|(of, _)| *of == vlan);
        let here = here.map(|(_, service)| *service).collect();
        let life = Life { services: here, macs, seen, ..Life::of_ports(tables, vlan) };
        match runs.last_mut() {
            _ if life == Life::default() => {}
            Some(run) if *run.vlans.end() + 1 == vlan && run.life == life && life.is_still() => {
                run.vlans = *run.vlans.start()..=vlan;
            }
            _ => runs.push(Run { vlans: vlan..=vlan, life }),
        }
    }
    runs
}

impl Life<'_> {
    /// Only which ports are in it.
    fn of_ports(tables: &Tables, vlan: u16) -> Self {
        let mut life = Life::default();
        for (id, port) in tables.ports() {
            let port = &port.rules.vlan;
            let group = match port {
                PortVlan::Transparent => continue,
                PortVlan::Access(own) if own.get() == vlan => &mut life.access,
                PortVlan::Access(_) => continue,
                PortVlan::Trunk { .. } if port.pops(vlan) => &mut life.native,
                PortVlan::Trunk { tagged, .. } if tagged.contains(vlan) => &mut life.trunk,
                PortVlan::Trunk { .. } => continue,
            };
            *group = group.with(id);
        }
        life
    }

    fn is_still(&self) -> bool {
        self.services.is_empty() && self.macs == 0
    }
}

/// Ports by name; no words where there is none.
fn members(key: &'static str, tables: &Tables, ports: PortSet) -> Cell {
    let names = names(tables, ports);
    let told = if names.is_empty() { String::new() } else { names.words() };
    words(told).with(key, names)
}

fn names(tables: &Tables, ports: PortSet) -> Vec<&Name> {
    ports.filter_map(|port| Some(&tables.port(port)?.name)).collect()
}
