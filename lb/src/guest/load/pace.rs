//! How often a real's agent reports: its silence is measured in these intervals.
//!
//! Of an agent that is asked, the switch knows the interval. One that reports by itself does so as
//! often as its operator told it, and told nobody else; it is known by its reports. The gaps between
//! them are smoothed, a quarter of each: a lost report makes one gap twice as long and two that
//! arrive together make one nothing, and neither may make an honest agent look silent or a silent
//! one fresh. A report's `ttl` would be its own word for it, but says how long *words* shall hold
//! and is a minute by default.
//!
//! What is learned stays between [`INTERVAL`], so that a flood of reports makes no agent stale
//! between two of them, and [`INTERVAL_MAX`], so that the numbers of an agent that stopped are
//! believed for 20 s at most. A longer gap is a silence and teaches nothing. A guest that draws its
//! interval out has nothing from it but that its last number holds longer, which it could as well
//! repeat.

use core::time::Duration;

use crate::Agent;

/// How often an agent reports, as long as nothing else is known.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// The longest interval that is learned from reports.
pub const INTERVAL_MAX: Duration = Duration::from_secs(10);
/// Gaps beyond are no interval: an agent with the longest may be half of it late.
const GAP_MAX: Duration = Duration::from_secs(15);

/// The interval of a real's reports.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// As known or learned.
    smoothed: Option<Duration>,
}

impl Pace {
    /// A report has come, so long after the one before, if there was one.
    pub fn heard(&mut self, gap: Option<Duration>, agent: Agent) {
        self.smoothed = match (agent, gap.filter(|&gap| gap <= GAP_MAX)) {
            (Agent::Pull { interval, .. }, _) => Some(interval),
            (Agent::Push, None) => self.smoothed,
            (Agent::Push, Some(gap)) => {
                let smoothed = self.smoothed.map_or(gap, |before| (before * 3 + gap) / 4);
                Some(smoothed.clamp(INTERVAL, INTERVAL_MAX))
            }
        };
    }

    pub fn interval(&self) -> Duration {
        self.smoothed.unwrap_or(INTERVAL).max(INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU16;

    fn after(gaps_ms: &[u64]) -> u64 {
        let mut pace = Pace::default();
        pace.heard(None, Agent::Push);
        for &gap in gaps_ms {
            pace.heard(Some(Duration::from_millis(gap)), Agent::Push);
        }
        pace.interval().as_millis() as u64
    }

    #[test]
    fn an_agent_that_reports_by_itself_is_known_by_its_gaps() {
        let cases: [(&str, &[u64], u64); 9] = [
            ("one report tells nothing", &[], 500),
            ("the first gap is taken as it is", &[5_000], 5_000),
            ("one that keeps its pace", &[5_000; 9], 5_000),
            ("one lost report", &[2_000, 2_000, 4_000], 2_500),
            ("one late, the next close behind", &[2_000, 3_900, 100], 1_881),
            ("a flood", &[1; 200], 500),
            ("slower than can be learned", &[14_000; 9], 10_000),
            ("a silence", &[1_000, 60_000], 1_000),
            ("from slow to quick", &[10_000, 500, 500, 500, 500, 500, 500, 500, 500], 1_451),
        ];
        for (what, gaps_ms, interval_ms) in cases {
            assert_eq!(after(gaps_ms), interval_ms, "{what}");
        }
    }

    #[test]
    fn an_agent_that_is_asked_is_expected_as_often_as_it_is_asked() {
        let mut pace = Pace::default();
        for seconds in [2, 30] {
            let interval = Duration::from_secs(seconds);
            let agent = Agent::Pull { port: NonZeroU16::MIN, interval };
            pace.heard(Some(Duration::from_millis(700)), agent);
            assert_eq!(pace.interval(), interval);
        }
    }
}
