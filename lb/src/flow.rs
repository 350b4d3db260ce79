//! A flow: a five-tuple pinned to a real, and how far its connection is.
//!
//! Both directions pass the switch, so a flow's life is known from both: a connection is
//! established when the client has acknowledged the real's answer, and closed when both sides have
//! sent a FIN or either a RST. [`table`] is where flows are kept.

pub mod index;
pub mod table;

use core::time::Duration;

use crate::wire::Endpoint;
use crate::wire::transport::TcpFlags;
use crate::{Instant, Protocol, RealId};

pub use index::FlowId;
pub use table::{FlowCounters, FlowTable, Gone, InsertError, Step};

/// A flow that nobody has answered yet: three SYN retransmissions (RFC 6298: 1 s, 2 s, 4 s).
pub const EMBRYONIC_IDLE: Duration = Duration::from_secs(10);
/// An established TCP connection (RFC 5382, REQ-5: at least 2 h 4 min).
pub const TCP_IDLE: Duration = Duration::from_secs(7440);
/// A TCP connection of which one side has closed (RFC 5382, REQ-5: at least 4 min).
pub const CLOSING_IDLE: Duration = Duration::from_secs(240);
/// A closed connection: its last segments still find their way.
pub const CLOSED_IDLE: Duration = Duration::from_secs(30);
/// An answered UDP flow (RFC 4787, REQ-5: at least 2 min).
pub const UDP_IDLE: Duration = Duration::from_secs(120);

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToReal,
    ToClient,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// Not answered, or a SYN-ACK that the client has not acknowledged.
    Embryonic,
    Established,
    /// One side has sent its FIN.
    Closing,
    /// Both FINs or a RST were seen; kept for the last segments.
    Closed,
}

/// What makes two flows different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    pub protocol: Protocol,
    /// The client's end.
    pub client: Endpoint,
    /// The other end: the VIP's or the real's.
    pub server: Endpoint,
}

/// A five-tuple pinned to a real.
#[derive(Clone, Debug)]
pub struct Flow {
    pub protocol: Protocol,
    pub client: Endpoint,
    pub vip: Endpoint,
    /// The client's end as the real sees it: the client itself but for a guest's flow with itself
    /// and for tuples that would collide at the real.
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
    pub real: RealId,
    pub state: FlowState,
    pub started: Instant,
    /// Last packet, either way.
    pub seen: Instant,
    pub packets_in: u64,
    pub packets_out: u64,
    /// Sides that have sent a FIN, and whether the real has answered.
    fin_from_client: bool,
    fin_from_real: bool,
    answered: bool,
}

/// Whether a packet is the first with which a real answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    First,
    NoneOrLater,
}

/// What a new flow needs to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow {
    pub protocol: Protocol,
    pub client: Endpoint,
    pub vip: Endpoint,
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
    pub real: RealId,
}

impl Flow {
    pub(crate) fn new(new: NewFlow, now: Instant) -> Flow {
        let NewFlow { protocol, client, vip, client_at_real, real_end, real } = new;
        Flow {
            protocol,
            client,
            vip,
            client_at_real,
            real_end,
            real,
            state: FlowState::Embryonic,
            started: now,
            seen: now,
            packets_in: 0,
            packets_out: 0,
            fin_from_client: false,
            fin_from_real: false,
            answered: false,
        }
    }

    /// The key by which a packet of the given direction finds this flow.
    pub fn key(&self, direction: Direction) -> FlowKey {
        let (client, server) = match direction {
            Direction::ToReal => (self.client, self.vip),
            Direction::ToClient => (self.client_at_real, self.real_end),
        };
        FlowKey { protocol: self.protocol, client, server }
    }

    pub fn is_open(&self) -> bool {
        self.state != FlowState::Closed
    }

    /// Whether it has been silent for longer than its state allows.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        let idle_max = match (self.state, self.protocol) {
            (FlowState::Embryonic, _) => EMBRYONIC_IDLE,
            (FlowState::Established, Protocol::Tcp) => TCP_IDLE,
            (FlowState::Established, Protocol::Udp) => UDP_IDLE,
            (FlowState::Closing, _) => CLOSING_IDLE,
            (FlowState::Closed, _) => CLOSED_IDLE,
        };
        now.since(self.seen) >= idle_max
    }

    /// Takes in that a packet passed. Returns whether it was the real's first answer; the state to
    /// go on in is for the table to set, which keeps lists by it.
    pub(crate) fn pass(
        &mut self,
        direction: Direction,
        flags: TcpFlags,
        now: Instant,
    ) -> (FlowState, Answer) {
        self.seen = now;
        let first_answer = direction == Direction::ToClient && !self.answered;
        match direction {
            Direction::ToReal => self.packets_in += 1,
            Direction::ToClient => self.packets_out += 1,
        }
        self.answered |= first_answer;
        let answer = if first_answer { Answer::First } else { Answer::NoneOrLater };
        (self.next_state(direction, flags), answer)
    }

    fn next_state(&mut self, direction: Direction, flags: TcpFlags) -> FlowState {
        match (self.protocol, direction) {
            (Protocol::Udp, Direction::ToReal) => return self.state,
            (Protocol::Udp, Direction::ToClient) => return FlowState::Established,
            (Protocol::Tcp, Direction::ToReal) => self.fin_from_client |= flags.has(TcpFlags::FIN),
            (Protocol::Tcp, Direction::ToClient) => self.fin_from_real |= flags.has(TcpFlags::FIN),
        }
        let confirmed = direction == Direction::ToReal && self.answered && !flags.opens();
        match self.state {
            _ if flags.has(TcpFlags::RST) => FlowState::Closed,
            FlowState::Closed => FlowState::Closed,
            _ if self.fin_from_client && self.fin_from_real => FlowState::Closed,
            FlowState::Embryonic if !confirmed => FlowState::Embryonic,
            _ if self.fin_from_client || self.fin_from_real => FlowState::Closing,
            _ => FlowState::Established,
        }
    }
}

impl FlowState {
    pub const fn as_str(self) -> &'static str {
        match self {
            FlowState::Embryonic => "embryonic",
            FlowState::Established => "established",
            FlowState::Closing => "closing",
            FlowState::Closed => "closed",
        }
    }
}
