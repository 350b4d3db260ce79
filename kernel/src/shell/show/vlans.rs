//! VLANs: which ports are in each, who serves there, and whom the switch knows there.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use lb::vlan::PortVlan;
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
    let all = of_ports(tables, |vlan| *vlan == PortVlan::Transparent);
    let all = names(tables, all);
    let told = match &all[..] {
        [] => String::new(),
        _ => format!("Ports with all VLANs, their tags untouched: {}", all.words()),
    };
    page.note(words(told).with("transparent", all));
    page
}

fn runs<'a>(desk: &'a Desk<'_>) -> Vec<Run<'a>> {
    let tables = desk.appliance.dataplane.tables();
    let mut lives = lives(desk);
    let mut runs: Vec<Run<'_>> = Vec::new();
    for vlan in 0..=VLAN_MAX {
        let mut life = lives.remove(&vlan).unwrap_or_default();
        life.access = of_ports(tables, |port| port.only().is_some_and(|own| own.get() == vlan));
        life.native = of_ports(tables, |port| port.pops(vlan)).minus(life.access);
        let is_told_by_tag = |port: &PortVlan| matches!(port, PortVlan::Trunk { tagged, .. } if tagged.contains(vlan));
        life.trunk = of_ports(tables, is_told_by_tag).minus(life.native);
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

/// Where there is a service, or somebody was heard.
fn lives<'a>(desk: &'a Desk<'_>) -> BTreeMap<u16, Life<'a>> {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let mut lives: BTreeMap<u16, Life<'_>> = BTreeMap::new();
    for (_, service) in dataplane.tables().services() {
        lives.entry(service.spec.vlan).or_default().services.push(&service.spec.name);
    }
    lives.values_mut().for_each(|life| life.services.sort());
    for entry in dataplane.fdb().iter(now) {
        let life = lives.entry(entry.vlan).or_default();
        life.macs += 1;
        life.seen = life.seen.with(entry.port);
    }
    lives
}

impl Life<'_> {
    fn is_still(&self) -> bool {
        self.services.is_empty() && self.macs == 0
    }
}

fn of_ports(tables: &Tables, is_one: impl Fn(&PortVlan) -> bool) -> PortSet {
    let those = |(id, port): (PortId, &Port)| is_one(&port.rules.vlan).then_some(id);
    tables.ports().filter_map(those).collect()
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
