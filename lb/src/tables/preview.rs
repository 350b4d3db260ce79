//! What would be chosen: the choice made on a copy of the service's board, which is then what shows
//! how it came about.

use super::Tables;
use super::standings::Kept;
use crate::explain::decisions::Choice;
use crate::service::sched::{Arrival, Measured};
use crate::{Instant, RealId, ServiceId};

/// A choice that was not made, and what it was made of.
pub(crate) struct Preview {
    pub choice: Option<Choice>,
    kept: Kept,
}

impl Tables {
    /// Whether a real of a service has come in or gone without anybody having looked yet, as all are
    /// looked at within a tenth of a second: who has come in begins with a small share, which a
    /// preview cannot know.
    pub(crate) fn has_news(&self, service: ServiceId, now: Instant) -> bool {
        if self.has_board(service, now) {
            return false;
        }
        self.judge(service, now).is_some_and(|judge| {
            let mut members = judge.members();
            members.any(|(_, real)| {
                let is_so = (judge.is_in(real, now), judge.is_gone(real, now));
                is_so != (real.is_in, real.is_gone)
            })
        })
    }

    /// What [`Tables::choose`] would choose.
    pub(crate) fn preview(
        &self,
        service: ServiceId,
        out: &[RealId],
        arrival: &Arrival,
    ) -> Option<Preview> {
        let judge = self.judge(service, arrival.now)?;
        let mut kept = self.kept(service).clone();
        if !self.has_board(service, arrival.now) || !kept.look_at_touched(judge) {
            kept.make(judge, self.origin(), arrival.now);
        }
        let place_of = |id: RealId| judge.service.reals.iter().position(|&real| real == id);
        let placed = self.placement(service, arrival.key);
        let choice = kept.choose(judge, placed, place_of, out, arrival);
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
