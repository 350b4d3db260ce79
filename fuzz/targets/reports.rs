//! What guests say of themselves, and what they are answered.
#![no_main]

use fuzz::harness::script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| script::play_report(bytes));
