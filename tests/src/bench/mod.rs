//! The benchmark: this image, a Linux machine and a poll-mode forwarder in turn, each as the switch
//! between two wires of the harness's.
//!
//! ```text
//!                 client ── wire ── NIC 0 ┃ the machine that is measured ┃ NIC 1 ── wire ── reals
//! ```
//!
//! [`wire`] moves frames (by [`crate::vhost`] in the guest's memory), [`frames`] and [`connections`] make
//! them, [`load`] sends them in a measured manner. [`system`] says what is compared, [`qemu`] and
//! [`vm`] start one, [`space`] is for real stacks. [`counts`] counts guest instructions, [`host`] what
//! processes use. [`figures`] is what is measured, [`stats`] and [`sheet`] what comes of it, [`goals`]
//! what it is held against, [`report`] how that is told.
//!
//! Everything is measured in rounds, one system after the other in each, every time on a fresh
//! machine, so that whatever else the host does meets all of them.

pub mod connections;
pub mod counts;
pub mod figures;
pub mod frames;
pub mod goals;
pub mod host;
pub mod load;
mod qemu;
pub mod report;
pub mod sheet;
mod space;
pub mod stats;
pub mod system;
pub mod vm;
pub mod wire;
