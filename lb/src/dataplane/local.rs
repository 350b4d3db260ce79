//! What is addressed to the switch itself: load reports, and answers to what it asks; what comes for
//! the management address goes on to [`super::management`].
//!
//! A report's identity is where it came in: it counts if it came by the port of a guest whose MAC
//! (and address, unless link-local) it carries, and it speaks for the reals on that guest. Every
//! report that a guest may send is answered, with the switch's view or with what is wrong; one
//! that it may not send, or sends too often, is counted and met with silence.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt::{self, Display, Write};
use core::net::IpAddr;

use crate::dataplane::Dataplane;
use crate::event::Event;
use crate::guest::load::{FlowsBetween, RateLimit, ReportRefusal};
use crate::guest::report::{Ack, Answer, LoadReport, ReportError};
use crate::limits::{PORTS_MAX, SERVICES_MAX};
use crate::wire::arp::{Arp, Operation};
use crate::wire::ethernet::{self, ETHERTYPE_ARP, Ethernet};
use crate::wire::nd::{self, Neighbor};
use crate::wire::{Ip, Transport, ip, transport};
use crate::{GuestId, Health, Instant, MacAddr, PortId, PortSet, Protocol, Real, RealId};

/// Room for an answer's text.
const ANSWER_BYTES_MAX: usize = 214;
/// Hops that an answer to a neighbour may take.
const TTL: u8 = 64;

/// What became of the reports of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportCounters {
    /// Taken, by at least one real.
    pub accepted: u64,
    /// Refused: a word or a number is wrong, which is answered, or the checksum, which is not.
    pub malformed: u64,
    /// Refused and answered: not newer than the last one.
    pub old: u64,
    /// Refused and answered: the guest has no such real.
    pub no_real: u64,
    /// Not answered: no guest has this MAC and address on this port.
    pub identity: u64,
    /// Not answered: more than the port may send.
    pub rate: u64,
}

/// Report keeping, port by port.
pub struct Reports {
    limits: [RateLimit; PORTS_MAX],
    counters: Box<[ReportCounters]>,
}

/// Why a report changed nothing.
enum Unheard {
    Malformed(ReportError),
    Old(ReportRefusal),
    NoReal,
}

impl Reports {
    pub(super) fn new() -> Reports {
        Reports {
            limits: [RateLimit::default(); PORTS_MAX],
            counters: vec![ReportCounters::default(); PORTS_MAX].into_boxed_slice(),
        }
    }

    pub fn counters(&self, port: PortId) -> &ReportCounters {
        &self.counters[port.index()]
    }
}

impl Dataplane {
    /// Takes in a punted frame; an answer waits in the outbox.
    pub fn local(&mut self, ingress: PortId, frame: &[u8], now: Instant) {
        let Ok(header) = Ethernet::parse(frame) else {
            return;
        };
        if header.destination.is_reserved_group() {
            return self.hear_lldp(ingress, &header, frame, now);
        }
        if header.ethertype == ETHERTYPE_ARP {
            if let Ok(arp) = Arp::parse(frame, header.payload_at)
                && arp.operation == Operation::Reply
                && arp.sender_mac == header.source
            {
                self.says_where(ingress, &header, arp.sender.into(), now);
            }
            return;
        }
        let parsed = Ip::parse(frame, frame.len(), header.payload_at, header.ethertype);
        let Some(Ok(ip)) = parsed else {
            return;
        };
        if !nd::is_neighbor(frame, &ip) {
            if !self.is_guest(ingress) {
                self.management_hears(&header, &ip, frame, now);
                return;
            }
            if self.probe_answers(ingress, &header, &ip, frame, now) {
                return;
            }
            self.report(ingress, &header, &ip, frame, now);
            return;
        }
        let Ok(message) = Neighbor::parse(frame, &ip) else {
            return;
        };
        match message.kind {
            nd::Kind::Solicitation => self.answer_neighbor(ingress, &header, &message),
            nd::Kind::Advertisement
                if message.link_layer.is_none_or(|mac| mac == header.source) =>
            {
                self.says_where(ingress, &header, message.target.into(), now);
            }
            nd::Kind::Advertisement => {}
        }
    }

    /// Somebody who was asked says where an address is.
    fn says_where(&mut self, ingress: PortId, header: &Ethernet, address: IpAddr, now: Instant) {
        match self.is_guest(ingress) {
            true => self.neighbor_answers(ingress, header, address, now),
            false => self.station_answers(header, address, now),
        }
    }

    /// A guest that says where its own address is, is there.
    fn neighbor_answers(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        address: IpAddr,
        now: Instant,
    ) {
        self.questions_answered(ingress, header, address, now);
        let Dataplane { tables, events, .. } = self;
        let id = tables.guest_at(ingress, header.source);
        let Some(guest) = id.and_then(|id| tables.guest_mut(id)) else {
            return;
        };
        let before = guest.health();
        let where_asked = (address, header.vlan);
        let mut has_news = false;
        for neighbor in guest.neighbors.iter_mut().filter(|n| (n.address, n.vlan) == where_asked) {
            has_news |= neighbor.health != Health::Up;
            neighbor.answered(now);
        }
        if guest.health() != before {
            let name = guest.spec.name.clone();
            events.push(Event::GuestHealth { guest: name, health: guest.health() });
        }
        if has_news {
            tables.unsettle();
            tables.look_at_all_severances(now);
        }
    }

    fn report(&mut self, ingress: PortId, header: &Ethernet, ip: &Ip, frame: &[u8], now: Instant) {
        let Ok(segment) = Transport::parse(frame, ip) else {
            return;
        };
        let counters = &mut self.reports.counters[ingress.index()];
        if !self.reports.limits[ingress.index()].allows(now) {
            counters.rate += 1;
            return;
        }
        let Some(payload) = transport::udp_payload(frame, ip) else {
            counters.malformed += 1;
            return;
        };
        let Some(guest) = self.reporter(ingress, header.source, ip.source.into()) else {
            self.reports.counters[ingress.index()].identity += 1;
            return;
        };
        let heard = self.hear(guest, payload, now);
        self.reports.counters[ingress.index()].count(heard.as_ref().err());
        let answer = match heard {
            Ok(ack) => Answer::Ack(ack),
            Err(unheard) => Answer::Nak { column: unheard.column(), why: unheard },
        };
        self.answer(ingress, header, &segment, &answer);
    }

    /// The guest that may speak from here.
    fn reporter(&self, ingress: PortId, mac: MacAddr, address: IpAddr) -> Option<GuestId> {
        let id = self.tables.guest_at(ingress, mac)?;
        let addresses = &self.tables.guest(id)?.spec.addresses;
        let is_link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        let is_own = is_link_local || addresses.contains(&address);
        is_own.then_some(id)
    }

    /// Gives a report to the reals that it speaks for.
    fn hear(&mut self, guest: GuestId, payload: &[u8], now: Instant) -> Result<Ack, Unheard> {
        let report = LoadReport::parse(payload).map_err(Unheard::Malformed)?;
        let reals = self.spoken_for(guest, &report);
        let mut heard = Err(Unheard::NoReal);
        for &id in &reals {
            let Some(taken) = self.tables.take_report(id, &report, now) else {
                continue;
            };
            heard = match (heard, taken) {
                (Ok(sum), Ok(flows)) => Ok(both(sum, flows)),
                (Err(_), Ok(flows)) => Ok(flows),
                (Ok(sum), Err(_)) => Ok(sum),
                (Err(_), Err(refusal)) => Err(Unheard::Old(refusal)),
            };
        }
        let between: FlowsBetween = heard?;
        let first = *reals.first().ok_or(Unheard::NoReal)?;
        let standing = self.standing(first, now).ok_or(Unheard::NoReal)?;
        let counters = |id: &RealId| self.tables.real(*id).map(|real| real.counters);
        let flows = reals.iter().filter_map(counters).map(|c| c.flows_open).sum();
        let is_kept = |real: &&Real| real.severed().is_none();
        let kept = reals.iter().filter_map(|&id| self.tables.real(id)).filter(is_kept);
        let waited_for = kept.map(|real| real.counters.flows_open).sum();
        let answer_time = counters(&first).and_then(|counters| counters.answer_time);
        Ok(Ack {
            seq: report.seq,
            state: standing.ack_state(waited_for),
            weight: standing.effective_weight.whole(),
            flows,
            new: between.new,
            ended: between.ended,
            syn_ack_us: answer_time.map(|t| u32::try_from(t.as_micros()).unwrap_or(u32::MAX)),
        })
    }

    /// Gives the line that a guest's agent was asked for to the real for which it was.
    pub(super) fn pulled(&mut self, id: RealId, line: &[u8], now: Instant) {
        let Dataplane { tables, reports, .. } = self;
        let guest = tables.real(id).and_then(|real| tables.guest(real.guest));
        let Some(port) = guest.map(|guest| guest.spec.port) else {
            return;
        };
        let heard = LoadReport::parse(line).map_err(Unheard::Malformed).and_then(|report| {
            tables.take_report(id, &report, now).ok_or(Unheard::NoReal)?.map_err(Unheard::Old)
        });
        reports.counters[port.index()].count(heard.err().as_ref());
    }

    /// The guest's reals; of one service only, if the report names one.
    fn spoken_for(
        &self,
        guest: GuestId,
        report: &LoadReport<'_>,
    ) -> heapless::Vec<RealId, SERVICES_MAX> {
        let is_meant = |name: &crate::Name| report.service.as_ref().is_none_or(|s| s == name);
        let of_guest = |&(_, real): &(RealId, &Real)| real.guest == guest && !real.retired;
        let is_heard = |&(_, real): &(RealId, &Real)| {
            self.tables.service(real.service).is_some_and(|s| is_meant(&s.spec.name))
        };
        let reals = self.tables.reals().filter(of_guest).filter(is_heard);
        // A guest has one real a service at most, so there is room for all.
        reals.map(|(id, _)| id).take(SERVICES_MAX).collect()
    }

    /// Answers a datagram from where it was sent to.
    fn answer(
        &mut self,
        port: PortId,
        header: &Ethernet,
        question: &Transport,
        answer: &impl Display,
    ) {
        let mut text = heapless::String::<ANSWER_BYTES_MAX>::new();
        // What does not fit is cut off: an answer is for reading, its first words count.
        let _ = writeln!(text, "{answer}");
        let (from, to) = (question.destination, question.source);
        let udp = transport::udp_header(from, to, text.as_bytes());
        let udp_len = (udp.len() + text.len()) as u16;
        let ip = ip::header(from.address, to.address, Protocol::Udp.number(), udp_len, TTL);
        let mac = MacAddr::SWITCH;
        let ethernet = ethernet::header(header.source, mac, header.vlan, header.ethertype);
        let egress = PortSet::EMPTY.with(port);
        self.outbox.answer(egress, &[&ethernet, &ip, &udp, text.as_bytes()]);
    }
}

impl ReportCounters {
    fn count(&mut self, unheard: Option<&Unheard>) {
        *match unheard {
            None => &mut self.accepted,
            Some(Unheard::Malformed(_)) => &mut self.malformed,
            Some(Unheard::Old(_)) => &mut self.old,
            Some(Unheard::NoReal) => &mut self.no_real,
        } += 1;
    }
}

impl Unheard {
    fn column(&self) -> Option<u16> {
        match self {
            Unheard::Malformed(error) => Some(error.column),
            Unheard::Old(_) | Unheard::NoReal => None,
        }
    }
}

impl Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheard::Malformed(error) => error.kind.fmt(f),
            Unheard::Old(refusal) => refusal.fmt(f),
            Unheard::NoReal => f.write_str("this guest is no real of such a service"),
        }
    }
}

fn both(one: FlowsBetween, other: FlowsBetween) -> FlowsBetween {
    FlowsBetween { new: one.new + other.new, ended: one.ended + other.ended }
}
