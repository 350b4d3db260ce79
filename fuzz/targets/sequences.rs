//! Frames of known shapes, commands, and time.
#![no_main]

use fuzz::{harness::script, snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| snapshot::play(|stage| script::play_sequence(stage, bytes)));
