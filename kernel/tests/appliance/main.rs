//! The poll loop among NICs that are queues.

mod bench;
mod offload;
mod turns;
