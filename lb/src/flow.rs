//! A flow: a five-tuple pinned to a real, and how far its connection is.
//!
//! Both directions pass the switch, so a flow's life is known from both: a connection is
//! established when the client has acknowledged the real's answer, and closed when both sides have
//! sent a FIN or either a RST. [`table`] is where flows are kept; [`fragments`] follow their first
//! one, which has the ports.
//!
//! With its place in the table a flow takes 128 bytes, two cache lines side by side, for both keys
//! at sixteen bytes an address and for all that a packet changes: whoever has found a flow has all
//! of it.

pub mod fragments;
pub mod index;
pub mod key;
pub mod table;

use core::time::Duration;

use crate::explain::decisions::Placed;
use crate::service::passive::PATIENCE;
use crate::wire::Endpoint;
use crate::wire::transport::{TcpFlags, Transport};
use crate::{Instant, Protocol, RealId};

pub use index::FlowId;
pub use key::FlowKey;
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

impl Direction {
    pub const BOTH: [Direction; 2] = [Direction::ToReal, Direction::ToClient];
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
    /// The operator has ended it; kept for who has yet to be told.
    Cut,
}

/// A five-tuple pinned to a real.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Flow {
    /// The client and the VIP.
    to_real: FlowKey,
    /// The client's end as the real sees it, and the real's. The former is the client itself but
    /// for a guest's flow with itself and for tuples that would collide at the real.
    to_client: FlowKey,
    pub started: Instant,
    /// Last packet, either way.
    pub seen: Instant,
    /// They stop at the most that they can hold; those of real and service go on.
    pub packets_in: u32,
    pub packets_out: u32,
    /// UDP: for how many milliseconds it may be silent. TCP: the sequence number of the SYN that
    /// opened it.
    udp_idle_ms_or_sequence: u32,
    pub real: RealId,
    pub state: FlowState,
    marks: Marks,
}

/// What is known of a flow for ever, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks(u16);

impl Marks {
    /// Found by the real's answers alone.
    const ONE_PACKET: Marks = Marks(1);
    const FIN_FROM_CLIENT: Marks = Marks(1 << 1);
    const FIN_FROM_REAL: Marks = Marks(1 << 2);
    /// The real has answered.
    const ANSWERED: Marks = Marks(1 << 3);
    /// The client has spoken after the answer, so it is where it says to be.
    const CONFIRMED: Marks = Marks(1 << 4);
    /// The last who said anything was the client; so is one who has only just called.
    const WAITS: Marks = Marks(1 << 5);
    /// By what it was placed: the number among [`Placed::ALL`], in the bits from here on.
    const PLACED_SHIFT: u32 = 6;

    fn of(placed: Placed) -> Marks {
        Marks((placed as u16) << Self::PLACED_SHIFT)
    }

    fn placed(self) -> Placed {
        let number = usize::from(self.0 >> Self::PLACED_SHIFT);
        Placed::ALL.get(number).copied().unwrap_or_default()
    }

    fn has(self, all: Marks) -> bool {
        self.0 & all.0 == all.0
    }

    #[must_use]
    fn with(self, mark: Marks, is_set: bool) -> Marks {
        Marks(self.0 | if is_set { mark.0 } else { 0 })
    }
}

/// What a packet tells for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Nothing,
    /// The real answers.
    Answered,
    /// The client has heard the answer.
    Confirmed,
    /// The client asks again, and nobody has answered.
    Unanswered,
}

/// What a new flow needs to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct NewFlow {
    pub protocol: Protocol,
    pub vlan: u16,
    pub client: Endpoint,
    pub vip: Endpoint,
    pub client_at_real: Endpoint,
    pub real_end: Endpoint,
    pub real: RealId,
    /// UDP: how long it may be silent.
    pub udp_idle: Duration,
    /// What comes from the client does not find it: every datagram is scheduled anew, and only the
    /// way back is remembered.
    pub one_packet: bool,
    pub placed: Placed,
    pub stage: Stage,
}

/// How far a new flow is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The client's packet is on the way; its TCP sequence number.
    Asked { sequence: u32 },
    /// The real has spoken: the flow is taken up in the middle.
    Answered,
}

impl Flow {
    pub(crate) fn new(new: NewFlow, now: Instant) -> Flow {
        let NewFlow { protocol, vlan, client, vip, client_at_real, real_end, .. } = new;
        let is_answered = new.stage == Stage::Answered;
        Flow {
            to_real: FlowKey::new(protocol, vlan, client, vip),
            to_client: FlowKey::new(protocol, vlan, client_at_real, real_end),
            started: now,
            seen: now,
            packets_in: 0,
            packets_out: 0,
            udp_idle_ms_or_sequence: match (protocol, new.stage) {
                (Protocol::Udp, _) => new.udp_idle.as_millis().try_into().unwrap_or(u32::MAX),
                (Protocol::Tcp, Stage::Asked { sequence }) => sequence,
                (Protocol::Tcp, Stage::Answered) => 0,
            },
            real: new.real,
            state: FlowState::Embryonic,
            marks: Marks::of(new.placed)
                .with(Marks::ONE_PACKET, new.one_packet)
                .with(Marks::ANSWERED, is_answered)
                .with(Marks::WAITS, !is_answered),
        }
    }

    /// The key by which a packet of the given direction finds this flow.
    pub fn key(&self, direction: Direction) -> &FlowKey {
        match direction {
            Direction::ToReal => &self.to_real,
            Direction::ToClient => &self.to_client,
        }
    }

    pub fn protocol(&self) -> Protocol {
        self.to_real.protocol()
    }

    pub fn vlan(&self) -> u16 {
        self.to_real.vlan()
    }

    pub fn client(&self) -> Endpoint {
        self.to_real.client()
    }

    pub fn vip(&self) -> Endpoint {
        self.to_real.server()
    }

    /// The client's end as the real sees it.
    pub fn client_at_real(&self) -> Endpoint {
        self.to_client.client()
    }

    pub fn real_end(&self) -> Endpoint {
        self.to_client.server()
    }

    /// Whether addresses and ports change on the way: not with `direct` forwarding.
    #[inline]
    pub(crate) fn translates(&self) -> bool {
        self.to_real != self.to_client
    }

    /// Whether what only goes on in this direction changes nothing but counts: both ends have spoken and
    /// none has ended, or datagrams go where none has come from yet.
    #[inline]
    pub(crate) fn is_settled(&self, direction: Direction) -> bool {
        let spoken = Marks(Marks::ANSWERED.0 | Marks::CONFIRMED.0);
        let is_settled = match self.state {
            FlowState::Established => self.marks.has(spoken),
            FlowState::Embryonic => {
                let is_one_way = !self.marks.has(Marks::ANSWERED);
                is_one_way && (self.protocol(), direction) == (Protocol::Udp, Direction::ToReal)
            }
            FlowState::Closing | FlowState::Closed | FlowState::Cut => false,
        };
        is_settled && !self.marks.has(Marks::ONE_PACKET)
    }

    /// Whether nobody has said yet that its real is the right one, after a restart.
    pub(crate) fn is_guess(&self) -> bool {
        let is_placed_so = matches!(self.placed(), Placed::Guess | Placed::StandIn);
        is_placed_so && !self.marks.has(Marks::ANSWERED)
    }

    /// The number of the SYN that opened it, if no real has answered that yet.
    pub(crate) fn unanswered_syn(&self) -> Option<u32> {
        let is_new = self.state == FlowState::Embryonic && !self.marks.has(Marks::ANSWERED);
        let is_asked = is_new && self.protocol() == Protocol::Tcp && !self.is_guess();
        is_asked.then_some(self.udp_idle_ms_or_sequence)
    }

    /// How far it was when it began, to begin again elsewhere.
    pub(crate) fn first_stage(&self) -> Stage {
        Stage::Asked { sequence: self.udp_idle_ms_or_sequence }
    }

    /// Whether its SYN has had time to be answered, and was not.
    fn waits_in_vain(&self, now: Instant) -> bool {
        self.unanswered_syn().is_some() && now.since(self.started) >= PATIENCE
    }

    /// Whether the client repeats its SYN, and not only the network: the real has had its time.
    pub(crate) fn is_asked_again(&self, segment: &Transport, now: Instant) -> bool {
        let is_copy = segment.flags.opens() && self.unanswered_syn() == Some(segment.sequence);
        is_copy && self.waits_in_vain(now)
    }

    /// Whether it ends unanswered now, and nobody was told when the client asked again.
    pub(crate) fn ends_unanswered(&self, now: Instant) -> bool {
        self.packets_in == 1 && self.waits_in_vain(now)
    }

    /// Whether a client's segment opens a new connection with this one's ports: a SYN after the end,
    /// or where another connection was only a guess. Not a late copy of the SYN that opened this
    /// one, which would send the last segments astray; a client that begins anew does so with
    /// another number (RFC 6528, RFC 9293 §3.4.1).
    pub(crate) fn begins_anew(&self, segment: &Transport) -> bool {
        let is_late_copy = segment.sequence == self.udp_idle_ms_or_sequence;
        let has_ended = self.state == FlowState::Closed && !is_late_copy;
        (has_ended || self.is_guess()) && segment.flags.opens()
    }

    /// The directions by whose packets it is found.
    #[inline]
    pub(crate) fn directions(&self) -> &'static [Direction] {
        match self.marks.has(Marks::ONE_PACKET) {
            false => &[Direction::ToReal, Direction::ToClient],
            true => &[Direction::ToClient],
        }
    }

    /// By what it got its real.
    pub fn placed(&self) -> Placed {
        self.marks.placed()
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.state, FlowState::Closed | FlowState::Cut)
    }

    /// Whether its client waits for an answer: it has called, or was the last to say anything.
    pub fn is_waiting(&self) -> bool {
        self.is_open() && self.marks.has(Marks::WAITS)
    }

    /// Whether it has been silent for longer than its state allows.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        let idle_max = match (self.state, self.protocol()) {
            (FlowState::Embryonic, _) => EMBRYONIC_IDLE,
            (FlowState::Established, Protocol::Tcp) => TCP_IDLE,
            (FlowState::Established, Protocol::Udp) => {
                Duration::from_millis(u64::from(self.udp_idle_ms_or_sequence))
            }
            (FlowState::Closing, _) => CLOSING_IDLE,
            (FlowState::Closed | FlowState::Cut, _) => CLOSED_IDLE,
        };
        now.since(self.seen) >= idle_max
    }

    /// Takes in that a packet passed which changes nothing else.
    #[inline(always)]
    pub(crate) fn go_on(&mut self, direction: Direction, now: Instant) {
        self.seen = now;
        match direction {
            Direction::ToReal => self.packets_in = self.packets_in.saturating_add(1),
            Direction::ToClient => self.packets_out = self.packets_out.saturating_add(1),
        }
    }

    /// Takes in that one side says something. Whether the other one did before.
    #[inline(always)]
    pub(crate) fn turns(&mut self, direction: Direction) -> bool {
        let before = self.marks;
        let others = Marks(before.0 & !Marks::WAITS.0);
        self.marks = others.with(Marks::WAITS, direction == Direction::ToReal);
        self.marks != before
    }

    /// Takes in that a packet passed. The state to go on in is for the table to set, which keeps
    /// lists by it.
    #[inline(always)]
    pub(crate) fn pass(
        &mut self,
        direction: Direction,
        flags: TcpFlags,
        now: Instant,
    ) -> (FlowState, News) {
        self.go_on(direction, now);
        let before = self.marks;
        let news = match direction {
            // Asked for the second time: so each flow fails once.
            Direction::ToReal
                if flags.opens() && self.packets_in == 2 && self.waits_in_vain(now) =>
            {
                return (self.next_state(direction, flags), News::Unanswered);
            }
            Direction::ToReal => {
                let goes_on = !flags.opens() && !flags.has(TcpFlags::RST);
                let is_confirmed = before.has(Marks::ANSWERED) && goes_on;
                self.marks = before.with(Marks::CONFIRMED, is_confirmed);
                News::Confirmed
            }
            Direction::ToClient => {
                self.marks = before.with(Marks::ANSWERED, true);
                News::Answered
            }
        };
        let news = if self.marks == before { News::Nothing } else { news };
        (self.next_state(direction, flags), news)
    }

    #[inline(always)]
    fn next_state(&mut self, direction: Direction, flags: TcpFlags) -> FlowState {
        let fin = match (self.protocol(), direction) {
            (Protocol::Udp, Direction::ToReal) => return self.state,
            (Protocol::Udp, Direction::ToClient) => return FlowState::Established,
            (Protocol::Tcp, Direction::ToReal) => Marks::FIN_FROM_CLIENT,
            (Protocol::Tcp, Direction::ToClient) => Marks::FIN_FROM_REAL,
        };
        self.marks = self.marks.with(fin, flags.has(TcpFlags::FIN));
        let [from_client, from_real] =
            [Marks::FIN_FROM_CLIENT, Marks::FIN_FROM_REAL].map(|fin| self.marks.has(fin));
        match self.state {
            FlowState::Cut => FlowState::Cut,
            _ if flags.has(TcpFlags::RST) => FlowState::Closed,
            FlowState::Closed => FlowState::Closed,
            _ if from_client && from_real => FlowState::Closed,
            FlowState::Embryonic if !self.marks.has(Marks::CONFIRMED) => FlowState::Embryonic,
            _ if from_client || from_real => FlowState::Closing,
            _ => FlowState::Established,
        }
    }
}

impl FlowState {
    pub const ALL: [FlowState; 5] = [
        FlowState::Embryonic,
        FlowState::Established,
        FlowState::Closing,
        FlowState::Closed,
        FlowState::Cut,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            FlowState::Embryonic => "embryonic",
            FlowState::Established => "established",
            FlowState::Closing => "closing",
            FlowState::Closed => "closed",
            FlowState::Cut => "cut",
        }
    }
}
