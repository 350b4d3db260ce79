//! The data path: one frame in, one verdict out. How frames come in is in [`receive`].
//!
//! ```text
//!  frame ─▶ parse ─▶ learn ─┬─ ARP, ND ─▶ about an address of ours?  answer, or keep it in (resolve)
//!                           ├─ IP ─────▶ to a VIP, from a real?      (balance, icmp_error)
//!                           │            to the switch? answer, punt
//!                           └─ all others ─────────────────────────▶ switch
//! ```
//!
//! A frame belongs to a VLAN, 0 being none, and so does everything that is asked for it: a MAC, a
//! VIP, a flow of another VLAN is another one.

mod access;
mod balance;
mod begin;
mod fit;
mod follow;
mod groups;
mod guard;
mod icmp_error;
mod lldp;
mod local;
mod management;
mod pass;
mod probe;
mod receive;
mod refuse;
mod resolve;
mod resume;
mod second;
mod sever;
mod switch;
mod trace;
mod watch;

use alloc::boxed::Box;
use alloc::vec;

use crate::addr::REPORT_PORT;
use crate::event::Events;
use crate::explain::decisions::Decisions;
use crate::flow::fragments::{FragmentCounters, Fragments};
use crate::flow::{FlowId, FlowTable};
use crate::limits::{FRAGMENTED_DATAGRAMS_MAX, HELD_FRAGMENTS_MAX, PORTS_MAX};
use crate::management::Management;
use crate::outbox::Outbox;
use crate::service::persist::PersistenceTable;
use crate::service::probe::Probes;
use crate::service::standing::Standing;
use crate::switch::fdb::Fdb;
use crate::switch::groups::Groups;
use crate::switch::lldp::{Peers, Turn};
use crate::switch::police::Meters;
use crate::tables::Tables;
use crate::wire::{Ethernet, Ip, Offload, Transport, ethernet, icmp};
use crate::{
    Command, CopyEnd, DropReason, Endings, Instant, MacAddr, PortId, Protocol, RealId, Refusal,
    ServiceId, Verdict,
};
use follow::Course;
pub use local::{ReportCounters, Reports};
use refuse::ErrorLimit;
use resume::Recovery;
use second::SecondChances;
use watch::Watch;

/// Sizes of the tables that grow with the machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub flows: usize,
    pub macs: usize,
    /// Clients whose real is remembered.
    pub clients: usize,
}

/// Everything that decides, in one hand.
pub struct Dataplane {
    tables: Tables,
    fdb: Fdb,
    groups: Groups,
    flows: FlowTable,
    outbox: Outbox,
    events: Events,
    reports: Reports,
    dice: Dice,
    decisions: Decisions,
    /// When the log last heard of an address that moves too fast.
    restless_told: Option<Instant>,
    errors: ErrorLimit,
    fragments: Fragments<Course>,
    persistence: PersistenceTable,
    recovery: Recovery,
    probes: Probes,
    chances: SecondChances,
    management: Management,
    meters: Meters,
    peers: Peers,
    turn: Turn,
    watch: Watch,
    endings: Box<[Endings]>,
}

/// An IP packet under way, with all that is known of it.
struct Inbound<'a> {
    pub ingress: PortId,
    pub header: &'a Ethernet,
    pub ip: &'a Ip,
    /// The frame's first buffer, and the whole frame's length.
    pub head: &'a mut [u8],
    pub len: usize,
    pub offload: Offload,
    /// The flow that it is most likely of.
    pub named: Option<FlowId>,
    pub now: Instant,
}

/// A stream of numbers that nobody outside can foresee (splitmix64 over a secret seed); for ties
/// and translated ports, not for keys.
struct Dice(u64);

impl Dataplane {
    /// Takes all memory now. `secret` keys the hashes: draw it anew at each boot.
    pub fn new(capacity: Capacity, secret: u64) -> Dataplane {
        Dataplane {
            tables: Tables::new(),
            fdb: Fdb::new(capacity.macs, secret),
            groups: Groups::new(secret),
            flows: FlowTable::new(capacity.flows, secret.rotate_left(32)),
            outbox: Outbox::new(),
            events: Events::default(),
            reports: Reports::new(),
            dice: Dice(!secret),
            decisions: Decisions::new(),
            restless_told: None,
            errors: ErrorLimit::default(),
            fragments: Fragments::new(FRAGMENTED_DATAGRAMS_MAX, HELD_FRAGMENTS_MAX, secret),
            persistence: PersistenceTable::new(capacity.clients, secret),
            recovery: Recovery::new(secret),
            probes: Probes::new(secret.rotate_left(16)),
            chances: SecondChances::new(secret),
            management: Management::default(),
            meters: Meters::new(),
            peers: Peers::new(),
            turn: Turn::default(),
            watch: Watch::new(),
            endings: vec![Endings::default(); PORTS_MAX].into_boxed_slice(),
        }
    }

    /// Counts that a punted frame found the queue to the slow path full.
    pub fn punt_refused(&mut self, ingress: PortId) {
        self.endings[ingress.index()].punt_refused();
    }

    /// Applies a change; the next frame meets the new tables.
    pub fn apply(&mut self, command: &Command, now: Instant) -> Result<(), Refusal> {
        let bound_before = self.bindings(command);
        let forgotten = self.forgotten_clients(command);
        self.place_static(command, now)?;
        let (rested, closed) = (self.tables.resting(), self.tables.closed());
        self.tables.apply(command, now)?;
        self.follow_uplinks(rested, closed);
        self.follow_places(command, &bound_before, now);
        self.follow_port(command);
        self.follow_groups(command, now);
        self.follow_lldp(command);
        self.recovery.follow(command);
        self.follow_management(command, now);
        match forgotten {
            Some(Forgotten::OfReal(real)) => self.persistence.forget_real(real),
            Some(Forgotten::OfService(service)) => self.persistence.forget_service(service),
            None => {}
        }
        self.assign_probes(now);
        Ok(())
    }

    /// Between the start-up configuration and the first frame: what is else done bit by bit is done
    /// at once, and flows of before may be taken up again.
    pub fn start(&mut self, now: Instant) {
        while !self.tables.build_placements() {}
        self.recovery.begin(now);
    }

    /// What time brings, a bounded slice of it: call about every 10 ms.
    #[inline(never)]
    pub fn housekeep(&mut self, now: Instant) {
        let Dataplane { tables, flows, .. } = self;
        flows.sweep(now, &mut |gone| tables.flow_gone(gone));
        self.fdb.sweep(now);
        self.persistence.sweep(now);
        let Dataplane { fragments, endings, .. } = self;
        fragments.sweep(now, &mut |port| {
            endings[port.index()].held_ends(Verdict::Drop(DropReason::Fragment));
        });
        self.ask_neighbors(now);
        self.probe(now);
        self.announce_vips(now);
        self.manage(now);
        self.look_round_groups(now);
        self.speak_lldp(now);
        self.tables.build_placements();
        self.look_at_drops(now);
        let Dataplane { tables, events, .. } = self;
        tables.look_round(now, events);
    }

    /// Until when [`Dataplane::housekeep`] may wait should no frame come: as long as there is nothing that
    /// grows old or is made bit by bit, only what is said at its own time.
    pub fn next_due(&self) -> Instant {
        let is_at_rest = self.flows.is_empty()
            && self.persistence.is_empty()
            && self.fragments.is_at_rest()
            && self.probes.connections() == 0
            && self.tables.placements_are_built();
        if !is_at_rest {
            return Instant::START;
        }
        let lease = self.management.lease.as_ref().map(|client| client.next());
        let words = [self.tables.next_word(), lease, self.groups.next_due(), self.next_lldp()];
        words.into_iter().flatten().fold(self.probes.next(), Instant::min)
    }

    /// How a real of a service stands; `None` for one that is gone or retired.
    pub fn standing(&self, id: RealId, now: Instant) -> Option<Standing> {
        let real = self.tables.real(id).filter(|real| !real.retired)?;
        let outlook = self.tables.outlook(real.service, now);
        let judge = self.tables.judge(real.service, now)?;
        Some(Standing {
            eligibility: judge.eligibility(real, now),
            sources: judge.sources(real, now),
            factors: judge.factors(real, now),
            effective_weight: judge.effective_weight(real, now),
            forecast: outlook.map(|outlook| outlook.forecast(&judge.candidate(id, real, now))),
        })
    }

    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    /// Who is in which multicast group.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    pub fn flows(&self) -> &FlowTable {
        &self.flows
    }

    pub fn fragments(&self) -> &FragmentCounters {
        self.fragments.counters()
    }

    pub fn persistence(&self) -> &PersistenceTable {
        &self.persistence
    }

    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The last decisions about new flows.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    /// Who is at the other end of links.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    pub fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Frames of our own that found the outbox full.
    pub fn outbox_lost(&self) -> u64 {
        self.outbox.lost()
    }

    /// Events that found their queue full.
    pub fn events_lost(&self) -> u64 {
        self.events.lost()
    }

    /// How the frames of a port ended.
    pub fn endings(&self, port: PortId) -> &Endings {
        &self.endings[port.index()]
    }

    /// What became of a copy that [`crate::Mirrors::wanted`] told of.
    pub fn count_copy(&mut self, mirror: usize, end: CopyEnd) {
        self.tables.count_copy(mirror, end);
    }

    /// Frames, and copies of frames, that a port was to send and did not, for its policer.
    pub fn withheld(&self, port: PortId) -> u64 {
        self.meters.withheld(port)
    }

    /// The number that the next new flow will be given.
    pub(crate) fn next_dice(&self) -> u64 {
        Dice(self.dice.0).roll()
    }

    /// A packet to a VIP's MAC that is no whole segment.
    fn at_vip(&mut self, packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { header, ip, ref head, .. } = packet;
        if !self.tables.is_vip(header.vlan, ip.destination) {
            return Err(DropReason::NotForUs);
        }
        ip.check(head)?;
        if let Some(part) = ip.part() {
            return self.part_to_vip(packet, part);
        }
        match icmp::is_icmp(ip) {
            true if icmp::is_error(head, ip) => self.error_to_vip(packet),
            true => {
                answer_echo(header, ip, packet.head, MacAddr::virtual_of(ip.destination.into()))
            }
            false => Err(DropReason::Protocol),
        }
    }

    /// What a guest sends that may belong to a flow that it serves; `None` if it does not.
    #[inline(always)]
    fn of_real(&mut self, packet: Inbound<'_>) -> Result<Option<Verdict>, DropReason> {
        match packet.ip.part() {
            Some(part) => self.part_of_real(packet, part),
            None if icmp::is_icmp(packet.ip) => self.error_of_real(packet),
            None => self.answer_of_real(packet),
        }
    }

    /// A guest talks to the switch: the answer to a probe, a load report, an echo, or the far end of
    /// its flow with itself.
    fn at_switch(&mut self, packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { header, ip, ref head, .. } = packet;
        if let Some(part) = ip.part() {
            // The far end of a guest's flow with itself; nothing else may come in pieces.
            ip.check(head)?;
            return self.part_of_real(packet, part)?.ok_or(DropReason::Fragment);
        }
        if let Some(answer) = self.at_probe(&packet) {
            return answer;
        }
        if icmp::is_icmp(ip) {
            ip.check(head)?;
            return match icmp::is_error(head, ip) {
                true => self.error_of_real(packet)?.ok_or(DropReason::IcmpInner),
                false => answer_echo(header, ip, packet.head, MacAddr::SWITCH),
            };
        }
        let segment = Transport::parse(head, ip)?;
        if (segment.protocol, segment.destination.port) == (Protocol::Udp, REPORT_PORT) {
            ip.check(head)?;
            return Ok(Verdict::Punt);
        }
        self.answer_of_real(packet)?.ok_or(DropReason::NotForUs)
    }

    /// The clients that are no more to be known again: those of a real or service that goes, and of
    /// a service that shall know them by something else.
    fn forgotten_clients(&self, command: &Command) -> Option<Forgotten> {
        let tables = &self.tables;
        match command {
            Command::DeleteReal { service, guest } | Command::CutReal { service, guest } => {
                tables.real_by_name(service, guest).map(Forgotten::OfReal)
            }
            Command::DeleteService(name) => tables.service_by_name(name).map(Forgotten::OfService),
            Command::SetService(spec) => {
                let id = tables.service_by_name(&spec.name)?;
                let changes = tables.service(id)?.spec.persistence != spec.persistence;
                changes.then_some(Forgotten::OfService(id))
            }
            _ => None,
        }
    }
}

/// Whose clients a command has forgotten.
enum Forgotten {
    OfReal(RealId),
    OfService(ServiceId),
}

impl Dice {
    const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Turns an echo request round; the answer is from `own`.
fn answer_echo(
    header: &Ethernet,
    ip: &Ip,
    head: &mut [u8],
    own: MacAddr,
) -> Result<Verdict, DropReason> {
    icmp::answer_echo(head, ip)?;
    ethernet::set_addresses(head, header.source, own);
    Ok(Verdict::Reply)
}
