//! Ejections: who is out for what its flows show, and how many may be.
//!
//! A real says when it has failed too often ([`crate::service::passive`]); here its service is asked, since
//! an ejection moves load to the others. At most half of the reals that the operator wants are out
//! by this at a time, one of two or three; another real must be there to be chosen, and for failures
//! one must have answered since they began.

use core::time::Duration;

use super::Tables;
use crate::event::{Event, Events};
use crate::service::passive::{Cause, FlowFailure};
use crate::service::standing::Judge;
use crate::{AdminState, Instant, Real, RealId, ServiceId};

impl Tables {
    /// A real has answered a flow for the first time.
    pub(crate) fn answered(&mut self, id: RealId, after: Duration, now: Instant) {
        if let Some(real) = self.real_mut(id) {
            real.counters.answer_time = Some(after);
            real.passive.answered(after, now);
        }
    }

    /// A real has failed a flow.
    pub(crate) fn failed(&mut self, id: RealId, failure: FlowFailure, now: Instant) {
        let since = self.real_mut(id).and_then(|real| real.passive.failed(failure, now));
        if let Some(since) = since {
            self.eject(id, Cause::Failures, since, now);
        }
    }

    /// A real has gone by itself.
    pub(super) fn flapped(&mut self, id: RealId, now: Instant) {
        if self.real_mut(id).is_some_and(|real| real.passive.flapped(now)) {
            self.eject(id, Cause::Flaps, now, now);
        }
    }

    /// Tells the log who is ejected and who is back.
    pub(super) fn tell_ejections(&mut self, id: ServiceId, now: Instant, events: &mut Events) {
        let Tables { services, reals, .. } = self;
        let Some(service) = services[id.index()].as_ref() else {
            return;
        };
        for real in &service.reals {
            let Some(real) = &mut reals[real.index()] else {
                continue;
            };
            let ejection = real.passive.ejection(now);
            if real.passive.is_told != ejection.is_some() {
                real.passive.is_told = ejection.is_some();
                let (service, guest) = (service.spec.name.clone(), real.spec.guest.clone());
                events.push(match ejection {
                    Some(ejection) => {
                        let seconds = ejection.until.since(now).as_secs() + 1;
                        Event::Ejected { service, guest, cause: ejection.cause, seconds }
                    }
                    None => Event::Returned { service, guest },
                });
            }
        }
    }

    fn eject(&mut self, id: RealId, cause: Cause, since: Instant, now: Instant) {
        let service = self.real(id).map(|real| real.service);
        let judge = service.and_then(|service| self.judge(service, now));
        if !judge.is_some_and(|judge| may_eject(judge, id, cause, since, now)) {
            return;
        }
        if let Some(real) = self.real_mut(id) {
            real.passive.eject(cause, now);
        }
        self.unsettle();
    }
}

fn may_eject(judge: Judge<'_>, id: RealId, cause: Cause, since: Instant, now: Instant) -> bool {
    let is_wanted = |real: &Real| real.admin == AdminState::Ready && real.spec.weight > 0;
    let wanted = || judge.members().filter(|(_, real)| is_wanted(real));
    let is_out =
        |&(other, real): &(RealId, &Real)| other != id && real.passive.ejection(now).is_some();
    let (all, out) = (wanted().count(), wanted().filter(is_out).count());
    let has_another = |(other, real): (RealId, &Real)| {
        let has_answered = cause == Cause::Flaps || real.passive.has_answered_since(since);
        other != id && judge.is_in(real, now) && has_answered
    };
    let is_member = judge.service.reals.contains(&id);
    is_member && out < (all / 2).max(1) && wanted().any(has_another)
}
