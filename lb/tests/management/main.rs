//! The management address: who reaches it, what it asks, and by what lease it is there.

#[path = "../world/mod.rs"]
mod world;

mod any;
mod claims;
mod lease;
mod pings;
mod reach;
mod scene;
