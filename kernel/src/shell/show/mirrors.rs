//! Mirrors, and what came of them.

use alloc::string::{String, ToString};

use super::counts;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell};

pub fn mirrors(desk: &Desk<'_>) -> Page {
    let columns = [
        ("MIRROR", Left),
        ("FROM", Left),
        ("WAY", Left),
        ("FILTER", Left),
        ("TO", Left),
        ("COPIES", Right),
        ("NO ROOM", Right),
        ("NOT TAKEN", Right),
    ];
    let mut table = Table::new("mirrors", columns);
    let tables = desk.appliance.dataplane.tables();
    let port = |id| tables.port(id).map(|port| &port.name);
    for mirror in tables.mirrors().iter() {
        let spec = &mirror.spec;
        let config = desk.control.config().mirrors.get(&spec.name);
        let filter = config.map_or(String::new(), |config| config.filter.to_string());
        let [copies, no_room, not_taken] = counts::mirror(desk, mirror);
        table.push([
            cell("mirror", &spec.name),
            cell("from", port(spec.from)),
            cell("way", spec.way.map_or("both", |way| way.as_str())),
            cell("filter", filter.trim_start()),
            cell("to", port(spec.to)),
            cell("copies", copies),
            cell("no_room", no_room),
            cell("not_taken", not_taken),
        ]);
    }
    let mut page = Page::new("fulcrum.show.mirrors/1");
    page.table(table, "No mirror is set.");
    page
}
