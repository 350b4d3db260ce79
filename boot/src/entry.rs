//! The first instructions (`entry.s`) and the stack they set up.
//!
//! [`entry!`](crate::entry) names the function that the image begins with.

use core::arch::global_asm;

use crate::stack::MAIN;

global_asm!(
    include_str!("entry.s"),
    stack = sym MAIN,
    stack_bytes = const size_of_val(&MAIN),
    main = sym start,
);

unsafe extern "Rust" {
    safe fn fulcrum_main(start_info: u64, magic: u32) -> !;
}

/// From assembly with C's convention to the function given to [`entry!`](crate::entry).
extern "C" fn start(start_info: u64, magic: u32) -> ! {
    fulcrum_main(start_info, magic)
}

/// Makes `$main: fn(start_info: u64, magic: u32) -> !` the function that the image begins with. It
/// runs on the main stack with interrupts off and 4 GiB mapped one to one; `start_info` is the
/// physical address that the loader handed over and `magic` what it left in EAX, both unchecked.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: the one definition of this name; its type is that of the declaration in `boot`.
        #[unsafe(no_mangle)]
        fn fulcrum_main(start_info: u64, magic: u32) -> ! {
            let main: fn(u64, u32) -> ! = $main;
            main(start_info, magic)
        }
    };
}
