//! Fragments in a trace: whether they follow their first, wait for it, or are refused.

use super::{Walk, segment_of};
use crate::dataplane::Inbound;
use crate::dataplane::follow::{Course, datagram, fragment};
use crate::explain::trace::Step;
use crate::flow::Direction;
use crate::flow::fragments::Later;
use crate::wire::{icmp, ip};
use crate::{DropReason, Verdict};

impl Walk<'_> {
    /// A fragment to a VIP.
    pub(super) fn part_to_vip(
        &mut self,
        packet: &mut Inbound<'_>,
        part: ip::Fragment,
    ) -> Result<Verdict, DropReason> {
        let (plane, now) = (self.plane, self.now);
        let fragment = fragment(part)?;
        let key = datagram(packet, part);
        if !fragment.is_first() {
            let later = plane.fragments.foresee_later(&key, fragment, packet.head.len(), now);
            return self.follow(packet, later.map_err(|_| DropReason::Fragment)?);
        }
        if icmp::is_icmp(packet.ip) {
            return Err(DropReason::Fragment);
        }
        if fragment.is_tiny(packet.ip.protocol) {
            return Err(DropReason::TinyFragment);
        }
        let segment = segment_of(packet)?;
        let known =
            plane.flows.look_up(&segment.key_to_real(packet.header.vlan), Direction::ToReal);
        let flow = self.flow_to_real(packet, &segment, known)?;
        plane.fragments.foresee_first(&key, fragment, now).map_err(|_| DropReason::Fragment)?;
        self.deliver(packet, &segment, &flow)
    }

    /// A fragment from a guest with reals.
    pub(super) fn part_of_real(
        &mut self,
        packet: &mut Inbound<'_>,
        part: ip::Fragment,
    ) -> Result<Option<Verdict>, DropReason> {
        let (plane, now) = (self.plane, self.now);
        let is_for_one = !packet.header.destination.is_group();
        let Some(fragment) = fragment(part).ok().filter(|_| is_for_one) else {
            return Ok(None);
        };
        let key = datagram(packet, part);
        if !fragment.is_first() {
            let later = plane.fragments.foresee_later(&key, fragment, packet.head.len(), now);
            return match later {
                Ok(Later::Decided(Course::Switch)) | Err(_) => Ok(None),
                Ok(later) => self.follow(packet, later).map(Some),
            };
        }
        let segment = segment_of(packet).ok();
        let key_to_client = segment.map(|segment| segment.key_to_client(packet.header.vlan));
        let flow = key_to_client.and_then(|key| plane.flows.look_up(&key, Direction::ToClient));
        if flow.is_none() {
            return Ok(None);
        }
        plane.fragments.foresee_first(&key, fragment, now).map_err(|_| DropReason::Fragment)?;
        self.answer_of_real(packet)
    }

    /// A later fragment, as its first went, or held.
    fn follow(
        &mut self,
        packet: &mut Inbound<'_>,
        later: Later<Course>,
    ) -> Result<Verdict, DropReason> {
        let Later::Decided(course) = later else {
            self.note(Step::Waits);
            return Ok(Verdict::Hold);
        };
        let (verdict, flow) = self.plane.judge_later(packet, course)?;
        self.steps.extend(flow.map(|(id, direction)| Step::Flow(id, direction)));
        Ok(verdict)
    }
}
