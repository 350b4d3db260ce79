//! What is counted, less what was counted when it was last cleared; and clearing it.
//!
//! All counters of a port are cleared together, so what came in is still the sum of how it ended.
//! Frames that are held then have yet to end: they count as received afterwards.

use alloc::vec::Vec;

use lb::service::{RealCounters, ServiceCounters, Traffic};
use lb::{Mirror, MirrorCounters, Name, PortId, Real, Service};

use super::absent;
use super::services::find;
use crate::cleared::Owner;
use crate::shell::Desk;
use crate::shell::parse::Sentence;
use crate::shell::problem::Problem;

/// A counter's name and what it has counted.
pub type Count = (&'static str, u64);

/// Drops that are counted before the switch sees the frame, or after it let go of it: by the NIC,
/// or by who does its work in software.
const PORT_DROPS: [&str; 12] = [
    "rx_runt",
    "rx_too_big",
    "rx_num_buffers",
    "rx_csum_range",
    "rx_gso",
    "rx_damaged",
    "rx_missed",
    "tx_full",
    "tx_broken",
    "soft_malformed",
    "soft_no_buffer",
    "soft_too_many",
];

/// `clear counters`: of a port, of a service and its reals, or all of these.
pub fn clear(desk: &mut Desk<'_>, said: &Sentence) -> Result<(), Problem> {
    let (port, service) = (said.port(), said.service());
    let tables = desk.appliance.dataplane.tables();
    let ports: Vec<(PortId, &Name)> = tables.ports().map(|(id, port)| (id, &port.name)).collect();
    if let Some(name) = &port
        && !ports.iter().any(|(_, known)| *known == name)
    {
        return Err(absent("port", name, ports.iter().map(|(_, known)| *known)));
    }
    if let Some(name) = &service {
        find(desk, name)?;
    }
    let mut counts = Vec::new();
    for &(id, name) in ports.iter().filter(|_| service.is_none()) {
        if port.as_ref().is_none_or(|port| port == name) {
            counts.extend(of_port(desk, id));
        }
    }
    for (id, its) in tables.services().filter(|_| port.is_none()) {
        if service.as_ref().is_none_or(|service| *service == its.spec.name) {
            counts.push((Owner::Service(its.spec.name.clone()), of_service(&its.counters).into()));
            let reals = tables.reals().filter(|(_, real)| real.service == id);
            counts
                .extend(reals.map(|(_, real)| (owner(its, real), of_real(&real.counters).into())));
        }
    }
    if port.is_none() && service.is_none() {
        let mirrors = tables.mirrors().iter();
        counts.extend(mirrors.map(|m| (Owner::Mirror(m.spec.name.clone()), raw_mirror(m).into())));
    }
    for (owner, counts) in counts {
        desk.appliance.cleared.clear(&owner, counts.into_iter());
    }
    if port.is_none() && service.is_none() {
        desk.appliance.clear_longest_turn();
    }
    Ok(())
}

fn of_port(desk: &Desk<'_>, id: PortId) -> [(Owner, Vec<Count>); 3] {
    let held = desk.appliance.dataplane.endings(id).held;
    let nic = raw_nic(desk, id).map(|(name, count)| match name {
        "rx_frames" => (name, count.saturating_sub(held)),
        _ => (name, count),
    });
    [
        (Owner::Nic(id), nic.collect()),
        (Owner::Endings(id), raw_endings(desk, id).chain(raw_drops(desk, id)).collect()),
        (Owner::Reports(id), raw_reports(desk, id).collect()),
    ]
}

/// What a port's NIC counts, who does its work in software, and what its policer kept from it.
pub fn nic(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    since(desk, Owner::Nic(id), raw_nic(desk, id))
}

/// One of these.
pub fn nic_count(desk: &Desk<'_>, id: PortId, name: &str) -> u64 {
    nic(desk, id).find(|(its, _)| *its == name).map_or(0, |(_, count)| count)
}

/// How the frames of a port ended, drops aside.
pub fn endings(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    let held = desk.appliance.dataplane.endings(id).held;
    since(desk, Owner::Endings(id), raw_endings(desk, id)).chain([("held", held)])
}

/// What the switch dropped of the frames of a port.
pub fn drops(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    since(desk, Owner::Endings(id), raw_drops(desk, id)).filter(|(_, count)| *count > 0)
}

/// What was dropped at a port outside of the switch.
pub fn port_drops(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    nic(desk, id).filter(|(name, count)| *count > 0 && PORT_DROPS.contains(name))
}

/// What became of the load reports of a port.
pub fn reports(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    since(desk, Owner::Reports(id), raw_reports(desk, id))
}

pub fn service(desk: &Desk<'_>, service: &Service) -> ServiceCounters {
    let owner = Owner::Service(service.spec.name.clone());
    let raw = of_service(&service.counters);
    let [flows_new, second_chances, refused_no_real, refused_full, resets_sent, traffic @ ..] =
        raw.map(|(name, count)| desk.appliance.cleared.since(&owner, name, count));
    ServiceCounters {
        flows_new,
        second_chances,
        refused_no_real,
        refused_full,
        resets_sent,
        traffic: traffic_of(traffic),
    }
}

/// The flows that are open, and how long the last answer took, are not counted and stay.
pub fn real(desk: &Desk<'_>, real: &Real) -> RealCounters {
    let Some(service) = desk.appliance.dataplane.tables().service(real.service) else {
        return real.counters;
    };
    let (owner, raw) = (owner(service, real), of_real(&real.counters));
    let [flows_new, flows_ended, traffic @ ..] =
        raw.map(|(name, count)| desk.appliance.cleared.since(&owner, name, count));
    RealCounters { flows_new, flows_ended, traffic: traffic_of(traffic), ..real.counters }
}

/// Copies that were sent, and those that were not, by why.
pub fn mirror(desk: &Desk<'_>, mirror: &Mirror) -> [u64; 3] {
    let owner = Owner::Mirror(mirror.spec.name.clone());
    raw_mirror(mirror).map(|(name, count)| desk.appliance.cleared.since(&owner, name, count))
}

fn owner(service: &Service, real: &Real) -> Owner {
    Owner::Real { service: service.spec.name.clone(), guest: real.spec.guest.clone() }
}

fn since(
    desk: &Desk<'_>,
    owner: Owner,
    counts: impl Iterator<Item = Count>,
) -> impl Iterator<Item = Count> {
    counts.map(move |(name, count)| (name, desk.appliance.cleared.since(&owner, name, count)))
}

fn raw_nic(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    let nic = desk.appliance.nic_counters(id).unwrap_or_default();
    let beside = desk.appliance.software(id).copied().unwrap_or_default();
    let [rx_unicast, tx_unicast] = [
        [nic.rx_frames, beside.rx_multicast, beside.rx_broadcast],
        [nic.tx_frames, beside.tx_multicast, beside.tx_broadcast],
    ]
    .map(|[all, groups, everybody]| all.saturating_sub(groups + everybody));
    let counts = [
        ("rx_unicast", rx_unicast),
        ("tx_unicast", tx_unicast),
        ("tx_policed", desk.appliance.dataplane.withheld(id)),
    ];
    nic.iter().chain(beside.iter()).chain(counts)
}

fn raw_endings(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    let endings = desk.appliance.dataplane.endings(id);
    let counts = [
        ("forwarded", endings.forwarded),
        ("flooded", endings.flooded),
        ("replied", endings.replied),
        ("punted", endings.punted),
    ];
    counts.into_iter()
}

fn raw_drops(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    let drops = desk.appliance.dataplane.endings(id).drops();
    drops.map(|(reason, count)| (reason.as_str(), count))
}

fn raw_reports(desk: &Desk<'_>, id: PortId) -> impl Iterator<Item = Count> {
    let reports = desk.appliance.dataplane.reports().counters(id);
    let counts = [
        ("accepted", reports.accepted),
        ("malformed", reports.malformed),
        ("old", reports.old),
        ("no_real", reports.no_real),
        ("identity", reports.identity),
        ("rate", reports.rate),
    ];
    counts.into_iter()
}

fn raw_mirror(mirror: &Mirror) -> [Count; 3] {
    let MirrorCounters { copies, no_room, not_taken } = mirror.counters;
    [("copies", copies), ("no_room", no_room), ("not_taken", not_taken)]
}

fn of_service(counters: &ServiceCounters) -> [Count; 9] {
    let Traffic { packets_in, packets_out, bytes_in, bytes_out } = counters.traffic;
    [
        ("flows_new", counters.flows_new),
        ("second_chances", counters.second_chances),
        ("refused_no_real", counters.refused_no_real),
        ("refused_full", counters.refused_full),
        ("resets_sent", counters.resets_sent),
        ("packets_in", packets_in),
        ("packets_out", packets_out),
        ("bytes_in", bytes_in),
        ("bytes_out", bytes_out),
    ]
}

fn of_real(counters: &RealCounters) -> [Count; 6] {
    let Traffic { packets_in, packets_out, bytes_in, bytes_out } = counters.traffic;
    [
        ("flows_new", counters.flows_new),
        ("flows_ended", counters.flows_ended),
        ("packets_in", packets_in),
        ("packets_out", packets_out),
        ("bytes_in", bytes_in),
        ("bytes_out", bytes_out),
    ]
}

fn traffic_of([packets_in, packets_out, bytes_in, bytes_out]: [u64; 4]) -> Traffic {
    Traffic { packets_in, packets_out, bytes_in, bytes_out }
}
