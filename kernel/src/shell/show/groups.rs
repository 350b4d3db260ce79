//! Multicast groups: who is in each, and who asks.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use lb::switch::groups::{Key, Member};
use lb::wire::ip::Version;
use lb::{Name, PortId, PortSet, Tables};

use super::ROWS_MAX;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell, words};
use crate::shell::units::{Age, InText, Or, Shown, Vlan};

/// Every port of every group, and below who asks in which VLAN.
pub fn groups(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let (tables, groups) = (dataplane.tables(), dataplane.groups());
    let mut members: Vec<(Key, PortId, Member)> = groups.iter().collect();
    members.sort_by_key(|(key, port, _)| (*key, *port));
    let columns =
        [("VLAN", Right), ("GROUP", Left), ("PORT", Left), ("VERSION", Left), ("LEFT", Right)];
    let mut table = Table::new("groups", columns);
    for (Key { vlan, group }, port, member) in members.iter().take(ROWS_MAX) {
        table.push([
            cell("vlan", Vlan(*vlan)),
            cell("group", InText(*group)),
            cell("port", tables.port(*port).map(|port| &port.name)),
            cell("version", member.dialect.as_str()),
            cell("left_ms", Age(member.left(now))),
        ]);
    }
    let mut page = Page::new("fulcrum.show.groups/1");
    page.table(table, "No guest is in a group, groups of the link aside.");
    page.cut(members.len().min(ROWS_MAX), members.len());
    page.table(askers(desk), "Nobody asks: what is for a group goes everywhere.");
    let all = names(tables, groups.brimming());
    let told = match &all[..] {
        [] => String::new(),
        _ => format!("Ports that get what is for any group: {}", all.words()),
    };
    page.note(words(told).with("get_all", all));
    page
}

/// VLANs in which somebody asks; everywhere else what is for a group is flooded.
fn askers(desk: &Desk<'_>) -> Table {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let columns = [
        ("VLAN", Right),
        ("BY", Left),
        ("QUERIER", Left),
        ("LEFT", Right),
        ("GUESTS THAT ROUTE", Left),
        ("MEMBERS", Left),
    ];
    let mut table = Table::new("queriers", columns);
    for (vlan, version, asker) in dataplane.groups().askers(now).take(ROWS_MAX) {
        let by = match version {
            Version::V4 => "IGMP",
            Version::V6 => "MLD",
        };
        let state = if asker.is_settled(now) { "known" } else { "being asked" };
        table.push([
            cell("vlan", Vlan(vlan)),
            cell("by", by),
            cell("querier", Or(asker.other.map(InText), "this switch")),
            cell("left_ms", Age(asker.left(now))),
            cell("routers", names(dataplane.tables(), asker.routers)),
            cell("members", state),
        ]);
    }
    table
}

fn names(tables: &Tables, ports: PortSet) -> Vec<&Name> {
    ports.filter_map(|port| Some(&tables.port(port)?.name)).collect()
}
