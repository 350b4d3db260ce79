//! What makes a switch of ports: where MACs are, which VLANs a port carries, and what a port may
//! send, how much of it, and to whom.

pub mod access;
pub mod fdb;
pub mod meter;
pub mod police;
pub mod port;
pub mod vlan;
