//! Guests, and whether their addresses answer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use lb::{Guest, Health};

use super::vlan;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table};
use crate::shell::units::{NOTHING, age, or_nothing};

/// Every guest; its health is that of the address which is worst off.
pub fn guests(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let mut table = Table::new([
        ("GUEST", Left),
        ("PORT", Left),
        ("MAC", Left),
        ("HEALTH", Left),
        ("SINCE", Right),
        ("SERVICES", Left),
        ("ADDRESSES", Left),
    ]);
    let mut guests: Vec<(_, &Guest)> = tables.guests().collect();
    guests.sort_by_key(|(_, guest)| &guest.spec.name);
    for (id, guest) in guests {
        let reals = tables.reals().filter(|(_, real)| real.guest == id && !real.retired);
        let services = reals.filter_map(|(_, real)| tables.service(real.service));
        let services: Vec<&str> = services.map(|service| service.spec.name.as_str()).collect();
        let port = tables.port(guest.spec.port);
        // A guest that serves nothing is not asked how it is.
        let worst = guest.worst();
        table.push([
            guest.spec.name.to_string(),
            or_nothing(port.map(|port| &port.name)),
            guest.spec.mac.to_string(),
            or_nothing(worst.map(|worst| worst.health.as_str())),
            or_nothing(worst.map(|worst| age(now.since(worst.since)))),
            if services.is_empty() { NOTHING.to_string() } else { services.join(" ") },
            addresses(guest),
        ]);
    }
    let mut page = Page::default();
    page.table(&table, "No guest is defined (configure, set guest …).");
    page
}

/// The addresses of a guest, each with its health where not all of them are alike.
fn addresses(guest: &Guest) -> String {
    let health = |address: IpAddr| -> Option<Health> {
        guest.neighbors.iter().find(|asked| asked.address == address).map(|asked| asked.health)
    };
    let differ = guest.neighbors.iter().any(|asked| asked.health != guest.health());
    let texts = guest.spec.addresses.iter().map(|&address| match health(address) {
        Some(health) if differ => format!("{address}={}", health.as_str()),
        _ => address.to_string(),
    });
    texts.collect::<Vec<String>>().join(" ")
}

/// Every address that is asked, and how it answers.
pub fn neighbors(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let mut table = Table::new([
        ("ADDRESS", Left),
        ("VLAN", Right),
        ("PORT", Left),
        ("GUEST", Left),
        ("MAC", Left),
        ("STATE", Left),
        ("SINCE", Right),
        ("MISSED", Right),
    ]);
    let mut guests: Vec<(_, &Guest)> = tables.guests().collect();
    guests.sort_by_key(|(_, guest)| &guest.spec.name);
    for (_, guest) in guests {
        let port = tables.port(guest.spec.port);
        for asked in &guest.neighbors {
            table.push([
                asked.address.to_string(),
                vlan(asked.vlan),
                or_nothing(port.map(|port| &port.name)),
                guest.spec.name.to_string(),
                guest.spec.mac.to_string(),
                asked.health.as_str().to_string(),
                age(now.since(asked.since)),
                asked.missed.to_string(),
            ]);
        }
    }
    let mut page = Page::default();
    page.table(&table, "No address is asked: no guest serves (configure, set service … real …).");
    page
}
