//! The walk of a [`Trace`]: what [`super::receive`] decides, looked at and not done.
//!
//! It turns where the data path turns, in the same order, and asks the same questions; the frame that
//! is rewritten is a copy. Each frame goes the long way here ([`super::pass`] only shortens it). Flows
//! are in [`flows`], fragments in [`parts`].

mod flows;
mod parts;

use alloc::vec::Vec;
use core::net::IpAddr;

use super::access::is_permitted;
use super::answer_echo;
use super::receive::Peek;
use crate::addr::REPORT_PORT;
use crate::dataplane::{Dataplane, Inbound};
use crate::explain::trace::{Step, Whom};
use crate::flow::Direction;
use crate::wire::arp::Arp;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use crate::wire::{Headers, Ip, Transport, icmp, nd};
use crate::{DropReason, Frame, Instant, MacAddr, PortId, Protocol, Trace, Verdict};

/// Whoever goes along, and what was found out so far.
struct Walk<'a> {
    plane: &'a Dataplane,
    ingress: PortId,
    now: Instant,
    steps: Vec<Step>,
}

impl Dataplane {
    /// What [`Dataplane::receive`] would do with a frame that came in now; nothing is done.
    pub fn trace(&self, ingress: PortId, frame: &Frame<'_>, now: Instant) -> Trace {
        let mut walk = Walk { plane: self, ingress, now, steps: Vec::new() };
        let mut bytes = frame.head.to_vec();
        let mut copy = Frame { head: &mut bytes, len: frame.len, offload: frame.offload };
        let verdict = match self.meters.lets_in(ingress, now) {
            _ if self.tables.closed().contains(ingress) => self.closed_to(ingress, frame.head),
            true => walk.decide_fitting(&mut copy).unwrap_or_else(Verdict::Drop),
            false => Verdict::Drop(DropReason::PoliceIn),
        };
        let verdict = self.meters.judge_leaving(verdict, now);
        Trace { steps: walk.steps, verdict, frame: bytes }
    }
}

impl Walk<'_> {
    fn note(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn decide_fitting(&mut self, frame: &mut Frame<'_>) -> Result<Verdict, DropReason> {
        let packet_len = Ethernet::parse(frame.head).map(|header| frame.packet_len(&header))?;
        let verdict = self.decide(frame)?;
        self.plane.fitting(verdict, packet_len)
    }

    fn decide(&mut self, frame: &mut Frame<'_>) -> Result<Verdict, DropReason> {
        let Walk { plane, ingress, now, .. } = *self;
        let header = &Ethernet::parse(frame.head)?;
        self.note(Step::Frame(*header));
        if header.destination.is_reserved_group() {
            return plane.of_the_link(ingress, header);
        }
        frame.check(header, plane.tables.mtus().of(ingress))?;
        plane.check_source(header)?;
        let source = plane.fdb.spot(header.source, header.vlan);
        let lesson = plane.fdb.foresee(source, ingress, now);
        self.note(Step::Source(lesson));
        plane.judge_lesson(lesson, header, ingress)?;
        let to_us = plane.tables.is_virtual(header.destination);
        let to_management = plane.tables.is_management_mac(header.destination);
        if to_management && plane.is_guest(ingress) {
            return Err(DropReason::ManagementPort);
        }
        let decided = match header.ethertype {
            ETHERTYPE_ARP => self.arp(header, frame.head)?,
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => self.ip(header, to_us, frame)?,
            _ if plane.is_guest(ingress) && !to_us => {
                plane.check_disguise(ingress, header, frame.head)?;
                is_permitted(plane.tables.lists().judge_other(ingress))?;
                None
            }
            _ => None,
        };
        match decided {
            Some(verdict) => Ok(verdict),
            None if to_us => Err(DropReason::NotForUs),
            None => {
                self.note(Step::Whom(Whom::Station));
                let destination = plane.fdb.spot(header.destination, header.vlan);
                let station = plane.fdb.foresee_lookup(destination, source, ingress, now);
                if station.is_none() && header.destination.is_group() {
                    let frame = (&*frame.head, frame.len);
                    return plane.judge_to_many(ingress, header, frame, now)?.verdict;
                }
                let egress = plane.tables.switched(ingress, header.vlan);
                plane.send_to(station, egress, (ingress, header), now)
            }
        }
    }

    fn arp(&mut self, header: &Ethernet, head: &mut [u8]) -> Result<Option<Verdict>, DropReason> {
        let arp = Arp::parse(head, header.payload_at)?;
        self.note(Step::Arp(arp));
        self.plane.judge_arp(self.ingress, header, &arp, head, self.now)
    }

    fn ip(
        &mut self,
        header: &Ethernet,
        to_us: bool,
        frame: &mut Frame<'_>,
    ) -> Result<Option<Verdict>, DropReason> {
        let Walk { plane, ingress, now, .. } = *self;
        let Peek { to_link_local, may_concern_us } = Peek::of(header, frame.head);
        let read = Headers::read(frame.head, frame.len);
        let (parsed, segment) = read.map_or((None, None), |read| (read.ip, read.segment));
        self.steps.extend(parsed.iter().flatten().copied().map(Step::Packet));
        self.steps.extend(segment.map(Step::Segment));
        let is_guest = plane.is_guest(ingress);
        if to_link_local && !is_guest {
            return Err(DropReason::ReportPort);
        }
        if !to_us && !is_guest && !may_concern_us {
            return Ok(None);
        }
        let ip = match parsed {
            Some(Ok(ip)) => ip,
            Some(Err(reason)) if to_us || to_link_local => return Err(reason),
            Some(Err(reason)) if plane.must_be_read(ingress, header) => return Err(reason),
            Some(Err(_)) | None => return Ok(None),
        };
        let Frame { ref mut head, len, offload } = *frame;
        let mut packet = Inbound { ingress, header, ip: &ip, head, len, offload, named: None, now };
        if is_guest {
            plane.guard(&packet)?;
        }
        if may_concern_us
            && nd::is_neighbor(packet.head, &ip)
            && let Some(verdict) = plane.neighbor(&mut packet)?
        {
            return Ok(Some(verdict));
        }
        if may_concern_us && plane.is_lease(ingress, header, &ip, packet.head) {
            self.note(Step::Whom(Whom::Switch));
            return Ok(Some(Verdict::Punt));
        }
        if to_link_local || is_guest && plane.is_probe_source(ingress, ip.destination) {
            self.note(Step::Whom(Whom::Switch));
            return self.at_switch(&mut packet).map(Some);
        }
        if plane.tables.is_management_mac(header.destination) {
            self.note(Step::Whom(Whom::Switch));
            return plane.judge_at_management(&mut packet).map(Some);
        }
        let access = plane.judge_access(&packet);
        if to_us {
            if is_guest {
                plane.check_sender(&packet)?;
                is_permitted(access)?;
            }
            return self.at_vip(&mut packet).map(Some);
        }
        let sender = if is_guest { plane.check_source_of(&packet) } else { Ok(()) };
        if icmp::is_icmp(&ip) && is_guest {
            plane.check_sender(&packet)?;
        }
        if plane.tables.port_sets().with_reals.contains(ingress)
            && let Some(verdict) = self.of_real(&mut packet)?
        {
            return Ok(Some(verdict));
        }
        sender?;
        is_permitted(access)?;
        Ok(None)
    }

    fn at_vip(&mut self, packet: &mut Inbound<'_>) -> Result<Verdict, DropReason> {
        let plane = self.plane;
        let Inbound { header, ip, ref mut head, .. } = *packet;
        if ip.is_whole_segment() {
            return self.balance(packet);
        }
        let vip = self.vip_of(header, ip).ok_or(DropReason::NotForUs)?;
        self.note(Step::Whom(Whom::Vip(vip)));
        ip.check(head)?;
        if let Some(part) = ip.part() {
            return self.part_to_vip(packet, part);
        }
        match icmp::is_icmp(ip) {
            true if icmp::is_error(head, ip) => {
                let (id, port) = plane.judge_error_to_vip(packet)?;
                self.note(Step::Flow(id, Direction::ToReal));
                Ok(Verdict::Forward(port))
            }
            true => answer_echo(header, ip, head, MacAddr::virtual_of(vip)),
            false => Err(DropReason::Protocol),
        }
    }

    fn vip_of(&self, header: &Ethernet, ip: &Ip) -> Option<IpAddr> {
        let is_vip = self.plane.tables.is_vip(header.vlan, ip.destination);
        is_vip.then_some(ip.destination.into())
    }

    fn of_real(&mut self, packet: &mut Inbound<'_>) -> Result<Option<Verdict>, DropReason> {
        match packet.ip.part() {
            Some(part) => self.part_of_real(packet, part),
            None if icmp::is_icmp(packet.ip) => self.error_of_real(packet),
            None => self.answer_of_real(packet),
        }
    }

    fn at_switch(&mut self, packet: &mut Inbound<'_>) -> Result<Verdict, DropReason> {
        let Inbound { header, ip, .. } = *packet;
        if let Some(part) = ip.part() {
            ip.check(packet.head)?;
            return self.part_of_real(packet, part)?.ok_or(DropReason::Fragment);
        }
        if let Some(answer) = self.plane.at_probe(packet) {
            return answer;
        }
        if icmp::is_icmp(ip) {
            ip.check(packet.head)?;
            return match icmp::is_error(packet.head, ip) {
                true => self.error_of_real(packet)?.ok_or(DropReason::IcmpInner),
                false => answer_echo(header, ip, packet.head, MacAddr::SWITCH),
            };
        }
        let segment = segment_of(packet)?;
        if (segment.protocol, segment.destination.port) == (Protocol::Udp, REPORT_PORT) {
            ip.check(packet.head)?;
            return Ok(Verdict::Punt);
        }
        self.answer_of_real(packet)?.ok_or(DropReason::NotForUs)
    }
}

/// The transport header of a packet that has one.
#[cold]
#[inline(never)]
fn segment_of(packet: &Inbound<'_>) -> Result<Transport, DropReason> {
    Transport::parse(packet.head, packet.ip)
}
