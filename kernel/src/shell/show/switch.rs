//! Ports, addresses, and how frames ended.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use drivers::NicState;
use lb::fdb::{FdbEntry, FdbKind};
use lb::{DropReason, MacAddr, Name, Port, PortId};

use super::{ROWS_MAX, absent, fact, note_cut, vlan};
use crate::appliance::Attached;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table};
use crate::shell::problem::Problem;
use crate::shell::units::{NOTHING, age, bytes};

/// Drops that are counted before the switch sees the frame, or after it let go of it: by the NIC,
/// or by who does its work in software.
const PORT_DROPS: [&str; 10] = [
    "rx_runt",
    "rx_too_big",
    "rx_num_buffers",
    "rx_csum_range",
    "rx_gso",
    "tx_full",
    "tx_broken",
    "soft_malformed",
    "soft_no_buffer",
    "soft_too_many",
];

/// Every port; the numbers are frames.
pub fn ports(desk: &Desk<'_>) -> Page {
    let mut table = Table::new([
        ("PORT", Left),
        ("ROLE", Left),
        ("LINK", Left),
        ("AT", Left),
        ("MAC", Left),
        ("IN", Right),
        ("OUT", Right),
        ("DROPPED", Right),
        ("GUESTS", Left),
    ]);
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        let Some(attached) = desk.appliance.nic(id) else {
            continue;
        };
        let counters = attached.nic.counters();
        table.push([
            port.name.to_string(),
            port.role.as_str().to_string(),
            link(attached),
            place(attached),
            MacAddr(attached.nic.mac()).to_string(),
            counters.rx_frames.to_string(),
            counters.tx_frames.to_string(),
            dropped(desk, id).to_string(),
            guests_at(desk, id),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No NIC was found. Give the machine a virtio-net device.");
    page
}

/// Everything about one port.
pub fn port(desk: &Desk<'_>, name: &Name) -> Result<Page, Problem> {
    let tables = desk.appliance.dataplane.tables();
    let found = tables.ports().find(|(_, port)| port.name == *name);
    let found = found.and_then(|(id, port)| Some((id, port, desk.appliance.nic(id)?)));
    let Some((id, port, attached)) = found else {
        return Err(absent("port", name, tables.ports().map(|(_, port)| &port.name)));
    };
    let mut page = Page::default();
    about(&mut page, port, attached, guests_at(desk, id));
    let counters = attached.nic.counters();
    fact(&mut page, "bytes in", bytes(counters.rx_bytes));
    fact(&mut page, "bytes out", bytes(counters.tx_bytes));
    let counted =
        counted_at(desk, id).filter(|&(name, count)| count > 0 && !name.ends_with("_bytes"));
    counted.for_each(|(name, count)| fact(&mut page, name, count));
    let endings = desk.appliance.dataplane.endings(id);
    page.row("frames received here, by their end:");
    let kept = [
        ("forwarded", endings.forwarded),
        ("flooded", endings.flooded),
        ("replied", endings.replied),
        ("punted", endings.punted),
        ("held", endings.held),
    ];
    kept.iter().for_each(|(name, count)| fact(&mut page, name, count));
    let drops = endings.drops().filter(|(_, count)| *count > 0);
    drops.for_each(|(reason, count)| fact(&mut page, &format!("drop {}", reason.as_str()), count));
    reports(&mut page, desk, id);
    Ok(page)
}

fn about(page: &mut Page, port: &Port, attached: &Attached, guests: String) {
    page.row(format!("port {}", port.name));
    fact(page, "role", port.role.as_str());
    fact(page, "link", link(attached));
    fact(page, "NIC", format!("{} at {}", attached.nic.driver(), place(attached)));
    fact(page, "MAC", MacAddr(attached.nic.mac()));
    fact(page, "guests", guests);
}

/// What became of load reports that came in here, if any did.
fn reports(page: &mut Page, desk: &Desk<'_>, id: PortId) {
    let reports = desk.appliance.dataplane.reports().counters(id);
    let counts = [
        ("accepted", reports.accepted),
        ("malformed", reports.malformed),
        ("old", reports.old),
        ("no real", reports.no_real),
        ("identity", reports.identity),
        ("rate", reports.rate),
    ];
    if counts.iter().all(|(_, count)| *count == 0) {
        return;
    }
    page.row("load reports:");
    let counted = counts.iter().filter(|(_, count)| *count > 0);
    counted.for_each(|(name, count)| fact(page, name, count));
}

/// The forwarding database.
pub fn macs(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let mut entries: Vec<FdbEntry> = dataplane.fdb().iter(now).take(ROWS_MAX).collect();
    entries.sort_by_key(|entry| (entry.port, entry.vlan, entry.mac));
    let mut table = Table::new([
        ("MAC", Left),
        ("VLAN", Right),
        ("PORT", Left),
        ("KIND", Left),
        ("IDLE", Right),
        ("GUEST", Left),
    ]);
    for entry in &entries {
        let port = dataplane.tables().port(entry.port);
        let guest = dataplane.tables().guests().find(|(_, guest)| guest.spec.mac == entry.mac);
        let (kind, idle) = match entry.kind {
            FdbKind::Learned => ("learned", age(now.since(entry.seen))),
            FdbKind::Pinned => ("guest", NOTHING.to_string()),
            FdbKind::Static => ("static", NOTHING.to_string()),
        };
        table.push([
            entry.mac.to_string(),
            vlan(entry.vlan),
            port.map_or(NOTHING.to_string(), |port| port.name.to_string()),
            kind.to_string(),
            idle,
            guest.map_or(String::new(), |(_, guest)| guest.spec.name.to_string()),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No address was learned in the last 5 minutes.");
    note_cut(&mut page, table.len(), dataplane.fdb().iter(now).count());
    page
}

/// Frames received by how they ended, and frames sent.
pub fn counters(desk: &Desk<'_>) -> Page {
    let mut table = Table::new([
        ("PORT", Left),
        ("IN", Right),
        ("FORWARDED", Right),
        ("FLOODED", Right),
        ("REPLIED", Right),
        ("PUNTED", Right),
        ("HELD", Right),
        ("DROPPED", Right),
        ("OUT", Right),
    ]);
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        let Some(attached) = desk.appliance.nic(id) else {
            continue;
        };
        let (endings, nic) = (desk.appliance.dataplane.endings(id), attached.nic.counters());
        table.push([
            port.name.to_string(),
            nic.rx_frames.to_string(),
            endings.forwarded.to_string(),
            endings.flooded.to_string(),
            endings.replied.to_string(),
            endings.punted.to_string(),
            endings.held.to_string(),
            dropped(desk, id).to_string(),
            nic.tx_frames.to_string(),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "There is no port.");
    page
}

/// What was dropped, a row for each port and reason that has a count.
pub fn drops(desk: &Desk<'_>) -> Page {
    let mut table = Table::new([("PORT", Left), ("REASON", Left), ("FRAMES", Right)]);
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        let name = port.name.to_string();
        let endings = desk.appliance.dataplane.endings(id).drops();
        let endings = endings.map(|(reason, count): (DropReason, u64)| (reason.as_str(), count));
        for (reason, count) in endings.chain(port_drops(desk, id)).filter(|(_, count)| *count > 0) {
            table.push([name.clone(), reason.to_string(), count.to_string()]);
        }
    }
    let mut page = Page::default();
    page.table(&table, "Nothing was dropped.");
    page
}

fn place(attached: &Attached) -> String {
    attached.pci.map_or(NOTHING.to_string(), |address| address.to_string())
}

fn link(attached: &Attached) -> String {
    match attached.nic.state() {
        NicState::Up => "up".to_string(),
        NicState::LinkDown => "down".to_string(),
        NicState::Broken(fault) => format!("broken ({})", fault.as_str()),
    }
}

fn dropped(desk: &Desk<'_>, id: PortId) -> u64 {
    let by_switch = desk.appliance.dataplane.endings(id).drops().map(|(_, count)| count);
    by_switch.chain(port_drops(desk, id).map(|(_, count)| count)).sum()
}

fn port_drops(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = (&'static str, u64)> {
    counted_at(desk, id).filter(|(name, _)| PORT_DROPS.contains(name))
}

/// What the NIC of a port counts, and who does its work in software.
fn counted_at(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = (&'static str, u64)> {
    let nic = desk.appliance.nic(id).map(|attached| attached.nic.counters().iter());
    let software = desk.appliance.software(id).map(|counters| counters.iter());
    nic.into_iter().flatten().chain(software.into_iter().flatten())
}

/// Names of the guests behind a port.
fn guests_at(desk: &Desk<'_>, port: PortId) -> String {
    let guests = desk.appliance.dataplane.tables().guests();
    let names = guests.filter(|(_, guest)| guest.spec.port == port);
    let names: Vec<&str> = names.map(|(_, guest)| guest.spec.name.as_str()).collect();
    names.join(" ")
}
