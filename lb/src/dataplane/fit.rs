//! Packets that are longer than the ports take ([`crate::switch::mtu`]).
//!
//! ```text
//!   a port ──▶ longer than its own MTU: it ends there           what is to a VIP, or from a real for it,
//!      └─────▶ decided ──▶ longer than the egress port's ─────▶ is told the MTU that it met (RFC 1191 §4,
//!                          of a flood: those ports get none     RFC 8201 §4), the rest only ends
//! ```
//!
//! A switch tells nobody anything; but both ends of a balanced flow believe that there is one link between
//! them, or at least a router that would speak. Of an IPv4 packet that may be cut a router would say nothing;
//! neither do we, who cut none.

use crate::dataplane::refuse::Complaint;
use crate::dataplane::{Dataplane, Inbound};
use crate::switch::mtu::Mtu;
use crate::wire::{Ethernet, Ip, icmp};
use crate::{DropReason, Frame, Instant, MacAddr, PortId, PortSet, Verdict};

/// As much of a packet as is ever quoted, and its frame's header (RFC 4443 §2.4 c).
const QUOTE_BYTES_MAX: usize = 1280 + 22;

/// A packet that not every port takes, as it came.
pub(super) struct Long {
    packet_len: usize,
    frame_len: usize,
    head: [u8; QUOTE_BYTES_MAX],
    head_len: usize,
}

/// Which way a packet of a balanced flow goes.
enum Way {
    ToVip,
    FromVip,
}

impl Dataplane {
    /// Before it is decided about: whether all ports take it, and what is to be quoted if not.
    #[inline(always)]
    pub(super) fn long(
        &self,
        ingress: PortId,
        frame: &Frame<'_>,
        header: &Ethernet,
    ) -> Option<Long> {
        match self.tables.mtus().is_least(ingress) {
            true => None,
            false => self.keep_long(frame, header),
        }
    }

    #[cold]
    fn keep_long(&self, frame: &Frame<'_>, header: &Ethernet) -> Option<Long> {
        let packet_len = frame.packet_len(header);
        if self.tables.mtus().least().takes(packet_len) {
            return None;
        }
        let head_len = frame.head.len().min(QUOTE_BYTES_MAX);
        let mut head = [0; QUOTE_BYTES_MAX];
        head[..head_len].copy_from_slice(&frame.head[..head_len]);
        Some(Long { packet_len, frame_len: frame.len, head, head_len })
    }

    /// After that: where it may go, by its length; who sent it may be told. The frame is what it would
    /// leave as.
    #[cold]
    pub(super) fn fit(
        &mut self,
        decided: Result<Verdict, DropReason>,
        ingress: PortId,
        (header, long): (&Ethernet, &Long),
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let verdict = decided?;
        let fitting = self.fitting(verdict, long.packet_len);
        if fitting.is_err() {
            let egress = match verdict {
                Verdict::Forward(port) => PortSet::EMPTY.with(port),
                Verdict::Flood(ports) => ports,
                Verdict::Reply | Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => PortSet::EMPTY,
            };
            let (way, mtu) = (self.way_out(header, frame), self.tables.mtus().least_of(egress));
            let mut head = long.head;
            let head = &mut head[..long.head_len];
            let mut came = Frame { head, len: long.frame_len, offload: frame.offload };
            self.tell_too_big(ingress, header, &mut came, way, mtu, now);
        }
        fitting
    }

    /// A verdict without the ports that a packet of so many bytes is too long for.
    pub(super) fn fitting(
        &self,
        verdict: Verdict,
        packet_len: usize,
    ) -> Result<Verdict, DropReason> {
        let mtus = self.tables.mtus();
        match verdict {
            Verdict::Forward(port) if !mtus.of(port).takes(packet_len) => Err(DropReason::TooBig),
            Verdict::Flood(ports) => match mtus.taking(ports, packet_len) {
                taking if taking.is_empty() && !ports.is_empty() => Err(DropReason::TooBig),
                taking => Ok(Verdict::Flood(taking)),
            },
            other => Ok(other),
        }
    }

    /// Tells who sent a frame that its own port does not take, if it was for a VIP.
    pub(super) fn too_big(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        frame: &mut Frame<'_>,
        now: Instant,
    ) {
        let mtu = self.tables.mtus().of(ingress);
        self.tell_too_big(ingress, header, frame, Some(Way::ToVip), mtu, now);
    }

    /// Which way a frame went that was decided about and is what it leaves as.
    fn way_out(&self, came: &Ethernet, frame: &Frame<'_>) -> Option<Way> {
        if self.tables.is_virtual(came.destination) {
            return Some(Way::ToVip);
        }
        let Frame { ref head, len, .. } = *frame;
        let ip = Ip::parse(head, len, came.payload_at, came.ethertype)?.ok()?;
        self.tables.is_vip(came.vlan, ip.source).then_some(Way::FromVip)
    }

    fn tell_too_big(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        frame: &mut Frame<'_>,
        way: Option<Way>,
        mtu: Mtu,
        now: Instant,
    ) {
        let parsed = Ip::parse(frame.head, frame.len, header.payload_at, header.ethertype);
        let (Some(Ok(ip)), Some(way)) = (parsed, way) else {
            return;
        };
        let (is_balanced, mac) = match way {
            Way::ToVip => {
                let is_balanced = self.tables.is_virtual(header.destination)
                    && self.tables.is_vip(header.vlan, ip.destination);
                (is_balanced, MacAddr::virtual_of(ip.destination.into()))
            }
            Way::FromVip => (true, MacAddr::SWITCH),
        };
        // Nobody hears an error about an error, a fragment that is not the first, or to a group
        // (RFC 1122 §3.2.2, RFC 4443 §2.4).
        let is_error = icmp::is_icmp(&ip) && icmp::is_error(frame.head, &ip);
        if is_error || ip.is_later_part() || !header.source.is_station() {
            return;
        }
        if !is_balanced || ip.check(frame.head).is_err() || ip.may_be_cut(frame.head) {
            return;
        }
        let Frame { ref mut head, len, offload } = *frame;
        let packet = Inbound { ingress, header, ip: &ip, head, len, offload, named: None, now };
        self.complain(mac, &packet, Complaint::TooBig { mtu: mtu.get() });
    }
}
