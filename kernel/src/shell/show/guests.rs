//! Guests, and whether their addresses answer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use lb::{Guest, GuestId, Health, Tables};

use crate::shell::Desk;
use crate::shell::json::Object;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell};
use crate::shell::units::{Age, Or, Shown, Vlan};

/// An address of a guest. In words its health is said only where addresses differ.
struct Asked {
    address: IpAddr,
    health: Option<Health>,
    differs: bool,
}

/// Every guest; its health is that of the address which is worst off.
pub fn guests(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let mut table = Table::new(
        "guests",
        [
            ("GUEST", Left),
            ("PORT", Left),
            ("MAC", Left),
            ("HEALTH", Left),
            ("SINCE", Right),
            ("SERVICES", Left),
            ("ADDRESSES", Left),
            ("DESCRIPTION", Left),
        ],
    );
    let stated = &desk.control.config().guests;
    for (id, guest) in sorted(tables) {
        let reals = tables.reals().filter(|(_, real)| real.guest == id && !real.retired);
        let services = reals.filter_map(|(_, real)| tables.service(real.service));
        let services: Vec<&str> = services.map(|service| service.spec.name.as_str()).collect();
        let description = stated.get(&guest.spec.name).and_then(|guest| guest.description.as_ref());
        // A guest that serves nothing is not asked how it is.
        let worst = guest.worst();
        table.push([
            cell("guest", &guest.spec.name),
            cell("port", tables.port(guest.spec.port).map(|port| &port.name)),
            cell("mac", guest.spec.mac),
            cell("health", worst.map(|worst| worst.health.as_str())),
            cell("since_ms", worst.map(|worst| Age(now.since(worst.since)))),
            cell("services", services),
            cell("addresses", addresses(guest)),
            cell("description", Or(description, "")),
        ]);
    }
    let mut page = Page::new("fulcrum.show.guests/1");
    page.table(table, "No guest is defined (configure, set guest …).");
    page
}

fn addresses(guest: &Guest) -> Vec<Asked> {
    let health = |address: IpAddr| -> Option<Health> {
        guest.neighbors.iter().find(|asked| asked.address == address).map(|asked| asked.health)
    };
    let differs = guest.neighbors.iter().any(|asked| asked.health != guest.health());
    let all = guest.spec.addresses.iter();
    all.map(|&address| Asked { address, health: health(address), differs }).collect()
}

impl Shown for Asked {
    fn words(&self) -> String {
        match self.health {
            Some(health) if self.differs => format!("{}={}", self.address, health.as_str()),
            _ => self.address.to_string(),
        }
    }

    fn json(&self, json: &mut String) {
        let health = self.health.map(|health| health.as_str());
        Object::default().with("address", self.address).with("health", health).write(json);
    }
}

/// Every address that is asked, and how it answers.
pub fn neighbors(desk: &Desk<'_>) -> Page {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    let mut table = Table::new(
        "neighbors",
        [
            ("ADDRESS", Left),
            ("VLAN", Right),
            ("PORT", Left),
            ("GUEST", Left),
            ("MAC", Left),
            ("STATE", Left),
            ("SINCE", Right),
            ("MISSED", Right),
        ],
    );
    for (_, guest) in sorted(tables) {
        let port = tables.port(guest.spec.port);
        for asked in &guest.neighbors {
            table.push([
                cell("address", asked.address),
                cell("vlan", Vlan(asked.vlan)),
                cell("port", port.map(|port| &port.name)),
                cell("guest", &guest.spec.name),
                cell("mac", guest.spec.mac),
                cell("state", asked.health.as_str()),
                cell("since_ms", Age(now.since(asked.since))),
                cell("missed", asked.missed),
            ]);
        }
    }
    let mut page = Page::new("fulcrum.show.neighbors/1");
    page.table(table, "No address is asked: no guest serves (configure, set service … real …).");
    page
}

/// By name.
fn sorted(tables: &Tables) -> Vec<(GuestId, &Guest)> {
    let mut guests: Vec<_> = tables.guests().collect();
    guests.sort_by_key(|(_, guest)| &guest.spec.name);
    guests
}
