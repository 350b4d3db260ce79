//! The poll loop among NICs that are queues.

mod bench;
mod edges;
mod mirrors;
mod offload;
mod turns;
