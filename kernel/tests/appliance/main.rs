//! The poll loop among NICs that are queues.

mod bench;
mod edges;
mod offload;
mod turns;
