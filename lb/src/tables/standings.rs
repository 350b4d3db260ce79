//! The boards of the services: who may get a new flow, judged once for many flows.
//!
//! To judge a real takes its guest, its port, its reports and its counts, from several places of
//! memory, and a service has up to 64 reals; but of all that only counts change from flow to flow.
//! So a service's [`Board`] is made when a new flow needs it, and serves the following flows until
//! something else may have changed:
//!
//! - a command: the epoch is another;
//! - a report, or a guest's health: whoever takes it in calls [`Tables::unsettle`];
//! - a weight or a word of an agent that runs out: known beforehand, like the phase of a report and
//!   the next step of a real's way in;
//! - a real that fills up or has room again: seen when its counts are looked at, see below;
//! - time: [`SLICE`] has passed.
//!
//! Hence eligibility and weights are never out of date. What is, for a slice at most, are the sums
//! that reports are read with and what slides as time goes on: what was asked leaves the window of half
//! a second ([`crate::guest::load`]) and ageing reports lose their part, both by 2 % in a slice at most.
//! All scores are of the same moment, so reals that slide alike do not change their order, and the
//! flows of a burst count as they come: each is in its real's score when the next one is placed.
//!
//! A flow that begins or ends only leaves a mark at its real's place, and the next new flow brings
//! those places up to date before it chooses. Marks are cheap enough for every flow that ends,
//! and who ends a thousand flows at once has at most 64 places looked at.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::Tables;
use crate::event::{Event, Events};
use crate::explain::decisions::{Choice, Placed};
use crate::flow::{Direction, Stage};
use crate::guest::load::{EffectiveWeight, FlowsBetween, ReportRefusal};
use crate::guest::report::LoadReport;
use crate::limits::{REALS_MAX, SERVICE_REALS_MAX, SERVICES_MAX};
use crate::service::ramp::{FOUNDING, Ramp};
use crate::service::sched::{Arrival, Board, FlowHash, Outlook};
use crate::service::standing::{Candidates, Ineligible, Judge};
use crate::{Instant, RealId, ServiceId};

/// How long a board serves; as often as the housekeeping comes round.
pub const SLICE: Duration = Duration::from_millis(10);

/// A look round takes so many turns of the housekeeping.
const LOOK_ROUND_TURNS: usize = 8;

/// The boards, and what outdates them.
pub(super) struct Standings {
    /// By service.
    kept: Box<[Kept]>,
    /// Where each real is among those of its service, if a board was made with it.
    places: Box<[u8]>,
    /// Grows with every report and change of health.
    news: u64,
    /// Where the next look round begins.
    look_round_at: usize,
    looked_round: Instant,
}

/// A service's board.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub board: Board,
    made: Option<Made>,
    seats: heapless::Vec<Seat, SERVICE_REALS_MAX>,
    /// Those that may be chosen, a bit a place.
    seated: u64,
    /// Those whose flows have changed, a bit a place.
    touched: u64,
}

/// What holds of a real as long as the board does.
#[derive(Clone, Copy)]
struct Seat {
    weight: EffectiveWeight,
    /// It is eligible while it has fewer open flows than these.
    flows_max: u32,
}

/// The state of the tables that a board is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    epoch: u64,
    news: u64,
}

/// Of what a board was made.
#[derive(Clone, Copy)]
struct Made {
    origin: Origin,
    at: Instant,
    until: Instant,
    /// What those that may be chosen are.
    chosen_if: Result<(), Ineligible>,
    panics: bool,
}

const _: () = assert!(SERVICE_REALS_MAX <= u64::BITS as usize);

impl Tables {
    /// The real that a new flow of the service gets, if some may not get it.
    #[inline]
    pub(crate) fn choose(
        &mut self,
        service: ServiceId,
        out: &[RealId],
        arrival: &Arrival,
    ) -> Option<Choice> {
        let placed = self.placement(service, arrival.key);
        let (judge, kept, places) = self.up_to_date(service, arrival.now)?;
        kept.choose(judge, placed, |id| Some(usize::from(places[id.index()])), out, arrival)
    }

    /// What reports make expect of a service's reals, as a new flow would see it now.
    pub(crate) fn outlook(&self, service: ServiceId, now: Instant) -> Option<Outlook> {
        if self.has_board(service, now) {
            return self.standings.kept[service.index()].board.outlook().copied();
        }
        let judge = self.judge(service, now)?;
        match judge.service.spec.scheduler.uses_load() {
            true => Outlook::of(&judge.candidates(now).all, now),
            false => None,
        }
    }

    /// Looks at reals, and at services that no new flow has looked at, with a word to the log of those
    /// that begin or cease to panic. As large a part as the time since the last look is of a tenth of a
    /// second, so all are seen within that.
    pub(crate) fn look_round(&mut self, now: Instant, events: &mut Events) {
        let passed = now.since(self.standings.looked_round).as_nanos() / SLICE.as_nanos();
        let turns = passed.clamp(1, LOOK_ROUND_TURNS as u128) as usize;
        let first = self.standings.look_round_at;
        self.standings.looked_round = now;
        self.standings.look_round_at = (first + turns) % LOOK_ROUND_TURNS;
        // Slices from the end on are empty.
        let end = self.ends.services.max(self.ends.reals);
        let slices = (first..first + turns).map(|at| at % LOOK_ROUND_TURNS);
        slices
            .filter(|&first| first < end)
            .for_each(|first| self.look_at_slice(first, now, events));
    }

    fn look_at_slice(&mut self, first: usize, now: Instant, events: &mut Events) {
        self.look_at_severances(first, LOOK_ROUND_TURNS, now);
        self.tell_severances(first, LOOK_ROUND_TURNS, events);
        for at in (first..self.ends.services).step_by(LOOK_ROUND_TURNS) {
            let id = ServiceId(at as u16);
            self.look_at(id, now);
            self.tell_ejections(id, now, events);
            let Some(is_on) = self.judge(id, now).map(|judge| judge.panics) else {
                continue;
            };
            if let Some(service) = self.service_mut(id).filter(|s| s.panic_told != is_on) {
                service.panic_told = is_on;
                events.push(Event::Panic { service: service.spec.name.clone(), is_on });
            }
        }
    }

    /// A real was given a flow.
    pub(crate) fn flow_opened(&mut self, id: RealId, stage: Stage, now: Instant) {
        if let Some(real) = &mut self.reals[id.index()] {
            real.flow_opened(stage, now);
            self.standings.touch(real.service, id);
        }
    }

    /// A real's flow has ended, whose client may have waited for an answer.
    pub(crate) fn flow_closed(&mut self, id: RealId, was_waiting: bool) {
        if let Some(real) = &mut self.reals[id.index()] {
            real.flow_closed(was_waiting);
            self.standings.touch(real.service, id);
        }
    }

    /// In one of a real's flows the other side has begun to speak.
    pub(crate) fn flow_turned(&mut self, id: RealId, direction: Direction, now: Instant) {
        if let Some(real) = &mut self.reals[id.index()] {
            real.flow_turned(direction, now);
            self.standings.touch(real.service, id);
        }
    }

    /// What a real's agent says; refused if it is of yesterday. None if there is no such real.
    pub(crate) fn take_report(
        &mut self,
        id: RealId,
        report: &LoadReport<'_>,
        now: Instant,
    ) -> Option<Result<FlowsBetween, ReportRefusal>> {
        let Tables { reals, services, .. } = self;
        let real = reals[id.index()].as_mut()?;
        let agent = services[real.service.index()].as_ref()?.spec.agent;
        if real.load.is_reborn(report, now) {
            real.ramp = Ramp::from(now);
        }
        let taken = real.load.accept(report, now, &real.counters, agent);
        self.unsettle();
        Some(taken)
    }

    /// A report has come, or a guest's health has changed.
    pub(crate) fn unsettle(&mut self) {
        self.standings.news += 1;
    }

    pub(crate) fn judge(&self, service: ServiceId, now: Instant) -> Option<Judge<'_>> {
        let Tables { services, reals, guests, reach, standings, .. } = self;
        let Kept { made, .. } = &standings.kept[service.index()];
        let made = made.filter(|_| self.has_board(service, now));
        let service = services[service.index()].as_ref()?;
        let up = reach.carriers(service.spec.vlan);
        let judge = Judge { service, reals, guests, up, panics: false };
        Some(made.map_or_else(|| judge.looks(now), |Made { panics, .. }| Judge { panics, ..judge }))
    }

    /// Whether the service has a board on which nothing can be wrong but what flows have changed.
    pub(super) fn has_board(&self, service: ServiceId, now: Instant) -> bool {
        self.kept(service).made.as_ref().is_some_and(|made| {
            made.origin == self.origin() && (made.at..=made.until).contains(&now)
        })
    }

    /// Notes who has come in or gone out since the last look: who has come in begins with a small
    /// share.
    pub(super) fn look_at(&mut self, id: ServiceId, now: Instant) {
        let Some((judge, _)) = self.split(id) else {
            return;
        };
        let places = judge.members().enumerate();
        let (mut is_in, mut is_gone) = (0, 0);
        for (at, (_, real)) in places {
            is_in |= u64::from(judge.is_in(real, now)) << at;
            is_gone |= u64::from(judge.is_gone(real, now)) << at;
        }
        let Tables { services, reals, .. } = self;
        let Some(service) = services[id.index()].as_mut() else {
            return;
        };
        service.open_since = service.open_since.or(Some(now)).filter(|_| is_in != 0);
        let is_founding = service.open_since.is_some_and(|since| now.since(since) < FOUNDING);
        let mut flapped = heapless::Vec::<RealId, SERVICE_REALS_MAX>::new();
        for (place, &id) in service.reals.iter().enumerate() {
            let Some(real) = &mut reals[id.index()] else {
                continue;
            };
            real.is_seen(is_in & 1 << place != 0, is_founding, now);
            let was_gone = mem::replace(&mut real.is_gone, is_gone & 1 << place != 0);
            if real.is_gone && !was_gone {
                // There is room for all of a service's.
                let _ = flapped.push(id);
            }
        }
        flapped.into_iter().for_each(|id| self.flapped(id, now));
    }

    /// The real whose slot of `mh`'s table a flow falls into.
    pub(super) fn placement(&self, service: ServiceId, key: FlowHash) -> Option<RealId> {
        self.placements.find(service, key)
    }

    pub(super) fn kept(&self, service: ServiceId) -> &Kept {
        &self.standings.kept[service.index()]
    }

    /// What a board that is made now is made of.
    pub(super) fn origin(&self) -> Origin {
        Origin { epoch: self.epoch, news: self.standings.news }
    }

    /// A service's board as it is now, and where its reals are.
    fn up_to_date(
        &mut self,
        service: ServiceId,
        now: Instant,
    ) -> Option<(Judge<'_>, &mut Kept, &[u8])> {
        let (has_board, origin) = (self.has_board(service, now), self.origin());
        if !has_board {
            self.look_at(service, now);
        }
        let (judge, Standings { kept, places, .. }) = self.split(service)?;
        let kept = &mut kept[service.index()];
        if !has_board || !kept.look_at_touched(judge) {
            kept.make(judge.looks(now), origin, now);
            for (place, (id, _)) in judge.members().enumerate() {
                places[id.index()] = place as u8;
            }
        }
        Some((judge, kept, places))
    }

    fn split(&mut self, service: ServiceId) -> Option<(Judge<'_>, &mut Standings)> {
        let Tables { services, reals, guests, reach, standings, .. } = self;
        let service = services[service.index()].as_ref()?;
        let up = reach.carriers(service.spec.vlan);
        Some((Judge { service, reals, guests, up, panics: false }, standings))
    }
}

impl Standings {
    pub(super) fn new() -> Standings {
        let mut kept = Vec::new();
        kept.resize_with(SERVICES_MAX, Kept::default);
        let places = alloc::vec![0; REALS_MAX].into_boxed_slice();
        Standings {
            kept: kept.into_boxed_slice(),
            places,
            news: 0,
            look_round_at: 0,
            looked_round: Instant::START,
        }
    }

    /// A real that is on no board may touch another's place, which then is looked at in vain.
    fn touch(&mut self, service: ServiceId, real: RealId) {
        self.kept[service.index()].touched |= 1 << self.places[real.index()];
    }
}

impl Kept {
    pub(super) fn is_seated(&self, place: usize) -> bool {
        self.seated & 1 << place != 0
    }

    /// Takes in what flows have changed; whether the same reals are eligible as before.
    pub(super) fn look_at_touched(&mut self, judge: Judge<'_>) -> bool {
        let Some(Made { chosen_if, .. }) = self.made else {
            return false;
        };
        while self.touched != 0 {
            let place = self.touched.trailing_zeros() as usize;
            self.touched &= self.touched - 1;
            let Some(((id, real), &seat)) = judge.member(place).zip(self.seats.get(place)) else {
                continue;
            };
            let was_eligible = self.is_seated(place) && chosen_if.is_ok();
            if (real.counters.flows_open < seat.flows_max) != was_eligible {
                return false;
            }
            if self.is_seated(place) {
                self.board.update(place, &Judge::candidate_of_weight(id, real, seat.weight));
            }
        }
        true
    }

    pub(super) fn make(&mut self, judge: Judge<'_>, origin: Origin, now: Instant) {
        let candidates = judge.candidates(now);
        self.board.make(judge.service.spec.scheduler, &candidates.all, now);
        (self.seated, self.touched) = (0, 0);
        let mut until = now + SLICE;
        for (place, candidate) in candidates.all.iter().enumerate() {
            self.seated |= u64::from(candidate.has_weight()) << place;
            until = candidate.load.holds_until(now).map_or(until, |end| until.min(end));
        }
        let slow_start = judge.service.spec.slow_start();
        let steps = judge.members().filter_map(|(_, real)| real.ramp.holds_until(slow_start, now));
        let until = steps.fold(until, Instant::min);
        let ends = judge.members().filter_map(|(_, real)| real.passive.holds_until(now));
        let until = ends.fold(until, Instant::min);
        let Candidates { all, judged, chosen_if } = candidates;
        let seats =
            judge.members().zip(&all).zip(judged).map(|(((_, real), candidate), judged)| {
                let flows_max = match judged {
                    Ok(()) | Err(Ineligible::Full) => judge.flows_max(real, now),
                    Err(_) => 0,
                };
                Seat { weight: candidate.weight, flows_max }
            });
        self.seats = seats.collect();
        let panics = judge.panics;
        self.made = Some(Made { origin, at: now, until, chosen_if, panics });
    }

    /// The real that the table names, if it may be chosen (one that is being built anew may still
    /// name one that is gone), else the scheduler's choice.
    pub(super) fn choose(
        &mut self,
        judge: Judge<'_>,
        placed: Option<RealId>,
        place_of: impl Fn(RealId) -> Option<usize>,
        out: &[RealId],
        arrival: &Arrival,
    ) -> Option<Choice> {
        let is_seated = |&id: &RealId| {
            let place = place_of(id).filter(|&place| self.is_seated(place));
            place.and_then(|place| judge.member(place)).is_some_and(|(member, _)| member == id)
        };
        let candidates =
            self.seated.count_ones() as u8 - out.iter().filter(|id| is_seated(id)).count() as u8;
        if let Some(real) = placed.filter(is_seated).filter(|real| !out.contains(real)) {
            return Some(Choice { candidates, ..Choice::alone(real, Placed::Table) });
        }
        let real = match out {
            [] => self.board.choose(arrival)?,
            _ => self.board.choose_but(out, arrival)?,
        };
        let place = place_of(real)?;
        let measured = |place: usize| self.board.measured(place);
        let runner_up = self.board.runner_up(place).and_then(|other| {
            let (id, _) = judge.member(other)?;
            Some((id, measured(other)?)).filter(|(id, _)| !out.contains(id))
        });
        let by = Placed::Scheduler;
        Some(Choice { real, by, candidates, measured: measured(place), runner_up })
    }
}
