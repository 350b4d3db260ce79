//! Guest instructions, as tests/bench/count.c counts them inside QEMU: a table of a file that has no
//! name, which QEMU writes and we read while it runs. The first row has all of them, the others a
//! block of guest code each.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// As in count.c.
const ROWS: usize = 1 << 20;
const ROW: usize = 16;

pub struct Counter {
    table: File,
}

/// Instructions executed up to one moment: all, and by the address of the block that they stand in.
#[derive(Clone, Default)]
pub struct Counts {
    pub total: u64,
    blocks: HashMap<u64, u64>,
}

impl Counter {
    pub fn new() -> io::Result<Counter> {
        let table = File::from(memfd_create("counts", MFdFlags::MFD_CLOEXEC)?);
        table.set_len((ROWS * ROW) as u64)?;
        Ok(Counter { table })
    }

    /// The table once more, for QEMU.
    pub fn share(&self) -> io::Result<OwnedFd> {
        Ok(self.table.try_clone()?.into())
    }

    pub fn read(&self) -> io::Result<Counts> {
        let mut bytes = vec![0; ROWS * ROW];
        self.table.read_exact_at(&mut bytes, 0)?;
        Ok(Counts::parse(&bytes))
    }

    /// All instructions so far, which is read in no time.
    pub fn total(&self) -> io::Result<u64> {
        let mut bytes = [0; ROW];
        self.table.read_exact_at(&mut bytes, 0)?;
        Ok(row(&bytes).1)
    }
}

/// Address and instructions.
fn row(bytes: &[u8]) -> (u64, u64) {
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    (word(&bytes[..8]), word(&bytes[8..]))
}

impl Counts {
    fn parse(rows: &[u8]) -> Counts {
        let (first, rows) = rows.split_at(ROW);
        let rows = rows.chunks_exact(ROW).map(row);
        let blocks = rows.filter(|(_, instructions)| *instructions > 0).collect();
        Counts { total: row(first).1, blocks }
    }

    /// What came on top of what was before.
    pub fn since(&self, before: &Counts) -> Counts {
        let grown = |(address, now): (&u64, &u64)| {
            let more = now - before.blocks.get(address).copied().unwrap_or(0);
            (more > 0).then_some((*address, more))
        };
        let blocks = self.blocks.iter().filter_map(grown).collect();
        Counts { total: self.total - before.total, blocks }
    }

    /// The most expensive functions first.
    pub fn by_function(&self, symbols: &Symbols) -> Vec<(String, u64)> {
        let mut functions: HashMap<&str, u64> = HashMap::new();
        for (address, instructions) in &self.blocks {
            *functions.entry(symbols.name(*address)).or_default() += instructions;
        }
        let mut functions: Vec<(String, u64)> =
            functions.into_iter().map(|(name, count)| (name.into(), count)).collect();
        functions.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        functions
    }
}

/// Where the functions of an image begin and end.
pub struct Symbols(Vec<Symbol>);

struct Symbol {
    start: u64,
    end: u64,
    name: String,
}

impl Symbols {
    /// From the linker's map: lines of VMA, LMA, size, alignment, and what it is.
    pub fn of_map(map: &str) -> Symbols {
        let mut symbols: Vec<Symbol> = map.lines().filter_map(Symbol::of_line).collect();
        symbols.sort_by_key(|symbol| symbol.start);
        Symbols(symbols)
    }

    /// What lies elsewhere is the firmware's.
    fn name(&self, address: u64) -> &str {
        let after = self.0.partition_point(|symbol| symbol.start <= address);
        let symbol = self.0[..after].last().filter(|symbol| address < symbol.end);
        symbol.map_or("elsewhere", |symbol| &symbol.name)
    }
}

impl Symbol {
    fn of_line(line: &str) -> Option<Symbol> {
        let mut rest = line;
        let mut column = || {
            let word;
            (word, rest) = rest.trim_start().split_once(' ')?;
            u64::from_str_radix(word, 16).ok()
        };
        let (start, _, size, _) = (column()?, column()?, column()?, column()?);
        let name = rest.trim();
        let is_section = name.starts_with('.') || name.contains(":(");
        (size > 0 && !is_section).then(|| Symbol { start, end: start + size, name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u64, u64)]) -> Vec<u8> {
        rows.iter().flat_map(|row| [row.0.to_ne_bytes(), row.1.to_ne_bytes()].concat()).collect()
    }

    const MAP: &str = "             VMA              LMA     Size Align Out     In      Symbol
          200000           200000    10000    16 .text
          200000           200000       40    16         /tmp/a.o:(.text.one)
          200000           200000       40     1                 <lb::switch::fdb::Fdb as Sized>::one
          200040           200040       20     1                 memcpy
          200060           200060        0     1                 end_of_text
";

    #[test]
    fn instructions_are_their_functions() {
        let parse = |total, blocks: &[(u64, u64)]| {
            Counts::parse(&[rows(&[(0, total)]), rows(blocks)].concat())
        };
        let before = parse(12, &[(0x20_0000, 5), (0, 0), (0x20_0040, 7)]);
        let after = parse(27, &[(0x20_0000, 5), (0x20_003f, 3), (0x20_0040, 17), (9, 1)]);
        let grown = after.since(&before);
        assert_eq!(grown.total, 15);
        let functions = grown.by_function(&Symbols::of_map(MAP));
        let functions: Vec<_> = functions.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(
            functions,
            [("memcpy", 10), ("<lb::switch::fdb::Fdb as Sized>::one", 3), ("elsewhere", 1)]
        );
    }
}
