//! A station: one NIC, its addresses, its ends of connections, and the programs that use them.
//!
//! Every station answers what it is called for: connections and datagrams to any port below
//! [`PORTS_OWN`] get the response that the ledger has for them. A call's two programs check every
//! byte, and each checks what the other end must look like from where it stands.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::{ArpEthIpv4Packet, ArpOperation};
use lb::report::Answer;

use super::dice::Dice;
use super::ledger::{HEAD_BYTES, Head, Ledger, Side};
use super::neighbours::{self, Neighbours};
use super::packet::{BROADCAST, Datagram, Frame, Mac, Packet, Segment};
use super::plan::{AgentWord, StationPlan, Transport};
use super::tcp::{Cut, Tcp};
use super::{LINK_LOCAL, MS, Nanos, REPORT_PORT, SECOND, SWITCH_MAC};

/// Ports from here on belong to callers.
const PORTS_OWN: u16 = 30_000;
const LINGERS: Nanos = 2 * SECOND;
const REDIALS_AFTER: Nanos = 500 * MS;
const DATAGRAM_TIMEOUT: Nanos = 400 * MS;
const REPORT_INTERVAL: Nanos = 400 * MS;
const SERVER_MSS_BYTES: usize = 1000;

pub struct Station {
    pub mac: Mac,
    number: usize,
    addresses: Vec<IpAddr>,
    router: IpAddr,
    routes_link_local: bool,
    neighbours: Neighbours,
    sockets: BTreeMap<(SocketAddr, SocketAddr), Socket>,
    exchanges: Vec<Exchange>,
    /// Calls that were refused, and when they are tried again.
    redials: Vec<(Nanos, usize)>,
    agent: Option<Agent>,
    dice: Dice,
    out: Vec<Vec<u8>>,
}

/// One end of a connection and the program that holds it.
struct Socket {
    tcp: Tcp,
    program: Program,
    /// Bytes that have to arrive, once it is known who speaks, and how many did.
    expected: Vec<u8>,
    checked: usize,
    /// Bytes that will be written, how many were, and when the next are; `None` while the program
    /// waits for the other end.
    speech: Vec<u8>,
    spoken: usize,
    speaks_at: Option<Nanos>,
    /// The other end was heard to its end before ours was acknowledged.
    heard_before: bool,
    gone_at: Option<Nanos>,
}

enum Program {
    Client {
        call: usize,
    },
    /// Who called is known when its head has arrived; until then the MAC that the SYN came from.
    Server {
        call: Option<usize>,
        source: Mac,
    },
}

/// A caller of datagrams: it asks until it is answered, round after round.
struct Exchange {
    call: usize,
    local: SocketAddr,
    round: u64,
    asks_at: Nanos,
}

struct Agent {
    word: AgentWord,
    life: u32,
    seq: u32,
    speaks_at: Nanos,
}

impl Station {
    pub fn new(number: usize, plan: &StationPlan, router: IpAddr, dice: Dice) -> Station {
        Station {
            mac: plan.mac,
            number,
            addresses: plan.addresses.clone(),
            router,
            routes_link_local: plan.routes_link_local,
            neighbours: Neighbours::default(),
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

    /// Forgets everything, as a machine that begins anew.
    pub fn restart(&mut self) {
        self.neighbours = Neighbours::default();
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
        let is_taken =
            plan.transport == Transport::Udp || self.sockets.contains_key(&(wished, remote));
        let local = match is_taken {
            true => SocketAddr::new(plan.from, PORTS_OWN + call as u16),
            false => wished,
        };
        ledger.begin(call, local);
        if plan.transport == Transport::Udp {
            self.exchanges.push(Exchange { call, local, round: 0, asks_at: now });
            return;
        }
        let isn = self.dice.roll() as u32;
        let tcp = Tcp::connect(local, remote, isn, plan.mss_bytes);
        let speech = ledger.stream(Head { call, round: 0 }, Side::Request);
        let socket = Socket::new(tcp, Program::Client { call }, speech);
        self.sockets.insert((local, remote), socket);
    }

    pub fn hear(&mut self, frame: Frame, ledger: &mut Ledger, now: Nanos) {
        let Frame { source, destination, packet } = frame;
        if destination != self.mac && destination != BROADCAST {
            return;
        }
        match packet {
            Packet::Arp(arp) => self.hear_arp(&arp, now),
            Packet::Tcp(segment) if self.addresses.contains(&segment.to.ip()) => {
                self.hear_segment(source, &segment, ledger, now);
            }
            Packet::Udp(datagram) if self.addresses.contains(&datagram.to.ip()) => {
                self.hear_datagram(source, &datagram, ledger, now);
            }
            Packet::Tcp(_) | Packet::Udp(_) => {}
        }
    }

    /// Does what time brings, and lets the programs speak.
    pub fn poll(&mut self, ledger: &mut Ledger, now: Nanos) {
        for (_, call) in self.redials.extract_if(.., |(at, _)| now >= *at).collect::<Vec<_>>() {
            self.call(call, ledger, now);
        }
        let mut sends: Vec<Packet> = Vec::new();
        for socket in self.sockets.values_mut() {
            socket.speak(ledger, now);
            sends.extend(socket.tcp.send(now).into_iter().map(Packet::Tcp));
            if let Some(call) = socket.end(ledger, now) {
                self.redials.push((now + REDIALS_AFTER, call));
            }
        }
        self.sockets.retain(|_, socket| socket.gone_at.is_none_or(|at| now < at));
        sends.extend(self.exchanges.iter_mut().filter_map(|exchange| exchange.ask(ledger, now)));
        sends.extend(self.speak_of_itself(now));
        for packet in sends {
            self.send(packet, now);
        }
        for target in self.neighbours.questions(now) {
            if let Some((to, packet)) = neighbours::question(self.mac, self.addresses[0], target) {
                self.out.push(packet.write(self.mac, to));
            }
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

    fn hear_arp(&mut self, arp: &ArpEthIpv4Packet, now: Nanos) {
        let sender = IpAddr::V4(arp.sender_ipv4_addr());
        let is_for_us = self.addresses.contains(&IpAddr::V4(arp.target_ipv4_addr()));
        // RFC 826: who is known already is learned anew from anything, others only from what is
        // meant for us.
        if !sender.is_unspecified() && (is_for_us || self.neighbours.knows(sender)) {
            for packet in self.neighbours.learn(sender, arp.sender_mac, now) {
                self.send(packet, now);
            }
        }
        if arp.operation == ArpOperation::REQUEST && is_for_us {
            let (to, packet) = neighbours::answer(self.mac, arp);
            self.out.push(packet.write(self.mac, to));
        }
    }

    fn hear_segment(&mut self, source: Mac, segment: &Segment, ledger: &mut Ledger, now: Nanos) {
        let ends = (segment.to, segment.from);
        let opens = segment.syn && segment.ack.is_none() && !segment.rst;
        if opens && self.sockets.get(&ends).is_some_and(|socket| socket.gone_at.is_some()) {
            self.sockets.remove(&ends);
        }
        let answer = match self.sockets.get_mut(&ends) {
            Some(socket) => socket.hear(self.number, source, segment, ledger),
            None if opens && segment.to.port() < PORTS_OWN => {
                let isn = self.dice.roll() as u32;
                let tcp = Tcp::accept(segment, isn, SERVER_MSS_BYTES);
                let program = Program::Server { call: None, source };
                self.sockets.insert(ends, Socket::new(tcp, program, Vec::new()));
                None
            }
            None => Tcp::refuse(segment),
        };
        if let Some(answer) = answer {
            self.send(Packet::Tcp(answer), now);
        }
    }

    fn hear_datagram(&mut self, source: Mac, heard: &Datagram, ledger: &mut Ledger, now: Nanos) {
        if heard.to.port() == REPORT_PORT {
            assert_eq!((source, heard.from.ip()), (SWITCH_MAC, LINK_LOCAL));
            assert!(Answer::parse(&heard.payload).is_ok(), "{:?}", heard.payload);
            return;
        }
        let head = Head::read(&heard.payload).expect("a datagram that somebody wrote");
        if heard.to.port() < PORTS_OWN {
            assert_eq!(heard.payload, ledger.stream(head, Side::Request));
            ledger.arrived(head, self.number, source, heard.from);
            let payload = ledger.stream(head, Side::Response);
            self.send(Packet::Udp(Datagram { from: heard.to, to: heard.from, payload }), now);
            return;
        }
        // An answer to who has forgotten the question is nobody's.
        let asked = |exchange: &&mut Exchange| exchange.local == heard.to;
        let Some(exchange) = self.exchanges.iter_mut().find(asked) else {
            return;
        };
        assert_eq!((exchange.call, heard.from), (head.call, ledger.destination(head.call)));
        assert_eq!(source, ledger.mac_called(head.call));
        assert_eq!(heard.payload, ledger.stream(head, Side::Response));
        if head.round == exchange.round {
            exchange.answered(ledger, now);
            self.exchanges.retain(|exchange| !exchange.is_over(ledger));
        }
    }

    /// What the guest's agent says of it.
    fn speak_of_itself(&mut self, now: Nanos) -> Option<Packet> {
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
        let from = SocketAddr::new(self.addresses[0], REPORT_PORT);
        let to = SocketAddr::new(LINK_LOCAL, REPORT_PORT);
        Some(Packet::Udp(Datagram { from, to, payload: line.into_bytes() }))
    }

    fn send(&mut self, packet: Packet, now: Nanos) {
        let to = match &packet {
            Packet::Tcp(segment) => segment.to.ip(),
            Packet::Udp(datagram) => datagram.to.ip(),
            Packet::Arp(_) => return,
        };
        let hop = self.next_hop(to);
        if let Some((mac, packet)) = self.neighbours.resolve(hop, packet, now) {
            self.out.push(packet.write(self.mac, mac));
        }
    }

    /// VIPs and guests are on the link, whatever their subnet; the far clients are behind the router.
    fn next_hop(&self, to: IpAddr) -> IpAddr {
        let is_far = matches!(to, IpAddr::V4(to) if to.octets()[..2] == [198, 51]);
        let is_routed = is_far || (to == LINK_LOCAL && self.routes_link_local);
        if is_routed { self.router } else { to }
    }
}

impl Socket {
    fn new(tcp: Tcp, program: Program, speech: Vec<u8>) -> Socket {
        Socket {
            tcp,
            program,
            expected: Vec::new(),
            checked: 0,
            speech,
            spoken: 0,
            speaks_at: None,
            heard_before: false,
            gone_at: None,
        }
    }

    fn hear(
        &mut self,
        station: usize,
        source: Mac,
        segment: &Segment,
        ledger: &mut Ledger,
    ) -> Option<Segment> {
        if let Program::Client { call } = self.program {
            assert_eq!(source, ledger.mac_called(call), "an answer comes from who was called");
        }
        let answer = self.tcp.hear(segment);
        self.recognise(station, ledger);
        self.check(ledger);
        answer
    }

    /// A server learns from the first bytes what it has to say.
    fn recognise(&mut self, station: usize, ledger: &mut Ledger) {
        let Program::Server { call: call @ None, source } = &mut self.program else {
            return;
        };
        if let Some(head) = Head::read(&self.tcp.received) {
            ledger.arrived(head, station, *source, self.tcp.remote);
            *call = Some(head.call);
            self.speech = ledger.stream(head, Side::Response);
        }
    }

    /// Every byte that arrived since has to be the one that was sent.
    fn check(&mut self, ledger: &mut Ledger) {
        let Some((call, side)) = self.hears() else {
            return;
        };
        if self.expected.is_empty() {
            self.expected = ledger.stream(Head { call, round: 0 }, side);
        }
        let (received, expected) = (&self.tcp.received, &self.expected);
        let new = self.checked..received.len();
        assert!(received.len() <= expected.len(), "call {call}: more than was sent, {side:?}");
        assert_eq!(received[new.clone()], expected[new], "call {call}, {side:?}");
        self.checked = received.len();
        if self.tcp.has_heard_all() {
            assert_eq!(received.len(), expected.len(), "call {call}: the FIN comes last, {side:?}");
            ledger.heard(call, side);
        }
    }

    /// The call, and whose bytes arrive here.
    fn hears(&self) -> Option<(usize, Side)> {
        match self.program {
            Program::Client { call } => Some((call, Side::Response)),
            Program::Server { call, .. } => Some((call?, Side::Request)),
        }
    }

    /// Hands the next piece to the connection, and its end when all is said.
    fn speak(&mut self, ledger: &Ledger, now: Nanos) {
        let Some((call, side)) = self.hears() else {
            return;
        };
        let plan = &ledger.entries[call].plan;
        let may_speak = match side {
            Side::Response => true,
            Side::Request => plan.answers_early || self.checked == HEAD_BYTES + plan.request_bytes,
        };
        if !may_speak {
            return;
        }
        let speaks_at = self.speaks_at.get_or_insert(now);
        while self.spoken < self.speech.len() && now >= *speaks_at {
            let end = self.speech.len().min(self.spoken + plan.piece_bytes);
            self.tcp.write(&self.speech[self.spoken..end]);
            self.spoken = end;
            *speaks_at = now + plan.pause;
        }
        let waits = side == Side::Response && plan.closes_last && !self.tcp.has_heard_all();
        if self.spoken == self.speech.len() && !waits {
            self.tcp.finish();
        }
    }

    /// Goes when it is over; the end that acknowledges last waits for who has not heard it.
    /// Returns a call that was refused: nothing of it has been, and it may be tried again.
    fn end(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<usize> {
        if let Some(cut) = self.tcp.cut {
            self.gone_at = Some(now);
            let (call, _) = self.hears()?;
            if cut == Cut::Refused {
                return Some(call);
            }
            ledger.cut(call, cut);
        } else if self.tcp.is_heard() && self.tcp.has_heard_all() {
            let lingers = if self.heard_before { 0 } else { LINGERS };
            self.gone_at = self.gone_at.or(Some(now + lingers));
        }
        self.heard_before |= self.tcp.has_heard_all();
        None
    }

    fn wakes_at(&self) -> Option<Nanos> {
        let speaks_at = self.speaks_at.filter(|_| self.spoken < self.speech.len());
        [self.tcp.wakes_at(), speaks_at, self.gone_at].into_iter().flatten().min()
    }
}

impl Exchange {
    fn ask(&mut self, ledger: &Ledger, now: Nanos) -> Option<Packet> {
        if now < self.asks_at {
            return None;
        }
        self.asks_at = now + DATAGRAM_TIMEOUT;
        let payload = ledger.stream(Head { call: self.call, round: self.round }, Side::Request);
        let to = ledger.destination(self.call);
        Some(Packet::Udp(Datagram { from: self.local, to, payload }))
    }

    fn answered(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.round += 1;
        self.asks_at = now + ledger.entries[self.call].plan.pause;
        if self.is_over(ledger) {
            ledger.heard(self.call, Side::Request);
            ledger.heard(self.call, Side::Response);
        }
    }

    fn is_over(&self, ledger: &Ledger) -> bool {
        self.round == ledger.entries[self.call].plan.rounds
    }
}
