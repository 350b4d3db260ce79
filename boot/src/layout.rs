//! Where the parts of the image lie: the linker script's symbols as ranges of addresses.

use core::ops::Range;

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
    static text_start: u8;
    static text_end: u8;
    static rodata_end: u8;
}

macro_rules! address {
    ($symbol:ident) => {
        (&raw const $symbol) as u64
    };
}

/// Code: to be read and executed.
pub fn text() -> Range<u64> {
    address!(text_start)..address!(text_end)
}

/// Constants: to be read.
pub fn rodata() -> Range<u64> {
    address!(text_end)..address!(rodata_end)
}

/// Variables and stacks: to be read and written.
pub fn data() -> Range<u64> {
    address!(rodata_end)..address!(image_end)
}

/// The whole.
pub fn image() -> Range<u64> {
    address!(image_start)..address!(image_end)
}
