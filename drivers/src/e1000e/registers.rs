//! The registers that are used, and their bits (82574, 10.2; the same offsets in all chips that are known).

/// Device control.
pub const CTRL: u32 = 0x0000;
/// No new requests to memory; STATUS tells when the last has ended.
pub const CTRL_MASTER_DISABLE: u32 = 1 << 2;
pub const CTRL_SET_LINK_UP: u32 = 1 << 6;
pub const CTRL_FORCE_SPEED: u32 = 1 << 11;
pub const CTRL_FORCE_DUPLEX: u32 = 1 << 12;
/// Begins a reset; reads as 1 until that is over.
pub const CTRL_RESET: u32 = 1 << 26;
/// Takes tags out of frames.
pub const CTRL_VLAN_MODE: u32 = 1 << 30;

pub const STATUS: u32 = 0x0008;
pub const STATUS_LINK_UP: u32 = 1 << 1;
/// The far end asked us to pause.
pub const STATUS_PAUSED: u32 = 1 << 4;
pub const STATUS_SPEED_SHIFT: u32 = 6;
pub const STATUS_SPEED_MASK: u32 = 0b11;
/// Requests to memory may be under way.
pub const STATUS_MASTER_ENABLED: u32 = 1 << 19;

/// Interrupt causes: what happened (a read clears it), what interrupts, and what no longer does.
pub const ICR: u32 = 0x00c0;
pub const IMS: u32 = 0x00d0;
pub const IMC: u32 = 0x00d8;
pub const CAUSE_LINK: u32 = 1 << 2;
/// Few descriptors are left, none was left, a frame was received.
pub const CAUSE_RECEIVE: u32 = 1 << 4 | 1 << 6 | 1 << 7;
pub const CAUSE_ALL: u32 = u32::MAX;

/// Receive control. Buffers of 2048 bytes are what zeros at 16 and 17 mean.
pub const RCTL: u32 = 0x0100;
pub const RCTL_ENABLE: u32 = 1 << 1;
pub const RCTL_UNICAST_ALL: u32 = 1 << 3;
pub const RCTL_MULTICAST_ALL: u32 = 1 << 4;
/// Frames of more than 1522 bytes, up to 16384.
pub const RCTL_LONG: u32 = 1 << 5;
pub const RCTL_BROADCAST: u32 = 1 << 15;
pub const RCTL_STRIP_CRC: u32 = 1 << 26;

/// Transmit control.
pub const TCTL: u32 = 0x0400;
pub const TCTL_ENABLE: u32 = 1 << 1;
pub const TCTL_PAD_SHORT: u32 = 1 << 3;

/// The receive ring: where it is, its bytes, where the chip is (never read), where our part ends.
pub const RDBAL: u32 = 0x2800;
pub const RDBAH: u32 = 0x2804;
pub const RDLEN: u32 = 0x2808;
pub const RDH: u32 = 0x2810;
pub const RDT: u32 = 0x2818;

/// The same of the transmit ring.
pub const TDBAL: u32 = 0x3800;
pub const TDBAH: u32 = 0x3804;
pub const TDLEN: u32 = 0x3808;
pub const TDH: u32 = 0x3810;
pub const TDT: u32 = 0x3818;
pub const TXDCTL: u32 = 0x3828;
/// Thresholds count descriptors, and one that is done is written back at once.
pub const TXDCTL_EACH: u32 = 1 << 24 | 1 << 22 | 1 << 16;

/// Frames that found no room in the chip, since the last read.
pub const MPC: u32 = 0x4010;

/// What of received checksums is looked at.
pub const RXCSUM: u32 = 0x5000;
/// Receive filter control.
pub const RFCTL: u32 = 0x5008;
pub const RFCTL_EXTENDED: u32 = 1 << 15;

/// The station's address, which the chip loads from its NVM.
pub const RAL: u32 = 0x5400;
pub const RAH: u32 = 0x5404;
pub const RAH_VALID: u32 = 1 << 31;

/// What of the BAR is used.
pub const BYTES: u32 = 0x6000;
