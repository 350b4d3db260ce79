//! How frames come in: many at once, a verdict each, and the memory's latency hidden.
//!
//! ```text
//!   1  glance   the Ethernet header, and which lines of memory the frame will want
//!   2  touch    its addresses' lines and its flow's place in the index      cold, all at once
//!   3  touch    the flow that is named there, or a slot for a new one       cold, all at once
//!   4  decide   one frame after the other, in their order                   from the cache
//! ```
//!
//! A line of memory that no cache holds costs several times all instructions that a frame takes, if
//! it is waited for; sixteen that are asked for together cost little more than one. A frame that comes
//! alone has only the slot for a new flow touched, which is asked for while its place in the index is
//! waited for.
//!
//! But for the Ethernet header, which is read once, the first three passes are hints and nothing
//! else. A glance checks nothing and a touch is a plain read of a word that nobody looks at, so
//! whatever they do, [`Dataplane::decide`] alone decides: it reads each packet as if it were the only
//! one, and meets what the frames before it have changed. If a flow was named for the packet it tries
//! the short way first ([`super::pass`]).

use core::hint::black_box;

use crate::addr::is_link_local_of_ours;
use crate::dataplane::{Dataplane, Inbound};
use crate::flow::{Direction, FlowId, FlowKey, index};
use crate::switch::fdb;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use crate::wire::{Address, Endpoint, Ip, bytes_at, icmp, nd};
use crate::{DropReason, Frame, Instant, PortId, Protocol, Verdict};

/// Frames that are under way at once. What they touch, some eight lines each, fills a third of a
/// first cache of 48 KiB; and no processor waits for more lines than this at a time.
const BATCH_FRAMES: usize = 32;

/// A frame's header, and where it will look.
pub(super) struct Glance {
    pub header: Ethernet,
    pub source: fdb::Spot,
    pub destination: fdb::Spot,
    /// The place of its flow in the index, if it may have one.
    flow: Option<index::Hash>,
    /// The flow that it is most likely of.
    pub named: Option<FlowId>,
}

impl Glance {
    /// Whether it may begin a flow.
    fn is_new(&self) -> bool {
        self.flow.is_some() && self.named.is_none()
    }
}

type Glances = heapless::Vec<Result<Glance, DropReason>, BATCH_FRAMES>;

impl Dataplane {
    /// Decides about a frame that came in on `ingress`, rewrites it in place and counts its end.
    pub fn receive(&mut self, ingress: PortId, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        if self.tables.closed().contains(ingress) {
            return self.end_closed(ingress, frame.head);
        }
        let mut glance = self.glance(ingress, frame.head);
        if let Ok(glance) = &mut glance {
            self.name(glance);
            if glance.is_new() {
                black_box(self.flows.touch_free(0));
            }
        }
        match self.meters.are_on() {
            false => self.end(ingress, frame, &glance, now),
            true => self.end_measured(ingress, frame, &glance, now),
        }
    }

    /// The same for many, which costs less for each: `verdicts` are the frames', in their order.
    ///
    /// Not inlined, so that it is made for speed whatever its caller is made for.
    ///
    /// # Panics
    /// When there are not as many verdicts as frames.
    #[inline(never)]
    pub fn receive_batch(
        &mut self,
        ingress: PortId,
        frames: &mut [Frame<'_>],
        verdicts: &mut [Verdict],
        now: Instant,
    ) {
        assert_eq!(frames.len(), verdicts.len(), "a place for each verdict");
        if self.tables.closed().contains(ingress) {
            for (frame, verdict) in frames.iter().zip(verdicts) {
                *verdict = self.end_closed(ingress, frame.head);
            }
            return;
        }
        let are_measured = self.meters.are_on();
        let batches = frames.chunks_mut(BATCH_FRAMES).zip(verdicts.chunks_mut(BATCH_FRAMES));
        for (batch, verdicts) in batches {
            let mut glances = Glances::new();
            self.touch(ingress, batch, &mut glances);
            for ((frame, glance), verdict) in batch.iter_mut().zip(&glances).zip(verdicts) {
                *verdict = match are_measured {
                    false => self.end(ingress, frame, glance, now),
                    true => self.end_measured(ingress, frame, glance, now),
                };
            }
        }
    }

    /// Passes 1 to 3.
    fn touch(&self, ingress: PortId, frames: &[Frame<'_>], glances: &mut Glances) {
        glances.extend(frames.iter().map(|frame| self.glance(ingress, frame.head)));
        let mut words = 0;
        for glance in glances.iter().flatten() {
            words ^= self.fdb.touch(glance.source) ^ self.fdb.touch(glance.destination);
            words ^= glance.flow.map_or(0, |hash| self.flows.touch_index(hash));
        }
        let mut new = 0;
        for glance in glances.iter_mut().flatten() {
            self.name(glance);
            if glance.is_new() {
                words ^= self.flows.touch_free(new);
                new += 1;
            } else if let Some(flow) = glance.named {
                words ^= self.flows.touch(flow);
            }
        }
        black_box(words);
    }

    #[inline(always)]
    pub(super) fn glance(&self, ingress: PortId, head: &[u8]) -> Result<Glance, DropReason> {
        let header = Ethernet::parse(head)?;
        let source = self.fdb.spot(header.source, header.vlan);
        let destination = self.fdb.spot(header.destination, header.vlan);
        let from_real = self.tables.port_sets().with_reals.contains(ingress);
        let direction = match header.destination.looks_virtual() {
            true => Some(Direction::ToReal),
            false => from_real.then_some(Direction::ToClient),
        };
        let flow = direction.and_then(|direction| {
            let key = glance_at_key(&header, head, direction)?;
            Some(self.flows.hash(&key, direction))
        });
        Ok(Glance { header, source, destination, flow, named: None })
    }

    /// Looks which flow the index names for a frame.
    #[inline(always)]
    pub(super) fn name(&self, glance: &mut Glance) {
        glance.named = glance.flow.and_then(|hash| self.flows.named(hash));
    }

    /// Pass 4. Nearly all frames go out of one port: those have a way of their own to the end, on which
    /// a verdict is one byte in a register.
    #[inline(always)]
    pub(super) fn end(
        &mut self,
        ingress: PortId,
        frame: &mut Frame<'_>,
        glance: &Result<Glance, DropReason>,
        now: Instant,
    ) -> Verdict {
        match self.decide_at(ingress, frame, glance, now) {
            Ok(Verdict::Forward(port)) => {
                self.endings[ingress.index()].forwarded();
                Verdict::Forward(port)
            }
            decided => {
                let verdict = self.settle(ingress, glance, decided, now);
                self.endings[ingress.index()].count(verdict);
                verdict
            }
        }
    }

    /// What comes from an uplink that stands by has come by another one, or will; and who looks on has
    /// nothing to say.
    #[cold]
    fn end_closed(&mut self, ingress: PortId, head: &[u8]) -> Verdict {
        let verdict = self.closed_to(ingress, head);
        self.endings[ingress.index()].count(verdict);
        verdict
    }

    /// Of what comes by a port that is closed only what is about the link itself is heard.
    pub(super) fn closed_to(&self, port: PortId, head: &[u8]) -> Verdict {
        let reason = match self.tables.mirrors().destinations().contains(port) {
            true => DropReason::MirrorPort,
            false => DropReason::Standby,
        };
        let header = Ethernet::parse(head).ok();
        let header = header.filter(|header| header.destination.is_reserved_group());
        let heard = header.and_then(|header| self.of_the_link(port, &header).ok());
        heard.unwrap_or(Verdict::Drop(reason))
    }

    /// The same where some port has a policer.
    #[inline(never)]
    fn end_measured(
        &mut self,
        ingress: PortId,
        frame: &mut Frame<'_>,
        glance: &Result<Glance, DropReason>,
        now: Instant,
    ) -> Verdict {
        let verdict = match self.meters.let_in(ingress, frame.len, now) {
            true => {
                let decided = self.decide_at(ingress, frame, glance, now);
                self.settle(ingress, glance, decided, now)
            }
            false => Verdict::Drop(DropReason::PoliceIn),
        };
        let verdict = self.meters.leave(verdict, frame.len, now);
        self.endings[ingress.index()].count(verdict);
        verdict
    }

    /// By itself, as it is for the few that are not sent out of one port.
    #[inline(never)]
    fn settle(
        &mut self,
        ingress: PortId,
        glance: &Result<Glance, DropReason>,
        decided: Result<Verdict, DropReason>,
        now: Instant,
    ) -> Verdict {
        let verdict = decided.unwrap_or_else(Verdict::Drop);
        if let (Verdict::Flood(_), Ok(glance)) = (verdict, glance) {
            self.meters.flooded(ingress, glance.header.destination, now);
        }
        verdict
    }

    #[inline(always)]
    fn decide_at(
        &mut self,
        ingress: PortId,
        frame: &mut Frame<'_>,
        glance: &Result<Glance, DropReason>,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        match glance {
            Ok(glance) => {
                let long = self.long(ingress, frame, &glance.header);
                let decided = self.decide(ingress, frame, glance, now);
                match long {
                    None => decided,
                    Some(long) => self.fit(decided, ingress, (&glance.header, &long), frame, now),
                }
            }
            Err(reason) => Err(*reason),
        }
    }

    #[inline(always)]
    fn decide(
        &mut self,
        ingress: PortId,
        frame: &mut Frame<'_>,
        glance: &Glance,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let header = &glance.header;
        if header.destination.is_reserved_group() {
            return self.of_the_link(ingress, header);
        }
        if let Err(reason) = frame.check(header, self.tables.mtus().of(ingress)) {
            if reason == DropReason::TooBig {
                self.too_big(ingress, header, frame, now);
            }
            return Err(reason);
        }
        self.learn(header, glance.source, ingress, now)?;
        let to_us = self.tables.is_virtual(header.destination);
        if let Some(port) = self.pass(ingress, glance, to_us, frame, now) {
            return Ok(Verdict::Forward(port));
        }
        let is_guest = self.is_guest(ingress);
        if to_us && is_guest && header.destination.looks_managements() {
            return Err(DropReason::ManagementPort);
        }
        let decided = match header.ethertype {
            ETHERTYPE_ARP => self.arp(ingress, header, frame.head, now)?,
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {
                let peek = Peek::of(header, frame.head);
                if peek.to_link_local && !is_guest {
                    return Err(DropReason::ReportPort);
                }
                match to_us || is_guest || peek.may_concern_us {
                    true => self.ip(ingress, glance, to_us, peek, frame, now)?,
                    false => None,
                }
            }
            _ if is_guest && !to_us => {
                self.check_disguise(ingress, header, frame.head)?;
                let access = self.tables.lists().judge_other(ingress);
                self.abide(ingress, access)?;
                None
            }
            _ => None,
        };
        match decided {
            Some(verdict) => Ok(verdict),
            None if to_us => Err(DropReason::NotForUs),
            None => match self.fdb.lookup_at(glance.destination, now) {
                None if header.destination.is_group() => {
                    self.switch_to_many(ingress, header, (frame.head, frame.len), now)
                }
                station => {
                    let egress = self.tables.switched(ingress, header.vlan);
                    self.send_to(station, egress, (ingress, header), now)
                }
            },
        }
    }

    /// Sorts out the packets that are ours to answer or to balance; `None` leaves the packet to
    /// the switch.
    #[inline(never)]
    fn ip(
        &mut self,
        ingress: PortId,
        glance: &Glance,
        to_us: bool,
        Peek { to_link_local, may_concern_us }: Peek,
        frame: &mut Frame<'_>,
        now: Instant,
    ) -> Result<Option<Verdict>, DropReason> {
        let header = &glance.header;
        let is_guest = self.is_guest(ingress);
        let parsed = Ip::parse(frame.head, frame.len, header.payload_at, header.ethertype);
        let ip = match parsed {
            Some(Ok(ip)) => ip,
            Some(Err(reason)) if to_us || to_link_local => return Err(reason),
            Some(Err(reason)) if self.must_be_read(ingress, header) => return Err(reason),
            Some(Err(_)) | None => return Ok(None),
        };
        let Frame { ref mut head, len, offload } = *frame;
        let named = glance.named;
        let mut packet = Inbound { ingress, header, ip: &ip, head, len, offload, named, now };
        if is_guest {
            self.guard(&packet)?;
        }
        if may_concern_us && let Some(verdict) = self.concern(&mut packet)? {
            return Ok(Some(verdict));
        }
        if to_link_local || is_guest && self.is_probe_source(ingress, ip.destination) {
            return self.at_switch(packet).map(Some);
        }
        let access = self.judge_access(&packet);
        if to_us && is_guest {
            self.check_sender(&packet)?;
            self.abide(ingress, access)?;
        }
        if to_us {
            return match ip.is_whole_segment() {
                _ if header.destination.looks_managements() => self.at_management(packet).map(Some),
                true => self.balance(packet).map(|port| Some(Verdict::Forward(port))),
                false => self.at_vip(packet).map(Some),
            };
        }
        // A flow that a guest serves knows its address, whatever the guest's is now.
        let sender = if is_guest { self.check_source_of(&packet) } else { Ok(()) };
        if icmp::is_icmp(&ip) && is_guest {
            self.check_sender(&packet)?;
        }
        if self.tables.port_sets().with_reals.contains(ingress)
            && let Some(verdict) = self.of_real(packet)?
        {
            return Ok(Some(verdict));
        }
        sender?;
        self.abide(ingress, access)?;
        Ok(None)
    }

    /// What is said to many, and perhaps to us: neighbor discovery, a DHCP server's answer.
    #[inline(never)]
    fn concern(&mut self, packet: &mut Inbound<'_>) -> Result<Option<Verdict>, DropReason> {
        if nd::is_neighbor(packet.head, packet.ip) {
            let verdict = self.neighbor(packet);
            if verdict == Err(DropReason::NdSpoof) {
                self.hear_claim_in(packet);
            }
            return verdict;
        }
        let Inbound { ingress, header, ip, ref head, .. } = *packet;
        Ok(self.is_lease(ingress, header, ip, head).then_some(Verdict::Punt))
    }
}

/// The key of the flow that a frame is of, if it is what most are: a segment without options.
#[inline(always)]
fn glance_at_key(header: &Ethernet, head: &[u8], direction: Direction) -> Option<FlowKey> {
    let packet = head.get(header.payload_at..)?;
    let (protocol, [source, destination], ports) = match header.ethertype {
        ETHERTYPE_IPV4 => {
            let [.., p, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *packet.first_chunk::<20>()?;
            let addresses = [[s0, s1, s2, s3], [d0, d1, d2, d3]];
            (p, addresses.map(u32::from_be_bytes).map(Address::v4), bytes_at(packet, 20)?)
        }
        ETHERTYPE_IPV6 => {
            let addresses = [bytes_at(packet, 8)?, bytes_at(packet, 24)?];
            (packet[6], addresses.map(Address::v6), bytes_at(packet, 40)?)
        }
        _ => return None,
    };
    let protocol = Protocol::of(protocol)?;
    let [s0, s1, d0, d1] = ports;
    let source = Endpoint { address: source, port: u16::from_be_bytes([s0, s1]) };
    let destination = Endpoint { address: destination, port: u16::from_be_bytes([d0, d1]) };
    let (client, server) = match direction {
        Direction::ToReal => (source, destination),
        Direction::ToClient => (destination, source),
    };
    Some(FlowKey::new(protocol, header.vlan, client, server))
}

/// What is looked at before a packet is parsed: most are only switched.
pub(super) struct Peek {
    pub to_link_local: bool,
    /// Neighbor discovery, or something whose extension headers would have to be walked to know; to
    /// everybody, as some DHCP servers answer.
    pub may_concern_us: bool,
}

impl Peek {
    #[inline]
    pub(super) fn of(header: &Ethernet, head: &[u8]) -> Peek {
        let at = header.payload_at;
        if header.ethertype == ETHERTYPE_IPV4 {
            let destination = bytes_at(head, at + 16).map(u32::from_be_bytes);
            return Peek {
                to_link_local: destination.map(Address::v4).is_some_and(is_link_local_of_ours),
                may_concern_us: destination == Some(u32::MAX),
            };
        }
        let destination = bytes_at(head, at + 24).map(Address::v6);
        let is_transport = |next: &u8| Protocol::of(*next).is_some();
        Peek {
            to_link_local: destination.is_some_and(is_link_local_of_ours),
            may_concern_us: head.get(at + 6).is_some_and(|next| !is_transport(next)),
        }
    }
}
