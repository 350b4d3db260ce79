//! The store on a disk that tears, lies, stands still or is somebody else's.

mod cut;
mod keeper;
mod open;
mod platter;

use kernel::store::Commit;

/// Commits that differ in all that a slot holds.
fn commit(generation: u64) -> Commit {
    Commit {
        generation,
        text: (0..generation % 7 * 4)
            .map(|line| format!("set guest g{line} port p{generation}\n"))
            .collect(),
        comment: format!("commit {generation}"),
        time: Some(1_800_000_000 + generation),
    }
}
