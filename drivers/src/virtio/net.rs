//! The virtio-net driver: one receive ring, one transmit ring, and how a port comes back.
//!
//! On the fast path the device's registers are not touched but for doorbells that it asks for:
//! frames come and go through the rings, and interrupts stay off while the loop polls. Frames
//! that were sent are reclaimed when the ring runs short and in `service`, and the receive ring gets
//! new buffers when an eighth of them is used up.
//!
//! ```text
//!                fault: status 0 is written at once, frames stay where they are
//!   running ────────────────────────────────────▶ broken
//!      ▲                                            │ status read back as 0: frames to the pool
//!      └──── 1, 2, 4 … 60 s later: handshake ◀──────┘
//! ```
//!
//! After a minute without a fault the waiting time begins at one second again. All of these times
//! are counted in steps of at most a second, so a clock that jumps, because the whole machine was
//! stopped, neither breaks a port nor hurries a reset.

use super::handshake::{Features, Identity, Link, RingSizes, identify, negotiate, ring_sizes};
use super::header::{self, Claim, Header, Misfit};
use super::ring::{Direction, RECEIVE_BYTES, Ring, Used};
use super::{Doorbell, Queue, Quiet, reset};
use crate::nic::{Batch, Fault, Nic, NicCounters, NicState, RingFault};
use crate::offload::Abilities;
use crate::pool::{Frame, Pool};
use crate::probe::Absent;
use core::mem::ManuallyDrop;
use virtio_drivers::transport::{DeviceStatus, InterruptStatus, Transport};

#[cfg(test)]
mod tests;

/// How often link and status are looked at.
const LOOK_PERIOD_MS: u64 = 100;
/// Without progress for so long, transmission stands still: counted.
const TX_STALL_MS: u64 = 2_000;
/// And for so long, it is given up. A guest that is paused stops reading and has to find its port
/// as it was when it goes on, so this is far beyond any pause that is meant to be survived.
const TX_STALL_RESET_MS: u64 = 120_000;
const BACKOFF_MIN_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 60_000;
/// Running for so long without a fault, a port has its past forgiven.
const STEADY_MS: u64 = 60_000;
/// The most that passes between two calls of `service`, whatever the clock says.
const STEP_MAX_MS: u64 = 1_000;

/// A receive ring is filled when so many places are free, or an eighth of it: not after every frame.
const REFILL_ROOM_MAX: usize = 32;
/// Room below which `send` looks for frames that have been sent.
const RECLAIM_ROOM: usize = 32;

pub struct VirtioNet<T: Transport, D: Doorbell> {
    /// Never dropped: virtio-drivers' PCI transport would then wait for its reset without end.
    transport: ManuallyDrop<T>,
    doorbell: D,
    pool: &'static Pool,
    receive: Ring,
    transmit: Ring,
    mac: [u8; 6],
    features: Features,
    link: Link,
    health: Health,
    /// How long the next outage lasts.
    backoff_ms: u64,
    /// The last time that `service` was told.
    serviced_ms: Option<u64>,
    /// Free places of the receive ring from which on it is filled.
    refill_room: usize,
    /// Whether the pool was empty when the receive ring was last filled.
    starved: bool,
    counters: NicCounters,
}

#[derive(Clone, Copy, Debug)]
enum Health {
    Running(Watch),
    Broken(Outage),
}

/// What is observed of a device that works.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    running_ms: u64,
    since_look_ms: u64,
    /// The device has announced a change of its configuration.
    changed: bool,
    /// The transmit ring's progress, and for how long it has been there with frames waiting.
    progress: u16,
    stalled_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    fault: Fault,
    /// The reset was confirmed and the frames are back in the pool.
    quiet: bool,
    left_ms: u64,
}

impl<T: Transport, D: Doorbell> VirtioNet<T, D> {
    /// Takes the device from reset to running.
    pub fn new(transport: T, doorbell: D, pool: &'static Pool) -> Result<Self, Absent> {
        let mut transport = ManuallyDrop::new(transport);
        reset(&mut *transport)?;

        let sizes = ring_sizes(&mut *transport)?;
        let features = negotiate(&mut *transport, sizes)?;
        let Identity { mac, link } = identify(&*transport, features).ok_or(Absent::Config)?;
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Err(Absent::Mac(mac));
        }
        let receive = Ring::new(sizes.receive, Direction::Receive).ok_or(Absent::NoMemory)?;
        let transmit = Ring::new(sizes.transmit, Direction::Transmit).ok_or(Absent::NoMemory)?;

        let refill_room = REFILL_ROOM_MAX.min(usize::from(receive.size().get()) / 8).max(1);
        let mut nic = VirtioNet {
            transport,
            doorbell,
            pool,
            receive,
            transmit,
            mac,
            features,
            link,
            health: Health::Running(Watch::default()),
            backoff_ms: BACKOFF_MIN_MS,
            serviced_ms: None,
            refill_room,
            starved: false,
            counters: NicCounters::default(),
        };
        nic.start();
        Ok(nic)
    }

    /// The last steps of the handshake: rings, DRIVER_OK, buffers.
    fn start(&mut self) {
        for (queue, ring) in [(Queue::Receive, &self.receive), (Queue::Transmit, &self.transmit)] {
            let addresses = ring.addresses();
            self.transport.queue_set(
                queue.number(),
                u32::from(ring.size().get()),
                addresses.descriptors,
                addresses.available,
                addresses.used,
            );
        }
        self.transport.finish_init();
        self.refill();
    }

    /// A device that was reset begins again, if it is still the one it was.
    fn restart(&mut self) -> Result<(), Fault> {
        let sizes = RingSizes { receive: self.receive.size(), transmit: self.transmit.size() };
        let offered = ring_sizes(&mut *self.transport).map_err(|_| Fault::Handshake)?;
        if offered.receive < sizes.receive || offered.transmit < sizes.transmit {
            return Err(Fault::Handshake);
        }
        self.features = negotiate(&mut *self.transport, sizes).map_err(|_| Fault::Handshake)?;
        let identity = identify(&*self.transport, self.features).ok_or(Fault::Config)?;
        if identity.mac != self.mac {
            return Err(Fault::Config);
        }
        self.link = identity.link;
        self.health = Health::Running(Watch::default());
        self.start();
        Ok(())
    }

    /// Stops the device. Its frames stay in the rings until it confirms that it has stopped.
    #[cold]
    fn fail(&mut self, fault: Fault) {
        self.transport.set_status(DeviceStatus::empty());
        self.counters.faults += 1;
        self.health = Health::Broken(Outage { fault, quiet: false, left_ms: self.backoff_ms });
        self.backoff_ms = (2 * self.backoff_ms).min(BACKOFF_MAX_MS);
    }

    fn is_broken(&self) -> bool {
        matches!(self.health, Health::Broken(_))
    }

    /// By itself, so that a look in vain costs no more than that.
    #[inline(never)]
    fn take_and_refill(&mut self, waiting: u16, batch: &mut Batch) {
        match self.take_received(waiting, batch) {
            Ok(()) if self.receive.room() < self.refill_room => {}
            Ok(()) => self.refill(),
            Err(fault) => self.fail(fault.into()),
        }
    }

    fn take_received(&mut self, mut waiting: u16, batch: &mut Batch) -> Result<(), RingFault> {
        let (merging, agreed) = (self.features.merging(), self.features.our_abilities());
        while waiting > 0 && !batch.is_full() {
            let Used { mut frame, written_bytes } = self.receive.pop()?;
            waiting -= 1;
            let header = frame.read_header();
            let gathered = match header::further(&header, written_bytes, waiting, merging) {
                Ok(further) => {
                    waiting -= further;
                    frame.set_len(written_bytes as usize - header::HEADER_BYTES);
                    self.gather(&mut frame, further)?
                }
                Err(misfit) => Err(misfit),
            };
            match gathered.and_then(|()| self.judge(&header, &mut frame, agreed)) {
                Ok(()) => batch.push(frame).expect("a batch that is not full takes a frame"),
                Err(misfit) => self.count_misfit(misfit),
            }
        }
        Ok(())
    }

    /// Adds so many further buffers, which are as good as here, to a frame; all are taken off the
    /// ring in any case. All but the last have to be full (5.1.6.4.1), and none may be empty: the
    /// next device would be right to call that a mistake of ours.
    fn gather(&mut self, head: &mut Frame, further: u16) -> Result<Result<(), Misfit>, RingFault> {
        let mut gathered = Ok(());
        for left in (0..further).rev() {
            let Used { frame, written_bytes } = self.receive.pop()?;
            if written_bytes == 0 || (left > 0 && written_bytes < RECEIVE_BYTES) {
                gathered = Err(Misfit::NumBuffers);
            }
            head.append(frame, written_bytes as usize);
        }
        Ok(gathered)
    }

    /// Notes what the header says of the frame, if that can be.
    fn judge(
        &mut self,
        header: &Header,
        frame: &mut Frame,
        agreed: Abilities,
    ) -> Result<(), Misfit> {
        let (offload, claim) = header::judge(header, frame.len(), frame.total_len(), agreed)?;
        frame.set_offload(offload);
        self.counters.rx_frames += 1;
        self.counters.rx_bytes += frame.total_len() as u64;
        match claim {
            Claim::Agreed => {}
            Claim::NotAgreed => self.counters.rx_hdr_flags += 1,
        }
        Ok(())
    }

    fn count_misfit(&mut self, misfit: Misfit) {
        let counter = match misfit {
            Misfit::Runt => &mut self.counters.rx_runt,
            Misfit::TooBig => &mut self.counters.rx_too_big,
            Misfit::NumBuffers => &mut self.counters.rx_num_buffers,
            Misfit::ChecksumRange => &mut self.counters.rx_csum_range,
            Misfit::Gso => &mut self.counters.rx_gso,
        };
        *counter += 1;
    }

    /// Gives the device a buffer for every free place of its receive ring.
    fn refill(&mut self) {
        while self.receive.room() > 0 {
            let Some(mut frame) = self.pool.take() else {
                // Counted when it begins, not at each turn of a loop that may run idle.
                self.counters.rx_no_buffer += u64::from(!self.starved);
                self.starved = true;
                break;
            };
            self.starved = false;
            frame.write_header(header::RECEIVE);
            self.receive.push(frame).expect("a ring with room takes a frame");
        }
        if self.receive.publish() {
            self.doorbell.ring(Queue::Receive.number());
        }
    }

    /// Takes back what has been sent. Bounded by the ring.
    fn reclaim(&mut self) -> Result<(), RingFault> {
        for _ in 0..self.transmit.pending()? {
            self.transmit.pop()?;
        }
        Ok(())
    }

    /// A step of watching a device that works.
    fn watch(&mut self, mut watch: Watch, step_ms: u64) -> Result<Watch, Fault> {
        watch.running_ms = watch.running_ms.saturating_add(step_ms);
        if watch.running_ms >= STEADY_MS {
            self.backoff_ms = BACKOFF_MIN_MS;
        }
        self.reclaim()?;
        // So that a port at rest holds as many buffers as it ever will, and no fewer.
        self.refill();
        self.watch_transmission(&mut watch, step_ms)?;
        watch.since_look_ms += step_ms;
        if watch.changed || watch.since_look_ms >= LOOK_PERIOD_MS {
            (watch.changed, watch.since_look_ms) = (false, 0);
            self.look()?;
        }
        Ok(watch)
    }

    fn watch_transmission(&mut self, watch: &mut Watch, step_ms: u64) -> Result<(), Fault> {
        let progress = self.transmit.progress();
        // Nobody takes frames from a link that is down, and nobody has to.
        let idle = self.transmit.in_flight() == 0 || self.link == Link::Down;
        if idle || progress != watch.progress {
            (watch.progress, watch.stalled_ms) = (progress, 0);
            return Ok(());
        }
        let before_ms = watch.stalled_ms;
        watch.stalled_ms += step_ms;
        if before_ms < TX_STALL_MS && watch.stalled_ms >= TX_STALL_MS {
            self.counters.tx_stall += 1;
        }
        if watch.stalled_ms >= TX_STALL_RESET_MS { Err(Fault::TxStall) } else { Ok(()) }
    }

    /// Reads what the device says of itself.
    fn look(&mut self) -> Result<(), Fault> {
        if self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            return Err(Fault::NeedsReset);
        }
        let identity = identify(&*self.transport, self.features).ok_or(Fault::Config)?;
        if identity.mac != self.mac {
            return Err(Fault::Config);
        }
        self.link = identity.link;
        Ok(())
    }

    /// A step of waiting for a device to become usable again.
    fn recover(&mut self, mut outage: Outage, step_ms: u64) {
        if !outage.quiet
            && let Some(quiet) = Quiet::check(&*self.transport)
        {
            self.receive.take_back(&quiet);
            self.transmit.take_back(&quiet);
            outage.quiet = true;
        }
        outage.left_ms = outage.left_ms.saturating_sub(step_ms);
        self.health = Health::Broken(outage);
        if outage.left_ms > 0 {
            return;
        }
        self.counters.resets += 1;
        let result = if outage.quiet { self.restart() } else { Err(Fault::Reset) };
        if let Err(fault) = result {
            self.fail(fault);
        }
    }

    /// Milliseconds since the last call, within reason.
    fn step_ms(&mut self, now_ms: u64) -> u64 {
        let before_ms = self.serviced_ms.replace(now_ms).unwrap_or(now_ms);
        now_ms.saturating_sub(before_ms).min(STEP_MAX_MS)
    }
}

impl<T: Transport, D: Doorbell> Nic for VirtioNet<T, D> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn state(&self) -> NicState {
        match (self.health, self.link) {
            (Health::Broken(outage), _) => NicState::Broken(outage.fault),
            (Health::Running(_), Link::Up) => NicState::Up,
            (Health::Running(_), Link::Down) => NicState::LinkDown,
        }
    }

    fn receive(&mut self, batch: &mut Batch) {
        if self.is_broken() {
            return;
        }
        match self.receive.pending() {
            // Most often: a loop that polls comes by far more often than frames do.
            Ok(0) if self.receive.room() < self.refill_room => {}
            Ok(waiting) => self.take_and_refill(waiting, batch),
            Err(fault) => self.fail(fault.into()),
        }
    }

    fn is_waiting(&self) -> bool {
        !self.is_broken() && self.receive.pending() != Ok(0)
    }

    fn abilities(&self) -> Abilities {
        self.features.device_abilities()
    }

    fn send(&mut self, mut frame: Frame) -> Result<(), Frame> {
        debug_assert!(self.abilities().cover(frame.offload()), "{frame:?} is not for this NIC");
        if self.is_broken() {
            self.counters.tx_broken += 1;
            return Err(frame);
        }
        if self.transmit.room() < RECLAIM_ROOM.max(frame.buffers())
            && let Err(fault) = self.reclaim()
        {
            self.fail(fault.into());
            self.counters.tx_broken += 1;
            return Err(frame);
        }
        frame.write_header(header::transmit(&frame));
        let len = frame.total_len() as u64;
        if let Err(frame) = self.transmit.push(frame) {
            self.counters.tx_full += 1;
            return Err(frame);
        }
        self.counters.tx_frames += 1;
        self.counters.tx_bytes += len;
        Ok(())
    }

    fn flush(&mut self) {
        if !self.is_broken() && self.transmit.publish() {
            self.doorbell.ring(Queue::Transmit.number());
        }
    }

    fn service(&mut self, now_ms: u64) {
        let step_ms = self.step_ms(now_ms);
        match self.health {
            Health::Running(watch) => match self.watch(watch, step_ms) {
                Ok(watch) => self.health = Health::Running(watch),
                Err(fault) => self.fail(fault),
            },
            Health::Broken(outage) => self.recover(outage, step_ms),
        }
    }

    fn arm(&mut self) -> bool {
        let Health::Running(watch) = &mut self.health else {
            // Only time helps a broken port; but let go of a line that is shared with others.
            self.transport.ack_interrupt();
            return true;
        };
        self.receive.want_interrupts();
        // Reading the cause releases the line (4.1.4.5). It comes before the last look at the
        // ring: a frame that arrives after that look raises the line anew.
        let cause = self.transport.ack_interrupt();
        if cause.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT) {
            watch.changed = true;
            return false;
        }
        match self.receive.pending() {
            Ok(pending) => pending == 0,
            Err(fault) => {
                self.fail(fault.into());
                true
            }
        }
    }

    fn disarm(&mut self) {
        self.receive.refuse_interrupts();
    }

    fn lost(&mut self) {
        let quiet = Quiet::lost();
        self.receive.take_back(&quiet);
        self.transmit.take_back(&quiet);
    }

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "virtio-net"
    }
}

impl<T: Transport, D: Doorbell> Drop for VirtioNet<T, D> {
    /// Stops the device; what it does not confirm to have let go of stays out of the pool.
    fn drop(&mut self) {
        self.transport.set_status(DeviceStatus::empty());
        if let Some(quiet) = Quiet::check(&*self.transport) {
            self.receive.take_back(&quiet);
            self.transmit.take_back(&quiet);
        }
    }
}
