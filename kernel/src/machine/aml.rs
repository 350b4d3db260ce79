//! What is read of the code in the DSDT (ACPI 6.5, 20.2), which is not run: names with a value, and the
//! devices that they stand in.
//!
//! ```text
//!   Name (\_S5, Package {0, …})           what switches the machine off
//!   OperationRegion (PCST, SystemIO, …)   QEMU's registers for plugging begin here
//!   Device (…) { Name (_ADR, …)           a bridge; it may be inside of another one
//!       Name (BSEL, n) … }                the bus behind it has this number for those registers
//! ```
//!
//! To run the methods would take an interpreter, and they do nothing but write these numbers to those
//! registers. So the code is searched for the few shapes above, each told by its operator and its name;
//! nothing else is understood. QEMU gives every bridge its `_ADR` first. A number read wrongly would let
//! out the wrong NIC, which would be found again, as any NIC is.

use core::ops::Range;

use drivers::bays::Selector;

use super::Physical;

/// What the code says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// SLP_TYP of S5.
    pub sleep_type_off: Option<u8>,
    pub plugging: Option<Plugging>,
}

/// QEMU's registers for plugging, and the buses that they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugging {
    pub port: u16,
    pub selectors: heapless::Vec<Selector, SELECTORS_MAX>,
}

/// Further buses cannot be plugged into.
const SELECTORS_MAX: usize = 64;
/// Bridges that a path may lead through, and devices that are kept in mind; there is room for one more
/// than a path can have, so that what is too deep is known to be.
const PATH_MAX: usize = 4;
const INSIDE_MAX: usize = PATH_MAX + 1;
/// Code behind this is not looked at.
const CODE_BYTES_MAX: u64 = 1 << 20;

const EXTENDED: u8 = 0x5b;
const DEVICE: u8 = 0x82;
const OPERATION_REGION: u8 = 0x80;
const SYSTEM_IO: u8 = 1;
const NAME: u8 = 0x08;
const PACKAGE: u8 = 0x12;

/// A device whose code is being read.
struct Inside {
    end: u64,
    /// Its place on the bus that it is on.
    place: (u8, u8),
}

/// Reads the code that lies there.
pub fn read(memory: &impl Physical, code: Range<u64>) -> Known {
    let end = code.end.min(code.start.saturating_add(CODE_BYTES_MAX));
    let mut reader = Reader { memory, inside: heapless::Vec::new() };
    let mut known = Known::default();
    let (mut port, mut selectors) = (None, heapless::Vec::new());
    for at in code.start..end {
        reader.inside.retain(|device| at < device.end);
        match reader.shape(at) {
            None => {}
            Some(Shape::Device(device)) => {
                // Deeper than any path that is used.
                let _ = reader.inside.push(device);
            }
            Some(Shape::Off(sleep_type)) => known.sleep_type_off = Some(sleep_type),
            Some(Shape::Registers(its)) => port = Some(its),
            Some(Shape::Bus(number)) => {
                let path = reader.inside.iter().map(|device| device.place);
                if reader.inside.len() <= PATH_MAX {
                    // The bus cannot be plugged into if there are so many.
                    let _ = selectors.push(Selector { path: path.collect(), number });
                }
            }
        }
    }
    known.plugging = port.map(|port| Plugging { port, selectors });
    known
}

/// What is looked for.
enum Shape {
    Device(Inside),
    Off(u8),
    Registers(u16),
    Bus(u32),
}

struct Reader<'a, M> {
    memory: &'a M,
    /// The devices around what is being read, the outermost first.
    inside: heapless::Vec<Inside, INSIDE_MAX>,
}

impl<M: Physical> Reader<'_, M> {
    /// What begins here.
    fn shape(&self, at: u64) -> Option<Shape> {
        match self.byte(at)? {
            EXTENDED => match self.byte(at + 1)? {
                DEVICE => {
                    let (length, name) = self.length(at + 2)?;
                    let address = self.name(name + 4, b"_ADR")?;
                    let address = self.integer(address)?.0;
                    let place = ((address >> 16) as u8, address as u8 & 7);
                    Some(Shape::Device(Inside { end: at + 2 + length, place }))
                }
                OPERATION_REGION => {
                    let space = self.word(at + 2, b"PCST")?;
                    let port = self.integer(space + 1)?.0;
                    let is_io = self.byte(space)? == SYSTEM_IO;
                    Some(Shape::Registers(u16::try_from(port).ok().filter(|_| is_io)?))
                }
                _ => None,
            },
            NAME => {
                let bus = || Some(Shape::Bus(self.integer(self.name(at, b"BSEL")?)?.0));
                bus().or_else(|| {
                    let package = self.name(at, b"_S5_")?;
                    if self.byte(package)? != PACKAGE {
                        return None;
                    }
                    let (_, count) = self.length(package + 1)?;
                    let sleep_type = self.integer(count + 1)?.0;
                    Some(Shape::Off(u8::try_from(sleep_type).ok().filter(|it| *it < 8)?))
                })
            }
            _ => None,
        }
    }

    fn byte(&self, at: u64) -> Option<u8> {
        self.memory.bytes::<1>(at).map(|[byte]| byte)
    }

    /// What is behind a word, if it stands here.
    fn word(&self, at: u64, word: &[u8; 4]) -> Option<u64> {
        (&self.memory.bytes::<4>(at)? == word).then_some(at + 4)
    }

    /// Where the value of a name begins, if it is stated here.
    fn name(&self, at: u64, name: &[u8; 4]) -> Option<u64> {
        if self.byte(at)? == NAME { self.word(at + 1, name) } else { None }
    }

    /// A length, counted from where it stands, and what is behind it (20.2.4).
    fn length(&self, at: u64) -> Option<(u64, u64)> {
        let first = self.byte(at)?;
        let further = u64::from(first >> 6);
        if further == 0 {
            return Some((u64::from(first), at + 1));
        }
        let mut length = u64::from(first & 0xf);
        for number in 0..further {
            length |= u64::from(self.byte(at + 1 + number)?) << (4 + 8 * number);
        }
        Some((length, at + 1 + further))
    }

    /// A number, and what is behind it (20.2.3).
    fn integer(&self, at: u64) -> Option<(u32, u64)> {
        Some(match self.byte(at)? {
            0x00 => (0, at + 1),
            0x01 => (1, at + 1),
            0x0a => (self.byte(at + 1)?.into(), at + 2),
            0x0b => (u16::from_le_bytes(self.memory.bytes(at + 1)?).into(), at + 3),
            0x0c => (self.memory.u32(at + 1)?, at + 5),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Memory;
    use drivers::bays::BusPath;
    use std::vec::Vec;

    fn device(name: &[u8; 4], address: u32, body: &[u8]) -> Vec<u8> {
        let mut inner = name.to_vec();
        inner.extend(b"\x08_ADR\x0c");
        inner.extend(address.to_le_bytes());
        inner.extend(body);
        let length = inner.len() + 2;
        let mut device =
            std::vec![EXTENDED, DEVICE, 0x40 | (length & 0xf) as u8, (length >> 4) as u8];
        device.extend(inner);
        device
    }

    fn known(code: &[u8]) -> Known {
        let mut memory = Memory::default();
        memory.put(0x1000, code);
        read(&memory, 0x1000..0x1000 + code.len() as u64)
    }

    fn selector(path: &[(u8, u8)], number: u32) -> Selector {
        Selector { path: BusPath::from_slice(path).unwrap(), number }
    }

    /// As QEMU 7.2 writes it, the methods between the names shortened.
    #[test]
    fn buses_are_known_by_the_bridges_that_lead_to_them() {
        let inner = device(b"S18_", 3 << 16, b"\x08BSEL\x0a\x07\x14\x06PCNTBSEL");
        let slot = device(b"S00_", 0, b"\x08ASUN\x00");
        let code = [
            &b"\x5b\x80PCST\x01\x0b\xc0\x0c\x0a\x08\x10\x08PCI0\x08BSEL\x00"[..],
            &device(b"S10_", 2 << 16 | 1, &[&b"\x08BSEL\x01"[..], &slot, &inner].concat()),
            &device(b"S28_", 5 << 16, b"\x08ASUN\x01"),
            b"\x08BSEL\x0a\x09",
            b"\x08_S5_\x12\x07\x04\x0a\x05\x00\x00\x00",
        ];
        let Known { sleep_type_off, plugging } = known(&code.concat());
        assert_eq!(sleep_type_off, Some(5));
        let Plugging { port, selectors } = plugging.unwrap();
        assert_eq!(port, 0xcc0);
        let wanted = [
            selector(&[], 0),
            selector(&[(2, 1)], 1),
            selector(&[(2, 1), (3, 0)], 7),
            selector(&[], 9),
        ];
        assert_eq!(selectors, wanted);
    }

    #[test]
    fn code_that_ends_too_early_says_what_it_has_said() {
        let whole = [
            &b"\x5b\x80PCST\x01\x0b\x00\xae\x0a\x08\x08BSEL\x00"[..],
            &device(b"S10_", 2 << 16, b"\x08BSEL\x01"),
            b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00",
        ]
        .concat();
        for len in 0..=whole.len() {
            let Known { plugging, .. } = known(&whole[..len]);
            assert!(
                plugging.is_none_or(|it| it.port == 0xae00 && it.selectors.len() <= 2),
                "{len}"
            );
        }
        assert_eq!(known(b"\x08_S5_\x12\x06\x04\x0a\x08").sleep_type_off, None, "no such type");
        assert_eq!(known(b"\x5b\x80PCST\x00\x0b\xc0\x0c").plugging, None, "not ports");
    }

    /// Devices without end, one in the other.
    #[test]
    fn nesting_is_bounded() {
        let mut code = b"\x08BSEL\x05".to_vec();
        for _ in 0..100 {
            code = [&b"\x08BSEL\x01"[..], &device(b"S10_", 0, &code)].concat();
        }
        let code = [&b"\x5b\x80PCST\x01\x0b\xc0\x0c"[..], &code].concat();
        let plugging = known(&code).plugging.unwrap();
        assert!(plugging.selectors.iter().all(|it| it.path.len() <= PATH_MAX));
        assert_eq!(plugging.selectors.len(), 1 + PATH_MAX);
    }
}
