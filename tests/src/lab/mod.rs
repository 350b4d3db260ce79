//! The scheduling laboratory: clients, guests and reports of a made-up world in virtual time, and
//! the real `lb` between them.
//!
//! ```text
//!   scenario ─▶ workload ─┐                    ┌─▶ guests ──┐
//!   (data)      (seed)    ├─▶ world ─▶ chooser ┤            ├─▶ measure ─▶ goals
//!                         │   (time)           └─◀ reports ─┘      │
//!                         └────────────────────────────────────────┴─────▶ report (text, CSV, SVG)
//! ```
//!
//! **What is real.** The schedulers of `lb` are asked by frames: a flow is a SYN into
//! [`lb::Dataplane`], and the guest is the one at whose MAC it comes out. Its SYN-ACK, its answers
//! and the FINs of both ends pass the switch too, so flows open, answer times and ends are the
//! switch's own counts. A report is the line that the agent would print, in a datagram; the
//! switch's probes of its guests are answered.
//!
//! **What is made up.** A guest is a queue served by processor sharing ([`guest`]); clients come
//! as they like, whether they are served well or not (open loop); the network takes
//! [`HANDSHAKE_NS`](workload::HANDSHAKE_NS) and loses nothing but reports.
//!
//! **What is compared.** Schedulers of `lb`, and two published rivals that live here alone:
//! Prequal's rule ([`prequal`]) and gRPC's weighted round robin ([`orca`]). Beside them stands
//! [`Policy::Known`], which knows every guest's speed and queue: nobody can, so it is not a rival
//! but a bound, and tells whether a goal is within reach.
//!
//! One seed is one sequence of arrivals and service times, the same for whoever chooses. Nothing
//! here reads a clock or uses a function whose result a platform may choose, so one tree gives one
//! result.

pub mod chooser;
pub mod goals;
pub mod guest;
pub mod known;
pub mod latencies;
pub mod measure;
pub mod orca;
pub mod packets;
pub mod prequal;
pub mod random;
pub mod report;
pub mod results;
pub mod scenario;
pub mod switch;
pub mod workload;
pub mod world;

pub use chooser::{Chooser, Policy};
pub use measure::Outcome;
pub use results::{Results, Summary};
pub use scenario::{EVALUATION, Scenario, TUNING};
pub use workload::Workload;

/// One run: a scenario, a seed, and who chooses.
pub fn run(scenario: &Scenario, workload: &Workload, policy: Policy, seed: u64) -> Outcome {
    world::World::new(scenario, workload, policy.chooser(scenario, workload, seed), seed).run()
}
