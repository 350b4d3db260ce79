//! Probes: how reals are asked by their checks, and guests for their agents' lines.
//!
//! An [`Errand`] is what is asked again and again: each real has one if it has a check, and another if
//! its service's agents are pulled. One try of it is a [`Probe`].
//!
//! ```text
//!   configuration ─▶ errands ─(each at its time)─▶ probe ─▶ out of the guest's port, to its MAC
//!                        ▲                           │
//!                        └── next time ◀── outcome ◀─┴─ answer, or the timeout
//! ```
//!
//! The first probe is at a random moment of the interval and every next one a random tenth early or
//! late, so that what was configured together is not asked together. Every errand has its own time
//! and its own probe: nobody waits for anybody, but for one of the [`PROBE_CONNECTIONS_MAX`] TCP
//! connections where all are in use, or all that may go to one port. Who waits for one is counted, and
//! the search for errands begins with who waits longest.
//!
//! A probe comes from the switch's link-local address, or from a probe source of the guest's, and from
//! a port of [`PROBE_PORT_FIRST`] and above: no flow is ever translated to these, so a guest's flow
//! with itself and a probe of it are never one. Answers find back by what the probe carried: a
//! connection by its port, an echo by its identifier, a datagram by its port.

mod answer;
mod connection;
mod datagram;
mod errand;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;
use core::time::Duration;

use crate::guest::neighbor;
use crate::limits::{PROBE_PORT_FIRST, REALS_MAX};
use crate::outbox::Outbox;
use crate::service::check::CheckKind;
use crate::wire::Ip;
use crate::{Instant, MacAddr, PortId, PortSet, RealId};
pub(crate) use answer::{Answer, What};
use connection::{ConnectionId, Connections, Full};
pub(crate) use errand::{Errand, Outcome, Target, Task};

/// Every real may have a check and a pull.
const ERRANDS_MAX: usize = 2 * REALS_MAX;
/// Probes that one turn begins.
const BEGUN_MAX: usize = 32;
/// What no time reaches.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// All errands, and what they need.
pub struct Probes {
    errands: Box<[Option<Place>]>,
    /// When each is to be looked at: its next probe, or the end of the one under way.
    wake: Box<[Instant]>,
    /// None is to be looked at before then.
    soonest: Instant,
    /// Where the search for due errands begins.
    from: usize,
    /// Probes under way that are questions to a neighbour.
    questions: usize,
    connections: Connections,
    counters: ProbeCounters,
}

/// Counted since start. `sent = passed + failed + abandoned + under way`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounters {
    pub sent: u64,
    pub passed: u64,
    pub failed: u64,
    /// The errand was changed or deleted meanwhile.
    pub abandoned: u64,
    /// Due, but every connection was in use, or all that may go to the guest's port.
    pub waited: u64,
    /// Answers that were none after all: a wrong checksum, or the probe had just ended.
    pub ignored: u64,
}

/// The place of an errand: a real's check, or [`REALS_MAX`] further its pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrandId(u16);

/// Who sent a frame: by which port, from which MAC, in which VLAN.
pub(crate) type Sender = (PortId, MacAddr, u16);

/// An errand and how far it is.
struct Place {
    errand: Errand,
    next: Instant,
    is_waiting: bool,
    probe: Option<Probe>,
}

/// One try.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sent: Instant,
    mark: Mark,
}

/// By what its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Connection(ConnectionId),
    Echo {
        id: u16,
        sequence: u16,
    },
    /// Its port is the errand's own.
    Datagram,
    /// What is asked for is what is told.
    Question,
}

/// Whether a flow may not have this port towards a guest, because probes do.
pub(crate) fn is_probe_port(port: u16) -> bool {
    port >= PROBE_PORT_FIRST
}

impl Probes {
    pub(crate) fn new(seed: u64) -> Probes {
        let mut errands = Vec::with_capacity(ERRANDS_MAX);
        errands.resize_with(ERRANDS_MAX, || None);
        Probes {
            errands: errands.into_boxed_slice(),
            wake: vec![NEVER; ERRANDS_MAX].into_boxed_slice(),
            soonest: NEVER,
            from: 0,
            questions: 0,
            connections: Connections::new(seed),
            counters: ProbeCounters::default(),
        }
    }

    pub fn counters(&self) -> &ProbeCounters {
        &self.counters
    }

    /// When the next probe begins or ends, were nothing to be sent meanwhile.
    pub(crate) fn next(&self) -> Instant {
        self.soonest
    }

    /// TCP connections in use.
    pub fn connections(&self) -> usize {
        self.connections.in_use()
    }

    pub(crate) fn errand(&self, id: ErrandId) -> Option<&Errand> {
        self.errands[id.index()].as_ref().map(|place| &place.errand)
    }

    /// Sets what is to be asked in this place from now on; what is under way of another errand is
    /// given up.
    pub(crate) fn set(
        &mut self,
        id: ErrandId,
        wanted: Option<Errand>,
        roll: impl FnOnce() -> u64,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        if self.errand(id) == wanted.as_ref() {
            return;
        }
        if self.end(id, now, outbox).is_some() {
            self.counters.abandoned += 1;
        }
        let place = wanted.map(|errand| {
            let next = now + part(errand.task.interval(), roll());
            Place { errand, next, is_waiting: false, probe: None }
        });
        self.wake(id, place.as_ref().map_or(NEVER, |place| place.next));
        self.errands[id.index()] = place;
    }

    fn wake(&mut self, id: ErrandId, at: Instant) {
        self.wake[id.index()] = at;
        self.soonest = self.soonest.min(at);
    }

    /// The first probe at `from` or behind it whose time is over, and what that means.
    pub(crate) fn overdue(&self, from: usize, now: Instant) -> Option<(ErrandId, Outcome)> {
        if self.soonest > now {
            return None;
        }
        let mut woken = (from..ERRANDS_MAX).filter(|&at| self.wake[at] <= now);
        woken.find_map(|at| {
            let place = self.errands[at].as_ref()?;
            place.probe?;
            Some((ErrandId(at as u16), place.errand.task.silence()))
        })
    }

    /// Begins the probes that are due; sends what connections have to send, first or again.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        mut roll: impl FnMut() -> u64,
        outbox: &mut Outbox,
    ) {
        if self.soonest <= now {
            self.begin_due(now, &mut roll, outbox);
            self.soonest = self.wake.iter().copied().min().unwrap_or(NEVER);
        }
        self.connections.send(now, outbox);
    }

    fn begin_due(&mut self, now: Instant, roll: &mut impl FnMut() -> u64, outbox: &mut Outbox) {
        let (start, mut first_waiting, mut begun) = (self.from, None, 0);
        for at in (start..ERRANDS_MAX).chain(0..start) {
            if self.wake[at] > now {
                continue;
            }
            if begun == BEGUN_MAX {
                first_waiting.get_or_insert(at);
                break;
            }
            match self.try_errand(at, now, roll(), outbox) {
                Ok(()) => begun += 1,
                // Who waits for its own neighbours behind the port keeps no place before others.
                Err(Full::OfPort) => {}
                Err(Full::OfAll) => _ = first_waiting.get_or_insert(at),
            }
        }
        self.from = first_waiting.unwrap_or(0);
    }

    /// Begins the probe of an errand that is due, unless it has to wait.
    fn try_errand(
        &mut self,
        at: usize,
        now: Instant,
        roll: u64,
        outbox: &mut Outbox,
    ) -> Result<(), Full> {
        let Probes { errands, wake, connections, counters, questions, .. } = self;
        let Some(place) = errands[at].as_mut() else {
            return Ok(());
        };
        let (id, Errand { task, target }) = (ErrandId(at as u16), &place.errand);
        let mark = match task.kind() {
            Some(CheckKind::Tcp | CheckKind::Http { .. }) | None => {
                match connections.open(id, *target, roll) {
                    Ok(connection) => Mark::Connection(connection),
                    Err(full) => {
                        let waited_before = mem::replace(&mut place.is_waiting, true);
                        counters.waited += u64::from(!waited_before);
                        return Err(full);
                    }
                }
            }
            Some(CheckKind::Icmp) => {
                let (id, sequence) = id.echo(roll);
                datagram::send_echo(target, id, sequence, outbox);
                Mark::Echo { id, sequence }
            }
            Some(CheckKind::Udp) => {
                datagram::send_empty(target, id.port(), outbox);
                Mark::Datagram
            }
            Some(CheckKind::Neighbor) => {
                *questions += 1;
                let egress = PortSet::EMPTY.with(target.egress);
                let (address, vlan, mac) = (target.address.into(), target.vlan, target.mac);
                neighbor::ask(address, vlan, mac, |parts| outbox.push(egress, parts));
                Mark::Question
            }
        };
        counters.sent += 1;
        let interval = task.interval();
        let jitter = part(interval / 5, roll.rotate_left(32));
        place.next = now + (interval - interval / 10) + jitter;
        (place.probe, place.is_waiting) = (Some(Probe { sent: now, mark }), false);
        wake[at] = now + task.timeout();
        Ok(())
    }

    /// Ends the probe of an errand; how long it took, if there was one.
    pub(crate) fn end(
        &mut self,
        id: ErrandId,
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Duration> {
        let place = self.errands[id.index()].as_mut()?;
        let Probe { sent, mark } = place.probe.take()?;
        let next = place.next;
        self.wake(id, next);
        match mark {
            Mark::Connection(connection) => self.connections.close(connection, now, outbox),
            Mark::Question => self.questions -= 1,
            Mark::Echo { .. } | Mark::Datagram => {}
        }
        Some(now.since(sent))
    }

    /// Counts how a probe has ended.
    pub(crate) fn count(&mut self, is_good: bool) {
        *if is_good { &mut self.counters.passed } else { &mut self.counters.failed } += 1;
    }

    /// Takes in a segment of an open connection; the outcome, if it is known now.
    pub(crate) fn segment(
        &mut self,
        errand: ErrandId,
        ip: &Ip,
        frame: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) -> Option<Outcome> {
        let Some(Probe { mark: Mark::Connection(connection), .. }) = self.probe(errand) else {
            return None;
        };
        self.connections.receive(ip, frame, now, outbox);
        let task = &self.errands[errand.index()].as_ref()?.errand.task;
        let outcome = self.connections.progress(connection, task);
        if outcome.is_none() {
            self.connections.send(now, outbox);
        }
        outcome
    }

    /// An errand that has asked for this address and has not been told yet.
    pub(crate) fn question_to(&self, sender: Sender, address: IpAddr) -> Option<ErrandId> {
        if self.questions == 0 {
            return None;
        }
        let is_asked = |place: &Place| {
            let Errand { target, .. } = &place.errand;
            let is_question = place.probe.is_some_and(|probe| probe.mark == Mark::Question);
            is_question && target.is_at(sender) && target.address == address
        };
        let mut errands = self.errands.iter();
        let at = errands.position(|place| place.as_ref().is_some_and(is_asked))?;
        Some(ErrandId(at as u16))
    }

    pub(crate) fn ignore(&mut self) {
        self.counters.ignored += 1;
    }

    fn probe(&self, id: ErrandId) -> Option<Probe> {
        self.errands[id.index()].as_ref()?.probe
    }
}

impl ErrandId {
    pub fn check_of(real: RealId) -> ErrandId {
        ErrandId(real.index() as u16)
    }

    pub fn pull_of(real: RealId) -> ErrandId {
        ErrandId((REALS_MAX + real.index()) as u16)
    }

    /// Whose errand it is.
    pub fn real(self) -> RealId {
        RealId(self.0 % REALS_MAX as u16)
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The port from which its datagrams come; for checks alone.
    fn port(self) -> u16 {
        PROBE_PORT_FIRST + self.0
    }

    /// Identifier and sequence number of an echo, of which the former leads back to the errand.
    fn echo(self, roll: u64) -> (u16, u16) {
        let rows = u16::MAX / REALS_MAX as u16;
        (self.0 + (roll >> 16) as u16 % rows * REALS_MAX as u16, roll as u16)
    }

    /// The check that an echo of this identifier is of.
    fn of_echo(id: u16) -> ErrandId {
        ErrandId(id % REALS_MAX as u16)
    }

    /// The check that a datagram to this port is for.
    fn of_port(port: u16) -> Option<ErrandId> {
        let at = port.checked_sub(PROBE_PORT_FIRST)?;
        (usize::from(at) < REALS_MAX).then_some(ErrandId(at))
    }
}

/// A random part of a time.
fn part(time: Duration, roll: u64) -> Duration {
    let nanos = (time.as_nanos() * u128::from(roll)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
