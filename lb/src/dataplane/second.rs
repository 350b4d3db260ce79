//! Second chance: until a real has answered a SYN, the choice of the real may be undone.
//!
//! ```text
//!   client ──SYN──▶ ┃ ──SYN──▶ real 1      ✗ RST, or ICMP unreachable: kept from the client
//!                   ┃ ──SYN──▶ real 2      the same SYN, at once
//!   client ◀──────  ┃ ◀─SYN+ACK──
//!
//!   client ──SYN──▶ ┃ ──SYN──▶ real 1      … nothing
//!   client ──SYN──▶ ┃ ──SYN──▶ real 2      the client's own repetition
//! ```
//!
//! The flow goes to another real that may have it, chosen by the service's scheduler from all but
//! those that it was at, and to the sorry real if there is none; where there is nobody, the first
//! one's word is the client's, and its silence is waited out. A flow is at [`TRIES`] reals at most,
//! and each SYN that a client sends goes to one real, and to another only when a real has spoken: so
//! whoever floods with SYNs gets no more out of it than before.
//!
//! For a refusal the SYN is needed again, so the latest ones are kept, in places by the number of
//! their flow where the newer overwrites the older. Of those that are too long for a place, or are
//! overwritten, the refusal is kept from the client all the same: it repeats its SYN within a second,
//! and that is sent elsewhere. Only a flow that was moved once, and of which nothing is known any
//! more, stays where it is.
//!
//! A real may answer after all when the flow is another's: its answer does not reach the client, and
//! it is told to forget the connection. That is known of the latest [`LATE_ANSWERS_MAX`] for the time
//! that a closed flow's last segments are waited for.
//!
//! A refusal must name the SYN: a reset acknowledges it (RFC 9293 §3.10.7.3), an error quotes its
//! number. Both must come by the port of the real's own guest, so nobody can have another's flows
//! moved. What a client remembers of a service ([`crate::service::persist`]) changes when the other real was
//! heard, not before: a SYN that every real drops, in another client's name, moves nobody.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::dataplane::{Dataplane, Inbound};
use crate::explain::decisions::{Choice, Placed};
use crate::flow::{CLOSED_IDLE, Direction, Flow, FlowId, FlowKey};
use crate::limits::{LATE_ANSWERS_MAX, SYNS_KEPT};
use crate::service::passive::FlowFailure;
use crate::wire::checksum::Sum;
use crate::wire::transport::TcpFlags;
use crate::wire::{Ethernet, Headers, Ip, Offload, Transport};
use crate::{DropReason, Instant, MacAddr, PortId, PortSet, RealId, ServiceId};

/// Reals that a flow may be at, one after the other.
const TRIES: usize = 3;
/// The longest SYN: a tag, IPv6 without extensions, all of TCP's options.
const SYN_BYTES_MAX: usize = 18 + 40 + 60;

/// What is remembered to move flows.
pub(super) struct SecondChances {
    syns: Box<[Syn]>,
    /// Connections at reals that lost their flow, and until when that matters.
    left: Box<[(u64, Instant)]>,
    key: FixedState,
}

/// The SYN of a flow that no real has answered.
#[derive(Clone)]
struct Syn {
    /// `None` for a place that was never taken.
    flow: Option<FlowId>,
    sequence: u32,
    /// Reals that had the flow before.
    tried: Tried,
    ingress: PortId,
    offload: Offload,
    /// As it came, and how long; nothing of one that is too long.
    bytes: [u8; SYN_BYTES_MAX],
    len: u8,
}

type Tried = heapless::Vec<RealId, { TRIES - 1 }, u8>;

/// Where else a flow may go.
struct Chance {
    service: ServiceId,
    choice: Choice,
    /// Where it was, its present real included.
    tried: Tried,
}

impl Dataplane {
    /// The client has repeated a SYN that its real does not answer: the flow to send it on by, which
    /// is another real's now, if there is one.
    pub(super) fn unanswered(
        &mut self,
        id: FlowId,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Result<FlowId, DropReason> {
        let Some(chance) = self.chance(id, packet.now) else {
            return Ok(id);
        };
        let now = packet.now;
        self.of_its_real(id, |real, tables| tables.failed(real, FlowFailure::Unanswered, now));
        let id = self.take_chance(id, &chance, now)?;
        self.chances.keep(id, chance.tried, packet, segment);
        Ok(id)
    }

    /// A real refuses the SYN of this number. Whether another is asked, or will be, so that the
    /// client need not hear of it.
    pub(super) fn refused(
        &mut self,
        id: FlowId,
        failure: FlowFailure,
        syn: Option<u32>,
        now: Instant,
    ) -> bool {
        if !self.names_its_syn(id, syn) {
            return false;
        }
        let Some(chance) = self.chance(id, now) else {
            return false;
        };
        self.of_its_real(id, |real, tables| tables.failed(real, failure, now));
        // Without the SYN the client's own repetition is awaited.
        let Some(syn) = self.chances.find(id, syn).and_then(Syn::finished) else {
            return true;
        };
        if let Ok(id) = self.take_chance(id, &chance, now) {
            self.send_again(&syn, id, now);
            self.chances.put(id, Syn { tried: chance.tried, ..syn });
        }
        true
    }

    /// Refuses what a guest says for a flow that was taken from it, and tells it that there is none.
    pub(super) fn turn_away(
        &mut self,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Result<(), DropReason> {
        if !self.comes_too_late(packet, segment) {
            return Ok(());
        }
        self.reset(MacAddr::SWITCH, packet, segment);
        Err(DropReason::NoFlow)
    }

    /// Whether a guest answers in a flow that was taken from it.
    pub(super) fn comes_too_late(&self, packet: &Inbound<'_>, segment: &Transport) -> bool {
        let flags = segment.flags;
        let is_answer = flags.has(TcpFlags::SYN) && !flags.opens() || flags.has(TcpFlags::RST);
        let key = segment.key_to_client(packet.header.vlan);
        is_answer && self.chances.has_left(&key, packet.header.source, packet.now)
    }

    /// Whether a refusal is one of the SYN that a flow waits to have answered.
    pub(super) fn names_its_syn(&self, id: FlowId, syn: Option<u32>) -> bool {
        syn.is_some() && self.flows.get(id).and_then(Flow::unanswered_syn) == syn
    }

    /// Where else a flow may go that no real has answered.
    fn chance(&mut self, id: FlowId, now: Instant) -> Option<Chance> {
        let (service, tried) = self.tried_by(id)?;
        let client = self.flows.get(id)?.client();
        let choice = self.choose(service, &tried, client, now);
        let choice = self.second_choice(id, service, &tried, choice)?;
        Some(Chance { service, choice, tried })
    }

    /// What [`Dataplane::chance`] would choose.
    pub(super) fn foresee_chance(&self, id: FlowId, now: Instant) -> Option<Choice> {
        let (service, tried) = self.tried_by(id)?;
        let client = self.flows.get(id)?.client();
        let choice = self.foresee_choice(service, &tried, client, now);
        self.second_choice(id, service, &tried, choice)
    }

    /// The service of a flow that may go elsewhere, and where it was.
    fn tried_by(&self, id: FlowId) -> Option<(ServiceId, Tried)> {
        let flow = self.flows.get(id)?;
        let mut tried = match self.chances.find(id, flow.unanswered_syn()) {
            Some(syn) => syn.tried.clone(),
            None if flow.placed() == Placed::SecondChance => return None,
            None => Tried::new(),
        };
        tried.push(flow.real).ok()?;
        Some((self.tables.real(flow.real)?.service, tried))
    }

    /// The scheduler's choice, or the sorry real; none if the call cannot be carried there.
    fn second_choice(
        &self,
        id: FlowId,
        service: ServiceId,
        tried: &Tried,
        choice: Option<Choice>,
    ) -> Option<Choice> {
        let by = Placed::SecondChance;
        let choice = choice.or_else(|| {
            let sorry = self.sorry_real(service).filter(|id| !tried.contains(id))?;
            Some(Choice::alone(sorry, by))
        })?;
        let flow = self.flows.get(id)?;
        let (key, stage) = (flow.key(Direction::ToReal), flow.first_stage());
        self.new_flow(service, choice.real, by, key, stage).ok()?;
        Some(Choice { by, ..choice })
    }

    /// Moves a flow, and notes what its real may still say.
    fn take_chance(
        &mut self,
        id: FlowId,
        &Chance { service, choice, .. }: &Chance,
        now: Instant,
    ) -> Result<FlowId, DropReason> {
        let flow = self.flows.get(id).ok_or(DropReason::NoFlow)?;
        let (before, key) = (flow.real, *flow.key(Direction::ToReal));
        let key_at_real = *flow.key(Direction::ToClient);
        let mac = self.tables.hop(before).map(|hop| hop.mac);
        let moved = self.give_to(choice.real, choice.by, id, now);
        self.note_decision(service, &key, moved.map(|_| &choice), now);
        if let Some(mac) = mac.filter(|_| moved.is_ok()) {
            self.chances.leave(&key_at_real, mac, now);
        }
        moved
    }

    /// Sends a kept SYN to the real that its flow is at now, as if it had just come.
    fn send_again(&mut self, syn: &Syn, id: FlowId, now: Instant) {
        let mut syn = syn.clone();
        let (ingress, offload, frame) = (syn.ingress, syn.offload, syn.frame());
        let Some((header, ip, segment)) = parse(frame) else {
            return;
        };
        let (len, head) = (frame.len(), &mut *frame);
        let packet =
            Inbound { ingress, header: &header, ip: &ip, head, len, offload, named: None, now };
        if let Ok(port) = self.deliver(packet, &segment, id) {
            self.outbox.push(PortSet::EMPTY.with(port), &[frame]);
        }
    }
}

impl SecondChances {
    pub(super) fn new(secret: u64) -> SecondChances {
        SecondChances {
            syns: vec![Syn::NOTHING; SYNS_KEPT].into_boxed_slice(),
            left: vec![(0, Instant::START); LATE_ANSWERS_MAX].into_boxed_slice(),
            key: FixedState::with_seed(secret),
        }
    }

    /// A flow begins with this SYN.
    pub(super) fn begin(&mut self, flow: FlowId, packet: &Inbound<'_>, segment: &Transport) {
        self.keep(flow, Tried::new(), packet, segment);
    }

    fn keep(&mut self, flow: FlowId, tried: Tried, packet: &Inbound<'_>, segment: &Transport) {
        let Inbound { ingress, ip, ref head, len, offload, .. } = *packet;
        let syn = self.place(flow);
        (syn.flow, syn.sequence, syn.tried) = (Some(flow), segment.sequence, tried);
        (syn.ingress, syn.offload) = (ingress, offload);
        let is_all = head.len() == len && ip.part().is_none();
        let place = syn.bytes.get_mut(..head.len()).filter(|_| is_all);
        syn.len = place.map_or(0, |place| {
            place.copy_from_slice(head);
            head.len() as u8
        });
    }

    fn put(&mut self, flow: FlowId, syn: Syn) {
        *self.place(flow) = Syn { flow: Some(flow), ..syn };
    }

    /// What is kept of a flow whose SYN had this number.
    fn find(&self, flow: FlowId, sequence: Option<u32>) -> Option<&Syn> {
        let syn = &self.syns[flow.slot() % SYNS_KEPT];
        (syn.flow == Some(flow) && Some(syn.sequence) == sequence).then_some(syn)
    }

    fn place(&mut self, flow: FlowId) -> &mut Syn {
        &mut self.syns[flow.slot() % SYNS_KEPT]
    }

    fn leave(&mut self, key: &FlowKey, mac: MacAddr, now: Instant) {
        let hash = self.hash(key, mac);
        self.left[hash as usize % LATE_ANSWERS_MAX] = (hash, now + CLOSED_IDLE);
    }

    fn has_left(&self, key: &FlowKey, mac: MacAddr, now: Instant) -> bool {
        let hash = self.hash(key, mac);
        let (left, until) = self.left[hash as usize % LATE_ANSWERS_MAX];
        left == hash && now < until
    }

    fn hash(&self, key: &FlowKey, mac: MacAddr) -> u64 {
        self.key.hash_one((key.words(), mac.0))
    }
}

impl Syn {
    const NOTHING: Syn = Syn {
        flow: None,
        sequence: 0,
        tried: Tried::new(),
        ingress: PortId::FIRST,
        offload: Offload { checksum: None, segments: None },
        bytes: [0; SYN_BYTES_MAX],
        len: 0,
    };

    fn frame(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }

    /// The same with what a NIC was to do done; `None` if that is no SYN that a real would take.
    fn finished(&self) -> Option<Syn> {
        let mut syn = self.clone();
        let mut offload = syn.offload;
        let len = usize::from(syn.len);
        offload.finish(syn.frame(), len, Sum::default()).ok()?;
        syn.offload = offload;
        let frame = syn.frame();
        let (_, ip, _) = parse(frame)?;
        let sum = ip.pseudo_header().bytes(ip.payload(frame)).checksum();
        (sum == 0).then_some(syn)
    }
}

fn parse(frame: &[u8]) -> Option<(Ethernet, Ip, Transport)> {
    let Headers { ethernet, ip, segment, .. } = Headers::read(frame, frame.len())?;
    Some((ethernet, ip?.ok()?, segment?))
}
