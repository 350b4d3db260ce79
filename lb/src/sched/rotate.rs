//! Turns: `rr` and `wrr`.
//!
//! Smooth weighted round robin, nginx's manner (`ngx_http_upstream_round_robin`): at each turn
//! every candidate gains its weight in credit, the one with most credit gets the flow and pays the
//! sum of the weights. Weights 5, 1, 1 give `a a b a c a a` and not `a a a a a b c`; over as many
//! turns as the weights sum up to, everybody has been given exactly his weight. `rr` is the same
//! with all weights one.
//!
//! Credit is what a real is owed, and a debt in yesterday's weights must not be paid in today's: a
//! real whose weight falls from 1000 to 1 would wait for 500 flows until its old debt was worked
//! off. Hence whenever the sum of the weights or the tables change, credits are turned into the
//! same number of *flows* at the new sum, and their mean is taken off, so that a newcomer, who
//! begins with nothing, stands in the middle. What a change of weights or members says is so
//! from the next flow on, and weights that change with every report start nobody from the front.

use super::Candidate;
use crate::RealId;
use crate::limits::SERVICE_REALS_MAX;

/// How far the rotation of a service has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The sum of weights that credits are counted in.
    sum: i64,
    /// The tables' epoch by which they were last set right.
    epoch: u64,
}

/// What a real is owed, in weights.
pub type Credit = i64;

/// Which weights count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// `rr`.
    Equal,
    /// `wrr`.
    ByWeight,
}

/// A candidate at a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub real: RealId,
    pub credit: Credit,
    /// What it gains at each turn.
    share: i64,
}

/// Those with weight, in the order in which they were set.
pub(crate) type Queue = heapless::Vec<Waiting, SERVICE_REALS_MAX>;

impl Shares {
    pub(crate) fn queue(self, candidates: &[Candidate<'_>]) -> Queue {
        let waiting = |candidate: &Candidate<'_>| Waiting {
            real: candidate.real,
            credit: candidate.credit,
            share: match self {
                Shares::Equal => 1,
                Shares::ByWeight => i64::from(candidate.weight.thousandths()),
            },
        };
        candidates.iter().filter(|candidate| candidate.has_weight()).map(waiting).collect()
    }
}

/// The sum of the weights.
pub(crate) fn sum(queue: &[Waiting]) -> i64 {
    queue.iter().map(|waiting| waiting.share).sum()
}

/// Whose turn it is, of equals the first; all gain, and the one that it is pays.
pub(crate) fn turn(queue: &mut [Waiting]) -> Option<RealId> {
    let sum = sum(queue);
    let mut first: Option<&mut Waiting> = None;
    for waiting in queue {
        waiting.credit += waiting.share;
        if first.as_ref().is_none_or(|first| waiting.credit > first.credit) {
            first = Some(waiting);
        }
    }
    let first = first?;
    first.credit -= sum;
    Some(first.real)
}

impl Rotation {
    /// Whether credits have to be set right first.
    pub(crate) fn is_stale(&self, sum: i64, epoch: u64) -> bool {
        (self.sum, self.epoch) != (sum, epoch)
    }

    /// Sets the credits of all reals of the service right, those that are no candidates included.
    pub(crate) fn set_right(&mut self, sum: i64, epoch: u64, credits: &mut [Credit]) {
        let mean = credits.iter().sum::<i64>() / (credits.len() as i64).max(1);
        for credit in credits {
            let owed = i128::from(*credit - mean) * i128::from(sum);
            *credit = (owed / i128::from(self.sum.max(1))) as i64;
        }
        *self = Rotation { sum, epoch };
    }
}

#[cfg(test)]
mod tests;
