//! Frames as they are, at every kind of port.
#![no_main]

use fuzz::{harness::script, snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| snapshot::play(|stage| script::play_frames(stage, bytes)));
