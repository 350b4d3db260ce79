//! What must hold, seen with foreign eyes: frames are read by another parser, which sums every
//! checksum in full.

use etherparse::checksum::Sum16BitWords;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use lb::explain::trace::Step;
use lb::limits::{HELD_FRAGMENTS_MAX, ORIGIN_BYTES_MAX, REALS_MAX};
use lb::wire::{Ethernet, Ip};
use lb::*;

use super::cast::{PORTS, port};
use super::mend::pseudo_header;

/// A frame of ours is answered by so many: itself, and fragments that waited for it.
pub const ORIGINS_PER_FRAME_MAX: usize = 1 + HELD_FRAGMENTS_MAX;

/// Whether the checksums of a frame are right; `None` where there is none, or no packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    pub packet: Sums,
    /// Those of the packet that an ICMP error quotes in whole.
    pub quote: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub header: Option<bool>,
    pub transport: Option<bool>,
}

impl Seal {
    pub fn of(frame: &[u8]) -> Seal {
        let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
            return Seal::default();
        };
        let quote = quote(&packet).and_then(|quote| SlicedPacket::from_ip(quote).ok());
        Seal {
            packet: Sums::of(&packet),
            quote: quote.map_or(Sums::default(), |quote| Sums::of(&quote)),
        }
    }
}

impl Sums {
    fn of(packet: &SlicedPacket<'_>) -> Sums {
        let header = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => Some(is_right(Sum16BitWords::new(), ip.header().slice())),
            Some(NetSlice::Ipv6(_) | NetSlice::Arp(_)) | None => None,
        };
        Sums { header, transport: transport(packet) }
    }
}

fn transport(packet: &SlicedPacket<'_>) -> Option<bool> {
    let (protocol, segment) = match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => (6, tcp.slice()),
        TransportSlice::Udp(udp) if udp.checksum() == 0 => return None,
        TransportSlice::Udp(udp) => (17, udp.slice()),
        TransportSlice::Icmpv4(icmp) => {
            return Some(is_right(Sum16BitWords::new(), icmp.slice()));
        }
        TransportSlice::Icmpv6(icmp) => (58, icmp.slice()),
        TransportSlice::Igmp(_) => return None,
    };
    let addresses = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => &ip.header().slice()[12..20],
        NetSlice::Ipv6(ip) => &ip.header().slice()[8..40],
        NetSlice::Arp(_) => return None,
    };
    Some(is_right(pseudo_header(addresses, protocol, segment.len()), segment))
}

fn is_right(sum: Sum16BitWords, bytes: &[u8]) -> bool {
    sum.add_slice(bytes).ones_complement() == 0
}

/// What an ICMP error quotes (RFC 792, RFC 4443 §3).
fn quote<'a>(packet: &SlicedPacket<'a>) -> Option<&'a [u8]> {
    let message = match packet.transport.as_ref()? {
        TransportSlice::Icmpv4(icmp) if matches!(icmp.type_u8(), 3 | 4 | 5 | 11 | 12) => {
            icmp.slice()
        }
        TransportSlice::Icmpv6(icmp) if icmp.type_u8() < 128 => icmp.slice(),
        _ => return None,
    };
    message.get(8..)
}

/// What was said of a frame beforehand is what became of it, unless it was said that this may change.
pub fn check_trace(trace: &Trace, verdict: Verdict, after: &[u8]) {
    if trace.steps.iter().any(|step| matches!(step, Step::News(_))) {
        return;
    }
    assert_eq!(trace.verdict, verdict, "{trace:?}");
    match verdict {
        Verdict::Forward(_) | Verdict::Flood(_) | Verdict::Reply => {
            assert_eq!(trace.frame, after, "{trace:?}");
        }
        Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => {}
    }
}

/// A verdict sends a frame nowhere that it must not go.
pub fn check_egress(plane: &Dataplane, ingress: PortId, verdict: Verdict) {
    let sets = plane.tables().port_sets();
    let from_uplink = sets.uplinks.contains(ingress);
    match verdict {
        Verdict::Forward(egress) => {
            // A guest's flow with itself goes back to where the frame has just come from.
            let is_up = sets.up.contains(egress) || egress == ingress;
            assert!(is_up, "to a link that is down");
            assert!(!from_uplink || !sets.uplinks.contains(egress), "from uplink to uplink");
        }
        Verdict::Flood(egress) => {
            assert!(!egress.is_empty() && !egress.contains(ingress), "{egress:?}");
            assert!(egress.minus(sets.up).is_empty(), "to a link that is down");
            let uplinks = egress.filter(|&port| sets.uplinks.contains(port)).count();
            assert!(!from_uplink || uplinks == 0, "from uplink to uplink");
        }
        Verdict::Reply | Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => {}
    }
}

/// A frame leaves by ports of its VLAN alone, and is not switched from one isolated port to another.
pub fn check_edges(
    plane: &Dataplane,
    ingress: PortId,
    verdict: Verdict,
    [before, after]: [&[u8]; 2],
) {
    let egress = match verdict {
        Verdict::Forward(port) => [port].into_iter().collect(),
        Verdict::Flood(ports) => ports,
        Verdict::Reply => [ingress].into_iter().collect(),
        Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => PortSet::EMPTY,
    };
    let rules = |port: PortId| plane.tables().port(port).map(|port| port.rules.clone());
    let is_apart = |rules: &PortRules| rules.isolated || rules.group.is_some();
    let parts = |one: &PortRules, other: &PortRules| {
        let is_one_group = one.group == other.group && !one.isolated && !other.isolated;
        is_apart(one) && is_apart(other) && !is_one_group
    };
    let is_switched = before == after && verdict != Verdict::Reply;
    for port in egress {
        assert_ne!(plane.departure(port, after), Departure::Never, "by {port:?}: {after:x?}");
        let both = rules(ingress).zip(rules(port));
        let are_parted = both.is_some_and(|(one, other)| parts(&one, &other));
        assert!(!(are_parted && is_switched), "from {ingress:?} to {port:?}: {after:x?}");
    }
}

/// A frame that gets another destination was sent to the switch, or by a guest to itself, and is
/// delivered by the switch, to the guest at that port.
pub fn check_delivery(
    plane: &Dataplane,
    [ingress, egress]: [PortId; 2],
    before: &[u8],
    after: &[u8],
) {
    if mac(before, 0) == mac(after, 0) {
        return;
    }
    let is_to_us = mac(before, 0).looks_virtual() || ingress == egress;
    assert!(is_to_us, "to somebody else: {before:x?}");
    assert!(mac(after, 6).looks_virtual(), "in our own name: {after:x?}");
    let guest = plane.tables().guest_at(egress, mac(after, 0));
    assert!(guest.is_some(), "nobody at port {egress:?} has this MAC: {after:x?}");
}

/// A frame that goes on has changed only where it may.
pub fn check_change(plane: &Dataplane, ingress: PortId, before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    assert_eq!(before.len(), after.len(), "a frame keeps its length");
    assert_eq!(tags(before), tags(after), "a frame keeps its tag and type");
    let is_to_us = mac(before, 0).looks_ours();
    let from_uplink = plane.tables().port_sets().uplinks.contains(ingress);
    assert!(is_to_us || !from_uplink, "what is not ours stays as it is");
    let padding = padding_at(before);
    assert_eq!(before[padding..], after[padding..], "padding stays as it is");
}

/// A frame of the switch's own is one that any stack takes.
pub fn check_origin(plane: &Dataplane, origin: &Origin) {
    let bytes = &origin.bytes[..];
    assert!(bytes.len() <= ORIGIN_BYTES_MAX);
    assert!(origin.egress.into_iter().all(|port| port.index() < PORTS), "{:?}", origin.egress);
    for port in origin.egress {
        assert_ne!(plane.departure(port, bytes), Departure::Never, "by {port:?}: {bytes:x?}");
    }
    if is_part(bytes) {
        return;
    }
    if bytes[..6] == wire::lldp::NEAREST_BRIDGE.0 {
        let said = wire::lldp::Advertisement::parse(&bytes[14..]);
        assert!(said.is_ok_and(|said| said.ttl_s > 0), "LLDP: {bytes:x?}");
        return;
    }
    let packet = SlicedPacket::from_ethernet(bytes).expect("a whole frame");
    assert!(packet.net.is_some(), "IP or ARP: {bytes:x?}");
    assert!(mac(bytes, 6).looks_ours(), "in our own name: {bytes:x?}");
    let is_managements = !mac(bytes, 6).looks_virtual();
    let uplinks = plane.tables().port_sets().uplinks;
    let to_guests = origin.egress.minus(uplinks);
    assert!(!is_managements || to_guests.is_empty(), "kept from guests: {bytes:x?}");
    let sums = Seal::of(bytes).packet;
    assert_ne!(sums.header, Some(false), "IPv4 checksum: {bytes:x?}");
    assert_ne!(sums.transport, Some(false), "checksum: {bytes:x?}");
}

/// The counts that hold between any two steps; `sent` are the frames that each port was given.
pub fn check_counts(plane: &Dataplane, sent: &[u64; PORTS]) {
    for (at, &sent) in sent.iter().enumerate() {
        let endings = plane.endings(port(at));
        assert_eq!(endings.rx, sent, "frames in, port {at}");
        assert_eq!(endings.rx, endings.sum(), "frames in = endings, port {at}");
    }
    let held: u64 = (0..PORTS).map(|at| plane.endings(port(at)).held).sum();
    assert!(held <= HELD_FRAGMENTS_MAX as u64, "{held} held");
    assert_eq!(plane.outbox_lost(), 0, "a frame of ours found no place");
}

/// What the tables say of themselves agrees with what is in them.
pub fn check_tables(plane: &Dataplane) {
    let (tables, flows) = (plane.tables(), plane.flows());
    assert!(flows.len() <= flows.capacity() && flows.embryonic() <= flows.len());
    assert_eq!(flows.len(), flows.iter().count());
    let persistence = plane.persistence();
    assert!(persistence.len() <= persistence.capacity());
    let (mut open, mut waiting) = ([0; REALS_MAX], [0; REALS_MAX]);
    for flow in flows.iter() {
        open[flow.real.index()] += u32::from(flow.is_open());
        waiting[flow.real.index()] += u32::from(flow.is_waiting());
    }
    for (id, real) in tables.reals() {
        let counters = &real.counters;
        assert_eq!(counters.flows_open, open[id.index()], "open flows of {real:?}");
        assert_eq!(counters.flows_waiting, waiting[id.index()], "waiting at {real:?}");
        assert_eq!(counters.flows_new - counters.flows_ended, u64::from(counters.flows_open));
    }
    for flow in flows.iter() {
        let real = tables.real(flow.real).expect("a real stays until its last flow ends");
        let version = flow.vip().address.version();
        let ends = [flow.client(), flow.client_at_real(), flow.real_end()];
        assert!(ends.iter().all(|end| end.address.version() == version), "{flow:?}");
        assert!(tables.service(real.service).is_some(), "and so does its service");
    }
}

fn mac(frame: &[u8], at: usize) -> MacAddr {
    MacAddr(*frame[at..].first_chunk().expect("a parsed frame"))
}

fn tags(frame: &[u8]) -> &[u8] {
    match frame[12..14] {
        [0x81, 0] => &frame[12..18],
        _ => &frame[12..14],
    }
}

/// A fragment that was held: whatever it carries is its sender's.
fn is_part(frame: &[u8]) -> bool {
    let header = Ethernet::parse(frame).expect("a frame");
    let packet = Ip::parse(frame, frame.len(), header.payload_at, header.ethertype);
    packet.is_some_and(|packet| packet.expect("a packet").part().is_some())
}

/// Where an IPv4 packet ends; the frame's end for all others.
fn padding_at(frame: &[u8]) -> usize {
    let ip_at = 12 + tags(frame).len();
    let is_ipv4 = tags(frame).ends_with(&[0x08, 0]);
    let len = frame.get(ip_at + 2..ip_at + 4).map(|len| u16::from_be_bytes([len[0], len[1]]));
    match len {
        Some(len) if is_ipv4 => (ip_at + usize::from(len)).min(frame.len()),
        _ => frame.len(),
    }
}
