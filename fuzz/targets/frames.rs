//! Frames as they are, at every kind of port.
#![no_main]

use fuzz::harness::{Stage, script::play_frames};
use fuzz::snapshot::play;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| play(Stage::new, |stage| play_frames(stage, bytes)));
