//! Bays: places where a NIC may be, filled or empty.
//!
//! What is found at the start and what is plugged in an hour later takes one way: a bay that was empty
//! has somebody in it. At the start all bays are empty. [`Bays::look`] looks at some of them in turn, a
//! few accesses to configuration space each, so nothing has to be waited for and no interrupt is needed.
//!
//! ```text
//!              somebody is there: BARs placed, driver ▶ Came
//!     empty ──────────────────────────────────────────────────▶ filled
//!       ▲                                                         │ wants to go: forbidden to reach
//!       │ nobody is there any more                                ▼ memory, let out ▶ Left
//!       └────────────────────────── let out ◀─────────────────────┘
//!                                                     nobody is there any more: ▶ Left, empty
//! ```
//!
//! How a bay is opened is its latch. A slot of PCI Express has registers of its own (6.7 of its
//! specification): presence, a button, power. Where QEMU keeps those from guests, which it does on q35
//! unless told otherwise, and on buses that are not PCI Express, it has registers beside them for its
//! ACPI methods ("acpi_pci_hotplug" of its specifications): those are used as the methods would. A NIC
//! that nobody can take out is in a bay without a latch.
//!
//! A device that is let out may write to no memory from that moment on, whatever else it does: then its
//! driver gets everything back. So does the driver of one that is gone without asking.

mod latch;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

pub use self::latch::{AcpiPorts, BusPath, Ejector, Selector};
use self::latch::{Latch, PowerSlot};
use crate::pci::{
    Address, Bridge, Bus, ConfigurationAccess, Device, Function, NarrowAccess, SLOTS,
};
use crate::pool::Pool;
use crate::probe::{Absent, First, Found, probe, start_watchdog};
use crate::watchdog::Watchdog;

/// In so many calls of [`Bays::look`] each bay is looked at.
const LOOKS_PER_ROUND: usize = 8;

/// What became of a bay.
pub enum News {
    Came(Found),
    /// Its NIC is not there any more, or was let out and touches nothing.
    Left(Address),
}

pub struct Bays<C: ConfigurationAccess> {
    bus: Bus<C>,
    ejector: Option<Box<dyn Ejector>>,
    /// In ascending order of address.
    bays: Vec<Bay>,
    next: usize,
}

struct Bay {
    address: Address,
    /// What leads to its bus, the first one aside.
    bridge: Option<Bridge>,
    latch: Latch,
    holds: Holds,
    regions: Vec<Range<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Nic,
    /// Somebody who is no use, which was said.
    Useless,
    /// Somebody who was let out and is still there.
    Leaving,
}

impl<C: ConfigurationAccess> Bays<C> {
    /// Every place on the bus where a NIC is or may come to be; no driver uses one of them yet.
    pub fn find(bus: Bus<C>, ejector: Option<Box<dyn Ejector>>, selectors: &[Selector]) -> Bays<C> {
        let functions = bus.functions();
        let bridges: Vec<Bridge> = functions.iter().filter_map(as_bridge).collect();
        let mut bays = Vec::new();
        for Selector { path, number } in selectors.iter().filter(|_| ejector.is_some()) {
            let Some((number_of_bus, bridge)) = follow(path, &bridges) else { continue };
            // Behind a port of PCI Express there is one slot.
            let slots = if bridge.is_some_and(|it| latch::is_express(&bus, it.address)) {
                1
            } else {
                SLOTS
            };
            for device in 0..slots {
                let address = Address { bus: number_of_bus, device, function: 0 };
                let is_free = !bus.is_somebody_at(address) || bus.nic_at(address).is_some();
                if is_free && !bays.iter().any(|bay: &Bay| bay.address == address) {
                    bays.push(Bay::new(address, bridge, Latch::Acpi { selector: *number }));
                }
            }
        }
        for bridge in &bridges {
            let address = Address { bus: bridge.secondary, device: 0, function: 0 };
            // A slot that ACPI has may still say that it is made for plugging, and see nobody come.
            if !bays.iter().any(|bay: &Bay| bay.address == address)
                && let Some(slot) = PowerSlot::of(&bus, bridge.address)
            {
                bays.push(Bay::new(address, Some(*bridge), Latch::Power(slot)));
            }
        }
        for nic in bus.nics() {
            if !bays.iter().any(|bay| bay.address == nic.address) {
                let bridge = bridges.iter().find(|it| it.secondary == nic.address.bus);
                bays.push(Bay::new(nic.address, bridge.copied(), Latch::None));
            }
        }
        bays.sort_unstable_by_key(|bay| bay.address);
        Bays { bus, ejector, bays, next: 0 }
    }

    /// The bays that a NIC may be plugged into and that have none.
    pub fn empty(&self) -> impl Iterator<Item = Address> {
        let empty = self.bays.iter().filter(|bay| self.bus.nic_at(bay.address).is_none());
        empty.map(|bay| bay.address)
    }

    /// Looks at a share of the bays, until there is news.
    ///
    /// # Safety
    /// 1. Memory is identity-mapped, and so are, uncached, the registers behind every BAR that ends
    ///    at or below `mapped_end`.
    /// 2. The BARs are where the firmware put them and overlap no memory of ours; at the end of the
    ///    first 4 GiB, from 0xf000_0000 on, there is none.
    /// 3. Nothing else uses these devices; the driver of a NIC that left is told so and dropped before
    ///    the next call.
    pub unsafe fn look(
        &mut self,
        pool: &'static Pool,
        nics_max: usize,
        mapped_end: u64,
    ) -> Option<News> {
        for _ in 0..self.bays.len().div_ceil(LOOKS_PER_ROUND) {
            let at = self.next;
            self.next = (at + 1) % self.bays.len();
            // SAFETY: the caller's promise.
            if let Some(news) = unsafe { self.look_at(at, pool, nics_max, mapped_end) } {
                return Some(news);
            }
        }
        None
    }

    /// Looks at every bay once, in ascending order: who is there at the start.
    ///
    /// # Safety
    /// As [`Bays::look`].
    pub unsafe fn look_at_all(
        &mut self,
        pool: &'static Pool,
        nics_max: usize,
        mapped_end: u64,
    ) -> Vec<News> {
        let bays = 0..self.bays.len();
        // SAFETY: the caller's promise.
        let look = |at| unsafe { self.look_at(at, pool, nics_max, mapped_end) };
        bays.filter_map(look).collect()
    }

    /// # Safety
    /// As [`Bays::look`].
    unsafe fn look_at(
        &mut self,
        at: usize,
        pool: &'static Pool,
        nics_max: usize,
        mapped_end: u64,
    ) -> Option<News> {
        let (address, holds) = (self.bays[at].address, self.bays[at].holds);
        let is_there = match holds {
            Holds::Leaving => self.is_still_in(at),
            Holds::Nothing | Holds::Nic | Holds::Useless => {
                self.is_powered(at) && self.bus.is_somebody_at(address)
            }
        };
        match (holds, is_there) {
            (Holds::Nothing, false) => None,
            (Holds::Nothing, true) => {
                let nic = self.bus.nic_at(address)?;
                // SAFETY: the caller's promise; nobody has this NIC, for the bay is empty.
                let found = unsafe { self.fill(at, nic, pool, nics_max, mapped_end) };
                let is_nic = found.result.is_ok();
                self.bays[at].holds = if is_nic { Holds::Nic } else { Holds::Useless };
                Some(News::Came(found))
            }
            (Holds::Leaving, false) => self.empty_out(at, Holds::Nothing),
            // Gone without asking: the slot is made ready for the next one.
            (Holds::Nic | Holds::Useless, false) => {
                self.let_out(at);
                self.empty_out(at, Holds::Nothing)
            }
            (Holds::Nic | Holds::Useless, true) if self.wants_out(at) => {
                // From here on it reaches no memory.
                self.bus.disable(address);
                self.let_out(at);
                let is_still_in = self.is_still_in(at);
                self.empty_out(at, if is_still_in { Holds::Leaving } else { Holds::Nothing })
            }
            (Holds::Nic | Holds::Useless, true) => None,
            // Whoever presses the button of somebody who stayed wants him back.
            (Holds::Leaving, true) => {
                if self.wants_out(at) {
                    self.bays[at].holds = Holds::Nothing;
                }
                None
            }
        }
    }

    /// # Safety
    /// As [`Bays::look`], and no driver has this NIC.
    unsafe fn fill(
        &mut self,
        at: usize,
        nic: Device,
        pool: &'static Pool,
        nics_max: usize,
        mapped_end: u64,
    ) -> Found {
        let Device { address, vendor, device, irq_line } = nic;
        let irq_line = irq_line.or_else(|| self.guess_line(at));
        let useless = |reason| Found { address, vendor, device, irq_line, result: Err(reason) };
        if self.bays.iter().filter(|bay| bay.holds == Holds::Nic).count() >= nics_max {
            return useless(Absent::NoBuffers { nics: nics_max });
        }
        let others: Vec<_> = self.bays.iter().flat_map(|bay| bay.regions.iter().cloned()).collect();
        let Some(regions) = self.bus.place(address, self.bays[at].bridge, &others) else {
            return useless(Absent::NoRoom);
        };
        self.bays[at].regions = regions.into_iter().collect();
        // SAFETY: exactly what our caller promised.
        let found = unsafe { probe(&mut self.bus, nic, pool, mapped_end) };
        Found { irq_line, ..found }
    }

    /// The line of a NIC that the firmware has not seen. Behind a port of PCI Express it is the port's;
    /// on a bus with more slots, that of a NIC whose pin is wired to the same one: every fourth.
    fn guess_line(&self, at: usize) -> Option<u8> {
        let Bay { address, bridge, .. } = &self.bays[at];
        if let Some(bridge) = bridge.filter(|it| latch::is_express(&self.bus, it.address)) {
            return bridge.irq_line;
        }
        let is_alike = |nic: &Device| {
            nic.address.bus == address.bus && nic.address.device % 4 == address.device % 4
        };
        self.bus.nics().iter().filter(|nic| is_alike(nic)).find_map(|nic| nic.irq_line)
    }

    fn empty_out(&mut self, at: usize, holds: Holds) -> Option<News> {
        let bay = &mut self.bays[at];
        let before = core::mem::replace(&mut bay.holds, holds);
        bay.regions.clear();
        (before == Holds::Nic).then_some(News::Left(bay.address))
    }

    /// Whether who is there can be reached. A slot with somebody new in it is switched on, which takes a
    /// while.
    fn is_powered(&mut self, at: usize) -> bool {
        let bay = &self.bays[at];
        match bay.latch {
            Latch::Power(slot) => slot.is_powered(&mut self.bus, bay.holds == Holds::Nothing),
            Latch::Acpi { .. } | Latch::None => true,
        }
    }

    /// Whether who was let out has stayed, without power perhaps.
    fn is_still_in(&self, at: usize) -> bool {
        let Bay { address, latch, .. } = &self.bays[at];
        match latch {
            Latch::Power(slot) => slot.is_present(&self.bus),
            Latch::Acpi { .. } | Latch::None => self.bus.is_somebody_at(*address),
        }
    }

    fn wants_out(&mut self, at: usize) -> bool {
        let Bay { address, latch, .. } = &self.bays[at];
        match (latch, &mut self.ejector) {
            (Latch::Power(slot), _) => slot.was_pressed(&mut self.bus),
            (Latch::Acpi { selector }, Some(ejector)) => {
                ejector.leaving(*selector) & 1 << address.device != 0
            }
            (Latch::Acpi { .. } | Latch::None, _) => false,
        }
    }

    fn let_out(&mut self, at: usize) {
        let Bay { address, latch, .. } = &self.bays[at];
        match (latch, &mut self.ejector) {
            (Latch::Power(slot), _) => slot.switch_off(&mut self.bus),
            (Latch::Acpi { selector }, Some(ejector)) => {
                ejector.eject(*selector, address.device);
            }
            (Latch::Acpi { .. } | Latch::None, _) => {}
        }
    }
}

impl<C: NarrowAccess> Bays<C> {
    /// Has the machine's watchdog count, if there is one: it is on the same bus.
    ///
    /// # Safety
    /// As [`Bays::look`], and once.
    pub unsafe fn start_watchdog(&mut self, mapped_end: u64) -> Option<First<Watchdog>> {
        // SAFETY: exactly what our caller promised.
        unsafe { start_watchdog(&mut self.bus, mapped_end) }
    }
}

impl Bay {
    fn new(address: Address, bridge: Option<Bridge>, latch: Latch) -> Bay {
        Bay { address, bridge, latch, holds: Holds::Nothing, regions: Vec::new() }
    }
}

fn as_bridge(function: &Function) -> Option<Bridge> {
    match function {
        Function::Bridge(bridge) => Some(*bridge),
        Function::Device { .. } => None,
    }
}

/// The bus at the end of a path, and what leads to it.
fn follow(path: &BusPath, bridges: &[Bridge]) -> Option<(u8, Option<Bridge>)> {
    let (mut bus, mut last) = (0, None);
    for (device, function) in path {
        let address = Address { bus, device: *device, function: *function };
        let bridge = *bridges.iter().find(|bridge| bridge.address == address)?;
        (bus, last) = (bridge.secondary, Some(bridge));
    }
    Some((bus, last))
}
