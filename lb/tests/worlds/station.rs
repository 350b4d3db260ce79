//! A station: one NIC, its addresses, its ends of connections, and who speaks through it.
//!
//! Every station answers what it is called for: connections and datagrams to any port below
//! [`PORTS_OWN`] get the response that the ledger has for them, on the VLAN that they came by. A
//! VIP on a loopback is called like any other address of the station, but asked for it says nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::{ArpEthIpv4Packet, ArpOperation};
use lb::guest::report::Answer;

use super::claims::Claims;
use super::dice::Dice;
use super::ledger::{Head, Ledger, Side};
use super::neighbours::{self, Boast, Neighbours, Place};
use super::packet::{Cutter, Datagram, Frame, Link, Mac, Neighbor, Packet, Says, Segment};
use super::parts::Puzzles;
use super::plan::{AgentWord, Plan, Transport};
use super::program::{Exchange, Program, Socket};
use super::tcp::Tcp;
use super::{MS, Nanos, REPORT_PORT, SWITCH_MAC, link_local};

/// Ports from here on belong to callers.
const PORTS_OWN: u16 = 30_000;
const REDIALS_AFTER: Nanos = 500 * MS;
const REPORT_INTERVAL: Nanos = 400 * MS;
const SERVER_MSS_BYTES: usize = 1000;
/// Where far clients are, in both versions.
const FAR_V4: [u8; 2] = [198, 51];
const FAR_V6: [u16; 3] = [0x2001, 0xdb8, 0x51];

pub struct Station {
    pub mac: Mac,
    number: usize,
    /// The first two are its own, one of each version.
    addresses: Vec<IpAddr>,
    loopback: Vec<Place>,
    routers: Vec<IpAddr>,
    routes_link_local: bool,
    vlans: [u16; 2],
    claims: Claims,
    neighbours: Neighbours,
    cutter: Cutter,
    puzzles: Puzzles,
    /// By VLAN and both ends, our own first.
    sockets: BTreeMap<(u16, SocketAddr, SocketAddr), Socket>,
    exchanges: Vec<Exchange>,
    /// Calls that were refused, and when they are tried again.
    redials: Vec<(Nanos, usize)>,
    agent: Option<Agent>,
    dice: Dice,
    out: Vec<Vec<u8>>,
}

struct Agent {
    word: AgentWord,
    life: u32,
    seq: u32,
    speaks_at: Nanos,
}

impl Station {
    pub fn new(number: usize, plan: &Plan, mut dice: Dice) -> Station {
        let station = &plan.stations[number];
        let identification = dice.roll() as u32;
        Station {
            mac: station.mac,
            number,
            addresses: station.addresses.clone(),
            loopback: plan.loopback(number),
            routers: plan.stations[plan.router()].addresses[..2].to_vec(),
            routes_link_local: station.routes_link_local,
            vlans: plan.vlans,
            claims: Claims::new(plan),
            neighbours: Neighbours::default(),
            cutter: Cutter { mtu_bytes: station.mtu_bytes, identification },
            puzzles: Puzzles::default(),
            sockets: BTreeMap::new(),
            exchanges: Vec::new(),
            redials: Vec::new(),
            agent: None,
            dice,
            out: Vec::new(),
        }
    }

    /// Frames that it has sent since it was asked last.
    pub fn sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.out)
    }

    /// Its agent says this from now on.
    pub fn report(&mut self, word: AgentWord, now: Nanos) {
        let life = self.dice.roll() as u32;
        let agent = self.agent.get_or_insert(Agent { word, life, seq: 0, speaks_at: now });
        agent.word = word;
    }

    /// Says something about the VIP on its loopback that nobody has asked.
    pub fn boast(&mut self, place: Place, boast: Boast) {
        let (link, packet) = neighbours::boast(self.mac, place, boast);
        self.write(link, &packet);
    }

    /// Forgets everything, as a machine that begins anew.
    pub fn restart(&mut self) {
        self.neighbours = Neighbours::default();
        self.puzzles = Puzzles::default();
        self.sockets.clear();
        self.exchanges.clear();
        self.redials.clear();
        let life = self.dice.roll() as u32;
        if let Some(agent) = &mut self.agent {
            (agent.life, agent.seq) = (life, 0);
        }
    }

    pub fn call(&mut self, call: usize, ledger: &mut Ledger, now: Nanos) {
        let plan = ledger.entries[call].plan.clone();
        let remote = ledger.destination(call);
        let wished = SocketAddr::new(plan.from, plan.port_wished);
        let is_taken = plan.transport == Transport::Udp
            || self.sockets.contains_key(&(plan.vlan, wished, remote));
        let local = match is_taken {
            true => SocketAddr::new(plan.from, PORTS_OWN + call as u16),
            false => wished,
        };
        ledger.begin(call, local, now);
        if plan.transport == Transport::Udp {
            self.exchanges.push(Exchange { call, local, round: 0, asks_at: now });
            return;
        }
        let isn = self.dice.roll() as u32;
        let tcp = Tcp::connect(local, remote, isn, plan.mss_bytes);
        let speech = ledger.stream(Head { call, round: 0 }, Side::Request);
        let socket = Socket::new(tcp, Program::Client { call }, speech);
        self.sockets.insert((plan.vlan, local, remote), socket);
    }

    /// Hears a frame; one that is damaged can only be part of something that nobody reads.
    pub fn hear(&mut self, frame: Frame, is_damaged: bool, ledger: &mut Ledger, now: Nanos) {
        let Frame { link, packet } = frame;
        if link.destination != self.mac && link.destination[0] & 1 == 0 {
            return;
        }
        let packet = match packet {
            Packet::Part(part) if self.has(link.vlan, part.to) => {
                if self.claims.is_of_one(part.from) && !is_damaged {
                    ledger.part(self.number, link.vlan, &part, now);
                }
                match self.puzzles.take(link.vlan, part, is_damaged, now) {
                    Some(datagram) => Packet::Udp(datagram),
                    None => return,
                }
            }
            Packet::Part(_) => return,
            whole => {
                assert!(!is_damaged, "damaged and yet read: {whole:?}");
                whole
            }
        };
        self.claims.check(&link, &packet);
        match packet {
            Packet::Arp(arp) => self.hear_arp(link.vlan, &arp, now),
            Packet::Neighbor(message) => self.hear_neighbor(&link, &message, now),
            Packet::Tcp(segment) if self.has(link.vlan, segment.to.ip()) => {
                self.hear_segment(&link, &segment, ledger, now);
            }
            Packet::Udp(datagram) if self.has(link.vlan, datagram.to.ip()) => {
                self.hear_datagram(&link, &datagram, ledger, now);
            }
            Packet::Tcp(_) | Packet::Udp(_) | Packet::Part(_) => {}
        }
    }

    /// Does what time brings, and lets the programs speak.
    pub fn poll(&mut self, ledger: &mut Ledger, now: Nanos) {
        for (_, call) in self.redials.extract_if(.., |(at, _)| now >= *at).collect::<Vec<_>>() {
            self.call(call, ledger, now);
        }
        let mut sends: Vec<(u16, Packet)> = Vec::new();
        for (&(vlan, ..), socket) in &mut self.sockets {
            socket.speak(ledger, now);
            let segments = socket.tcp.send(now).into_iter();
            sends.extend(segments.map(|segment| (vlan, Packet::Tcp(segment))));
            if let Some(call) = socket.end(ledger, now) {
                self.redials.push((now + REDIALS_AFTER, call));
            }
        }
        self.sockets.retain(|_, socket| socket.gone_at.is_none_or(|at| now < at));
        sends.extend(self.exchanges.iter_mut().filter_map(|exchange| exchange.ask(ledger, now)));
        sends.extend(self.speak_of_itself(now));
        for (vlan, packet) in sends {
            self.send(vlan, packet, now);
        }
        for (place, asks_as) in self.neighbours.questions(now) {
            let (link, packet) = neighbours::question(self.mac, asks_as, place);
            self.write(link, &packet);
        }
    }

    pub fn wakes_at(&self) -> Option<Nanos> {
        let sockets = self.sockets.values().filter_map(Socket::wakes_at);
        let exchanges = self.exchanges.iter().map(|exchange| exchange.asks_at);
        let agent = self.agent.iter().map(|agent| agent.speaks_at);
        let redials = self.redials.iter().map(|&(at, _)| at);
        let all = sockets.chain(exchanges).chain(redials).chain(agent);
        all.chain(self.neighbours.wakes_at()).min()
    }

    /// Whether packets to this address are for this station.
    fn has(&self, vlan: u16, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.loopback.contains(&(vlan, address))
    }

    /// Its own address of the same version.
    fn own_like(&self, address: IpAddr) -> IpAddr {
        let alike = |own: &&IpAddr| own.is_ipv4() == address.is_ipv4();
        *self.addresses.iter().find(alike).expect("an address of each version")
    }

    fn hear_arp(&mut self, vlan: u16, arp: &ArpEthIpv4Packet, now: Nanos) {
        let sender = (vlan, IpAddr::V4(arp.sender_ipv4_addr()));
        let is_for_us = self.addresses.contains(&IpAddr::V4(arp.target_ipv4_addr()));
        // RFC 826: who is known already is learned anew from anything, others only from what is
        // meant for us.
        if !sender.1.is_unspecified() && (is_for_us || self.neighbours.knows(sender)) {
            self.learn(sender, arp.sender_mac, now);
        }
        if arp.operation == ArpOperation::REQUEST && is_for_us {
            let (link, packet) = neighbours::answer(self.mac, vlan, arp);
            self.write(link, &packet);
        }
    }

    fn hear_neighbor(&mut self, heard: &Link, message: &Neighbor, now: Nanos) {
        let place = |address| (heard.vlan, IpAddr::V6(address));
        match message.says {
            Says::WhoHas if self.addresses.contains(&message.target.into()) => {
                if let Some(mac) = message.mac {
                    self.learn(place(message.from), mac, now);
                }
                let answer = message.answer(self.mac);
                let destination = answer.group_mac().unwrap_or(heard.source);
                let link = Link { source: self.mac, destination, vlan: heard.vlan };
                self.write(link, &Packet::Neighbor(answer));
            }
            Says::WhoHas => {}
            // RFC 4861 §7.2.5: who was not asked for is not learned.
            Says::IAm { .. } => {
                let place = place(message.target);
                let is_wanted = self.neighbours.knows(place) || self.neighbours.asks_for(place);
                if let Some(mac) = message.mac.filter(|_| is_wanted) {
                    self.learn(place, mac, now);
                }
            }
        }
    }

    /// Takes in where an address is, and sends what has waited for it.
    fn learn(&mut self, place: Place, mac: Mac, now: Nanos) {
        for packet in self.neighbours.learn(place, mac, now) {
            self.send(place.0, packet, now);
        }
    }

    fn hear_segment(&mut self, link: &Link, segment: &Segment, ledger: &mut Ledger, now: Nanos) {
        let ends = (link.vlan, segment.to, segment.from);
        let opens = segment.syn && segment.ack.is_none() && !segment.rst;
        if opens && self.sockets.get(&ends).is_some_and(|socket| socket.gone_at.is_some()) {
            self.sockets.remove(&ends);
        }
        let answer = match self.sockets.get_mut(&ends) {
            Some(socket) => socket.hear(self.number, link.source, segment, ledger),
            None if opens && segment.to.port() < PORTS_OWN => {
                let isn = self.dice.roll() as u32;
                let tcp = Tcp::accept(segment, isn, SERVER_MSS_BYTES);
                let program = Program::Server { call: None, source: link.source };
                self.sockets.insert(ends, Socket::new(tcp, program, Vec::new()));
                None
            }
            None => Tcp::refuse(segment),
        };
        if let Some(answer) = answer {
            self.send(link.vlan, Packet::Tcp(answer), now);
        }
    }

    fn hear_datagram(&mut self, link: &Link, heard: &Datagram, ledger: &mut Ledger, now: Nanos) {
        if heard.to.port() == REPORT_PORT {
            assert_eq!((link.source, heard.from.ip()), (SWITCH_MAC, link_local(heard.to.ip())));
            assert!(Answer::parse(&heard.payload).is_ok(), "{:?}", heard.payload);
            return;
        }
        let head = Head::read(&heard.payload).expect("a datagram that somebody wrote");
        if heard.to.port() < PORTS_OWN {
            assert_eq!(heard.payload, ledger.stream(head, Side::Request));
            ledger.arrived(head, self.number, link.source, heard.from);
            let payload = ledger.stream(head, Side::Response);
            let answer = Datagram { from: heard.to, to: heard.from, payload };
            self.send(link.vlan, Packet::Udp(answer), now);
            return;
        }
        // An answer to who has forgotten the question is nobody's.
        let asked = |exchange: &&mut Exchange| exchange.local == heard.to;
        let Some(exchange) = self.exchanges.iter_mut().find(asked) else {
            return;
        };
        // Nor is that of a real which a switch that began anew does not know yet: it comes as it is.
        let is_stray = heard.from != ledger.destination(head.call);
        if is_stray && ledger.is_restarted_since(head.call) {
            return;
        }
        assert_eq!((exchange.call, is_stray), (head.call, false), "{heard:?}");
        assert_eq!(link.source, ledger.mac_called(head.call));
        assert_eq!(heard.payload, ledger.stream(head, Side::Response));
        if head.round == exchange.round {
            exchange.answered(ledger, now);
            self.exchanges.retain(|exchange| !exchange.is_over(ledger));
        }
    }

    /// What the guest's agent says of it.
    fn speak_of_itself(&mut self, now: Nanos) -> Option<(u16, Packet)> {
        let agent = self.agent.as_mut().filter(|agent| now >= agent.speaks_at)?;
        agent.speaks_at = now + REPORT_INTERVAL;
        agent.seq += 1;
        let word = match agent.word {
            AgentWord::Up => "up",
            AgentWord::Drain => "drain",
            AgentWord::Down => "down",
            AgentWord::Silent => return None,
        };
        let (percent, cpu) = (self.dice.between(1, 100), self.dice.between(0, 120));
        let Agent { life, seq, .. } = agent;
        let line = format!("{word} {percent}% id={life:x} seq={seq} cpu={cpu}% #as drawn\n");
        let own = self.addresses[self.dice.index(2)];
        let from = SocketAddr::new(own, REPORT_PORT);
        let to = SocketAddr::new(link_local(own), REPORT_PORT);
        let vlan = self.dice.pick(&self.vlans);
        Some((vlan, Packet::Udp(Datagram { from, to, payload: line.into_bytes() })))
    }

    fn send(&mut self, vlan: u16, packet: Packet, now: Nanos) {
        let (from, to) = match &packet {
            Packet::Tcp(segment) => (segment.from.ip(), segment.to.ip()),
            Packet::Udp(datagram) => (datagram.from.ip(), datagram.to.ip()),
            Packet::Arp(_) | Packet::Neighbor(_) | Packet::Part(_) => return,
        };
        // What comes from a VIP on a loopback has the station ask in the VIP's name.
        let is_vips = self.loopback.contains(&(vlan, from));
        let asks_as = if is_vips { from } else { self.own_like(from) };
        let hop = (vlan, self.next_hop(to));
        if let Some((destination, packet)) = self.neighbours.resolve(hop, asks_as, packet, now) {
            self.write(Link { source: self.mac, destination, vlan }, &packet);
        }
    }

    fn write(&mut self, link: Link, packet: &Packet) {
        self.out.extend(packet.write(link, &mut self.cutter));
    }

    /// VIPs and guests are on the link, whatever their subnet; the far clients are behind the router.
    fn next_hop(&self, to: IpAddr) -> IpAddr {
        let is_routed = match to {
            IpAddr::V4(near) if near.octets()[..2] != FAR_V4 => {
                to == link_local(to) && self.routes_link_local
            }
            IpAddr::V6(near) => near.segments()[..3] == FAR_V6,
            IpAddr::V4(_) => true,
        };
        let router = self.routers.iter().find(|router| router.is_ipv4() == to.is_ipv4());
        *router.filter(|_| is_routed).unwrap_or(&to)
    }
}
