//! Places for the registers of a device that the firmware has not seen.
//!
//! A device that comes while the machine runs has BARs without an address. Behind a bridge they go
//! into the bridge's window of memory that is not prefetched (anything may lie there); firmware leaves
//! one at every slot that something may be plugged into, and where it did not, one is opened. On the
//! first bus they go where all of QEMU's PCs have nothing but PCI.
//!
//! What lies in a window already is known exactly of NICs, whose BARs were measured when they came.
//! Other devices are not disturbed by measuring: a BAR is aligned to its size, so what it takes ends
//! before the next address that is.

use alloc::vec::Vec;
use core::ops::Range;

use virtio_drivers::transport::pci::bus::{BarInfo, Command, MemoryBarType};

use super::{Address, BARS, Bridge, Bus, ConfigurationAccess, Function};

/// Nothing but PCI is here, on i440FX and on q35.
const ROOT_WINDOW: Range<u64> = 0xf000_0000..0xfec0_0000;
/// Base and limit of the memory behind a bridge, in units of 1 MiB, and of what is prefetched.
const MEMORY_WINDOW: u8 = 0x20;
const PREFETCHED_WINDOW: u8 = 0x24;
const PREFETCHED_UPPER: [u8; 2] = [0x28, 0x2c];
const WINDOW_UNIT: u64 = 1 << 20;
/// As firmware leaves it: room for any NIC.
const NEW_WINDOW_BYTES: u64 = 2 << 20;
const BAR_FIRST: u8 = 0x10;
/// BARs share a page with nobody.
const PAGE_BYTES: u64 = 4096;

/// Where a function's BARs in memory lie.
pub(crate) type Regions = heapless::Vec<Range<u64>, { BARS as usize }>;

/// A BAR in memory.
struct Bar {
    index: u8,
    is_wide: bool,
    address: u64,
    size_bytes: u64,
}

impl<C: ConfigurationAccess> Bus<C> {
    /// Sees to it that every memory BAR of a function has an address, and says where they lie; `None`
    /// if there is no room. `bridge` leads to its bus, `others` are the regions of NICs. The function
    /// answers at none of its BARs then.
    pub(crate) fn place(
        &mut self,
        address: Address,
        bridge: Option<Bridge>,
        others: &[Range<u64>],
    ) -> Option<Regions> {
        self.disable(address);
        let mut bars = self.memory_bars(address);
        if bars.iter().any(|bar| bar.address == 0) {
            let window = match bridge {
                Some(bridge) => self.open_window(bridge)?,
                None => ROOT_WINDOW,
            };
            let mut taken = self.taken(address);
            taken.extend_from_slice(others);
            // The largest first: none leaves a hole before another one.
            bars.sort_unstable_by_key(|bar| core::cmp::Reverse(bar.size_bytes));
            for bar in &mut bars {
                let region = find_room(&window, bar.size_bytes.max(PAGE_BYTES), &taken)?;
                bar.address = region.start;
                taken.push(region);
                self.set_bar(address, bar);
            }
        }
        let region = |bar: &Bar| bar.address..bar.address.saturating_add(bar.size_bytes);
        Some(bars.iter().map(region).collect())
    }

    fn memory_bars(&mut self, address: Address) -> heapless::Vec<Bar, { BARS as usize }> {
        let mut bars = heapless::Vec::new();
        let mut indices = 0..BARS;
        while let Some(index) = indices.next() {
            let Ok(Some(info)) = self.root().bar_info(address, index) else { continue };
            if let BarInfo::Memory { address_type, address, size, .. } = info {
                let is_wide = address_type == MemoryBarType::Width64;
                let bar = Bar { index, is_wide, address, size_bytes: size };
                assert!(bars.push(bar).is_ok(), "no more BARs than registers");
            }
            if info.takes_two_entries() {
                indices.next();
            }
        }
        bars
    }

    fn set_bar(&mut self, address: Address, bar: &Bar) {
        match bar.is_wide {
            true => self.root().set_bar_64(address, bar.index, bar.address),
            false => self.root().set_bar_32(address, bar.index, bar.address as u32),
        }
    }

    /// The window behind a bridge, which is opened if the firmware left none and the bridge is on the
    /// first bus.
    fn open_window(&mut self, bridge: Bridge) -> Option<Range<u64>> {
        let Bridge { address, .. } = bridge;
        let mut window = window(self.read_word(address, MEMORY_WINDOW));
        if window.is_empty() {
            if address.bus != 0 {
                return None;
            }
            window = find_room(&ROOT_WINDOW, NEW_WINDOW_BYTES, &self.taken(address))?;
            let base = (window.start >> 16) as u32;
            let limit = ((window.end - WINDOW_UNIT) >> 16) as u32;
            self.write_word(address, MEMORY_WINDOW, limit << 16 | base);
        }
        let (_, command) = self.root().get_status_command(address);
        let wanted = Command::MEMORY_SPACE | Command::BUS_MASTER;
        self.root().set_command(address, command | wanted);
        Some(window)
    }

    /// What the neighbours of a function on its bus take, NICs aside.
    fn taken(&self, address: Address) -> Vec<Range<u64>> {
        let mut taken = Vec::new();
        for function in self.functions() {
            match function {
                Function::Bridge(Bridge { address: at, .. }) if at.bus == address.bus => {
                    taken.push(window(self.read_word(at, MEMORY_WINDOW)));
                    taken.push(self.prefetched_window(at));
                    self.bounds(at, 2, &mut taken);
                }
                Function::Device { device, .. }
                    if device.address.bus == address.bus
                        && self.nic_at(device.address).is_none() =>
                {
                    self.bounds(device.address, BARS, &mut taken);
                }
                Function::Bridge(_) | Function::Device { .. } => {}
            }
        }
        taken
    }

    fn prefetched_window(&self, bridge: Address) -> Range<u64> {
        let low = window(self.read_word(bridge, PREFETCHED_WINDOW));
        let [base, limit] = PREFETCHED_UPPER.map(|at| u64::from(self.read_word(bridge, at)) << 32);
        base + low.start..limit + low.end
    }

    /// The most that the BARs of a function may take.
    fn bounds(&self, address: Address, bars: u8, taken: &mut Vec<Range<u64>>) {
        for index in 0..bars {
            let word = self.read_word(address, BAR_FIRST + 4 * index);
            let start = u64::from(word & !0xf);
            if word & 1 == 0 && start != 0 {
                taken.push(start..start + (start & start.wrapping_neg()));
            }
        }
    }
}

/// The window that a register of base and limit says; empty if it is closed.
fn window(word: u32) -> Range<u64> {
    let base = u64::from(word & 0xfff0) << 16;
    let end = u64::from(word & 0xfff0_0000) + WINDOW_UNIT;
    base..end.max(base)
}

/// The first so many bytes, aligned to their number, that nobody has.
fn find_room(window: &Range<u64>, bytes: u64, taken: &[Range<u64>]) -> Option<Range<u64>> {
    let mut start = window.start.next_multiple_of(bytes);
    loop {
        let end = start.checked_add(bytes)?;
        if end > window.end {
            return None;
        }
        match taken.iter().find(|other| other.start < end && start < other.end) {
            None => return Some(start..end),
            Some(other) => start = other.end.next_multiple_of(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, FakeConfig};
    use super::*;

    #[test]
    fn room_is_found_between_others() {
        let window = 0x1000..0x9000;
        let cases = [
            (0x1000, [0..0, 0..0], Some(0x1000)),
            (0x4000, [0..0, 0..0], Some(0x4000)),
            (0x1000, [0..0, 0x1000..0x1001], Some(0x2000)),
            (0x2000, [0x0..0x3000, 0x5000..0x5800], Some(0x6000)),
            (0x8000, [0..0, 0..0], None),
            (0x1000, [0x0..0x5000, 0x4000..0x1_0000], None),
        ];
        for (bytes, taken, start) in cases {
            let room = find_room(&window, bytes, &taken);
            assert_eq!(room, start.map(|start| start..start + bytes), "{bytes:#x} in {taken:x?}");
        }
    }

    #[test]
    fn a_closed_window_is_empty() {
        assert_eq!(window(0xfe3f_fe20 & 0xfff0_fff0), 0xfe20_0000..0xfe40_0000);
        assert!(window(0x0000_fff0).is_empty());
    }

    /// As a NIC has them: 4 KiB, and 16 KiB that are 64 bits wide.
    fn nic() -> fake::Function {
        let mut nic = fake::Function::new(0x1af4, 0x1041, 0x02);
        nic.bar_masks = [0, 0xffff_f000, 0, 0, 0xffff_c000, u32::MAX];
        nic.words[8] = 0xc;
        nic
    }

    fn bridge(config: &FakeConfig) -> Bridge {
        let address = fake::address(0, 3, 0);
        let is_it = |function| match function {
            Function::Bridge(bridge) => (bridge.address == address).then_some(bridge),
            Function::Device { .. } => None,
        };
        Bus::new(config.clone()).functions().into_iter().find_map(is_it).unwrap()
    }

    #[test]
    fn bars_go_into_the_bridges_window_and_stay_where_they_are() {
        let config = FakeConfig::default();
        let mut port = fake::Function::bridge(1);
        port.words[8] = 0xfe30_fe20;
        config.insert(fake::address(0, 3, 0), port);
        config.insert(fake::address(1, 0, 0), nic());
        let mut bus = Bus::new(config.clone());
        let at = fake::address(1, 0, 0);
        let regions = bus.place(at, Some(bridge(&config)), &[]).unwrap();
        assert_eq!(regions, [0xfe20_0000..0xfe20_4000, 0xfe20_4000..0xfe20_5000]);
        assert_eq!(config.word(at, 0x20), 0xfe20_000c);
        assert_eq!(config.word(at, 0x14), 0xfe20_4000);
        let again = bus.place(at, Some(bridge(&config)), &regions).unwrap();
        assert_eq!(again.iter().map(|it| it.start).min(), Some(0xfe20_0000), "as it was");
        config.insert(fake::address(1, 1, 0), nic());
        let next = bus.place(fake::address(1, 1, 0), Some(bridge(&config)), &regions).unwrap();
        assert_eq!(next, [0xfe20_8000..0xfe20_c000, 0xfe20_5000..0xfe20_6000], "beside it");
    }

    #[test]
    fn a_window_is_opened_beside_what_the_first_bus_has() {
        let config = FakeConfig::default();
        let mut port = fake::Function::bridge(1);
        port.words[8] = 0x0000_fff0;
        config.insert(fake::address(0, 3, 0), port);
        let mut other = fake::Function::new(0x1234, 0x1111, 0x03);
        other.words[4] = 0xf000_0008;
        config.insert(fake::address(0, 1, 0), other);
        config.insert(fake::address(1, 0, 0), nic());
        let mut bus = Bus::new(config.clone());
        // The other device may take all that its alignment allows, and the first bus has no room then.
        assert_eq!(bus.place(fake::address(1, 0, 0), Some(bridge(&config)), &[]), None);
        let mut small = fake::Function::new(0x1234, 0x1111, 0x03);
        small.words[4] = 0xf010_0008;
        config.insert(fake::address(0, 1, 0), small);
        let regions = bus.place(fake::address(1, 0, 0), Some(bridge(&config)), &[]).unwrap();
        assert_eq!(regions[0], 0xf020_0000..0xf020_4000);
        assert_eq!(config.word(fake::address(0, 3, 0), MEMORY_WINDOW), 0xf030_f020);
        assert_eq!(config.word(fake::address(0, 3, 0), fake::COMMAND) & 6, 6, "it passes both on");
    }
}
