//! How frames come in: many at once, a verdict each, and the memory's latency hidden.
//!
//! ```text
//!   1  glance   which lines will this frame want?              instructions, every frame
//!   2  touch    its addresses' lines and its flow's place in the index      cold, all at once
//!   3  touch    the flow that is named there                                cold, all at once
//!   4  decide   one frame after the other, in their order                   from the cache
//! ```
//!
//! A line of memory that no cache holds costs several times all instructions that a frame takes, if
//! it is waited for; sixteen that are asked for together cost little more than one.
//!
//! The first three passes are hints and nothing else. A glance checks nothing and a touch is a plain
//! read of a word that nobody looks at, so whatever they do, [`Dataplane::decide`] alone decides: it
//! reads each frame as if it were the only one, and meets what the frames before it have changed. A
//! frame that comes alone goes there straight.

use core::hint::black_box;
use core::{iter, slice};

use crate::addr::is_link_local_of_ours;
use crate::dataplane::{Dataplane, Inbound};
use crate::fdb;
use crate::flow::{Direction, FlowId, FlowKey, index};
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use crate::wire::{Address, Endpoint, Ip, bytes_at, nd};
use crate::{DropReason, Frame, Instant, PortId, Protocol, Verdict};

/// Frames that are under way at once. What they touch, some eight lines each, fills a third of a
/// first cache of 48 KiB; and no processor waits for more lines than this at a time.
const BATCH_FRAMES: usize = 32;

/// Where a frame will look.
struct Glance {
    source: fdb::Spot,
    destination: fdb::Spot,
    flow: Option<index::Hash>,
}

/// The flow that each frame of a batch is most likely of.
type Named = heapless::Vec<Option<FlowId>, BATCH_FRAMES>;

impl Dataplane {
    /// Decides about a frame that came in on `ingress`, rewrites it in place and counts its end.
    pub fn receive(&mut self, ingress: PortId, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        let mut verdict = Verdict::Drop(DropReason::Runt);
        self.receive_batch(ingress, slice::from_mut(frame), now, |its| verdict = its);
        verdict
    }

    /// The same for many, which costs less for each; `ended` hears the verdicts in the frames' order.
    #[inline]
    pub fn receive_batch(
        &mut self,
        ingress: PortId,
        frames: &mut [Frame<'_>],
        now: Instant,
        mut ended: impl FnMut(Verdict),
    ) {
        for batch in frames.chunks_mut(BATCH_FRAMES) {
            let named = if batch.len() > 1 { self.touch(ingress, batch) } else { Named::new() };
            let named = named.into_iter().chain(iter::repeat(None));
            for (frame, named) in batch.iter_mut().zip(named) {
                let verdict = settled(self.decide(ingress, frame, named, now));
                self.endings[ingress.index()].count(verdict);
                ended(verdict);
            }
        }
    }

    /// Passes 1 to 3. Which flow the index names for each frame is not lost: whoever looks for the
    /// flow asks that one first whether it is the one.
    fn touch(&self, ingress: PortId, frames: &[Frame<'_>]) -> Named {
        let from_real = self.tables.port_sets().with_reals.contains(ingress);
        let glances = frames.iter().map(|frame| self.glance(frame.head, from_real));
        let glances: heapless::Vec<Option<Glance>, BATCH_FRAMES> = glances.collect();
        let mut words = 0;
        for Glance { source, destination, flow } in glances.iter().flatten() {
            words ^= self.fdb.touch(*source) ^ self.fdb.touch(*destination);
            words ^= flow.map_or(0, |hash| self.flows.touch_index(hash));
        }
        let hashes = glances.iter().map(|glance| glance.as_ref().and_then(|glance| glance.flow));
        let named = hashes.map(|hash| {
            let named = self.flows.named(hash?)?;
            words ^= self.flows.touch(named);
            Some(named)
        });
        let named = named.collect();
        black_box(words);
        named
    }

    #[inline(always)]
    fn glance(&self, head: &[u8], from_real: bool) -> Option<Glance> {
        let header = Ethernet::parse(head).ok()?;
        let source = self.fdb.spot(header.source, header.vlan);
        if header.destination.looks_virtual() {
            let key = glance_at_key(&header, head, Direction::ToReal);
            let flow = key.map(|key| self.flows.hash(&key, Direction::ToReal));
            // Nobody asks where our own addresses are.
            return Some(Glance { source, destination: source, flow });
        }
        let key = if from_real { glance_at_key(&header, head, Direction::ToClient) } else { None };
        let flow = key.map(|key| self.flows.hash(&key, Direction::ToClient));
        let destination = self.fdb.spot(header.destination, header.vlan);
        Some(Glance { source, destination, flow })
    }

    /// Pass 4.
    #[inline(always)]
    fn decide(
        &mut self,
        ingress: PortId,
        frame: &mut Frame<'_>,
        named: Option<FlowId>,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let header = Ethernet::parse(frame.head)?;
        if header.destination.is_reserved_group() {
            return Err(DropReason::LinkLocal);
        }
        if let Err(reason) = frame.check(&header) {
            if reason == DropReason::TooBig {
                self.too_big(ingress, &header, frame, now);
            }
            return Err(reason);
        }
        self.learn(&header, ingress, now)?;
        let to_us = self.tables.is_virtual(header.destination);
        let decided = match header.ethertype {
            ETHERTYPE_ARP => self.arp(ingress, &header, frame.head, now)?,
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => {
                self.ip(ingress, &header, to_us, frame, named, now)?
            }
            _ => None,
        };
        match decided {
            Some(verdict) => Ok(verdict),
            None if to_us => Err(DropReason::NotForUs),
            None => self.switch(ingress, &header, now),
        }
    }

    /// Sorts out the packets that are ours to answer or to balance; `None` leaves the packet to
    /// the switch.
    #[inline(always)]
    fn ip(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        to_us: bool,
        frame: &mut Frame<'_>,
        named: Option<FlowId>,
        now: Instant,
    ) -> Result<Option<Verdict>, DropReason> {
        let sets = *self.tables.port_sets();
        let is_guest = !sets.uplinks.contains(ingress);
        let Peek { to_link_local, may_be_neighbor } = Peek::of(header, frame.head);
        if to_link_local && !is_guest {
            return Err(DropReason::ReportPort);
        }
        if !to_us && !is_guest && !may_be_neighbor {
            return Ok(None);
        }
        let parsed = Ip::parse(frame.head, frame.len, header.payload_at, header.ethertype);
        let ip = match parsed {
            Some(Ok(ip)) => ip,
            Some(Err(reason)) if to_us || to_link_local => return Err(reason),
            Some(Err(reason @ DropReason::Ip6Extension)) if self.is_guests(ingress, header) => {
                return Err(reason);
            }
            Some(Err(_)) | None => return Ok(None),
        };
        let Frame { ref mut head, len, offload } = *frame;
        let mut packet = Inbound { ingress, header, ip: &ip, head, len, offload, named, now };
        if is_guest {
            self.guard(&packet)?;
        }
        if may_be_neighbor
            && nd::is_neighbor(packet.head, &ip)
            && let Some(verdict) = self.neighbor(&mut packet)?
        {
            return Ok(Some(verdict));
        }
        if to_link_local {
            return self.at_link_local(packet).map(Some);
        }
        if to_us {
            return self.at_vip(packet).map(Some);
        }
        if sets.with_reals.contains(ingress)
            && let Some(verdict) = self.of_real(packet)?
        {
            return Ok(Some(verdict));
        }
        let in_a_vips_name = is_guest && self.tables.is_vip(header.vlan, ip.source);
        if in_a_vips_name { Err(DropReason::VipSource) } else { Ok(None) }
    }
}

/// Case by case, which stays in registers: a verdict copied whole, of which only a part has just
/// been written, waits until its parts have met in the cache (4 ns).
#[inline(always)]
fn settled(decided: Result<Verdict, DropReason>) -> Verdict {
    match decided {
        Ok(Verdict::Forward(port)) => Verdict::Forward(port),
        Ok(Verdict::Flood(ports)) => Verdict::Flood(ports),
        Ok(Verdict::Reply) => Verdict::Reply,
        Ok(Verdict::Punt) => Verdict::Punt,
        Ok(Verdict::Hold) => Verdict::Hold,
        Ok(Verdict::Drop(reason)) | Err(reason) => Verdict::Drop(reason),
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
struct Peek {
    to_link_local: bool,
    /// Neighbor discovery, or something whose extension headers would have to be walked to know.
    may_be_neighbor: bool,
}

impl Peek {
    #[inline]
    fn of(header: &Ethernet, head: &[u8]) -> Peek {
        let at = header.payload_at;
        if header.ethertype == ETHERTYPE_IPV4 {
            let destination = bytes_at(head, at + 16).map(u32::from_be_bytes).map(Address::v4);
            let to_link_local = destination.is_some_and(is_link_local_of_ours);
            return Peek { to_link_local, may_be_neighbor: false };
        }
        let destination = bytes_at(head, at + 24).map(Address::v6);
        let is_transport = |next: &u8| Protocol::of(*next).is_some();
        Peek {
            to_link_local: destination.is_some_and(is_link_local_of_ours),
            may_be_neighbor: head.get(at + 6).is_some_and(|next| !is_transport(next)),
        }
    }
}
