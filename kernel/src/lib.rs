//! The appliance as a library: everything that needs no bare machine below it, so that it builds
//! and its tests run on the host. The bare machine is in the binary, `main.rs` and `image/`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(feature = "image", feature(optimize_attribute))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod appliance;
pub mod busy;
pub mod capture;
pub mod cleared;
pub mod config;
pub mod console;
pub mod control;
pub mod copies;
pub mod edge;
pub mod journal;
pub mod machine;
pub mod pager;
pub mod rates;
pub mod seats;
pub mod send;
pub mod shell;
pub mod start;
pub mod store;
