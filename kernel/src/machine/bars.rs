//! Where a PCI device's registers lie in memory: its base address registers, as the firmware set
//! them (PCI Local Bus 3.0, 6.2.5.1). Large machines have 64-bit ones far above 4 GiB.

/// Offset of the first base address register, and how many a device may have.
const FIRST: u8 = 0x10;
const BARS: u8 = 6;
const IS_PORTS: u32 = 1;
const KIND: u32 = 0b110;
const KIND_64_BITS: u32 = 0b100;
const FLAGS: u32 = 0xf;

/// Addresses of a device's BARs in memory; `word` reads its configuration space.
pub fn memory_bars(word: impl Fn(u8) -> u32) -> heapless::Vec<u64, { BARS as usize }> {
    let mut addresses = heapless::Vec::new();
    let mut registers = (0..BARS).map(|at| FIRST + at * 4);
    while let Some(register) = registers.next() {
        let low = word(register);
        if low & IS_PORTS != 0 {
            continue;
        }
        let mut address = u64::from(low & !FLAGS);
        if low & KIND == KIND_64_BITS {
            // The next register holds the upper half; the last one has no next and is no BAR.
            let Some(upper) = registers.next() else { break };
            address |= u64::from(word(upper)) << 32;
        }
        if address != 0 {
            addresses.push(address).expect("no more addresses than registers");
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(registers: [u32; 6]) -> heapless::Vec<u64, 6> {
        memory_bars(|register| registers[usize::from(register - FIRST) / 4])
    }

    #[test]
    fn both_widths_and_no_ports() {
        // As virtio-net has it: ports, 32-bit memory for MSI-X, 64-bit memory in 4 and 5.
        let low = [0xc001, 0xfebd_1000, 0, 0, 0xfebf_000c, 0];
        assert_eq!(of(low), [0xfebd_1000, 0xfebf_0000]);
        let high = [0xc001, 0xfebd_1000, 0, 0, 0x4000_000c, 0x38];
        assert_eq!(of(high), [0xfebd_1000, 0x38_4000_0000]);
    }

    #[test]
    fn the_upper_half_is_no_bar_of_its_own() {
        assert_eq!(of([4, 4, 4, 4, 4, 4]), [4 << 32; 3]);
        assert!(of([0, 0, 0, 0, 0, 4]).is_empty(), "an upper half that is not there");
        assert!(of([0; 6]).is_empty(), "not placed");
    }
}
