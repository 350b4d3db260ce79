//! The management address ([`crate::management`]) among frames: what is sent to it, what it says, and
//! what it asks.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::answer_echo;
use super::refuse::Complaint;
use super::switch::ALARM_INTERVAL;
use crate::dataplane::{Dataplane, Inbound};
use crate::event::Event;
use crate::guest::neighbor;
use crate::management::lease::{LeaseClient, News, Question};
use crate::management::ping::Ping;
use crate::management::{AddressSource, AddressSpec, PingId, PingOutcome, PingRefusal};
use crate::service::Announcements;
use crate::wire::dhcp::{self, Answer};
use crate::wire::ip::Version;
use crate::wire::{
    Address, Endpoint, Ethernet, Ip, Transport, bytes_at, ethernet, icmp, ip, nd, transport,
};
use crate::{Command, DropReason, Instant, MacAddr, PortId, PortSet, Protocol, Verdict};

/// The least time between two words of ours about a claim (RFC 5227 §2.4).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// Hops that a ping may take.
const TTL: u8 = 64;

impl Dataplane {
    /// Sends one echo request from the management address.
    pub fn ping(&mut self, to: IpAddr, now: Instant) -> Result<PingId, PingRefusal> {
        let held = self.tables.held_like(to).ok_or(PingRefusal::NoAddress(Version::of(to)))?;
        let (host, vlan) = (held.host, held.vlan);
        if self.tables.is_management(vlan, to) || self.tables.is_vip(vlan, to) {
            return Err(PingRefusal::Own);
        }
        if let Some(guest) = self.guest_with(vlan, to) {
            return Err(PingRefusal::Guest(guest));
        }
        let hop = host.next_hop(to).ok_or(PingRefusal::NoGateway)?;
        let egress = self.tables.uplinks(vlan);
        if egress.is_empty() {
            return Err(PingRefusal::NoUplink);
        }
        let id = self.dice.roll() as u16;
        let begun = self.management.pings.begin([host.address, to, hop], vlan, id, now);
        let id = begun.ok_or(PingRefusal::Full)?;
        match self.management.hops.find(vlan, hop, now) {
            Some(mac) => self.send_pings(vlan, hop, mac, now),
            None => {
                let own = (host.address, self.management_mac());
                let Dataplane { outbox, .. } = self;
                neighbor::ask_all(hop, vlan, own, |parts| outbox.push(egress, parts));
            }
        }
        Ok(id)
    }

    /// What became of a ping; `None` as long as its answer is waited for.
    pub fn ping_outcome(&self, id: PingId, now: Instant) -> Option<PingOutcome> {
        self.management.pings.outcome(id, now)
    }

    /// When the lease of the management address ends.
    pub fn leased_until(&self) -> Option<Instant> {
        let client = self.management.lease.as_ref()?;
        client.lease().map(|lease| lease.until)
    }

    /// A packet to the management MAC, from an uplink.
    pub(super) fn at_management(&mut self, mut packet: Inbound<'_>) -> Result<Verdict, DropReason> {
        let verdict = self.judge_at_management(&mut packet);
        if verdict == Err(DropReason::NotForUs)
            && self.tables.is_management(packet.header.vlan, packet.ip.destination)
            && let Ok(segment) = Transport::parse(packet.head, packet.ip)
        {
            let mac = packet.header.destination;
            match segment.protocol {
                Protocol::Tcp => self.reset(mac, &packet, &segment),
                Protocol::Udp => self.complain(mac, &packet, Complaint::PortUnreachable),
            };
        }
        verdict
    }

    /// What becomes of it; an echo request is turned round in place.
    pub(super) fn judge_at_management(
        &self,
        packet: &mut Inbound<'_>,
    ) -> Result<Verdict, DropReason> {
        let Inbound { ingress, header, ip, ref mut head, .. } = *packet;
        ip.check(head)?;
        if self.is_lease(ingress, header, ip, head) {
            return Ok(Verdict::Punt);
        }
        if !self.tables.is_management(header.vlan, ip.destination) {
            return Err(DropReason::NotForUs);
        }
        if self.guest_with(header.vlan, ip.source.into()).is_some() {
            return Err(DropReason::SpoofUplink);
        }
        if ip.part().is_some() {
            return Err(DropReason::Fragment);
        }
        if !icmp::is_icmp(ip) {
            // One that cannot be read is told nothing.
            Transport::parse(head, ip)?;
            return Err(DropReason::NotForUs);
        }
        let is_error = icmp::is_error(head, ip);
        let is_answer = icmp::echo_reply(head, ip).is_some();
        match self.answered_ping(header, ip, head) {
            Some(_) => icmp::check_sum(head, ip).map(|()| Verdict::Punt),
            None if is_error => Err(DropReason::IcmpInner),
            None if is_answer => Err(DropReason::NoProbe),
            None => answer_echo(header, ip, head, header.destination),
        }
    }

    /// Whether a packet that came by an uplink is a DHCP server's word to us.
    pub(super) fn is_lease(
        &self,
        ingress: PortId,
        header: &Ethernet,
        ip: &Ip,
        head: &[u8],
    ) -> bool {
        let Some(client) = self.management.lease.as_ref().filter(|_| !self.is_guest(ingress))
        else {
            return false;
        };
        let datagram = ip.payload(head);
        let ports = [dhcp::SERVER_PORT, dhcp::CLIENT_PORT].map(u16::to_be_bytes);
        header.vlan == client.vlan
            && ip.part().is_none()
            && (ip.version, Protocol::of(ip.protocol)) == (Version::V4, Some(Protocol::Udp))
            && datagram.starts_with(ports.as_flattened())
            && datagram.get(8..).is_some_and(|message| dhcp::is_answer_to(message, client.mac))
    }

    /// Whether we want to hear where this station on an uplink is.
    pub(super) fn is_asked_for(&self, ingress: PortId, header: &Ethernet, address: IpAddr) -> bool {
        self.tables.is_management_mac(header.destination)
            && !self.is_guest(ingress)
            && self.management.pings.asks_for(header.vlan, address)
    }

    /// Somebody claims an address of ours. If he is on an uplink and it is the management address, the
    /// log is told, and so is everybody else, now and then.
    #[cold]
    pub(super) fn hear_claim(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        address: IpAddr,
        mac: MacAddr,
        now: Instant,
    ) {
        if self.is_guest(ingress) || !self.tables.is_management(header.vlan, address) {
            return;
        }
        let is_due = |last: &mut Option<Instant>, interval: Duration| {
            let is_due = last.is_none_or(|last| now.since(last) >= interval);
            if is_due {
                *last = Some(now);
            }
            is_due
        };
        let Dataplane { tables, management, events, .. } = self;
        if is_due(&mut management.claim_told, ALARM_INTERVAL) {
            events.push(Event::AddressClaimed { address, mac });
        }
        if is_due(&mut management.defended, DEFEND_INTERVAL) {
            let mut held = tables.held_mut().iter_mut();
            if let Some(held) = held.find(|held| held.host.address == address) {
                held.announcements = Announcements::due(now);
            }
        }
    }

    /// The same, by neighbor discovery.
    #[cold]
    pub(super) fn hear_claim_in(&mut self, packet: &Inbound<'_>) {
        let Inbound { ingress, header, ip, ref head, now, .. } = *packet;
        let claimed = match nd::is_advertisement(head, ip) {
            true => nd::target(head, ip).map(IpAddr::V6),
            false => Some(ip.source.into()),
        };
        if let Some(address) = claimed {
            self.hear_claim(ingress, header, address, header.source, now);
        }
    }

    /// A punted frame that came by an uplink, and is no question.
    pub(super) fn management_hears(
        &mut self,
        header: &Ethernet,
        ip: &Ip,
        frame: &[u8],
        now: Instant,
    ) {
        if let Some(id) = self.answered_ping(header, ip, frame) {
            let pings = &mut self.management.pings;
            match icmp::echo_reply(frame, ip) {
                Some(_) => pings.answered(id, ip.ttl, now),
                None => pings.unreachable(id, ip.source.into()),
            }
            return;
        }
        self.lease_hears(header, ip, frame, now);
    }

    /// A station on an uplink says where it is.
    pub(super) fn station_answers(&mut self, header: &Ethernet, address: IpAddr, now: Instant) {
        self.management.hops.heard(header.vlan, address, header.source, now);
        self.send_pings(header.vlan, address, header.source, now);
    }

    /// Follows a change of what is configured, or of what is connected.
    pub(super) fn follow_management(&mut self, command: &Command, now: Instant) {
        let Dataplane { tables, management, .. } = self;
        match command {
            Command::SetManagement(_) => {
                let is_leased = |said: &&AddressSpec| said.source == AddressSource::Dhcp;
                let wanted = tables.management().and_then(|own| {
                    let said = own.addresses.iter().find(is_leased)?;
                    Some((own.mac, said.vlan))
                });
                let before = management.lease.take();
                management.lease = wanted.map(|(mac, vlan)| {
                    let alike = before.filter(|its| (its.mac, its.vlan) == (mac, vlan));
                    alike.unwrap_or_else(|| LeaseClient::new(mac, vlan, now))
                });
            }
            Command::SetLink { port, up: true } if tables.port_sets().uplinks.contains(*port) => {
                management.lease.iter_mut().for_each(|client| client.hurry(now));
            }
            _ => {}
        }
    }

    /// What time brings: announcements, and questions to DHCP servers.
    pub(super) fn manage(&mut self, now: Instant) {
        let mac = self.management_mac();
        let Dataplane { tables, outbox, .. } = self;
        for at in 0..tables.held().len() {
            let egress = tables.uplinks(tables.held()[at].vlan);
            let held = &mut tables.held_mut()[at];
            if held.announcements.take(now) {
                let (address, vlan) = (held.host.address, held.vlan);
                neighbor::announce(address, vlan, mac, |parts| outbox.push(egress, parts));
            }
        }
        let Dataplane { tables, management, dice, .. } = self;
        let Some(client) = &mut management.lease else {
            return;
        };
        let news = client.look(now);
        // Without a link nobody would hear it.
        let is_heard = !tables.uplinks(client.vlan).is_empty();
        let question = if is_heard { client.ask(now, || dice.roll()) } else { None };
        if let Some(question) = question {
            self.ask_for_lease(&question, now);
        }
        self.take_news(news, now);
    }

    fn ask_for_lease(&mut self, question: &Question, now: Instant) {
        let Question { asked, transaction, to: (to_mac, to), from } = *question;
        let vlan = self.management.lease.as_ref().map_or(0, |client| client.vlan);
        let mac = self.management_mac();
        let message = asked.message(mac, transaction);
        let end = |address: Ipv4Addr, port: u16| Endpoint { address: address.into(), port };
        let (from, to) = (end(from, dhcp::CLIENT_PORT), end(to, dhcp::SERVER_PORT));
        let udp = transport::udp_header(from, to, &message);
        let protocol = Protocol::Udp.number();
        self.send_own(
            (mac, to_mac),
            vlan,
            (from.address, to.address),
            protocol,
            &[&udp, &message],
            now,
        );
    }

    fn lease_hears(&mut self, header: &Ethernet, ip: &Ip, frame: &[u8], now: Instant) {
        let answer = transport::udp_payload(frame, ip).and_then(Answer::parse);
        let client = self.management.lease.as_mut();
        let news =
            client.zip(answer).and_then(|(its, answer)| its.hear(&answer, header.source, now));
        self.take_news(news, now);
    }

    /// Follows the lease, and has the log told.
    fn take_news(&mut self, news: Option<News>, now: Instant) {
        let Dataplane { tables, management, events, .. } = self;
        let vlan = management.lease.as_ref().map_or(0, |client| client.vlan);
        match news {
            None => {}
            Some(News::Leased(host)) => {
                let refused = tables.lease(Some(host), vlan, now).err();
                events.push(Event::Leased { host, refused });
            }
            Some(News::Lost(address)) => {
                let _ = tables.lease(None, vlan, now);
                events.push(Event::LeaseLost { address: address.into() });
            }
        }
    }

    /// Sends the pings that have waited for this station.
    fn send_pings(&mut self, vlan: u16, hop: IpAddr, mac: MacAddr, now: Instant) {
        while let Some(ping) = self.management.pings.released(vlan, hop, now) {
            self.send_ping(&ping, mac, now);
        }
    }

    fn send_ping(&mut self, ping: &Ping, to_mac: MacAddr, now: Instant) {
        let ends = (ping.from.into(), ping.to.into());
        let request = icmp::echo_request(ends.0, ends.1, ping.id, ping.sequence);
        let macs = (self.management_mac(), to_mac);
        let protocol = icmp::protocol_of(Version::of(ping.to));
        self.send_own(macs, ping.vlan, ends, protocol, &[&request], now);
    }

    /// Sends a packet from the first of these MACs and addresses to the second, by the uplink where
    /// that is, or by all.
    fn send_own(
        &mut self,
        (mac, to_mac): (MacAddr, MacAddr),
        vlan: u16,
        (from, to): (Address, Address),
        protocol: u8,
        parts: &[&[u8]],
        now: Instant,
    ) {
        let uplinks = self.tables.uplinks(vlan);
        let known = self.fdb.lookup(to_mac, vlan, now).filter(|&port| uplinks.contains(port));
        let egress = known.map_or(uplinks, |port| PortSet::EMPTY.with(port));
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let ethernet = ethernet::header(to_mac, mac, vlan, from.version().ethertype());
        let network = ip::header(from, to, protocol, len as u16, TTL);
        // What it carries has two parts at most.
        let [one, other] =
            [parts.first(), parts.get(1)].map(|part| part.map_or(&[][..], |part| part));
        self.outbox.push(egress, &[&ethernet, &network, one, other]);
    }

    /// The ping of ours that a packet answers, or quotes in an error.
    fn answered_ping(&self, header: &Ethernet, ip: &Ip, head: &[u8]) -> Option<PingId> {
        let (own, other) = (ip.destination.into(), ip.source.into());
        let pings = &self.management.pings;
        if let Some(mark) = icmp::echo_reply(head, ip) {
            return pings.waiting(header.vlan, [own, other], mark);
        }
        if !icmp::is_error(head, ip) {
            return None;
        }
        // Our requests are so short that whoever quotes one quotes it whole.
        let quote_at = ip.payload_at + icmp::HEADER_BYTES;
        let message = &head[..ip.end_at.min(head.len())];
        let quote = Ip::parse(message, message.len(), quote_at, ip.version.ethertype())?.ok()?;
        let [i0, i1, s0, s1] = bytes_at(quote.payload(message), 4)?;
        let mark = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([s0, s1]));
        let ends = [quote.source.into(), quote.destination.into()];
        let is_ours = icmp::is_icmp(&quote) && ends[0] == own;
        is_ours.then(|| pings.waiting(header.vlan, ends, mark)).flatten()
    }

    /// The guest that has this address, where a VLAN is.
    fn guest_with(&self, vlan: u16, address: IpAddr) -> Option<crate::Name> {
        let tables = &self.tables;
        let is_there =
            |port: PortId| tables.port(port).is_some_and(|port| port.rules.vlan.carries(vlan));
        let mut guests = tables.guests().map(|(_, guest)| &guest.spec);
        let guest = guests.find(|its| its.addresses.contains(&address) && is_there(its.port))?;
        Some(guest.name.clone())
    }

    fn management_mac(&self) -> MacAddr {
        self.tables.management().map_or(MacAddr::SWITCH, |own| own.mac)
    }
}
