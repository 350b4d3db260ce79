//! What makes a switch of ports: where MACs are, who is in which multicast group, which VLANs a port
//! carries, how long a packet may be, what a port may send, how much of it, and to whom; who else sees
//! it, and who is at the other end of a link.

pub mod access;
pub mod fdb;
pub mod filter;
pub mod groups;
pub mod lldp;
pub mod meter;
pub mod mirror;
pub mod mtu;
pub mod police;
pub mod port;
pub mod vlan;
