//! Every table's size, in one place, and how the sizes bind one another.
//!
//! A size is fixed at start; what happens when a table is full stands with the table.

/// Attachment points: the uplink and the guests' ports. One bit each in a [`crate::PortSet`].
pub const PORTS_MAX: usize = 64;
/// Guests that may be defined.
pub const GUESTS_MAX: usize = 256;
/// Addresses of one guest.
pub const GUEST_ADDRESSES_MAX: usize = 4;
/// Multicast groups of which is known who is in them, each in its VLAN.
pub const GROUPS_MAX: usize = 1024;
/// Rules of one port's access list.
pub const ACCESS_RULES_MAX: usize = 64;
/// Mirrors that may be set; a frame that all of them take is copied as many times.
pub const MIRRORS_MAX: usize = 8;
/// Those who say by LLDP that they are at the other end of one port's link.
pub const LLDP_PEERS_PER_PORT: usize = 2;
/// Services that may be defined.
pub const SERVICES_MAX: usize = 128;
/// Services that place their flows by `mh`; each has a table of 64 KiB.
pub const MH_SERVICES_MAX: usize = 16;
/// Reals of one service.
pub const SERVICE_REALS_MAX: usize = 64;
/// Reals in all, those that only wait for their last flows included.
pub const REALS_MAX: usize = 1024;
/// Bytes of a load report's line (interfaces: at most 512).
pub const REPORT_BYTES_MAX: usize = 512;
/// Frames of our own that may wait for the loop.
pub const OUTBOX_MAX: usize = 256;
/// Answers among them; the rest is for what nobody asked us.
pub const ANSWERS_MAX: usize = OUTBOX_MAX / 2;
/// Bytes of a frame of our own: as long as one with two tags may be.
pub const ORIGIN_BYTES_MAX: usize = 1522;
/// Events that may wait for the log.
pub const EVENTS_MAX: usize = 64;
/// Decisions about new flows that are kept to be looked at.
pub const DECISIONS_KEPT: usize = 64;
/// SYNs that are kept until a real has answered them.
pub const SYNS_KEPT: usize = 1024;
/// Reals that may still answer a flow which another one has.
pub const LATE_ANSWERS_MAX: usize = 1024;
/// Datagrams whose fragments are under way.
pub const FRAGMENTED_DATAGRAMS_MAX: usize = 1024;
/// Fragments that may wait for their first.
pub const HELD_FRAGMENTS_MAX: usize = 64;
/// Clients whose real is remembered.
pub const PERSISTENT_CLIENTS_MAX: usize = 65_536;
/// Bytes of a payload by which a client may be known again.
pub const PERSISTENCE_PAYLOAD_BYTES_MAX: usize = 32;
/// TCP connections that probes may have at once.
pub const PROBE_CONNECTIONS_MAX: usize = 64;
/// Of these, to guests behind one port: who lets them all wait delays only its neighbours behind it.
pub const PROBE_CONNECTIONS_PER_PORT_MAX: usize = 8;
/// The first of the ports that probes come from, the highest there are: above those that Linux gives
/// to connections by itself.
pub const PROBE_PORT_FIRST: u16 = 0xf000;

const _: () = assert!(PORTS_MAX <= u64::BITS as usize);
const _: () = assert!(REALS_MAX >= SERVICE_REALS_MAX && REALS_MAX <= u16::MAX as usize);
const _: () = assert!(REALS_MAX <= (u16::MAX - PROBE_PORT_FIRST) as usize);
