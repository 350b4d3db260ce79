//! Who chooses: one interface for `lb` behind frames, for the rivals and for the bound.

use super::guest::Guest;
use super::known::Known;
use super::orca::Orca;
use super::prequal::Prequal;
use super::switch::Switch;
use super::{Scenario, Workload};
use lb::Scheduler;

/// All that may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Lb(Scheduler),
    /// Wydrowski, Kleinberg, Rumble, Archer, "Load is not what you should balance", NSDI 2024.
    Prequal,
    /// gRFC A58, `weighted_round_robin`.
    Orca,
    /// Shortest expected delay with everything known: a bound, not a rival.
    Known,
}

/// Gives flows to guests, and is told what becomes of them.
pub trait Chooser {
    /// A flow begins; `None` if it is refused.
    fn open(&mut self, flow: usize, now: u64, guests: &[Guest]) -> Option<usize>;

    /// A request of a flow passes towards its guest; the first one follows the handshake.
    fn request(&mut self, _flow: usize, _guest: usize, _is_first: bool, _now: u64) {}

    /// Its answer passes back.
    fn response(&mut self, _flow: usize, _guest: usize, _now: u64) {}

    /// Both ends end the flow.
    fn close(&mut self, _flow: usize, _guest: usize, _now: u64) {}

    /// A flow is cut off because its guest is gone.
    fn cut(&mut self, _flow: usize, _guest: usize, _now: u64) {}

    /// A report comes in: the line that a guest's agent wrote.
    fn report(&mut self, _guest: usize, _line: &str, _now: u64) {}

    /// A guest's link goes up or down.
    fn link(&mut self, _guest: usize, _up: bool, _now: u64) {}

    /// Ten milliseconds have passed.
    fn tick(&mut self, _now: u64, _guests: &[Guest]) {}
}

impl Policy {
    /// In the order in which they are reported.
    pub const ALL: [Policy; 10] = [
        Policy::Lb(Scheduler::Rr),
        Policy::Lb(Scheduler::Wrr),
        Policy::Lb(Scheduler::Lc),
        Policy::Lb(Scheduler::Wlc),
        Policy::Lb(Scheduler::P2c),
        Policy::Lb(Scheduler::Mh),
        Policy::WLL,
        Policy::Prequal,
        Policy::Orca,
        Policy::Known,
    ];

    pub const WLL: Policy = Policy::Lb(Scheduler::Wll);
    pub const WLC: Policy = Policy::Lb(Scheduler::Wlc);
    pub const LC: Policy = Policy::Lb(Scheduler::Lc);
    pub const MH: Policy = Policy::Lb(Scheduler::Mh);

    pub const fn as_str(self) -> &'static str {
        match self {
            Policy::Lb(scheduler) => scheduler.as_str(),
            Policy::Prequal => "prequal",
            Policy::Orca => "grpc",
            Policy::Known => "known",
        }
    }

    pub fn named(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    pub(super) fn chooser(
        self,
        scenario: &Scenario,
        workload: &Workload,
        seed: u64,
    ) -> Box<dyn Chooser> {
        match self {
            Policy::Lb(scheduler) => {
                Box::new(Switch::new(scenario, scheduler, workload.flows.len(), seed))
            }
            Policy::Prequal => Box::new(Prequal::new(scenario, seed)),
            Policy::Orca => Box::new(Orca::new(scenario.guests, seed)),
            Policy::Known => Box::new(Known),
        }
    }
}
