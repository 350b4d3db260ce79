//! The boards of the services: who may get a new flow, judged once for many flows.
//!
//! To judge a real takes its guest, its port, its reports and its counts, from several places of
//! memory, and a service has up to 64 reals; but of all that only counts change from flow to flow.
//! So a service's [`Board`] is made when a new flow needs it, and serves the following flows until
//! something else may have changed:
//!
//! - a command: the epoch is another;
//! - a report, or a guest's health: whoever takes it in calls [`Tables::unsettle`];
//! - a weight or a word of an agent that runs out: known beforehand, like the phase of a report;
//! - a real that fills up or has room again: seen when its counts are looked at, see below;
//! - time: [`SLICE`] has passed.
//!
//! Hence eligibility and weights are never out of date. What is, for a slice at most, are the sums
//! that reports are read with and what slides as time goes on: flows given leave the window of half
//! a second ([`crate::load`]) and ageing reports lose their part, both by 2 % in a slice at most.
//! All scores are of the same moment, so reals that slide alike do not change their order, and the
//! flows of a burst count as they come: each is in its real's score when the next one is placed.
//!
//! A flow that begins or ends only leaves a mark at its real's place, and the next new flow brings
//! those places up to date before it chooses. Marks are cheap enough for every flow that ends,
//! and who ends a thousand flows at once has at most 64 places looked at.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::Tables;
use crate::limits::{REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX};
use crate::sched::{Arrival, Board, Outlook};
use crate::standing::{Ineligible, Judge, candidate};
use crate::{Instant, RealId, ServiceId};

/// How long a board serves; as often as the housekeeping comes round.
pub const SLICE: Duration = Duration::from_millis(10);

/// The boards, and what outdates them.
pub(super) struct Standings {
    /// By service.
    kept: Box<[Kept]>,
    /// Where each real is among those of its service, if a board was made with it.
    places: Box<[u8]>,
    /// Grows with every report and change of health.
    news: u64,
}

/// A service's board.
#[derive(Default)]
struct Kept {
    board: Board,
    made: Option<Made>,
    /// Those that may be chosen, a bit a place.
    seated: u64,
    /// Those whose flows have changed, a bit a place.
    touched: u64,
}

/// Of what a board was made.
#[derive(Clone, Copy)]
struct Made {
    epoch: u64,
    news: u64,
    at: Instant,
    until: Instant,
    /// What those that may be chosen are.
    chosen_if: Result<(), Ineligible>,
}

const _: () = assert!(SERVICE_REALS_MAX <= u64::BITS as usize);

impl Tables {
    /// The real that a new flow of the service gets.
    pub(crate) fn choose(&mut self, service: ServiceId, arrival: &Arrival) -> Option<RealId> {
        if !self.has_board(service, arrival.now) || !self.look_at_touched(service) {
            self.make_board(service, arrival.now);
        }
        let placed = self.placements.find(service, arrival.key);
        placed
            .filter(|&real| self.is_seated(service, real))
            .or_else(|| self.standings.kept[service.index()].board.choose(arrival))
    }

    /// What reports make expect of a service's reals, as a new flow would see it now.
    pub(crate) fn outlook(&self, service: ServiceId, now: Instant) -> Option<Outlook> {
        if self.has_board(service, now) {
            return self.standings.kept[service.index()].board.outlook().copied();
        }
        let judge = self.judge(service)?;
        match judge.service.spec.scheduler.uses_load() {
            true => Outlook::of(&judge.candidates(now).all, now),
            false => None,
        }
    }

    /// A real was given a flow.
    pub(crate) fn flow_opened(&mut self, id: RealId, now: Instant) {
        if let Some(real) = &mut self.reals[id.index()] {
            real.flow_opened(now);
            self.standings.touch(real.service, id);
        }
    }

    /// A real's flow, begun at `started`, has ended.
    pub(crate) fn flow_closed(&mut self, id: RealId, started: Instant) {
        if let Some(real) = &mut self.reals[id.index()] {
            real.flow_closed(started);
            self.standings.touch(real.service, id);
        }
    }

    /// A report has come, or a guest's health has changed.
    pub(crate) fn unsettle(&mut self) {
        self.standings.news += 1;
    }

    pub(crate) fn judge(&self, service: ServiceId) -> Option<Judge<'_>> {
        let Tables { services, reals, guests, sets, .. } = self;
        Some(Judge { service: services[service.index()].as_ref()?, reals, guests, up: sets.up })
    }

    /// Whether the service has a board on which nothing can be wrong but what flows have changed.
    fn has_board(&self, service: ServiceId, now: Instant) -> bool {
        let Standings { kept, news, .. } = &self.standings;
        kept[service.index()].made.as_ref().is_some_and(|made| {
            (made.epoch, made.news) == (self.epoch, *news) && (made.at..=made.until).contains(&now)
        })
    }

    /// Takes in what flows have changed; whether the same reals are eligible as before.
    fn look_at_touched(&mut self, service: ServiceId) -> bool {
        let Some((judge, standings)) = self.split(service) else {
            return false;
        };
        let kept = &mut standings.kept[service.index()];
        let Some(Made { at, chosen_if, .. }) = kept.made else {
            return false;
        };
        while kept.touched != 0 {
            let place = kept.touched.trailing_zeros() as usize;
            kept.touched &= kept.touched - 1;
            let Some((id, real)) = judge.member(place) else {
                continue;
            };
            let was_eligible = kept.is_seated(place) && chosen_if.is_ok();
            if judge.eligibility(real, at).is_ok() != was_eligible {
                return false;
            }
            if kept.is_seated(place) {
                kept.board.update(place, &candidate(id, real, at));
            }
        }
        true
    }

    fn make_board(&mut self, service: ServiceId, now: Instant) {
        let epoch = self.epoch;
        let Some((judge, standings)) = self.split(service) else {
            return;
        };
        let candidates = judge.candidates(now);
        let Standings { kept, places, news } = standings;
        let kept = &mut kept[service.index()];
        kept.board.make(judge.service.spec.scheduler, &candidates.all, now);
        (kept.seated, kept.touched) = (0, 0);
        let mut until = now + SLICE;
        for (place, candidate) in candidates.all.iter().enumerate() {
            places[candidate.real.index()] = place as u8;
            kept.seated |= u64::from(candidate.has_weight()) << place;
            until = candidate.load.holds_until(now).map_or(until, |end| until.min(end));
        }
        let chosen_if = candidates.chosen_if;
        kept.made = Some(Made { epoch, news: *news, at: now, until, chosen_if });
    }

    /// Whether a real that a table of `mh` names may be chosen; one that is being built anew may
    /// still name one that is gone.
    fn is_seated(&self, service: ServiceId, id: RealId) -> bool {
        let place = usize::from(self.standings.places[id.index()]);
        let is_there = self.judge(service).and_then(|judge| judge.member(place));
        is_there.is_some_and(|(member, _)| member == id)
            && self.standings.kept[service.index()].is_seated(place)
    }

    fn split(&mut self, service: ServiceId) -> Option<(Judge<'_>, &mut Standings)> {
        let Tables { services, reals, guests, sets, standings, .. } = self;
        let service = services[service.index()].as_ref()?;
        Some((Judge { service, reals, guests, up: sets.up }, standings))
    }
}

impl Standings {
    pub(super) fn new() -> Standings {
        let mut kept = Vec::new();
        kept.resize_with(SERVICES_MAX, Kept::default);
        let places = alloc::vec![0; REALS_MAX].into_boxed_slice();
        Standings { kept: kept.into_boxed_slice(), places, news: 0 }
    }

    /// A real that is on no board may touch another's place, which then is looked at in vain.
    fn touch(&mut self, service: ServiceId, real: RealId) {
        self.kept[service.index()].touched |= 1 << self.places[real.index()];
    }
}

impl Kept {
    fn is_seated(&self, place: usize) -> bool {
        self.seated & 1 << place != 0
    }
}
