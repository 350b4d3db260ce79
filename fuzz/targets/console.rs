//! What is typed at the console, by whom ever.
#![no_main]

use fuzz::{session, snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| snapshot::play(session::stage, |bench| session::play(bench, bytes)));
