//! Ports, addresses, and how frames ended.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use drivers::NicState;
use lb::switch::fdb::{FdbEntry, FdbKind};
use lb::{Name, Port, PortId};

use super::counts::{self, Count};
use super::tenants;
use super::{ROWS_MAX, absent};
use crate::appliance::Attached;
use crate::config::Description;
use crate::rates::{Rate, WINDOWS};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::problem::Problem;
use crate::shell::units::{Age, Bytes, Or, Shown, Vlan};
use crate::shell::value::Time;

/// Every port; the numbers are frames.
pub fn ports(desk: &Desk<'_>) -> Page {
    let mut table = Table::new(
        "ports",
        [
            ("PORT", Left),
            ("ROLE", Left),
            ("LINK", Left),
            ("AT", Left),
            ("MAC", Left),
            ("IN", Right),
            ("OUT", Right),
            ("DROPPED", Right),
            ("GUESTS", Left),
            ("DESCRIPTION", Left),
        ],
    );
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        let Some(attached) = desk.appliance.nic(id) else {
            continue;
        };
        table.push([
            cell("port", &port.name),
            cell("role", port.role.as_str()),
            link(attached),
            cell("pci", attached.pci),
            cell("mac", attached.mac()),
            cell("frames_in", counts::nic_count(desk, id, "rx_frames")),
            cell("frames_out", counts::nic_count(desk, id, "tx_frames")),
            cell("dropped", dropped(desk, id)),
            cell("guests", guests_at(desk, id)),
            cell("description", Or(description(desk, &port.name), "")),
        ]);
    }
    let mut page = Page::new("fulcrum.show.ports/1");
    page.table(table, "No NIC was found. Give the machine a virtio-net device.");
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
    let mut page = Page::new("fulcrum.show.port/1");
    about(&mut page, port, attached, description(desk, name));
    let rests = port.rules.standby.then(|| tables.resting().contains(id));
    page.fact_if("stands by", "stands_by", rests);
    page.fact("guests", cell("guests", guests_at(desk, id)));
    let bytes = |name| Bytes(counts::nic_count(desk, id, name));
    page.fact("bytes in", cell("bytes_in", bytes("rx_bytes")));
    page.fact("bytes out", cell("bytes_out", bytes("tx_bytes")));
    page.section(
        "nic",
        counted(counts::nic(desk, id).filter(|(name, _)| !name.ends_with("_bytes"))),
    );
    page.section("endings", endings(desk, id));
    page.section("access", tenants::access(desk, id));
    page.section("reports", reports(desk, id));
    page.table(rates(desk, id), "");
    Ok(page)
}

fn about(page: &mut Page, port: &Port, attached: &Attached, description: Option<&Description>) {
    page.row(words(format!("port {}", port.name)).with("port", &port.name));
    page.fact_if("description", "description", description);
    page.fact("role", cell("role", port.role.as_str()));
    page.fact("link", link_and_speed(attached));
    let (driver, pci) = (attached.nic.driver(), attached.pci);
    let nic = words(format!("{driver} at {}", pci.words()));
    page.fact("NIC", nic.with("driver", driver).with("pci", pci));
    page.fact("MAC", cell("mac", attached.mac()));
    page.fact("MTU", cell("mtu", u32::from(port.rules.mtu.get())));
}

fn description<'a>(desk: &'a Desk<'_>, port: &Name) -> Option<&'a Description> {
    desk.control.config().ports.get(port)?.description.as_ref()
}

/// How much came and left in a second, lately.
fn rates(desk: &Desk<'_>, id: PortId) -> Table {
    let columns = [
        ("IN A SECOND, OVER", Left),
        ("FRAMES IN", Right),
        ("FRAMES OUT", Right),
        ("BITS IN", Right),
        ("BITS OUT", Right),
    ];
    let mut table = Table::new("rates", columns);
    for window in WINDOWS {
        let rate = desk.appliance.rates(id).map_or(Rate::default(), |rates| rates.over(window));
        table.push([
            cell("over_ms", Time(window)),
            cell("frames_in", rate.frames_in),
            cell("frames_out", rate.frames_out),
            cell("bits_in", rate.bits_in),
            cell("bits_out", rate.bits_out),
        ]);
    }
    table
}

/// How the frames that came in here ended.
fn endings(desk: &Desk<'_>, id: PortId) -> Page {
    let mut page = Page::part();
    page.row(words("frames received here, by their end:"));
    counts::endings(desk, id).for_each(|(name, count)| page.fact(name, cell(name, count)));
    let mut drops = Page::part();
    for (reason, count) in counts::drops(desk, id) {
        drops.fact(&format!("drop {reason}"), cell(reason, count));
    }
    page.section("drops", drops);
    page
}

/// What became of load reports that came in here, if any did.
fn reports(desk: &Desk<'_>, id: PortId) -> Page {
    let counts: Vec<Count> = counts::reports(desk, id).collect();
    let mut page = Page::part();
    if counts.iter().any(|(_, count)| *count > 0) {
        page.row(words("load reports:"));
    }
    for (name, count) in counts {
        match count {
            0 => page.unsaid(name, count),
            _ => page.fact(&name.replace('_', " "), cell(name, count)),
        }
    }
    page
}

/// Counters that are not zero.
fn counted(counters: impl Iterator<Item = (&'static str, u64)>) -> Page {
    let mut page = Page::part();
    let counted = counters.filter(|(_, count)| *count > 0);
    counted.for_each(|(name, count)| page.fact(name, cell(name, count)));
    page
}

/// The forwarding database.
pub fn macs(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let mut entries: Vec<FdbEntry> = dataplane.fdb().iter(now).take(ROWS_MAX).collect();
    entries.sort_by_key(|entry| (entry.port, entry.vlan, entry.mac));
    let mut table = Table::new(
        "macs",
        [
            ("MAC", Left),
            ("VLAN", Right),
            ("PORT", Left),
            ("KIND", Left),
            ("IDLE", Right),
            ("GUEST", Left),
        ],
    );
    for entry in &entries {
        let port = dataplane.tables().port(entry.port);
        let guest = dataplane.tables().guests().find(|(_, guest)| guest.spec.mac == entry.mac);
        let (kind, idle) = match entry.kind {
            FdbKind::Learned => ("learned", Some(Age(now.since(entry.seen)))),
            FdbKind::Pinned => ("guest", None),
            FdbKind::Static => ("static", None),
        };
        table.push([
            cell("mac", entry.mac),
            cell("vlan", Vlan(entry.vlan)),
            cell("port", port.map(|port| &port.name)),
            cell("kind", kind),
            cell("idle_ms", idle),
            cell("guest", Or(guest.map(|(_, guest)| &guest.spec.name), "")),
        ]);
    }
    let mut page = Page::new("fulcrum.show.macs/1");
    page.table(table, "No address was learned in the last 5 minutes.");
    page.cut(entries.len(), dataplane.fdb().iter(now).count());
    page
}

/// Frames received by how they ended, and frames sent.
pub fn counters(desk: &Desk<'_>) -> Page {
    let mut table = Table::new(
        "ports",
        [
            ("PORT", Left),
            ("IN", Right),
            ("FORWARDED", Right),
            ("FLOODED", Right),
            ("REPLIED", Right),
            ("PUNTED", Right),
            ("HELD", Right),
            ("DROPPED", Right),
            ("OUT", Right),
        ],
    );
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        let nic = |key, name| cell(key, counts::nic_count(desk, id, name));
        let came = [cell("port", &port.name), nic("frames_in", "rx_frames")];
        let ended = counts::endings(desk, id).map(|(name, count)| cell(name, count));
        let left = [cell("dropped", dropped(desk, id)), nic("frames_out", "tx_frames")];
        table.push(came.into_iter().chain(ended).chain(left));
    }
    let mut page = Page::new("fulcrum.show.counters/1");
    page.table(table, "There is no port.");
    page
}

/// What was dropped, a row for each port and reason that has a count.
pub fn drops(desk: &Desk<'_>) -> Page {
    let mut table = Table::new("drops", [("PORT", Left), ("REASON", Left), ("FRAMES", Right)]);
    for (id, port) in desk.appliance.dataplane.tables().ports() {
        for (reason, count) in counts::drops(desk, id).chain(counts::port_drops(desk, id)) {
            table.push([cell("port", &port.name), cell("reason", reason), cell("frames", count)]);
        }
    }
    let mut page = Page::new("fulcrum.show.counters.drops/1");
    page.table(table, "Nothing was dropped.");
    page
}

fn link(attached: &Attached) -> Cell {
    link_as(attached, "")
}

/// With the speed of a link whose NIC knows it.
fn link_and_speed(attached: &Attached) -> Cell {
    let speed = attached.nic.speed_mbit();
    let told = speed.map(|mbit| format!(", {mbit} Mbit/s")).unwrap_or_default();
    link_as(attached, &told).with("speed_mbit", speed)
}

/// With more to be told of a link that is up.
fn link_as(attached: &Attached, more: &str) -> Cell {
    let (told, link, fault) = match attached.nic.state() {
        NicState::Up => (format!("up{more}"), "up", None),
        NicState::LinkDown => ("down".to_string(), "down", None),
        NicState::Broken(fault) => {
            (format!("broken ({})", fault.as_str()), "broken", Some(fault.as_str()))
        }
        NicState::Absent => ("absent".to_string(), "absent", None),
    };
    words(told).with("link", link).with("fault", fault)
}

fn dropped(desk: &Desk<'_>, id: PortId) -> u64 {
    let all = counts::drops(desk, id).chain(counts::port_drops(desk, id));
    all.map(|(_, count)| count).sum()
}

/// Names of the guests behind a port.
fn guests_at<'a>(desk: &'a Desk<'_>, port: PortId) -> Vec<&'a str> {
    let guests = desk.appliance.dataplane.tables().guests();
    let names = guests.filter(|(_, guest)| guest.spec.port == port);
    names.map(|(_, guest)| guest.spec.name.as_str()).collect()
}
