//! A trace: what would become of a frame, stage by stage, and nothing done about it.
//!
//! ```text
//!   Frame ─▶ Source ─▶ Arp │ Packet ─▶ Whom ─▶ Segment ─▶ Flow │ Begins … ─▶ verdict, rewritten bytes
//! ```
//!
//! The walk itself is in `dataplane/trace.rs`. It is made of the data path's own steps wherever these
//! only look (all headers, guards, ARP and ND, the way out, every rewriting, which is done to a copy of
//! the frame), and of twins that foresee what the others would do (`foresee…`: learn, choose, open,
//! hold). What it says is what [`Dataplane::receive`] would do with the frame at this very instant; the
//! fixed corpus and the fuzzers trace each frame before they give it to the switch, and compare.
//!
//! [`Dataplane::receive`]: crate::Dataplane::receive

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::explain::decisions::Choice;
use crate::flow::{Direction, FlowId, NewFlow};
use crate::switch::fdb::Lesson;
use crate::wire::arp::Arp;
use crate::wire::{Ethernet, Ip, Transport};
use crate::{DropReason, RealId, ServiceId, Verdict};

/// What would become of a frame.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What was found out on the way, in its order.
    pub steps: Vec<Step>,
    pub verdict: Verdict,
    /// The bytes that would leave, or were looked at last.
    pub frame: Vec<u8>,
}

/// One thing that was found out.
#[derive(Clone, Debug)]
pub enum Step {
    Frame(Ethernet),
    /// What the source would teach.
    Source(Lesson),
    Arp(Arp),
    Packet(Ip),
    Segment(Transport),
    Whom(Whom),
    /// The flow that the packet, or what it quotes or is a part of, belongs to.
    Flow(FlowId, Direction),
    NoFlow,
    /// A flow that ends with this packet.
    Over(FlowId, Over),
    /// The service that a new flow would be of, and the real that it would get.
    Chosen(ServiceId, Result<Choice, DropReason>),
    /// One of its reals has just come or gone, and the service takes that in within a tenth of a
    /// second: what follows may still change.
    News(ServiceId),
    /// The client's earlier flows went here.
    Remembered(RealId),
    Begins(NewFlow),
    /// A fragment that is copied until its first comes.
    Waits,
}

/// Whom a packet is for, as far as the switch has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// What is sent to this VIP.
    Vip(IpAddr),
    Switch,
    /// It is only switched.
    Station,
}

/// Why a flow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Its real is gone for good, or the operator has cut it.
    Severed,
    /// Its client opens a new connection with the same ports.
    BegunAnew,
    /// Its real has not answered; another is asked.
    Unanswered,
    /// It was taken up at this real after a restart, which was a guess.
    GuessedWrong,
}
