//! What makes a switch of ports: where MACs are, who is in which multicast group, which VLANs a port
//! carries, what a port may send, how much of it, and to whom; and who else sees it.

pub mod access;
pub mod fdb;
pub mod filter;
pub mod groups;
pub mod meter;
pub mod mirror;
pub mod police;
pub mod port;
pub mod vlan;
