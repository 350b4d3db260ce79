//! The fixed corpus: scenes that a fuzzer found worth keeping, and what once went wrong, played by
//! every run of the tests.
//!
//! `corpus/harness` says what a scene is and what must hold in it; `fuzz/` looks for more of them,
//! by `tests/fuzz.sh`. A file that made a fuzzer stop comes here under a name that says why.

#[path = "corpus/harness/mod.rs"]
mod harness;

use std::collections::BTreeSet;
use std::path::Path;

use harness::{Stage, cast, script};
use lb::DropReason;

/// What a scene of frames or sequences is played by; the files' directory has the same name.
struct Kind {
    directory: &'static str,
    play: fn(&mut Stage, &[u8]),
}

const FRAMES: Kind = Kind { directory: "frames", play: script::play_frames };
const SEQUENCES: Kind = Kind { directory: "sequences", play: script::play_sequence };

/// How often frames ended otherwise than dropped.
#[derive(Debug, Default)]
struct Ends {
    forwarded: u64,
    flooded: u64,
    replied: u64,
    punted: u64,
    held: u64,
}

#[test]
fn f19_frames_and_sequences_reach_every_ending() {
    let mut reached = BTreeSet::new();
    let mut ends = Ends::default();
    for kind in [FRAMES, SEQUENCES] {
        for scene in scenes(kind.directory) {
            let mut stage = kind.play(&scene);
            ends.take(&stage);
            reached.extend(drops(&stage).filter(|(_, count)| *count > 0).map(|(reason, _)| reason));
            stage.wait_for_ever();
        }
    }
    let missing = |reason: &&DropReason| !reached.contains(*reason);
    let missing: Vec<_> = DropReason::ALL.iter().filter(missing).collect();
    assert!(missing.is_empty(), "reached by no scene: {missing:?}");
    ends.check();
}

#[test]
fn reports_go_both_ways() {
    for line in scenes("reports") {
        script::play_report(&line);
    }
}

/// A scene that a fuzzer stopped at is worth nothing if it plays differently the next time.
#[test]
fn the_same_bytes_play_the_same_scene() {
    for scene in scenes(SEQUENCES.directory).step_by(20) {
        let [one, other] = [SEQUENCES.play(&scene), SEQUENCES.play(&scene)];
        assert!(drops(&one).eq(drops(&other)));
        assert_eq!(one.plane.flows().counters(), other.plane.flows().counters());
        assert_eq!(one.plane.tables().epoch(), other.plane.tables().epoch());
    }
}

impl Kind {
    /// The stage after a scene.
    fn play(&self, scene: &[u8]) -> Stage {
        let mut stage = Stage::new();
        (self.play)(&mut stage, scene);
        stage
    }
}

impl Ends {
    fn take(&mut self, stage: &Stage) {
        for at in 0..cast::PORTS {
            let endings = stage.plane.endings(cast::port(at));
            self.forwarded += endings.forwarded;
            self.flooded += endings.flooded;
            self.replied += endings.replied;
            self.punted += endings.punted;
        }
        self.held += stage.plane.fragments().held;
    }

    fn check(&self) {
        let Ends { forwarded, flooded, replied, punted, held } = *self;
        assert!([forwarded, flooded, replied, punted, held].iter().all(|&n| n > 0), "{self:?}");
    }
}

/// The files of a directory, in the order of their names; each is named as it is taken, which is
/// shown when a test fails.
fn scenes(directory: &str) -> impl Iterator<Item = Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(directory);
    let files = path.read_dir().unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(!paths.is_empty(), "{path:?} is empty");
    paths.sort();
    paths.into_iter().map(|path| {
        println!("{}", path.display());
        std::fs::read(&path).unwrap()
    })
}

/// Drops of every port by reason.
fn drops(stage: &Stage) -> impl Iterator<Item = (DropReason, u64)> {
    (0..cast::PORTS).flat_map(|at| stage.plane.endings(cast::port(at)).drops())
}
