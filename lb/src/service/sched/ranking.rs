//! Who is least, kept while flows come and go: `lc`, `wlc`, `wll` and `p2c`.
//!
//! Every candidate has a [`Score`]. A flow that begins or ends changes the score of one of them, so
//! the least is found as a cup is won: pairs play, the winners play on, and when one score changes
//! only the games of that candidate are played again, six among 64. Two that are equal win
//! together, with the sum of their weights; so the winner of the last game knows the weight of all
//! that are least, and chance goes down from there to one of them.
//!
//! Scores are of the moment at which the ranking was made, and so is what reports say together (the
//! [`Outlook`]): only within one moment can delays be compared that fall as time goes on. One that
//! is scored again is scored at that moment too, with the flows that it has by now.

use core::cmp::Ordering;
use core::time::Duration;

use super::Candidate;
use super::least::{Ability, MILLIFLOWS_MAX, Outlook};
use crate::guest::load::MilliFlows;
use crate::limits::SERVICE_REALS_MAX;
use crate::{Instant, RealId};

/// The scores of a service's reals, by their places.
#[derive(Clone, Debug)]
pub struct Ranking {
    measure: Measure,
    made_at: Instant,
    outlook: Option<Outlook>,
    scores: heapless::Vec<Score, SERVICE_REALS_MAX>,
    /// The game that decides is at 1, game `n` is played by the winners at `2n` and `2n + 1`, and
    /// the candidates themselves begin at `half`.
    games: [Winners; 2 * SERVICE_REALS_MAX],
    half: usize,
}

/// What "least" is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// `lc`: open flows alone.
    Flows,
    /// `wlc`: open flows over weight.
    FlowsOverWeight,
    /// `wll` and `p2c`: the expected delay over the wish, where reports are fresh, else as `wlc`.
    Delay,
}

/// What decides first between candidates; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// How long it is expected to wait, over the agent's wish.
    Delay(Duration),
    /// Open flows for a weight of 100; as they are where weights do not count.
    Flows(MilliFlows),
}

/// What candidates are compared by; each count over the weight.
#[derive(Clone, Copy, Debug)]
struct Score {
    real: RealId,
    /// 0 for one that is not chosen.
    weight: u32,
    /// Of the weight, in thousandths.
    wish: u32,
    ability: Ability,
    delay_ns: u64,
    flows_open: u32,
    asked: u64,
}

/// The first of those that won together, and what they weigh; nobody weighs nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Winners {
    place: u8,
    weight: u32,
}

const _: () = assert!(SERVICE_REALS_MAX.is_power_of_two() && SERVICE_REALS_MAX <= 1 << 8);

impl Ranking {
    pub(super) const fn new() -> Ranking {
        Ranking {
            measure: Measure::Flows,
            made_at: Instant::START,
            outlook: None,
            scores: heapless::Vec::new(),
            games: [Winners { place: 0, weight: 0 }; 2 * SERVICE_REALS_MAX],
            half: 1,
        }
    }

    /// Scores all of them, as they are now.
    pub(super) fn make(&mut self, measure: Measure, candidates: &[Candidate<'_>], now: Instant) {
        (self.measure, self.made_at) = (measure, now);
        self.outlook = match measure {
            Measure::Flows | Measure::FlowsOverWeight => None,
            Measure::Delay => Outlook::of(candidates, now),
        };
        let ability = |candidate| self.outlook.as_ref().map(|outlook| outlook.ability(candidate));
        self.scores = candidates
            .iter()
            .map(|candidate| self.score(candidate, ability(candidate).unwrap_or_default()))
            .collect();
        self.half = self.scores.len().next_power_of_two();
        for place in 0..self.half {
            let weight = self.scores.get(place).map_or(0, |score| score.weight);
            self.games[self.half + place] = Winners { place: place as u8, weight };
        }
        (1..self.half).rev().for_each(|game| self.play(game));
    }

    /// Scores one again whose flows have changed.
    pub(super) fn update(&mut self, place: usize, candidate: &Candidate<'_>) {
        self.scores[place] = self.score(candidate, self.scores[place].ability);
        self.play_again(place);
    }

    /// The same without some of them.
    pub(super) fn without(&self, out: &[RealId]) -> Ranking {
        let mut ranking = self.clone();
        for place in 0..ranking.scores.len() {
            if out.contains(&ranking.scores[place].real) {
                ranking.scores[place].weight = 0;
                ranking.play_again(place);
            }
        }
        ranking
    }

    pub(super) fn outlook(&self) -> Option<&Outlook> {
        self.outlook.as_ref()
    }

    /// The least. `dice`, any number, picks among equals.
    pub(super) fn least(&self, dice: u32) -> Option<RealId> {
        let mut left = dice.checked_rem(self.games[1].weight)?;
        let mut game = 1;
        while game < self.half {
            let (won, first) = (self.games[game], self.games[2 * game]);
            let both_won = won.place == first.place && won.weight != first.weight;
            let is_second = match both_won {
                true => left >= first.weight,
                false => won.place != first.place,
            };
            if both_won && is_second {
                left -= first.weight;
            }
            game = 2 * game + usize::from(is_second);
        }
        Some(self.scores[game - self.half].real)
    }

    /// The lesser of two that the dice draw, each as likely as it has weight; `dice` has 32 bits
    /// for each.
    pub(super) fn least_of_two(&self, dice: u64) -> Option<RealId> {
        let weights = || self.scores.iter().map(|score| u64::from(score.weight));
        let one = draw(weights(), dice as u32)?;
        let others = weights().enumerate().map(|(at, weight)| if at == one { 0 } else { weight });
        let Some(other) = draw(others, (dice >> 32) as u32) else {
            return Some(self.scores[one].real);
        };
        let (one, other) = (&self.scores[one], &self.scores[other]);
        let is_better = other.compare(one) == Ordering::Less;
        Some(if is_better { other.real } else { one.real })
    }

    /// What the candidate at a place is compared by; `None` for one that is not chosen.
    pub(super) fn measured(&self, place: usize) -> Option<Measured> {
        const WEIGHT: u64 = 100_000;
        const WISH: u64 = 1_000;
        let score = self.scores.get(place).filter(|score| score.weight > 0)?;
        let for_weight = |count: u64| match self.measure {
            Measure::Flows => count,
            Measure::FlowsOverWeight | Measure::Delay => {
                count.saturating_mul(WEIGHT) / u64::from(score.weight)
            }
        };
        Some(match self.outlook {
            Some(_) => {
                let delay_ns = score.delay_ns * WISH / u64::from(score.wish);
                Measured::Delay(Duration::from_nanos(delay_ns))
            }
            None => Measured::Flows(for_weight(u64::from(score.flows_open) * 1000)),
        })
    }

    /// The place of the least, leaving one out: of those against whom it has played or would play.
    pub(super) fn least_but(&self, place: usize) -> Option<usize> {
        let mut game = self.half + place;
        let mut best: Option<usize> = None;
        while game > 1 {
            let other = self.games[game ^ 1];
            let at = usize::from(other.place);
            let is_better = |best: usize| self.scores[at].compare(&self.scores[best]).is_lt();
            if other.weight > 0 && best.is_none_or(is_better) {
                best = Some(at);
            }
            game /= 2;
        }
        best
    }

    /// Plays the games of one candidate.
    fn play_again(&mut self, place: usize) {
        let mut game = self.half + place;
        self.games[game].weight = self.scores[place].weight;
        while game > 1 {
            game /= 2;
            self.play(game);
        }
    }

    fn play(&mut self, game: usize) {
        let (one, other) = (self.games[2 * game], self.games[2 * game + 1]);
        let score = |winners: Winners| &self.scores[usize::from(winners.place)];
        self.games[game] = match (one.weight, other.weight) {
            (_, 0) => one,
            (0, _) => other,
            _ => match score(one).compare(score(other)) {
                Ordering::Less => one,
                Ordering::Equal => Winners { weight: one.weight + other.weight, ..one },
                Ordering::Greater => other,
            },
        };
    }

    /// By flows alone where there is no outlook.
    fn score(&self, candidate: &Candidate<'_>, ability: Ability) -> Score {
        let outlook = self.outlook.as_ref();
        Score {
            real: candidate.real,
            weight: match self.measure {
                Measure::Flows => u32::from(candidate.has_weight()),
                Measure::FlowsOverWeight | Measure::Delay => candidate.weight.thousandths(),
            },
            wish: candidate.wish(),
            ability,
            delay_ns: outlook.map_or(0, |outlook| outlook.delay_ns(candidate, ability)),
            flows_open: candidate.flows_open,
            asked: candidate.load.asked_lately(self.made_at).min(MILLIFLOWS_MAX),
        }
    }
}

impl Score {
    /// Less is better, each count over its weight.
    fn compare(&self, other: &Score) -> Ordering {
        // `a / v` against `b / w` without dividing; counts fit 33 bits and weights 20.
        let over_weight = |mine: u64, its: u64| {
            (mine * u64::from(other.weight)).cmp(&(its * u64::from(self.weight)))
        };
        // Delays fit 50 bits and wishes 10.
        let mine = self.delay_ns * u64::from(other.wish);
        let its = other.delay_ns * u64::from(self.wish);
        mine.cmp(&its)
            .then_with(|| over_weight(self.flows_open.into(), other.flows_open.into()))
            .then_with(|| over_weight(self.asked, other.asked))
    }
}

/// Which of these, each as likely as it has weight.
fn draw(weights: impl Iterator<Item = u64> + Clone, dice: u32) -> Option<usize> {
    let mut left = u64::from(dice).checked_rem(weights.clone().sum())?;
    weights.enumerate().find_map(|(at, weight)| {
        let is_here = left < weight;
        left = left.saturating_sub(weight);
        is_here.then_some(at)
    })
}
