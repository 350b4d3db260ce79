//! The registers, and what is said through them (`vmxnet3_defs.h` of VMware's open drivers).

/// BAR 0: what is touched while frames move. Whether interrupt 0 is masked; how far each ring is.
pub const INTERRUPT_MASK: u32 = 0x000;
pub const TRANSMIT_PRODUCER: u32 = 0x600;
pub const HEADS_PRODUCER: u32 = 0x800;
pub const BODIES_PRODUCER: u32 = 0xa00;
pub const DOORBELLS_BYTES: u32 = 0xc00;

/// BAR 1. Revisions of the device and of its interface: a bit each; what is written is chosen.
pub const REVISIONS: u32 = 0x00;
pub const INTERFACES: u32 = 0x08;
pub const REVISION_1: u32 = 1 << 0;
/// Tells how a frame that was put together is to be cut again.
pub const REVISION_2: u32 = 1 << 1;
pub const INTERFACE_1: u32 = 1 << 0;
/// Where the shared area lies.
pub const SHARED_LOW: u32 = 0x10;
pub const SHARED_HIGH: u32 = 0x18;
/// A command is written; what comes of it is read.
pub const COMMAND: u32 = 0x20;
pub const MAC_LOW: u32 = 0x28;
pub const MAC_HIGH: u32 = 0x30;
/// Whether it was this device that interrupted; reading releases the line.
pub const INTERRUPT_CAUSE: u32 = 0x38;
/// Events that were seen.
pub const EVENTS_SEEN: u32 = 0x40;
pub const CONTROL_BYTES: u32 = 0x48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Command {
    Activate = 0xcafe_0000,
    Quiesce = 0xcafe_0001,
    Reset = 0xcafe_0002,
    UpdateReceiveMode = 0xcafe_0003,
    GetStatistics = 0xf00d_0001,
    GetLink = 0xf00d_0002,
}

/// The answer of a command that was done.
pub const DONE: u32 = 0;

/// The answer to [`Command::GetLink`]: whether it is up, and megabits a second.
pub const LINK_UP: u32 = 1;
pub const LINK_SPEED_SHIFT: u32 = 16;

/// Events: a queue stopped for an error, the link changed.
pub const EVENT_RECEIVE_ERROR: u32 = 1 << 0;
pub const EVENT_TRANSMIT_ERROR: u32 = 1 << 1;
pub const EVENT_LINK: u32 = 1 << 2;
