//! Frames of known shapes, commands, and time.
#![no_main]

use fuzz::harness::{Stage, script::play_sequence};
use fuzz::snapshot::play;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| play(Stage::new, |stage| play_sequence(stage, bytes)));
