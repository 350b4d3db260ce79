//! Fuzzing the data path and the console: what plays is `lb/tests/corpus/harness` and
//! `kernel/tests/corpus/session.rs`, the same as in the ordinary tests; here is only what makes it
//! fast.

/// What a session is played at.
#[path = "../../kernel/tests/shell/desk.rs"]
pub mod desk;
#[path = "../../lb/tests/corpus/harness/mod.rs"]
pub mod harness;
/// Who lends the session's appliance an address.
#[path = "../../kernel/tests/shell/lender.rs"]
mod lender;
#[path = "../../kernel/tests/corpus/session.rs"]
pub mod session;
pub mod snapshot;
