//! Flows.

use lb::Name;

use super::reals::name_of;
use super::services::find;
use super::{ROWS_MAX, at};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell, words};
use crate::shell::problem::Problem;
use crate::shell::units::{Age, Shown, Vlan};

/// Flows; the numbers are packets towards the real and back.
pub fn flows(desk: &Desk<'_>, service: Option<Name>) -> Result<Page, Problem> {
    let id = service.map(|name| find(desk, &name).map(|(id, _)| id)).transpose()?;
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let tables = dataplane.tables();
    let mut table = Table::new(
        "flows",
        [
            ("PROTOCOL", Left),
            ("VLAN", Right),
            ("CLIENT", Left),
            ("VIP", Left),
            ("REAL", Left),
            ("STATE", Left),
            ("AGE", Right),
            ("IDLE", Right),
            ("IN", Right),
            ("OUT", Right),
        ],
    );
    // A look at a bounded part of the table: it may hold a million.
    let looked_at = dataplane.flows().iter().take(ROWS_MAX);
    for flow in looked_at {
        let real = tables.real(flow.real);
        if id.is_some_and(|id| real.is_none_or(|real| real.service != id)) {
            continue;
        }
        let (guest, port) = (real.map(|real| &real.spec.guest), flow.real_end().port);
        let service = real.and_then(|real| name_of(tables, real.service));
        let at_real = words(alloc::format!("{}:{port}", guest.words()));
        table.push([
            cell("protocol", flow.protocol()),
            cell("vlan", Vlan(flow.vlan())),
            at(["client", "client_port"], Some(flow.client())),
            at(["vip", "vip_port"], Some(flow.vip())),
            at_real.with("service", service).with("real", guest).with("real_port", port),
            cell("state", flow.state.as_str()),
            cell("age_ms", Age(now.since(flow.started))),
            cell("idle_ms", Age(now.since(flow.seen))),
            cell("packets_in", flow.packets_in),
            cell("packets_out", flow.packets_out),
        ]);
    }
    let shown = table.len();
    let mut page = Page::new("fulcrum.show.flows/1");
    page.table(table, "No flow is open.");
    match id {
        None => page.cut(shown, dataplane.flows().len()),
        Some(_) => page.cut(shown, shown),
    }
    Ok(page)
}
