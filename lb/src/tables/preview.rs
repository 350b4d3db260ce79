//! What would be chosen: the choice made on a copy of the service's board, which is then what shows
//! how it came about.

use super::Tables;
use super::standings::Kept;
use crate::decisions::Choice;
use crate::sched::{Arrival, Measured};
use crate::{RealId, ServiceId};

/// A choice that was not made, and what it was made of.
pub(crate) struct Preview {
    pub choice: Option<Choice>,
    kept: Kept,
}

impl Tables {
    /// What [`Tables::choose`] would choose.
    pub(crate) fn preview(&self, service: ServiceId, arrival: &Arrival) -> Option<Preview> {
        let judge = self.judge(service, arrival.now)?;
        let mut kept = self.kept(service).clone();
        if !self.has_board(service, arrival.now) || !kept.look_at_touched(judge) {
            kept.make(judge, self.origin(), arrival.now);
        }
        let place_of = |id: RealId| judge.service.reals.iter().position(|&real| real == id);
        let placed = self.placement(service, arrival.key);
        let choice = kept.choose(judge, placed, place_of, &[], arrival);
        Some(Preview { choice, kept })
    }
}

impl Preview {
    /// Whether the real at this place may be chosen.
    pub fn is_candidate(&self, place: usize) -> bool {
        self.kept.is_seated(place)
    }

    /// What it is compared by.
    pub fn measured(&self, place: usize) -> Option<Measured> {
        self.kept.board.measured(place)
    }
}
