//! Worlds from a seed: clients, guests and a switch in virtual time, on cables that lose, double,
//! delay and damage frames, while reals come, go, drain and change weight, and the switch itself
//! may begin anew. Services are of either IP version, on a VLAN or on none, by `nat` or `direct`.
//!
//! Stations have a small and honest TCP: a handshake, retransmission, reassembly, FIN and RST over
//! real bytes with real checksums. Datagrams may be longer than a frame: who sends them cuts them,
//! who hears them puts them together. Every call carries bytes both ways that follow from the seed,
//! and both ends check each of them. What is demanded:
//!
//! * Every call is whole in the end: all bytes, in order, between the same two machines. The one
//!   excuse is that the machine at one of its ends began anew. A silent guest, a dead link, a
//!   drained, retired or re-weighted real and a deleted service are none: what was begun goes on,
//!   and what could not begin begins when there is somebody again.
//! * A switch that begins anew is none either where the real still speaks, or a hash places the
//!   call: [`worlds::restart`] says which connections may be lost.
//! * A real sees the caller's own address, in frames of the switch; a caller hears only whom it
//!   called. What was damaged is never heard. All parts of a datagram come to one real.
//! * A VIP is at its virtual MAC, and nobody hears anything else, though the guests that have it
//!   on a loopback ask in its name and boast of it.
//! * Whoever gets a new flow was eligible for it. An established flow never moves.
//! * Every frame that came in has ended once, and every count of open flows is exact, at every turn
//!   of housekeeping. At the end nothing is left: no flow, no retired real.
//!
//! The same seed is the same world, frame by frame. A failure names its seed:
//!
//! ```text
//! FULCRUM_SEED=17 cargo test -p lb --test worlds one_world            # that world again
//! FULCRUM_TELL=1 …  -- --nocapture                                    # and what stations hear
//! FULCRUM_WORLDS=10000 cargo test --release -p lb --test worlds       # a long run: minutes
//! ```

mod worlds {
    pub mod cable;
    pub mod claims;
    pub mod dice;
    pub mod ledger;
    pub mod neighbours;
    pub mod packet;
    pub mod parts;
    pub mod plan;
    pub mod program;
    pub mod restart;
    pub mod station;
    pub mod switch;
    pub mod tcp;
    pub mod wishes;
    pub mod world;

    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use packet::Mac;

    /// Virtual time, and spans of it.
    pub type Nanos = u64;
    pub const US: Nanos = 1_000;
    pub const MS: Nanos = 1_000 * US;
    pub const SECOND: Nanos = 1_000 * MS;

    /// What the switch promises to the outside, said here once more and not taken from it.
    pub const REPORT_PORT: u16 = 3333;
    pub const SWITCH_MAC: Mac = [0x02, 0x6c, 169, 254, 2, 1];

    /// The switch's own address of the same version.
    pub fn link_local(like: IpAddr) -> IpAddr {
        match like {
            IpAddr::V4(_) => Ipv4Addr::new(169, 254, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x6c, 0x62).into(),
        }
    }

    pub fn virtual_mac(vip: IpAddr) -> Mac {
        match vip {
            IpAddr::V4(vip) => {
                let [a, b, c, d] = vip.octets();
                [0x02, 0x6c, a, b, c, d]
            }
            // What it is does not matter, if it is always the same.
            IpAddr::V6(_) => lb::MacAddr::virtual_of(vip).0,
        }
    }
}

use std::env;

use worlds::world::{Summary, World};

/// Worlds that every run of the tests walks through: a few seconds without optimisation.
const WORLDS: u64 = 64;

/// Says which world it was when one fails.
struct Naming(u64);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("FULCRUM_SEED={seed} cargo test -p lb --test worlds one_world");
        }
    }
}

fn run(seed: u64) -> Summary {
    let _naming = Naming(seed);
    World::run(seed, env::var_os("FULCRUM_TELL").is_some())
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

#[test]
fn worlds_go_as_they_must() {
    let summaries: Vec<_> = (0..number("FULCRUM_WORLDS").unwrap_or(WORLDS)).map(run).collect();
    let whole: usize = summaries.iter().map(|summary| summary.whole).sum();
    let lost: usize = summaries.iter().map(|summary| summary.end_lost).sum();
    assert!(whole > 10 * lost, "{whole} whole, {lost} lost: worlds that show little");
}

#[test]
fn a_seed_is_a_world() {
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).trace, run(6).trace);
}

#[test]
fn one_world() {
    let seed = number("FULCRUM_SEED").unwrap_or(0);
    println!("{seed}: {:?}", run(seed));
}
