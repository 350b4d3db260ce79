//! One end of a TCP connection (RFC 9293), small and honest: three-way handshake, cumulative
//! acknowledgements, retransmission with back-off (RFC 6298), reassembly in order, FIN both ways,
//! challenge acknowledgements (RFC 5961), and questions whether the other end still lives. Neither
//! fast retransmit nor a window that moves: virtual time is cheap.
//!
//! Positions in a stream are counted from the connection's first sequence number: 0 is the SYN,
//! the bytes begin at 1, the FIN follows the last. So nothing here wraps; the wire does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::packet::Segment;
use super::{MS, Nanos};

/// Bytes under way without an acknowledgement.
const WINDOW_BYTES: u64 = 8 * 1460;
/// The first retransmission of a SYN, of anything else, and the longest wait for either.
const SYN_TIMEOUT: Nanos = 1000 * MS;
const TIMEOUT: Nanos = 150 * MS;
const TIMEOUT_MAX: Nanos = 3000 * MS;
/// Silence after which an end asks whether the other is still there (RFC 9293 §3.8.4).
const KEEP_ALIVE: Nanos = 2500 * MS;
/// The least time between two answers to what cannot be meant: two ends that do not know each
/// other would answer one another for ever (RFC 5961 §7).
const CHALLENGES_EVERY: Nanos = 500 * MS;
/// Retransmissions or questions in a row without an answer, before an end gives up: most of a
/// minute.
const RETRIES_MAX: u32 = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SynSent,
    SynReceived,
    Open,
}

/// How a connection ended at this end without being whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A RST was the answer to our SYN.
    Refused,
    /// The other end sent a RST.
    Reset,
    /// The other end is silent.
    GaveUp,
}

#[derive(Debug)]
pub struct Tcp {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub cut: Option<Cut>,
    /// Received in order.
    pub received: Vec<u8>,
    state: State,
    mss_bytes: usize,
    isn: u32,
    outgoing: Vec<u8>,
    /// No byte will be added to `outgoing`: a FIN follows it.
    is_finished: bool,
    /// Everything before is acknowledged; everything before was sent last; the most ever sent.
    acknowledged: u64,
    sent: u64,
    sent_max: u64,
    timeout: Nanos,
    retransmit_at: Option<Nanos>,
    retries: u32,
    asks_at: Option<Nanos>,
    peer_isn: u32,
    early: BTreeMap<u64, Vec<u8>>,
    peer_fin: Option<u64>,
    owes_ack: bool,
    owes_challenge: bool,
    challenges_at: Nanos,
}

impl Tcp {
    pub fn connect(local: SocketAddr, remote: SocketAddr, isn: u32, mss_bytes: usize) -> Tcp {
        Tcp {
            local,
            remote,
            cut: None,
            received: Vec::new(),
            state: State::SynSent,
            mss_bytes,
            isn,
            outgoing: Vec::new(),
            is_finished: false,
            acknowledged: 0,
            sent: 0,
            sent_max: 0,
            timeout: SYN_TIMEOUT,
            retransmit_at: None,
            retries: 0,
            asks_at: None,
            peer_isn: 0,
            early: BTreeMap::new(),
            peer_fin: None,
            owes_ack: false,
            owes_challenge: false,
            challenges_at: 0,
        }
    }

    /// The other end of a connection that begins with `syn`.
    pub fn accept(syn: &Segment, isn: u32, mss_bytes: usize) -> Tcp {
        let connect = Tcp::connect(syn.to, syn.from, isn, mss_bytes);
        Tcp { state: State::SynReceived, peer_isn: syn.seq, ..connect }
    }

    /// The answer to a segment of no connection (RFC 9293 §3.10.7.1); a RST is met with silence.
    pub fn refuse(segment: &Segment) -> Option<Segment> {
        let silent = Segment { from: segment.to, to: segment.from, ..bare(segment) };
        let answer = match segment.ack {
            Some(ack) => Segment { seq: ack, ..silent },
            None => Segment { ack: Some(segment.seq.wrapping_add(length(segment))), ..silent },
        };
        (!segment.rst).then_some(Segment { rst: true, ..answer })
    }

    pub fn write(&mut self, bytes: &[u8]) {
        assert!(!self.is_finished, "nothing follows a FIN");
        self.outgoing.extend_from_slice(bytes);
    }

    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The whole stream of the other end has arrived, its FIN too.
    pub fn has_heard_all(&self) -> bool {
        self.peer_fin == Some(self.expected())
    }

    /// The other end has acknowledged the whole of ours, the FIN too.
    pub fn is_heard(&self) -> bool {
        self.is_finished && self.acknowledged == self.end()
    }

    /// When [`Tcp::send`] has to be called though nothing has arrived.
    pub fn wakes_at(&self) -> Option<Nanos> {
        self.retransmit_at.or(self.asks_at)
    }

    /// Takes in a segment; returns the RST that it may deserve.
    pub fn hear(&mut self, segment: &Segment) -> Option<Segment> {
        match self.state {
            State::SynSent => self.hear_answer(segment),
            State::SynReceived | State::Open if segment.rst => {
                let is_next = segment.seq == self.on_wire(self.next_expected());
                self.cut = self.cut.or(is_next.then_some(Cut::Reset));
                None
            }
            State::SynReceived if segment.syn && segment.seq == self.peer_isn => {
                self.sent = 0;
                None
            }
            State::SynReceived | State::Open if segment.syn => {
                self.owes_challenge = true;
                None
            }
            State::SynReceived | State::Open => self.hear_segment(segment),
        }
    }

    /// Everything that may be sent now.
    pub fn send(&mut self, now: Nanos) -> Vec<Segment> {
        if self.retransmit_at.is_some_and(|at| now >= at) {
            self.go_back();
        }
        let mut segments = Vec::new();
        while self.cut.is_none()
            && let Some(segment) = self.next_segment()
        {
            segments.push(segment);
        }
        if segments.is_empty() && self.asks_at.is_some_and(|at| now >= at) {
            segments.push(self.segment(self.sent - 1, &[]));
            self.count_retry();
        }
        if self.owes_challenge && now >= self.challenges_at {
            self.challenges_at = now + CHALLENGES_EVERY;
            self.owes_ack = true;
        }
        if segments.is_empty() && self.owes_ack {
            segments.push(self.segment(self.sent, &[]));
        }
        (self.owes_ack, self.owes_challenge) = (false, false);
        let waits = self.acknowledged < self.sent;
        self.retransmit_at = waits.then(|| self.retransmit_at.unwrap_or(now + self.timeout));
        let is_idle = !waits && !self.has_heard_all();
        let asks_at = self.asks_at.filter(|&at| now < at && segments.is_empty());
        self.asks_at = is_idle.then(|| asks_at.unwrap_or(now + KEEP_ALIVE));
        segments
    }

    fn hear_answer(&mut self, segment: &Segment) -> Option<Segment> {
        let answers_us = segment.ack == Some(self.isn.wrapping_add(1));
        match (answers_us, segment.rst, segment.syn) {
            (true, true, _) => self.cut = Some(Cut::Refused),
            (true, false, true) => {
                self.peer_isn = segment.seq;
                self.state = State::Open;
                self.owes_ack = true;
                self.take_ack(1);
            }
            // Of an older connection between the same ends.
            (false, false, _) if segment.ack.is_some() => return Tcp::refuse(segment),
            _ => {}
        }
        None
    }

    fn hear_segment(&mut self, segment: &Segment) -> Option<Segment> {
        let ack = segment.ack?;
        let acknowledged = near(self.acknowledged, ack.wrapping_sub(self.isn));
        let is_sane = acknowledged.is_some_and(|at| at <= self.sent_max);
        if self.state == State::SynReceived {
            if !is_sane || acknowledged < Some(1) {
                return Tcp::refuse(segment);
            }
            self.state = State::Open;
        }
        self.retries = 0;
        match acknowledged {
            Some(at) if is_sane => self.take_ack(at),
            _ => {
                self.owes_challenge = true;
                return None;
            }
        }
        let at = near(self.next_expected(), segment.seq.wrapping_sub(self.peer_isn))?;
        self.owes_ack |= length(segment) > 0 || at < self.next_expected();
        self.take_bytes(at, segment);
        None
    }

    fn take_ack(&mut self, acknowledged: u64) {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.sent = self.sent.max(acknowledged);
            self.timeout = TIMEOUT;
            self.retransmit_at = None;
        }
    }

    fn take_bytes(&mut self, at: u64, segment: &Segment) {
        let end = at + segment.payload.len() as u64;
        let expected = self.bytes_expected();
        if !(expected..=expected + u64::from(u16::MAX)).contains(&end) {
            return;
        }
        if segment.fin {
            self.peer_fin = Some(end + 1);
        }
        self.early.insert(at, segment.payload.clone());
        while let Some((&at, _)) = self.early.first_key_value()
            && at <= self.bytes_expected()
        {
            let bytes = self.early.remove(&at).unwrap_or_default();
            let known = (self.bytes_expected() - at) as usize;
            self.received.extend_from_slice(bytes.get(known..).unwrap_or_default());
        }
    }

    fn go_back(&mut self) {
        self.sent = self.acknowledged;
        self.retransmit_at = None;
        self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
        self.count_retry();
    }

    fn count_retry(&mut self) {
        self.retries += 1;
        if self.retries > RETRIES_MAX {
            self.cut = self.cut.or(Some(Cut::GaveUp));
        }
    }

    fn next_segment(&mut self) -> Option<Segment> {
        let at = self.sent;
        let bytes_end = 1 + self.outgoing.len() as u64;
        let window_end = self.acknowledged + WINDOW_BYTES;
        let mut segment = if at == 0 {
            Segment { syn: true, ..self.segment(0, &[]) }
        } else if self.state != State::Open {
            return None;
        } else if at < bytes_end.min(window_end) {
            let end = bytes_end.min(window_end).min(at + self.mss_bytes as u64);
            self.segment(at, &self.outgoing[at as usize - 1..end as usize - 1])
        } else if self.is_finished && at == bytes_end {
            self.segment(at, &[])
        } else {
            return None;
        };
        self.sent = at + u64::from(segment.syn) + segment.payload.len() as u64;
        if self.is_finished && at > 0 && self.sent == bytes_end {
            segment.fin = true;
            self.sent += 1;
        }
        self.sent_max = self.sent_max.max(self.sent);
        Some(segment)
    }

    /// What stands at this position of our stream; a SYN-ACK for who has not heard one yet.
    fn segment(&self, at: u64, payload: &[u8]) -> Segment {
        let ack = self.on_wire(self.next_expected());
        Segment {
            from: self.local,
            to: self.remote,
            seq: self.isn.wrapping_add(at as u32),
            ack: (self.state != State::SynSent).then_some(ack),
            syn: false,
            fin: false,
            rst: false,
            payload: payload.to_vec(),
        }
    }

    /// The other end's position up to which everything has arrived.
    fn bytes_expected(&self) -> u64 {
        1 + self.received.len() as u64
    }

    /// The same, counting a FIN that has been reached.
    fn expected(&self) -> u64 {
        self.bytes_expected() + 1
    }

    fn next_expected(&self) -> u64 {
        if self.has_heard_all() { self.expected() } else { self.bytes_expected() }
    }

    fn on_wire(&self, peer_position: u64) -> u32 {
        self.peer_isn.wrapping_add(peer_position as u32)
    }

    fn end(&self) -> u64 {
        2 + self.outgoing.len() as u64
    }
}

/// Sequence numbers that a segment takes up.
fn length(segment: &Segment) -> u32 {
    segment.payload.len() as u32 + u32::from(segment.syn) + u32::from(segment.fin)
}

/// A segment's ends and nothing else of it.
fn bare(segment: &Segment) -> Segment {
    Segment {
        seq: 0,
        ack: None,
        syn: false,
        fin: false,
        rst: false,
        payload: Vec::new(),
        ..segment.clone()
    }
}

/// The position near `known` that reads as `wire`, if there is one.
fn near(known: u64, wire: u32) -> Option<u64> {
    let step = wire.wrapping_sub(known as u32) as i32;
    known.checked_add_signed(i64::from(step))
}
