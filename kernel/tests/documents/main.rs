//! Documents for programs. They have a process of their own, for the journal is one for all: here it
//! has lines.

mod clearing;
mod cuts;
#[path = "../shell/desk.rs"]
#[allow(dead_code, reason = "the console's tests need more of it")]
mod desk;
#[path = "../shell/lender.rs"]
mod lender;
#[path = "../shell/plate.rs"]
#[allow(dead_code, reason = "the console's tests need more of it")]
mod plate;
mod schemas;
mod strings;
#[path = "../shell/worlds.rs"]
mod worlds;
