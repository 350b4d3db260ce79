//! The configuration, the shell and the console, on the host.

mod candidate;
mod config;
mod console;
mod desk;
mod drawing;
mod files;
mod jobs;
mod lender;
mod pages;
mod paging;
mod paper;
mod plate;
mod reference;
mod requests;
mod saving;
mod screen;
mod seats;
#[path = "../corpus/session.rs"]
mod session;
mod sessions;
mod short;
mod slips;
mod start;
mod switching;
mod task_list;
mod tasks;
mod transcripts;
mod tree;
mod walk;
mod worlds;
