//! A switch that is played with by bytes: any input is a scene, and whatever it does, what must
//! hold is looked at after every step.
//!
//! ```text
//!  bytes ─▶ script ─▶ frames ─▶ Stage ─▶ Dataplane
//!           reads     builds    plays      │
//!           steps     and mends   ▲        ▼
//!                                 └───── oracle: endings, checksums, shapes, counts
//! ```
//!
//! Every scene begins with the same [`Stage`]: two uplinks, guests, and services of all kinds with
//! flows open. What a byte means is chosen so that a changed byte changes one thing, and so that no
//! input is invalid: what runs out reads as zero, what is out of range wraps around. The same bytes
//! always play the same scene. Fuzzers look for scenes, and those worth keeping lie beside this
//! directory and are played by every run of the tests.

pub mod cast;
pub mod frames;
pub mod mend;
pub mod oracle;
pub mod script;
pub mod stage;

pub use stage::Stage;
