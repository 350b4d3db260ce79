//! Intel's gigabit chips from the 82574 on, as their descriptors and registers are described in the
//! 82574 datasheet ("82574") and, where that says no more, in the manual of their family (Intel
//! 317453). Clauses named here are those texts'.
//!
//! ```text
//!   e1000e        the driver: what is asked of the chip, how the port comes back
//!    ├─ registers    offsets and bits
//!    ├─ chip         stopping, resetting, link
//!    ├─ receive      the receive ring, which believes nothing
//!    └─ transmit     the transmit ring; what is to be finished, in the chip's words
//! ```
//!
//! On the fast path one register is written a batch and none is read: descriptors tell by themselves
//! that they are done. Frames come with their tags, as they were on the wire, and up to 9000 bytes of
//! payload in several buffers; how long a frame may be for the switch is the switch's to say. The chip
//! finishes checksums and cuts TCP; that a received checksum was right nobody here needs to know, for
//! it is passed on as it is.
//!
//! A switch's port takes every frame there is: the chip is told to pass on all addresses. Its filters
//! of exact addresses and of multicast groups are for stations, which know whom they are; who is behind
//! a switch, only the switch learns.
//!
//! A chip that hangs does not finish what it was given. After five seconds it is reset, as one is that
//! breaks a rule: requests to memory are forbidden and seen to have ended (82574, master disable), its
//! frames go back to the pool, and only then it is reset and begins again after a while.
//!
//! What was run is QEMU's 82574. The other chips have the same rings and registers; their PHYs are left
//! to their firmware and to autonegotiation, and none of them was tried.

mod chip;
mod receive;
mod registers;
mod transmit;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use crate::health::{Care, Health, Sending};
use crate::mmio::{Mmio, Registers};
use crate::nic::{Batch, Fault, Nic, NicCounters, NicState, RingFault, WIRE_BYTES_MAX};
use crate::offload::Abilities;
use crate::pci::{Bus, ConfigurationAccess, Device};
use crate::pool::{Frame, Pool};
use crate::probe::Absent;
use alloc::boxed::Box;
use chip::{Status, change, has_stopped, is_reset, read_mac, reset_at_once, stop};
use receive::{ReceiveRing, Received};
use registers::*;
use transmit::{TransmitRing, Work};

const VENDOR: u16 = 0x8086;

/// Chips of their own: 82574L, 82574LA, 82583V.
const CHIPS: [u16; 3] = [0x10d3, 0x10f6, 0x150c];

/// The same rings and registers in chipsets: I217, I218, and I219 up to the 500th series, in their order.
const CHIPSETS: [u16; 34] = [
    0x153a, 0x153b, 0x155a, 0x1559, 0x15a0, 0x15a1, 0x15a2, 0x15a3, 0x156f, 0x1570, 0x15b7, 0x15b8,
    0x15b9, 0x15d7, 0x15d8, 0x15e3, 0x15d6, 0x15bd, 0x15be, 0x15bb, 0x15bc, 0x15df, 0x15e0, 0x15e1,
    0x15e2, 0x0d4e, 0x0d4f, 0x0d4c, 0x0d4d, 0x0d53, 0x0d55, 0x15fb, 0x15fc, 0x15f9,
];

/// Descriptors in each ring, of which one is always ours.
const RING: u16 = 256;
const SLOT_MASK: u16 = RING - 1;
const RING_BYTES: u32 = 16 * RING as u32;
const _: () = assert!(RING.is_power_of_two() && RING_BYTES.is_multiple_of(128));

/// Buffers that are given to the chip at once.
const REFILL: usize = 32;
/// Room below which `send` looks for frames that have been sent.
const RECLAIM_ROOM: usize = 32;

/// Milliseconds after the first reset in which nobody may look: a chip alone wants a microsecond, a
/// chipset hangs when it is asked too early.
const CHIP_QUIET_MS: usize = 1;
const CHIPSET_QUIET_MS: usize = 20;

pub struct E1000e<R: Registers> {
    registers: R,
    pool: &'static Pool,
    receive: ReceiveRing,
    transmit: TransmitRing,
    mac: [u8; 6],
    status: Status,
    health: Health,
    /// Whether the pool was empty when the receive ring was last filled.
    starved: bool,
    counters: NicCounters,
}

/// Whether there is a driver for it here.
pub fn knows(vendor: u16, device: u16) -> bool {
    vendor == VENDOR && (CHIPS.contains(&device) || CHIPSETS.contains(&device))
}

/// Takes a function that is known to a running port.
///
/// # Safety
/// As [`crate::probe::probe`].
pub unsafe fn open<C: ConfigurationAccess>(
    bus: &mut Bus<C>,
    Device { address, device, .. }: Device,
    pool: &'static Pool,
    mapped_end: u64,
) -> Result<Box<dyn Nic>, Absent> {
    const REGISTERS_BAR: u8 = 0;
    let quiet_ms = if CHIPS.contains(&device) { CHIP_QUIET_MS } else { CHIPSET_QUIET_MS };
    bus.disable(address);
    // SAFETY: the caller's promise.
    let registers = unsafe { Mmio::open(bus, address, REGISTERS_BAR, BYTES, mapped_end) }?;
    bus.enable(address);
    Ok(Box::new(E1000e::new(registers, quiet_ms, pool)?))
}

impl<R: Registers> E1000e<R> {
    /// Takes the device from whatever it was at to running.
    pub fn new(mut registers: R, quiet_ms: usize, pool: &'static Pool) -> Result<Self, Absent> {
        reset_at_once(&mut registers, quiet_ms)?;
        let mac = read_mac(&registers).ok_or(Absent::Config)?;
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Err(Absent::Mac(mac));
        }
        let receive = ReceiveRing::new().ok_or(Absent::NoMemory)?;
        let transmit = TransmitRing::new().ok_or(Absent::NoMemory)?;
        let mut nic = E1000e {
            status: Status::read(&registers),
            registers,
            pool,
            receive,
            transmit,
            mac,
            health: Health::new(),
            starved: false,
            counters: NicCounters::default(),
        };
        nic.start();
        Ok(nic)
    }

    /// From reset to running: rings, link, then both directions (82574, 4.6).
    fn start(&mut self) {
        let [receive, transmit] = [self.receive.address(), self.transmit.address()];
        self.place(receive, [RDBAL, RDBAH, RDLEN, RDH, RDT]);
        self.place(transmit, [TDBAL, TDBAH, TDLEN, TDH, TDT]);
        let registers = &mut self.registers;
        let not_wanted = CTRL_FORCE_SPEED | CTRL_FORCE_DUPLEX | CTRL_VLAN_MODE;
        change(registers, CTRL, not_wanted, CTRL_SET_LINK_UP);
        change(registers, TXDCTL, 0, TXDCTL_EACH);
        change(registers, TCTL, 0, TCTL_ENABLE | TCTL_PAD_SHORT);
        change(registers, RFCTL, 0, RFCTL_EXTENDED);
        registers.write(RXCSUM, 0);
        let every_address = RCTL_UNICAST_ALL | RCTL_MULTICAST_ALL | RCTL_BROADCAST;
        registers.write(RCTL, RCTL_ENABLE | RCTL_LONG | RCTL_STRIP_CRC | every_address);
        self.refill();
    }

    /// Tells where an empty ring lies.
    fn place(&mut self, address: u64, [low, high, len, head, tail]: [u32; 5]) {
        self.registers.write(low, address as u32);
        self.registers.write(high, (address >> 32) as u32);
        self.registers.write(len, RING_BYTES);
        self.registers.write(head, 0);
        self.registers.write(tail, 0);
    }

    /// Stops the chip. Its frames stay in the rings until it is seen to have stopped.
    fn fail(&mut self, fault: Fault) {
        stop(&mut self.registers);
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
        let counters = &mut self.counters;
        match received {
            Received::Damaged => counters.rx_damaged += 1,
            Received::Frame(frame) if frame.is_empty() => counters.rx_runt += 1,
            Received::Frame(frame) if frame.total_len() > WIRE_BYTES_MAX => {
                counters.rx_too_big += 1
            }
            Received::Frame(frame) => {
                counters.rx_frames += 1;
                counters.rx_bytes += frame.total_len() as u64;
                return Some(frame);
            }
        }
        None
    }

    /// Gives the chip buffers for all free places, if those are worth a write to its tail register.
    fn refill(&mut self) {
        if self.receive.room() < REFILL {
            return;
        }
        let before = self.receive.room();
        while self.receive.room() > 0 {
            let Some(frame) = self.pool.take() else {
                // Counted when it begins, not at each turn of a loop that may run idle.
                self.counters.rx_no_buffer += u64::from(!self.starved);
                self.starved = true;
                break;
            };
            self.starved = false;
            self.receive.give(frame);
        }
        if self.receive.room() < before {
            self.registers.write(RDT, self.receive.tail());
        }
    }

    /// A step of watching a chip that works.
    fn watch(&mut self, step_ms: u64) -> Result<(), Fault> {
        self.transmit.reclaim();
        // Nobody takes frames from a link that is down or paused, and nobody has to.
        let may_send = self.status.is_link_up() && !self.status.is_paused();
        let sending = Sending {
            progress: self.transmit.progress(),
            waits: may_send && self.transmit.in_flight() > 0,
        };
        self.health.watch_sending(sending, step_ms, &mut self.counters)?;
        if self.health.is_look_due() {
            self.receive.check_order()?;
            self.look()?;
        }
        Ok(())
    }

    /// Reads what the chip says of itself. One that is not there says nothing but ones.
    fn look(&mut self) -> Result<(), Fault> {
        if read_mac(&self.registers) != Some(self.mac) {
            return Err(Fault::Config);
        }
        self.counters.rx_missed += u64::from(self.registers.read(MPC));
        self.status = Status::read(&self.registers);
        Ok(())
    }

    /// Takes the frames of a chip that has stopped, which then can be reset.
    fn settle(&mut self) {
        if has_stopped(&mut self.registers) {
            self.receive.take_back();
            self.transmit.take_back();
            self.health.settled();
            change(&mut self.registers, CTRL, CTRL_MASTER_DISABLE, CTRL_RESET);
        }
    }

    /// A chip that was reset begins again, if it is still the one it was.
    fn restart(&mut self) -> Result<(), Fault> {
        if !is_reset(&self.registers) {
            return Err(Fault::Reset);
        }
        if read_mac(&self.registers) != Some(self.mac) {
            return Err(Fault::Config);
        }
        self.status = Status::read(&self.registers);
        self.health.recovered();
        self.start();
        Ok(())
    }
}

impl<R: Registers> Nic for E1000e<R> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn state(&self) -> NicState {
        match self.health.fault() {
            Some(fault) => NicState::Broken(fault),
            None if self.status.is_link_up() => NicState::Up,
            None => NicState::LinkDown,
        }
    }

    fn speed_mbit(&self) -> Option<u32> {
        (self.state() == NicState::Up).then(|| self.status.speed_mbit())
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
        if self.transmit.room() < RECLAIM_ROOM.max(self.transmit.wanted(&frame, &work)) {
            self.transmit.reclaim();
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
            && let Some(tail) = self.transmit.show()
        {
            self.registers.write(TDT, tail);
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
                change(&mut self.registers, CTRL, 0, CTRL_RESET);
                self.health.fail(Fault::Reset, &mut self.counters);
            }
        }
    }

    fn arm(&mut self) -> bool {
        // A chip that was stopped interrupts no more, and only time helps it.
        if self.health.is_broken() {
            return true;
        }
        // Reading the causes clears them and releases the line. It comes before the last look at the
        // ring: a frame that arrives after that look raises the line anew.
        let causes = self.registers.read(ICR);
        self.registers.write(IMS, CAUSE_RECEIVE | CAUSE_LINK);
        if causes & CAUSE_LINK != 0 {
            self.health.announce();
            return false;
        }
        !self.receive.is_waiting()
    }

    fn disarm(&mut self) {
        if !self.health.is_broken() {
            self.registers.write(IMC, CAUSE_ALL);
        }
    }

    fn lost(&mut self) {
        self.receive.take_back();
        self.transmit.take_back();
    }

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "e1000e"
    }
}

impl<R: Registers> Drop for E1000e<R> {
    /// Stops the chip; what it does not let go of at once stays out of the pool.
    fn drop(&mut self) {
        stop(&mut self.registers);
        self.settle();
    }
}
