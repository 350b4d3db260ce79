//! The fixed corpus of sessions: what a fuzzer found worth keeping, and what once went wrong, played
//! by every run of the tests (`tests/corpus/session.rs` says what a session is).

use std::path::Path;

use crate::session::{play, stage};

#[test]
fn f30_sessions_of_a_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/console");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files.sort();
    for file in files {
        println!("{}", file.display());
        play(&mut stage(), &std::fs::read(&file).unwrap());
    }
}
