//! Every instruction that is not Rust, and the layout of the image: no policy.
//!
//! [`cpu`] holds single instructions and builds everywhere. The rest exists in the image alone: the
//! way from the loader to Rust, the stacks, and the stubs that traps and interrupts enter by.
#![cfg_attr(not(test), no_std)]

pub mod cpu;
#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
pub mod layout;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(target_os = "none")]
pub mod traps;
