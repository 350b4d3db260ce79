//! A stage that is set once and is new for every scene.
//!
//! To set it takes milliseconds, to play on it microseconds, and a scene that begins where the last
//! one ended would say nothing. So everything that is allocated while the stage is set lies in one
//! stretch of memory; that is written into a file in memory and mapped over itself, privately. A
//! scene then changes copies of pages, and to forget them is one system call.
//!
//! What a scene allocates lies in the same stretch behind the stage and is forgotten with it: so no
//! allocation of a scene may outlive it. None does: the targets keep nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::TypeId;
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE};

/// Address space, of which as much is used as is needed.
const STRETCH_BYTES: usize = 1 << 30;
const PAGE_BYTES: usize = 4096;

/// Where the next allocation lies; 0 while all come from the system.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static START: AtomicUsize = AtomicUsize::new(0);

/// Allocates from the stretch, if there is one, and never gives back.
struct Stretch;

#[global_allocator]
static ALLOCATOR: Stretch = Stretch;

// SAFETY: 1. inside the stretch, allocations follow one another and none is given out twice, until
// `Snapshot::play` forgets those of a scene, of which none is left; 2. what was allocated before
// there was a stretch goes back to the system, known by its address; 3. there is one thread.
unsafe impl GlobalAlloc for Stretch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = NEXT.load(Ordering::Relaxed);
        if next == 0 {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        }
        let at = next.next_multiple_of(layout.align());
        let end = at + layout.size();
        if end > START.load(Ordering::Relaxed) + STRETCH_BYTES {
            return ptr::null_mut();
        }
        NEXT.store(end, Ordering::Relaxed);
        at as *mut u8
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        let start = START.load(Ordering::Relaxed);
        let is_inside = start != 0 && (start..start + STRETCH_BYTES).contains(&(old as usize));
        if !is_inside {
            // SAFETY: it came from there.
            unsafe { System.dealloc(old, layout) }
        }
    }
}

/// The stage, and how to make it new.
struct Snapshot {
    stage: *mut (),
    kind: TypeId,
    /// The end of what belongs to it.
    end: usize,
}

struct Only(UnsafeCell<Option<Snapshot>>);

// SAFETY: libFuzzer runs its targets in one thread.
unsafe impl Sync for Only {}

static SNAPSHOT: Only = Only(UnsafeCell::new(None));

/// Plays a scene on a new stage, which is set at the first call; a target has one kind of stage.
pub fn play<Stage: 'static>(set: fn() -> Stage, scene: impl FnOnce(&mut Stage)) {
    // SAFETY: one thread, and a scene does not call this.
    let snapshot = unsafe { &mut *SNAPSHOT.0.get() };
    snapshot.get_or_insert_with(|| Snapshot::take(set)).play(scene);
}

impl Snapshot {
    fn take<Stage: 'static>(set: fn() -> Stage) -> Snapshot {
        let (read_write, anonymous) =
            (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
        // SAFETY: a new mapping.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), STRETCH_BYTES, read_write, anonymous, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "no memory");
        START.store(start as usize, Ordering::Relaxed);
        NEXT.store(start as usize, Ordering::Relaxed);
        let stage = Box::into_raw(Box::new(set())).cast();
        let end = NEXT.swap(0, Ordering::Relaxed).next_multiple_of(PAGE_BYTES);
        let len = end - start as usize;
        // SAFETY: the file holds what the pages hold, so whoever looks at them sees no difference.
        unsafe {
            let file = libc::memfd_create(c"stage".as_ptr(), 0);
            let written = libc::write(file, start, len);
            assert_eq!(written, len as isize, "the stage is written");
            let fixed = MAP_PRIVATE | libc::MAP_FIXED;
            let mapped = libc::mmap(start, len, read_write, fixed, file, 0);
            assert_eq!(mapped, start, "and mapped");
            libc::close(file);
        }
        Snapshot { stage, kind: TypeId::of::<Stage>(), end }
    }

    fn play<Stage: 'static>(&mut self, scene: impl FnOnce(&mut Stage)) {
        assert_eq!(self.kind, TypeId::of::<Stage>(), "a target has one kind of stage");
        NEXT.store(self.end, Ordering::Relaxed);
        // SAFETY: nobody else has the stage, it is whole, and a `Stage`.
        scene(unsafe { &mut *self.stage.cast() });
        NEXT.store(0, Ordering::Relaxed);
        let start = START.load(Ordering::Relaxed);
        // SAFETY: the pages are the stage's, and hold again what was written to the file.
        let forgotten =
            unsafe { libc::madvise(start as *mut _, self.end - start, libc::MADV_DONTNEED) };
        assert_eq!(forgotten, 0, "the scene is forgotten");
    }
}
