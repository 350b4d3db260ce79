//! The poll loop: frames from every NIC through the data path to every NIC, and what time brings.
//!
//! One turn takes a bounded batch from each port, lets [`lb::Dataplane`] decide about each frame
//! and acts on the verdict; then it empties the outbox and publishes what was queued, once per
//! port. Every [`TICK`] it also does a slice of housekeeping. A turn never waits: a frame that
//! finds a full ring is dropped and counted by the NIC.
//!
//! A frame has one owner at a time. Forwarding moves it from ring to ring; flooding copies it for
//! every port but the last. What it leaves undone goes with it ([`crate::send`]). At the edge of a
//! port with VLANs of its own it gets its tag or loses it ([`crate::edge`]).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use drivers::pci::Address;
use drivers::{BATCH, Batch, Frame, Nic, NicCounters, NicState, Pool, Vacancy};
use lb::limits::PORTS_MAX;
use lb::{Command, CopyEnd, Dataplane, Instant, MacAddr, PortId, PortSet, Verdict, Way};

use crate::busy::Busy;
use crate::capture::{Capture, Tap};
use crate::cleared::Cleared;
use crate::config::NicId;
use crate::copies::{Copies, Copy};
use crate::edge;
use crate::rates::Rates;
use crate::send::{Egress, Many, Sent, SoftwareCounters, finish, hand_over, offload_of};

/// Time between two slices of housekeeping.
pub const TICK: Duration = Duration::from_millis(10);
/// Time between two looks after each NIC: link, reclaim, reset.
const CARE_INTERVAL: Duration = Duration::from_millis(100);
/// Punted frames of one port that may wait; one port cannot fill the queue for the others.
const PUNTS_PER_PORT: usize = 16;
const PUNTS_MAX: usize = 256;

/// A NIC, and where it is.
pub struct Attached {
    pub nic: Box<dyn Nic>,
    /// Its place on the PCI bus; `None` for one that is on none.
    pub pci: Option<Address>,
}

impl Attached {
    pub fn is_absent(&self) -> bool {
        self.nic.state() == NicState::Absent
    }

    /// As a configuration knows it.
    pub fn id(&self) -> NicId {
        NicId { pci: self.pci, mac: self.mac() }
    }

    /// Its own address, if that is known.
    pub fn mac(&self) -> Option<MacAddr> {
        Some(self.nic.mac()).filter(|mac| *mac != [0; 6]).map(MacAddr)
    }
}

/// The heap, of which the size is fixed at the start.
#[derive(Clone, Copy)]
pub struct Memory {
    pub bytes: usize,
    /// Asks how much of it is free.
    pub free_bytes: fn() -> usize,
}

/// What an operator wants of the machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Reboot,
    PowerOff,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Busy,
    /// No frame came in and none went out.
    Idle,
}

pub struct Appliance {
    pub dataplane: Dataplane,
    /// Set by the console; the machine acts on it after the turn.
    pub request: Option<Request>,
    /// What the machine has for tables and frames; `None` on a host, which lends what is asked for.
    pub memory: Option<Memory>,
    pub cleared: Cleared,
    busy: Busy,
    pub capture: Capture,
    ports: Vec<PortSlot>,
    pool: &'static Pool,
    punts: heapless::Deque<(PortId, Frame), PUNTS_MAX>,
    /// Of the batch under way.
    verdicts: [Verdict; BATCH],
    copies: Copies,
    /// Ports whose NICs have queued frames that are not published yet.
    dirty: PortSet,
    next_tick: Instant,
    next_care: Instant,
    now: Instant,
}

struct PortSlot {
    id: PortId,
    attached: Attached,
    /// What the NICs counted that were here before.
    past: NicCounters,
    state: NicState,
    punts_waiting: usize,
    software: SoftwareCounters,
    rates: Rates,
}

impl Appliance {
    /// An appliance over these NICs; a NIC beyond the last possible port is left alone. The ports
    /// carry frames once they have a name and a role ([`Command::SetPort`]).
    pub fn new(dataplane: Dataplane, pool: &'static Pool, nics: Vec<Attached>) -> Appliance {
        if nics.len() > PORTS_MAX {
            log::warn!("{} NICs found, {PORTS_MAX} are used", nics.len());
        }
        let slot = |(at, attached)| Some(PortSlot::new(PortId::new(at)?, attached));
        Appliance {
            dataplane,
            request: None,
            memory: None,
            cleared: Cleared::default(),
            busy: Busy::default(),
            capture: Capture::default(),
            ports: nics.into_iter().enumerate().filter_map(slot).collect(),
            pool,
            punts: heapless::Deque::new(),
            verdicts: [Verdict::Hold; BATCH],
            copies: Copies::default(),
            dirty: PortSet::EMPTY,
            next_tick: Instant::START,
            next_care: Instant::START,
            now: Instant::START,
        }
    }

    /// The NICs by port.
    pub fn nics(&self) -> impl Iterator<Item = (PortId, &Attached)> {
        self.ports.iter().map(|slot| (slot.id, &slot.attached))
    }

    pub fn nic(&self, port: PortId) -> Option<&Attached> {
        self.ports.get(port.index()).map(|slot| &slot.attached)
    }

    /// What was counted at a port, by all NICs that were ever there.
    pub fn nic_counters(&self, port: PortId) -> Option<NicCounters> {
        let slot = self.ports.get(port.index())?;
        let mut counters = slot.past;
        counters.add(slot.attached.nic.counters());
        Some(counters)
    }

    /// Sees to it that there are so many ports; a new one waits for its NIC.
    pub fn have_ports(&mut self, count: usize) {
        for at in self.ports.len()..count {
            let nic = Box::new(Vacancy::default());
            let slot = PortId::new(at).map(|id| PortSlot::new(id, Attached { nic, pci: None }));
            self.ports.extend(slot);
        }
    }

    /// Puts a NIC where another one was, which comes back; there is such a port.
    pub fn exchange(&mut self, port: PortId, attached: Attached) -> Attached {
        let slot = &mut self.ports[port.index()];
        let before = core::mem::replace(&mut slot.attached, attached);
        slot.past.add(before.nic.counters());
        // Rates are of what the NIC counts, which begins anew.
        slot.rates = Rates::default();
        self.follow_link(port.index());
        before
    }

    /// What is counted of a port beside what its NIC counts.
    pub fn software(&self, port: PortId) -> Option<&SoftwareCounters> {
        self.ports.get(port.index()).map(|slot| &slot.software)
    }

    pub fn rates(&self, port: PortId) -> Option<&Rates> {
        self.ports.get(port.index()).map(|slot| &slot.rates)
    }

    pub fn pool(&self) -> &'static Pool {
        self.pool
    }

    /// The time of the current turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How much of its time the loop needs for frames.
    pub fn busy(&self) -> &Busy {
        &self.busy
    }

    /// Lets the longest turn be found anew.
    pub fn clear_longest_turn(&mut self) {
        self.busy.clear_longest_turn();
    }

    /// Changes a table; the next frame meets the new one.
    pub fn apply(&mut self, command: &Command) -> Result<(), lb::Refusal> {
        self.dataplane.apply(command, self.now)?;
        self.cleared.follow(command);
        Ok(())
    }

    /// Between the start-up configuration and the first frame.
    pub fn prepare(&mut self) {
        self.dataplane.start(self.now);
    }

    /// One pass: a batch from every port, then what waits, then what time brings. Most passes of a
    /// loop that polls find nothing at all, and cost a look at each NIC.
    #[cfg_attr(feature = "image", optimize(speed))]
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.now = now;
        self.busy.begin(now);
        let mut moved = self.receive();
        if !self.punts.is_empty() {
            self.work_off_punts();
        }
        if now >= self.next_tick {
            self.tick();
        }
        if !self.dataplane.outbox().is_empty() {
            moved += self.originate();
        }
        if !self.copies.is_empty() {
            self.send_copies();
        }
        if moved == 0 {
            return Turn::Idle;
        }
        self.flush();
        self.busy.moved_frames();
        Turn::Busy
    }

    /// Whether a NIC has frames: a look that costs less than a turn in which none is found.
    #[inline(always)]
    pub fn is_waiting(&self) -> bool {
        self.ports.iter().any(|slot| slot.attached.nic.is_waiting())
    }

    /// How long the loop may rest if no frame comes.
    pub fn rest(&self) -> Duration {
        let notes =
            self.ports.iter().filter_map(|slot| slot.rates.next(slot.attached.nic.counters()));
        notes.fold(self.dataplane.next_due(), Instant::min).max(self.next_tick).since(self.now)
    }

    /// Asks every NIC for an interrupt; `false` (and nothing asked) if one of them has work.
    pub fn arm(&mut self) -> bool {
        let may_halt = self.ports.iter_mut().all(|slot| slot.attached.nic.arm());
        match may_halt {
            true => self.busy.rests(),
            false => self.disarm(),
        }
        may_halt
    }

    /// Back to polling.
    pub fn disarm(&mut self) {
        for slot in &mut self.ports {
            slot.attached.nic.disarm();
        }
    }

    #[cfg_attr(feature = "image", optimize(speed))]
    fn receive(&mut self) -> usize {
        let mut batch = Batch::new();
        let mut received = 0;
        for at in 0..self.ports.len() {
            let slot = &mut self.ports[at];
            slot.attached.nic.receive(&mut batch);
            if !batch.is_empty() {
                let ingress = slot.id;
                received += batch.len();
                self.forward(ingress, &mut batch);
            }
        }
        received
    }

    /// Decides about what came in by a port and does it; the batch is empty then.
    #[inline(never)]
    #[cfg_attr(feature = "image", optimize(speed))]
    fn forward(&mut self, ingress: PortId, batch: &mut Batch) {
        if self.capture.is_on() {
            batch.iter().for_each(|frame| self.capture.see(ingress, Way::In, frame, self.now));
        }
        if self.dataplane.tables().edges().contains(ingress) {
            let Appliance { dataplane, copies, pool, .. } = self;
            let here = (ingress, Way::In);
            batch.iter().for_each(|frame| _ = copies.see(dataplane, here, frame, pool));
            batch.retain_mut(|frame| edge::enter(&mut self.dataplane, ingress, frame));
        }
        self.decide(ingress, batch);
        for (at, frame) in batch.drain(..).enumerate() {
            self.act(ingress, frame, self.verdicts[at]);
        }
    }

    /// A verdict for each frame.
    #[cfg_attr(feature = "image", optimize(speed))]
    fn decide(&mut self, ingress: PortId, batch: &mut Batch) {
        let verdicts = &mut self.verdicts[..batch.len()];
        let counters = &mut self.ports[ingress.index()].software;
        let mut frames = heapless::Vec::<_, BATCH>::new();
        frames.extend(batch.iter_mut().map(|frame| {
            counters.count_in(Many::of(frame));
            let (len, offload) = (frame.total_len(), offload_of(frame));
            lb::Frame { head: frame, len, offload }
        }));
        self.dataplane.receive_batch(ingress, &mut frames, verdicts, self.now);
    }

    /// Does what was decided; nothing is left to decide here.
    #[inline(always)]
    #[cfg_attr(feature = "image", optimize(speed))]
    fn act(&mut self, ingress: PortId, frame: Frame, verdict: Verdict) {
        match verdict {
            Verdict::Forward(port) => self.send_one(port, frame),
            Verdict::Reply => self.send(ingress, frame),
            Verdict::Flood(ports) => self.flood(ports, frame),
            Verdict::Punt => self.punt(ingress, frame),
            Verdict::Hold | Verdict::Drop(_) => drop(frame),
        }
    }

    /// Most often a frame leaves as it is, by a port where nothing is done to it and nobody looks.
    #[inline(always)]
    fn send_one(&mut self, port: PortId, frame: Frame) {
        let is_plain = frame.offload().is_none()
            && !self.capture.is_on()
            && !self.dataplane.tables().edges().contains(port);
        match self.ports.get_mut(port.index()) {
            Some(slot) if is_plain => {
                let PortSlot { attached, software, .. } = slot;
                if hand_over(&mut *attached.nic, software, frame) == Sent::Queued {
                    self.dirty = self.dirty.with(port);
                }
            }
            _ => self.send(port, frame),
        }
    }

    #[inline(never)]
    #[cfg_attr(feature = "image", optimize(speed))]
    fn send(&mut self, port: PortId, mut frame: Frame) {
        let has_edge = self.dataplane.tables().edges().contains(port);
        if let Some(slot) = self.ports.get_mut(port.index()) {
            let PortSlot { attached, software, .. } = slot;
            if has_edge && !edge::leave(&self.dataplane, port, &mut frame) {
                software.soft_strays += 1;
                return;
            }
            let copied = has_edge
                .then(|| self.copies.see(&mut self.dataplane, (port, Way::Out), &frame, self.pool));
            let (nic, capture) = (&mut *attached.nic, &mut self.capture);
            let tap = capture.is_on().then_some(Tap { capture, port, now: self.now });
            let mut egress = Egress { nic, pool: self.pool, counters: software, tap };
            match egress.send(frame) {
                Sent::Queued => self.dirty = self.dirty.with(port),
                Sent::Nothing => copied.into_iter().for_each(|mark| self.copies.take_back(mark)),
            }
        }
    }

    /// Sends what mirrors wanted of this turn's frames: past all edges, and seen by no mirror.
    #[cold]
    fn send_copies(&mut self) {
        for Copy { wanted, frame } in self.copies.take_all() {
            let slot = &mut self.ports[wanted.to.index()];
            let (nic, port) = (&mut *slot.attached.nic, wanted.to);
            let is_up = nic.state() == NicState::Up;
            let (capture, now) = (&mut self.capture, self.now);
            let tap = capture.is_on().then_some(Tap { capture, port, now });
            let mut egress = Egress { nic, pool: self.pool, counters: &mut slot.software, tap };
            let end = match is_up && egress.send(frame) == Sent::Queued {
                true => CopyEnd::Sent,
                false => CopyEnd::NotTaken,
            };
            if end == CopyEnd::Sent {
                self.dirty = self.dirty.with(port);
            }
            self.dataplane.count_copy(wanted.mirror, end);
        }
    }

    fn flood(&mut self, mut ports: PortSet, frame: Frame) {
        let Some(first) = ports.next() else {
            return;
        };
        for port in ports {
            // Without a free buffer this port's copy is lost, as it would be in a full ring.
            if let Some(copy) = frame.copy() {
                self.send(port, copy);
            }
        }
        self.send(first, frame);
    }

    fn punt(&mut self, ingress: PortId, mut frame: Frame) {
        let slot = &mut self.ports[ingress.index()];
        // Who reads it there looks at its checksum.
        if finish(&mut frame).is_err() {
            slot.software.soft_malformed += 1;
            return;
        }
        let has_place = slot.punts_waiting < PUNTS_PER_PORT;
        if has_place && self.punts.push_back((ingress, frame)).is_ok() {
            slot.punts_waiting += 1;
        } else {
            self.dataplane.punt_refused(ingress);
        }
    }

    fn work_off_punts(&mut self) {
        while let Some((ingress, frame)) = self.punts.pop_front() {
            self.ports[ingress.index()].punts_waiting -= 1;
            self.dataplane.local(ingress, &frame, self.now);
        }
        self.tell_events();
    }

    /// Sends what the switch itself has to say.
    fn originate(&mut self) -> usize {
        let mut originated = 0;
        while let Some(origin) = self.dataplane.outbox().pop() {
            originated += 1;
            if let Some(frame) = self.pool.take_copy(&origin.bytes) {
                self.flood(origin.egress, frame);
            }
        }
        originated
    }

    #[cfg_attr(feature = "image", optimize(speed))]
    fn flush(&mut self) {
        for port in core::mem::take(&mut self.dirty) {
            self.ports[port.index()].attached.nic.flush();
        }
    }

    #[cold]
    fn tick(&mut self) {
        self.next_tick = self.now + TICK;
        self.care();
        for PortSlot { attached, rates, .. } in &mut self.ports {
            rates.note(attached.nic.counters(), self.now);
        }
        self.dataplane.housekeep(self.now);
        self.tell_events();
    }

    /// Looks after the NICs.
    fn care(&mut self) {
        if self.now >= self.next_care {
            self.next_care = self.now + CARE_INTERVAL;
            for at in 0..self.ports.len() {
                self.ports[at].attached.nic.service(self.now.as_millis());
                self.follow_link(at);
            }
        }
    }

    /// Writes into the log what changed by itself, in the turn in which it did: who sees the change
    /// finds it in the log.
    fn tell_events(&mut self) {
        while let Some(event) = self.dataplane.events().pop() {
            log::info!("{event}");
        }
    }

    /// Tells the data path when a link went up or down.
    fn follow_link(&mut self, at: usize) {
        let slot = &mut self.ports[at];
        let (id, state) = (slot.id, slot.attached.nic.state());
        let Some(port) = self.dataplane.tables().port(id) else {
            return;
        };
        let up = matches!(state, NicState::Up);
        if core::mem::replace(&mut slot.state, state) != state {
            match state {
                NicState::Up => log::info!("port {}: link up", port.name),
                NicState::LinkDown => log::warn!("port {}: link down", port.name),
                NicState::Broken(fault) => {
                    log::error!(
                        "port {}: device broken ({}), resetting",
                        port.name,
                        fault.as_str()
                    );
                }
                NicState::Absent => log::warn!("port {}: no NIC", port.name),
            }
        }
        if port.link_up != up {
            let followed = self.dataplane.apply(&Command::SetLink { port: id, up }, self.now);
            debug_assert_eq!(followed, Ok(()), "the port exists");
        }
    }
}

impl PortSlot {
    fn new(id: PortId, attached: Attached) -> PortSlot {
        // What the log has not said yet: the first look tells how the link is.
        let (software, rates) = (SoftwareCounters::default(), Rates::default());
        let state = NicState::LinkDown;
        let past = NicCounters::default();
        PortSlot { id, attached, past, state, punts_waiting: 0, software, rates }
    }
}
