//! Who is at the other end of links, by what they say of themselves.
//!
//! What they say is theirs: of a text only what can be seen is shown, and a `?` for all else.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use lb::Peer;
use lb::wire::lldp::{Id, Text};

use crate::config::is_unseen;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell, words};
use crate::shell::units::Age;

/// Capabilities by their bits (IEEE 802.1AB, table 8-4).
const CAPABILITIES: [&str; 11] = [
    "other",
    "repeater",
    "bridge",
    "access-point",
    "router",
    "telephone",
    "docsis",
    "station",
    "c-vlan",
    "s-vlan",
    "two-port-relay",
];

pub fn lldp(desk: &Desk<'_>) -> Page {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let columns = [
        ("PORT", Left),
        ("SYSTEM", Left),
        ("CHASSIS", Left),
        ("ITS PORT", Left),
        ("IS A", Left),
        ("MANAGED AT", Left),
        ("LEFT", Right),
        ("DESCRIPTION", Left),
    ];
    let mut table = Table::new("peers", columns);
    let mut peers: Vec<&Peer> = dataplane.peers().iter().collect();
    peers.sort_by_key(|peer| (peer.port, peer.mac));
    for Peer { port, mac, said, until } in peers {
        let port = dataplane.tables().port(*port).map(|port| &port.name);
        let managed: Vec<String> = said.management.iter().map(|own| own.to_string()).collect();
        table.push([
            cell("port", port),
            cell("system", said.system_name.as_ref().map(seen)),
            words(id(&said.chassis)).with("chassis", id(&said.chassis)).with("mac", mac),
            cell("its_port", id(&said.port)),
            cell("is_a", capabilities(said.capabilities)),
            cell("managed_at", managed),
            cell("left_ms", Age(until.since(now))),
            cell("description", said.description.as_ref().map(seen)),
        ]);
    }
    let mut page = Page::new("fulcrum.show.lldp/1");
    page.table(table, "Nobody at the other end of a link says who it is.");
    let counters = dataplane.peers().counters();
    page.fact("heard", cell("heard", counters.heard));
    page.fact("malformed", cell("malformed", counters.malformed));
    page.fact("no room", cell("no_room", counters.no_room));
    page.fact("aged", cell("aged", counters.aged));
    page
}

/// What it does, or what it can do if it does nothing.
fn capabilities(said: Option<[u16; 2]>) -> Vec<&'static str> {
    let [can, does] = said.unwrap_or_default();
    let bits = if does == 0 { can } else { does };
    let is_set = |(bit, _): &(usize, &&str)| bits >> bit & 1 != 0;
    CAPABILITIES.iter().enumerate().filter(is_set).map(|(_, name)| *name).collect()
}

fn id(id: &Id) -> String {
    match (id.as_mac(), id.as_address()) {
        (Some(mac), _) => mac.to_string(),
        (_, Some(address)) => address.to_string(),
        (None, None) => seen(&id.bytes),
    }
}

fn seen(text: &Text) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|c| if is_unseen(c) || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
        .collect()
}
