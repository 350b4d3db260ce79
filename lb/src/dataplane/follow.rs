//! Fragments of balanced packets, either way, follow their first fragment.
//!
//! The first one is balanced like a whole packet, and the flow's key is left in the table of
//! fragments ([`crate::flow::fragments`]) for the others. Those have no ports: only addresses change, and
//! with them, in the first fragment, the checksum of the whole datagram.
//!
//! A fragment that comes before its first is copied and ends as [`Verdict::Hold`]; once the first is
//! there it goes on by way of the outbox, and if none comes it is dropped in the end.
//!
//! Of what a guest sends only the fragments of flows that it serves are touched. So a first fragment
//! of anything else is noted as such, and wherever the table refuses one of a guest's fragments, the
//! switch takes it as it is.

use crate::addr::is_link_local_of_ours;
use crate::dataplane::access::is_permitted;
use crate::dataplane::{Dataplane, Inbound};
use crate::flow::fragments::{DatagramKey, Fragment, HELD_BYTES_MAX, Later};
use crate::flow::{Direction, FlowId, FlowKey};
use crate::wire::ip::{self, Version};
use crate::wire::{Ethernet, Ip, Transport, ethernet, icmp};
use crate::{DropReason, Instant, MacAddr, PortId, PortSet, Verdict};

/// What was decided about a first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Flow(FlowKey, Direction),
    /// Of no flow: it is switched.
    Switch,
}

impl Dataplane {
    /// A fragment to a VIP.
    pub(super) fn part_to_vip(
        &mut self,
        packet: Inbound<'_>,
        part: ip::Fragment,
    ) -> Result<Verdict, DropReason> {
        let fragment = fragment(part)?;
        let key = datagram(&packet, part);
        if !fragment.is_first() {
            let later = self.fragments.later(&key, fragment, packet.head, packet.now);
            return match later.map_err(|_| DropReason::Fragment)? {
                Later::Decided(course) => self.follow(packet, course),
                Later::Held => Ok(Verdict::Hold),
            };
        }
        if icmp::is_icmp(packet.ip) {
            return Err(DropReason::Fragment);
        }
        if fragment.is_tiny(packet.ip.protocol) {
            return Err(DropReason::TinyFragment);
        }
        let segment = Transport::parse(packet.head, packet.ip)?;
        let known = self.flows.find(&segment.key_to_real(packet.header.vlan), Direction::ToReal);
        let known = self.unless_severed(known, &packet, &segment)?;
        let flow = self.flow_to_real(&packet, &segment, known)?;
        let course = self.flows.get(flow).map(|flow| {
            let direction = flow.directions()[0];
            Course::Flow(*flow.key(direction), Direction::ToReal)
        });
        let course = course.ok_or(DropReason::NoFlow)?;
        let now = packet.now;
        self.fragments.first(&key, fragment, course, now).map_err(|_| DropReason::Fragment)?;
        let port = self.deliver(packet, &segment, flow);
        self.release(&key, now);
        port.map(Verdict::Forward)
    }

    /// A fragment from a guest with reals; `None` leaves it to the switch.
    pub(super) fn part_of_real(
        &mut self,
        packet: Inbound<'_>,
        part: ip::Fragment,
    ) -> Result<Option<Verdict>, DropReason> {
        // No flow's client is a group.
        let is_for_one = !packet.header.destination.is_group();
        let Some(fragment) = fragment(part).ok().filter(|_| is_for_one) else {
            return Ok(None);
        };
        let (key, now) = (datagram(&packet, part), packet.now);
        if !fragment.is_first() {
            return match self.fragments.later(&key, fragment, packet.head, now) {
                Ok(Later::Decided(Course::Switch)) | Err(_) => Ok(None),
                Ok(Later::Decided(course)) => self.follow(packet, course).map(Some),
                Ok(Later::Held) => Ok(Some(Verdict::Hold)),
            };
        }
        let segment = Transport::parse(packet.head, packet.ip).ok();
        let found = segment.and_then(|segment| {
            let key = segment.key_to_client(packet.header.vlan);
            self.flows.find(&key, Direction::ToClient).map(|_| key)
        });
        let course = found.map_or(Course::Switch, |key| Course::Flow(key, Direction::ToClient));
        let taken = self.fragments.first(&key, fragment, course, now);
        let verdict = match (course, taken) {
            (Course::Flow(..), Ok(())) => self.answer_of_real(packet)?,
            (Course::Flow(..), Err(_)) => return Err(DropReason::Fragment),
            (Course::Switch, _) => None,
        };
        self.release(&key, now);
        Ok(verdict)
    }

    /// Lets a later fragment go the way of its first, if it was sent the same way: the fragments of
    /// one datagram may name several MACs, and what names ours is never switched, what does not is
    /// nobody's to balance.
    fn follow(&mut self, mut packet: Inbound<'_>, course: Course) -> Result<Verdict, DropReason> {
        let (verdict, of) = self.judge_later(&mut packet, course)?;
        if let Some((id, direction)) = of {
            self.count_traffic(id, direction, packet.len);
        }
        Ok(verdict)
    }

    /// The same without counting it, and the flow that it goes by; it is rewritten in place.
    pub(super) fn judge_later(
        &self,
        packet: &mut Inbound<'_>,
        course: Course,
    ) -> Result<(Verdict, Option<(FlowId, Direction)>), DropReason> {
        let to_switch = is_link_local_of_ours(packet.ip.destination);
        let to_us = self.tables.is_virtual(packet.header.destination);
        let (key, direction) = match course {
            Course::Switch if to_switch || to_us => return Err(DropReason::Fragment),
            Course::Flow(_, Direction::ToClient) if to_us && !to_switch => {
                return Err(DropReason::Fragment);
            }
            Course::Flow(key, Direction::ToReal) if to_us => (key, Direction::ToReal),
            Course::Flow(key, Direction::ToClient) => (key, Direction::ToClient),
            Course::Switch | Course::Flow(_, Direction::ToReal) => {
                self.check_source_of(packet)?;
                is_permitted(self.judge_access(packet))?;
                let verdict = self.switch(packet.ingress, packet.header, packet.now)?;
                return Ok((verdict, None));
            }
        };
        let found = Direction::BOTH.into_iter().find_map(|by| self.flows.find(&key, by));
        let id = found.ok_or(DropReason::Fragment)?;
        let delivery = self.delivery(id)?;
        let (verdict, source, destination) = match direction {
            Direction::ToReal => {
                self.check_way(&delivery, packet.header)?;
                ethernet::set_addresses(packet.head, delivery.mac, MacAddr::SWITCH);
                let forward = Verdict::Forward(delivery.port);
                (forward, delivery.client_at_real, delivery.real_end)
            }
            Direction::ToClient if !delivery.is_from(packet) => return Err(DropReason::SpoofMac),
            Direction::ToClient => (self.leave(&delivery, packet)?, delivery.vip, delivery.client),
        };
        packet.ip.set_addresses(packet.head, source.address, destination.address);
        Ok((verdict, Some((id, direction))))
    }

    /// Sends on what came before its first fragment.
    fn release(&mut self, key: &DatagramKey, now: Instant) {
        let mut frame = [0; HELD_BYTES_MAX];
        while let Some((len, course)) = self.fragments.release(key, &mut frame) {
            let bytes = &mut frame[..len];
            let verdict = self.follow_held(key.ingress, bytes, course, now);
            self.endings[key.ingress.index()].held_ends(verdict);
            let egress = match verdict {
                Verdict::Forward(port) => PortSet::EMPTY.with(port),
                Verdict::Flood(ports) => ports,
                Verdict::Reply | Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => continue,
            };
            self.outbox.push(egress, &[bytes]);
        }
    }

    fn follow_held(
        &mut self,
        ingress: PortId,
        head: &mut [u8],
        course: Course,
        now: Instant,
    ) -> Verdict {
        let len = head.len();
        // It was parsed when it came.
        let Ok(header) = Ethernet::parse(head) else {
            return Verdict::Drop(DropReason::Fragment);
        };
        let Some(Ok(ip)) = Ip::parse(head, len, header.payload_at, header.ethertype) else {
            return Verdict::Drop(DropReason::Fragment);
        };
        let offload = Default::default();
        let packet =
            Inbound { ingress, header: &header, ip: &ip, head, len, offload, named: None, now };
        let followed = self.follow(packet, course);
        let fitting = followed.and_then(|to| self.fitting(to, len - header.packet_at()));
        fitting.unwrap_or_else(Verdict::Drop)
    }
}

pub(super) fn fragment(part: ip::Fragment) -> Result<Fragment, DropReason> {
    let len = usize::from(part.len_bytes);
    Fragment::new(part.offset_bytes, len, part.more).map_err(|_| DropReason::Fragment)
}

/// What the fragments of this one's datagram have in common.
pub(super) fn datagram(packet: &Inbound<'_>, part: ip::Fragment) -> DatagramKey {
    let Inbound { ingress, header, ip, .. } = packet;
    DatagramKey {
        ingress: *ingress,
        vlan: header.vlan,
        source: ip.source.into(),
        destination: ip.destination.into(),
        identification: part.identification,
        protocol: match ip.version {
            Version::V4 => ip.protocol,
            Version::V6 => 0,
        },
    }
}
