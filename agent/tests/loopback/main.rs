//! The agent as a program, over loopback, before a switch that reads with the switch's own parser.

mod app;
mod drain;
mod fixture;
mod pull;
mod push;
