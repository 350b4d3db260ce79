//! The programs that use a station: both ends of a connection, and callers of datagrams.
//!
//! Every connection carries streams both ways that the ledger knows; each end says its own when its
//! time has come, and checks every byte that it hears.

use std::net::SocketAddr;

use super::ledger::{HEAD_BYTES, Head, Ledger, Side};
use super::packet::{Datagram, Mac, Packet, Segment};
use super::tcp::{Cut, Tcp};
use super::{MS, Nanos, SECOND};

const LINGERS: Nanos = 2 * SECOND;
const DATAGRAM_TIMEOUT: Nanos = 400 * MS;

/// One end of a connection and the program that holds it.
pub struct Socket {
    pub tcp: Tcp,
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
    pub gone_at: Option<Nanos>,
}

pub enum Program {
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
pub struct Exchange {
    pub call: usize,
    pub local: SocketAddr,
    pub round: u64,
    pub asks_at: Nanos,
}

impl Socket {
    pub fn new(tcp: Tcp, program: Program, speech: Vec<u8>) -> Socket {
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

    pub fn hear(
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
    pub fn speak(&mut self, ledger: &Ledger, now: Nanos) {
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
    pub fn end(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<usize> {
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

    pub fn wakes_at(&self) -> Option<Nanos> {
        let speaks_at = self.speaks_at.filter(|_| self.spoken < self.speech.len());
        [self.tcp.wakes_at(), speaks_at, self.gone_at].into_iter().flatten().min()
    }
}

impl Exchange {
    pub fn ask(&mut self, ledger: &Ledger, now: Nanos) -> Option<(u16, Packet)> {
        if now < self.asks_at {
            return None;
        }
        self.asks_at = now + DATAGRAM_TIMEOUT;
        let payload = ledger.stream(Head { call: self.call, round: self.round }, Side::Request);
        let to = ledger.destination(self.call);
        let vlan = ledger.entries[self.call].plan.vlan;
        Some((vlan, Packet::Udp(Datagram { from: self.local, to, payload })))
    }

    pub fn answered(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.round += 1;
        self.asks_at = now + ledger.entries[self.call].plan.pause;
        if self.is_over(ledger) {
            ledger.heard(self.call, Side::Request);
            ledger.heard(self.call, Side::Response);
        }
    }

    pub fn is_over(&self, ledger: &Ledger) -> bool {
        self.round == ledger.entries[self.call].plan.rounds
    }
}
