//! Memory taken over: from the loader's map to page tables of our own, the loader's module and a
//! region for the heap.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use boot::{cpu, layout, stack};
use kernel::machine::Physical;
use kernel::machine::memory::{self as plan, ImageLayout};
use kernel::machine::paging::{Access, Full, LARGE_BYTES, Table, Tables};
use kernel::machine::start_info::StartInfo;
use spin::Mutex;

/// What the loader and the firmware left in memory, read while the entry's page tables hold.
pub struct Firmware(());

pub struct Memory {
    pub heap: Range<u64>,
    pub module: Option<&'static [u8]>,
}

/// The entry maps as much.
const ENTRY_MAPPED_END: u64 = 1 << 32;
/// Enough for all RAM that is used (a table a GiB), the devices' window, the image's small pages and the
/// many small pieces of which UEFI's memory maps are made.
const TABLE_COUNT: usize = 128;

/// The end of the devices' window, or of the highest registers above it.
static MAPPED_END: AtomicU64 = AtomicU64::new(ENTRY_MAPPED_END);
/// The page tables in force.
static TABLES: Mutex<Option<Tables<'static>>> = Mutex::new(None);

impl Firmware {
    /// # Safety
    /// The entry's page tables hold, and nobody writes to the memory that is read, as long as this
    /// lives.
    pub unsafe fn new() -> Self {
        Firmware(())
    }
}

impl Physical for Firmware {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let end = address.checked_add(into.len() as u64);
        if address == 0 || end.is_none_or(|end| end > ENTRY_MAPPED_END) {
            return false;
        }
        for (at, byte) in into.iter_mut().enumerate() {
            // SAFETY: mapped by the entry and not null, though QEMU's start info does lie in page 0;
            // volatile, because it may be anything, a device even.
            *byte = unsafe { (address as *const u8).add(at).read_volatile() };
        }
        true
    }
}

/// Puts our own page tables in force and divides the memory.
///
/// # Safety
/// Once, with the loader's own start info, before anything is allocated.
pub unsafe fn take(info: &StartInfo) -> Memory {
    static mut TABLE_FRAMES: [Table; TABLE_COUNT] = [Table::EMPTY; TABLE_COUNT];
    // SAFETY: `take` is called once: nobody else ever refers to the frames.
    let frames = unsafe { &mut *(&raw mut TABLE_FRAMES) };
    let base = frames.as_ptr() as u64;
    let mut tables = Tables::new(frames, base);
    let image = ImageLayout {
        text: layout::text(),
        rodata: layout::rodata(),
        data: layout::data(),
        guards: stack::guards(),
    };
    plan::map(&mut tables, &info.memory, &image).expect("tables for all memory that is used");
    // SAFETY: the tables map the image with the rights of its parts, the stack among it, and all
    // RAM, one to one; they are in a static.
    unsafe { cpu::set_cr3(tables.root()) };
    *TABLES.lock() = Some(tables);

    let module = info.module.clone().filter(|module| {
        let sound = plan::is_usable(&info.memory, module) && !overlap(module, &layout::image());
        if !sound {
            log::error!("the loader's module at {module:#x?} does not lie in free memory: ignored");
        }
        sound
    });
    let taken = [layout::image(), module.clone().unwrap_or(0..0)];
    let heap = plan::largest_free(&info.memory, &taken).expect("free memory for a heap");
    Memory {
        heap,
        // SAFETY: mapped RAM, outside of the image and of the heap: nobody ever writes there.
        module: module.map(|module| unsafe {
            core::slice::from_raw_parts(
                module.start as *const u8,
                (module.end - module.start) as usize,
            )
        }),
    }
}

/// Maps the large page in which a device's registers begin, if it is not mapped yet. No NIC that
/// has a driver here has more of them.
pub fn map_device(address: u64) -> Result<(), Full> {
    let page = address & !(LARGE_BYTES - 1);
    let mut tables = TABLES.lock();
    let tables = tables.as_mut().expect("memory is taken before devices are looked for");
    // Whatever a BAR says: memory and the firmware's part stay what they are.
    if page < plan::FIRMWARE_END || tables.access(page) != Access::None {
        return Ok(());
    }
    MAPPED_END.fetch_max(page + LARGE_BYTES, Ordering::Relaxed);
    // What was not mapped is in no TLB: nothing to flush.
    tables.map(page..page + LARGE_BYTES, Access::Device)
}

/// Every BAR below this is mapped.
pub fn mapped_end() -> u64 {
    MAPPED_END.load(Ordering::Relaxed)
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}
