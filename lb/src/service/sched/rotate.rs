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
//! off. Hence whenever the sum of the weights or the members change, credits are turned into the
//! same number of *flows* at the new sum, and their mean is taken off, so that a newcomer, who
//! begins with nothing, stands in the middle. What a change of weights or members says is so
//! from the next flow on, and weights that change with every report start nobody from the front.

use super::{Candidate, NameHash};
use crate::RealId;
use crate::limits::SERVICE_REALS_MAX;

/// Which weights count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// `rr`.
    Equal,
    /// `wrr`.
    ByWeight,
}

/// Whose turn it is among the reals of a service.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// In the order in which they were set.
    members: Members,
    /// What they gain together at each turn; what credits are counted in.
    sum: i64,
}

type Members = heapless::Vec<Member, SERVICE_REALS_MAX>;

/// A real at a turn.
#[derive(Clone, Debug)]
struct Member {
    real: RealId,
    name: NameHash,
    /// What it gains at each turn; one that gains nothing is not chosen.
    share: i64,
    /// What it is owed.
    credit: i64,
}

impl Rotation {
    pub(super) const fn new() -> Rotation {
        Rotation { members: Members::new(), sum: 0 }
    }

    /// Seats those that are the service's reals now; who was there before keeps what it is owed.
    pub(super) fn make(&mut self, shares: Shares, candidates: &[Candidate<'_>]) {
        let owed = |at: usize, candidate: &Candidate<'_>| {
            let is_it = |member: &&Member| member.is(candidate);
            let member = self.members.get(at).filter(is_it);
            member.or_else(|| self.members.iter().find(is_it)).map_or(0, |member| member.credit)
        };
        let seat = |(at, candidate): (usize, &Candidate<'_>)| Member {
            real: candidate.real,
            name: candidate.name,
            share: shares.of(candidate),
            credit: owed(at, candidate),
        };
        let members: Members = candidates.iter().enumerate().map(seat).collect();
        let sum = members.iter().map(|member| member.share).sum();
        let pairs = || self.members.iter().zip(candidates);
        let all_stay =
            self.members.len() == candidates.len() && pairs().all(|(member, its)| member.is(its));
        self.members = members;
        if sum > 0 && !(all_stay && sum == self.sum) {
            self.set_right(sum);
        }
    }

    /// Whose turn it is but for those who are out, of equals the first; all gain, and the one that
    /// it is pays.
    pub(super) fn turn(&mut self, out: &[RealId]) -> Option<RealId> {
        let mut first: Option<&mut Member> = None;
        let mut gained = 0;
        let takes_part = |member: &&mut Member| member.share > 0 && !out.contains(&member.real);
        for member in self.members.iter_mut().filter(takes_part) {
            member.credit += member.share;
            gained += member.share;
            if first.as_ref().is_none_or(|first| member.credit > first.credit) {
                first = Some(member);
            }
        }
        let first = first?;
        first.credit -= gained;
        Some(first.real)
    }

    /// Turns the credits of all, those that are not chosen now included, into the same number of
    /// flows at another sum.
    fn set_right(&mut self, sum: i64) {
        let credits = self.members.iter().map(|member| member.credit);
        let mean = credits.sum::<i64>() / (self.members.len() as i64).max(1);
        for member in &mut self.members {
            let owed = i128::from(member.credit - mean) * i128::from(sum);
            member.credit = (owed / i128::from(self.sum.max(1))) as i64;
        }
        self.sum = sum;
    }
}

impl Member {
    /// A slot that was another's before does not make it the same.
    fn is(&self, candidate: &Candidate<'_>) -> bool {
        (self.real, self.name) == (candidate.real, candidate.name)
    }
}

impl Shares {
    fn of(self, candidate: &Candidate<'_>) -> i64 {
        match self {
            Shares::Equal => i64::from(candidate.has_weight()),
            Shares::ByWeight => i64::from(candidate.weight.thousandths()),
        }
    }
}

#[cfg(test)]
mod tests;
