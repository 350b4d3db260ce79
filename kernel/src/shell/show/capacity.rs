//! How full the tables are, what memory they take, and what they took in and gave up.

use drivers::Pool;
use lb::flow::FlowTable;
use lb::limits::{GROUPS_MAX, GUESTS_MAX, PORTS_MAX, REALS_MAX, SERVICES_MAX};
use lb::switch::fdb::Fdb;

use lb::service::persist::PersistenceTable;

use crate::appliance::Memory;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell};
use crate::shell::units::Bytes;

/// Tables, how much of each is in use, and where the memory is. Those that have no memory of their own are
/// small, and among everything else.
pub fn capacity(desk: &Desk<'_>) -> Page {
    let (dataplane, pool) = (&desk.appliance.dataplane, desk.appliance.pool());
    let (tables, flows) = (dataplane.tables(), dataplane.flows());
    let (fdb, clients) = (dataplane.fdb(), dataplane.persistence());
    let (macs, reals) = (fdb.iter(desk.appliance.now()).count(), tables.reals().count());
    let taken = pool.total() - pool.free();
    let [per_flow, per_client, per_buffer] =
        [FlowTable::BYTES_PER_FLOW, PersistenceTable::BYTES_PER_CLIENT, Pool::BYTES_PER_BUFFER]
            .map(Some);
    let rows = [
        ("ports", tables.ports().count(), PORTS_MAX, None, "NICs that have a name"),
        ("macs", macs, fdb.capacity(), Some(Fdb::BYTES_PER_MAC), "addresses"),
        ("groups", dataplane.groups().len(), GROUPS_MAX, None, "multicast groups of VLANs"),
        ("guests", tables.guests().count(), GUESTS_MAX, None, ""),
        ("services", tables.services().count(), SERVICES_MAX, None, ""),
        ("reals", reals, REALS_MAX, None, "those included that wait for last flows"),
        ("flows", flows.len(), flows.capacity(), per_flow, "closed ones included"),
        ("clients", clients.len(), clients.capacity(), per_client, "whose real is remembered"),
        ("buffers", taken, pool.total(), per_buffer, "frames in rings and on their way"),
    ];
    let columns =
        [("TABLE", Left), ("IN USE", Right), ("SIZE", Right), ("MEMORY", Right), ("OF", Left)];
    let mut table = Table::new("tables", columns);
    let mut named_bytes = 0;
    for (name, in_use, size, each_bytes, what) in rows {
        let bytes = each_bytes.map(|each| each * size);
        named_bytes += bytes.unwrap_or(0);
        let [name, what] = [cell("table", name), cell("what", what)];
        let bytes = cell("memory_bytes", bytes.map(|bytes| Bytes(bytes as u64)));
        table.push([name, cell("in_use", in_use), cell("size", size), bytes, what]);
    }
    let mut page = Page::new("fulcrum.show.capacity/1");
    page.table(table, "There is no table.");
    if let Some(Memory { bytes, free_bytes }) = desk.appliance.memory {
        let free_bytes = free_bytes();
        let other_bytes = bytes.saturating_sub(named_bytes + free_bytes);
        page.fact("everything else", cell("other_bytes", Bytes(other_bytes as u64)));
        page.fact("free", cell("free_bytes", Bytes(free_bytes as u64)));
        page.fact("all memory", cell("memory_bytes", Bytes(bytes as u64)));
    }
    page
}

/// What the tables of fixed size took in, and what they gave up or refused.
pub fn tables(desk: &Desk<'_>) -> Page {
    let dataplane = &desk.appliance.dataplane;
    let (flows, macs) = (dataplane.flows().counters(), dataplane.fdb().counters());
    let (clients, fragments) = (dataplane.persistence().counters(), dataplane.fragments());
    let (groups, probes) = (dataplane.groups().counters(), dataplane.probes().counters());
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
        ("groups", "joined", groups.joined, "ports that came into a group"),
        ("groups", "left", groups.left, "ports that said that they leave one"),
        ("groups", "aged", groups.aged, "ports that were not heard of again"),
        ("groups", "refused", groups.refused, "reports of a port that had its share"),
        ("groups", "asked", groups.asked, "questions of this switch"),
        ("groups", "unalerted", groups.unalerted, "messages without a router alert"),
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
