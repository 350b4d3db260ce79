//! ESXi's own NIC, as VMware's open drivers describe it (`vmxnet3_defs.h`; there is no other text).
//!
//! ```text
//!   vmxnet3       the driver: how the device is told what to do, how the port comes back
//!    ├─ registers    offsets, commands, events
//!    ├─ shared       the area in which the device reads what it is to be
//!    ├─ receive      heads, bodies and their completions
//!    ├─ transmit     parts of frames and their completions
//!    └─ generation   rings in which a bit tells whose an element is
//! ```
//!
//! On the fast path one register is written a batch and none is read. The device finishes checksums
//! and cuts TCP. From the second revision on it puts segments together (LRO), and says of what length
//! they were: such a frame is one to be cut again, as a guest's on the same host was that left its
//! cutting to its NIC. The first revision does not say it, so nothing is put together there. Tags stay
//! in their frames, and every frame comes in: whom a switch has behind it, only the switch learns.
//!
//! A device that breaks a rule of its rings, says that a queue has stopped, or finishes nothing for
//! five seconds, is reset. A reset is a command; that it was done is read back, and only then its
//! frames go back to the pool.
//!
//! What was run is QEMU's model, of the first revision. It has no way to let frames wait: those that
//! find no buffer are lost there, and counted (`rx_missed`).

mod generation;
mod receive;
mod registers;
mod shared;
mod transmit;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use crate::headers;
use crate::health::{Care, Health, Sending};
use crate::mmio::{Mmio, Registers};
use crate::nic::{
    BUFFERS_PER_NIC, Batch, Fault, Nic, NicCounters, NicState, RingFault, WIRE_BYTES_MAX,
};
use crate::offload::Abilities;
use crate::pci::{Bus, ConfigurationAccess, Device};
use crate::pool::{FRAME_BYTES_MAX, Frame, Pool};
use crate::probe::Absent;
use alloc::boxed::Box;
use receive::{Filled, PARTS_MAX, ReceiveQueue, Received};
use registers::*;
use shared::{Layout, Lro, Shared};
use transmit::{TransmitQueue, Work};

pub const ID: (u16, u16) = (0x15ad, 0x07b0);

/// Bytes of payload that a frame may have.
const MTU: u32 = 9000;
/// Room below which `send` looks for frames that have been sent.
const RECLAIM_ROOM: usize = 32;
const _: () = assert!(receive::BUFFERS + transmit::BUFFERS <= BUFFERS_PER_NIC);

pub struct Vmxnet3<R: Registers> {
    doorbells: R,
    control: R,
    pool: &'static Pool,
    shared: Shared,
    receive: ReceiveQueue,
    transmit: TransmitQueue,
    lro: Lro,
    mac: [u8; 6],
    link: Link,
    health: Health,
    /// Frames that had found no buffer when that was asked last.
    out_of_buffers: u64,
    /// Whether the pool was empty when the receive rings were last filled.
    starved: bool,
    counters: NicCounters,
}

/// The device's answer about its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

impl Link {
    fn is_up(self) -> bool {
        self.0 & LINK_UP != 0
    }

    fn speed_mbit(self) -> u32 {
        self.0 >> LINK_SPEED_SHIFT
    }
}

/// Takes a function to a running port.
///
/// # Safety
/// As [`crate::probe::probe`].
pub unsafe fn open<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    Device { address, .. }: Device,
    pool: &'static Pool,
    mapped_end: u64,
) -> Result<Box<dyn Nic>, Absent> {
    bus.disable(address);
    // SAFETY: the caller's promise.
    let doorbells = unsafe { Mmio::open(bus, address, 0, DOORBELLS_BYTES, mapped_end) }?;
    // SAFETY: the caller's promise.
    let control = unsafe { Mmio::open(bus, address, 1, CONTROL_BYTES, mapped_end) }?;
    bus.enable(address);
    Ok(Box::new(Vmxnet3::new(doorbells, control, pool)?))
}

impl<R: Registers> Vmxnet3<R> {
    /// Takes the device from whatever it was at to running.
    pub fn new(doorbells: R, control: R, pool: &'static Pool) -> Result<Self, Absent> {
        let mac = read_mac(&control);
        let mut nic = Vmxnet3 {
            doorbells,
            control,
            pool,
            shared: Shared::new().ok_or(Absent::NoMemory)?,
            receive: ReceiveQueue::new().ok_or(Absent::NoMemory)?,
            transmit: TransmitQueue::new().ok_or(Absent::NoMemory)?,
            lro: Lro::Off,
            mac,
            link: Link(0),
            health: Health::new(),
            out_of_buffers: 0,
            starved: false,
            counters: NicCounters::default(),
        };
        nic.stop();
        if !nic.has_stopped() {
            return Err(Absent::NoReset);
        }
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Err(Absent::Mac(mac));
        }
        nic.lro = nic.choose_revision().ok_or(Absent::FeaturesRefused)?;
        nic.start().map_err(|_| Absent::FeaturesRefused)?;
        Ok(nic)
    }

    /// Agrees on how to speak to each other, and what that allows.
    fn choose_revision(&mut self) -> Option<Lro> {
        let offered = self.control.read(REVISIONS);
        let (revision, lro) = match offered {
            offered if offered & REVISION_2 != 0 => (REVISION_2, Lro::On),
            offered if offered & REVISION_1 != 0 => (REVISION_1, Lro::Off),
            _ => return None,
        };
        self.control.write(REVISIONS, revision);
        let interface = self.control.read(INTERFACES) & INTERFACE_1;
        self.control.write(INTERFACES, interface);
        (interface != 0).then_some(lro)
    }

    /// From reset to running: the shared area, buffers, activation.
    fn start(&mut self) -> Result<(), Fault> {
        let [heads, bodies, receive_completions] = self.receive.rings();
        let [transmit, transmit_completions] = self.transmit.rings();
        self.shared.describe(&Layout {
            transmit,
            transmit_completions,
            heads,
            bodies,
            receive_completions,
            parts_max: PARTS_MAX as u16,
            mtu: MTU,
            lro: self.lro,
        });
        self.fill();
        let address = self.shared.address();
        self.control.write(SHARED_LOW, address as u32);
        self.control.write(SHARED_HIGH, (address >> 32) as u32);
        if self.command(Command::Activate) != DONE {
            return Err(Fault::Handshake);
        }
        self.control.write(COMMAND, Command::UpdateReceiveMode as u32);
        self.tell_producers();
        self.out_of_buffers = 0;
        self.link = Link(self.command(Command::GetLink));
        Ok(())
    }

    /// Gives a command and reads what came of it.
    fn command(&mut self, command: Command) -> u32 {
        self.control.write(COMMAND, command as u32);
        self.control.read(COMMAND)
    }

    /// No interrupt, and the line is released; no frame in either direction.
    fn stop(&mut self) {
        self.doorbells.write(INTERRUPT_MASK, 1);
        self.control.read(INTERRUPT_CAUSE);
        self.control.write(COMMAND, Command::Quiesce as u32);
    }

    /// Resets the device, after which it touches no memory. One that is not there answers with ones.
    fn has_stopped(&mut self) -> bool {
        self.command(Command::Reset) == DONE
    }

    /// Stops the device. Its frames stay in the rings until it is seen to have stopped.
    fn fail(&mut self, fault: Fault) {
        self.stop();
        self.health.fail(fault, &mut self.counters);
    }

    fn take_received(&mut self, batch: &mut Batch) -> Result<(), RingFault> {
        while !batch.is_full() {
            let Some(received) = self.receive.take()? else { return Ok(()) };
            let Some(frame) = self.judge(received) else { continue };
            batch.push(frame).expect("a batch that is not full takes a frame");
        }
        Ok(())
    }

    /// Counts what was received; gives back what is a frame.
    fn judge(&mut self, received: Received) -> Option<Frame> {
        let (frame, len_max) = match received {
            Received::Damaged => {
                self.counters.rx_damaged += 1;
                return None;
            }
            Received::Joined(mut frame, payload_len) => {
                if self.lro == Lro::Off || headers::join(&mut frame, payload_len).is_none() {
                    self.counters.rx_gso += 1;
                    return None;
                }
                (frame, FRAME_BYTES_MAX)
            }
            Received::Frame(frame) => (frame, WIRE_BYTES_MAX),
        };
        if frame.is_empty() {
            self.counters.rx_runt += 1;
            return None;
        }
        if frame.total_len() > len_max {
            self.counters.rx_too_big += 1;
            return None;
        }
        self.counters.rx_frames += 1;
        self.counters.rx_bytes += frame.total_len() as u64;
        Some(frame)
    }

    /// Gives the device buffers for all free places, if those are worth it.
    fn refill(&mut self) {
        if self.receive.is_short() {
            self.fill();
            if self.shared.wants_producer() {
                self.tell_producers();
            }
        }
    }

    fn fill(&mut self) {
        let starved = self.receive.fill(self.pool) == Filled::Partly;
        // Counted when it begins, not at each turn of a loop that may run idle.
        self.counters.rx_no_buffer += u64::from(starved && !self.starved);
        self.starved = starved;
    }

    fn tell_producers(&mut self) {
        let [heads, bodies] = self.receive.producers();
        self.doorbells.write(HEADS_PRODUCER, heads);
        self.doorbells.write(BODIES_PRODUCER, bodies);
    }

    /// A step of watching a device that works.
    fn watch(&mut self, step_ms: u64) -> Result<(), Fault> {
        self.transmit.reclaim()?;
        // Nobody takes frames from a link that is down, and nobody has to.
        let sending = Sending {
            progress: self.transmit.progress(),
            waits: self.link.is_up() && self.transmit.in_flight() > 0,
        };
        self.health.watch_sending(sending, step_ms, &mut self.counters)?;
        if self.health.is_look_due() { self.look() } else { Ok(()) }
    }

    /// Reads what the device says of itself. One that is not there says nothing but ones.
    fn look(&mut self) -> Result<(), Fault> {
        if read_mac(&self.control) != self.mac {
            return Err(Fault::Config);
        }
        let events = self.shared.events();
        if events & (EVENT_RECEIVE_ERROR | EVENT_TRANSMIT_ERROR) != 0 {
            return Err(Fault::NeedsReset);
        }
        if events != 0 {
            self.control.write(EVENTS_SEEN, events);
        }
        if events & EVENT_LINK != 0 {
            self.link = Link(self.command(Command::GetLink));
        }
        self.control.write(COMMAND, Command::GetStatistics as u32);
        let out_of_buffers = self.shared.out_of_buffers();
        self.counters.rx_missed += out_of_buffers.saturating_sub(self.out_of_buffers);
        self.out_of_buffers = out_of_buffers;
        Ok(())
    }

    /// Takes the frames of a device that has stopped.
    fn settle(&mut self) {
        if self.has_stopped() {
            self.take_back();
            self.health.settled();
        }
    }

    fn take_back(&mut self) {
        self.receive.take_back();
        self.transmit.take_back();
        self.shared.take_back();
    }

    /// A device that was reset begins again, if it is still the one it was.
    fn restart(&mut self) -> Result<(), Fault> {
        if read_mac(&self.control) != self.mac {
            return Err(Fault::Config);
        }
        if self.choose_revision() != Some(self.lro) {
            return Err(Fault::Handshake);
        }
        self.health.recovered();
        self.start()
    }
}

impl<R: Registers> Nic for Vmxnet3<R> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn state(&self) -> NicState {
        match self.health.fault() {
            Some(fault) => NicState::Broken(fault),
            None if self.link.is_up() => NicState::Up,
            None => NicState::LinkDown,
        }
    }

    fn speed_mbit(&self) -> Option<u32> {
        (self.state() == NicState::Up).then(|| self.link.speed_mbit())
    }

    fn receive(&mut self, batch: &mut Batch) {
        if self.health.is_broken() {
            return;
        }
        match self.take_received(batch) {
            Ok(()) => self.refill(),
            Err(fault) => self.fail(fault.into()),
        }
    }

    fn is_waiting(&self) -> bool {
        !self.health.is_broken() && self.receive.is_waiting()
    }

    fn abilities(&self) -> Abilities {
        Abilities { checksum: true, tcp_v4: true, tcp_v6: true, udp: false }
    }

    fn takes(&self, frame: &Frame) -> bool {
        self.abilities().cover(frame.offload()) && Work::of(frame).is_some()
    }

    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.health.is_broken() {
            self.counters.tx_broken += 1;
            return Err(frame);
        }
        let work = Work::of(&frame).expect("who sends has asked whether the NIC takes it");
        if self.transmit.room() < RECLAIM_ROOM.max(frame.buffers())
            && let Err(fault) = self.transmit.reclaim()
        {
            self.fail(fault.into());
            self.counters.tx_broken += 1;
            return Err(frame);
        }
        let len = frame.total_len() as u64;
        if let Err(frame) = self.transmit.push(frame, &work) {
            self.counters.tx_full += 1;
            return Err(frame);
        }
        self.counters.tx_frames += 1;
        self.counters.tx_bytes += len;
        Ok(())
    }

    fn flush(&mut self) {
        if !self.health.is_broken()
            && let Some(producer) = self.transmit.tell()
        {
            self.doorbells.write(TRANSMIT_PRODUCER, producer);
        }
    }

    fn service(&mut self, now_ms: u64) {
        match self.health.pass(now_ms) {
            Care::Watch { step_ms } => {
                if let Err(fault) = self.watch(step_ms) {
                    self.fail(fault);
                }
            }
            Care::Settle => self.settle(),
            Care::Rest => {}
            Care::Restart => {
                self.counters.resets += 1;
                if let Err(fault) = self.restart() {
                    self.fail(fault);
                }
            }
            Care::Overdue => {
                self.counters.resets += 1;
                self.health.fail(Fault::Reset, &mut self.counters);
            }
        }
    }

    fn arm(&mut self) -> bool {
        // A device that was stopped interrupts no more, and only time helps it.
        if self.health.is_broken() {
            return true;
        }
        self.shared.want_interrupts();
        self.doorbells.write(INTERRUPT_MASK, 0);
        // Reading the cause releases the line. It comes before the last look at the ring: a frame that
        // arrives after that look raises the line anew.
        self.control.read(INTERRUPT_CAUSE);
        if self.shared.events() != 0 {
            self.health.announce();
            return false;
        }
        !self.receive.is_waiting()
    }

    fn disarm(&mut self) {
        if !self.health.is_broken() {
            self.shared.refuse_interrupts();
            self.doorbells.write(INTERRUPT_MASK, 1);
        }
    }

    fn lost(&mut self) {
        self.take_back();
    }

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "vmxnet3"
    }
}

impl<R: Registers> Drop for Vmxnet3<R> {
    /// Stops the device; what it does not let go of at once stays out of the pool.
    fn drop(&mut self) {
        self.stop();
        self.settle();
    }
}

fn read_mac(control: &impl Registers) -> [u8; 6] {
    let (low, high) = (control.read(MAC_LOW), control.read(MAC_HIGH));
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    [a, b, c, d, e, f]
}
