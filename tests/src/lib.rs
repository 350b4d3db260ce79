//! The harness: the image under QEMU, with test programs as its guests and clients.
//!
//! A [`Machine`] is one QEMU with the image. Behind every NIC of it sits a [`Station`], a test
//! program at the far end of a socket pair: what it sends is a frame that the appliance receives,
//! without root, without names in the file system, and without anything left when the test ends.
//! The serial port is a [`Console`], QEMU's own control port a [`Qmp`]. A device that breaks the rules is
//! a [`vhost`] whose rings the test plays itself.
//!
//! A [`Frame`] is a value: what was sent, changed in the fields that the switch shall change, is
//! what must arrive, compared byte for byte, checksums included. A test that fails prints the
//! console and the trace of all frames, which is also left as a pcap file.
//!
//! Beside it, without a machine, the scheduling laboratory: [`lab`]; and the benchmark, which drives
//! other machines too: [`bench`].
#![forbid(unsafe_code)]

pub mod bench;
pub mod console;
pub mod dice;
pub mod disk;
pub mod faults;
pub mod flow;
pub mod frame;
pub mod lab;
pub mod machine;
pub mod pcap;
pub mod qmp;
pub mod station;
pub mod trace;
pub mod traffic;
pub mod vhost;
pub mod world;

pub use console::Console;
pub use dice::Dice;
pub use disk::DiskFile;
pub use flow::TcpFlow;
pub use frame::{Arp, Echo, Ends, Frame, Raw, Tcp, TcpFlags, Udp};
pub use lb::MacAddr;
pub use machine::{Machine, Reach, Setup};
pub use qmp::Qmp;
pub use station::Station;
pub use traffic::Traffic;
pub use world::World;

use std::time::Duration;

/// How long a test waits for what must come. Generous: it bounds a failure, it measures nothing.
pub const LIMIT: Duration = Duration::from_secs(20);
