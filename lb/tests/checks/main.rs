//! Checks of reals, and lines of agents that are fetched: what goes to the guest, byte for byte, and
//! what becomes of every answer that a guest may give.

mod hostile;
mod kinds;
mod pace;
mod pull;
mod scene;
mod sources;
mod station;
#[path = "../world/mod.rs"]
mod world;
