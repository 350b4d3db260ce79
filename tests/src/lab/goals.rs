//! What `wll` is to reach, and whether it does: held or missed, scenario by scenario.
//!
//! Compared are medians over the seeds. [`Policy::Known`] is no rival.

use std::fmt;

use super::results::{Results, Summary};
use super::scenario::Trial;
use super::{Policy, Scenario};

/// One goal in one scenario.
#[derive(Clone, Debug)]
pub struct Finding {
    pub goal: Goal,
    pub scenario: String,
    pub held: bool,
    /// The number that decides, and what it may be.
    pub is: f64,
    pub limit: f64,
    pub beside: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// With fresh reports nobody's p99 is more than 5 % lower.
    Lowest,
    /// Where guests differ or one is disturbed, p99 is at most half of `wlc`'s.
    HalfOfWlc,
    /// Without any report p99 is within 5 % of the better of `wlc` and `lc`.
    Silent,
    /// A liar costs the others at most a fifth of their p99.
    LiarHurts,
    /// F27: its share is at most 1.5 / (N + 0.5), and the others have 90 % of theirs.
    LiarTakes,
    OthersKeep,
    /// A guest's share under constant load varies by less than 10 %.
    Steady,
    /// F28 and all other blurred reports: p99 is at most 1.1 times that of blind hashing.
    Blind,
    /// And the longest queue is in no worse a proportion to the mean one.
    Bounded,
}

impl Goal {
    pub const ALL: [Goal; 9] = [
        Goal::Lowest,
        Goal::HalfOfWlc,
        Goal::Silent,
        Goal::LiarHurts,
        Goal::LiarTakes,
        Goal::OthersKeep,
        Goal::Steady,
        Goal::Blind,
        Goal::Bounded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Goal::Lowest => "fresh reports: p99 at most 1.05 × the lowest",
            Goal::HalfOfWlc => "guests differ, or an antagonist: p99 at most 0.5 × wlc's",
            Goal::Silent => "no reports: p99 at most 1.05 × the better of wlc's and lc's",
            Goal::LiarHurts => "a liar: the others' p99 at most 1.2 × that without it",
            Goal::LiarTakes => "a liar: its share in per cent at most 1.5 / (N + 0.5)",
            Goal::OthersKeep => "a liar: no other's share below 90 % of a fair one",
            Goal::Steady => "constant load: a share varies by less than 10 %",
            Goal::Blind => "rare, lost or late reports: p99 at most 1.1 × mh's",
            Goal::Bounded => "the same: the longest queue over the mean at most mh's",
        }
    }
}

/// What a scenario is asked.
struct Asked<'a> {
    results: &'a Results,
    at: usize,
    scenario: &'a Scenario,
    wll: Summary,
}

/// Every goal in every scenario that it is about.
pub fn judge(results: &Results) -> Vec<Finding> {
    let judged = results.scenarios.iter().enumerate().map(|(at, scenario)| {
        let wll = results.summary(at, Policy::WLL)?;
        Some(Asked { results, at, scenario, wll }.all())
    });
    judged.flatten().flatten().collect()
}

impl Asked<'_> {
    fn all(&self) -> Vec<Finding> {
        let of = |goal: &Goal| match (goal, self.scenario.trial) {
            (Goal::Lowest, Trial::Steady | Trial::Uneven | Trial::Upset | Trial::Antagonist) => {
                self.lowest()
            }
            (Goal::HalfOfWlc, Trial::Uneven | Trial::Antagonist) => {
                self.against(Goal::HalfOfWlc, &[Policy::WLC], 0.5)
            }
            (Goal::Silent, Trial::Silent) => {
                self.against(Goal::Silent, &[Policy::WLC, Policy::LC], 1.05)
            }
            (Goal::LiarHurts, Trial::Liar) => self.liar_hurts(),
            (Goal::LiarTakes, Trial::Liar) => Some(self.liar_takes()),
            (Goal::OthersKeep, Trial::Liar) => Some(self.others_keep()),
            (Goal::Steady, Trial::Steady | Trial::Uneven) => Some(self.steady()),
            (Goal::Blind, Trial::Blurred | Trial::Silent) => {
                self.against(Goal::Blind, &[Policy::MH], 1.1)
            }
            (Goal::Bounded, Trial::Blurred | Trial::Silent) => self.bounded(),
            _ => None,
        };
        Goal::ALL.iter().filter_map(of).collect()
    }

    fn of(&self, policy: Policy) -> Option<Summary> {
        self.results.summary(self.at, policy)
    }

    fn finding(&self, goal: Goal, is: f64, limit: f64, beside: String) -> Finding {
        Finding { goal, scenario: self.scenario.name.clone(), held: is <= limit, is, limit, beside }
    }

    fn lowest(&self) -> Option<Finding> {
        let rivals = self.results.policies.iter().copied();
        let rivals: Vec<Policy> =
            rivals.filter(|&policy| policy != Policy::Known && policy != Policy::WLL).collect();
        self.against(Goal::Lowest, &rivals, 1.05)
    }

    /// Its p99 over the lowest of these.
    fn against(&self, goal: Goal, rivals: &[Policy], limit: f64) -> Option<Finding> {
        let p99 = |policy: &Policy| self.of(*policy).map(|summary| summary.median.p99_ms);
        let (best, lowest) = rivals
            .iter()
            .filter_map(|policy| Some((policy, p99(policy)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let beside = format!("{:.0} ms, {} {lowest:.0} ms", self.wll.median.p99_ms, best.as_str());
        Some(self.finding(goal, self.wll.median.p99_ms / lowest, limit, beside))
    }

    fn liar_hurts(&self) -> Option<Finding> {
        let name = format!("equal-{}-{}", self.scenario.guests, self.scenario.load_percent);
        let honest = self.results.summary(self.results.scenario(&name)?, Policy::WLL)?;
        let (with, without) = (self.wll.median.others_p99_ms, honest.median.others_p99_ms);
        let beside = format!("{with:.0} ms, {without:.0} ms without");
        Some(self.finding(Goal::LiarHurts, with / without, 1.2, beside))
    }

    fn liar_takes(&self) -> Finding {
        let limit = 150.0 / (self.scenario.guests as f64 + 0.5);
        self.finding(Goal::LiarTakes, self.wll.median.share_of_first, limit, String::new())
    }

    fn others_keep(&self) -> Finding {
        let least = self.wll.median.least_of_others;
        let finding = self.finding(Goal::OthersKeep, least, 90.0, String::new());
        Finding { held: least >= 90.0, ..finding }
    }

    fn steady(&self) -> Finding {
        self.finding(Goal::Steady, self.wll.median.swing, 10.0, String::new())
    }

    fn bounded(&self) -> Option<Finding> {
        let (wll, mh) = (self.wll.median.peak, self.of(Policy::MH)?.median.peak);
        Some(self.finding(Goal::Bounded, wll, mh, String::new()))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = if self.held { "held  " } else { "missed" };
        write!(f, "{held}  {:<22} {:>7.2}  of {:.2}", self.scenario, self.is, self.limit)?;
        if !self.beside.is_empty() {
            write!(f, "  ({})", self.beside)?;
        }
        Ok(())
    }
}
