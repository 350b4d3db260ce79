//! Flows.
//!
//! The table may hold a million, so a look at it is bounded twice: by the places that are looked at
//! ([`PLACES_MAX`], which takes about a millisecond) and by the rows that are shown. Where either
//! cuts, the page says from which place on the rest is, and `from` goes on there; a flow keeps its
//! place while it lives.

use alloc::format;
use alloc::vec::Vec;
use core::net::IpAddr;

use lb::flow::{Flow, FlowState};
use lb::{Name, Protocol, ServiceId, Tables};

use super::reals::name_of;
use super::services::find;
use super::{ROWS_MAX, absent, at};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell, words};
use crate::shell::parse::Sentence;
use crate::shell::problem::Problem;
use crate::shell::units::{Age, Shown, Vlan};
use crate::shell::value::{Choice, Prefix, Value};

/// Places of the flow table that are looked at for one answer.
const PLACES_MAX: usize = 1 << 16;

/// What was said of the flows that are asked for; all of it holds for each.
#[derive(Default)]
struct Wanted {
    service: Option<ServiceId>,
    guest: Option<Name>,
    client: Option<Prefix>,
    vip: Option<IpAddr>,
    protocol: Option<Protocol>,
    state: Option<FlowState>,
}

/// What a look has found.
struct Look<'a> {
    /// The first of them.
    shown: Vec<&'a Flow>,
    /// All of them, as far as was looked.
    found: usize,
    /// Where the first flow is that is not shown, or where nobody has looked.
    next: Option<usize>,
    /// The look has reached the end.
    is_whole: bool,
}

/// Flows; the numbers are packets towards the real and back.
pub fn flows(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let wanted = Wanted::of(desk, said)?;
    let look = look(desk, &wanted, said.place().unwrap_or(0));
    let mut page = Page::new("fulcrum.show.flows/1");
    // Of all together there is a count.
    let is_all = said.said.is_empty();
    let all = desk.appliance.dataplane.flows().len();
    let found = if is_all { all } else { look.found };
    let shown = look.shown.len();
    page.table(rows(desk, look.shown), if is_all { "No flow is open." } else { "No such flow." });
    page.cut(shown, found);
    if !look.is_whole && !is_all {
        page.cut_short();
    }
    let told = look.next.map(|next| format!("The rest: show flow … from {next}"));
    page.note(words(told.unwrap_or_default()).with("next_from", look.next));
    Ok(page)
}

impl Wanted {
    fn of(desk: &Desk<'_>, said: &Sentence) -> Result<Wanted, Problem> {
        let tables = desk.appliance.dataplane.tables();
        let service = said.service().map(|name| find(desk, &name).map(|(id, _)| id));
        let guest = said.guest();
        if let Some(guest) = &guest {
            // Also one that has gone from the configuration, with flows left.
            let leaving = tables.reals().map(|(_, real)| &real.spec.guest);
            let mut known = tables.guests().map(|(_, guest)| &guest.spec.name).chain(leaving);
            if !known.any(|known| known == guest) {
                return Err(absent("guest", guest, tables.guests().map(|(_, it)| &it.spec.name)));
            }
        }
        let (service, vip) = (service.transpose()?, said.address());
        let mut wanted = Wanted { service, guest, client: said.prefix(), vip, ..Wanted::default() };
        for said in &said.said {
            match said.value {
                Value::Choice(Choice::Protocol(protocol)) => wanted.protocol = Some(protocol),
                Value::Choice(Choice::State(state)) => wanted.state = Some(state),
                _ => {}
            }
        }
        Ok(wanted)
    }

    fn holds(&self, tables: &Tables, flow: &Flow) -> bool {
        let real = tables.real(flow.real);
        self.protocol.is_none_or(|protocol| flow.protocol() == protocol)
            && self.state.is_none_or(|state| flow.state == state)
            && self.service.is_none_or(|id| real.is_some_and(|real| real.service == id))
            && self.vip.is_none_or(|vip| flow.vip().address == vip)
            && self.client.is_none_or(|client| client.holds(flow.client().address.into()))
            && self
                .guest
                .as_ref()
                .is_none_or(|guest| real.is_some_and(|real| real.spec.guest == *guest))
    }
}

fn look<'a>(desk: &'a Desk<'_>, wanted: &Wanted, first: usize) -> Look<'a> {
    let (flows, tables) = (desk.appliance.dataplane.flows(), desk.appliance.dataplane.tables());
    let end = first.saturating_add(PLACES_MAX);
    let is_whole = end >= flows.places();
    let mut look = Look { shown: Vec::new(), found: 0, next: (!is_whole).then_some(end), is_whole };
    let found = flows.look(first, PLACES_MAX).filter(|(_, flow)| wanted.holds(tables, flow));
    for (place, flow) in found {
        if look.found < ROWS_MAX {
            look.shown.push(flow);
        } else if look.found == ROWS_MAX {
            look.next = Some(place);
        }
        look.found += 1;
    }
    look
}

/// By client, then by what it calls.
fn rows(desk: &Desk<'_>, mut flows: Vec<&Flow>) -> Table {
    let (tables, now) = (desk.appliance.dataplane.tables(), desk.appliance.now());
    flows.sort_by_key(|flow| {
        let (client, vip) = (flow.client(), flow.vip());
        (client.address, client.port, vip.address, vip.port, flow.protocol(), flow.vlan())
    });
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
    for flow in flows {
        let real = tables.real(flow.real);
        let (guest, port) = (real.map(|real| &real.spec.guest), flow.real_end().port);
        let service = real.and_then(|real| name_of(tables, real.service));
        let at_real = words(format!("{}:{port}", guest.words()));
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
    table
}
