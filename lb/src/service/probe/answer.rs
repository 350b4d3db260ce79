//! Whether a packet to the switch answers a probe, and whose.
//!
//! Asked twice of every answer: by the data path, which drops what answers nothing (`no_probe`), and
//! by the slow path, for the probe may have ended in between. Neither changes anything; what does is
//! given a packet that is whole, of the asked guest, by its own port, and from where and to where the
//! probe went. Checksums of TCP and UDP are for the slow path alone: before, a NIC may still have to
//! finish them.

use super::{ErrandId, Mark, Probes, Sender, is_probe_port};
use crate::wire::icmp::{self, IcmpError};
use crate::wire::ip::{Fragmentation, Version};
use crate::wire::{Endpoint, Ip, Transport, ipv4, ipv6};
use crate::{DropReason, Protocol};

/// A packet that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub errand: ErrandId,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A segment of its connection.
    Segment,
    /// A datagram, if its checksum is right.
    Datagram,
    Echo,
    Unreachable,
}

impl Probes {
    /// The probe that a packet answers; `None` if it is about none, and a reason if it only seems so.
    pub(crate) fn answered(
        &self,
        sender: Sender,
        ip: &Ip,
        frame: &[u8],
    ) -> Option<Result<Answer, DropReason>> {
        if ip.part().is_some() {
            return None;
        }
        if icmp::is_icmp(ip) {
            let answer = match icmp::is_error(frame, ip) {
                true => self.unreachable(sender, ip, frame),
                false => self.echo(sender, ip, frame),
            };
            return answer.map(|answer| checked(ip, frame).map(|()| answer));
        }
        let segment = Transport::parse(frame, ip).ok()?;
        is_probe_port(segment.destination.port).then(|| {
            checked(ip, frame)?;
            match segment.protocol {
                Protocol::Tcp => self.segment_of(sender, &segment),
                Protocol::Udp => self.datagram(sender, &segment),
            }
        })
    }

    fn segment_of(&self, sender: Sender, segment: &Transport) -> Result<Answer, DropReason> {
        if segment.flags.opens() {
            // No guest calls a probe's port.
            return Err(DropReason::TcpFlags);
        }
        let errand = self.connections.of(sender, segment).ok_or(DropReason::NoProbe)?;
        Ok(Answer { errand, what: What::Segment })
    }

    fn datagram(&self, sender: Sender, segment: &Transport) -> Result<Answer, DropReason> {
        let (asked, asker) = (segment.source, segment.destination);
        let errand = self.datagram_between(sender, asker, asked).ok_or(DropReason::NoProbe)?;
        Ok(Answer { errand, what: What::Datagram })
    }

    fn echo(&self, sender: Sender, ip: &Ip, frame: &[u8]) -> Option<Answer> {
        let (id, sequence) = icmp::echo_reply(frame, ip)?;
        let errand = ErrandId::of_echo(id);
        let is_its = self.probe(errand)?.mark == Mark::Echo { id, sequence };
        let target = &self.errand(errand)?.target;
        let ends = (target.address, target.source) == (ip.source, ip.destination);
        let is_its = is_its && target.is_at(sender) && ends;
        (is_its && icmp::check_sum(frame, ip).is_ok())
            .then_some(Answer { errand, what: What::Echo })
    }

    /// The guest's word that nobody listens where a datagram went. It may come from any address of
    /// the guest's.
    fn unreachable(&self, sender: Sender, ip: &Ip, frame: &[u8]) -> Option<Answer> {
        let quote = IcmpError::parse(frame, ip).ok()?.quote;
        let is_about_us = quote.protocol == Protocol::Udp && quote.source.address == ip.destination;
        let errand = self.datagram_between(sender, quote.source, quote.destination)?;
        let is_good = icmp::is_port_unreachable(frame, ip) && icmp::check_sum(frame, ip).is_ok();
        (is_about_us && is_good).then_some(Answer { errand, what: What::Unreachable })
    }

    /// The errand whose datagram is under way between these ends.
    fn datagram_between(
        &self,
        sender: Sender,
        asker: Endpoint,
        asked: Endpoint,
    ) -> Option<ErrandId> {
        let errand = ErrandId::of_port(asker.port)?;
        let is_its = self.probe(errand)?.mark == Mark::Datagram;
        let target = &self.errand(errand)?.target;
        let ends = (target.source, target.end()) == (asker.address, asked);
        (is_its && target.is_at(sender) && ends).then_some(errand)
    }
}

/// What an answer must be like: nothing of what a neighbour has no use for.
fn checked(ip: &Ip, frame: &[u8]) -> Result<(), DropReason> {
    ip.check(frame)?;
    let (plain, reason) = match ip.version {
        Version::V4 => (ipv4::HEADER_BYTES, DropReason::IpOption),
        Version::V6 => (ipv6::HEADER_BYTES, DropReason::Ip6Extension),
    };
    let is_plain = ip.payload_at == ip.at + plain && ip.fragment == Fragmentation::Whole;
    if is_plain { Ok(()) } else { Err(reason) }
}
