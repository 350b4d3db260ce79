//! Where the appliance itself is reached, on a page about it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use lb::management::Held;
use lb::{AddressSource, AddressSpec, DropReason};

use crate::shell::Desk;
use crate::shell::page::{Cell, Page, cell, words};
use crate::shell::units::{Age, Shown, Vlan};

/// Its addresses, its MAC, and how often guests were kept from them.
pub fn facts(page: &mut Page, desk: &Desk<'_>) {
    let tables = desk.appliance.dataplane.tables();
    let said = desk.control.config().addresses.iter().flatten();
    let addresses: Vec<Page> = said.map(|said| address(desk, said)).collect();
    let mut part = Page::part();
    if addresses.is_empty() {
        part.fact("management address", words("none"));
    }
    let has_one = !addresses.is_empty();
    part.each("addresses", addresses);
    let mac = cell("mac", tables.management().map(|own| own.mac));
    let refused = tables
        .ports()
        .map(|(id, _)| desk.appliance.dataplane.endings(id).dropped(DropReason::ManagementPort));
    let refused = cell("refused_to_guests", refused.sum::<u64>());
    match has_one {
        true => {
            part.fact("management MAC", mac);
            part.fact("refused to guests", refused);
        }
        false => {
            part.mute(mac);
            part.mute(refused);
        }
    }
    page.section("management", part);
}

/// One of them, and how it is come by.
fn address(desk: &Desk<'_>, said: &AddressSpec) -> Page {
    let dataplane = &desk.appliance.dataplane;
    let is_leased = said.source == AddressSource::Dhcp;
    let is_it = |held: &&Held| {
        let is_alike = AddressSource::Static(held.host) == said.source;
        if is_leased { held.is_leased } else { is_alike }
    };
    let held = dataplane.tables().held().iter().find(is_it);
    let until = dataplane.leased_until().filter(|_| is_leased && held.is_some());
    let left = until.map(|until| Age(until.since(desk.appliance.now())));
    let mut page = Page::part();
    page.fact("management address", told(said, held, left.as_ref().map(Age::words)));
    let host = held.map(|held| held.host);
    page.unsaid("address", host.map(|host| host.address));
    page.unsaid("prefix_len", host.map(|host| host.prefix_len));
    page.unsaid("gateway", host.and_then(|host| host.gateway));
    page.unsaid("vlan", held.map(|held| Vlan(held.vlan)));
    page.unsaid("source", if is_leased { "dhcp" } else { "static" });
    page.unsaid("lease_left_ms", left);
    page
}

fn told(said: &AddressSpec, held: Option<&Held>, left: Option<String>) -> Cell {
    let Some(Held { host, vlan, .. }) = held else {
        return words(match said.source {
            AddressSource::Dhcp => "none yet: no DHCP server has lent one",
            AddressSource::Static(_) => "none: there is no uplink",
        });
    };
    let mut told = format!("{}/{}", host.address, host.prefix_len);
    if let Some(gateway) = host.gateway {
        told.push_str(&format!(" gateway {gateway}"));
    }
    if *vlan != 0 {
        told.push_str(&format!(" vlan {vlan}"));
    }
    if let Some(left) = left {
        told.push_str(&format!(", by DHCP for {left} more"));
    }
    words(told)
}
