//! The heap: one region, its size fixed when the machine starts.
//!
//! The allocator searches a list (9.5 µs per pair with 4,000 live objects), which is right for a few
//! large tables at the start and a little text now and then, and wrong for frames: they have a pool.

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;
use spin::Mutex;

/// Makes `region` the heap.
///
/// # Safety
/// Once. The region is mapped to be read and written, for ever, and nobody else uses it.
pub unsafe fn begin(region: Range<u64>) {
    let bytes = (region.end - region.start) as usize;
    // SAFETY: the caller's promise; addresses are physical ones, so the region can be pointed to.
    unsafe { HEAP.0.lock().init(region.start as *mut u8, bytes) };
}

pub fn free_bytes() -> usize {
    HEAP.0.lock().free()
}

#[global_allocator]
static HEAP: Locked = Locked(Mutex::new(Heap::empty()));

/// There is one processor and no interrupt handler allocates: the lock is never waited for.
struct Locked(Mutex<Heap>);

// SAFETY: `Heap` hands out disjoint blocks of the region it was given; what is asked of the caller
// is what `GlobalAlloc` asks.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else {
            return;
        };
        // SAFETY: the block came from `alloc` with this layout, as `GlobalAlloc` demands.
        unsafe { self.0.lock().deallocate(block, layout) };
    }
}
