//! After a restart: flows that began before this appliance did are taken up in the middle.
//!
//! What comes from the client tells the real only where that follows from the packet itself: `mh`
//! and `sh` place it by hash ([`super::begin`]). With the other schedulers the client is left
//! without an answer (`no_flow`) until its real speaks; the real's own packet says which real it
//! is, and what it says is believed if it can belong to one service alone.
//!
//! A hash finds home, but whoever began while his home was silent, drained or full is where another
//! stood in for it. So until the real has answered, a flow found by hash is a **guess**. A real that
//! does not know the connection resets it; that is not told to the client, whose next segment goes
//! to the stand-in for this home. What that one says is believed: a connection that is dead indeed,
//! as after a restart of the whole host, costs the client one retransmission more. And whichever
//! real speaks in the middle of the connection has it, wherever the guess led. What is left is a
//! flow whose home and first stand-in were both out when it began, or whose real is out now: that
//! one is reset, if the client speaks before its real does.
//!
//! But a real's port may also be reached straight, by the guest's own address, and such a
//! connection must never be given the VIP's. So this is done for a while after the start, while the
//! configuration is that of the start, and not for a connection that was seen to begin: a SYN-ACK of
//! a guest that belongs to no flow is the answer to such a call, and its ends are noted. What is
//! left is a straight connection of before the restart in which the guest speaks first; that one is
//! lost.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::BuildHasher;
use core::time::Duration;

use foldhash::fast::FixedState;

use crate::addr::is_link_local_of_ours;
use crate::dataplane::{Dataplane, Inbound};
use crate::explain::decisions::Placed;
use crate::flow::{Direction, Flow, FlowId, FlowKey, Stage};
use crate::wire::ip::Version;
use crate::wire::transport::TcpFlags;
use crate::wire::{Endpoint, Transport};
use crate::{Command, Forwarding, Instant, Protocol, RealId, ServiceId};

/// How long after the start a real's packet is taken for one of a flow of before.
const RECOVERY: Duration = Duration::from_secs(600);
/// Straight connections that are remembered, in sets of which each keeps its latest.
const STRAIGHT_MAX: usize = 4096;
const STRAIGHT_WAYS: usize = 16;

/// Whether flows are taken up again, and which connections are none of ours.
pub(super) struct Recovery {
    until: Option<Instant>,
    /// Keyed hashes of the ends of straight connections.
    straight: Box<[u64]>,
    key: FixedState,
}

/// A flow of before the start.
pub(super) struct Earlier {
    pub service: ServiceId,
    pub real: RealId,
    pub key: FlowKey,
    /// The same flow, as it was taken up for the client at a real that may be another.
    pub guess: Option<FlowId>,
}

impl Dataplane {
    /// The flow of a real's packet that belongs to none, if it began before the start.
    pub(super) fn resume(&mut self, packet: &Inbound<'_>, segment: &Transport) -> Option<FlowId> {
        let Transport { protocol, source, destination, flags, .. } = *segment;
        let opens = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::RST);
        if protocol == Protocol::Tcp && opens && self.recovery.is_on(packet.now) {
            self.recovery.note(source, destination);
        }
        let Earlier { service, real, key, guess } = self.earlier_flow(packet, segment)?;
        if let Some(guess) = guess {
            self.forget(guess);
        }
        self.open(service, real, Placed::Real, &key, Stage::Answered, packet.now).ok()
    }

    /// What can be told of that flow by the packet.
    pub(super) fn earlier_flow(
        &self,
        packet: &Inbound<'_>,
        segment: &Transport,
    ) -> Option<Earlier> {
        let Transport { protocol, source, destination, flags, .. } = *segment;
        let is_on = self.recovery.is_on(packet.now);
        let is_middle = !flags.has(TcpFlags::RST) && !flags.has(TcpFlags::SYN);
        if protocol != Protocol::Tcp || !is_on || !is_middle {
            return None;
        }
        if self.recovery.is_straight(source, destination) {
            return None;
        }
        let (real, service) = self.real_at(packet, source)?;
        let spec = &self.tables.service(service)?.spec;
        let guest = &self.tables.guest(self.tables.real(real)?.guest)?.spec;
        let client = match is_link_local_of_ours(destination.address) {
            // The far end of a guest's flow with itself.
            true => guest.address_of(source.address.version())?.into(),
            false => destination.address,
        };
        let client = Endpoint { address: client, port: destination.port };
        let server = Endpoint { address: spec.vip.into(), port: spec.port.get() };
        let key = FlowKey::new(protocol, packet.header.vlan, client, server);
        let guess = self.flows.find(&key, Direction::ToReal);
        if let Some(known) = guess {
            self.flows.get(known).filter(|flow| flow.is_guess())?;
        }
        Some(Earlier { service, real, key, guess })
    }

    /// Whether a flow that begins with this segment of the client's began long before.
    pub(super) fn is_guess(&self, segment: &Transport, now: Instant) -> bool {
        let is_middle = segment.protocol == Protocol::Tcp && !segment.flags.opens();
        is_middle && self.recovery.is_on(now)
    }

    /// A real has reset a flow. Whether that only says that the first guess was wrong: then the flow
    /// goes on at the stand-in, and the client is not to hear of it.
    pub(super) fn guess_again(&mut self, id: FlowId, now: Instant) -> bool {
        let other = self.other_guess(id, now);
        other.is_some_and(|other| self.give_to(other, Placed::StandIn, id, now).is_ok())
    }

    /// Where else a flow may go on whose first guess was wrong.
    fn other_guess(&mut self, id: FlowId, now: Instant) -> Option<RealId> {
        let (service, first, client) = self.first_guess(id)?;
        Some(self.choose(service, &[first], client, now)?.real)
    }

    /// What [`Dataplane::other_guess`] would find.
    pub(super) fn foresee_other_guess(&self, id: FlowId, now: Instant) -> Option<RealId> {
        let (service, first, client) = self.first_guess(id)?;
        Some(self.foresee_choice(service, &[first], client, now)?.real)
    }

    /// The service, the real and the client of a flow that is a first guess, where a hash may find
    /// another.
    fn first_guess(&self, id: FlowId) -> Option<(ServiceId, RealId, Endpoint)> {
        let is_first = |flow: &&Flow| flow.is_guess() && flow.placed() == Placed::Guess;
        let flow = self.flows.get(id).filter(is_first)?;
        let service = self.tables.real(flow.real)?.service;
        let is_by_hash = self.tables.service(service)?.spec.scheduler.is_by_hash();
        is_by_hash.then_some((service, flow.real, flow.client()))
    }

    /// The one real that this end can be.
    fn real_at(&self, packet: &Inbound<'_>, end: Endpoint) -> Option<(RealId, ServiceId)> {
        let guest = self.tables.guest_at(packet.ingress, packet.header.source)?;
        let mut fitting = self.tables.reals().filter(|(_, real)| {
            let is_here = |id: ServiceId| {
                let spec = &self.tables.service(id)?.spec;
                let port = real.spec.port.unwrap_or(spec.port).get();
                let version = Version::of(spec.vip);
                let address = match spec.forwarding {
                    Forwarding::Nat => self.tables.guest(guest)?.spec.address_of(version)?,
                    Forwarding::Direct => spec.vip,
                };
                let is_there = (end.address, end.port) == (address.into(), port);
                Some(is_there && spec.vlan == packet.header.vlan && spec.protocol == Protocol::Tcp)
            };
            real.guest == guest && !real.retired && is_here(real.service) == Some(true)
        });
        let (id, real) = fitting.next()?;
        fitting.next().is_none().then_some((id, real.service))
    }
}

impl Recovery {
    /// Off until it begins.
    pub(super) fn new(secret: u64) -> Recovery {
        let straight = vec![0; STRAIGHT_MAX].into_boxed_slice();
        Recovery { until: None, straight, key: FixedState::with_seed(secret) }
    }

    fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|end| now < end)
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.until = Some(now + RECOVERY);
    }

    /// Ends with the first change of who serves what: connections that were none of ours yesterday
    /// may look like flows today.
    pub(super) fn follow(&mut self, command: &Command) {
        match command {
            Command::SetPort { .. }
            | Command::SetLink { .. }
            | Command::SetMac { .. }
            | Command::DeleteMac { .. }
            | Command::SetAgeing(_)
            | Command::SetIdentity(_)
            | Command::SetMirror(_)
            | Command::DeleteMirror(_)
            | Command::SetGroups(_)
            | Command::SetManagement(_)
            | Command::Administer { .. } => {}
            Command::SetPortRules { .. }
            | Command::SetGuest(_)
            | Command::DeleteGuest(_)
            | Command::SetService(_)
            | Command::DeleteService(_)
            | Command::SetReal { .. }
            | Command::DeleteReal { .. }
            | Command::CutReal { .. } => self.until = None,
        }
    }

    fn note(&mut self, server: Endpoint, client: Endpoint) {
        let hash = self.hash(server, client);
        let (sets, _) = self.straight.as_chunks_mut::<STRAIGHT_WAYS>();
        let at = hash as usize % sets.len();
        if !sets[at].contains(&hash) {
            sets[at].rotate_right(1);
            sets[at][0] = hash;
        }
    }

    fn is_straight(&self, server: Endpoint, client: Endpoint) -> bool {
        let hash = self.hash(server, client);
        let (sets, _) = self.straight.as_chunks::<STRAIGHT_WAYS>();
        sets[hash as usize % sets.len()].contains(&hash)
    }

    fn hash(&self, server: Endpoint, client: Endpoint) -> u64 {
        self.key.hash_one((server, client))
    }
}
