//! How full the tables are, and what they took in and gave up.

use lb::limits::{GUESTS_MAX, PORTS_MAX, REALS_MAX, SERVICES_MAX};

use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell};

/// Tables and how much of each is in use.
pub fn capacity(desk: &Desk<'_>) -> Page {
    let (dataplane, pool) = (&desk.appliance.dataplane, desk.appliance.pool());
    let (tables, flows) = (dataplane.tables(), dataplane.flows());
    let (fdb, clients) = (dataplane.fdb(), dataplane.persistence());
    let rows = [
        ("ports", tables.ports().count(), PORTS_MAX, "NICs that have a name"),
        ("macs", fdb.iter(desk.appliance.now()).count(), fdb.capacity(), "addresses"),
        ("guests", tables.guests().count(), GUESTS_MAX, ""),
        ("services", tables.services().count(), SERVICES_MAX, ""),
        ("reals", tables.reals().count(), REALS_MAX, "those included that wait for last flows"),
        ("flows", flows.len(), flows.capacity(), "closed ones included"),
        ("clients", clients.len(), clients.capacity(), "whose real is remembered"),
        ("buffers", pool.total() - pool.free(), pool.total(), "frames in rings and on their way"),
    ];
    let columns = [("TABLE", Left), ("IN USE", Right), ("SIZE", Right), ("OF", Left)];
    let mut table = Table::new("tables", columns);
    for (name, in_use, size, what) in rows {
        let [name, what] = [cell("table", name), cell("what", what)];
        table.push([name, cell("in_use", in_use), cell("size", size), what]);
    }
    let mut page = Page::new("fulcrum.show.capacity/1");
    page.table(table, "There is no table.");
    page
}

/// What the tables of fixed size took in, and what they gave up or refused.
pub fn tables(desk: &Desk<'_>) -> Page {
    let dataplane = &desk.appliance.dataplane;
    let (flows, macs) = (dataplane.flows().counters(), dataplane.fdb().counters());
    let (clients, fragments) = (dataplane.persistence().counters(), dataplane.fragments());
    let probes = dataplane.probes().counters();
    let rows = [
        ("flows", "created", flows.created, "new flows"),
        ("flows", "expired", flows.expired, "idle for too long"),
        ("flows", "evicted_closed", flows.evicted_closed, "closed flows that gave way early"),
        ("flows", "evicted_embryonic", flows.evicted_embryonic, "unanswered ones that gave way"),
        ("flows", "refused", flows.refused, "new flows that found no place"),
        ("macs", "learned", macs.learned, "addresses"),
        ("macs", "moved", macs.moved, "to another port"),
        ("macs", "evicted", macs.evicted, "gave way in a full bucket"),
        ("macs", "refused", macs.refused, "found no place, so they are flooded to"),
        ("clients", "remembered", clients.remembered, "whose real is remembered"),
        (
            "clients",
            "evicted_tentative",
            clients.evicted_tentative,
            "unanswered ones that gave way",
        ),
        ("clients", "evicted_confirmed", clients.evicted_confirmed, "answered ones that gave way"),
        ("clients", "refused", clients.refused, "found no place"),
        ("fragments", "begun", fragments.begun, "datagrams of which a fragment came"),
        ("fragments", "completed", fragments.completed, "of which all came"),
        ("fragments", "expired", fragments.expired, "whose time was over"),
        ("fragments", "evicted", fragments.evicted, "that gave way to newer ones"),
        ("fragments", "spoiled", fragments.spoiled, "of which fragments overlapped"),
        ("fragments", "refused", fragments.refused, "fragments that found no place"),
        ("fragments", "held", fragments.held, "fragments that waited for their first"),
        ("fragments", "undelivered", fragments.undelivered, "of these, in vain"),
        ("probes", "sent", probes.sent, "checks and fetched reports"),
        ("probes", "passed", probes.passed, "with a good answer"),
        ("probes", "failed", probes.failed, "without one"),
        ("probes", "abandoned", probes.abandoned, "of checks that were changed meanwhile"),
        ("probes", "waited", probes.waited, "for a free connection"),
        ("probes", "ignored", probes.ignored, "answers that were none"),
        ("outbox", "lost", dataplane.outbox_lost(), "own frames that found the queue full"),
        ("events", "lost", dataplane.events_lost(), "log lines that found the queue full"),
    ];
    let columns = [("TABLE", Left), ("COUNTER", Left), ("COUNT", Right), ("OF", Left)];
    let mut table = Table::new("counters", columns);
    for (name, counter, count, what) in rows {
        let [name, what] = [cell("table", name), cell("what", what)];
        table.push([name, cell("counter", counter), cell("count", count), what]);
    }
    let mut page = Page::new("fulcrum.show.counters.tables/1");
    page.table(table, "There is no table.");
    page
}
