//! What every NIC can do, whatever is behind it.
//!
//! A [`Nic`] is driven from the poll loop, by one core, and never waits: it hands out a batch of
//! received frames, queues frames to send, and publishes them once per batch. Whatever takes
//! time (link status, reclaiming, the reset of a device that broke the rules) is done a bounded
//! step at a time in [`Nic::service`].
//!
//! A device is not trusted. One that breaks the rules of its rings puts its port into
//! [`NicState::Broken`] with the name of the rule; the port takes and gives no frame until its
//! reset has succeeded, and every other port goes on. A single frame that cannot be one is
//! dropped and counted in [`NicCounters`], and the switch never sees it.

use crate::offload::Abilities;
use crate::pool::Frame;

/// Frames handed over in one call.
pub const BATCH: usize = 32;

/// Received frames, in the order of their arrival.
pub type Batch = heapless::Vec<Frame, BATCH>;

/// Buffers that one NIC may hold in its rings. A pool with this many for every NIC, and
/// [`BUFFERS_PER_BATCH`] for the loop, keeps one that stands still from starving the others.
pub const BUFFERS_PER_NIC: usize = 2 * crate::virtio::RING_SIZE_MAX as usize;

/// Buffers of a batch on its way: with frames of many buffers it is all that a ring had.
pub const BUFFERS_PER_BATCH: usize = crate::virtio::RING_SIZE_MAX as usize;

/// The longest frame that a wire carries: 9000 bytes behind the header and two tags.
pub(crate) const WIRE_BYTES_MAX: usize = 14 + 2 * 4 + 9000;

/// An attachment to a network.
pub trait Nic {
    /// The device's own address.
    fn mac(&self) -> [u8; 6];

    fn state(&self) -> NicState;

    /// Megabits a second that the link carries, if the device says so.
    fn speed_mbit(&self) -> Option<u32> {
        None
    }

    /// Adds received frames until the batch is full or none is left, and gives the device
    /// buffers for those taken.
    fn receive(&mut self, batch: &mut Batch);

    /// Whether `receive` would find something: a look that costs less, for who looks again and again.
    fn is_waiting(&self) -> bool;

    /// What it does with a frame on sending; nothing, unless it says so. That may change when the
    /// device was reset.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Whether it does all that this frame leaves undone. There may be frames whose headers it cannot
    /// work on, for all its abilities.
    fn takes(&self, frame: &Frame) -> bool {
        self.abilities().cover(frame.offload())
    }

    /// Queues a frame that it takes. It comes back when the ring is full or the port broken, which is
    /// counted here.
    fn send(&mut self, frame: Frame) -> Result<(), Frame>;

    /// Shows the device what `send` queued: one fence and at most one doorbell.
    fn flush(&mut self);

    /// A bounded step of everything that is not forwarding. To be called at least once a second,
    /// ten times rather.
    fn service(&mut self, now_ms: u64);

    /// Asks for an interrupt with the next frame or change. `true`: nothing is waiting, the
    /// processor may halt. `false`: there is work now.
    fn arm(&mut self) -> bool;

    /// Takes back what `arm` asked for, for as long as the loop polls.
    fn disarm(&mut self);

    /// The device is not there any more, or was forbidden to reach memory: nothing that it was given is
    /// in its hands, and all of it comes back. To be dropped after that.
    fn lost(&mut self);

    fn counters(&self) -> &NicCounters;

    /// The driver's name.
    fn driver(&self) -> &'static str;
}

/// How a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicState {
    Up,
    /// The device works; nothing is plugged in at the other end.
    LinkDown,
    /// The device broke a rule; its reset is under way.
    Broken(Fault),
    /// There is no device.
    Absent,
}

/// The rule that a device broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Ring(RingFault),
    /// The configuration never stood still, or says another MAC address than before.
    Config,
    /// Frames given to it were not sent for minutes.
    TxStall,
    /// It says itself that it needs a reset.
    NeedsReset,
    /// It does not confirm that it was reset.
    Reset,
    /// After a reset it is no longer the device it was: features or ring sizes are gone.
    Handshake,
}

/// What is wrong with a used ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFault {
    /// A buffer number that the ring does not have.
    UsedId,
    /// A buffer that the device does not have.
    UsedNotHead,
    /// More bytes than the buffer has, or than any frame.
    UsedLen,
    /// More buffers than the device has, or fewer than before, or not the one that is next.
    UsedIdx,
}

impl Fault {
    /// The fault's name, as counters and consoles show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::Ring(fault) => fault.as_str(),
            Fault::Config => "config",
            Fault::TxStall => "tx_stall",
            Fault::NeedsReset => "needs_reset",
            Fault::Reset => "reset",
            Fault::Handshake => "handshake",
        }
    }
}

impl RingFault {
    pub const fn as_str(self) -> &'static str {
        match self {
            RingFault::UsedId => "used_id",
            RingFault::UsedNotHead => "used_not_head",
            RingFault::UsedLen => "used_len",
            RingFault::UsedIdx => "used_idx",
        }
    }
}

impl From<RingFault> for Fault {
    fn from(fault: RingFault) -> Fault {
        Fault::Ring(fault)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened at a port. A received frame is in exactly one of `rx_frames`, `rx_runt`,
        /// `rx_too_big`, `rx_num_buffers`, `rx_csum_range`, `rx_gso`, `rx_damaged` and `rx_missed`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct NicCounters { $($(#[$doc])* pub $name: u64,)* }

        impl NicCounters {
            /// Every counter with its name, zeros included.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds what another NIC counted at the same port.
            pub fn add(&mut self, other: &NicCounters) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Frames handed out, and their bytes.
    rx_frames,
    rx_bytes,
    /// Frames taken to be sent, and their bytes.
    tx_frames,
    tx_bytes,
    /// Nothing after the device's header.
    rx_runt,
    /// Longer than a frame of 9000 bytes of payload and two tags, and not to be cut; or longer than
    /// IP can be. What a port takes of these is for others to say.
    rx_too_big,
    /// The number of buffers that the frame says to lie in cannot be.
    rx_num_buffers,
    /// A checksum is to be finished outside of the frame's first buffer.
    rx_csum_range,
    /// To be cut in a way that was not agreed on, or that cannot be.
    rx_gso,
    /// The device itself says that it came damaged.
    rx_damaged,
    /// The device had no room for it, and says so.
    rx_missed,
    /// Delivered, though marked with a checksum offload that was not agreed on: the mark is ignored.
    rx_hdr_flags,
    /// Times the pool was empty when the receive ring wanted buffers.
    rx_no_buffer,
    /// Frames given back because the ring was full.
    tx_full,
    /// Frames given back because the port was broken, or had no device.
    tx_broken,
    /// Times the device stopped sending for longer than two seconds.
    tx_stall,
    /// Rules broken, the failed attempts to begin again included.
    faults,
    /// Attempts to begin again.
    resets,
}
