//! Services: what was said of them, and what became of their flows.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use lb::flow::UDP_IDLE;
use lb::service::{PANIC, SLOW_START, Traffic};
use lb::{Name, Protocol, RealId, Service, ServiceId, ServiceSpec, Tables};

use super::reals::{NO_REAL, table_of_reals};
use super::{absent, counts};
use crate::config::{AgentConfig, CheckConfig, Description, InWords, Vip};
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Cell, Page, Table, cell, words};
use crate::shell::problem::Problem;
use crate::shell::units::{Bytes, InText, Or, Shown, Vlan};
use crate::shell::value::Time;

pub fn services(desk: &Desk<'_>) -> Page {
    let tables = desk.appliance.dataplane.tables();
    let mut table = Table::new(
        "services",
        [
            ("SERVICE", Left),
            ("VIP", Left),
            ("FORWARDING", Left),
            ("SCHEDULER", Left),
            ("REALS UP", Right),
            ("FLOWS", Right),
            ("NEW", Right),
            ("REFUSED", Right),
            ("IN", Right),
            ("OUT", Right),
            ("DESCRIPTION", Left),
        ],
    );
    let mut services: Vec<(_, &Service)> = tables.services().collect();
    services.sort_by_key(|(_, service)| &service.spec.name);
    for (id, service) in services {
        let counters = counts::service(desk, service);
        table.push([
            cell("service", &service.spec.name),
            called(&service.spec, service.spec.vlan).with("vlan", Vlan(service.spec.vlan)),
            cell("forwarding", service.spec.forwarding.as_str()),
            cell("scheduler", service.spec.scheduler.as_str()),
            reals_up(desk, service),
            cell("flows_open", flows_open(tables, id)),
            cell("flows_new", counters.flows_new),
            cell("flows_refused", counters.refused_no_real + counters.refused_full),
            cell("bytes_in", Bytes(counters.traffic.bytes_in)),
            cell("bytes_out", Bytes(counters.traffic.bytes_out)),
            cell("description", Or(description(desk, &service.spec.name), "")),
        ]);
    }
    let mut page = Page::new("fulcrum.show.services/1");
    page.table(table, "No service is defined (configure, set service …).");
    page
}

fn description<'a>(desk: &'a Desk<'_>, service: &Name) -> Option<&'a Description> {
    desk.control.config().services.get(service)?.description.as_ref()
}

/// Everything about one service.
pub fn service(desk: &Desk<'_>, name: &Name) -> Result<Page, Problem> {
    let (id, service) = find(desk, name)?;
    let tables = desk.appliance.dataplane.tables();
    let counters = counts::service(desk, service);
    let mut page = Page::new("fulcrum.show.service/1");
    page.row(words(format!("service {name}")).with("service", name));
    page.fact_if("description", "description", description(desk, name));
    stated(&mut page, service);
    page.fact("reals up", reals_up(desk, service));
    page.fact("open flows", cell("flows_open", flows_open(tables, id)));
    page.fact("new flows", cell("flows_new", counters.flows_new));
    page.fact("second chances", cell("second_chances", counters.second_chances));
    page.fact("refused: no real", cell("refused_no_real", counters.refused_no_real));
    page.fact("refused: full", cell("refused_full", counters.refused_full));
    page.fact("clients told so", cell("resets_sent", counters.resets_sent));
    traffic(&mut page, &counters.traffic);
    page.table(table_of_reals(desk, |real| real.service == id), NO_REAL);
    Ok(page)
}

/// What was said of a service, and the defaults of what was not.
fn stated(page: &mut Page, service: &Service) {
    let spec = &service.spec;
    page.fact("VIP", called(spec, 0));
    page.fact("VLAN", cell("vlan", Or(NonZeroU16::new(spec.vlan), "untagged")));
    page.fact("scheduler", cell("scheduler", spec.scheduler.as_str()));
    page.fact("forwarding", cell("forwarding", spec.forwarding.as_str()));
    let persistence = spec.persistence.as_ref().map(|it| InText(InWords(it)));
    page.fact("persistence", cell("persistence", Or(persistence, "none")));
    page.fact("empty", cell("empty", InText(InWords(&spec.empty))));
    page.fact("most flows", cell("flows_max", Or(spec.flows_max, "no limit")));
    let check = spec.check.as_ref().map(CheckConfig::from).map(InText);
    page.fact("check", cell("check", Or(check, "none")));
    page.fact("agent", cell("agent", InText(AgentConfig::from(spec.agent))));
    page.fact("slow start", cell("slow_start_ms", Time(spec.slow_start.unwrap_or(SLOW_START))));
    page.fact("panic", panic(spec.panic.unwrap_or(PANIC)));
    if spec.protocol == Protocol::Udp {
        page.fact("idle", cell("idle_ms", Time(spec.udp_idle.unwrap_or(UDP_IDLE))));
        let scheduled = if spec.one_packet { "every datagram" } else { "every flow" };
        page.fact("scheduled", words(scheduled).with("one_packet", spec.one_packet));
    } else {
        page.unsaid("idle_ms", None::<Time>);
        page.unsaid("one_packet", false);
    }
}

/// When what checks say is ignored.
fn panic(percent: u8) -> Cell {
    let told = if percent == 0 { "never".to_string() } else { format!("below {percent}%") };
    words(told).with("panic_percent", percent)
}

/// What clients call; in words with this VLAN.
fn called(spec: &ServiceSpec, vlan: u16) -> Cell {
    let ServiceSpec { vip: address, protocol, port, .. } = *spec;
    let text = Vip { address, protocol, port, vlan }.to_string();
    words(text).with("vip", address).with("protocol", protocol).with("vip_port", port)
}

pub fn traffic(page: &mut Page, traffic: &Traffic) {
    let Traffic { packets_in, bytes_in, packets_out, bytes_out } = *traffic;
    let told = |packets: u64, bytes| words(format!("{packets} packets, {}", Bytes(bytes).words()));
    let inwards = told(packets_in, bytes_in).with("packets_in", packets_in);
    page.fact("in", inwards.with("bytes_in", bytes_in));
    let outwards = told(packets_out, bytes_out).with("packets_out", packets_out);
    page.fact("out", outwards.with("bytes_out", bytes_out));
}

pub fn find<'a>(desk: &'a Desk<'_>, name: &Name) -> Result<(ServiceId, &'a Service), Problem> {
    let tables = desk.appliance.dataplane.tables();
    let found = tables.services().find(|(_, service)| service.spec.name == *name);
    let known = tables.services().map(|(_, service)| &service.spec.name);
    found.ok_or_else(|| absent("service", name, known))
}

fn reals_up(desk: &Desk<'_>, service: &Service) -> Cell {
    let (dataplane, now) = (&desk.appliance.dataplane, desk.appliance.now());
    let is_up = |id: &&RealId| {
        dataplane.standing(**id, now).is_some_and(|standing| standing.eligibility.is_ok())
    };
    let (up, all) = (service.reals.iter().filter(is_up).count(), service.reals.len());
    words(format!("{up} of {all}")).with("reals_up", up).with("reals_all", all)
}

fn flows_open(tables: &Tables, service: ServiceId) -> u32 {
    let reals = tables.reals().filter(|(_, real)| real.service == service);
    reals.map(|(_, real)| real.counters.flows_open).sum()
}
