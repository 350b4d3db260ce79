//! Fuzzing the data path: what plays is `lb/tests/corpus/harness`, the same as in the ordinary
//! tests; here is only what makes it fast.

#[path = "../../lb/tests/corpus/harness/mod.rs"]
pub mod harness;
pub mod snapshot;
