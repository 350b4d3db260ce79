//! A guest that is asked: it answers as it is told to, and reads every probe with a foreign parser.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::world::*;

/// How it takes a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Answers,
    Refuses,
    Silent,
    /// With what was not asked for.
    Wrong,
    /// Late, or bit by bit.
    Slow,
    /// More than once, or without an end.
    Endless,
}

impl Manner {
    pub const ALL: [Manner; 6] = [
        Manner::Answers,
        Manner::Refuses,
        Manner::Silent,
        Manner::Wrong,
        Manner::Slow,
        Manner::Endless,
    ];
}

pub struct Station {
    pub n: usize,
    pub served: Served,
    pub manner: Manner,
    /// Whether it answers for its address like that, too.
    pub is_asked_by_neighbor: bool,
    /// Where it must be asked from.
    pub asker: IpAddr,
    /// What it says by TCP as soon as it is asked, or called where nobody asks.
    pub answer: Vec<u8>,
    pub waits_for_request: bool,
    /// Wrong is already how it takes a call.
    pub acknowledges_wrong: bool,
    pub port: u16,
    /// Probes that came in, and when, in ms.
    pub asked_ms: Vec<u64>,
    /// The last request.
    pub request: Vec<u8>,
    /// Connections that were reset by the switch.
    pub resets: usize,
    pub calls: BTreeMap<u16, Call>,
    /// What it will say, and when.
    pub late: Vec<(u64, Vec<u8>)>,
}

/// A connection by its client's port.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub ends: Ends,
    pub next_in: u32,
    pub next_out: u32,
    sent: usize,
    is_asked: bool,
}

const SEQUENCE: u32 = 0xffff_ff00;
const SLOW_MS: u64 = 300;

impl Station {
    pub fn new(n: usize, served: Served, manner: Manner) -> Station {
        Station {
            n,
            served,
            manner,
            is_asked_by_neighbor: false,
            asker: served.switch(),
            answer: b"HTTP/1.1 200 OK\r\n\r\nready".to_vec(),
            waits_for_request: true,
            acknowledges_wrong: false,
            port: 8080,
            asked_ms: Vec::new(),
            request: Vec::new(),
            resets: 0,
            calls: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    /// What it answers to a frame of the switch's.
    pub fn hear(&mut self, frame: &[u8], now_ms: u64) -> Vec<Vec<u8>> {
        if is_question(frame) {
            return self.hear_question(frame, now_ms);
        }
        let packet = read_packet(frame);
        let Ends { vlan, source_mac, destination_mac, source, destination } = packet.ends;
        assert_eq!((vlan, source_mac), (self.served.vlan, SWITCH_MAC));
        assert_eq!(destination_mac, guest_mac(self.n));
        assert_eq!((source.0, destination.0), (self.asker, self.served.guest(self.n)));
        match packet.carries {
            Carries::Tcp(ref tcp) => self.hear_segment(&packet, tcp, now_ms),
            Carries::Udp => self.hear_datagram(frame, &packet, now_ms),
            Carries::Icmp { kind, code, rest } => {
                let request = if self.asker.is_ipv4() { 8 } else { 128 };
                assert_eq!((kind, code), (request, 0));
                self.hear_echo(&packet, rest, now_ms)
            }
        }
    }

    /// What it says by and by.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        let due = |&(at, _): &(u64, Vec<u8>)| at <= now_ms;
        let mut said: Vec<Vec<u8>> =
            self.late.iter().filter(|l| due(l)).map(|l| l.1.clone()).collect();
        self.late.retain(|late| !due(late));
        if self.manner == Manner::Slow && now_ms.is_multiple_of(200) {
            let asked: Vec<u16> = self
                .calls
                .iter()
                .filter(|(_, call)| call.is_asked)
                .map(|(&port, _)| port)
                .collect();
            said.extend(asked.into_iter().flat_map(|port| self.say(port, 1, 1)));
        }
        said
    }

    fn hear_question(&mut self, frame: &[u8], now_ms: u64) -> Vec<Vec<u8>> {
        let mut answer = answer_to_probe(self.n, frame);
        if !self.is_asked_by_neighbor {
            return vec![answer];
        }
        self.asked_ms.push(now_ms);
        if self.manner == Manner::Wrong {
            // For an address that is not its own.
            answer = answer_for(self.n + 100, self.n, frame);
        }
        self.by_manner(answer, now_ms)
    }

    fn hear_echo(&mut self, packet: &Packet, mut rest: [u8; 4], now_ms: u64) -> Vec<Vec<u8>> {
        self.asked_ms.push(now_ms);
        rest[3] ^= u8::from(self.manner == Manner::Wrong);
        let reply = if self.asker.is_ipv4() { 0 } else { 129 };
        let answer = self.back(packet).icmp(reply, 0, rest, &packet.payload);
        self.by_manner(answer, now_ms)
    }

    fn hear_datagram(&mut self, frame: &[u8], packet: &Packet, now_ms: u64) -> Vec<Vec<u8>> {
        assert_eq!((packet.ends.destination.1, packet.payload.len()), (self.port, 0));
        self.asked_ms.push(now_ms);
        let mut back = self.back(packet);
        if self.manner == Manner::Refuses {
            let (kind, code) = if self.asker.is_ipv4() { (3, 3) } else { (1, 4) };
            back.source.1 = 0;
            return vec![back.icmp(kind, code, [0; 4], &frame[back.ip_at()..])];
        }
        back.source.1 ^= u16::from(self.manner == Manner::Wrong);
        self.by_manner(back.udp(b"?"), now_ms)
    }

    fn hear_segment(
        &mut self,
        packet: &Packet,
        tcp: &etherparse::TcpHeader,
        now_ms: u64,
    ) -> Vec<Vec<u8>> {
        let (port, back) = (packet.ends.source.1, self.back(packet));
        assert_eq!(packet.ends.destination.1, self.port);
        if tcp.rst {
            self.resets += usize::from(self.calls.remove(&port).is_some());
            return Vec::new();
        }
        if tcp.syn {
            assert!(!tcp.ack && packet.payload.is_empty());
            self.asked_ms.push(now_ms);
            let next_in = tcp.sequence_number.wrapping_add(1);
            return self.take_call(port, back, next_in, now_ms);
        }
        let Some(call) = self.calls.get_mut(&port) else {
            return vec![back.segment(tcp.acknowledgment_number, 0, 0, "R", &[])];
        };
        assert_eq!(tcp.sequence_number, call.next_in, "in order");
        call.next_in = call.next_in.wrapping_add(packet.payload.len() as u32);
        if !packet.payload.is_empty() && self.request.ends_with(b"\r\n\r\n") {
            self.request.clear();
        }
        self.request.extend_from_slice(&packet.payload);
        let is_request = self.request.ends_with(b"\r\n\r\n") && !packet.payload.is_empty();
        call.is_asked |= is_request || !self.waits_for_request;
        if !call.is_asked || matches!(self.manner, Manner::Slow) {
            return Vec::new();
        }
        let window_end = tcp.acknowledgment_number.wrapping_add(u32::from(tcp.window_size));
        let room = window_end.wrapping_sub(call.next_out) as i32;
        self.say(port, room.max(0) as usize, 1460)
    }

    fn take_call(&mut self, port: u16, ends: Ends, next_in: u32, now_ms: u64) -> Vec<Vec<u8>> {
        let call =
            Call { ends, next_in, next_out: SEQUENCE.wrapping_add(1), sent: 0, is_asked: false };
        let is_wrong = self.acknowledges_wrong && self.manner == Manner::Wrong;
        let accept = ends.segment(SEQUENCE, next_in ^ u32::from(is_wrong), 4096, "SA", &[]);
        match self.manner {
            Manner::Refuses => vec![ends.segment(0, next_in, 0, "RA", &[])],
            Manner::Silent => Vec::new(),
            Manner::Slow => {
                self.calls.insert(port, call);
                self.late.push((now_ms + SLOW_MS, accept));
                Vec::new()
            }
            Manner::Answers | Manner::Wrong | Manner::Endless => {
                self.calls.insert(port, call);
                vec![accept]
            }
        }
    }

    /// More of its answer, as far as there is room.
    fn say(&mut self, port: u16, mut room: usize, segment: usize) -> Vec<Vec<u8>> {
        let Some(call) = self.calls.get_mut(&port) else {
            return Vec::new();
        };
        let mut said = Vec::new();
        while room > 0 {
            let is_endless = self.manner == Manner::Endless;
            let rest: Vec<u8> = match call.sent < self.answer.len() {
                true => self.answer[call.sent..].to_vec(),
                false if is_endless => vec![b'x'; room],
                false => break,
            };
            let part = &rest[..rest.len().min(room).min(segment)];
            room -= part.len();
            call.sent += part.len();
            let is_last = call.sent == self.answer.len() && !is_endless;
            let flags = if is_last { "FPA" } else { "PA" };
            said.push(call.ends.segment(call.next_out, call.next_in, 4096, flags, part));
            call.next_out = call.next_out.wrapping_add(part.len() as u32 + u32::from(is_last));
        }
        said
    }

    fn by_manner(&mut self, answer: Vec<u8>, now_ms: u64) -> Vec<Vec<u8>> {
        match self.manner {
            Manner::Answers | Manner::Wrong => vec![answer],
            Manner::Refuses | Manner::Silent => Vec::new(),
            Manner::Slow => {
                self.late.push((now_ms + SLOW_MS, answer));
                Vec::new()
            }
            Manner::Endless => vec![answer; 3],
        }
    }

    /// To the gateway: it has a default route and nothing else.
    fn back(&self, packet: &Packet) -> Ends {
        let is_own_network = self.asker != self.served.switch();
        packet.ends.reversed_to(if is_own_network { SWITCH_MAC } else { CLIENT_MAC })
    }
}

/// Whether a frame asks who has an address.
pub fn is_question(frame: &[u8]) -> bool {
    let ip_at = if frame[12..14] == [0x81, 0] { 18 } else { 14 };
    match frame[ip_at - 2..ip_at] {
        [0x08, 0x06] => true,
        [0x86, 0xdd] => frame[ip_at + 6] == 58 && frame[ip_at + 40] == SOLICITATION,
        _ => false,
    }
}
